"""Scans against the same loops unrolled: values and all derivatives, on both backends."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.derivatives import jvp, vjp
from adjoint.loops import scan
from adjoint.walk import topological
from tests.loops.random_steps import LENGTH, NAMES, programs


def agree(a: Any, b: Any, tol: float = 1e-11) -> None:
    """Values, or dicts of them, that are equal up to rounding."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            agree(a[key], b[key], tol)
        return
    scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
    assert np.shape(a) == np.shape(b)
    assert np.max(np.abs(np.subtract(a, b)), initial=0.0) <= tol * scale


def directions(sol: adj.Solution) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    return {name: rng.normal(size=np.shape(sol[name])) for name in NAMES}


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.parametrize("seed", range(6))
def test_random_steps(seed: int, backend: str) -> None:
    options: dict[str, Any] = {"reverse": seed % 2 == 1, "checkpoints": [None, 1, 2, 3, 4, 5][seed]}
    loop, plain = programs(seed, backend, **options)
    a, b = loop.solve(), plain.solve()
    agree(a["f"], b["f"])
    agree(a.gradient("f"), b.gradient("f"))
    d = directions(a)
    agree(a.jvp(d)["f"], b.jvp(d)["f"])
    agree(a.hvp("f", d), b.hvp("f", d), 1e-10)
    assert a.check_derivatives("f")


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_hessians_and_derivatives_at_other_points(backend: str) -> None:
    loop, plain = programs(7, backend)
    for factor in (1.0, 0.8):
        x = {"s": 0.7 * factor, "u": factor * np.ones(LENGTH)}
        a, b = loop.solve(x), plain.solve(x)
        hessian = a.hessian("f", wrt=["s", "h0", "u"])
        column = b.hvp("f", {"s": 1.0})
        for name in ("s", "h0", "u"):
            agree(hessian[name, "s"], column[name], 1e-10)
            agree(hessian["s", name], column[name], 1e-10)
        column = b.hvp("f", {"u": np.eye(LENGTH)[2]})
        agree(hessian["h0", "u"][:, 2], column["h0"], 1e-10)
        agree(hessian["u", "u"][:, 2], column["u"], 1e-10)
        agree(a.gradient("f"), b.gradient("f"))


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_third_derivatives_follow_from_the_same_rules(backend: str) -> None:
    """d/dx of a Hessian–vector product, beside central differences of it."""
    m = adj.Program(backend=backend)
    x = m.input("x", 0.3)

    def cube(a: Any) -> Any:
        return scan(lambda c, t: (c * np.cos(a * t) + a, None), a, np.array([0.5, 1.0, 1.5]))[0]

    f = cube(x)
    (g,) = vjp([f], [1.0], [x])
    (h,) = jvp([g], {x: 1.0})
    m.define("h", h)
    m.define("third", vjp([h], [1.0], [x])[0])
    e = 1e-5
    difference = (m.solve(x=0.3 + e)["h"] - m.solve(x=0.3 - e)["h"]) / (2 * e)
    assert abs(m.solve()["third"] - difference) < 1e-8


def test_backends_compile_the_loop() -> None:
    if "llvm" not in BACKENDS:
        pytest.skip("no compiled backend")
    m = adj.Program(backend="llvm")
    a = m.input("a", 0.9)
    end, _ = scan(lambda c, _: (a * np.sin(c) + 0.1, None), 1.0, length=50)
    m.define("f", end)
    m.solve()
    (loop,) = loops_of(end)
    assert loop.runner("step")._native


def loops_of(e: Any) -> list[Any]:
    return [n.params[0] for n in topological([e]) if n.op is not None and n.op.name == "scan"]


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_a_step_with_a_call_of_numpy(backend: str) -> None:
    """A factorization in the step: the loop is not native, but the same."""
    m = adj.Program(backend=backend)
    a = m.input("a", np.array([[3.0, 1.0], [0.5, 2.0]]))

    def step(c: Any, x: Any) -> Any:
        c = np.linalg.solve(a + x * np.outer(c, c), c + 1.0)
        return c, c[0]

    xs = np.linspace(0, 1, 4)
    end, ys = scan(step, np.ones(2), xs)
    m.define("f", np.sum(end) + np.sum(ys**2))
    c, rows = np.ones(2), []
    for x in xs:
        c = np.linalg.solve(np.array([[3.0, 1.0], [0.5, 2.0]]) + x * np.outer(c, c), c + 1.0)
        rows.append(c[0])
    sol = m.solve()
    agree(sol["f"], np.sum(c) + np.sum(np.square(rows)))
    assert sol.check_derivatives("f")


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_scans_in_scans(backend: str) -> None:
    def model(nested: bool) -> adj.Program:
        m = adj.Program(backend=backend)
        k, y0 = m.input("k", 0.7), m.input("y0", [0.4, -0.2])

        def outer(y: Any, x: Any) -> Any:
            def inner(z: Any, s: Any) -> Any:
                z = z + 0.1 * np.sin(k * z + s * x + y[::-1])
                return z, np.sum(z)

            if nested:
                z, sums = scan(inner, y, np.arange(3.0))
                return z, np.sum(sums)
            z, total = y, 0.0
            for s in range(3):
                z, part = inner(z, float(s))
                total = total + part
            return z, total

        if nested:
            y, out = scan(outer, y0, np.linspace(-1, 1, 4))
        else:
            y, rows = y0, []
            for x in np.linspace(-1, 1, 4):
                y, r = outer(y, x)
                rows.append(r)
            out = np.stack(rows)
        m.define("f", np.sum(y**2) + np.sum(out * np.arange(4.0)))
        return m

    a, b = model(True).solve(), model(False).solve()
    agree(a["f"], b["f"])
    agree(a.gradient("f"), b.gradient("f"))
    agree(a.hvp("f", {"k": 1.0}), b.hvp("f", {"k": 1.0}))


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_edges(backend: str) -> None:
    """No steps, one step, no output, no carry, outputs that are inputs, constants, or nothing of the step."""
    m = adj.Program(backend=backend)
    x, w = m.input("x", [1.0, 2.0, 3.0]), m.input("w", 2.0)
    end, ys = scan(lambda c, r: (c + r, c), w, x[:0])
    assert ys.shape == (0,)
    m.define("none", end)
    end, ys = scan(lambda c, r: (c * r, None), w, x[:1])
    assert ys is None
    m.define("one", end)
    carry, ys = scan(lambda c, r: (None, (r, w, 3.0, w * r**2)), None, x)
    assert carry is None
    m.define("outputs", np.stack(ys))
    end, _ = scan(lambda c, r: ((c[1], w), None), (0.0, 1.0), x)
    m.define("shifted", end[0] + 10 * end[1])
    sol = m.solve()
    assert sol["none"] == 2.0 and sol["one"] == 2.0 and sol["shifted"] == 22.0
    assert sol["outputs"].tolist() == [[1, 2, 3], [2, 2, 2], [3, 3, 3], [2, 8, 18]]
    agree(sol.gradient({"outputs": np.ones((4, 3))}), {"x": 1 + 4 * np.array([1.0, 2, 3]), "w": 3 + 14.0})
    agree(sol.gradient("none"), {"x": np.zeros(3), "w": 1.0})
    agree(sol.gradient("shifted"), {"x": np.zeros(3), "w": 11.0})


def test_numbers_give_numbers() -> None:
    end, ys = scan(lambda c, x: (0.5 * c + x, {"c": c}), 1.0, np.array([1.0, 2.0, 3.0]))
    assert end == 4.375 and isinstance(end, float)
    assert ys["c"].tolist() == [1.0, 1.5, 2.75]


def test_what_is_closed_over_is_computed_once() -> None:
    m = adj.Program()
    w = m.input("w", np.ones((2, 2)))
    end, _ = scan(lambda c, _: (np.exp(np.sin(w)) @ c, None), np.ones(2), length=3)
    (loop,) = loops_of(end)
    step = loop.step
    assert [v.shape for v in step.params] == [(2, 2)]
    assert not any(n.op is not None and n.op.name in ("exp", "sin") for n in topological(step.after))


def test_the_last_run_is_not_mixed_up() -> None:
    """Values and derivatives at points in turn, as an optimizer asks for them."""
    m = adj.Program()
    a, u = m.input("a", 0.5), m.input("u", np.linspace(0, 1, 2000))
    end, ys = scan(lambda c, x: (c + 0.001 * np.sin(a * c + x), c), 0.0, u, checkpoints=None)
    m.define("f", end**2 + np.sum(ys) / 2000)
    fun = m.function("f", wrt=["a"])
    values = {}
    for _ in range(3):
        for x in (0.5, 0.9, 0.1):
            v = np.array([x])
            pair = fun(v), float(fun.jac(v)[0])
            assert values.setdefault(x, pair) == pytest.approx(pair, abs=1e-15)
    for x, (_, slope) in values.items():
        h = 1e-6
        assert slope == pytest.approx((fun(np.array([x + h])) - fun(np.array([x - h]))) / (2 * h), abs=1e-8)


def test_threads_share_a_loop() -> None:
    m = adj.Program()
    a = m.input("a", 0.5)
    end, ys = scan(lambda c, x: (np.sin(a * c + x), c), 0.3, np.linspace(0, 1, 3000))
    m.define("f", end + np.mean(ys))
    expected = [m.solve(a=x).gradient("f", wrt="a") for x in np.linspace(0.1, 0.9, 40)]
    m.solve(a=0.2).gradient("f")

    def one(x: float) -> float:
        return m.solve(a=x).gradient("f", wrt="a")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, np.linspace(0.1, 0.9, 40))) == expected


def test_programs_with_scans_pickle() -> None:
    loop, _ = programs(3, "numpy")
    copy = pickle.loads(pickle.dumps(loop))
    agree(copy.solve().gradient("f"), loop.solve().gradient("f"))
    other = adj.Program()
    part = other.include(loop, prefix="p.")
    other.define("g", 2 * part["f"])
    agree(other.solve()["g"], 2 * loop.solve()["f"])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: scan(3, 0.0, length=2), adj.ModelError, "takes a function"),
        (lambda: scan(lambda c, x: (c, x), 0.0), adj.ModelError, "needs xs=..., or length="),
        (lambda: scan(lambda c, x: c, 0.0, length=2), adj.ModelError, r"returns \(carry, y\)"),
        (lambda: scan(lambda c, x: ((c, c), None), 0.0, length=2), adj.ModelError, "in another form"),
        (lambda: scan(lambda c, x: (np.ones(2) * c, None), 0.0, length=2), adj.ShapeError, "carry the shape"),
        (lambda: scan(lambda c, x: (c, x), 0.0, (np.ones(2), np.ones(3))), adj.ShapeError, r"xs\[1\] has 3 rows"),
        (lambda: scan(lambda c, x: (c, x), 0.0, 1.0), adj.ShapeError, "xs is a scalar"),
        (lambda: scan(lambda c, x: (c, x), 0.0, np.ones(2), length=3), adj.ShapeError, "expected 3"),
        (lambda: scan(lambda c, x: (c, x), 0.0, length=-1), adj.ModelError, "negative"),
        (lambda: scan(lambda c, x: (c, x), 0.0, length=2, checkpoints=0), adj.ModelError, "checkpoints="),
        (lambda: scan(adj.Program(), 0.0, length=2), adj.ModelError, "program_step"),
    ],
)
def test_what_does_not_fit_is_told(call: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        call()
