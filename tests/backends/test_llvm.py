"""The compiled backend in use: threads, calls within calls, other processes, and without llvmlite."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint import backends
from adjoint.backends import BACKENDS, get_backend
from adjoint.expr import Variable
from adjoint.primitives.external import External, external

pytest.importorskip("llvmlite", reason="runs the compiled backend")

from adjoint.backends.llvm_ import compiled, target

ROOT = Path(__file__).resolve().parents[2]
NUMPY, LLVM = BACKENDS["numpy"], BACKENDS["llvm"]


def python(code: str, *arguments: str, **variables: str) -> str:
    """What another Python prints."""
    environment = {**os.environ, **variables}
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={k: v for k, v in environment.items() if v != "unset"},
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


# -- threads ----------------------------------------------------------------------------------------------------


def vector_function(n: int) -> tuple[list[Any], list[Any]]:
    x = Variable("x", (n,))
    return [x], [np.exp(np.sin(x)) * x[::-1], np.sum(x * x), np.cumsum(x)[-1]]


def kinds_of_functions() -> dict[str, tuple[list[Any], list[Any]]]:
    """Every way in: one vector, scalars only, arrays copied, arrays in place, with calls of NumPy between the loops."""
    x, y, s = Variable("x", (6,)), Variable("y", (3, 3)), Variable("s")
    big = Variable("big", (60_000,))
    a, b = np.sin(x), y + 3.0 * np.eye(3)
    return {
        "one vector": ([x], [a * x[::-1], np.sum(a)]),
        "one packed vector": ([(x, s)], [a * s, (s, x)]),
        "scalars": ([s, Variable("t")], [np.sin(s) * Variable("t"), s]),
        "several": ([x, y, s], [a * s, y @ y, np.max(x), y[0] + x[:3]]),
        "calls": ([x, y], [np.linalg.solve(b, x[:3] * a[3:]), np.linalg.det(b) * a, np.cumsum(np.cumsum(a) * 2.0)]),
        "in place": ([big, s], [np.sin(big) * s + big[::-1], np.sum(big * big), np.cumsum(big) * 0.5]),
    }


@pytest.mark.parametrize("kind", sorted(kinds_of_functions()))
def test_threads(kind: str) -> None:
    """One function called from 8 threads at once: every call has memory of its own."""
    inputs, outputs = kinds_of_functions()[kind]
    if kind == "scalars":
        inputs = [inputs[0], next(v for v in outputs[0].args if v is not inputs[0] and v.op is None)]
    fast, plain = (b.compile(inputs, outputs) for b in (LLVM, NUMPY))
    sizes = [sum(v.size for v in i) if isinstance(i, tuple) else i.shape for i in inputs]
    count, repeats = 8, 3 if kind == "in place" else 60
    start = threading.Barrier(count)

    def work(seed: int) -> float:
        rng = np.random.default_rng(seed)
        values = [rng.uniform(-1.0, 1.0, s) for s in sizes]
        expected = plain(*values)
        start.wait(60)
        worst = 0.0
        for _ in range(repeats):
            for a, e in zip(fast(*values), expected, strict=True):
                worst = max(worst, float(np.max(np.abs(a - e), initial=0.0)))
        return worst

    with ThreadPoolExecutor(count) as pool:
        assert max(pool.map(work, range(count))) < (1e-8 if kind == "in place" else 1e-12)


def test_threads_that_compile() -> None:
    """Equal and different programs compiled from 8 threads at once."""

    def work(k: int) -> float:
        x = Variable("x", (5 + k % 3,))
        function = LLVM.compile([x], [np.sin(x) * (2.0 + k % 3), np.sum(x)])
        return float(function(np.ones(x.size))[1])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(24))) == [5.0 + k % 3 for k in range(24)]


def test_threads_that_solve() -> None:
    """Programs of equal structure, each solved in a thread of its own."""

    def work(k: int) -> tuple[float, float]:
        m = adj.Program()
        m.backend = "llvm"
        x, y = m.input("x", 1.0 + k), m.unknown("y", guess=1.0)
        m.constrain(y**3 + y == x)
        sol = m.solve()
        return sol["y"], sol.gradient("y", wrt="x")

    with ThreadPoolExecutor(4) as pool:
        for k, (y, dy) in enumerate(pool.map(work, range(8))):
            assert y**3 + y == pytest.approx(1.0 + k, abs=1e-9)
            assert dy == pytest.approx(1.0 / (3.0 * y * y + 1.0), rel=1e-9)


def test_threads_share_a_program() -> None:
    """One program solved, and its function called, from several threads at once."""
    m = model()
    fun = m.function("f", wrt=["z", "x"])

    def work(k: int) -> tuple[float, Any, float, Any]:
        z, x = np.array([3.0 + k, 1.0]), 0.5
        for _ in range(5):
            sol, v = m.solve(z=z, x=x), np.array([*z, x])
            found = sol["f"], sol.gradient("f", wrt="z"), fun(v), fun.jac(v)
        return found

    expected = [work(k) for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for a, b in zip(pool.map(work, range(8)), expected, strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_allclose(x, y, rtol=1e-9)


# -- calls within calls -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [0, 4096])
def test_recursion(copied: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """f(x) = 2 x + f(x − 1), f(x) = 0 for x ≤ 0, elementwise: a black box calls the function it is in."""
    monkeypatch.setattr(compiled, "COPIED", copied)
    x = Variable("x", (2,))

    def call(v: Any) -> Any:
        return np.where(v > 0.0, function(v)[0], 0.0) if np.any(v > 0.0) else np.zeros(2)

    box = external(External("f", call, [(2,)], (2,), None), [x - 1.0])
    function = LLVM.compile([x], [2.0 * x + box, x])
    found = function(np.array([3.0, 13.0]))
    np.testing.assert_array_equal(found[0], [3.0 * 4.0, 13.0 * 14.0])
    np.testing.assert_array_equal(found[1], [3.0, 13.0])


def test_a_box_calls_a_function_of_its_program() -> None:
    m = adj.Program()
    m.backend = "llvm"
    x = m.input("x", [1.0, 2.0])
    y = m.define("y", np.sin(x) * 2.0)
    inner = m.function("y", wrt=["x"])
    box = m.external("box", lambda v: inner(v) + 1.0, [x], shape=(2,), jac=lambda v: inner.jac(v))
    m.define("z", np.sum(box * y))
    sol = m.solve(x=[0.5, 1.5])
    v = np.array([0.5, 1.5])
    assert sol["z"] == pytest.approx(np.sum((2.0 * np.sin(v) + 1.0) * 2.0 * np.sin(v)), rel=1e-14)
    exact = 2.0 * np.cos(v) * (4.0 * np.sin(v) + 1.0)
    np.testing.assert_allclose(sol.gradient("z", wrt="x"), exact, rtol=1e-12)
    outer = m.function("z", wrt=["x"])
    assert outer(v) == pytest.approx(sol["z"], rel=1e-14)
    np.testing.assert_allclose(outer.jac(v), exact, rtol=1e-12)


def test_a_box_that_fails() -> None:
    """After an exception the function works as before."""
    x = Variable("x", (3,))
    fail: list[Exception] = [ValueError("no"), KeyboardInterrupt()]  # type: ignore[list-item]

    def call(v: Any) -> Any:
        if v[0] < 0.0:
            raise fail.pop(0)
        return v

    function = LLVM.compile([x], [external(External("f", call, [(3,)], (3,), None), [x * 2.0]) + x])
    np.testing.assert_array_equal(function(np.ones(3))[0], np.full(3, 3.0))
    with pytest.raises(adj.EvaluationError, match="no"):
        function(-np.ones(3))
    with pytest.raises(KeyboardInterrupt):
        function(-np.ones(3))
    np.testing.assert_array_equal(function(np.ones(3))[0], np.full(3, 3.0))


def test_a_box_that_keeps_things() -> None:
    """A box may return its argument, or one array always, keep what it was given, and write to it."""
    x, y = Variable("x", (3,)), Variable("y", (3,))
    kept: list[Any] = []
    always = np.zeros(3)

    def identity(v: Any) -> Any:
        kept.append(v)
        return v

    def same(v: Any) -> Any:
        always[:] = v
        v[:] = np.nan
        return always

    boxes = [External("identity", identity, [(3,)], (3,), None), External("same", same, [(3,)], (3,), None)]
    u = x * 2.0
    first, second, third = external(boxes[0], [u]), external(boxes[1], [u + y]), external(boxes[1], [x])
    function = LLVM.compile([x, y], [first + second * 10.0 + third * 100.0, u, first, second, third])
    a, b = np.arange(3.0), np.ones(3)
    for k in range(3):
        before = [v.copy() for v in kept]
        found = function(a + k, b)
        for old, now in zip(before, kept, strict=False):
            np.testing.assert_array_equal(now, old)
        np.testing.assert_array_equal(found[0], 2 * (a + k) + 10 * (2 * (a + k) + 1) + 100 * (a + k))
        np.testing.assert_array_equal(found[1], 2 * (a + k))
        np.testing.assert_array_equal(found[3], 2 * (a + k) + 1)
        np.testing.assert_array_equal(found[4], a + k)
    np.testing.assert_array_equal(a, np.arange(3.0))


# -- what cannot be compiled ------------------------------------------------------------------------------------


def test_complex_arithmetic_is_numpys() -> None:
    x = Variable("x", (3,))
    function = LLVM.compile([x], [np.sin(x)], None, True)
    np.testing.assert_array_equal(function(np.full(3, 1j))[0], np.sin(np.full(3, 1j)))


def test_unknown_variables_are_named() -> None:
    x, stranger = Variable("x"), Variable("stranger")
    with pytest.raises(adj.ModelError, match="'stranger'"):
        LLVM.compile([x], [x + stranger])


def test_nothing_to_compute() -> None:
    x = Variable("x", (3,))
    v = np.arange(3.0)
    assert LLVM.compile([x], [])(v) == ()
    assert LLVM.compile([], [])() == ()
    (found,) = LLVM.compile([], [adj.expr.constant(v)])()
    np.testing.assert_array_equal(found, v)
    (found,) = LLVM.compile([x], [()])(v)
    assert found.shape == (0,)
    (found,) = LLVM.compile([(x,)], [x])(v)
    np.testing.assert_array_equal(found, v)
    (found,) = LLVM.compile([(), x], [x])(np.zeros(0), v)
    np.testing.assert_array_equal(found, v)


@pytest.mark.parametrize("kind", ["several", "in place"])
def test_arrays_of_the_wrong_size(kind: str) -> None:
    """No memory beyond the end of an array is read."""
    inputs, outputs = kinds_of_functions()[kind]
    function = LLVM.compile(inputs, outputs)
    values = [np.ones(v.shape) for v in inputs]
    function(*values)
    for size in (2, 5, 70_000):
        with pytest.raises((ValueError, adj.AdjointError)):
            function(np.ones(size), *values[1:])
    for a, b in zip(function(*values), NUMPY.compile(inputs, outputs)(*values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_long_programs_compile() -> None:
    """Thousands of scalar operations, and loops of more operations than one body holds."""
    s, x = Variable("s"), Variable("x", (20,))
    u: Any = s
    for i in range(1500):
        u = np.sin(u) * 1.1 + s / (i + 2.0)
    v: Any = x
    for i in range(600):
        v = v * 0.5 + x / (i + 2.0 + v * v)
    outputs = [u, np.sin(v)]
    fast, plain = (b.compile([s, x], outputs) for b in (LLVM, NUMPY))
    values = 0.3, np.linspace(-1.0, 1.0, 20)
    for a, b in zip(fast(*values), plain(*values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


# -- other processes --------------------------------------------------------------------------------------------


def model() -> Any:
    m = adj.Program("sellar")
    m.backend = "llvm"
    z, x = m.input("z", [5.0, 2.0]), m.input("x", 1.0)
    y1, y2 = m.unknown("y1", guess=1.0), m.unknown("y2", guess=1.0)
    m.define(y1, z[0] ** 2 + z[1] + x - 0.2 * y2)
    m.define(y2, np.sqrt(y1) + np.sum(z))
    m.define("f", x**2 + z[1] + y1 + np.exp(-y2))
    m.define("g", x * np.sin(z) + np.linalg.det(np.outer(z, z) + np.eye(2)))
    return m


OTHER = """
import pickle, sys
import numpy as np
m, fun, con, sol = pickle.load(open(sys.argv[1], "rb"))
v = np.array([4.0, 1.0, 0.5])
out = [m.backend, m.solve(x=2.0)["f"], fun(v), fun.jac(v), con(v), con.jac(v), sol["f"], sol.gradient("f", wrt="z")]
pickle.dump((out, m, sol), open(sys.argv[1], "wb"))
"""


def answers(m: Any, fun: Any, con: Any, sol: Any) -> list[Any]:
    v = np.array([4.0, 1.0, 0.5])
    values = [m.solve(x=2.0)["f"], fun(v), fun.jac(v), con(v), con.jac(v)]
    return [m.backend, *values, sol["f"], sol.gradient("f", wrt="z")]


def test_pickles_in_another_process(tmp_path: Path) -> None:
    """A program, functions and a solution, pickled after use; and what the other process pickles comes back."""
    m = model()
    sol, fun, con = m.solve(), m.function("f"), m.function(["g", "y1"], wrt=["z", "x"])
    expected = answers(m, fun, con, sol)
    path = tmp_path / "model"
    path.write_bytes(pickle.dumps((m, fun, con, sol)))
    python(OTHER, str(path))
    found, other, solution = pickle.loads(path.read_bytes())
    assert found[0] == "llvm"
    for a, b in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert other.solve(x=2.0)["f"] == pytest.approx(expected[1], rel=1e-12)
    np.testing.assert_allclose(solution.gradient("f", wrt="z"), expected[-1], rtol=1e-12)


def _in_child(queue: Any, function: Callable[..., Any], values: Sequence[Any]) -> None:
    x = Variable("x", (11,))
    new = LLVM.compile([x], [np.cosh(x) * 1.0625])
    queue.put((function(*values), new(np.ones(11)), model().solve()["f"]))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="processes cannot fork")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded")
def test_forked_children() -> None:
    """A child uses functions that its parent compiled, and compiles its own."""
    inputs, outputs = kinds_of_functions()["calls"]
    function = LLVM.compile(inputs, outputs)
    values = [np.linspace(0.0, 1.0, v.size).reshape(v.shape) for v in inputs]
    expected = function(*values)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=_in_child, args=(queue, function, values)) for _ in range(2)]
    for child in children:
        child.start()
    for _ in children:
        found, new, f = queue.get(timeout=120)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(new[0], np.cosh(np.ones(11)) * 1.0625, rtol=1e-15)
        assert f == pytest.approx(model().solve()["f"], rel=1e-12)
    for child in children:
        child.join(120)
        assert child.exitcode == 0
    for a, b in zip(function(*values), expected, strict=True):
        np.testing.assert_array_equal(a, b)


# -- which backend ----------------------------------------------------------------------------------------------


WITHOUT = """
import logging, sys
sys.modules["llvmlite"] = None
lines = []
class Handler(logging.Handler):
    def emit(self, record):
        lines.append((record.name, record.levelname, record.getMessage()))
logging.getLogger("adjoint").addHandler(Handler())
import numpy as np
import adjoint as adj
from adjoint.backends import BACKENDS, get_backend
assert not lines, "importing says nothing"
m = adj.Program()
y = m.define("y", np.exp(m.input("x", 0.0)) + 1.0)
values = m.solve()["y"], m.solve().gradient("y", wrt="x")
adj.Program().solve()
print(sorted(BACKENDS), get_backend().name, values, len(lines), *(f"{a} {b} {'llvmlite' in c}" for a, b, c in lines))
"""


def test_without_llvmlite() -> None:
    """NumPy takes over, and says so once; not if it was asked for."""
    out = python(WITHOUT, ADJOINT_BACKEND="unset")
    assert out.split() == "['numpy'] numpy (2.0, 1.0) 1 adjoint WARNING True".split()
    out = python(WITHOUT, ADJOINT_BACKEND="numpy")
    assert out.split() == "['numpy'] numpy (2.0, 1.0) 0".split()


@pytest.fixture
def undecided(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As before the first question for the default."""
    monkeypatch.setattr(backends, "_default", [])
    monkeypatch.delenv("ADJOINT_BACKEND", raising=False)
    return monkeypatch


def test_the_default_is_the_compiled_one(undecided: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="adjoint"):
        assert get_backend() is LLVM
    assert get_backend("numpy") is NUMPY and not caplog.records


def test_the_environment_names_the_default(undecided: pytest.MonkeyPatch) -> None:
    undecided.setenv("ADJOINT_BACKEND", "numpy")
    assert get_backend() is NUMPY
    assert get_backend("llvm") is LLVM


def test_an_unknown_default_is_refused(undecided: pytest.MonkeyPatch) -> None:
    undecided.setenv("ADJOINT_BACKEND", "lvm")
    for _ in range(2):
        with pytest.raises(adj.ModelError, match="llvm"):
            get_backend()


def test_the_fall_back_is_logged_once(undecided: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    undecided.delitem(BACKENDS, "llvm")
    assert get_backend() is NUMPY and get_backend() is NUMPY
    assert [r.name for r in caplog.records] == ["adjoint"]
    assert "llvmlite" in caplog.text and "pip install" in caplog.text
    with pytest.raises(adj.ModelError, match="numpy"):
        get_backend("llvm")


def test_availability(monkeypatch: pytest.MonkeyPatch) -> None:
    assert target.available()
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    assert not target.available()


# -- beside numba -----------------------------------------------------------------------------------------------

BESIDE = """
import math, sys
import numpy as np
def with_numba(k):
    import numba
    @numba.njit
    def total(x):
        s = 0.0
        for i in range(x.size):
            s += math.exp(x[i]) * math.sin(x[i]) * k
        return s
    x = np.linspace(0.0, 1.0, 1001)
    assert abs(total(x) - k * np.sum(np.exp(x) * np.sin(x))) < 1e-9
    return total
def with_adjoint(n):
    import adjoint as adj
    m = adj.Program()
    m.backend = "llvm"
    x = m.input("x", np.linspace(0.0, 1.0, n))
    m.define("f", np.sum(np.exp(x) * np.sin(x)))
    v = np.linspace(0.0, 1.0, n)
    sol = m.solve()
    assert abs(sol["f"] - np.sum(np.exp(v) * np.sin(v))) < 1e-9
    assert np.allclose(sol.gradient("f", wrt="x"), np.exp(v) * (np.sin(v) + np.cos(v)), rtol=1e-12)
if sys.argv[1] == "before":
    first = with_numba(1.0)
    with_adjoint(1001)
else:
    with_adjoint(1001)
    first = with_numba(1.0)
with_numba(2.0)
with_adjoint(1003)
assert abs(first(np.ones(3)) - 3.0 * math.e * math.sin(1.0)) < 1e-12
print("both work")
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_numba_in_one_process(when: str, tmp_path: Path) -> None:
    """Both use llvmlite: neither disturbs the other, whichever was first."""
    pytest.importorskip("numba", reason="is about numba and this library in one process")
    assert python(BESIDE, when, ADJOINT_CACHE_DIR=str(tmp_path)) == "both work\n"


def test_threads_share_a_small_program() -> None:
    """It is compiled, and its memory laid out, by whoever comes first; each thread has its own."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for a in range(1, 5):
            m = adj.Program(backend="llvm")
            x, y = m.input("x", 1.0), m.unknown("y")
            m.constrain(y**3 + float(a) * y == x)
            fun = m.function("y")

            def work(k: int, m: Any = m, fun: Any = fun) -> tuple[float, float, float, float]:
                sol, v = m.solve(x=float(k)), np.array([float(k)])
                return sol["y"], sol.gradient("y", wrt="x"), fun(v), fun.jac(v)[0]

            with ThreadPoolExecutor(8) as pool:
                for k, (value, slope, again, gradient) in enumerate(pool.map(work, range(40))):
                    np.testing.assert_allclose([value**3 + a * value, again**3 + a * again], k, atol=1e-10)
                    np.testing.assert_allclose([slope, gradient], 1 / (3 * value**2 + a), rtol=1e-9)
    finally:
        sys.setswitchinterval(before)
