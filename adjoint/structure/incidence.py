"""Incidence of unknowns in equations: which column appears in which row.

An :class:`Incidence` is the bipartite graph that every algorithm of this package reads. Rows are equations,
columns are unknowns, and row ``i`` lists the unknowns that appear in equation ``i``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

__all__ = ["Incidence"]


@dataclass(frozen=True, eq=False)
class Incidence:
    """A bipartite graph in compressed sparse rows; the columns of a row are sorted and distinct.

    Build one with :meth:`from_coo` or :meth:`from_sparse`, which sort and remove duplicates.

    Attributes
    ----------
    indptr : ndarray of int
        Row ``i`` lists the columns ``indices[indptr[i]:indptr[i + 1]]``.
    indices : ndarray of int
        Columns, row after row.
    n_cols : int
        Number of columns.

    Examples
    --------
    >>> a = Incidence.from_coo([1, 0, 1, 1], [2, 0, 1, 2], shape=(2, 3))
    >>> a.indptr.tolist(), a.indices.tolist()
    ([0, 1, 3], [0, 1, 2])
    >>> a.transpose().shape
    (3, 2)
    """

    indptr: NDArray[np.integer]
    indices: NDArray[np.integer]
    n_cols: int

    @classmethod
    def from_coo(cls, rows: ArrayLike, cols: ArrayLike, shape: tuple[int, int]) -> Incidence:
        """The incidence with the entries ``(rows[k], cols[k])``, in any order, duplicates allowed."""
        rows, cols = np.asarray(rows, dtype=np.intp), np.asarray(cols, dtype=np.intp)
        marks = np.ones(rows.size, dtype=np.int8)
        return cls.from_sparse(sparse.coo_array((marks, (rows, cols)), shape=shape))

    @classmethod
    def from_sparse(cls, matrix: sparse.sparray | sparse.spmatrix) -> Incidence:
        """The pattern of a SciPy sparse matrix. A stored zero counts as an entry."""
        if not isinstance(matrix, sparse.csr_array | sparse.csr_matrix):
            matrix = matrix.tocsr()
        if not matrix.has_canonical_format:
            marks = np.ones(matrix.indices.size, dtype=np.int8)
            matrix = sparse.csr_array((marks, matrix.indices, matrix.indptr), shape=matrix.shape, copy=True)
            matrix.sum_duplicates()
        return cls(matrix.indptr, matrix.indices, int(matrix.shape[1]))

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return self.n_rows, self.n_cols

    @property
    def nnz(self) -> int:
        """Number of entries."""
        return len(self.indices)

    def row_of_entry(self) -> NDArray[np.intp]:
        """The row of each entry of ``indices``."""
        return np.repeat(np.arange(self.n_rows), np.diff(self.indptr))

    def tocsr(self) -> sparse.csr_array:
        """The pattern as a SciPy matrix of ones."""
        return sparse.csr_array((np.ones(self.nnz), self.indices, self.indptr), shape=self.shape)

    def transpose(self) -> Incidence:
        """Rows and columns exchanged."""
        t = self.tocsr().tocsc()
        return Incidence(t.indptr, t.indices, self.n_rows)

    def select(self, rows: ArrayLike, cols: ArrayLike) -> Incidence:
        """The part on distinct ``rows`` and ``cols``, renumbered by their positions in these lists.

        >>> Incidence.from_coo([0, 0, 1], [0, 1, 1], shape=(2, 2)).select([0], [1, 0]).indices.tolist()
        [0, 1]
        """
        rows, cols = np.asarray(rows, dtype=np.intp), np.asarray(cols, dtype=np.intp)
        entries = entries_of_rows(self.indptr, rows)
        new_row = np.repeat(np.arange(rows.size), self.indptr[rows + 1] - self.indptr[rows])
        order = np.argsort(cols, kind="stable")
        place = np.searchsorted(cols[order], self.indices[entries])  # cost in the part only, not in n_cols
        place[place == cols.size] = 0
        keep = cols[order][place] == self.indices[entries] if cols.size else np.zeros(place.size, dtype=bool)
        return Incidence.from_coo(new_row[keep], order[place[keep]], shape=(rows.size, cols.size))


def entries_of_rows(indptr: NDArray[np.integer], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Positions in ``indices`` of the entries of ``rows``, row after row.

    >>> entries_of_rows(np.array([0, 2, 2, 5]), np.array([2, 0])).tolist()
    [2, 3, 4, 0, 1]
    """
    starts = indptr[rows].astype(np.intp)
    counts = indptr[rows + 1] - starts
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if ends.size else 0) + np.repeat(starts - (ends - counts), counts)
