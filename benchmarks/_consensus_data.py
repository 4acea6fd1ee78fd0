"""A logistic regression in shards, in a module that worker processes can import."""

from __future__ import annotations

import numpy as np

import adjoint as adj

__all__ = ["FEATURES", "data", "optimum", "problem_of"]

FEATURES = 20


def data(shard: int, rows: int) -> np.ndarray:
    """Rows of ``label · features`` of one shard; its sampling differs a little from the others'."""
    rng = np.random.default_rng([7, shard])
    X = rng.normal(size=(rows, FEATURES), loc=0.02 * shard)
    X[:, 0] = 1.0
    weights = np.linspace(-1.0, 1.0, FEATURES)
    label = np.where(rng.random(rows) < 1.0 / (1.0 + np.exp(-X @ weights)), 1.0, -1.0)
    return label[:, None] * X


def problem_of(argument: tuple[int, int]) -> adj.Problem:
    """The negative log-likelihood of one shard, whose data are made where this runs."""
    m = adj.Program("logistic")
    w = m.input("w", np.zeros(FEATURES))
    m.define("loss", np.sum(np.logaddexp(0.0, -(data(*argument) @ w))))
    return adj.Problem(m, minimize="loss", over=["w"])


def optimum(shards: int, rows: int) -> np.ndarray:
    """The optimum on all data together, by Newton's method."""
    A = np.concatenate([data(k, rows) for k in range(shards)])
    w = np.zeros(FEATURES)
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(A @ w))
        step = np.linalg.solve((A * (p * (1 - p))[:, None]).T @ A, A.T @ p)
        w += step
        if np.abs(step).max() < 1e-13:
            break
    return w
