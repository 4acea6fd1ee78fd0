"""Maximum matching: which equation is solved for which unknown.

SciPy's ``maximum_bipartite_matching`` can take exponential time on cyclic graphs of expressions
(scipy/scipy#26147), and NetworkX's Hopcroft-Karp exceeds the recursion limit: hence one of our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .augmenting_paths import augment, invert_matching
from .incidence import Incidence
from .karp_sipser import karp_sipser

__all__ = ["Matching", "maximum_matching"]


@dataclass(frozen=True, eq=False)
class Matching:
    """Pairs of a row and a column, no row and no column in two of them.

    Attributes
    ----------
    row_to_col, col_to_row : ndarray of int
        The column of each row, and the row of each column; -1 where it has none.
    """

    row_to_col: NDArray[np.intp]
    col_to_row: NDArray[np.intp]

    @classmethod
    def from_rows(cls, row_to_col: ArrayLike, n_cols: int) -> Matching:
        """The matching with the given column of each row, or -1."""
        row_to_col = np.asarray(row_to_col, dtype=np.intp)
        return cls(row_to_col, invert_matching(row_to_col, n_cols))

    @property
    def size(self) -> int:
        """Number of pairs: of a maximum matching, the structural rank."""
        return int(np.count_nonzero(self.row_to_col >= 0))

    @property
    def is_perfect(self) -> bool:
        """Whether every row and every column is matched."""
        return self.size == len(self.row_to_col) == len(self.col_to_row)


def maximum_matching(incidence: Incidence, start: ArrayLike | None = None) -> Matching:
    """A matching of as many equations to unknowns as the incidence allows.

    Parameters
    ----------
    incidence : Incidence
    start : array_like of int, optional
        A matching to begin with: the column of each row, or -1. Its rows and columns stay matched, though
        perhaps to others. Where not given, and the incidence is square, its diagonal begins if at least
        half of it is present.

    Notes
    -----
    The free rows and columns are first matched greedily [1]_, then along augmenting paths [2]_, in
    O(nnz √n) whatever the structure. The result is a function of the arguments alone.

    References
    ----------
    .. [1] R. M. Karp and M. Sipser, "Maximum matchings in sparse random graphs", FOCS 1981.
    .. [2] J. E. Hopcroft and R. M. Karp, "An n^5/2 algorithm for maximum matchings in bipartite graphs",
           SIAM J. Comput. 2(4), 1973.

    Examples
    --------
    >>> matching = maximum_matching(Incidence.from_coo([0, 0, 1], [0, 1, 0], shape=(2, 2)))
    >>> matching.row_to_col.tolist(), matching.is_perfect
    ([1, 0], True)
    """
    row_to_col = _diagonal(incidence) if start is None else _checked(incidence, start)
    matched_col = np.zeros(incidence.n_cols, dtype=bool)
    matched_col[row_to_col[row_to_col >= 0]] = True
    rows = incidence.row_of_entry()
    open_entries = (row_to_col[rows] < 0) & ~matched_col[incidence.indices]
    if open_entries.any():
        rest = Incidence.from_coo(rows[open_entries], incidence.indices[open_entries], incidence.shape)
        row_to_col = np.maximum(row_to_col, karp_sipser(rest))
    return Matching.from_rows(augment(incidence, row_to_col), incidence.n_cols)


def _diagonal(incidence: Incidence) -> NDArray[np.intp]:
    row_to_col = np.full(incidence.n_rows, -1, dtype=np.intp)
    if incidence.n_rows == incidence.n_cols:
        rows = incidence.row_of_entry()
        on_diagonal = rows[rows == incidence.indices]
        if 2 * on_diagonal.size >= incidence.n_rows:  # a few entries there are chance, and mislead
            row_to_col[on_diagonal] = on_diagonal
    return row_to_col


def _checked(incidence: Incidence, start: ArrayLike) -> NDArray[np.intp]:
    row_to_col = np.array(start, dtype=np.intp)
    if row_to_col.shape != (incidence.n_rows,):
        raise ValueError(
            f"start has shape {row_to_col.shape}; it needs a column, or -1, for each of the "
            f"{incidence.n_rows} rows"
        )
    rows = incidence.row_of_entry()
    present = np.zeros(incidence.n_rows, dtype=bool)
    present[rows[row_to_col[rows] == incidence.indices]] = True
    absent = np.flatnonzero((row_to_col >= 0) & ~present)
    if absent.size:
        i = absent[0]
        raise ValueError(f"start matches row {i} to column {row_to_col[i]}, which is not in that row")
    cols, count = np.unique(row_to_col[row_to_col >= 0], return_counts=True)
    if np.any(count > 1):
        raise ValueError(f"start matches column {cols[count > 1][0]} to more than one row")
    return np.where(row_to_col >= 0, row_to_col, -1)
