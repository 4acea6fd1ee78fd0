"""The Lagrangian of a nonlinear program with equations only, and its gradient as a field.

Rows with two sides, or one, get a variable for their value that the sides bound: ``c(x) − s = 0``. So all rows are
equations ``h(v) = 0`` of ``v = (x, s)``, and all inequalities are bounds of v, kept by projection.

    L(v, y) = f(x) + yᵀh(v) + ½ c ‖h(v)‖²
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["Gradient", "SaddleField"]


class Gradient(NamedTuple):
    """``∂L/∂v`` and ``∂L/∂y = h(v)``."""

    v: np.ndarray
    y: np.ndarray


class SaddleField:
    """L of a :class:`~adjoint.optimize.nlp.NonlinearProgram`, its gradient, and projections.

    y has an element for each row that has a side.

    Attributes
    ----------
    lower, upper : ndarray
        Bounds of v.
    rows : ndarray
        The rows of the program that have a side.
    """

    def __init__(self, nlp: Any) -> None:
        self.nlp = nlp
        low, high = nlp.constraint_lower, nlp.constraint_upper
        self.rows = np.flatnonzero(np.isfinite(low) | np.isfinite(high))
        low, high = low[self.rows], high[self.rows]
        self.ranged = np.flatnonzero(low != high)  # of the rows
        self.target = np.where(low == high, low, 0.0)
        self.lower = np.concatenate([nlp.lower, low[self.ranged]])
        self.upper = np.concatenate([nlp.upper, high[self.ranged]])
        place = np.full(nlp.m, -1)
        place[self.rows] = np.arange(self.rows.size)
        rows, columns = nlp.jacobian_pattern
        self._kept = np.flatnonzero(place[rows] >= 0)
        self._rows, self._columns = place[rows[self._kept]], columns[self._kept]
        self.evaluations = 0

    def start(self, x0: np.ndarray) -> np.ndarray:
        """v at a start: the values of rows with sides, between them."""
        c = self.nlp.constraints(x0)[self.rows][self.ranged] if self.ranged.size else np.zeros(0)
        return self.projected(np.concatenate([x0, c]))

    def projected(self, v: np.ndarray) -> np.ndarray:
        """The closest point within the bounds."""
        return np.clip(v, self.lower, self.upper)

    def violation(self, v: np.ndarray) -> np.ndarray:
        """h(v)."""
        n = self.nlp.n
        if not self.rows.size:
            return np.zeros(0)
        h = self.nlp.constraints(v[:n])[self.rows] - self.target
        h[self.ranged] -= v[n:]
        return h

    def value(self, v: np.ndarray, y: np.ndarray, c: float = 0.0) -> float:
        """L."""
        h = self.violation(v)
        return float(self.nlp.objective(v[: self.nlp.n]) + y @ h + 0.5 * c * (h @ h))

    def gradient(self, v: np.ndarray, y: np.ndarray, c: float = 0.0) -> Gradient:
        """The gradient of L."""
        self.evaluations += 1
        nlp, x = self.nlp, v[: self.nlp.n]
        g = nlp.gradient(x)
        h = self.violation(v)
        if not self.rows.size:
            return Gradient(g, h)
        w = y + c * h
        J = nlp.jacobian(x)[self._kept]
        g = g + np.bincount(self._columns, J * w[self._rows], nlp.n)
        return Gradient(np.concatenate([g, -w[self.ranged]]), h)

    def residual(self, v: np.ndarray, at: Gradient) -> float:
        """The largest element of the gradient; where a bound holds a variable, of what the projection leaves."""
        left = np.abs(v - self.projected(v - at.v)).max(initial=0.0)
        return float(max(left, np.abs(at.y).max(initial=0.0)))

    def full(self, y: np.ndarray) -> np.ndarray:
        """Multipliers of all rows of the program."""
        out = np.zeros(self.nlp.m)
        out[self.rows] = y
        return out
