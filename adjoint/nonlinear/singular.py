"""Does the derivative of the solution exist? A test at a solved system, before any multiplier is computed.

At a root of ``g(u, x) = 0`` the derivative ``du/dx = -J^-1 g_x`` exists if `J` is regular. It is denied
by

* **rank**: `J` is singular to working precision. Its reciprocal condition number is below 1e-14, both as it
  stands and after natural scaling (rows by the natural magnitude of the equation, columns by the magnitude of
  the unknown), so that neither the units of a model nor plain ill-conditioning are mistaken for singularity;
* **a fold**: `J` is regular at the point that was found, but changes by its own size over the points that the
  residual cannot tell from it (``base/fold.py``). Superlinear convergence shows that it is none.
"""

from __future__ import annotations

import numpy as np

from adjoint.nonlinear.base import SINGULAR_RCOND, Outcome, SingularMatrix, System, best_rcond, is_fold

__all__ = ["is_singular_at"]


def is_singular_at(system: System, outcome: Outcome, tol: float = 1e-10) -> tuple[bool, str]:
    """Whether the Jacobian is singular at the end of a solve, and the reason in words ("" if it is not).

    A regular system costs two linear solves with the factors at hand, their condition number, and one residual. A
    matrix-free system (``jacobian`` is None) cannot be tested.
    """
    u, J, factor = outcome.u, outcome.jacobian, outcome.factor
    if J is None:
        return False, ""
    with np.errstate(all="ignore"):
        if factor is None:
            try:
                factor = system.factor(J)
            except SingularMatrix:
                return True, "the Jacobian is singular"
        rcond = best_rcond(factor, u, outcome.scale)
        if not rcond >= SINGULAR_RCOND:
            return True, f"the Jacobian is singular: its reciprocal condition number is {rcond:.1e}"
        if outcome.simple:
            return False, ""
        return is_fold(system, u, outcome.residual, J, outcome.scale, tol, factor)
