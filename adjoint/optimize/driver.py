"""From a task to a nonlinear program, and from what a method found to a result by name."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy

from ..errors import AdjointError, EvaluationError, KinkWarning, ModelError, NameLookupError, closest
from ..solution import Solution
from .formulations import Formulation
from .result import Multipliers, ResultMethods, finished
from .task import Task

__all__ = ["Outcome", "WarmStart", "formulation_of", "solve_nlp"]

SUCCESS = ("optimal", "acceptable")
OWN = ("x", "f", "y", "z_lower", "z_upper", "iterations", "residuals")  # what a result says in its own words


class Outcome(Protocol):
    """What a method on a nonlinear program found; multipliers in the sign of :mod:`~adjoint.optimize.nlp`."""

    x: np.ndarray
    y: np.ndarray
    z_lower: np.ndarray
    z_upper: np.ndarray
    status: str
    message: str
    iterations: int


class WarmStart(NamedTuple):
    """A start with multipliers."""

    x: np.ndarray
    y: np.ndarray
    z_lower: np.ndarray
    z_upper: np.ndarray


def formulation_of(task: Task) -> Formulation:
    """The nonlinear program of a task; one per problem and formulation is kept, with all that was compiled for it."""
    problem, word = task.problem, task.formulation
    key = tuple(sorted(word.items())) if isinstance(word, Mapping) else word
    kept = problem.kept.setdefault("formulations", {})
    if key not in kept:
        kept[key] = Formulation(problem, word)
    return kept[key].at(task.values, _values_by_name(task))


def _values_by_name(task: Task) -> Mapping[str, Any] | None:
    """Start values by name."""
    start = task.start
    if start is None or isinstance(start, Solution):
        return start
    if isinstance(start, ResultMethods) and "_nlp" in start:
        return start._nlp.parts(start._point)  # type: ignore[no-any-return]
    if isinstance(start, scipy.optimize.OptimizeResult):
        sizes = [v.size for v in task.problem.variables]
        parts = np.split(np.asarray(start.x, dtype=float), np.cumsum(sizes)[:-1])
        return {v.name: p.reshape(v.shape) for v, p in zip(task.problem.variables, parts, strict=True)}
    if not isinstance(start, Mapping):
        raise ModelError(f"start is a dict of values by name or a previous result, not {type(start).__name__}")
    program = task.problem.program
    for name in start:
        if name not in program.variables:
            raise NameLookupError(closest(name, [v.name for v in task.problem.variables], "variable to optimize over"))
    return start


def warm_start(nlp: Formulation, start: Any) -> WarmStart | None:
    """The multipliers of a previous result, or those that came with the problem; None where there are none."""
    if isinstance(start, ResultMethods) and "_nlp" in start:
        same = [v.name for v in start._nlp.variables] == [v.name for v in nlp.variables] and start._nlp.rows == nlp.rows
        if same:
            return WarmStart(nlp.x0, start._y, start._z_lower, start._z_upper)
    multipliers = start.get("multipliers") if isinstance(start, scipy.optimize.OptimizeResult) else None
    if multipliers is None:
        return None
    y = [_of_row(multipliers, name, size) for name, size in nlp.rows]
    z = [_of_row(multipliers, v.name, v.size) for v in nlp.variables]
    if any(part is None for part in y):
        return None
    parts = [np.zeros(v.size) if p is None else p for v, p in zip(nlp.variables, z, strict=True)]
    bounds = nlp.sign * np.concatenate([np.zeros(0), *parts])
    y_all = -nlp.sign * np.concatenate([np.zeros(0), *(p for p in y if p is not None)])
    return WarmStart(nlp.x0, y_all, np.maximum(bounds, 0.0), np.maximum(-bounds, 0.0))


def _of_row(multipliers: Mapping[str, Any], name: str, size: int) -> np.ndarray | None:
    rows = multipliers._rows if isinstance(multipliers, Multipliers) else multipliers
    value = rows.get(name)
    return None if value is None or np.size(value) != size else np.reshape(np.asarray(value, dtype=float), -1)


def solve_nlp(task: Task, run: Callable[[Formulation, Task, WarmStart | None], Outcome]) -> Any:
    """Solve a task by a method that takes a nonlinear program."""
    nlp = formulation_of(task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)  # methods cross kinks, and look at the end
        outcome = run(nlp, task, warm_start(nlp, task.start))
    names = [f.name for f in dataclasses.fields(outcome)]  # type: ignore[arg-type]
    fields = {name: getattr(outcome, name) for name in names if name not in OWN}
    fields["nit"] = outcome.iterations
    fields["success"] = outcome.status in SUCCESS
    result = finished(nlp, outcome.x, outcome.y, outcome.z_lower, outcome.z_upper, **fields)
    try:
        result.fun = nlp.sign * nlp.objective(np.asarray(outcome.x, dtype=float))
    except (EvaluationError, AdjointError):
        result.fun, result.success = float("nan"), False
    return result
