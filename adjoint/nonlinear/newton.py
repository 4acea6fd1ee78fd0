"""Newton's method with a line search, bounds, and a step length of its own for each connected component.

The step ``d`` solves ``J d = -r``. The full step is tried first and through ``linearize``, so a
well-behaved solve costs one linearize, one factorization and one linear solve per iteration; only a step
that has to be shortened asks for residuals alone (``base/line_search.py``). A residual that is NaN or
infinite shortens the step. Where `J` is singular, or no length of the Newton step helps, Levenberg's step
takes its place.

Dennis & Schnabel 1983, *Numerical Methods for Unconstrained Optimization and Nonlinear Equations*,
chapter 6.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from adjoint.errors import Status
from adjoint.nonlinear.base import (
    SINGULAR_RCOND,
    SUFFICIENT,
    Factorization,
    Options,
    Outcome,
    Parts,
    SingularMatrix,
    System,
    backtrack,
    best_rcond,
    evaluate,
    finish,
    is_fold,
    levenberg_step,
    natural_scale,
    nonzero,
    project,
    scaled_residual,
    start,
)

__all__ = ["solve_newton"]

DAMPING = (1e-6, 1e-3, 1.0)  # mu of the Levenberg steps, tried in order
SLOW = 0.99  # an iteration that leaves more of the residual norm than this is slow;
PATIENCE = 20  # so many of them in a row are a stall
KICK = 1e-2  # relative change of a guess at which the Jacobian is singular and no step helps
KICKS = 2
FAR = 1e8  # growth of the unknowns that is not moderate
RETREATS = 40  # halvings of an accepted step that ends where a derivative is infinite


def solve_newton(system: System, u0: np.ndarray, options: Options | None = None) -> Outcome:
    """Solve ``g(u) = 0`` by Newton's method from `u0`.

    A numerical failure is told by ``status`` of the outcome, never by an exception.
    """
    with np.errstate(all="ignore"):
        return _iterate(system, u0, options or Options())


def _iterate(system: System, u0: np.ndarray, options: Options) -> Outcome:
    tol, many, bounded = options.tol, system.components is not None, _is_bounded(system)
    parts = Parts(system)
    point = start(system, u0)
    u, r, J, s, worst = point
    history = [worst]
    factor = None
    status = Status.ITERATION_LIMIT if worst < inf else Status.NON_FINITE
    iterations = slow = kicks = 0
    wary = False  # a matrix was singular to working precision
    while worst > tol and iterations < options.max_iterations and status is Status.ITERATION_LIMIT:
        iterations += 1
        if many:
            parts.mark_done(r, s, tol)
        d, accepted = None, False
        factor = _factor(system, J, u, s, wary)
        if factor is not None:
            d = factor.solve(-r)
            if many:
                d = parts.hold(d)
            u1 = project(system, u + d) if bounded else u + d
            r1, J1 = system.linearize(u1)
            s1 = natural_scale(J1, u1)
            worst1 = scaled_residual(r1, s1)
            shrink = parts.shrinkage(r, r1, s)
            accepted = worst1 <= tol or (worst1 < inf and shrink <= 1.0 - SUFFICIENT)
            if worst1 <= tol and best_rcond(factor, u, s) < SINGULAR_RCOND:
                wary, accepted, d = True, False, None
        if accepted:
            point = (u1, r1, J1, s1, worst1)
        else:
            u1 = None if d is None else backtrack(system, parts, u, d, r, s, r1)
            if u1 is None:
                u1 = _regularized_point(system, parts, u, J, r, s, d)
            if u1 is None:
                singular = d is None or factor is None or best_rcond(factor, u, s) < SINGULAR_RCOND
                if not singular or kicks == KICKS:
                    status = Status.SINGULAR if singular else Status.STALLED
                    break
                kicks += 1
                u1 = project(system, u + kicks * KICK * np.maximum(np.abs(u), 1.0))
            point = _inside(system, u, u1)
            shrink = parts.shrinkage(r, point[1], nonzero(s))
        slow = 0 if shrink < SLOW else slow + 1
        u, r, J, s, worst = point
        history.append(worst)
        if slow >= PATIENCE or not worst < inf:
            status = Status.STALLED
    if worst > tol and status in (Status.STALLED, Status.ITERATION_LIMIT):
        status = _explain(system, point, factor, status)
    # The steps here are regularized where J is singular; only those before that was seen may have gone far.
    moderate = bool(np.abs(u).max(initial=0.0) <= FAR * max(1.0, np.abs(u0).max(initial=0.0)))
    return finish(system, point, factor, status, iterations, history, "newton", options, moderate)


def _factor(system: System, J: Any, u: np.ndarray, s: np.ndarray, wary: bool) -> Factorization | None:
    """The factors of `J`; None if it is singular, if `wary` to working precision."""
    try:
        factor = system.factor(J)
    except SingularMatrix:
        return None
    return None if wary and best_rcond(factor, u, s) < SINGULAR_RCOND else factor


def _is_bounded(system: System) -> bool:
    return system.lower is not None or system.upper is not None


def _inside(system: System, u: np.ndarray, u1: np.ndarray) -> tuple:
    """`u1` and all that is known there; nearer to `u` if a derivative is infinite at `u1` (``sqrt`` at 0)."""
    for _ in range(RETREATS):
        r, J, s, worst = evaluate(system, u1)
        if worst < inf:
            break
        u1 = 0.5 * (u + u1)
    return u1, r, J, s, worst


def _regularized_point(
    system: System, parts: Parts, u: np.ndarray, J: Any, r: np.ndarray, s: np.ndarray, d: np.ndarray | None
) -> np.ndarray | None:
    """The end of a Levenberg step that reduces the residual; None if there is none.

    Unknowns that are at a bound, and that the Newton step `d` would drive over it, are kept there.
    """
    s = nonzero(s)
    phi0 = parts.merit(r, s)
    for mu in DAMPING:
        step = levenberg_step(J, r, s, mu)
        free = ~_blocked(system, u, step if d is None else d)
        if not free.all():
            step = levenberg_step(J, r, s, mu, free)
        step = parts.hold(step)
        # phi'(0) = 2 (r / s) . (J step / s) = -2 share phi(0)
        drop = -(r / s) * ((J @ step) / s)
        drop = np.array([drop.sum()]) if parts.label is None else np.bincount(parts.label, drop, parts.count)
        point = project(system, u + step)
        share = np.where(phi0 > 0.0, drop / phi0, 0.0)
        found = backtrack(system, parts, u, step, r, s, system.residual(point), share)
        if found is not None:
            return found
    return None


def _blocked(system: System, u: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Unknowns at a bound that the step `d` would leave."""
    blocked = np.zeros(u.size, dtype=bool)
    if system.lower is not None:
        blocked |= (u <= system.lower) & (d < 0.0)
    if system.upper is not None:
        blocked |= (u >= system.upper) & (d > 0.0)
    return blocked


def _explain(system: System, point: tuple, factor: Factorization | None, status: Status) -> Status:
    """`status`, or what is behind it: a singular matrix; a fold, that no step can come closer to; a bound."""
    u, r, J, s, _ = point
    singular = factor is not None and best_rcond(factor, u, s) < SINGULAR_RCOND
    if singular or is_fold(system, u, r, J, s)[0]:
        return Status.SINGULAR
    below = system.lower is not None and (u <= system.lower).any()
    above = system.upper is not None and (u >= system.upper).any()
    return Status.AT_BOUND if status is Status.STALLED and (below or above) else status
