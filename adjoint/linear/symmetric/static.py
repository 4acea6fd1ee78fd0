"""Symmetric factors with pivots in a fixed order, by solvers for general matrices: KLU, or SuperLU.

The matrix is regularized by its expected signs: ``A + δ S`` with S = diag(+1, …, −1, …). Where ``A`` is nearly
quasi-definite, ``L D Lᵀ`` then exists for every order of the diagonal pivots [1]_. Both packages keep to the diagonal
if their threshold of pivoting is 0, and the factor U is ``D Lᵀ``: the signs of its diagonal are the inertia of
``A + δ S``. Solutions of ``A x = b`` come from GMRES with these factors as preconditioner [2]_: two or three steps,
where plain refinement may need ten, since few eigenvalues feel δ.

An order that was not chosen for the values can let elements grow. A probe tells: if its residual is not small, there
are no factors.

What was measured, on the optimality systems of AC optimal power flow (76,644 rows, 212,000 entries below the diagonal):
a refactorization by KLU takes 14 ms, one by SuperLU 103, and a multifrontal one with pivoting (feral) 54.

References
----------
.. [1] R. J. Vanderbei, "Symmetric quasidefinite matrices", SIAM J. Optim. 5(1), 1995, pp. 100-113.
.. [2] M. Arioli, I. S. Duff, S. Gratton and S. Pralet, "A note on GMRES preconditioned by a perturbed LDLᵀ
       decomposition with static pivoting", SIAM J. Sci. Comput. 29(5), 2007, pp. 2024-2044.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from ..base import InaccurateFactors, SingularMatrix
from ..base.nbklu_ import package as klu_package
from .interface import Inertia, SymmetricFactorization, SymmetricPattern, SymmetricSolver

__all__ = ["StaticKLU", "StaticSuperLU"]

REGULARIZATION = 1e-8, 1e-6  # δ first, near the root of the rounding error; tenfold after a failure, at most
GOOD = 1e-2  # residual of a probe, relative to its right-hand side, up to which factors are taken
ACCURATE = 1e-11  # relative residual at which GMRES ends; it also ends after so many steps
STEPS = 8
SYMMETRIC = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}


class _Static(SymmetricSolver):
    """What the two share: regularization, the probe, and the inertia from the pivots."""

    def __init__(self, pattern: SymmetricPattern) -> None:
        self.pattern = pattern
        self._diagonal = pattern.full.diagonal
        self._delta = REGULARIZATION[0]

    def factor(self, data: np.ndarray) -> SymmetricFactorization:
        entries = self.pattern.expanded(self.pattern.checked(data))
        A = self.pattern.full.matrix(entries.copy())
        while True:
            try:
                return self._regularized(A, entries)
            except (SingularMatrix, InaccurateFactors):
                if self._delta >= REGULARIZATION[1] or not self.pattern.negative:
                    raise
                self._delta *= 10.0

    def _regularized(self, A: Any, entries: np.ndarray) -> SymmetricFactorization:
        if self.pattern.negative:  # without rows of multipliers, the curvature of δ would hide a negative one
            entries[self._diagonal] = A.data[self._diagonal] + self._delta * self.pattern.signs
        pivots = self._factored(entries)
        probe = self.pattern.full.probe
        r = probe - A @ self.solve(probe)
        error = _norm(r) / _norm(probe) if self.pattern.n else 0.0
        if not error <= GOOD:
            raise InaccurateFactors(f"pivots on the diagonal let elements grow: residual {error:.1e}")
        return _Factors(self, A, _signs(pivots))

    @abstractmethod
    def _factored(self, entries: np.ndarray) -> np.ndarray:
        """Factor the matrix with these entries; the pivots."""

    @abstractmethod
    def solve(self, b: np.ndarray) -> np.ndarray:
        """A solve with the last factors."""


class _Factors(SymmetricFactorization):
    def __init__(self, solver: _Static, A: Any, inertia: Inertia) -> None:
        self._solver, self._A, self.inertia = solver, A, inertia

    def solve(self, b: np.ndarray) -> np.ndarray:
        b = np.asarray(b, dtype=float)
        if b.ndim == 1:
            return _gmres(self._A, self._solver.solve, b)
        return np.stack([_gmres(self._A, self._solver.solve, column) for column in b.T], axis=1)


def _gmres(A: Any, solve: Callable[[np.ndarray], np.ndarray], b: np.ndarray) -> np.ndarray:
    """Flexible GMRES [2]_ from the solution with the factors."""
    x = solve(b)
    r = b - A @ x
    beta, goal = _norm(r), ACCURATE * _norm(b)
    if beta <= goal or not np.isfinite(beta):
        return x
    basis, directions = [r / beta], []
    H = np.zeros((STEPS + 1, STEPS))
    right = np.zeros(STEPS + 1)
    right[0] = beta
    for j in range(STEPS):
        directions.append(solve(basis[j]))
        w = A @ directions[j]
        for i, v in enumerate(basis):
            H[i, j] = _dot(v, w)
            w -= H[i, j] * v
        H[j + 1, j] = _norm(w)
        y, *_ = np.linalg.lstsq(H[: j + 2, : j + 1], right[: j + 2], rcond=None)
        left = float(np.linalg.norm(right[: j + 2] - H[: j + 2, : j + 1] @ y))
        if left <= goal or H[j + 1, j] <= goal * 1e-3 or not np.isfinite(left):
            break
        basis.append(w / H[j + 1, j])
    for weight, z in zip(y, directions, strict=True):
        x = x + weight * z
    return x


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """By one thread: BLAS starts several, which may have to wait."""
    return float(np.einsum("i,i->", a, b))


def _norm(a: np.ndarray) -> float:
    return _dot(a, a) ** 0.5


def _signs(pivots: np.ndarray) -> Inertia:
    positive, negative = int(np.count_nonzero(pivots > 0)), int(np.count_nonzero(pivots < 0))
    return Inertia(positive, negative, len(pivots) - positive - negative)


class StaticKLU(_Static):
    """KLU without block triangular form, scaling or pivoting; its refactorization is the fastest there is on networks.

    >>> from scipy.sparse import csc_array
    >>> pattern = SymmetricPattern(csc_array([[1.0, 0.0], [1.0, 1e-30]]), 1)
    >>> factors = StaticKLU(pattern).factor(np.array([2.0, 2.0, 0.0])) if klu_package() else None
    >>> factors is None or factors.inertia == (1, 1, 0)
    True
    """

    name = "klu"

    def __init__(self, pattern: SymmetricPattern) -> None:
        super().__init__(pattern)
        full = pattern.full
        engine = self._engine = klu_package().KLUSolver(complex_values=False, singular_as_error=True)
        engine.common.tol, engine.common.btf, engine.common.scale = 0.0, 0, 0
        engine.common.halt_if_singular = 0
        try:
            engine.analyze(full.n, full.indptr, full.indices)
        except klu_package().KLUException as error:
            raise MemoryError(f"KLU: {error}") from None
        symbolic = engine.symbolic
        self.flops = max(float(symbolic.est_flops), 0.0)
        self.entries = max(float(symbolic.lnz + symbolic.unz), 0.0)
        self._parts: dict[str, np.ndarray] = {}

    def _factored(self, entries: np.ndarray) -> np.ndarray:
        package, engine = klu_package(), self._engine
        try:
            if self._parts:
                engine.refactor(entries)
            else:
                engine.factor(entries)
                self._allocate()
        except package.KLUSingularException:
            raise SingularMatrix("KLU: the matrix is singular") from None
        except package.KLUException as error:
            engine.numeric = None
            raise MemoryError(f"KLU: {error}") from None
        self._extract()
        return self._parts["Ux"][self._last]

    def _allocate(self) -> None:
        """Room for the factors, from which the pivots are read; their order must be one of rows and columns alike."""
        n, numeric = self.pattern.n, self._engine.numeric
        sizes = {"Lp": n + 1, "Li": numeric.lnz, "Lx": numeric.lnz, "Up": n + 1, "Ui": numeric.unz, "Ux": numeric.unz}
        sizes |= {"Fp": n + 1, "Fi": numeric.nzoff, "Fx": numeric.nzoff, "P": n, "Q": n, "Rs": n, "R": 2}
        real = ("Lx", "Ux", "Fx", "Rs")
        self._parts = {k: np.zeros(int(s), dtype=float if k in real else np.int32) for k, s in sizes.items()}
        self._extract()
        if not np.array_equal(self._parts["P"], self._parts["Q"]):
            self._parts = {}
            raise InaccurateFactors("KLU left the diagonal")
        # The diagonal of U: the entry of each column whose row is the column itself.
        columns = np.repeat(np.arange(n), np.diff(self._parts["Up"]))
        self._last = np.flatnonzero(self._parts["Ui"] == columns)

    def _extract(self) -> None:
        engine = self._engine
        engine._extract_fn(engine.numeric, engine.symbolic, *self._parts.values(), engine.common)

    def solve(self, b: np.ndarray) -> np.ndarray:
        x = np.array(b.T, order="C")
        return self._engine.solve_(x).T

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)
        if engine is not None:
            if engine.numeric is not None:
                engine.numeric.free(engine.common)
            if engine.symbolic is not None:
                engine.symbolic.free(engine.common)


class StaticSuperLU(_Static):
    """SuperLU with minimum degree on ``A + Aᵀ``: needs nothing but SciPy, and orders anew each time.

    >>> from scipy.sparse import csc_array
    >>> pattern = SymmetricPattern(csc_array([[1.0, 0.0], [1.0, 1e-30]]), 1)
    >>> StaticSuperLU(pattern).factor(np.array([2.0, 2.0, 0.0])).inertia
    Inertia(positive=1, negative=1, zero=0)
    """

    name = "superlu"

    def __init__(self, pattern: SymmetricPattern) -> None:
        super().__init__(pattern)
        self._lu: Any = None

    def _factored(self, entries: np.ndarray) -> np.ndarray:
        if not self.pattern.n:
            return entries
        A = self.pattern.full.matrix(entries)
        try:
            self._lu = scipy.sparse.linalg.splu(A, **SYMMETRIC)
        except RuntimeError as error:
            raise SingularMatrix(f"SuperLU: {error}") from None
        if not np.array_equal(self._lu.perm_r, self._lu.perm_c):
            raise InaccurateFactors("SuperLU left the diagonal")
        return self._lu.U.diagonal()

    def solve(self, b: np.ndarray) -> np.ndarray:
        return self._lu.solve(b) if self.pattern.n else np.array(b)
