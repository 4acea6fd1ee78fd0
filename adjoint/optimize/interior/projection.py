"""The last point brought to exact bounds, without a violation of the rows that was not there before.

Where bounds stay widened (:mod:`.relaxation`), the point is up to 1e-8 outside of them: projected, it moves the rows by
as much times their gradients. A least-norm correction of the variables that have room takes that back.
"""

from __future__ import annotations

import numpy as np

from ...errors import EvaluationError
from ...linear import SingularMatrix
from ..nlp import NonlinearProgram
from .form import Point
from .standard import StandardForm

__all__ = ["constraint_violation", "relative_violation", "within_bounds"]

GOOD = 1e-8  # violation, relative to a side above 1, that needs no correction
KEPT = 1e-6  # violation above which the point outside its bounds is the better answer
CORRECTIONS = 3
CLOSEST = 1e-8  # distance to a bound, relative, below which a variable has no room


def constraint_violation(nlp: NonlinearProgram, c: np.ndarray) -> np.ndarray:
    """How far each row is outside its sides."""
    return np.maximum(np.maximum(nlp.constraint_lower - c, c - nlp.constraint_upper), 0.0)


def relative_violation(nlp: NonlinearProgram, x: np.ndarray) -> float:
    """The largest violation of a row, relative to the violated side where that is above 1; infinite where rows cannot
    be evaluated."""
    if not nlp.m:
        return 0.0
    try:
        c = nlp.constraints(x)
    except EvaluationError:
        return np.inf
    side = np.where(c < nlp.constraint_lower, nlp.constraint_lower, nlp.constraint_upper)
    violation = constraint_violation(nlp, c)
    return float((violation / np.where(violation > 0.0, np.maximum(1.0, np.abs(side)), 1.0)).max())


def within_bounds(form: StandardForm, p: Point) -> np.ndarray:
    """All variables of the program at a point of its form, within their bounds."""
    nlp = form.nlp
    x = form.full(p.w)
    projected = np.clip(x, nlp.lower, nlp.upper)
    if np.array_equal(x, projected):
        return x
    before, violation = relative_violation(nlp, x), relative_violation(nlp, projected)
    allowed = max(GOOD, 2.0 * before)
    for _ in range(CORRECTIONS):
        if violation <= allowed:
            break
        trial = corrected(form, p.w, projected)
        found = np.inf if trial is None else relative_violation(nlp, trial)
        if trial is None or not found < violation:
            break
        projected, violation = trial, found
    return x if violation > max(KEPT, 10.0 * before) else projected


def corrected(form: StandardForm, w: np.ndarray, x: np.ndarray) -> np.ndarray | None:
    """``x`` after a step that solves the linearized rows, least in the norm of the distances to the bounds."""
    nlp, rows = form.nlp, form.slack_rows
    slacks = np.clip(w[form.n :], *(side[rows] * form.c_scale[rows] for side in form.sides))
    w = np.concatenate([x[form.free], slacks])
    lower = np.concatenate([form.x_sides[0], form.sides[0][rows] * form.c_scale[rows]])
    upper = np.concatenate([form.x_sides[1], form.sides[1][rows] * form.c_scale[rows]])
    room = np.clip(np.minimum(w - lower, upper - w), CLOSEST, np.maximum(1.0, np.abs(w)))
    try:
        _, c = form.values(w)
        _, J = form.derivatives(w)
        form.set_jacobian(J)
        factors = form.factor(room**-2.0, 0.0, 0.0, hessian=False)
        dw, _ = form.solve(factors, np.zeros(form.size), -c)
    except (EvaluationError, SingularMatrix):
        return None
    if not np.isfinite(dw).all():
        return None
    return np.clip(form.full(w + dw), nlp.lower, nlp.upper)
