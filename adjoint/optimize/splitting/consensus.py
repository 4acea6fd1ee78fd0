"""Consensus: one set of variables, and an objective that is a sum over shards of data.

    minimize  Σ_k f_k(x) + g(x)

Each shard has its own copy of x, and all are equal in the end (Boyd et al. 2011, section 7.1). A shard sees its own
data only, which may never leave the worker that reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import ModelError
from .coordination import Coordinated, Copies, Proximal, Record, coordinate
from .options import SplittingOptions
from .result import SplittingResult, by_name
from .shards import common, described, first_starts, shard_options, shard_problems
from .subproblem import Description
from .workers import Workers

__all__ = ["consensus"]


def consensus(
    problem: Any,
    shards: Sequence[Any],
    shared: str | Sequence[str] | None = None,
    *,
    proximal: Proximal | None = None,
    start: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    executor: Any = None,
    callback: Callable[[Record, dict[str, Any]], Any] | None = None,
) -> SplittingResult:
    """Minimize a sum over shards of data by ADMM, every shard by itself on an executor.

    Parameters
    ----------
    problem : Problem, or callable
        The problem of one shard. A callable makes it: ``problem(shard)``, on the worker, so that a shard may be no more
        than the name of a file.
    shards : list
        Of a Problem, dicts of its data: values of inputs that are not moved. Of a callable, its arguments.
    shared : names, optional
        The variables that are common to all shards; others belong to the shard. Default: all.
    proximal : callable, optional
        Proximal operator of a common term g, such as :class:`~adjoint.optimize.splitting.proximal.AbsoluteValues`.
    start : dict, optional
        First values of the shared variables by name.
    options : dict, optional
        See :class:`~adjoint.optimize.splitting.SplittingOptions` (``blocks`` has no meaning here).
    executor : Executor, callable or str, optional
        As in the options.
    callback : callable, optional
        ``callback(record, values)`` after each iteration; stops it by True.

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> w, t = m.input("w", 0.0), m.input("t", np.zeros(2))
    >>> f = m.define("f", np.sum((w - t) ** 2))
    >>> p = adj.Problem(m, minimize="f", over=["w"])
    >>> found = consensus(p, [{"t": [1.0, 2.0]}, {"t": [3.0, 6.0]}], executor="serial")
    >>> found.success, round(found.x["w"], 4)
    (True, 3.0)
    """
    chosen = shard_options(options, executor, "consensus")
    subproblems = shard_problems(problem, shards, shared, chosen)
    with Workers(subproblems, chosen.executor, chosen.retries, chosen.timeout) as workers:
        found = described(workers, len(shards))
        names, shapes = common(found, shared)
        z, starts = first_starts(found, names, start)
        copies = _copies(shapes, names, len(shards))
        penalty = _penalty(copies, chosen)
        told = None if callback is None else _told(callback, names, shapes)
        ended = coordinate(
            workers, copies, [d.copies for d in found], z, starts, penalty, chosen, proximal=proximal, told=told
        )
        return _result(ended, found, names, shapes, workers.redone)


def _copies(shapes: Sequence[tuple[int, ...]], names: Sequence[str], count: int) -> Copies:
    group = np.repeat(np.arange(len(names)), [int(np.prod(s, dtype=int)) for s in shapes])
    return Copies([np.arange(len(group))] * count, group, names)


def _penalty(copies: Copies, options: SplittingOptions) -> np.ndarray:
    given = 1.0 if options.penalty is None else options.penalty
    if isinstance(given, Mapping):
        unknown = set(given) - set(copies.names)
        if unknown:
            raise ModelError(f"penalty names {sorted(unknown)}; shared are {', '.join(copies.names)}")
        return np.array([float(given.get(name, 1.0)) for name in copies.names])[copies.group]
    return np.full(copies.size, float(given))


def _told(callback: Callable[..., Any], names: list[str], shapes: list[tuple[int, ...]]) -> Callable[..., bool]:
    def told(record: Record, z: np.ndarray, answers: Any) -> bool:
        return callback(record, by_name(names, shapes, z)) is True

    return told


def _result(
    ended: Coordinated, found: list[Description], names: list[str], shapes: list[tuple[int, ...]], redone: int
) -> SplittingResult:
    return SplittingResult(
        x=by_name(names, shapes, ended.z),
        shards=[by_name(d.names, d.shapes, a.x) for d, a in zip(found, ended.answers, strict=True)],
        multipliers={"copies": [by_name(names, shapes, p) for p in ended.prices]},
        shard_multipliers=[a.multipliers for a in ended.answers],
        success=ended.status == "optimal",
        status=ended.status,
        message=ended.message,
        nit=len(ended.history),
        history=ended.history,
        redone=redone,
    )
