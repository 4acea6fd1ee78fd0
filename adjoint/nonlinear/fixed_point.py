"""Nonlinear Gauss-Seidel: sweep the equations ``u_i = f_i(u)`` in order, each with the newest values.

Linear convergence, at the rate of the loop's gain, and no Jacobian before the last check. Ortega &
Rheinboldt 1970, *Iterative Solution of Nonlinear Equations in Several Variables*, section 7.4.
"""

from __future__ import annotations

import numpy as np

from adjoint.nonlinear.base import Options, Outcome, System, iterate_map, require_sweep

__all__ = ["solve_fixed_point"]


def solve_fixed_point(system: System, u0: np.ndarray, options: Options | None = None) -> Outcome:
    """Solve ``u = f(u)`` by Gauss-Seidel sweeps from `u0`.

    Raises ``UnsupportedError`` if some equation of the system is implicit.
    """
    require_sweep(system, u0, "fixed-point")

    def next_iterate(u: np.ndarray, image: np.ndarray) -> np.ndarray:
        return image

    with np.errstate(all="ignore"):
        return iterate_map(system, u0, options or Options(), "fixed-point", system.sweep, next_iterate)
