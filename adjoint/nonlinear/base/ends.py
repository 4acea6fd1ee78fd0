"""How every method begins, and how it ends: polished, and judged by the rule alone.

One thing the convergence rule does not see. Equations that contradict each other (``x + y = 1``, ``x + y = 2``)
are satisfied to any relative tolerance by unknowns that are large enough, and the factors of their singular
matrix, with a pivot of rounding errors, throw the unknowns there in one step. So where `J` is singular to working
precision, the rule counts only if the residual is exactly zero, or if the method is known to have come there by
steps that stay moderate.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from adjoint.errors import Status
from adjoint.nonlinear.base.rank import SINGULAR_RCOND, best_rcond
from adjoint.nonlinear.base.rule import ROUNDING, evaluate, project
from adjoint.nonlinear.base.system import Factorization, Options, Outcome, SingularMatrix, System

__all__ = ["finish", "start", "verify"]

NUDGE = 1e-4  # how far a guess is moved off a point where its Jacobian is infinite, such as sqrt at 0


def start(system: System, u0: np.ndarray) -> tuple[np.ndarray, np.ndarray, Any, np.ndarray, float]:
    """The first iterate, within the bounds, and all that is known there.

    Where the equations are finite but some derivatives are not (``sqrt(u)`` at a guess of 0), the unknowns in
    question are moved a little; a guess outside the domain of the equations is left as it is.
    """
    u = project(system, np.array(u0, dtype=float).ravel())
    r, J, s, worst = evaluate(system, u)
    if not worst < inf and np.isfinite(r).all():
        for step in (NUDGE, -NUDGE):
            moved = u.copy()
            bad = _columns_not_finite(J)
            moved[bad] += step * np.maximum(np.abs(u[bad]), 1.0)
            moved = project(system, moved)
            there = evaluate(system, moved)
            if there[-1] < inf:
                return moved, *there
    return u, r, J, s, worst


def _columns_not_finite(J: Any) -> np.ndarray:
    """Indices of the columns of `J` with a NaN or an infinity."""
    if isinstance(J, np.ndarray):
        return np.flatnonzero(~np.isfinite(J).all(axis=0))
    column = np.repeat(np.arange(J.shape[1]), np.diff(J.indptr))
    return np.unique(column[~np.isfinite(J.data)])


def finish(
    system: System,
    point: tuple,
    factor: Factorization | None,
    status: Status,
    iterations: int,
    history: list[float],
    method: str,
    options: Options,
    moderate: bool = False,
) -> Outcome:
    """The outcome of a method that ends at `point` ``(u, r, J, s, worst)``: solved only if the rule holds there.

    Parameters
    ----------
    factor : Factorization or None
        Factors of the Jacobian at `point`, or at the iterate before it; made here where the rule holds.
    status : Status
        Why the method stopped, for the case that the rule does not hold.
    moderate : bool
        The method did not step with the factors of a singular matrix.
    """
    if point[-1] <= options.tol:
        status = Status.SOLVED
        if factor is None:
            try:
                factor = system.factor(point[2])
            except SingularMatrix:
                pass
        if factor is not None and best_rcond(factor, point[0], point[3]) >= SINGULAR_RCOND:
            point = _polish(system, point, factor, options.polish)
        elif not moderate and point[1].any():
            status = Status.SINGULAR
    u, r, J, s, worst = point
    return Outcome(u, r, J, factor, s, worst, iterations, status, history, method)


def _polish(system: System, point: tuple, factor: Factorization, steps: int) -> tuple:
    """Chord steps from a solved `point` while the residual drops.

    They bring an answer that was met with ``tol`` to rounding level, for one linear solve each.
    """
    for _ in range(steps):
        if point[-1] <= ROUNDING:
            break
        u = project(system, point[0] - factor.solve(point[1]))
        there = (u, *evaluate(system, u))
        if not there[-1] < point[-1]:
            break
        point = there
    return point


def verify(
    system: System,
    u: np.ndarray,
    status: Status,
    iterations: int,
    history: list[float],
    method: str,
    options: Options,
) -> Outcome:
    """The outcome of a method that works without a Jacobian: one ``linearize`` applies the rule at `u`."""
    r, J, s, worst = evaluate(system, u)
    if worst <= options.tol:
        status = Status.SOLVED
    return Outcome(u, r, J, None, s, worst, iterations, status, [*history, worst], method)
