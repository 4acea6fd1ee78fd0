"""Conjugate gradients, with what they learn of the matrix: negative curvature, and extreme eigenvalues.

The coefficients of the iteration are those of a Lanczos tridiagonal matrix, whose eigenvalues lie between the extreme
ones of `A` and approach them (Hestenes & Stiefel 1952; Golub & Van Loan 2013, *Matrix Computations*, section 11.3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy

__all__ = ["Iterate", "conjugate_gradients"]

WINDOW = 200  # coefficients kept: enough for the extreme eigenvalues, and memory does not grow with the iterations


class Iterate(NamedTuple):
    """Where conjugate gradients ended.

    Attributes
    ----------
    x : ndarray
    residual : float, ``‖b − A x‖ / ‖b‖``, as the iteration updates it
    iterations : int
    smallest, largest : float, estimates of the extreme eigenvalues from inside; NaN where there was nothing to do
    curvature : ndarray or None, a direction ``v`` with ``vᵀ A v ≤ 0``, where the iteration met one
    """

    x: np.ndarray
    residual: float
    iterations: int
    smallest: float
    largest: float
    curvature: np.ndarray | None


def conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray], b: np.ndarray, rtol: float = 1e-10, maxiter: int | None = None
) -> Iterate:
    """Solve ``A x = b`` for a symmetric positive definite ``A`` of which only products are known.

    Parameters
    ----------
    product : callable, ``v ↦ A v``
    b : ndarray, shape (n,)
    rtol : float
        Of ``‖b − A x‖ / ‖b‖``.
    maxiter : int, optional
        Products at most; default ``10 n``.

    >>> A = np.array([[4.0, 1.0], [1.0, 3.0]])
    >>> found = conjugate_gradients(lambda v: A @ v, np.array([1.0, 2.0]))
    >>> found.x.round(8), round(found.largest / found.smallest, 4)
    (array([0.09090909, 0.63636364]), 1.9387)
    """
    x, r = np.zeros_like(b), b.copy()
    size = float(np.linalg.norm(b))
    diagonal, beside = np.empty(WINDOW), np.empty(WINDOW)
    if size == 0.0:
        return Iterate(x, 0.0, 0, np.nan, np.nan, None)
    p, rho, k, curvature = r.copy(), size * size, 0, None
    alpha = beta = 0.0
    limit = 10 * b.size if maxiter is None else maxiter
    while np.sqrt(rho) > rtol * size and k < limit:
        q = product(p)
        bend = float(p @ q)
        if not bend > 0.0:
            curvature = p
            break
        before, alpha = alpha, rho / bend
        if k < WINDOW:
            diagonal[k] = 1.0 / alpha + (beta / before if before else 0.0)
        x += alpha * p
        r -= alpha * q
        beta = float(r @ r) / rho
        if k < WINDOW:
            beside[k] = np.sqrt(beta) / alpha
        rho *= beta
        p = r + beta * p
        k += 1
    smallest = largest = np.nan
    if k:
        count = min(k, WINDOW)
        found = scipy.linalg.eigvalsh_tridiagonal(diagonal[:count], beside[: count - 1])
        smallest, largest = float(found[0]), float(found[-1])
    return Iterate(x, float(np.sqrt(rho)) / size, k, smallest, largest, curvature)
