"""What a solver of symmetric indefinite systems is, and the pattern that it is made for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ..base import SingularMatrix, SparsePattern

__all__ = ["Inertia", "SymmetricFactorization", "SymmetricPattern", "SymmetricSolver"]


class Inertia(NamedTuple):
    """Numbers of positive, negative and zero eigenvalues."""

    positive: int
    negative: int
    zero: int


class SymmetricPattern:
    """The lower triangle of a symmetric pattern, in compressed sparse columns; every diagonal entry is stored.

    Parameters
    ----------
    lower : scipy.sparse matrix, CSC
        Its stored entries are the pattern; the rows of a column are sorted.
    negative : int
        The last rows, of which negative eigenvalues are expected: the multipliers of an optimality system.

    >>> from scipy.sparse import csc_array
    >>> pattern = SymmetricPattern(csc_array([[4.0, 0.0], [1.0, -1e-30]]), negative=1)
    >>> pattern.matrix(np.array([4.0, 1.0, -3.0])).toarray().tolist()
    [[4.0, 1.0], [1.0, -3.0]]
    """

    def __init__(self, lower: Any, negative: int = 0) -> None:
        if lower.format != "csc" or lower.shape[0] != lower.shape[1]:
            raise ValueError("a symmetric pattern is given by a square CSC matrix, the lower triangle")
        self.n, self.negative = int(lower.shape[0]), int(negative)
        self.indptr, self.indices = lower.indptr.astype(np.int32), lower.indices.astype(np.int32)
        columns = np.repeat(np.arange(self.n, dtype=np.int32), np.diff(self.indptr))
        self.columns = columns
        self.diagonal = self.indptr[:-1].astype(np.intp)
        steps = np.diff(columns * np.int64(self.n) + self.indices)
        first = self.indices[self.diagonal] if self.indices.size and (np.diff(self.indptr) > 0).all() else None
        if np.any(self.indices < columns) or np.any(steps <= 0):
            raise ValueError("the lower triangle has entries above the diagonal, or rows that are not sorted")
        if self.n and (first is None or not np.array_equal(first, np.arange(self.n))):
            raise ValueError("every diagonal entry of the lower triangle must be stored")

    @property
    def nnz(self) -> int:
        """Number of stored entries of the lower triangle."""
        return len(self.indices)

    @cached_property
    def signs(self) -> np.ndarray:
        """The expected sign of each pivot."""
        return np.where(np.arange(self.n) < self.n - self.negative, 1.0, -1.0)

    @cached_property
    def _full(self) -> tuple[SparsePattern, np.ndarray]:
        off = np.flatnonzero(self.indices != self.columns)
        rows = np.concatenate([self.indices, self.columns[off]])
        columns = np.concatenate([self.columns, self.indices[off]])
        source = np.concatenate([np.arange(self.nnz), off])
        order = np.argsort(columns * np.int64(self.n) + rows)
        indptr = np.zeros(self.n + 1, dtype=np.int32)
        np.cumsum(np.bincount(columns, minlength=self.n), out=indptr[1:])
        indices = rows[order].astype(np.int32)
        return SparsePattern(self.n, indptr, indices, (indptr, indices), None), source[order]

    @property
    def full(self) -> SparsePattern:
        """The whole pattern."""
        return self._full[0]

    def expanded(self, data: np.ndarray) -> np.ndarray:
        """Entries of the whole matrix, from those of the lower triangle."""
        return data[self._full[1]]

    def matrix(self, data: np.ndarray) -> sparse.csc_array:
        """The whole matrix."""
        return self.full.matrix(self.expanded(np.asarray(data, dtype=float)))

    def checked(self, data: np.ndarray) -> np.ndarray:
        """The entries as an array of floats, their number and finiteness checked."""
        data = np.asarray(data, dtype=float)
        if data.shape != (self.nnz,):
            raise ValueError(f"{data.shape} entries for a lower triangle of {self.nnz}")
        if not np.isfinite(np.add.reduce(data)) and not np.isfinite(data).all():
            raise SingularMatrix("the matrix has entries that are not finite", int(self.columns[~np.isfinite(data)][0]))
        return data


class SymmetricFactorization(ABC):
    """Factors of one symmetric matrix, valid until its solver factors the next."""

    inertia: Inertia

    @abstractmethod
    def solve(self, b: np.ndarray) -> np.ndarray:
        """``A⁻¹ b`` for `b` of shape (n,) or (n, k), to the accuracy of the factors: look at the residual."""


class SymmetricSolver(ABC):
    """Factors symmetric matrices of one pattern; ordering and symbolic analysis are done once."""

    name: str
    pattern: SymmetricPattern

    @abstractmethod
    def factor(self, data: np.ndarray) -> SymmetricFactorization:
        """The factors of the matrix with these entries in its lower triangle.

        Raises
        ------
        SingularMatrix
            No usable factors, or entries that are not finite. A matrix may be singular up to rounding without it:
            look at the inertia.
        """

    def increase_quality(self) -> bool:
        """Ask for more accurate factors from now on, where solutions cannot be refined; False if there are none."""
        return False
