"""What a nonlinear method sees, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from adjoint.errors import Status
from adjoint.linear.base import Factorization, SingularMatrix

__all__ = ["Attempt", "Factorization", "Options", "Outcome", "SingularMatrix", "System"]


class System(Protocol):
    """A square block ``g(u) = 0`` of real unknowns in one flat vector.

    Every array that it returns is a new one: methods keep several iterates at once.
    """

    name: str
    size: int
    lower: np.ndarray | None  # bounds of u, or None
    upper: np.ndarray | None
    components: np.ndarray | None  # connected component (0..c-1) of unknown and equation i; None for one

    def residual(self, u: np.ndarray) -> np.ndarray:
        """``g(u)``; NaN or infinite outside the domain, where it must not raise."""

    def linearize(self, u: np.ndarray) -> tuple[np.ndarray, Any]:
        """``g(u)`` and its Jacobian: a 2-D array, or CSC of fixed pattern.

        A matrix-free system has ``linearize = None``; only the method "newton-krylov" accepts that.
        """

    def factor(self, J: Any) -> Factorization:
        """The factors of a Jacobian; raises ``adjoint.linear.base.SingularMatrix``."""

    def sweep(self, u: np.ndarray) -> np.ndarray | None:
        """One Gauss-Seidel sweep ``u_i <- f_i(u)`` in order; None if some equation is implicit."""

    def jvp(self, u: np.ndarray, du: np.ndarray) -> np.ndarray:
        """``J(u) du`` without the matrix."""


@dataclass(frozen=True)
class Options:
    """What all methods understand.

    Parameters
    ----------
    tol : float
        Tolerance of the convergence rule, relative to the natural magnitude of each equation.
    max_iterations : int
    polish : int
        Chord steps after convergence, at most, to bring the answer to rounding level.
    window : int
        Previous iterates that Anderson acceleration remembers.
    """

    tol: float = 1e-10
    max_iterations: int = 200
    polish: int = 2
    window: int = 8


class Attempt(NamedTuple):
    """One line of the record that the chain of methods keeps."""

    method: str
    status: Status
    scaled: float
    iterations: int


@dataclass(frozen=True)
class Outcome:
    """Where a method ended.

    Attributes
    ----------
    u, residual : ndarray
        The last iterate, and ``g`` there.
    jacobian : matrix or None
        The Jacobian at `u`; None in a matrix-free system.
    factor : Factorization or None
        Factors of the Jacobian at `u`, or at an iterate just before it. None where there are none: the
        Jacobian is singular, or the method does not factor.
    scale : ndarray
        Natural magnitude of each equation at `u`.
    scaled : float
        Largest ``|residual| / scale``.
    iterations : int
    status : Status
        ``SOLVED`` only where the convergence rule holds at `u`.
    history : list of float
        Largest scaled residual at each iterate; for methods without a Jacobian, an estimate of it.
    method : str
    attempts : tuple of Attempt
        The methods tried, for "auto".
    simple : bool
        The rate of convergence showed a simple root.
    """

    u: np.ndarray
    residual: np.ndarray
    jacobian: Any
    factor: Factorization | None
    scale: np.ndarray
    scaled: float
    iterations: int
    status: Status
    history: list[float] = field(default_factory=list)
    method: str = ""
    attempts: tuple[Attempt, ...] = ()
    simple: bool = False

    @property
    def success(self) -> bool:
        return self.status is Status.SOLVED
