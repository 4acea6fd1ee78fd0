"""Newton's homotopy, followed by arclength: from a system that the guess solves to the one that is asked for.

    H(u, t) = g(u) - (1 - t) g(u_0) = 0,       t from 0 to 1.

The curve of solutions through ``(u_0, 0)`` may turn back in `t`, at points where `J` is singular and
Newton's method from ``u_0`` is stuck; followed by its arclength it passes them. A step predicts along the
tangent and corrects, by Newton's method, in the hyperplane normal to it (Allgower & Georg 1990,
*Numerical Continuation Methods*, chapters 2-3 and 6). With the factors of `J`, both need

    w = J^-1 g(u_0),     tangent ~ (-w, 1),     du = -J^-1 H - w dt,     tangent . (du, dt) = 0.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import numpy as np

from adjoint.errors import Status
from adjoint.nonlinear.base import (
    Options,
    Outcome,
    SingularMatrix,
    System,
    evaluate,
    finish,
    nonzero,
    project,
    start,
    weighted_norm,
)

__all__ = ["solve_homotopy"]

FIRST = 0.1  # first arclength step
LARGEST, SMALLEST = 10.0, 1e-7
CORRECTIONS = 6  # Newton corrections at most; at more than FEW the next step is shorter, below it is longer
FEW = 3
CLOSE = 1e-4  # size of the last correction, in arclength, relative to the step
SMALL = 1e-3  # magnitude of the smallest unknowns, relative to the largest: those that start at 0 may grow
LANDINGS = 8  # Newton iterations at t = 1


class Curve(NamedTuple):
    """What is constant along the curve: ``g(u_0)``, and the scale of the unknowns in the arclength."""

    start: np.ndarray
    weights: np.ndarray

    def dot(self, a: tuple[np.ndarray, float], b: tuple[np.ndarray, float]) -> float:
        return float((a[0] / self.weights) @ (b[0] / self.weights)) + a[1] * b[1]


def solve_homotopy(system: System, u0: np.ndarray, options: Options | None = None) -> Outcome:
    """Solve ``g(u) = 0`` by following Newton's homotopy from `u0`."""
    with np.errstate(all="ignore"):
        return _follow(system, u0, options or Options())


def _follow(system: System, u0: np.ndarray, options: Options) -> Outcome:
    budget = Budget(options.max_iterations)
    point = start(system, u0)
    history = [point[-1]]

    def ended(status: Status) -> Outcome:
        return finish(system, point, None, status, budget.used, history, "homotopy", options)

    if not options.tol < point[-1] < inf:
        return ended(Status.NON_FINITE)
    try:
        newton = system.factor(point[2]).solve(-point[1])
    except SingularMatrix:
        return ended(Status.SINGULAR)
    u, t, step = point[0], 0.0, FIRST
    size = np.maximum(np.abs(u), np.abs(newton))
    curve = Curve(point[1], np.maximum(size, SMALL * size.max()) * np.sqrt(u.size))
    tangent = _unit(curve, (newton, 1.0))
    while step >= SMALLEST and budget.left():
        if t + step * tangent[1] >= 1.0:
            # The curve crosses t = 1 within this step: Newton's method from there.
            landed = _land(system, u + (1.0 - t) / tangent[1] * tangent[0], options.tol, budget)
            if landed[-1] < point[-1]:
                point = landed
            if point[-1] <= options.tol:
                return ended(Status.SOLVED)
            step *= 0.25
            continue
        found = _correct(system, curve, u + step * tangent[0], t + step * tangent[1], tangent, step, budget)
        if found is None:
            step *= 0.25
            continue
        (u, t, turned), count = found
        history.append(abs(1.0 - t))
        sign = 1.0 if curve.dot(turned, tangent) > 0.0 else -1.0
        tangent = (sign * turned[0], sign * turned[1])
        step = min(2.0 * step, LARGEST) if count < FEW else 0.5 * step if count > FEW else step
    return ended(Status.STALLED if budget.left() else Status.ITERATION_LIMIT)


class Budget:
    """Linearizations that are left."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    def left(self) -> bool:
        return self.used < self.limit

    def spend(self) -> None:
        self.used += 1


def _unit(curve: Curve, vector: tuple[np.ndarray, float]) -> tuple[np.ndarray, float]:
    norm = np.sqrt(curve.dot(vector, vector))
    return vector[0] / norm, vector[1] / norm


def _correct(
    system: System,
    curve: Curve,
    u: np.ndarray,
    t: float,
    tangent: tuple[np.ndarray, float],
    step: float,
    budget: Budget,
) -> tuple[tuple[np.ndarray, float, tuple[np.ndarray, float]], int] | None:
    """The point of the curve in the hyperplane at ``(u, t)``, its tangent, and the corrections it took."""
    last = inf
    for count in range(1, CORRECTIONS + 1):
        if not budget.left():
            return None
        budget.spend()
        r, J, _, worst = evaluate(system, u)
        if not worst < inf:
            return None
        try:
            factor = system.factor(J)
        except SingularMatrix:
            return None
        w = factor.solve(curve.start)
        a = factor.solve(r - (1.0 - t) * curve.start)
        along_w, along_a = curve.dot(tangent, (-w, 1.0)), curve.dot(tangent, (a, 0.0))
        dt = along_a / along_w
        du = -a - w * dt
        size = np.sqrt(curve.dot((du, dt), (du, dt)))
        if not size < 0.5 * min(last, 2.0 * step):  # neither contracting nor near the prediction
            return None
        u, t, last = u + du, t + dt, size
        if size <= CLOSE * step:
            return (u, t, _unit(curve, (-w, 1.0))), count
    return None


def _land(system: System, u: np.ndarray, tol: float, budget: Budget) -> tuple:
    """Newton's method at ``t = 1``, as long as the residual falls."""
    u = project(system, u)
    point = (u, *evaluate(system, u))
    for _ in range(LANDINGS):
        u, r, J, s, worst = point
        if worst <= tol or not worst < inf or not budget.left():
            break
        budget.spend()
        try:
            u = project(system, u + system.factor(J).solve(-r))
        except SingularMatrix:
            break
        there = (u, *evaluate(system, u))
        if not weighted_norm(there[1], nonzero(s)) < weighted_norm(r, nonzero(s)):
            break
        point = there
    return point
