"""Loops over steps in native code, around what the compiled backend makes of one step.

An explicit step is one compiled function. It finds its arrays in a table of addresses, which the loop moves on by one
row from step to step; carries alternate between two places. An implicit step is a small program
(``backends.llvm_.small``): Newton's method in native code, with the tests that a root has to pass. Where a step fails
them, the loop stops there.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..backends.llvm_.code import Code
from ..backends.llvm_.compiled import CompiledFunction, driver_address
from ..backends.llvm_.lowering import lower
from ..backends.llvm_.native import Rule, runtime
from ..backends.llvm_.places import FIXED
from ..backends.llvm_.small import SmallProgram
from ..backends.llvm_.small import Step as Block
from ..backends.llvm_.target import NAME, compile_module, module_header
from ..expr import Expr, Variable
from ..small import LARGEST_CYCLE, RULE, constant_part, scaled
from ..sparsity import SparseMap, TooDenseError, jacobian_map
from ..walk import topological
from .step import Step

__all__ = ["NativeLoop", "NativeSolver"]

Array = Any
RELEASE = 20_000  # elements worked on by a call, from which on other threads run meanwhile
CACHE_LINE = 8  # doubles


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


class _Memory:
    """What one run works on; kept until it ends."""

    def __init__(self) -> None:
        self.held: list[Array] = []

    def doubles(self, size: int) -> Array:
        whole = np.empty(size + CACHE_LINE)
        self.held.append(whole)
        skip = -(_address(whole) // 8) % CACHE_LINE
        return whole[skip : skip + size]

    def words(self, values: Sequence[int]) -> Array:
        array = np.array(values if len(values) else [0], dtype=np.int64)
        self.held.append(array)
        return array

    def plain(self, array: Array) -> Array:
        out = np.ascontiguousarray(array, dtype=np.float64)
        self.held.append(out)
        return out


class _Piece:
    """A compiled function; ``usable`` if it is kernels only."""

    def __init__(self, inputs: Sequence[tuple[Variable, ...]], outputs: Sequence[tuple[Expr, ...]]) -> None:
        order = topological([e for row in outputs for e in row])
        self.compiled = CompiledFunction(lower(inputs, outputs, order, {}), inputs, outputs)
        steps = self.compiled.steps
        self.usable = not steps or (len(steps) == 1 and steps[0][0] == "native")
        self.elements = sum(kernel.size for kernel in self.compiled.lowered.kernels)

    def head(self, memory: _Memory, addresses: Sequence[int]) -> tuple[Array, int]:
        """The table of addresses (with two words to spare), and where the head of the only step is."""
        compiled = self.compiled
        work = memory.doubles(max(compiled.lowered.work, 1))
        fixed = [_address(work), _address(compiled.constants), _address(compiled.positions)]
        table = memory.words([*fixed, *addresses, 0, 0])
        record = compiled.records[0] if compiled.records else memory.words([])
        kernels = len(compiled.records[0]) if compiled.records else 0
        return table, _address(memory.words([_address(table), _address(record), kernels]))


@cache
def _driver() -> int:
    return driver_address()


@cache
def _callable(address: int, release: bool) -> Callable[[int], int]:
    kind = ctypes.CFUNCTYPE if release else ctypes.PYFUNCTYPE
    return kind(ctypes.c_int64, ctypes.c_void_p)(address)


def _call(address: int, work: int) -> Callable[[int], int]:
    return _callable(address, work > RELEASE)


# -- explicit steps -------------------------------------------------------------------------------------------------

LOOP = ("run", "head", "count", "table", "moves", "number", "before", "after")


@cache
def _loop_address() -> int:
    """``count`` times: run the kernels; move the addresses in the slots listed on by their strides; exchange those of
    the carries."""
    c = Code(f"{NAME}_loop", "ptr %record")
    pointers = {"run", "head", "table", "moves"}
    f = {name: c.load("%record", str(k), "ptr" if name in pointers else "i64") for k, name in enumerate(LOOP)}
    with c.loop(f["count"]):
        c.emit(f"call void {f['run']}(ptr {f['head']})")
        with c.loop(f["number"]) as j:
            slot = c.load(f["moves"], c.times(j, "2"), "i64")
            stride = c.load(f["moves"], c.plus(c.times(j, "2"), "1"), "i64")
            c.store(f["table"], slot, c.plus(c.load(f["table"], slot, "i64"), stride), "i64")
        a, b = c.load(f["table"], f["before"], "i64"), c.load(f["table"], f["after"], "i64")
        c.store(f["table"], f["before"], b, "i64")
        c.store(f["table"], f["after"], a, "i64")
    c.emit("ret i64 0")
    return compile_module(c.text() + module_header(), 2).address("loop")


class _LoopFrame:
    """The memory of one run of a loop."""

    __slots__ = ("ends", "keep", "moves", "record", "start", "table")

    def __init__(self, loop: NativeLoop) -> None:
        memory = _Memory()
        self.ends = memory.doubles(loop.n), memory.doubles(loop.n)
        # Slots of the carries; without any, the two spare words of the table take part in the exchange.
        addresses = [0] * (len(loop.kept) + len(loop.wanted))
        spare = [FIXED, loop.after] if loop.n else [FIXED + len(addresses), FIXED + len(addresses) + 1]
        self.table, head = loop.piece.head(memory, addresses)
        self.moves = memory.words([word for slot in loop.moving for word in (slot, 0)])
        listed = _address(self.moves), len(loop.moving)
        self.record = memory.words([_driver(), head, 0, _address(self.table), *listed, *spare])
        self.start, self.keep = _address(self.record), memory


class NativeLoop:
    """A loop over an explicit step.

    Attributes
    ----------
    usable : whether a step consists of kernels only
    """

    def __init__(self, step: Step) -> None:
        groups, ends = [step.carry, step.params, *step.inputs], [step.after, *step.outputs]
        self.kept = [k for k, group in enumerate(groups) if sum(v.size for v in group)]
        self.wanted = [k for k, row in enumerate(ends) if sum(e.size for e in row)]
        self.piece = _Piece([groups[k] for k in self.kept], [ends[k] for k in self.wanted])
        self.usable = self.piece.usable
        self.n = sum(v.size for v in step.carry)
        # Where the rows of the streams are: slots of the table, and the numbers of the streams.
        slots = dict(zip(self.kept, range(FIXED, FIXED + len(self.kept)), strict=True))
        self.inputs = [(k - 2, slot) for k, slot in slots.items() if k > 1]
        self.params = slots.get(1)
        after = FIXED + len(self.kept)
        self.outputs = [(k - 1, slot) for slot, k in enumerate(self.wanted, after) if k]
        self.moving = [slot for _, slot in (*self.inputs, *self.outputs)]
        self.free: list[_LoopFrame] = []

    def run(
        self, count: int, reverse: bool, carry: Array, params: Array, inputs: Sequence[Array], outputs: Sequence[Array]
    ) -> tuple[int, Array]:
        """As :meth:`Runner.run`; how many steps were made, and the carry after them."""
        if not self.wanted:
            return count, np.zeros(0)
        try:
            frame = self.free.pop()
        except IndexError:
            frame = _LoopFrame(self)
        frame.ends[0][:] = carry
        table, moves, held = frame.table, frame.moves, []
        if self.n:
            table[FIXED], table[self.after] = _address(frame.ends[0]), _address(frame.ends[1])
        if self.params is not None:
            held.append(np.ascontiguousarray(params, dtype=np.float64))
            table[self.params] = _address(held[-1])
        copied = []
        for j, (k, slot) in enumerate((*self.inputs, *self.outputs)):
            if j < len(self.inputs):
                rows = np.ascontiguousarray(inputs[k], dtype=np.float64)
            else:
                rows = outputs[k]
                if not rows.flags.c_contiguous:
                    rows = np.empty(rows.shape)
                    copied.append((outputs[k], rows))
            held.append(rows)
            stride = rows.strides[0]
            table[slot] = _address(rows) + (count - 1) * stride if reverse else _address(rows)
            moves[2 * j + 1] = -stride if reverse else stride
        frame.record[2] = count
        _call(_loop_address(), count * self.piece.elements)(frame.start)
        for rows, own in copied:
            rows[...] = own
        after = frame.ends[count % 2].copy()
        self.free.append(frame)
        return count, after

    @property
    def after(self) -> int:
        """The slot of the next carry."""
        return FIXED + len(self.kept)


def _filled(memory: _Memory, rows: Array) -> Array:
    """The array itself, or one that is copied to it in the end."""
    if rows.flags.c_contiguous and rows.dtype == np.float64:
        memory.held.append(rows)
        return rows
    own = np.empty(rows.shape)
    memory.held.append(own)
    return own


def _start(rows: Array, count: int, reverse: bool) -> int:
    """Where the first row that is gone through is."""
    return _address(rows) + ((count - 1) * rows.strides[0] if reverse else 0)


def _stride(rows: Array, reverse: bool) -> int:
    return -rows.strides[0] if reverse else rows.strides[0]


# -- implicit steps -------------------------------------------------------------------------------------------------

SOLVE = ("run", "head", "program", "record", "count", "copies", "number", "first")


@cache
def _solve_address() -> int:
    """``count`` times: copy rows in; evaluate the guesses; solve and evaluate; copy rows out, the carry last. Gives
    the number of steps made.

    A copy is (from, stride, to, stride, doubles); the first ones are made before the solve, the others after it.
    """
    c = Code(f"{NAME}_steps", "ptr %record")
    pointers = {"run", "head", "program", "record", "copies"}
    f = {name: c.load("%record", str(k), "ptr" if name in pointers else "i64") for k, name in enumerate(SOLVE)}
    with c.loop(f["count"]) as t:
        with c.loop(f["first"]) as j:
            _copy(c, f["copies"], j)
        c.emit(f"call void {f['run']}(ptr {f['head']})")
        status = c.op(f"call i64 {f['program']}(ptr {f['record']})")
        with c.when(c.op(f"icmp ne i64 {status}, 0")):
            c.give(t)
        with c.loop(f["number"], f["first"]) as j:
            _copy(c, f["copies"], j)
    c.give(f["count"])
    c.emit("ret i64 0")
    return compile_module(c.text() + module_header(), 2).address("steps")


def _copy(c: Code, copies: str, j: str) -> None:
    at = c.times(j, "5")
    source, by, target, to, size = (c.load(copies, c.plus(at, str(k)), "i64") for k in range(5))
    from_, into = c.op(f"inttoptr i64 {source} to ptr"), c.op(f"inttoptr i64 {target} to ptr")
    with c.loop(size) as i:
        c.store(into, i, c.load(from_, i))
    c.store(copies, at, c.plus(source, by), "i64")
    c.store(copies, c.plus(at, "2"), c.plus(target, to), "i64")


class NativeSolver:
    """A loop over a step with small implicit equations.

    Attributes
    ----------
    usable : whether the equations are few and free, and all the rest are kernels
    """

    def __init__(self, step: Step) -> None:
        self.step, self.usable = step, False
        sizes = [sum(v.size for v in part.unknowns) for part in step.implicit]
        if max(sizes) > LARGEST_CYCLE or not min(sizes) or any(part.bounds for part in step.implicit):
            return
        ends = tuple(e for row in (step.after, *step.outputs) for e in row)
        targets = tuple(Variable(f"result {k}", e.shape) for k, e in enumerate(ends))
        try:
            blocks = [_cycle(part.unknowns, part.residuals) for part in step.implicit]
        except TooDenseError:
            return
        # Results are stored in a block of their own, as the next carry may not replace the old one before it is used.
        if ends:
            blocks.append(Block("run", targets, ends, dict(zip(targets, ends, strict=True))))
        self.guess = _Piece([step.leaves], [tuple(g for part in step.implicit for g in part.guesses)])
        if not self.guess.usable:
            return
        # Guesses are written where the unknowns are, in one stretch, as all cycles come first.
        self.program = SmallProgram((*step.leaves, *step.unknowns, *targets), blocks, None, Rule(*RULE))
        self.usable = self.program.usable
        self.widths = [sum(v.size for v in row) for row in step.inputs]
        self.heights = [sum(e.size for e in row) for row in step.outputs]
        self.n, self.n_params = (sum(v.size for v in group) for group in (step.carry, step.params))
        self.n_unknowns = sum(sizes)
        self.solver = runtime(Rule(*RULE))["program"] if self.usable else 0
        self.free: list[tuple[Any, int, _Memory]] = []

    def run(
        self, count: int, reverse: bool, carry: Array, params: Array, inputs: Sequence[Array], outputs: Sequence[Array]
    ) -> tuple[int, Array]:
        """As :meth:`Runner.run`; how many steps were made, and the carry after them."""
        try:
            taken = self.free.pop()
        except IndexError:
            taken = self._taken()
        frame, head, memory = taken[0], taken[1], _Memory()
        z, at = frame.z, _address(frame.z)
        n, known = self.n, self.program.known
        z[:n], z[n : n + self.n_params] = carry, params
        copies, place = [], n + self.n_params
        given = [memory.plain(x) for x in inputs]
        for x, w in zip(given, self.widths, strict=True):
            copies += [_start(x, count, reverse), _stride(x, reverse), at + 8 * place, 0, w]
            place += w
        first, place = len(given), known + self.n_unknowns + n
        filled = [_filled(memory, y) for y in outputs]
        for y, h in zip(filled, self.heights, strict=True):
            copies += [at + 8 * place, 0, _start(y, count, reverse), _stride(y, reverse), h]
            place += h
        copies += [at + 8 * (known + self.n_unknowns), 0, at, 0, n]
        number, listed = len(copies) // 5, memory.words(copies)
        record = [_driver(), head, self.solver, frame.program, count, _address(listed), number, first]
        work = count * (self.n_unknowns**3 + self.program.size)
        made = _call(_solve_address(), work)(_address(memory.words(record)))
        for y, own in zip(outputs, filled, strict=True):
            if own is not y:
                y[...] = own
        after = z[:n].copy()
        self.free.append(taken)
        return made, after

    def _taken(self) -> tuple[Any, int, _Memory]:
        """Memory of the small program, and of the guesses, which are written where its unknowns are."""
        with self.program._lock:  # its layout is worked out step by step
            frame = self.program._frame()
        memory, at = _Memory(), _address(frame.z)
        return frame, self.guess.head(memory, [at, at + 8 * self.program.known])[1], memory


def _cycle(unknowns: tuple[Variable, ...], residuals: tuple[Expr, ...]) -> Block:
    map_: SparseMap = jacobian_map(residuals, unknowns)
    at = map_.indices[map_.position].astype(np.int64) * map_.shape[1] + map_.columns[map_.position]
    return Block("cycle", unknowns, residuals, {}, scaled(map_), at, constant_part(map_))
