"""What loops add to arrays: equal places at once, neighbouring ones in registers, the first without reading.

A reverse sweep adds terms at shifted places, ``out[i + s_k] += v_k(i)``. One loop that forms
``out[j] += Σ_k v_k(j − s_k)`` from the values of the steps before reads and writes each element once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .access import Access, strided
from .nests import Nest
from .records import Buffer, Element, Kernel, Load, Shifted, Sink

__all__ = ["gather", "settle"]

FARTHEST = 8  # steps between the first and the last term of a shifted sum
SHORTEST = 64  # steps; of shorter loops nothing is shifted
GAPS = 4  # runs of elements that are set to zero apart from the rest
NEAR = 64  # elements; a processor waits where it reads what was written just before, at another distance

Reload = Callable[[Element], Load]


def gather(kernel: Kernel, reload: Reload) -> list[Kernel]:
    """A loop whose sinks are gathered, and further loops for runs that it would add to one buffer too close to each
    other. ``reload`` gives the operand that reads an element from memory."""
    if kernel.size == 1 or len(kernel.sinks) < 2:
        return [kernel]
    _add_equal(kernel)
    if kernel.size < SHORTEST:
        return [kernel]
    _shift(kernel)
    return [kernel, *_apart(kernel, reload)]


def _add_equal(kernel: Kernel) -> None:
    """Terms of one place are added before."""
    known: dict[Any, Sink] = {}
    for s in list(kernel.sinks):
        if s.kind != "add":
            continue
        a = s.access
        first = known.setdefault((s.buffer, a.offset, a.dims, a.strides, id(a.positions), a.run), s)
        if first is s:
            continue
        kernel.sinks.remove(s)
        if isinstance(first.value, float) and isinstance(s.value, float):
            first.value += s.value
        else:
            first.value = Element("add", kernel.size, [first.value, s.value], kernel.stage)
            kernel.elements.append(first.value)


def _is_line(access: Access) -> bool:
    return access.positions is None and len(access.strides) == 1 and access.strides[0] > 0


def _shift(kernel: Kernel) -> None:
    """Sums of neighbouring steps, where the loop is no nest."""
    lines: dict[Any, list[Sink]] = {}
    for s in kernel.sinks:
        if s.kind == "add" and _is_line(s.access):
            step = s.access.strides[0]
            lines.setdefault((s.buffer, step, s.access.offset % step), []).append(s)
    groups = [g for line in lines.values() for g in _close(sorted(line, key=lambda s: s.access.offset))]
    if not groups or len(Nest(kernel).dims) > 1:
        return
    for group in groups:
        first, (step,) = group[0].access, group[0].access.strides
        terms = [(s.value, (s.access.offset - first.offset) // step) for s in group]
        access = strided((kernel.size + terms[-1][1],), (step,), first.offset)
        kernel.sinks = [s for s in kernel.sinks if s not in group]
        kernel.sinks.append(Sink("add", Shifted(terms), group[0].buffer, access, kernel.stage))


def _close(line: Sequence[Sink]) -> list[list[Sink]]:
    """Several sinks each, at most FARTHEST steps from the first to the last."""
    groups: list[list[Sink]] = []
    for s in line:
        step = s.access.strides[0]
        if groups and s.access.offset - groups[-1][0].access.offset <= FARTHEST * step:
            groups[-1].append(s)
        else:
            groups.append([s])
    return [g for g in groups if len(g) > 1]


def _apart(kernel: Kernel, reload: Reload) -> list[Kernel]:
    """Runs that the loop adds to a buffer near another one: loops of their own."""
    found = []
    seen: dict[Buffer, list[int]] = {}
    for s in list(kernel.sinks):
        if s.kind != "add" or not _is_run(s.access):
            continue
        near = seen.setdefault(s.buffer, [])
        if isinstance(s.value, Element) and any(0 < abs(s.access.offset - other) < NEAR for other in near):
            kernel.sinks.remove(s)
            found.append(Kernel(kernel.stage, kernel.size, [], [s]))
            s.value = reload(s.value)
        else:
            near.append(s.access.offset)
    return found


def _is_run(access: Access) -> bool:
    """Whether it is elements one after the other."""
    return access.positions is None and (access.strides == (1,) or access.size == 1)


def settle(buffer: Buffer, sinks: Sequence[Sequence[Sink]]) -> bool:
    """Sinks store instead of adding where nothing is there before: those that meet no other, or the one before all
    others. ``sinks``: of each loop that adds to the buffer, in the order of the loops.

    Whether those that store fill the buffer.
    """
    every = [s for group in sinks for s in group]
    if any(s.kind != "add" for s in every):
        return False
    before = buffer.clear.buffer.clear if isinstance(buffer.clear, Load) else buffer.clear
    places = [_places(s.access) for s in every]
    free = _counted(places, buffer.size) == 1
    free &= np.broadcast_to(before, buffer.size) == 0.0
    for s, own in zip(every, places, strict=True):
        if free[own].all():
            s.kind = "store"
    if all(s.kind == "store" for s in every):
        return sum(s.access.size for s in every) == buffer.size
    if isinstance(before, float) and before == 0.0:
        _store_first(buffer, sinks[0])
    return False


def _places(access: Access) -> slice | np.ndarray:
    """The positions of an access, as a slice where they are."""
    if not _is_line(access):
        return access.table()
    (step,) = access.strides
    return slice(access.offset, access.offset + step * access.size, step)


def _counted(places: Sequence[slice | np.ndarray], size: int) -> np.ndarray:
    """How often each of so many elements is among the places."""
    count = np.zeros(size, dtype=np.int64)
    tables = [own for own in places if not isinstance(own, slice)]
    count = np.bincount(np.concatenate(tables), minlength=size) if tables else np.zeros(size, dtype=np.int64)
    for own in places:
        if isinstance(own, slice):
            count[own] += 1
    return count


def _store_first(buffer: Buffer, sinks: Sequence[Sink]) -> None:
    """The sinks of the loop that comes first store, if they do not meet each other and leave few gaps."""
    count = _counted([_places(s.access) for s in sinks], buffer.size)
    if count.max() > 1:
        return
    ends = np.flatnonzero(np.diff(np.concatenate([[1], count, [1]])))  # of runs without any
    if ends.size <= 2 * GAPS:
        for s in sinks:
            s.kind = "store"
        buffer.gaps = [(int(a), int(b)) for a, b in ends.reshape(-1, 2)]
