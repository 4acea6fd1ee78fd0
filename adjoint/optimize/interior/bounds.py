"""Bounds of the variables, stacked into one vector, and the quantities of the barrier made of them.

Each finite bound is one entry: the variable ``index``, the ``sign`` (+1 of a lower bound, −1 of an upper one) and the
``value``. The distance ``d = sign (w − value)`` is positive, the multiplier ``z`` too, and every formula of the barrier
is one for the stacked vectors.

References
----------
.. [1] A. Wächter and L. T. Biegler, "On the implementation of an interior-point filter line-search algorithm for
       large-scale nonlinear programming", Math. Program. 106, 2006, pp. 25-57; "W&B" in this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["Bounds", "largest", "pushed", "stacked", "to_boundary"]

DAMPING = 1e-5  # κ_d of W&B, section 3.7
EXACT = 1e-6  # relative distance from which a distance is computed from the variable


@dataclass(frozen=True, eq=False)
class Bounds:
    """The finite bounds of ``size`` variables: all lower ones, then all upper ones."""

    size: int
    index: np.ndarray
    sign: np.ndarray
    value: np.ndarray

    @cached_property
    def one_sided(self) -> np.ndarray:
        """κ_d where a variable has this bound only, 0 elsewhere (W&B, section 3.7)."""
        count = np.bincount(self.index, minlength=self.size)
        return np.where(count[self.index] == 1, DAMPING, 0.0)

    @cached_property
    def floor(self) -> np.ndarray:
        """Distances below these have lost digits when they are computed from the variable."""
        return EXACT * np.maximum(1.0, np.abs(self.value))

    def distances(self, w: np.ndarray) -> np.ndarray:
        """``d`` of a point."""
        return self.sign * (w[self.index] - self.value)

    def exact(self, w: np.ndarray, d: np.ndarray) -> np.ndarray:
        """``d`` from the variable where that is accurate; updated distances elsewhere.

        Near a bound the difference of variable and bound cancels; the updated distance keeps its digits and its sign,
        and no bound has to be moved (as W&B, section 3.5, do).
        """
        fresh = self.sign * (w[self.index] - self.value)
        return np.where(fresh > self.floor, fresh, d)

    def along(self, dw: np.ndarray) -> np.ndarray:
        """Change of ``d`` with a change of the variables."""
        return self.sign * dw[self.index]

    def scatter(self, v: np.ndarray) -> np.ndarray:
        """``Σ sign v`` at each variable: the transpose of :meth:`along`."""
        return np.bincount(self.index, self.sign * v, self.size)

    def diagonal(self, v: np.ndarray) -> np.ndarray:
        """``Σ v`` at each variable: the diagonal of a matrix that is diagonal in ``d``."""
        return np.bincount(self.index, v, self.size)

    def barrier(self, d: np.ndarray) -> float:
        """``Σ log d − κ_d Σ d``: the barrier function is ``f − μ`` times it (W&B, eq. 3b)."""
        return float(np.add.reduce(np.log(d)) - self.one_sided.dot(d))

    def slope(self, d: np.ndarray) -> np.ndarray:
        """The derivative of :meth:`barrier` by ``d``."""
        return 1.0 / d - self.one_sided


def stacked(lower: np.ndarray, upper: np.ndarray, relax: float = 0.0) -> Bounds:
    """The bounds of vectors of sides, ±inf where there is none.

    >>> b = stacked(np.array([0.0, -np.inf]), np.array([np.inf, 3.0]))
    >>> b.index.tolist(), b.distances(np.array([1.0, 1.0])).tolist()
    ([0, 1], [1.0, 2.0])
    """
    low, high = np.flatnonzero(np.isfinite(lower)), np.flatnonzero(np.isfinite(upper))
    index = np.concatenate([low, high])
    sign = np.concatenate([np.ones(len(low)), -np.ones(len(high))])
    value = np.concatenate([lower[low], upper[high]])
    if relax:
        value = value - sign * relax * np.maximum(1.0, np.abs(value))
    return Bounds(len(lower), index, sign, value)


def pushed(w: np.ndarray, bounds: Bounds, push: float, fraction: float) -> np.ndarray:
    """The point moved inside the bounds: by ``push`` relative to the bound, or by ``fraction`` of the range between
    two (W&B, section 3.6)."""
    lower, upper = np.full(bounds.size, -np.inf), np.full(bounds.size, np.inf)
    below = bounds.sign > 0
    lower[bounds.index[below]] = bounds.value[below]
    upper[bounds.index[~below]] = bounds.value[~below]
    gap = fraction * (upper - lower)
    with np.errstate(invalid="ignore"):  # sides at infinity
        inner_lower = lower + np.minimum(push * np.maximum(1.0, np.abs(lower)), gap)
        inner_upper = upper - np.minimum(push * np.maximum(1.0, np.abs(upper)), gap)
    inner_lower[~np.isfinite(lower)] = -np.inf
    inner_upper[~np.isfinite(upper)] = np.inf
    return np.minimum(np.maximum(w, inner_lower), inner_upper)


def to_boundary(v: np.ndarray, dv: np.ndarray, tau: float) -> float:
    """The largest step in (0, 1] with ``v + α dv ≥ (1 − τ) v`` (W&B, eq. 15)."""
    if not v.size:
        return 1.0
    worst = float(np.minimum.reduce(dv / v))
    return 1.0 if worst >= -tau else tau / -worst


def largest(v: np.ndarray) -> float:
    """The largest absolute value, 0 of none; by the ufunc, whose call costs half of the method's."""
    return float(np.maximum.reduce(np.abs(v), initial=0.0))
