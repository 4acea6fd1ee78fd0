"""Broyden's good method: one exact Jacobian, then rank-one secant updates instead of new ones.

After a step ``s = u_+ - u`` that changed the residual by ``y``, the nearest matrix to ``B`` with
``B_+ s = y`` is ``B_+ = B + (y - B s) s^T W / (s^T W s)`` (Broyden 1965). Its inverse follows by Sherman &
Morrison and is kept as a product,

    B_{k+1}^-1 = (I + a_k (W s_k)^T) B_k^-1,        a_k = (s_k - B_k^-1 y_k) / (s_k^T W B_k^-1 y_k),

two vectors for each update and one solve with the first factors (Kelley 1995, *Iterative Methods for
Linear and Nonlinear Equations*, section 7.3). ``W`` measures the unknowns by the columns of the first
Jacobian, so their units do not matter. The residual need not fall at every step, only not rise for long
(Li & Fukushima 2000, Optim. Methods Softw. 13); where it does, or the memory is full, a new exact
Jacobian is taken.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from adjoint.errors import Status
from adjoint.nonlinear.base import (
    Options,
    Outcome,
    SingularMatrix,
    System,
    column_norms,
    evaluate,
    finish,
    nonzero,
    project,
    start,
    weighted_norm,
)

__all__ = ["solve_broyden"]

MEMORY = 30  # updates before a new Jacobian
RISE = 1.0  # the k-th step may raise the residual norm by the factor 1 + RISE / k^2
SHORTEST = 1e-3  # step length below which the secant model is given up
STEEP = 0.1  # smallest |s^T W B^-1 y| / (s^T W s) of an update: below it, B_+ is nearly singular


def solve_broyden(system: System, u0: np.ndarray, options: Options | None = None) -> Outcome:
    """Solve ``g(u) = 0`` by Broyden's method from `u0`."""
    with np.errstate(all="ignore"):
        return _iterate(system, u0, options or Options())


def _iterate(system: System, u0: np.ndarray, options: Options) -> Outcome:
    point = start(system, u0)
    history = [point[-1]]
    status = Status.ITERATION_LIMIT if point[-1] < inf else Status.NON_FINITE
    iterations = 0
    while point[-1] > options.tol and iterations < options.max_iterations and point[-1] < inf:
        # From here to the next exact Jacobian.
        try:
            factor = system.factor(point[2])
        except SingularMatrix:
            status = Status.SINGULAR
            break
        limit = min(MEMORY, options.max_iterations - iterations)
        u, steps = _secant_steps(system, point, factor, limit, options.tol, history)
        iterations += max(steps, 1)
        if steps == 0:
            status = Status.STALLED
            break
        point = (u, *evaluate(system, u))
        history[-1] = point[-1]
    return finish(system, point, None, status, iterations, history, "broyden", options)


def _secant_steps(
    system: System, point: tuple, factor: Any, limit: int, tol: float, history: list[float]
) -> tuple[np.ndarray, int]:
    """Steps until the residual seems small enough, or the model fails: the last point, and their number."""
    u, r, J, s, _ = point
    row = nonzero(s)
    weights = column_norms(J, row) ** 2
    updates: list[tuple[np.ndarray, np.ndarray]] = []
    norm = weighted_norm(r, row)
    for count in range(limit):
        d = _apply_inverse(factor, updates, -r)
        found = _accept(system, u, d, row, norm * (1.0 + RISE / (count + 1) ** 2))
        if found is None:
            return u, count
        u1, r1 = found
        step, y = u1 - u, _apply_inverse(factor, updates, r1 - r)
        u, r, norm = u1, r1, weighted_norm(r1, row)
        # The natural magnitudes are those of the last Jacobian: good enough to see when to verify.
        history.append(float(np.max(np.abs(r) / row)))
        if history[-1] <= tol:
            return u, count + 1
        pivot = (step * weights) @ y
        if abs(pivot) > STEEP * ((step * weights) @ step):
            updates.append(((step - y) / pivot, step * weights))
    return u, limit


def _apply_inverse(factor: Any, updates: list[tuple[np.ndarray, np.ndarray]], v: np.ndarray) -> np.ndarray:
    """``B^-1 v``, the product of the updates applied from the first to the last."""
    v = factor.solve(v)
    for a, weighted_step in updates:
        v = v + a * (weighted_step @ v)
    return v


def _accept(
    system: System, u: np.ndarray, d: np.ndarray, row: np.ndarray, bound: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """The first point ``u + d, u + d / 2, ...`` with a residual norm below `bound`, and its residual."""
    length = 1.0
    while length >= SHORTEST:
        u1 = project(system, u + length * d)
        r1 = system.residual(u1)
        if weighted_norm(r1, row) <= bound and not np.array_equal(u1, u):
            return u1, r1
        length *= 0.5
    return None
