"""How a kernel is laid out: its places in memory, its steps, and what kernels of one code may differ in."""

from __future__ import annotations

from typing import Any

from .body import literal
from .cutting import SHORT
from .nests import Nest
from .places import Place, Pools
from .records import Element, Kernel, Load, Shifted, Sink

__all__ = ["Layout"]

MOST_INTERLEAVED = 4  # vectors that are written as one, element by element in turn


class Layout:
    """Attributes
    ----------
    nest : Nest
    dims : tuple of int
        Its dimensions, the innermost last.
    places : list of Place
        The different ones; ``place_of`` each operand (by ``id``), ``sink_places`` of the sinks in their order.
    shifted : list of int
        The sinks that are shifted sums.
    interleaved : list of list of int
        Sinks that write neighbouring elements in turn.
    width : int
        Elements of a vector.
    length, full, rest : int
        Steps of the innermost loop; those in whole vectors; those left. A ``masked`` loop has one more vector instead.
    """

    def __init__(self, kernel: Kernel, pools: Pools, width: int) -> None:
        nest = Nest(kernel)
        self.kernel, self.nest, self.dims = kernel, nest, nest.inwards
        places: dict[Any, Place] = {}
        found = []
        for (buffer, access), own in zip(nest.accesses, nest.strides, strict=True):
            key = id(buffer), id(access.positions), access.offset, access.dims, access.strides
            if key not in places:
                places[key] = Place(pools, buffer, access, own, (nest.dims, nest.order))
            found.append(places[key])
        self.places = list(dict.fromkeys(found))
        self.place_of: dict[int, Place] = {id(a): p for a, p in zip(nest.operands, found, strict=False)}
        self.sink_places = found[len(nest.operands) :]
        n = self.dims[-1] if self.dims else 1
        self.width = 1
        while self.width < min(width, n):
            self.width *= 2
        self.full = n // self.width * self.width
        self.rest = n - self.full
        self.shifted = [k for k, s in enumerate(nest.sinks) if isinstance(s.value, Shifted)]
        # A short loop whose end is not whole goes under a mask from the start: its code is there once.
        short = n <= SHORT and not self.shifted and kernel.ranges is None
        self.masked = self.rest > 0 and 0 < self.full and short and self.width > 1
        if self.masked:
            self.full, self.rest = self.full + self.width, 0
        self.length = n
        self.interleaved = self._interleaved() if self.width > 1 else []

    def _interleaved(self) -> list[list[int]]:
        """Sinks of which each takes every s-th element, s of them all: first, second, … element."""
        groups: dict[Any, list[int]] = {}
        for k, (s, p) in enumerate(zip(self.nest.sinks, self.sink_places, strict=True)):
            if s.kind in ("store", "add") and p.table is None and 1 < p.inner <= MOST_INTERLEAVED:
                groups.setdefault((s.kind, s.buffer, p.strides), []).append(k)
        found = []
        for own in groups.values():
            own.sort(key=lambda k: self.sink_places[k].start)
            starts = [self.sink_places[k].start - self.sink_places[own[0]].start for k in own]
            if starts == list(range(self.sink_places[own[0]].inner)):
                found.append(own)
        return found

    def numbers(self) -> dict[str, int]:
        """The different constants among the operands, as bits, each with its place in the parameters."""
        values = [a for e in self.kernel.elements for a in e.args if isinstance(a, float)]
        values += [v for s in self.kernel.sinks for v in s.values if isinstance(v, float)]
        return {bits: k for k, bits in enumerate(dict.fromkeys(map(literal, values)))}

    def parameters(self) -> list[int]:
        """Constants, then where operands start, then where tables of positions start. Scalar code has them inside."""
        if self.kernel.size == 1:
            return []
        ranges = self.kernel.ranges
        bits = [int(x, 16) for x in self.numbers()]
        out = [x - (1 << 64) * (x >> 63) for x in bits]
        out += [p.start for p in self.places]
        out += [p.table for p in self.places if p.table is not None]
        return out + ([ranges.partial.offset] if ranges is not None and ranges.partial is not None else [])

    def key(self) -> Any:
        """Equal for kernels whose text is the same; None for scalar code."""
        if self.kernel.size == 1:
            return None
        numbers = self.numbers()
        place = {p: k for k, p in enumerate(self.places)}
        index: dict[int, int] = {}

        def operand(a: Any) -> Any:
            if isinstance(a, Element):
                return index[id(a)]
            return ("at", place[self.place_of[id(a)]]) if isinstance(a, Load) else ("number", numbers[literal(a)])

        elements = []
        for k, e in enumerate(self.kernel.elements):
            elements.append((e.name, *map(operand, e.args)))
            index[id(e)] = k
        sinks = [
            (s.kind, place[p], _delays(s), *map(operand, s.values))
            for s, p in zip(self.nest.sinks, self.sink_places, strict=True)
        ]
        geometry = [(p.slot, p.strides, p.jumps, p.table is None) for p in self.places]
        r = self.kernel.ranges
        parts = None if r is None else (r.axis, r.length, r.count)
        together = tuple(map(tuple, self.interleaved))
        return self.dims, tuple(geometry), tuple(elements), tuple(sinks), parts, together


def _delays(sink: Sink) -> tuple[int, ...]:
    return tuple(d for _, d in sink.value.terms) if isinstance(sink.value, Shifted) else ()
