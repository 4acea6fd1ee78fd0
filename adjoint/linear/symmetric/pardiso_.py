"""Sparse symmetric factors by PARDISO of Intel's MKL (package ``pypardiso``): Bunch-Kaufman pivoting within supernodes.

Matrix type −2 (real, symmetric, indefinite), with scaling and matching (``iparm`` 11 and 13): without them the inertia
was wrong on 1 of 39 random optimality systems. Pivots that had to be perturbed (``iparm`` 14) count as zeros.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import numpy as np
from scipy import sparse

from ...errors import ModelError
from ..base import SingularMatrix
from .interface import Inertia, SymmetricFactorization, SymmetricPattern, SymmetricSolver
from .scaling import ScaledFactors, by_diagonal

__all__ = ["PardisoSolver", "is_available"]

SYMMETRIC_INDEFINITE = -2
ANALYZE, FACTOR, SOLVE = 11, 22, 33


@functools.cache
def _package() -> Any:
    """The package, or None: it may be installed without a usable MKL."""
    try:
        import pypardiso
    except Exception:
        return None
    return pypardiso


def is_available() -> bool:
    """Whether the package is installed. It is not loaded for that: it looks for MKL in the whole file system, for
    seconds."""
    return importlib.util.find_spec("pypardiso") is not None


class PardisoSolver(SymmetricSolver):
    """The upper triangle by rows is the lower one by columns."""

    name = "pardiso"

    def __init__(self, pattern: SymmetricPattern) -> None:
        self.pattern = pattern
        if _package() is None:
            raise ModelError("the linear solver 'pardiso': pypardiso is installed, but finds no MKL that works")
        solver = self._solver = _package().PyPardisoSolver(mtype=SYMMETRIC_INDEFINITE)
        for k, value in ((1, 1), (2, 2), (8, 2), (10, 8), (11, 1), (13, 1), (21, 1), (24, 0)):
            solver.set_iparm(k, value)
        self._b = np.zeros(pattern.n)
        self._analyzed = False

    def _call(self, phase: int, b: np.ndarray) -> np.ndarray:
        self._solver.set_phase(phase)
        try:
            return self._solver._call_pardiso(self._A, b)
        except _package().PyPardisoError as error:
            raise SingularMatrix(f"PARDISO: {error}") from None

    def factor(self, data: np.ndarray) -> SymmetricFactorization:
        pattern = self.pattern
        shape = (pattern.n, pattern.n)
        data, d = by_diagonal(pattern, pattern.checked(data))
        self._A = sparse.csr_matrix((data, pattern.indices, pattern.indptr), shape=shape)
        if not self._analyzed:  # matching looks at values: those of the first matrix serve for the order
            self._call(ANALYZE, self._b)
            self._analyzed = True
        self._call(FACTOR, self._b)
        positive, negative = (int(self._solver.get_iparm(k)) for k in (22, 23))
        zero = max(pattern.n - positive - negative, int(self._solver.get_iparm(14)))
        return ScaledFactors(_Factors(self, Inertia(positive, negative, zero)), d)

    def __del__(self) -> None:
        solver = getattr(self, "_solver", None)
        if solver is not None:
            solver.free_memory(everything=True)


class _Factors(SymmetricFactorization):
    def __init__(self, solver: PardisoSolver, inertia: Inertia) -> None:
        self._solver, self.inertia = solver, inertia

    def solve(self, b: np.ndarray) -> np.ndarray:
        b = np.asarray(b, dtype=float)
        columns = b.reshape(len(b), -1)
        x = self._solver._call(SOLVE, np.asfortranarray(columns))
        return np.asarray(x).reshape(b.shape)
