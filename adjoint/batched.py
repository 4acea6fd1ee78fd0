"""Tangents along many directions at once, and the dense Jacobians they give, as expressions.

With K inputs and many more outputs, a Jacobian without structure is K tangents of the same program. Here one forward
sweep carries all of them: the tangent of a node is one array with an axis of length K, and every operation is done
once for all directions. Inside the sweep that axis is the last one:

- ``A @ dB`` is one product ``(m, k) @ (k, n K)``, a constant sparse matrix likewise, and nothing is moved for it;
- a gather copies runs of K neighbours;
- rows of the Jacobian are contiguous when the sweep ends.

A group of elementwise operations of one shape that ends in one node is first differentiated by a small reverse sweep
(as in ``sparsity``): the K directions then see one factor per operand, however long the formula. Griewank & Walther
2008, *Evaluating Derivatives*, sections 3.1 (vector mode) and 10.2 (preaccumulation). Every rule is that of the row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .derivatives import active_nodes, push
from .expr import Constant, Expr, Variable, apply, as_expr, constant, describe
from .primitive import Primitive
from .primitives.elementwise import zeros
from .primitives.indexing import (
    broadcast_to,
    concatenate,
    cumsum,
    getitem,
    reshape,
    scatter_flat,
    stack,
    sum_axes,
    take_flat,
    transpose,
)
from .primitives.products import matmul, sparse_product, swap
from .sparsity import TooDenseError
from .walk import topological

__all__ = ["forward_batched", "jacobian_batched", "unit_tangents"]

BUDGET = 20_000_000  # elements of one tangent, all directions together
LOOPED_PRODUCT = 1 << 17  # multiplications; measured: below, a fused loop beats moving the factors and calling BLAS


def unit_tangents(leaves: Sequence[Variable]) -> dict[Expr, Expr]:
    """The unit directions of the leaves, flattened and concatenated, as constants of shape ``(K, *leaf.shape)``.

    >>> from adjoint.expr import Variable
    >>> x, s = Variable("x", (2,)), Variable("s")
    >>> unit_tangents([x, s])[s].value
    array([0., 0., 1.])
    """
    return {v: _first(t) for v, t in _units(leaves).items()}


def forward_batched(
    outputs: Sequence[Expr],
    tangents: Mapping[Expr, Any],
    count: int,
    definitions: Mapping[Any, Expr] | None = None,
    budget: int = BUDGET,
) -> dict[Expr, Expr]:
    """Tangents of the outputs along ``count`` directions at once.

    Parameters
    ----------
    outputs : expressions
    tangents : mapping from nodes v to arrays or expressions of shape ``(count, *v.shape)``
    count : int
    definitions : mapping from variables to the expressions that they stand for
    budget : int
        Elements that one tangent may have; a :class:`~adjoint.sparsity.TooDenseError` where it has more.

    Returns
    -------
    dict
        Expressions of shape ``(count, *node.shape)``: for every output that depends on a node with a tangent, and for
        the nodes on the way whose tangents are formed.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint.backends import get_backend
    >>> from adjoint.expr import Variable
    >>> x = Variable("x", (2,))
    >>> y = np.sin(x) * x[0]
    >>> t = forward_batched([y], {x: np.eye(2)}, 2)[y]
    >>> get_backend("numpy").compile([x], [t])(np.array([0.0, 1.0]))[0]
    array([[0.  , 0.841...],
           [0.  , 0.   ]])
    """
    given = {v: _last(broadcast_to(as_expr(t), (count, *v.shape))) for v, t in tangents.items()}
    return {node: _first(t) for node, t in _Sweep(outputs, given, count, definitions or {}, budget).run().items()}


def jacobian_batched(
    outputs: Sequence[Expr],
    leaves: Sequence[Variable],
    definitions: Mapping[Any, Expr] | None = None,
    budget: int = BUDGET,
) -> Expr:
    """The dense Jacobian of the outputs by the leaves, both flattened and concatenated: one expression (rows × columns).

    >>> import numpy as np
    >>> from adjoint.backends import get_backend
    >>> from adjoint.expr import Variable
    >>> x = Variable("x", (2,))
    >>> J = jacobian_batched([x[0] * x, np.sum(x)], [x])
    >>> get_backend("numpy").compile([x], [J])(np.array([3.0, 5.0]))[0]
    array([[6., 0.],
           [5., 3.],
           [1., 1.]])
    """
    count = sum(v.size for v in leaves)
    rows = sum(e.size for e in outputs)
    if rows * count > budget:
        raise TooDenseError(f"{rows} × {count} entries")
    found = _Sweep(outputs, _units(leaves), count, definitions or {}, budget).run()
    parts = [reshape(found[e], (e.size, count)) if e in found else zeros((e.size, count)) for e in outputs]
    return concatenate(parts) if parts else zeros((0, count))


def _units(leaves: Sequence[Variable]) -> dict[Expr, Expr]:
    """Unit directions, along the last axis."""
    eye = np.eye(sum(v.size for v in leaves))
    at, found = 0, {}
    for v in leaves:
        found[v] = constant(eye[at : at + v.size].reshape(*v.shape, len(eye)))
        at += v.size
    return found  # type: ignore[return-value]


def _last(x: Expr) -> Expr:
    return transpose(x, (*range(1, x.ndim), 0))


def _first(x: Expr) -> Expr:
    return transpose(x, (x.ndim - 1, *range(x.ndim - 1)))


# -- the sweep ---------------------------------------------------------------------------------------------------------


class _Sweep:
    """One forward sweep; tangents have the directions along their last axis, and None stands for zero."""

    def __init__(
        self,
        outputs: Sequence[Expr],
        tangents: Mapping[Expr, Expr],
        count: int,
        definitions: Mapping[Any, Expr],
        budget: int,
    ) -> None:
        self.tangents, self.count, self.definitions, self.budget = tangents, count, definitions, budget
        self.order = topological(outputs, stop=tangents, definitions=definitions)
        self.active = active_nodes(self.order, tangents, definitions)
        self.owner: dict[Expr, Expr] = {e: e for e in outputs if e in self.active}
        self.members = self._groups()

    def _groups(self) -> dict[Expr, list[Expr]]:
        """The nodes whose tangents are formed, each with the elementwise operations that it absorbs, users first.

        A node is absorbed if all that use it belong to one group of its shape: no operation is absorbed twice.
        """
        owner = self.owner
        members: dict[Expr, list[Expr]] = {}
        for node in reversed(self.order):
            root = owner.get(node)
            if root is None:
                continue
            members.setdefault(root, []).append(node)
            if node in self.tangents:
                continue
            if node in self.definitions:
                owner[self.definitions[node]] = self.definitions[node]
            for k, arg in enumerate(node.args):
                if arg in self.active and not (_is_elementwise(node) and node.op.partials[k] is None):  # type: ignore[union-attr]
                    inside = _is_elementwise(node) and self._absorbable(arg, node)
                    claim = root if inside else arg
                    owner[arg] = claim if owner.get(arg, claim) is claim else arg
        return members

    def _absorbable(self, arg: Expr, node: Expr) -> bool:
        return _is_elementwise(arg) and arg.shape == node.shape and arg not in self.tangents

    def run(self) -> dict[Expr, Expr]:
        found: dict[Expr, Expr] = {}
        for node in self.order:
            if self.owner.get(node) is not node:
                continue
            if node.size * self.count > self.budget:
                raise TooDenseError(f"{self.count} tangents of {describe(node)} have more than {self.budget} elements")
            t = self._tangent(node, found)
            if t is not None and not (isinstance(t, Constant) and not np.any(t.value)):
                found[node] = t
        return found

    def _tangent(self, node: Expr, found: Mapping[Expr, Expr]) -> Expr | None:
        if node in self.tangents:
            return self.tangents[node]
        if node in self.definitions:
            return found.get(self.definitions[node])
        if _is_elementwise(node):
            return self._combined(node, found)
        parts = [found.get(a) for a in node.args]
        if all(p is None for p in parts):
            return None
        op = node.op
        assert op is not None
        if op.kind == "reduction":
            partial = op.partials[0](node, *node.args, *node.params)  # type: ignore[misc]
            return sum_axes(_scaled(parts[0], partial), node.params[0])  # type: ignore[arg-type]
        return _RULES.get(op.name, _one_by_one)(node, parts, self.count)

    def _combined(self, root: Expr, found: Mapping[Expr, Expr]) -> Expr | None:
        """Σ (∂root/∂operand) · tangent over the operands of the group below root."""
        total: Expr | None = None
        for operand, partial in self._partials(root).items():
            if operand in found:
                term = _scaled(found[operand], partial)
                total = term if total is None else total + term
        return None if total is None else broadcast_to(total, (*root.shape, self.count))

    def _partials(self, root: Expr) -> dict[Expr, Any]:
        """∂root/∂operand, by a reverse sweep through the group."""
        cot: dict[Expr, Any] = {root: 1.0}
        operands: dict[Expr, Any] = {}
        for node in self.members[root]:
            ct = cot.pop(node, None)
            if ct is None:
                continue
            for rule, arg in zip(node.op.partials, node.args, strict=True):  # type: ignore[union-attr]
                if rule is not None and arg in self.active:
                    part = _times(ct, rule(node, *node.args, *node.params))
                    into = cot if self.owner[arg] is root else operands
                    into[arg] = into[arg] + part if arg in into else part
        return operands


def _is_elementwise(node: Expr) -> bool:
    return node.op is not None and node.op.kind == "elementwise"


def _times(a: Any, b: Any) -> Any:
    if type(a) is float and a == 1.0:
        return b
    return a if type(b) is float and b == 1.0 else a * b


def _scaled(t: Expr, partial: Any) -> Expr:
    """A tangent times a factor that is the same along all directions."""
    if type(partial) is float:
        return t if partial == 1.0 else t * partial
    return t * (reshape(partial, (*partial.shape, 1)) if partial.shape else partial)


# -- linear and bilinear rows: the same operation, with one axis more ------------------------------------------------

Parts = Sequence[Expr | None]
_ALL = ("slice", None, None, None)


def _applied(op: Primitive, x: Expr, params: tuple[Any, ...], shape: tuple[int, ...]) -> Expr:
    return constant(op.value(x.value, *params)) if isinstance(x, Constant) else apply(op, (x,), params, shape)


def _index(index: tuple[Any, ...]) -> tuple[Any, ...]:
    """The index of one more axis, at the end."""
    return (*index, _ALL) if Ellipsis in index else index


def _positions(index: np.ndarray, count: int) -> np.ndarray:
    return index[..., None] * count + np.arange(count)


def _getitem(node: Expr, parts: Parts, count: int) -> Expr:
    return _applied(node.op, parts[0], (_index(node.params[0]),), (*node.shape, count))  # type: ignore[arg-type]


def _embed(node: Expr, parts: Parts, count: int) -> Expr:
    shape = (*node.shape, count)
    return _applied(node.op, parts[0], (_index(node.params[0]), shape), shape)  # type: ignore[arg-type]


def _joined(node: Expr, parts: Parts, count: int) -> Expr:
    full = [zeros((*a.shape, count)) if t is None else t for a, t in zip(node.args, parts, strict=True)]
    return concatenate(full, node.params[0])


def _sparse(node: Expr, parts: Parts, count: int) -> Expr:
    x, matrix = node.args[0], node.params[0].array
    rest = math.prod(x.shape[1:]) * count
    return reshape(sparse_product(matrix, reshape(parts[0], (x.shape[0], rest))), (*node.shape, count))


def _product(node: Expr, parts: Parts, count: int) -> Expr:
    """dA @ B + A @ dB."""
    a, b = node.args
    da, db = parts
    if node.size * a.shape[-1] * count <= LOOPED_PRODUCT:
        return _looped(a, b, da, db, count)
    (m, inner), n, batch = a.shape[-2:], b.shape[-1], a.shape[:-2]
    total: Expr | None = None
    if db is not None:
        total = reshape(matmul(a, reshape(db, (*batch, inner, n * count))), (*batch, m, n, count))
    if da is not None:
        lead = len(batch)
        moved = (*range(lead), lead + 1, lead, lead + 2)
        flat = reshape(transpose(da, moved), (*batch, inner, m * count))
        term = transpose(reshape(matmul(swap(b), flat), (*batch, n, m, count)), moved)
        total = term if total is None else total + term
    assert total is not None
    return total


def _looped(a: Expr, b: Expr, da: Expr | None, db: Expr | None, count: int) -> Expr:
    """Σ_k dA[i,k,·] B[k,j] + A[i,k] dB[k,j,·], over axes (i, k, j, ·): one loop when compiled."""
    (m, inner), n, batch = a.shape[-2:], b.shape[-1], a.shape[:-2]
    left, right = (*batch, m, inner, 1), (*batch, 1, inner, n)
    total: Expr | None = None
    if da is not None:
        total = _contracted(reshape(da, (*left, count)) * reshape(b, (*right, 1)), len(batch))
    if db is not None:
        term = _contracted(reshape(a, (*left, 1)) * reshape(db, (*right, count)), len(batch))
        total = term if total is None else total + term
    assert total is not None
    return total


def _contracted(x: Expr, lead: int) -> Expr:
    return sum_axes(x, (lead + 1,))


def _one_by_one(node: Expr, parts: Parts, count: int) -> Expr:
    """Any row, one direction after the other."""
    columns = []
    for k in range(count):
        t = push(node, [None if p is None else getitem(p, (Ellipsis, k)) for p in parts])
        columns.append(zeros(node.shape) if t is None else t)
    return stack(columns, axis=-1) if columns else zeros((*node.shape, 0))


_RULES: dict[str, Callable[[Expr, Parts, int], Expr]] = {
    "reshape": lambda node, parts, count: reshape(parts[0], (*node.shape, count)),
    "transpose": lambda node, parts, count: transpose(parts[0], (*node.params[0], node.ndim)),
    "broadcast_to": lambda node, parts, count: broadcast_to(parts[0], (*node.shape, count)),
    "sum": lambda node, parts, count: sum_axes(parts[0], node.params[0]),  # type: ignore[arg-type]
    "getitem": _getitem,
    "embed": _embed,
    "take": lambda node, parts, count: take_flat(parts[0], _positions(node.params[0].array, count)),  # type: ignore[arg-type]
    "scatter_add": lambda node, parts, count: scatter_flat(
        parts[0],  # type: ignore[arg-type]
        _positions(node.params[0].array, count),
        (*node.shape, count),
    ),
    "concatenate": _joined,
    "cumsum": lambda node, parts, count: cumsum(parts[0], node.params[0]),
    "sparse_product": _sparse,
    "matmul": _product,
}
