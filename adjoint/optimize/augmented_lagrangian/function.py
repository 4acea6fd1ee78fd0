"""The augmented Lagrangian of Powell, Hestenes and Rockafellar, for rows with two sides.

::

    φ(x) = f(x) + ρ/2 · dist(c(x) + y/ρ, [low, high])²,   ∇φ = ∇f + Jᵀŷ,   ŷ = ρ (v − Π(v)),   v = c + y/ρ

``ŷ`` is the next estimate of the multipliers; it is zero where a row is inside. The (generalized) second derivative is
``∇²f + Σ ŷᵢ ∇²cᵢ + ρ J_AᵀJ_A`` with the rows ``A`` that are not.

References
----------
.. [1] R. T. Rockafellar, "Augmented Lagrange multiplier functions and duality in nonconvex programming", SIAM J.
       Control 12, 1974, pp. 268-285.
.. [2] A. R. Conn, N. I. M. Gould and P. L. Toint, "A globally convergent augmented Lagrangian algorithm for
       optimization with general constraints and simple bounds", SIAM J. Numer. Anal. 28, 1991, pp. 545-572.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..scaled import Point, ScaledProgram

__all__ = ["AugmentedFunction", "Sample"]


@dataclass(slots=True, eq=False)
class Sample:
    """A point with the value and the gradient of the augmented Lagrangian, and ``ŷ``."""

    point: Point
    value: float
    gradient: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, eq=False)
class AugmentedFunction:
    """The function for estimates ``y`` of the multipliers and a penalty parameter."""

    program: ScaledProgram
    y: np.ndarray
    penalty: float

    def multipliers(self, c: np.ndarray) -> np.ndarray:
        """``ŷ`` of values of the rows."""
        v = c + self.y / self.penalty
        return self.penalty * (v - np.clip(v, self.program.row_lower, self.program.row_upper))

    def value(self, f: float, c: np.ndarray) -> float:
        """``φ``."""
        y = self.multipliers(c)
        return f + float(y @ y) / (2.0 * self.penalty)

    def binding(self, y: np.ndarray) -> np.ndarray:
        """The rows that are not inside, by their ``ŷ``."""
        return (y != 0.0) | self.program.equality

    def sample(self, point: Point) -> Sample:
        """The function at an evaluated point."""
        y = self.multipliers(point.c)
        gradient = point.g + self.program.transpose_dot(point.J, y)
        return Sample(point, self.value(point.f, point.c), gradient, y)
