"""What a lowered program consists of: kernels and calls, their operands in memory, and what they do with results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...expr import Expr
from .access import Access

__all__ = ["Buffer", "Call", "Element", "Kernel", "Load", "Lowered", "Ranges", "Shifted", "Sink"]


@dataclass(slots=True, eq=False)
class Buffer:
    """An array in memory. ``place``: work, output, input, constant or array (made by a call)."""

    size: int
    place: str
    index: int = 0
    offset: int = 0
    clear: Any = None  # what it holds before sinks add to it; the values of a constant
    first: int = 0  # stages between which it is needed
    last: int = 0
    gaps: list[tuple[int, int]] | None = None  # where it is cleared; None: everywhere


@dataclass(slots=True, eq=False)
class Load:
    """An operand read from memory."""

    buffer: Buffer
    access: Access


@dataclass(slots=True, eq=False)
class Element:
    """An elementwise operation in a loop: of operands that are elements, loads or numbers."""

    name: str
    size: int
    args: list[Any]
    stage: int
    buffer: Buffer | None = None
    order: int = 0


@dataclass(slots=True, eq=False)
class Shifted:
    """A sum of values of a loop, each some steps later: ``Σ value(i − delay)``, of the terms that there are."""

    terms: list[tuple[Any, int]]  # values, and their delays


@dataclass(slots=True, eq=False)
class Sink:
    """What a loop does with a value: ``store``, ``add``, ``maximum`` or ``minimum`` into a buffer."""

    kind: str
    value: Any
    buffer: Buffer
    access: Access
    stage: int

    @property
    def values(self) -> list[Any]:
        """What it is made of: elements, loads, numbers."""
        return [v for v, _ in self.value.terms] if isinstance(self.value, Shifted) else [self.value]


@dataclass(slots=True, eq=False)
class Call:
    """An operation that NumPy executes, its arguments as arrays."""

    node: Expr
    args: list[Any]  # (buffer, base shape, operations looked through) or a constant array
    buffer: Buffer
    stage: int


@dataclass(slots=True, eq=False)
class Ranges:
    """A loop in parts of which several threads may take one each: ``count`` parts of ``length`` steps along an axis of
    its nest, the last one longer."""

    axis: int
    length: int
    count: int
    partial: Buffer | None  # the sums of each part, where they are not added to memory by the parts themselves


@dataclass(slots=True, eq=False)
class Kernel:
    """A loop over ``size`` steps."""

    stage: int
    size: int
    elements: list[Element] = field(default_factory=list)
    sinks: list[Sink] = field(default_factory=list)
    ranges: Ranges | None = None


@dataclass(slots=True, eq=False)
class Lowered:
    """A program in stages: each has clears, kernels and calls."""

    kernels: list[Kernel]
    calls: list[Call]
    outputs: list[Buffer]
    inputs: list[Buffer]
    work: int  # doubles of work memory
    stages: int
