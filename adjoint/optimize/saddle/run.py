"""From a task to a method on the Lagrangian, and from a saddle point to a result by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy

from ...errors import EvaluationError, ModelError, NameLookupError, ShapeError, closest
from ..driver import WarmStart, solve_nlp
from ..first_order import solve_by_gradient_descent
from ..formulations import Formulation
from ..formulations.residuals import bound_multipliers
from ..outcome import NLPOutcome
from ..task import Task
from .blocks import sweep_blocks
from .field import SaddleField
from .flows import Record, SaddlePoint, Told, descend_and_ascend, extragradient
from .options import (
    BdmmOptions,
    BlockCoordinateOptions,
    DescentAscentOptions,
    ExtragradientOptions,
    MdmmOptions,
    MultiplierOptions,
    PenaltyOptions,
    options_of,
)
from .penalties import method_of_multipliers, penalty_continuation

__all__ = [
    "solve_by_bdmm",
    "solve_by_block_coordinates",
    "solve_by_descent_and_ascent",
    "solve_by_extragradient",
    "solve_by_mdmm",
    "solve_by_multipliers",
    "solve_by_penalties",
]

Iterate = Callable[..., SaddlePoint]  # of the program, its field, v, y, options, and the callback


@dataclass
class SaddleOutcome(NLPOutcome):
    """An outcome with the history of its iterations."""

    history: list[Record] = field(default_factory=list)


def solve_by_descent_and_ascent(task: Task) -> Any:
    """Gradient descent in the variables and ascent in the multipliers, at once."""
    return _solve(task, DescentAscentOptions, lambda nlp, *rest: descend_and_ascend(*rest))


def solve_by_bdmm(task: Task) -> Any:
    """The basic differential multiplier method."""
    return _solve(task, BdmmOptions, lambda nlp, *rest: descend_and_ascend(*rest))


def solve_by_mdmm(task: Task) -> Any:
    """The modified differential multiplier method: the same with a damping."""
    return _solve(task, MdmmOptions, lambda nlp, *rest: descend_and_ascend(*rest))


def solve_by_extragradient(task: Task) -> Any:
    """The extragradient method."""
    return _solve(task, ExtragradientOptions, lambda nlp, *rest: extragradient(*rest))


def solve_by_multipliers(task: Task) -> Any:
    """The method of multipliers."""
    return _solve(task, MultiplierOptions, lambda nlp, *rest: method_of_multipliers(*rest))


def solve_by_penalties(task: Task) -> Any:
    """Penalty continuation."""
    return _solve(task, PenaltyOptions, lambda nlp, *rest: penalty_continuation(*rest))


def solve_by_block_coordinates(task: Task) -> Any:
    """Block coordinates: z, λ and x in turn. With exact solves, gradient descent on the reduced problem."""
    given = dict(task.options)
    if given.get("solves", "exact") == "exact":
        given.pop("multipliers", None)  # they are solved for
        o = options_of(BlockCoordinateOptions, given, task.method)
        own = {"tol": task.tol or o.tol, "max_iter": o.max_iter, "max_wall_time": o.max_wall_time}
        if o.learning_rate:
            own.update(line_search="fixed", learning_rate=o.learning_rate)
        start = task.start
        if isinstance(start, Mapping) and not isinstance(start, scipy.optimize.OptimizeResult):
            moved = {v.name for v in task.problem.variables}
            start = {name: start[name] for name in start if name in moved}  # z is solved for
        return solve_by_gradient_descent(replace(task, options=own, formulation="reduced", start=start))

    def iterate(nlp: Formulation, program: SaddleField, v: np.ndarray, y: np.ndarray, o: Any, told: Any) -> SaddlePoint:
        return sweep_blocks(nlp, program, v, y, o, told, task.method)

    return _solve(task, BlockCoordinateOptions, iterate)


def _solve(task: Task, cls: Any, iterate: Iterate) -> Any:
    given = dict(task.options)
    if task.tol is not None:
        given.setdefault("tol", task.tol)
    multipliers = given.pop("multipliers", None)
    options = options_of(cls, given, task.method)
    if task.formulation == "reduced":  # a dict says which equations are eliminated all the same
        task = replace(task, formulation="full")

    def run(nlp: Formulation, task: Task, start: WarmStart | None) -> NLPOutcome:
        y = np.zeros(nlp.m) if start is None else start.y
        if multipliers is not None:
            y = _given(nlp, multipliers)
        program = SaddleField(nlp)
        told = None if task.callback is None else _told(task.callback, nlp.sign)
        try:
            v = program.start(nlp.x0)
            found = iterate(nlp, program, v, y[program.rows], options, told)
        except EvaluationError as error:
            none = np.zeros(nlp.n)
            return SaddleOutcome(nlp.x0, y, none, none, "evaluation_error", str(error), program.evaluations)
        return _outcome(nlp, program, found)

    result = solve_nlp(task, run)
    if result.success and result.solution is not None:  # the equations hold to the tolerance only: verified values
        result.fun = float(result.solution[task.problem.objective.name])
    return result


def _given(nlp: Formulation, multipliers: Any) -> np.ndarray:
    """Multipliers by name, in the library's sign, as those of the rows."""
    if not isinstance(multipliers, Mapping):
        raise ModelError(f"multipliers is a dict by name of an equation or constraint, not {multipliers!r:.60}")
    names = dict(nlp.rows)
    for name in multipliers:
        if name not in names:
            raise NameLookupError(closest(name, names, "equation or constraint"))
    parts = []
    for name, size in nlp.rows:
        value = np.asarray(multipliers.get(name, 0.0), dtype=float)
        if value.size not in (1, size):
            raise ShapeError(f"multipliers[{name!r}] has {value.size} elements, expected {size}")
        parts.append(np.broadcast_to(value.reshape(-1), (size,)))
    return -nlp.sign * np.concatenate([np.zeros(0), *parts])


def _outcome(nlp: Formulation, program: SaddleField, found: SaddlePoint) -> SaddleOutcome:
    x, y = found.v[: nlp.n], program.full(found.y)
    try:
        z = bound_multipliers(nlp, x, y)
    except EvaluationError:
        z = np.zeros(nlp.n), np.zeros(nlp.n)
    history = [r._replace(objective=nlp.sign * r.objective) for r in found.history]
    evaluations = {"gradient of the Lagrangian": program.evaluations}
    return SaddleOutcome(x, y, z[0], z[1], found.status, found.message, found.iterations, evaluations, history)


def _told(callback: Callable[..., Any], sign: float) -> Told:
    """The user's callback, in SciPy's manner: it stops by True or StopIteration."""

    def told(program: SaddleField, v: np.ndarray, y: np.ndarray, record: Record) -> bool:
        fields = {"x": v[: program.nlp.n].copy(), "fun": sign * record.objective, "nit": record.iteration}
        fields.update(y=program.full(y), record=record)
        try:
            return callback(scipy.optimize.OptimizeResult(fields)) is True
        except StopIteration:
            return True

    return told
