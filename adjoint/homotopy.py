"""Homotopy in the inputs: follow the solution from inputs where the program is easy to solve to those wanted.

Inputs move on a straight line, ``x(t) = (1 − t) x₀ + t x₁``; every point starts from the solution of the last, the
step in t halves where a solve fails and doubles where it succeeds (Allgower & Georg 1990, chapter 1, natural
parameter continuation).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .blocks import Values
from .errors import ConvergenceError, EvaluationError
from .nonlinear import Options
from .plan import Plan
from .solve import State, forward, input_values

__all__ = ["solve_by_homotopy"]

SMALLEST_STEP = 1e-5


def solve_by_homotopy(
    plan: Plan,
    given: Mapping[str, Any],
    easy: Mapping[str, Any],
    options: Options,
    methods: Mapping[str, str] | None,
    start: Values | None,
) -> State:
    """The state at the inputs ``given``, reached from the inputs ``easy``."""
    target = input_values(plan, given)
    origin = input_values(plan, {**given, **easy})
    state = forward(plan, dict(origin), options, methods, start)
    t, step = 0.0, 1.0
    while t < 1.0:
        trial = min(1.0, t + step)
        values = {v: target[v] if trial == 1.0 else (1 - trial) * origin[v] + trial * target[v] for v in target}
        try:
            state = forward(plan, values, options, methods, state.values, warn_singular=trial == 1.0)
        except (ConvergenceError, EvaluationError) as error:
            step *= 0.5
            if step < SMALLEST_STEP:
                if isinstance(error, ConvergenceError):
                    error.args = (
                        f"homotopy stopped at t = {t:.6g} of 1: the solution may turn back (a fold) there.\n{error}",
                    )
                raise
            continue
        t, step = trial, 2.0 * step
    return state
