"""Solutions with factors of a nearby matrix, refined until the residual is small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["norm", "refined"]

STEPS = 8
SHORT = 4000  # length of a vector for which BLAS starts no threads


def refined(A: Any, solve: Callable[[np.ndarray], np.ndarray], b: np.ndarray, accuracy: float) -> np.ndarray:
    """``A⁻¹ b`` by generalized conjugate residuals, with `solve` as preconditioner.

    The same iterates as flexible GMRES [1]_, whose steps each need a solve and a product: two mostly, where plain
    refinement may need ten, since few eigenvalues feel the difference of the matrices. It ends at a residual of
    `accuracy`, relative to `b`, or after some steps: look at the residual.

    References
    ----------
    .. [1] H. A. van der Vorst and C. Vuik, "GMRESR: a family of nested GMRES methods", Numer. Linear Algebra Appl.
           1(4), 1994, pp. 369-386 (algorithm 1).

    >>> A = np.array([[2.0, 1.0], [1.0, 0.0]])
    >>> refined(A, lambda r: np.linalg.solve(A + 1e-3 * np.eye(2), r), np.array([3.0, 1.0]), 1e-12).round(12).tolist()
    [1.0, 1.0]
    """
    x = solve(b)
    r = b - A @ x
    error, goal = norm(r), accuracy * norm(b)
    if error <= goal or not error < np.inf:
        return x
    known: list[tuple[np.ndarray, np.ndarray, float]] = []  # directions z, w = A z normal to the others, ‖w‖²
    for _ in range(STEPS):
        z = solve(r)
        w = A @ z
        for old_z, old_w, square in known:
            share = _dot(old_w, w) / square
            w -= share * old_w
            z -= share * old_z
        square = _dot(w, w)
        along = _dot(w, r)
        if not 0.0 < square < np.inf:
            break
        known.append((z, w, square))
        along /= square
        x += along * z
        r -= along * w
        if norm(r) <= goal:
            break
    return x


def norm(a: np.ndarray) -> float:
    """``‖a‖₂``."""
    return _dot(a, a) ** 0.5


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """By one thread: for longer vectors BLAS starts several, which may have to wait."""
    return float(a.dot(b) if a.size <= SHORT else np.einsum("i,i->", a, b))
