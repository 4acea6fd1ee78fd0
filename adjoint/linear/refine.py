"""Iterative refinement: a solve to rounding level with factors of a nearby matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Factorization, backward_error

__all__ = ["refined_solve"]

TARGET = 16 * float(np.finfo(float).eps)  # backward error where refinement stops
ACCEPTED = 1e-11  # backward error that counts as converged where refinement makes no progress
PROGRESS = 0.5  # share of the error that one step may leave


def refined_solve(
    A: Any, b: np.ndarray, factorization: Factorization, transpose: bool = False, max_steps: int = 6
) -> tuple[np.ndarray, bool]:
    """Solve ``A x = b``, or ``Aᵀ x = b``, with factors of a matrix that may differ from `A`.

    Each step adds the solution for the residual; it multiplies the error by the relative difference of the
    two matrices. The test is the sparse backward error of Arioli, Demmel and Duff (1989), as in LAPACK's
    xGERFS [1]_.

    Parameters
    ----------
    A : ndarray or sparse matrix
    b : ndarray of shape (n,) or (n, k)
    factorization : Factorization
        Of `A`, or of an earlier matrix of the same iteration.
    transpose : bool
    max_steps : int

    Returns
    -------
    x : ndarray
        The best solution met.
    converged : bool
        Whether the backward error of every column is below 1e-11; mostly it is near 1e-15. If not, factor
        anew.

    References
    ----------
    .. [1] N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, chapter 12.

    Examples
    --------
    >>> from adjoint.linear import make_solver
    >>> A = np.array([[4.0, 1.0], [2.0, 3.0]])
    >>> stale = make_solver(2).factor(A + 1e-4)
    >>> x, converged = refined_solve(A, np.array([1.0, 2.0]), stale)
    >>> x, converged
    (array([0.1, 0.6]), True)
    """
    M = A.T if transpose else A
    size = abs(M)
    b = np.asarray(b)
    with np.errstate(over="ignore", invalid="ignore"):
        x = factorization.solve(b, transpose)
        best, least, previous = x, np.full(b.shape[1:] or (1,), np.inf), np.inf
        for step in range(max_steps + 1):
            r = b - M @ x
            error = backward_error(M, size, x, b, r)
            error[~np.isfinite(error)] = np.inf
            better = error < least
            best = x if better.all() else np.where(better, x, best)
            least = np.minimum(error, least)
            worst = float(error.max(initial=0.0))
            if worst <= TARGET or step == max_steps or not worst <= PROGRESS * previous:
                break
            previous = worst
            x = x + factorization.solve(r, transpose)
    return best, bool(least.max(initial=0.0) <= ACCEPTED)
