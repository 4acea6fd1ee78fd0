"""Ways out of stationary points: along negative curvature, and at random.

A point may satisfy the conditions of first order, of an optimum or of the least violation, and yet be a saddle. It is
one where the Hessian ``W = σ ∇²f + Σ yᵢ ∇²cᵢ`` has a negative eigenvalue in the null space of the rows and bounds that
hold; ``y`` are the multipliers, or those of the least violation with ``σ = 0`` (±1 on violated rows). Along its vector,
made feasible for the rows to second order, the penalty function ``σ f + ν Σ violation`` falls.

References
----------
.. [1] R. Fletcher, "Practical Methods of Optimization", 2nd ed., 1987, section 14.2 (conditions of second order of
       composite functions, of which the violation is one).
.. [2] A. R. Conn, N. I. M. Gould and P. L. Toint, "Trust-Region Methods", 2000, section 11.6 (curvature).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ...errors import EvaluationError
from ..scaled import Point, ScaledProgram, evaluated
from .convex import null_space
from .curvature import dense_hessian
from .quadratic import solve_quadratic
from .subproblem import Subproblem, most_feasible

__all__ = ["below_saddle", "less_violated", "shifted_at_random"]

CURVED = 1e-6  # negative eigenvalue that counts, relative to the largest entry
FALLS = 1e-4  # of the violation, relative; of the penalty function, relative to what the curvature promises
LENGTHS = 1.0, 0.3, 0.1, 0.03, 0.01, 1e-3  # of the steps tried, relative to the variables
NONE = 1e-6  # multipliers of no use
VIOLATED = 0.99  # multipliers of violated rows, whose price is 1


def less_violated(program: ScaledProgram, p: Point, sub: Subproblem) -> Point | None:
    """A point of smaller violation where that is stationary, or None; ``sub`` is the linearization at ``p``."""
    y = most_feasible(sub).y
    y = np.where(np.abs(y) > NONE, y, 0.0)
    held = (program.equality | (y != 0.0)) & (np.abs(y) < VIOLATED)
    return _curved_away(program.without_objective(), p, replace(sub, program=replace(sub.program, price=1.0)), y, held)


def below_saddle(program: ScaledProgram, p: Point, sub: Subproblem, y: np.ndarray) -> Point | None:
    """A point of smaller penalty function where the conditions of first order hold, or None."""
    held = program.equality | (np.abs(y) > NONE * max(1.0, float(np.abs(y).max(initial=0.0))))
    return _curved_away(program, p, sub, y, held)


def _curved_away(program: ScaledProgram, p: Point, sub: Subproblem, y: np.ndarray, held: np.ndarray) -> Point | None:
    if program.hessian_pattern is None:
        return None
    size = np.maximum(1.0, np.abs(p.x))
    r = program.weight * p.g + program.transpose_dot(p.J, y)
    at = ((p.x - program.lower <= 1e-8) & (r > NONE)) | ((program.upper - p.x <= 1e-8) & (r < -NONE))
    _, Z = null_space(np.vstack([sub.program.A[held], np.eye(program.n)[at]]) * size)
    try:
        W = dense_hessian(program, p.x, y) * size * size[:, None]
    except EvaluationError:
        return None
    values, vectors = np.linalg.eigh(Z.T @ W @ Z)
    if not len(values) or values[0] >= -CURVED * float(np.abs(W).max()):
        return None
    v = Z @ vectors[:, 0]
    v /= np.abs(v).max()
    first, price = program.weight * p.f + sub.program.price * sub.violation, sub.program.price
    best, least = None, np.inf
    for x, length in _trials(program, p, sub, size, v):
        try:
            f, c = program.values(x)
            merit = f + price * float(program.violation(c).sum())
            promised = FALLS * max(sub.violation, -0.5 * values[0] * length**2 * (v @ v))
            if merit < min(least, first - promised):
                best, least = x, merit
        except EvaluationError:
            continue
    return None if best is None else evaluated(program, best)


def _trials(
    program: ScaledProgram, p: Point, sub: Subproblem, size: np.ndarray, v: np.ndarray
) -> Iterator[tuple[np.ndarray, float]]:
    """Points along ``±v``, feasible for the linearization, and corrected for the curvature of the rows."""
    for sign in (1.0, -1.0):
        direction = _nearest(sub, sign * v * size, size)
        for length in LENGTHS:
            d = length * direction
            x = np.clip(p.x + d, program.lower, program.upper)
            yield x, length
            try:
                c = program.values(x)[1]
            except EvaluationError:
                continue
            d = _nearest(sub.shifted(c - p.c - sub.program.A @ d), d, size)
            yield np.clip(p.x + d, program.lower, program.upper), length


def _nearest(sub: Subproblem, d: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The step nearest to ``d`` that does not violate the linearization more than it must."""
    B = np.diag(1.0 / size**2)
    price = 1e3 * float(np.abs(B @ d).max(initial=1.0))
    return solve_quadratic(replace(sub.program, B=B, g=-B @ d, price=price)).d


def shifted_at_random(program: ScaledProgram, p: Point, sub: Subproblem, width: float, seed: int) -> Point | None:
    """A point at random near ``p``, within the bounds and feasible to the linearization as far as can be; None where
    there is no value."""
    size = np.maximum(1.0, np.abs(p.x))
    d = program.near(p.x, width, seed) - p.x
    for step in (_nearest(sub, d, size), d):
        if np.abs(step / size).max(initial=0.0) > 1e-3 * width:
            try:
                return evaluated(program, np.clip(p.x + step, program.lower, program.upper))
            except EvaluationError:
                continue
    return None
