"""Shards: subproblems of one kind, and what consensus and sharing first ask of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy

from ...errors import ModelError
from .options import SplittingOptions
from .subproblem import Description, Subproblem
from .workers import Workers

__all__ = ["common", "described", "first_starts", "shard_options", "shard_problems"]


def shard_options(given: Mapping[str, Any] | None, executor: Any, name: str) -> SplittingOptions:
    """Options; ``executor`` may stand among them or beside them."""
    options = SplittingOptions.of(dict(given or {}), name)
    return options if executor is None else dataclasses.replace(options, executor=executor)


def shard_problems(problem: Any, shards: Sequence[Any], shared: Any, options: SplittingOptions) -> list[Subproblem]:
    """One subproblem for each shard: the problem at its data, or what a function makes of it."""
    if isinstance(shared, str):
        shared = [shared]
    if not len(shards):
        raise ModelError("there are no shards")
    copies = list(shared) if shared is not None else None
    own = dict(options.method_options or {})
    if callable(problem):
        return [Subproblem(problem, copies, options.method, own, argument=s) for s in shards]
    for s in shards:
        if not isinstance(s, Mapping):
            raise ModelError(f"a shard of a Problem is a dict of data by input, not {type(s).__name__}")
    return [Subproblem(problem, copies, options.method, own, dict(s)) for s in shards]


def described(workers: Workers, count: int) -> list[Description]:
    """What each shard has for variables."""
    return workers.round([None] * count)


def common(found: Sequence[Description], shared: Any) -> tuple[list[str], list[tuple[int, ...]]]:
    """Names and shapes of the shared variables, which every shard must have."""
    first = found[0]
    names = list(first.names) if shared is None else [shared] if isinstance(shared, str) else list(shared)
    shapes = [first.shapes[first.names.index(name)] for name in names]
    for k, d in enumerate(found):
        have = dict(zip(d.names, d.shapes, strict=True))
        if [have.get(name) for name in names] != shapes:
            raise ModelError(f"the shared variables of shard {k} do not have the shapes of the first shard's")
    return names, shapes


def first_starts(found: Sequence[Description], names: Sequence[str], start: Any) -> tuple[np.ndarray, list[Any]]:
    """The first common values, and the first start of each shard."""
    start = dict(start or {})
    for name in start:
        if name not in names:
            raise ModelError(f"start= names {name!r}; shared are {', '.join(names)}")
    d = found[0]
    sizes = [int(np.prod(s, dtype=int)) for s in d.shapes]
    at = dict(zip(d.names, np.cumsum([0, *sizes]).tolist(), strict=False))
    z = []
    for name in names:
        shape = d.shapes[d.names.index(name)]
        size = int(np.prod(shape, dtype=int))
        own = d.x0[at[name] : at[name] + size]
        z.append(np.broadcast_to(np.asarray(start.get(name, own.reshape(shape)), float), shape).reshape(-1))
    common_values = np.concatenate(z)
    starts = []
    for one in found:
        x = one.x0.copy()
        x[one.copies] = common_values
        starts.append(scipy.optimize.OptimizeResult(x=x, multipliers=None))
    return common_values, starts
