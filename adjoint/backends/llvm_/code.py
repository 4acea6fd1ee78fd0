"""Structured LLVM IR: loops, conditions and local variables, for algorithms over small dense arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .body import literal

__all__ = ["Code"]


class Code:
    """A function under construction. Names of values are what its methods return.

    Local variables live on the stack; whole numbers are ``i64``, conditions ``i1``.
    """

    def __init__(self, name: str, arguments: str, result: str = "i64") -> None:
        self.head = f"define {result} @{name}({arguments}) #0 {{\nentry:\n"
        self.result = result
        self.locals: list[str] = []
        self.lines: list[str] = []
        self.count = 0

    def text(self) -> str:
        """The whole definition."""
        return self.head + "\n".join([*self.locals, *self.lines]) + "\n}\n"

    def emit(self, line: str) -> None:
        self.lines.append(line)

    def op(self, text: str) -> str:
        self.count += 1
        self.lines.append(f"%v{self.count} = {text}")
        return f"%v{self.count}"

    def label(self) -> str:
        self.count += 1
        return f"l{self.count}"

    # -- memory
    def variable(self, kind: str, value: str) -> str:
        """A local variable; read and written with ``get`` and ``set``."""
        self.count += 1
        self.locals.append(f"%x{self.count} = alloca {kind}")
        self.emit(f"store {kind} {value}, ptr %x{self.count}")
        return f"%x{self.count}"

    def get(self, variable: str, kind: str = "double") -> str:
        return self.op(f"load {kind}, ptr {variable}")

    def set(self, variable: str, value: str, kind: str = "double") -> None:
        self.emit(f"store {kind} {value}, ptr {variable}")

    def at(self, base: str, index: str, kind: str = "double") -> str:
        return self.op(f"getelementptr {kind}, ptr {base}, i64 {index}")

    def load(self, base: str, index: str, kind: str = "double") -> str:
        return self.op(f"load {kind}, ptr {self.at(base, index, kind)}")

    def store(self, base: str, index: str, value: str, kind: str = "double") -> None:
        self.emit(f"store {kind} {value}, ptr {self.at(base, index, kind)}")

    # -- arithmetic
    def add(self, a: str, b: str) -> str:
        return self.op(f"fadd double {a}, {b}")

    def sub(self, a: str, b: str) -> str:
        return self.op(f"fsub double {a}, {b}")

    def mul(self, a: str, b: str) -> str:
        return self.op(f"fmul double {a}, {b}")

    def div(self, a: str, b: str) -> str:
        return self.op(f"fdiv double {a}, {b}")

    def abs(self, a: str) -> str:
        return self.op(f"call double @llvm.fabs.f64(double {a})")

    def larger(self, a: str, b: str) -> str:
        """The larger one; NaN if one is."""
        return self.op(f"call double @llvm.maximum.f64(double {a}, double {b})")

    def plus(self, i: str, j: str) -> str:
        return self.op(f"add i64 {i}, {j}")

    def times(self, i: str, j: str) -> str:
        return self.op(f"mul i64 {i}, {j}")

    def test(self, relation: str, a: str, b: str) -> str:
        """A condition on numbers (``olt``, ``ole``, …)."""
        return self.op(f"fcmp {relation} double {a}, {b}")

    def equal(self, i: str, j: str) -> str:
        return self.op(f"icmp eq i64 {i}, {j}")

    def number(self, x: float) -> str:
        return literal(x)

    # -- control
    @contextmanager
    def loop(self, stop: str, start: str = "0") -> Iterator[str]:
        """``for i in range(start, stop)``."""
        i = self.variable("i64", start)
        head, body, end = self.label(), self.label(), self.label()
        self.emit(f"br label %{head}\n{head}:")
        more = self.op(f"icmp slt i64 {self.get(i, 'i64')}, {stop}")
        self.emit(f"br i1 {more}, label %{body}, label %{end}\n{body}:")
        yield self.get(i, "i64")
        self.set(i, self.plus(self.get(i, "i64"), "1"), "i64")
        self.emit(f"br label %{head}\n{end}:")

    @contextmanager
    def down(self, start: str) -> Iterator[str]:
        """``for i in reversed(range(start))``."""
        with self.loop(start) as k:
            yield self.op(f"sub i64 {self.op(f'sub i64 {start}, 1')}, {k}")

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """``if condition``."""
        body, end = self.label(), self.label()
        self.emit(f"br i1 {condition}, label %{body}, label %{end}\n{body}:")
        yield
        self.emit(f"br label %{end}\n{end}:")

    def give(self, value: str) -> None:
        """``return value``; what follows is not reached."""
        self.emit(f"ret {self.result} {value}\n{self.label()}:")
