"""Values of the steps before, kept in registers: shifted sums without memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .body import Body
from .records import Shifted

__all__ = ["Carried"]


class Carried:
    """The values of shifted sums, with those of the steps before as far as they are needed.

    Attributes
    ----------
    values : list
        The operands whose values are carried.
    most : int
        How many steps back (of whole vectors).
    farthest : int
        The longest delay, in elements.
    """

    def __init__(self, sums: Sequence[Shifted], width: int) -> None:
        self.width = width
        self.depth: dict[Any, int] = {}
        self.farthest = 0
        for s in sums:
            for value, delay in s.terms:
                self.depth[value] = max(self.depth.get(value, 0), -(-delay // width))
                self.farthest = max(self.farthest, delay)
        self.values = list(self.depth)
        self.most = max(self.depth.values(), default=0)
        self.now: dict[Any, list[str]] = {}  # the names of a value now, one step before, …

    def names(self) -> list[str]:
        """One for each value and step back."""
        return [f"c{k}x{j}" for k, v in enumerate(self.values) for j in range(self.depth[v])]

    def clear(self, zero: str) -> None:
        """Before the first step."""
        self.now = {v: [zero] * self.depth[v] for v in self.values}

    def begin(self) -> None:
        """Before a step of a loop: what it is given has these names."""
        names = iter(self.names())
        self.now = {v: [f"%{next(names)}" for _ in range(self.depth[v])] for v in self.values}

    def step(self, new: Mapping[Any, str], other: str) -> None:
        """One step further, with new values; ``other``: of those that are not given."""
        self.now = {v: [new.get(v, other), *self.now[v]][: self.depth[v] + 1] for v in self.values}

    def results(self) -> dict[str, str]:
        """What the next step of a loop is given, by name."""
        found = [x for v in self.values for x in self.now[v][: self.depth[v]]]
        return dict(zip(self.names(), found, strict=True))

    def end(self) -> None:
        """After a loop, the values of its last step are one step back."""
        names = iter(self.names())
        self.now = {v: [f"%n{next(names)}" for _ in range(self.depth[v])] for v in self.values}

    def shifted(self, sum_: Shifted, body: Body) -> str:
        """Σ value(i − delay)"""
        total = ""
        for value, delay in sum_.terms:
            back, lanes = divmod(delay, self.width)
            x = self.now[value][back]
            if lanes:
                order = ", ".join(f"i32 {self.width - lanes + j}" for j in range(self.width))
                old = self.now[value][back + 1]
                x = body.op(f"shufflevector {body.type} {old}, {body.type} {x}, <{self.width} x i32> <{order}>")
            total = x if not total else body.add(total, x)
        return total
