"""What every optimizer sees: a problem in the reduced space, guarded against inner solves that fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy

from ..errors import AdjointError, ModelError, NameLookupError, closest
from ..expr import Variable
from ..function import Function
from ..solution import Solution
from .result import result_class
from .task import Task

__all__ = ["Reduced", "finish"]

BACK_OFF = 10.0  # growth of the objective over a failed step, relative to its size at the last good point
ACTIVE = (1e-6, 1e-5, 1e-4, 1e-3)  # relative distances within which a constraint or bound counts as active
OPTIMAL = 1e-6  # relative error of the optimality conditions that ends the search among them


class Reduced:
    """The reduced problem: equations solved at every point.

    Where an inner solve fails, the objective continues the last good point by a quadratic that rises with the distance
    from it, and constraints keep their last good values: line searches and trust regions step back.
    """

    def __init__(self, problem: Any, values: Mapping[str, Any] | None = None) -> None:
        self.problem, self.values = problem, dict(values or {})
        m, names = problem.program, [v.name for v in problem.variables]
        for name in self.values:
            if name in names:
                raise ModelError(f"{name!r} is moved by the optimizer: its start value goes to start={{...}}")
        self.sign = -1.0 if problem.maximize else 1.0
        self.objective = Function(m, problem.objective.name, names, values=values or None)
        self.names = list(problem.constraints)
        self.constraint = {
            label: Function(m, [v.name], names, sparse=True, values=values or None)
            for label, v in problem.constrained.items()
        }
        self.lower, self.upper = (
            np.concatenate([np.reshape(pair[side], -1) for pair in problem.bounds.values()]) for side in (0, 1)
        )
        self.failures: list[str] = []
        self.good: tuple[np.ndarray, float, np.ndarray] | None = None
        self.good_values: dict[str, Any] = {}
        self.bad: np.ndarray | None = None  # the last point where the objective failed

    def start(self, start: Any) -> np.ndarray:
        """The start vector, inside the bounds."""
        fun = self.objective
        model, missing = self.problem.program, []
        given: dict[str, Any] = {}
        if start is not None:
            if isinstance(start, scipy.optimize.OptimizeResult):
                given = fun.unpack(start.x)
            elif isinstance(start, Mapping):
                known = {v.name for v in self.problem.variables}
                for name in start:
                    if name not in known and not isinstance(start, Solution):
                        raise NameLookupError(closest(name, known, "variable to optimize over"))
                given = {name: start[name] for name in start if name in known}
            else:
                raise ModelError(f"start is a dict of values by name or a previous result, not {type(start).__name__}")
        for v in self.problem.variables:
            if v.name not in given and model.inputs.get(v, model.guesses.get(v)) is None:
                missing.append(v.name)
        if missing:
            raise ModelError(f"no start value for {', '.join(map(repr, missing))}: give start={{...}} or a default")
        return np.clip(fun.pack(given), self.lower, self.upper)

    def value(self, x: np.ndarray) -> float:
        """Objective (of the minimization)."""
        try:
            f = self.sign * self.objective(x)
        except AdjointError as error:
            return self._extended(x, error)[0]
        if self.good is None:
            self.good = (x.copy(), f, np.zeros_like(x))
        return f

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Its gradient."""
        try:
            g = self.sign * self.objective.jac(x)
        except AdjointError as error:
            return self._extended(x, error)[1]
        self.good = (x.copy(), self.sign * self.objective(x), g)
        return g

    def _extended(self, x: np.ndarray, error: AdjointError) -> tuple[float, np.ndarray]:
        if self.good is None:
            raise error
        self.bad = x.copy()
        text = f"at {np.array2string(x, precision=6, threshold=8)}: {error}"
        if not self.failures or self.failures[-1] != text:
            self.failures.append(text)
        x0, f0, _ = self.good
        step = x - x0
        distance = float(step @ step)
        weight = BACK_OFF * (abs(f0) + 1.0) / max(distance, 1e-300)
        return f0 + weight * distance, 2.0 * weight * step

    def hessian(self, x: np.ndarray) -> np.ndarray:
        """Hessian of the objective."""
        return self.sign * self.objective.hess(x)

    def hessian_product(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Hessian–vector product of the objective."""
        return self.sign * self.objective.hessp(x, p)

    def constraint_value(self, label: str, x: np.ndarray) -> np.ndarray:
        """Values of a constraint's expression, flat; the last good ones where the solve fails."""
        try:
            if self.bad is not None and label in self.good_values and np.array_equal(x, self.bad):
                return self.good_values[label][0]  # also where the constraint needs no solve
            value = self.constraint[label](x)
        except AdjointError:
            if label not in self.good_values:
                raise
            return self.good_values[label][0]
        self.good_values[label] = (value, self.good_values.get(label, (None, None))[1])
        return value

    def constraint_jacobian(self, label: str, x: np.ndarray) -> Any:
        """Jacobian of a constraint's expression (sparse)."""
        try:
            kept = self.good_values.get(label, (None, None))[1]
            if self.bad is not None and kept is not None and np.array_equal(x, self.bad):
                return kept
            matrix = self.constraint[label].jac(x)
        except AdjointError:
            if self.good_values.get(label, (None, None))[1] is None:
                raise
            return self.good_values[label][1]
        self.good_values[label] = (self.good_values.get(label, (None, None))[0], matrix)
        return matrix

    def constraint_bounds(self, label: str) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of a constraint, flat."""
        c = self.problem.constraints[label]
        return np.reshape(c.lower, -1), np.reshape(c.upper, -1)


def finish(reduced: Reduced, result: scipy.optimize.OptimizeResult) -> Any:
    """Verify the last point and add what the library knows about it."""
    problem = reduced.problem
    result = result_class()(result)
    result._task = Task(problem, "", values=reduced.values)
    x = np.asarray(result.x, dtype=float)
    try:
        result.fun = reduced.objective(x)
    except AdjointError as error:
        result.success, result.solution, result.multipliers = False, None, {}
        result.message = f"the last point does not solve: {error}"
        result.failed_solves = reduced.failures
        return result
    result.solution = reduced.objective.solution
    result.constraints = {label: result.solution[problem.constrained[label].name] for label in reduced.names}
    result.failed_solves = reduced.failures
    result.nsolves = reduced.objective.solves
    result.multipliers = _multipliers(reduced, x, result.solution)
    return result


def _multipliers(reduced: Reduced, x: np.ndarray, solution: Solution) -> dict[str, Any]:
    """Multipliers with the activity that satisfies optimality best: methods end at different distances."""
    g = reduced.objective.jac(x)
    best: tuple[float, Any] | None = None
    for near in ACTIVE:
        error, by_label = _estimate(reduced, x, g, near)
        if best is None or error < 0.1 * best[0]:
            best = error, by_label
        if error <= OPTIMAL:
            break
    assert best is not None
    return _by_name(reduced, solution, best[1])


def _estimate(reduced: Reduced, x: np.ndarray, g: np.ndarray, distance: float) -> tuple[float, dict[str, np.ndarray]]:
    """λ of constraints from the optimality conditions ∇f = Σ λ_c ∇c + λ_bounds, and the error left in them.

    Constraints and bounds within a relative distance count as active; λ is found by bounded least squares with the
    signs that optimality asks for.
    """
    problem = reduced.problem
    rows, signs, places = [], [], []
    for label in reduced.names:
        value = reduced.constraint[label](x)
        low, high = reduced.constraint_bounds(label)
        near = distance * np.maximum(1.0, np.abs(value))
        at_low, at_high = np.abs(value - low) <= near, np.abs(value - high) <= near
        jac = reduced.constraint[label].jac(x).toarray()
        for i in np.flatnonzero(at_low | at_high):
            rows.append(jac[i])
            signs.append(0.0 if at_low[i] and at_high[i] else (1.0 if at_low[i] else -1.0) * reduced.sign)
            places.append((label, int(i)))
    near = distance * np.maximum(1.0, np.abs(x))
    for j in range(x.size):
        at_low, at_high = abs(x[j] - reduced.lower[j]) <= near[j], abs(x[j] - reduced.upper[j]) <= near[j]
        if at_low or at_high:
            unit = np.zeros(x.size)
            unit[j] = 1.0
            rows.append(unit)
            signs.append(0.0 if at_low and at_high else (1.0 if at_low else -1.0) * reduced.sign)
            places.append(("", j))
    lam = _signed_least_squares(np.array(rows), g, np.array(signs)) if rows else np.zeros(0)
    by_label = {label: np.zeros(problem.constraints[label].expr.size) for label in reduced.names}
    for (label, i), value in zip(places, lam, strict=True):
        if label:
            by_label[label][i] = value
    left = g - np.array(rows).T @ lam if rows else g
    return float(np.abs(left).max(initial=0.0) / max(1.0, np.abs(g).max(initial=0.0))), by_label


def _by_name(reduced: Reduced, solution: Solution, by_label: dict[str, np.ndarray]) -> dict[str, Any]:
    """All multipliers by one reverse sweep of f − Σ λ_c c; what is left on the variables belongs to their bounds."""
    problem = reduced.problem
    weights: dict[str, Any] = {problem.objective.name: 1.0}
    for label, value in by_label.items():
        v: Variable = problem.constrained[label]
        weights[v.name] = weights.get(v.name, 0.0) - value.reshape(v.shape)
    out = solution.multipliers(weights)
    for label, value in by_label.items():
        shaped = value.reshape(problem.constraints[label].shape)
        out[label] = float(shaped) if not shaped.shape else shaped
    return out


def _signed_least_squares(rows: np.ndarray, g: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """min ‖rowsᵀ λ − g‖ with λ ≥ 0, λ ≤ 0 or free."""
    low = np.where(signs > 0, 0.0, -np.inf)
    high = np.where(signs < 0, 0.0, np.inf)
    lam = np.linalg.lstsq(rows.T, g, rcond=None)[0]
    if np.all(lam >= low) and np.all(lam <= high):
        return lam
    return scipy.optimize.lsq_linear(rows.T, g, bounds=(low, high)).x
