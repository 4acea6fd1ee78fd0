"""Coloring: columns of a sparse matrix that can be computed from one product.

Products of a matrix with 0-1 vectors, one per color, give all its entries when the columns of one color have
no row in common. For a symmetric matrix fewer colors do.

References
----------
.. [1] A. R. Curtis, M. J. D. Powell and J. K. Reid, "On the estimation of sparse Jacobian matrices", IMA J.
       Appl. Math. 13(1), 1974, pp. 117-119.
.. [2] A. H. Gebremedhin, F. Manne and A. Pothen, "What color is your Jacobian? Graph coloring for computing
       derivatives", SIAM Review 47(4), 2005, pp. 629-705.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .incidence import Incidence

__all__ = ["color_columns", "star_color", "star_recovery"]

IntArray = NDArray[np.intp]
SWEEPS = 4  # of iterated greedy coloring: more gain little


def color_columns(indptr: ArrayLike, indices: ArrayLike, n_cols: int) -> IntArray:
    """Colors of the columns such that two columns of one color have no row in common.

    With ``B[:, c]`` the sum of the columns of color ``c``, the entry ``A[i, j]`` is ``B[i, colors[j]]`` [1]_.

    Parameters
    ----------
    indptr, indices : array_like of int
        The pattern in compressed rows.
    n_cols : int

    Returns
    -------
    ndarray of int
        Colors from 0; as many as ``colors.max() + 1``.

    Notes
    -----
    Each column gets the smallest color its rows leave free. The columns are taken as they come, which is best
    for band matrices, then by decreasing number of conflicts [2]_, then color class by color class, the last
    class first, which never needs more colors than before [3]_; as soon as there are no more colors than
    entries in the longest row, no coloring has fewer. The best is returned.

    References
    ----------
    .. [3] J. C. Culberson, "Iterated greedy graph coloring and the difficulty landscape", University of
           Alberta TR 92-07, 1992.

    Examples
    --------
    A tridiagonal matrix needs three colors:

    >>> color_columns([0, 2, 5, 8, 10], [0, 1, 0, 1, 2, 1, 2, 3, 2, 3], n_cols=4).tolist()
    [0, 1, 2, 0]
    """
    pattern = _pattern(indptr, indices, n_cols)
    columns = pattern.transpose()
    row_sizes = np.diff(pattern.indptr)
    fewest = row_sizes.max(initial=0)  # the columns of one row all differ
    conflicts = np.bincount(pattern.indices, weights=row_sizes[pattern.row_of_entry()], minlength=n_cols)
    best = _greedy_columns(columns, np.arange(n_cols))
    if best.max(initial=-1) >= fewest:
        best = min(best, _greedy_columns(columns, np.argsort(-conflicts, kind="stable")), key=np.max)
    for _ in range(SWEEPS):
        if best.max(initial=-1) < fewest:
            break
        best = _greedy_columns(columns, np.argsort(-best, kind="stable"))
    return best


def _pattern(indptr: ArrayLike, indices: ArrayLike, n_cols: int) -> Incidence:
    return Incidence(np.asarray(indptr, dtype=np.intp), np.asarray(indices, dtype=np.intp), int(n_cols))


def _greedy_columns(columns: Incidence, order: IntArray) -> IntArray:
    """The smallest color that no row of the column has, column after column; colors are bits."""
    indptr, indices = columns.indptr.tolist(), columns.indices.tolist()
    used = [0] * columns.n_cols  # colors present in each row
    colors = [0] * columns.n_rows
    for j in order.tolist():
        rows = indices[indptr[j] : indptr[j + 1]]
        taken = 0
        for i in rows:
            taken |= used[i]
        bit = ~taken & (taken + 1)  # the lowest zero of taken
        for i in rows:
            used[i] |= bit
        colors[j] = bit.bit_length() - 1
    return np.array(colors, dtype=np.intp)


def star_color(indptr: ArrayLike, indices: ArrayLike) -> IntArray:
    """A star coloring of a symmetric pattern: colors that give a Hessian by :func:`star_recovery`.

    Adjacent columns differ, and every path of four columns has at least three colors [2]_: the columns of
    any two colors form stars.

    Parameters
    ----------
    indptr, indices : array_like of int
        The pattern in compressed rows, both triangles or only one; the diagonal does not matter.

    Returns
    -------
    ndarray of int
        Colors from 0.

    Notes
    -----
    Each column gets the smallest color that keeps the rule [2]_ [4]_, once with the columns as they come,
    once by decreasing degree. The best is returned.

    References
    ----------
    .. [4] A. H. Gebremedhin, A. Tarafdar, F. Manne and A. Pothen, "New acyclic and star coloring algorithms
           with application to computing Hessians", SIAM J. Sci. Comput. 29(3), 2007, pp. 1042-1072.

    Examples
    --------
    An arrow matrix, all of whose columns meet, needs two colors:

    >>> star_color([0, 4, 4, 4, 4], [0, 1, 2, 3]).tolist()
    [0, 1, 1, 1]
    """
    graph = _adjacency(indptr, indices)
    degrees = np.diff(graph.indptr)
    orders = [np.arange(degrees.size), np.argsort(-degrees, kind="stable")]
    return min((_greedy_star(graph, order) for order in orders), key=lambda colors: colors.max(initial=-1))


def _adjacency(indptr: ArrayLike, indices: ArrayLike) -> Incidence:
    """The pattern with its transpose and without its diagonal."""
    pattern = _pattern(indptr, indices, np.size(indptr) - 1)
    rows, cols = pattern.row_of_entry(), pattern.indices
    off = rows != cols
    rows, cols = rows[off], cols[off]
    return Incidence.from_coo(np.concatenate([rows, cols]), np.concatenate([cols, rows]), pattern.shape)


def _greedy_star(graph: Incidence, order: IntArray) -> IntArray:
    """The smallest color that leaves no path of four in two colors, node after node; colors are bits.

    A node that has two neighbours of one color is the hub of a star in that color, and no further node may
    hang on one of these neighbours in the color of the hub.
    """
    indptr, indices = graph.indptr.tolist(), graph.indices.tolist()
    n = graph.n_rows
    color = [0] * n  # the bit of the color, 0 when there is none yet
    once = [0] * n  # colors of the neighbours
    twice = [0] * n  # colors that two neighbours or more have
    hubs = [0] * n  # colors of the hubs whose stars the node is a leaf of
    for v in order.tolist():
        neighbours = indices[indptr[v] : indptr[v + 1]]
        taken = once[v]
        for w in neighbours:
            taken |= hubs[w]  # path v, w, hub, leaf
            if color[w] & twice[v]:
                taken |= once[w]  # path w', v, w, x with w' and w of one color
        bit = color[v] = ~taken & (taken + 1)
        for w in neighbours:
            if once[w] & bit and not twice[w] & bit:  # w becomes a hub in this color
                twice[w] |= bit
                for x in indices[indptr[w] : indptr[w + 1]]:
                    if color[x] == bit:
                        hubs[x] |= color[w]
            elif twice[w] & bit:
                hubs[v] |= color[w]
            once[w] |= bit
            if color[w] & twice[v]:
                hubs[w] |= bit
    return np.array([bit.bit_length() - 1 for bit in color], dtype=np.intp)


def star_recovery(indptr: ArrayLike, indices: ArrayLike, colors: ArrayLike) -> tuple[IntArray, IntArray]:
    """Where to read the entries of a symmetric matrix in its product with the columns of a star coloring.

    Parameters
    ----------
    indptr, indices : array_like of int
        The pattern given to :func:`star_color`.
    colors : array_like of int
        Its result.

    Returns
    -------
    rows, cols : ndarray of int
        With ``B[:, c]`` the sum of the columns of color ``c``, the entry at position ``k`` of ``indices`` is
        ``B[rows[k], cols[k]]``.

    Examples
    --------
    >>> A = np.array([[4.0, 1.0, 0.0], [1.0, 5.0, 2.0], [0.0, 2.0, 6.0]])
    >>> indptr, indices = [0, 2, 5, 7], [0, 1, 0, 1, 2, 1, 2]
    >>> colors = star_color(indptr, indices)
    >>> B = A @ np.eye(colors.max() + 1)[colors]
    >>> B[star_recovery(indptr, indices, colors)].tolist()
    [4.0, 1.0, 1.0, 5.0, 2.0, 2.0, 6.0]
    """
    colors = np.asarray(colors, dtype=np.intp)
    graph = _adjacency(indptr, indices)
    n_colors = int(colors.max(initial=-1)) + 1
    # How many neighbours of each color a row has, by the number row * n_colors + color.
    pairs, counts = np.unique(graph.row_of_entry() * n_colors + colors[graph.indices], return_counts=True)
    rows = np.repeat(np.arange(graph.n_rows), np.diff(np.asarray(indptr)))
    cols = np.asarray(indices, dtype=np.intp)
    direct = rows == cols
    off = ~direct
    direct[off] = counts[np.searchsorted(pairs, rows[off] * n_colors + colors[cols[off]])] == 1
    return np.where(direct, rows, cols), colors[np.where(direct, cols, rows)]
