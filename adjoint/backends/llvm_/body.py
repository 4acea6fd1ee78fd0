"""Instructions of a loop body: text of LLVM IR over scalars, or over vectors of several elements."""

from __future__ import annotations

import struct
from collections.abc import Sequence

__all__ = ["Body", "Declarations", "literal"]


def literal(x: float) -> str:
    """A double as LLVM IR text, exact."""
    return f"0x{bit_pattern(x):016X}"


def bit_pattern(x: float) -> int:
    """The 64 bits of a double."""
    return struct.unpack("<Q", struct.pack("<d", x))[0]


class Declarations(set[str]):
    """What the kernels of a module declare and define besides themselves; ``functions``: the names of the operations
    that are among the definitions."""

    def __init__(self) -> None:
        super().__init__()
        self.functions: set[str] = set()


class Body:
    """Instructions over values of one width.

    Every method that emits an instruction returns the name of its result. Equal instructions are emitted once: what
    two operations share (the range reduction of sin and cos of one angle) costs nothing the second time.

    Attributes
    ----------
    width : int
        1 for scalars; else the number of elements of a vector.
    type, mask, integer : str
        LLVM types of values, of conditions and of 64-bit whole numbers: ``double``, ``i1``, ``i64``, or vectors.
    lines : list of str
    declarations : set of str
        Declarations of the functions called, and definitions of helper functions (which have the attributes ``#0``,
        as all definitions; functions called have ``#1``); shared by all bodies of a module.
    vector_functions : mapping of (C name, width) to the symbol of the vector function
        ``pow`` → ``_ZGVdN4vv_pow`` and the like; what is not there is called element by element.
    """

    def __init__(
        self, width: int, declarations: set[str], vector_functions: dict[tuple[str, int], str], prefix: str = "v"
    ) -> None:
        self.width, self.prefix = width, prefix
        self.declarations, self.vector_functions = declarations, vector_functions
        self.lines: list[str] = []
        self._memo: dict[str, str] = {}
        self.type, self.mask, self.integer = (
            (kind if width == 1 else f"<{width} x {kind}>") for kind in ("double", "i1", "i64")
        )
        self.suffix = "f64" if width == 1 else f"v{width}f64"

    def op(self, text: str) -> str:
        """Emit ``%name = text``; no side effects: equal text gives the name of the first."""
        name = self._memo.get(text)
        if name is None:
            name = self._memo[text] = f"%{self.prefix}{len(self._memo)}"
            self.lines.append(f"{name} = {text}")
        return name

    def number(self, x: float) -> str:
        """A constant, in all elements."""
        return literal(x) if self.width == 1 else f"splat (double {literal(x)})"

    def whole(self, i: int) -> str:
        """A 64-bit whole number, in all elements."""
        return str(i) if self.width == 1 else f"splat (i64 {i})"

    # -- arithmetic on values
    def add(self, a: str, b: str) -> str:
        return self.op(f"fadd {self.type} {a}, {b}")

    def sub(self, a: str, b: str) -> str:
        return self.op(f"fsub {self.type} {a}, {b}")

    def mul(self, a: str, b: str) -> str:
        return self.op(f"fmul {self.type} {a}, {b}")

    def div(self, a: str, b: str) -> str:
        return self.op(f"fdiv {self.type} {a}, {b}")

    def neg(self, a: str) -> str:
        return self.op(f"fneg {self.type} {a}")

    def fma(self, a: str, b: str, c: str) -> str:
        """a·b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def abs(self, a: str) -> str:
        return self.intrinsic("fabs", a)

    def copysign(self, a: str, b: str) -> str:
        """|a| with the sign of b."""
        return self.intrinsic("copysign", a, b)

    def compare(self, relation: str, a: str, b: str) -> str:
        """A condition; relations are LLVM's (``oeq``, ``une``, ``olt``, ``ole``, ``uno``, …)."""
        return self.op(f"fcmp {relation} {self.type} {a}, {b}")

    def select(self, condition: str, a: str, b: str) -> str:
        """a where the condition holds, else b."""
        return self.op(f"select {self.mask} {condition}, {self.type} {a}, {self.type} {b}")

    def from_mask(self, condition: str) -> str:
        """1.0 where the condition holds, else 0.0."""
        return self.op(f"uitofp {self.mask} {condition} to {self.type}")

    def intrinsic(self, name: str, *args: str) -> str:
        """One of LLVM's own functions, ``llvm.<name>.f64``: fabs, sqrt, floor, ceil, trunc, rint, copysign, fma, …"""
        symbol = f"llvm.{name}.{self.suffix}"
        self.declarations.add(f"declare {self.type} @{symbol}({', '.join([self.type] * len(args))})")
        return self.op(f"call {self.type} @{symbol}({self._typed(args)})")

    # -- the bits of values, as whole numbers
    def bits(self, a: str) -> str:
        """The 64 bits of a value, as a whole number."""
        return self.op(f"bitcast {self.type} {a} to {self.integer}")

    def from_bits(self, i: str) -> str:
        """The value that has these bits."""
        return self.op(f"bitcast {self.integer} {i} to {self.type}")

    def whole_op(self, name: str, i: str, j: str) -> str:
        """An operation of whole numbers: add, sub, shl, lshr, and, or, xor."""
        return self.op(f"{name} {self.integer} {i}, {j}")

    def is_odd(self, i: str) -> str:
        """A condition."""
        return self.op(f"icmp ne {self.integer} {self.whole_op('and', i, self.whole(1))}, {self.whole(0)}")

    # -- functions of the C library
    def call(self, function: str, *args: str) -> str:
        """A function of the C library by name: its vector form where there is one, else element by element."""
        symbol = function if self.width == 1 else self.vector_functions.get((function, self.width))
        if symbol is not None:
            self.declarations.add(f"declare {self.type} @{symbol}({', '.join([self.type] * len(args))}) #1")
            return self.op(f"call {self.type} @{symbol}({self._typed(args)}) #1")
        self.declare(function, len(args))
        out = "poison"
        for k in range(self.width):
            parts = [self.op(f"extractelement {self.type} {a}, i64 {k}") for a in args]
            value = self.op(f"call double @{function}({', '.join(f'double {p}' for p in parts)}) #1")
            out = self.op(f"insertelement {self.type} {out}, double {value}, i64 {k}")
        return out

    def declare(self, function: str, count: int = 1) -> None:
        """Declare a function of the C library for use over scalars."""
        self.declarations.add(f"declare double @{function}({', '.join(['double'] * count)}) #1")

    def _typed(self, args: Sequence[str]) -> str:
        return ", ".join(f"{self.type} {a}" for a in args)
