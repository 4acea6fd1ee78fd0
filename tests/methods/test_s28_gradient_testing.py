"""How to test a gradient, applied here; and derivatives at kinks.

T. Vieira, "How to test gradient implementations", 2017: central differences at several points, along random spherical
directions; relative errors and the Pearson correlation; and a test of f itself. S. Kakade and J. Lee 2018: automatic
differentiation can return wrong subderivatives of simple programs: relu(x) − relu(−x) is x, and its derivative at 0 is
1, not 0. A convention at a kink is stated and tested, and using it warns.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

import adjoint as adj


def mixture() -> adj.Program:
    """log Σ_k w_k N(y; m_k, s_k²), summed over data."""
    m = adj.Program("mixture")
    data = np.array([-1.2, -0.4, 0.1, 0.9, 1.5, 2.2])
    logits, mean = m.input("logits", [0.1, -0.2, 0.3]), m.input("mean", [-1.0, 0.0, 1.5])
    scale = m.input("scale", [0.8, 0.5, 1.2])
    z = (data[:, None] - mean) / scale
    terms = adj.log_softmax(logits) - np.log(scale) - 0.5 * z**2
    m.define("f", np.sum(adj.logsumexp(terms, axis=1)))
    return m


def circuit() -> adj.Program:
    """A cycle of arrays between explicit layers."""
    m = adj.Program("circuit")
    W, b = m.input("W", np.array([[0.3, -0.2, 0.1], [0.2, 0.1, -0.3], [0.0, 0.4, 0.2]])), m.input("b", [0.5, -1.0, 0.2])
    h = m.unknown("h", shape=3)
    m.define(h, np.tanh(W @ h + b))
    m.define("f", np.sum(h**3) + np.exp(h[0] * b[2]) / (1.0 + h[1] ** 2))
    return m


def reference(make: Callable[[], adj.Program], values: dict[str, np.ndarray]) -> float:
    """f in plain NumPy, by other means."""
    if make is mixture:
        data = np.array([-1.2, -0.4, 0.1, 0.9, 1.5, 2.2])
        w = np.exp(values["logits"]) / np.exp(values["logits"]).sum()
        density = np.exp(-0.5 * ((data[:, None] - values["mean"]) / values["scale"]) ** 2) / values["scale"]
        return float(np.log(density @ w).sum())
    h = np.zeros(3)
    for _ in range(500):
        h = np.tanh(values["W"] @ h + values["b"])
    return float((h**3).sum() + np.exp(h[0] * values["b"][2]) / (1.0 + h[1] ** 2))


def points(fun: adj.Function, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    return [fun.x0 + 0.2 * rng.uniform(-1.0, 1.0, fun.x0.size) for _ in range(count)]


@pytest.mark.parametrize("make", [mixture, circuit])
def test_the_function_itself(make: Callable[[], adj.Program]) -> None:
    fun = make().function("f")
    for x in points(fun, 5, np.random.default_rng(1)):
        assert fun(x) == pytest.approx(reference(make, fun.unpack(x)), rel=1e-12, abs=0.0)


@pytest.mark.parametrize("make", [mixture, circuit])
def test_random_spherical_directions(make: Callable[[], adj.Program]) -> None:
    """Slopes along random unit directions at several points: each within 1e-7, and correlated as 1."""
    fun = make().function("f")
    rng = np.random.default_rng(2)
    h = np.finfo(float).eps ** (1 / 3)
    exact, differences = [], []
    for x in points(fun, 6, rng):
        gradient = fun.jac(x)
        for _ in range(8):
            direction = rng.standard_normal(x.size)
            direction /= np.linalg.norm(direction)
            exact.append(gradient @ direction)
            differences.append((fun(x + h * direction) - fun(x - h * direction)) / (2.0 * h))
    exact, differences = np.array(exact), np.array(differences)
    error = np.abs(exact - differences) / np.maximum(np.abs(exact), np.abs(differences)).max()
    assert error.max() < 1e-7
    assert np.corrcoef(exact, differences)[0, 1] > 1.0 - 1e-12


@pytest.mark.parametrize("make", [mixture, circuit])
def test_each_coordinate(make: Callable[[], adj.Program]) -> None:
    fun = make().function("f")
    h = np.finfo(float).eps ** (1 / 3)
    for x in points(fun, 3, np.random.default_rng(3)):
        differences = [(fun(x + e) - fun(x - e)) / (2.0 * h) for e in h * np.eye(x.size)]
        gradient = fun.jac(x)
        np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-7 * np.abs(gradient).max())


@pytest.mark.parametrize("make", [mixture, circuit])
def test_the_librarys_own_check(make: Callable[[], adj.Program]) -> None:
    assert make().solve().check_derivatives("f")


def test_a_wrong_gradient_is_found() -> None:
    """The test above has power: one wrong entry of 1 % breaks error and check."""
    m = adj.Program()
    x = m.input("x", [0.5, 0.7])
    wrong = m.external("e", lambda v: np.sum(v**2), ["x"], jac=lambda v: np.array([2.0 * v[0], 2.02 * v[1]]))
    m.define("f", np.exp(wrong) + x[0])
    assert not m.solve().check_derivatives("f")


# -- kinks -----------------------------------------------------------------------------------------------


def slope(f: Callable[[adj.Expr], adj.Expr], at: float) -> float:
    m = adj.Program()
    x = m.input("x", at)
    m.define("f", f(x))
    return m.solve().gradient("f", wrt="x")


CONVENTIONS: list[tuple[str, Callable[[adj.Expr], adj.Expr], float]] = [
    ("abs'(0) = 0", np.abs, 0.0),
    ("relu'(0) = 0", adj.relu, 0.0),
    ("maximum shares a tie", lambda x: np.maximum(x, -x), 0.0),
    ("maximum shares a tie with a constant", lambda x: np.maximum(3.0 * x, 0.0), 1.5),
    ("minimum shares a tie", lambda x: np.minimum(3.0 * x, x), 2.0),
    ("sign' = 0", np.sign, 0.0),
]


@pytest.mark.parametrize(("f", "expected"), [row[1:] for row in CONVENTIONS], ids=[row[0] for row in CONVENTIONS])
def test_conventions_at_kinks(f: Callable[[adj.Expr], adj.Expr], expected: float) -> None:
    with pytest.warns(adj.KinkWarning, match="f"):
        assert slope(f, 0.0) == expected


def test_difference_of_relus_warns() -> None:
    """relu(x) − relu(−x) = x: at 0 the convention gives 0 where the derivative is 1, so it must not pass in silence."""
    f = lambda x: adj.relu(x) - adj.relu(-x)
    with pytest.warns(adj.KinkWarning, match="kink"):
        assert slope(f, 0.0) == 0.0
    for at in (-0.5, 1e-300, 2.0):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert slope(f, at) == 1.0


def test_every_derivative_warns_at_a_kink() -> None:
    m = adj.Program()
    x = m.input("x", 0.0)
    m.define("f", adj.relu(x) - adj.relu(-x))
    for derivative in (
        lambda sol: sol.gradient("f"),
        lambda sol: sol.multipliers("f"),
        lambda sol: sol.jacobian("f", wrt="x"),
        lambda sol: sol.jvp({"x": 1.0}),
        lambda sol: sol.vjp({"f": 1.0}),
        lambda sol: sol.hessian("f"),
    ):
        with pytest.warns(adj.KinkWarning):
            derivative(m.solve())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert m.solve()["f"] == 0.0  # the value has no kink to speak of


def test_kink_inside_a_cycle_warns() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    u = m.unknown("u", 0.3)
    m.define(u, 0.5 * np.abs(u - x) + 1.0)  # u = 1 = x, at the kink
    with pytest.warns(adj.KinkWarning, match="u"):
        m.solve().gradient("u")


def test_kinks_in_arrays_warn_by_name() -> None:
    m = adj.Program()
    x = m.input("x", [1.0, 0.0, -2.0])
    m.define("smooth", np.sum(x**2))
    m.define("kinked", np.sum(np.abs(x)))
    with pytest.warns(adj.KinkWarning, match="kinked") as record:
        np.testing.assert_array_equal(m.solve().gradient("kinked", wrt="x"), [1.0, 0.0, -1.0])
    assert "smooth" not in str(record[0].message)
