"""From the last point to the result: unscaled, complete, in words, and its residuals computed anew."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import EvaluationError
from ..nlp import NonlinearProgram
from ..outcome import words, worst
from .form import Point
from .projection import constraint_violation, within_bounds
from .result import InteriorResult
from .standard import StandardForm

__all__ = ["residuals", "unscaled"]

Multipliers = tuple[np.ndarray, np.ndarray, np.ndarray]


def unscaled(form: StandardForm, p: Point) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``x, y, z_lower, z_upper`` of the program at a point of its form; multipliers of fixed variables are zero."""
    nlp, b = form.nlp, form.bounds
    x = np.clip(form.full(p.w), nlp.lower, nlp.upper)
    y = np.zeros(nlp.m)
    y[form.kept] = p.y * form.c_scale / form.f_scale
    z_lower, z_upper = np.zeros(nlp.n), np.zeros(nlp.n)
    of_x = b.index < form.n
    for sign, z in ((1.0, z_lower), (-1.0, z_upper)):
        mine = of_x & (b.sign == sign)
        z[form.free[b.index[mine]]] = p.z[mine] / form.f_scale
    return x, y, z_lower, z_upper


def residuals(
    nlp: NonlinearProgram, x: np.ndarray, multipliers: Multipliers, fixed: np.ndarray
) -> tuple[dict[str, float], np.ndarray]:
    """Largest unscaled residuals, and the violation of each row; multipliers of `fixed` variables are set.

    Complementarity is that of bounds and of the sides of rows, whose multipliers are the parts of ``y``.
    """
    y, z_lower, z_upper = multipliers
    c = nlp.constraints(x) if nlp.m else np.zeros(0)
    violation = constraint_violation(nlp, c)
    r = np.array(nlp.gradient(x), dtype=float)
    if nlp.m:
        rows, cols = nlp.jacobian_pattern
        r += np.bincount(cols, nlp.jacobian(x) * y[rows], nlp.n)
    r += z_upper - z_lower
    z_lower[fixed], z_upper[fixed] = np.maximum(r[fixed], 0.0), np.maximum(-r[fixed], 0.0)
    r[fixed] = 0.0
    equality = nlp.constraint_lower == nlp.constraint_upper
    sides = (
        (z_lower, x - nlp.lower),
        (z_upper, nlp.upper - x),
        (np.where(equality, 0.0, np.maximum(-y, 0.0)), c - nlp.constraint_lower),
        (np.where(equality, 0.0, np.maximum(y, 0.0)), nlp.constraint_upper - c),
    )
    complementarity = 0.0
    for z, distance in sides:
        there = np.isfinite(distance)
        complementarity = max(complementarity, float(np.abs(z[there] * distance[there]).max(initial=0.0)))
    found = {
        "primal": float(violation.max(initial=0.0)),
        "dual": float(np.abs(r).max(initial=0.0)),
        "complementarity": complementarity,
    }
    return found, violation


def without_freedom(nlp: NonlinearProgram, tolerance: float) -> InteriorResult:
    """The result of a program whose variables are all fixed."""
    x, fixed = np.array(nlp.lower, dtype=float), np.arange(nlp.n)
    multipliers = np.zeros(nlp.m), np.zeros(nlp.n), np.zeros(nlp.n)
    f = float(nlp.objective(x))
    found, violation = residuals(nlp, x, multipliers, fixed)
    status = "optimal" if found["primal"] <= tolerance else "infeasible"
    violated = worst(violation, nlp.constraint_names(), tolerance) if status == "infeasible" else []
    return InteriorResult(
        x, f, *multipliers, status, words(status, "", violated), 0, 0.0, residuals=found, violated=violated
    )


def failed_at_start(nlp: NonlinearProgram, status: str, detail: str, violated: Any = ()) -> InteriorResult:
    """The result where there was no first point."""
    x = np.clip(np.asarray(nlp.x0, dtype=float), nlp.lower, np.maximum(nlp.lower, nlp.upper))
    none = np.zeros(nlp.m), np.zeros(nlp.n), np.zeros(nlp.n)
    return InteriorResult(
        x, np.nan, *none, status, words(status, detail, list(violated)), 0, 0.0, violated=list(violated)
    )


def finished(form: StandardForm, p: Point, status: str, detail: str, tolerance: float) -> InteriorResult:
    """The result at the last point, without what the run counted."""
    nlp = form.nlp
    _, y, z_lower, z_upper = unscaled(form, p)
    x = within_bounds(form, p)
    fixed = np.zeros(0, dtype=int) if form.all_free else np.flatnonzero(nlp.lower == nlp.upper)
    try:
        f = float(nlp.objective(x))
        found, violation = residuals(nlp, x, (y, z_lower, z_upper), fixed)
    except EvaluationError:  # on a bound where a function ends
        x = form.full(p.w)
        f = p.f / form.f_scale
        found = {"primal": float((np.abs(p.c) / form.c_scale).max(initial=0.0))}
        found |= {"dual": p.errors.dual / form.f_scale, "complementarity": p.errors.most / form.f_scale}
        violation = np.zeros(nlp.m)
        violation[form.kept] = np.abs(p.c) / form.c_scale
    violated = []
    if status not in ("optimal", "acceptable", "unbounded"):
        violated = worst(violation, nlp.constraint_names(), tolerance)
    message = words(status, detail, violated)
    return InteriorResult(x, f, y, z_lower, z_upper, status, message, 0, 0.0, residuals=found, violated=violated)
