"""The first point of the method (W&B, section 3.6), and multipliers of constraints by least squares."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...errors import EvaluationError, ModelError
from ...linear import SingularMatrix
from ..nlp import NonlinearProgram
from .bounds import pushed
from .form import Form, Point
from .options import InteriorOptions
from .standard import StandardForm
from .step import evaluated

__all__ = ["Start", "first_point", "is_stationary", "least_squares_multipliers", "moved"]

STATIONARY = 1e-8  # slope of the violation at a start that is left again
MOVED = 1e-2, 1e-1  # how far it is moved


class Start(NamedTuple):
    """Where to start from: a previous result has all of it."""

    x: np.ndarray | None = None
    y: np.ndarray | None = None
    z_lower: np.ndarray | None = None
    z_upper: np.ndarray | None = None
    mu: float | None = None


def first_point(form: StandardForm, options: InteriorOptions, start: Start) -> Point:
    """The start moved inside the bounds, with its slacks, derivatives and multipliers."""
    warm = options.warm_start_init_point
    push = options.warm_start_bound_push if warm else options.bound_push
    fraction = push if warm else options.bound_frac
    for name, value, size in zip(Start._fields, start, (form.nlp.n, form.nlp.m, form.nlp.n, form.nlp.n), strict=False):
        if value is not None and np.shape(value) != (size,):
            raise ModelError(f"interior-point: {name} of the start has shape {np.shape(value)}, not {(size,)}")
    x = np.asarray(form.nlp.x0 if start.x is None else start.x, dtype=float)[form.free]
    no_slacks = np.zeros(len(form.slack_rows))
    inside = pushed(np.concatenate([x, no_slacks]), form.bounds, push, fraction)[: form.n]
    try:  # the gradients at the start itself, where they exist
        form.set_scale(x)
    except EvaluationError:
        form.set_scale(inside)
    c = form.row_values(form.full(inside))
    w = pushed(np.concatenate([inside, c[form.slack_rows]]), form.bounds, push, fraction)
    d = form.bounds.distances(w)
    p = evaluated(form, w, d, np.zeros(form.rows), np.full(len(d), options.bound_mult_init_val))
    p.gradient, p.J = form.derivatives(w)
    form.set_jacobian(p.J)
    if warm and start.z_lower is not None and start.z_upper is not None:
        p.z = np.maximum(_given_bounds(form, start), options.warm_start_mult_bound_push)
    if warm and start.y is not None:
        p.y = form.f_scale * np.asarray(start.y, dtype=float)[form.kept] / form.c_scale
    else:
        p.y = least_squares_multipliers(form, p, options.constr_mult_init_max)
    return p


def _given_bounds(form: StandardForm, start: Start) -> np.ndarray:
    """Multipliers of the bounds of variables, and those of slacks from the rows' multipliers."""
    b = form.bounds
    lower, upper = np.zeros(form.size), np.zeros(form.size)
    lower[: form.n] = form.f_scale * np.asarray(start.z_lower, dtype=float)[form.free]
    upper[: form.n] = form.f_scale * np.asarray(start.z_upper, dtype=float)[form.free]
    if start.y is not None:
        rows = form.slack_rows  # y of a row is z_upper − z_lower of its slack
        y = form.f_scale * np.asarray(start.y, dtype=float)[form.kept][rows] / form.c_scale[rows]
        lower[form.n :], upper[form.n :] = np.maximum(-y, 0.0), np.maximum(y, 0.0)
    return np.where(b.sign > 0, lower[b.index], upper[b.index])


def least_squares_multipliers(form: Form, p: Point, largest: float) -> np.ndarray:
    """``y`` that makes ``‖∇f + Jᵀy − z‖`` least, or zero where that is large (W&B, eq. 36)."""
    zero = np.zeros(form.rows)
    if not form.rows or largest <= 0.0:
        return zero
    try:
        factors: Any = form.factor(np.ones(form.size), 0.0, 0.0, hessian=False)
        if not factors.correct:
            return zero
        r = form.bounds.scatter(p.z) - p.gradient
        _, y = form.solve(factors, r, zero)
    except SingularMatrix:
        return zero
    return y if np.isfinite(y).all() and np.abs(y).max() <= largest else zero


def is_stationary(nlp: NonlinearProgram) -> bool:
    """Whether constraints are violated at the start, and a first-order method does not see how to reduce that: by
    symmetry, mostly, as of ``x₁² + x₂² ≥ 1`` at 0."""
    x = np.clip(np.asarray(nlp.x0, dtype=float), nlp.lower, nlp.upper)
    try:
        c, J = nlp.constraints(x), nlp.jacobian(x)
    except EvaluationError:
        return False
    beyond = c - np.clip(c, nlp.constraint_lower, nlp.constraint_upper)
    rows, cols = nlp.jacobian_pattern
    slope = np.zeros(nlp.n)
    np.add.at(slope, cols, J * np.sign(beyond)[rows])  # of the sum of violations
    inside = np.clip(x - slope, nlp.lower, nlp.upper) - x
    return bool(beyond.any() and np.abs(inside).max(initial=0.0) <= STATIONARY * np.abs(beyond).max())


def moved(nlp: NonlinearProgram, seed: int) -> np.ndarray:
    """The start, moved at random within the bounds; a little, and with the next seed more."""
    x = np.clip(np.asarray(nlp.x0, dtype=float), nlp.lower, nlp.upper)
    reach = MOVED[seed % 2] * np.maximum(1.0, np.abs(x))
    low, high = np.maximum(nlp.lower, x - reach), np.minimum(nlp.upper, x + reach)
    return np.random.default_rng(seed).uniform(low, high)
