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

Most nodes do not depend on all inputs. A tangent is kept on the range of directions outside of which it is
structurally zero; ranges come from the constants that the sweep starts with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .derivatives import active_nodes, push
from .expr import Constant, Expr, Variable, apply, as_expr, constant, describe
from .primitive import PRIMITIVES, Primitive
from .primitives.elementwise import zeros
from .primitives.indexing import (
    broadcast_to,
    concatenate,
    cumsum,
    getitem,
    pad,
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
_MATMUL = PRIMITIVES["matmul"]


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
    found = _Sweep(outputs, given, count, definitions or {}, budget).run()
    return {node: _first(_widened(t, 0, count)) for node, t in found.items()}


def jacobian_batched(
    outputs: Sequence[Expr],
    leaves: Sequence[Variable],
    definitions: Mapping[Any, Expr] | None = None,
    budget: int = BUDGET,
) -> Expr:
    """The dense Jacobian of the outputs by the leaves, both flattened and concatenated, as one expression.

    Its shape is (rows, columns). A :class:`~adjoint.sparsity.TooDenseError` says that it, or a tangent on the way, has
    more than ``budget`` elements.

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
    if max(rows, count) * count > budget:
        raise TooDenseError(f"{rows} rows and {count} directions: more than {budget} elements")
    found = _Sweep(outputs, _units(leaves), count, definitions or {}, budget).run()
    full = [_widened(found[e], 0, count) if e in found else zeros((*e.shape, count)) for e in outputs]
    return concatenate([reshape(t, (e.size, count)) for e, t in zip(outputs, full, strict=True)] or [zeros((0, count))])


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


# -- tangents on a range of directions ---------------------------------------------------------------------------------


class Part(NamedTuple):
    """A tangent along the directions ``start``, …, ``stop`` − 1, its last axis; along the others it is zero."""

    t: Expr
    start: int

    @property
    def stop(self) -> int:
        return self.start + self.t.shape[-1]


def _trimmed(part: Part) -> Part | None:
    """Without the first and last directions of a constant along which it is zero; None where it is zero altogether."""
    t = part.t
    if not isinstance(t, Constant):
        return part
    moving = np.flatnonzero((t.value != 0.0).any(axis=tuple(range(t.ndim - 1))))
    if not moving.size:
        return None
    first, last = int(moving[0]), int(moving[-1]) + 1
    return Part(getitem(t, (Ellipsis, slice(first, last))), part.start + first)


def _widened(part: Part, start: int, stop: int) -> Expr:
    """The tangent along more directions."""
    before, after = part.start - start, stop - part.stop
    if not before and not after:
        return part.t
    return pad(part.t, [*[(0, 0)] * (part.t.ndim - 1), (before, after)])


def _aligned(parts: Sequence[Part | None]) -> tuple[list[Expr | None], int]:
    """Tangents along the same directions, and the first of these."""
    start, stop = min(p.start for p in parts if p), max(p.stop for p in parts if p)
    return [None if p is None else _widened(p, start, stop) for p in parts], start


def _sum(terms: Sequence[Part]) -> Part | None:
    """The sum of tangents; first of those along the same directions."""
    by_range: dict[tuple[int, int], Expr] = {}
    for p in terms:
        key = p.start, p.stop
        by_range[key] = by_range[key] + p.t if key in by_range else p.t
    if not by_range:
        return None
    tangents, start = _aligned([Part(t, key[0]) for key, t in by_range.items()])
    total = tangents[0]
    for t in tangents[1:]:
        total = total + t  # type: ignore[operator]
    return Part(total, start)  # type: ignore[arg-type]


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
            elementwise = _is_elementwise(node)
            for k, arg in enumerate(node.args):
                if arg not in self.active or (elementwise and node.op.partials[k] is None):  # type: ignore[union-attr]
                    continue
                same = elementwise and _is_elementwise(arg) and arg.shape == node.shape
                claim = root if same and arg not in self.tangents else arg
                owner[arg] = claim if owner.get(arg, claim) is claim else arg
        return members

    def run(self) -> dict[Expr, Part]:
        found: dict[Expr, Part] = {}
        for node in self.order:
            if self.owner.get(node) is not node:
                continue
            if node.size * self.count > self.budget:
                raise TooDenseError(f"{self.count} tangents of {describe(node)} have more than {self.budget} elements")
            part = self._tangent(node, found)
            if part is not None and (part := _trimmed(part)) is not None:
                found[node] = part
        return found

    def _tangent(self, node: Expr, found: Mapping[Expr, Part]) -> Part | None:
        if node in self.tangents:
            return Part(self.tangents[node], 0)
        if node in self.definitions:
            return found.get(self.definitions[node])
        if _is_elementwise(node):
            partials = self._partials(node).items()
            total = _sum([Part(_scaled(found[e].t, p), found[e].start) for e, p in partials if e in found])
            return total and Part(broadcast_to(total.t, (*node.shape, total.t.shape[-1])), total.start)
        parts = [found.get(a) for a in node.args]
        if not any(parts):
            return None
        if node.op is _MATMUL:
            return _sum([Part(_product(node, k, p.t), p.start) for k, p in enumerate(parts) if p])
        tangents, start = _aligned(parts)
        width = next(t.shape[-1] for t in tangents if t is not None)
        if node.op.kind == "reduction":  # type: ignore[union-attr]
            partial = node.op.partials[0](node, *node.args, *node.params)  # type: ignore[union-attr, misc]
            return Part(sum_axes(_scaled(tangents[0], partial), node.params[0]), start)  # type: ignore[arg-type]
        return Part(_RULES.get(node.op.name, _one_by_one)(node, tangents, width), start)  # type: ignore[union-attr]

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
                    partial = rule(node, *node.args, *node.params)
                    part = partial if _is_one(ct) else ct if _is_one(partial) else ct * partial
                    into = cot if self.owner[arg] is root else operands
                    into[arg] = into[arg] + part if arg in into else part
        return operands


def _is_elementwise(node: Expr) -> bool:
    return node.op is not None and node.op.kind == "elementwise"


def _is_one(x: Any) -> bool:
    return type(x) is float and x == 1.0


def _scaled(t: Expr, partial: Any) -> Expr:
    """A tangent times a factor that is the same along all directions."""
    if _is_one(partial):
        return t
    return t * (reshape(partial, (*partial.shape, 1)) if np.shape(partial) else partial)


# -- linear and bilinear rows: the same operation, with one axis more ------------------------------------------------

Tangents = Sequence[Expr | None]
_ALL = ("slice", None, None, None)


def _applied(op: Primitive, x: Expr, params: tuple[Any, ...], shape: tuple[int, ...]) -> Expr:
    return constant(op.value(x.value, *params)) if isinstance(x, Constant) else apply(op, (x,), params, shape)


def _index(index: tuple[Any, ...]) -> tuple[Any, ...]:
    """The index of one more axis, at the end."""
    return (*index, _ALL) if Ellipsis in index else index


def _positions(index: np.ndarray, count: int) -> np.ndarray:
    return index[..., None] * count + np.arange(count)


def _getitem(node: Expr, parts: Tangents, count: int) -> Expr:
    return _applied(node.op, parts[0], (_index(node.params[0]),), (*node.shape, count))  # type: ignore[arg-type]


def _embed(node: Expr, parts: Tangents, count: int) -> Expr:
    shape = (*node.shape, count)
    return _applied(node.op, parts[0], (_index(node.params[0]), shape), shape)  # type: ignore[arg-type]


def _joined(node: Expr, parts: Tangents, count: int) -> Expr:
    full = [zeros((*a.shape, count)) if t is None else t for a, t in zip(node.args, parts, strict=True)]
    return concatenate(full, node.params[0])


def _sparse(node: Expr, parts: Tangents, count: int) -> Expr:
    x, matrix = node.args[0], node.params[0].array
    rest = math.prod(x.shape[1:]) * count
    return reshape(sparse_product(matrix, reshape(parts[0], (x.shape[0], rest))), (*node.shape, count))


def _product(node: Expr, k: int, t: Expr) -> Expr:
    """dA @ B (k = 0) or A @ dB (k = 1)."""
    a, b = node.args
    (m, inner), n, batch, count = a.shape[-2:], b.shape[-1], a.shape[:-2], t.shape[-1]
    lead = len(batch)
    if node.size * inner * count <= LOOPED_PRODUCT:  # Σ over axis k of (i, k, j, ·)
        left, right = (*batch, m, inner, 1), (*batch, 1, inner, n)
        if k == 0:
            return sum_axes(reshape(t, (*left, count)) * reshape(b, (*right, 1)), (lead + 1,))
        return sum_axes(reshape(a, (*left, 1)) * reshape(t, (*right, count)), (lead + 1,))
    if k == 1:
        return reshape(matmul(a, reshape(t, (*batch, inner, n * count))), (*batch, m, n, count))
    moved = (*range(lead), lead + 1, lead, lead + 2)
    flat = reshape(transpose(t, moved), (*batch, inner, m * count))
    return transpose(reshape(matmul(swap(b), flat), (*batch, n, m, count)), moved)


def _one_by_one(node: Expr, parts: Tangents, count: int) -> Expr:
    """Any row, one direction after the other."""
    one = [push(node, [None if p is None else getitem(p, (Ellipsis, k)) for p in parts]) for k in range(count)]
    return stack([zeros(node.shape) if t is None else t for t in one], axis=-1) if one else zeros((*node.shape, 0))


_RULES: dict[str, Callable[[Expr, Tangents, int], Expr]] = {
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
}
