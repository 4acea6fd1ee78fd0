"""Gauss-Seidel with Aitken's dynamic relaxation: one factor for the whole sweep, learnt from the last two.

With ``f_k = G(u_k) - u_k``: ``u_{k+1} = u_k + omega_k f_k``,

    omega_k = -omega_{k-1} f_{k-1} . (f_k - f_{k-1}) / ||f_k - f_{k-1}||^2,

the secant method along the last change, exact for one unknown. Irons & Tuck 1969, "A version of the
Aitken accelerator for computer iteration", Int. J. Numer. Meth. Eng. 1; Küttler & Wall 2008, Comput.
Mech. 43.
"""

from __future__ import annotations

import numpy as np

from adjoint.nonlinear.base import FLOOR, Options, Outcome, System, iterate_map, require_sweep

__all__ = ["solve_aitken"]

FIRST = 1.0  # omega of the first sweep
LARGEST = 10.0  # bound of |omega|: two changes that are nearly equal say little about the secant


def solve_aitken(system: System, u0: np.ndarray, options: Options | None = None) -> Outcome:
    """Solve ``u = f(u)`` by relaxed Gauss-Seidel sweeps from `u0`.

    Raises ``UnsupportedError`` if some equation of the system is implicit.
    """
    require_sweep(system, u0, "aitken")
    omega, last = FIRST, None

    def next_iterate(u: np.ndarray, image: np.ndarray) -> np.ndarray:
        nonlocal omega, last
        change = image - u
        if last is not None:
            # Unknowns of different size count by their relative change.
            difference = (change - last) / np.maximum(np.abs(image), FLOOR)
            square = difference @ difference
            if square > 0.0:
                omega *= -float((last / np.maximum(np.abs(image), FLOOR)) @ difference) / square
                omega = float(np.clip(omega, -LARGEST, LARGEST))
        last = change
        return u + omega * change

    with np.errstate(all="ignore"):
        return iterate_map(system, u0, options or Options(), "aitken", system.sweep, next_iterate)
