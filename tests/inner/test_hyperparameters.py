"""Ridge and logistic regression on scikit-learn's bundled data: hypergradients, and a hundred hyperparameters tuned."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.inner import argmin

datasets = pytest.importorskip("sklearn.datasets")
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "hyperparameters.py"


def regression() -> tuple[np.ndarray, np.ndarray]:
    X, y = datasets.load_diabetes(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()


def classes() -> tuple[np.ndarray, np.ndarray]:
    X, label = datasets.load_breast_cancer(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), 2.0 * label - 1.0


def model(kind: str, method: str = "newton") -> tuple[adj.Program, int]:
    X, t = regression() if kind == "ridge" else classes()
    rows = np.random.default_rng(0).permutation(len(t))
    train, held = rows[::2], rows[1::2]
    n = X.shape[1]
    m = adj.Program(kind)
    h = m.input("h", np.zeros(n))

    def loss(theta: Any, part: np.ndarray) -> Any:
        if kind == "ridge":
            return np.mean((X[part] @ theta - t[part]) ** 2)
        return np.mean(adj.softplus(-t[part] * (X[part] @ theta)))

    fit = argmin(lambda y: len(train) * loss(y, train) + 0.5 * np.sum(np.exp(h) * y**2), np.zeros(n), method=method)
    m.define("loss", loss(m.define("theta", fit), held))
    return m, n


@pytest.mark.parametrize("method", ["newton", "newton-cg"])
@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_hypergradient_equals_differences_of_the_refitted_model(kind: str, method: str) -> None:
    m, n = model(kind, method)
    h = np.random.default_rng(1).uniform(0.0, 3.0, n)
    gradient = m.solve(h=h).gradient("loss", wrt="h")
    step = 1e-4
    for j in range(n):
        ends = [m.solve(h=h + d * np.eye(n)[j])["loss"] for d in (step, -step)]
        assert gradient[j] == pytest.approx(
            (ends[0] - ends[1]) / (2 * step), abs=1e-6 * max(1.0, np.abs(gradient).max())
        )
        assert gradient[j] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-9)


def test_second_derivatives_of_the_validation_loss() -> None:
    m, n = model("ridge")
    h = np.full(n, 1.0)
    hessian = m.solve(h=h).hessian("loss", wrt="h")
    for j in (0, 5):
        ends = [m.solve(h=h + d * np.eye(n)[j]).gradient("loss", wrt="h") for d in (1e-4, -1e-4)]
        np.testing.assert_allclose(hessian[:, j], (ends[0] - ends[1]) / 2e-4, atol=1e-9, rtol=1e-5)


def test_ridge_equals_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    X, y = regression()
    m = adj.Program()
    h = m.input("h", 1.0)
    m.define("theta", argmin(lambda t: 0.5 * np.sum((X @ t - y) ** 2) + 0.5 * np.exp(h) * np.sum(t**2), np.zeros(10)))
    fitted = linear.Ridge(alpha=np.exp(1.0), fit_intercept=False).fit(X, y)
    np.testing.assert_allclose(m.solve()["theta"], fitted.coef_, atol=1e-10)


@pytest.mark.slow
def test_a_hundred_hyperparameters_not_above_grid_search() -> None:
    example = runpy.run_path(str(EXAMPLE))
    problem = example["problem"]()
    common, before = example["grid_search"](problem)
    start = {"h": np.full(100, common)}
    result = problem.solve(method="L-BFGS-B", start=start, options={"maxiter": 40})
    assert problem.variables[0].size == 100
    assert result.fun < 0.5 * before  # 0.071 by grid search, 0.020 here
