"""First-order methods: iterates against the formulas, convergence, bounds, mini-batches, schedules, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.optimize.first_order.schedules import SCHEDULES

METHODS = ("gradient-descent", "momentum", "adam", "sgd", "rprop")
BATCHED = ("momentum", "adam", "sgd")
A = np.array([[3.0, 1.0], [1.0, 2.0]])


def quadratic(bounds: Any = (None, None), maximize: bool = False) -> adj.Problem:
    """½ xᵀAx − (1, 1) x, or a maximum of its negative."""
    m = adj.Program()
    x = m.input("x", [4.0, -3.0])
    f = 0.5 * x @ (A @ x) - np.sum(x)
    if maximize:
        return adj.Problem(m, maximize=-f, over={"x": bounds})
    return adj.Problem(m, minimize=f, over={"x": bounds})


def path(method: str, steps: int, problem: adj.Problem | None = None, **options: Any) -> np.ndarray:
    points: list[np.ndarray] = []
    problem = quadratic() if problem is None else problem
    problem.solve(method, options={"max_iter": steps, **options}, callback=lambda r: points.append(r.x))
    return np.array(points)


def slope(x: np.ndarray) -> np.ndarray:
    return A @ x - 1.0


# -- iterates ----------------------------------------------------------------------------------------------------


def test_fixed_steps() -> None:
    found = path("gradient-descent", 5, line_search="fixed", learning_rate=0.1)
    x = np.array([4.0, -3.0])
    for point in found:
        np.testing.assert_allclose(point, x, rtol=1e-14)
        x = x - 0.1 * slope(x)
    np.testing.assert_array_equal(found, path("sgd", 5, learning_rate=0.1))


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum(nesterov: bool) -> None:
    found = path("momentum", 6, learning_rate=0.1, momentum=0.8, nesterov=nesterov)
    x, v = np.array([4.0, -3.0]), np.zeros(2)
    for point in found:
        np.testing.assert_allclose(point, x, rtol=1e-13)
        g = slope(x)
        v = 0.8 * v + g
        x = x - 0.1 * (g + 0.8 * v if nesterov else v)


def test_adam() -> None:
    found = path("adam", 6, learning_rate=0.2)
    x, mean, square = np.array([4.0, -3.0]), np.zeros(2), np.zeros(2)
    for k, point in enumerate(found, start=1):
        np.testing.assert_allclose(point, x, rtol=1e-13)
        g = slope(x)
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        x = x - 0.2 * (mean / (1 - 0.9**k)) / (np.sqrt(square / (1 - 0.999**k)) + 1e-8)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str) -> None:
    result = quadratic().solve("sgd", options={"learning_rate": 0.1, "schedule": name, "max_iter": 20, "period": 5.0})
    expected = [0.1 * SCHEDULES[name](float(k), 0.5, 5.0, 20.0) for k in range(21)]
    np.testing.assert_allclose([r.rate for r in result.history], expected, rtol=1e-14)


def test_a_schedule_of_ones_own() -> None:
    result = quadratic().solve("adam", options={"schedule": lambda time: 1.0 / (1.0 + time) ** 2, "max_iter": 3})
    assert [r.rate for r in result.history] == pytest.approx([1e-3, 1e-3 / 4, 1e-3 / 9, 1e-3 / 16])


# -- convergence -------------------------------------------------------------------------------------------------

BEST = np.linalg.solve(A, np.ones(2))
OPTIONS: dict[str, dict[str, Any]] = {"sgd": {"learning_rate": 0.1}, "rprop": {"step_min": 1e-12}}


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_minimum(method: str, maximize: bool) -> None:
    result = quadratic(maximize=maximize).solve(method, options=OPTIONS.get(method))
    assert result.success and result.status in ("optimal", "acceptable")
    np.testing.assert_allclose(result.x, BEST, atol=1e-6)
    assert result.fun == pytest.approx((1 if maximize else -1) * 0.5 * float(np.sum(BEST)), rel=1e-10)
    assert result.history[-1].objective == pytest.approx(result.fun, rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_bounds_by_projection(method: str) -> None:
    """x₁ ≤ 0 is active: its multiplier is the change of the minimum by the bound."""
    result = quadratic(([-9.0, -9.0], [0.0, 9.0])).solve(method, options=OPTIONS.get(method))
    assert result.success
    np.testing.assert_allclose(result.x, [0.0, 0.5], atol=1e-6)
    np.testing.assert_allclose(result.multipliers["x"], [-0.5, 0.0], atol=1e-5)


def test_line_search_is_monotone_without_memory() -> None:
    m = adj.Program()
    x, y = m.input("x", -1.2), m.input("y", 1.0)
    problem = adj.Problem(m, minimize=(1 - x) ** 2 + 100 * (y - x**2) ** 2, over=["x", "y"])
    for memory in (1, 10):
        result = problem.solve("gradient-descent", options={"memory": memory})
        assert result.success
        np.testing.assert_allclose(result.x, [1.0, 1.0], atol=1e-6)
        values = [r.objective for r in result.history]
        falls = all(b <= a * (1.0 + 1e-12) + 1e-14 for a, b in zip(values, values[1:], strict=False))
        assert falls is (memory == 1)


def test_leaving_the_domain_comes_back() -> None:
    m = adj.Program()
    x = m.input("x", 5.0)
    problem = adj.Problem(m, minimize=x - np.log(x), over=["x"])
    result = problem.solve("gradient-descent", options={"learning_rate": 50.0})
    assert result.success and result.x[0] == pytest.approx(1.0, abs=1e-7)


def test_divergence_is_told() -> None:
    result = quadratic().solve("gradient-descent", options={"line_search": "fixed", "learning_rate": 10.0})
    assert not result.success
    assert result.status == "failed" and "learning_rate" in result.message


def test_limits_and_callback() -> None:
    result = quadratic().solve("adam", options={"max_iter": 3})
    assert (result.status, result.nit, result.success) == ("iteration_limit", 3, False)
    assert quadratic().solve("adam", options={"max_wall_time": 0.0}).status == "time_limit"
    assert quadratic().solve("rprop", callback=lambda r: r.nit == 4).status == "stopped"

    def stop(r: Any) -> None:
        raise StopIteration

    assert quadratic().solve("gradient-descent", callback=stop).nit == 0


# -- mini-batches ------------------------------------------------------------------------------------------------

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(50, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.01 * RANDOM.normal(size=50)


def regression(rows: int = 8) -> adj.Problem:
    m = adj.Program()
    x, y = m.input("x", np.zeros((rows, 3))), m.input("y", np.zeros(rows))
    w = m.input("w", np.zeros(3))
    r = m.define("r", x @ w - y)
    m.define("loss", np.sum(r**2) / rows)
    return adj.Problem(m, minimize="loss", over=["w"])


DATA = {"x": X, "y": Y}


@pytest.mark.parametrize("last", ["drop", "wrap"])
def test_batches_are_cut_along_the_first_axis(last: str) -> None:
    """Without shuffling: the steps of plain gradient descent on the rows 0-7, 8-15, ..."""
    options = {"data": DATA, "epochs": 2, "shuffle": False, "last_batch": last, "learning_rate": 0.1}
    result = regression().solve("sgd", options=options)
    w, steps = np.zeros(3), 0
    for _ in range(2):
        for k in range(6 if last == "drop" else 7):
            rows = np.arange(8 * k, 8 * k + 8) % 50
            w = w - 0.1 * 2.0 / 8.0 * X[rows].T @ (X[rows] @ w - Y[rows])
            steps += 1
    np.testing.assert_allclose(result.x, w, rtol=1e-12)
    assert (result.steps, result.nit, len(result.history)) == (steps, 2, 2)
    assert result.status == "iteration_limit" and "epochs" in result.message and not result.success


@pytest.mark.parametrize("method", BATCHED)
def test_training(method: str) -> None:
    options = {"data": DATA, "epochs": 60, "learning_rate": 0.05, "schedule": "cosine"}
    problem = regression()
    first = problem.solve(method, options=options, seed=1)
    best = np.linalg.lstsq(X, Y, rcond=None)[0]
    np.testing.assert_allclose(first.x, best, atol=0.02)
    again, other = (problem.solve(method, options=options, seed=s) for s in (1, 2))
    np.testing.assert_array_equal(first.x, again.x)
    assert not np.array_equal(first.x, other.x)
    rows = slice(0, 48)
    assert first.fun == pytest.approx(np.sum((X[rows] @ first.x - Y[rows]) ** 2) / 48, rel=1e-12)
    np.testing.assert_array_equal(first.solution["x"], X[:8])


def test_one_kernel_for_all_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first batch nothing is compiled any more."""
    problem = regression()
    problem.solve("sgd", options={"data": DATA, "epochs": 1})
    backend = problem.program.plan().backend
    compiled: list[int] = []
    real = backend.compile
    monkeypatch.setattr(backend, "compile", lambda *a, **k: compiled.append(1) or real(*a, **k), raising=False)
    problem.solve("sgd", options={"data": DATA, "epochs": 3})
    assert not compiled


def test_batches_through_a_cycle() -> None:
    m = adj.Program()
    x, y, w = m.input("x", np.zeros(4)), m.input("y", np.zeros(4)), m.input("w", 0.0)
    u = m.unknown("u", np.zeros(4))
    m.define(u, np.tanh(0.5 * u + w * x))
    m.define("loss", np.sum((u - y) ** 2) / 4)
    inputs = np.linspace(-1.0, 1.0, 12)
    target = np.zeros(12)
    for _ in range(200):
        target = np.tanh(0.5 * target + 0.7 * inputs)
    data = {"x": inputs, "y": target}
    result = adj.Problem(m, minimize="loss", over=["w"]).solve(
        "adam", options={"data": data, "epochs": 150, "learning_rate": 0.05, "schedule": "cosine"}
    )
    assert result.x[0] == pytest.approx(0.7, abs=1e-3)


def test_callback_of_epochs_and_bounds() -> None:
    seen: list[int] = []
    problem = regression()
    bounded = adj.Problem(problem.program, minimize="loss", over={"w": (-1.0, 1.0)})
    options = {"data": DATA, "epochs": 50, "learning_rate": 0.05}
    result = bounded.solve("sgd", options=options, callback=lambda r: seen.append(r.nit) or r.nit == 30)
    assert seen == list(range(1, 31)) and result.status == "stopped"
    assert result.x[1] == -1.0


def test_a_batch_that_cannot_be_evaluated() -> None:
    m = adj.Program()
    x, w = m.input("x", np.ones(2)), m.input("w", 1.0)
    problem = adj.Problem(m, minimize=np.sum(np.log(x * w)), over=["w"])
    data = {"x": [1.0, 2.0, -1.0, 3.0]}
    result = problem.solve("sgd", options={"data": data, "shuffle": False, "learning_rate": 0.01})
    assert result.status == "evaluation_error" and "batch 1" in result.message
    assert result.steps == 1 and not result.success and np.isnan(result.fun)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": {"z": X}}, "input for data"),
        ({"data": {"w": np.zeros((4, 3))}}, "is moved by the optimizer"),
        ({"data": {"x": X[:, :2], "y": Y}}, r"shape \(8, 3\)"),
        ({"data": {"x": X, "y": Y[:20]}}, "samples differ"),
        ({"data": {"x": X[:4], "y": Y[:4]}}, "do not fill a batch"),
        ({"data": DATA, "batch_size": 16}, "shapes are static"),
        ({"data": DATA, "last_batch": "keep"}, "'drop' or 'wrap'"),
        ({"data": DATA, "epochs": 1.5}, "whole number"),
        ({"data": X}, "a dict"),
        ({"epochs": 3}, "need data"),
        ({"schedule": "linear"}, "schedule is one of"),
        ({"learning_rat": 1.0}, "learning_rate"),
    ],
)
def test_what_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(adj.AdjointError, match=words):
        regression().solve("sgd", options=options)


@pytest.mark.parametrize("method", METHODS)
def test_constraints_are_refused(method: str) -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    problem = adj.Problem(m, minimize=x**2, over=["x"], subject_to=[x >= 0.5])
    with pytest.raises(adj.ModelError, match=f"{method!r} takes no constraints"):
        problem.solve(method)


@pytest.mark.parametrize("method", ["gradient-descent", "rprop"])
def test_methods_of_whole_gradients_take_no_batches(method: str) -> None:
    with pytest.raises(adj.ModelError, match="takes no mini-batches"):
        regression().solve(method, options={"data": DATA})
