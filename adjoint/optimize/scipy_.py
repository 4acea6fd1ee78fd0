"""``scipy.optimize.minimize`` on the reduced problem: all its methods, with exact derivatives where they use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy

from ..errors import ModelError
from .base import Reduced, finish

__all__ = ["SCIPY_METHODS", "solve_with_scipy"]

NO_GRADIENT = {"nelder-mead", "powell", "cobyla", "cobyqa"}
HESSIAN = {"newton-cg", "dogleg", "trust-ncg", "trust-krylov", "trust-exact", "trust-constr"}
PRODUCTS = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}
BOUNDS = {"nelder-mead", "powell", "l-bfgs-b", "tnc", "slsqp", "trust-constr", "cobyla", "cobyqa"}
CONSTRAINTS = {"slsqp", "trust-constr", "cobyla", "cobyqa"}
MANY = 200  # variables from which Hessian–vector products are used rather than the Hessian

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


def solve_with_scipy(
    problem: Any,
    method: str,
    start: Any,
    options: Mapping[str, Any] | None,
    callback: Callable[..., Any] | None,
    tol: float | None,
) -> scipy.optimize.OptimizeResult:
    """Run one of SciPy's methods."""
    key = method.lower()
    reduced = Reduced(problem)
    bounded = bool(np.isfinite(reduced.lower).any() or np.isfinite(reduced.upper).any())
    if problem.constraints and key not in CONSTRAINTS:
        raise ModelError(f"method {method!r} takes no constraints; SLSQP, trust-constr, COBYLA and COBYQA do")
    if bounded and key not in BOUNDS:
        raise ModelError(
            f"method {method!r} takes no bounds; L-BFGS-B, TNC, SLSQP, trust-constr, Nelder-Mead, Powell, COBYLA and "
            "COBYQA do"
        )
    x0 = reduced.start(start)
    keywords: dict[str, Any] = {"method": method, "options": dict(options or {}), "tol": tol, "callback": callback}
    if key not in NO_GRADIENT:
        keywords["jac"] = reduced.gradient
    if key in HESSIAN:
        if key in PRODUCTS and x0.size > MANY:
            keywords["hessp"] = reduced.hessian_product
        else:
            keywords["hess"] = reduced.hessian
    if bounded:
        keywords["bounds"] = scipy.optimize.Bounds(reduced.lower, reduced.upper)
    if problem.constraints:
        keywords["constraints"] = [
            _constraint(reduced, label, key) for label in reduced.names if problem.constraints[label].expr.size
        ]
    reduced.value(x0)  # a start that does not solve is the user's to know
    return finish(reduced, scipy.optimize.minimize(reduced.value, x0, **keywords))


def _constraint(reduced: Reduced, label: str, key: str) -> Any:
    low, high = reduced.constraint_bounds(label)
    sparse = key == "trust-constr"

    def jacobian(x: np.ndarray) -> Any:
        matrix = reduced.constraint_jacobian(label, x)
        return matrix if sparse and x.size > MANY else matrix.toarray()

    keywords: dict[str, Any] = {} if key in NO_GRADIENT else {"jac": jacobian}
    if key == "trust-constr":
        keywords["hess"] = lambda x, v: reduced.constraint[label].hess(x, v)
    return scipy.optimize.NonlinearConstraint(lambda x: reduced.constraint_value(label, x), low, high, **keywords)
