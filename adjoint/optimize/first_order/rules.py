"""Rules of first-order methods: the step from a gradient. A rule is an object with a state of its own.

``rule.step(x, f, g, rate)`` gives the change of ``x``, at a point with objective ``f`` and gradient ``g``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

__all__ = ["Adam", "Momentum", "Rule"]


class Rule(Protocol):
    """What the loop asks of a rule."""

    def step(self, x: np.ndarray, f: float, g: np.ndarray, rate: float) -> np.ndarray:
        """The change of x."""


class Momentum:
    """``v ← m v + g``, step ``-rate · v`` (Polyak 1964); as Nesterov (1983) counts it, ``-rate · (g + m v)``.

    With ``m = 0`` it is gradient descent.

    >>> rule, x = Momentum(0.5), np.array([4.0])
    >>> [rule.step(x, 0.0, np.array([1.0]), 0.1).round(3).tolist() for _ in range(3)]
    [[-0.1], [-0.15], [-0.175]]
    """

    def __init__(self, momentum: float, nesterov: bool = False) -> None:
        self.momentum, self.nesterov = momentum, nesterov
        self.velocity: np.ndarray | None = None

    def step(self, x: np.ndarray, f: float, g: np.ndarray, rate: float) -> np.ndarray:
        if not self.momentum:
            return -rate * g
        v = self.velocity = g if self.velocity is None else self.momentum * self.velocity + g
        return -rate * (g + self.momentum * v if self.nesterov else v)


class Adam:
    """Moving means of the gradient and of its square, both corrected for their start at 0 (Kingma & Ba 2015).

    >>> rule = Adam(0.9, 0.999, 1e-8)
    >>> rule.step(np.zeros(2), 0.0, np.array([3.0, -0.001]), 0.1).round(4).tolist()
    [-0.1, 0.1]
    """

    def __init__(self, beta1: float, beta2: float, epsilon: float) -> None:
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.mean: np.ndarray | float = 0.0
        self.square: np.ndarray | float = 0.0
        self.count = 0

    def step(self, x: np.ndarray, f: float, g: np.ndarray, rate: float) -> np.ndarray:
        self.count += 1
        self.mean = self.beta1 * self.mean + (1.0 - self.beta1) * g
        self.square = self.beta2 * self.square + (1.0 - self.beta2) * (g * g)
        mean = self.mean / (1.0 - self.beta1**self.count)
        square = self.square / (1.0 - self.beta2**self.count)
        return -rate * mean / (np.sqrt(square) + self.epsilon)
