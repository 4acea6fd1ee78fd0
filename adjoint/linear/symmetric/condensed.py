"""Optimality systems without the constraints that define a variable: pivots of two rows, eliminated exactly.

With pivots ``B = [[h, a], [a, 0]]``, one for each pair of a variable and a constraint, and columns ``u`` and ``v`` that
couple the two to the rest, ::

    K = [[B, (u v)ᵀ], [(u v), C]],    C − (u v) B⁻¹ (u v)ᵀ = C − (u vᵀ + v uᵀ) / a + h v vᵀ / a²

is what is left to factor. B has one eigenvalue of each sign, so the inertia of K is that of the rest and one of each
sign for each pair (Haynsworth 1968). The rest is mostly less than half of K, with fewer zeros on its diagonal; it is
what one has after substituting the variable.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from scipy import sparse

from .interface import Inertia, SymmetricFactorization, SymmetricPattern, SymmetricSolver

__all__ = ["Condensation", "CondensedSolver"]

LARGE, STIFF = 1e5, 1e8  # |v / a| and |h / a²| up to which a pivot is of use
RISING = 10.0  # |h / a²| from which pairs are left out, where one is beyond: it rises near bounds
RENEWED = 8  # times that pairs are left out, while half of them stay


class Condensation:
    """Where the entries of the rest come from, for one pattern and its pairs of rows.

    Parameters
    ----------
    pattern : SymmetricPattern
    x, y : ndarray of int
        The rows of each pair; no entry is between two pairs.

    >>> K = sparse.csc_array(np.array([[3.0, 0, 0], [0, 2.0, 0], [1.0, -0.5, 1e-30]]))
    >>> condensation = Condensation(SymmetricPattern(K, 1), np.array([0]), np.array([2]))
    >>> parts = condensation.parts(np.array([3.0, 1.0, 2.0, -0.5, 0.0]))  # x₀ = x₁ / 2: h v² / a² more for x₁
    >>> condensation.rest(parts).tolist()
    [2.75]
    """

    def __init__(self, pattern: SymmetricPattern, x: np.ndarray, y: np.ndarray) -> None:
        self.pattern, self.x, self.y = pattern, x, y
        n, count = pattern.n, len(x)
        pair = np.full(n, -1)
        pair[x] = pair[y] = np.arange(count)
        self.kept = np.flatnonzero(pair < 0)
        new = np.full(n, -1)
        new[self.kept] = np.arange(len(self.kept))
        of_row, of_column = pair[pattern.indices], pair[pattern.columns]
        self._h, self._zero = pattern.diagonal[x], pattern.diagonal[y]
        inside = np.flatnonzero((of_row >= 0) & (of_row == of_column) & (pattern.indices != pattern.columns))
        self._a = inside[np.argsort(of_row[inside])]
        border = np.flatnonzero((of_row < 0) != (of_column < 0))
        in_pair = of_row[border] >= 0
        member = np.where(in_pair, pattern.indices[border], pattern.columns[border])
        other = np.where(in_pair, pattern.columns[border], pattern.indices[border])
        is_y = np.zeros(n, dtype=bool)
        is_y[y] = True
        of_y = is_y[member]
        order = np.lexsort((pair[member], ~of_y))  # v of all pairs, then u
        self._border, self._other, self._pair = border[order], new[other[order]], pair[member[order]]
        self._of_v = int(np.count_nonzero(of_y))
        self._base = np.flatnonzero((of_row < 0) & (of_column < 0))
        self._places(new[pattern.indices[self._base]], new[pattern.columns[self._base]])

    def _places(self, rows: np.ndarray, columns: np.ndarray) -> None:
        """The pattern of the rest, and its entries as sums of products of border entries: a sparse matrix times v."""
        m, count, size = self._of_v, len(self.x), len(self.kept)
        left, right = _products(self._pair, self._pair[:m], count)
        a, b = self._other[left], self._other[right]
        # v vᵀ has each product twice, above and below the diagonal; u vᵀ + v uᵀ has its diagonal twice.
        below = (left >= m) | (a >= b)
        twice = (left >= m) & (a == b)
        left, right = (np.concatenate([e[below], e[twice]]) for e in (left, right))
        a, b = self._other[left], self._other[right]
        flat = np.concatenate([columns, np.minimum(a, b)]) * np.int64(size) + np.concatenate([rows, np.maximum(a, b)])
        places, position = np.unique(flat, return_inverse=True)
        self._place, target = position[: len(rows)], position[len(rows) :]
        order = np.argsort(target, kind="stable")
        indptr = np.zeros(len(places) + 1, dtype=np.int32)
        np.cumsum(np.bincount(target, minlength=len(places)), out=indptr[1:])
        self._source = left[order]
        shape = len(places), m
        self._sums = sparse.csr_array((np.zeros(len(order)), right[order].astype(np.int32), indptr), shape=shape)
        columns, rows = np.divmod(places, max(size, 1))
        starts = np.zeros(size + 1, dtype=np.int32)
        np.cumsum(np.bincount(columns, minlength=size), out=starts[1:])
        lower = sparse.csc_array((np.ones(len(places)), rows.astype(np.int32), starts), shape=(size, size))
        self.smaller = SymmetricPattern(lower, self.pattern.negative - count)

    @cached_property
    def border(self) -> tuple[sparse.csc_array, sparse.csr_array]:
        """``[v, u]``, of the shape of rest and twice the pairs, and its transpose; their entries are set by `rest`."""
        count = len(self.x)
        starts = np.zeros(2 * count + 1, dtype=np.int32)
        np.cumsum(np.bincount(self._column, minlength=2 * count), out=starts[1:])
        entries = np.zeros(len(self._column)), self._other.astype(np.int32), starts
        shape = len(self.kept), 2 * count
        return sparse.csc_array(entries, shape=shape), sparse.csr_array(entries, shape=shape[::-1])

    @cached_property
    def _column(self) -> np.ndarray:
        column = self._pair.copy()
        column[self._of_v :] += len(self.x)
        return column

    def parts(self, data: np.ndarray) -> Parts:
        """The parts of a matrix."""
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1.0 / data[self._a]
            h = data[self._h]
            return Parts(data[self._base], h, inverse, h * inverse * inverse, data[self._border])

    def has_zeros(self, data: np.ndarray) -> bool:
        """Whether the constraints of all pairs have a zero on the diagonal."""
        return not np.any(data[self._zero])

    def usable(self, parts: Parts) -> np.ndarray | None:
        """Which pairs to go on with; None for all of them."""
        bend = np.abs(parts.bend)
        of_v = self._pair[: self._of_v]
        growth = np.abs(parts.border[: self._of_v] * parts.inverse[of_v])
        if np.maximum.reduce(growth, initial=0.0) <= LARGE and np.maximum.reduce(bend, initial=0.0) <= STIFF:
            return None
        kept = bend <= RISING
        kept[of_v[~(growth <= LARGE)]] = False
        return kept

    def rest(self, parts: Parts) -> np.ndarray:
        """The entries of the rest, in the order of the smaller pattern."""
        for matrix in self.border:
            matrix.data = parts.border
        weighted = np.concatenate((parts.bend, -parts.inverse))[self._column]
        weighted *= parts.border
        self._sums.data = weighted[self._source]
        out: np.ndarray = self._sums @ parts.border[: self._of_v]
        out[self._place] += parts.base
        return out


class Parts:
    """The entries of a matrix by their part in the elimination: ``C``, ``h``, ``1/a``, ``h/a²`` and ``[v, u]``."""

    __slots__ = ("base", "bend", "border", "h", "inverse")

    def __init__(
        self, base: np.ndarray, h: np.ndarray, inverse: np.ndarray, bend: np.ndarray, border: np.ndarray
    ) -> None:
        self.base, self.h, self.inverse, self.bend, self.border = base, h, inverse, bend, border


def _products(left: np.ndarray, right: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of all combinations of an entry of the left and one of the right with the same number; the right is
    sorted."""
    many = np.bincount(right, minlength=count)
    first = np.cumsum(many) - many
    repeats = many[left]
    which = np.repeat(np.arange(len(left)), repeats)
    begins = np.repeat(np.cumsum(repeats) - repeats, repeats)
    return which, first[left[which]] + np.arange(len(which)) - begins


class CondensedSolver(SymmetricSolver):
    """Factors the rest, or the whole matrix where the constraints of pairs have no zeros on the diagonal.

    Pairs are left out for good where ``h`` becomes so large, near a bound, that ``h v vᵀ / a²`` hides the digits of
    what it is added to.

    Parameters
    ----------
    condensation : Condensation
    make : callable
        Makes the solver for a pattern.
    """

    def __init__(self, condensation: Condensation, make: Callable[[SymmetricPattern], SymmetricSolver]) -> None:
        self.condensation, self.pattern, self._make = condensation, condensation.pattern, make
        self._rest: SymmetricSolver | None = make(condensation.smaller)
        self._renewed, self._first = 0, len(condensation.x)

    @cached_property
    def _whole(self) -> SymmetricSolver:
        return self._make(self.pattern)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The solver asked first."""
        return (self._rest or self._whole).name

    def factor(self, data: np.ndarray) -> SymmetricFactorization:
        data = self.pattern.checked(data)
        while self._rest is not None and self.condensation.has_zeros(data):
            parts = self.condensation.parts(data)
            usable = self.condensation.usable(parts)
            if usable is None:
                return _Factors(self.condensation, parts, self._rest.factor(self.condensation.rest(parts)))
            self._renew(usable)
        return self._whole.factor(data)

    def _renew(self, usable: np.ndarray) -> None:
        """Go on with fewer pairs, or without."""
        self._renewed += 1
        self._rest = None
        if self._renewed <= RENEWED and 2 * np.count_nonzero(usable) >= self._first:
            old = self.condensation
            self.condensation = Condensation(self.pattern, old.x[usable], old.y[usable])
            self._rest = self._make(self.condensation.smaller)

    def increase_quality(self) -> bool:
        if self._rest is None:
            return self._whole.increase_quality()
        self._rest = None
        return True


class _Factors(SymmetricFactorization):
    def __init__(self, condensation: Condensation, parts: Parts, rest: SymmetricFactorization) -> None:
        self._condensation, self._parts, self._rest = condensation, parts, rest
        positive, negative, zero = rest.inertia
        pairs = len(condensation.x)
        self.inertia = Inertia(positive + pairs, negative + pairs, zero)

    def solve(self, b: np.ndarray) -> np.ndarray:
        b = np.asarray(b, dtype=float)
        if b.ndim > 1:
            return np.stack([self.solve(column) for column in b.T], axis=1)
        c, p = self._condensation, self._parts
        border, transpose = c.border
        of_x = b[c.y] * p.inverse  # of the pivots alone: a x = b_y, h x + a y = b_x
        of_y = (b[c.x] - p.h * of_x) * p.inverse
        z = self._rest.solve(b[c.kept] - border @ np.concatenate((of_y, of_x)))
        by_v, by_u = (transpose @ z).reshape(2, -1)
        out = np.empty(len(b))
        out[c.kept] = z
        by_v *= p.inverse
        out[c.x] = of_x - by_v
        out[c.y] = of_y - (by_u - p.h * by_v) * p.inverse
        return out
