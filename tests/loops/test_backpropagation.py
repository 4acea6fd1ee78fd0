"""Backpropagation through time: Elman's network, truncation, and what becomes of multipliers over many steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.diagnose import diagnose
from adjoint.lagrangian import seeds_of
from adjoint.loops import scan


def diagnosis(sol: adj.Solution, of: str, **options: Any) -> Any:
    return diagnose(sol._state, seeds_of(sol._model, of), of, **options)


# -- Elman's network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_elman_by_hand(backend: str) -> None:
    """h_t = tanh(w h_(t−1) + u x_t), L = ½ Σ (v h_t − y_t)², three steps; numbers computed elsewhere."""
    m = adj.Program("Elman", backend=backend)
    w, u, v = m.input("w", 0.5), m.input("u", 1.0), m.input("v", 0.8)

    def step(h: Any, x: Any) -> Any:
        h = np.tanh(w * h + u * x)
        return h, v * h

    _, o = scan(step, 0.0, np.array([1.0, -0.5, 0.25]))
    m.define("L", np.sum((o - np.array([0.5, 0.0, 0.1])) ** 2) / 2)
    sol = m.solve()
    assert sol["L"] == pytest.approx(0.011761124095308, abs=1e-15)
    expected = {"w": -0.0469641863863, "u": 0.0626141202625, "v": 0.104040030472}
    for name, value in expected.items():
        assert sol.gradient("L", wrt=name) == pytest.approx(value, abs=1e-12)


def test_tied_weights_are_summed() -> None:
    """One weight for each step, equal in value: the gradient of the tied one is the sum over the copies."""
    m = adj.Program("untied")
    w = m.input("w", np.full(3, 0.5))

    def step(h: Any, x: Any) -> Any:
        h = np.tanh(x[1] * h + x[0])
        return h, 0.8 * h

    _, o = scan(step, 0.0, (np.array([1.0, -0.5, 0.25]), w))
    m.define("L", np.sum((o - np.array([0.5, 0.0, 0.1])) ** 2) / 2)
    copies = m.solve().gradient("L", wrt="w")
    np.testing.assert_allclose(copies, [0, -0.0423209574351, -0.00464322895117], atol=1e-12)
    assert copies.sum() == pytest.approx(-0.0469641863863, abs=1e-12)


def sunspots() -> np.ndarray:
    """Yearly means of the sunspot number, 1900 to 1987 (Royal Observatory of Belgium), in hundreds."""
    text = """
    9.5 2.7 5.0 24.4 42.0 63.5 53.8 62.0 48.5 43.9 18.6 5.7 3.6 1.4 9.6 47.4 57.1 103.9 80.6 63.6 37.6 26.1 14.2 5.8
    16.7 44.3 63.9 69.0 77.8 64.9 35.7 21.2 11.1 5.7 8.7 36.1 79.7 114.4 109.6 88.8 67.8 47.5 30.6 16.3 9.6 33.2 92.6
    151.6 136.3 134.7 83.9 69.4 31.5 13.9 4.4 38.0 141.7 190.2 184.8 159.0 112.3 53.9 37.6 27.9 10.2 15.1 47.0 93.8
    105.9 105.5 104.5 66.6 68.9 38.0 34.5 15.5 12.6 27.5 92.5 155.4 154.6 140.4 115.9 66.6 45.9 17.9 13.4 29.4
    """
    return np.array(text.split(), dtype=float) / 100


def elman(backend: str | None = None, units: int = 6, **options: Any) -> adj.Program:
    """One value ahead of a series, from a hidden state of some units."""
    rng = np.random.default_rng(3)
    series = sunspots()
    m = adj.Program("Elman", backend=backend)
    w = m.input("w", rng.normal(size=(units, units)) / np.sqrt(units))
    u, b = m.input("u", rng.normal(size=units)), m.input("b", np.zeros(units))
    v, c = m.input("v", rng.normal(size=units) / np.sqrt(units)), m.input("c", 0.0)

    def step(h: Any, x: Any) -> Any:
        h = np.tanh(w @ h + u * x + b)
        return h, v @ h + c

    _, o = scan(step, np.zeros(units), series[:-1], **options)
    m.define("L", np.mean((o - series[1:]) ** 2))
    return m


@pytest.mark.parametrize("options", [{}, {"checkpoints": 10}])
def test_the_gradient_is_pytorchs(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    m = elman(**options)
    sol = m.solve()
    tensors = {v.name: torch.tensor(np.array(sol[v.name]), dtype=torch.float64, requires_grad=True) for v in m.inputs}
    w, u, b, v, c = (tensors[name] for name in "wubvc")
    series = torch.tensor(sunspots(), dtype=torch.float64)
    h, loss = torch.zeros(6, dtype=torch.float64), 0.0
    for x, y in zip(series[:-1], series[1:], strict=True):
        h = torch.tanh(w @ h + u * x + b)
        loss = loss + (v @ h + c - y) ** 2
    loss = loss / (len(series) - 1)
    loss.backward()
    assert sol["L"] == pytest.approx(float(loss.detach()), abs=1e-12)
    for name, g in sol.gradient("L").items():
        np.testing.assert_allclose(g, tensors[name].grad.numpy(), rtol=0, atol=1e-10)


def test_a_network_is_trained() -> None:
    """The error falls below a third of that of repeating the last value."""
    m = elman()
    fun = m.function("L")
    result = scipy.optimize.minimize(fun, fun.x0, jac=fun.jac, method="L-BFGS-B", options={"maxiter": 300})
    series = sunspots()
    assert result.fun < np.mean(np.diff(series) ** 2) / 3


# -- truncation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.parametrize("reverse", [False, True])
def test_truncated_backpropagation(reverse: bool, backend: str) -> None:
    """Beside the sum by hand, in which the derivative of the carry starts anew every second step; and it is told."""
    x, y = np.array([1.0, -0.5, 0.25, 0.3, 0.1]), np.array([0.5, 0.0, 0.1, 0.2, 0.3])
    m = adj.Program(backend=backend)
    w = m.input("w", 0.5)

    def step(h: Any, x: Any) -> Any:
        h = np.tanh(w * h + x)
        return h, h

    _, hs = scan(step, 0.0, x, reverse=reverse, truncate=2)
    m.define("L", np.sum((hs - y) ** 2) / 2)
    h = slope = expected = 0.0
    for k, t in enumerate(range(5)[::-1] if reverse else range(5)):
        if k % 2 == 0:
            slope = 0.0
        before, h = h, np.tanh(0.5 * h + x[t])
        slope = (1 - h**2) * (before + 0.5 * slope)
        expected += (h - y[t]) * slope
    sol = m.solve()
    assert sol.gradient("L", wrt="w") == pytest.approx(expected, abs=1e-15)
    check = sol.check_derivatives("L")
    assert not check and "DIFFER" in str(check)


def test_truncation_longer_than_the_loop_is_none() -> None:
    a, b = elman(truncate=1000).solve(), elman().solve()
    for name, g in a.gradient("L").items():
        np.testing.assert_allclose(g, b.gradient("L")[name], atol=1e-14)
    assert a.check_derivatives("L")


# -- vanishing and exploding multipliers -------------------------------------------------------------------------


def test_logistic_units_make_multipliers_vanish() -> None:
    """Ten layers z ← σ(z): λ_0 is below 4⁻¹⁰, and its logarithm falls by 1.4870 in each layer."""
    m = adj.Program("layers")
    z = m.input("z0", 0.5)
    for k in range(10):
        z = m.define(f"z{k + 1}", 1 / (1 + np.exp(-z)))
    found = diagnosis(m.solve(), "z10", along=[f"z{k}" for k in range(11)])
    (chain,) = found.series
    assert chain.sizes[0] == pytest.approx(3.48311560978516e-07, rel=1e-12)
    assert chain.sizes[0] <= 4.0**-10
    assert chain.slope == pytest.approx(-1.4870, abs=5e-5)
    assert chain.vanishing == ("z0",) and chain.exploding == () and not found.ok
    assert "vanishing at z0" in str(found)
    (depth,) = diagnosis(m.solve(), "z10").series
    assert depth.places == tuple(f"z{k}" for k in range(1, 11))
    np.testing.assert_allclose(depth.sizes, chain.sizes[1:])


@pytest.mark.parametrize("reverse", [False, True])
def test_multipliers_over_the_time_of_a_scan(reverse: bool) -> None:
    m = adj.Program("loop")
    w, start = m.input("w", 1.0), m.input("start", 0.5)
    z, _ = scan(lambda z, _: (1 / (1 + np.exp(-w * z)), None), start, length=10, reverse=reverse)
    m.define("end", z)
    (time,) = diagnosis(m.solve(), "end").series
    assert time.sizes[0] == pytest.approx(3.48311560978516e-07, rel=1e-12)
    assert time.slope == pytest.approx(-1.4870, abs=5e-5)
    assert time.vanishing == ("step 0",)


def test_unstable_dynamics_make_multipliers_explode() -> None:
    m = adj.Program("linear")
    a = m.input("a", np.array([[2.0, 0.3], [0.0, 1.5]]))
    z, _ = scan(lambda z, _: (a @ z, None), np.ones(2), length=30)
    m.define("f", np.sum(z))
    (time,) = diagnosis(m.solve(), "f", exploding=1e8).series
    assert time.slope == pytest.approx(np.log(2.0), abs=0.05)
    assert time.exploding[0] == "step 0" and time.vanishing == ()
    factors = [
        np.linalg.norm(np.linalg.matrix_power(np.array([[2.0, 0.3], [0.0, 1.5]]).T, k) @ np.ones(2)) for k in range(31)
    ]
    np.testing.assert_allclose(time.sizes, factors[::-1], rtol=1e-12)


def test_costs_on_the_way_and_equations_around_the_scan() -> None:
    """λ of the carry, where outputs carry costs, the scan is used twice, and in an implicit equation."""
    m = adj.Program("around")
    w = m.input("w", 0.9)
    z, zs = scan(lambda z, _: (w * z, z), 1.0, length=3)
    y = m.unknown("y", guess=1.0)
    m.constrain(2 * y == z)
    m.define("f", y + np.sum(zs))
    found = diagnosis(m.solve(), "f")
    time = [s for s in found.series if "time" in s.name][0]
    lam = [0.5]
    for _ in range(3):
        lam.append(1 + 0.9 * lam[-1])
    np.testing.assert_allclose(time.sizes, lam[::-1])


def test_diagnoses_are_drawn() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure, axes = pyplot.subplots()
    diagnosis(elman().solve(), "L").plot(axes)
    assert len(axes.lines) >= 1 and axes.get_yscale() == "log"
    pyplot.close(figure)


# -- optimal control ---------------------------------------------------------------------------------------------


def test_linear_quadratic_control() -> None:
    """A double integrator with 21 controls (Recht, "Mates of Costate"): costates, and the optimum of Riccati."""
    a, b, r, s = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([0.0, 0.1]), 0.1, 10.0
    m = adj.Program("control")
    u, x0 = m.input("u", np.zeros(21)), m.input("x0", [1.0, 0.0])
    x, costs = scan(lambda x, u: (a @ x + b * u, 0.5 * (x @ x + r * u**2)), x0, u)
    m.define("J", np.sum(costs) + 0.5 * s * (x @ x))
    sol = m.solve()
    gradient = sol.gradient("J")
    assert sol["J"] == pytest.approx(15.5, abs=1e-13)
    assert gradient["u"][0] == pytest.approx(3.9, abs=1e-13) and gradient["u"][20] == pytest.approx(0.0, abs=1e-13)
    np.testing.assert_allclose(gradient["x0"], [31.0, 42.0], rtol=1e-13)
    fun = m.function("J", wrt=["u"])
    options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 500}
    result = scipy.optimize.minimize(fun, fun.x0, jac=fun.jac, method="L-BFGS-B", options=options)
    assert result.fun == pytest.approx(6.95711237291987, rel=1e-12)
    step = np.linalg.solve(fun.hess(fun.x0), fun.jac(fun.x0))
    assert fun(fun.x0 - step) == pytest.approx(6.95711237291987, rel=1e-13)
