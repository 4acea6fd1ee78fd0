"""Kernels as text of LLVM IR: loop nests whose innermost loop works on vectors.

The loops are written with vector types and calls of vector functions, so nothing depends on what LLVM's loop
vectorizer finds out. The elements that are left at the end of a loop go through the same vector code under a mask: an
element's value does not depend on where it stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .body import Body, Declarations, literal
from .carrying import Carried
from .cutting import ARITHMETIC, SHORT
from .kernels import KERNELS
from .layout import Layout
from .places import Place, Pools
from .records import Element, Kernel, Load, Ranges, Shifted
from .transfers import Transfers, combined, neutral

__all__ = ["kernel_text"]

BLOCK = 4096  # steps whose sum is formed apart: the error of long sums grows with their number


class _KernelText:
    """The function of a kernel under construction."""

    def __init__(self, layout: Layout, declarations: Declarations, symbols: Any) -> None:
        self.layout, self.declarations, self.symbols = layout, declarations, symbols
        self.kernel, self.nest, self.ranges = layout.kernel, layout.nest, layout.kernel.ranges
        self.sinks, self.sink_places, self.shifted = layout.nest.sinks, layout.sink_places, layout.shifted
        self.places, self.place_of, self.dims = layout.places, layout.place_of, layout.dims
        self.width, self.full, self.rest, self.masked = layout.width, layout.full, layout.rest, layout.masked
        self.axis = None if self.ranges is None else self.ranges.axis
        self.inner_ranges = self.axis is not None and self.axis == len(self.dims) - 1
        self.sums = [k for k in range(len(self.sinks)) if self.nest.is_held(k)]
        self.lines: list[str] = []
        self.count = 0

    def emit(self, text: str) -> None:
        self.lines.append(text)

    def fresh(self, text: str) -> str:
        """Emit an instruction that must not be shared (it reads what sinks write)."""
        self.count += 1
        name = f"%t{self.count}"
        self.lines.append(f"{name} = {text}")
        return name

    def _read_parameters(self) -> None:
        """Names of the parameters."""
        self.constants: dict[str, str] = {}
        self.starts: dict[Place, str] = {p: str(p.start) for p in self.places}
        self.tables: dict[Place, str] = {p: str(p.table) for p in self.places}
        if self.kernel.size == 1:
            return
        names = []
        for k in range(len(self.layout.parameters())):
            at = self.fresh(f"getelementptr i64, ptr %r, i64 {k}")
            names.append(self.fresh(f"load i64, ptr {at}, align 8"))
        numbers = self.layout.numbers()
        for x, k in numbers.items():
            value = self.fresh(f"bitcast i64 {names[k]} to double")
            self.constants[x] = value if self.width == 1 else self._splat(value)
        rest = iter(names[len(numbers) :])
        self.starts = {p: next(rest) for p in self.places}
        self.tables = {p: next(rest) for p in self.places if p.table is not None}
        self.partial = next(rest, "0")

    # -- the nest
    def text(self, name: str) -> str:
        self.pointers: dict[int, str] = {}
        self.emit("entry:")
        self._read_parameters()
        slots = {p.slot for p in self.places} | {0}
        if any(p.table is not None for p in self.places):
            slots.add(2)
        for slot in sorted(slots):
            at = self.fresh(f"getelementptr ptr, ptr %t, i64 {slot}")
            self.pointers[slot] = self.fresh(f"load ptr, ptr {at}, align 8")
        if self.ranges is not None:
            self._range(self.ranges)
        self._nested("o", self.places, self._innermost)
        self.emit("ret void")
        arguments = "ptr %t, ptr %r"
        if self.ranges is not None:
            arguments += ", i64 %range"
            self.emit("all:")
            if self.ranges.partial is not None:
                sums = self.sums
                self._nested("a", [self.sink_places[k] for k in sums], self._add_ranges)
            self.emit("ret void")
        body = "\n".join(self.lines)
        return f"define void @{name}({arguments}) #0 {{\n{body}\n}}\n"

    def _range(self, ranges: Ranges) -> None:
        """From where to where the steps of a range are; beyond the last one, to the sums of all."""
        self.emit(f"%work = icmp ult i64 %range, {ranges.count}")
        self.emit("br i1 %work, label %one, label %all")
        self.emit("one:")
        self.emit(f"%begin = mul i64 %range, {ranges.length}")
        self.emit(f"%last = icmp eq i64 %range, {ranges.count - 1}")
        self.emit(f"%after = add i64 %begin, {ranges.length}")
        self.emit(f"%end = select i1 %last, i64 {self.full if self.inner_ranges else self.dims[0]}, i64 %after")

    def _nested(self, o: str, places: Sequence[Place], inside: Callable[[], None]) -> None:
        """Loops over the outer dimensions, their indices named with a letter; in them, what is done ``inside``."""
        self.outer_index = o
        outer = self.dims[:-1]
        for d in range(len(outer)):
            ranged = d == self.axis and o == "o"
            start = "%begin" if ranged else "0"
            self.emit(f"br label %pre{o}{d}")
            self.emit(f"pre{o}{d}:")
            self.emit(f"br label %head{o}{d}")
            self.emit(f"head{o}{d}:")
            self.emit(f"%{o}{d} = phi i64 [{start}, %pre{o}{d}], [%{o}n{d}, %latch{o}{d}]")
        self.emit(f"br label %inner{o}")
        self.emit(f"inner{o}:")
        self._bases(places)
        inside()
        for d, n in reversed(list(enumerate(outer))):
            stop = "%end" if d == self.axis and o == "o" else str(n)
            self.emit(f"br label %latch{o}{d}")
            self.emit(f"latch{o}{d}:")
            self.emit(f"%{o}n{d} = add i64 %{o}{d}, 1")
            self.emit(f"%{o}c{d} = icmp ult i64 %{o}n{d}, {stop}")
            self.emit(f"br i1 %{o}c{d}, label %head{o}{d}, label %exit{o}{d}")
            self.emit(f"exit{o}{d}:")

    def _bases(self, places: Sequence[Place]) -> None:
        """Addresses at the start of the innermost loop, and the numbers that it does not change."""
        self.base: dict[Place, str] = {}
        self.index_base: dict[Place, str] = {}
        self.held: dict[Place, str] = {}
        self.reads = {id(p) for p in self.place_of.values()}
        for p in places:
            array = self.pointers[p.slot]
            if p.indexed:
                self.index_base[p] = self._entry(p, p.outer)
                self.base[p] = self.fresh(f"getelementptr double, ptr {array}, i64 {self.starts[p]}")
                continue
            at = self._along(self.starts[p], p.outer)
            if p.jumps:  # one position for the whole innermost loop
                index = self.fresh(f"load i32, ptr {self._entry(p, p.jumps[:-1])}, align 4")
                wide = self.fresh(f"zext i32 {index} to i64")
                at = self.fresh(f"add i64 {at}, {wide}")
            self.base[p] = self.fresh(f"getelementptr double, ptr {array}, i64 {at}")
        for p in places:
            if p.inner == 0 and id(p) in self.reads and not p.indexed:
                value = self.fresh(f"load double, ptr {self.base[p]}, align 8")
                self.held[p] = value if self.width == 1 else self._splat(value)

    def _along(self, start: str, strides: Sequence[int]) -> str:
        """start + Σ o_d·strides[d] over the outer loops."""
        at = start
        for d, s in enumerate(strides):
            if s:
                index = f"%{self.outer_index}{d}"
                step = index if s == 1 else self.fresh(f"mul i64 {index}, {s}")
                at = step if at == "0" else self.fresh(f"add i64 {at}, {step}")
        return at

    def _entry(self, p: Place, strides: Sequence[int]) -> str:
        """The address in a table of positions where the innermost loop starts."""
        return self.fresh(f"getelementptr i32, ptr {self.pointers[2]}, i64 {self._along(self.tables[p], strides)}")

    def _splat(self, value: str) -> str:
        kind = f"<{self.width} x double>"
        one = self.fresh(f"insertelement {kind} poison, double {value}, i64 0")
        return self.fresh(f"shufflevector {kind} {one}, {kind} poison, <{self.width} x i32> zeroinitializer")

    # -- the innermost loop
    def _innermost(self) -> None:
        sums = self.sums
        self.totals = {k: self._number(neutral(self.sinks[k].kind)) for k in sums}
        self.carried = Carried([self.sinks[k].value for k in self.shifted], self.width)
        self.carried.clear(self._number(0.0))
        if self.inner_ranges or self.full > self.width:
            self._loop(sums)
        elif self.full:
            self._once("0", None, "v")
        if self.inner_ranges and (self.rest or self.shifted):
            self._at_the_end(sums)
        else:
            self._tail()
        for j, k in enumerate(sums):
            total = self._joined(k)
            if self.inner_ranges:
                self.emit(f"store double {total}, ptr {self._partial('%range', j, len(sums))}, align 8")
            else:
                self._finish(k, total)

    def _tail(self) -> None:
        """The elements that are left, and the terms that come after the last step."""
        if self.rest:
            self._once(str(self.full), self._mask(self.rest), "w")
        n = self.dims[-1] if self.dims else 1
        i = self.full + (self.width if self.rest else 0)
        while self.shifted and i < n + self.carried.farthest:
            self.carried.step({}, self._number(0.0))
            self.body = Body(self.width, self.declarations, self.symbols, f"f{i}x")
            self.body.lines = self.lines
            for k in self.shifted:
                self._write_shifted(k, str(i), i)
            i += self.width

    def _at_the_end(self, sums: Sequence[int]) -> None:
        """The tail in the last range only."""
        before = dict(self.totals)
        self.emit("br label %looped")
        self.emit("looped:")
        self.emit("br i1 %last, label %tail, label %tailed")
        self.emit("tail:")
        self._tail()
        self.emit("br label %tailed")
        self.emit("tailed:")
        for k in sums:
            kind = _vector("double", self.width)
            self.emit(f"%tailed{k} = phi {kind} [{before[k]}, %looped], [{self.totals[k]}, %tail]")
            self.totals[k] = f"%tailed{k}"

    def _partial(self, number: str, j: int, count: int) -> str:
        """The address of a range's sum of a number."""
        outer = self.dims[:-1]
        strides = [math.prod(outer[d + 1 :]) for d in range(len(outer))]
        row = self.fresh(f"mul i64 {number}, {math.prod(outer)}")
        at = self.fresh(f"mul i64 {self._along(row, strides)}, {count}")
        at = self.fresh(f"add i64 {self.fresh(f'add i64 {at}, {j}')}, {self.partial}")
        return self.fresh(f"getelementptr double, ptr {self.pointers[0]}, i64 {at}")

    def _add_ranges(self) -> None:
        """The sums of the ranges, one after the other."""
        sums = self.sums
        assert self.ranges is not None
        before = "innera"
        for j, k in enumerate(sums):
            at = self.base[self.sink_places[k]]
            old = self.fresh(f"load double, ptr {at}, align 8")
            self.emit(f"br label %join{k}")
            self.emit(f"join{k}:")
            self.emit(f"%r{k} = phi i64 [0, %{before}], [%rn{k}, %join{k}]")
            self.emit(f"%sum{k}a = phi double [{old}, %{before}], [%sum{k}b, %join{k}]")
            part = self.fresh(f"load double, ptr {self._partial(f'%r{k}', j, len(sums))}, align 8")
            self.emit(f"%sum{k}b = {self._combine(k, 1, f'%sum{k}a', part)}")
            self.emit(f"%rn{k} = add i64 %r{k}, 1")
            self.emit(f"%rc{k} = icmp ult i64 %rn{k}, {self.ranges.count}")
            self.emit(f"br i1 %rc{k}, label %join{k}, label %whole{k}")
            self.emit(f"whole{k}:")
            self.emit(f"store double %sum{k}b, ptr {at}, align 8")
            before = f"whole{k}"

    def _number(self, x: float) -> str:
        return literal(x) if self.width == 1 else f"splat (double {literal(x)})"

    def _mask(self, count: int) -> str:
        return "<" + ", ".join(f"i1 {'true' if k < count else 'false'}" for k in range(self.width)) + ">"

    def _moving_mask(self) -> str:
        """Which steps from %i on there are."""
        kind = f"<{self.width} x i64>"
        one = self.fresh(f"insertelement {kind} poison, i64 %i, i64 0")
        all_ = self.fresh(f"shufflevector {kind} {one}, {kind} poison, <{self.width} x i32> zeroinitializer")
        steps = self.fresh(f"add {kind} {all_}, <{', '.join(f'i64 {k}' for k in range(self.width))}>")
        return self.fresh(f"icmp ult {kind} {steps}, splat (i64 {self.layout.length})")

    def _loop(self, sums: list[int]) -> None:
        """The steps in whole vectors; long sums in blocks."""
        kind = _vector("double", self.width)
        blocks = bool(sums) and self.full > 2 * BLOCK and not self.dims[:-1]
        start, stop, before = "0", str(self.full), "innero"
        if self.inner_ranges:
            start, stop = "%begin", "%end"
            if self.shifted:  # a range begins with the steps before it, of which it writes nothing
                self.emit(f"%early = sub i64 %begin, {self.carried.most * self.width}")
                self.emit("%isfirst = icmp eq i64 %range, 0")
                self.emit("%from = select i1 %isfirst, i64 0, i64 %early")
                start = "%from"
        neutral = dict(self.totals)
        zero = self._number(0.0)
        kept = {name: zero for name in self.carried.names()}
        if blocks:
            self.emit("br label %block")
            self.emit("block:")
            self.emit(f"%b = phi i64 [{start}, %innero], [%bn, %joined]")
            for k in sums:
                self.emit(f"%total{k} = phi {kind} [{neutral[k]}, %innero], [%added{k}, %joined]")
            for name in kept:
                self.emit(f"%b{name} = phi {kind} [{zero}, %innero], [%n{name}, %joined]")
                kept[name] = f"%b{name}"
            self.emit(f"%bn = add i64 %b, {BLOCK}")
            self.emit(f"%bc = icmp ult i64 %bn, {stop}")
            self.emit(f"%stop = select i1 %bc, i64 %bn, i64 {stop}")
            start, stop, before = "%b", "%stop", "block"
        latch = "latch" if self._warms_up() else "loop"
        self.emit("br label %loop")
        self.emit("loop:")
        self.emit(f"%i = phi i64 [{start}, %{before}], [%next, %{latch}]")
        for k in sums:
            self.emit(f"%sum{k} = phi {kind} [{neutral[k]}, %{before}], [%grown{k}, %{latch}]")
            self.totals[k] = f"%sum{k}"
        for name, first in kept.items():
            self.emit(f"%{name} = phi {kind} [{first}, %{before}], [%n{name}, %{latch}]")
        self.carried.begin()
        self._once("%i", self._moving_mask() if self.masked else None, "v", self._warms_up())
        if self._warms_up():
            self.emit("br label %latch")
            self.emit("latch:")
        for name, value in self.carried.results().items():
            self.emit(f"%n{name} = select i1 true, {kind} {value}, {kind} {value}")
        self.carried.end()
        for k in sums:
            self.emit(f"%grown{k} = select i1 true, {kind} {self.totals[k]}, {kind} {self.totals[k]}")
            self.totals[k] = f"%grown{k}"
        self.emit(f"%next = add i64 %i, {self.width}")
        self.emit(f"%more = icmp ult i64 %next, {stop}")
        self.emit("br i1 %more, label %loop, label %joined")
        self.emit("joined:")
        if blocks:
            for k in sums:
                self.emit(f"%added{k} = {self._combine(k, self.width, f'%total{k}', f'%grown{k}')}")
                self.totals[k] = f"%added{k}"
            self.emit("br i1 %bc, label %block, label %summed")
            self.emit("summed:")

    def _warms_up(self) -> bool:
        return self.inner_ranges and bool(self.shifted)

    def _combine(self, k: int, width: int, a: str, b: str) -> str:
        return combined(self.declarations, self.sinks[k].kind, width, a, b)

    def _joined(self, k: int) -> str:
        """The elements of a sum joined."""
        total = self.totals[k]
        if self.width == 1:
            return total
        kind = f"<{self.width} x double>"
        parts = [self.fresh(f"extractelement {kind} {total}, i64 {j}") for j in range(self.width)]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [self.fresh(self._combine(k, 1, a, b)) for a, b in zip(parts[:half], parts[half:], strict=True)]
        return parts[0]

    def _finish(self, k: int, total: str) -> None:
        """Add a sum to its place."""
        at = self.base[self.sink_places[k]]
        old = self.fresh(f"load double, ptr {at}, align 8")
        new = self.fresh(self._combine(k, 1, old, total))
        self.emit(f"store double {new}, ptr {at}, align 8")

    # -- one step
    def _once(self, i: str, mask: str | None, prefix: str, warms_up: bool = False) -> None:
        """The operations, then the sums that are held, then what is written; that not before the range begins."""
        body = Body(self.width, self.declarations, self.symbols, prefix)
        body.lines = self.lines
        self.body, self.mask = body, mask
        self.memory = Transfers(body, i, mask, self.base, self.index_base, self.emit, self.fresh)
        values: dict[int, str] = {}
        for e in self.kernel.elements:
            args = [self._value(a, values) for a in e.args]
            outlined = 1 < self.kernel.size <= SHORT and e.name not in ARITHMETIC
            values[id(e)] = self._outlined(e.name, args) if outlined else KERNELS[e.name](body, *args)
        given = {k: self._value(s.value, values) for k, s in enumerate(self.sinks) if k not in self.shifted}
        new = {v: self._value(v, values) for v in self.carried.values}
        self.carried.step({v: x if mask is None else self._where_active(x, 0.0) for v, x in new.items()}, "")
        begun = self.fresh("icmp uge i64 %i, %begin") if warms_up else None
        for k in self.sums:
            value, nothing = given[k], neutral(self.sinks[k].kind)
            if mask is not None:
                value = self._where_active(value, nothing)
            if begun is not None:
                value = self.fresh(f"select i1 {begun}, {body.type} {value}, {body.type} {self._number(nothing)}")
            self.totals[k] = self.fresh(self._combine(k, self.width, self.totals[k], value))
        if begun is not None:
            self.emit(f"br i1 {begun}, label %write, label %latch")
            self.emit("write:")
        together = self.layout.interleaved if mask is None else []
        for group in together:
            vectors = [
                self.carried.shifted(self.sinks[k].value, body) if k in self.shifted else given[k] for k in group
            ]
            self.memory.interleave(self.sinks[group[0]].kind, self.sink_places[group[0]], vectors)
        written = {k for group in together for k in group}
        for k, sink in enumerate(self.sinks):
            if k in written:
                continue
            if k in self.shifted:
                self._write_shifted(k, i, self.full if mask is not None else None)
            elif sink.kind == "store":
                self.memory.store(self.sink_places[k], given[k])
            elif k not in self.totals:
                value = given[k]
                if self.masked and not self._is_line(k):  # what is not there does nothing to the first element
                    value = self._where_active(value, neutral(sink.kind))
                lanes = self.rest if mask and not self.masked else self.width
                self.memory.grow(sink.kind, self.sink_places[k], value, lanes)

    def _write_shifted(self, k: int, i: str, at: int | None) -> None:
        """The elements of a shifted sum from i on; ``at``: its value near the end, where not all are there."""
        sink, body = self.sinks[k], self.body
        assert isinstance(sink.value, Shifted)
        value = self.carried.shifted(sink.value, body)
        lanes = self.width if at is None else min(sink.access.size - at, self.width)
        if lanes < 1:
            return
        mask = None if lanes == self.width else self._mask(lanes)
        memory = Transfers(body, i, mask, self.base, self.index_base, self.emit, self.fresh)
        if sink.kind == "store":
            memory.store(self.sink_places[k], value)
        else:
            memory.grow(sink.kind, self.sink_places[k], value, lanes)

    def _outlined(self, name: str, args: list[str]) -> str:
        """The kernel of an operation as a function of the module."""
        symbol, body = f"adjoint_{name}_{self.width}", self.body
        if symbol not in self.declarations.functions:
            self.declarations.functions.add(symbol)
            inner = Body(self.width, self.declarations, self.symbols, "a")
            names = [f"%x{k}" for k in range(len(args))]
            result = KERNELS[name](inner, *names)
            lines = "\n".join(inner.lines)
            given = ", ".join(f"{inner.type} {x}" for x in names)
            head = f"define internal {inner.type} @{symbol}({given}) noinline #1"
            self.declarations.add(f"{head} {{\n{lines}\nret {inner.type} {result}\n}}")
        return body.op(f"call {body.type} @{symbol}({', '.join(f'{body.type} {a}' for a in args)}) #1")

    def _value(self, operand: Any, values: dict[int, str]) -> str:
        if isinstance(operand, Element):
            return values[id(operand)]
        if isinstance(operand, Load):
            place = self.place_of[id(operand)]
            return self.held[place] if place in self.held else self.memory.load(place)
        known = self.constants.get(literal(operand))
        return self.body.number(operand) if known is None else known

    def _is_line(self, k: int) -> bool:
        p = self.sink_places[k]
        return not p.indexed and p.inner == 1

    def _where_active(self, value: str, nothing: float) -> str:
        """A value under the mask; elsewhere what changes nothing."""
        body = self.body
        return body.op(f"select {body.mask} {self.mask}, {body.type} {value}, {body.type} {self._number(nothing)}")


def _vector(kind: str, width: int) -> str:
    return kind if width == 1 else f"<{width} x {kind}>"


def kernel_text(
    kernel: Kernel,
    pools: Pools,
    width: int,
    declarations: Declarations,
    symbols: dict[tuple[str, int], str],
    known: dict[Any, str],
) -> tuple[str, list[int]]:
    """The name of a kernel's function ``void name(ptr table, ptr parameters)``, and its parameters.

    ``table`` holds the addresses of work, constants, positions, inputs, outputs and arrays. Kernels that differ only in
    where their operands start and in constants share a function: ``known`` holds the names by text and by structure.
    """
    layout = Layout(kernel, pools, width)
    parameters, key = layout.parameters(), layout.key()
    name = None if key is None else known.get(key)
    if name is None:
        text = _KernelText(layout, declarations, symbols).text("NAME")
        name = known.setdefault(text, f"k{len(known)}")
        if key is not None:
            known[key] = name
    return name, parameters
