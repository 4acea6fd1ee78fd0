"""Proximal operators: ``z`` that minimizes ``g(z) + ½ Σ weight (z − v)²``, for functions g that have it in closed form.

Parikh and Boyd 2014, "Proximal Algorithms", chapter 6. Each is called as ``operator(v, weight)``, elementwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["AbsoluteValues", "Box", "Equal", "Squares"]


@dataclass(frozen=True)
class Squares:
    """``g(z) = ½ Σ strength z²``.

    >>> Squares(1.0)(np.array([2.0]), np.array([3.0]))
    array([1.5])
    """

    strength: Any = 1.0

    def __call__(self, v: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return weight * v / (weight + self.strength)


@dataclass(frozen=True)
class AbsoluteValues:
    """``g(z) = Σ strength |z|``: soft thresholding.

    >>> AbsoluteValues(1.0)(np.array([2.0, -0.2]), np.array([2.0, 2.0]))
    array([ 1.5, -0. ])
    """

    strength: Any = 1.0

    def __call__(self, v: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.sign(v) * np.maximum(np.abs(v) - self.strength / weight, 0.0)


@dataclass(frozen=True)
class Box:
    """``lower ≤ z ≤ upper``.

    >>> Box(0.0, 1.0)(np.array([2.0, -0.5]), np.ones(2))
    array([1., 0.])
    """

    lower: Any = -np.inf
    upper: Any = np.inf

    def __call__(self, v: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.clip(v, self.lower, self.upper)


@dataclass(frozen=True)
class Equal:
    """``z = value``.

    >>> Equal(3.0)(np.array([2.0]), np.ones(1))
    array([3.])
    """

    value: Any = 0.0

    def __call__(self, v: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.asarray(self.value, dtype=float), v.shape).copy()
