"""Laws of backends: on random programs of array operations the compiled one gives what NumPy gives.

Sizes are chosen around the width of vectors, and the limits between the compiled backend's ways of doing a thing are
moved so that small programs take them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.derivatives import forward_sweep, reverse_sweep
from adjoint.expr import Constant, Expr, Variable, constant
from adjoint.sparsity import TooDenseError, flat_values, jacobian_map
from tests.laws.random_arrays import ArrayProgram, array_programs, random_program

pytest.importorskip("llvmlite", reason="compares the compiled backend with NumPy")

from adjoint.backends.llvm_ import adding, compiled, cutting, emit, places, ranges, target, uses

NUMPY, LLVM = BACKENDS["numpy"], BACKENDS["llvm"]
SEEDS = st.integers(0, 10**6)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def error(actual: Any, expected: Any, tol: float = 1e-12) -> str:
    """What differs by more than ``tol`` of the largest value."""
    for k, (a, e) in enumerate(zip(actual, expected, strict=True)):
        a, e = np.asarray(a), np.asarray(e, dtype=float)
        if a.shape != e.shape or a.dtype != float:
            return f"output {k}: {a.dtype} of shape {a.shape}, expected shape {e.shape}"
        scale = np.abs(e[np.isfinite(e)]).max(initial=1.0)
        if not np.allclose(a, e, rtol=tol, atol=tol * scale, equal_nan=True):
            at = np.nonzero(~np.isclose(a, e, rtol=tol, atol=tol * scale, equal_nan=True).reshape(-1))[0][0]
            return f"output {k} at {at} of {a.shape}: {a.reshape(-1)[at]!r}, expected {e.reshape(-1)[at]!r}"
    return ""


def rounding_decides(function: Callable[..., Any], values: Sequence[Any], rng: np.random.Generator) -> bool:
    """Whether the reference itself jumps when its arguments move by some units in the last place."""
    before = function(*values)
    for _ in range(8):
        moved = [x * (1.0 + 1e-14 * rng.uniform(-1.0, 1.0, np.shape(x))) for x in values]
        if error([np.asarray(a, dtype=float) for a in function(*moved)], before, 1e-10):
            return True
    return False


def same(
    p: ArrayProgram, outputs: Sequence[Any], inputs: Sequence[Any] = (), seed: int = 0, tol: float = 1e-12
) -> None:
    """Both backends agree: at several points in turn, overwriting neither arguments nor earlier results."""
    inputs = [*p.inputs, *inputs]
    fast, plain = (b.compile(inputs, list(outputs), p.definitions) for b in (LLVM, NUMPY))
    rng = np.random.default_rng(seed)
    ask = ArrayProgram(inputs)
    first, second = ask.values(rng), ask.values(rng)
    before = [np.array(x) for x in first]
    found = fast(*first)
    kept = [np.array(a) for a in found]
    results = [(found, first), (fast(*second), second), (fast(*first), first)]
    for a, b in zip(found, kept, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=f"a result was overwritten by the next call\n{p}")
    for x, y in zip(first, before, strict=True):
        np.testing.assert_array_equal(x, y, err_msg=f"an input was overwritten\n{p}")
    for k, (actual, values) in enumerate(results):
        wrong = error(actual, plain(*values), tol)
        if wrong:
            assume(not rounding_decides(plain, values, rng))
            raise AssertionError(f"call {k}: {wrong}\n{p}")


# -- derivatives of a random program ----------------------------------------------------------------------------


def weighted(p: ArrayProgram) -> Expr:
    """Σ_k w_k Σ out_k"""
    total: Any = constant(0.0)
    for k, e in enumerate(p.expressions):
        total = total + np.sum(e * (0.5 + 0.25 * k))
    return total


def gradient(p: ArrayProgram) -> list[Expr]:
    cot = reverse_sweep({weighted(p): constant(1.0)}, set(p.variables), p.definitions)
    return [cot.get(v, constant(np.zeros(v.shape))) for v in p.variables]


def tangents(p: ArrayProgram) -> tuple[list[Variable], list[Expr]]:
    """Directions of the inputs as further inputs, and the derivatives of the outputs along them."""
    along = {v: Variable(f"d{v.name}", v.shape) for v in p.variables}
    tan = forward_sweep(p.expressions, along, p.definitions)
    return list(along.values()), [tan.get(e, constant(np.zeros(e.shape))) for e in p.expressions]


@settings(max_examples=40)
@given(array_programs(), SEEDS)
def test_values(p: ArrayProgram, seed: int) -> None:
    same(p, p.outputs, seed=seed)


@settings(max_examples=4)
@given(array_programs(80), SEEDS)
def test_values_of_long_programs(p: ArrayProgram, seed: int) -> None:
    same(p, p.outputs, seed=seed)


@settings(max_examples=12)
@given(array_programs(10), SEEDS)
def test_reverse(p: ArrayProgram, seed: int) -> None:
    same(p, [weighted(p), *gradient(p), tuple(gradient(p))], seed=seed, tol=1e-11)


@settings(max_examples=12)
@given(array_programs(10), SEEDS)
def test_forward(p: ArrayProgram, seed: int) -> None:
    directions, out = tangents(p)
    same(p, [*p.outputs, *out], [tuple(directions)], seed=seed, tol=1e-11)


@settings(max_examples=10)
@given(array_programs(6), SEEDS)
def test_jacobian_entries(p: ArrayProgram, seed: int) -> None:
    """The varying entries of ∂out/∂in, and of the Hessian of their sum."""
    small = [e for e in p.expressions if e.size <= 100]
    parts = []
    for outputs, definitions in ((small, p.definitions), (gradient(p), p.definitions)):
        try:
            entries = flat_values(jacobian_map(outputs, p.variables, definitions, budget=20_000))
        except TooDenseError:
            continue
        if sum(e.size for e in entries) < 10_000:
            parts.append(entries)
    same(p, parts, seed=seed, tol=1e-11)


# -- every way of doing a thing ---------------------------------------------------------------------------------

FORMS: dict[str, list[tuple[Any, str, Any]]] = {
    "short loops": [(cutting, "LONGEST_BODY", 2)],
    "products by BLAS": [(uses, "SMALL_PRODUCT", -1), (uses, "SMALL_MATRIX", -1)],
    "products in loops": [(uses, "SMALL_PRODUCT", 10**9)],
    "sums in blocks": [(emit, "BLOCK", 8)],
    "innermost loops as written": [(places, "NARROW", 0)],
    "innermost loops long": [(places, "NARROW", 10**9)],
    "arrays in place": [(compiled, "COPIED", 0)],
    "arrays copied": [(compiled, "COPIED", 10**9)],
    "threads let run": [(compiled, "RELEASE", 0)],
    "ranges": [(ranges, "WORTH", 0), (ranges, "LEAST", 1), (ranges, "ADDED", 0), (ranges, "SHORTEST", 8)],
    "ranges, sums apart": [(ranges, "WORTH", 0), (ranges, "LEAST", 1), (ranges, "ADDED", 10**9), (emit, "BLOCK", 8)],
    "short shifted sums": [(adding, "SHORTEST", 1)],
    "nothing shifted": [(adding, "FARTHEST", -1)],
    "optimized as long code": [(compiled, "STRAIGHT", (10**9, 0))],
}
NARROWER = [w for w in (1, 2, 4) if w < target.vector_width()]


def forced(patch: pytest.MonkeyPatch, form: str) -> None:
    for module, name, value in FORMS[form]:
        patch.setattr(module, name, value)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=4)
@given(p=array_programs(14), seed=SEEDS)
def test_forms(form: str, p: ArrayProgram, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        forced(patch, form)
        same(p, [*p.outputs, *gradient(p)], seed=seed, tol=1e-11)


@pytest.mark.parametrize("width", NARROWER)
@settings(max_examples=5)
@given(p=array_programs(14), seed=SEEDS)
def test_widths(width: int, p: ArrayProgram, seed: int) -> None:
    """On a processor whose vectors are narrower."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(target._started(), "width", width)
        same(p, [*p.outputs, *gradient(p)], seed=seed, tol=1e-11)


@settings(max_examples=6)
@given(p=array_programs(14), seed=SEEDS, forms=st.lists(st.sampled_from(sorted(FORMS)), min_size=2, max_size=4))
def test_forms_together(p: ArrayProgram, seed: int, forms: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for form in forms:
            forced(patch, form)
        same(p, [*p.outputs, *gradient(p)], seed=seed, tol=1e-11)


# -- special values ---------------------------------------------------------------------------------------------

SPECIAL = np.array([0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 5e-324, -1e-310, 1e308, -1e308, 2.5])


def special(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.choice(SPECIAL, size=shape)


def identical(actual: Any, expected: Any, note: str, signs: bool = True) -> None:
    np.testing.assert_array_equal(actual, expected, err_msg=note)
    if signs:
        zero = np.asarray(expected) == 0.0
        a, e = np.signbit(actual)[zero], np.signbit(expected)[zero]
        np.testing.assert_array_equal(a, e, err_msg=f"{note}: sign of 0")


# A sum may start from a zero of its own; of two zeros either is the larger one.
UNSIGNED = {"placed", "placed, and others", "maximum", "minimum", "relu", "clip"}
UNSIGNED |= {"largest", "smallest", "largest of rows", "smallest of columns"}


def exact_programs(n: int) -> dict[str, tuple[list[Variable], Expr]]:
    """Operations whose results are the same numbers in any order of evaluation, over n elements."""
    x, y, s = Variable("x", (n,)), Variable("y", (n,)), Variable("s")
    a = Variable("a", (n, 3))
    back, cut = np.arange(n)[::-1], n // 2
    pairs = {
        **{"sum": x + y, "difference": x - y, "product": x * y, "quotient": x / y, "negative": -x, "scaled": 2.0 * x},
        **{"where": np.where(x > y, x, s), "maximum": np.maximum(x, y), "minimum": np.minimum(x, s)},
        **{"square": x * x, "sqrt": np.sqrt(x), "absolute": abs(x), "floor": np.floor(x), "zero times": x * 0.0},
        **{"minus zero": x + constant(-0.0), "plus zero": x + 0.0, "reversed": x[::-1] * y, "gathered": x[back] - s},
        **{"relu": adj.relu(x), "heaviside": np.heaviside(x, s), "sign": np.sign(x)},
        "clip": np.clip(x, -1.0, s),
    }
    out = {name: ([x, y, s], e) for name, e in pairs.items()}
    out["joined"] = [x, y], np.concatenate([x[cut:], -y[::-1], x[:cut]])
    out["put"] = [x, y], adj.put(x, slice(0, cut), -y[:cut])
    out["placed"] = [x], adj.scatter_add((n + 2,), back + 1, x)
    out["placed, and others"] = [x, s], adj.scatter_add((n + 2,), back + 1, x) * 1.0 + adj.put(np.zeros(n + 2), 0, s)
    out["largest"], out["smallest"] = ([a], np.max(a)), ([a], np.min(a))
    out["largest of rows"], out["smallest of columns"] = ([a], np.max(a, axis=1)), ([a], np.min(a, axis=0))
    out["transposed"] = [a, x], a.T - x
    return out


@pytest.mark.parametrize("n", range(1, 18))
def test_special_values(n: int) -> None:
    """NaN, infinities, zeros of both signs and subnormal numbers, where a loop's last elements go under a mask."""
    programs = exact_programs(n)
    variables = list({v.name: v for given, _ in programs.values() for v in given}.values())
    outputs = [e for _, e in programs.values()]
    fast, plain = (b.compile(variables, outputs) for b in (LLVM, NUMPY))
    rng = np.random.default_rng(n)
    for _ in range(10):
        values = [special(rng, v.shape)[()] for v in variables]
        for name, a, b in zip(programs, fast(*values), plain(*values), strict=True):
            identical(a, b, f"{name}, {n} elements, {values}", signs=name not in UNSIGNED)


@pytest.mark.parametrize("n", [1, 3, 5, 8, 13, 17])
def test_special_values_in_sums(n: int) -> None:
    """One NaN or infinity reaches the sums it belongs to, and no other; also where positions repeat."""
    x, a = Variable("x", (n,)), Variable("a", (n, 3))
    places = np.arange(n) % 3
    outputs = [
        *(np.sum(x), np.mean(x), np.sum(a), np.sum(a, axis=0), np.sum(a, axis=1), x @ a, a @ np.ones(3)),
        *(adj.scatter_add((4,), places, x), adj.segment_sum(a, places, 4), adj.scatter_add((n,), np.arange(n), x) + x),
        *(x[::-1] + adj.segment_sum(x, places, n), np.exp(x), np.tanh(x), np.log1p(x), np.arctan2(x, x[::-1])),
    ]
    fast, plain = (b.compile([x, a], outputs) for b in (LLVM, NUMPY))
    rng = np.random.default_rng(n)
    for _ in range(20):
        numbers, often = [1.0, -2.0, 0.5, 0.0, np.inf, -np.inf, np.nan], [0.3] * 3 + [0.025] * 4
        values = [rng.choice(numbers, p=often, size=s) for s in ((n,), (n, 3))]
        wrong = error(fast(*values), plain(*values), 1e-13)
        assert not wrong, f"{wrong}: {values}"


@settings(max_examples=10)
@given(array_programs(8), SEEDS)
def test_not_finite_in_the_same_places(p: ArrayProgram, seed: int) -> None:
    """A NaN among the inputs makes the same outputs NaN."""
    rng = np.random.default_rng(seed)

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        return np.where(rng.uniform(size=shape) < 0.1, np.nan, rng.uniform(-1.5, 1.5, shape))

    fast, plain = (b.compile(p.inputs, p.outputs, p.definitions) for b in (LLVM, NUMPY))
    values = p.values(rng, draw)
    wrong = error(fast(*values), plain(*values))
    assert not wrong, f"{wrong}\n{p}"


# -- arguments of other kinds -----------------------------------------------------------------------------------


def variants(x: Any) -> Iterator[Any]:
    """The same (whole) numbers as other objects."""
    x = np.asarray(x)
    if not x.ndim:
        yield from (float(x), int(x), np.int32(x), np.array(x), np.array(x, dtype=np.int64), np.float32(x))
        return
    yield from (x.astype(np.int64), x.astype(np.float32), x.astype(np.int8), np.asfortranarray(x), x > 0)
    wide = np.zeros(tuple(2 * n for n in x.shape))
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    yield view
    yield x[::-1].copy()[::-1]
    fixed = x.copy()
    fixed.flags.writeable = False
    yield fixed
    yield x.astype(">f8")


@pytest.mark.parametrize("copied", [0, 4096])
@pytest.mark.parametrize("shapes", [[(4, 5)], [(3,)], [()], [(), ()], [(5, 3), (), (7,)], [(40, 30)]])
def test_kinds_of_arguments(copied: int, shapes: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Integers, other orders of memory, views with gaps, read-only arrays."""
    monkeypatch.setattr(compiled, "COPIED", copied)
    variables = [Variable(f"x{k}", s) for k, s in enumerate(shapes)]
    packed = [tuple(variables)]
    outputs = [variables[0] * 2.0, np.sum(variables[-1]), variables[0]]
    rng = np.random.default_rng(0)
    values = [rng.integers(-9, 9, s).astype(float)[()] for s in shapes]
    fast, plain = (b.compile(variables, outputs) for b in (LLVM, NUMPY))
    for k, v in enumerate(variables):
        for other in variants(values[k]):
            given = [*values[:k], other, *values[k + 1 :]]
            expected = plain(*(np.asarray(x, dtype=float)[()] for x in given))
            assert not error(fast(*given), expected), (v, getattr(other, "dtype", type(other)))
    flat = np.concatenate([np.ravel(x) for x in values])
    fast, plain = (b.compile(packed, outputs) for b in (LLVM, NUMPY))
    for other in variants(flat):
        assert not error(fast(other), plain(np.asarray(other, dtype=float)))


@pytest.mark.parametrize("copied", [0, 4096])
def test_results_are_arrays_of_their_own(copied: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is returned may be written to: neither the inputs, nor the constants, nor other results change."""
    monkeypatch.setattr(compiled, "COPIED", copied)
    x = Variable("x", (40,))
    c = constant(np.arange(40.0))
    view = np.reshape(x, (8, 5)).T
    fast = LLVM.compile([x], [x, x, x[::-1], view, c, (x,), x * 2.0, x * 2.0, np.cumsum(x), np.cumsum(x)])
    values = np.linspace(-1.0, 1.0, 40)
    first = fast(values)
    kept = [a.copy() for a in first]
    for k, a in enumerate(first):
        assert a.flags.writeable and not np.shares_memory(a, values)
        a[...] = np.nan
        for other, before in list(zip(first, kept, strict=True))[k + 1 :]:
            np.testing.assert_array_equal(other, before)
    np.testing.assert_array_equal(values, np.linspace(-1.0, 1.0, 40))
    for a, b in zip(fast(values), kept, strict=True):
        np.testing.assert_array_equal(a, b)


# -- large ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [4095, 4096, 4097, 30_011])
def test_large_arrays(n: int) -> None:
    """Beyond the limit of copying, and of the blocks of sums."""
    x, y, s = Variable("x", (n,)), Variable("y", (n, 2)), Variable("s")
    u = np.sin(x) * s + y[:, 1]
    rng = np.random.default_rng(n)
    places = rng.integers(0, 50, n)
    outputs = [
        *(u, np.sum(u), np.max(u), np.min(y, axis=0), np.sum(y * u[:, None], axis=0), x @ u, u @ y, np.cumsum(u)),
        *(adj.scatter_add((50,), places, u), u[places] - x, u[1:] - u[:-1], (u[::-3], y.T), y, u[-1]),
    ]
    p = ArrayProgram([x, y, s], outputs)
    same(p, outputs, tol=1e-11)
    same(p, [*gradient(p)], tol=1e-11)


def test_one_element_of_a_huge_array() -> None:
    """Looking where an element is reads no memory."""
    n = 50_000_000
    x = Variable("x", (n,))
    function = LLVM.compile([x], [x[-1] * 2.0, np.reshape(x, (2, n // 2))[1, 0], x[5]])
    values = np.zeros(n)
    values[[5, n // 2, -1]] = 1.0, 2.0, 3.0
    assert function(values) == (6.0, 2.0, 1.0)


def test_random_programs_cover_the_operations() -> None:
    """The generator makes what it should."""
    seen: set[str] = set()
    empty = 0
    for seed in range(100):
        p = random_program(seed)
        stack = [*p.expressions, *p.definitions.values()]
        known: set[Expr] = set()
        while stack:
            e = stack.pop()
            if e in known:
                continue
            known.add(e)
            seen.add("constant" if isinstance(e, Constant) else "variable" if e.op is None else e.op.name)
            empty += e.size == 0
            stack += e.args
    wanted = {"getitem", "take", "reshape", "transpose", "broadcast_to", "sum", "amax", "amin", "scatter_add", "embed"}
    wanted |= {"cumsum", "sparse_product", "solve", "det", "concatenate", "matmul", "where", "maximum", "add", "gamma"}
    assert wanted <= seen, wanted - seen
    assert empty > 30
