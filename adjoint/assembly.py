"""Sparse matrices of fixed structure: the structure is computed once, a call only makes the data.

The nonzeros of a :class:`~adjoint.sparsity.SparseMap` come in the order in which they are computed. An
:class:`Assembly` says where each of them goes in the data of a CSR matrix (or in a dense one). Of a symmetric matrix
only the lower triangle is computed; the upper one is its copy, so the matrix is symmetric to the last bit.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from .expr import Constant, Expr, Variable
from .primitives.indexing import ravel, take_flat
from .sparsity import SparseMap, flat_values

__all__ = ["Assembly", "is_fresh"]


class Assembly:
    """Where the nonzeros that are computed go.

    Attributes
    ----------
    entries : tuple of Expr
        What to compute; flattened and concatenated the expressions are the ``values`` of the methods.
    shape : (rows, columns)
    """

    def __init__(self, map_: SparseMap, symmetric: bool = False) -> None:
        self.shape = map_.shape
        rows, columns = map_.indices.astype(np.intp), map_.columns.astype(np.intp)
        source, keep = np.arange(rows.size), np.ones(map_.position.size, dtype=bool)
        if symmetric:
            rows, columns, source, chosen = _mirrored(rows, columns)
            keep = chosen[map_.position]
        order = np.lexsort((columns, rows))
        rows, columns = rows[order], columns[order]
        self.entries = _selected(flat_values(map_), keep)
        self._fresh = is_fresh(self.entries)
        position = map_.position[keep]
        self._coef = None if map_.coef is None else map_.coef[keep]
        self._layout(position, map_.constant, source[order])
        index = np.int32 if max(rows.size, *self.shape) < 2**31 - 1 else np.int64
        indptr = np.searchsorted(rows, np.arange(self.shape[0] + 1)).astype(index)
        self._template = sp.csr_array((np.zeros(rows.size), columns.astype(index), indptr), shape=self.shape)
        self._template.has_canonical_format = True
        for shared in (self._template.indices, self._template.indptr):
            shared.flags.writeable = False  # all results have these two arrays
        full = rows.size == self.shape[0] * self.shape[1]
        self._places = None if full else rows * self.shape[1] + columns

    def _layout(self, position: np.ndarray, constant: np.ndarray, source: np.ndarray) -> None:
        """Which computed value each element of the data is (−1: a constant), unless several add up in one."""
        self._position, self._constant, self._source = position, constant, source
        self._adds = bool(position.size) and (int(np.bincount(position).max()) > 1 or bool(constant[position].any()))
        value_of = np.full(constant.size, -1, dtype=np.intp)
        value_of[position] = np.arange(position.size)
        taken = value_of[source]
        self._base = None if (taken >= 0).all() else constant[source]
        self._places_moving = None if self._base is None else np.flatnonzero(taken >= 0)
        self._gather: np.ndarray | None = taken if self._places_moving is None else taken[self._places_moving]
        if taken.size == position.size and np.array_equal(taken, np.arange(taken.size)):
            self._gather = None

    def data(self, values: np.ndarray) -> np.ndarray:
        """The data by rows, an array of the caller's own."""
        if self._coef is not None:
            values = values * self._coef
        if self._adds:
            return (self._constant + np.bincount(self._position, values, self._constant.size))[self._source]
        if self._base is not None:
            out = self._base.copy()
            out[self._places_moving] = values[self._gather]
            return out
        if self._gather is not None:
            return values[self._gather]
        return values if self._fresh or self._coef is not None else values.copy()

    def sparse(self, data: np.ndarray) -> sp.csr_array:
        """The CSR matrix around its data, as a shallow copy of a matrix that SciPy has checked (a constructor would
        check the structure again, which takes longer than most functions do)."""
        out = object.__new__(sp.csr_array)
        out.__dict__.update(self._template.__dict__)
        out.data = data
        return out

    def dense(self, data: np.ndarray) -> np.ndarray:
        """The matrix as an array."""
        if self._places is None:
            return data.reshape(self.shape)
        flat = np.zeros(self.shape[0] * self.shape[1])
        flat[self._places] = data
        return flat.reshape(self.shape)


def _mirrored(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of a symmetric matrix, the entry behind each, and which entries stand for their pair: those of
    the lower triangle, or of the upper one where it alone has an entry."""
    high, low = np.maximum(rows, columns), np.minimum(rows, columns)
    order = np.lexsort((rows < columns, low, high))
    first = np.ones(order.size, dtype=bool)
    first[1:] = (np.diff(high[order]) != 0) | (np.diff(low[order]) != 0)
    pick = order[first]
    beside = pick[high[pick] != low[pick]]
    chosen = np.zeros(rows.size, dtype=bool)
    chosen[pick] = True
    rows, columns = np.concatenate([high[pick], low[beside]]), np.concatenate([low[pick], high[beside]])
    return rows, columns, np.concatenate([pick, beside]), chosen


def _selected(entries: tuple[Expr, ...], keep: np.ndarray) -> tuple[Expr, ...]:
    """The elements to keep, of expressions flattened and concatenated."""
    out, at = [], 0
    for e in entries:
        mask = keep[at : at + e.size]
        at += e.size
        if mask.all():
            out.append(e)
        elif mask.any():
            out.append(take_flat(ravel(e), np.flatnonzero(mask)))
    return tuple(out)


def is_fresh(parts: tuple[Expr, ...]) -> bool:
    """Whether the packed value of some expressions is an array of its own, not a view or a constant."""
    if len(parts) != 1 or not parts[0].shape:
        return bool(parts)
    e = parts[0]
    if isinstance(e, (Variable, Constant)) or e.op is None:
        return False
    if e.op.name in ("concatenate", "take", "scatter_add"):
        return True
    return e.op.kind in ("bilinear", "reduction") or isinstance(e.op.value, np.ufunc)
