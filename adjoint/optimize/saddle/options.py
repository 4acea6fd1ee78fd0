"""Options of the methods on the Lagrangian."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from ..options import checked_options

__all__ = [
    "BdmmOptions",
    "BlockCoordinateOptions",
    "DescentAscentOptions",
    "ExtragradientOptions",
    "MdmmOptions",
    "MultiplierOptions",
    "PenaltyOptions",
    "options_of",
]

CHOICES = {"order": ("auto", "simultaneous", "alternating"), "solves": ("exact", "sweeps")}


@dataclass(frozen=True)
class DescentAscentOptions:
    """Options of ``gradient-descent-ascent``, with their defaults.

    Attributes
    ----------
    learning_rate : float
        The step of Euler's method; 0 takes it from differences of the gradient.
    multiplier_rate : float
        That of the multipliers, relative to the former.
    damping : float
        c of the added energy ``½ c ‖g‖²``.
    order : {"auto", "simultaneous", "alternating"}
        Whether the multipliers move with the violation at the old point, which is Euler's method, or at the new one,
        which does not lead outwards where the flow is a circle. "auto": the former with a ``learning_rate``.
    tol : float
        The largest element of the (projected) gradient of L, over all its arguments, at which a point is optimal.
    max_iter, max_wall_time : int, float
        Limits; time in seconds.
    """

    learning_rate: float = 0.0
    multiplier_rate: float = 1.0
    damping: float = 0.0
    order: str = "simultaneous"
    tol: float = 1e-8
    max_iter: int = 100_000
    max_wall_time: float = inf


@dataclass(frozen=True)
class BdmmOptions(DescentAscentOptions):
    """Options of ``bdmm``: the same with another order."""

    order: str = "auto"


@dataclass(frozen=True)
class MdmmOptions(BdmmOptions):
    """Options of ``mdmm``: those of ``bdmm`` with a damping."""

    damping: float = 1.0


@dataclass(frozen=True)
class ExtragradientOptions:
    """Options of ``extragradient``; as those of ``bdmm``. The rate 0 is found by the rule of Khobotov."""

    learning_rate: float = 0.0
    damping: float = 0.0
    tol: float = 1e-8
    max_iter: int = 100_000
    max_wall_time: float = inf


@dataclass(frozen=True)
class MultiplierOptions:
    """Options of ``method-of-multipliers``.

    Attributes
    ----------
    penalty, growth, max_penalty : float
        The penalty, what it is multiplied by where the violation has not come down to a quarter, and its limit.
    inner_iter : int
        Limit of the iterations of L-BFGS-B in each minimization.
    """

    penalty: float = 10.0
    growth: float = 10.0
    max_penalty: float = 1e8
    inner_iter: int = 10_000
    tol: float = 1e-8
    max_iter: int = 100
    max_wall_time: float = inf


@dataclass(frozen=True)
class PenaltyOptions(MultiplierOptions):
    """Options of ``penalty``: the penalty grows in every iteration, up to ``max_penalty``."""

    penalty: float = 1.0
    tol: float = 1e-6


@dataclass(frozen=True)
class BlockCoordinateOptions:
    """Options of ``block-coordinate``.

    Attributes
    ----------
    solves : {"exact", "sweeps"}
        Whether z and λ are solved for in every iteration, or improved by some sweeps.
    sweeps : int
        How many.
    learning_rate : float
        The step along ``-∂L/∂x``; 0 takes it from a line search (exact solves) or from differences of the gradient.
    """

    solves: str = "exact"
    sweeps: int = 1
    learning_rate: float = 0.0
    tol: float = 1e-8
    max_iter: int = 100_000
    max_wall_time: float = inf


def options_of(cls: Any, given: Mapping[str, Any], method: str) -> Any:
    """The options of a mapping, checked.

    >>> options_of(MdmmOptions, {"learning_rate": 0.05}, "mdmm").damping
    1.0
    """
    return checked_options(cls, given, method, CHOICES)
