"""Newton's method on the optimality conditions of the rows and bounds that the multipliers call active.

References
----------
.. [1] E. G. Birgin and J. M. Martínez, "Improving ultimate convergence of an augmented Lagrangian method", Optim.
       Methods Softw. 23, 2008, pp. 177-195.
"""

from __future__ import annotations

import numpy as np

from ...errors import EvaluationError
from ..scaled import Errors, Point, ScaledProgram, errors, evaluated
from .newton import FactoredNewton

__all__ = ["polished"]

STEPS = 8
COMPLIANCE = 1e-12  # of rows that depend on each other
DELTA = 1e-12
NEAR = 1e-4  # distance at which a bound that the gradient pushes to is met


def polished(
    program: ScaledProgram, newton: FactoredNewton, p: Point, y: np.ndarray, tol: float
) -> tuple[Point, np.ndarray, Errors] | None:
    """The point and multipliers that Newton's method reaches, if their errors are smaller; else None."""
    first = best = errors(program, p, y)
    kept = None
    y = y.copy()
    try:
        for _ in range(STEPS):
            found = _step(program, newton, p, y)
            if found is None:
                break
            p, y = found
            e = errors(program, p, y)
            if e.total >= best.total and kept is not None:
                break
            if e.total < best.total:
                best, kept = e, (p, y, e)
            if e.total <= 1e-2 * tol or e.total > 1e2 * max(first.total, tol):
                break
    except EvaluationError:
        pass
    return kept


def _step(program: ScaledProgram, newton: FactoredNewton, p: Point, y: np.ndarray) -> tuple[Point, np.ndarray] | None:
    n = program.n
    r = p.g + program.transpose_dot(p.J, y)
    at_lower, at_upper = (p.x - program.lower <= NEAR) & (r > 0.0), (program.upper - p.x <= NEAR) & (r < 0.0)
    # a bound is active where the multiplier outweighs the distance
    at_lower &= p.x - program.lower <= r
    at_upper &= program.upper - p.x <= -r
    free = ~(at_lower | at_upper)
    binding = program.equality | (y != 0.0)
    to_bound = np.where(at_lower, program.lower - p.x, np.where(at_upper, program.upper - p.x, 0.0))
    side = np.where(program.equality | (y < 0.0), program.row_lower, program.row_upper)
    with np.errstate(invalid="ignore"):
        gap = np.where(binding, side - p.c, 0.0)
    if not np.isfinite(gap).all():
        return None
    rows, cols = program.jacobian_pattern
    if np.any(to_bound):
        gap = gap - np.where(binding, np.bincount(rows, p.J * to_bound[cols], program.m), 0.0)
    H = program.hessian(p.x, y)
    right = np.concatenate([np.where(free, -r, 0.0), gap])
    for delta in (0.0, DELTA):
        x = newton.solve(H, p.J, free, binding, COMPLIANCE if delta else 1e-16, delta, right)
        if x is not None:
            break
    else:
        return None
    new_y = np.where(binding, y + x[n:], 0.0)
    # rows whose multiplier changes its sign let go
    new_y = np.where(~program.equality & (new_y * y < 0.0), 0.0, new_y)
    new = np.clip(p.x + np.where(free, x[:n], to_bound), program.lower, program.upper)
    return evaluated(program, new), new_y
