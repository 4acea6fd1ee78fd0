"""Sparse symmetric factors with exact inertia: multifrontal LDLᵀ by the package ``feral-solver``."""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np

from ..base import SingularMatrix
from .interface import Inertia, SymmetricFactorization, SymmetricPattern, SymmetricSolver
from .scaling import ScaledFactors, by_diagonal

__all__ = ["FeralSolver", "is_available"]


_THREAD = threading.local()


@functools.cache
def _package() -> Any:
    """The package, or None."""
    try:
        import feral
    except ImportError:
        return None
    return feral if hasattr(feral, "CscMatrix") else None


def is_available() -> bool:
    """Whether the package is installed."""
    return _package() is not None


class FeralSolver(SymmetricSolver):
    """Bunch-Kaufman pivoting within supernodes: the inertia is that of the matrix.

    >>> from scipy.sparse import csc_array
    >>> pattern = SymmetricPattern(csc_array([[1e-30, 0.0], [1.0, 1e-30]]), 1)
    >>> factors = FeralSolver(pattern).factor(np.array([0.0, 2.0, 0.0])) if is_available() else None
    >>> factors is None or factors.solve(np.array([2.0, 4.0])).tolist() == [2.0, 1.0]
    True
    """

    name = "feral"

    def __init__(self, pattern: SymmetricPattern) -> None:
        self.pattern = pattern
        rows, columns = pattern.indices.astype(np.int64), pattern.columns.astype(np.int64)
        self._matrix = _package().CscMatrix.from_triplet(pattern.n, rows, columns, np.ones(pattern.nnz))

    def factor(self, data: np.ndarray) -> SymmetricFactorization:
        data, d = by_diagonal(self.pattern, self.pattern.checked(data))
        self._matrix.set_values(data)
        solvers = _of_thread()
        known = id(self) in solvers
        solver = solvers[id(self)] if known else _package().Solver(parallel=False)
        try:
            (solver.refactor if known else solver.factor)(self._matrix)
        except _package().FeralError as error:
            raise SingularMatrix(f"feral: {error}") from None
        solvers[id(self)] = solver
        found = solver.inertia
        if found is None:
            raise SingularMatrix("feral: no factors")
        inertia = Inertia(int(found.n_pos), int(found.n_neg), int(found.n_zero))
        return ScaledFactors(_Factors(self, inertia), d)

    def __del__(self) -> None:
        _of_thread().pop(id(self), None)


def _of_thread() -> dict[int, Any]:
    """The package's objects of this thread: they may be used, and deleted, by the thread that made them only."""
    return _THREAD.__dict__.setdefault("solvers", {})  # type: ignore[no-any-return]


class _Factors(SymmetricFactorization):
    def __init__(self, solver: FeralSolver, inertia: Inertia) -> None:
        self._solver, self.inertia = solver, inertia

    def solve(self, b: np.ndarray) -> np.ndarray:
        solver = _of_thread().get(id(self._solver))
        if solver is None:
            raise SingularMatrix("feral: factors can be used by the thread that made them only")
        try:
            return np.asarray(solver.solve(np.ascontiguousarray(b, dtype=float)))
        except _package().FeralError as error:
            raise SingularMatrix(f"feral: {error}") from None
