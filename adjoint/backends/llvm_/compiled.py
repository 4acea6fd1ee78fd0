"""A compiled function: kernels and calls in order, and how arrays get in and out.

Small arguments are copied into a work array whose address never changes; large ones are used where they are. Work
arrays are kept in a list between calls: a call takes one and puts it back, so that calls from several threads, and a
call from within a call, each have their own.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ...errors import ShapeError
from .body import Declarations
from .emit import kernel_text
from .places import FIXED, Pools
from .records import Buffer, Call, Lowered
from .target import NAME, compile_module, function, module_header, vector_symbols, vector_width
from .threads import driver_address, pool

__all__ = ["CompiledFunction", "driver_address"]

COPIED = 4096  # doubles of all small arguments, and of all small results; above, arrays are used where they are
RELEASE = 20_000  # elements; a call that works on more lets other threads run meanwhile
STRAIGHT = 50, 600  # operations of scalar code between which its registers are allocated well: below it does not
# matter, above LLVM takes more than linear time

HEAD = 24  # bytes of the head of a step


@cache
def driver(release_gil: bool) -> Any:
    """What runs the kernels of a step, as a callable of Python."""
    return function(driver_address(), ctypes.c_void_p, release_gil=release_gil)


class Frame:
    """The memory of one call: work array, table of addresses, arrays made by calls."""

    __slots__ = ("address", "arrays", "heads", "small", "table", "work")

    def __init__(self, table: np.ndarray, work: Any, small: Any, heads: np.ndarray) -> None:
        self.table, self.work, self.small, self.heads = table, work, small, heads
        self.arrays: dict[str, Any] = {}
        self.address = _address(heads)  # of the head of the first step; the others follow


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


class CompiledFunction:
    """``f(*arrays) -> tuple``: what ``Backend.compile`` gives.

    Attributes
    ----------
    lowered : Lowered
        The kernels and calls it is made of.
    text : str
        The LLVM IR of the kernels.
    """

    def __init__(self, lowered: Lowered, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self.lowered = lowered
        self.outputs = outputs
        self.pools = Pools(len(inputs), len(outputs))
        self.scalars = [not isinstance(i, tuple) and not i.shape for i in inputs]
        self.input_sizes = [b.size for b in lowered.inputs]
        self.output_sizes = [b.size for b in lowered.outputs]
        self.in_small = self.copied(self.input_sizes)
        self.out_small = self.copied(self.output_sizes)
        self.steps = self._compile()
        self.constants = _joined(self.pools.constants, np.float64)
        self.positions = _joined(self.pools.positions, np.int32)
        self.free: list[Frame] = []

    @staticmethod
    def copied(sizes: Sequence[int]) -> list[bool]:
        """Which arrays are copied: small ones, as long as all together are small."""
        return [n <= COPIED for n in sizes] if sum(sizes) <= COPIED else [n <= 16 for n in sizes]

    # -- code
    def _compile(self) -> list[Any]:
        """The steps in order: ("native", function) and ("call", Call)."""
        groups: list[Any] = []
        by_stage: list[list[Any]] = [[] for _ in range(self.lowered.stages)]
        for kernel in self.lowered.kernels:
            by_stage[kernel.stage].append(kernel)
        calls: list[list[Call]] = [[] for _ in range(self.lowered.stages)]
        for call in self.lowered.calls:
            calls[call.stage].append(call)
        for kernels, called in zip(by_stage, calls, strict=True):
            if kernels:
                if not groups or groups[-1][0] != "native":
                    groups.append(("native", []))
                groups[-1][1].extend(kernels)
            groups += [("call", c) for c in called]
        native = [g[1] for g in groups if g[0] == "native"]
        self.text, names, parameters = self._text(native)
        self.records: list[np.ndarray] = []
        self._parameters = np.array([p for part in parameters for p in part] or [0], dtype=np.int64)
        if not native:
            return [(kind, item, 0) for kind, item in groups]
        loops = [k for kernels in native for k in kernels if k.size > 64]
        operations = sum(len(k.elements) for k in self.lowered.kernels)
        module = compile_module(self.text, 2 if loops or STRAIGHT[0] <= operations <= STRAIGHT[1] else 0)
        steps: list[Any] = []
        starts = np.cumsum([0, *map(len, parameters)])[:-1]
        addresses = 8 * starts + _address(self._parameters)
        if any(k.ranges is not None for k in self.lowered.kernels):
            pool.start()
        at = 0
        for kind, item in groups:
            if kind == "native":
                record = np.empty((len(item), 3), dtype=np.int64)
                record[:, 0] = [module.address(name) for name in names[at : at + len(item)]]
                record[:, 1] = addresses[at : at + len(item)]
                record[:, 2] = [k.ranges.count if k.ranges is not None else 0 for k in item]
                at += len(item)
                steps.append((kind, driver(sum(kernel.size for kernel in item) > RELEASE), len(self.records)))
                self.records.append(record)
            else:
                steps.append((kind, item, 0))
        return steps

    def _text(self, segments: list[list[Any]]) -> tuple[str, list[str], list[list[int]]]:
        """The text of all different kernels; of each kernel the name of its function, and its parameters."""
        declarations = Declarations()
        symbols, width = vector_symbols(), vector_width()
        known: dict[Any, str] = {}
        names, parameters = [], []
        for kernel in (kernel for kernels in segments for kernel in kernels):
            name, own = kernel_text(kernel, self.pools, width, declarations, symbols, known)
            names.append(name)
            parameters.append(own)
        texts = [(text, name) for text, name in known.items() if isinstance(text, str)]
        parts = [text.replace("@NAME", f"@{NAME}_{name}", 1) for text, name in texts]
        return "\n".join([*sorted(declarations), *parts, module_header()]), names, parameters

    # -- memory
    def _frame(self) -> Frame:
        n_in, n_out = len(self.input_sizes), len(self.output_sizes)
        table = np.zeros(FIXED + n_in + n_out + len(self.lowered.calls), dtype=np.uintp)
        small = [n if s else 0 for n, s in zip(self.input_sizes, self.in_small, strict=True)]
        small += [n if s else 0 for n, s in zip(self.output_sizes, self.out_small, strict=True)]
        work = np.empty(self.lowered.work + sum(small) + 8)
        start = _address(work)
        skip = -(start // 8) % 8  # doubles up to a cache line
        work = work[skip : skip + self.lowered.work + sum(small)]
        start += 8 * skip
        table[0], table[1], table[2] = start, _address(self.constants), _address(self.positions)
        at = self.lowered.work
        views = []
        for k, n in enumerate(small):
            views.append(work[at : at + n])
            table[FIXED + k] = start + 8 * at
            at += n
        # What a native step is given: the table, its kernels with their parameters and ranges, their number.
        heads = np.zeros((max(len(self.records), 1), 3), dtype=np.int64)
        for head, record in zip(heads, self.records, strict=False):
            head[:] = _address(table), _address(record), len(record)
        return Frame(table, work, views, heads)

    def function(self) -> Callable[..., tuple[Any, ...]]:
        """The callable that suits the arguments: a few common cases have less to do."""
        native = len(self.steps) == 1 and self.steps[0][0] == "native"
        if native and all(self.in_small) and all(self.out_small):
            if len(self.input_sizes) == 1 and not self.scalars[0]:
                return self._one_vector()
            if self.scalars:
                return self._all_small()
        return self._general()

    def _one_vector(self) -> Callable[..., tuple[Any, ...]]:
        free, make, run, results = self.free, self._frame, self.steps[0][1], self._results()

        def function(vector: Any) -> tuple[Any, ...]:
            try:
                frame = free.pop()
            except IndexError:
                frame = make()
            target = frame.small[0]
            target[:] = vector if vector.ndim == 1 else vector.reshape(-1)
            run(frame.address)
            out = results(frame)
            free.append(frame)
            return out

        return function

    def _all_small(self) -> Callable[..., tuple[Any, ...]]:
        """Arrays are copied one by one, neighbouring scalars at once."""
        free, make, run, results = self.free, self._frame, self.steps[0][1], self._results()
        arrays: list[tuple[int, int, int]] = []
        groups: list[list[int]] = []  # first scalar, number, place
        at = self.lowered.work
        for k, (n, scalar) in enumerate(zip(self.input_sizes, self.scalars, strict=True)):
            if not scalar:
                arrays.append((k, at, at + n))
            elif groups and sum(groups[-1][:2]) == k:
                groups[-1][1] += 1
            else:
                groups.append([k, 1, 8 * at])
            at += n
        packs = [(struct.Struct(f"={n}d").pack_into, place, k, k + n) for k, n, place in groups]

        def function(*values: Any) -> tuple[Any, ...]:
            try:
                frame = free.pop()
            except IndexError:
                frame = make()
            work = frame.work
            for k, start, stop in arrays:
                x = values[k]
                work[start:stop] = x if getattr(x, "ndim", 1) == 1 else x.reshape(-1)
            for pack, place, first, last in packs:
                pack(work, place, *values[first:last])
            run(frame.address)
            out = results(frame)
            free.append(frame)
            return out

        return function

    def _results(self) -> Callable[[Frame], tuple[Any, ...]]:
        """Copies of the small outputs, in their shapes."""
        start = self.lowered.work + sum(n for n, s in zip(self.input_sizes, self.in_small, strict=True) if s)
        spans: list[tuple[int, int, tuple[int, ...]]] = []
        at = 0
        for out, n in zip(self.outputs, self.output_sizes, strict=True):
            spans.append((at, at + n, (n,) if isinstance(out, tuple) else out.shape))
            at += n
        stop = start + at
        if len(spans) == 1 and spans[0][2] == ():
            return lambda frame: (frame.work[start],)
        if len(spans) == 1 and len(spans[0][2]) == 1:
            return lambda frame: (frame.work[start:stop].copy(),)

        def results(frame: Frame) -> tuple[Any, ...]:
            data = frame.work[start:stop].copy()
            return tuple(
                data[a] if not shape else data[a:b] if len(shape) == 1 else data[a:b].reshape(shape)
                for a, b, shape in spans
            )

        return results

    def _general(self) -> Callable[..., tuple[Any, ...]]:
        steps = [
            (item, HEAD * k) if kind == "native" else (_NumpyCall(item, self), None) for kind, item, k in self.steps
        ]
        n_in = len(self.input_sizes)
        first_out = FIXED + n_in

        def function(*values: Any) -> tuple[Any, ...]:
            try:
                frame = self.free.pop()
            except IndexError:
                frame = self._frame()
            table, held = frame.table, []
            inputs = []
            for k, value in enumerate(values):
                if self.in_small[k]:
                    target = frame.small[k]
                    target[:] = value if self.scalars[k] else np.reshape(value, -1)
                    inputs.append(target)
                else:
                    array = np.ascontiguousarray(value, dtype=np.float64)
                    if array.size != self.input_sizes[k]:
                        raise ShapeError(f"argument {k} has {array.size} elements, expected {self.input_sizes[k]}")
                    held.append(array)
                    inputs.append(array.reshape(-1))
                    table[FIXED + k] = _address(array)
            outputs = []
            for k, n in enumerate(self.output_sizes):
                if self.out_small[k]:
                    outputs.append(frame.small[n_in + k])
                else:
                    array = np.empty(n)
                    outputs.append(array)
                    table[first_out + k] = _address(array)
            frame.arrays = {"input": inputs, "output": outputs, "array": {}}
            for step, head in steps:
                step(frame if head is None else frame.address + head)
            out = tuple(
                _shaped(array.copy() if small else array, e)
                for array, small, e in zip(outputs, self.out_small, self.outputs, strict=True)
            )
            frame.arrays = {}
            self.free.append(frame)
            return out

        return function


def _shaped(array: np.ndarray, out: Any) -> Any:
    if isinstance(out, tuple):
        return array
    return array.reshape(out.shape) if out.shape else array[0]


class _NumpyCall:
    """An operation executed by NumPy on arrays in memory."""

    def __init__(self, call: Call, owner: CompiledFunction) -> None:
        self.call = call
        assert call.node.op is not None
        self.value, self.params = call.node.op.value, call.node.params
        self.slot = owner.pools.slot(call.buffer)
        # A black box may keep its arguments: it gets arrays of its own.
        self.copy = call.node.op.name.startswith("external")

    def __call__(self, frame: Frame) -> None:
        args = [self._argument(a, frame) for a in self.call.args]
        with np.errstate(all="ignore"):
            result = np.ascontiguousarray(self.value(*args, *self.params), dtype=np.float64)
        buffer = self.call.buffer
        if buffer.place == "array":
            frame.arrays["array"][buffer.index] = result.reshape(-1)
            frame.table[self.slot] = _address(result)
        else:
            _memory(frame, buffer)[:] = result.reshape(-1)

    def _argument(self, argument: Any, frame: Frame) -> Any:
        if not isinstance(argument, tuple):
            return argument
        buffer, shape, chain = argument
        x = _memory(frame, buffer).reshape(shape)
        for node in chain:
            x = node.op.value(x, *node.params)
        return np.array(x)[()] if self.copy or not np.ndim(x) else x


def _memory(frame: Frame, buffer: Buffer) -> np.ndarray:
    """The elements of a buffer."""
    if buffer.place == "work":
        array = frame.work
    else:
        array = frame.arrays[buffer.place][buffer.index]
    return array[buffer.offset : buffer.offset + buffer.size]


def _joined(parts: list[np.ndarray], dtype: Any) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(1, dtype)
