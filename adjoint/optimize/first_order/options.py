"""Options of the first-order methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from ...errors import ModelError
from ..options import checked_options
from .schedules import SCHEDULES

__all__ = [
    "AdamOptions",
    "GradientDescentOptions",
    "MomentumOptions",
    "RpropOptions",
    "SgdOptions",
    "schedule_of",
]

VARIANTS = ("Rprop+", "Rprop-", "iRprop+", "iRprop-")
LINE_SEARCHES = ("backtracking", "fixed")


@dataclass(frozen=True)
class GradientDescentOptions:
    """Options of ``gradient-descent``, with their defaults.

    Attributes
    ----------
    line_search : {"backtracking", "fixed"}
        "fixed" takes every step with the ``learning_rate``.
    learning_rate : float
        The step where it is fixed; else the first one, in the length of the first gradient's inverse if 0.
    memory : int
        Steps are compared with the largest of so many last values (Grippo, Lampariello & Lucidi 1986); 1 is monotone.
    tol : float
        The largest element of the projected gradient at which a point is optimal.
    max_iter, max_wall_time : int, float
        Limits; time in seconds.
    """

    line_search: str = "backtracking"
    learning_rate: float = 0.0
    memory: int = 10
    tol: float = 1e-8
    max_iter: int = 100_000
    max_wall_time: float = inf


@dataclass(frozen=True)
class SgdOptions:
    """Options of ``sgd``: the step is ``-rate · gradient``, of a batch; with ``momentum``, of a moving sum.

    Attributes
    ----------
    decay, period : float
        Of the schedule; see :mod:`~adjoint.optimize.first_order.schedules`.
    nesterov : bool
        The gradient counts as if taken a step of the momentum ahead.
    """

    learning_rate: float = 1e-3
    momentum: float = 0.0
    nesterov: int = 0
    decay: float = 0.5
    period: float = 10.0
    tol: float = 1e-8
    max_iter: int = 100_000
    max_wall_time: float = inf


@dataclass(frozen=True)
class MomentumOptions(SgdOptions):
    """Options of ``momentum``: those of ``sgd`` with another default."""

    momentum: float = 0.9


@dataclass(frozen=True)
class AdamOptions:
    """Options of ``adam`` (Kingma & Ba 2015), with the defaults of the paper."""

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.5
    period: float = 10.0
    tol: float = 1e-8
    max_iter: int = 100_000
    max_wall_time: float = inf


@dataclass(frozen=True)
class RpropOptions:
    """Options of ``rprop`` (Riedmiller & Braun 1992; Igel & Hüsken 2003).

    Attributes
    ----------
    variant : {"Rprop+", "Rprop-", "iRprop+", "iRprop-"}
    step, step_min, step_max : float
        The first step of every element, and between which it stays.
    grow, shrink : float
        What a step is multiplied by when the sign of the gradient stays, and when it changes.
    """

    variant: str = "iRprop+"
    step: float = 0.1
    step_min: float = 1e-6
    step_max: float = 50.0
    grow: float = 1.2
    shrink: float = 0.5
    tol: float = 1e-8
    max_iter: int = 100_000
    max_wall_time: float = inf


CHOICES = {"variant": VARIANTS, "line_search": LINE_SEARCHES}


def options_of(cls: Any, given: Mapping[str, Any], method: str) -> Any:
    """The options of a mapping, checked.

    >>> options_of(AdamOptions, {"learning_rate": 0.1}, "adam").beta2
    0.999
    """
    return checked_options(cls, given, method, CHOICES)


def schedule_of(word: Any, method: str) -> Callable[[float, float, float, float], float]:
    """The function of a schedule: by its name, or ``schedule(time)`` of the user's.

    >>> schedule_of(lambda epoch: 1.0 / (1.0 + epoch), "sgd")(1.0, 0.0, 0.0, 0.0)
    0.5
    """
    if callable(word):
        return lambda time, decay, period, end: float(word(time))
    if word not in SCHEDULES:
        raise ModelError(f"{method}: schedule is one of {tuple(SCHEDULES)} or a function of the epoch, not {word!r}")
    return SCHEDULES[word]
