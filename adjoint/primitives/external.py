"""Black boxes: functions that the library cannot look into, with their Jacobians."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sparse

from ..errors import DerivativeError, EvaluationError, ShapeError
from ..expr import Expr, new_node
from ..primitive import Primitive, Shape, register
from .indexing import reshape
from .products import matmul

Array = Any


class External:
    """A function of arrays that the library cannot look into, with its Jacobians.

    ``function(*arrays) -> array`` of ``shape``; ``jacobian(*arrays)`` gives one array per input, each of shape
    ``shape + input.shape`` (or 2-D, flattened); None: central differences.
    """

    def __init__(self, name: str, function: Any, shapes: Sequence[Shape], shape: Shape, jacobian: Any) -> None:
        self.name, self.function, self.shapes, self.shape = name, function, list(shapes), shape
        self.jacobian = jacobian
        # Its nodes are kept here and not in the table of all nodes, which would keep the function, and with it
        # perhaps the program, alive for ever.
        self.nodes: dict[Any, Expr] = {}

    def node(self, op: Primitive, args: tuple[Expr, ...], params: tuple[Any, ...], shape: Shape) -> Expr:
        """The node of the value, or of a Jacobian, at some arguments."""
        key = (op.name, *map(id, args), params[1:])
        if key not in self.nodes:
            self.nodes[key] = new_node(op, args, params, shape)
        return self.nodes[key]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "nodes": {}}

    def value(self, *args: Array) -> Array:
        if any(np.iscomplexobj(a) for a in args):
            re = [np.real(a) for a in args]
            out = self.value(*re) + 0j
            for k, a in enumerate(args):
                if np.iscomplexobj(a) and np.any(np.imag(a)):
                    out = out + 1j * (self.matrix(k, *re) @ np.imag(a).ravel()).reshape(self.shape)
            return out
        try:
            # Copies both ways: the box may change its arguments, or keep and reuse what it returns.
            out = np.array(self.function(*map(np.copy, args)), dtype=np.float64)
        except ArithmeticError:
            return np.full(self.shape, np.nan)[()]
        except Exception as error:
            raise EvaluationError(f"the external function of {self.name!r} failed: {error!r}") from error
        if out.size != math.prod(self.shape):
            raise ShapeError(f"the external function of {self.name!r} gave shape {out.shape}, not {self.shape}")
        return out.reshape(self.shape)[()]

    def matrix(self, k: int, *args: Array) -> Array:
        """∂out/∂args[k] as a matrix of out.size rows."""
        shape = (math.prod(self.shape), math.prod(self.shapes[k]))
        if self.jacobian is None:
            return self._differences(k, args)
        try:
            parts = self.jacobian(*map(np.copy, args))
        except Exception as error:
            raise EvaluationError(f"the Jacobian function of {self.name!r} failed: {error!r}") from error
        part = parts[k] if isinstance(parts, (tuple, list)) and len(self.shapes) > 1 else parts
        if isinstance(part, (tuple, list)) and len(self.shapes) == 1 and len(part) == 1:
            part = part[0]
        part = part.toarray() if sparse.issparse(part) else np.asarray(part, dtype=np.float64)
        if part.size != shape[0] * shape[1]:
            raise ShapeError(
                f"the Jacobian function of {self.name!r} gave shape {part.shape} for input {k}; expected "
                f"{self.shape + self.shapes[k]}"
            )
        return part.reshape(shape)

    def _differences(self, k: int, args: Sequence[Array]) -> Array:
        """Central differences with step ε^(1/3)·max(1, |x|)."""
        x = np.asarray(args[k], dtype=np.float64).ravel()
        columns = []
        for j in range(x.size):
            h = np.cbrt(np.finfo(float).eps) * max(1.0, abs(x[j]))
            ends = []
            for end in (x[j] + h, x[j] - h):
                moved = x.copy()
                moved[j] = end
                moved_args = [*args[:k], moved.reshape(self.shapes[k])[()], *args[k + 1 :]]
                ends.append(np.ravel(self.value(*moved_args)))
            columns.append((ends[0] - ends[1]) / (2 * h))
        return np.stack(columns, axis=1) if columns else np.zeros((math.prod(self.shape), 0))


def _no_second(out: Expr, *rest: Any) -> Expr:
    external = out.params[0] if isinstance(out, Expr) else rest[-1][0]
    raise DerivativeError(
        f"second derivatives of the external function {external.name!r} are not known: write it as equations, or "
        "use a method that needs first derivatives only"
    )


_EXTERNAL_JACOBIAN = register(
    Primitive(
        "external_jacobian",
        "general",
        lambda *args: args[-2].matrix(args[-1], *(np.real(a) for a in args[:-2])),
        tangent=lambda out, args, tangents, params: _no_second(out),
        transpose=lambda ct, k, args, params, out: _no_second(out),
    )
)


def _external_matrix(args: tuple[Expr, ...], external: External, k: int) -> Expr:
    shape = (math.prod(external.shape), math.prod(external.shapes[k]))
    return external.node(_EXTERNAL_JACOBIAN, args, (external, k), shape)


def _external_tangent(out: Expr, args: Any, tangents: Any, params: Any) -> Expr:
    total: Any = None
    for k, t in enumerate(tangents):
        if t is not None:
            part = matmul(_external_matrix(args, params[0], k), reshape(t, (t.size,)))
            total = part if total is None else total + part
    return reshape(total, out.shape)


_EXTERNAL = register(
    Primitive(
        "external",
        "general",
        lambda *args: args[-1].value(*args[:-1]),
        tangent=_external_tangent,
        transpose=lambda ct, k, args, params, out: reshape(
            matmul(reshape(ct, (ct.size,)), _external_matrix(args, params[0], k)), args[k].shape
        ),
    )
)


def external(box: External, args: Sequence[Expr]) -> Expr:
    """The value of a black box as an expression."""
    return box.node(_EXTERNAL, tuple(args), (box,), box.shape)
