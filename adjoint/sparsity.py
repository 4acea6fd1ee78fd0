"""Sparse Jacobians and Hessians of expressions: the pattern once, the nonzeros as one expression.

Every operation has a local Jacobian with a known pattern: elementwise operations a diagonal, selections one
entry per row, matrix products their own. The chain rule composes them symbolically, so each nonzero of the
result is a constant or an element of a computed array. No coloring, no probing. A maximal group of
elementwise operations of one shape is differentiated by one small reverse sweep, which leaves one value per
operand and row, however long the group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from .derivatives import active_nodes, pull, push, vjp
from .errors import AdjointError
from .expr import Constant, Expr, as_expr, constant
from .primitives.elementwise import zeros
from .primitives.indexing import concatenate, ravel
from .terms import Index, Term, compose, gather, merged, sorted_pairs, whole
from .walk import topological

__all__ = ["SparseMap", "TooDenseError", "jacobian_map"]

DENSE_SIZE = 4096  # elements; measured: below, a dense product costs less than SciPy's checks of a sparse one


class TooDenseError(AdjointError):
    """A Jacobian would have more entries than allowed: products are used instead."""


class _Builder:
    """The terms of ∂node/∂leaves for every node that is needed, each computed once."""

    def __init__(
        self, outputs: Sequence[Expr], leaves: Mapping[Expr, int], definitions: Mapping[Expr, Expr], budget: int
    ) -> None:
        self.leaves, self.definitions, self.budget, self.used = leaves, definitions, budget, 0
        order = topological(outputs, stop=leaves, definitions=definitions)
        self.active = active_nodes(order, leaves, definitions)
        self.memo: dict[Expr, list[Term]] = {}

    def terms(self, root: Expr) -> list[Term]:
        """The terms of a node, by an explicit stack: graphs can be deeper than Python's recursion."""
        stack = [root]
        while stack:
            node = stack[-1]
            if node in self.memo:
                stack.pop()
                continue
            parts = None if node in self.leaves else self.parts(node)
            missing = [p for p, *_ in parts or () if p not in self.memo]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            self.memo[node] = self._leaf(node) if parts is None else self._join(parts)
        return self.memo[root]

    def _leaf(self, node: Expr) -> list[Term]:
        rows, first = whole(node.size), self.leaves[node]
        return [Term(rows, rows + first if first else rows, None, None, None)]

    def _join(self, parts: list[tuple[Expr, Term]]) -> list[Term]:
        result = []
        for operand, local in parts:
            for inner in self.memo[operand]:
                term = compose(local, inner, operand.size)
                self.used += term.rows.size
                if self.used > self.budget:
                    raise TooDenseError(f"more than {self.budget} entries")
                if term.rows.size:
                    result.append(term)
        return merged(result) if len(result) > 1 else result

    def parts(self, node: Expr) -> list[tuple[Expr, Term]]:
        """The operands that matter, each with the local Jacobian of the node."""
        if node.op is None:
            rows = whole(node.size)
            return [(self.definitions[node], Term(rows, rows, None, None, None))]
        kind = node.op.kind
        if kind == "elementwise":
            return self._elementwise(node)
        found = []
        for k, arg in enumerate(node.args):
            if arg in self.active:
                if node.size * arg.size > self.budget and kind == "general":
                    raise TooDenseError(f"{node.op.name} has {node.size * arg.size} entries")
                found.append((arg, _LOCAL[kind](node, k)))
        return found

    def group(self, root: Expr) -> dict[Expr, Expr | float]:
        """∂root/∂operand for the operands of the elementwise group below root, by one reverse sweep."""
        shape, cot = root.shape, {root: 1.0}
        operands: dict[Expr, Any] = {}
        for node in reversed(self._group_order(root)):
            ct: Any = cot.pop(node, None)
            if ct is None:
                continue
            for k, arg in enumerate(node.args):
                if arg not in self.active:
                    continue
                rule = node.op.partials[k]  # type: ignore[union-attr]
                if rule is None:
                    continue
                partial = rule(node, *node.args, *node.params)
                if type(partial) is float and partial == 1.0:
                    part = ct
                elif type(ct) is float:
                    part = partial if ct == 1.0 else ct * partial
                else:
                    part = ct * partial
                inside = arg.shape == shape and arg.op is not None and arg.op.kind == "elementwise"
                into = cot if inside and arg not in self.leaves else operands
                into[arg] = into[arg] + part if arg in into else part
        return operands

    def _inside(self, arg: Expr, shape: tuple[int, ...]) -> bool:
        """Whether an argument belongs to an elementwise group of a shape."""
        if arg.op is None or arg.shape != shape or arg.op.kind != "elementwise":
            return False
        return arg in self.active and arg not in self.leaves

    def _group_order(self, root: Expr) -> list[Expr]:
        shape = root.shape
        if not any(self._inside(arg, shape) for arg in root.args):
            return [root]
        order: list[Expr] = []
        seen: set[Expr] = {root}
        stack: list[tuple[Expr, bool]] = [(root, False)]
        while stack:
            node, done = stack.pop()
            if done:
                order.append(node)
                continue
            stack.append((node, True))
            for arg in node.args:
                if arg not in seen and self._inside(arg, shape):
                    seen.add(arg)
                    stack.append((arg, False))
        return _by_dependence(order, seen)

    def _elementwise(self, node: Expr) -> list[tuple[Expr, Term]]:
        rows = whole(node.size)
        found = []
        for operand, value in self.group(node).items():
            cols = rows if operand.shape == node.shape else _broadcast_positions(operand.shape, node)
            found.append((operand, _valued(rows, cols, value, node)))
        return found


def _by_dependence(order: list[Expr], members: set[Expr]) -> list[Expr]:
    """Post-order of a depth-first walk over all members, arguments first (shared members only once)."""
    done: set[Expr] = set()
    result: list[Expr] = []
    for start in order:
        stack: list[tuple[Expr, bool]] = [(start, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                result.append(node)
            elif node not in done:
                done.add(node)
                stack.append((node, True))
                stack.extend((a, False) for a in node.args if a in members and a not in done)
    return result


def _valued(rows: Index, cols: Index, value: Any, node: Expr) -> Term:
    value = as_expr(value)
    if isinstance(value, Constant):
        if not value.shape:
            coef = None if value.value == 1.0 else np.full(rows.size, value.value)
        else:
            coef = np.broadcast_to(value.value, node.shape).ravel()
        return Term(rows, cols, coef, None, None)
    if value.shape == node.shape:
        return Term(rows, cols, None, ravel(value) if value.shape else value, None)
    return Term(rows, cols, None, ravel(value), _broadcast_positions(value.shape, node))


def _broadcast_positions(shape: tuple[int, ...], node: Expr) -> Index:
    """Which element of an array of some shape is behind each element of a node that it is broadcast to."""
    if not shape:
        return np.zeros(node.size, dtype=np.intp)
    return np.broadcast_to(np.arange(math.prod(shape)).reshape(shape), node.shape).ravel()


# -- local Jacobians of the other kinds ------------------------------------------------------------------------------


def _linear(node: Expr, k: int) -> Term:
    op, args, params = node.op, node.args, node.params
    assert op is not None
    if op.entries is not None:
        rows, cols, coef = op.entries(args, params, k)
        return Term(np.asarray(rows), np.asarray(cols), coef, None, None)
    if op.name == "reshape":
        rows = whole(node.size)
        return Term(rows, rows, None, None, None)
    if op.name == "broadcast_to":
        return Term(whole(node.size), _broadcast_positions(args[0].shape, node), None, None, None)
    if op.name == "take":
        return Term(whole(node.size), params[0].array.reshape(-1), None, None, None)
    # A selection, applied to positions, says where each output element comes from.
    positions = [np.arange(a.size).reshape(a.shape) if i == k else np.full(a.shape, -1) for i, a in enumerate(args)]
    source = np.asarray(op.value(*positions, *params)).reshape(-1)
    rows = whole(source.size)
    if len(args) > 1:
        rows = np.flatnonzero(source >= 0)
        source = source[rows]
    return Term(rows, source, None, None, None)


def _bilinear(node: Expr, k: int) -> Term:
    rows, cols, other = node.op.entries(node.args, node.params, k)  # type: ignore[union-attr, misc]
    factor = node.args[1 - k]
    if isinstance(factor, Constant):
        coef = np.asarray(factor.value).reshape(-1)[other]
        keep = np.flatnonzero(coef)
        return Term(rows[keep], cols[keep], coef[keep], None, None)
    return Term(rows, cols, None, ravel(factor), other)


def _reduction(node: Expr, k: int) -> Term:
    x, axes = node.args[0], node.params[0]
    kept = tuple(1 if i in axes else s for i, s in enumerate(x.shape))
    rows = np.broadcast_to(np.arange(node.size).reshape(kept), x.shape).ravel()
    partial = node.op.partials[0](node, x, *node.params)  # type: ignore[union-attr, misc]
    return Term(rows, np.arange(x.size), None, ravel(partial), None)


def _general(node: Expr, k: int) -> Term:
    """A dense local Jacobian, by rows or by columns, whichever is fewer."""
    arg, n, m = node.args[k], node.size, node.args[k].size
    rows, cols = (p.ravel() for p in np.meshgrid(np.arange(n), np.arange(m), indexing="ij"))
    if n <= m:
        parts = [pull(node, k, _unit(node.shape, i)) for i in range(n)]
        parts = [zeros((m,)) if p is None else ravel(p) for p in parts]
        base = concatenate(parts) if parts else zeros((0,))
        return Term(rows, cols, None, base, None)
    others: list[Expr | None] = [None] * len(node.args)
    columns = []
    for j in range(m):
        t = push(node, [*others[:k], _unit(arg.shape, j), *others[k + 1 :]])
        columns.append(zeros((n,)) if t is None else ravel(t))
    base = concatenate(columns) if columns else zeros((0,))
    return Term(rows, cols, None, base, cols * n + rows)


def _unit(shape: tuple[int, ...], i: int) -> Expr:
    e = np.zeros(shape)
    e.reshape(-1)[i] = 1.0
    return constant(e)


_LOCAL = {"linear": _linear, "bilinear": _bilinear, "reduction": _reduction, "general": _general}


# -- the assembled map ------------------------------------------------------------------------------------------------


class SparseMap:
    """A sparse matrix of fixed pattern whose nonzeros are computed: ``values`` is the expression of the
    varying ones, :meth:`data` turns its value into the data of a CSC matrix.

    Attributes
    ----------
    shape : (rows, columns)
    indptr, indices : the CSC pattern, sorted
    values : tuple of Expr; concatenated they are the varying entries. Empty if all entries are constant.
    """

    def __init__(self, terms: Sequence[Term], shape: tuple[int, int]) -> None:
        self.shape = shape
        fixed = [t for t in terms if t.base is None]
        moving = [t for t in terms if t.base is not None]
        rows = np.concatenate([t.rows for t in (*moving, *fixed)] or [np.zeros(0, int)])
        cols = np.concatenate([t.cols for t in (*moving, *fixed)] or [np.zeros(0, int)])
        count = sum(t.rows.size for t in moving)
        order = sorted_pairs(cols, rows, shape[0])
        rows, cols = rows[order], cols[order]
        new = np.ones(order.size, dtype=bool)
        new[1:] = (rows[1:] != rows[:-1]) | (cols[1:] != cols[:-1])
        position = np.empty(order.size, dtype=np.intp)
        if new.all():
            position[order] = whole(order.size)
            self.unique = True
        else:
            position[order] = np.cumsum(new) - 1
            rows, cols = rows[new], cols[new]
            self.unique = not count or int(np.bincount(position[:count]).max()) == 1
        self.indices, self.columns = rows.astype(np.int32), cols
        self.indptr = np.zeros(shape[1] + 1, dtype=np.int32)
        np.cumsum(np.bincount(cols, minlength=shape[1]), out=self.indptr[1:])
        self.position = position[:count]
        self.coef = _joined([t.coef for t in moving], [t.rows.size for t in moving])
        self.constant = np.zeros(self.indices.size)
        coefs = [np.ones(t.rows.size) if t.coef is None else t.coef for t in fixed]
        if fixed:
            np.add.at(self.constant, position[count:], np.concatenate(coefs))
        self.overlaps = bool(self.constant[self.position].any()) if count else False
        self.values = tuple(gather(t.base, t.sel) for t in moving)  # type: ignore[arg-type]
        self._dense_constant: np.ndarray | None = None  # with its places, made when it is asked for

    @property
    def nnz(self) -> int:
        """Number of structural nonzeros."""
        return self.indices.size

    def data(self, values: np.ndarray) -> np.ndarray:
        """CSC data from the value of ``values`` (one flat array)."""
        if self.coef is not None:
            values = values * self.coef
        if not self.position.size:
            return self.constant.copy()
        if self.unique and not self.overlaps:
            out = self.constant.astype(values.dtype)
            out[self.position] = values
            return out
        if np.iscomplexobj(values):
            out = self.constant.astype(complex)
            np.add.at(out, self.position, values)
            return out
        return self.constant + np.bincount(self.position, values, self.indices.size)

    def matrix(self, values: np.ndarray) -> sp.csc_array:
        """The matrix as a ``scipy.sparse`` CSC array."""
        return self.wrap(self.data(values))

    def wrap(self, data: np.ndarray) -> sp.csc_array:
        """CSC array around given data."""
        out = sp.csc_array((data, self.indices, self.indptr), shape=self.shape)
        out.has_sorted_indices = True
        return out

    def compact(self, values: np.ndarray) -> Any:
        """The matrix: dense where small (products of small sparse matrices are all overhead), else CSR."""
        if self.shape[0] * self.shape[1] <= DENSE_SIZE:
            return self.dense(values)
        return self.matrix(values).tocsr()

    def dense(self, values: np.ndarray) -> np.ndarray:
        """The matrix as a dense array."""
        if self._dense_constant is None:
            self._dense_at = self.indices.astype(np.intp) * self.shape[1] + self.columns
            self._dense_moving = self._dense_at[self.position]
            self._dense_constant = np.zeros(self.shape[0] * self.shape[1])
            self._dense_constant[self._dense_at] = self.constant
        if self.unique and self.coef is None and not self.overlaps and values.dtype == np.float64:
            out = self._dense_constant.copy()
            out[self._dense_moving] = values
            return out.reshape(self.shape)
        data = self.data(values)
        out = np.zeros(self.shape[0] * self.shape[1], dtype=data.dtype)
        out[self._dense_at] = data
        return out.reshape(self.shape)


def _joined(parts: list[np.ndarray | None], sizes: list[int]) -> np.ndarray | None:
    if all(p is None for p in parts):
        return None
    return np.concatenate([np.ones(n) if p is None else p for p, n in zip(parts, sizes, strict=True)])


def jacobian_map(
    outputs: Sequence[Expr],
    leaves: Sequence[Expr],
    definitions: Mapping[Any, Expr] | None = None,
    budget: int = 50_000_000,
) -> SparseMap:
    """∂(outputs, flattened and concatenated)/∂(leaves, flattened and concatenated).

    Through a variable among ``definitions`` the derivative is total: the chain rule goes on. Raises
    :class:`TooDenseError` where the work to compose it exceeds ``budget`` entries.
    """
    offsets: dict[Expr, int] = {}
    columns = 0
    for leaf in leaves:
        offsets[leaf] = columns
        columns += leaf.size
    builder = _Builder(outputs, offsets, definitions or {}, budget)
    scalar_rows: list[int] = []
    scalar_cols: list[int] = []
    scalar_values: list[Any] = []
    terms: list[Term] = []
    row = 0
    for out in outputs:
        if out in builder.active:
            if not out.shape and out not in offsets and out.op is not None and out.op.kind == "elementwise":
                _scalar_equation(builder, out, row, offsets, scalar_rows, scalar_cols, scalar_values, terms)
            else:
                for t in builder.terms(out):
                    terms.append(Term(t.rows + row, t.cols, t.coef, t.base, t.sel))
        row += out.size
    terms = _scalar_terms(scalar_rows, scalar_cols, scalar_values) + terms
    return SparseMap(terms, (row, columns))


def _scalar_equation(
    builder: _Builder,
    out: Expr,
    row: int,
    offsets: Mapping[Expr, int],
    rows: list[int],
    cols: list[int],
    values: list[Any],
    terms: list[Term],
) -> None:
    """One scalar equation: its entries in scalar unknowns go to lists, without an array each."""
    for operand, value in builder.group(out).items():
        if operand in offsets and not operand.shape:
            rows.append(row)
            cols.append(offsets[operand])
            values.append(value)
            continue
        local = _valued(np.zeros(1, int), np.zeros(1, int), value, out)
        for inner in builder.terms(operand):
            t = compose(local, inner, operand.size)
            terms.append(Term(t.rows + row, t.cols, t.coef, t.base, t.sel))


def _scalar_terms(rows: list[int], cols: list[int], values: list[Any]) -> list[Term]:
    """Scalar entries as terms: one for the constants, one per varying entry's value, joined into one vector."""
    fixed: tuple[list[int], list[int], list[float]] = ([], [], [])
    moving: tuple[list[int], list[int], list[Expr]] = ([], [], [])
    for r, c, v in zip(rows, cols, values, strict=True):
        if isinstance(v, Constant):
            v = float(v.value)
        into: Any = fixed if isinstance(v, float) else moving
        for part, item in zip(into, (r, c, v), strict=True):
            part.append(item)
    result = []
    if moving[0]:
        base = _ScalarVector(moving[2])
        result.append(Term(np.array(moving[0]), np.array(moving[1]), None, base, None))  # type: ignore[arg-type]
    if fixed[0]:
        result.append(Term(np.array(fixed[0]), np.array(fixed[1]), np.array(fixed[2]), None, None))
    return result


class _ScalarVector:
    """Scalars that are computed separately and stand one after the other; unpacked by :func:`flat_values`."""

    def __init__(self, items: list[Expr]) -> None:
        self.items = items


def flat_values(map_: SparseMap) -> tuple[Expr, ...]:
    """The expressions of a map's varying entries; computed, flattened and concatenated they are its values."""
    out: list[Expr] = []
    for v in map_.values:
        out.extend(v.items if isinstance(v, _ScalarVector) else [v])
    return tuple(out)


def hessian_map(function: Expr, leaves: Sequence[Expr], budget: int = 50_000_000) -> SparseMap:
    """∂²function/∂leaves² of a scalar expression: the Jacobian of its gradient."""
    return jacobian_map(vjp([function], [1.0], leaves), leaves, budget=budget)
