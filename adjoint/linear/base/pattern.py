"""The sparsity pattern that a solver is made for, and what routing asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from .interface import SingularMatrix

__all__ = ["SparsePattern", "with_data"]

SYMMETRIC = 0.9  # share of entries with a mirror image from which a pattern counts as symmetric


def with_data(A: Any, data: np.ndarray) -> Any:
    """A sparse matrix with the structure of another, as a shallow copy: a constructor would check the structure again,
    which takes longer than many functions do.

    >>> from scipy.sparse import csc_array
    >>> with_data(csc_array([[1.0, 2.0], [0.0, 3.0]]), np.ones(3)).toarray().tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    out = object.__new__(type(A))
    out.__dict__.update(A.__dict__)
    out.data = data
    return out


@dataclass(frozen=True, eq=False)
class SparsePattern:
    """A square pattern in compressed sparse columns, the rows of a column sorted and distinct.

    Attributes
    ----------
    n : int
    indptr, indices : ndarray of int32
    source : tuple of ndarray
        The index arrays of the matrix that the pattern was made from.
    gather : ndarray of int, or None
        Position of each entry in a matrix given; None where its rows are sorted already.
    """

    n: int
    indptr: np.ndarray
    indices: np.ndarray
    source: tuple[np.ndarray, np.ndarray]
    gather: np.ndarray | None

    @classmethod
    def of(cls, matrix: Any) -> SparsePattern:
        """The pattern of a SciPy matrix, whose stored zeros are entries; a pattern is returned as it is.

        >>> from scipy.sparse import csc_array
        >>> pattern = SparsePattern.of(csc_array([[1.0, 2.0], [0.0, 3.0]]))
        >>> pattern.n, pattern.indices.tolist(), pattern.has_full_diagonal
        (2, [0, 0, 1], True)
        """
        if isinstance(matrix, SparsePattern):
            return matrix
        A = matrix if matrix.format == "csc" else matrix.tocsc()
        if A.shape[0] != A.shape[1]:
            raise ValueError(f"a linear solver needs a square matrix; it has shape {A.shape}")
        order = None
        indices = A.indices
        columns = np.repeat(np.arange(A.shape[1]), np.diff(A.indptr))
        steps = np.diff(columns * A.shape[0] + indices)
        if np.any(steps < 0):
            order = np.lexsort((indices, columns))
            indices = indices[order]
            steps = np.diff(columns * A.shape[0] + indices)
        if np.any(steps == 0):
            raise ValueError("the sparse matrix has duplicate entries: call its sum_duplicates() first")
        source = (A.indptr, A.indices)
        return cls(A.shape[0], A.indptr.astype(np.int32), indices.astype(np.int32), source, order)

    @property
    def nnz(self) -> int:
        """Number of entries."""
        return len(self.indices)

    @cached_property
    def columns(self) -> np.ndarray:
        """The column of each entry."""
        return np.repeat(np.arange(self.n, dtype=np.int32), np.diff(self.indptr))

    @cached_property
    def starts(self) -> np.ndarray:
        """Where the columns that have entries begin."""
        return self.indptr[:-1][np.diff(self.indptr) > 0]

    @cached_property
    def diagonal(self) -> np.ndarray:
        """Positions of the diagonal entries, in their order; fewer than `n` if some are missing."""
        return np.flatnonzero(self.indices == self.columns)

    @property
    def has_full_diagonal(self) -> bool:
        """Whether every diagonal entry is in the pattern."""
        return len(self.diagonal) == self.n

    @cached_property
    def symmetry(self) -> float:
        """The share of off-diagonal entries whose mirror image is an entry too; 1 for a diagonal matrix."""
        off = self.nnz - len(self.diagonal)
        if off == 0:
            return 1.0
        ones = self.matrix(np.ones(self.nnz))
        rows = ones.tocsr()
        if np.array_equal(rows.indptr, self.indptr) and np.array_equal(rows.indices, self.indices):
            return 1.0
        mirror = sparse.csc_array((rows.data, rows.indices, rows.indptr), shape=(self.n, self.n))
        return (ones.multiply(mirror).nnz - len(self.diagonal)) / off

    @property
    def is_symmetric(self) -> bool:
        """Whether the pattern is symmetric, or nearly so."""
        return self.symmetry >= SYMMETRIC

    @cached_property
    def probe(self) -> np.ndarray:
        """A right-hand side to try factors on: without structure, and the same in every run."""
        return np.cos(np.arange(self.n))

    @property
    def has_dense_rows(self) -> bool:
        """Whether a row has far more entries than most can have in a sparse matrix (as AMD counts: 10 √n)."""
        return bool(np.bincount(self.indices, minlength=1).max() > max(16.0, 10.0 * self.n**0.5))

    def matrix(self, data: np.ndarray) -> sparse.csc_array:
        """The CSC matrix around given entries, in the order of the pattern."""
        A = sparse.csc_array((data, self.indices, self.indptr), shape=(self.n, self.n))
        A.has_sorted_indices = A.has_canonical_format = True
        return A

    def entries(self, A: Any) -> np.ndarray:
        """A copy of the entries of a matrix of this pattern, in the order of the pattern.

        Raises ``ValueError`` for another pattern, `SingularMatrix` for an entry that is not finite.
        """
        if A.format != "csc":
            A = A.tocsc()
        indptr, indices = self.source
        if (A.indices is not indices and not np.array_equal(A.indices, indices)) or (
            A.indptr is not indptr and not np.array_equal(A.indptr, indptr)
        ):
            raise ValueError("the matrix has another sparsity pattern than the solver was made for")
        data = A.data
        out = data[self.gather] if self.gather is not None else np.array(data)
        if out.dtype != np.float64 and out.dtype != np.complex128:
            out = out.astype(complex if out.dtype.kind == "c" else float)
        # A sum that overflows is looked at again. (A dot product would start threads of BLAS, which may have to wait.)
        if not np.isfinite(np.add.reduce(out)) and not np.isfinite(out).all():
            bad = self.columns[~np.isfinite(out)]
            raise SingularMatrix("the matrix has entries that are not finite", int(bad[0]))
        return out

    def permuted(self, rows: np.ndarray, cols: np.ndarray) -> tuple[SparsePattern, np.ndarray]:
        """The pattern of ``A[rows][:, cols]``, and where each of its entries is in `A`."""
        marks = self.matrix(np.arange(self.nnz))
        new_row = np.empty(self.n, dtype=np.int32)
        new_row[rows] = np.arange(self.n, dtype=np.int32)
        B = marks[:, cols].tocsc()
        B.indices = new_row[B.indices]
        B.has_sorted_indices = False
        B.sort_indices()
        indptr, indices = B.indptr.astype(np.int32), B.indices.astype(np.int32)
        return SparsePattern(self.n, indptr, indices, (indptr, indices), None), B.data.astype(np.intp)
