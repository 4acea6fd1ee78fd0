"""Scalar programs as tapes: operations in an order in which they can be made, operands as positions in one vector.

A program of many different scalar operations has nothing to fuse, and is too long to compile with LLVM. It is listed
instead; operations of one kind that do not depend on each other are a *segment*. The results of a segment are
contiguous in the vector ``w`` of all values, which begins with the inputs and the constants:

    w = [inputs | constants | operations …],   w[i] = f(w[a[i]], w[b[i]], w[c[i]])

:mod:`.tape_order` says in which order.

A variable with a definition stands for a value of its own. It shares the position of the expression that defines it
where nothing else uses that expression, and is a copy of it otherwise; so the adjoint at its position is the
multiplier of its equation, no more and no less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...expr import Constant, Expr, Variable
from ...primitive import Primitive
from ..base import Input, Output
from .tape_order import COPY, Tape, by_level, in_phases

__all__ = ["build"]


def build(
    inputs: Sequence[Input],
    outputs: Sequence[Output],
    definitions: Mapping[Variable, Expr] | None,
    opcodes: Mapping[Primitive | None, int],
    light: int = 0,
    lanes: int = 1,
) -> Tape | None:
    """The tape of expressions; None where one of their operations is not one of ``opcodes`` on scalars.

    Arrays may be inputs, constants, and elements moved: indexing, stacking, reshaping. The tape is sorted by level, or,
    with ``light > 0``, in phases: opcodes below ``light`` are light, and segments of the others are multiples of
    ``lanes`` long.

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
    reader = _Reader(inputs, definitions or {}, opcodes, light)
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
    defined = _positions(reader, definitions or {})
    return in_phases(reader, places, defined, light, lanes) if light else by_level(reader, places, defined)


def _positions(reader: _Reader, definitions: Mapping[Variable, Expr]) -> tuple[tuple[Variable, ...], np.ndarray]:
    """The variables with definitions that were read, and the numbers of their elements one after the other."""
    index, arrays = reader.index, reader.arrays
    found = tuple(v for v in definitions if v in index or v in arrays)
    parts = [index[v] if not v.shape else arrays[v] for v in found]
    if all(isinstance(p, int) for p in parts):
        return found, np.array(parts, dtype=np.int64)
    return found, np.concatenate([np.reshape(p, -1) for p in parts])


class _Reader:
    """Walks expressions once and lists their scalar operations, operands first.

    Values are numbered in the order of discovery: the elements of the inputs first, then constants (opcode −1) and
    operations as they come. ``levels`` are levels, or phases where some operations are light.
    """

    def __init__(self, inputs: Sequence[Input], definitions: Mapping[Variable, Expr], opcodes: Any, light: int) -> None:
        self.definitions, self.opcodes, self.light = definitions, opcodes, light
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
        light, definition = self.light, self.definitions.get
        stack = [root]
        push, pop = stack.append, stack.pop
        while stack:
            node = stack[-1]
            if node in index:
                pop()
                continue
            op = node.op
            if op is None and not node.shape:
                x = definition(node)  # type: ignore[call-overload]
                if x is not None and not x.shape:
                    i = get(x)
                    if i is None:
                        push(x)
                    else:
                        index[node] = self._copy(i)
                        pop()
                    continue
            code = lookup(op)
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
            add_level(level + (code >= light))
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
        # A copy of a copy cannot share its segment.
        level = self.levels[i]
        if not self.light and i >= self.leaves and self.codes[i - self.leaves] == COPY:
            level += 1
        return self._number(COPY, level, i)

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
