"""Powell's dogleg in a trust region, on the naturally scaled residual.

Minimizes ``phi = ||r / s||^2 / 2`` with ``s`` the largest natural magnitudes that were seen: where those of the
iterate fall (an equation loses its derivatives), its residual would count for more at every step, and what one step
gains the next would not know. The region is ``||D d|| <= Delta`` with ``D`` the column norms of the scaled Jacobian,
the largest seen as in MINPACK, relative to the largest. In it the step follows Powell's path: along the steepest
descent to its minimum, then towards the Newton step. This needs the factors of `J` and one product with its transpose,
and no normal equations, so it suits sparse systems. Where `J` is singular, or an unknown is held by a bound,
Levenberg's step with a small damping stands for the Newton step.

Powell 1970, "A hybrid method for nonlinear equations"; Moré, Garbow & Hillstrom 1980, MINPACK's
``hybrj``, whose radii are used here; Nocedal & Wright 2006, *Numerical Optimization*, sections 4.1 and
11.2.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from adjoint.errors import Status
from adjoint.nonlinear.base import (
    Options,
    Outcome,
    SingularMatrix,
    System,
    column_norms,
    evaluate,
    finish,
    levenberg_step,
    nonzero,
    project,
    start,
)

__all__ = ["solve_trust_region"]

FACTOR = 100.0  # first radius, in units of ||D u||
ACCEPT = 1e-4  # share of the predicted decrease that a step must bring
SMALLEST = 1e-14  # radius, in units of ||D u||, below which the search ends
DAMPING = 1e-10  # mu of the step that replaces Newton's where J is singular


def solve_trust_region(system: System, u0: np.ndarray, options: Options | None = None) -> Outcome:
    """Solve ``g(u) = 0`` by Powell's dogleg method from `u0`."""
    with np.errstate(all="ignore"):
        return _iterate(system, u0, options or Options())


def _iterate(system: System, u0: np.ndarray, options: Options) -> Outcome:
    point = start(system, u0)
    history = [point[-1]]
    status = Status.ITERATION_LIMIT if point[-1] < inf else Status.NON_FINITE
    factor, radius, iterations = None, 0.0, 0
    largest, scale = np.zeros(system.size), np.zeros(system.size)
    while point[-1] > options.tol and iterations < options.max_iterations and point[-1] < inf:
        iterations += 1
        u, r, J, s, _ = point
        largest = np.maximum(largest, np.where(s < inf, s, 0.0))
        row = nonzero(largest)
        scale = np.maximum(scale, column_norms(J, row))
        D = scale / scale.max()
        gradient = (J.T @ (r / row**2)) / D
        free = _free(system, u, gradient)
        factor, newton = _newton_step(system, J, r, row, free)
        gradient[~free] = 0.0
        size = float(np.linalg.norm(D * u))
        radius = radius or max(FACTOR * size, float(np.linalg.norm(D * newton)))
        moved, radius = _step(system, point, row, newton, gradient, D, radius, SMALLEST * (size or 1.0))
        if moved is None:
            status = Status.STALLED if factor is not None else Status.SINGULAR
            break
        point = moved
        history.append(point[-1])
    return finish(system, point, factor, status, iterations, history, "trust-region", options, moderate=factor is None)


def _free(system: System, u: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Unknowns that are not at a bound, or that the steepest descent takes off it."""
    free = np.ones(u.size, dtype=bool)
    if system.lower is not None:
        free &= (u > system.lower) | (gradient < 0.0)
    if system.upper is not None:
        free &= (u < system.upper) | (gradient > 0.0)
    return free


def _newton_step(system: System, J: Any, r: np.ndarray, row: np.ndarray, free: np.ndarray) -> tuple[Any, np.ndarray]:
    """The factors of `J` and the Newton step; None and a regularized step where that does not exist, or
    would leave the bounds.
    """
    if free.all():
        try:
            factor = system.factor(J)
            return factor, factor.solve(-r)
        except SingularMatrix:
            pass
    return None, levenberg_step(J, r, row, DAMPING, free)


def _step(
    system: System,
    point: tuple,
    row: np.ndarray,
    newton: np.ndarray,
    gradient: np.ndarray,
    D: np.ndarray,
    radius: float,
    smallest: float,
) -> tuple[tuple | None, float]:
    """An accepted step from `point` and the next radius; None when the radius has become `smallest`."""
    u, r, J, _, _ = point
    scaled = r / row
    phi = scaled @ scaled
    while radius > smallest:
        d = _dogleg(J, row, gradient, newton, D, radius)
        u1 = project(system, u + d)
        d = u1 - u
        there = (u1, *evaluate(system, u1))
        length = float(np.linalg.norm(D * d))
        model = scaled + (J @ d) / row
        actual = phi - np.square(there[1] / row).sum()
        predicted = phi - model @ model
        ratio = actual / predicted if predicted > 0.0 and there[-1] < inf else -1.0
        if not ratio >= 0.25:
            radius = 0.25 * min(length, radius) if 0.0 < length < inf else 0.25 * radius
        elif ratio > 0.75 and length > 0.9 * radius:
            radius *= 2.0
        if ratio >= ACCEPT:
            return there, radius
    return None, radius


def _dogleg(
    J: Any, row: np.ndarray, gradient: np.ndarray, newton: np.ndarray, D: np.ndarray, radius: float
) -> np.ndarray:
    """The point of Powell's path at the distance `radius`; the whole Newton step if that is nearer.

    `gradient` and the path are in the scaled unknowns ``D u``.
    """
    full = D * newton
    if np.linalg.norm(full) <= radius:
        return newton
    slope = float(np.linalg.norm(gradient))
    if slope == 0.0:
        return newton * (radius / np.linalg.norm(full))
    bend = (J @ (gradient / D)) / row
    length = slope**2 / (bend @ bend)  # the minimum along -gradient
    cauchy = -length * gradient
    if not length * slope < radius:
        return -(radius / slope) * gradient / D
    if not np.isfinite(full).all():
        return cauchy / D
    # |cauchy + t (full - cauchy)| = radius, 0 <= t <= 1
    leg = full - cauchy
    a, b, c = leg @ leg, cauchy @ leg, cauchy @ cauchy - radius**2
    t = -c / (b + np.sqrt(b * b - a * c)) if b > 0.0 else (np.sqrt(b * b - a * c) - b) / a
    return (cauchy + t * leg) / D
