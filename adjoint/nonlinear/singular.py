"""Does the derivative of the solution exist? A test at a solved system, before any multiplier is computed.

At a root of ``g(u, x) = 0`` the derivative ``du/dx = -J^-1 g_x`` exists if `J` is regular. Two things deny it.

**Rank.** `J` is singular to working precision: its reciprocal condition number is below 1e-14, both as it stands and
after natural scaling (rows by the natural magnitude of the equation, columns by the magnitude of the unknown), so
that neither the units of the model nor its ill-conditioning are mistaken for singularity.

**Fold.** The root is known only to within a residual ``rho``. The Jacobian there is meaningless if it changes by its
own size over the points that ``rho`` cannot tell apart: for ``d = J^-1 rho``,

    |r(u + d) - r(u) - J d| >= |J d| / 10       in some equation.

Newton's iterates for ``y^2 = 0`` have ``J = 2 y`` and ``d = y / 2``, and this ratio is 1/4 however small `y` is (for a
root of multiplicity `p` it is ``(1 + 1/p)^p - 2 >= 1/4``); a condition number would only see a small `J`, whose size
means nothing. ``rho`` is what the solve has reached, but not below the rounding error of the residual, which is
measured as Hamming's method of the scatter under perturbations of a few units in the last place does (Moré & Wild
2011, "Estimating computational noise", SIAM J. Sci. Comput. 33). Its signs are those that make `d` grow most.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, onenormest

from adjoint.linear.base import Factorization, SingularMatrix
from adjoint.nonlinear.base import FLOOR, ROUNDING, Outcome, System, nonzero, scaled_residual

__all__ = ["is_fold", "is_singular_at", "rounding_noise", "scaled_rcond"]

SINGULAR_RCOND = 1e-14
FOLD_RATIO = 0.1
SAFETY = 20.0  # rounding errors to allow for, in units of the scatter that was seen
SAMPLES = 6
ULPS = 8.0  # largest perturbation of the samples, in units of eps |u|


def is_singular_at(system: System, outcome: Outcome, tol: float = 1e-10) -> tuple[bool, str]:
    """Whether the Jacobian is singular at the end of a solve, and the reason in words ("" if it is not).

    A regular system costs two linear solves with the factors at hand, and one residual.
    """
    u, J, factor = outcome.u, outcome.jacobian, outcome.factor
    with np.errstate(all="ignore"):
        if factor is None:
            try:
                factor = system.factor(J)
            except SingularMatrix:
                return True, "the Jacobian is singular"
        rcond = factor.rcond()
        if rcond < SINGULAR_RCOND:
            rcond = max(rcond, scaled_rcond(factor, u, outcome.scale))
            if rcond < SINGULAR_RCOND:
                return True, f"the Jacobian is singular: its reciprocal condition number is {rcond:.1e}"
        return is_fold(system, u, outcome.residual, J, outcome.scale, tol, factor)


def scaled_rcond(factor: Factorization, u: np.ndarray, s: np.ndarray) -> float:
    """Reciprocal condition number of ``A = diag(1/s) J diag(max(|u|, FLOOR))`` in the maximum norm.

    The rows of ``|A|`` sum to 1, so it is ``1 / ||A^-1||``, estimated as the 1-norm of the transpose (Higham &
    Tisseur 2000, SIAM J. Matrix Anal. Appl. 21) with the factors of `J`.
    """
    magnitude = np.maximum(np.abs(u), FLOOR)

    def inverse_transposed(v: np.ndarray) -> np.ndarray:
        return s * factor.solve(v.ravel() / magnitude, transpose=True)

    def inverse(v: np.ndarray) -> np.ndarray:
        return factor.solve(v.ravel() * s) / magnitude

    operator = LinearOperator((u.size, u.size), inverse_transposed, inverse, dtype=float)
    norm = float(onenormest(operator))
    return 1.0 / norm if np.isfinite(norm) and norm > 0.0 else 0.0


def is_fold(
    system: System,
    u: np.ndarray,
    r: np.ndarray,
    J: Any,
    s: np.ndarray,
    tol: float = 1e-10,
    factor: Factorization | None = None,
) -> tuple[bool, str]:
    """Whether `u` is a root (to rounding) at which the Jacobian cannot be told from a singular one; and the reason.

    `factor`, if given, may belong to a point nearby.
    """
    try:
        factor = factor or system.factor(J)
        rho = tol * s
        if not _relative_change(system, u, r, J, rho, factor)[0] >= FOLD_RATIO:
            return False, ""
        # Something bends, or is noisy, within the tolerance: look again with the residual that was really reached.
        noise = SAFETY * rounding_noise(system, u, r, J)
        if (np.abs(r) > np.maximum(rho, noise)).any():
            return False, ""  # not a root
        reached = max(min(scaled_residual(r, s), tol), ROUNDING)
        ratio, d = _relative_change(system, u, r, J, np.maximum(reached * s, noise), factor)
    except SingularMatrix:
        return bool((np.abs(r) <= tol * s).all()), "the Jacobian is singular"
    if not ratio >= FOLD_RATIO:
        return False, ""
    worst = int(np.argmax(np.abs(d)))
    return True, (
        f"the solution is a fold (a multiple root): moving unknown {worst} by {abs(d[worst]):.1e} changes the Jacobian "
        "by its own size, but the residual by no more than its error"
    )


def _relative_change(
    system: System, u: np.ndarray, r: np.ndarray, J: Any, rho: np.ndarray, factor: Factorization
) -> tuple[float, np.ndarray]:
    """Largest ``|r(u + d) - r(u) - J d| / rho`` for ``d = J^-1 (+-rho)``, and `d`; the ratio is NaN if undefined."""
    rho = np.maximum(rho, np.finfo(float).tiny)
    d = _grown(factor, u, rho)
    rest = nonzero(rho)
    if not np.abs(np.abs(J @ d) - rho).max() <= 0.01 * rho.max():  # the factors belong to another point
        factor = system.factor(J)
        d = _grown(factor, u, rho)
    for step in (d, -d):
        change = system.residual(u + step) - r - J @ step
        ratio = float(np.max(np.abs(change) / rest))
        if ratio == ratio:
            break
    return ratio, d


def _grown(factor: Factorization, u: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """``J^-1 (+-rho)`` with the signs of the left null vector, which a transposed solve brings out."""
    magnitude = np.maximum(np.abs(u), FLOOR)
    probe = np.random.default_rng(0).uniform(0.5, 1.0, u.size) / magnitude
    signs = np.where(factor.solve(probe, transpose=True) < 0.0, -1.0, 1.0)
    return factor.solve(signs * rho)


def rounding_noise(system: System, u: np.ndarray, r: np.ndarray, J: Any) -> np.ndarray:
    """Rounding error of each residual: its scatter about the tangent under changes of a few units in the last place.

    >>> from types import SimpleNamespace
    >>> square = SimpleNamespace(residual=lambda u: (u - 1.0) ** 2 - 2.0 * (u - 1.0) + u)   # terms of size 1 cancel
    >>> u = np.array([2.0])
    >>> bool(1e-17 < rounding_noise(square, u, square.residual(u), np.array([[1.0]]))[0] < 1e-14)
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
