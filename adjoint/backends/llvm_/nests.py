"""The loop nest of a kernel: its dimensions, and the strides of what it reads and writes."""

from __future__ import annotations

import numpy as np

from .access import contiguous, refined, strided
from .places import loop_order
from .records import Kernel, Load, Shifted, Sink

__all__ = ["Nest"]


class Nest:
    """Attributes
    ----------
    operands : list of Load
    sinks : list of Sink
        Stores of elements that others read, then the sinks of the kernel.
    accesses : list of (Buffer, Access)
        Of the operands, then of the sinks; of shifted sums those of the first as many steps as the loop has.
    dims, order : of the nest as the accesses are written, and which of them follow each other inwards
    strides : of each access in ``dims``; None: it goes by a table of positions
    """

    def __init__(self, kernel: Kernel) -> None:
        self.operands = [a for e in kernel.elements for a in e.args if isinstance(a, Load)]
        self.operands += [v for s in kernel.sinks for v in s.values if isinstance(v, Load)]
        stores = [Sink("store", e, e.buffer, contiguous(e.size), 0) for e in kernel.elements if e.buffer is not None]
        self.sinks = stores + kernel.sinks
        self.accesses = [(a.buffer, a.access) for a in self.operands]
        for s in self.sinks:
            a = s.access
            if isinstance(s.value, Shifted):
                a = strided((kernel.size,), a.strides, a.offset)
            self.accesses.append((s.buffer, a))
        self.dims, self.strides = refined([a for _, a in self.accesses], kernel.size)
        self.order = loop_order(self.dims)

    @property
    def inwards(self) -> tuple[int, ...]:
        """The dimensions, the innermost last."""
        return tuple(self.dims[i] for i in self.order)

    def steps(self, k: int) -> tuple[int, ...] | None:
        """The strides of the sink of a number, the innermost last; None where it goes by a table."""
        own = self.strides[len(self.operands) + k]
        access = self.accesses[len(self.operands) + k][1]
        return None if own is None or access.positions is not None else tuple(own[i] for i in self.order)

    def is_held(self, k: int) -> bool:
        """Whether the innermost loop adds to (or takes the largest for) one place always: in a register."""
        own = self.steps(k)
        return self.sinks[k].kind != "store" and own is not None and (not own or own[-1] == 0)

    def along(self, axis: int, parts: np.ndarray) -> np.ndarray:
        """A number for each step, in the order of the accesses, that depends on its place along an axis."""
        shape = [1] * len(self.dims)
        shape[self.order[axis]] = parts.size
        return np.broadcast_to(parts.reshape(shape), self.dims).reshape(-1)
