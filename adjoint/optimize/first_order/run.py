"""From a task to a loop, and from what was found to a result by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from ...errors import AdjointError, KinkWarning, ModelError
from ..base import Reduced, finish
from ..task import Task
from .backtracking import search_descend
from .batches import Batches, Sampled, batches_of
from .loop import Found, Rate, Record, Told, descend, train
from .options import (
    AdamOptions,
    GradientDescentOptions,
    MomentumOptions,
    RpropOptions,
    SgdOptions,
    options_of,
    schedule_of,
)
from .rprop import Rprop
from .rules import Adam, Momentum, Rule

__all__ = [
    "solve_by_adam",
    "solve_by_gradient_descent",
    "solve_by_momentum",
    "solve_by_rprop",
    "solve_by_sgd",
]


def solve_by_gradient_descent(task: Task) -> Any:
    """Projected gradient descent, by line search or with a fixed step."""
    given = _full_batch(task)
    options = options_of(GradientDescentOptions, given, task.method)
    if options.line_search == "fixed":
        if not options.learning_rate:
            raise ModelError(f"{task.method}: line_search='fixed' needs a learning_rate")
        return _solve(task, options, Momentum(0.0), lambda time: options.learning_rate, None)

    def run(reduced: Reduced, x0: np.ndarray, told: Told | None) -> Found:
        bounds = reduced.lower, reduced.upper
        return search_descend(reduced.value, reduced.gradient, x0, bounds, options, told)

    return _reduced(task, run)


def solve_by_rprop(task: Task) -> Any:
    """Resilient propagation, any of its four variants."""
    o = options_of(RpropOptions, _full_batch(task), task.method)
    rule = Rprop(o.variant, o.step, o.step_min, o.step_max, o.grow, o.shrink)
    return _solve(task, o, rule, lambda time: 1.0, None)


def solve_by_sgd(task: Task) -> Any:
    """Gradient descent by mini-batches; without ``data``, with whole gradients."""
    return _scheduled(task, SgdOptions, lambda o: Momentum(o.momentum, bool(o.nesterov)))


def solve_by_momentum(task: Task) -> Any:
    """The heavy ball, or Nesterov's variant."""
    return _scheduled(task, MomentumOptions, lambda o: Momentum(o.momentum, bool(o.nesterov)))


def solve_by_adam(task: Task) -> Any:
    """Adam."""
    return _scheduled(task, AdamOptions, lambda o: Adam(o.beta1, o.beta2, o.epsilon))


def _full_batch(task: Task) -> dict[str, Any]:
    """The options of a method that compares gradients of different iterations."""
    if "data" in task.options:
        raise ModelError(
            f"method {task.method!r} takes no mini-batches: it compares gradients of the same objective; 'sgd', "
            "'momentum' and 'adam' do"
        )
    return _with_tol(task)


def _with_tol(task: Task) -> dict[str, Any]:
    given = dict(task.options)
    if task.tol is not None:
        given.setdefault("tol", task.tol)
    return given


def _scheduled(task: Task, cls: Any, rule: Callable[[Any], Rule]) -> Any:
    given = _with_tol(task)
    batches = batches_of(given, task.problem, task.method)
    schedule = schedule_of(given.pop("schedule", "constant"), task.method)
    o = options_of(cls, given, task.method)
    end = float(batches.epochs if batches else o.max_iter)

    def rate(time: float) -> float:
        return float(o.learning_rate) * schedule(time, o.decay, o.period, end)

    return _solve(task, o, rule(o), rate, batches)


def _solve(task: Task, options: Any, rule: Rule, rate: Rate, batches: Batches | None) -> Any:
    def run(reduced: Reduced, x0: np.ndarray, told: Told | None) -> Found:
        bounds = reduced.lower, reduced.upper
        if batches is None:
            return descend(reduced.value, reduced.gradient, x0, bounds, rule, rate, options, told)
        first = next(batches.epoch(None))
        sampled = Sampled(task.problem, task.values, first)
        random = np.random.default_rng(task.seed)
        return train(sampled, batches, x0, bounds, rule, rate, options, told, random)

    return _reduced(task, run, batches)


def _reduced(
    task: Task, run: Callable[[Reduced, np.ndarray, Told | None], Found], batches: Batches | None = None
) -> Any:
    """Run on the reduced problem; of batches, the result is at the values of the first."""
    if task.problem.constraints:
        raise ModelError(
            f"method {task.method!r} takes no constraints; 'mdmm', 'augmented-lagrangian' and 'interior-point' do"
        )
    first = {} if batches is None else next(batches.epoch(None))
    reduced = Reduced(task.problem, {**task.values, **first})
    x0 = reduced.start(task.start)
    reduced.value(x0)  # a start that does not solve is the user's to know
    told = None if task.callback is None else _told(task.callback, reduced.sign)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        found = run(reduced, x0, told)
        history = [r._replace(objective=reduced.sign * r.objective) for r in found.history]
        fields = {"x": found.x, "status": found.status, "message": found.message, "history": history}
        fields.update(success=found.status in ("optimal", "acceptable"), nit=len(history) - (batches is None))
        result = finish(reduced, scipy.optimize.OptimizeResult(fields, steps=found.steps))
        if batches is not None and result.solution is not None:
            sampled = Sampled(task.problem, task.values, first)
            try:
                result.fun = reduced.sign * sampled.mean(np.asarray(found.x), batches)
            except AdjointError:
                result.fun = float("nan")
    return result


def _told(callback: Callable[..., Any], sign: float) -> Told:
    """The user's callback, in SciPy's manner: it stops by True or StopIteration."""

    def told(x: np.ndarray, record: Record) -> bool:
        fields = {"x": x.copy(), "fun": sign * record.objective, "nit": record.iteration, "record": record}
        try:
            return callback(scipy.optimize.OptimizeResult(fields)) is True
        except StopIteration:
            return True

    return told
