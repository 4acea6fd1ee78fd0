"""Equations inside an expression: ``y`` with ``fun(y, *args) = 0``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..nonlinear import METHODS
from .build import Built, checked, named, placed
from .form import Inner, joined, traced
from .schedule import Tolerance

__all__ = ["root"]


def root(
    fun: Callable[..., Any],
    guess: Any,
    *args: Any,
    name: str | None = None,
    method: str = "auto",
    tol: Tolerance = 1e-10,
    max_iterations: int = 200,
    lower: Any = None,
    upper: Any = None,
) -> Any:
    """``y`` with ``fun(y, *args) = 0``, as an expression in ``args`` and in what ``fun`` closes over.

    The equations are solved where the expression is evaluated; the solution is verified, or an error is raised that
    names them. Its derivatives are those of the implicit function theorem at the solution: one linear solve each, and
    the iteration is neither stored nor differentiated. They can be differentiated again.

    Parameters
    ----------
    fun : callable
        ``fun(y, *args)``: as many residuals as there are unknowns, in the structure of ``y``; an equation ``a == b``
        counts as ``a - b``. It is called once, on symbols.
    guess : number, array, or nested tuple, list or dict of them
        Where the first search starts, and the structure of ``y``. It is no parameter: of several solutions it may
        select one, but no derivative goes through it, and an expression is refused. Later searches of many unknowns
        start at the last solution.
    *args : expressions, numbers, arrays, or nested structures of them
        Texts, functions and None are passed as they are.
    name : str, optional
        What messages call it; default "root of" and the name of the function.
    method : str
        As in :meth:`Program.solve <adjoint.Program.solve>`; "newton-krylov" forms no matrix.
    tol : float or Schedule
        As in :meth:`Program.solve <adjoint.Program.solve>`; or one that changes with an outer iteration.
    max_iterations : int
    lower, upper : number or array, optional
        Bounds that the search respects.

    Returns
    -------
    Expr, or expressions in the structure of the guess
        Numbers where no argument is an expression.

    Raises
    ------
    ConvergenceError
        Where it is evaluated: there is no solution near.
    SingularError
        Where a derivative is asked for: the Jacobian is singular at the solution.

    >>> import numpy as np, adjoint as adj
    >>> from adjoint.inner import root
    >>> m = adj.Program()
    >>> x = m.input("x", 2.0)
    >>> y = m.define("y", root(lambda y, x: y**3 + y - x, 1.0, x))
    >>> sol = m.solve()
    >>> sol["y"], sol.gradient("y", wrt="x"), sol.hessian("y", wrt="x")
    (1.0, 0.25, -0.09375)
    """
    what = named(name, "root", fun)
    checked(what, method, tuple(METHODS), tol, max_iterations)
    like = traced(fun, guess, args, what)
    if not like.leaf.size:
        return like.unknowns(like.guess)
    residual = joined(like.result, like, what)
    built = Built(what, like, [residual], (lower, upper))
    inside = built.inside(residual)
    built.program.constrain(inside, f"{what} = 0")
    inner = Inner(what, "root", built.program, inside, method=method, tol=tol, max_iterations=max_iterations)
    return placed(inner, built, like)
