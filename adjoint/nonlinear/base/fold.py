"""Is a root a fold: a point where the Jacobian cannot be told from a singular one?

The root is known only to within a residual ``rho``. The Jacobian there is meaningless if it changes by
its own size over the points that ``rho`` cannot tell apart: for ``d = J^-1 rho``, on both sides,

    |r(u +- d) - r(u) -+ J d| >= |J d| / 10       in some equation.

Newton's iterates for ``y^2 = 0`` have ``J = 2 y`` and ``d = y / 2``, and this ratio is 1/4 however small
`y` is (for a root of multiplicity `p` it is ``(1 + 1/p)^p - 2 >= 1/4``); a condition number would only
see a small `J`, whose size means nothing. At a kink, such as ``max(u, 0)`` at 0, the ratio is 0 on one
side: not a fold.

``rho`` is what the solve has reached, but not less than the rounding error of the residual, which is
measured: the scatter under changes of a few units in the last place (in the spirit of Moré & Wild 2011,
"Estimating computational noise", SIAM J. Sci. Comput. 33). Its signs are those that make `d` grow most.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adjoint.nonlinear.base.rule import FLOOR, ROUNDING, scaled_residual
from adjoint.nonlinear.base.system import Factorization, SingularMatrix, System

__all__ = ["is_fold", "rounding_noise"]

FOLD_RATIO = 0.1
SAFETY = 20.0  # rounding errors to allow for, in units of the scatter that was seen
SAMPLES = 6
ULPS = 8.0  # largest perturbation of the samples, in units of eps |u|


def is_fold(
    system: System,
    u: np.ndarray,
    r: np.ndarray,
    J: Any,
    s: np.ndarray,
    tol: float = 1e-10,
    factor: Factorization | None = None,
) -> tuple[bool, str]:
    """Whether `u` is a root, to rounding, at which `J` cannot be told from a singular matrix; and the reason.

    `factor`, if given, may belong to a point nearby.
    """
    try:
        factor = factor or system.factor(J)
        rho = tol * s
        if not _relative_change(system, u, r, J, rho, factor)[0] >= FOLD_RATIO:
            return False, ""
        # Something bends, or is noisy, within the tolerance: look again with the residual really reached.
        noise = SAFETY * rounding_noise(system, u, r, J)
        if (np.abs(r) > np.maximum(rho, noise)).any():
            return False, ""  # not a root
        reached = max(min(scaled_residual(r, s), tol), ROUNDING)
        ratio, d = _relative_change(system, u, r, J, np.maximum(reached * s, noise), factor)
    except SingularMatrix:
        return bool((np.abs(r) <= tol * s).all()), "the Jacobian is singular"
    if not ratio >= FOLD_RATIO:
        return False, ""
    return True, (
        f"the solution is a fold (a multiple root): an unknown can move by {np.max(np.abs(d)):.1e} within the error "
        "of the residual, and that changes the Jacobian by its own size"
    )


def _relative_change(
    system: System, u: np.ndarray, r: np.ndarray, J: Any, rho: np.ndarray, factor: Factorization
) -> tuple[float, np.ndarray]:
    """``d = J^-1 (+-rho)`` and the largest ``|r(u +- d) - r(u) -+ J d| / rho``, of the better side."""
    rho = np.maximum(rho, np.finfo(float).tiny)
    d = _grown(factor, u, rho)
    if not (np.abs(np.abs(J @ d) - rho) <= 0.01 * rho).all():  # the factors belong to another point
        d = _grown(system.factor(J), u, rho)
    ratio = np.inf
    for step in (d, -d):
        change = system.residual(u + step) - r - J @ step
        ratio = np.fmin(ratio, np.max(np.abs(change) / rho))  # the other side counts where one is NaN
        if ratio < FOLD_RATIO:
            break
    return float(ratio) if ratio < np.inf else 0.0, d


def _grown(factor: Factorization, u: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """``J^-1 (+-rho)`` with the signs of the left null vector, which a transposed solve brings out."""
    magnitude = np.maximum(np.abs(u), FLOOR)
    probe = (0.75 + 0.25 * np.cos(np.arange(u.size))) / magnitude  # orthogonal to no structure
    signs = np.where(factor.solve(probe, transpose=True) < 0.0, -1.0, 1.0)
    return factor.solve(signs * rho)


def rounding_noise(system: System, u: np.ndarray, r: np.ndarray, J: Any) -> np.ndarray:
    """Rounding error of each residual: its scatter about the tangent under changes of a few ulps.

    >>> from types import SimpleNamespace
    >>> sums = SimpleNamespace(residual=lambda u: (1e3 + u) - 1e3)  # good to 1e-13 only
    >>> noise = rounding_noise(sums, np.ones(1), np.ones(1), np.eye(1))
    >>> bool(1e-15 < noise[0] < 1e-12)
    True
    """
    rng = np.random.default_rng(0)
    size = np.finfo(float).eps * np.maximum(np.abs(u), FLOOR)
    noise = np.zeros(u.size)
    for _ in range(SAMPLES):
        v = u + rng.uniform(-ULPS, ULPS, u.size) * size
        scatter = np.abs(system.residual(v) - r - J @ (v - u))
        noise = np.fmax(noise, np.where(np.isfinite(scatter), scatter, 0.0))
    return noise
