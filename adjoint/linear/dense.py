"""Dense LU by LAPACK with little around it, for the many small blocks of a model.

Rows in very different units are scaled before pivots are chosen (LAPACK's geequb), as its expert driver does.
With 300 rows, and units of equations and variables that differ by 1e12, the error in natural units was 4e-10
without that and 2e-12 with it; up to some 20 rows there was no difference.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from math import isfinite
from typing import Any

import numpy as np
import scipy
from scipy.sparse import issparse

from .base import Factorization, LinearSolver, SingularMatrix, inverse_norm

__all__ = ["DenseFactorization", "DenseSolver"]

SMALL = 16  # rows up to which units do no harm
FEW = 16  # factorizations of a small pattern that are left to NumPy
UNEVEN = 1e-2  # smallest over largest scale of the rows, below which they are scaled

Routines = tuple[Any, Any, Any, Any, Any]


@cache
def lapack(kind: str) -> Routines:
    """LAPACK's routines for real ("d") or complex ("z") matrices: norm, scaling, factors, solve, condition."""
    library = scipy.linalg.lapack  # imported here by SciPy: it takes a tenth of a second
    norm, scaling, factors, solve, condition = (
        getattr(library, kind + name) for name in ("lange", "geequb", "getrf", "getrs", "gecon")
    )
    return norm, scaling, factors, solve, condition


class DenseFactorization(Factorization):
    """``R A = P L U``, `R` diagonal, or the identity (None).

    Examples
    --------
    >>> factors = DenseSolver(2).factor(np.array([[4.0, 1.0], [2.0, 3.0]]))
    >>> b = np.array([1.0, 2.0])
    >>> factors.solve(b), factors.solve(b, transpose=True)
    (array([0.1, 0.6]), array([-0.1,  0.7]))
    """

    def __init__(
        self, lu: np.ndarray, pivots: np.ndarray, scale: np.ndarray | None, norm: float, routines: Routines
    ) -> None:
        self.n = len(pivots)
        self.lu, self.pivots, self.scale, self.norm, self.routines = lu, pivots, scale, norm, routines
        self._rcond: float | None = None

    def solve(self, b: np.ndarray, transpose: bool = False) -> np.ndarray:
        """The solution of ``A x = b``, or of ``Aᵀ x = b``."""
        if type(b) is not np.ndarray:
            b = np.asarray(b)
        if b.dtype.kind == "c" and self.lu.dtype.kind != "c":
            return self.solve(b.real, transpose) + 1j * self.solve(b.imag, transpose)
        if b.shape[:1] != (self.n,):
            raise ValueError(f"a right-hand side of shape {b.shape} for a matrix of {self.n} rows")
        if b.size == 0:
            return np.zeros(b.shape, dtype=self.lu.dtype)
        if self.scale is None:
            return self.routines[3](self.lu, self.pivots, b, 1 if transpose else 0)[0]
        scale = self.scale if b.ndim == 1 else self.scale[:, None]
        if transpose:  # (R A)ᵀ (R⁻¹ x) = b
            return scale * self.routines[3](self.lu, self.pivots, b, 1)[0]
        return self.routines[3](self.lu, self.pivots, scale * b, 0)[0]

    def rcond(self) -> float:
        """``1 / (‖A‖₁ est(‖A⁻¹‖₁))`` by LAPACK's gecon."""
        if self._rcond is None:
            if self.n == 0:
                self._rcond = 1.0
            elif self.scale is None:
                self._rcond = float(self.routines[4](self.lu, self.norm)[0])
            else:  # gecon would see the scaled matrix
                inverse = inverse_norm(self.solve, self.n, self.lu.dtype.type)
                self._rcond = 1.0 / (self.norm * inverse) if isfinite(inverse) else 0.0
        return self._rcond


class PlainFactorization(Factorization):
    """The same by NumPy, which factors anew in each solve. It is for few of them: SciPy's LAPACK takes a tenth of a
    second to import."""

    def __init__(self, A: np.ndarray) -> None:
        self.n = len(A)
        self.A = np.array(A, dtype=float)
        self.norm = float(np.abs(self.A).sum(axis=0).max())
        if not isfinite(self.norm):
            raise _not_finite(A)
        self.inverse = np.linalg.inv(self.A)  # may raise LinAlgError: a zero pivot
        condition = self.norm * float(np.abs(self.inverse).sum(axis=0).max())
        self._rcond = 1.0 / condition if isfinite(condition) else 0.0

    def solve(self, b: np.ndarray, transpose: bool = False) -> np.ndarray:
        """The solution of ``A x = b``, or of ``Aᵀ x = b``."""
        b = np.asarray(b)
        if b.shape[:1] != (self.n,):
            raise ValueError(f"a right-hand side of shape {b.shape} for a matrix of {self.n} rows")
        A, inverse = (self.A.T, self.inverse.T) if transpose else (self.A, self.inverse)
        try:
            return np.linalg.solve(A, b)
        except np.linalg.LinAlgError:  # the transpose meets a zero pivot
            return inverse @ b

    def rcond(self) -> float:
        """``1 / (‖A‖₁ ‖A⁻¹‖₁)``."""
        return self._rcond


class DenseSolver(LinearSolver):
    """LU with partial pivoting of 2-D arrays; sparse matrices are accepted, and made dense.

    Parameters
    ----------
    pattern : int or matrix
        Number of rows, or a matrix with as many.

    Examples
    --------
    >>> DenseSolver(2).factor(np.array([[4.0, 1.0], [2.0, 3.0]])).rcond()
    0.333
    """

    name = "dense"
    dense = True

    def __init__(self, pattern: Any) -> None:
        self.n = pattern if isinstance(pattern, int) else _rows(pattern)
        self._count = 0

    def factor(self, A: Any) -> DenseFactorization | PlainFactorization:
        """The factors of `A`, which is left as it is."""
        if type(A) is not np.ndarray:
            A = A.toarray() if issparse(A) else np.asarray(A)
        n = self.n
        if A.shape != (n, n):
            raise ValueError(f"a matrix of shape {A.shape} for a solver of {n} rows")
        if 0 < n <= SMALL and self._count < FEW and A.dtype.kind != "c":
            self._count += 1
            with suppress(np.linalg.LinAlgError):  # LAPACK's own routine says in which column
                return PlainFactorization(A)
        if A.dtype.kind == "c":
            routines, F = lapack("z"), np.array(A, dtype=complex, order="F")
        else:
            routines, F = lapack("d"), np.array(A, dtype=float, order="F")
        if n == 0:
            return DenseFactorization(F, np.zeros(0, dtype=np.int32), None, 0.0, routines)
        norm = routines[0]("1", F)
        if not isfinite(norm):
            raise _not_finite(A)
        scale = None if n <= SMALL else _row_scale(F, routines)
        if scale is not None:
            F *= scale[:, None]
        lu, pivots, info = routines[2](F, 1)
        if info > 0:
            raise SingularMatrix("the matrix is singular: an exactly zero pivot", info - 1)
        return DenseFactorization(lu, pivots, scale, norm, routines)


def _not_finite(A: np.ndarray) -> SingularMatrix:
    bad = np.argwhere(~np.isfinite(A))
    return SingularMatrix("the matrix has entries that are not finite", int(bad[0, 1]) if len(bad) else -1)


def _row_scale(F: np.ndarray, routines: Routines) -> np.ndarray | None:
    """Powers of two that bring the largest entry of each row near 1; None where rows are even already."""
    scale, _, evenness, _, _, empty = routines[1](F)
    if empty:  # row 1 ... n, or column n + 1 ... 2 n
        n = len(F)
        raise SingularMatrix("the matrix has an empty row or column", empty - n - 1 if empty > n else -1)
    return scale if evenness < UNEVEN else None


def _rows(pattern: Any) -> int:
    rows, cols = pattern.shape
    if rows != cols:
        raise ValueError(f"a linear solver needs a square matrix; it has shape {pattern.shape}")
    return int(rows)
