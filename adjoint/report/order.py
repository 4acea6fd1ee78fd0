"""Columns of boxes, from top to bottom: in an order with few crossings, at heights with straight lines.

Steps three and four of the layered method (Sugiyama, Tagawa & Toda 1981): barycentres, the best of some sweeps; then
heights by least squares with the distances kept, which is an isotonic regression in each column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import isotonic_regression

__all__ = ["Item", "Links", "level", "ordered"]

GAP = 0.14  # inches between neighbours in a column


@dataclass(eq=False)
class Item:
    """A group (index ≥ 0) or the passage of an edge (−1), in a column."""

    group: int
    height: float
    y: float = 0.0  # of its middle


Links = dict[
    Item, list[tuple[Item, float, float]]
]  # neighbours, with where a line leaves and arrives, from the middles


def ordered(stacks: list[list[Item]], links: tuple[Links, Links], sweeps: int = 12) -> list[list[Item]]:
    """Columns from top to bottom by barycentres, swept right and left; the order with the fewest crossings.

    ``links`` are the neighbours on the left and on the right of each item.

    >>> a, b, c, d = (Item(i, 1.0) for i in range(4))
    >>> left, right = {c: [(b, 0, 0)], d: [(a, 0, 0)]}, {a: [(d, 0, 0)], b: [(c, 0, 0)]}
    >>> [[item.group for item in stack] for stack in ordered([[a, b], [c, d]], (left, right))]
    [[0, 1], [3, 2]]
    """
    best, fewest = [list(s) for s in stacks], np.inf
    _stack(stacks)
    for sweep in range(sweeps):
        side = links[sweep % 2]
        order = stacks if sweep % 2 == 0 else stacks[::-1]
        for stack in order[1:]:
            wish = {item: _wish(item, side) for item in stack}
            stack.sort(key=lambda item: -wish[item])
            _pile(stack)
        crossings = sum(_crossings(stack, links[1]) for stack in stacks)
        if crossings < fewest:
            best, fewest = [list(s) for s in stacks], crossings
    _stack(best)
    return best


def _wish(item: Item, side: Links) -> float:
    near = side.get(item)
    if not near:
        return item.y
    return float(np.mean([other.y + theirs - mine for other, mine, theirs in near]))


def _crossings(stack: Sequence[Item], right: Links) -> int:
    """Pairs of edges to the next column that change their order."""
    pairs = [(a.y + mine, b.y + theirs) for a in stack for b, mine, theirs in right.get(a, ())]
    if len(pairs) < 2:
        return 0
    ends = np.array(pairs)
    d = ends[:, None, :] - ends[None, :, :]
    return int(np.sum(d[..., 0] * d[..., 1] < 0)) // 2


def _stack(stacks: Sequence[list[Item]]) -> None:
    for stack in stacks:
        _pile(stack)


def _pile(stack: Sequence[Item]) -> None:
    """Items directly below each other, around height 0."""
    total = sum(i.height for i in stack) + GAP * (len(stack) - 1)
    y = total / 2
    for item in stack:
        item.y = y - item.height / 2
        y -= item.height + GAP


def level(stacks: Sequence[Sequence[Item]], links: tuple[Links, Links], sweeps: int = 24) -> None:
    """Move items towards their neighbours; the order and the distances are kept.

    >>> a, b = Item(0, 1.0), Item(1, 1.0, y=5.0)
    >>> level([[a], [b]], ({b: [(a, 0, 0)]}, {a: [(b, 0, 0)]}))
    >>> a.y == b.y
    True
    """
    for sweep in range(sweeps):
        for stack in stacks if sweep % 2 == 0 else stacks[::-1]:
            if not stack:
                continue
            wish = np.array([_middle(item, links) for item in stack])
            weight = np.array([1.0 + 3.0 * (item.group < 0) for item in stack])  # straight passages
            apart = np.cumsum([0.0, *((a.height + b.height) / 2 + GAP for a, b in pairwise(stack))])
            y = isotonic_regression(wish + apart, weights=weight, increasing=False).x - apart
            for item, value in zip(stack, y, strict=True):
                item.y = float(value)


def _middle(item: Item, links: tuple[Links, Links]) -> float:
    near = [*links[0].get(item, ()), *links[1].get(item, ())]
    return float(np.mean([o.y + theirs - mine for o, mine, theirs in near])) if near else item.y
