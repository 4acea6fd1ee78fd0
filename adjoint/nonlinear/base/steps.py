"""Steps that several methods take where a plain Newton step does not exist or does not help."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
import scipy.sparse as sp

__all__ = ["column_norms", "levenberg_step", "shifted_step", "weighted_norm"]


def weighted_norm(v: np.ndarray, weights: np.ndarray) -> float:
    """``||v / weights||_2``."""
    t = v / weights
    return np.sqrt(t @ t)


def column_norms(J: Any, row: np.ndarray) -> np.ndarray:
    """2-norms of the columns of ``J / row``, 1 where a column is zero.

    They measure how much the scaled residual feels each unknown: a scale of the unknowns that follows any
    change of their units, as in MINPACK (Moré 1978, "The Levenberg-Marquardt algorithm", section 6).

    >>> column_norms(np.array([[3.0, 0.0], [4.0, 0.0]]), np.ones(2))
    array([5., 1.])
    """
    if isinstance(J, np.ndarray):
        squares = np.square(J / row[:, None]).sum(axis=0)
    else:
        column = np.repeat(np.arange(J.shape[1]), np.diff(J.indptr))
        squares = np.bincount(column, np.square(J.data / row[J.indices]), minlength=J.shape[1])
    norms = np.sqrt(squares)
    return np.where((norms > 0.0) & np.isfinite(norms), norms, 1.0)


def levenberg_step(J: Any, r: np.ndarray, row: np.ndarray, mu: float, free: np.ndarray | None = None) -> np.ndarray:
    """The step ``d`` that minimizes ``||(J d + r) / row||^2 + mu ||D d||^2``, ``D = column_norms(J, row)``.

    It exists whatever the rank of `J`, and tends to the shortest Newton step as `mu` goes to 0 (Levenberg
    1944, Marquardt 1963). No normal equations, whose condition number is the square: dense, the QR factors of
    the stacked matrix ``[A; sqrt(mu) I]``, ``A = J D^-1 / row``; sparse, LU of the augmented system
    ``[[I, -A], [A^T, mu I]] [v; e] = [r / row; 0]``, ``d = D^-1 e``.

    Unknowns outside the mask `free` stay where they are.

    >>> levenberg_step(np.ones((2, 2)), np.array([-2.0, -2.0]), np.ones(2), mu=1e-12).round(6)
    array([1., 1.])
    """
    n = r.size
    scale = 1.0 / column_norms(J, row)
    if free is not None:
        scale = np.where(free, scale, 0.0)
    rhs = np.concatenate([r / row, np.zeros(n)])
    if isinstance(J, np.ndarray):
        A = J * (scale / row[:, None])
        if not np.isfinite(A).all():
            return np.full(n, np.nan)
        Q, R = np.linalg.qr(np.vstack([A, np.sqrt(mu) * np.eye(n)]))
        return -scale * scipy.linalg.solve_triangular(R, Q.T @ rhs)
    A = sp.diags_array(1.0 / row) @ sp.csc_array(J) @ sp.diags_array(scale)
    if not np.isfinite(A.data).all():
        return np.full(n, np.nan)
    identity = sp.eye_array(n)
    K = sp.block_array([[identity, -A], [A.T, mu * identity]], format="csc")
    return scale * _solve(K, rhs)[n:]


def _solve(K: sp.csc_array, rhs: np.ndarray) -> np.ndarray:
    """Sparse solve; NaN where `K` is singular to working precision."""
    try:
        return sp.linalg.splu(K).solve(rhs)
    except RuntimeError:
        return np.full(rhs.size, np.nan)


def shifted_step(J: Any, shift: np.ndarray, r: np.ndarray) -> np.ndarray:
    """The step ``d`` with ``(J + diag(shift)) d = -r``; NaN where that matrix is singular.

    >>> shifted_step(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([1.0, 2.0]), np.array([-4.0, -6.0]))
    array([2., 3.])
    """
    if isinstance(J, np.ndarray):
        K = J + np.diag(shift)
        try:
            return np.linalg.solve(K, -r)
        except np.linalg.LinAlgError:
            return np.full(r.size, np.nan)
    return _solve(sp.csc_array(sp.csc_array(J) + sp.diags_array(shift)), -r)
