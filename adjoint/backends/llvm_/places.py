"""Where the operands of kernels are: the arrays of a function by slot, and the strides of an access in a loop nest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .access import Access, contiguous, split, strided
from .records import Buffer

__all__ = ["FIXED", "Place", "Pools", "loop_order"]

FIXED = 3  # slots of the table of addresses before inputs: work, constants, positions
NARROW = 8  # steps; a shorter innermost loop gives its place to a longer one


class Pools:
    """Constants and tables of positions of a function, each in one array; and the slots of its buffers."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.constants: list[np.ndarray] = []
        self.positions: list[np.ndarray] = []
        self.sizes = [0, 0]
        self._known: dict[Any, int] = {}

    def slot(self, buffer: Buffer) -> int:
        """The slot that holds the address of a buffer's array."""
        if buffer.place == "work":
            return 0
        if buffer.place == "constant":
            return 1
        first = {"input": FIXED, "output": FIXED + self.inputs, "array": FIXED + self.inputs + self.outputs}
        return first[buffer.place] + buffer.index

    def offset(self, buffer: Buffer) -> int:
        """Where the buffer starts in that array."""
        if buffer.place != "constant":
            return buffer.offset
        return self._add(0, self.constants, buffer.clear)

    def table(self, positions: np.ndarray) -> int:
        """Where a table of positions starts."""
        return self._add(1, self.positions, positions.astype(np.int32))

    def _add(self, kind: int, into: list[np.ndarray], data: np.ndarray) -> int:
        key = kind, data.tobytes()
        if key not in self._known:
            self._known[key] = self.sizes[kind]
            into.append(data)
            self.sizes[kind] += data.size
        return self._known[key]


class Place:
    """One access of a kernel: its array, and its strides in the loop nest.

    Attributes
    ----------
    strides : of the elements; where every step has a position of its own (``indexed``), of the table of positions
    table : where the table of positions starts; None: there is none
    jumps : strides of the table where one position is for a whole innermost loop
    """

    def __init__(self, pools: Pools, buffer: Buffer, access: Access, strides: Any, nest: Any) -> None:
        dims, order = nest
        ordered = tuple(dims[i] for i in order)
        self.slot, self.start = pools.slot(buffer), pools.offset(buffer)
        self.table: int | None = None
        self.positions: np.ndarray | None = None
        self.jumps: tuple[int, ...] = ()
        if access.positions is None and strides is not None:
            self.start += access.offset
            self.strides = tuple(strides[i] for i in order)
        elif strides is not None and access.run > 1 and strides[order[-1]] == 0:
            inside = split(strided((access.size // access.run, access.run), (0, 1)), dims)
            self.table = pools.table(access.positions)  # type: ignore[arg-type]
            self.jumps, self.strides = tuple(strides[i] for i in order), tuple(inside[i] for i in order)
        else:
            table = access.table().reshape(dims).transpose(order).reshape(-1)
            self.positions, self.table = table, pools.table(table)
            self.strides = split(contiguous(access.size), ordered)

    @property
    def indexed(self) -> bool:
        """Whether every step has a position of its own."""
        return self.table is not None and not self.jumps

    @property
    def inner(self) -> int:
        return self.strides[-1] if self.strides else 0

    @property
    def outer(self) -> tuple[int, ...]:
        return self.strides[:-1]


def loop_order(dims: Sequence[int]) -> list[int]:
    """The dimensions with the innermost last: the last one, unless it is short and another is long."""
    order = list(range(len(dims)))
    if len(dims) > 1 and dims[-1] < NARROW:
        longest = int(np.argmax(dims))
        if dims[longest] >= 2 * dims[-1]:
            order.remove(longest)
            order.append(longest)
    return order
