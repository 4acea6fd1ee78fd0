"""Convex quadratic programs with elastic rows, dense, by a primal-dual interior-point method.

::

    minimize  gᵀd + ½ dᵀB d + ν Σ violation of rows     subject to  lower ≤ d ≤ upper,   rows  low ≤ A d ≤ high

The violations have price ``ν`` each, so that rows which contradict each other, or the bounds, do no harm: multipliers
of rows stay within ``±ν``, and there is always a solution. Equal sides make an equality. A row's side is, with the
elastic variables ``p ≥ 0`` and the slack ``t ≥ 0``, ``s (a d − side) + p − t = 0``; an equality is ``a d − side + p − t
= 0`` with a price on both.

References
----------
.. [1] S. Mehrotra, "On the implementation of a primal-dual interior point method", SIAM J. Optim. 2, 1992, pp. 575-601.
.. [2] R. Fletcher, "Practical Methods of Optimization", 2nd ed., 1987, section 14.4 (the l1 penalty in the subproblem).
.. [3] J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd ed., 2006, sections 16.6 and 18.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

__all__ = ["QuadraticProgram", "QuadraticSolution", "solve_quadratic"]

MAX_ITERATIONS = 80
GAP = 1e-15  # complementarity, relative to prices and sizes, at which iterating ends
SMALL = 1e-11  # errors that end the iteration where they do not fall any further
STEP = 0.995  # share of the way to the boundary
STALLED = 4  # iterations without progress that end it


@dataclass(frozen=True, eq=False)
class QuadraticProgram:
    """The data of one program; ``price`` is that of violations."""

    B: np.ndarray
    g: np.ndarray
    A: np.ndarray
    low: np.ndarray
    high: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    price: float


@dataclass(frozen=True, eq=False)
class QuadraticSolution:
    """``d``, multipliers of rows (positive at the upper side) and of bounds, and how the solve went."""

    d: np.ndarray
    y: np.ndarray
    z_lower: np.ndarray
    z_upper: np.ndarray
    violation: float  # Σ violation of rows
    iterations: int
    accurate: bool


class _Sides:
    """The rows as stacked sides: of inequalities first, then equalities; and what prices leave of multipliers.

    A side's multiplier ``λ`` is in ``(0, ν)``, an equality's in ``(−ν, ν)``: with the price ``−b`` of its slack,
    ``b = 0`` for sides and ``−ν`` for equalities, both are ``λ − b > 0`` and ``ν − λ > 0``.
    """

    def __init__(self, q: QuadraticProgram) -> None:
        equal = q.low == q.high
        below, above = np.flatnonzero(np.isfinite(q.low) & ~equal), np.flatnonzero(np.isfinite(q.high) & ~equal)
        same = np.flatnonzero(equal)
        self.row = np.concatenate([below, above, same])
        self.sign = np.concatenate([np.ones(len(below)), -np.ones(len(above)), np.ones(len(same))])
        self.C = self.sign[:, None] * q.A[self.row]
        self.h = self.sign * np.concatenate([q.low[below], q.high[above], q.low[same]])
        self.base = np.where(np.arange(len(self.row)) < len(below) + len(above), 0.0, -q.price)
        self.price = q.price


@dataclass(slots=True, eq=False)
class _Iterate:
    d: np.ndarray
    below: np.ndarray  # d − lower
    above: np.ndarray  # upper − d
    z_lower: np.ndarray
    z_upper: np.ndarray
    multiplier: np.ndarray
    low: np.ndarray  # multiplier − base, kept apart: near zero the difference has no digits
    high: np.ndarray  # price − multiplier
    t: np.ndarray
    p: np.ndarray

    def copy(self) -> _Iterate:
        return _Iterate(*(getattr(self, name).copy() for name in self.__slots__))


def solve_quadratic(q: QuadraticProgram) -> QuadraticSolution:
    """The solution, by Mehrotra's predictor-corrector method.

    The bounds are finite on both sides, and apart (a trust region sees to that).

    >>> one = np.ones(1)
    >>> q = QuadraticProgram(np.eye(1), 0 * one, np.eye(1), 3 * one, np.inf * one, -2 * one, 2 * one, 10.0)
    >>> s = solve_quadratic(q)
    >>> s.d.round(8).tolist(), s.y.round(8).tolist(), round(s.violation, 8)
    ([2.0], [-10.0], 1.0)
    """
    sides = _Sides(q)
    v = _first(q, sides)
    best, best_error, stalled, iterations = v.copy(), np.inf, 0, 0
    scale = max(1.0, float(np.abs(q.g).max(initial=0.0)))
    while iterations < MAX_ITERATIONS:
        iterations += 1
        residuals = _residuals(q, sides, v)
        gap = _gap(v)
        error = max(gap, *(float(np.abs(r).max(initial=0.0)) for r in residuals)) / scale
        if not np.isfinite(error):
            break
        if error < best_error:
            stalled = 0 if error < 0.5 * best_error else stalled + 1
            best, best_error = v.copy(), error
        else:
            stalled += 1
        if error <= GAP or stalled >= (STALLED if best_error <= SMALL else 5 * STALLED):
            break
        if not _advance(q, sides, v, residuals):
            break
    return _solution(q, sides, best, iterations, best_error <= 1e-7)


def _first(q: QuadraticProgram, s: _Sides) -> _Iterate:
    """A start inside: the point nearest to zero that has room on both sides."""
    width = q.upper - q.lower
    d = np.clip(np.zeros_like(q.g), q.lower + 0.1 * width, q.upper - 0.1 * width)
    size = max(1.0, float(np.abs(q.g).max(initial=0.0)))
    z = np.full(len(d), size)
    gap = s.C @ d - s.h
    room = max(1e-2, 0.1 * float(np.abs(gap).max(initial=0.0)))
    multiplier = np.where(s.base < 0.0, 0.0, min(0.5 * q.price, size))
    low, high = multiplier - s.base, s.price - multiplier
    t, p = np.maximum(gap, 0.0) + room, np.maximum(-gap, 0.0) + room
    return _Iterate(d, d - q.lower, q.upper - d, z, z.copy(), multiplier, low, high, t, p)


def _residuals(q: QuadraticProgram, s: _Sides, v: _Iterate) -> tuple[np.ndarray, np.ndarray]:
    dual = q.B @ v.d + q.g - s.C.T @ v.multiplier - v.z_lower + v.z_upper
    return dual, s.C @ v.d - s.h + v.p - v.t


def _gap(v: _Iterate) -> float:
    """Mean of all products."""
    total = v.below @ v.z_lower + v.above @ v.z_upper + v.t @ v.low + v.p @ v.high
    return float(total) / max(2 * (len(v.d) + len(v.t)), 1)


def _advance(q: QuadraticProgram, s: _Sides, v: _Iterate, residuals: tuple[np.ndarray, np.ndarray]) -> bool:
    """One step: predictor, centering by its success, corrector; False where there are no factors."""
    n = len(v.d)
    low, high = v.low, v.high
    K = np.zeros((n + len(s.h),) * 2)
    K[:n, :n] = q.B
    K[np.arange(n), np.arange(n)] += v.z_lower / v.below + v.z_upper / v.above
    K[n:, :n] = s.C
    with np.errstate(all="ignore"):
        K[np.arange(n, len(K)), np.arange(n, len(K))] = -(v.t / low + v.p / high)
        size = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(K)), 1.0))
        scaled = K * size * size[:, None]
    if not np.isfinite(scaled).all():
        return False
    factors, pivots, info = scipy.linalg.lapack.dsytrf(scaled, lower=1)
    if info < 0 or not np.isfinite(factors).all():
        return False
    products = v.below * v.z_lower, v.above * v.z_upper, v.t * low, v.p * high

    def step(targets: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        # elimination of Δz, Δt, Δp from the linearized products, which then are r = target − product
        rl, ru, rt, rp = (a - b for a, b in zip(targets, products, strict=True))
        with np.errstate(all="ignore"):
            b = np.concatenate([-residuals[0] + rl / v.below - ru / v.above, -residuals[1] - rp / high + rt / low])
        x = _refined(K, size, factors, pivots, b)
        dd, dm = x[:n], -x[n:]
        dt, dp = (rt - v.t * dm) / low, (rp + v.p * dm) / high
        return dd, dm, dt, dp, (rl - v.z_lower * dd) / v.below, (ru + v.z_upper * dd) / v.above

    gap = _gap(v)
    affine = step([np.zeros(n), np.zeros(n), np.zeros(len(s.h)), np.zeros(len(s.h))])
    alpha = _length(v, affine, 1.0)
    ahead = v.copy()
    _move(ahead, affine, alpha)
    sigma = min(1.0, max(_gap(ahead), 0.0) / max(gap, 1e-300)) ** 3
    dd, dm, dt, dp, dzl, dzu = affine
    mu = sigma * gap
    corrected = step([mu - dd * dzl, mu + dd * dzu, mu - dt * dm, mu + dp * dm])
    alpha = _length(v, corrected, STEP)
    if alpha < 0.1:  # the corrector spoiled it: center, without it
        mu = max(sigma, 0.3) * gap
        corrected = step([np.full(n, mu), np.full(n, mu), np.full(len(s.h), mu), np.full(len(s.h), mu)])
        alpha = _length(v, corrected, STEP)
    if not np.isfinite(alpha) or alpha <= 0.0:
        return False
    _move(v, corrected, alpha)
    return True


def _refined(K: np.ndarray, size: np.ndarray, factors: np.ndarray, pivots: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The solution with one step of refinement; only the lower triangle of ``K`` is set."""

    def solved(r: np.ndarray) -> np.ndarray:
        return size * scipy.linalg.lapack.dsytrs(factors, pivots, size * r, lower=1)[0]

    with np.errstate(all="ignore"):
        x = solved(b)
        lower = np.tril(K, -1)
        r = b - (lower @ x + lower.T @ x + np.diag(K) * x)
        better = x + solved(r)
    return better if np.isfinite(better).all() else x


def _length(v: _Iterate, step: tuple[np.ndarray, ...], share: float) -> float:
    """The largest step in (0, 1] that keeps everything positive."""
    dd, dm, dt, dp, dzl, dzu = step
    values = np.concatenate([v.below, v.above, v.t, v.p, v.z_lower, v.z_upper, v.low, v.high])
    changes = np.concatenate([dd, -dd, dt, dp, dzl, dzu, dm, -dm])
    with np.errstate(all="ignore"):
        worst = float((changes / values).min(initial=0.0))
    return min(1.0, share / -worst) if worst < 0.0 else (1.0 if worst == 0.0 else np.nan)


def _move(v: _Iterate, step: tuple[np.ndarray, ...], alpha: float) -> None:
    dd, dm, dt, dp, dzl, dzu = (alpha * part for part in step)
    v.d, v.below, v.above = v.d + dd, v.below + dd, v.above - dd
    v.multiplier, v.low, v.high = v.multiplier + dm, v.low + dm, v.high - dm
    v.t, v.p = v.t + dt, v.p + dp
    v.z_lower, v.z_upper = v.z_lower + dzl, v.z_upper + dzu


def _solution(q: QuadraticProgram, s: _Sides, v: _Iterate, count: int, accurate: bool) -> QuadraticSolution:
    d = np.clip(v.d, q.lower, q.upper)
    # a bound whose multiplier outweighs the distance is met exactly
    d = np.where(v.below < np.minimum(1e-9, 1e-3 * v.z_lower), q.lower, d)
    d = np.where(v.above < np.minimum(1e-9, 1e-3 * v.z_upper), q.upper, d)
    y = np.zeros(len(q.low))
    np.add.at(y, s.row, -s.sign * v.multiplier)
    r = q.A @ d
    violation = float(np.maximum(np.maximum(q.low - r, r - q.high), 0.0).sum())
    return QuadraticSolution(d, y, v.z_lower, v.z_upper, violation, count, accurate)
