"""Dulmage-Mendelsohn decomposition: which equations are too many, which unknowns are free, and the rest.

References
----------
.. [1] A. L. Dulmage and N. S. Mendelsohn, "Coverings of bipartite graphs", Canad. J. Math. 10, 1958,
       pp. 517-534.
.. [2] A. Pothen and C.-J. Fan, "Computing the block triangular form of a sparse matrix", ACM Trans. Math.
       Softw. 16(4), 1990, pp. 303-324.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from .augmenting_paths import search_forest
from .incidence import Incidence
from .matching import Matching

__all__ = ["DulmageMendelsohn", "connected_parts", "dulmage_mendelsohn"]

IntArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class DulmageMendelsohn:
    """The three parts of an incidence. They do not depend on which maximum matching was given.

    Attributes
    ----------
    overdetermined_rows, overdetermined_cols : ndarray of int
        More equations than unknowns: any one of these equations can be the redundant one.
    underdetermined_rows, underdetermined_cols : ndarray of int
        More unknowns than equations: any one of these unknowns can be the free one.
    square_rows, square_cols : ndarray of int
        As many of each, and every equation is solved for an unknown.
    unmatched_rows, unmatched_cols : ndarray of int
        Those the matching left over, among the overdetermined rows and the underdetermined columns. These
        do depend on the matching; their numbers do not.
    """

    overdetermined_rows: IntArray
    overdetermined_cols: IntArray
    underdetermined_rows: IntArray
    underdetermined_cols: IntArray
    square_rows: IntArray
    square_cols: IntArray
    unmatched_rows: IntArray
    unmatched_cols: IntArray

    @property
    def is_square(self) -> bool:
        """Whether there is only the square part: the incidence is structurally nonsingular."""
        return not (self.overdetermined_rows.size or self.underdetermined_cols.size)


def dulmage_mendelsohn(incidence: Incidence, matching: Matching) -> DulmageMendelsohn:
    """The overdetermined, underdetermined and square parts.

    The overdetermined rows are those that alternating paths reach from an unmatched row; the underdetermined
    columns are those that alternating paths reach from an unmatched column [1]_ [2]_.

    Raises
    ------
    ValueError
        If the matching is not maximum.

    Examples
    --------
    Two equations in the first unknown, and one in the two others:

    >>> from adjoint.structure import Incidence, maximum_matching
    >>> a = Incidence.from_coo([0, 1, 2, 2], [0, 0, 1, 2], shape=(3, 3))
    >>> parts = dulmage_mendelsohn(a, maximum_matching(a))
    >>> parts.overdetermined_rows.tolist(), parts.overdetermined_cols.tolist()
    ([0, 1], [0])
    >>> parts.underdetermined_rows.tolist(), parts.underdetermined_cols.tolist()
    ([2], [1, 2])
    """
    row_to_col, col_to_row = matching.row_to_col, matching.col_to_row
    over_rows, over_cols = _reached(incidence, row_to_col, col_to_row)
    under_cols, under_rows = _reached(incidence.transpose(), col_to_row, row_to_col)
    return DulmageMendelsohn(
        np.flatnonzero(over_rows),
        np.flatnonzero(over_cols),
        np.flatnonzero(under_rows),
        np.flatnonzero(under_cols),
        np.flatnonzero(~over_rows & ~under_rows),
        np.flatnonzero(~over_cols & ~under_cols),
        np.flatnonzero(row_to_col < 0),
        np.flatnonzero(col_to_row < 0),
    )


def _reached(
    incidence: Incidence, row_to_col: IntArray, col_to_row: IntArray
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Marks of the rows that alternating paths reach from free rows, and of the columns matched to them."""
    rows, cols = np.zeros(incidence.n_rows, dtype=bool), np.zeros(incidence.n_cols, dtype=bool)
    if row_to_col.min(initial=0) >= 0:
        return rows, cols
    order, _ = search_forest(incidence, row_to_col, col_to_row)
    if order.max() >= incidence.n_rows:
        raise ValueError("the matching is not maximum: an alternating path joins two unmatched vertices")
    rows[order] = True
    matched = row_to_col[rows]
    cols[matched[matched >= 0]] = True
    return rows, cols


def connected_parts(
    incidence: Incidence, rows: ArrayLike, cols: ArrayLike
) -> list[tuple[IntArray, IntArray]]:
    """The connected components of a part of an incidence, each as its rows and its columns.

    Parameters
    ----------
    incidence : Incidence
    rows, cols : array_like of int
        The part, such as the overdetermined rows and columns.

    Returns
    -------
    list of (rows, cols)
        In the order of their first rows in ``rows``; those without rows at the end.

    Examples
    --------
    >>> a = Incidence.from_coo([0, 1, 2], [2, 0, 2], shape=(3, 3))
    >>> [(r.tolist(), c.tolist()) for r, c in connected_parts(a, [0, 1, 2], [0, 1, 2])]
    [([0, 2], [2]), ([1], [0]), ([], [1])]
    """
    rows, cols = np.asarray(rows, dtype=np.intp), np.asarray(cols, dtype=np.intp)
    part = incidence.select(rows, cols)
    n_vertices = rows.size + cols.size
    if not n_vertices:
        return []
    ends = (part.row_of_entry(), rows.size + part.indices.astype(np.intp))
    graph = sparse.csr_array((np.ones(part.nnz), ends), shape=(n_vertices, n_vertices))
    count, labels = sparse.csgraph.connected_components(graph, directed=False)
    _, first = np.unique(labels, return_index=True)
    labels = np.argsort(np.argsort(first))[labels]  # numbered by the first vertex
    row_labels, col_labels = np.split(labels, [rows.size])
    return list(zip(_split(rows, row_labels, count), _split(cols, col_labels, count), strict=True))


def _split(members: IntArray, labels: IntArray, count: int) -> list[IntArray]:
    order = np.argsort(labels, kind="stable")
    return np.split(members[order], np.cumsum(np.bincount(labels, minlength=count))[:-1])
