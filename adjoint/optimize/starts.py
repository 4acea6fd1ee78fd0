"""Several starts: one run from each, and the best result of all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from numbers import Integral
from typing import Any

import numpy as np

from ..describe import counted
from ..errors import AdjointError, EvaluationError, KinkWarning, ModelError, NameLookupError, ShapeError
from .result import result_class

__all__ = ["random_starts", "solve_from_starts"]

WRONG_USE = (ModelError, NameLookupError, ShapeError)  # the same from every start
EQUAL = 1e-9  # relative difference of objectives that are equal
FEASIBLE = 1e-6  # violation up to which results that were not optimal are compared by their objectives


def solve_from_starts(
    solve: Callable[..., Any],
    problem: Any,
    method: str,
    starts: int | Sequence[Any],
    executor: Executor | None = None,
    *,
    start: Any = None,
    seed: int | None = None,
    **common: Any,
) -> Any:
    """Solve from every start and give the best result.

    The runs do not depend on each other, on their order, or on the executor.

    Parameters
    ----------
    solve : callable
        ``solve(problem, method, start=..., seed=..., **common)``.
    starts : int or list
        A list of starts; or how many: the first is `start`, the others are those of :func:`random_starts`.

    Returns
    -------
    result
        The best that succeeded, or else the best there is; with ``runs``, the results in the order of the starts, and
        ``run``, its place among them. A run that raised is a result without success whose message says why.

    Raises
    ------
    ModelError, NameLookupError, ShapeError
        The problem, the method or a start is not well formed: that is no matter of the start.
    """
    if isinstance(starts, Integral) and not isinstance(starts, bool):
        given = [start, *random_starts(problem, int(starts) - 1, seed, start)]
        if starts < 1:
            raise ModelError(f"starts= is a positive number or a list of starts, not {starts}")
    elif isinstance(starts, Sequence) and not isinstance(starts, str) and len(starts):
        if start is not None:
            raise ModelError("give start=, or starts= with a list, not both")
        given = list(starts)
    else:
        raise ModelError(f"starts= is a positive number or a list of starts, not {starts!r:.60}")
    more = {"seed": seed, **common}
    if executor is None:
        runs = [_run(solve, problem, method, s, more) for s in given]
    else:
        futures: list[Future[Any]] = [executor.submit(_run, solve, _own(problem), method, s, more) for s in given]
        runs = [f.result() for f in futures]
    return _best(problem, runs)


def random_starts(problem: Any, count: int, seed: int | None = None, start: Any = None) -> list[dict[str, Any]]:
    """Random start values by name: uniform between finite bounds.

    Where a bound is missing, the distance from the other one, or from the default, is random: exponential or normal,
    with the size of the default, or 1 if that is larger.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> f = m.define("f", m.input("x", 2.0) ** 2)
    >>> [round(s["x"], 3) for s in random_starts(adj.Problem(m, minimize="f", over={"x": (0, 10)}), 3, seed=1)]
    [5.118, 3.118, 4.092]
    """
    rng = np.random.default_rng(seed)
    model = problem.program
    centers = {}
    for v in problem.variables:
        known = start.get(v.name) if isinstance(start, Mapping) else None
        default = model.inputs.get(v, model.guesses.get(v)) if known is None else known
        center = np.zeros(v.shape) if default is None else np.broadcast_to(np.asarray(default, dtype=float), v.shape)
        low, high = (np.broadcast_to(np.asarray(b, dtype=float), v.shape) for b in problem.bounds[v])
        centers[v] = center, low, high
    found = []
    for _ in range(count):
        point = {}
        for v, (center, low, high) in centers.items():
            uniform, exponential, normal = rng.random(v.shape), rng.exponential(size=v.shape), rng.normal(size=v.shape)
            size = np.maximum(1.0, np.abs(center))
            with np.errstate(invalid="ignore"):
                value = np.where(np.isfinite(low), low + size * exponential, center + size * normal)
                value = np.where(np.isfinite(high) & ~np.isfinite(low), high - size * exponential, value)
                value = np.where(np.isfinite(low) & np.isfinite(high), low + uniform * (high - low), value)
            point[v.name] = float(value) if not v.shape else value
        found.append(point)
    return found


def _own(problem: Any) -> Any:
    """The problem with its own working memory: what methods keep with it must not be shared by threads."""
    own = object.__new__(type(problem))
    own.__dict__.update(problem.__dict__)
    own.kept = {}
    return own


def _run(solve: Callable[..., Any], problem: Any, method: str, start: Any, common: Mapping[str, Any]) -> Any:
    """One run; what is no matter of wrong use becomes a result."""
    try:
        return solve(problem, method, start=start, **common)
    except WRONG_USE:
        raise
    except (AdjointError, ArithmeticError, ValueError, RuntimeError) as error:
        status = "evaluation_error" if isinstance(error, EvaluationError) else "failed"
        fields: dict[str, Any] = {
            "x": None,
            "fun": np.nan,
            "success": False,
            "status": status,
            "multipliers": {},
            "nit": 0,
        }
        return result_class()({**fields, "solution": None, "message": f"{type(error).__name__}: {error}"})


def _best(problem: Any, runs: list[Any]) -> Any:
    """The best of some results: success first, then feasible ones by objective, then the least violation."""
    sign = -1.0 if problem.maximize else 1.0

    def order(k: int) -> tuple[Any, ...]:
        r = runs[k]
        value = sign * r.fun if r.fun is not None and np.isfinite(r.fun) else np.inf
        if r.success:
            return 0, 0.0, value, k
        violation = _violation(r)
        return (1, 0.0, value, k) if violation <= FEASIBLE else (2, violation, value, k)

    k = min(range(len(runs)), key=order)
    if runs[k].success:  # of equals the first: rounding does not choose
        limit = sign * runs[k].fun + EQUAL * max(1.0, abs(runs[k].fun))
        k = next(j for j, r in enumerate(runs) if r.success and sign * r.fun <= limit)
    best = result_class()(runs[k])
    if not best.success:
        best.message = f"none of {counted(len(runs), 'start')} succeeded; the best one ended so: {best.message}"
    best.runs, best.run = runs, k
    return best


def _violation(result: Any) -> float:
    if result.x is None:
        return np.inf
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KinkWarning)
            found = float(result.residuals().primal)
    except (AdjointError, ArithmeticError, ValueError, KeyError):
        return np.inf
    return found if np.isfinite(found) else np.inf
