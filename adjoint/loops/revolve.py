"""Binomial checkpointing: a reversed sweep over many steps with few states kept.

A sweep that is reversed needs the state before every step, the last one first. With ``s`` snapshots (the state at the
start is one of them) and at most ``r`` repetitions of any step, ``β(s, r) = C(s + r, s)`` steps can be reversed, and no
schedule does it with fewer steps than

    t(l, s) = r l − β(s + 1, r − 1),     β(s, r − 1) < l ≤ β(s, r),

the steps of the reversal itself not counted (Griewank & Walther 2000, "Algorithm 799: Revolve", theorem 6.1 with
proposition 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import comb
from typing import NamedTuple

__all__ = ["Action", "advances", "best_blocks", "schedule"]


class Action(NamedTuple):
    """What is done next: ``store`` (the state before step ``first`` into a snapshot), ``restore`` (it from there),
    ``advance`` (from step ``first`` to ``last``), or ``reverse`` (step ``first``)."""

    kind: str
    first: int
    last: int
    snapshot: int


def repetitions(length: int, snapshots: int) -> int:
    """The smallest r with ``length ≤ β(snapshots, r)``."""
    r = 0
    while comb(snapshots + r, snapshots) < length:
        r += 1
    return r


def advances(length: int, snapshots: int) -> int:
    """Steps that the best schedule repeats, ``t(length, snapshots)``.

    >>> advances(10, 3), advances(10, 10), advances(4, 1)
    (15, 9, 6)
    """
    if length <= 1:
        return 0
    r = repetitions(length, snapshots)
    return r * length - comb(snapshots + r, snapshots + 1)


def schedule(length: int, snapshots: int) -> Iterator[Action]:
    """The actions that reverse so many steps with so many snapshots; snapshot 0 holds the state at the start.

    >>> [tuple(a) for a in schedule(3, 2)][:4]
    [('store', 0, 0, 0), ('advance', 0, 1, 0), ('store', 1, 1, 1), ('advance', 1, 2, 0)]
    """
    yield Action("store", 0, 0, 0)
    # Parts of the sweep that are left: from a step to a step, the first one's state being in a snapshot.
    left = [(0, length, 0)]
    at: int | None = 0  # the step whose state is at hand
    while left:
        first, last, k = left.pop()
        if first >= last:
            continue
        if at != first:
            yield Action("restore", first, first, k)
            at = first
        size, free = last - first, snapshots - k
        if size > 1 and free > 1:
            middle = first + _split(size, free)
            yield Action("advance", first, middle, 0)
            yield Action("store", middle, middle, k + 1)
            at = middle
            left += [(first, middle, k), (middle, last, k + 1)]
            continue
        if size > 1:
            yield Action("advance", first, last - 1, 0)
            left.append((first, last - 1, k))
        yield Action("reverse", last - 1, last, 0)
        at = None


def _split(length: int, snapshots: int) -> int:
    """Where the next snapshot goes: the first part is repeated once less often than the whole may be, in the second
    there is one snapshot less: ``m ≤ β(s, r − 1)`` and ``l − m ≤ β(s − 1, r)``, both as large as they need to be for
    the total to be least."""
    r = repetitions(length, snapshots)
    least = comb(snapshots + r - 2, snapshots) if r >= 2 else 1
    return max(1, least, length - comb(snapshots - 1 + r, snapshots - 1))


def best_blocks(length: int, states: int, width: float, overhead: int = 200) -> tuple[int, int]:
    """How many steps are reversed together, and how many snapshots are kept, where ``states`` states may be.

    The record of a step that is reversed takes ``width`` states. ``overhead``: what one action costs, in steps.

    >>> block, snapshots = best_blocks(100_000, 300, 1.0)
    >>> block + snapshots <= 300
    True
    """
    best = None
    block = 1
    while block * width + 1 <= max(states, width + 1):
        snapshots = max(1, int(states - block * width))
        count = -(-length // block)
        again = advances(count, snapshots)
        cost = block * again + overhead * (count + again)
        if best is None or cost < best[0]:
            best = cost, block, snapshots
        block = max(block + 1, int(1.1 * block))
    assert best is not None
    return best[1], best[2]
