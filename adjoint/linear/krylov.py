"""Linear solves without a matrix: GMRES with a checked answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from .base import SingularMatrix

__all__ = ["gmres_solve"]

RESTART = 60  # vectors kept, at most
SLACK = 2.0  # the residual found at the end may exceed the one asked for by this factor

Operator = Callable[[np.ndarray], np.ndarray]


def gmres_solve(
    matvec: Operator, b: np.ndarray, M: Operator | None = None, rtol: float = 1e-10, maxiter: int = 1000
) -> np.ndarray:
    """Solve ``A x = b`` by restarted GMRES [1]_, with ``matvec(v) = A v`` only.

    Parameters
    ----------
    matvec : callable
    b : ndarray of shape (n,) or (n, k)
        Each column is solved for.
    M : callable, optional
        ``M(v) ≈ A⁻¹ v``, the preconditioner.
    rtol : float
        Of ``‖b - A x‖₂ / ‖b‖₂``, recomputed at the end.
    maxiter : int
        Products with `A` for each column, at most.

    Raises
    ------
    SingularMatrix
        If the residual is not as small as asked for: an answer that did not converge is never returned.

    References
    ----------
    .. [1] Y. Saad and M. H. Schultz, "GMRES: a generalized minimal residual algorithm for solving
           nonsymmetric linear systems", SIAM J. Sci. Stat. Comput. 7(3), 1986.

    Examples
    --------
    >>> A = np.array([[4.0, 1.0], [2.0, 3.0]])
    >>> gmres_solve(lambda v: A @ v, np.array([1.0, 2.0]))
    array([0.1, 0.6])
    """
    b = np.asarray(b)
    if b.ndim == 2:
        columns = [gmres_solve(matvec, column, M, rtol, maxiter) for column in b.T]
        return np.stack(columns, axis=1) if columns else np.zeros(b.shape)
    n, size = len(b), float(np.linalg.norm(b))
    if size == 0.0:
        return np.zeros_like(b, dtype=np.result_type(b, float))
    restart = min(n, RESTART, maxiter)
    dtype = np.result_type(b, float)
    A = sparse.linalg.LinearOperator((n, n), matvec, dtype=dtype)
    preconditioner = None if M is None else sparse.linalg.LinearOperator((n, n), M, dtype=dtype)
    with np.errstate(all="ignore"):
        cycles = -(-maxiter // restart)
        x, _ = sparse.linalg.gmres(A, b, rtol=rtol, atol=0.0, restart=restart, maxiter=cycles, M=preconditioner)
        residual = float(np.linalg.norm(b - matvec(x))) / size
    if not residual <= SLACK * rtol:
        raise SingularMatrix(f"GMRES did not converge: residual {residual:.1e}, asked for {rtol:.1e}")
    return x
