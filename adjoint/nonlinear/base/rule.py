"""The one rule that says when a system is solved.

Equation ``i`` is satisfied when ``|r_i| <= tol * s_i``, with its *natural magnitude*

    s_i = sum_j |J_ij| max(|u_j|, 1e-6).

``s_i`` is the size of the terms that cancel in the equation at its root (exactly so for a sum of powers,
to first order for anything else). The rule does not change when an equation or an unknown is multiplied
by a constant, so neither needs a nominal value; and it can be met in floating-point arithmetic, since the
rounding error of an equation is about ``eps`` times the sum of its terms. The floor 1e-6 stands for
unknowns that are zero: below it, their accuracy is absolute.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from adjoint.linear.base import with_data
from adjoint.nonlinear.base.system import System

__all__ = ["FLOOR", "ROUNDING", "evaluate", "natural_scale", "nonzero", "project", "scaled_residual"]

FLOOR = 1e-6  # magnitude given to an unknown that is smaller: it may be zero
ROUNDING = 4 * np.finfo(float).eps  # a scaled residual that no method can be asked to improve
FAR = 1e300  # scaled residual of an equation that has lost its derivatives and is not satisfied


def natural_scale(J: Any, u: np.ndarray) -> np.ndarray:
    """Natural magnitude of each equation, ``s_i = sum_j |J_ij| max(|u_j|, FLOOR)``.

    >>> natural_scale(np.array([[3.0, -1.0], [0.0, 1.0]]), np.array([2.0, 0.0]))
    array([6.000001e+00, 1.000000e-06])
    """
    magnitude = np.maximum(np.abs(u), FLOOR)
    if isinstance(J, np.ndarray):
        return np.abs(J) @ magnitude
    return with_data(J, np.abs(J.data)) @ magnitude


def scaled_residual(r: np.ndarray, s: np.ndarray) -> float:
    """Largest ``|r_i| / s_i``: the system is solved when it is at most ``tol``.

    Infinite if, and only if, a residual or a derivative is NaN or infinite. An equation without derivatives
    counts as satisfied where it is so exactly, and as far from it where it is not (NumPy may warn of ``0 / 0``).

    >>> scaled_residual(np.array([0.0, 1e-12]), np.array([1.0, 2.0]))
    5e-13
    >>> scaled_residual(np.array([0.0]), np.array([np.inf]))  # an infinite derivative verifies nothing
    inf
    """
    worst = np.maximum.reduce(np.abs(r) / s, initial=0.0)
    if worst < inf and np.add.reduce(s) < inf:
        return float(worst)
    if not (np.isfinite(r).all() and np.isfinite(s).all()):
        return inf
    ratio = np.where(r == 0.0, 0.0, np.abs(r) / s)
    return float(min(np.maximum.reduce(ratio, initial=0.0), FAR))


def nonzero(s: np.ndarray) -> np.ndarray:
    """Natural magnitudes to divide by: 1 where an equation has no finite derivative, or has lost all."""
    return np.where((s > 0.0) & (s < inf), s, 1.0)


def project(system: System, u: np.ndarray) -> np.ndarray:
    """The nearest point within the bounds."""
    if system.lower is not None:
        u = np.maximum(u, system.lower)
    if system.upper is not None:
        u = np.minimum(u, system.upper)
    return u


def evaluate(system: System, u: np.ndarray) -> tuple[np.ndarray, Any, np.ndarray, float]:
    """Residual, Jacobian, natural magnitudes and scaled residual at `u`, in one compiled call."""
    r, J = system.linearize(u)
    s = natural_scale(J, u)
    return r, J, s, scaled_residual(r, s)
