"""Points with multipliers, and how far they are from the optimality conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .program import ScaledProgram

__all__ = ["Errors", "Point", "errors", "evaluated", "natural_scale", "split"]

LARGE = 100.0  # s_max of Wächter & Biegler 2006, eq. 6: mean size of multipliers above which errors are divided


@dataclass(slots=True, eq=False)
class Point:
    """A point and what is known there; ``J`` holds the entries of the Jacobian."""

    x: np.ndarray
    f: float
    c: np.ndarray
    g: np.ndarray
    J: np.ndarray


class Errors(NamedTuple):
    """Largest scaled residuals of the optimality conditions; ``scale`` is that of the multipliers."""

    primal: float
    dual: float
    complementarity: float
    scale: float

    @property
    def total(self) -> float:
        """The largest, of dual ones relative to the multipliers (Wächter & Biegler 2006, eq. 5)."""
        return max(self.primal, self.dual / self.scale, self.complementarity / self.scale)


def evaluated(program: ScaledProgram, x: np.ndarray) -> Point:
    """The point with its values and derivatives."""
    f, c = program.values(x)
    return Point(x, f, c, *program.derivatives(x))


def split(lower: np.ndarray, upper: np.ndarray, x: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers of bounds from the gradient ``r`` of the Lagrangian: ``z_lower, z_upper ≥ 0``.

    Of a component ``r`` at distance ``d`` from its bound, the share ``r / (1 + d)`` is the multiplier: the rest, a dual
    residual, and the product of multiplier and distance are equal then, and as small as both can be.

    >>> zero, inf = np.zeros(1), np.full(1, np.inf)
    >>> split(zero, inf, np.zeros(1), np.array([2.0]))
    (array([2.]), array([0.]))
    """
    with np.errstate(invalid="ignore"):
        z_lower = np.where(np.isfinite(lower), np.maximum(r, 0.0) / (1.0 + np.maximum(x - lower, 0.0)), 0.0)
        z_upper = np.where(np.isfinite(upper), np.maximum(-r, 0.0) / (1.0 + np.maximum(upper - x, 0.0)), 0.0)
    return z_lower, z_upper


def natural_scale(*multipliers: np.ndarray) -> float:
    """``s_d``: 1, or more where multipliers are large on average (Wächter & Biegler 2006, eq. 6)."""
    size = sum(v.size for v in multipliers)
    total = sum(float(np.abs(v).sum()) for v in multipliers)
    return max(LARGE, total / max(size, 1)) / LARGE


def errors(program: ScaledProgram, p: Point, y: np.ndarray) -> Errors:
    """The errors of a point with multipliers ``y`` of its rows; those of bounds are chosen best."""
    r = p.g + program.transpose_dot(p.J, y)
    z_lower, z_upper = split(program.lower, program.upper, p.x, r)
    dual = float(np.abs(r - z_lower + z_upper).max(initial=0.0))
    with np.errstate(invalid="ignore"):
        distance = np.where(y > 0.0, program.row_upper - p.c, p.c - program.row_lower)
        products = np.where((y != 0.0) & ~program.equality, np.abs(y) * np.abs(distance), 0.0)
    complementarity = float(products.max(initial=0.0))
    primal = float(program.violation(p.c).max(initial=0.0))
    return Errors(primal, dual, complementarity, natural_scale(y, z_lower, z_upper))
