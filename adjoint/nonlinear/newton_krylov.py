"""Inexact Newton: the linear systems solved by GMRES from Jacobian-vector products, only as well as it pays.

The step satisfies ``||r + J d|| <= eta_k ||r||``. The forcing term follows the progress of the residual,

    eta_k = gamma (||r_k|| / ||r_{k-1}||)^alpha,     gamma = 0.9, alpha = (1 + sqrt 5) / 2,

with the safeguard of Eisenstat & Walker 1996, "Choosing the forcing terms in an inexact Newton method",
SIAM J. Sci. Comput. 17, choice 2 and section 2.1; and the step is shortened by their algorithm INB (1994,
SIAM J. Optim. 4).

No matrix is needed: a system may have ``linearize = None``. Its natural magnitudes are then bounded from
below by products with random directions ``|v_j| <= max(|u_j|, 1e-6)``, for ``|J v|_i <= s_i``: the rule
so applied is the stricter.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import Any

import numpy as np
from scipy import sparse

from adjoint.errors import Status
from adjoint.nonlinear.base import (
    FLOOR,
    Options,
    Outcome,
    System,
    natural_scale,
    nonzero,
    project,
    scaled_residual,
    weighted_norm,
)

__all__ = ["solve_newton_krylov"]

GAMMA, ALPHA = 0.9, 0.5 * (1.0 + sqrt(5.0))
FIRST, LARGEST, SMALLEST = 0.5, 0.9, 1e-10  # eta of the first step; bounds of the others
SAFEGUARD = 0.1  # eta does not fall faster than gamma eta^alpha while that is above this
RESTART, CYCLES = 60, 10  # of GMRES
SUFFICIENT = 1e-4
SHORTEST = 1e-8
PROBES = 6
WORST_CONDITION = 1e11  # of the scaled Jacobian: above it, no step that GMRES finds has a digit
SMALL = 1e-3  # magnitude of the smallest unknowns, relative to the largest, in the scaling of GMRES


def solve_newton_krylov(system: System, u0: np.ndarray, options: Options | None = None) -> Outcome:
    """Solve ``g(u) = 0`` by Newton's method with GMRES from `u0`."""
    with np.errstate(all="ignore"):
        return _iterate(system, u0, options or Options())


def _iterate(system: System, u0: np.ndarray, options: Options) -> Outcome:
    u = project(system, np.array(u0, dtype=float).ravel())
    r, J, s = _scaled(system, u)
    worst = scaled_residual(r, s)
    history = [worst]
    status = Status.ITERATION_LIMIT if worst < inf else Status.NON_FINITE
    iterations, eta = 0, FIRST
    while worst > options.tol and iterations < options.max_iterations and worst < inf:
        iterations += 1
        row = nonzero(s)
        found = _inexact_step(system, u, r, row, eta)
        if isinstance(found, Status):
            status = found
            break
        u, r1 = found
        eta = _forcing(eta, weighted_norm(r1, row) / weighted_norm(r, row))
        r, J, s = _scaled(system, u)
        worst = scaled_residual(r, s)
        history.append(worst)
    if worst <= options.tol:
        status = Status.SOLVED
    return Outcome(u, r, J, None, s, worst, iterations, status, history, "newton-krylov")


def _scaled(system: System, u: np.ndarray) -> tuple[np.ndarray, Any, np.ndarray]:
    """The residual, the Jacobian if there is one, and the natural magnitudes or lower bounds of them."""
    if system.linearize is not None:
        r, J = system.linearize(u)
        return r, J, natural_scale(J, u)
    rng = np.random.default_rng(0)
    magnitude = np.maximum(np.abs(u), FLOOR)
    s = np.zeros(u.size)
    for _ in range(PROBES):
        s = np.maximum(s, np.abs(system.jvp(u, magnitude * rng.uniform(-1.0, 1.0, u.size))))
    return system.residual(u), None, s


def _forcing(eta: float, ratio: float) -> float:
    """The next forcing term, from the last one and the ratio of the residual norms."""
    safeguard = GAMMA * eta**ALPHA
    eta = GAMMA * ratio**ALPHA
    if safeguard > SAFEGUARD:
        eta = max(eta, safeguard)
    return min(max(eta, SMALLEST), LARGEST)


def _inexact_step(
    system: System, u: np.ndarray, r: np.ndarray, row: np.ndarray, eta: float
) -> tuple[np.ndarray, np.ndarray] | Status:
    """A point with a smaller residual along a step found to the accuracy `eta`, and its residual; or why not."""
    # Scaled both ways: the equations by their magnitudes, the unknowns by theirs.
    column = np.abs(u)
    column = np.maximum(column, SMALL * column.max(initial=0.0))
    column[column == 0.0] = 1.0
    n = u.size
    operator = sparse.linalg.LinearOperator((n, n), lambda v: system.jvp(u, column * v.ravel()) / row, dtype=float)
    e, _ = sparse.linalg.gmres(operator, -r / row, rtol=eta, atol=0.0, restart=min(RESTART, n), maxiter=CYCLES)
    d = column * e
    if not np.isfinite(d).all() or not d.any():
        return Status.STALLED
    # Contradictory equations send the unknowns to infinity: |A v|/|v| |e|/|b| is a lower bound of the condition number.
    probe = operator.matvec(np.where(np.arange(n) % 2, -1.0, 1.0))
    if np.abs(probe).max() * np.abs(e).max() > WORST_CONDITION * np.abs(r / row).max():
        return Status.SINGULAR
    norm = weighted_norm(r, row)
    # What GMRES has reached, which may be less than was asked.
    eta = min(max(eta, weighted_norm(r + system.jvp(u, d), row) / norm), 1.0)
    length = 1.0
    while length >= SHORTEST:
        u1 = project(system, u + length * d)
        r1 = system.residual(u1)
        bound = (1.0 - SUFFICIENT * length * (1.0 - eta)) * norm
        if weighted_norm(r1, row) <= bound and not np.array_equal(u1, u):
            return u1, r1
        length *= 0.5
    return Status.STALLED
