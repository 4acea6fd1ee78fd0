"""Strongly connected components and levels of a directed graph.

A graph is given in compressed rows: node ``i`` has an edge to each ``indices[indptr[i]:indptr[i + 1]]``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from .incidence import entries_of_rows

__all__ = ["strong_components", "topological_levels"]

IntArray = NDArray[np.intp]
SMALL = 100  # nodes up to which Python is as fast as SciPy, whose graph routines take a tenth of a second to import
WIDE = 48  # nodes: from here on one array step is faster than a loop over them


def strong_components(indptr: ArrayLike, indices: ArrayLike) -> tuple[int, IntArray]:
    """The strongly connected components, numbered along the edges.

    Returns
    -------
    n_components : int
    labels : ndarray of int
        The component of each node, with ``labels[i] <= labels[j]`` for every edge ``i`` → ``j``. If the edge
        says that ``j`` depends on ``i``, then each component depends only on those of smaller number.

    Notes
    -----
    Tarjan's algorithm [1]_ in the variant of Pearce [2]_, as SciPy has it. SciPy does not promise an order of
    the components: it is checked here, and made where it is missing.

    References
    ----------
    .. [1] R. E. Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1(2), 1972.
    .. [2] D. J. Pearce, "An improved algorithm for finding the strongly connected components of a directed
           graph", Victoria University of Wellington, 2005.

    Examples
    --------
    The edges 0 → 1, 1 → 2, 2 → 1 and 2 → 3:

    >>> count, labels = strong_components([0, 1, 2, 4, 4], [1, 2, 1, 3])
    >>> count, labels.tolist()
    (3, [0, 1, 1, 2])
    """
    indptr, indices = np.asarray(indptr, dtype=np.intp), np.asarray(indices, dtype=np.intp)
    n_nodes = indptr.size - 1
    if n_nodes == 0:
        return 0, np.zeros(0, dtype=np.intp)
    if n_nodes <= SMALL:
        return _of_small_graph(indptr.tolist(), indices.tolist())
    graph = sparse.csr_array((np.ones(indices.size), indices, indptr), shape=(n_nodes, n_nodes))
    count, found = sparse.csgraph.connected_components(graph, directed=True, connection="strong")
    labels = count - 1 - found.astype(np.intp)  # SciPy numbers the components against the edges
    tails, heads = np.repeat(labels, np.diff(indptr)), labels[indices]
    if np.any(tails > heads):
        labels = _order_of_condensation(count, tails, heads)[labels]
    return int(count), labels


def _of_small_graph(indptr: list[int], indices: list[int]) -> tuple[int, IntArray]:
    """The same in Python, in the order in which SciPy visits the nodes.

    ``low[v]`` is 0 before `v` is visited, then the smallest number of a node that can be reached from it, and -1 once
    its component is complete.
    """
    n_nodes = len(indptr) - 1
    low, finished, labels = [0] * n_nodes, [False] * n_nodes, [0] * n_nodes
    visited = count = 0
    open_: list[int] = []  # nodes whose component is not complete
    for root in range(n_nodes):
        stack = [root]
        while stack:
            v = stack[-1]
            heads = indices[indptr[v] : indptr[v + 1]]
            if not low[v]:
                visited += 1
                low[v] = visited
                stack += [w for w in heads if not low[w]]
                continue
            stack.pop()
            if finished[v]:
                continue
            finished[v] = True
            number = low[v]
            low[v] = min([number, *(low[w] for w in heads if low[w] > 0)])
            open_.append(v)
            if low[v] == number:
                while open_ and low[open_[-1]] >= number:
                    w = open_.pop()
                    labels[w], low[w] = count, -1
                count += 1
    return count, count - 1 - np.array(labels, dtype=np.intp)


def _order_of_condensation(count: int, tails: IntArray, heads: IntArray) -> IntArray:
    """A new number for each component, increasing along the edges between components."""
    between = tails != heads
    ones = np.ones(np.count_nonzero(between))
    condensation = sparse.csr_array((ones, (tails[between], heads[between])), shape=(count, count))
    levels = topological_levels(condensation.indptr, condensation.indices)
    number = np.empty(count, dtype=np.intp)
    number[np.argsort(levels, kind="stable")] = np.arange(count)
    return number


def topological_levels(indptr: ArrayLike, indices: ArrayLike) -> IntArray:
    """The number of edges of the longest path that ends in each node of an acyclic graph.

    Nodes of one level have no edges between them; ``level[i] < level[j]`` for every edge ``i`` → ``j``.

    Raises
    ------
    ValueError
        If the graph has a cycle; the message gives the nodes of one.

    References
    ----------
    .. [1] A. B. Kahn, "Topological sorting of large networks", Commun. ACM 5(11), 1962.

    Examples
    --------
    >>> topological_levels([0, 2, 3, 3], [1, 2, 2]).tolist()
    [0, 1, 2]
    """
    indptr, indices = np.asarray(indptr, dtype=np.intp), np.asarray(indices, dtype=np.intp)
    n_nodes = indptr.size - 1
    waiting_for = np.bincount(indices, minlength=n_nodes)
    levels = np.zeros(n_nodes, dtype=np.intp)
    frontier = np.flatnonzero(waiting_for == 0)
    level = 0
    while frontier.size:
        if frontier.size >= WIDE:
            levels[frontier] = level
            level += 1
            heads, counts = np.unique(indices[entries_of_rows(indptr, frontier)], return_counts=True)
            waiting_for[heads] -= counts
            frontier = heads[waiting_for[heads] == 0]
        else:
            frontier, level = _narrow_levels(frontier, level, indptr, indices, waiting_for, levels)
    if waiting_for.any():
        cycle = _cycle(indptr, indices, waiting_for > 0)
        raise ValueError("the graph has a cycle: " + " -> ".join(map(str, [*cycle, cycle[0]])))
    return levels


def _narrow_levels(
    frontier: IntArray,
    level: int,
    indptr: IntArray,
    indices: IntArray,
    waiting_for: IntArray,
    levels: IntArray,
) -> tuple[IntArray, int]:
    """Level after level, node by node, as long as the levels are narrow."""
    # Items of a memoryview are read and set faster than those of an array.
    start, head_of, waiting, level_of = indptr.data, indices.data, waiting_for.data, levels.data
    nodes = frontier.tolist()
    while 0 < len(nodes) < WIDE:
        ready = []
        for i in nodes:
            level_of[i] = level
            for j in head_of[start[i] : start[i + 1]]:
                waiting[j] -= 1
                if not waiting[j]:
                    ready.append(j)
        nodes, level = ready, level + 1
    return np.array(nodes, dtype=np.intp), level


def _cycle(indptr: IntArray, indices: IntArray, remaining: NDArray[np.bool_]) -> list[int]:
    """The nodes of one cycle among ``remaining``, each of which has an edge from another of them."""
    tails = np.repeat(np.arange(remaining.size), np.diff(indptr))
    inside = remaining[tails] & remaining[indices]
    before = np.full(remaining.size, -1, dtype=np.intp)
    before[indices[inside]] = tails[inside]
    place: dict[int, int] = {}
    i = int(np.flatnonzero(remaining)[0])
    while i not in place:
        place[i] = len(place)
        i = int(before[i])
    return list(place)[place[i] :][::-1]
