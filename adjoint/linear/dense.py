"""Dense LU by LAPACK: getrf, getrs and gecon, with little around them, for the many small blocks of a model."""

from __future__ import annotations

from math import isfinite
from typing import Any, NoReturn

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import issparse

from .base import Factorization, LinearSolver, SingularMatrix

__all__ = ["DenseFactorization", "DenseSolver"]

REAL = (lapack.dgetrf, lapack.dgetrs, lapack.dgecon, lapack.dlange)
COMPLEX = (lapack.zgetrf, lapack.zgetrs, lapack.zgecon, lapack.zlange)


class DenseFactorization(Factorization):
    """``A = P L U`` by LAPACK, of `A` or of its transpose, whichever lies in columns in memory.

    Examples
    --------
    >>> factors = DenseSolver(2).factor(np.array([[4.0, 1.0], [2.0, 3.0]]))
    >>> b = np.array([1.0, 2.0])
    >>> factors.solve(b), factors.solve(b, transpose=True)
    (array([0.1, 0.6]), array([-0.1,  0.7]))
    """

    def __init__(self, lu: np.ndarray, pivots: np.ndarray, flipped: int, norm: float, routines: Any) -> None:
        self.n = len(pivots)
        self.lu, self.pivots, self.flipped, self.norm, self.routines = lu, pivots, flipped, norm, routines
        self._rcond: float | None = None

    def solve(self, b: np.ndarray, transpose: bool = False) -> np.ndarray:
        """The solution of ``A x = b``, or of ``Aᵀ x = b``."""
        if type(b) is not np.ndarray:
            b = np.asarray(b)
        if b.dtype.kind == "c" and self.routines is REAL:
            return self.solve(b.real, transpose) + 1j * self.solve(b.imag, transpose)
        if b.shape[:1] != (self.n,):
            raise ValueError(f"a right-hand side of shape {b.shape} for a matrix of {self.n} rows")
        if b.size == 0:
            return np.zeros(b.shape, dtype=self.lu.dtype)
        return self.routines[1](self.lu, self.pivots, b, self.flipped ^ transpose)[0]

    def rcond(self) -> float:
        """``1 / (‖A‖₁ est(‖A⁻¹‖₁))`` by LAPACK's gecon."""
        if self._rcond is None:
            side = "I" if self.flipped else "1"  # ‖A‖₁ = ‖Aᵀ‖_∞
            self._rcond = float(self.routines[2](self.lu, self.norm, side)[0]) if self.n else 1.0
        return self._rcond


class DenseSolver(LinearSolver):
    """LU with partial pivoting of 2-D arrays; sparse matrices are accepted, and made dense.

    Parameters
    ----------
    pattern : int or sparse matrix
        Number of rows, or a matrix with as many.
    """

    name = "dense"
    dense = True

    def __init__(self, pattern: Any) -> None:
        self.n = pattern if isinstance(pattern, int) else _rows(pattern)

    def factor(self, A: Any) -> DenseFactorization:
        """The factors of `A`, which is left as it is."""
        if type(A) is not np.ndarray:
            A = A.toarray() if issparse(A) else np.asarray(A)
        if A.shape != (self.n, self.n):
            raise ValueError(f"a matrix of shape {A.shape} for a solver of {self.n} rows")
        if self.n == 0:
            return DenseFactorization(np.zeros((0, 0)), np.zeros(0, dtype=np.int32), 0, 0.0, REAL)
        routines = COMPLEX if A.dtype.kind == "c" else REAL
        # An array in rows is the transpose of one in columns, which LAPACK takes without moving it.
        flipped = 1 if A.flags.c_contiguous else 0
        F = A.T if flipped else A
        norm = routines[3]("I" if flipped else "1", F)
        lu, pivots, info = routines[0](F)
        if info > 0 or not isfinite(norm):
            _refuse(A, routines[0])
        return DenseFactorization(lu, pivots, flipped, norm, routines)


def _refuse(A: np.ndarray, getrf: Any) -> NoReturn:
    """Raise for entries that are not finite, or an exactly zero pivot."""
    bad = ~np.isfinite(A)
    if bad.any():
        raise SingularMatrix("the matrix has entries that are not finite", int(np.argwhere(bad)[0, 1]))
    column = getrf(A)[2] - 1  # again and not of the transpose, to name a column
    raise SingularMatrix("the matrix is singular: an exactly zero pivot", int(column))


def _rows(pattern: Any) -> int:
    rows, cols = pattern.shape
    if rows != cols:
        raise ValueError(f"a linear solver needs a square matrix; it has shape {pattern.shape}")
    return int(rows)
