"""From the last point to the outcome: unscaled, complete, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import EvaluationError
from ..nlp import NonlinearProgram
from ..outcome import NLPOutcome, crossed_bounds, words, worst
from .optimality import Point, evaluated, split
from .program import ScaledProgram

__all__ = ["first_point", "multipliers", "outcome"]


def multipliers(
    program: ScaledProgram, x: np.ndarray, y: np.ndarray, p: Point
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``x, y, z_lower, z_upper`` of the whole program, unscaled."""
    nlp = program.nlp
    full_y = np.zeros(nlp.m)
    full_y[program.kept] = y * program.c_scale / program.f_scale
    r = (p.g + program.transpose_dot(p.J, y)) / program.f_scale
    z_lower, z_upper = np.zeros(nlp.n), np.zeros(nlp.n)
    z_lower[program.free], z_upper[program.free] = split(program.lower, program.upper, x, r)
    return program.full(x), full_y, z_lower, z_upper


def outcome(
    program: ScaledProgram, p: Point, y: np.ndarray, status: str, iterations: int, detail: str = "", tol: float = 1e-8
) -> NLPOutcome:
    """The outcome at the last point; fixed variables get the multipliers that balance the gradient."""
    nlp = program.nlp
    x, full_y, z_lower, z_upper = multipliers(program, p.x, y, p)
    if len(program.free) < nlp.n:
        fixed = np.setdiff1d(np.arange(nlp.n), program.free, assume_unique=True)
        try:
            r = np.array(nlp.gradient(x), dtype=float)
            if nlp.m:
                rows, cols = nlp.jacobian_pattern
                r += np.bincount(cols, nlp.jacobian(x) * full_y[rows], nlp.n)
            z_lower[fixed], z_upper[fixed] = np.maximum(r[fixed], 0.0), np.maximum(-r[fixed], 0.0)
        except EvaluationError:
            pass  # they stay zero: the point is not a solution anyway
    violated: list[tuple[str, float]] = []
    if status not in ("optimal", "acceptable", "unbounded"):
        violation = np.zeros(nlp.m)
        violation[program.kept] = program.violation(p.c) / program.c_scale
        violated = worst(violation, nlp.constraint_names() if nlp.m else [], tol)
    message = words(status, detail, violated)
    return NLPOutcome(x, full_y, z_lower, z_upper, status, message, iterations, dict(program.counts))


def first_point(nlp: NonlinearProgram, max_gradient: float, start: Any) -> tuple[ScaledProgram, Point] | NLPOutcome:
    """The scaled program and its first point; or the outcome, where sides cross or there is no value at the start."""
    violated = crossed_bounds(nlp)
    if violated:
        return without_point(nlp, "infeasible", "bounds cross each other", violated)
    try:
        program = ScaledProgram(nlp, max_gradient, None if start is None else start[0])
        return program, evaluated(program, program.x0)
    except EvaluationError as error:
        return without_point(nlp, "evaluation_error", f"at the start, {error}")


def without_point(
    nlp: NonlinearProgram, status: str, detail: str, violated: Sequence[tuple[str, float]] = ()
) -> NLPOutcome:
    """The outcome where there was no first point."""
    x = np.clip(np.asarray(nlp.x0, dtype=float), nlp.lower, np.maximum(nlp.lower, nlp.upper))
    none = np.zeros(nlp.m), np.zeros(nlp.n), np.zeros(nlp.n)
    return NLPOutcome(x, *none, status, words(status, detail, violated), 0)
