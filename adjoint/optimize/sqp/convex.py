"""Hessians made convex without changing the step on the active rows.

A quadratic program with ``H + ρ YYᵀ``, the columns of ``Y`` an orthonormal basis of the gradients of rows that hold
with equality, has the solution of the one with ``H``: along ``Y`` the step is fixed. Where ``H`` is positive definite
in the null space ``Z`` of those gradients, a large enough ``ρ`` makes it convex, and Newton's step stays what it is;
negative curvature in the null space is turned over, or cut off.

References
----------
.. [1] R. Verschueren, M. Zanon, R. Quirynen and M. Diehl, "A sparsity preserving convexification procedure for
       indefinite quadratic programs arising in direct optimal control", SIAM J. Optim. 27, 2017, pp. 2085-2109 (theorem
       4).
.. [2] P. E. Gill, W. Murray and M. H. Wright, "Practical Optimization", 1981, section 4.4.2 (modified spectra).
"""

from __future__ import annotations

import numpy as np

__all__ = ["convexified", "null_space"]

DEFINITE = 1e-8  # smallest eigenvalue that is left, relative to the largest
LARGEST = 1e6  # bound of ρ, relative to the Hessian
RANK = 1e-10  # singular values of the gradients that count as zero, relative to the largest


def convexified(H: np.ndarray, active: np.ndarray, flat: float = np.inf, turned: bool = True) -> np.ndarray:
    """A positive definite matrix with the step of ``H`` on the null space of the rows `active`.

    Eigenvalues that are too small become ``flat``, if that is smaller: what does not bend a step of the length allowed.
    Negative curvature is `turned` over, or cut off, so that only the trust region bounds the step.

    >>> H = np.diag([-1.0, 2.0])
    >>> convexified(H, np.array([[1.0, 0.0]])).round(8).tolist()[1]
    [0.0, 2.0]
    """
    size = max(1e-4, float(np.abs(H).max(initial=0.0)))
    least = min(DEFINITE * size, flat)
    values, vectors = np.linalg.eigh(H)
    if not len(values) or values[0] >= least:
        return H
    if len(active):
        H = _on_null_space(H, active, least, size, turned)
        values, vectors = np.linalg.eigh(H)
        if values[0] >= least:
            return H
    return (vectors * np.maximum(np.abs(values) if turned else values, least)) @ vectors.T


def null_space(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal bases of the range of the transpose, and of the null space, of a matrix of rows.

    >>> Y, Z = null_space(np.array([[0.0, 2.0], [0.0, 3.0]]))
    >>> abs(Y).tolist(), abs(Z).tolist()
    ([[0.0], [1.0]], [[1.0], [0.0]])
    """
    norms = np.linalg.norm(rows, axis=1)
    _, singular, right = np.linalg.svd(rows[norms > 0.0] / norms[norms > 0.0, None], full_matrices=True)
    rank = int(np.sum(singular > RANK * max(singular.max(initial=0.0), 1e-300)))
    return right[:rank].T, right[rank:].T


def _on_null_space(H: np.ndarray, active: np.ndarray, least: float, size: float, turned: bool) -> np.ndarray:
    Y, Z = null_space(active)
    rank = Y.shape[1]
    ZHZ = Z.T @ H @ Z
    values, vectors = np.linalg.eigh(ZHZ)
    modified = np.maximum(np.abs(values) if turned else values, least)
    H = H + (Z @ vectors) @ np.diag(modified - values) @ (Z @ vectors).T
    # YᵀHY + ρ − (YᵀHZ)(ZᵀHZ)⁻¹(ZᵀHY) must be positive definite
    cross = (Y.T @ H @ Z) @ vectors
    schur = Y.T @ H @ Y - (cross / modified) @ cross.T
    if not rank:
        return H
    lowest = float(np.linalg.eigvalsh(schur)[0])
    rho = min(max(0.0, size - lowest), LARGEST * size)
    return H + rho * (Y @ Y.T)
