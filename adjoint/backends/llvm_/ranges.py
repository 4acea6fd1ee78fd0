"""Long loops in ranges of their steps, which several threads may take one after the other.

Which ranges there are depends on the loop only, not on the number of threads; sums of ranges are added in their order.
So the results do not depend on the number of threads either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .cutting import cost
from .nests import Nest
from .records import Buffer, Element, Kernel, Load, Ranges, Sink

__all__ = ["shared"]

WORTH = 600_000  # cost of a loop from which ranges pay: some 30 µs
LEAST = 150_000  # cost of a range: some 5 µs, against which the time to take it does not count
MOST = 64  # ranges
UNIT = 8  # steps of the innermost loop of which ranges are multiples: no vector is longer
FEWEST = 8  # ranges along an outer dimension; one that gives less leaves threads without work
SHORTEST = 256  # steps of ranges along an innermost dimension that is not the only one
TRANSFER = 2  # cost of reading or writing one element
ADDED = 40  # cost per step and sink from which a sum at places that ranges share gets a loop of its own
LISTED = 4_000_000  # places of sinks that are compared one by one; beyond, it would take too long

Reload = Callable[[Element], Load]


def shared(kernel: Kernel, reload: Reload) -> list[Kernel]:
    """A loop with its ranges, if it is worth it and they write to different places. Sums at places that ranges share
    are formed in a second loop, where the first one has enough to do without. ``reload`` gives the operand that reads
    an element from memory."""
    found = _choices(kernel)
    if not found or _divide(kernel, found):
        return [kernel]
    later = [s for s in _contested(*found[0]) if isinstance(s.value, Element)]
    if not later or sum(map(cost, kernel.elements)) < ADDED * len(later):
        return [kernel]
    kernel.sinks = [s for s in kernel.sinks if s not in later]
    for s in later:
        s.value = reload(s.value)
    _divide(kernel, _choices(kernel))
    return [kernel, Kernel(kernel.stage, kernel.size, [], later)]


def _choices(kernel: Kernel) -> list[tuple[Nest, Ranges]]:
    """The nest of a loop, with ranges along its outermost and its innermost dimension, where they pay."""
    operations = sum(map(cost, kernel.elements))
    most = operations + TRANSFER * (2 * len(kernel.elements) + len(kernel.sinks) + 1)
    if kernel.size < 2 * UNIT or kernel.size * most < WORTH:
        return []
    nest = Nest(kernel)
    dims = nest.inwards
    places = {(b, a.offset, a.dims, a.strides, id(a.positions)) for b, a in nest.accesses}
    weight = kernel.size * (operations + TRANSFER * len(places))
    wanted = min(MOST, weight // LEAST)
    if weight < WORTH or wanted < 2:
        return []
    found = []
    for axis in dict.fromkeys((0, len(dims) - 1)):
        inner = axis == len(dims) - 1
        unit = UNIT if inner else 1
        length = -(-dims[axis] // (wanted * unit)) * unit
        if inner and len(dims) > 1:
            length = max(length, SHORTEST)
        count = dims[axis] // length
        if count > 1 and (inner or count >= min(FEWEST, wanted)):
            found.append((nest, Ranges(axis, length, count, None)))
    return found


def _divide(kernel: Kernel, choices: Sequence[tuple[Nest, Ranges]]) -> bool:
    """Have the first of the ranges that write to different places; whether there are some."""
    for nest, ranges in choices:
        if not _contested(nest, ranges):
            if ranges.axis == len(nest.dims) - 1:
                held = sum(map(nest.is_held, range(len(nest.sinks))))
                outer = kernel.size // nest.inwards[-1]
                ranges.partial = Buffer(held * outer * ranges.count, "work") if held else None
            kernel.ranges = ranges
            return True
    return False


def _contested(nest: Nest, ranges: Ranges) -> list[Sink]:
    """Sinks that several ranges would add to one place by. (Stores are to different places always, and the sums of
    ranges that a register holds are put together at the end.)"""
    inner = ranges.axis == len(nest.dims) - 1
    adding: dict[Buffer, list[int]] = {}
    for k, s in enumerate(nest.sinks):
        if s.kind != "store" and not (inner and nest.is_held(k)):
            adding.setdefault(s.buffer, []).append(k)
    found: list[Sink] = []
    for own in adding.values():
        if not (all(_is_apart(nest, k, ranges.axis) for k in own) and _are_disjoint(nest, own)):
            found += _shared_places(nest, ranges, own)
    return found


def _is_apart(nest: Nest, k: int, axis: int) -> bool:
    """Whether steps along the axis lead out of the reach of the others."""
    steps = nest.steps(k)
    if steps is None:
        return False
    reach = sum((n - 1) * abs(s) for d, (n, s) in enumerate(zip(nest.inwards, steps, strict=True)) if d != axis)
    return abs(steps[axis]) > reach


def _are_disjoint(nest: Nest, own: Sequence[int]) -> bool:
    """Whether sinks into one buffer write different places: every s-th element from different ones on."""
    steps = {nest.steps(k) for k in own}
    if len(own) == 1:
        return True
    (first, *others) = steps
    if others or first is None or len(first) != 1:
        return False
    return len({nest.sinks[k].access.offset % abs(first[0]) for k in own}) == len(own)


def _shared_places(nest: Nest, ranges: Ranges, own: Sequence[int]) -> list[Sink]:
    """The sinks into one buffer, if a place of theirs belongs to several ranges."""
    sinks = [nest.sinks[k] for k in own]
    n = nest.inwards[ranges.axis]
    size = sum(s.access.size for s in sinks)
    if size > LISTED:
        return sinks
    part = nest.along(ranges.axis, np.minimum(np.arange(n) // ranges.length, ranges.count - 1))
    owner = np.full(max(int(s.access.table().max()) for s in sinks) + 1, -1)
    places = [(s.access.table(), np.append(part, np.full(s.access.size - part.size, part[-1]))) for s in sinks]
    for table, numbers in places:
        owner[table] = numbers
    return [] if all((owner[table] == numbers).all() for table, numbers in places) else sinks
