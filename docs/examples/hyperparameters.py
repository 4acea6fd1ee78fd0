"""A hundred hyperparameters of logistic regression, tuned by gradients of the cross-validated loss.

    θ_k(h) = argmin over θ of  Σ_{i in training fold k} log(1 + exp(−t_i xᵢ·θ)) + ½ Σ_j exp(h_j) θ_j²
    L(h)   = mean over the folds k of the mean over the held-out i of  log(1 + exp(−t_i xᵢ·θ_k(h)))

Every feature has a penalty of its own. Grid search can afford one common penalty; the gradient of L in all of them
costs one linear solve per fold, after the fits, since θ_k is an expression like any other.

The data are scikit-learn's breast cancer measurements: 30 features, their squares, and 40 of their products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

import adjoint as adj

FOLDS = 5


def data(features: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Standardized features and classes −1 and 1."""
    raw, label = load_breast_cancer(return_X_y=True)
    scaled = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    products = [scaled[:, i] * scaled[:, j] for i in range(30) for j in range(i)]
    X = np.column_stack([scaled, scaled**2, *products])[:, :features]
    return (X - X.mean(axis=0)) / X.std(axis=0), 2.0 * label - 1.0


def loss(theta: Any, X: np.ndarray, t: np.ndarray) -> Any:
    """The logistic loss, summed over the rows; the last element of theta is the intercept."""
    return np.sum(adj.softplus(-t * (X @ theta[:-1] + theta[-1])))


def model(features: int = 100, folds: int = FOLDS) -> adj.Program:
    """The cross-validated loss as a function of the logarithms of the penalties."""
    X, t = data(features)
    fold = np.random.default_rng(0).permutation(len(t)) % folds
    m = adj.Program("hyperparameters")
    h = m.input("h", np.zeros(features))
    penalty = m.define("penalty", np.exp(h))
    total: Any = 0.0
    for k in range(folds):
        train, held = fold != k, fold == k

        def training(theta: Any, weight: Any, rows: np.ndarray = train) -> Any:
            return loss(theta, X[rows], t[rows]) + 0.5 * np.sum(weight * theta[:-1] ** 2)

        theta = m.define(f"theta_{k}", adj.argmin(training, np.zeros(features + 1), penalty, name=f"fit {k}"))
        total = total + loss(theta, X[held], t[held]) / np.sum(held) / folds
    m.define("loss", total)
    return m


def problem() -> adj.Problem:
    """All penalties free, between e⁻⁸ and e⁸."""
    m = model()
    return adj.Problem(m, minimize="loss", over={"h": (-8.0, 8.0)})


def grid_search(p: adj.Problem) -> tuple[float, float]:
    """The best common penalty of 17, and its loss."""
    size = p.variables[0].size
    losses = {g: p.program.solve(h=np.full(size, g))["loss"] for g in np.linspace(-8.0, 8.0, 17)}
    best = min(losses, key=losses.__getitem__)
    return best, losses[best]


def main() -> None:
    p = problem()
    common, before = grid_search(p)
    print(f"one penalty for all, by grid search: exp({common:g}), cross-validated loss {before:.6f}")
    start = {"h": np.full(p.variables[0].size, common)}
    result = p.solve(method="L-BFGS-B", start=start, options={"maxiter": 40})
    print(f"100 penalties, by L-BFGS-B: loss {result.fun:.6f} after {result.nit} iterations")


if __name__ == "__main__":
    main()
