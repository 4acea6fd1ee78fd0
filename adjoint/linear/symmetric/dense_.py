"""Dense symmetric factors: Bunch-Kaufman pivoting by LAPACK."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from ..base import SingularMatrix
from .interface import Inertia, SymmetricFactorization, SymmetricPattern, SymmetricSolver

__all__ = ["DenseSymmetricSolver"]

ZERO = 1e-18  # pivots of the scaled matrix that count as zeros


class DenseSymmetricSolver(SymmetricSolver):
    """``P A Pᵀ = L D Lᵀ`` with blocks of one or two rows in D [1]_.

    References
    ----------
    .. [1] J. R. Bunch and L. Kaufman, "Some stable methods for calculating inertia and solving symmetric linear
           systems", Math. Comp. 31, 1977, pp. 163-179.

    >>> from scipy.sparse import csc_array
    >>> solver = DenseSymmetricSolver(SymmetricPattern(csc_array([[1e-30, 0.0], [1.0, 1e-30]]), 1))
    >>> factors = solver.factor(np.array([0.0, 2.0, 0.0]))
    >>> factors.inertia, factors.solve(np.array([2.0, 4.0])).tolist()
    (Inertia(positive=1, negative=1, zero=0), [2.0, 1.0])
    """

    name = "dense"

    def __init__(self, pattern: SymmetricPattern) -> None:
        self.pattern = pattern
        n = pattern.n
        self._place = pattern.columns.astype(np.intp) * n + pattern.indices  # in Fortran order
        self._work = int(scipy.linalg.lapack.dsytrf_lwork(n, lower=1)[0]) if n else 1

    def factor(self, data: np.ndarray) -> SymmetricFactorization:
        data, n = self.pattern.checked(data), self.pattern.n
        if not n:
            return _Factors(np.zeros((0, 0)), np.zeros(0, dtype=np.int32), np.zeros(0))
        flat = np.zeros(n * n)
        flat[self._place] = data
        A = flat.reshape(n, n).T
        scale = _equilibration(A)
        A *= scale
        A *= scale[:, None]
        ldu, pivots, info = scipy.linalg.lapack.dsytrf(A, lower=1, lwork=self._work, overwrite_a=True)
        if info < 0:
            raise SingularMatrix("LAPACK refused the matrix")
        return _Factors(ldu, pivots, scale)


def _equilibration(lower: np.ndarray) -> np.ndarray:
    """d with ``|dᵢ aᵢⱼ dⱼ| ≤ 1``, from the largest entry of each row: the sizes of pivots mean something then."""
    size = np.abs(lower)
    largest = np.maximum(size.max(axis=0), size.max(axis=1))
    largest[largest == 0.0] = 1.0
    d = 1.0 / np.sqrt(largest)
    size *= d
    size *= d[:, None]
    largest = np.maximum(size.max(axis=0), size.max(axis=1))
    largest[largest == 0.0] = 1.0
    return d / np.sqrt(largest)  # type: ignore[no-any-return]


class _Factors(SymmetricFactorization):
    def __init__(self, ldu: np.ndarray, pivots: np.ndarray, scale: np.ndarray) -> None:
        self._ldu, self._pivots, self._scale = ldu, pivots, scale
        self.inertia = _inertia(ldu, pivots)

    def solve(self, b: np.ndarray) -> np.ndarray:
        if self.inertia.zero:
            raise SingularMatrix("the matrix is singular")
        if not self._pivots.size:
            return np.array(b, dtype=float)
        scale = self._scale if b.ndim == 1 else self._scale[:, None]
        x, _ = scipy.linalg.lapack.dsytrs(self._ldu, self._pivots, b * scale, lower=1)
        return x.reshape(b.shape) * scale  # type: ignore[no-any-return]


def _inertia(ldu: np.ndarray, pivots: np.ndarray) -> Inertia:
    """Signs of the blocks of D: a block of two rows, which Bunch-Kaufman takes for a small diagonal only, has
    one eigenvalue of each sign. Pivots within the rounding error of a scaled matrix count as zeros."""
    d: Any = ldu.diagonal()
    pairs = pivots < 0
    single = d[~pairs]
    zero = int(np.count_nonzero(np.abs(single) <= ZERO))
    positive = int(np.count_nonzero(single > ZERO))
    two = int(np.count_nonzero(pairs)) // 2
    return Inertia(positive + two, len(single) - positive - zero + two, zero)
