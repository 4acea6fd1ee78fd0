"""Descent in the variables and ascent in the multipliers, at once.

The basic differential multiplier method (Platt & Barr 1987) is the flow

    v̇ = −∂L/∂v,     ẏ = +∂L/∂y = h(v);

a damped oscillation that ends at the constrained minimum where ``∂²L/∂v²`` is positive definite. The modified one adds
``½ c ‖h‖²`` to the energy, which makes it so near any regular minimum. Euler's method follows the flow here; on a
bilinear function such as ``z λ``, whose flow is a circle, each of its steps leads outwards, by √(1 + η²). The
extragradient method of Korpelevich (1976) takes the gradient a step ahead, and leads inwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ...errors import EvaluationError
from .field import Gradient, SaddleField
from .options import DescentAscentOptions, ExtragradientOptions

__all__ = ["Record", "SaddlePoint", "Watch", "descend_and_ascend", "extragradient"]

DIVERGED = 1e12  # growth of the residual, relative to the first and at least 1
CONTRACTION = 0.7  # ν of Khobotov (1987): steps are at most ν over the Lipschitz constant seen on the way
GROWTH = 1.1  # of the step after an iteration that did not shorten it
SHORTENINGS = 40  # where the next point cannot be evaluated
SMALLEST = 1e-14  # of the steps so shortened
LOCAL = 0.5  # the step of descent and ascent, in units of the inverse of that constant


class Record(NamedTuple):
    """An iteration: objective, the largest violation, the residual (of the gradient of L), and the step."""

    iteration: int
    objective: float
    violation: float
    residual: float
    rate: float


@dataclass
class SaddlePoint:
    """What a method on the Lagrangian ends with."""

    v: np.ndarray
    y: np.ndarray
    status: str
    message: str
    iterations: int
    history: list[Record] = field(default_factory=list)


Told = Callable[[SaddleField, np.ndarray, np.ndarray, Record], bool]


class Watch:
    """Records iterations, and says when to stop. An iteration is an evaluation of the gradient at its point."""

    def __init__(self, program: SaddleField, options: Any, told: Told | None) -> None:
        self.program, self.options, self.told = program, options, told
        self.deadline = perf_counter() + options.max_wall_time
        self.history: list[Record] = []
        self.limit = np.inf

    def ended(self, v: np.ndarray, y: np.ndarray, at: Gradient, rate: float) -> SaddlePoint | None:
        """The end, if it is reached."""
        residual = self.program.residual(v, at)
        f = self.program.nlp.objective(v[: self.program.nlp.n])
        record = Record(len(self.history) + 1, f, float(np.abs(at.y).max(initial=0.0)), residual, rate)
        self.history.append(record)
        if record.iteration == 1:
            self.limit = DIVERGED * max(1.0, residual)
        stopped = self.told is not None and self.told(self.program, v, y, record)
        if residual <= self.options.tol:
            return self.end(v, y, "optimal", f"the gradient of the Lagrangian is {residual:.2g}")
        if stopped:
            return self.end(v, y, "stopped", "stopped by the callback")
        if not residual <= self.limit:
            return self.diverged(v, y)
        if record.iteration >= self.options.max_iter:
            return self.end(v, y, "iteration_limit", f"the iteration limit was reached (max_iter): {residual:.2g} left")
        if perf_counter() > self.deadline:
            return self.end(v, y, "time_limit", f"the time limit was reached (max_wall_time): {residual:.2g} left")
        return None

    def diverged(self, v: np.ndarray, y: np.ndarray) -> SaddlePoint:
        """The end of iterates that grow without limit."""
        return self.end(
            v, y, "failed", "the iterates diverge: a smaller learning_rate, a damping or 'extragradient' may help"
        )

    def end(self, v: np.ndarray, y: np.ndarray, status: str, message: str) -> SaddlePoint:
        """The end of a status."""
        return SaddlePoint(v, y, status, message, len(self.history), self.history)


def descend_and_ascend(
    program: SaddleField, v: np.ndarray, y: np.ndarray, options: DescentAscentOptions, told: Told | None
) -> SaddlePoint:
    """Euler's method on the flow of BDMM, or of MDMM where there is a damping."""
    watch, steps = Watch(program, options, told), LocalRate(options.multiplier_rate)
    at = program.gradient(v, y, options.damping)
    while True:
        rate = options.learning_rate or steps.next(v, y, at)
        end = watch.ended(v, y, at, rate)
        if end is not None:
            return end
        for _ in range(1 if options.learning_rate else SHORTENINGS):
            new = _euler(program, v, y, at, rate, options)
            if new is not None:
                break
            rate = steps.rate = 0.25 * rate
        if new is None:
            return watch.diverged(v, y)
        v, y, at = new


def _euler(
    program: SaddleField, v: np.ndarray, y: np.ndarray, at: Gradient, rate: float, options: DescentAscentOptions
) -> tuple[np.ndarray, np.ndarray, Gradient] | None:
    """The next point with its gradient; None where it cannot be evaluated."""
    v = program.projected(v - rate * at.v)
    h = at.y
    if options.order == "alternating" or (options.order == "auto" and not options.learning_rate):
        try:
            h = program.violation(v)
        except EvaluationError:
            return None
    y = y + rate * options.multiplier_rate * h
    found = _gradient_or_none(program, v, y, options.damping)
    return None if found is None else (v, y, found)


class LocalRate:
    """Steps of half the inverse of the Lipschitz constant of the gradient, as its last difference shows it."""

    def __init__(self, multiplier_rate: float) -> None:
        self.scale = multiplier_rate
        self.rate = 0.0
        self.last: tuple[np.ndarray, np.ndarray] | None = None

    def next(self, v: np.ndarray, y: np.ndarray, at: Gradient) -> float:
        """The step from a point with a gradient."""
        point, slope = np.concatenate([v, y]), np.concatenate([at.v, -self.scale * at.y])
        if self.last is None:
            self.rate = 1e-3 / max(1.0, float(np.abs(slope).max(initial=0.0)))
        else:
            moved = float(np.linalg.norm(point - self.last[0]))
            changed = float(np.linalg.norm(slope - self.last[1]))
            longest = GROWTH * self.rate
            self.rate = longest if changed <= 0.0 else min(longest, LOCAL * moved / changed or longest)
        self.last = point, slope
        return self.rate


def extragradient(
    program: SaddleField, v: np.ndarray, y: np.ndarray, options: ExtragradientOptions, told: Told | None
) -> SaddlePoint:
    """Korpelevich's method: the step of a point is taken with the gradient at the end of a trial step.

    G. M. Korpelevich, *Matecon* 12 (1976); the rule for the step: E. N. Khobotov, *USSR Comput. Math. Math. Phys.* 27
    (1987).
    """
    watch, c = Watch(program, options, told), options.damping
    rate = options.learning_rate or 1.0
    at = program.gradient(v, y, c)
    while True:
        end = watch.ended(v, y, at, rate)
        if end is not None:
            return end
        while True:
            v_mid, y_mid = program.projected(v - rate * at.v), y + rate * at.y
            ahead = _gradient_or_none(program, v_mid, y_mid, c)
            if ahead is None:
                rate *= 0.25
                if options.learning_rate or rate < SMALLEST:
                    return watch.diverged(v, y)
                continue
            moved = _norm(v_mid - v, y_mid - y)
            changed = _norm(ahead.v - at.v, ahead.y - at.y)
            if options.learning_rate or rate * changed <= CONTRACTION * moved or rate < SMALLEST:
                break
            rate *= max(0.1, min(0.8, CONTRACTION * moved / (rate * changed)))
        while True:
            v_new, y_new = program.projected(v - rate * ahead.v), y + rate * ahead.y
            found = _gradient_or_none(program, v_new, y_new, c)
            if found is not None:
                break
            rate *= 0.25
            if options.learning_rate or rate < SMALLEST:
                return watch.diverged(v, y)
        v, y, at = v_new, y_new, found
        if not options.learning_rate:
            rate *= GROWTH


def _gradient_or_none(program: SaddleField, v: np.ndarray, y: np.ndarray, c: float) -> Gradient | None:
    """The gradient; None where it cannot be evaluated."""
    if not (np.isfinite(v).all() and np.isfinite(y).all()):
        return None
    try:
        return program.gradient(v, y, c)
    except EvaluationError:
        return None


def _norm(*parts: np.ndarray) -> float:
    return float(np.sqrt(sum(float(p @ p) for p in parts)))
