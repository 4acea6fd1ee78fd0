"""The loop of the methods that iterate a map ``u <- G(u)``, and see a Jacobian only to verify the answer."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from adjoint.errors import Status, UnsupportedError
from adjoint.nonlinear.base.ends import verify
from adjoint.nonlinear.base.rule import FLOOR, ROUNDING, project
from adjoint.nonlinear.base.system import Options, Outcome, System

__all__ = ["iterate_map", "relative_change", "require_sweep"]

RUNAWAY = 1e10  # growth of the change, over the smallest so far, that is taken for divergence
TIGHTER = 0.1  # a verification that fails is repeated when the change has fallen by this factor


def require_sweep(system: System, u0: np.ndarray, method: str) -> None:
    """Refuse a system that has an implicit equation."""
    if system.sweep(np.array(u0, dtype=float)) is None:
        raise UnsupportedError(
            f"method {method!r} needs every equation in the form z = f(...), and {system.name!r} has an "
            "implicit one; use method='newton'"
        )


def relative_change(change: np.ndarray, u: np.ndarray, image: np.ndarray) -> float:
    """Largest change of an unknown, relative to its magnitude; infinite if anything is NaN."""
    magnitude = np.maximum(np.maximum(np.abs(u), np.abs(image)), FLOOR)
    size = float(np.maximum.reduce(np.abs(change) / magnitude, initial=0.0))
    return size if size == size else inf


def iterate_map(
    system: System,
    u0: np.ndarray,
    options: Options,
    method: str,
    image_of: Callable[[np.ndarray], Any],
    next_iterate: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Outcome:
    """Iterate ``u <- next_iterate(u, G(u))`` until the convergence rule holds.

    ``|G(u) - u|`` relative to ``u`` says when to look: then one ``linearize`` applies the rule itself. If the
    rule does not hold yet, the iteration goes on, and the next look is at a tenth of that change.
    """
    u = project(system, np.array(u0, dtype=float).ravel())
    history: list[float] = []
    look, best = options.tol, inf
    status = Status.ITERATION_LIMIT
    for iteration in range(1, options.max_iterations + 1):
        image = project(system, image_of(u))
        change = relative_change(image - u, u, image)
        history.append(change)
        if not change < inf or change > RUNAWAY * best:
            status = Status.DIVERGED if iteration > 1 else Status.NON_FINITE
            break
        best = min(best, change)
        if change <= look:
            found = verify(system, image, Status.STALLED, iteration, history, method, options)
            if found.success or change <= ROUNDING:
                return found
            look = TIGHTER * change
        u = project(system, next_iterate(u, image))
    return verify(system, u, status, len(history), history, method, options)
