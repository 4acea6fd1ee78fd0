"""Is a Jacobian singular to working precision, whatever the units of its equations and unknowns?"""

from __future__ import annotations

import numpy as np

from adjoint.linear.base import inverse_norm
from adjoint.nonlinear.base.rule import FLOOR
from adjoint.nonlinear.base.system import Factorization

__all__ = ["SINGULAR_RCOND", "best_rcond"]

SINGULAR_RCOND = 1e-14  # reciprocal condition number below which a matrix is singular to working precision


def best_rcond(factor: Factorization, u: np.ndarray, s: np.ndarray) -> float:
    """Reciprocal condition number of `J`, or, if that is below the threshold, of `J` naturally scaled.

    The scaled matrix is ``A = diag(1/s) J diag(max(|u|, FLOOR))``. The rows of ``|A|`` sum to 1, so that its
    reciprocal condition number in the maximum norm is ``1 / ||A^-1||``: the 1-norm of the transpose, estimated with
    the factors of `J`.
    """
    rcond = factor.rcond()
    if rcond >= SINGULAR_RCOND:
        return rcond
    magnitude = np.maximum(np.abs(u), FLOOR)

    def solve(v: np.ndarray, transpose: bool) -> np.ndarray:
        """With the transpose of `A`, or, transposed, with `A`."""
        if transpose:
            return factor.solve(v * s) / magnitude
        return s * factor.solve(v / magnitude, transpose=True)

    norm = inverse_norm(solve, u.size)
    return max(rcond, 1.0 / norm) if 0.0 < norm < np.inf else rcond
