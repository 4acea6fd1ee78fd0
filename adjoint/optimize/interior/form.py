"""What the barrier method works on: equality constraints and bounds only.

::

    minimize f(w)   subject to   c(w) = 0,   bounds on w           (W&B, eq. 2)

The program itself becomes one by slacks (:mod:`.standard`), its restoration another (:mod:`.restoration`): the same
method solves both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from .bounds import Bounds

__all__ = ["Factored", "Form", "Point"]


@dataclass(slots=True, eq=False)
class Factored:
    """Factors, and how far their inertia is from ``(size, rows, 0)``, which makes a step one of descent."""

    handle: Any
    excess: int  # negative eigenvalues beyond those of the constraint rows
    zero: int
    eliminated: Any = None  # what solves need of the variables that were eliminated

    @property
    def correct(self) -> bool:
        """Whether the inertia is right."""
        return self.excess == 0 and self.zero == 0


@dataclass(slots=True, eq=False)
class Point:
    """A primal-dual point, and what is known there."""

    w: np.ndarray
    d: np.ndarray  # distances to the bounds
    f: float
    c: np.ndarray
    theta: float  # ‖c‖₁
    barrier: float  # Σ log d − κ_d Σ d: the barrier function is f − μ of it
    y: np.ndarray
    z: np.ndarray
    gradient: np.ndarray = None  # type: ignore[assignment]
    J: Any = None
    dual: np.ndarray = None  # type: ignore[assignment]  # ∇f + Jᵀy − Σ sign z
    errors: Any = None


class Form(ABC):
    """A program in the barrier method's form.

    Its derivatives are those of the point of the last :meth:`derivatives` and :meth:`hessian`.

    Attributes
    ----------
    size, rows : int
        Number of variables and of equality constraints.
    bounds : Bounds
    """

    size: int
    rows: int
    bounds: Bounds

    @abstractmethod
    def values(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        """``f(w), c(w)``; raises :class:`EvaluationError` where they are not finite."""

    @abstractmethod
    def derivatives(self, w: np.ndarray) -> tuple[np.ndarray, Any]:
        """``∇f(w)`` and the entries of the Jacobian ``J``."""

    @abstractmethod
    def set_jacobian(self, J: Any) -> None:
        """Entries with which the products below and the factors are made."""

    @abstractmethod
    def hessian(self, w: np.ndarray, y: np.ndarray) -> None:
        """Evaluate ``W = ∇²f + Σ yᵢ ∇²cᵢ`` for the factors and products."""

    @abstractmethod
    def jacobian_dot(self, v: np.ndarray) -> np.ndarray:
        """``J v``."""

    @abstractmethod
    def transpose_dot(self, y: np.ndarray) -> np.ndarray:
        """``Jᵀ y``."""

    @abstractmethod
    def hessian_dot(self, v: np.ndarray) -> np.ndarray:
        """``W v``."""

    @abstractmethod
    def factor(self, sigma: np.ndarray, delta_w: float, delta_c: float | np.ndarray, hessian: bool = True) -> Factored:
        """Factors of ``[[W + diag(sigma) + δ_w, Jᵀ], [J, −diag(δ_c)]]``.

        Without `hessian`, ``W`` is left out. Raises :class:`adjoint.linear.SingularMatrix`.
        """

    @abstractmethod
    def sharpen(self) -> bool:
        """Factor more accurately from now on; False where that cannot be."""

    @abstractmethod
    def solve(self, factors: Factored, r: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The solution for the right-hand sides of both rows, to the accuracy of the factors."""

    @abstractmethod
    def moved(self, old: Point, new: Point) -> None:
        """Learn from a step: what a quasi-Newton approximation does, with the Jacobian of the old point still set."""

    @abstractmethod
    def set_barrier(self, p: Point, mu: float) -> None:
        """Renew what depends on the barrier parameter, at a point too."""
