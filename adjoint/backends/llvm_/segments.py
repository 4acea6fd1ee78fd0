"""Scalar programs run segment by segment: values, and native sweeps for cotangents and tangents.

See :mod:`.tape` for the order of the operations and :mod:`.tape_code` for the loops. Nothing is compiled per program:
the loops of an opcode serve all programs, so that a program is ready as soon as its tape is sorted.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...expr import Expr, Variable
from ..base import Input, Output
from .tape import Tape, build
from .tape_code import driver, loop, opcodes
from .target import available, function, vector_width

__all__ = ["ScalarProgram", "scalar_program"]

# Mean number of operations in a segment from which vectors of four, and the widest ones, are the quickest (measured).
SHORT, LONG = 1.75, 12.0
RELEASE = 5_000  # operations; a call that takes longer lets other threads run meanwhile
PADDING = 64  # bytes that loops may read behind the positions
VALUE, REVERSE, TANGENT = 0, 1, 2
_KINDS = ("value", "reverse", "tangent")


def scalar_program(
    inputs: Sequence[Input],
    outputs: Sequence[Output],
    definitions: Mapping[Variable, Expr] | None = None,
) -> ScalarProgram | None:
    """The program of expressions that consist of scalar operations; None where they do not, or llvmlite is missing.

    Inputs, outputs and definitions are those of ``Backend.compile``. Inputs may be arrays of which single elements
    are used, outputs arrays stacked from scalars.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint.expr import Variable
    >>> x, y = Variable("x", (2,)), Variable("y")
    >>> program = scalar_program([x], [y * x[1]], {y: np.sin(x[0])})
    >>> def is_right(program):
    ...     outputs, (gradient,), multipliers = program.pullback(np.array([0.5, 2.0]), seeds=[1.0])
    ...     return np.allclose(gradient, [2 * np.cos(0.5), np.sin(0.5)]) and float(multipliers[y]) == 2.0
    >>> program is None or is_right(program)  # None without llvmlite
    True
    """
    tape = build(inputs, outputs, definitions, opcodes()) if available() else None
    if tape is None:
        return None
    shapes = [(sum(v.size for v in i),) if isinstance(i, tuple) else i.shape for i in inputs]
    return ScalarProgram(tape, shapes)


class _Frame:
    """The memory of one call."""

    __slots__ = ("addresses", "tangents", "tape", "w")

    def __init__(self, program: ScalarProgram) -> None:
        tape = program.tape
        self.w = np.zeros(tape.size)
        first = sum(tape.input_sizes)
        self.w[first : first + tape.constants.size] = tape.constants
        self.tangents: np.ndarray | None = None  # or cotangents
        self.tape = np.zeros((3, 8), dtype=np.int64)
        self.tape[:, 0] = _address(self.w)
        self.tape[:, 2:5] = [_address(o) for o in program.operands]
        start = _address(self.tape)
        self.addresses = [start, start + 64, start + 128]

    def derivatives(self) -> np.ndarray:
        """Cotangents or tangents of all values, all zero."""
        if self.tangents is None:
            self.tangents = np.zeros(self.w.size)
            self.tape[:, 1] = _address(self.tangents)
        else:
            self.tangents.fill(0.0)
        return self.tangents


def _width(tape: Tape) -> int:
    """Elements that loops compute at a time: one rule for a program, so that equal operations give equal values."""
    mean = tape.operations / max(len(tape.segments), 1)
    widest = vector_width()
    if mean < SHORT or widest < 4:  # narrow vectors have no masks
        return 1
    return widest if mean >= LONG else 4


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


class ScalarProgram:
    """A compiled program of scalar operations. Calls from several threads each have their own memory.

    Attributes
    ----------
    tape : Tape
        Its operations.
    width : int
        Elements that its loops compute at a time; 1 where segments are short.
    """

    def __init__(self, tape: Tape, input_shapes: Sequence[tuple[int, ...]]) -> None:
        self.tape, self.input_shapes = tape, list(input_shapes)
        self.width = _width(tape)
        self.operands = [np.concatenate([o, np.zeros(PADDING // 4, dtype=np.int32)]) for o in tape.operands]
        self._spans: list[tuple[int, int]] = []
        at = 0
        for n in tape.input_sizes:
            self._spans.append((at, at + n))
            at += n
        self._plain = [self._plain_output(p) for p in tape.outputs]
        self._repeated = [np.unique(p).size != p.size for p in tape.outputs]
        self._loops: list[np.ndarray | None] = [None, None, None]
        release = tape.operations > RELEASE
        self._ahead = function(driver(False), ctypes.c_void_p, release_gil=release)
        self._back = function(driver(True), ctypes.c_void_p, release_gil=release)
        self._free: list[_Frame] = []
        self._table(VALUE)

    @staticmethod
    def _plain_output(positions: np.ndarray) -> Any:
        """What picks an output from all values: a number for a scalar, else an array of positions."""
        return positions if positions.ndim else int(positions)

    def _table(self, kind: int) -> np.ndarray:
        """Rows of loop, start and stop; loops are looked up when first needed."""
        table = self._loops[kind]
        if table is None:
            segments = self.tape.segments
            which, inverse = np.unique(segments[:, 0] << 3 | segments[:, 1], return_inverse=True)
            loops = [loop(_KINDS[kind], v >> 3, 0 if kind == VALUE else v & 7, self.width) for v in which.tolist()]
            table = np.empty((len(segments), 3), dtype=np.int64)
            table[:, 0] = np.array(loops, dtype=np.int64)[inverse.reshape(-1)] if loops else 0
            table[:, 1:] = segments[:, 2:]
            self._loops[kind] = table
        return table

    def _run(self, frame: _Frame, kind: int) -> None:
        row = frame.tape[kind]
        if not row[5]:
            table = self._table(kind)
            row[5], row[6] = _address(table), len(table)
        (self._back if kind == REVERSE else self._ahead)(frame.addresses[kind])

    def _start(self, arrays: Sequence[Any]) -> _Frame:
        """A frame with the values of all operations."""
        try:
            frame = self._free.pop()
        except IndexError:
            frame = _Frame(self)
        w = frame.w
        for (start, stop), x in zip(self._spans, arrays, strict=True):
            w[start:stop] = x if getattr(x, "ndim", 0) < 2 else x.reshape(-1)
        self._run(frame, VALUE)
        return frame

    def _outputs(self, array: np.ndarray) -> list[Any]:
        return [array[p] for p in self._plain]

    def value(self, *arrays: Any) -> list[Any]:
        """The outputs at values of the inputs."""
        frame = self._start(arrays)
        out = self._outputs(frame.w)
        self._free.append(frame)
        return out

    def function(self) -> Callable[..., tuple[Any, ...]]:
        """:meth:`value` as a function that gives a tuple; of one array, and with scalar outputs, in less time."""
        if len(self._spans) != 1 or not self.input_shapes[0] or not all(isinstance(p, int) for p in self._plain):
            return lambda *arrays: tuple(self.value(*arrays))
        free, make, stop, places, run = self._free, _Frame, self._spans[0][1], self._plain, self._ahead
        table = self._table(VALUE)
        start, count = _address(table), len(table)

        def function(x: Any) -> tuple[Any, ...]:
            try:
                frame = free.pop()
            except IndexError:
                frame = make(self)
                frame.tape[VALUE, 5:7] = start, count
            w = frame.w
            w[:stop] = x if x.ndim == 1 else x.reshape(-1)
            run(frame.addresses[VALUE])
            out = tuple([w[p] for p in places])
            free.append(frame)
            return out

        return function

    def pullback(self, *arrays: Any, seeds: Sequence[Any]) -> tuple[list[Any], list[Any], dict[Variable, Any]]:
        """Outputs, cotangents of the inputs, and adjoints of the variables with definitions.

        ``seeds`` are the cotangents of the outputs. The adjoint of a variable is λ of its equation; variables that the
        outputs do not depend on are not among them.
        """
        frame, ct, outputs, cotangents = self._swept(arrays, seeds)
        adjoints = {v: ct[p] for v, p in self.tape.definitions.items()}
        self._free.append(frame)
        return outputs, cotangents, adjoints

    def gradient(self, *arrays: Any, seeds: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Outputs, and cotangents of the inputs alone."""
        frame, _, outputs, cotangents = self._swept(arrays, seeds)
        self._free.append(frame)
        return outputs, cotangents

    def _swept(self, arrays: Sequence[Any], seeds: Sequence[Any]) -> tuple[_Frame, np.ndarray, list[Any], list[Any]]:
        """A frame after both sweeps, its cotangents, and those asked for."""
        frame = self._start(arrays)
        ct = frame.derivatives()
        for positions, repeated, seed in zip(self._plain, self._repeated, seeds, strict=True):
            if repeated:
                np.add.at(ct, positions, seed)
            else:
                ct[positions] += seed
        self._run(frame, REVERSE)
        outputs = self._outputs(frame.w)
        cotangents = [
            ct[start:stop].reshape(shape).copy() if shape else ct[start]
            for (start, stop), shape in zip(self._spans, self.input_shapes, strict=True)
        ]
        return frame, ct, outputs, cotangents

    def pushforward(self, *arrays: Any, tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Outputs and their tangents; ``tangents`` are those of the inputs."""
        frame = self._start(arrays)
        t = frame.derivatives()
        for (start, stop), x in zip(self._spans, tangents, strict=True):
            t[start:stop] = x if getattr(x, "ndim", 0) < 2 else x.reshape(-1)
        self._run(frame, TANGENT)
        out = self._outputs(frame.w), self._outputs(t)
        self._free.append(frame)
        return out
