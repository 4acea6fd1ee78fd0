"""The linearized problem ``min ‖r + J p‖² + λ ‖D p‖²`` with ``lower ≤ p ≤ upper``: dense or sparse.

D has the lengths of the columns of J, so that λ, and the step, do not depend on units.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from ...linear.base import SingularMatrix
from ...linear.symmetric import SymmetricSolver, make_symmetric_solver

__all__ = ["Dense", "Linearized", "Sparse", "bounded_step"]

EPS = float(np.finfo(float).eps)
LEAST = 1e-14  # damping of sparse systems, which singular ones need
REFINEMENTS = 5


class Linearized(Protocol):
    """One linearization, to be solved for several λ."""

    def solve(self, damping: float, free: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The minimizer over the free elements of p; the others stay as they are."""

    def curved(self, damping: float, second: np.ndarray) -> np.ndarray:
        """The step of other residuals, in the elements that were free in the last ``solve``, with its factors."""


class Dense:
    """By orthogonal factors: ``[J D⁻¹, r] = Q R``, then the singular values of the columns of R that are free.

    Of a Jacobian without full rank the shortest step is taken.
    """

    def __init__(self, J: np.ndarray, r: np.ndarray, scale: np.ndarray) -> None:
        self.scale, self._J = scale, J
        R = np.linalg.qr(np.column_stack([J / scale, r]), mode="r")
        self._R, self._z = R[:, :-1], R[:, -1]
        self._free: np.ndarray | None = None

    def solve(self, damping: float, free: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The minimizer over the free elements of p; the others stay as they are."""
        if self._free is None or not np.array_equal(free, self._free):
            self._free = free.copy()
            self._factors = np.linalg.svd(self._R[:, free], full_matrices=False)
        U, s, Vt = self._factors
        q = p * self.scale
        right = U.T @ (self._z + self._R[:, ~free] @ q[~free])
        large = s > EPS * max(self._R.shape) * s.max(initial=0.0)
        factor = np.zeros_like(s)
        factor[large] = s[large] / (s[large] ** 2 + damping)
        q[free] = -Vt.T @ (factor * right)
        return q / self.scale  # type: ignore[no-any-return]

    def curved(self, damping: float, second: np.ndarray) -> np.ndarray:
        """The step of other residuals, by the normal equations: its accuracy does not matter much."""
        free, (_, s, Vt) = self._free, self._factors
        assert free is not None
        q, g = np.zeros(free.size), (self._J.T @ second) / self.scale
        large = s > EPS * max(self._R.shape) * s.max(initial=0.0)
        factor = np.zeros_like(s)
        factor[large] = 1.0 / (s[large] ** 2 + damping)
        q[free] = -Vt.T @ (factor * (Vt @ g[free]))
        return q / self.scale  # type: ignore[no-any-return]


class Sparse:
    """By symmetric factors of the augmented system, whose condition is not squared (Björck 1967)::

        [ I      A  ] [s]   [-r - A q_held]
        [ Aᵀ    -λI ] [q] = [      0      ],     A = J D⁻¹

    Held columns of A are zero. The order of the factorization is kept with the solver.
    """

    def __init__(self, J: Any, r: np.ndarray, scale: np.ndarray, solver: SymmetricSolver) -> None:
        self._r, self.scale, self._solver = r, scale, solver
        self.A = sp.csr_array((J.data / scale[J.indices], J.indices, J.indptr), shape=J.shape)

    @staticmethod
    def solver(J: Any) -> SymmetricSolver:
        """The solver for Jacobians of the pattern of J: column i of the lower triangle is row i of J."""
        m, n = J.shape
        indptr = np.concatenate([J.indptr + np.arange(m + 1), J.indptr[-1] + m + np.arange(1, n + 1)])
        indices = np.empty(indptr[-1], dtype=np.int32)
        unit = _unit_places(J)
        indices[unit] = np.arange(m)
        rest = np.ones(indices.size, dtype=bool)
        rest[unit] = False
        indices[rest] = np.concatenate([m + J.indices, m + np.arange(n)])
        lower = sp.csc_array((np.ones(indices.size), indices, indptr), shape=(m + n, m + n))
        return make_symmetric_solver(lower, negative=n)

    def solve(self, damping: float, free: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The minimizer over the free elements of p; the others stay as they are."""
        A, (m, n) = self.A, self.A.shape
        held = np.where(free, 0.0, p * self.scale)
        F = sp.csr_array((A.data * free[A.indices], A.indices, A.indptr), shape=A.shape)
        low = np.where(free, max(damping, LEAST), 1.0)
        data = np.empty(m + A.nnz + n)
        unit = _unit_places(A)
        rest = np.ones(data.size, dtype=bool)
        rest[unit] = False
        data[unit], data[rest] = 1.0, np.concatenate([F.data, -low])
        self._free = free.copy()
        factors = self._factors = self._solver.factor(data)
        right = np.concatenate([-self._r - A @ held, np.zeros(n)])
        found, left = np.zeros(m + n), right
        for _ in range(REFINEMENTS):
            change = factors.solve(left)
            found = found + change
            left = right - np.concatenate([found[:m] + F @ found[m:], F.T @ found[:m] - low * found[m:]])
            if np.abs(change).max() <= 4.0 * EPS * np.abs(found).max():
                break
        if not np.isfinite(found).all():
            raise SingularMatrix("the augmented system has no finite solution")
        return np.where(free, found[m:], held) / self.scale  # type: ignore[no-any-return]

    def curved(self, damping: float, second: np.ndarray) -> np.ndarray:
        """The step of other residuals, with the factors as they are."""
        m, n = self.A.shape
        found = self._factors.solve(np.concatenate([-second, np.zeros(n)]))
        return np.where(self._free, found[m:], 0.0) / self.scale  # type: ignore[no-any-return]


def _unit_places(J: Any) -> np.ndarray:
    """Places of the unit diagonal in the lower triangle of the augmented system."""
    return J.indptr[:-1] + np.arange(J.shape[0])  # type: ignore[no-any-return]


def bounded_step(
    linearized: Linearized, damping: float, free: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """A step between bounds: elements of the minimizer that leave them are set to the bound, the others found again.

    For large λ, where the problem separates into its elements, this is the minimizer between the bounds.

    >>> linearized = Dense(np.eye(2), np.array([-3.0, -1.0]), np.ones(2))
    >>> bounded_step(linearized, 0.0, np.array([True, True]), -np.ones(2), 2.0 * np.ones(2)).tolist()
    [2.0, 1.0]
    """
    p, free = np.zeros(free.size), free.copy()
    while True:
        p = linearized.solve(damping, free, p)
        outside = free & ((p < lower) | (p > upper))
        if not outside.any():
            return p
        p[outside] = np.clip(p, lower, upper)[outside]
        free &= ~outside
