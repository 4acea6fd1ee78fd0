"""The optimum of an inner problem with constraints: found by an optimizer, verified as a root of the KKT conditions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConvergenceError, Status
from .form import Inner

__all__ = ["optimum", "weakly_active"]

WEAK = 1e-6  # relative distance, and relative multiplier, at which a constraint may be active or not


def optimum(inner: Inner, params: tuple[Any, ...], start: np.ndarray) -> np.ndarray:
    """The optimum and its multipliers, in one vector."""
    problem = inner.problem
    y = problem.variables[0]
    values = {v.name: p for v, p in zip(inner.parameters, params, strict=True)}
    begin = {y.name: start[: y.size].reshape(y.shape)[()]}
    result = problem.solve(method="interior-point", values=values, start=begin)
    if not result.success:
        raise ConvergenceError(
            f"the inner problem {inner.name!r} (argmin with constraints, {y.size} unknowns) was not solved: "
            f"{result.message}",
            inner.name,
            Status.STALLED,
            values={inner.name: result.x.reshape(y.shape)},
        )
    parts = [np.reshape(result.multipliers[name], -1) for name in problem.constraints]
    return np.concatenate([result.x, *parts])


def weakly_active(inner: Inner, params: tuple[Any, ...], found: np.ndarray) -> str:
    """What to say where a constraint is active without a multiplier; "" where none is."""
    problem = inner.problem
    y = problem.variables[0]
    values = {v.name: p for v, p in zip(inner.parameters, params, strict=True)}
    at = problem.program.solve({**values, y.name: found[: y.size].reshape(y.shape)[()]})
    largest, k, names = np.abs(found[y.size :]).max(initial=0.0), y.size, []
    for name, c in problem.constraints.items():
        body = np.reshape(at[problem.constrained[name].name], -1)
        m = found[k : k + body.size]
        k += body.size
        low, high = (np.broadcast_to(side, c.shape).reshape(-1) for side in (c.lower, c.upper))
        near = np.minimum(np.abs(body - low), np.abs(high - body)) <= WEAK * np.maximum(1.0, np.abs(body))
        if (near & (low < high) & (np.abs(m) <= WEAK * max(largest, WEAK))).any():
            names.append(c.text)
    if not names:
        return ""
    return (
        f"the minimizer {inner.name!r} has constraints that hold it with no force ({', '.join(names[:4])}): strict "
        "complementarity fails, and the derivative given is that of one side"
    )
