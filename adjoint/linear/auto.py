"""Which solver for which pattern: the one that a model of their run times puts first, checked as it runs.

The models give the microseconds of one factorization (a later one of the same pattern) and one solve, with
what it takes to make the matrix from its entries. They were fitted to measurements with one thread, on
networks, meshes in 2-D and 3-D, random patterns of 5 and of 20 entries per row, block tridiagonal and
optimality systems, from 2 to 1e5 rows. Operations and entries of the factors come from KLU's symbolic
analysis, which KLU needs anyway (10 to 50 ms at 1e5 rows; a matching that is hard to find may take seconds);
without KLU, from the envelope after reverse Cuthill-McKee. Measured, in milliseconds:

===========================  =======  ==========  ======  =====  ===========
pattern                      n        flops/nnz   dense   KLU    SuperLU
===========================  =======  ==========  ======  =====  ===========
network                      50       5           0.016   0.026  0.15
network                      100      16          0.057   0.029  0.17
random, 5 entries per row    100      180         0.059   0.054  0.24
random, 20 entries per row   1,600    44,000      58      530    260
2-D convection               2,500    160         250     1.0    2.1
2-D convection               40,000   1,100       -       82     67
3-D Poisson                  13,824   20,700      -       820    230
network                      100,000  44          -       20     117
===========================  =======  ==========  ======  =====  ===========
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from ..errors import ModelError, NameLookupError, closest
from .base import Factorization, InaccurateFactors, LinearSolver, SparsePattern, verified
from .dense import DenseSolver
from .klu_ import KLUSolver, is_available
from .superlu import BlockForm, SuperLUSolver

__all__ = ["SOLVERS", "make_solver"]

SOLVERS: dict[str, Callable[[Any], LinearSolver]] = {
    "dense": DenseSolver,
    "klu": KLUSolver,
    "superlu": SuperLUSolver,
}

ALWAYS_DENSE = 40  # rows up to which nothing is as fast as LAPACK
NEVER_DENSE = 4000  # rows from which an array is not made
LAST_RESORT = 2000  # rows up to which a dense factorization is tried where sparse ones are inaccurate


def make_solver(pattern: Any, method: str = "auto", block_form: BlockForm | None = None) -> LinearSolver:
    """The linear solver for matrices of one pattern.

    Parameters
    ----------
    pattern : sparse matrix, ndarray or int
        A matrix with the pattern (its entries do not matter), or the number of rows of dense matrices.
    method : {"auto", "dense", "klu", "superlu"}
        ``auto`` takes the fastest, and another one where that fails.
    block_form : callable, optional
        ``block_form(A)`` finds the block triangular form of a pattern with zeros on its diagonal, for
        SuperLU: an object with ``row_order``, ``col_order`` and ``block_ptr``. It is called only where it is
        of use.

    Returns
    -------
    LinearSolver
        Its attribute ``dense`` says whether it takes 2-D arrays; its ``name``, what was chosen.

    Examples
    --------
    >>> from scipy.sparse import csc_array
    >>> A = csc_array([[4.0, 1.0], [2.0, 3.0]])
    >>> make_solver(A).name
    'dense'
    >>> factors = make_solver(A, "superlu").factor(A)
    >>> factors.solve(np.array([1.0, 2.0])), factors.solve(np.array([1.0, -1.0]), transpose=True)
    (array([0.1, 0.6]), array([ 0.5, -0.5]))
    """
    if method != "auto" and method not in SOLVERS:
        raise NameLookupError(closest(method, ["auto", *SOLVERS], "linear solver"))
    if isinstance(pattern, int | np.integer):
        if method not in ("auto", "dense"):
            raise ModelError(f"the linear solver {method!r} needs the sparsity pattern, not a number of rows")
        return DenseSolver(int(pattern))
    n = pattern.shape[0]
    if n == 0 or method == "dense" or isinstance(pattern, np.ndarray):
        return DenseSolver(pattern)
    if method == "klu":
        if not is_available():
            raise ModelError("the linear solver 'klu' needs the package nbklu: pip install 'adjoint[klu]'")
        return KLUSolver(pattern)
    if method == "superlu":
        return SuperLUSolver(pattern, block_form)
    if method != "auto":
        return SOLVERS[method](pattern)
    return _choose(pattern, block_form)


def _choose(pattern: Any, block_form: BlockForm | None) -> LinearSolver:
    n = pattern.shape[0]
    if n <= ALWAYS_DENSE:
        return DenseSolver(pattern)
    pattern = SparsePattern.of(pattern)
    superlu = SuperLUSolver(pattern, block_form)
    klu = _klu(pattern)
    flops, entries = (klu.flops, klu.entries) if klu is not None else _envelope(pattern)
    if n <= NEVER_DENSE and dense_time(n) < min(
        klu_time(n, flops, entries) if klu is not None else np.inf,
        superlu_time(n, flops, entries, superlu.symmetric),
    ):
        return DenseSolver(n)
    last = [CheckedDense(pattern)] if n <= LAST_RESORT else []
    if klu is None:
        return AutoSolver(superlu, *last)
    if klu_time(n, flops, entries) <= superlu_time(n, flops, entries, superlu.symmetric):
        return AutoSolver(klu, superlu, *last)
    return AutoSolver(superlu, klu, *last)


def _klu(pattern: SparsePattern) -> KLUSolver | None:
    if not is_available():
        return None
    try:
        return KLUSolver(pattern)
    except MemoryError:
        return None


def dense_time(n: int) -> float:
    """Microseconds of LAPACK."""
    return 3.0 + 0.12 * n + 4e-3 * n**2 + 1.4e-5 * n**3


def klu_time(n: int, flops: float, entries: float) -> float:
    """Microseconds of a refactorization by KLU."""
    return 20.0 + 8e-3 * entries + flops / 4000.0


def superlu_time(n: int, flops: float, entries: float, symmetric: bool) -> float:
    """Microseconds of SuperLU; its factors by COLAMD have twice the entries that KLU's have, or more."""
    if symmetric:
        return 150.0 + 0.6 * n + 12e-3 * entries + flops / 10000.0
    return 150.0 + 0.6 * n + 25e-3 * entries + flops / 5000.0


def _envelope(pattern: SparsePattern) -> tuple[float, float]:
    """Operations and entries of factors within the envelope after reverse Cuthill-McKee: an upper bound."""
    if pattern.n > NEVER_DENSE:
        return 0.0, float(pattern.nnz)
    A = pattern.matrix(np.ones(pattern.nnz))
    order = sparse.csgraph.reverse_cuthill_mckee((A + A.T).tocsr(), symmetric_mode=True)
    place = np.empty(pattern.n, dtype=np.intp)
    place[order] = np.arange(pattern.n)
    i, j = place[pattern.indices], place[pattern.columns]
    reach = np.zeros(pattern.n)
    np.maximum.at(reach, np.maximum(i, j), np.abs(i - j))
    return float(2.0 * (reach**2).sum()), float(2.0 * reach.sum() + pattern.n)


class AutoSolver(LinearSolver):
    """Sparse solvers in the order of their estimated times; one that fails makes way for good."""

    def __init__(self, *solvers: LinearSolver) -> None:
        self.n = solvers[0].n
        self._solvers = list(solvers)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The solver in use."""
        return self._solvers[0].name

    def factor(self, A: Any) -> Factorization:
        """The factors of `A`, by the first solver that gives accurate ones."""
        while len(self._solvers) > 1:
            solver = self._solvers[0]
            try:
                factors = solver.factor(A)
            except (InaccurateFactors, MemoryError):
                del self._solvers[0]
                continue
            if isinstance(solver, KLUSolver) and solver.is_overfull:
                del self._solvers[0]  # pivots off the diagonal: the estimate that led here was wrong
            return factors
        return self._solvers[0].factor(A)


class CheckedDense(LinearSolver):
    """Dense factors of sparse matrices, with their accuracy tried."""

    name = "dense"

    def __init__(self, pattern: SparsePattern) -> None:
        self.n, self.pattern = pattern.n, pattern

    def factor(self, A: Any) -> Factorization:
        data = self.pattern.entries(A)
        factors = DenseSolver(self.n).factor(self.pattern.matrix(data))
        return verified(self.pattern, data, factors.solve)
