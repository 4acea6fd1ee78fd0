"""The order of a tape: by level and opcode for loops, or in phases for straight-line code.

*By level.* The level of an operation is one more than the largest of its operands. Sorted by (level, opcode), a program
falls into segments: operations of one kind that do not depend on each other.

*In phases.* Light operations (an instruction or two) are not worth a loop; the others (sin, exp, …) are worth vectors,
the longer the better. The phase of a light operation is the largest of its operands, that of a heavy one is one more,
and heavy operations are made at the end of the phase before, all of a kind together. So only heavy operations count,
and a phase has several times as many of a kind as a level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...expr import Variable

__all__ = ["COPY", "MASK_BITS", "Tape", "by_level", "in_phases"]

COPY = 1 << 12  # the opcode of copies; above all others: a copy comes last in its level
MASK_BITS = 3  # an opcode and which of its operands are constants, in one number
LOCAL_SIZE, LOCAL_LENGTH = 20_000, 32  # operations, and their mean number in a segment, where order within a segment
# pays: neighbours then read neighbouring values, from fewer cache lines


Defined = tuple[tuple[Variable, ...], np.ndarray]  # variables with definitions, numbers of all their elements


@dataclass(frozen=True, slots=True)
class Tape:
    """A scalar program in segments.

    Attributes
    ----------
    input_sizes : tuple of int
        Elements of each input, in order at the beginning of ``w``.
    constants : ndarray
        Values at the positions behind the inputs.
    operands : tuple of three int32 arrays
        Positions of the first, second and third operand, by the position of the result.
    segments : int64 array, four columns
        Opcode, bits of the operands that are constants (bit k: operand k), start and stop.
    light : int32 array or None
        Of a tape in phases: by position, opcode and bits (``opcode << 3 | bits``) of light operations; −1 for all else.
    outputs : tuple of int64 arrays
        Positions of the elements of each output, in its shape.
    defined : tuple of Variable
        Variables with definitions that the outputs depend on,
    defined_at : int64 array
        and the positions of all their elements.
    """

    input_sizes: tuple[int, ...]
    constants: np.ndarray
    operands: tuple[np.ndarray, np.ndarray, np.ndarray]
    segments: np.ndarray
    outputs: tuple[np.ndarray, ...]
    defined: tuple[Variable, ...]
    defined_at: np.ndarray
    light: np.ndarray | None = None

    @property
    def definitions(self) -> dict[Variable, np.ndarray]:
        """Positions of the variables with definitions, in their shapes."""
        if all(not v.shape for v in self.defined):
            return dict(zip(self.defined, self.defined_at, strict=True))
        parts = np.split(self.defined_at, np.cumsum([v.size for v in self.defined])[:-1])
        return {v: p.reshape(v.shape) for v, p in zip(self.defined, parts, strict=True)}

    @property
    def size(self) -> int:
        """Number of values, inputs and constants among them."""
        return self.operands[0].size

    @property
    def operations(self) -> int:
        """Number of operations."""
        listed = 0 if self.light is None else int((self.light >= 0).sum())
        return listed + int((self.segments[:, 3] - self.segments[:, 2]).sum())


@dataclass(frozen=True, slots=True)
class _Listed:
    """What was read, as arrays: of constants (opcode −1), operations, and values left out (−2).

    ``variants`` are ``opcode << 3 | bits``; ``operands``, ``outputs`` and ``defined`` (of the elements of the variables
    with definitions) are numbers in the order of discovery.
    """

    leaves: int
    codes: np.ndarray
    operands: list[np.ndarray]
    variants: np.ndarray
    outputs: list[np.ndarray]
    defined: np.ndarray


def _listed(reader: Any, outputs: list[np.ndarray], defined: np.ndarray) -> _Listed:
    """Without needless copies."""
    leaves = reader.leaves
    codes = np.array(reader.codes, dtype=np.int32)
    columns = [np.array(column, dtype=np.int32) for column in (reader.a, reader.b, reader.c)]
    if COPY in reader.codes:
        root = _without_copies(leaves, codes, columns, outputs)
        columns = [root[column].astype(np.int32) for column in columns]
        outputs = [root[p] for p in outputs]
        defined = root[defined]
        codes = np.where(root[leaves:] == np.arange(leaves, leaves + codes.size), codes, -2)
    constant = np.zeros(leaves + codes.size, dtype=np.int8)
    constant[leaves:] = codes == -1
    variant = codes << MASK_BITS
    for k, column in enumerate(columns):
        variant |= constant[column].astype(np.int32) << k
    return _Listed(leaves, codes, columns, variant, outputs, defined)


def _runs(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and stops of the runs of equal elements."""
    if not key.size:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    cuts = np.flatnonzero(np.diff(key)) + 1
    return np.concatenate([[0], cuts]), np.concatenate([cuts, [key.size]])


def by_level(reader: Any, outputs: list[np.ndarray], defined: Defined) -> Tape:
    """The tape of what was read, sorted by level and opcode."""
    it = _listed(reader, outputs, defined[1])
    leaves = it.leaves
    listed = np.flatnonzero(it.codes >= 0)
    level = np.array(reader.levels[leaves:], dtype=np.int64)[listed]
    key = (level << 16) | it.variants[listed]
    order = np.argsort(key, kind="stable")
    listed = listed[order]
    starts, stops = _runs(key[order])
    place, first = _leaf_places(it)
    if listed.size > LOCAL_SIZE and listed.size > LOCAL_LENGTH * starts.size:
        listed = _by_first_operand(listed, it.operands[0], place, starts, stops, leaves, first)
    else:
        place[leaves + listed] = np.arange(first, first + listed.size)
    operands = []
    for column in it.operands:
        positions = np.zeros(first + listed.size, dtype=np.int32)
        positions[first:] = place[column[listed]]
        operands.append(positions)
    return _tape(reader, it, defined[0], place, operands, it.variants[listed[starts]], starts + first, stops + first)


def in_phases(reader: Any, outputs: list[np.ndarray], defined: Defined, light: int, lanes: int) -> Tape:
    """The tape of what was read, in phases; positions that fill up the last vector of a segment have no operation, and
    −1 for their operands."""
    it = _listed(reader, outputs, defined[1])
    leaves = it.leaves
    listed = np.flatnonzero(it.codes >= 0)
    heavy = (it.codes[listed] >= light) & (it.codes[listed] != COPY)
    phase = np.array(reader.levels[leaves:], dtype=np.int64)[listed] - heavy
    key = (phase << 17) | np.where(heavy, it.variants[listed] | 1 << 16, 0)
    order = np.argsort(key, kind="stable")
    listed, heavy = listed[order], heavy[order]
    starts, stops = _runs(key[order])
    segments = heavy[starts] if starts.size else np.zeros(0, dtype=bool)
    filling = np.where(segments, (starts - stops) % lanes, 0)
    shift = np.cumsum(filling) - filling
    place, first = _leaf_places(it)
    positions = first + np.arange(listed.size) + np.repeat(shift, stops - starts)
    place[leaves + listed] = positions
    size = first + listed.size + int(filling.sum())
    operands = []
    for column in it.operands:
        operand = np.full(size, -1, dtype=np.int32)
        operand[positions] = place[column[listed]]
        operands.append(operand)
    variants = np.full(size, -1, dtype=np.int32)
    variants[positions[~heavy]] = it.variants[listed[~heavy]]
    starts, stops, begin = starts[segments], stops[segments], (starts + shift)[segments]
    stops = begin + stops - starts
    kinds = it.variants[listed[starts]]
    return _tape(reader, it, defined[0], place, operands, kinds, begin + first, stops + first, variants)


def _leaf_places(it: _Listed) -> tuple[np.ndarray, int]:
    """New positions: of inputs and constants, others to be filled in; and the first position of an operation."""
    place = np.empty(it.leaves + it.codes.size, dtype=np.int64)
    place[: it.leaves] = np.arange(it.leaves)
    numbers = np.flatnonzero(it.codes == -1) + it.leaves
    first = it.leaves + numbers.size
    place[numbers] = np.arange(it.leaves, first)
    return place, first


def _tape(
    reader: Any,
    it: _Listed,
    defined: tuple[Variable, ...],
    place: np.ndarray,
    operands: list[np.ndarray],
    variants: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    light: np.ndarray | None = None,
) -> Tape:
    return Tape(
        tuple(reader.input_sizes),
        np.array(reader.values, dtype=np.float64),
        (operands[0], operands[1], operands[2]),
        np.column_stack([variants >> MASK_BITS, variants & 7, starts, stops]).astype(np.int64).reshape(-1, 4),
        tuple(place[p] for p in it.outputs),
        defined,
        place[it.defined],
        light,
    )


def _without_copies(leaves: int, codes: np.ndarray, columns: list[np.ndarray], outputs: list[np.ndarray]) -> np.ndarray:
    """Which value each stands for: a copy is its source where the source is an operation that nothing else uses."""
    total = leaves + codes.size
    uses = np.bincount(columns[0][codes >= 0], minlength=total)
    for column in columns[1:]:
        uses += np.bincount(column, minlength=total)  # unused operands say 0, the first input: never left out
    for positions in outputs:
        uses += np.bincount(positions.reshape(-1), minlength=total)
    copies = np.flatnonzero(codes == COPY)
    source = columns[0][copies]
    left_out = (uses[source] == 1) & (source >= leaves)
    left_out[left_out] = codes[source[left_out] - leaves] >= 0
    root = np.arange(total)
    root[leaves + copies[left_out]] = source[left_out]
    while True:  # a copy of a copy left out: twice as far each time
        further = root[root]
        if np.array_equal(further, root):
            return root
        root = further


def _by_first_operand(
    listed: np.ndarray,
    column: np.ndarray,
    place: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    leaves: int,
    first: int,
) -> np.ndarray:
    """Operations of each segment in the order of their first operands; fills in their places."""
    out = np.empty_like(listed)
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        part = listed[start:stop]
        if stop - start > 1:
            part = part[np.argsort(place[column[part]], kind="stable")]
        out[start:stop] = part
        place[leaves + part] = np.arange(first + start, first + stop)
    return out
