"""Schedules of learning rates: factors by time, counted in epochs; where there are no batches, in iterations.

Each is ``schedule(time, decay, period, end)``, a factor of the learning rate.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, floor, pi

__all__ = ["SCHEDULES"]


def constant(time: float, decay: float, period: float, end: float) -> float:
    """1."""
    return 1.0


def step(time: float, decay: float, period: float, end: float) -> float:
    """``decay`` once more after every ``period``.

    >>> [step(t, 0.5, 10.0, 30.0) for t in (0.0, 9.9, 10.0, 25.0)]
    [1.0, 1.0, 0.5, 0.25]
    """
    return decay ** floor(time / period)


def exponential(time: float, decay: float, period: float, end: float) -> float:
    """``decay^(time / period)``."""
    return decay ** (time / period)


def inverse(time: float, decay: float, period: float, end: float) -> float:
    """``1 / (1 + decay · time)``: the steps of Robbins & Monro (1951)."""
    return 1.0 / (1.0 + decay * time)


def cosine(time: float, decay: float, period: float, end: float) -> float:
    """Half a cosine from 1 at the start to 0 at the end (Loshchilov & Hutter 2017).

    >>> [round(cosine(t, 0.0, 0.0, 8.0), 3) for t in (0.0, 4.0, 8.0)]
    [1.0, 0.5, 0.0]
    """
    return 0.5 * (1.0 + cos(pi * min(time / end, 1.0)))


SCHEDULES: dict[str, Callable[[float, float, float, float], float]] = {
    "constant": constant,
    "step": step,
    "exponential": exponential,
    "inverse": inverse,
    "cosine": cosine,
}
