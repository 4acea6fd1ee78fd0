"""Newton's full steps for a small dense block that needs nothing else: the fast way, taken only where it is safe.

The chain of methods (``auto``) tries this first. No merit function and no scaling is computed on the way: the
steps alone tell. It ends with an answer only if the steps fall superlinearly, the matrix is regular, and the
convergence rule holds at the end; in every other case it returns None and leaves the block, from its guess, to the
methods that cope with bad starts. Superlinear convergence also shows that the root is simple: to a multiple root
Newton's steps fall by a fixed ratio of at least 1/2 (Griewank & Osborne 1983, SIAM J. Numer. Anal. 20, 747).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np

from adjoint.errors import Status
from adjoint.nonlinear.base import (
    FLOOR,
    SINGULAR_RCOND,
    Attempt,
    Options,
    Outcome,
    SingularMatrix,
    System,
    natural_scale,
    scaled_residual,
)

__all__ = ["solve_direct"]

FLOOR_SQUARED = FLOOR**2
LARGEST = 40  # unknowns; beyond, the overhead of the general method no longer shows
STEPS = 12
CLOSE = 1e-18  # square of a relative step after which the next would be below rounding
GONE = 1e-30  # square of a residual beside that of the first: nothing is left of it
RATE = 1e-2  # square of the share of the step before it that the last may be
GROWTH = 4.0  # square of the growth from one step to the next


class History(Sequence[float]):
    """Largest scaled residual at each iterate, computed when looked at."""

    def __init__(self, residuals: list[np.ndarray], scale: np.ndarray) -> None:
        self.residuals, self.scale = residuals, scale

    def __len__(self) -> int:
        return len(self.residuals)

    def __getitem__(self, k: Any) -> Any:
        return [scaled_residual(r, self.scale) for r in self.residuals][k]


def solve_direct(system: System, u0: np.ndarray, options: Options) -> Outcome | None:
    """Solve ``g(u) = 0`` by full Newton steps from `u0`, or return None where that does not work at once."""
    u, first, square, residuals = u0, -1.0, inf, []
    factor, step, before = None, inf, inf
    try:
        for iterations in range(min(STEPS, options.max_iterations) + 1):  # noqa: B007
            r, J = system.linearize(u)
            last, square = square, float(r @ r)
            residuals.append(r)
            if not square <= last or type(J) is not np.ndarray:
                return None  # also where it is NaN
            if step <= CLOSE or square <= GONE * first:
                break
            if first < 0.0:
                first = square
            factor = system.factor(J)
            d = factor.solve(r)
            before, step = step, float(d @ d) / max(float(u @ u), FLOOR_SQUARED)
            if not step <= GROWTH * before:
                return None
            u = u - d
        else:
            return None
    except SingularMatrix:
        return None
    gone = square <= GONE * first
    if factor is None or not (gone or step <= RATE * before) or not factor.rcond() >= SINGULAR_RCOND:
        return None
    s = natural_scale(J, u)
    worst = scaled_residual(r, s)
    if not worst <= options.tol:
        return None
    attempt = Attempt("newton", Status.SOLVED, worst, iterations)
    simple = iterations > 1 or gone
    history: Any = History(residuals, s)
    return Outcome(u, r, J, factor, s, worst, iterations, Status.SOLVED, history, "newton", (attempt,), simple)
