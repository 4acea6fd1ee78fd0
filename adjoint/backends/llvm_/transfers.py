"""Loads and stores of one step of a loop: neighbours as vectors, others by gathering and scattering, under a mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .body import Body
from .places import Place

__all__ = ["Transfers"]


class Transfers:
    """What one step moves between memory and registers.

    Parameters
    ----------
    body : the instructions of the step
    i : the index of its first element
    mask : which of its elements there are; None: all
    base, index_base : addresses of the places, and of their tables of positions, at the start of the loop
    emit : writes an instruction that has no result
    """

    def __init__(
        self,
        body: Body,
        i: str,
        mask: str | None,
        base: Mapping[Place, str],
        index_base: Mapping[Place, str],
        emit: Callable[[str], None],
    ) -> None:
        self.body, self.i, self.mask = body, i, mask
        self.width, self.emit = body.width, emit
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
