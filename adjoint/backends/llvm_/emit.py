"""Kernels as text of LLVM IR: loop nests whose innermost loop works on vectors.

The loops are written with vector types and calls of vector functions, so nothing depends on what LLVM's loop
vectorizer finds out. The elements that are left at the end of a loop go through the same vector code under a mask: an
element's value does not depend on where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .access import Access, contiguous, refined
from .body import Body, literal
from .cutting import ARITHMETIC, SHORT
from .kernels import KERNELS
from .places import Place, Pools, loop_order
from .records import Buffer, Element, Kernel, Load, Sink
from .transfers import Transfers

__all__ = ["kernel_text"]

BLOCK = 4096  # steps whose sum is formed apart: the error of long sums grows with their number


class _KernelText:
    def __init__(self, kernel: Kernel, pools: Pools, width: int, declarations: set[str], symbols: Any) -> None:
        self.kernel, self.pools, self.declarations, self.symbols = kernel, pools, declarations, symbols
        self.lines: list[str] = []
        self.count = 0
        operands = [a for e in kernel.elements for a in e.args if isinstance(a, Load)]
        operands += [s.value for s in kernel.sinks if isinstance(s.value, Load)]
        stores = [Sink("store", e, e.buffer, contiguous(e.size), 0) for e in kernel.elements if e.buffer is not None]
        self.sinks = stores + kernel.sinks
        accesses: list[tuple[Buffer, Access]] = [(a.buffer, a.access) for a in operands]
        accesses += [(s.buffer, s.access) for s in self.sinks]
        dims, strides = refined([a for _, a in accesses], kernel.size)
        order = loop_order(dims)
        self.dims = tuple(dims[i] for i in order)
        places: dict[Any, Place] = {}
        found = []
        for (buffer, access), own in zip(accesses, strides, strict=True):
            key = id(buffer), id(access.positions), access.offset, access.dims, access.strides
            if key not in places:
                places[key] = Place(pools, buffer, access, own, (dims, order))
            found.append(places[key])
        self.places = list(dict.fromkeys(found))
        self.place_of: dict[int, Place] = {id(a): p for a, p in zip(operands, found, strict=False)}
        self.sink_places = found[len(operands) :]
        n = self.dims[-1] if self.dims else 1
        self.width = 1
        while self.width < min(width, n):
            self.width *= 2
        self.full = n // self.width * self.width
        self.rest = n - self.full
        # A short loop whose end is not whole goes under a mask from the start: its code is there once.
        self.masked = self.rest > 0 and 0 < self.full and n <= SHORT and self.width > 1
        if self.masked:
            self.full, self.rest = self.full + self.width, 0
        self.length = n

    def emit(self, text: str) -> None:
        self.lines.append(text)

    def fresh(self, text: str) -> str:
        """Emit an instruction that must not be shared (it reads what sinks write)."""
        self.count += 1
        name = f"%t{self.count}"
        self.lines.append(f"{name} = {text}")
        return name

    # -- what kernels of one code may differ in
    def numbers(self) -> dict[str, int]:
        """The different constants among the operands, as bits, each with its place in the parameters."""
        values = [a for e in self.kernel.elements for a in e.args if isinstance(a, float)]
        values += [s.value for s in self.kernel.sinks if isinstance(s.value, float)]
        return {bits: k for k, bits in enumerate(dict.fromkeys(map(literal, values)))}

    def parameters(self) -> list[int]:
        """Constants, then where operands start, then where tables of positions start. Scalar code has them inside."""
        if self.kernel.size == 1:
            return []
        bits = [int(x, 16) for x in self.numbers()]
        out = [x - (1 << 64) * (x >> 63) for x in bits]
        out += [p.start for p in self.places]
        return out + [p.table for p in self.places if p.table is not None]

    def key(self) -> Any:
        """Equal for kernels whose text is the same; None for scalar code."""
        if self.kernel.size == 1:
            return None
        numbers = self.numbers()
        place = {p: k for k, p in enumerate(self.places)}
        index: dict[int, int] = {}

        def operand(a: Any) -> Any:
            if isinstance(a, Element):
                return index[id(a)]
            return ("at", place[self.place_of[id(a)]]) if isinstance(a, Load) else ("number", numbers[literal(a)])

        elements = []
        for k, e in enumerate(self.kernel.elements):
            elements.append((e.name, *map(operand, e.args)))
            index[id(e)] = k
        sinks = [
            (s.kind, place[p], operand(s.value)) for s, p in zip(self.sinks, self.sink_places, strict=True)
        ]
        geometry = [(p.slot, p.strides, p.jumps, p.table is None) for p in self.places]
        return self.dims, tuple(geometry), tuple(elements), tuple(sinks)

    def _read_parameters(self) -> None:
        """Names of the parameters."""
        self.constants: dict[str, str] = {}
        self.starts: dict[Place, str] = {p: str(p.start) for p in self.places}
        self.tables: dict[Place, str] = {p: str(p.table) for p in self.places}
        if self.kernel.size == 1:
            return
        names = []
        for k in range(len(self.parameters())):
            at = self.fresh(f"getelementptr i64, ptr %r, i64 {k}")
            names.append(self.fresh(f"load i64, ptr {at}, align 8"))
        numbers = self.numbers()
        for x, k in numbers.items():
            value = self.fresh(f"bitcast i64 {names[k]} to double")
            self.constants[x] = value if self.width == 1 else self._splat(value)
        rest = iter(names[len(numbers) :])
        self.starts = {p: next(rest) for p in self.places}
        self.tables = {p: next(rest) for p in self.places if p.table is not None}

    # -- the nest
    def text(self, name: str) -> str:
        self.pointers: dict[int, str] = {}
        self.emit("entry:")
        self._read_parameters()
        slots = {p.slot for p in self.places}
        if any(p.table is not None for p in self.places):
            slots.add(2)
        for slot in sorted(slots):
            at = self.fresh(f"getelementptr ptr, ptr %t, i64 {slot}")
            self.pointers[slot] = self.fresh(f"load ptr, ptr {at}, align 8")
        outer = self.dims[:-1]
        for d in range(len(outer)):
            self.emit(f"br label %pre{d}")
            self.emit(f"pre{d}:")
            self.emit(f"br label %head{d}")
            self.emit(f"head{d}:")
            self.emit(f"%o{d} = phi i64 [0, %pre{d}], [%n{d}, %latch{d}]")
        self.emit("br label %inner")
        self.emit("inner:")
        self._bases()
        self._innermost()
        for d in reversed(range(len(outer))):
            self.emit(f"br label %latch{d}")
            self.emit(f"latch{d}:")
            self.emit(f"%n{d} = add i64 %o{d}, 1")
            self.emit(f"%c{d} = icmp ult i64 %n{d}, {outer[d]}")
            self.emit(f"br i1 %c{d}, label %head{d}, label %exit{d}")
            self.emit(f"exit{d}:")
        self.emit("ret void")
        body = "\n".join(self.lines)
        return f"define void @{name}(ptr %t, ptr %r) #0 {{\n{body}\n}}\n"

    def _bases(self) -> None:
        """Addresses at the start of the innermost loop, and the numbers that it does not change."""
        self.base: dict[Place, str] = {}
        self.index_base: dict[Place, str] = {}
        self.held: dict[Place, str] = {}
        self.reads = {id(p) for p in self.place_of.values()}
        for p in self.places:
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
        for p in self.places:
            if p.inner == 0 and id(p) in self.reads and not p.indexed:
                value = self.fresh(f"load double, ptr {self.base[p]}, align 8")
                self.held[p] = value if self.width == 1 else self._splat(value)

    def _along(self, start: str, strides: Sequence[int]) -> str:
        """start + Σ o_d·strides[d] over the outer loops."""
        at = start
        for d, s in enumerate(strides):
            if s:
                step = f"%o{d}" if s == 1 else self.fresh(f"mul i64 %o{d}, {s}")
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
        sums = [(k, s) for k, s in enumerate(self.sinks) if s.kind != "store" and self._is_held(k)]
        self.totals = {k: self._number(_neutral(s)) for k, s in sums}
        if self.full > self.width:
            self._loop([k for k, _ in sums])
        elif self.full:
            self._once("0", None, "v")
        if self.rest:
            self._once(str(self.full), self._mask(), "w")
        for k, s in sums:
            self._finish(k, s)

    def _is_held(self, k: int) -> bool:
        p = self.sink_places[k]
        return p.inner == 0 and not p.indexed

    def _number(self, x: float) -> str:
        return literal(x) if self.width == 1 else f"splat (double {literal(x)})"

    def _mask(self) -> str:
        return "<" + ", ".join(f"i1 {'true' if k < self.rest else 'false'}" for k in range(self.width)) + ">"

    def _moving_mask(self) -> str:
        """Which steps from %i on there are."""
        kind = f"<{self.width} x i64>"
        one = self.fresh(f"insertelement {kind} poison, i64 %i, i64 0")
        all_ = self.fresh(f"shufflevector {kind} {one}, {kind} poison, <{self.width} x i32> zeroinitializer")
        steps = self.fresh(f"add {kind} {all_}, <{', '.join(f'i64 {k}' for k in range(self.width))}>")
        return self.fresh(f"icmp ult {kind} {steps}, splat (i64 {self.length})")

    def _loop(self, sums: list[int]) -> None:
        """Steps 0 … full; long sums in blocks."""
        kind = _vector("double", self.width)
        blocks = bool(sums) and self.full > 2 * BLOCK and not self.dims[:-1]
        start, stop, before = "0", str(self.full), "inner"
        neutral = dict(self.totals)
        if blocks:
            self.emit("br label %block")
            self.emit("block:")
            self.emit("%b = phi i64 [0, %inner], [%bn, %joined]")
            for k in sums:
                self.emit(f"%total{k} = phi {kind} [{neutral[k]}, %inner], [%added{k}, %joined]")
            self.emit(f"%bn = add i64 %b, {BLOCK}")
            self.emit(f"%bc = icmp ult i64 %bn, {self.full}")
            self.emit(f"%stop = select i1 %bc, i64 %bn, i64 {self.full}")
            start, stop, before = "%b", "%stop", "block"
        self.emit("br label %loop")
        self.emit("loop:")
        self.emit(f"%i = phi i64 [{start}, %{before}], [%next, %loop]")
        for k in sums:
            self.emit(f"%sum{k} = phi {kind} [{neutral[k]}, %{before}], [%grown{k}, %loop]")
            self.totals[k] = f"%sum{k}"
        if self.masked:
            self._once("%i", self._moving_mask(), "v")
        else:
            self._once("%i", None, "v")
        for k in sums:
            self.emit(f"%grown{k} = select i1 true, {kind} {self.totals[k]}, {kind} {self.totals[k]}")
            self.totals[k] = f"%grown{k}"
        self.emit(f"%next = add i64 %i, {self.width}")
        self.emit(f"%more = icmp ult i64 %next, {stop}")
        self.emit("br i1 %more, label %loop, label %joined")
        self.emit("joined:")
        if blocks:
            for k in sums:
                self.emit(f"%added{k} = {self._combine(self.sinks[k], kind, f'%total{k}', f'%grown{k}')}")
                self.totals[k] = f"%added{k}"
            self.emit("br i1 %bc, label %block, label %summed")
            self.emit("summed:")

    def _combine(self, sink: Sink, kind: str, a: str, b: str) -> str:
        if sink.kind == "add":
            return f"fadd {kind} {a}, {b}"
        suffix = "f64" if kind == "double" else f"v{self.width}f64"
        self.declarations.add(f"declare {kind} @llvm.{sink.kind}.{suffix}({kind}, {kind})")
        return f"call {kind} @llvm.{sink.kind}.{suffix}({kind} {a}, {kind} {b})"

    def _finish(self, k: int, sink: Sink) -> None:
        """Join the elements of a sum, and add it to its place."""
        total = self.totals[k]
        if self.width > 1:
            kind = f"<{self.width} x double>"
            parts = [self.fresh(f"extractelement {kind} {total}, i64 {j}") for j in range(self.width)]
            while len(parts) > 1:
                half = len(parts) // 2
                parts = [
                    self.fresh(self._combine(sink, "double", a, b))
                    for a, b in zip(parts[:half], parts[half:], strict=True)
                ]
            total = parts[0]
        at = self.base[self.sink_places[k]]
        old = self.fresh(f"load double, ptr {at}, align 8")
        new = self.fresh(self._combine(sink, "double", old, total))
        self.emit(f"store double {new}, ptr {at}, align 8")

    # -- one step
    def _once(self, i: str, mask: str | None, prefix: str) -> None:
        body = Body(self.width, self.declarations, self.symbols, prefix)
        body.lines = self.lines
        self.body, self.mask = body, mask
        self.memory = Transfers(body, i, mask, self.base, self.index_base, self.emit)
        values: dict[int, str] = {}
        for e in self.kernel.elements:
            args = [self._value(a, values) for a in e.args]
            outlined = 1 < self.kernel.size <= SHORT and e.name not in ARITHMETIC
            values[id(e)] = self._outlined(e.name, args) if outlined else KERNELS[e.name](body, *args)
        for k, sink in enumerate(self.sinks):
            value = self._value(sink.value, values)
            if sink.kind == "store":
                self.memory.store(self.sink_places[k], value)
            elif self._is_held(k):
                if mask is not None:
                    value = self._where_active(value, sink)
                self.totals[k] = self.fresh(self._combine(sink, body.type, self.totals[k], value))
            else:
                self._grow(k, sink, value)

    def _outlined(self, name: str, args: list[str]) -> str:
        """The kernel of an operation as a function of the module."""
        symbol, body = f"adjoint_{name}_{self.width}", self.body
        inner = Body(self.width, self.declarations, self.symbols, "a")
        names = [f"%x{k}" for k in range(len(args))]
        result = KERNELS[name](inner, *names)
        lines = "\n".join(inner.lines)
        given = ", ".join(f"{inner.type} {x}" for x in names)
        self.declarations.add(
            f"define internal {inner.type} @{symbol}({given}) noinline #1 {{\n{lines}\nret {inner.type} {result}\n}}"
        )
        return body.op(f"call {body.type} @{symbol}({', '.join(f'{body.type} {a}' for a in args)}) #1")

    def _value(self, operand: Any, values: dict[int, str]) -> str:
        if isinstance(operand, Element):
            return values[id(operand)]
        if isinstance(operand, Load):
            place = self.place_of[id(operand)]
            return self.held[place] if place in self.held else self.memory.load(place)
        known = self.constants.get(literal(operand))
        return self.body.number(operand) if known is None else known

    def _grow(self, k: int, sink: Sink, value: str) -> None:
        """Add to the elements of a buffer (or take the larger, the smaller)."""
        body, memory, p = self.body, self.memory, self.sink_places[k]
        if self.width == 1:
            at = memory.element(p)
            old = self.fresh(f"load double, ptr {at}, align 8")
            new = self.fresh(self._combine(sink, "double", old, value))
            self.emit(f"store double {new}, ptr {at}, align 8")
        elif not p.indexed and p.inner == 1:
            at = body.op(f"getelementptr double, ptr {self.base[p]}, i64 {memory.i}")
            old = memory.load_vector("double", at, self.fresh)
            memory.store_vector(at, self.fresh(self._combine(sink, body.type, old, value)))
        else:  # measured: gathering and scattering vectors waits for what the step before has stored
            self._grow_one_by_one(p, sink, value)

    def _where_active(self, value: str, sink: Sink) -> str:
        """A value under the mask; elsewhere what changes nothing."""
        body = self.body
        nothing = self._number(_neutral(sink))
        return body.op(f"select {body.mask} {self.mask}, {body.type} {value}, {body.type} {nothing}")

    def _grow_one_by_one(self, p: Place, sink: Sink, value: str) -> None:
        body = self.body
        indices = self.memory.indices(p)
        if self.masked:  # what is not there does nothing to the first element
            value = self._where_active(value, sink)
        for j in range(self.rest if self.mask and not self.masked else self.width):
            index = body.op(f"extractelement {body.integer} {indices}, i64 {j}")
            part = body.op(f"extractelement {body.type} {value}, i64 {j}")
            at = body.op(f"getelementptr double, ptr {self.base[p]}, i64 {index}")
            old = self.fresh(f"load double, ptr {at}, align 8")
            new = self.fresh(self._combine(sink, "double", old, part))
            self.emit(f"store double {new}, ptr {at}, align 8")


def _vector(kind: str, width: int) -> str:
    return kind if width == 1 else f"<{width} x {kind}>"


def _neutral(sink: Sink) -> float:
    return {"add": 0.0, "maximum": -np.inf, "minimum": np.inf}[sink.kind]


def kernel_text(
    kernel: Kernel,
    pools: Pools,
    width: int,
    declarations: set[str],
    symbols: dict[tuple[str, int], str],
    known: dict[Any, str],
) -> tuple[str, list[int]]:
    """The name of a kernel's function ``void name(ptr table, ptr parameters)``, and its parameters.

    ``table`` holds the addresses of work, constants, positions, inputs, outputs and arrays. Kernels that differ only in
    where their operands start and in constants share a function: ``known`` holds the names by text and by structure.
    """
    writer = _KernelText(kernel, pools, width, declarations, symbols)
    parameters, key = writer.parameters(), writer.key()
    name = None if key is None else known.get(key)
    if name is None:
        text = writer.text("NAME")
        name = known.setdefault(text, f"k{len(known)}")
        if key is not None:
            known[key] = name
    return name, parameters
