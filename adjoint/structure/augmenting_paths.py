"""Augmenting paths: from a matching to a maximum one.

A path that alternates between entries outside and inside the matching, from a free row to a free column,
makes the matching larger by one when its entries are exchanged; without such a path it is maximum [1]_. The
searches take a row and the column matched to it as one vertex, which leads to the owners of its columns.

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


def search_forest(
    incidence: Incidence, row_to_col: IntArray, col_to_row: IntArray
) -> tuple[IntArray, IntArray]:
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
    order, parent = sparse.csgraph.breadth_first_order(graph, source)
    return order[1:], parent


def _augment_forest(incidence: Incidence, row_to_col: IntArray, col_to_row: IntArray) -> bool:
    """Augment, in place, along the shortest path of each tree that reaches a free column."""
    n_rows = incidence.n_rows
    if row_to_col.min(initial=0) >= 0 or col_to_row.min(initial=0) >= 0:
        return False
    order, parent = search_forest(incidence, row_to_col, col_to_row)
    ends = order[order >= n_rows]
    # Item by item: paths are few and long, and memoryviews are faster there than arrays.
    col_of, row_of, before = row_to_col.data, col_to_row.data, parent.data
    seen = bytearray(n_rows)
    for end in ends.tolist():  # the search order: the first of a tree is the shortest
        path, i = [], before[end]
        while i < n_rows and not seen[i]:
            seen[i] = True
            path.append(i)
            i = before[i]
        if i < n_rows:  # a tree that was used
            continue
        j = end - n_rows
        for i in path:
            row_of[j] = i
            col_of[i], j = j, col_of[i]
    return ends.size > 0


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
    ones = np.ones(tails.size, dtype=np.int32)
    capacity = sparse.csr_array((ones, (tails, heads)), shape=(sink + 1, sink + 1))
    flow = sparse.csgraph.maximum_flow(capacity, source, sink, method="dinic").flow.tocoo()
    tails, heads = flow.row.astype(np.intp), flow.col.astype(np.intp)
    changed = (flow.data > 0) & (tails < source) & (heads < source)
    given_up = changed & (tails >= n_rows)
    taken = changed & (tails < n_rows)
    result = row_to_col.copy()
    result[heads[given_up]] = -1
    result[tails[taken]] = heads[taken] - n_rows
    return result
