"""Newton's method damped by the natural monotonicity test: affine invariant, without a merit function.

Deuflhard 2004, *Newton Methods for Nonlinear Problems*, section 3.3, algorithm NLEQ-ERR. Whether a step
of length ``lambda`` is good is judged by the *simplified* correction ``J(u_k) dbar = -r(u_{k+1})``, which
must be shorter than the correction ``d_k`` itself. That test does not change when the equations are
combined into others (``A g = 0``), so it is not misled by a residual in which one badly scaled equation
hides the progress in the rest. Step lengths come from an estimate of the Lipschitz constant of the
Jacobian, before and after each trial.
"""

from __future__ import annotations

from math import inf

import numpy as np

from adjoint.errors import Status
from adjoint.nonlinear.base import (
    FLOOR,
    Options,
    Outcome,
    SingularMatrix,
    System,
    evaluate,
    finish,
    project,
    start,
    weighted_norm,
)

__all__ = ["solve_newton_natural"]

SHORTEST = 1e-10  # lambda_min
FIRST = 1.0  # lambda_0
BLIND = 0.2  # factor of lambda after a NaN or an infinity
RESTRICTED = 0.25  # restricted monotonicity test: theta <= 1 - lambda / 4
RAISE = 4.0  # a step that turns out so many times too cautious is tried again, longer


def solve_newton_natural(system: System, u0: np.ndarray, options: Options | None = None) -> Outcome:
    """Solve ``g(u) = 0`` by the affine-invariant damped Newton method from `u0`."""
    with np.errstate(all="ignore"):
        return _iterate(system, u0, options or Options())


def _iterate(system: System, u0: np.ndarray, options: Options) -> Outcome:
    point = start(system, u0)
    history = [point[-1]]
    status = Status.ITERATION_LIMIT if point[-1] < inf else Status.NON_FINITE
    factor, previous, iterations = None, None, 0
    while point[-1] > options.tol and iterations < options.max_iterations and point[-1] < inf:
        iterations += 1
        u, r, J = point[:3]
        try:
            factor = system.factor(J)
        except SingularMatrix:
            factor, status = None, Status.SINGULAR
            break
        d = factor.solve(-r)
        weights = np.maximum(np.maximum(np.abs(u), np.abs(d)), FLOOR)
        u1, previous = _damped(system, u, d, weights, factor, _predicted(d, weights, previous))
        if u1 is None:
            status = Status.STALLED
            break
        point = (u1, *evaluate(system, u1))
        history.append(point[-1])
    if iterations and not point[-1] < inf:
        status = Status.STALLED
    return finish(system, point, factor, status, iterations, history, "newton-natural", options)


def _predicted(d: np.ndarray, weights: np.ndarray, previous: tuple | None) -> float:
    """A priori step length: from the last correction, its simplified successor, and the new correction."""
    if previous is None:
        return FIRST
    d_last, simplified, length = previous
    difference = weighted_norm(simplified - d, weights) * weighted_norm(d, weights)
    if not difference > 0.0:
        return 1.0
    return min(1.0, length * weighted_norm(d_last, weights) * weighted_norm(simplified, weights) / difference)


def _damped(
    system: System, u: np.ndarray, d: np.ndarray, weights: np.ndarray, factor, length: float
) -> tuple[np.ndarray | None, tuple | None]:
    """A point ``u + lambda d`` that passes the natural monotonicity test, and what the prediction needs."""
    norm = weighted_norm(d, weights)
    length = max(length, SHORTEST)
    raised = False
    while length >= SHORTEST:
        u1 = project(system, u + length * d)
        r1 = system.residual(u1)
        if not np.isfinite(r1).all():
            length *= BLIND
            raised = True
            continue
        simplified = factor.solve(-r1)
        size = weighted_norm(simplified, weights)
        # A posteriori estimate of the step length that the curvature allows.
        bend = weighted_norm(simplified - (1.0 - length) * d, weights)
        allowed = 0.5 * norm * length * length / bend if bend > 0.0 else inf
        if not size <= (1.0 - RESTRICTED * length) * norm:
            # The estimate is far too pessimistic where an exponential overflows: bounded from below.
            length *= float(np.clip(allowed / length, 0.1, 0.5))
            raised = True
        elif not raised and length < 1.0 and min(1.0, allowed) >= RAISE * length:
            length = min(1.0, allowed)
        else:
            return u1, (d, simplified, length)
    return None, None
