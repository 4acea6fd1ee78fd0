"""Derivatives of solutions of inner problems: hypergradients and fixed points, beside jaxopt.

Values and gradients of an outer loss at a walk of points: more than are remembered, each near the one before, as an
outer optimizer visits them. Both sides start each inner solve at the last solution and solve to the same accuracy;
their gradients are compared before anything is timed.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import adjoint as adj
from adjoint.inner import argmin, fixed_point

from .harness import Row, compare

POINTS = 24
AGREE = 1e-5  # relative difference of the gradients
Both = Callable[[np.ndarray], tuple[float, np.ndarray]]


def _jax() -> Any:
    """jax, in double precision; None where it or jaxopt is not installed."""
    try:
        import jax
        import jaxopt  # noqa: F401
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)
    return jax


def _linear(name: str) -> Any:
    """A linear solver of jaxopt, as accurate as the inner solves; its default stops at 1e-5."""
    import jaxopt

    return functools.partial(getattr(jaxopt.linear_solve, name), tol=1e-9, maxiter=2000)


def _split(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(rows)
    return order[: 2 * rows // 3], order[2 * rows // 3 :]


def cancer() -> tuple[np.ndarray, ...]:
    """Training and validation features and classes −1 and 1 of scikit-learn's breast cancer data, standardized."""
    from sklearn.datasets import load_breast_cancer

    X, label = load_breast_cancer(return_X_y=True)
    X, t = (X - X.mean(axis=0)) / X.std(axis=0), 2.0 * label - 1.0
    train, held = _split(len(t), 0)
    return X[train], t[train], X[held], t[held]


def diabetes() -> tuple[np.ndarray, ...]:
    """Features of degree two and targets of scikit-learn's diabetes data, standardized; training and validation."""
    from sklearn.datasets import load_diabetes

    raw, y = load_diabetes(return_X_y=True)
    X = np.column_stack([raw, *(raw[:, i] * raw[:, j] for i in range(10) for j in range(i + 1))])
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    train, held = _split(len(y), 1)
    return X[train], y[train], X[held], y[held]


def _function(m: adj.Program, name: str) -> Both:
    fun = m.function("loss", wrt=[name])
    return lambda v: (fun(v), fun.jac(v))


def logistic(features: int) -> Both:
    """Validation loss of logistic regression as a function of the logarithms of the penalties."""
    X, t, Xv, tv = cancer()
    m = adj.Program()
    h = m.input("h", np.zeros(features))

    def training(theta: Any, h: Any) -> Any:
        return np.sum(adj.softplus(-t * (X @ theta))) + 0.5 * np.sum(np.exp(h) * theta**2)

    theta = m.define("theta", argmin(training, np.zeros(features), h))
    m.define("loss", np.mean(adj.softplus(-tv * (Xv @ theta))))
    return _function(m, "h")


def logistic_jaxopt(features: int, method: str) -> Both | None:
    """The same by jaxopt."""
    jax = _jax()
    if jax is None:
        return None
    import jaxopt

    X, t, Xv, tv = cancer()
    jnp = jax.numpy

    def training(theta: Any, h: Any) -> Any:
        return jnp.sum(jax.nn.softplus(-t * (X @ theta))) + 0.5 * jnp.sum(jnp.exp(h) * theta**2)

    solver = getattr(jaxopt, method)(training, tol=1e-8, maxiter=2000, implicit_diff_solve=_linear("solve_cg"))

    def loss(h: Any, start: Any) -> Any:
        theta = solver.run(start, h).params
        return jnp.mean(jax.nn.softplus(-tv * (Xv @ theta))), theta

    return _warm(jax, loss, np.zeros(features))


def _warm(jax: Any, loss: Callable[..., Any], start: np.ndarray) -> Both:
    """Value and gradient of a loss that also gives its inner solution, where the next solve starts."""
    both = jax.jit(jax.value_and_grad(loss, has_aux=True))
    last = [start]

    def function(v: np.ndarray) -> tuple[float, np.ndarray]:
        (value, last[0]), gradient = both(v, last[0])
        return float(value), np.asarray(gradient)

    return function


def ridge() -> Both:
    """Validation loss of ridge regression as a function of the logarithms of the penalties of 65 features."""
    X, y, Xv, yv = diabetes()
    m = adj.Program()
    h = m.input("h", np.zeros(X.shape[1]))

    def training(theta: Any, h: Any) -> Any:
        return 0.5 * np.sum((X @ theta - y) ** 2) + 0.5 * np.sum(np.exp(h) * theta**2)

    theta = m.define("theta", argmin(training, np.zeros(X.shape[1]), h))
    m.define("loss", np.mean((Xv @ theta - yv) ** 2))
    return _function(m, "h")


def ridge_jaxopt(method: str) -> Both | None:
    """The same by jaxopt."""
    jax = _jax()
    if jax is None:
        return None
    import jaxopt

    X, y, Xv, yv = diabetes()
    jnp = jax.numpy

    def training(theta: Any, h: Any) -> Any:
        return 0.5 * jnp.sum((X @ theta - y) ** 2) + 0.5 * jnp.sum(jnp.exp(h) * theta**2)

    solver = getattr(jaxopt, method)(training, tol=1e-8, maxiter=5000, implicit_diff_solve=_linear("solve_cg"))

    def loss(h: Any, start: Any) -> Any:
        theta = solver.run(start, h).params
        return jnp.mean((Xv @ theta - yv) ** 2), theta

    return _warm(jax, loss, np.zeros(X.shape[1]))


def _network(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return 0.7 * rng.standard_normal((n, n)) / np.sqrt(n), rng.standard_normal(n)


def equilibrium(n: int) -> Both:
    """A sum over the equilibrium y = tanh(W y + b), as a function of b."""
    W, c = _network(n)
    m = adj.Program()
    b = m.input("h", np.zeros(n))
    y = m.define("y", fixed_point(lambda y, b: np.tanh(W @ y + b), np.zeros(n), b, tol=1e-9))
    m.define("loss", np.sum((y - c) ** 2))
    return _function(m, "h")


def equilibrium_jaxopt(n: int, method: str) -> Both | None:
    """The same by jaxopt."""
    jax = _jax()
    if jax is None:
        return None
    import jaxopt

    W, c = _network(n)
    jnp = jax.numpy
    linear = _linear("solve_gmres")
    solver = getattr(jaxopt, method)(
        lambda y, b: jnp.tanh(W @ y + b), tol=1e-9, maxiter=500, implicit_diff_solve=linear
    )

    def loss(b: Any, start: Any) -> Any:
        y = solver.run(start, b).params
        return jnp.sum((y - c) ** 2), y

    return _warm(jax, loss, np.zeros(n))


def _walk(size: int) -> list[np.ndarray]:
    steps = np.random.default_rng(3).standard_normal((POINTS, size))
    return list(1.0 + 0.1 * np.cumsum(steps, axis=0))


def _along(function: Both, points: list[np.ndarray]) -> Callable[[], None]:
    def visit() -> None:
        for point in points:
            function(point)

    return visit


def _difference(ours: Both, peer: Both, points: list[np.ndarray]) -> float:
    a = np.array([ours(p)[1] for p in points])
    b = np.array([peer(p)[1] for p in points])
    return float(np.abs(a - b).max() / np.abs(a).max())


def _rows(title: str, build: Callable[[], Both], peers: dict[str, Callable[[], Both | None]], repeat: int) -> list[Row]:
    rows = []
    for label, make in peers.items():
        began = time.perf_counter()
        ours = build()
        points = _walk(_size(title))
        ours(points[0])
        first = time.perf_counter() - began
        began = time.perf_counter()
        peer = make()
        if peer is not None:
            peer(points[0])
        later = time.perf_counter() - began
        note = ""
        if peer is not None:
            apart = _difference(ours, peer, points)
            note = f"gradients differ by {apart:.0e}"
            if not apart <= AGREE:
                note += ": the peer did not reach the accuracy asked for"
        visit = None if peer is None else _along(peer, points)
        rows.append(compare(f"{title}, {POINTS} points", _along(ours, points), visit, label, repeat, note=note))
        rows.append(Row(f"{title}, first point with building", first, None if peer is None else later, label))
    return rows


def _size(title: str) -> int:
    return {"logistic, 30 penalties": 30, "ridge, 65 penalties": 65, "equilibrium of 100": 100}[title]


def run(repeat: int) -> list[Row]:
    """The rows."""
    return [
        *_rows(
            "logistic, 30 penalties",
            lambda: logistic(30),
            {f"jaxopt {m}": lambda m=m: logistic_jaxopt(30, m) for m in ("LBFGS", "BFGS")},  # type: ignore[misc]
            repeat,
        ),
        *_rows(
            "ridge, 65 penalties",
            ridge,
            {f"jaxopt {m}": lambda m=m: ridge_jaxopt(m) for m in ("LBFGS",)},  # type: ignore[misc]
            repeat,
        ),
        *_rows(
            "equilibrium of 100",
            lambda: equilibrium(100),
            {
                f"jaxopt {m}": lambda m=m: equilibrium_jaxopt(100, m)  # type: ignore[misc]
                for m in ("AndersonAcceleration", "FixedPointIteration")
            },
            repeat,
        ),
    ]
