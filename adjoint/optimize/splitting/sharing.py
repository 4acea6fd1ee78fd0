"""Sharing: each shard has its own variables, and the objective has a common term of their sum.

    minimize  Σ_k f_k(x_k) + g(Σ_k x_k)

With ``g`` the condition that the sum has a value, this is the exchange problem, and the price its market price. Boyd et
al. 2011, section 7.3, in the unscaled form:

    x_k ← argmin f_k(x) + priceᵀ x + ½ ρ |x − (x_k − x̄ + z̄)|²          all shards at once
    z̄   ← argmin g(N z̄) + ½ N ρ |z̄ − x̄ − price/ρ|²                   x̄ the mean of the x_k, N their number
    price ← price + ρ (x̄ − z̄)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .coordination import Proximal, Record
from .options import SplittingOptions
from .result import SplittingResult, by_name
from .shards import common, described, first_starts, shard_options, shard_problems
from .subproblem import Request
from .workers import Workers

__all__ = ["sharing"]

UNBALANCED = 10.0  # ratio of the residuals from which the penalty changes, by this factor:
STEP = 2.0  # (Boyd et al., section 3.4.1)


def sharing(
    problem: Any,
    shards: Sequence[Any],
    shared: str | Sequence[str] | None = None,
    *,
    proximal: Proximal,
    start: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    executor: Any = None,
    callback: Callable[[Record, dict[str, Any]], Any] | None = None,
) -> SplittingResult:
    """Minimize a sum of objectives of shards and a common function of the sum of their variables.

    Parameters
    ----------
    proximal : callable
        Proximal operator of the common term g, a function of the total:
        :class:`~adjoint.optimize.splitting.proximal.Equal` for a total that is given.
    problem, shards, shared, start, options, executor, callback
        As in :func:`~adjoint.optimize.splitting.consensus`; ``shared`` names the variables whose total it is.

    >>> import adjoint as adj
    >>> from adjoint.optimize.splitting.proximal import Equal
    >>> m = adj.Program()
    >>> x, c = m.input("x", 0.0), m.input("c", 1.0)
    >>> f = m.define("f", 0.5 * c * x**2)
    >>> p = adj.Problem(m, minimize="f", over=["x"])
    >>> found = sharing(p, [{"c": 1.0}, {"c": 2.0}], proximal=Equal(3.0), executor="serial")
    >>> [round(s["x"], 4) for s in found.shards], round(found.multipliers["x"], 4)
    ([2.0, 1.0], -2.0)
    """
    chosen = shard_options(options, executor, "sharing")
    subproblems = shard_problems(problem, shards, shared, chosen)
    with Workers(subproblems, chosen.executor, chosen.retries, chosen.timeout) as workers:
        found = described(workers, len(shards))
        names, shapes = common(found, shared)
        first, starts = first_starts(found, names, start)
        places = [d.copies for d in found]
        mean, price, history, status, answers = _iterated(
            workers, places, first, starts, proximal, chosen, _told(callback, names, shapes, len(shards))
        )
        words = {"optimal": "the total rests", "stopped": "the callback stopped the iteration"}
        return SplittingResult(
            x=by_name(names, shapes, len(shards) * mean),
            shards=[by_name(d.names, d.shapes, a.x) for d, a in zip(found, answers, strict=True)],
            multipliers=by_name(names, shapes, price),
            shard_multipliers=[a.multipliers for a in answers],
            success=status == "optimal",
            status=status,
            message=words.get(status, f"the iteration limit was reached (max_iter={chosen.max_iter})"),
            nit=len(history),
            history=history,
            redone=workers.redone,
        )


def _told(callback: Any, names: list[str], shapes: list[tuple[int, ...]], count: int) -> Callable[..., bool]:
    def told(record: Record, mean: np.ndarray) -> bool:
        return callback is not None and callback(record, by_name(names, shapes, count * mean)) is True

    return told


def _iterated(
    workers: Workers,
    places: Sequence[np.ndarray],
    first: np.ndarray,
    starts: list[Any],
    proximal: Proximal,
    options: SplittingOptions,
    told: Callable[[Record, np.ndarray], bool],
) -> tuple[np.ndarray, np.ndarray, list[Record], str, list[Any]]:
    """The mean of the shards' variables, the price, and how it went."""
    began, N = time.perf_counter(), len(places)
    rho = 1.0 if options.penalty is None else float(options.penalty)
    price, latest = np.zeros(len(first)), starts
    history: list[Record] = []
    x, mean, middle = [first] * N, first, first
    for iteration in range(1, options.max_iter + 1):
        weight = np.full(len(first), rho)
        latest = workers.round(
            [Request(own - mean + middle, price, weight, s) for own, s in zip(x, latest, strict=True)]
        )
        previous = x
        x = [a.x[p] for a, p in zip(latest, places, strict=True)]
        mean = np.mean(x, axis=0)
        relaxed = options.relaxation * mean + (1 - options.relaxation) * middle
        before = middle
        # g(w) + ½ (ρ/N) |w − N (x̄ + price/ρ)|², w = N z̄
        middle = proximal(N * (relaxed + price / rho), weight / N) / N
        price = price + rho * (relaxed - middle)
        primal = math.sqrt(N) * float(np.linalg.norm(mean - middle))
        moved = [own - old - (mean - before) for own, old in zip(x, previous, strict=True)]
        dual = rho * math.sqrt(N) * float(np.linalg.norm(middle - before))
        dual = math.hypot(dual, rho * float(np.linalg.norm(np.concatenate(moved))))
        size = math.sqrt(N * len(first))
        primal_limit = options.tol * float(size + np.linalg.norm(np.concatenate(x)))
        dual_limit = options.tol * float(size + np.sqrt(N) * np.linalg.norm(price))
        failed = sum(not a.success for a in latest)
        seconds = time.perf_counter() - began
        history.append(Record(iteration, primal, dual, primal_limit, dual_limit, {"": rho}, failed, seconds))
        if told(history[-1], mean):
            return mean, price, history, "stopped", latest
        if primal <= primal_limit and dual <= dual_limit and not failed:
            return mean, price, history, "optimal", latest
        if options.balance and iteration < options.balance_until:
            rho = rho * STEP if primal > UNBALANCED * dual else rho / STEP if dual > UNBALANCED * primal else rho
    return mean, price, history, "iteration_limit", latest
