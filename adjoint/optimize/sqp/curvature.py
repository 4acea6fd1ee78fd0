"""The Hessian of the Lagrangian: exact, or by damped BFGS updates.

References
----------
.. [1] M. J. D. Powell, "A fast algorithm for nonlinearly constrained optimization calculations", in Numerical Analysis,
       Dundee 1977, pp. 144-157 (damping).
.. [2] J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd ed., 2006 (procedure 18.2; eq. 6.20: first scale).
"""

from __future__ import annotations

import numpy as np

from ..scaled import Point, ScaledProgram
from .convex import convexified

__all__ = ["Curvature", "dense_hessian"]

BENT, TINY = 1e-2, 1e-30  # share of the gradient that a flat direction's curvature may balance; its least
DAMPED = 0.2  # least curvature of a pair, relative to that of the approximation


def dense_hessian(program: ScaledProgram, x: np.ndarray, y: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """``sigma ∇²f + Σ yᵢ ∇²cᵢ`` as a matrix."""
    assert program.hessian_pattern is not None
    n, (rows, cols) = program.n, program.hessian_pattern
    H = np.bincount(rows * n + cols, program.hessian(x, y, sigma), n * n).reshape(n, n)
    return H + np.tril(H, -1).T


class Curvature:
    """Positive definite matrices for the subproblems."""

    def __init__(self, program: ScaledProgram, exact: bool) -> None:
        self.program, self.exact = program, exact and program.hessian_pattern is not None
        self._B = np.eye(program.n)
        self._pairs = 0

    def matrix(self, p: Point, y: np.ndarray, active: np.ndarray, radius: float, turned: bool) -> np.ndarray:
        """The matrix for steps up to a radius, where the rows `active` hold with equality."""
        if not self.exact:
            return self._B
        # in units of the variables, in which the trust region is a cube: eigenvalues depend on them
        size = np.maximum(1.0, np.abs(p.x))
        flat = BENT * float(np.abs(size * p.g).max(initial=0.0)) / radius
        H = dense_hessian(self.program, p.x, y) * size * size[:, None]
        return convexified(H, active * size, max(flat, TINY), turned) / size / size[:, None]

    def update(self, old: Point, new: Point, y: np.ndarray) -> None:
        """Learn from a step."""
        if self.exact:
            return
        s = new.x - old.x
        dot = self.program.transpose_dot
        change = new.g + dot(new.J, y) - old.g - dot(old.J, y)
        ss = float(s @ s)
        if not ss > 0.0:
            return
        if not self._pairs and s @ change > 0.0:
            self._B = np.eye(len(s)) * float(np.clip((change @ change) / (s @ change), 1e-4, 1e4))
        Bs = self._B @ s
        sBs, curvature = float(s @ Bs), float(s @ change)
        if curvature < DAMPED * sBs:
            share = (1.0 - DAMPED) * sBs / (sBs - curvature)
            change = share * change + (1.0 - share) * Bs
            curvature = float(s @ change)
        if curvature <= 1e-14 * ss:
            return
        self._B = self._B + np.outer(change, change) / curvature - np.outer(Bs, Bs) / sBs
        self._pairs += 1
        values, vectors = np.linalg.eigh(self._B)
        if values[0] <= 1e-10 * values[-1]:  # rounding
            self._B = (vectors * np.maximum(values, 1e-8 * values[-1])) @ vectors.T
