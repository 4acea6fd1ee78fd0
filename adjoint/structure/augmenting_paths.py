"""Augmenting paths: from a matching to a maximum one.

A path that alternates between entries outside and inside the matching, from a free row to a free column, makes
the matching larger by one when its entries are exchanged; without such a path it is maximum [1]_. In both
functions a *vertex* is a row, together with the column it is matched to: row ``i`` leads to the row that owns
column ``j``, for each ``j`` in row ``i``.

References
----------
.. [1] C. Berge, "Two theorems in graph theory", PNAS 43(9), 1957, pp. 842-844.
.. [2] J. E. Hopcroft and R. M. Karp, "An n^5/2 algorithm for maximum matchings in bipartite graphs", SIAM J.
       Comput. 2(4), 1973, pp. 225-231.
.. [3] A. Azad, A. Buluç and A. Pothen, "Computing maximum cardinality matchings in parallel on bipartite
       graphs via tree-grafting", IEEE Trans. Parallel Distrib. Syst. 28(1), 2017, pp. 44-59, section 2.3
       (the multi-source breadth-first search, MS-BFS).
"""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from .incidence import Incidence

__all__ = ["augment", "invert_matching", "search_forest"]

IntArray = NDArray[np.intp]


def invert_matching(row_to_col: IntArray, n_cols: int) -> IntArray:
    """The row of each column, or -1, from the column of each row, or -1."""
    col_to_row = np.full(n_cols, -1, dtype=np.intp)
    matched = np.flatnonzero(row_to_col >= 0)
    col_to_row[row_to_col[matched]] = matched
    return col_to_row


def augment(incidence: Incidence, row_to_col: IntArray, max_phases: int | None = None) -> IntArray:
    """A maximum matching that contains every row and column of the given one.

    Breadth-first phases come first: each is one C search of the whole graph, with any number of paths of any
    length. If they are more than ``max_phases`` (default √n), flow phases finish: the whole is O(nnz √n).
    """
    if max_phases is None:
        max_phases = isqrt(incidence.n_rows) + 1
    row_to_col = np.array(row_to_col, dtype=np.intp)
    col_to_row = invert_matching(row_to_col, incidence.n_cols)
    for _ in range(max_phases):
        if not _augment_forest(incidence, row_to_col, col_to_row):
            return row_to_col
    return _augment_by_flow(incidence, row_to_col, col_to_row)


def search_forest(incidence: Incidence, row_to_col: IntArray, col_to_row: IntArray) -> tuple[IntArray, IntArray]:
    """Alternating breadth-first trees from all free rows at once.

    Returns
    -------
    order : ndarray of int
        The vertices reached, in the order of the search: ``i < n_rows`` is a row, ``n_rows + j`` the free
        column ``j``.
    parent : ndarray of int
        The row before each vertex reached; a number ``>= n_rows`` for a free row, a root.
    """
    n_rows, n_cols = incidence.shape
    source = n_rows + n_cols
    owner = np.where(col_to_row >= 0, col_to_row, n_rows + np.arange(n_cols))
    free = np.flatnonzero(row_to_col < 0)
    heads = np.concatenate([owner[incidence.indices], free])
    indptr = np.full(source + 2, incidence.nnz)
    indptr[: n_rows + 1] = incidence.indptr
    indptr[-1] = heads.size
    graph = sparse.csr_array((np.ones(heads.size), heads, indptr), shape=(source + 1, source + 1))
    order, parent = csgraph.breadth_first_order(graph, source)
    return order[1:], parent


def _augment_forest(incidence: Incidence, row_to_col: IntArray, col_to_row: IntArray) -> bool:
    """Augment, in place, along the shortest path of each tree that reaches a free column."""
    n_rows = incidence.n_rows
    if row_to_col.min(initial=0) >= 0 or col_to_row.min(initial=0) >= 0:
        return False
    order, parent = search_forest(incidence, row_to_col, col_to_row)
    ends = order[order >= n_rows]
    if not ends.size:
        return False
    root = _roots(order, parent, n_rows)
    _, first = np.unique(root[ends], return_index=True)  # the search order makes the first the shortest
    cols, rows = ends[first] - n_rows, parent[ends[first]]
    _exchange(rows, cols, parent, row_to_col, col_to_row)
    return True


def _exchange(rows: IntArray, cols: IntArray, parent: IntArray, row_to_col: IntArray, col_to_row: IntArray) -> None:
    """Match, in place, the last row and column of each path; then the ones before, back to the root."""
    while rows.size > 16:  # one entry of every path at a time: the trees are disjoint
        given_up = row_to_col[rows]
        row_to_col[rows], col_to_row[cols] = cols, rows
        inner = given_up >= 0
        cols, rows = given_up[inner], parent[rows[inner]]
    # Few, long paths: item by item, 30 times faster than arrays of one element.
    col_of, row_of, before = memoryview(row_to_col), memoryview(col_to_row), memoryview(parent)
    for i, j in zip(rows.tolist(), cols.tolist(), strict=True):
        while j >= 0:
            previous = col_of[i]
            col_of[i], row_of[j] = j, i
            i, j = before[i], previous


def _roots(order: IntArray, parent: IntArray, n_rows: int) -> IntArray:
    """The free row at the root of each vertex's tree, by pointer doubling."""
    up = np.arange(parent.size)
    inner = order[(parent[order] >= 0) & (parent[order] < n_rows)]
    up[inner] = parent[inner]
    while True:
        further = up[up]
        if np.array_equal(further, up):
            return up
        up = further


def _augment_by_flow(incidence: Incidence, row_to_col: IntArray, col_to_row: IntArray) -> IntArray:
    """Finish with Dinic's maximum flow, which on unit capacities is Hopcroft and Karp's algorithm.

    The flow runs on what the matching leaves: an entry outside it goes from its row to its column, an entry
    inside it back from its column to its row, the source feeds the free rows, the free columns the sink.
    """
    n_rows, n_cols = incidence.shape
    source, sink = n_rows + n_cols, n_rows + n_cols + 1
    rows, cols = incidence.row_of_entry(), incidence.indices.astype(np.intp)
    inside = row_to_col[rows] == cols
    free_rows, free_cols = np.flatnonzero(row_to_col < 0), np.flatnonzero(col_to_row < 0)
    tails = np.concatenate(
        [np.where(inside, n_rows + cols, rows), np.full(free_rows.size, source), n_rows + free_cols]
    )
    heads = np.concatenate([np.where(inside, rows, n_rows + cols), free_rows, np.full(free_cols.size, sink)])
    capacity = sparse.csr_array((np.ones(tails.size, dtype=np.int32), (tails, heads)), shape=(sink + 1, sink + 1))
    flow = csgraph.maximum_flow(capacity, source, sink, method="dinic").flow.tocoo()
    tails, heads = flow.row.astype(np.intp), flow.col.astype(np.intp)
    changed = (flow.data > 0) & (tails < source) & (heads < source)
    given_up = changed & (tails >= n_rows)
    taken = changed & (tails < n_rows)
    result = row_to_col.copy()
    result[heads[given_up]] = -1
    result[tails[taken]] = heads[taken] - n_rows
    return result
