"""Ways out of stationary points of the violation, which may be saddles: along negative curvature, and at random.

The violation of the rows has a minimum to first order where the linearized rows cannot be met better. It is none where
the Hessian ``W = Σ yᵢ ∇²cᵢ``, with the multipliers ``y`` of the least violation (±1 on violated rows), has a negative
eigenvalue in the null space of the rows and bounds that hold: along its vector, made feasible for the linearization,
the violation falls.

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

__all__ = ["curved_away", "shifted_at_random"]

CURVED = 1e-6  # negative eigenvalue that counts, relative to the largest entry
FALLS = 1e-4  # of the violation, relative, at least
LENGTHS = 1.0, 0.3, 0.1, 0.03, 0.01, 1e-3  # of the steps tried
HELD = 1e-6, 0.99  # multipliers of rows that hold, between the one of no use and the one of violated rows


def curved_away(program: ScaledProgram, p: Point, sub: Subproblem) -> Point | None:
    """A point of smaller violation along negative curvature, or None; ``sub`` is the linearization at ``p``."""
    if program.hessian_pattern is None:
        return None
    size = np.maximum(1.0, np.abs(p.x))
    least = most_feasible(sub)
    y = np.where(np.abs(least.y) > HELD[0], least.y, 0.0)
    try:
        W = dense_hessian(program, p.x, y, 0.0) * size * size[:, None]
    except EvaluationError:
        return None
    r = program.transpose_dot(p.J, y)
    at = ((p.x - program.lower <= 1e-8) & (r > HELD[0])) | ((program.upper - p.x <= 1e-8) & (r < -HELD[0]))
    held = (program.equality | (y != 0.0)) & (np.abs(y) < HELD[1])
    _, Z = null_space(np.vstack([sub.program.A[held], np.eye(program.n)[at]]) * size)
    values, vectors = np.linalg.eigh(Z.T @ W @ Z)
    if not len(values) or values[0] >= -CURVED * float(np.abs(W).max()):
        return None
    best, best_violation = None, (1.0 - FALLS) * sub.violation
    v = Z @ vectors[:, 0]
    for x in _trials(program, p, sub, size, v / np.abs(v).max()):
        try:
            f, c = program.values(x)
            violation = float(program.violation(c).sum())
            if violation < best_violation:
                best, best_violation = Point(x, f, c, *program.derivatives(x)), violation
        except EvaluationError:
            continue
    return best


def _trials(program: ScaledProgram, p: Point, sub: Subproblem, size: np.ndarray, v: np.ndarray) -> Iterator[np.ndarray]:
    for sign in (1.0, -1.0):
        d = _feasible_direction(sub, sign * v * size, size)
        for length in LENGTHS:
            yield np.clip(p.x + length * d, program.lower, program.upper)


def _feasible_direction(sub: Subproblem, d: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The step nearest to ``d`` that does not violate the linearization more than it must."""
    B = np.diag(1.0 / size**2)
    price = 1e3 * float(np.abs(B @ d).max(initial=1.0))
    return solve_quadratic(replace(sub.program, B=B, g=-B @ d, price=price)).d


def shifted_at_random(program: ScaledProgram, p: Point, sub: Subproblem, width: float, seed: int) -> Point | None:
    """A point at random near ``p``, within the bounds and feasible to the linearization as far as can be; None where
    there is no value."""
    size = np.maximum(1.0, np.abs(p.x))
    low, high = np.maximum(program.lower, p.x - width * size), np.minimum(program.upper, p.x + width * size)
    d = np.random.default_rng(seed).uniform(low, high) - p.x
    for step in (_feasible_direction(sub, d, size), d):
        if np.abs(step / size).max(initial=0.0) > 1e-3 * width:
            try:
                return evaluated(program, np.clip(p.x + step, program.lower, program.upper))
            except EvaluationError:
                continue
    return None
