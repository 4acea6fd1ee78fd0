"""What an optimum says about its variables and constraints: values, bounds, which are active, multipliers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem import Problem

__all__ = ["Entry", "active", "by_element", "entries"]

NEAR = 1e-6  # relative distance within which a bound counts as active ...
LEFT = 1e-4  # ... and where its multiplier is larger than ...
MATTERS = 1e-6


@dataclass(frozen=True)
class Entry:
    """A variable or a constraint at the optimum. ``active`` is "", "lower", "upper" or "equal", by element."""

    name: str
    value: Any
    lower: Any
    upper: Any
    active: Any
    multiplier: Any


def active(value: Any, lower: Any, upper: Any, multiplier: Any = 0.0) -> Any:
    """Which bound a value lies on: "", "lower", "upper", or "equal" where both are the same; by element.

    Where a multiplier says that the bound matters, a distance that barrier methods leave still counts as on it.

    >>> str(active(2.0, 2.0, 5.0)), str(active(3.0, 2.0, 5.0)), str(active(1.0, 1.0, 1.0))
    ('lower', '', 'equal')
    >>> active([0.0, 1.0], 0.0, 1.0).tolist()
    ['lower', 'upper']
    >>> str(active(4.9999, 2.0, 5.0)), str(active(4.9999, 2.0, 5.0, multiplier=-3.0))
    ('', 'upper')
    """
    value, lower, upper, multiplier = np.broadcast_arrays(
        np.asarray(value, dtype=float), lower, upper, multiplier
    )
    distance = np.where(np.abs(multiplier) > MATTERS, LEFT, NEAR)
    near = distance * np.maximum(1.0, np.abs(value))
    with np.errstate(invalid="ignore"):
        low, high = np.abs(value - lower) <= near, np.abs(value - upper) <= near
    both = low & high & (lower == upper)
    closer_low = np.abs(value - lower) <= np.abs(value - upper)
    names = np.where(both, "equal", np.where(low & closer_low, "lower", np.where(high, "upper", "")))
    return names if names.shape else str(names)


def entries(problem: Problem, result: Any) -> tuple[list[Entry], list[Entry]]:
    """Variables and constraints of a problem at its result."""
    multipliers = result.get("multipliers") or {}
    values = _values(problem, result)
    variables = [
        _entry(v.name, values[v.name], *problem.bounds[v], multipliers.get(v.name)) for v in problem.variables
    ]
    held = result.get("constraints") or {}
    constraints = [
        _entry(label, held.get(label), c.lower, c.upper, multipliers.get(label))
        for label, c in problem.constraints.items()
    ]
    return variables, constraints


def by_element(problem: Problem, items: Sequence[Entry]) -> list[Entry]:
    """Entries in which arrays whose elements have names of their own, or that a file declares one by one, are divided.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> f = m.define("f", (m.input("x", [0.0, 0.0]) ** 2).sum())
    >>> problem = adj.Problem(m, minimize="f", labels={"x": ["a", "b"]})
    >>> [e.name for e in by_element(problem, entries(problem, problem.solve())[0])]
    ['a', 'b']
    """
    out = []
    for e in items:
        shape = np.shape(e.lower)
        if not shape or (e.name not in problem.labels and problem.source is None):
            out.append(e)
            continue
        columns = [
            [None] * int(np.prod(shape)) if c is None else np.broadcast_to(c, shape).reshape(-1).tolist()
            for c in (e.value, e.lower, e.upper, e.active if e.value is not None else "", e.multiplier)
        ]
        rows = zip(*columns, strict=True)
        out += [Entry(problem.element(e.name, k), *row) for k, row in enumerate(rows)]
    return out


def _entry(name: str, value: Any, lower: Any, upper: Any, multiplier: Any) -> Entry:
    mark = "" if value is None else active(value, lower, upper, 0.0 if multiplier is None else multiplier)
    return Entry(name, value, lower, upper, mark, multiplier)


def _values(problem: Problem, result: Any) -> Mapping[str, Any]:
    """Values of the variables: of the solution, or of the last point where that does not solve."""
    solution = result.get("solution")
    if solution is not None:
        return {v.name: solution[v.name] for v in problem.variables}
    x = np.asarray(result.x, dtype=float)
    out, at = {}, 0
    for v in problem.variables:
        part = x[at : at + v.size].reshape(v.shape)
        out[v.name] = part if v.shape else float(part)
        at += v.size
    return out
