"""Anderson acceleration of a fixed-point iteration ``u ← F(u)``, with a safeguard.

The next point is the combination of the last images whose linear model of the step ``F(u) − u`` is shortest. Where the
step at that point is longer than before, the iteration goes on from where it was without.

Walker and Ni 2011, "Anderson Acceleration for Fixed-Point Iterations", SIAM Journal on Numerical Analysis 49; with the
regularization of Fu, Zhang and Boyd 2020, "Anderson Accelerated Douglas–Rachford Splitting", SIAM Journal on Scientific
Computing 42.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["Acceleration", "combined"]

LONGER = 2.0  # ratio of steps from which the acceleration led astray
SMALL = 1e-4  # of the regularization, relative to the differences of the steps


def combined(pairs: Sequence[tuple[np.ndarray, np.ndarray]], regularization: float = 0.0) -> np.ndarray:
    """The point whose linear model of the step is shortest (Walker and Ni, eq. 2.1), from pairs (u, F(u)).

    >>> A, b = np.array([[0.9, 0.2], [0.0, 0.8]]), np.array([1.0, 1.0])
    >>> points = [np.zeros(2), np.ones(2), np.array([0.0, 3.0])]
    >>> combined([(u, A @ u + b) for u in points]), np.linalg.solve(np.eye(2) - A, b)
    (array([20.,  5.]), array([20.,  5.]))
    """
    steps = np.array([new - old for old, new in pairs])
    images = np.array([new for _, new in pairs])
    D, right = np.diff(steps, axis=0).T, steps[-1]
    if regularization:
        n = D.shape[1]
        D = np.concatenate([D, regularization * np.linalg.norm(D) * np.eye(n)])
        right = np.concatenate([right, np.zeros(n)])
    weights = np.linalg.lstsq(D, right, rcond=1e-8)[0]
    return images[-1] - weights @ np.diff(images, axis=0)  # type: ignore[no-any-return]


@dataclass
class Acceleration:
    """The last steps of an iteration, and the next point.

    Attributes
    ----------
    memory : int
        Steps that are remembered; 0: the iteration as it is.

    >>> A, b = np.array([[0.9, 0.2], [0.0, 0.8]]), np.array([1.0, 1.0])
    >>> u, accelerated = np.zeros(2), Acceleration(memory=5)
    >>> for k in range(8):
    ...     u = accelerated(u, A @ u + b)
    >>> bool(np.abs(u - [20.0, 5.0]).max() < 1e-3)
    True
    """

    memory: int
    pairs: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    safe: np.ndarray | None = None  # where the iteration itself had come to
    shortest: float = np.inf

    def __call__(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """Where to go on from, after ``new = F(old)``."""
        if not self.memory:
            return new
        step, safe = float(np.linalg.norm(new - old)), self.safe
        if safe is not None and step > LONGER * self.shortest:
            self.forget()
            return safe
        self.shortest = min(step, self.shortest)
        self.pairs = [*self.pairs, (old, new)][-self.memory - 1 :]
        if len(self.pairs) < 2:
            return new
        self.safe = new
        return combined(self.pairs, SMALL)

    def forget(self) -> None:
        """Begin anew, for another F."""
        self.pairs, self.safe, self.shortest = [], None, np.inf
