"""Is a root a fold: a point where the Jacobian cannot be told from a singular one?

The root is known only to within a residual ``rho``. The Jacobian there is meaningless if it changes by
its own size over the points that ``rho`` cannot tell apart: for ``d = J^-1 rho``, on both sides,

    |r(u +- d) - r(u) -+ J d| >= |J d| / 10       in some equation.

Newton's iterates for ``y^2 = 0`` have ``J = 2 y`` and ``d = y / 2``, and this ratio is 1/4 however small
`y` is (for a root of multiplicity `p` it is ``(1 + 1/p)^p - 2 >= 1/4``); a condition number would only
see a small `J`, whose size means nothing. At a kink, such as ``max(u, 0)`` at 0, the ratio is 0 on one
side: not a fold.

``rho`` is what the solve has reached, with the signs that make `d` grow most. But it is not less than the
rounding error of the residual, with a margin: a root so near a fold that a relative change of the terms of
an equation by about 1e-13 would remove it has no derivative to be trusted, either.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adjoint.nonlinear.base.rule import FLOOR, ROUNDING, scaled_residual
from adjoint.nonlinear.base.system import Factorization, SingularMatrix, System

__all__ = ["is_fold", "rounding_noise"]

FOLD_RATIO = 0.1
SAFETY = 400.0  # rounding errors to allow for, in units of their standard deviation
SAMPLES = 13
# Spacings of the samples, relative to the unknowns: far above the rounding of the unknowns. Two of them: on one that
# is close to a multiple of the last place of the terms, the errors of all samples are alike.
SPACINGS = (1e-6, 1.618034e-6)


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
        noise = SAFETY * rounding_noise(system, u)
        if (np.abs(r) > np.maximum(rho, noise)).any():
            return False, ""  # not a root
        reached = max(min(scaled_residual(r, s), tol), ROUNDING)
        ratio, d = _relative_change(system, u, r, J, np.maximum(reached * s, noise), factor)
    except SingularMatrix:
        return bool((np.abs(r) <= tol * s).all()), "the Jacobian is singular"
    if not ratio >= FOLD_RATIO:
        return False, ""
    return True, (
        f"the solution is a fold (a multiple root): an unknown can move by {np.max(np.abs(d)):.1e} within the "
        "error of the residual, and that changes the Jacobian by its own size"
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


def rounding_noise(system: System, u: np.ndarray) -> np.ndarray:
    """Standard deviation of the rounding error of each residual.

    Fourth differences of samples on a line remove what is smooth, and multiply the variance of what is not by
    70 (Hamming's difference table; Moré & Wild 2011, "Estimating computational noise", SIAM J. Sci. Comput. 33).

    >>> from types import SimpleNamespace
    >>> sums = SimpleNamespace(residual=lambda u: (1e3 + u) - 1e3)  # good to 1e-13 only
    >>> f"{rounding_noise(sums, np.ones(1))[0]:.0e}"
    '5e-14'
    """
    direction = np.maximum(np.abs(u), FLOOR) * np.cos(1.0 + np.arange(u.size))
    noise = np.zeros(u.size)
    for spacing in SPACINGS:
        offsets = spacing * (np.arange(SAMPLES) - SAMPLES // 2)
        samples = np.array([system.residual(u + t * direction) for t in offsets])
        noise = np.fmax(noise, np.sqrt(np.square(np.diff(samples, n=4, axis=0)).mean(axis=0) / 70.0))
    return np.where(np.isfinite(noise), noise, 0.0)
