"""Gradient descent with a step that adapts: the simplest of inner iterations, with memory for two points only.

The step length doubles after a success and halves while ``f(u − α g) > f(u) − α ‖g‖² / 2``, which for a function with
Lipschitz gradient keeps it above ``1 / (2 L)`` (Nesterov 2004, *Introductory Lectures on Convex Optimization*, 1.2.3).
"""

from __future__ import annotations

from math import inf

import numpy as np

from ..errors import Status
from ..nonlinear import scaled_residual
from .minimize import KEPT, Minimum, Objective, negative_direction

__all__ = ["descend"]

SHORTEST = 1e-18
LOOK = 10  # iterations between two looks at the scaled residual


def descend(objective: Objective, u0: np.ndarray, tol: float, max_iterations: int) -> Minimum:
    """Search a minimum from ``u0`` by projected gradient steps: verified, and refused at a saddle."""
    with np.errstate(all="ignore"):
        u = objective.project(np.array(u0, dtype=float))
        f, g = objective.with_gradient(u)
        alpha = 1.0
        history: list[float] = []
        status, iteration = Status.ITERATION_LIMIT, 0
        s = objective.scale(u, None)
        while True:
            free = objective.free(u, g)
            worst = scaled_residual(np.where(free, g, 0.0), s)
            if worst <= tol or iteration % LOOK == 0:  # the magnitudes are those of another point: look again
                s = objective.scale(u, None)
                worst = scaled_residual(np.where(free, g, 0.0), s)
                if len(history) < KEPT:
                    history.append(worst)
            if not (f < inf and worst < inf):
                status = Status.NON_FINITE if iteration == 0 else Status.DIVERGED
            elif worst <= tol:
                status = Status.SOLVED
            if status is not Status.ITERATION_LIMIT or iteration >= max_iterations:
                break
            found = _step(objective, u, f, g, alpha)
            if found is None:
                status = Status.STALLED
                break
            u, f, g, alpha = found
            iteration += 1
        at = Minimum(u, g, free, None, None, s, worst, iteration, status, history)
        if status is Status.SOLVED and negative_direction(objective, at) is not None:
            at.status, at.escapes = Status.STALLED, 1
        return at


def _step(
    objective: Objective, u: np.ndarray, f: float, g: np.ndarray, alpha: float
) -> tuple[np.ndarray, float, np.ndarray, float] | None:
    """The next point with its value and gradient, and the next step length."""
    noise = 1e-14 * abs(f)
    while alpha > SHORTEST:
        u1 = objective.project(u - alpha * g)
        f1, g1 = objective.with_gradient(u1)
        step = u1 - u
        # Sufficient decrease; near the minimum, where it drowns in rounding, by the gradients instead.
        if f1 <= f + 0.5 * float(g @ step) or (abs(f1 - f) <= noise and abs(step @ (g1 - g)) <= step @ step / alpha):
            return (u1, f1, g1, 2.0 * alpha) if step.any() else None
        alpha *= 0.5
    return None
