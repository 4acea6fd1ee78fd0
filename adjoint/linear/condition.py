"""How near to singular a matrix is, and which of its rows and columns are to blame."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from .base import Factorization, SingularMatrix, inverse_norm

__all__ = ["condition_estimate", "null_vectors"]

SVD_SIZE = 400  # rows up to which the singular vectors are computed in full
SHIFT = 1e-10  # of the diagonal, relative to the equilibrated matrix, so that a singular one has factors
STEPS = 4  # of inverse iteration


def condition_estimate(A: Any, factorization: Factorization) -> float:
    """``‖B‖₁ ‖B⁻¹‖₁`` of `A` after its rows and columns are scaled to a largest entry of 1: ``B = R A C``.

    The scaling takes away the units of a model, which alone can make ``1 / rcond`` huge. The norm of the
    inverse is Hager's and Higham's estimate (LAPACK's gecon), from about five solves with the factors of `A`.
    Infinite for a singular matrix.

    Examples
    --------
    Units do not count:

    >>> from adjoint.linear import make_solver
    >>> A = np.array([[1e-9, 0.0], [0.0, 1e9]])
    >>> factors = make_solver(2).factor(A)
    >>> factors.rcond(), condition_estimate(A, factors)
    (1e-18, 1.0)
    """
    if factorization.n == 0:
        return 1.0
    rows, cols = _equilibration(A)
    if not (rows.all() and cols.all()):
        return np.inf
    norm = float(_column_sums(_scaled(abs(A), rows, cols)).max())

    def solve(v: np.ndarray, transpose: bool) -> np.ndarray:
        first, last = (cols, rows) if transpose else (rows, cols)
        return factorization.solve(v / first, transpose) / last

    with np.errstate(all="ignore"):
        condition = norm * inverse_norm(solve, factorization.n, complex if A.dtype.kind == "c" else float)
    return condition if np.isfinite(condition) else np.inf


def null_vectors(A: Any, factorization: Factorization | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Approximate left and right null vectors of a singular or nearly singular matrix, of length 1.

    ``left @ A ≈ 0``: the combination of equations that cancels. ``A @ right ≈ 0``: the change of the
    variables that no equation sees. They are singular vectors of `A` with rows and columns scaled to a
    largest entry of 1, carried back: by the singular value decomposition up to 400 rows, by inverse iteration
    above.

    Parameters
    ----------
    A : ndarray or sparse matrix
    factorization : Factorization, optional
        Factors of `A`, where it has any, for the inverse iteration. Without them, `A` is factored with a
        diagonal changed by a relative 1e-10.

    Examples
    --------
    The second equation repeats the first:

    >>> left, right = null_vectors(np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 1.0]]))
    >>> np.abs(left / np.abs(left).max()), np.abs(right / np.abs(right).max())
    (array([1. , 0.5, 0. ]), array([1. , 0.5, 0. ]))
    """
    values = A.data if sparse.issparse(A) else A
    if not np.isfinite(values).all():
        raise SingularMatrix("the matrix has entries that are not finite")
    n = A.shape[0]
    rows, cols = _equilibration(A)
    rows, cols = np.where(rows == 0.0, 1.0, rows), np.where(cols == 0.0, 1.0, cols)
    if n <= SVD_SIZE:
        dense = A.toarray() if sparse.issparse(A) else np.asarray(A)
        U, _, Vh = np.linalg.svd(rows[:, None] * dense * cols)
        left, right = U[:, -1].conj(), Vh[-1].conj()
    else:
        left, right = _inverse_iteration(A, rows, cols, factorization)
    return _unit(rows * left), _unit(cols * right)


def _inverse_iteration(
    A: Any, rows: np.ndarray, cols: np.ndarray, factorization: Factorization | None
) -> tuple[np.ndarray, np.ndarray]:
    """Singular vectors of ``B = R A C`` for its smallest singular value: powers of ``(BᴴB)⁻¹``."""
    n = len(rows)
    if factorization is None:
        B = sparse.csc_array(_scaled(sparse.csc_array(A), rows, cols))
        shift = SHIFT * (1.0 + np.cos(np.arange(n)) / 2.0)
        try:
            lu = sparse.linalg.splu(sparse.csc_array(B + sparse.diags_array(shift)))
        except RuntimeError as error:
            raise SingularMatrix(f"SuperLU: {error}") from None

        def solve(v: np.ndarray, transpose: bool) -> np.ndarray:
            return lu.solve(v, "H" if transpose else "N")

    else:

        def solve(v: np.ndarray, transpose: bool) -> np.ndarray:
            if transpose:
                return np.conj(factorization.solve(np.conj(v) / cols, True)) / rows
            return factorization.solve(v / rows) / cols

    right = _unit(np.cos(np.arange(n)).astype(A.dtype))
    left = right
    for _ in range(STEPS):
        left = _unit(solve(right, True))
        right = _unit(solve(left, False))
    return left.conj(), right


def _equilibration(A: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scales of the rows, then of the columns, that make the largest entry of each 1; 0 for an empty one."""
    size = abs(A)
    rows = _inverse(_largest(size, axis=1))
    return rows, _inverse(_largest(_scaled(size, rows, np.ones(len(rows))), axis=0))


def _scaled(A: Any, rows: np.ndarray, cols: np.ndarray) -> Any:
    if sparse.issparse(A):
        return sparse.diags_array(rows) @ A @ sparse.diags_array(cols)
    return rows[:, None] * A * cols


def _largest(size: Any, axis: int) -> np.ndarray:
    m = size.max(axis=axis)
    return np.ravel(m.toarray() if sparse.issparse(m) else m)


def _column_sums(size: Any) -> np.ndarray:
    return np.ravel(size.sum(axis=0))


def _inverse(v: np.ndarray) -> np.ndarray:
    return np.where(v == 0.0, 0.0, 1.0 / np.where(v == 0.0, 1.0, v))


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v)
