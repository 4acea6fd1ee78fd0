"""Minimizers inside an expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..derivatives import vjp
from ..errors import ShapeError
from ..expr import as_expr
from ..walk import variables_of
from .build import Built, bound, checked, named, placed
from .constrained import constrained_argmin, stationarity
from .form import Inner, traced
from .schedule import Tolerance

__all__ = ["argmin"]

METHODS = ("newton", "newton-cg", "gradient-descent")


def argmin(
    fun: Callable[..., Any],
    guess: Any,
    *args: Any,
    lower: Any = None,
    upper: Any = None,
    subject_to: Callable[..., Any] | None = None,
    name: str | None = None,
    method: str = "newton",
    tol: Tolerance = 1e-10,
    max_iterations: int | None = None,
) -> Any:
    """The ``y`` that minimizes ``fun(y, *args)``, as an expression in ``args`` and in what the functions close over.

    The minimum is searched where the expression is evaluated, from the last one that was found, and only downhill. It
    is verified: the gradient vanishes in the unknowns that no bound holds, and the Hessian has no negative eigenvalue
    among them; a saddle is left, or refused. Derivatives are those of the optimality conditions, as those of a
    :func:`~adjoint.inner.root` are of its equations: one linear solve with the Hessian each. They do not depend on how
    the minimum was found, and no iterate is kept for them.

    Parameters
    ----------
    fun : callable
        ``fun(y, *args)``, a scalar.
    guess, *args, name, tol : as in :func:`~adjoint.inner.root`
        The guess is no parameter.
    lower, upper : numbers, arrays or expressions, optional
        Bounds of ``y``, in its shape. Where an unknown is at a bound that it does not push against, the minimizer has a
        corner in its parameters; a ``KinkWarning`` says so.
    subject_to : callable, optional
        ``subject_to(y, *args)``: a comparison (``a <= b``, ``a == b``), :func:`~adjoint.between`, or a list of them.
        The minimum is then found by the library's interior-point method, and differentiated with its multipliers.
        Bounds are numbers then.
    method : {"newton", "newton-cg", "gradient-descent"}
        The first factors the Hessian, or uses products with it if it has too many entries; the second uses products
        only; the third gradients only, for the minimum, and products for its derivatives. Products are those of
        conjugate gradients.
    max_iterations : int, optional
        Default 200; of gradient descent 100,000.

    Returns
    -------
    Expr, or expressions in the structure of the guess

    Raises
    ------
    ConvergenceError
        Where it is evaluated: no minimum was found, or only a saddle.
    SingularError
        Where a derivative is asked for: the Hessian is singular at the minimum.

    >>> import numpy as np, adjoint as adj
    >>> from adjoint.inner import argmin
    >>> m = adj.Program()
    >>> log_weight = m.input("log_weight", 1.0)
    >>> def training(theta, log_weight):
    ...     return 0.5 * (2.0 - theta) ** 2 + 0.5 * np.exp(log_weight) * theta**2
    >>> theta = m.define("theta", argmin(training, 0.0, log_weight))
    >>> _ = m.define("loss", 0.5 * (theta - 1.0) ** 2)
    >>> sol = m.solve()
    >>> round(sol["theta"], 10), round(sol.gradient("loss", wrt="log_weight"), 10)
    (0.5378828427, 0.1817154953)
    """
    what = named(name, "argmin", fun)
    limit = (100_000 if method == "gradient-descent" else 200) if max_iterations is None else max_iterations
    checked(what, method, METHODS, tol, limit)
    like = traced(fun, guess, args, what)
    if not like.leaf.size:
        return like.unknowns(like.guess)
    objective = as_expr(like.result)
    if objective.shape:
        raise ShapeError(f"{what}: the objective has shape {objective.shape}; it must be a scalar")
    if subject_to is not None:
        return constrained_argmin(what, like, objective, subject_to, (lower, upper), tol)
    sides = tuple(bound(what, side, value, like) for side, value in (("lower", lower), ("upper", upper)))
    built = Built(what, like, [objective, *(e for e in sides if e is not None)])
    f = built.inside(objective)
    low, high = (None if e is None else built.inside(e) for e in sides)
    residual = stationarity(vjp([f], [1.0], [built.unknown])[0], built.unknown, low, high)
    if not variables_of([residual]):
        # Of a linear objective; 0 y would be folded to 0.
        residual = residual + (np.maximum(built.unknown, built.unknown) - built.unknown)
    built.program.constrain(residual, f"{what}: optimality")
    inner = Inner(what, "argmin", built.program, residual, f, (low, high), None, method, tol, limit)
    return placed(inner, built, like)
