"""Minimizations of the augmented Lagrangian one after another: the method of multipliers, and penalties alone.

    v ← argmin L_c(v, y),     y ← y + c h(v)        (Hestenes 1969; Powell 1969)

With ``y = 0`` throughout, and c growing, the minimizers approach the solution by O(1/c), and ``c h(v)`` the
multipliers.
"""

from __future__ import annotations

import numpy as np
import scipy

from ...errors import EvaluationError
from ..first_order import GradientDescentOptions, search_descend
from .field import SaddleField
from .flows import SaddlePoint, Told, Watch
from .options import MultiplierOptions, PenaltyOptions

__all__ = ["method_of_multipliers", "penalty_continuation"]

ENOUGH = 0.25  # of the last violation: what it must have come down to, else the penalty grows
ACCEPTABLE = 1e3  # times the tolerance
POLISH = 50  # steps of gradient descent after L-BFGS-B


def method_of_multipliers(
    program: SaddleField, v: np.ndarray, y: np.ndarray, options: MultiplierOptions, told: Told | None
) -> SaddlePoint:
    """Hestenes' and Powell's method, with L-BFGS-B inside."""
    watch, c, before = Watch(program, options, told), options.penalty, np.inf
    while True:
        v = _minimized(program, v, y, c, options)
        h = program.violation(v)
        y = y + c * h
        end = watch.ended(v, y, program.gradient(v, y), c)
        if end is not None:
            return _accepted(end, options.tol)
        size = float(np.abs(h).max(initial=0.0))
        if size > max(ENOUGH * before, options.tol):
            if c >= options.max_penalty:
                end = watch.end(v, y, "failed", f"the largest penalty (max_penalty) leaves a violation of {size:.2g}")
                return _accepted(end, options.tol)
            c = min(c * options.growth, options.max_penalty)
        before = size


def penalty_continuation(
    program: SaddleField, v: np.ndarray, y: np.ndarray, options: PenaltyOptions, told: Told | None
) -> SaddlePoint:
    """Minimizations of ``f + ½ c ‖h‖²`` with growing penalties; the multipliers are ``c h``."""
    watch, c, none = Watch(program, options, told), options.penalty, np.zeros_like(y)
    while True:
        v = _minimized(program, v, none, c, options)
        h = program.violation(v)
        end = watch.ended(v, c * h, program.gradient(v, c * h), c)
        if end is not None:
            return _accepted(end, options.tol)
        if c >= options.max_penalty:
            size = float(np.abs(h).max(initial=0.0))
            end = watch.end(
                v, c * h, "iteration_limit", f"the largest penalty (max_penalty) leaves a violation of {size:.2g}"
            )
            return _accepted(end, options.tol)
        c = min(c * options.growth, options.max_penalty)


def _accepted(end: SaddlePoint, tol: float) -> SaddlePoint:
    """Acceptable, where little is missing to the tolerance: rounding in large penalties."""
    if end.status in ("failed", "iteration_limit") and end.history[-1].residual <= ACCEPTABLE * tol:
        end.status = "acceptable"
        end.message = f"the gradient of the Lagrangian is {end.history[-1].residual:.2g}; {end.message}"
    return end


def _minimized(program: SaddleField, v: np.ndarray, y: np.ndarray, c: float, options: MultiplierOptions) -> np.ndarray:
    """argmin over v of L_c, within the bounds."""

    def both(at: np.ndarray) -> tuple[float, np.ndarray]:
        try:
            return program.value(at, y, c), program.gradient(at, y, c).v
        except EvaluationError:
            if np.array_equal(at, v):
                raise
            return 1e300, np.zeros_like(at)  # the line search steps back

    bounds, tol = scipy.optimize.Bounds(program.lower, program.upper), 0.1 * options.tol
    limits = {"maxiter": options.inner_iter, "maxfun": 10 * options.inner_iter, "maxcor": 20, "ftol": 0.0, "gtol": tol}
    found = scipy.optimize.minimize(both, v, jac=True, method="L-BFGS-B", bounds=bounds, options=limits)
    v = program.projected(np.asarray(found.x))
    # Its line search ends where rounding hides the decrease; steps that look at gradients go further.
    polish = GradientDescentOptions(tol=tol, max_iter=POLISH)
    sides = program.lower, program.upper
    return search_descend(lambda at: both(at)[0], lambda at: both(at)[1], v, sides, polish, None).x
