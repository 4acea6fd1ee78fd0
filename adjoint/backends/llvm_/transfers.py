"""Loads and stores of one step of a loop: neighbours as vectors, others by gathering and scattering, under a mask."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .body import Body
from .places import Place

__all__ = ["Transfers", "combined", "neutral"]


def neutral(kind: str) -> float:
    """What changes no sum, no largest or smallest element."""
    return {"add": 0.0, "maximum": -math.inf, "minimum": math.inf}[kind]


def combined(declarations: set[str], kind: str, width: int, a: str, b: str) -> str:
    """The instruction that adds two values, or takes the larger or smaller."""
    value = "double" if width == 1 else f"<{width} x double>"
    if kind == "add":
        return f"fadd {value} {a}, {b}"
    suffix = "f64" if width == 1 else f"v{width}f64"
    declarations.add(f"declare {value} @llvm.{kind}.{suffix}({value}, {value})")
    return f"call {value} @llvm.{kind}.{suffix}({value} {a}, {value} {b})"


class Transfers:
    """What one step moves between memory and registers.

    Parameters
    ----------
    body : the instructions of the step
    i : the index of its first element
    mask : which of its elements there are; None: all
    base, index_base : addresses of the places, and of their tables of positions, at the start of the loop
    emit : writes an instruction that has no result
    fresh : writes an instruction that must not be shared (it reads what others write), and gives its name
    """

    def __init__(
        self,
        body: Body,
        i: str,
        mask: str | None,
        base: Mapping[Place, str],
        index_base: Mapping[Place, str],
        emit: Callable[[str], None],
        fresh: Callable[[str], str],
    ) -> None:
        self.body, self.i, self.mask = body, i, mask
        self.width, self.emit, self.fresh = body.width, emit, fresh
        self.base, self.index_base = base, index_base

    def load(self, p: Place) -> str:
        """The elements of this step."""
        body = self.body
        if self.width == 1:
            return body.op(f"load double, ptr {self.element(p)}, align 8")
        if not p.indexed and p.inner == 1:
            at = body.op(f"getelementptr double, ptr {self.base[p]}, i64 {self.i}")
            return self.load_vector("double", at, body.op)
        return self.gather(self.addresses(p), body.op)

    def load_vector(self, kind: str, at: str, emit: Any) -> str:
        bits, size = ("f64", 8) if kind == "double" else ("i32", 4)
        vector = f"<{self.width} x {kind}>"
        if self.mask is None:
            return emit(f"load {vector}, ptr {at}, align {size}")
        name = f"llvm.masked.load.v{self.width}{bits}.p0"
        self.body.declarations.add(f"declare {vector} @{name}(ptr, i32, {self.body.mask}, {vector})")
        return emit(
            f"call {vector} @{name}(ptr {at}, i32 {size}, {self.body.mask} {self.mask}, {vector} zeroinitializer)"
        )

    def store(self, p: Place, value: str) -> None:
        body = self.body
        if self.width == 1:
            self.emit(f"store double {value}, ptr {self.element(p)}, align 8")
        elif not p.indexed and p.inner == 1:
            at = body.op(f"getelementptr double, ptr {self.base[p]}, i64 {self.i}")
            self.store_vector(at, value)
        else:
            self.scatter(self.addresses(p), value)

    def store_vector(self, at: str, value: str) -> None:
        body = self.body
        if self.mask is None:
            self.emit(f"store {body.type} {value}, ptr {at}, align 8")
            return
        name = f"llvm.masked.store.v{self.width}f64.p0"
        self.body.declarations.add(f"declare void @{name}({body.type}, ptr, i32, {body.mask})")
        self.emit(f"call void @{name}({body.type} {value}, ptr {at}, i32 8, {body.mask} {self.mask})")

    def gather(self, at: str, emit: Any) -> str:
        body = self.body
        name = f"llvm.masked.gather.v{self.width}f64.v{self.width}p0"
        self.body.declarations.add(f"declare {body.type} @{name}(<{self.width} x ptr>, i32, {body.mask}, {body.type})")
        return emit(
            f"call {body.type} @{name}(<{self.width} x ptr> {at}, i32 8, {body.mask} {self.active()}, "
            f"{body.type} zeroinitializer)"
        )

    def scatter(self, at: str, value: str) -> None:
        body = self.body
        name = f"llvm.masked.scatter.v{self.width}f64.v{self.width}p0"
        self.body.declarations.add(f"declare void @{name}({body.type}, <{self.width} x ptr>, i32, {body.mask})")
        self.emit(
            f"call void @{name}({body.type} {value}, <{self.width} x ptr> {at}, i32 8, {body.mask} {self.active()})"
        )

    def grow(self, kind: str, p: Place, value: str, lanes: int) -> None:
        """Add to elements (or take the larger, the smaller): the first ``lanes`` of the step."""
        body = self.body
        if self.width == 1:
            self._grow_one(kind, self.element(p), value)
        elif not p.indexed and p.inner == 1:
            at = body.op(f"getelementptr double, ptr {self.base[p]}, i64 {self.i}")
            old = self.load_vector("double", at, self.fresh)
            self.store_vector(at, self.fresh(combined(body.declarations, kind, self.width, old, value)))
        else:  # measured: gathering and scattering vectors waits for what the step before has stored
            indices = self.indices(p)
            for j in range(lanes):
                index = body.op(f"extractelement {body.integer} {indices}, i64 {j}")
                part = body.op(f"extractelement {body.type} {value}, i64 {j}")
                self._grow_one(kind, body.op(f"getelementptr double, ptr {self.base[p]}, i64 {index}"), part)

    def interleave(self, kind: str, first: Place, values: Sequence[str]) -> None:
        """Store, or add to, neighbouring elements: one of each vector in turn, from the first place on."""
        body, count, width = self.body, len(values), self.width
        start = body.op(f"mul i64 {self.i}, {count}")
        for q in range(count):
            sources = [divmod(q * width + t, count)[::-1] for t in range(width)]  # vector, lane
            out = values[0]
            for v in range(1, count):
                lanes = [
                    (lane if w == 0 and v == 1 else t) if w != v else width + lane
                    for t, (w, lane) in enumerate(sources)
                ]
                order = ", ".join(f"i32 {lane}" for lane in lanes)
                out = body.op(f"shufflevector {body.type} {out}, {body.type} {values[v]}, <{width} x i32> <{order}>")
            offset = body.op(f"add i64 {start}, {q * width}")
            at = body.op(f"getelementptr double, ptr {self.base[first]}, i64 {offset}")
            if kind == "add":
                out = self.fresh(f"fadd {body.type} {self.fresh(f'load {body.type}, ptr {at}, align 8')}, {out}")
            self.emit(f"store {body.type} {out}, ptr {at}, align 8")

    def _grow_one(self, kind: str, at: str, value: str) -> None:
        old = self.fresh(f"load double, ptr {at}, align 8")
        new = self.fresh(combined(self.body.declarations, kind, 1, old, value))
        self.emit(f"store double {new}, ptr {at}, align 8")

    def element(self, p: Place) -> str:
        """The address of one element."""
        body = self.body
        if p.indexed:
            at = body.op(f"getelementptr i32, ptr {self.index_base[p]}, i64 {self.i}")
            index = body.op(f"load i32, ptr {at}, align 4")
            wide = body.op(f"zext i32 {index} to i64")
            return body.op(f"getelementptr double, ptr {self.base[p]}, i64 {wide}")
        if self.i == "0" or not p.inner:
            return self.base[p]
        at = self.i if p.inner == 1 else body.op(f"mul i64 {self.i}, {p.inner}")
        return body.op(f"getelementptr double, ptr {self.base[p]}, i64 {at}")

    def indices(self, p: Place) -> str:
        """Positions of the elements of one step, beside the base."""
        body = self.body
        if p.indexed:
            at = body.op(f"getelementptr i32, ptr {self.index_base[p]}, i64 {self.i}")
            vector = f"<{self.width} x i32>"
            index = self.load_vector("i32", at, body.op)
            return body.op(f"zext {vector} {index} to {body.integer}")
        steps = "<" + ", ".join(f"i64 {k * p.inner}" for k in range(self.width)) + ">"
        start = body.op(f"mul i64 {self.i}, {p.inner}")
        one = body.op(f"insertelement {body.integer} poison, i64 {start}, i64 0")
        same = f"{body.integer} {one}, {body.integer} poison, <{self.width} x i32> zeroinitializer"
        all_ = body.op(f"shufflevector {same}")
        return body.op(f"add {body.integer} {all_}, {steps}")

    def addresses(self, p: Place) -> str:
        return self.body.op(f"getelementptr double, ptr {self.base[p]}, {self.body.integer} {self.indices(p)}")

    def active(self) -> str:
        return self.mask or "splat (i1 true)"
