"""One unknown: look outward from the guess for a change of sign, then Brent's method within it.

The only method here that cannot miss a root it has enclosed. Points are tried on both sides, ever
farther, within the bounds; where the equation stops being finite, the search creeps up to that point. A
change of sign at a pole or a jump is no root: Brent's method ends there with a large residual, and the
search goes on. Brent 1973, *Algorithms for Minimization Without Derivatives*, chapter 4
(``scipy.optimize.brentq``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf, isfinite

import numpy as np
import scipy

from adjoint.errors import Status, UnsupportedError
from adjoint.nonlinear.base import Options, Outcome, System, evaluate, finish, project, start

__all__ = ["solve_bracketing"]

FIRST = 1e-2  # first distance from the guess, relative to it
GROWTH = 1.6
FARTHEST = 1e12  # last distance, in units of the larger of 1 and the guess
HALVINGS = 60  # of the distance to a point where the equation is not finite


def solve_bracketing(system: System, u0: np.ndarray, options: Options | None = None) -> Outcome:
    """Solve one equation in one unknown from `u0`.

    Raises ``UnsupportedError`` for a larger system.
    """
    if system.size != 1:
        raise UnsupportedError(
            f"method 'bracketing' solves one equation in one unknown, and {system.name!r} has {system.size}; "
            "use method='newton'"
        )
    with np.errstate(all="ignore"):
        return _search(system, u0, options or Options())


def _search(system: System, u0: np.ndarray, options: Options) -> Outcome:
    point = start(system, u0)
    history = [point[-1]]
    status = Status.STALLED if point[-1] < inf else Status.NON_FINITE
    calls = 0

    def residual(u: float) -> float:
        nonlocal calls
        calls += 1
        return float(system.residual(np.array([u]))[0])

    if options.tol < point[-1] < inf:
        for a, b, size in _sign_changes(residual, system, float(point[0][0])):
            u = scipy.optimize.brentq(residual, a, b, xtol=1e-300, rtol=1e-15, maxiter=500, disp=False)
            u1 = project(system, np.array([u]))
            there = (u1, *evaluate(system, u1))
            history.append(there[-1])
            # At a pole |r / r'| is small, too, but the residual is larger than at the ends of the interval.
            if there[-1] < point[-1] and abs(there[1][0]) <= size:
                point = there
            if point[-1] <= options.tol:
                break
    return finish(system, point, None, status, calls, history, "bracketing", options)


def _sign_changes(
    residual: Callable[[float], float], system: System, start: float
) -> Iterator[tuple[float, float, float]]:
    """Intervals at whose ends the residual is finite and of opposite sign, the nearest to `start` first.

    Each with the larger size of the residual at its ends.
    """
    lower = -inf if system.lower is None else float(system.lower[0])
    upper = inf if system.upper is None else float(system.upper[0])
    here = residual(start)
    sides = [_walk(residual, start, here, upper, 1.0), _walk(residual, start, here, lower, -1.0)]
    while sides:
        for side in list(sides):
            interval = next(side, None)
            if interval is None:
                sides.remove(side)
            elif interval:
                yield interval


def _walk(
    residual: Callable[[float], float], start: float, here: float, bound: float, direction: float
) -> Iterator[tuple[float, float, float] | tuple[()]]:
    """Step from `start` to `bound`; each step yields the interval passed, if it holds a sign change."""
    limit = min(abs(bound - start), FARTHEST * max(abs(start), 1.0))
    distance = FIRST * (abs(start) or 1.0)
    u, f = start, here
    edge = None  # the nearest point seen where the equation is not finite
    halvings = 0
    while halvings < HALVINGS and abs(u - start) < limit:
        v = start + direction * min(distance, limit) if edge is None else 0.5 * (u + edge)
        g = residual(v)
        if isfinite(g):
            yield (u, v, max(abs(f), abs(g))) if g == 0.0 or (f > 0.0) != (g > 0.0) else ()
            u, f = v, g
            distance *= GROWTH
        else:
            edge = v
            yield ()
        halvings += edge is not None
