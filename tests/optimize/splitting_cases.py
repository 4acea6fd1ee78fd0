"""Problems for the splitting methods, in a module that worker processes can import."""

from __future__ import annotations

import numpy as np

import adjoint as adj

WEIGHTS = np.array([-0.5, 1.0, -1.0, 0.5, 0.25])


def logistic_data(shard: int, rows: int) -> np.ndarray:
    """Rows of ``label · features`` of one shard; its sampling differs a little from the others'."""
    rng = np.random.default_rng([20, shard])
    X = rng.normal(size=(rows, len(WEIGHTS)), loc=0.02 * shard)
    X[:, 0] = 1.0
    label = np.where(rng.random(rows) < 1.0 / (1.0 + np.exp(-X @ WEIGHTS)), 1.0, -1.0)
    return label[:, None] * X


def logistic_problem(argument: tuple[int, int]) -> adj.Problem:
    """The negative log-likelihood of one shard, whose data are made where this runs."""
    m = adj.Program("logistic")
    w = m.input("w", np.zeros(len(WEIGHTS)))
    m.define("loss", np.sum(np.logaddexp(0.0, -(logistic_data(*argument) @ w))))
    return adj.Problem(m, minimize="loss", over=["w"])


def logistic_optimum(shards: int, rows: int) -> np.ndarray:
    """The optimum on all data together, by Newton's method."""
    A = np.concatenate([logistic_data(k, rows) for k in range(shards)])
    w = np.zeros(A.shape[1])
    for _ in range(20):
        p = 1.0 / (1.0 + np.exp(A @ w))
        step = np.linalg.solve((A * (p * (1 - p))[:, None]).T @ A, A.T @ p)
        w += step
        if np.abs(step).max() < 1e-13:
            break
    return w


def chain(n: int = 6) -> adj.Problem:
    """Array equations with neighbours, a coupling constraint and bounds."""
    m = adj.Program("chain")
    x = m.input("x", np.zeros(n))
    y = m.define("y", np.exp(0.3 * x) + np.sum(x) / n)
    m.define("f", np.sum((y - np.arange(float(n))) ** 2) + 0.1 * np.sum(x**2))
    return adj.Problem(m, minimize="f", over={"x": (-5, 5)}, subject_to={"ends": x[0] + x[n - 1] <= 1})


def control(steps: int = 12) -> adj.Problem:
    """A discrete control problem: a pendulum brought to rest, one equation for each step."""
    m = adj.Program("control")
    u = m.input("u", np.zeros(steps))
    angle, speed = 1.0, 0.0
    cost = 0.05 * np.sum(u**2)
    for k in range(steps):
        speed = m.define(f"speed{k}", speed - 0.2 * np.sin(angle) + 0.2 * u[k])
        angle = m.define(f"angle{k}", angle + 0.2 * speed)
        cost = cost + angle**2 + 0.1 * speed**2
    m.define("cost", cost)
    return adj.Problem(m, minimize="cost", over={"u": (-1.0, 1.0)})
