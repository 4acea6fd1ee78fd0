"""Loops in ranges and shifted sums: the results, and that they do not depend on the number of threads."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.derivatives import reverse_sweep
from adjoint.expr import Variable, constant

pytest.importorskip("llvmlite", reason="compiles loops with llvmlite")

from adjoint.backends.llvm_ import adding, emit, ranges, target, threads
from adjoint.backends.llvm_.lowering import lower
from adjoint.backends.llvm_.records import Kernel, Load, Shifted
from adjoint.backends.llvm_.threads import get_num_threads, set_num_threads
from adjoint.walk import topological

NUMPY, LLVM = BACKENDS["numpy"], BACKENDS["llvm"]
posix = pytest.mark.skipif(os.name != "posix", reason="threads share loops where the system has POSIX threads")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    set_num_threads(None)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Ranges and shifted sums in loops of a few steps."""
    monkeypatch.setattr(ranges, "WORTH", 0)
    monkeypatch.setattr(ranges, "LEAST", 1)
    monkeypatch.setattr(ranges, "ADDED", 0)
    monkeypatch.setattr(ranges, "SHORTEST", 8)
    monkeypatch.setattr(adding, "SHORTEST", 2)
    return monkeypatch


def kernels(inputs: list[Any], outputs: list[Any]) -> list[Kernel]:
    """The loops of a function, with more than one step."""
    packed = [e for out in outputs for e in (out if isinstance(out, tuple) else (out,))]
    return [k for k in lower(inputs, outputs, topological(packed, definitions={}), {}).kernels if k.size > 1]


def shifted(found: list[Kernel]) -> list[Shifted]:
    return [s.value for k in found for s in k.sinks if isinstance(s.value, Shifted)]


def agree(inputs: list[Any], outputs: list[Any], values: list[Any], tol: float = 1e-13) -> list[Any]:
    """The compiled results, which are NumPy's."""
    fast = LLVM.compile(inputs, outputs)(*values)
    for k, (a, b) in enumerate(zip(fast, NUMPY.compile(inputs, outputs)(*values), strict=True)):
        scale = np.abs(b).max(initial=1.0)
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol * scale, err_msg=f"output {k}")
    return list(fast)


# -- random sums over neighbours, strides, rows and positions -----------------------------------------------------


def neighbours(rng: np.random.Generator) -> tuple[list[Variable], list[Any]]:
    """Sums of terms of elements a few places apart, with their gradients."""
    n = int(rng.integers(20, 400))
    x, y, w = Variable("x", (n,)), Variable("y", (n,)), Variable("w", (n, 3))
    parts: list[Any] = []
    for _ in range(rng.integers(1, 4)):
        step, far = int(rng.choice([1, 1, 2, 3])), int(rng.integers(1, 13))
        m = (n - far * step - step) // step
        if m < 1:
            continue

        def some(v: Any, step: int = step, far: int = far, m: int = m) -> Any:
            start = int(rng.integers(0, far * step + 1))
            return v[start : start + m * step : step]

        a, b = some(x), some(y)
        parts.append([np.sin(a * b) + some(x) ** 2, a * some(x) - some(x), np.exp(some(y)) * 0.1 * b][rng.integers(3)])
        if rng.random() < 0.3:
            parts.append(np.sum(w * x[:, None], axis=int(rng.integers(0, 2))))
        if rng.random() < 0.3:
            parts.append(np.cos(x)[rng.integers(0, n, n)] * y)
    total: Any = constant(0.0)
    for part in parts:
        total = total + np.sum(part)
    found = reverse_sweep({total: constant(1.0)}, {x, y, w}, {})
    gradient = [found.get(v, constant(np.zeros(v.shape))) for v in (x, y, w)]
    return [x, y, w], [total, *gradient, tuple(gradient), *parts, np.max(x * y), np.min(w, axis=0)]


@pytest.mark.parametrize("seed", range(25))
def test_sums_over_neighbours(seed: int, tiny: pytest.MonkeyPatch) -> None:
    """In ranges or not, on vectors of any width, with any number of threads."""
    rng = np.random.default_rng(seed)
    variables, outputs = neighbours(rng)
    values = [rng.uniform(-1.0, 1.0, v.shape) for v in variables]
    tiny.setattr(ranges, "MOST", int(rng.choice([1, 2, 3, 64])))
    tiny.setattr(emit, "BLOCK", int(rng.choice([8, 4096])))
    tiny.setattr(ranges, "ADDED", int(rng.choice([0, 10**9])))
    narrow = int(rng.choice([1, 2, 4, 8]))
    tiny.setitem(target._started(), "width", min(narrow, target.vector_width()))
    set_num_threads(1)
    first = agree(variables, outputs, values, 1e-12)
    set_num_threads(3)
    for a, b in zip(first, LLVM.compile(variables, outputs)(*values), strict=True):
        np.testing.assert_array_equal(a, b)


# -- what becomes of sums over neighbours ---------------------------------------------------------------------------


def test_neighbouring_sums_are_one_loop() -> None:
    """The gradient of a chain reads each element once, and writes it once."""
    x = Variable("x", (1000,))
    total = np.sum((x[1:] - x[:-1] ** 2) ** 2)
    (gradient,) = (reverse_sweep({total: constant(1.0)}, {x}, {})[x],)
    found = kernels([x], [gradient])
    assert len(found) == 1 and [len(s.terms) for s in shifted(found)] == [2]
    assert [s.kind for s in found[0].sinks] == ["store"]
    agree([x], [gradient], [np.linspace(-1.0, 1.0, 1000)])


@pytest.mark.parametrize("distance", [1, 7, 8, 9, 20, 70])
@pytest.mark.parametrize("n", [100, 117, 1000])
def test_distances(n: int, distance: int) -> None:
    """Terms some places apart, near enough for registers or not."""
    x = Variable("x", (n,))
    u = np.sin(x[: n - distance])
    outputs = [
        adj.put(np.zeros(n), slice(0, -distance), u) + adj.put(np.zeros(n), slice(distance, None), u * x[distance:])
    ]
    values = np.random.default_rng(n).uniform(-1.0, 1.0, n)
    agree([x], outputs, [values])


@pytest.mark.parametrize("apart", [2, 3, 4, 5])
@pytest.mark.parametrize("n", [5, 16, 64, 117, 5000])
def test_every_few_elements(n: int, apart: int, tiny: pytest.MonkeyPatch) -> None:
    """Terms of which each takes every s-th element: together they fill an array, once and more than once."""
    x, y = Variable("x", (n,)), Variable("y", (n,))
    size = apart * (n + 2)
    terms = [np.sin(x), x * y, x - y, y * y, np.exp(x)]

    def placed(k: int, start: int) -> Any:
        return adj.put(np.zeros(size), slice(start, start + apart * n, apart), terms[k])

    once: Any = sum((placed(k, k) for k in range(1, apart)), placed(0, 0))
    twice: Any = once + sum((placed(k, k + apart) for k in range(1, apart)), placed(apart - 1, apart))
    rng = np.random.default_rng(n)
    values = [rng.uniform(-1.0, 1.0, n) for _ in range(2)]
    agree([x, y], [once, twice, np.stack(terms[:apart], axis=1)], values)
    tiny.setattr(adding, "FARTHEST", -1)
    agree([x, y], [2.0 * once, 2.0 * twice], values)


def test_not_finite_values_stay_where_they_are(tiny: pytest.MonkeyPatch) -> None:
    """A NaN reaches the sums of its own terms, also across the ends of ranges."""
    n = 40
    x = Variable("x", (n,))
    total = np.sum(x[2:] * x[:-2]) + np.sum(x[1:] * x[:-1])
    gradient = reverse_sweep({total: constant(1.0)}, {x}, {})[x]
    fast, plain = (b.compile([x], [gradient]) for b in (LLVM, NUMPY))
    for k in range(n):
        values = np.linspace(1.0, 2.0, n)
        values[k] = [np.nan, np.inf][k % 2]
        np.testing.assert_allclose(fast(values)[0], plain(values)[0], rtol=1e-14)


def test_a_constant_array_of_one_number_is_that_number() -> None:
    x = Variable("x", (50,))
    out = x * constant(np.full(50, 2.5)) + constant(np.full((5, 50), -1.0))[2]
    (loop,) = kernels([x], [out])
    assert not any(a.buffer.place == "constant" for e in loop.elements for a in e.args if isinstance(a, Load))
    agree([x], [out], [np.arange(50.0)])
    signs = np.zeros(50)
    signs[1::2] = -0.0
    (result,) = LLVM.compile([x], [np.where(x > 0.0, constant(signs), x)])(np.ones(50))
    np.testing.assert_array_equal(np.signbit(result), np.signbit(signs))


def test_joins_are_read_where_their_parts_are() -> None:
    """What reads one part of a join, or the sum of all in another order, needs no join."""
    x, y = Variable("x", (300,)), Variable("y", (200,))
    joined = np.concatenate([np.exp(x), y, np.sin(y)])
    order = np.random.default_rng(0).permutation(300)
    outputs = [
        joined[:300],
        np.sum(joined[order]),
        joined[310:490] * 2.0,
        joined[-1],
        joined[250:350],
        joined[::-1][:200],
    ]
    rng = np.random.default_rng(1)
    values = [rng.uniform(size=300), rng.uniform(size=200)]
    agree([x, y], outputs, values)
    assert not any(s.buffer.place == "work" for k in kernels([x, y], outputs[:3]) for s in k.sinks)


# -- ranges -------------------------------------------------------------------------------------------------------


def test_large_loops_have_ranges_and_small_ones_none() -> None:
    small, large = Variable("x", (1000,)), Variable("y", (1_000_000,))
    assert all(k.ranges is None for k in kernels([small], [np.sum(np.exp(small))]))
    (count,) = (k.ranges.count for k in kernels([large], [np.sum(np.exp(large))]) if k.ranges is not None)
    assert 2 <= count <= ranges.MOST


def test_contested_places_are_added_to_by_one_thread() -> None:
    """Sums at places that ranges share: a loop without ranges after the one that computes the terms."""
    n = 100_000
    x = Variable("x", (n,))
    places = np.random.default_rng(0).integers(0, 50, n)
    out = adj.scatter_add((50,), places, np.exp(np.sin(x) * x))
    found = [k for k in kernels([x], [out]) if k.size == n]
    assert [k.ranges is not None for k in found] == [True, False] and found[1].sinks[0].kind == "add"
    agree([x], [out], [np.random.default_rng(1).uniform(size=n)], 1e-12)
    apart = adj.scatter_add((n,), np.arange(n)[::-1].copy(), np.exp(x))
    assert all(k.ranges is not None for k in kernels([x], [apart]) if k.elements)


def large(n: int = 300_000) -> tuple[list[Any], list[Any], list[Any]]:
    """A function of long loops, and arguments."""
    x, a = Variable("x", (n,)), Variable("a", (n // 3, 3))
    u = np.exp(x) * np.sin(x)
    outputs = [np.sum(u), u[1:] - u[:-1], np.max(u), np.sum(a * np.cos(a), axis=0), np.sum(np.sin(a), axis=1)]
    rng = np.random.default_rng(0)
    return [x, a], outputs, [rng.uniform(size=n), rng.uniform(size=(n // 3, 3))]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_results_do_not_depend_on_the_number_of_threads(count: int) -> None:
    variables, outputs, values = large()
    set_num_threads(1)
    expected = agree(variables, outputs, values, 1e-11)
    set_num_threads(count)
    assert get_num_threads() == count
    function = LLVM.compile(variables, outputs)
    for _ in range(5):
        for a, b in zip(function(*values), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@posix
def test_called_from_several_threads() -> None:
    """One of them has the pool, the others do their loops alone."""
    variables, outputs, values = large()
    set_num_threads(3)
    function = LLVM.compile(variables, outputs)
    expected = function(*values)
    with ThreadPoolExecutor(4) as executor:
        for found in executor.map(lambda _: function(*values), range(40)):
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_array_equal(a, b)


@posix
def test_the_number_of_threads_changes_meanwhile() -> None:
    variables, outputs, values = large()
    function = LLVM.compile(variables, outputs)
    expected = function(*values)
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            for count in (1, 2, 4):
                set_num_threads(count)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(30):
            for a, b in zip(function(*values), expected, strict=True):
                np.testing.assert_array_equal(a, b)
    finally:
        done.set()
        thread.join()


@posix
def test_tiny_loops_shared_many_times(tiny: pytest.MonkeyPatch) -> None:
    """Loops of a microsecond, one after the other: threads come late, in time, or in the middle."""
    x = Variable("x", (64,))
    y = x
    for _ in range(20):
        y = y[::-1] * 0.5 + x
    total = np.sum(y * y)
    set_num_threads(4)
    function = LLVM.compile([x], [y, total])
    values = np.linspace(-1.0, 1.0, 64)
    expected = function(values)
    for _ in range(3000):
        found = function(values)
        assert found[1] == expected[1] and (found[0] == expected[0]).all()


@posix
def test_the_system_gives_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    variables, outputs, values = large()
    set_num_threads(1)
    expected = LLVM.compile(variables, outputs)(*values)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        set_num_threads(4)
        found = LLVM.compile(variables, outputs)(*values)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def _in_child(function: Any, values: list[Any], queue: Any) -> None:
    before = [np.asarray(a).sum() for a in function(*values)]
    variables, outputs, _ = large()
    after = [np.asarray(a).sum() for a in LLVM.compile(variables, [2.0 * e for e in outputs])(*values)]
    queue.put((before, after))


@posix
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded")
def test_forked_children_have_threads_of_their_own() -> None:
    variables, outputs, values = large()
    set_num_threads(2)
    function = LLVM.compile(variables, outputs)
    expected = [np.asarray(a).sum() for a in function(*values)]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=_in_child, args=(function, values, queue)) for _ in range(3)]
    for child in children:
        child.start()
    results = [queue.get(timeout=60) for _ in children]
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    for before, after in results:
        np.testing.assert_array_equal(before, expected)
        np.testing.assert_allclose(after, np.multiply(2.0, expected), rtol=1e-12)


COUNT = """
import adjoint as adj
from adjoint.backends.llvm_.threads import get_num_threads
print(get_num_threads())
"""
ENDS = """
import threading
import numpy as np, adjoint as adj
m = adj.Program(backend="llvm")
x = m.input("x", np.ones(1_000_000))
m.define("f", np.sum(np.exp(x)))
f = m.function("f")
print(f(np.zeros(1_000_000)), sum(t.name.startswith("adjoint") for t in threading.enumerate()))
"""


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)


@posix
def test_environment_variable() -> None:
    assert run(COUNT, ADJOINT_NUM_THREADS="3").stdout == "3\n"
    assert 1 <= int(run(COUNT, ADJOINT_NUM_THREADS="").stdout) <= threads.MOST
    wrong = run(COUNT, ADJOINT_NUM_THREADS="many")
    assert wrong.returncode and "ADJOINT_NUM_THREADS is 'many', expected a positive whole number" in wrong.stderr


@posix
def test_a_process_ends_with_threads_waiting() -> None:
    for count in (1, 4):
        done = run(ENDS, ADJOINT_NUM_THREADS=str(count))
        assert (done.returncode, done.stdout, done.stderr) == (0, f"1000000.0 {count - 1}\n", "")


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True])
def test_wrong_numbers_of_threads(count: Any) -> None:
    with pytest.raises(adj.ModelError, match=f"the number of threads is {count!r}"):
        set_num_threads(count)
