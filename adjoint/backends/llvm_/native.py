"""Small programs solved and differentiated in one call: Newton's method and dense LU in LLVM IR.

A program whose blocks are small spends its time between the calls of its kernels. Here the calls are made by compiled
code: runs are evaluated, cycles solved by Newton's full steps with the tests of ``nonlinear/direct``, and the total
derivatives follow from one factorization, ``(∂g/∂z)ᵀ λ = e`` and ``dz/dx = −λᵀ ∂g/∂x``. Where any test fails the answer
is a number other than 0, and the caller goes the general way.

Arguments are records: arrays of 64-bit words, whole numbers and addresses, in the order of the tuples of names below.
Matrices are stored by rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .code import Code
from .target import NAME, compile_module, module_header

__all__ = ["BLOCK", "PROGRAM", "TOTALS", "Rule", "runtime"]

# A block: a run (n results, verified to be finite) or a cycle (n unknowns).
BLOCK = ("kind", "function", "table", "n", "z", "residual", "entries", "count", "position", "base", "J", "LU", "pivots")
BLOCK += ("step", "steps", "scale")
TOTALS = ("function", "table", "n", "columns", "entries", "count", "position", "base", "A", "pivots", "lam", "rows")
TOTALS += ("targets", "out", "check")
PROGRAM = ("blocks", "count", "totals")
KINDS = {"run": 0, "cycle": 1}


class Rule(NamedTuple):
    """The numbers of the tests of Newton's method; named and explained in ``nonlinear/direct``."""

    steps: int
    tol: float
    close: float
    gone: float
    rate: float
    growth: float
    floor: float
    rcond: float


_DECLARED = "declare double @llvm.fabs.f64(double)\ndeclare double @llvm.maximum.f64(double, double)\n"


def _fields(c: Code, names: Sequence[str], record: str = "%record") -> dict[str, str]:
    numbers = {"kind", "n", "count", "columns", "rows"}
    return {f: c.load(record, str(k), "i64" if f in numbers else "ptr") for k, f in enumerate(names)}


def _factor() -> str:
    """P A = L U in place, rows exchanged whole; gives 0, or the number of the pivot that is zero or NaN."""
    c = Code(f"{NAME}_factor", "ptr %A, i64 %n, ptr %pivots")
    with c.loop("%n") as k:
        row_k = c.times(k, "%n")
        p, best = c.variable("i64", k), c.variable("double", c.abs(c.load("%A", c.plus(row_k, k))))
        with c.loop("%n", c.plus(k, "1")) as i:
            size = c.abs(c.load("%A", c.plus(c.times(i, "%n"), k)))
            with c.when(c.test("ogt", size, c.get(best))):
                c.set(best, size)
                c.set(p, i, "i64")
        with c.when(c.op(f"xor i1 {c.test('ogt', c.get(best), c.number(0.0))}, true")):
            c.give(c.plus(k, "1"))
        pivot = c.get(p, "i64")
        c.store("%pivots", k, pivot, "i64")
        with c.when(c.op(f"icmp ne i64 {pivot}, {k}")), c.loop("%n") as j:
            a, b = c.plus(row_k, j), c.plus(c.times(pivot, "%n"), j)
            x, y = c.load("%A", a), c.load("%A", b)
            c.store("%A", a, y)
            c.store("%A", b, x)
        inverse = c.div(c.number(1.0), c.load("%A", c.plus(row_k, k)))
        with c.loop("%n", c.plus(k, "1")) as i:
            row_i = c.times(i, "%n")
            at = c.plus(row_i, k)
            factor = c.mul(c.load("%A", at), inverse)
            c.store("%A", at, factor)
            with c.loop("%n", c.plus(k, "1")) as j:
                to = c.plus(row_i, j)
                c.store("%A", to, c.sub(c.load("%A", to), c.mul(factor, c.load("%A", c.plus(row_k, j)))))
    c.give("0")
    c.emit("ret i64 0")
    return c.text()


def _exchange(c: Code, k: str) -> None:
    p = c.load("%pivots", k, "i64")
    x, y = c.load("%b", k), c.load("%b", p)
    c.store("%b", k, y)
    c.store("%b", p, x)


def _solve() -> str:
    """b ← A⁻¹ b with the factors of ``factor``."""
    c = Code(f"{NAME}_solve", "ptr %A, i64 %n, ptr %pivots, ptr %b", "void")
    with c.loop("%n") as k:
        _exchange(c, k)
    with c.loop("%n") as i:
        total, row = c.variable("double", c.load("%b", i)), c.times(i, "%n")
        with c.loop(i) as j:
            c.set(total, c.sub(c.get(total), c.mul(c.load("%A", c.plus(row, j)), c.load("%b", j))))
        c.store("%b", i, c.get(total))
    with c.down("%n") as i:
        total, row = c.variable("double", c.load("%b", i)), c.times(i, "%n")
        with c.loop("%n", c.plus(i, "1")) as j:
            c.set(total, c.sub(c.get(total), c.mul(c.load("%A", c.plus(row, j)), c.load("%b", j))))
        c.store("%b", i, c.div(c.get(total), c.load("%A", c.plus(row, i))))
    c.emit("ret void")
    return c.text()


def _solve_transposed() -> str:
    """b ← A⁻ᵀ b: Uᵀ y = b, Lᵀ z = y, then the exchanges in reverse order."""
    c = Code(f"{NAME}_solve_transposed", "ptr %A, i64 %n, ptr %pivots, ptr %b", "void")
    with c.loop("%n") as i:
        total = c.variable("double", c.load("%b", i))
        with c.loop(i) as j:
            c.set(total, c.sub(c.get(total), c.mul(c.load("%A", c.plus(c.times(j, "%n"), i)), c.load("%b", j))))
        c.store("%b", i, c.div(c.get(total), c.load("%A", c.plus(c.times(i, "%n"), i))))
    with c.down("%n") as i:
        total = c.variable("double", c.load("%b", i))
        with c.loop("%n", c.plus(i, "1")) as j:
            c.set(total, c.sub(c.get(total), c.mul(c.load("%A", c.plus(c.times(j, "%n"), i)), c.load("%b", j))))
        c.store("%b", i, c.get(total))
    with c.down("%n") as k:
        _exchange(c, k)
    c.emit("ret void")
    return c.text()


def _assemble() -> str:
    """A ← base, then A[position[e]] += entries[e]."""
    c = Code(f"{NAME}_assemble", "ptr %A, ptr %base, i64 %size, ptr %entries, ptr %position, i64 %count", "void")
    with c.loop("%size") as i:
        c.store("%A", i, c.load("%base", i))
    with c.loop("%count") as e:
        to = c.load("%position", e, "i64")
        c.store("%A", to, c.add(c.load("%A", to), c.load("%entries", e)))
    c.emit("ret void")
    return c.text()


def _square(c: Code, vector: str, n: str) -> str:
    total = c.variable("double", c.number(0.0))
    with c.loop(n) as i:
        x = c.load(vector, i)
        c.set(total, c.add(c.get(total), c.mul(x, x)))
    return c.get(total)


def _is_singular(c: Code, f: dict[str, str], rule: Rule) -> str:
    """Whether ``1 / (‖J‖₁ ‖J⁻¹‖₁)`` of the factors is below the limit; ``step`` is overwritten."""
    n = f["n"]
    norm, inverse = c.variable("double", c.number(0.0)), c.variable("double", c.number(0.0))
    with c.loop(n) as j:
        total = c.variable("double", c.number(0.0))
        with c.loop(n) as i:
            c.set(total, c.add(c.get(total), c.abs(c.load(f["J"], c.plus(c.times(i, n), j)))))
        c.set(norm, c.larger(c.get(norm), c.get(total)))
        with c.loop(n) as i:
            unit = c.op(f"select i1 {c.equal(i, j)}, double {c.number(1.0)}, double {c.number(0.0)}")
            c.store(f["step"], i, unit)
        c.emit(f"call void @{NAME}_solve(ptr {f['LU']}, i64 {n}, ptr {f['pivots']}, ptr {f['step']})")
        c.set(total, c.number(0.0))
        with c.loop(n) as i:
            c.set(total, c.add(c.get(total), c.abs(c.load(f["step"], i))))
        c.set(inverse, c.larger(c.get(inverse), c.get(total)))
    product = c.mul(c.mul(c.get(norm), c.get(inverse)), c.number(rule.rcond))
    return c.op(f"xor i1 {c.test('ole', product, c.number(1.0))}, true")


def _unless(c: Code, condition: str) -> str:
    return c.op(f"xor i1 {condition}, true")


def _newton(rule: Rule) -> str:
    """Newton's full steps from the unknowns at ``z``; 0 where they converge superlinearly to a regular root."""
    c = Code(f"{NAME}_newton", "ptr %record")
    f = _fields(c, BLOCK)
    n = f["n"]
    first, last = c.variable("double", c.number(-1.0)), c.variable("double", c.number(float("inf")))
    step, before = c.variable("double", c.number(float("inf"))), c.variable("double", c.number(float("inf")))
    done, count = c.variable("i1", "false"), c.variable("i64", "0")
    size = c.times(n, n)
    with c.loop(str(rule.steps + 1)) as k, c.when(_unless(c, c.get(done, "i1"))):
        c.emit(f"call void {f['function']}(ptr {f['table']})")
        c.emit(
            f"call void @{NAME}_assemble(ptr {f['J']}, ptr {f['base']}, i64 {size}, ptr {f['entries']}, "
            f"ptr {f['position']}, i64 {f['count']})"
        )
        square = _square(c, f["residual"], n)
        with c.when(_unless(c, c.test("ole", square, c.get(last)))):
            c.give("1")
        c.set(last, square)
        c.set(count, k, "i64")
        gone = c.test("ole", square, c.mul(c.number(rule.gone), c.get(first)))
        c.set(done, c.op(f"or i1 {c.test('ole', c.get(step), c.number(rule.close))}, {gone}"), "i1")
        with c.when(_unless(c, c.get(done, "i1"))):
            with c.when(c.test("olt", c.get(first), c.number(0.0))):
                c.set(first, square)
            with c.when(c.equal(k, str(rule.steps))):
                c.give("2")
            _newton_step(c, f, size, step, before, rule)
    with c.when(_unless(c, c.get(done, "i1"))):
        c.give("2")
    c.store(f["steps"], "0", c.get(count, "i64"), "i64")
    _verify(c, f, c.test("ole", c.get(last), c.mul(c.number(rule.gone), c.get(first))), step, before, rule)
    c.emit("ret i64 0")
    return c.text()


def _newton_step(c: Code, f: dict[str, str], size: str, step: str, before: str, rule: Rule) -> None:
    """u ← u − J⁻¹ r, with the size of the step beside that of u."""
    n = f["n"]
    with c.loop(size) as i:
        c.store(f["LU"], i, c.load(f["J"], i))
    failed = c.op(f"call i64 @{NAME}_factor(ptr {f['LU']}, i64 {n}, ptr {f['pivots']})")
    with c.when(c.op(f"icmp ne i64 {failed}, 0")):
        c.give("3")
    with c.loop(n) as i:
        c.store(f["step"], i, c.load(f["residual"], i))
    c.emit(f"call void @{NAME}_solve(ptr {f['LU']}, i64 {n}, ptr {f['pivots']}, ptr {f['step']})")
    c.set(before, c.get(step))
    c.set(step, c.div(_square(c, f["step"], n), c.larger(_square(c, f["z"], n), c.number(rule.floor**2))))
    with c.when(_unless(c, c.test("ole", c.get(step), c.mul(c.number(rule.growth), c.get(before))))):
        c.give("4")
    with c.loop(n) as i:
        c.store(f["z"], i, c.sub(c.load(f["z"], i), c.load(f["step"], i)))


def _verify(c: Code, f: dict[str, str], gone: str, step: str, before: str, rule: Rule) -> None:
    """The tests at the end: superlinear, |r_i| ≤ tol · Σ_j |J_ij| max(|u_j|, floor), and J regular."""
    n = f["n"]
    factored = c.test("olt", c.get(step), c.number(float("inf")))
    fast = c.test("ole", c.get(step), c.mul(c.number(rule.rate), c.get(before)))
    several = c.op(f"icmp sgt i64 {c.load(f['steps'], '0', 'i64')}, 1")
    simple = c.op(f"or i1 {gone}, {c.op(f'and i1 {fast}, {several}')}")
    with c.when(_unless(c, c.op(f"and i1 {factored}, {simple}"))):
        c.give("5")
    with c.loop(n) as i:
        total = c.variable("double", c.number(0.0))
        with c.loop(n) as j:
            magnitude = c.larger(c.abs(c.load(f["z"], j)), c.number(rule.floor))
            c.set(total, c.add(c.get(total), c.mul(c.abs(c.load(f["J"], c.plus(c.times(i, n), j))), magnitude)))
        small = c.test("ole", c.abs(c.load(f["residual"], i)), c.mul(c.number(rule.tol), c.get(total)))
        finite = c.test("olt", c.get(total), c.number(float("inf")))
        with c.when(_unless(c, c.op(f"and i1 {small}, {finite}"))):
            c.give("6")
    with c.when(_is_singular(c, f, rule)):
        c.give("7")


def _block() -> str:
    """One block: 0 where its values are verified."""
    c = Code(f"{NAME}_block", "ptr %record")
    f = _fields(c, BLOCK)
    with c.when(c.equal(f["kind"], str(KINDS["cycle"]))):
        c.give(c.op(f"call i64 @{NAME}_newton(ptr %record)"))
    c.emit(f"call void {f['function']}(ptr {f['table']})")
    with c.loop(f["n"]) as i:
        x = c.load(f["z"], i)
        with c.when(_unless(c, c.test("oeq", c.sub(x, x), c.number(0.0)))):
            c.give("1")
    c.emit("ret i64 0")
    return c.text()


def _totals() -> str:
    """Rows of dz/dx, each by one solve with the transposed matrix of the local derivatives (A | B) by z and by x."""
    c = Code(f"{NAME}_totals", "ptr %record")
    f = _fields(c, TOTALS)
    n, columns = f["n"], f["columns"]
    c.emit(f"call void {f['function']}(ptr {f['table']})")
    check = c.load(f["check"], "0")
    with c.when(_unless(c, c.test("oeq", c.sub(check, check), c.number(0.0)))):
        c.give("1")
    square = c.times(n, n)
    size = c.plus(square, c.times(n, columns))  # A by rows, then B by rows
    c.emit(
        f"call void @{NAME}_assemble(ptr {f['A']}, ptr {f['base']}, i64 {size}, ptr {f['entries']}, "
        f"ptr {f['position']}, i64 {f['count']})"
    )
    B = c.at(f["A"], square)
    failed = c.op(f"call i64 @{NAME}_factor(ptr {f['A']}, i64 {n}, ptr {f['pivots']})")
    with c.when(c.op(f"icmp ne i64 {failed}, 0")):
        c.give("2")
    with c.loop(f["rows"]) as r:
        target = c.load(f["targets"], r, "i64")
        with c.loop(n) as i:
            unit = c.op(f"select i1 {c.equal(i, target)}, double {c.number(1.0)}, double {c.number(0.0)}")
            c.store(f["lam"], i, unit)
        c.emit(f"call void @{NAME}_solve_transposed(ptr {f['A']}, i64 {n}, ptr {f['pivots']}, ptr {f['lam']})")
        with c.loop(columns) as j:
            total = c.variable("double", c.number(0.0))
            with c.loop(n) as i:
                part = c.mul(c.load(f["lam"], i), c.load(B, c.plus(c.times(i, columns), j)))
                c.set(total, c.sub(c.get(total), part))
            value = c.get(total)
            with c.when(_unless(c, c.test("oeq", c.sub(value, value), c.number(0.0)))):
                c.give("3")
            c.store(f["out"], c.plus(c.times(r, columns), j), value)
    c.emit("ret i64 0")
    return c.text()


def _program() -> str:
    """All blocks in order, then the totals: 0, or where it ended."""
    c = Code(f"{NAME}_program", "ptr %record")
    f = _fields(c, PROGRAM)
    with c.loop(f["count"]) as k:
        status = c.op(f"call i64 @{NAME}_block(ptr {c.load(f['blocks'], k, 'ptr')})")
        with c.when(c.op(f"icmp ne i64 {status}, 0")):
            c.give(status)
    with c.when(c.op(f"icmp eq ptr {f['totals']}, null")):
        c.give("0")
    c.give(c.op(f"call i64 @{NAME}_totals(ptr {f['totals']})"))
    c.emit("ret i64 0")
    return c.text()


def runtime(rule: Rule) -> dict[str, int]:
    """Addresses of the functions ``block`` and ``program``, which take a record each."""
    parts = [_factor(), _solve(), _solve_transposed(), _assemble(), _newton(rule), _block(), _totals(), _program()]
    module = compile_module("\n".join([_DECLARED, *parts, module_header()]), 2)
    return {name: module.address(name) for name in ("block", "program")}
