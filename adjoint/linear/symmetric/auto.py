"""Which symmetric solver for which pattern: measured, and checked as it runs.

Milliseconds of a later factorization of the same pattern, with one thread:

================================  =======  ============  =====  =====  ======  =======
optimality system                 rows     KLU's flops   dense  KLU    feral   SuperLU
================================  =======  ============  =====  =====  ======  =======
AC optimal power flow, 118 buses  3,184    1.2e5         -      0.2    1.7     2.9
1354 buses                        33,810   1.3e6         -      2.2    21      81
2869 buses                        76,644   4.1e6         -      14     54      103
================================  =======  ============  =====  =====  ======  =======
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import ModelError, NameLookupError, closest
from ..base import InaccurateFactors, SingularMatrix
from ..base.nbklu_ import is_available as klu_is_available
from .condensed import Condensation, CondensedSolver
from .dense_ import DenseSymmetricSolver
from .feral_ import FeralSolver
from .feral_ import is_available as feral_is_available
from .interface import SymmetricFactorization, SymmetricPattern, SymmetricSolver
from .pardiso_ import PardisoSolver
from .pardiso_ import is_available as pardiso_is_available
from .pivots import pivot_pairs
from .static import StaticKLU, StaticSuperLU

__all__ = ["SYMMETRIC_SOLVERS", "make_condensed_solver", "make_symmetric_solver"]

SYMMETRIC_SOLVERS: dict[str, Callable[..., SymmetricSolver]] = {
    "dense": DenseSymmetricSolver,
    "feral": FeralSolver,
    "klu": StaticKLU,
    "pardiso": PardisoSolver,
    "superlu": StaticSuperLU,
}
NEEDS = {
    "feral": (feral_is_available, "feral-solver: pip install 'adjoint[kkt]'"),
    "klu": (klu_is_available, "nbklu: pip install 'adjoint[klu]'"),
    "pardiso": (pardiso_is_available, "pypardiso: pip install 'adjoint[mkl]'"),
}

ALWAYS_DENSE = 60  # rows up to which nothing is as fast as LAPACK
LARGE = 8000  # rows from which eliminating pairs costs less than it saves KLU
LAST_RESORT = 2000  # rows up to which dense factors are tried where sparse ones fail
FLOPS_PER_ENTRY = 400.0  # operations per entry of KLU's factors, up to which single columns beat dense fronts
PATIENCE = 3  # failures of a solver in a row after which it is not asked again


def make_symmetric_solver(lower: Any, negative: int = 0, method: str = "auto") -> SymmetricSolver:
    """The solver for symmetric matrices of one pattern.

    Parameters
    ----------
    lower : scipy.sparse matrix, CSC
        The lower triangle, with every diagonal entry stored; its values do not matter.
    negative : int
        Number of last rows of which negative eigenvalues are expected.
    method : {"auto", "dense", "feral", "klu", "pardiso", "superlu"}
        ``auto`` takes the fastest that is installed, and another one where that fails.

    Raises
    ------
    NameLookupError, ModelError
        An unknown method; a method whose package is not installed.

    >>> from scipy.sparse import csc_array
    >>> solver = make_symmetric_solver(csc_array([[2.0, 0.0], [1.0, -1.0]]), negative=1)
    >>> factors = solver.factor(np.array([2.0, 1.0, -1.0]))
    >>> solver.name, factors.inertia.negative, factors.solve(np.array([3.0, 0.0])).tolist()
    ('dense', 1, [1.0, 1.0])
    """
    if method not in ("auto", *SYMMETRIC_SOLVERS):
        raise NameLookupError(closest(method, ["auto", *SYMMETRIC_SOLVERS], "symmetric linear solver"))
    if method in NEEDS and not NEEDS[method][0]():
        raise ModelError(f"the linear solver {method!r} needs the package {NEEDS[method][1]}")
    pattern = lower if isinstance(lower, SymmetricPattern) else SymmetricPattern(lower, negative)
    if method != "auto":
        return SYMMETRIC_SOLVERS[method](pattern)
    if pattern.n <= ALWAYS_DENSE:
        return DenseSymmetricSolver(pattern)
    return RoutedSolver(pattern, _routes(pattern))


def make_condensed_solver(
    pattern: SymmetricPattern, data: np.ndarray, equations: np.ndarray, method: str = "auto"
) -> SymmetricSolver:
    """The solver for optimality systems, some of whose constraints define a variable: these are eliminated.

    Parameters
    ----------
    pattern : SymmetricPattern
    data : ndarray
        Entries of the first matrix: the sizes of coefficients decide what is eliminated.
    equations : ndarray of int
        Rows of the constraints that have, mostly, a zero on the diagonal.
    method : str
        As for :func:`make_symmetric_solver`.

    >>> from scipy.sparse import csc_array, eye_array, vstack, hstack
    >>> n = 50  # minimize ½ Σ (xᵢ − 1)² + ½ Σ zᵢ², with z = 3 x
    >>> K = vstack([eye_array(2 * n, 3 * n), hstack([-3.0 * eye_array(n), eye_array(n), 1e-30 * eye_array(n)])]).tocsc()
    >>> data = np.where(K.data == 1e-30, 0.0, K.data)
    >>> solver = make_condensed_solver(SymmetricPattern(K, n), data, np.arange(2 * n, 3 * n), "superlu")
    >>> factors = solver.factor(data)
    >>> x = factors.solve(np.repeat([1.0, 0.0, 0.0], n))
    >>> solver.name, factors.inertia.negative, x[[0, n, 2 * n]].round(12).tolist()
    ('superlu', 50, [0.1, 0.3, -0.3])
    """

    def make(of: SymmetricPattern) -> SymmetricSolver:
        return make_symmetric_solver(of, method=method)

    fast = method == "klu" or (method == "auto" and klu_is_available())
    pairs = None
    if len(equations) and method != "dense" and pattern.n > (LARGE if fast else ALWAYS_DENSE):
        pairs = pivot_pairs(pattern, data, equations)
    return make(pattern) if pairs is None else CondensedSolver(Condensation(pattern, *pairs), make)


def _routes(pattern: SymmetricPattern) -> list[SymmetricSolver | str]:
    """Solvers in the order in which they are tried; those that are only a name are made when they are needed."""
    routes: list[SymmetricSolver | str] = []
    if klu_is_available():
        try:
            klu = StaticKLU(pattern, lenient=False)
            if klu.flops <= FLOPS_PER_ENTRY * klu.entries:
                routes.append(klu)
        except MemoryError:
            pass
    if feral_is_available():
        routes.append("feral")
    elif pardiso_is_available():
        routes.append("pardiso")
    if not feral_is_available():
        routes.append(StaticSuperLU(pattern, lenient=pattern.n > LAST_RESORT))
    if pattern.n <= LAST_RESORT:
        routes.append("dense")
    return routes


class RoutedSolver(SymmetricSolver):
    """Solvers in turn: where one finds no accurate factors, the next is asked for this matrix; after several such
    failures in a row it is left out."""

    def __init__(self, pattern: SymmetricPattern, routes: Sequence[SymmetricSolver | str]) -> None:
        self.pattern = pattern
        self._routes = list(routes)
        self._failures = [0] * len(self._routes)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The solver asked first."""
        first = self._routes[0]
        return first if isinstance(first, str) else first.name

    def _solver(self, k: int) -> SymmetricSolver:
        route = self._routes[k]
        if isinstance(route, str):
            route = self._routes[k] = SYMMETRIC_SOLVERS[route](self.pattern)
        return route

    def factor(self, data: np.ndarray) -> SymmetricFactorization:
        data = self.pattern.checked(data)
        failed: list[int] = []
        problem: Exception = SingularMatrix()
        for k in range(len(self._routes)):
            try:
                factors = self._solver(k).factor(data)
            except (SingularMatrix, InaccurateFactors, MemoryError) as error:
                failed.append(k)
                problem = error
                continue
            self._failures[k] = 0
            self._blame(failed)
            return factors
        raise SingularMatrix(str(problem)) from None  # singular to all of them

    def _blame(self, failed: Sequence[int]) -> None:
        """Count the failures of solvers where a later one succeeded."""
        for k in reversed(failed):
            self._failures[k] += 1
            if self._failures[k] >= PATIENCE:
                del self._routes[k], self._failures[k]

    def increase_quality(self) -> bool:
        if len(self._routes) == 1:
            return False
        del self._routes[0], self._failures[0]
        return True
