"""The methods by name, and the chain of them for a block about which nothing is known.

The first method that solves the block, verified, ends the chain.

A small block that Newton's full steps solve at once is left to them (``direct``). Otherwise Newton's method with a
line search comes first, since it solves most blocks in a few iterations. The others help where it fails, each in its
own way: the natural monotonicity test is not misled by a badly scaled residual, the trust region uses the gradient
where the Newton direction is poor, pseudo-time may
climb over a hill of the residual, and the homotopy passes the turning points at which all of these get
stuck. One equation in one unknown is bracketed as soon as Newton's method fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from adjoint.errors import Status
from adjoint.nonlinear.aitken import solve_aitken
from adjoint.nonlinear.anderson import solve_anderson
from adjoint.nonlinear.base import Attempt, Options, Outcome, Parts, System
from adjoint.nonlinear.bracketing import solve_bracketing
from adjoint.nonlinear.broyden import solve_broyden
from adjoint.nonlinear.direct import LARGEST, solve_direct
from adjoint.nonlinear.fixed_point import solve_fixed_point
from adjoint.nonlinear.homotopy import solve_homotopy
from adjoint.nonlinear.newton import solve_newton
from adjoint.nonlinear.newton_krylov import solve_newton_krylov
from adjoint.nonlinear.newton_natural import solve_newton_natural
from adjoint.nonlinear.pseudo_transient import solve_pseudo_transient
from adjoint.nonlinear.trust_region import solve_trust_region

__all__ = ["METHODS", "Method", "solve_auto"]

Method = Callable[[System, np.ndarray, Options | None], Outcome]

METHODS: dict[str, Method] = {
    "newton": solve_newton,
    "newton-natural": solve_newton_natural,
    "trust-region": solve_trust_region,
    "pseudo-transient": solve_pseudo_transient,
    "homotopy": solve_homotopy,
    "bracketing": solve_bracketing,
    "fixed-point": solve_fixed_point,
    "aitken": solve_aitken,
    "anderson": solve_anderson,
    "broyden": solve_broyden,
    "newton-krylov": solve_newton_krylov,
}
# The methods in order, each with its share of max_iterations.
CHAIN = {"newton": 1.0, "newton-natural": 0.5, "trust-region": 0.5, "pseudo-transient": 0.5, "homotopy": 1.0}
SCALAR_CHAIN = {"newton": 1.0, "bracketing": 1.0, **CHAIN}


def solve_auto(system: System, u0: np.ndarray, options: Options | None = None) -> Outcome:
    """Solve ``g(u) = 0`` by the first method of the chain that can, each from `u0`.

    ``max_iterations`` limits each method; those in the middle of the chain have half of it. If all fail, the
    outcome is that of the smallest scaled residual, with the status of the first method. ``attempts`` lists
    all that were made.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from adjoint.linear import make_solver
    >>> def linearize(u):
    ...     return u * u - 2.0, np.diag(2.0 * u)
    >>> system = SimpleNamespace(
    ...     name="square root",
    ...     size=1,
    ...     lower=None,
    ...     upper=None,
    ...     components=None,
    ...     residual=lambda u: u * u - 2.0,
    ...     linearize=linearize,
    ...     factor=make_solver(1).factor,
    ... )
    >>> outcome = solve_auto(system, np.array([1.0]))
    >>> outcome.u, outcome.status.name, outcome.method
    (array([1.41421356]), 'SOLVED', 'newton')
    """
    options = options or Options()
    start = np.array(u0, dtype=float).ravel()
    attempts: list[Attempt] = []
    best: Outcome | None = None
    if system.size <= LARGEST and system.components is None and system.lower is None and system.upper is None:
        with np.errstate(all="ignore"):
            quick = solve_direct(system, start, options)
        if quick is not None:
            return quick
    for name, share in (SCALAR_CHAIN if system.size == 1 else CHAIN).items():
        limit = max(1, round(share * options.max_iterations))
        budget = options if share == 1.0 else replace(options, max_iterations=limit)
        outcome = METHODS[name](system, start, budget)
        attempts.append(Attempt(name, outcome.status, outcome.scaled, outcome.iterations))
        if best is None or outcome.success or outcome.scaled < best.scaled:
            best = outcome
        if outcome.success or outcome.status is Status.NON_FINITE:
            break
        if name == "newton":
            start = _unsolved_part(system, start, outcome, options)
    assert best is not None
    status = best.status if best.success else attempts[0].status
    return replace(best, status=status, attempts=tuple(attempts))


def _unsolved_part(system: System, start: np.ndarray, outcome: Outcome, options: Options) -> np.ndarray:
    """The guess for the components that are still unsolved, the solution for the others."""
    parts = Parts(system)
    if parts.label is None:
        return start
    parts.mark_done(outcome.residual, outcome.scale, options.tol)
    return np.where(parts.done[parts.label], outcome.u, start)


METHODS["auto"] = solve_auto
