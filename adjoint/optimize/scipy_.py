"""``scipy.optimize.minimize`` on the reduced problem: all its methods, with exact derivatives where they use them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from ..errors import ModelError
from .base import Reduced, finish
from .task import Task

__all__ = ["solve_with_scipy"]

NO_GRADIENT = {"nelder-mead", "powell", "cobyla", "cobyqa"}
HESSIAN = {"newton-cg", "dogleg", "trust-ncg", "trust-krylov", "trust-exact", "trust-constr"}
PRODUCTS = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}
BOUNDS = {"nelder-mead", "powell", "l-bfgs-b", "tnc", "slsqp", "trust-constr", "cobyla", "cobyqa"}
CONSTRAINTS = {"slsqp", "trust-constr", "cobyla", "cobyqa"}
PATIENCE = 5  # of L-BFGS-B: evaluations without a lower value, in limits of a line search
MANY = 200  # variables from which Hessian–vector products are used rather than the Hessian


def solve_with_scipy(task: Task) -> scipy.optimize.OptimizeResult:
    """Run one of SciPy's methods."""
    problem, method = task.problem, task.method
    key = method.lower()
    reduced = Reduced(problem, task.values)
    bounded = bool(np.isfinite(reduced.lower).any() or np.isfinite(reduced.upper).any())
    if problem.constraints and key not in CONSTRAINTS:
        raise ModelError(f"method {method!r} takes no constraints; SLSQP, trust-constr, COBYLA and COBYQA do")
    if bounded and key not in BOUNDS:
        raise ModelError(
            f"method {method!r} takes no bounds; L-BFGS-B, TNC, SLSQP, trust-constr, Nelder-Mead, Powell, COBYLA and "
            "COBYQA do"
        )
    x0 = reduced.start(task.start)
    keywords: dict[str, Any] = {"method": method, "options": dict(task.options), "tol": task.tol}
    keywords["callback"] = task.callback
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
        keywords["constraints"] = [c for label in reduced.names for c in _constraints(reduced, label, key)]
    reduced.value(x0)  # a start that does not solve is the user's to know
    if key == "l-bfgs-b":
        return finish(reduced, _lbfgsb(reduced, x0, keywords))
    return finish(reduced, scipy.optimize.minimize(reduced.value, x0, **keywords))


class _NoProgressError(Exception):
    pass


def _lbfgsb(reduced: Reduced, x0: np.ndarray, keywords: dict[str, Any]) -> scipy.optimize.OptimizeResult:
    """L-BFGS-B, but for a line search without end: where rounding hides the decrease it can evaluate for ever, because
    SciPy's limits are looked at between iterations only."""
    most = PATIENCE * max(int(keywords["options"].get("maxls", 20)), 1)
    best, at, calls, lower, since = np.inf, x0, 0, 0, 0

    def value(x: np.ndarray) -> float:
        nonlocal best, at, calls, lower, since
        f = reduced.value(x)
        calls += 1
        if f < best:
            best, at, lower, since = f, x.copy(), lower + 1, 0
        else:
            since += 1
            if since > most:
                raise _NoProgressError
        return f

    try:
        return scipy.optimize.minimize(value, x0, **keywords)
    except _NoProgressError:
        message = f"ABNORMAL: no lower value in {since} evaluations of one line search: rounding hides the decrease"
        found = {"x": at, "fun": best, "jac": reduced.gradient(at), "nit": lower, "nfev": calls, "njev": calls}
        return scipy.optimize.OptimizeResult(**found, success=False, status=2, message=message)


def _constraints(reduced: Reduced, label: str, key: str) -> list[Any]:
    """A constraint as SciPy takes it: its equalities apart from its inequalities, without rows that have no sides."""
    low, high = reduced.constraint_bounds(label)
    equal, free = low == high, np.isneginf(low) & np.isposinf(high)
    groups = [rows for rows in (np.flatnonzero(equal), np.flatnonzero(~equal & ~free)) if rows.size]
    return [_constraint(reduced, label, key, None if rows.size == low.size else rows) for rows in groups]


def _constraint(reduced: Reduced, label: str, key: str, rows: np.ndarray | None) -> Any:
    """Some rows of a constraint; None: all."""
    low, high = reduced.constraint_bounds(label)
    size, sparse = low.size, key == "trust-constr"
    part: Any = slice(None) if rows is None else rows

    def value(x: np.ndarray) -> np.ndarray:
        return reduced.constraint_value(label, x)[part]

    def jacobian(x: np.ndarray) -> Any:
        matrix = reduced.constraint_jacobian(label, x)[part]
        return matrix if sparse and x.size > MANY else matrix.toarray()

    def hessian(x: np.ndarray, v: np.ndarray) -> Any:
        weights = np.zeros(size)
        weights[part] = v
        return reduced.constraint[label].hess(x, weights)

    keywords: dict[str, Any] = {} if key in NO_GRADIENT else {"jac": jacobian}
    if key == "trust-constr":
        keywords["hess"] = hessian
    return scipy.optimize.NonlinearConstraint(value, low[part], high[part], **keywords)
