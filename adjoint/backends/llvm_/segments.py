"""Scalar programs run segment by segment: values, and native sweeps for cotangents and tangents.

See :mod:`.tape` for the order of the operations and :mod:`.tape_code` for the loops. Nothing is compiled per program:
the loops of an opcode serve all programs, so that a program is ready as soon as its tape is sorted.
"""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from ...expr import Expr, Variable
from ..base import Input, Output
from .executable import MachineCode
from .straight import GAP, HEADER, LANES, calls, machine_code
from .tape import build
from .tape_code import LIGHT, driver, loop, opcodes, vector
from .tape_order import Tape
from .target import available, function, takes_machine_code, vector_width

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
    if not available():
        return None
    definitions = definitions or {}
    key = tuple(tuple(map(id, i)) if isinstance(i, tuple) else id(i) for part in (inputs, outputs) for i in part)
    known = _known.get(key)
    if known is not None and known.is_of(definitions):
        return known
    light, lanes = (len(LIGHT), LANES) if takes_machine_code() else (0, 1)
    tape = build(inputs, outputs, definitions, opcodes(), light, lanes)
    if tape is None:
        return None
    shapes = [(sum(v.size for v in i),) if isinstance(i, tuple) else i.shape for i in inputs]
    program = _known[key] = ScalarProgram(tape, shapes, (tuple(inputs), tuple(outputs), dict(definitions)))
    return program


# Programs in use, by the identities of their inputs and outputs (which they keep): the value of a function and its
# gradient are sweeps of one program.
_known: WeakValueDictionary[tuple[Any, ...], ScalarProgram] = WeakValueDictionary()


class _Frame:
    """The memory of one call."""

    __slots__ = ("addresses", "ahead", "both", "d", "first", "memory", "record", "result", "tape", "w")

    def __init__(self, program: ScalarProgram) -> None:
        tape = program.tape
        size, gap = tape.size, max(GAP, HEADER.size)
        self.memory = np.zeros(8 + gap + size + GAP + size)
        begin = gap + -(_address(self.memory) // 8 + gap) % 8  # at a cache line
        self.memory[begin - HEADER.size : begin] = HEADER
        self.w = self.memory[begin : begin + size]
        self.d = self.memory[begin + size : begin + size + GAP + size]  # the gap, cotangents or tangents
        first = sum(tape.input_sizes)
        self.w[first : first + tape.constants.size] = tape.constants
        self.tape = np.zeros((3, 8), dtype=np.int64)
        self.tape[:, 0] = _address(self.w)
        self.tape[:, 1] = _address(self.d) + 8 * GAP
        self.tape[:, 2:5] = [_address(o) for o in program.operands]
        self.tape[VALUE, 5:8] = program.sweep(VALUE).fields
        start = _address(self.tape)
        self.addresses = [start, start + 64, start + 128]
        self.ahead = start
        self.first = self.w[: tape.input_sizes[0] if tape.input_sizes else 0]
        self.both, self.record, self.result = 0, self.tape, self.d  # of two sweeps: filled in when they are needed

    def derivatives(self) -> np.ndarray:
        """Cotangents or tangents of all values, all zero."""
        self.d.fill(0.0)
        return self.d[GAP:]


def _width(tape: Tape) -> int:
    """Elements that loops compute at a time: one rule for a program, so that equal operations give equal values."""
    if tape.light is not None:
        return LANES
    mean = tape.operations / max(len(tape.segments), 1)
    widest = vector_width()
    if mean < SHORT or widest < 4:  # narrow vectors have no masks
        return 1
    return widest if mean >= LONG else 4


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


class _Sweep(NamedTuple):
    """A function of the address of a record, by its address and as a callable; what the record says of it (its last
    three words), and what it needs in memory."""

    address: int
    run: Callable[[int], None]
    fields: tuple[int, int, int]
    kept: Any


def _looped(tape: Tape, kind: int, width: int) -> _Sweep:
    """Loops over the segments."""
    segments = tape.segments
    which, inverse = np.unique(segments[:, 0] << 3 | segments[:, 1], return_inverse=True)
    loops = [loop(_KINDS[kind], v >> 3, 0 if kind == VALUE else v & 7, width) for v in which.tolist()]
    table = np.empty((len(segments), 3), dtype=np.int64)
    table[:, 0] = np.array(loops, dtype=np.int64)[inverse.reshape(-1)] if loops else 0
    table[:, 1:] = segments[:, 2:]
    address = driver("back" if kind == REVERSE else "ahead")
    return _Sweep(address, _callable(address, tape), (_address(table), len(table), 1), table)


def _callable(address: int, tape: Tape) -> Callable[[int], None]:
    return function(address, ctypes.c_void_p, release_gil=tape.operations > RELEASE)  # type: ignore[no-any-return]


def _straight(tape: Tape, kind: int, width: int) -> _Sweep:
    """Straight-line code."""
    which = calls(tape)[2]
    functions = [vector(_KINDS[kind], opcode, 0 if kind == VALUE else bits, width) for opcode, bits in which]
    table = np.array(functions or [0], dtype=np.int64)
    code = MachineCode(machine_code(tape, _KINDS[kind]))
    return _Sweep(code.address, _callable(code.address, tape), (0, 0, _address(table)), (code, table))


def _filler(spans: Sequence[tuple[int, int]], shapes: Sequence[tuple[int, ...]]) -> Callable[[Any, Any], None]:
    """A function that copies the inputs to the beginning of w: arrays one by one, neighbouring scalars at once."""
    arrays = [(k, start, stop) for k, ((start, stop), shape) in enumerate(zip(spans, shapes, strict=True)) if shape]
    runs: list[list[int]] = []  # first scalar, the one after the last, place
    for k, ((start, _), shape) in enumerate(zip(spans, shapes, strict=True)):
        if not shape:
            if runs and runs[-1][1] == k:
                runs[-1][1] += 1
            else:
                runs.append([k, k + 1, 8 * start])
    packs = [(struct.Struct(f"={stop - first}d").pack_into, place, first, stop) for first, stop, place in runs]

    if len(arrays) == 1 and not packs:
        (_, start, stop), *_ = arrays

        def one(w: Any, values: Sequence[Any]) -> None:
            x = values[0]
            w[start:stop] = x if getattr(x, "ndim", 1) == 1 else x.reshape(-1)

        return one

    def fill(w: Any, values: Sequence[Any]) -> None:
        for k, start, stop in arrays:
            x = values[k]
            w[start:stop] = x if getattr(x, "ndim", 1) == 1 else x.reshape(-1)
        for pack, place, first, last in packs:
            pack(w, place, *values[first:last])

    return fill


class ScalarProgram:
    """A compiled program of scalar operations. Calls from several threads each have their own memory.

    Attributes
    ----------
    tape : Tape
        Its operations.
    width : int
        Elements that its loops compute at a time; 1 where segments are short.
    """

    def __init__(self, tape: Tape, input_shapes: Sequence[tuple[int, ...]], made_of: tuple[Any, Any, Any]) -> None:
        self.tape, self.input_shapes, self._made_of = tape, list(input_shapes), made_of
        self.width = _width(tape)
        self.operands = [np.concatenate([o, np.zeros(PADDING // 4, dtype=np.int32)]) for o in tape.operands]
        self._spans: list[tuple[int, int]] = []
        at = 0
        for n in tape.input_sizes:
            self._spans.append((at, at + n))
            at += n
        self._fill = _filler(self._spans, self.input_shapes)
        self._plain = [self._plain_output(p) for p in tape.outputs]
        self._repeated = [np.unique(p).size != p.size for p in tape.outputs]
        self._sweeps: list[_Sweep | None] = [None, None, None]
        self._free: list[_Frame] = []
        self._lock = threading.Lock()
        self.sweep(VALUE)

    def is_of(self, definitions: Mapping[Variable, Expr]) -> bool:
        """Whether the definitions are those it was made of."""
        own = self._made_of[2]
        return len(own) == len(definitions) and all(definitions.get(v) is e for v, e in own.items())

    @staticmethod
    def _plain_output(positions: np.ndarray) -> Any:
        """What picks an output from all values: a number for a scalar, else an array of positions."""
        return positions if positions.ndim else int(positions)

    def sweep(self, kind: int) -> _Sweep:
        """What runs a sweep; made when first needed."""
        sweep = self._sweeps[kind]
        if sweep is None:
            with self._lock:  # frames have addresses in it: there must be one only
                sweep = self._sweeps[kind]
                if sweep is None:
                    make = _looped if self.tape.light is None else _straight
                    sweep = self._sweeps[kind] = make(self.tape, kind, self.width)
        return sweep

    def _run(self, frame: _Frame, kind: int) -> None:
        sweep = self._sweeps[kind] or self.sweep(kind)
        row = frame.tape[kind]
        if not row[7]:
            row[5:8] = sweep.fields
        sweep.run(frame.addresses[kind])

    def _start(self, arrays: Sequence[Any]) -> _Frame:
        """A frame with the values of all operations."""
        try:
            frame = self._free.pop()
        except IndexError:
            frame = _Frame(self)
        self._fill(frame.w, arrays)
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
        """:meth:`value` as a function that gives a tuple; of one array in less time."""
        free, make, places, fill = self._free, _Frame, self._plain, self._fill
        run = self.sweep(VALUE).run
        if len(self._spans) != 1 or not self.input_shapes[0]:

            def general(*arrays: Any) -> tuple[Any, ...]:
                try:
                    frame = free.pop()
                except IndexError:
                    frame = make(self)
                w = frame.w
                fill(w, arrays)
                run(frame.ahead)
                out = tuple([w[p] for p in places])
                free.append(frame)
                return out

            return general

        def function(x: Any) -> tuple[Any, ...]:
            try:
                frame = free.pop()
            except IndexError:
                frame = make(self)
            w = frame.w
            frame.first[:] = x if x.ndim == 1 else x.reshape(-1)
            run(frame.ahead)
            out = tuple([w[p] for p in places])
            free.append(frame)
            return out

        def two(x: Any) -> tuple[Any, ...]:
            try:
                frame = free.pop()
            except IndexError:
                frame = make(self)
            w = frame.w
            frame.first[:] = x if x.ndim == 1 else x.reshape(-1)
            run(frame.ahead)
            out = w[p], w[q]
            free.append(frame)
            return out

        if len(places) != 2:
            return function
        p, q = places
        return two

    def pullback(self, *arrays: Any, seeds: Sequence[Any]) -> tuple[list[Any], list[Any], dict[Variable, Any]]:
        """Outputs, cotangents of the inputs, and adjoints of the variables with definitions.

        ``seeds`` are the cotangents of the outputs. The adjoint of a variable is λ of its equation; variables that the
        outputs do not depend on are not among them.
        """
        frame, ct, outputs, cotangents = self._swept(arrays, seeds)
        adjoints = {v: ct[p] for v, p in self.tape.definitions.items()}
        self._free.append(frame)
        return outputs, cotangents, adjoints

    def gradient(self) -> Callable[..., tuple[Any, float]]:
        """A function that gives the gradient of the first output, a scalar, by the first input, a vector, and a number
        that is finite if this gradient and the second output, a scalar as well, are."""
        free, make, fill, check = self._free, _Frame, self._fill, self._plain[1]
        run, prepare, zeros = _callable(driver("both"), self.tape), self._prepared, np.zeros(self._spans[0][1])

        def gradient(*arrays: Any) -> tuple[Any, float]:
            try:
                frame = free.pop()
            except IndexError:
                frame = make(self)
            address = frame.both or prepare(frame)
            fill(frame.w, arrays)
            run(address)
            result = frame.result.copy()
            bad = frame.w[check] + zeros.dot(result)
            free.append(frame)
            return result, bad

        return gradient

    def _prepared(self, frame: _Frame) -> int:
        """The address of the record of both sweeps, one after the other; the cotangent of the first output is 1."""
        d, sweeps = _address(frame.d), [self.sweep(kind) for kind in (VALUE, REVERSE)]
        for sweep, row in zip(sweeps, frame.tape, strict=False):
            row[5:8] = sweep.fields
        words = [sweeps[0].address, frame.addresses[VALUE], sweeps[1].address, frame.addresses[REVERSE]]
        frame.record = np.array([*words, d, frame.d.nbytes, d + 8 * (GAP + self._plain[0])], dtype=np.int64)
        frame.result = frame.d[GAP : GAP + self._spans[0][1]]
        frame.both = _address(frame.record)
        return frame.both

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
