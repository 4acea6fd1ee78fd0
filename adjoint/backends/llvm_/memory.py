"""Where buffers are in the work memory, from when to when."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from .access import contiguous
from .records import Buffer, Call, Kernel, Load, Sink

__all__ = ["clearing", "place_work"]


def place_work(kernels: Iterable[Kernel], calls: Iterable[Call]) -> tuple[int, Collection[Buffer]]:
    """Offsets of the work buffers: memory is used again after the last stage that reads it. The doubles that are
    needed in all, and the buffers."""
    span: dict[Buffer, list[int]] = {}

    def touch(buffer: Buffer, stage: int) -> None:
        if buffer.place == "work" and buffer.size:
            known = span.setdefault(buffer, [stage, stage])
            known[0], known[1] = min(known[0], stage), max(known[1], stage)

    for kernel in kernels:
        for e in kernel.elements:
            for a in e.args:
                if isinstance(a, Load):
                    touch(a.buffer, kernel.stage)
            if e.buffer is not None:
                touch(e.buffer, kernel.stage)
        for s in kernel.sinks:
            touch(s.buffer, kernel.stage)
            for value in s.values:
                if isinstance(value, Load):
                    touch(value.buffer, kernel.stage)
        if kernel.ranges is not None and kernel.ranges.partial is not None:
            touch(kernel.ranges.partial, kernel.stage)
    for call in calls:
        for a in call.args:
            if isinstance(a, tuple):
                touch(a[0], call.stage)
    for b, (first, last) in span.items():
        b.first, b.last = first, last
    return _assign(sorted(span, key=lambda b: b.first)), span


def _assign(buffers: Sequence[Buffer]) -> int:
    """First fit among the freed places of the same size; the total size."""
    free: dict[int, list[int]] = {}
    ending: dict[int, list[Buffer]] = {}  # by the last stage that reads them
    total = stage = 0
    for b in buffers:
        while stage < b.first:
            for old in ending.pop(stage, ()):
                free.setdefault(old.size, []).append(old.offset)
            stage += 1
        places = free.get(b.size)
        if places:
            b.offset = places.pop()
        else:
            b.offset = total
            total += (b.size + 7) // 8 * 8 if b.size > 1 else 1
        ending.setdefault(b.last, []).append(b)
    return total


def clearing(buffer: Buffer) -> list[Kernel]:
    """What a buffer holds before sinks add to it."""
    out = []
    for start, stop in [(0, buffer.size)] if buffer.gaps is None else buffer.gaps:
        sink = Sink("store", buffer.clear, buffer, contiguous(stop - start, start), buffer.first)
        out.append(Kernel(buffer.first, stop - start, [], [sink]))
    return out
