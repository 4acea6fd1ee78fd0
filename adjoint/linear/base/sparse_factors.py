"""What the sparse factorizations share: types, refinement, a check of accuracy, the condition number."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from .estimate import inverse_norm
from .interface import Factorization, InaccurateFactors, SingularMatrix
from .pattern import SparsePattern

__all__ = ["SparseFactorization", "backward_error", "verified"]

EPS = float(np.finfo(float).eps)
ACCURATE = 2e-14  # backward error that needs no refinement
ACCEPTED = 1e-11  # backward error of a solution that is given out at all
REFINEMENTS = 3  # steps per solve, at most

RawSolve = Callable[[np.ndarray, bool], np.ndarray]


def backward_error(
    A: Any, size: Any, x: np.ndarray, b: np.ndarray, r: np.ndarray | None = None
) -> np.ndarray:
    """Sparse backward error of each column of `x` as a solution of ``A x = b``; ``size`` is ``|A|``.

    The largest over the rows of ``|b - A x|ᵢ / (|A| |x| + |b|)ᵢ``: the smallest relative change of the
    entries of `A` and `b` that makes `x` exact. Where that denominator is all but zero,
    ``(|A| |x|)ᵢ + ‖Aᵢ‖₁ ‖x‖_∞`` takes its place [1]_.

    Parameters
    ----------
    A, size : ndarray or sparse matrix
    x, b : ndarray of shape (n,) or (n, k)
    r : ndarray, optional
        ``b - A x``, where it is known.

    References
    ----------
    .. [1] M. Arioli, J. W. Demmel and I. S. Duff, "Solving sparse linear systems with sparse backward error",
           SIAM J. Matrix Anal. Appl. 10(2), 1989, pp. 165-190, section 3.

    Examples
    --------
    >>> A = np.array([[2.0, 0.0], [0.0, 4.0]])
    >>> backward_error(A, np.abs(A), np.array([1.0, 1.0]), np.array([2.0, 4.04])).tolist()
    [0.004975]
    """
    if r is None:
        r = b - A @ x
    magnitude = size @ np.abs(x)
    scale = magnitude + np.abs(b)
    largest = np.abs(x).max(axis=0, initial=0.0)
    rows = size @ np.ones(size.shape[1])
    floor = np.multiply.outer(rows, largest)
    tiny = scale <= 1000.0 * len(rows) * EPS * floor
    if tiny.any():
        scale = np.where(tiny, magnitude + floor, scale)
    r = np.abs(r)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(r == 0.0, 0.0, r / scale)
    return np.atleast_1d(error.max(axis=0, initial=0.0))


class SparseFactorization(Factorization):
    """Sparse factors, whatever package made them.

    Parameters
    ----------
    pattern, data : SparsePattern, ndarray
        The matrix; the data belong to the factorization.
    raw_solve : callable
        ``raw_solve(b, transpose)`` with the factors, for `b` of the type of `A`; a new array.
    refinements : int
        Steps of iterative refinement that each solve needs.
    """

    def __init__(
        self, pattern: SparsePattern, data: np.ndarray, raw_solve: RawSolve, refinements: int = 0
    ) -> None:
        self.n = pattern.n
        self.pattern, self.data = pattern, data
        self.raw_solve = raw_solve
        self.refinements = refinements
        self.is_complex = data.dtype.kind == "c"
        self._rcond: float | None = None

    @cached_property
    def A(self) -> Any:
        """The matrix that was factored."""
        return self.pattern.matrix(self.data)

    def solve(self, b: np.ndarray, transpose: bool = False) -> np.ndarray:
        """The solution of ``A x = b``, or of ``Aᵀ x = b``."""
        b = np.asarray(b)
        if b.shape[:1] != (self.n,):
            raise ValueError(f"a right-hand side of shape {b.shape} for a matrix of {self.n} rows")
        if self.is_complex:
            b = b.astype(complex, copy=False)
        elif b.dtype.kind == "c":
            return self.solve(b.real, transpose) + 1j * self.solve(b.imag, transpose)
        elif b.dtype != np.float64:
            b = b.astype(float)
        if b.ndim == 2 and b.shape[1] == 0:
            return np.zeros(b.shape, dtype=b.dtype)
        x = self.raw_solve(b, transpose)
        if self.refinements:
            A = self.A.T if transpose else self.A
            for _ in range(self.refinements):
                x += self.raw_solve(b - A @ x, transpose)
        return x

    def rcond(self) -> float:
        """``1 / (‖A‖₁ est(‖A⁻¹‖₁))``, by Hager's and Higham's estimator with the factors."""
        if self._rcond is None:
            size = np.abs(self.data)
            norm = float(np.add.reduceat(size, self.pattern.starts).max(initial=0.0)) if size.size else 0.0
            with np.errstate(all="ignore"):
                condition = norm * inverse_norm(self.solve, self.n, self.data.dtype.type)
            self._rcond = 1.0 / condition if np.isfinite(condition) and condition > 0.0 else 0.0
        return self._rcond


def verified(pattern: SparsePattern, data: np.ndarray, raw_solve: RawSolve) -> SparseFactorization:
    """A factorization that was tried on one right-hand side, with the refinement that it needs.

    The backward error tells factors spoilt by the growth of elements from an ill-conditioned matrix, for
    which it is small all the same.

    Raises
    ------
    InaccurateFactors
        If refinement does not reach a backward error of 1e-11.
    SingularMatrix
        If the solution is not finite.
    """
    factors = SparseFactorization(pattern, data, raw_solve)
    A, size = factors.A, abs(factors.A)
    probe = pattern.probe.astype(data.dtype, copy=False)
    x = raw_solve(probe, False)
    error = np.inf
    for steps in range(REFINEMENTS + 1):
        if not np.isfinite(x).all():
            raise SingularMatrix("the solution is not finite: the matrix is singular, or nearly so")
        r = probe - A @ x
        error = float(backward_error(A, size, x, probe, r)[0])
        factors.refinements = steps
        if error <= ACCURATE:
            return factors
        if steps < REFINEMENTS:
            x = x + raw_solve(r, False)
    if error <= ACCEPTED:
        return factors
    raise InaccurateFactors(f"the factors are inaccurate: backward error {error:.1e} after refinement")
