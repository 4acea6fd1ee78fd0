"""Kernels of the compiled backend, one at a time: errors in units in the last place, and special values.

References are extended precision where NumPy has it, and NumPy and SciPy for special values.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.special as sp

pytest.importorskip("llvmlite", reason="compiles kernels with llvmlite")

from adjoint.backends.llvm_ import target
from adjoint.backends.llvm_.body import Body, literal
from adjoint.backends.llvm_.kernels import KERNELS
from adjoint.backends.llvm_.vector_library import vector_functions
from adjoint.primitive import PRIMITIVES

Emit = Callable[..., Sequence[str]]
WIDTHS = [w for w in (1, 4, 8) if w <= target.vector_width()] if target.vector_width() > 2 else [1, 2]
extended = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="the reference needs a long double of more than 53 bits"
)


def loop(emit: Emit, inputs: int, outputs: int, width: int, vectors: Any = None, level: int = 2) -> Callable[..., Any]:
    """A function of arrays that runs the instructions over their elements, ``width`` at a time."""
    declarations: set[str] = set()
    body = Body(width, declarations, target.vector_symbols() if vectors is None else vectors)
    lines = []
    for k in range(inputs):
        lines += [f"%p{k} = getelementptr double, ptr %a{k}, i64 %i", f"%x{k} = load {body.type}, ptr %p{k}, align 8"]
    results = emit(body, *(f"%x{k}" for k in range(inputs)))
    lines += body.lines
    for k, name in enumerate(results, inputs):
        lines += [f"%p{k} = getelementptr double, ptr %a{k}, i64 %i", f"store {body.type} {name}, ptr %p{k}, align 8"]
    pointers = ", ".join(f"ptr %a{k}" for k in range(inputs + outputs))
    code = "\n  ".join(lines)
    text = f"""{chr(10).join(sorted(declarations))}
define void @{target.NAME}_f({pointers}, i64 %n) #0 {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  {code}
  %next = add i64 %i, {width}
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}}
{target.module_header()}"""
    module = target.compile_module(text, level)
    kinds = [ctypes.c_void_p] * (inputs + outputs) + [ctypes.c_int64]
    function = ctypes.CFUNCTYPE(None, *kinds)(module.address("f"))

    def call(*arrays: Any) -> Any:
        n = len(arrays[0])
        padded = -(-n // width) * width
        ins = [np.concatenate([a, np.full(padded - n, a[-1])]).astype(float) for a in arrays]
        outs = [np.full(padded, np.nan) for _ in range(outputs)]
        function(*(a.ctypes.data for a in ins + outs), padded)
        assert call.module is module  # type: ignore[attr-defined]
        return [o[:n] for o in outs]

    call.module = module  # type: ignore[attr-defined]
    return call


@functools.cache
def kernel(name: str, width: int) -> Callable[..., np.ndarray]:
    count = len(PRIMITIVES[name].partials)
    run = loop(lambda body, *args: [KERNELS[name](body, *args)], count, 1, width)
    return lambda *arrays: run(*arrays)[0]


def ulps(actual: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Errors in units of the last place of a double at the exact value; infinite where only one is finite."""
    unit = np.ldexp(np.longdouble(1.0), np.maximum(np.frexp(exact)[1] - 53, -1074))
    rounded = exact.astype(float)
    with np.errstate(all="ignore"):
        same = (actual == rounded) | (np.isnan(actual) & np.isnan(rounded))
        error = np.abs(actual.astype(np.longdouble) - exact) / unit
    return np.where(same & ~np.isfinite(actual), 0.0, np.where(np.isfinite(actual), error, np.inf))


RNG = np.random.default_rng(0)
COUNT = 10_000


def flat(low: float, high: float) -> np.ndarray:
    return RNG.uniform(low, high, COUNT)


def wide(low: float, high: float) -> np.ndarray:
    """Positive numbers of every size."""
    return np.exp(RNG.uniform(np.log(low), np.log(high), COUNT))


def signed(x: np.ndarray) -> np.ndarray:
    return x * RNG.choice([-1.0, 1.0], x.size)


ANGLES = (
    flat(-4, 4),
    flat(-100, 100),
    signed(wide(1e-300, 1)),
    signed(wide(1, 2.0**31)),
    signed(wide(1e9, 1e300))[:2000],
    np.arange(-COUNT, COUNT) * (np.pi / 2),
)
UNIT = (flat(-1, 1), flat(0.45, 0.55), signed(wide(1e-300, 1)), signed(1 - wide(1e-16, 0.5)))
LOGS = (flat(0.5, 2), wide(5e-324, 1.7e308), 1 + signed(wide(1e-16, 0.4)))
GROWING = (flat(-1, 1), flat(-710, 710), signed(wide(1e-300, 1)))

# Name, the largest error claimed for vectors, the function in extended precision, and where.
FUNCTIONS: dict[str, tuple[float, Any, tuple[Any, ...]]] = {
    "exp": (1.1, np.exp, (flat(-1, 1), flat(-746, 710), signed(wide(1e-20, 1)))),
    "exp2": (1.1, np.exp2, (flat(-1, 1), flat(-1076, 1025), signed(wide(1e-20, 1)))),
    "expm1": (2.3, np.expm1, (*GROWING, flat(-40, 1))),
    "sinh": (2.6, np.sinh, GROWING),
    "cosh": (1.6, np.cosh, GROWING),
    "tanh": (2.3, np.tanh, (flat(-1, 1), flat(-20, 20), signed(wide(1e-300, 1)))),
    "sin": (1.6, np.sin, ANGLES),
    "cos": (1.6, np.cos, ANGLES),
    "tan": (3.0, np.tan, ANGLES),
    "arcsin": (0.9, np.arcsin, UNIT),
    "arccos": (0.9, np.arccos, UNIT),
    "arctan": (2.0, np.arctan, (*UNIT, flat(-5, 5), signed(wide(1, 1e300)))),
    "arcsinh": (2.8, np.arcsinh, (*UNIT, flat(-5, 5), signed(wide(1, 1e300)))),
    "arccosh": (2.8, np.arccosh, (flat(1, 2), 1 + wide(1e-15, 1), wide(1, 1e300))),
    "arctanh": (2.8, np.arctanh, UNIT),
    "log": (0.9, np.log, LOGS),
    "log2": (0.9, np.log2, LOGS),
    "log10": (0.9, np.log10, LOGS),
    "log1p": (1.5, np.log1p, (flat(-1, 1), wide(5e-324, 1.7e308), signed(wide(1e-16, 0.5)), wide(1e-15, 1) - 1)),
    "cbrt": (4.0, np.cbrt, (flat(-1, 1), signed(wide(1e-300, 1e300)))),
    "expit": (2.5, lambda x: 1 / (1 + np.exp(-x)), (flat(-5, 5), flat(-700, 40))),
    "softplus": (2.0, lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))), (flat(-5, 5), flat(-700, 40))),
}
PAIRS: dict[str, tuple[float, Any, tuple[Any, ...]]] = {
    "power": (
        1.5,
        np.power,
        (
            (wide(1e-3, 1e3), flat(-10, 10)),
            (wide(5e-324, 1.7e308), flat(-1.2, 1.2)),
            (1 + signed(wide(1e-15, 1e-3)), flat(-1e6, 1e6)),
            (1 + flat(-0.1, 0.1), flat(-5000, 5000)),
            (signed(wide(0.1, 10)), np.rint(flat(-100, 100))),
            (flat(0, 5), np.full(COUNT, 1.5)),
        ),
    ),
    "arctan2": (4.0, np.arctan2, ((flat(-1, 1), flat(-1, 1)), (signed(wide(1e-300, 1e300)), wide(1e-300, 1e300)))),
    "hypot": (4.0, np.hypot, ((flat(-1, 1), flat(-1, 1)), (wide(1e-150, 1e300), wide(1e-150, 1e300)))),
}


@extended
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_largest_error(name: str, width: int) -> None:
    """In units in the last place: as claimed for the vector functions, and 4 for those of the C library."""
    claim, exact, places = FUNCTIONS[name]
    with np.errstate(all="ignore"):
        for x in places:
            x = np.asarray(x)
            error = ulps(kernel(name, width)(x), exact(x.astype(np.longdouble)))
            worst = int(np.argmax(error))
            assert error[worst] <= (claim if width > 2 else 4.0), f"{name}({float(x[worst]).hex()})"


@extended
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAIRS)
def test_largest_error_of_two_arguments(name: str, width: int) -> None:
    claim, exact, places = PAIRS[name]
    with np.errstate(all="ignore"):
        for a, b in places:
            error = ulps(kernel(name, width)(a, b), exact(a.astype(np.longdouble), b.astype(np.longdouble)))
            worst = int(np.argmax(error))
            assert error[worst] <= (claim if width > 2 else 4.0), f"{name}({a[worst]!r}, {b[worst]!r})"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", sorted(KERNELS))
def test_ordinary_values(name: str, width: int) -> None:
    """The value function of the row: NumPy's or SciPy's."""
    row, rng = PRIMITIVES[name], np.random.default_rng(1)
    args = [rng.uniform(0.05, 0.95, 203) + (name == "arccosh") for _ in row.partials]
    np.testing.assert_allclose(kernel(name, width)(*args), row.value(*args), rtol=1e-14, atol=1e-15)


SPECIAL = np.array(
    [
        *(np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 1.5, 2.5, 3.0, -3.0, 8.0, 1000.0),
        *(np.nextafter(1.0, 2.0), np.nextafter(1.0, 0.0), np.nextafter(-1.0, 0.0), 1e308, -1e308, np.finfo(float).max),
        *(5e-324, -5e-324, 1e-310, -1e-310, 2.2250738585072014e-308, 2.2250738585072009e-308, 1e-20, -1e-20),
        *(709.0, 709.78, 709.79, 710.0, 710.4, 710.5, -708.5, -710.0, -745.1, -745.2, -746.0, 1023.9, 1024.0, -1074.0),
        *(-1075.0, -1076.0, 2.0**30, 2.0**30 + 1, -(2.0**30) - 1, 2.0**53, -(2.0**53) - 2, 1e15 + 0.5, 1e22, -1e300),
    ]
)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", sorted(KERNELS))
def test_special_values(name: str, width: int) -> None:
    """NaN, infinities, zeros with their signs, subnormal numbers and overflow: as the row's, in mixed vectors."""
    row = PRIMITIVES[name]
    count = len(row.partials)
    grid = np.array(list(itertools.product(SPECIAL if count < 3 else SPECIAL[:8], repeat=count))).T
    actual = kernel(name, width)(*grid)
    with np.errstate(all="ignore"):
        expected = np.asarray(row.value(*grid), dtype=float)
        near = np.abs(actual - expected) <= np.maximum(1e-14 * np.abs(expected), 1e-323)
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected)) | near
    if name not in ("maximum", "minimum", "relu"):  # of zeros of both signs, NumPy gives either
        same &= (np.signbit(actual) == np.signbit(expected)) | (expected != 0.0)
    wrong = np.flatnonzero(~same)[:6]
    assert not wrong.size, [(name, *grid[:, i], actual[i], expected[i]) for i in wrong]


@pytest.mark.parametrize("width", WIDTHS)
def test_error_functions(width: int) -> None:
    """SciPy's erfc loses digits as it becomes small."""
    x = np.concatenate([np.linspace(-6, 26, 4001), signed(wide(1e-300, 1))])
    np.testing.assert_allclose(kernel("erf", width)(x), sp.erf(x), rtol=3e-15)
    np.testing.assert_allclose(kernel("erfc", width)(x), sp.erfc(x), rtol=3e-13)
    np.testing.assert_allclose(kernel("erfc", width)(x[x < 3]), sp.erfc(x[x < 3]), rtol=3e-15)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_double_closest_to_a_multiple_of_half_a_turn(width: int) -> None:
    """Muller (2016), table 11.1; here the C library itself is 8 units in the last place off."""
    x = np.array([6381956970095103.0 * 2.0**797])
    np.testing.assert_allclose(kernel("cos", width)(x), [-4.687165924254627611e-19], rtol=3e-15)
    np.testing.assert_array_equal(kernel("sin", width)(x), [1.0])


@pytest.mark.parametrize("width", WIDTHS)
def test_without_a_vector_library(width: int) -> None:
    """... every element by itself: the same to the last places."""
    a, b = wide(1e-3, 1e3)[:101], flat(-3, 3)[:101]
    emit = lambda body, x, y: [KERNELS[n](body, x, y) for n in ("power", "arctan2", "hypot")]
    actual = loop(emit, 2, 3, width, vectors={})(a, b)
    for out, exact in zip(actual, (np.power, np.arctan2, np.hypot), strict=True):
        np.testing.assert_allclose(out, exact(a, b), rtol=1e-15)


@pytest.mark.parametrize("width", WIDTHS)
def test_unoptimized_code_gives_the_same(width: int) -> None:
    names = ("exp", "sin", "cos", "log", "tanh")
    emit = lambda body, x: [KERNELS[n](body, x) for n in names]
    x = np.concatenate([wide(1e-3, 1e3)[:101], [1e10, np.nan, np.inf, 0.0]])
    plain, optimized = (loop(emit, 1, len(names), width, level=k)(x) for k in (0, 2))
    np.testing.assert_array_equal(plain, optimized)


def test_constants_as_arguments() -> None:
    emit = lambda body, x: [body.add(x, KERNELS[n](body, body.number(0.7))) for n in ("sin", "log", "erf")]
    for width in WIDTHS:
        actual = loop(emit, 1, 3, width)(np.zeros(9))
        for out, exact in zip(actual, (np.sin, np.log, sp.erf), strict=True):
            np.testing.assert_allclose(out, exact(0.7), rtol=1e-15)


def test_equal_instructions_are_emitted_once() -> None:
    """sin and cos of one angle share all but the last steps; so do sinh and cosh."""
    for pair in (("sin", "cos"), ("sinh", "cosh"), ("exp", "exp")):
        lengths = []
        for names in (pair[:1], pair):
            body = Body(4, set(), {})
            for n in names:
                KERNELS[n](body, "%x")
            lengths.append(len(body.lines))
        assert lengths[1] <= lengths[0] + 7


def test_literals_are_exact() -> None:
    assert literal(0.1) == "0x3FB999999999999A"
    assert literal(-np.inf) == "0xFFF0000000000000"


def test_vector_functions_are_named_by_their_width() -> None:
    for (name, width), (symbol, address) in vector_functions((2, 4, 8)).items():
        assert symbol.startswith("_ZGV") and f"N{width}v" in symbol and symbol.endswith(f"_{name}")
        assert address


def test_every_elementwise_row_without_parameters() -> None:
    """... has a kernel, but for a few special functions, which NumPy and SciPy compute."""
    rows = {n for n, p in PRIMITIVES.items() if p.kind == "elementwise"}
    left_out = {"gamma", "gammaln", "digamma", "polygamma", "interp", "interp_slope", "is_knot"}
    assert set(KERNELS) >= rows - left_out
