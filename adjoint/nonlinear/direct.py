"""Newton's full steps for a small dense block that needs nothing else: the fast way, taken only where it is safe.

The chain of methods (``auto``) tries this first. No merit function and no scaling is computed on the way: the
steps alone tell. It ends with an answer only if the steps fall superlinearly, the matrix is regular, and the
convergence rule holds at the end; in every other case it returns None and leaves the block, from its guess, to the
methods that cope with bad starts. Superlinear convergence also shows that the root is simple: to a multiple root
Newton's steps fall by a fixed ratio of at least 1/2 (Griewank & Osborne 1983, SIAM J. Numer. Anal. 20, 747).
"""

from __future__ import annotations

from math import inf

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

LARGEST = 40  # unknowns; beyond, the overhead of the general method no longer shows
STEPS = 12
CLOSE = 1e-9  # relative step after which the next would be below rounding
GONE = 1e-30  # square of a residual beside that of the first: nothing is left of it
RATE = 0.1  # a step may be this share of the one before it, at the end
GROWTH = 2.0  # a step may be so much longer than the one before it


def solve_direct(system: System, u0: np.ndarray, options: Options) -> Outcome | None:
    """Solve ``g(u) = 0`` by full Newton steps from `u0`, or return None where that does not work at once."""
    u, squares, residuals = u0, [inf], []
    factor, step, before = None, inf, inf
    try:
        for iterations in range(min(STEPS, options.max_iterations) + 1):  # noqa: B007
            r, J = system.linearize(u)
            squares.append(float(r @ r))
            residuals.append(r)
            if not squares[-1] <= squares[-2] or not isinstance(J, np.ndarray):
                return None  # also where it is NaN
            if step <= CLOSE or squares[-1] <= GONE * squares[1]:
                break
            factor = system.factor(J)
            d = factor.solve(r)
            before, step = step, float(np.maximum.reduce(np.abs(d) / np.maximum(np.abs(u), FLOOR)))
            if not step <= GROWTH * before:
                return None
            u = u - d
        else:
            return None
    except SingularMatrix:
        return None
    if factor is None or not factor.rcond() >= SINGULAR_RCOND:
        return None
    s = natural_scale(J, u)
    worst = scaled_residual(r, s)
    if not worst <= options.tol or not (step <= RATE * before or squares[-1] <= GONE * squares[1]):
        return None
    history = np.maximum.reduce(np.abs(residuals) / s, axis=1).tolist()
    simple = iterations > 1 or squares[-1] <= GONE * squares[1]
    attempt = Attempt("newton", Status.SOLVED, worst, iterations)
    return Outcome(u, r, J, factor, s, worst, iterations, Status.SOLVED, history, "newton", (attempt,), simple)
