"""Differential equations: orders of convergence, exact derivatives of the steps, stiff systems, steady states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.loops import ode, scan, steady_state
from adjoint.loops.tableaux import TABLEAUX, backward_differences

END = 1.5
TIMES = adj.Program().input("t", [0.0, 1.0])
ORDERS = {
    "euler": 1,
    "midpoint": 2,
    "heun": 2,
    "rk4": 4,
    "dopri5": 5,
    "backward-euler": 1,
    "implicit-midpoint": 2,
    "trapezoidal": 2,
    "sdirk2": 2,
    "radau3": 3,
    "radau5": 5,
    "gauss4": 4,
    "gauss6": 6,
    "bdf1": 1,
    "bdf2": 2,
    "bdf3": 3,
    "bdf4": 4,
}


def right(t: Any, y: Any, k: Any) -> Any:
    return [y[1] + 0.1 * np.sin(t), -k * y[0] - 0.3 * y[1] * y[0] ** 2]


REFERENCE = scipy.integrate.solve_ivp(
    lambda t, y: right(t, y, 2.0), (0, END), [1.0, 0.2], method="DOP853", rtol=1e-13, atol=1e-13
).y[:, -1]


def model(method: Any, steps: int, backend: str | None = None, **options: Any) -> adj.Program:
    m = adj.Program("oscillator", backend=backend)
    k, y0 = m.input("k", 2.0), m.input("y0", [1.0, 0.2])
    times: Any = END * np.linspace(0, 1, steps + 1) ** 1.2
    if not str(method).startswith("bdf"):
        times = m.input("end", END) / END * times
    y = ode(right, y0, times, (k,), method, **options)
    m.define("y", y)
    m.define("f", y[-1] @ np.array([1.0, 2.0]) + 0.1 * np.sum(y**2))
    return m


def test_every_method_has_an_order() -> None:
    assert set(TABLEAUX) <= set(ORDERS)


@pytest.mark.parametrize("method", ORDERS)
def test_order_of_convergence(method: str) -> None:
    steps = 10 * 2 ** (5 - min(5, ORDERS[method]))
    errors = [np.abs(model(method, n).solve()["y"][-1] - REFERENCE).max() for n in (steps, 2 * steps)]
    assert errors[0] < 1.0
    assert np.log2(errors[0] / errors[1]) > ORDERS[method] - 0.6


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.parametrize("method", ["rk4", "radau5", "trapezoidal", "sdirk2", "gauss4", "bdf3"])
def test_derivatives_are_those_of_the_steps(method: str, backend: str) -> None:
    """By parameters, start and times: beside the complex step through the loop."""
    for options in ({}, {"checkpoints": 3}, {"substeps": 2}):
        sol = model(method, 8, backend, **options).solve()
        check = sol.check_derivatives("f")
        assert check and check.method == "complex step", check


@pytest.mark.parametrize("method", ["rk4", "radau3", "bdf2"])
def test_hessian_vector_products(method: str) -> None:
    m = model(method, 8)
    e, d = 1e-5, {"k": 1.0, "y0": np.array([0.5, -1.0])}
    ends = [m.solve(k=2.0 + s * e, y0=np.array([1.0, 0.2]) + s * e * d["y0"]).gradient("f") for s in (1, -1)]
    product = m.solve().hvp("f", d)
    for name, value in product.items():
        np.testing.assert_allclose(value, (ends[0][name] - ends[1][name]) / (2 * e), atol=1e-7)


def test_substeps_are_steps() -> None:
    grid = np.linspace(0, END, 5)
    fine = np.linspace(0, END, 13)
    for method in ("rk4", "bdf2"):
        a = ode(right, [1.0, 0.2], grid, (2.0,), method, substeps=3)
        b = ode(right, [1.0, 0.2], fine, (2.0,), method)
        m = adj.Program()
        m.define("a", a)
        m.define("b", b[::3])
        m.define("last", ode(right, [1.0, 0.2], grid[[0, -1]], (2.0,), method, substeps=12))
        sol = m.solve()
        np.testing.assert_allclose(sol["a"], sol["b"], atol=1e-13)
        np.testing.assert_allclose(sol["last"], sol["b"][[0, -1]], atol=1e-13)


def test_any_tableau() -> None:
    heun = ([[0, 0], [1, 0]], [0.5, 0.5])
    y = model(heun, 6).solve()["y"]
    np.testing.assert_allclose(y, model("heun", 6).solve()["y"], atol=1e-15)
    euler = ([[1.0]], [1.0], [1.0])
    np.testing.assert_allclose(model(euler, 6).solve()["y"], model("bdf1", 6).solve()["y"], atol=1e-12)


def test_a_stiff_system_of_many_states() -> None:
    """Diffusion and reaction on 60 points, far beyond the explicit limit: beside SciPy's Radau method."""
    n = 60
    dx = 1 / (n + 1)
    start = np.sin(np.pi * np.linspace(dx, 1 - dx, n))

    def heat(t: Any, y: Any, k: Any) -> Any:
        zero = np.zeros(1)
        left, after = np.concatenate([zero, y[:-1]]), np.concatenate([y[1:], zero])
        return 0.1 * (left - 2 * y + after) / dx**2 + k * y * (1 - y)

    m = adj.Program("diffusion")
    k = m.input("k", 1.5)
    y = ode(heat, start, np.linspace(0, 1, 21), (k,), "radau5")
    m.define("y", y[-1])
    m.define("f", np.sum(y[-1] ** 2))
    sol = m.solve()
    reference = scipy.integrate.solve_ivp(lambda t, y: heat(t, y, 1.5), (0, 1), start, "Radau", rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(sol["y"], reference.y[:, -1], rtol=1e-6)
    assert sol.check_derivatives("f")


def test_scalars_and_decreasing_times() -> None:
    m = adj.Program()
    y = m.define("y", ode(lambda t, y: -y, 1.0, np.linspace(1, 0, 11), method="gauss6"))
    assert y.shape == (11,)
    np.testing.assert_allclose(m.solve()["y"], np.exp(np.linspace(0, 1, 11)), rtol=1e-9)


def test_weights_of_backward_differences() -> None:
    uniform = np.arange(8.0)
    np.testing.assert_allclose(backward_differences(uniform, 3)[0], [11 / 6, -3, 3 / 2, -1 / 3], atol=1e-12)
    bent = np.array([0.0, 0.1, 0.3, 0.35, 0.6])
    for row, n in zip(backward_differences(bent, 2), range(2, 5), strict=True):
        p = bent[n - 2 : n + 1][::-1] ** 2
        assert row @ p == pytest.approx(2 * bent[n] * (bent[n] - bent[n - 1]))


def test_steady_states() -> None:
    """A chemostat: derivatives by the implicit function theorem, and where the time integration arrives."""

    def chemostat(t: Any, y: Any, d: Any) -> Any:
        growth = 0.5 * y[1] / (0.2 + y[1])
        return [(growth - d) * y[0], d * (1.0 - y[1]) - growth * y[0] / 0.4]

    m = adj.Program()
    d = m.input("d", 0.3)
    y = m.define("y", steady_state(chemostat, [0.2, 0.5], (d,)))
    m.define("path", ode(chemostat, [0.2, 0.5], [0.0, 200.0], (d,), "radau5", substeps=200))
    sol = m.solve()
    rest = 0.3 * 0.2 / (0.5 - 0.3)
    np.testing.assert_allclose(sol["y"], [0.4 * (1 - rest), rest], rtol=1e-9)
    np.testing.assert_allclose(sol["path"][-1], sol["y"], rtol=1e-6)
    slopes = sol.jacobian(["y", "path"], wrt="d")
    np.testing.assert_allclose(slopes["path", "d"][-1], slopes["y", "d"], rtol=1e-5)
    assert y.shape == (2,)


def test_kelley() -> None:
    """x' = −x + u, J = x(1), Euler's method: the gradient density at 0 (Kelley 1960)."""
    m = adj.Program("Kelley")
    u = m.input("u", np.zeros(1000))
    h = 1e-3
    x, _ = scan(lambda x, v: (x + h * (-x + v), None), 0.0, u)
    m.define("J", x)
    gradient = m.solve().gradient("J", wrt="u") / h
    assert gradient[0] == pytest.approx(0.368063488, abs=1e-9)
    assert np.abs(gradient - np.exp(-(1 - np.linspace(0, 1, 1000)))).max() < 1.5e-3


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ode(right, [1.0, 0.2], [0.0, 1.0], (2.0,), events=[1]), adj.UnsupportedError, "no events"),
        (lambda: ode(right, [1.0, 0.2], [0.0, 1.0], (2.0,), "rk5"), adj.NameLookupError, "did you mean 'rk4'"),
        (lambda: ode(right, [1.0, 0.2], [0.0, 1.0], (2.0,), 4), adj.ModelError, "of a tableau"),
        (lambda: ode(right, [1.0, 0.2], [0.0, 1.0], (2.0,), ([[0]], [0.5])), adj.ModelError, "add up to 1"),
        (lambda: ode(right, [1.0, 0.2], [0.0, 1.0], (2.0,), ([[0, 1]], [1])), adj.ModelError, "square matrix"),
        (lambda: ode(right, [1.0, 0.2], [0.0, 1.0, 0.5], (2.0,)), adj.ModelError, "increase, or decrease"),
        (lambda: ode(right, [1.0, 0.2], 1.0, (2.0,)), adj.ShapeError, "vector of two or more"),
        (lambda: ode(lambda t, y: y[:1], [1.0, 0.2, 0.1], [0.0, 1.0]), None, ""),
        (lambda: ode(lambda t, y: y[:2], [1.0, 0.2, 0.1], [0.0, 1.0]), adj.ShapeError, "gives shape"),
        (lambda: ode(right, [1.0, 0.2], [0.0, 1.0], (2.0,), substeps=0), adj.ModelError, "substeps="),
        (lambda: ode(right, [1.0, 0.2], TIMES, (2.0,), "bdf2"), adj.UnsupportedError, "numbers, not expressions"),
    ],
)
def test_what_does_not_fit_is_told(call: Any, error: Any, words: str) -> None:
    if error is None:
        assert call().shape == (2, 3)
        return
    with pytest.raises(error, match=words):
        call()
