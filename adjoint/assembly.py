"""Sparse matrices of fixed structure: the structure is computed once, a call only makes the data.

The nonzeros of a :class:`~adjoint.sparsity.SparseMap` come in the order in which they are computed. An
:class:`Assembly` says where each of them goes in the data of a CSR matrix (or in a dense one). Of a symmetric matrix
only the lower triangle is computed; the upper one is its copy, so the matrix is symmetric to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from .expr import Expr, constant
from .primitives.indexing import concatenate, ravel, scatter_flat, take_flat
from .sparsity import SparseMap, flat_values
from .terms import sorted_pairs

__all__ = ["Assembly", "data_of"]


class Assembly:
    """A sparse matrix of fixed structure.

    Parameters
    ----------
    map_ : SparseMap
    symmetric : bool
        Whether it is symmetric.
    lower : bool
        Of a symmetric matrix, the lower triangle alone.

    Attributes
    ----------
    data : Expr
        The data by rows, as one vector.
    shape : (rows, columns)
    indptr, indices : the CSR pattern
    """

    def __init__(self, map_: SparseMap, symmetric: bool = False, lower: bool = False) -> None:
        self.shape = map_.shape
        rows, columns = map_.indices.astype(np.intp), map_.columns.astype(np.intp)
        source, keep = np.arange(rows.size), np.ones(map_.position.size, dtype=bool)
        if symmetric:
            rows, columns, source, chosen = _mirrored(rows, columns, lower)
            keep = chosen[map_.position]
        order = sorted_pairs(rows, columns, self.shape[1])
        rows, columns = rows[order], columns[order]
        self.data = _placed(map_, keep, source[order], symmetric and not lower)
        index = np.int32 if max(rows.size, *self.shape) < 2**31 - 1 else np.int64
        self.indptr = np.zeros(self.shape[0] + 1, dtype=index)
        np.cumsum(np.bincount(rows, minlength=self.shape[0]), out=self.indptr[1:])
        self.indices = columns.astype(index)
        for shared in (self.indices, self.indptr):
            shared.flags.writeable = False  # all results have these two arrays

    @cached_property
    def template(self) -> sp.csr_array:
        """The CSR matrix with zeros for its data."""
        found = sp.csr_array((np.zeros(self.indices.size), self.indices, self.indptr), shape=self.shape)
        found.has_canonical_format = True
        return found

    @cached_property
    def _places(self) -> np.ndarray | None:
        """Where the entries are in the dense matrix; None where they are all of it."""
        if self.indices.size == self.shape[0] * self.shape[1]:
            return None
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        return rows * self.shape[1] + self.indices

    def sparse(self, data: np.ndarray) -> sp.csr_array:
        """The CSR matrix around its data, as a shallow copy of a matrix that SciPy has checked (a constructor would
        check the structure again, which takes longer than most functions do)."""
        out = object.__new__(sp.csr_array)
        out.__dict__.update(self.template.__dict__)
        out.data = data
        return out

    def dense(self, data: np.ndarray) -> np.ndarray:
        """The matrix as an array."""
        if self._places is None:
            return data.reshape(self.shape)
        flat = np.zeros(self.shape[0] * self.shape[1])
        flat[self._places] = data
        return flat.reshape(self.shape)


def _mirrored(
    rows: np.ndarray, columns: np.ndarray, lower: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of a symmetric matrix (or of its lower triangle), the entry behind each, and which entries stand
    for their pair: those of the lower triangle, or of the upper one where it alone has an entry."""
    high, low = np.maximum(rows, columns), np.minimum(rows, columns)
    order = sorted_pairs(high, 2 * low + (rows < columns), 2 * int(high.max(initial=0)) + 2)
    first = np.ones(order.size, dtype=bool)
    first[1:] = (high[order[1:]] != high[order[:-1]]) | (low[order[1:]] != low[order[:-1]])
    pick = order[first]
    beside = pick[high[pick] != low[pick]]
    chosen = np.zeros(rows.size, dtype=bool)
    chosen[pick] = True
    if lower:
        return high[pick], low[pick], pick, chosen
    rows, columns = np.concatenate([high[pick], low[beside]]), np.concatenate([low[pick], high[beside]])
    return rows, columns, np.concatenate([pick, beside]), chosen


def data_of(map_: SparseMap) -> Expr:
    """The data of the map's own (CSC) matrix, as one vector."""
    return _placed(map_, np.ones(map_.position.size, dtype=bool), np.arange(map_.indices.size), False)


def _placed(map_: SparseMap, keep: np.ndarray, source: np.ndarray, pairs: bool) -> Expr:
    """The data of a matrix: element k is entry ``source[k]`` of the map, the sum of a constant and of computed values.

    Each value is added to its place; one that stands for a pair of the symmetric matrix (``pairs``: there are such), to
    both.
    """
    first = np.full(map_.constant.size, -1)
    first[source[::-1]] = np.arange(source.size)[::-1]
    again = None
    if pairs:
        again = np.full(map_.constant.size, -1)
        repeated = first[source] != np.arange(source.size)
        again[source[repeated]] = np.flatnonzero(repeated)
    once: tuple[list[Expr], list[np.ndarray]] = ([], [])
    twice: tuple[list[Expr], list[np.ndarray]] = ([], [])
    for values, position in _selected(map_, keep):
        once[0].append(values)
        once[1].append(first[position])
        if again is None:
            continue
        which = np.flatnonzero(again[position] >= 0)
        if which.size:
            twice[0].append(values if which.size == position.size else take_flat(values, which))
            twice[1].append(again[position[which]])
    data: Expr = constant(map_.constant[source])
    for parts, places in (once, twice):
        if parts:
            data = data + scatter_flat(concatenate(parts), np.concatenate(places), (source.size,))
    return data


def _selected(map_: SparseMap, keep: np.ndarray) -> Iterator[tuple[Expr, np.ndarray]]:
    """The computed values to keep, with their constant factors, as vectors; and their positions."""
    at = 0
    for e in flat_values(map_):
        span = slice(at, at + e.size)
        mask, position = keep[span], map_.position[span]
        if mask.any():
            part = ravel(e)
            if map_.coef is not None:
                coef = map_.coef[span]
                part = part * (float(coef[0]) if (coef == coef[0]).all() else coef)
            whole = bool(mask.all())
            yield (part, position) if whole else (take_flat(part, np.flatnonzero(mask)), position[mask])
        at += e.size
