"""Minimizers as expressions: bilevel gradients, bounds, saddles, large Hessians."""

from __future__ import annotations

import concurrent.futures
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.inner import argmin, inner_reports, root

METHODS = ("newton", "newton-cg", "gradient-descent")
backends = pytest.mark.parametrize("backend", sorted(BACKENDS))
methods = pytest.mark.parametrize("method", METHODS)

X, Y = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 3.0, 2.0])
XV, YV = np.array([[1.0, 0.5], [1.0, 1.5]]), np.array([2.0, 2.5])


def ridge(method: str, backend: str | None = None) -> adj.Program:
    """The ridge regression of two coefficients, and its validation loss."""
    m = adj.Program(backend=backend)
    weight = m.input("l", 0.0)

    def training(theta: Any) -> Any:
        return 0.5 * np.sum((X @ theta - Y) ** 2) + 0.5 * np.exp(weight) * np.sum(theta**2)

    theta = m.define("theta", argmin(training, np.zeros(2), method=method, tol=1e-12))
    m.define("loss", 0.5 * np.sum((XV @ theta - YV) ** 2))
    return m


@backends
@methods
def test_one_dimension(method: str, backend: str) -> None:
    m = adj.Program(backend=backend)
    weight = m.input("l", 1.0)
    theta = m.define(
        "theta", argmin(lambda t, w: 0.5 * (2 - t) ** 2 + 0.5 * np.exp(w) * t**2, 0.0, weight, method=method)
    )
    m.define("loss", 0.5 * (theta - 1) ** 2)
    sol = m.solve()
    assert sol["theta"] == pytest.approx(0.53788284274, abs=1e-10)
    assert sol.gradient("loss", wrt="l") == pytest.approx(0.18171549534585, abs=1e-9)
    assert m.solve(l=0.0).gradient("loss", wrt="l") == pytest.approx(0.0, abs=1e-9)  # the optimum of the outer problem
    s = np.exp(1.0)  # theta = 2 / (1 + e^l)
    d1, d2 = -2 * s / (1 + s) ** 2, -2 * s * (1 - s) / (1 + s) ** 3
    assert sol.hessian("loss", wrt="l") == pytest.approx(d1**2 + (2 / (1 + s) - 1) * d2, abs=1e-9)


@backends
@methods
def test_ridge(method: str, backend: str) -> None:
    sol = ridge(method, backend).solve()
    np.testing.assert_allclose(sol["theta"], [1.0, 2 / 3], atol=1e-9)
    assert sol["loss"] == pytest.approx(0.3472222222, abs=1e-9)
    assert sol.gradient("loss", wrt="l") == pytest.approx(0.28703703703704, abs=1e-9)


@methods
def test_ridge_against_the_closed_form(method: str) -> None:
    closed = adj.Program()
    theta = closed.define("theta", np.linalg.solve(X.T @ X + np.exp(closed.input("l", 0.4)) * np.eye(2), X.T @ Y))
    closed.define("loss", 0.5 * np.sum((XV @ theta - YV) ** 2))
    ours, theirs = ridge(method).solve(l=0.4), closed.solve()
    assert ours.gradient("loss", wrt="l") == pytest.approx(theirs.gradient("loss", wrt="l"), abs=1e-9)
    assert ours.hessian("loss", wrt="l") == pytest.approx(theirs.hessian("loss", wrt="l"), abs=1e-8)


@methods
def test_complex_step(method: str) -> None:
    report = ridge(method).solve(l=0.3).check_derivatives("loss")
    assert "complex step" in str(report) and report


def test_equals_the_root_of_the_gradient() -> None:
    m = adj.Program()
    p = m.input("p", [0.3, 1.2])
    m.define("a", argmin(lambda y: np.sum(np.cosh(y - p)) + 0.5 * (y[0] * y[1]) ** 2, np.zeros(2)))
    m.define("b", root(lambda y: np.sinh(y - p) + y[0] * y[1] * y[::-1], np.zeros(2)))
    m.define("f", np.sum(m["a"] ** 2))
    m.define("g", np.sum(m["b"] ** 2))
    sol = m.solve()
    np.testing.assert_allclose(sol["a"], sol["b"], atol=1e-12)
    np.testing.assert_allclose(sol.gradient("f", wrt="p"), sol.gradient("g", wrt="p"), atol=1e-11)
    np.testing.assert_allclose(sol.hessian("f", wrt="p"), sol.hessian("g", wrt="p"), atol=1e-10)


@backends
def test_nested_twice(backend: str) -> None:
    m = adj.Program(backend=backend)
    p, q = m.input("p", 2.0), m.input("q", 0.3)

    def outer(y: Any, p: Any) -> Any:
        z = root(lambda z, y: z**3 + z - y * q, 0.5, y, name="inner root")
        w = argmin(lambda w: (w - z) ** 2 + 0.1 * w**4, 0.0, name="inner minimum")
        return y + 0.5 * w - p

    m.define("y", root(outer, 1.0, p))
    sol = m.solve()
    assert sol.check_derivatives("y")
    h = 1e-5
    for name, at in (("p", 2.0), ("q", 0.3)):
        ends = [m.solve(**{name: at + d}).gradient("y") for d in (h, -h)]
        for other in ("p", "q"):
            difference = (ends[0][other] - ends[1][other]) / (2 * h)
            assert sol.hessian("y")[other, name] == pytest.approx(difference, abs=1e-7)
    assert {r.name for r in inner_reports(m)} == {"root of outer", "inner root", "inner minimum"}


def test_argmin_of_a_value_function() -> None:
    # min over a of min over b: the inner minimizer is a function of a, and the outer objective sees it.
    m = adj.Program()
    c = m.input("c", 1.5)

    def outer(a: Any) -> Any:
        b = argmin(lambda b: (b - a * c) ** 2 + 0.5 * b**2, 0.0)
        return (a - 2.0) ** 2 + 0.3 * b**2

    m.define("a", argmin(outer, 0.0))
    sol = m.solve()
    k = (2 / 3) ** 2 * 0.3  # b = a c 2/3
    assert sol["a"] == pytest.approx(2.0 / (1.0 + k * 1.5**2), rel=1e-10)
    assert sol.gradient("a", wrt="c") == pytest.approx(-4.0 * k * 1.5 / (1.0 + k * 1.5**2) ** 2, rel=1e-9)


# -- bounds ----------------------------------------------------------------------------------------------------------


@backends
@methods
def test_bounds(method: str, backend: str) -> None:
    m = adj.Program(backend=backend)
    c, low = m.input("c", [1.0, -2.0, 3.0]), m.input("low", 0.0)

    def energy(y: Any) -> Any:
        return 0.5 * np.sum((y - c) ** 2) + 0.1 * y[0] * y[1] + 0.05 * y[0] * y[2]

    y = m.define("y", argmin(energy, np.ones(3), lower=low, upper=2.0, method=method))
    m.define("f", 0.5 * np.sum(y**2))
    sol = m.solve()
    np.testing.assert_allclose(sol["y"], [0.9, 0.0, 2.0], atol=1e-9)
    np.testing.assert_allclose(sol.gradient("f", wrt="c"), [0.9, 0.0, 0.0], atol=1e-8)
    assert sol.gradient("f", wrt="low") == pytest.approx(-0.09, abs=1e-8)  # y₁ = low moves y₀ by −0.1
    assert sol.check_derivatives("f")


def test_bounds_against_scipy() -> None:
    rng = np.random.default_rng(5)
    A = rng.standard_normal((30, 12))
    m = adj.Program()
    b = m.input("b", rng.standard_normal(30))
    m.define(
        "y",
        argmin(
            lambda y: np.sum(np.logaddexp(0.0, A @ y - b)) + 0.05 * np.sum(y**2), np.zeros(12), lower=-1.0, upper=1.0
        ),
    )
    found = m.solve()["y"]
    start = scipy.optimize.minimize(
        lambda y: np.sum(np.logaddexp(0.0, A @ y - m.inputs[b])) + 0.05 * y @ y,
        np.zeros(12),
        bounds=[(-1.0, 1.0)] * 12,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    assert 0 < np.sum(np.abs(found) == 1.0) < 12
    np.testing.assert_allclose(found, start.x, atol=1e-6)
    m.define("f", np.sum(m["y"] ** 3))
    assert m.solve().check_derivatives("f")


def test_crossed_bounds_are_named() -> None:
    m = adj.Program()
    low = m.input("low", 3.0)
    m.define("y", argmin(lambda y: np.sum(y**2), np.zeros(2), lower=low, upper=2.0, name="squeezed"))
    with pytest.raises(adj.ConvergenceError, match="'squeezed'.*lower bound"):
        m.solve()


def test_weakly_active_bound_warns() -> None:
    m = adj.Program()
    m.define("y", argmin(lambda y, x: (y - x) ** 2, 1.0, m.input("x", 0.0), lower=0.0, name="corner"))
    sol = m.solve()
    with pytest.warns(adj.KinkWarning, match="corner"):
        sol.gradient("y", wrt="x")
    assert m.solve(x=1.0).gradient("y", wrt="x") == pytest.approx(1.0)
    assert m.solve(x=-1.0).gradient("y", wrt="x") == 0.0


# -- second order ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["newton", "newton-cg"])
def test_a_saddle_is_left(method: str) -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    m.define("y", argmin(lambda y, x: -x * y[0] ** 2 + y[0] ** 4 + y[1] ** 2, np.zeros(2), x, method=method))
    sol = m.solve()  # minima at ±√(x/2), a saddle at the guess
    assert abs(sol["y"][0]) == pytest.approx(np.sqrt(0.5)) and sol["y"][1] == pytest.approx(0.0, abs=1e-9)


def test_a_saddle_is_refused() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    fun = lambda y, x: -x * y[0] ** 2 + y[0] ** 4 + y[1] ** 2
    m.define("y", argmin(fun, np.zeros(2), x, name="pass", method="gradient-descent"))
    with pytest.raises(adj.ConvergenceError, match="'pass'.*saddle"):
        m.solve()


@methods
def test_no_minimum_is_named(method: str) -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    m.define("y", argmin(lambda y, x: x * y[0] ** 2 - y[1] ** 2, np.array([1.0, 0.1]), x, name="abyss", method=method))
    with pytest.raises(adj.ConvergenceError, match="'abyss'.*without bound"):
        m.solve()


@methods
def test_a_valley_has_no_derivative(method: str) -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    m.define("y", argmin(lambda y, x: (y[0] + y[1] - x) ** 2, np.array([1.0, 0.1]), x, name="valley", method=method))
    sol = m.solve()
    assert sum(sol["y"]) == pytest.approx(1.0)
    with pytest.raises(adj.SingularError, match="'valley'"):
        sol.gradient({"y": np.array([1.0, 0.0])})


def test_a_flat_minimum_has_no_derivative() -> None:
    m = adj.Program()
    m.define("y", argmin(lambda y, x: (y - x) ** 4, 3.0, m.input("x", 1.0), name="flat"))
    with pytest.raises(adj.AdjointError, match="'flat'"):
        m.solve().gradient("y")


def test_singular_among_the_free_is_named_by_element() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    fun = lambda y: (y[0] + 1) ** 2 + (y[1] + y[2] - x) ** 2  # y[0] is held by its bound
    m.define("y", argmin(fun, np.array([0.0, 0.2, 0.1]), lower=np.array([0.0, -9.0, -9.0]), name="y"))
    with pytest.raises(adj.SingularError) as caught:
        m.solve().gradient({"y": np.ones(3)})
    assert set(caught.value.variables) == {"y[1]", "y[2]"}


def test_no_unknowns() -> None:
    m = adj.Program()
    x = m.input("x", np.zeros(0))
    y, z = argmin(lambda y: np.sum((y - x) ** 2), np.zeros(0)), root(lambda z: z + x, np.zeros(0))
    m.define("f", np.sum(y) + np.sum(z) + m.input("c", 2.0))
    sol = m.solve()
    assert sol["f"] == 2.0 and sol.gradient("f", wrt="x").shape == (0,)


def test_linear_objective() -> None:
    m = adj.Program()
    c = m.input("c", [1.0, -2.0])
    m.define("y", argmin(lambda y: c @ y, np.zeros(2), lower=-1.0, upper=3.0))
    sol = m.solve()
    np.testing.assert_array_equal(sol["y"], [-1.0, 3.0])
    np.testing.assert_array_equal(sol.jacobian("y", wrt="c"), np.zeros((2, 2)))
    with pytest.raises(adj.ConvergenceError, match="'slope'"):
        argmin(lambda y: 2.0 * y, 0.0, name="slope")


def test_rosenbrock() -> None:
    m = adj.Program()
    a = m.input("a", 1.0)
    m.define("y", argmin(lambda y: (a - y[0]) ** 2 + 100 * (y[1] - y[0] ** 2) ** 2, np.array([-1.2, 1.0])))
    sol = m.solve()
    np.testing.assert_allclose(sol["y"], [1.0, 1.0], atol=1e-10)
    np.testing.assert_allclose(sol.jacobian("y", wrt="a"), [1.0, 2.0], atol=1e-8)


# -- size ------------------------------------------------------------------------------------------------------------


def test_sparse_hessian() -> None:
    n = 3000
    m = adj.Program()
    c, k = m.input("c", np.sin(np.arange(n))), m.input("k", 0.1)
    y = m.define("y", argmin(lambda y: np.sum(0.5 * (y - c) ** 2) + k * np.sum(np.cosh(y[1:] - y[:-1])), np.zeros(n)))
    m.define("f", np.sum(y**3))
    sol = m.solve()
    gradient = sol.gradient("f")
    h = 1e-5
    ends = [m.solve(k=0.1 + d)["f"] for d in (h, -h)]
    assert gradient["k"] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-7)
    assert inner_reports(m)[0].condition < 10


def chain(n: int, guess: np.ndarray, **options: Any) -> adj.Program:
    """Double wells in a row, coupled to their neighbors: a sparse Hessian that is indefinite in the middle."""
    m = adj.Program()
    c = m.input("c", 0.1 * np.ones(n))

    def energy(y: Any) -> Any:
        return np.sum(0.25 * (y**2 - 1) ** 2 - c * y) + 0.05 * np.sum((y[1:] - y[:-1]) ** 2)

    y = m.define("y", argmin(energy, guess, **options))
    m.define("f", np.sum(y**2))
    return m


def test_sparse_hessian_with_negative_curvature() -> None:
    n = 400
    m = chain(n, np.zeros(n))
    m.solve(c=np.zeros(n))  # starts at a maximum
    sol = m.solve()
    slope = sol["y"] ** 3 - sol["y"] - 0.1
    slope[1:] += 0.1 * np.diff(sol["y"])
    slope[:-1] -= 0.1 * np.diff(sol["y"])
    assert np.abs(slope).max() < 1e-9 and np.abs(sol["y"]).min() > 0.5


def test_sparse_hessian_with_bounds() -> None:
    n = 300
    m = chain(n, np.ones(n), upper=np.where(np.arange(n) % 3, 0.9, 2.0))
    sol = m.solve()
    assert np.sum(sol["y"] == 0.9) == 200
    report = sol.check_derivatives("f")
    assert report


def test_derivatives_at_an_earlier_solution() -> None:
    n = 300
    m = chain(n, np.ones(n))
    first = m.solve()
    wanted = first.gradient("f", wrt="c")
    again = m.solve()
    m.solve(c=np.full(n, 0.3)).gradient("f")  # the sparse solver now holds other factors
    np.testing.assert_allclose(again.gradient("f", wrt="c"), wanted, rtol=1e-9)


def test_threads() -> None:
    n = 200
    m = chain(n, np.ones(n))
    places = [np.full(n, 0.02 * k) for k in range(12)]
    wanted = [m.solve(c=c).gradient("f", wrt="c") for c in places]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda c: m.solve(c=c).gradient("f", wrt="c"), places))
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8)


def test_methods_agree_on_a_dense_hessian() -> None:
    rng = np.random.default_rng(2)
    A = rng.standard_normal((80, 70))
    found = []
    for method in METHODS[:2]:
        m = adj.Program()
        b = m.input("b", np.linspace(-1.0, 1.0, 80))
        fun = lambda y, b=b: np.sum(np.logaddexp(0.0, A @ y - b)) + 0.1 * np.sum(y**2)
        m.define("f", np.sum(argmin(fun, np.zeros(70), method=method) ** 2))
        found.append(m.solve().gradient("f", wrt="b"))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6, atol=1e-9)


def test_pickle() -> None:
    m = pickle.loads(pickle.dumps(ridge("newton")))
    assert m.solve().gradient("loss", wrt="l") == pytest.approx(0.28703703703704, abs=1e-9)


def test_refused() -> None:
    with pytest.raises(adj.ShapeError, match="scalar"):
        argmin(lambda y: y, np.zeros(2))
    with pytest.raises(adj.AdjointError, match="newton"):
        argmin(lambda y: y**2, 0.0, method="newto")
    with pytest.raises(adj.ShapeError, match="lower"):
        argmin(lambda y: np.sum(y**2), np.zeros(2), lower=np.zeros(3))
