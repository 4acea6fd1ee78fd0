"""Pseudo-transient continuation: ``V du/dt = -g(u)`` to its steady state, with ever longer implicit steps.

Each step is one linearized implicit Euler step, ``(V / delta + J) d = -r``. The step grows as the
residual falls, ``delta <- delta ||r_old|| / ||r_new||`` (switched evolution relaxation), so the method
ends as Newton's, but begins as a cautious walk along the dynamics, and may climb over the hills of the
residual on its way. Kelley & Keyes 1998, "Convergence analysis of pseudo-transient continuation", SIAM J.
Numer. Anal. 35.

``V`` is diagonal. Equation `i` is paired with unknown `i`: ``V_ii`` has the sign of ``J_ii``, so that the
unknown is driven the way its equation asks, and the size of its row, ``sum_j |J_ij|``, so that ``delta``
is a pure number.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from adjoint.errors import Status
from adjoint.nonlinear.base import (
    Options,
    Outcome,
    System,
    evaluate,
    finish,
    natural_scale,
    nonzero,
    project,
    shifted_step,
    start,
    weighted_norm,
)

__all__ = ["solve_pseudo_transient"]

FIRST = 1.0  # delta at the start
GROWTH = 2.0  # at least, when the residual falls: that of a stiff system falls slowly at first
CHANGE = 10.0  # delta changes by at most this factor in a step
SMALLEST, LARGEST = 1e-10, 1e14  # bounds of delta; the search ends below the first


def solve_pseudo_transient(system: System, u0: np.ndarray, options: Options | None = None) -> Outcome:
    """Solve ``g(u) = 0`` by pseudo-transient continuation from `u0`."""
    with np.errstate(all="ignore"):
        return _iterate(system, u0, options or Options())


def _iterate(system: System, u0: np.ndarray, options: Options) -> Outcome:
    point = start(system, u0)
    history = [point[-1]]
    status = Status.ITERATION_LIMIT if point[-1] < inf else Status.NON_FINITE
    delta, iterations = FIRST, 0
    while point[-1] > options.tol and iterations < options.max_iterations and point[-1] < inf:
        iterations += 1
        u, r, J, s, _ = point
        row = nonzero(s)
        mass = _mass(J, u.size)
        while delta >= SMALLEST:
            u1 = project(system, u + shifted_step(J, mass / delta, r))
            there = (u1, *evaluate(system, u1))
            if there[-1] < inf:
                break
            delta *= 0.1
        else:
            status = Status.STALLED
            break
        ratio = weighted_norm(r, row) / weighted_norm(there[1], row)
        if ratio > 1.0:
            ratio = max(ratio, GROWTH)
        delta = min(delta * min(max(ratio, 1.0 / CHANGE), CHANGE), LARGEST)
        if np.array_equal(u1, u):
            status = Status.STALLED
            break
        point = there
        history.append(point[-1])
    return finish(system, point, None, status, iterations, history, "pseudo-transient", options)


def _mass(J: Any, n: int) -> np.ndarray:
    """The diagonal of ``V``."""
    size = natural_scale(J, np.ones(n))
    return np.where(J.diagonal() < 0.0, -size, size)
