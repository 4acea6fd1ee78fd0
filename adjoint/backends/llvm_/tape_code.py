"""Loops over the segments of a tape: one compiled function per opcode for values, cotangents and tangents.

With w the values, and operands a, b, c as arrays of positions, for i from start to stop:

    values      w[i] = f(w[a[i]], w[b[i]], w[c[i]])
    reverse     w̄[a[i]] += w̄[i]·∂f/∂a,  w̄[b[i]] += w̄[i]·∂f/∂b,  …
    tangents    ẇ[i] = ∂f/∂a·ẇ[a[i]] + ∂f/∂b·ẇ[b[i]] + …

The partial derivatives are those of the primitive's row, taken once on variables and put into the loop: no rule is
stated here. They are computed from w as the sweep goes; nothing is stored for it.

Loops go over vectors of elements: operands are gathered, results stored side by side. The last, incomplete vector
runs the same instructions under a mask, so that a value does not depend on its place in a segment. Sums into w̄ go
element by element in the order of the tape, since operands may coincide. At width 1, for programs whose segments are
short, the same loops call the C library.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from ...errors import AdjointError
from ...expr import Constant, Expr, Variable, as_expr
from ...primitive import PRIMITIVES, Primitive
from ...walk import topological
from .body import Body
from .kernels import KERNELS
from .tape_order import COPY
from .target import NAME, compile_module, module_header, vector_symbols

__all__ = ["LIGHT", "driver", "loop", "opcodes", "vector"]

LIGHT = ("add", "subtract", "multiply", "divide", "negative", "square", "sqrt")  # an instruction each; first opcodes

COPIES = Primitive("copy", "elementwise", lambda x: x, partials=(lambda y, x: 1.0,))
_ARGUMENTS = "ptr %w, ptr %d, ptr %o0, ptr %o1, ptr %o2, i64 %start, i64 %stop"
_FILL = "splat (double 0.5)"  # operands of elements beyond the last: any number without special cases


@cache
def opcodes() -> dict[Primitive | None, int]:
    """The operations that have loops: with kernels for their values and partial derivatives. Light ones come first."""
    found: dict[Primitive | None, int] = {}
    for name in (*LIGHT, *(k for k in KERNELS if k not in LIGHT)):
        row = PRIMITIVES[name]
        if row.kind == "elementwise" and len(row.partials) <= 3 and _has_kernels(row):
            found[row] = len(found)
    return found


@cache
def _rows() -> dict[int, Primitive]:
    return {code: row for row, code in opcodes().items() if row is not None} | {COPY: COPIES}


Partial = Expr | float


@cache
def _partials(row: Primitive) -> tuple[Variable, tuple[Variable, ...], dict[int, Partial]]:
    """Variables for the result and the operands, and the partial derivatives that are not zero, as expressions."""
    out, args = Variable("y"), tuple(Variable(f"x{k}") for k in range(len(row.partials)))
    found: dict[int, Partial] = {}
    for k, rule in enumerate(row.partials):
        if rule is not None:
            partial = rule(out, *args)
            found[k] = partial if isinstance(partial, Expr) else float(partial)
    return out, args, found


def _has_kernels(row: Primitive) -> bool:
    try:
        partials = [p for p in _partials(row)[2].values() if isinstance(p, Expr)]
    except AdjointError:
        return False
    return all(node.op is None or node.op.name in KERNELS for node in topological(partials))


# -- the text of one loop ----------------------------------------------------------------------------------------


class _Loop:
    """Lines of a loop over a segment: reading, computing, writing ``width`` elements at a time; ``whole``: of one
    vector without a mask."""

    def __init__(self, width: int, whole: bool = False) -> None:
        self.width = width
        self.body = Body(width, set(), vector_symbols())
        self.before: list[str] = []
        self.after: list[str] = []
        self.type = self.body.type
        if whole:
            self.before.append(f"%m = xor <{width} x i1> zeroinitializer, splat (i1 true)")
        elif width > 1:
            lanes, kind = ", ".join(f"i64 {k}" for k in range(width)), f"<{width} x i64>"
            self.before += [
                "%left = sub i64 %stop, %i",
                f"%left1 = insertelement {kind} poison, i64 %left, i64 0",
                f"%lefts = shufflevector {kind} %left1, {kind} poison, <{width} x i32> zeroinitializer",
                f"%m = icmp sgt {kind} %lefts, <{lanes}>",
            ]

    def declare(self, text: str) -> None:
        self.body.declarations.add(f"declare {text}")

    def index(self, k: int) -> None:
        """``%i<k>``: positions of operand k."""
        kind = "i32" if self.width == 1 else f"<{self.width} x i32>"
        self.before += [f"%ip{k} = getelementptr i32, ptr %o{k}, i64 %i", f"%i{k} = load {kind}, ptr %ip{k}, align 4"]

    def gather(self, name: str, array: str, k: int, fill: str = _FILL) -> str:
        """Elements of an array at the positions of operand k."""
        w = self.width
        kind = "i32" if w == 1 else f"<{w} x i32>"
        self.before.append(f"{name}p = getelementptr double, ptr {array}, {kind} %i{k}")
        if w == 1:
            self.before.append(f"{name} = load double, ptr {name}p")
        else:
            self.declare(f"{self.type} @llvm.masked.gather.v{w}f64.v{w}p0(<{w} x ptr>, i32, <{w} x i1>, {self.type})")
            self.before.append(
                f"{name} = call {self.type} @llvm.masked.gather.v{w}f64.v{w}p0"
                f"(<{w} x ptr> {name}p, i32 8, <{w} x i1> %m, {self.type} {fill})"
            )
        return name

    def load(self, name: str, array: str, fill: str = _FILL) -> str:
        """Elements of an array at the positions of the results."""
        w = self.width
        self.before.append(f"{name}p = getelementptr double, ptr {array}, i64 %i")
        if w == 1:
            self.before.append(f"{name} = load double, ptr {name}p")
        else:
            self.declare(f"{self.type} @llvm.masked.load.v{w}f64.p0(ptr, i32, <{w} x i1>, {self.type})")
            self.before.append(
                f"{name} = call {self.type} @llvm.masked.load.v{w}f64.p0"
                f"(ptr {name}p, i32 8, <{w} x i1> %m, {self.type} {fill})"
            )
        return name

    def store(self, value: str, array: str) -> None:
        """Write the results, side by side."""
        w = self.width
        self.after.append(f"%rp = getelementptr double, ptr {array}, i64 %i")
        if w == 1:
            self.after.append(f"store double {value}, ptr %rp")
        else:
            self.declare(f"void @llvm.masked.store.v{w}f64.p0({self.type}, ptr, i32, <{w} x i1>)")
            self.after.append(
                f"call void @llvm.masked.store.v{w}f64.p0({self.type} {value}, ptr %rp, i32 8, <{w} x i1> %m)"
            )

    def sum_into(self, values: dict[int, str]) -> None:
        """Add the values for operand k at its positions in ``%d``, element by element."""
        w, scalar = self.width, self.body.width == 1
        for k, value in values.items():
            if scalar:
                self._add(f"{k}", f"%i{k}", value)
                continue
            self.after.append(f"%s{k} = select <{w} x i1> %m, {self.type} {value}, {self.type} zeroinitializer")
        for k in values if not scalar else ():
            self.after.append(f"%jp{k} = getelementptr i32, ptr %o{k}, i64 %i")
            for lane in range(w):  # beyond the last element: positions of the next segment, to which 0 is added
                z = f"{k}_{lane}"
                self.after += [
                    f"%jq{z} = getelementptr i32, ptr %jp{k}, i64 {lane}",
                    f"%j{z} = load i32, ptr %jq{z}",
                    f"%e{z} = extractelement {self.type} %s{k}, i64 {lane}",
                ]
                self._add(z, f"%j{z}", f"%e{z}")

    def _add(self, z: str, position: str, value: str) -> None:
        self.after += [
            f"%g{z} = getelementptr double, ptr %d, i32 {position}",
            f"%old{z} = load double, ptr %g{z}",
            f"%new{z} = fadd double %old{z}, {value}",
            f"store double %new{z}, ptr %g{z}",
        ]

    def lower(self, e: Partial, names: dict[Expr, str]) -> str:
        """The instructions of an expression."""
        root = as_expr(e)
        for node in topological([root]):
            if isinstance(node, Constant):
                names[node] = self.body.number(float(node.value))
            elif node.op is not None and node not in names:
                names[node] = KERNELS[node.op.name](self.body, *(names[a] for a in node.args))
        return names[root]

    def times(self, factor: str, partial: Partial, names: dict[Expr, str]) -> str:
        """factor · partial"""
        if isinstance(partial, float) and abs(partial) == 1.0:
            return factor if partial == 1.0 else self.body.neg(factor)
        return self.body.mul(factor, self.lower(partial, names))

    def text(self) -> str:
        lines = "\n".join([*self.before, *self.body.lines, *self.after])
        return f"""\
define void @{NAME}_loop({_ARGUMENTS}) #0 {{
entry:
br label %loop
loop:
%i = phi i64 [ %start, %entry ], [ %next, %loop ]
{lines}
%next = add i64 %i, {self.width}
%go = icmp slt i64 %next, %stop
br i1 %go, label %loop, label %done
done:
ret void
}}
""" + "\n".join([*sorted(self.body.declarations), module_header()])

    def vector_text(self) -> str:
        """A function of one vector, without a loop."""
        lines = "\n".join([_load_fields(["w", "d", "o0", "o1", "o2"]), *self.before, *self.body.lines, *self.after])
        head = f"define void @{NAME}_vector(ptr %record, i64 %i) #0 {{\n{lines}\nret void\n}}\n"
        return head + "\n".join([*sorted(self.body.declarations), module_header()])


def _value_loop(row: Primitive, it: _Loop) -> _Loop:
    for k in range(len(row.partials)):
        it.index(k)
        it.gather(f"%x{k}", "%w", k)
    names = [f"%x{k}" for k in range(len(row.partials))]
    it.store(names[0] if row is COPIES else KERNELS[row.name](it.body, *names), "%w")
    return it


def _derivative_loop(row: Primitive, constants: int, it: _Loop, reverse: bool) -> _Loop:
    out, args, partials = _partials(row)
    partials = {k: p for k, p in partials.items() if not constants >> k & 1}
    needed = set(topological([p for p in partials.values() if isinstance(p, Expr)]))
    names: dict[Expr, str] = {}
    if out in needed:
        names[out] = it.load("%y", "%w")
    for k, x in enumerate(args):
        if x in needed or k in partials:
            it.index(k)
        if x in needed:
            names[x] = it.gather(f"%x{k}", "%w", k)
    if reverse:
        if partials:
            ct = it.load("%t", "%d", "zeroinitializer")
            it.sum_into({k: it.times(ct, p, names) for k, p in partials.items()})
        return it
    total = ""
    for k, p in partials.items():
        term = it.times(it.gather(f"%t{k}", "%d", k, "zeroinitializer"), p, names)
        total = it.body.add(total, term) if total else term
    it.store(total or it.body.number(0.0), "%d")
    return it


def _filled(kind: str, opcode: int, constants: int, it: _Loop) -> _Loop:
    row = _rows()[opcode]
    return _value_loop(row, it) if kind == "value" else _derivative_loop(row, constants, it, kind == "reverse")


@cache
def loop(kind: str, opcode: int, constants: int, width: int) -> int:
    """The address of a loop: "value", "reverse" or "tangent", of an opcode whose operands in ``constants`` do not vary.

    Compiled when first asked for; kept in memory and on disk.
    """
    return compile_module(_filled(kind, opcode, constants, _Loop(width)).text()).address("loop")


@cache
def vector(kind: str, opcode: int, constants: int, width: int) -> int:
    """The address of a function that does the same for ``width`` elements from a position on: of the address of five
    words (w, w̄ or ẇ, the three operands) and the position."""
    text = _filled(kind, opcode, constants, _Loop(width, whole=True)).vector_text()
    return compile_module(text).address("vector")


# -- running the loops of all segments -----------------------------------------------------------------------------

_RUN = """\
define void @{name}_{run}(ptr %record) #0 {{
entry:
{loads}
%any = icmp sgt i64 %count, 0
br i1 %any, label %loop, label %done
loop:
%k = phi i64 [ {first}, %entry ], [ %next, %loop ]
%s = getelementptr [3 x i64], ptr %segments, i64 %k
%f = load ptr, ptr %s
%p1 = getelementptr i64, ptr %s, i64 1
%start = load i64, ptr %p1
%p2 = getelementptr i64, ptr %s, i64 2
%stop = load i64, ptr %p2
call void %f(ptr %w, ptr %d, ptr %o0, ptr %o1, ptr %o2, i64 %start, i64 %stop)
%next = add i64 %k, {step}
%go = icmp {relation}, %next
br i1 %go, label %loop, label %done
done:
ret void
}}
"""


def _load_fields(names: Sequence[str]) -> str:
    lines = []
    for k, name in enumerate(names):
        kind = "i64" if name == "count" else "ptr"
        lines += [f"%q{k} = getelementptr i64, ptr %record, i64 {k}", f"%{name} = load {kind}, ptr %q{k}"]
    return "\n".join(lines)


_BOTH = """\
define void @{name}_both(ptr %record) #0 {{
{loads}
call void %ahead(ptr %first)
call void @llvm.memset.p0.i64(ptr %d, i8 0, i64 %count, i1 false)
store double 1.0, ptr %seed
call void %back(ptr %second)
ret void
}}
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""


@cache
def driver(name: str) -> int:
    """The address of a function that runs sweeps.

    "ahead" and "back" go through all segments. Their argument points at eight words: the addresses of w, of w̄ or ẇ, of
    the three operands and of the segments (rows of loop, start and stop), and the number of segments; one is free.
    "both" runs a sweep for values, then one for cotangents; its argument points at seven words: address and argument of
    the one and of the other, w̄ and its size in bytes, and the address of the cotangent that is 1.
    """
    loads = _load_fields(["w", "d", "o0", "o1", "o2", "segments", "count"]) + "\n%last = sub i64 %count, 1"
    parts = [
        _RUN.format(name=NAME, run="ahead", loads=loads, first="0", step="1", relation="sgt i64 %count"),
        _RUN.format(name=NAME, run="back", loads=loads, first="%last", step="-1", relation="sle i64 0"),
        _BOTH.format(name=NAME, loads=_load_fields(["ahead", "first", "back", "second", "d", "count", "seed"])),
    ]
    return compile_module("\n".join([*parts, module_header()])).address(name)
