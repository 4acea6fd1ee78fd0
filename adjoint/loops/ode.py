"""Differential equations in fixed steps, as expressions: the derivatives are those of the steps taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError, NameLookupError, ShapeError, UnsupportedError, closest
from ..expr import Constant, Expr, Variable, as_expr
from ..inner import root
from ..primitives.indexing import broadcast_to, concatenate, reshape, stack
from .scan import scan
from .tableaux import TABLEAUX, Tableau, backward_differences, tableau
from .tracing import solve_within

__all__ = ["ode", "steady_state"]

BDF = {f"bdf{k}": k for k in range(1, 7)}
Right = Callable[[Any, Any], Expr]


def ode(
    fun: Callable[..., Any],
    y0: Any,
    t: Any,
    args: Sequence[Any] = (),
    method: Any = "rk4",
    *,
    substeps: int = 1,
    checkpoints: int | None = None,
    folder: str | Path | None = None,
    events: Any = None,
) -> Any:
    """``y`` at the times ``t``, where ``y' = fun(t, y, *args)`` and ``y(t[0]) = y0``, in steps from time to time.

    The steps are fixed, so ``y`` is an expression like any other, and its derivatives are exactly those of the numbers
    that it gives: by the parameters that ``fun`` closes over or gets in ``args``, by ``y0``, and by ``t``. Implicit
    methods solve their equations in every step, to the tolerance of all solves.

    Parameters
    ----------
    fun : callable
        ``fun(t, y, *args)``: the derivative, in the shape of ``y``; a list is stacked.
    y0 : expression, array or number
    t : array or expression
        Increasing or decreasing times; one step leads from each to the next.
    args : sequence, optional
        Further arguments.
    method : str or tableau
        Explicit: "euler", "midpoint", "heun", "rk4", "dopri5". Implicit: "backward-euler", "implicit-midpoint",
        "trapezoidal", "sdirk2"; collocation: "radau3", "radau5", "gauss4", "gauss6"; "bdf1" to "bdf6" (the first steps
        by Radau's method of order 5). Or (A, b) or (A, b, c) of any Runge–Kutta method.
    substeps : int
        Equal steps between two times.
    checkpoints, folder : as in :func:`scan`
    events : None
        Not available: see the notes.

    Returns
    -------
    Expr
        Of shape ``(len(t), *y0.shape)``; an array, where no expression is given.

    Notes
    -----
    Steps are not chosen by an error estimate: compare two values of ``substeps`` to see the error. There are no events,
    because a time that depends on the state decides which steps are taken. Where the time of an end is what is asked
    for, make it a variable: give ``t=T * np.linspace(0, 1, n)`` with ``T`` an unknown, and the condition as an
    equation.

    Examples
    --------
    >>> import numpy as np, adjoint as adj
    >>> from adjoint.loops import ode
    >>> m = adj.Program("oscillator")
    >>> k = m.input("k", 4.0)
    >>> y = ode(lambda t, y: [y[1], -k * y[0]], [1.0, 0.0], np.linspace(0, 1, 101))
    >>> _ = m.define("y", y[-1, 0])
    >>> sol = m.solve()
    >>> round(sol["y"], 6), round(sol.gradient("y", wrt="k"), 6)  # cos(2) and −sin(2)/4
    (-0.416147, -0.227324)
    """
    if events is not None:
        raise UnsupportedError(
            "ode() has no events: which steps are taken would depend on the state. Where the time of an end is asked "
            "for, make it a variable: t = T * np.linspace(0, 1, n), with T an unknown and the condition an equation."
        )
    start = as_expr(y0)
    times = _times(t, substeps)
    right = _right(fun, args, start.shape)
    kept = {"checkpoints": checkpoints, "folder": folder}
    name = method if isinstance(method, str) else ""
    if name in BDF:
        path = _bdf(right, start, times, BDF[name], kept)
    else:
        path = _runge_kutta(right, start, times, _tableau(method), kept, times.size == substeps + 1)
    path = path if substeps == 1 or path.shape[0] == 2 else path[::substeps]
    return path.value if isinstance(path, Constant) else path


def _right(fun: Callable[..., Any], args: Sequence[Any], shape: tuple[int, ...]) -> Right:
    def right(t: Any, y: Any) -> Expr:
        f = as_expr(fun(t, y, *args))
        try:
            return broadcast_to(f, shape)
        except ShapeError:
            raise ShapeError(f"fun(t, y) of ode() gives shape {f.shape}, y has {shape}") from None

    return right


def _times(t: Any, substeps: Any) -> Expr:
    times = as_expr(t)
    if times.ndim != 1 or times.size < 2:
        raise ShapeError(f"the times of ode() are a vector of two or more, got shape {times.shape}")
    if isinstance(substeps, bool) or not isinstance(substeps, int | np.integer) or substeps < 1:
        raise ModelError(f"ode: substeps= is a positive whole number, got {substeps!r}")
    if isinstance(times, Constant):
        steps = np.diff(times.value)
        if not ((steps > 0).all() or (steps < 0).all()):
            raise ModelError("the times of ode() increase, or decrease, from each to the next")
    if substeps == 1:
        return times
    parts = np.arange(substeps) / substeps
    inner = times[:-1][:, None] + (times[1:] - times[:-1])[:, None] * parts
    return concatenate([reshape(as_expr(inner), (inner.size,)), times[-1:]])


def _tableau(method: Any) -> Tableau:
    if isinstance(method, str):
        if method not in TABLEAUX:
            raise NameLookupError(closest(method, [*TABLEAUX, *BDF], "method of ode()"))
        return TABLEAUX[method]
    if isinstance(method, tuple) and len(method) in (2, 3):
        return tableau(*method)
    raise ModelError(f"method= of ode() is a name, or (A, b) or (A, b, c) of a tableau, got {method!r:.60}")


# -- one-step methods -----------------------------------------------------------------------------------------------


def _runge_kutta(
    right: Right, start: Expr, times: Expr, method: Tableau, kept: dict[str, Any], last_only: bool
) -> Expr:
    """All values; of a single interval, the first and the last."""
    make = _explicit if method.is_explicit else _diagonal if method.is_diagonal else _coupled

    def step(y: Expr, x: Any) -> tuple[Expr, Any]:
        t, h = x
        y = make(right, method, t, h, y)
        return y, None if last_only else y

    end, path = scan(step, start, (times[:-1], times[1:] - times[:-1]), **kept)
    return stack([start, end]) if last_only else concatenate([reshape(start, (1, *start.shape)), path])


def _sum(y: Expr, h: Expr, weights: np.ndarray, slopes: Sequence[Expr]) -> Expr:
    """y + h Σ w_i k_i."""
    terms = [k if w == 1.0 else float(w) * k for w, k in zip(weights, slopes, strict=False) if w]
    if not terms:
        return y
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return y + h * total


def _explicit(right: Right, method: Tableau, t: Expr, h: Expr, y: Expr) -> Expr:
    slopes: list[Expr] = []
    for row, c in zip(method.a, method.c, strict=True):
        slopes.append(right(t + float(c) * h, _sum(y, h, row, slopes)))
    return _sum(y, h, method.b, slopes)


def _diagonal(right: Right, method: Tableau, t: Expr, h: Expr, y: Expr) -> Expr:
    """Stages that are solved for one after the other."""
    slopes: list[Expr] = []
    stage = y
    for i, (row, c) in enumerate(zip(method.a, method.c, strict=True)):
        at = t + float(c) * h
        known = _sum(y, h, row[:i], slopes)
        stage = known
        if row[i]:
            stage = Variable(f"stage {i + 1}", y.shape)
            solve_within([stage], [stage - known - float(row[i]) * h * right(at, stage)], [y])
        slopes.append(right(at, stage))
    return stage if np.array_equal(method.a[-1], method.b) else _sum(y, h, method.b, slopes)


def _coupled(right: Right, method: Tableau, t: Expr, h: Expr, y: Expr) -> Expr:
    """Stages that are solved for together."""
    stages = [Variable(f"stage {i + 1}", y.shape) for i in range(method.stages)]
    slopes = [right(t + float(c) * h, s) for c, s in zip(method.c, stages, strict=True)]
    residuals = [s - _sum(y, h, row, slopes) for s, row in zip(stages, method.a, strict=True)]
    solve_within(stages, residuals, [y] * method.stages)
    if np.allclose(method.a[-1], method.b, rtol=0, atol=1e-14):
        return stages[-1]
    # b = Aᵀ d: differences of stages have no large slopes in them (Hairer & Wanner II, IV.8).
    weights = np.linalg.solve(method.a.T, method.b)
    return _sum(y, as_expr(1.0), weights, [s - y for s in stages])


# -- backward differences ---------------------------------------------------------------------------------------------


def _bdf(right: Right, start: Expr, times: Expr, order: int, kept: dict[str, Any]) -> Expr:
    """``Σ_j w_j y_(n−j) = h f(t_n, y_n)``: the derivative of the polynomial through the last values."""
    if not isinstance(times, Constant):
        raise UnsupportedError("backward differences (bdf) need times that are numbers, not expressions")
    grid = np.asarray(times.value)
    first = min(order, grid.size)  # values from another method, the start included
    begun = reshape(start, (1, *start.shape))
    if first > 1:
        begun = _runge_kutta(right, start, times[:first], TABLEAUX["radau5"], kept, False)
    if grid.size <= order:
        return begun
    weights = backward_differences(grid, order)

    def step(history: list[Expr], x: Any) -> tuple[list[Expr], Expr]:
        t, h, w = x
        y = Variable("y", start.shape)
        past = w[1] * history[0]
        for j, old in enumerate(history[1:], 2):
            past = past + w[j] * old
        solve_within([y], [w[0] * y + past - h * right(t, y)], [history[0]])
        return [y, *history[:-1]], y

    history = [begun[first - 1 - j] for j in range(order)]
    _, path = scan(step, history, (grid[order:], np.diff(grid)[order - 1 :], weights), **kept)
    return concatenate([begun, path])


# -- steady states ------------------------------------------------------------------------------------------------


def steady_state(
    fun: Callable[..., Any], guess: Any, args: Sequence[Any] = (), t: Any = 0.0, method: str = "auto"
) -> Any:
    """``y`` with ``fun(t, y, *args) = 0``: where the solution of ``y' = fun(t, y, *args)`` stays.

    Nothing is integrated: the equations are solved (:func:`root <adjoint.inner.root>`), and the derivatives are those
    of the implicit function theorem. Whether the state is stable is not asked.

    Parameters
    ----------
    fun : callable, as for :func:`ode`
    guess : array or number
        Where the search starts; of several states it selects one. It is no parameter.
    args : sequence, optional
    t : the time at which ``fun`` is taken
    method : str
        As in :meth:`Program.solve <adjoint.Program.solve>`; "pseudo-transient" follows the equation for a while.

    Examples
    --------
    >>> import numpy as np, adjoint as adj
    >>> from adjoint.loops import steady_state
    >>> m = adj.Program("growth")
    >>> r = m.input("r", 2.0)
    >>> _ = m.define("y", steady_state(lambda t, y: r * y * (1 - y / 3) - y, 1.0))  # y = 3 (1 − 1/r)
    >>> sol = m.solve()
    >>> sol["y"], sol.gradient("y", wrt="r")
    (1.5, 0.75)
    """
    return root(lambda y: fun(t, y, *args), guess, name=f"steady state of {_name_of(fun)}", method=method)


def _name_of(fun: Any) -> str:
    name = getattr(fun, "__name__", "fun")
    return name if name.isidentifier() else "fun"
