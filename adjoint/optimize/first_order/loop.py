"""The loops: iterations with one objective, and epochs over batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ...errors import AdjointError
from .batches import Batches, Sampled
from .rules import Rule

__all__ = ["Found", "Record", "descend", "projected_gradient", "train"]

Rate = Callable[[float], float]  # of the time: epochs, or iterations where there are no batches
Told = Callable[[np.ndarray, "Record"], bool]
FAR = 1e50  # distance from the start, relative to it and at least to 1, that tells divergence
STALLED = 100  # iterations with the smallest steps after which there is no more to gain


class Record(NamedTuple):
    """An iteration, or an epoch: the objective (the mean over the batches, as they came), the largest element of the
    projected gradient (NaN for batches), and the learning rate."""

    iteration: int
    objective: float
    gradient: float
    rate: float


@dataclass
class Found:
    """What a loop ends with."""

    x: np.ndarray
    status: str
    message: str
    history: list[Record] = field(default_factory=list)
    steps: int = 0


def projected_gradient(x: np.ndarray, g: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """The largest element of ``x − P(x − g)``: zero where no step within the bounds descends.

    >>> projected_gradient(np.zeros(2), np.array([1.0, -2.0]), np.zeros(2), np.ones(2))
    1.0
    """
    return float(np.abs(x - np.clip(x - g, lower, upper)).max(initial=0.0))


def descend(
    value: Callable[[np.ndarray], float],
    gradient: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    rule: Rule,
    rate: Rate,
    options: Any,
    told: Told | None,
) -> Found:
    """Steps of a rule, projected onto the bounds, until the projected gradient is small."""
    deadline, far = perf_counter() + options.max_wall_time, FAR * max(1.0, float(np.abs(x).max(initial=0.0)))
    found, idle = Found(x, "", ""), 0
    for k in range(options.max_iter + 1):
        f, g = value(x), gradient(x)
        size, eta = projected_gradient(x, g, *bounds), rate(float(k))
        record = Record(k, f, size, eta)
        found.history.append(record)
        found.x, found.steps = x, k
        stop = _reason(found, record, told, options, deadline)
        idle = idle + 1 if getattr(rule, "smallest", False) else 0
        if not stop and idle >= STALLED:
            stop = "acceptable", f"every step is the smallest (step_min); projected gradient {size:.2g}"
        if stop:
            found.status, found.message = stop
            return found
        x = np.clip(x + rule.step(x, f, g, eta), *bounds)
        if not np.abs(x).max(initial=0.0) <= far:
            found.status, found.message = "failed", "the iterates diverge: take a smaller learning_rate"
            return found
    raise AssertionError("the loop ends by one of its reasons")


def _reason(found: Found, record: Record, told: Told | None, options: Any, deadline: float) -> tuple[str, str] | None:
    """The status and the message with which an iteration is the last, or None."""
    stopped = told is not None and told(found.x, record)
    if record.gradient <= options.tol:
        return "optimal", f"the projected gradient is {record.gradient:.2g}"
    if stopped:
        return "stopped", "stopped by the callback"
    if record.iteration >= options.max_iter:
        return "iteration_limit", f"the iteration limit was reached (max_iter); gradient {record.gradient:.2g}"
    if perf_counter() > deadline:
        return "time_limit", f"the time limit was reached (max_wall_time); gradient {record.gradient:.2g}"
    return None


def train(
    sampled: Sampled,
    batches: Batches,
    x: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    rule: Rule,
    rate: Rate,
    options: Any,
    told: Told | None,
    random: np.random.Generator,
) -> Found:
    """Epochs: a step of the rule for each batch. Whether the end is an optimum is not tested."""
    deadline, far = perf_counter() + options.max_wall_time, FAR * max(1.0, float(np.abs(x).max(initial=0.0)))
    found = Found(x, "iteration_limit", f"all {batches.epochs} epochs were made; optimality is not tested")
    for epoch in range(batches.epochs):
        total, eta = 0.0, 0.0
        for k, batch in enumerate(batches.epoch(random)):
            eta = rate(epoch + k / batches.count)
            try:
                f, g = sampled(found.x, batch)
            except AdjointError as error:
                found.status, found.message = "evaluation_error", f"epoch {epoch}, batch {k}: {error}"
                return found
            total += f
            x = np.clip(found.x + rule.step(found.x, f, g, eta), *bounds)
            if not np.abs(x).max(initial=0.0) <= far:
                found.status, found.message = "failed", "the iterates diverge: take a smaller learning_rate"
                return found
            found.x, found.steps = x, found.steps + 1
        record = Record(epoch + 1, total / batches.count, float("nan"), eta)
        found.history.append(record)
        if told is not None and told(found.x, record):
            found.status, found.message = "stopped", "stopped by the callback"
            return found
        if perf_counter() > deadline:
            found.status, found.message = "time_limit", "the time limit was reached (max_wall_time)"
            return found
    return found
