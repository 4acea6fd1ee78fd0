"""Gradients of a loss on other data by the parameters of a training problem: the implicit function theorem.

dL_dev/dℓ = −∂_θ L_dev H⁻¹ ∂²_{θℓ} L_train. T. Vieira 2016; F. Pedregosa 2016 (HOAG: inexact inner solves with a
tolerance that falls); J. Lorraine, P. Vicol & D. Duvenaud 2020 (H⁻¹ ≈ α Σ_{j≤K} (1 − αH)^j). Numbers computed
independently.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import adjoint as adj

X, Y = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 3.0, 2.0])
XV, YV = np.array([[1.0, 0.5], [1.0, 1.5]]), np.array([2.0, 2.5])
EXACT = 0.28703703703704
H = X.T @ X + np.eye(2)
STEP = 1.0 / np.linalg.eigvalsh(H)[-1]


def one_dimension() -> adj.Program:
    m = adj.Program("one dimension")
    weight = m.input("l", 1.0)

    def training(theta: Any) -> Any:
        return 0.5 * (2.0 - theta) ** 2 + 0.5 * np.exp(weight) * theta**2

    theta = m.define("theta", adj.argmin(training, 0.0))
    m.define("loss", 0.5 * (theta - 1.0) ** 2)
    return m


def training(theta: Any, weight: Any) -> Any:
    return 0.5 * np.sum((X @ theta - Y) ** 2) + 0.5 * np.exp(weight) * np.sum(theta**2)


def ridge(method: str = "newton", tol: Any = 1e-10) -> adj.Program:
    m = adj.Program("ridge")
    theta = m.define("theta", adj.argmin(training, np.zeros(2), m.input("l", 0.0), method=method, tol=tol))
    m.define("loss", 0.5 * np.sum((XV @ theta - YV) ** 2))
    return m


def test_one_dimension() -> None:
    sol = one_dimension().solve()
    assert sol["theta"] == pytest.approx(0.53788284274, abs=5e-12)
    assert sol.gradient("loss", wrt="l") == pytest.approx(0.18171549534589682, abs=1e-15)
    problem = adj.Problem(one_dimension(), minimize="loss", over=["l"])
    for method in ("BFGS", "interior-point"):
        assert problem.solve(method=method).x[0] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("method", ["newton", "newton-cg", "gradient-descent"])
def test_ridge(method: str) -> None:
    sol = ridge(method).solve()
    np.testing.assert_allclose(sol["theta"], [1, 2 / 3], atol=1e-9)
    assert sol["loss"] == pytest.approx(0.3472222222, abs=1e-9)
    assert sol.gradient("loss", wrt="l") == pytest.approx(EXACT, abs=1e-9 if method != "newton" else 1e-13)


@pytest.mark.parametrize(("steps", "expected"), [(10, 0.268390927), (100, 0.287037037019), (1000, 0.287037037037)])
def test_unrolled_descent_tends_to_it(steps: int, expected: float) -> None:
    m = adj.Program("unrolled")
    weight = m.input("l", 0.0)
    gradient = lambda theta: X.T @ (X @ theta - Y) + np.exp(weight) * theta
    theta, _ = adj.scan(lambda theta, _: (theta - STEP * gradient(theta), None), np.zeros(2), length=steps)
    m.define("loss", 0.5 * np.sum((XV @ theta - YV) ** 2))
    assert m.solve().gradient("loss", wrt="l") == pytest.approx(expected, abs=5e-10 if steps == 10 else 5e-13)


@pytest.mark.parametrize(("terms", "expected"), [(1, 0.24394), (5, 0.27150), (20, 0.28670), (100, 0.287037037037)])
def test_neumann_series_tends_to_it(terms: int, expected: float) -> None:
    """q ← v + (1 − αH) q with products of the library, in place of H⁻¹ v."""
    m = adj.Program("training")
    theta, weight = m.input("theta", [1.0, 2 / 3]), m.input("l", 0.0)
    m.define("f", training(theta, weight))
    sol = m.solve()
    v = XV.T @ (XV @ np.array([1.0, 2 / 3]) - YV)
    q = term = STEP * v
    for _ in range(terms):
        term = term - STEP * sol.hvp("f", {"theta": term})["theta"]
        q = q + term
    found = -sol.hvp("f", {"theta": q})["l"]
    assert found == pytest.approx(expected, abs=5e-6 if terms < 100 else 5e-13)


def test_inexact_inner_solves() -> None:
    """HOAG: a tolerance that is 1e-3 at first and falls by 0.9 from one outer iteration to the next."""
    schedule = adj.Schedule(first=1e-3, decay=0.9, last=1e-10)
    m = adj.Program("ridge")
    theta = m.define("theta", adj.argmin(training, np.zeros(2), m.input("l", 3.0), method="newton-cg", tol=schedule))
    m.define("loss", 0.5 * np.sum((XV @ theta - 0.8 * YV) ** 2))
    weight, rate = 3.0, 4.0
    for _ in range(200):
        weight -= rate * m.solve(l=weight).gradient("loss", wrt="l")
        schedule()
    assert schedule.value < 1e-9
    exact = adj.Program("exact")
    theta = exact.define("theta", adj.argmin(training, np.zeros(2), exact.input("l", 3.0)))
    exact.define("loss", 0.5 * np.sum((XV @ theta - 0.8 * YV) ** 2))
    assert abs(exact.solve(l=weight).gradient("loss", wrt="l")) < 1e-6


def test_conditioning_is_told() -> None:
    """Temperamental, where H is ill-conditioned: the residual, the error and the condition number are there to see."""
    m = ridge()
    for weight in (0.0, -40.0):
        m.solve(l=weight)
        report = adj.inner_reports(m)[0]
        assert report.residual < 1e-10 and report.error < 1e-10
        assert report.condition == pytest.approx(np.linalg.cond(X.T @ X + np.exp(weight) * np.eye(2), 1), rel=0.5)
    m = adj.Program("flat")
    weight = m.input("l", 0.0)
    columns = np.column_stack([X[:, 0], X[:, 0] * (1 + 1e-9)])  # the same feature twice
    fun = lambda theta: 0.5 * np.sum((columns @ theta - Y) ** 2) + 0.5 * np.exp(weight) * np.sum(theta**2)
    m.define("theta", adj.argmin(fun, np.zeros(2)))
    m.solve(l=np.log(1e-8))
    assert adj.inner_reports(m)[0].condition > 1e8
    with pytest.raises(adj.SingularError):
        m.solve(l=-100.0).jacobian("theta", wrt="l")


def _peak(run: Any) -> int:
    tracemalloc.start()
    run()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_memory_of_unrolling_grows_with_the_iterations_and_that_of_the_theorem_does_not() -> None:
    n = 1000

    def unrolled(steps: int) -> int:
        m = adj.Program("unrolled")
        weight, d = m.input("l", 0.0), np.linspace(1.0, 2.0, n)
        theta, _ = adj.scan(
            lambda theta, _: (theta - 0.3 * (d * theta - 1.0 + np.exp(weight) * theta), None), np.zeros(n), length=steps
        )
        m.define("loss", np.sum(theta**2))
        m.solve().gradient("loss")
        return _peak(lambda: m.solve(l=0.1).gradient("loss"))

    def implicit(condition: float, tol: float) -> tuple[int, int]:
        m = adj.Program("implicit")
        c, d = m.input("c", np.ones(n)), np.geomspace(1.0, condition, n)
        fun = lambda y: 0.5 * np.sum(d * (y - np.sin(c)) ** 2)
        y = m.define("y", adj.argmin(fun, np.zeros(n), method="gradient-descent", tol=tol))
        m.define("loss", np.sum(y**2))
        m.solve().gradient("loss")
        found = _peak(lambda: m.solve(c=np.full(n, 2.0)).gradient("loss"))
        return found, adj.inner_reports(m)[0].iterations

    assert unrolled(1000) - unrolled(100) >= 0.9 * 900 * n * 8
    few, short = implicit(25.0, 1e-6)
    many, long = implicit(1700.0, 1e-9)
    assert short <= 150 and long >= 10_000
    assert many <= 1.1 * few
