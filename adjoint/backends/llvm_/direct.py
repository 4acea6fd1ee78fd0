"""Calls that take NumPy arrays as they are: where their data begin is read in native code.

The general way asks each array for its address, and copies small ones; that takes longer than a small kernel. Here
one native function looks at the arrays (``PyArrayObject``, a structure that NumPy's C API makes public and keeps), puts
the addresses of their data into the table of a frame, and runs the kernels. An argument that is not a contiguous
vector of doubles of the right length makes the result NaN, and nothing is run.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .compiled import RELEASE, CompiledFunction, driver_address
from .places import FIXED
from .target import NAME, compile_module, module_header

__all__ = ["direct"]

MOST = 4  # vectors that are passed
FIELDS = ("head", "driver", "type", "dtype", "value", "check")  # of the description of a call, before the lengths
PLAIN = 0x0001 | 0x0100  # the flags of a contiguous, aligned array
START = object.__basicsize__  # of an object's own fields; its type stands before them
DATA, DIMENSIONS, LENGTHS, DTYPE, FLAGS = (START + at for at in (0, 8, 16, 40, 48))
FLOAT = np.dtype(float)


@cache
def layout_is_known() -> bool:
    """Whether arrays look in memory as their C structure says, and calls that hold the GIL are one at a time."""
    if sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    array = np.arange(3.0)
    word, number = ctypes.c_void_p.from_address, ctypes.c_int.from_address
    at = id(array)
    seen = (
        word(at + START - 8).value,
        word(at + DATA).value,
        number(at + DIMENSIONS).value,
        word(at + DTYPE).value,
        number(at + FLAGS).value & PLAIN,
    )
    expected = id(np.ndarray), array.ctypes.data, 1, id(FLOAT), PLAIN
    return seen == expected and word(word(at + LENGTHS).value or at).value == array.size


def _field(name: str, at: str, offset: int, kind: str) -> str:
    return f"%{name}p = getelementptr i8, ptr {at}, i64 {offset}\n%{name} = load {kind}, ptr %{name}p\n"


def _text(inputs: int, results: int) -> str:
    """The native function of so many vectors, and results that are arrays."""
    names = [f"x{k}" for k in range(inputs)]
    arguments = ", ".join(f"ptr %{n}" for n in [*names, *(f"y{k}" for k in range(results))])
    parts = [f"define double @{NAME}_direct(ptr %d, {arguments}) #0 {{\nentry:\n"]
    parts += [_field(f, "%d", 8 * k, "ptr") for k, f in enumerate(FIELDS)]
    for k, x in enumerate(names):
        # An object is read only after it is known to be an array.
        parts += [
            _field(f"{x}t", f"%{x}", START - 8, "ptr"),
            f"%{x}a = icmp eq ptr %{x}t, %type\nbr i1 %{x}a, label %array{k}, label %other\narray{k}:\n",
            _field(f"{x}n", f"%{x}", DIMENSIONS, "i32"),
            f"%{x}b = icmp eq i32 %{x}n, 1\nbr i1 %{x}b, label %vector{k}, label %other\nvector{k}:\n",
            _field(f"{x}l", f"%{x}", LENGTHS, "ptr") + f"%{x}size = load i64, ptr %{x}l\n",
            _field(f"{x}w", "%d", 8 * (len(FIELDS) + k), "i64"),
            f"%{x}c = icmp eq i64 %{x}size, %{x}w\n",
            _field(f"{x}k", f"%{x}", DTYPE, "ptr") + f"%{x}d = icmp eq ptr %{x}k, %dtype\n",
            _field(f"{x}f", f"%{x}", FLAGS, "i32") + f"%{x}g = and i32 %{x}f, {PLAIN}\n",
            f"%{x}h = icmp eq i32 %{x}g, {PLAIN}\n",
            f"%{x}i = and i1 %{x}c, %{x}d\n%{x}j = and i1 %{x}i, %{x}h\n",
            f"br i1 %{x}j, label %plain{k}, label %other\nplain{k}:\n",
        ]
    parts.append(_field("table", "%head", 0, "ptr"))
    for k, x in enumerate([*names, *(f"y{k}" for k in range(results))]):
        parts.append(_field(f"{x}data", f"%{x}", DATA, "ptr"))
        parts.append(f"%{x}s = getelementptr ptr, ptr %table, i64 {FIXED + k}\nstore ptr %{x}data, ptr %{x}s\n")
    parts.append("call void %driver(ptr %head)\n%sound = load double, ptr %check\n")
    if not results:
        parts.append("%result = load double, ptr %value\n%zero = fsub double %sound, %sound\n")
        parts.append("%finite = fcmp oeq double %zero, 0.0\n")
        parts.append("%answer = select i1 %finite, double %result, double 0x7FF8000000000000\nret double %answer\n")
    else:
        parts.append("ret double %sound\n")
    return "".join([*parts, "other:\nret double 0x7FF8000000000000\n}\n", module_header()])


@cache
def _native(inputs: int, results: int, release: bool) -> Any:
    address = compile_module(_text(inputs, results), 1).address("direct")
    kind = ctypes.CFUNCTYPE if release else ctypes.PYFUNCTYPE
    return kind(ctypes.c_double, ctypes.c_void_p, *[ctypes.py_object] * (inputs + results))(address)


def direct(compiled: CompiledFunction) -> Callable[..., tuple[Any, float]] | None:
    """A function of vectors that gives (the first output, a check), for a function whose last output is a scalar, the
    check, and which is kernels only; None for others.

    Of two scalars it gives the first twice: NaN, if the second is not finite.
    """
    inputs, outputs = len(compiled.input_sizes), compiled.outputs
    if not 1 <= inputs <= MOST or any(compiled.scalars) or len(outputs) != 2 or not layout_is_known():
        return None
    steps, check = compiled.steps, outputs[1]
    if len(steps) != 1 or steps[0][0] != "native" or isinstance(check, tuple) or check.shape:
        return None
    shape = (compiled.output_sizes[0],) if isinstance(outputs[0], tuple) else outputs[0].shape
    release = sum(kernel.size for kernel in compiled.lowered.kernels) > RELEASE
    native, frames = _native(inputs, int(bool(shape)), release), _Frames(compiled)
    return (_shared if release else _single)(native, frames, shape)


class _Frames:
    """Frames with descriptions of the call. Addresses of the first output, if it is a scalar, and of the check are
    those that the frame has anyway."""

    def __init__(self, compiled: CompiledFunction) -> None:
        self.compiled = compiled
        self.free: list[tuple[int, Any]] = []

    def take(self) -> tuple[int, Any]:
        """The address of a description, and what must be kept while it is used."""
        try:
            return self.free.pop()
        except IndexError:
            frame = self.compiled._frame()
        outputs = FIXED + len(self.compiled.input_sizes)
        words = np.zeros(len(FIELDS) + len(self.compiled.input_sizes), dtype=np.int64)
        words[: len(FIELDS)] = (
            *(frame.address, driver_address(), id(np.ndarray), id(FLOAT)),
            *(int(frame.table[outputs]), int(frame.table[outputs + 1])),
        )
        words[len(FIELDS) :] = self.compiled.input_sizes
        return words.ctypes.data, (frame, words)


def _single(native: Any, frames: _Frames, shape: tuple[int, ...]) -> Callable[..., tuple[Any, float]]:
    """A call that holds the GIL from begin to end: there is one at a time, and one frame."""
    at, kept = frames.take()
    empty = np.empty
    count = shape[0] if len(shape) == 1 else shape

    def scalar(*vectors: Any) -> tuple[Any, float]:
        value = native(at, *vectors)
        return value, value

    def of_one(vector: Any) -> tuple[Any, float]:
        out = empty(count)
        return out, native(at, vector, out)

    def of_several(*vectors: Any) -> tuple[Any, float]:
        out = empty(count)
        return out, native(at, *vectors, out)

    chosen: Any = scalar if not shape else of_one if len(frames.compiled.input_sizes) == 1 else of_several
    chosen.memory = kept, frames.compiled  # lives as long as the function
    return chosen


def _shared(native: Any, frames: _Frames, shape: tuple[int, ...]) -> Callable[..., tuple[Any, float]]:
    """A call that lets other threads run meanwhile: each has a frame of its own."""

    def function(*vectors: Any) -> tuple[Any, float]:
        taken = frames.take()
        if shape:
            out = np.empty(shape)
            check = native(taken[0], *vectors, out)
        else:
            out = check = native(taken[0], *vectors)
        frames.free.append(taken)
        return out, check

    return function
