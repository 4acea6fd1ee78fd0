"""Symmetric factors with pivots in a fixed order, by solvers for general matrices: KLU, or SuperLU.

The matrix is regularized by its expected signs: ``A + δ S`` with S = diag(+1, …, −1, …). Where ``A`` is nearly
quasi-definite, ``L D Lᵀ`` then exists for every order of the diagonal pivots [1]_. Both packages keep to the diagonal
if their threshold of pivoting is 0, and the factor U is ``D Lᵀ``: the signs of its diagonal are the inertia of
``A + δ S``. Solutions of ``A x = b`` come from a Krylov method with these factors as preconditioner [2]_: two or three
steps, where plain refinement may need ten, since few eigenvalues feel δ.

δ is relative to rows that were scaled to entries near 1 (:mod:`.scaling`): by their diagonal alone, the systems of a
beam of 500 elements had no usable factors. Rows with a firm diagonal of the expected sign need no δ; where a diagonal
entry of the other sign happens to be near δ, the sum would vanish, and −δ is added.

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
from typing import Any

import numpy as np
import scipy

from ..base import InaccurateFactors, SingularMatrix, with_data
from ..base.nbklu_ import package as klu_package
from .interface import Inertia, SymmetricFactorization, SymmetricPattern, SymmetricSolver
from .residuals import norm, refined
from .scaling import Equilibration

__all__ = ["StaticKLU", "StaticSuperLU"]

REGULARIZATION = 1e-8, 1e-6  # δ first, near the root of the rounding error; tenfold after a failure, at most
FIRM, LEAST = 1e-4, 1e-13  # signed diagonal entries of the scaled matrix from which δ is as small as rounding errors
GOOD, NEARBY = 1e-2, 1e-7  # residual of a probe up to which factors are taken, relative to it; to its solution
ACCURATE = 1e-10  # relative residual at which refinement ends
SYMMETRIC = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}


class _Static(SymmetricSolver):
    """What the two share: scaling, regularization, the probe, and the inertia from the pivots.

    A `lenient` solver, one that no better one stands behind, also takes factors whose residual is small beside the
    solution: those of a nearby matrix, from which few steps in wrong directions come.
    """

    def __init__(self, pattern: SymmetricPattern, lenient: bool = True) -> None:
        self.pattern = pattern
        self._nearby = NEARBY if lenient else 0.0
        self._good = GOOD * norm(pattern.full.probe)
        self._diagonal = pattern.full.diagonal
        self._delta = REGULARIZATION[0]
        self._scaling = Equilibration(pattern)
        self._template = pattern.full.matrix(np.zeros(pattern.full.nnz)).T  # by rows, whose products are faster

    def factor(self, data: np.ndarray) -> SymmetricFactorization:
        data, scaling = self.pattern.checked(data), self._scaling
        A = with_data(self._template, self.pattern.expanded(scaling.scaled(data)))
        if not scaling.age:
            self._delta = REGULARIZATION[0]
        while True:
            try:
                return self._regularized(A)
            except (SingularMatrix, InaccurateFactors):
                if scaling.age:
                    A = with_data(self._template, self.pattern.expanded(scaling.scaled(data, renew=True)))
                elif self._delta >= REGULARIZATION[1] or not self.pattern.negative:
                    raise
                else:
                    self._delta *= 10.0

    def _regularized(self, A: Any) -> SymmetricFactorization:
        entries = A.data
        diagonal = entries[self._diagonal]
        if self.pattern.negative:  # without rows of multipliers, the curvature of δ would hide a negative one
            entries[self._diagonal] = self._shifted(diagonal)
        try:
            pivots = self._factored(entries)
        finally:
            entries[self._diagonal] = diagonal
        probe = self.pattern.full.probe
        x = self.solve(probe)
        error = norm(probe - A @ x)
        if not error <= self._good + (self._nearby * norm(x) if self._nearby else 0.0):
            raise InaccurateFactors(f"pivots on the diagonal let elements grow: residual {error:.1e}")
        return _Factors(self, A, self._scaling.d, _signs(pivots))

    def _shifted(self, diagonal: np.ndarray) -> np.ndarray:
        """The diagonal of ``A + δ S``; with −δ where an entry would vanish."""
        signs = self.pattern.signs
        shift = signs * np.where(diagonal * signs < FIRM, self._delta, LEAST)
        shifted: np.ndarray = diagonal + shift
        lost = np.abs(shifted) < 0.5 * np.abs(shift)
        shifted[lost] = (diagonal - shift)[lost]
        return shifted

    @abstractmethod
    def _factored(self, entries: np.ndarray) -> np.ndarray:
        """Factor the matrix with these entries; the pivots."""

    @abstractmethod
    def solve(self, b: np.ndarray) -> np.ndarray:
        """A solve with the last factors."""


class _Factors(SymmetricFactorization):
    """Factors of ``D (A + δ S) D``, which solve with ``A``."""

    def __init__(self, solver: _Static, A: Any, d: np.ndarray, inertia: Inertia) -> None:
        self._solver, self._A, self._d, self.inertia = solver, A, d, inertia

    def solve(self, b: np.ndarray) -> np.ndarray:
        b = np.asarray(b, dtype=float)
        if b.ndim > 1:
            return np.stack([self.solve(column) for column in b.T], axis=1)
        return self._d * refined(self._A, self._solver.solve, self._d * b, ACCURATE)


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

    def __init__(self, pattern: SymmetricPattern, lenient: bool = True) -> None:
        super().__init__(pattern, lenient)
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

    def __init__(self, pattern: SymmetricPattern, lenient: bool = True) -> None:
        super().__init__(pattern, lenient)
        self._lu: Any = None

    def _factored(self, entries: np.ndarray) -> np.ndarray:
        if not self.pattern.n:
            return entries
        A = with_data(self._template, entries.copy()).T
        try:
            self._lu = scipy.sparse.linalg.splu(A, **SYMMETRIC)
        except RuntimeError as error:
            raise SingularMatrix(f"SuperLU: {error}") from None
        if not np.array_equal(self._lu.perm_r, self._lu.perm_c):
            raise InaccurateFactors("SuperLU left the diagonal")
        return self._lu.U.diagonal()

    def solve(self, b: np.ndarray) -> np.ndarray:
        return self._lu.solve(b) if self.pattern.n else np.array(b)
