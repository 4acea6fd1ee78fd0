"""What an inner problem remembers: its last solutions, where the next solve starts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

__all__ = ["Linear", "Memory", "Point", "all_finite"]

KEPT = 4  # solutions: of a program that evaluates the same inner problem in a few places
KEPT_LARGE = 2  # of many unknowns, whose factors are large
LARGE = 500  # unknowns


class Linear(Protocol):
    """``∂g/∂y`` at a solution, for linear solves with it and with its transpose."""

    def solve(self, b: np.ndarray, transpose: bool = False) -> np.ndarray:
        """The solution for one flat right-hand side; raises ``SingularError``."""

    def condition(self) -> float:
        """An estimate of the condition number, after scaling where there is a matrix."""


@dataclass
class Point:
    """A verified solution.

    Attributes
    ----------
    params : tuple of ndarray
    y : ndarray, flat
    linear : Linear
    tol : float, the tolerance that it was verified to; infinite where only derivatives were asked for
    residual : float, the largest scaled residual
    iterations : int
    method : str
    note : what is to be said where a derivative is taken; "" for nothing
    """

    params: tuple[Any, ...]
    y: np.ndarray
    linear: Linear
    tol: float
    residual: float
    iterations: int
    method: str
    note: str = ""


def all_finite(value: Any) -> bool:
    """Whether all elements are finite numbers: as a rule their sum says so. (It may overflow: NumPy is told to ignore
    that where values are computed.)

    >>> all_finite(np.ones(3)), all_finite(np.array([1.0, np.nan]))
    (True, False)
    """
    return bool(np.isfinite(np.add.reduce(value, axis=None)) or np.isfinite(value).all())


def _equal(a: Any, b: Any) -> bool:
    """Whether a value is that of an array or a NumPy scalar; most that are not differ in their last element."""
    if a is b:
        return True
    if a.shape != getattr(b, "shape", ()):
        return False
    if not a.shape:
        return bool(a == b)
    return not a.size or (a.flat[-1] == b.flat[-1] and bool((a == b).all()))


class Memory:
    """The last solutions of an inner problem, and what was compiled for it."""

    def __init__(self) -> None:
        self.points: deque[Point] = deque()
        self.without_matrix = False  # its Jacobian has too many entries
        self.curvature: Any = None  # of an objective
        self.assembly: Any = None  # of a full matrix of equations

    @property
    def last(self) -> Point | None:
        """The newest that was verified."""
        return next((p for p in reversed(list(self.points)) if p.tol < np.inf), None)

    def find(self, params: Sequence[Any], y: np.ndarray | None = None, tol: float = np.inf) -> Point | None:
        """The solution at these parameters (and of these values), solved to the tolerance; None if there is none."""
        for point in reversed(list(self.points)):
            if point.tol <= tol and (y is None or _equal(point.y, y)):
                if all(map(_equal, point.params, params)):
                    return point
        return None

    def keep(self, point: Point) -> Point:
        """Remember a solution."""
        self.points.append(point)
        if len(self.points) > (KEPT if point.y.size <= LARGE else KEPT_LARGE):
            self.points.popleft()
        return point
