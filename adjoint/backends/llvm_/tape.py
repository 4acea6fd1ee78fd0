"""Scalar programs as tapes: operations sorted by level and opcode, operands as positions in one vector.

A program of many different scalar operations has nothing to fuse, and is too long to compile line by line. Sorted by
(level, opcode), where the level of an operation is one more than the largest of its operands, it falls into
*segments*: operations of one kind that do not depend on each other. The results of a segment are contiguous in the
vector ``w`` of all values, which begins with the inputs and the constants:

    w = [inputs | constants | segment | segment | …],   w[i] = f(w[a[i]], w[b[i]], w[c[i]])  for start ≤ i < stop

A variable with a definition stands for a value of its own. It shares the position of the expression that defines it
where nothing else uses that expression, and is a copy of it otherwise; so the adjoint at its position is the
multiplier of its equation, no more and no less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...expr import Constant, Expr, Variable
from ...primitive import Primitive
from ..base import Input, Output

__all__ = ["COPY", "Tape", "build"]

COPY = 1 << 12  # the opcode of copies; above all others: a copy comes last in its level
MASK_BITS = 3  # an opcode and which of its operands are constants, in one number
LOCAL_SIZE, LOCAL_LENGTH = 20_000, 32  # operations, and their mean number in a segment, where order within a segment
# pays: neighbours then read neighbouring values, from fewer cache lines


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
    outputs : tuple of int64 arrays
        Positions of the elements of each output, in its shape.
    definitions : dict of Variable to int64 array
        Positions of the variables with definitions that the outputs depend on.
    """

    input_sizes: tuple[int, ...]
    constants: np.ndarray
    operands: tuple[np.ndarray, np.ndarray, np.ndarray]
    segments: np.ndarray
    outputs: tuple[np.ndarray, ...]
    definitions: dict[Variable, np.ndarray]

    @property
    def size(self) -> int:
        """Number of values, inputs and constants among them."""
        return sum(self.input_sizes) + self.constants.size + self.operations

    @property
    def operations(self) -> int:
        """Number of operations."""
        return int((self.segments[:, 3] - self.segments[:, 2]).sum())


def build(
    inputs: Sequence[Input],
    outputs: Sequence[Output],
    definitions: Mapping[Variable, Expr] | None,
    opcodes: Mapping[Primitive | None, int],
) -> Tape | None:
    """The tape of expressions; None where one of their operations is not one of ``opcodes`` on scalars.

    Arrays may be inputs, constants, and elements moved: indexing, stacking, reshaping.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint.expr import Variable
    >>> x = Variable("x", (2,))
    >>> y = np.sin(x[0] * x[1]) * x[0]
    >>> tape = build([x], [y], None, {y.op: 0, np.sin(x[0]).op: 1})
    >>> tape.segments[:, 0].tolist(), [a[2:5].tolist() for a in tape.operands[:2]], tape.outputs[0].item()
    ([0, 1, 0], [[0, 2, 3], [1, 0, 0]], 4)
    """
    reader = _Reader(inputs, definitions or {}, opcodes)
    places = []
    for out in outputs:
        parts = out if isinstance(out, tuple) else (out,)
        if not all(reader.read(e) for e in parts):
            return None
        found = [reader.positions(e) for e in parts]
        if isinstance(out, tuple):
            places.append(np.concatenate([np.zeros(0, dtype=np.int64), *(f.reshape(-1) for f in found)]))
        else:
            places.append(found[0])
    defined = {v: reader.positions(v) for v in definitions or {} if v in reader.index or v in reader.arrays}
    return _sorted(reader, places, defined)


class _Reader:
    """Walks expressions once and lists their scalar operations, operands first.

    Values are numbered in the order of discovery: the elements of the inputs first, then constants (opcode −1) and
    operations as they come.
    """

    def __init__(self, inputs: Sequence[Input], definitions: Mapping[Variable, Expr], opcodes: Any) -> None:
        self.definitions, self.opcodes = definitions, opcodes
        self.index: dict[Expr, int] = {}  # scalar nodes
        self.arrays: dict[Expr, np.ndarray] = {}  # array nodes: the numbers of their elements
        self.start: dict[Expr, int] = {}  # vectors among the inputs: the number of their first element
        self.input_sizes: list[int] = []
        at = 0
        for item in inputs:
            begin = at
            for v in item if isinstance(item, tuple) else (item,):
                if v.shape:
                    self.arrays[v] = np.arange(at, at + v.size).reshape(v.shape)
                    if v.ndim == 1:
                        self.start[v] = at
                else:
                    self.index[v] = at
                at += v.size
            self.input_sizes.append(at - begin)
        self.leaves = at
        self.values: list[float] = []  # of constants
        self.codes: list[int] = []
        self.levels = [0] * at
        self.a: list[int] = []
        self.b: list[int] = []
        self.c: list[int] = []

    def positions(self, node: Expr) -> np.ndarray:
        """Numbers of the elements of a node that was read."""
        return self.arrays[node] if node.shape else np.array(self.index[node])

    def read(self, root: Expr) -> bool:
        """Number a node and all below it; False where that is not possible."""
        index, levels, opcodes = self.index, self.levels, self.opcodes
        get: Any = index.get
        lookup = opcodes.get
        add_code, add_level = self.codes.append, levels.append
        add_a, add_b, add_c = self.a.append, self.b.append, self.c.append
        stack = [root]
        push, pop = stack.append, stack.pop
        while stack:
            node = stack[-1]
            if node in index:
                pop()
                continue
            code = lookup(node.op)
            if code is None or node.shape:
                waiting = self._other(node)
                if waiting is None:
                    return False
                if waiting:
                    stack += waiting
                else:
                    pop()
                continue
            args = node.args
            count = len(args)
            if count == 2:
                x, y = args
                i, j = get(x), get(y)
                if i is None or j is None:
                    if j is None:
                        push(y)
                    if i is None:
                        push(x)
                    continue
                k = 0
                level = levels[i] if levels[i] > levels[j] else levels[j]
            elif count == 1:
                x = args[0]
                i = get(x)
                if i is None:
                    push(x)
                    continue
                j = k = 0
                level = levels[i]
            else:
                found = [get(x) for x in args]
                if None in found:
                    stack += [x for x, i in zip(args, found, strict=True) if i is None]
                    continue
                i, j, k = found
                level = max(levels[i], levels[j], levels[k])
            index[node] = len(levels)
            add_level(level + 1)
            add_code(code)
            add_a(i)
            add_b(j)
            add_c(k)
            pop()
        return True

    def _number(self, code: int, level: int, operand: int) -> int:
        self.levels.append(level)
        self.codes.append(code)
        self.a.append(operand)
        self.b.append(0)
        self.c.append(0)
        return len(self.levels) - 1

    def _constant(self, value: float) -> int:
        self.values.append(float(value))
        return self._number(-1, 0, 0)

    def _copy(self, i: int) -> int:
        again = i >= self.leaves and self.codes[i - self.leaves] == COPY  # a copy of a copy cannot share its segment
        return self._number(COPY, self.levels[i] + again, i)

    def _other(self, node: Expr) -> list[Expr] | None:
        """Number a leaf or an array; what must be numbered before, or None where it has no place on a tape."""
        if node.shape and node in self.arrays:
            return []
        row = node.op
        if isinstance(node, Constant):
            if node.shape:
                numbers = [self._constant(v) for v in node.value.reshape(-1)]
                self.arrays[node] = np.array(numbers, dtype=np.int64).reshape(node.shape)
            else:
                self.index[node] = self._constant(node.value)
            return []
        if row is None:
            inner = self.definitions.get(node)  # type: ignore[call-overload]
            if inner is None:
                return None
            if inner not in self.index and inner not in self.arrays:
                return [inner]
            self._keep(node, np.array([self._copy(int(i)) for i in self.positions(inner).reshape(-1)], dtype=np.int64))
            return []
        if not row.copies:
            return None
        first = self.start.get(node.args[0])
        if first is not None and not node.shape and row.name == "getitem" and len(node.params[0]) == 1:
            i = node.params[0][0]
            self.index[node] = first + i if i >= 0 else first + i + node.args[0].shape[0]
            return []
        waiting = [x for x in node.args if x not in self.index and x not in self.arrays]
        if not waiting:
            self._keep(node, np.asarray(row.value(*(self.positions(x) for x in node.args), *node.params)))
        return waiting

    def _keep(self, node: Expr, numbers: np.ndarray) -> None:
        if node.shape:
            self.arrays[node] = numbers.reshape(node.shape)
        else:
            self.index[node] = int(numbers.reshape(-1)[0])


def _sorted(reader: _Reader, outputs: list[np.ndarray], defined: dict[Variable, np.ndarray]) -> Tape:
    """The tape of what was read: needless copies left out, sorted, renumbered."""
    leaves = reader.leaves
    codes = np.array(reader.codes, dtype=np.int32)
    columns = [np.array(column, dtype=np.int32) for column in (reader.a, reader.b, reader.c)]
    if COPY in reader.codes:
        root = _without_copies(leaves, codes, columns, outputs)
        columns = [root[column].astype(np.int32) for column in columns]
        outputs = [root[p] for p in outputs]
        defined = {v: root[p] for v, p in defined.items()}
        codes = np.where(root[leaves:] == np.arange(leaves, leaves + codes.size), codes, -2)
    constant = np.zeros(leaves + codes.size, dtype=np.int8)
    constant[leaves:] = codes == -1
    variant = codes << MASK_BITS
    for k, column in enumerate(columns):
        variant |= constant[column].astype(np.int32) << k
    listed = np.flatnonzero(codes >= 0)
    level = np.array(reader.levels[leaves:], dtype=np.int64)[listed]
    key = (level << 16) | variant[listed]
    order = np.argsort(key, kind="stable")
    listed, key = listed[order], key[order]
    cuts = np.flatnonzero(np.diff(key)) + 1
    starts, stops = np.concatenate([[0], cuts]), np.concatenate([cuts, [key.size]])
    if not key.size:
        starts = stops = np.zeros(0, dtype=np.int64)
    # new positions: inputs, constants, operations in their order
    place = np.empty(leaves + codes.size, dtype=np.int64)
    place[:leaves] = np.arange(leaves)
    numbers = np.flatnonzero(codes == -1) + leaves
    first = leaves + numbers.size
    place[numbers] = np.arange(leaves, first)
    if listed.size > LOCAL_SIZE and listed.size > LOCAL_LENGTH * starts.size:
        listed = _by_first_operand(listed, columns[0], place, starts, stops, leaves, first)
    else:
        place[leaves + listed] = np.arange(first, first + listed.size)
    operands = []
    for column in columns:
        positions = np.zeros(first + listed.size, dtype=np.int32)
        positions[first:] = place[column[listed]]
        operands.append(positions)
    opcode = variant[listed[starts]] if starts.size else np.zeros(0, dtype=np.int64)
    segments = np.column_stack([opcode >> MASK_BITS, opcode & 7, starts + first, stops + first]).astype(np.int64)
    return Tape(
        tuple(reader.input_sizes),
        np.array(reader.values, dtype=np.float64),
        (operands[0], operands[1], operands[2]),
        segments,
        tuple(place[p] for p in outputs),
        {v: place[p] for v, p in defined.items()},
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
