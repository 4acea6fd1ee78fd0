"""Fixed points inside an expression: ``y = fun(y, *args)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..nonlinear import METHODS
from .build import Built, checked, named, placed
from .form import Inner, joined, traced
from .schedule import Tolerance

__all__ = ["fixed_point"]


def fixed_point(
    fun: Callable[..., Any],
    guess: Any,
    *args: Any,
    name: str | None = None,
    method: str = "auto",
    tol: Tolerance = 1e-10,
    max_iterations: int = 200,
) -> Any:
    """``y`` with ``y = fun(y, *args)``, as an expression in ``args`` and in what ``fun`` closes over.

    A :func:`~adjoint.inner.root` of ``y − fun(y, *args)``; see there for the parameters. Of the methods, "fixed-point",
    "aitken" and "anderson" iterate the map itself; the others use its Jacobian. The derivatives do not depend on how
    the point was found, nor on whether the map is a contraction: they are those of the equation.

    >>> import numpy as np, adjoint as adj
    >>> from adjoint.inner import fixed_point
    >>> m = adj.Program()
    >>> e, M = m.input("e", 0.5), m.input("M", 1.0)
    >>> E = m.define("E", fixed_point(lambda E: M + e * np.sin(E), 1.0, method="fixed-point"))   # Kepler's equation
    >>> sol = m.solve()
    >>> round(sol["E"], 10), round(sol.gradient("E", wrt="e"), 10)
    (1.4987011335, 1.0346672324)
    """
    what = named(name, "fixed point", fun)
    checked(what, method, tuple(METHODS), tol, max_iterations)
    like = traced(fun, guess, args, what)
    if not like.leaf.size:
        return like.unknowns(like.guess)
    image = joined(like.result, like, what)
    built = Built(what, like, [image])
    inside = built.inside(image)
    built.program.define(built.unknown, inside)
    residual = built.unknown - inside
    inner = Inner(what, "fixed_point", built.program, residual, method=method, tol=tol, max_iterations=max_iterations)
    return placed(inner, built, like)
