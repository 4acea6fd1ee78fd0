"""The two abstract classes: a solver is made once per sparsity pattern, and factors matrix after matrix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

__all__ = ["Factorization", "InaccurateFactors", "LinearSolver", "SingularMatrix"]


class SingularMatrix(Exception):  # noqa: N818  (a statement about the matrix)
    """A matrix without usable factors: singular, or not finite. Internal: users see ``SingularError``.

    Attributes
    ----------
    index : int
        A column that takes part in the singularity; -1 where none is known.
    """

    def __init__(self, message: str = "the matrix is singular", index: int = -1) -> None:
        super().__init__(message)
        self.index = index


class InaccurateFactors(SingularMatrix):
    """Factors exist, but their solutions have a large backward error: another method may do better."""


class Factorization(ABC):
    """Factors of one matrix `A`, which solve with `A` and with its transpose.

    It stays valid whatever its solver factors later, and does not depend on the arrays that `A` was made of.
    """

    n: int

    @abstractmethod
    def solve(self, b: np.ndarray, transpose: bool = False) -> np.ndarray:
        """The solution of ``A x = b``, or of ``Aᵀ x = b``; `b`, of shape (n,) or (n, k), is left as it is."""

    @abstractmethod
    def rcond(self) -> float:
        """An estimate of ``1 / (‖A‖₁ ‖A⁻¹‖₁)``; it costs a few solves, once. 0 for a singular matrix.

        The estimate of ``‖A⁻¹‖₁`` is a lower bound, rarely below a third of the norm; the result is thus
        rarely more than three times too large.
        """


class LinearSolver(ABC):
    """Factors matrices of one sparsity pattern; ordering and analysis are done once.

    Attributes
    ----------
    n : int
        Number of rows, and of columns.
    name : str
        The method.
    dense : bool
        Whether `factor` takes a 2-D array rather than a CSC matrix.
    """

    n: int
    name: str
    dense: bool = False

    @abstractmethod
    def factor(self, A: Any) -> Factorization:
        """The factors of `A`, a CSC matrix of the pattern given (or an array, if ``dense``).

        Raises
        ------
        SingularMatrix
            An exactly zero pivot, or an entry that is not finite. That a matrix is singular only up to
            rounding is seen from ``rcond``.
        """
