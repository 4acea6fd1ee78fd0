"""Pivots of two rows in an optimality system: which constraints can be eliminated with a variable of theirs."""

from __future__ import annotations

import numpy as np

from .interface import SymmetricPattern

__all__ = ["pivot_pairs"]

DOMINANT = 1e-4  # size of a pivot's entry, relative to the largest of its constraint
FILL = 3  # entries that an elimination may make, for each that it saves
WORTH = 0.2  # share of the rows from which eliminating them pays
SEED = 20


def pivot_pairs(
    pattern: SymmetricPattern, data: np.ndarray, equations: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Variables and constraints whose pivots ``[[h, a], [a, 0]]`` are independent of each other, by their rows.

    A constraint ``x − g(v) = 0`` is one that defines a variable. Its pivot has one eigenvalue of each sign whatever
    ``h`` is, and eliminating it costs what substituting ``g`` into the program would.

    Parameters
    ----------
    pattern : SymmetricPattern
        Of an optimality system: variables first, then ``negative`` constraints.
    data : ndarray
        Entries of the lower triangle, for the sizes of coefficients.
    equations : ndarray of int
        The rows of constraints that have a zero on the diagonal.

    Returns
    -------
    (variables, constraints) or None
        Rows of each pivot; None where too few are found.

    >>> from scipy.sparse import csc_array
    >>> K = csc_array(np.array([[3.0, 0, 0], [0, 2.0, 0], [1.0, -0.5, 1e-30]]))  # x₀ − x₁ / 2 = 0
    >>> pivot_pairs(SymmetricPattern(K, 1), K.data, np.array([2]))
    (array([0]), array([2]))
    """
    n, first = pattern.n, pattern.n - pattern.negative
    is_equation = np.zeros(n, dtype=bool)
    is_equation[equations] = True
    off = pattern.indices != pattern.columns
    degree = np.bincount(pattern.indices[off], minlength=n) + np.bincount(pattern.columns[off], minlength=n)
    entries = np.flatnonzero(is_equation[pattern.indices] & (pattern.columns < first))
    rows, columns, size = pattern.indices[entries], pattern.columns[entries], np.abs(data[entries])
    largest = np.zeros(n)
    np.maximum.at(largest, rows, size)
    of_row, of_column = degree[rows] - 1, degree[columns] - 1
    made, saved = of_row * (of_row + 1) // 2 + of_row * of_column, of_row + of_column + 3
    good = (size >= DOMINANT * largest[rows]) & (size > 0.0) & (made <= FILL * saved)
    blocked = _blocked(rows, columns, good, n)
    rows, columns = rows[good], columns[good]
    order = np.lexsort((made[good], blocked[good]))
    rows, columns = rows[order], columns[order]
    for side in (0, 1):  # the first of each row, and of these the first of each column
        first_ones = np.sort(np.unique((rows, columns)[side], return_index=True)[1])
        rows, columns = rows[first_ones], columns[first_ones]
    chosen = _independent(pattern, columns, rows)
    if 2 * len(chosen) < WORTH * n:
        return None
    return columns[chosen].astype(np.intp), rows[chosen].astype(np.intp)


def _blocked(rows: np.ndarray, columns: np.ndarray, good: np.ndarray, n: int) -> np.ndarray:
    """How many other pivots are not independent of one at each entry: those of constraints with the same variable, and
    of other variables of the same constraint that have another one."""
    elsewhere = np.bincount(columns[good], minlength=n)[columns] > good
    return np.bincount(columns, minlength=n)[columns] - 1 + np.bincount(rows, elsewhere, n)[rows] - elsewhere


def _independent(pattern: SymmetricPattern, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Pairs without an entry between any two of them: those before all their neighbours in an order, again and again
    (Luby 1986, "A simple parallel algorithm for the maximal independent set problem"). The order is that of the number
    of neighbours, and random among equals."""
    count = len(rows)
    pair = np.full(pattern.n, -1)
    pair[columns] = pair[rows] = np.arange(count)
    a, b = pair[pattern.indices], pair[pattern.columns]
    between = (a >= 0) & (b >= 0) & (a != b)
    a, b = a[between], b[between]
    neighbours = np.bincount(a, minlength=count) + np.bincount(b, minlength=count)
    rank = np.empty(count, dtype=np.int64)
    rank[np.lexsort((np.random.default_rng(SEED).permutation(count), neighbours))] = np.arange(count)
    waiting, taken = np.ones(count, dtype=bool), np.zeros(count, dtype=bool)
    while waiting.any():
        later = np.zeros(count, dtype=bool)
        later[np.where(rank[a] > rank[b], a, b)] = True
        new = waiting & ~later
        taken |= new
        waiting &= ~new
        waiting[a[new[b]]] = waiting[b[new[a]]] = False
        left = waiting[a] & waiting[b]
        a, b = a[left], b[left]
    return np.flatnonzero(taken)
