"""From the last point to the outcome: unscaled, complete, and in words."""

from __future__ import annotations

import numpy as np

from ...errors import EvaluationError
from ..nlp import NonlinearProgram
from ..outcome import NLPOutcome
from .optimality import Point, split
from .program import ScaledProgram

__all__ = ["before_start", "multipliers", "outcome"]

MESSAGES = {
    "optimal": "an optimal point was found",
    "acceptable": "a point of the acceptable tolerance was found; the tolerance itself was not reached",
    "infeasible": "no point near satisfies the constraints: the violation has a minimum that is not zero",
    "unbounded": "the iterates diverge: the objective seems to be unbounded below",
    "iteration_limit": "the iteration limit was reached (max_iter)",
    "time_limit": "the time limit was reached (max_wall_time)",
    "stopped": "stopped by the callback",
    "evaluation_error": "the functions cannot be evaluated",
    "failed": "no progress could be made any further",
}
NAMED = 5  # violated constraints that a message names


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
    message = MESSAGES[status] + (f": {detail}" if detail else "")
    if status not in ("optimal", "acceptable", "unbounded"):
        violation = np.zeros(nlp.m)
        violation[program.kept] = program.violation(p.c) / program.c_scale
        message += _violated(violation, nlp.constraint_names() if nlp.m else [], tol)
    return NLPOutcome(x, full_y, z_lower, z_upper, status, message, iterations, dict(program.counts))


def _violated(violation: np.ndarray, names: list[str], tol: float) -> str:
    order = np.argsort(-violation, kind="stable")[:NAMED]
    worst = ", ".join(f"{names[i]} by {violation[i]:.3g}" for i in order if violation[i] > tol)
    return f"; violated most: {worst}" if worst else ""


def before_start(nlp: NonlinearProgram) -> NLPOutcome | None:
    """The outcome of a program whose sides cross, or None."""
    by = np.concatenate([nlp.lower - nlp.upper, nlp.constraint_lower - nlp.constraint_upper])
    if not np.any(by > 0.0):
        return None
    names = [*nlp.names(), *nlp.constraint_names()]
    return without_point(nlp, "infeasible", "bounds cross each other" + _violated(by, names, 0.0))


def without_point(nlp: NonlinearProgram, status: str, detail: str) -> NLPOutcome:
    """The outcome where there was no first point."""
    x = np.clip(np.asarray(nlp.x0, dtype=float), nlp.lower, np.maximum(nlp.lower, nlp.upper))
    none = np.zeros(nlp.m), np.zeros(nlp.n), np.zeros(nlp.n)
    return NLPOutcome(x, *none, status, f"{MESSAGES[status]}: {detail}", 0)
