"""Optimizers: one file or folder and one row in the registry each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ModelError, closest
from .task import Method, Task

__all__ = ["OPTIMIZERS", "SCIPY_METHODS", "Method", "Task", "solve_problem"]

SCIPY_METHODS = (
    "Nelder-Mead",
    "Powell",
    "CG",
    "BFGS",
    "Newton-CG",
    "L-BFGS-B",
    "TNC",
    "COBYLA",
    "COBYQA",
    "SLSQP",
    "trust-constr",
    "dogleg",
    "trust-ncg",
    "trust-krylov",
    "trust-exact",
)

OPTIMIZERS: dict[str, Method] = {
    **dict.fromkeys(SCIPY_METHODS, Method("scipy_:solve_with_scipy")),
    "adam": Method("first_order:solve_by_adam"),
    "admm": Method("splitting:solve_by_admm", full_space=True),
    "augmented-lagrangian": Method("augmented_lagrangian:solve_by_augmented_lagrangian", full_space=True),
    "bdmm": Method("saddle:solve_by_bdmm", full_space=True),
    "block-coordinate": Method("saddle:solve_by_block_coordinates", full_space=True),
    "extragradient": Method("saddle:solve_by_extragradient", full_space=True),
    "gauss-newton": Method("least_squares:solve_by_gauss_newton"),
    "gradient-descent": Method("first_order:solve_by_gradient_descent"),
    "gradient-descent-ascent": Method("saddle:solve_by_descent_and_ascent", full_space=True),
    "interior-point": Method("interior_point:solve_by_interior_point", full_space=True),
    "ipopt": Method("ipopt_:solve_with_ipopt", full_space=True),
    "least-squares": Method("least_squares:solve_by_scipy_least_squares"),
    "levenberg-marquardt": Method("least_squares:solve_by_levenberg_marquardt"),
    "mac": Method("splitting:solve_by_mac", full_space=True),
    "mdmm": Method("saddle:solve_by_mdmm", full_space=True),
    "method-of-multipliers": Method("saddle:solve_by_multipliers", full_space=True),
    "momentum": Method("first_order:solve_by_momentum"),
    "natural-gradient": Method("natural_gradient:solve_by_natural_gradient"),
    "penalty": Method("saddle:solve_by_penalties", full_space=True),
    "pounce": Method("pounce_:solve_with_pounce", full_space=True),
    "rprop": Method("first_order:solve_by_rprop"),
    "sgd": Method("first_order:solve_by_sgd"),
    "sqp": Method("sqp:solve_by_sqp", full_space=True),
    "uno": Method("uno_:solve_with_uno", full_space=True),
}


def solve_problem(
    problem: Any,
    method: str,
    *,
    start: Any = None,
    options: Mapping[str, Any] | None = None,
    callback: Callable[..., Any] | None = None,
    formulation: str | Mapping[str, str] = "reduced",
    seed: int | None = None,
    tol: float | None = None,
    values: Mapping[str, Any] | None = None,
) -> Any:
    """Dispatch to the optimizer of a name (letter case does not matter)."""
    by_key = {name.lower(): name for name in OPTIMIZERS}
    if not isinstance(method, str) or method.lower() not in by_key:
        raise ModelError(closest(method, OPTIMIZERS, "optimization method"))
    name = by_key[method.lower()]
    if formulation != "reduced" and not OPTIMIZERS[name].full_space:
        raise ModelError(f"method {name!r} works in the reduced space: formulation='reduced', not {formulation!r}")
    task = Task(problem, name, start, dict(options or {}), callback, formulation, tol, seed, dict(values or {}))
    return OPTIMIZERS[name](task)
