"""Several starts: the best result, whatever the executor; runs that fail are results too."""

from __future__ import annotations

from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.optimize.starts import random_starts
from tests.models import sellar


def rastrigin() -> adj.Problem:
    """Many local minima; the constraint cuts off the best one."""
    m = adj.Program("rastrigin")
    x = m.input("x", [3.2, 2.2])
    m.define("f", 20 + np.sum(x**2 - 10 * np.cos(2 * np.pi * x)))
    return adj.Problem(m, minimize="f", over={"x": (-5, 5)}, subject_to={"cut": x[0] + 2 * x[1] >= 0.5})


def domain() -> adj.Problem:
    """No value left of 1: some starts fail."""
    m = adj.Program("domain")
    x = m.input("x", 2.0)
    m.define("f", (np.sqrt(x - 1.0) - 2.0) ** 2)
    return adj.Problem(m, minimize="f", over={"x": (-10, 10)})


@pytest.mark.parametrize("method", ["SLSQP", "interior-point"])
def test_the_best_of_several(method: str) -> None:
    problem = rastrigin()
    alone = problem.solve(method)
    result = problem.solve(method, starts=12, seed=3)
    assert len(result.runs) == 12
    assert result.fun == min(r.fun for r in result.runs if r.success) < alone.fun - 1.0
    assert result.runs[0].fun == pytest.approx(alone.fun)  # the first is the start itself
    assert result.run == int(np.argmin([r.fun if r.success else np.inf for r in result.runs]))
    np.testing.assert_array_equal(result.x, result.runs[result.run].x)
    assert result.solution["f"] == pytest.approx(result.fun)
    assert result.multipliers["cut"] == result.runs[result.run].multipliers["cut"]


@pytest.mark.parametrize("formulation", ["reduced", "full"])
@pytest.mark.parametrize("make", [rastrigin, lambda: with_cycle()], ids=["rastrigin", "sellar"])
def test_executors_give_the_same(make: Any, formulation: str) -> None:
    one = make().solve("interior-point", starts=6, seed=1, formulation=formulation)
    for executor in (ThreadPoolExecutor(2), ThreadPoolExecutor(6)):
        with executor:
            other = make().solve("interior-point", starts=6, seed=1, formulation=formulation, executor=executor)
        assert other.run == one.run
        for a, b in zip(one.runs, other.runs, strict=True):
            assert a.status == b.status
            np.testing.assert_allclose(a.x, b.x, rtol=1e-6, atol=1e-7)


def with_cycle() -> adj.Problem:
    m = sellar()
    over = {"z1": (-10, 10), "z2": (0, 10), "x": (0, 10)}
    return adj.Problem(m, minimize="f", over=over, subject_to={"low": m["y1"] >= 3.16, "high": m["y2"] <= 24.0})


def test_processes() -> None:
    """Problems and results go to other processes and back."""
    with ProcessPoolExecutor(2) as executor:
        for method in ("SLSQP", "interior-point"):
            other = rastrigin().solve(method, starts=4, seed=3, executor=executor)
            one = rastrigin().solve(method, starts=4, seed=3)
            assert other.run == one.run
            np.testing.assert_allclose(other.x, one.x, atol=1e-6)
            assert other.solution["f"] == pytest.approx(other.fun)
            assert other.multipliers["cut"] == pytest.approx(one.multipliers["cut"], abs=1e-5)


def test_a_seed_determines_the_starts() -> None:
    problem = rastrigin()
    first, again, other = (random_starts(problem, 5, seed) for seed in (7, 7, 8))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a["x"], b["x"])
        assert not np.array_equal(a["x"], c["x"])
        assert (a["x"] >= -5).all() and (a["x"] <= 5).all()
    few = random_starts(problem, 2, 7)
    np.testing.assert_array_equal(few[1]["x"], first[1]["x"])  # more starts do not change those that were there


def test_random_starts_where_bounds_are_missing() -> None:
    m = adj.Program()
    x, y = m.input("x", [1.0, 1.0, 100.0, 5.0]), m.unknown("y", guess=2.0)
    m.define("f", np.sum(x**2) + y**2)
    over = {"x": ([-np.inf, 3.0, -np.inf, 5.0], [np.inf, np.inf, 90.0, 5.0]), "y": (None, None)}
    starts = random_starts(adj.Problem(m, minimize="f", over=over), 200, seed=0)
    points = np.array([s["x"] for s in starts])
    assert np.std(points[:, 0]) == pytest.approx(1.0, rel=0.2) and np.mean(points[:, 0]) == pytest.approx(1.0, abs=0.3)
    assert points[:, 1].min() >= 3.0 and points[:, 1].max() > 5.0
    assert points[:, 2].max() <= 90.0 and points[:, 2].min() < -10.0
    assert (points[:, 3] == 5.0).all()
    assert len({s["y"] for s in starts}) == 200


def test_lists_of_starts() -> None:
    problem = rastrigin()
    first = problem.solve("SLSQP", start={"x": [1.1, 1.1]})
    result = problem.solve("SLSQP", starts=[{"x": [4.2, 4.2]}, first, None])
    assert len(result.runs) == 3 and result.run == 1
    assert result.fun == pytest.approx(first.fun, abs=1e-6)
    assert result.runs[2].fun == pytest.approx(problem.solve("SLSQP").fun, abs=1e-9)


@pytest.mark.parametrize("method", ["SLSQP", "interior-point"])
def test_a_run_that_fails_is_a_result(method: str) -> None:
    result = domain().solve(method, starts=[{"x": -3.0}, {"x": 3.0}, {"x": 0.5}])
    assert result.success and result.run == 1
    assert result.x[0] == pytest.approx(5.0, abs=1e-3)
    for k in (0, 2):
        failed = result.runs[k]
        assert not failed.success and failed.status == "evaluation_error" and "f" in failed.message
        assert np.isnan(failed.fun)


@pytest.mark.parametrize("method", ["SLSQP", "interior-point"])
def test_all_runs_fail(method: str) -> None:
    result = domain().solve(method, starts=[{"x": -3.0}, {"x": 0.5}])
    assert not result.success
    assert result.message.startswith("none of 2 starts succeeded")


def test_of_failures_the_least_violation_is_the_best() -> None:
    m = adj.Program()
    x, y = m.input("x", 1.0), m.input("y", 1.0)
    rows = {"circle": x**2 + y**2 <= 1.0, "far": x + y >= 4.0}
    problem = adj.Problem(m, minimize=x - y, subject_to=rows)
    options = {"max_iter": 1}
    result = problem.solve("interior-point", starts=[{"x": 90.0}, {"x": 1.5, "y": 1.5}, {"x": -50.0}], options=options)
    assert not result.success and result.run == 1
    assert "none of 3 starts" in result.message


def test_maxima() -> None:
    m = adj.Program()
    x = m.input("x", 0.1)
    m.define("f", np.sin(3 * x) + 0.3 * x)
    result = adj.Problem(m, maximize="f", over={"x": (-4, 4)}).solve("L-BFGS-B", starts=10, seed=0)
    assert result.fun == max(r.fun for r in result.runs)
    assert result.x[0] == pytest.approx(2.6515, abs=1e-3)


def test_equal_optima_are_the_first_one() -> None:
    """Both minima of (x² − 1)² are the best up to rounding."""
    m = adj.Program()
    x = m.input("x", 2.0)
    m.define("f", (x**2 - 1.0) ** 2)
    starts = [{"x": v} for v in (2.0, -2.0, 1.5, -0.7)]
    assert adj.Problem(m, minimize="f").solve("BFGS", starts=starts, tol=1e-10).run == 0


def test_least_squares_from_several_starts() -> None:
    t = np.linspace(0, 10, 60)
    m = adj.Program()
    b = m.input("b", [1.0, 0.3])
    problem = adj.Problem(
        m, minimize=np.sum((b[0] * np.sin(b[1] * t) - 2.0 * np.sin(1.7 * t)) ** 2), over={"b": (0.1, 3)}
    )
    assert problem.solve("levenberg-marquardt").fun > 1.0
    with ThreadPoolExecutor(2) as executor:
        result = problem.solve("levenberg-marquardt", starts=12, seed=2, executor=executor)
    np.testing.assert_allclose(result.x, [2.0, 1.7], rtol=1e-8)


class Broken(Executor):
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("nothing is to be run")


def test_wrong_use_raises_at_once() -> None:
    problem = rastrigin()
    for starts in (0, -1, True, "3", [], 2.5, {"x": 1.0}):
        with pytest.raises(adj.ModelError, match="starts="):
            problem.solve("SLSQP", starts=starts, executor=Broken())
    with pytest.raises(adj.ModelError, match="not both"):
        problem.solve("SLSQP", starts=[{"x": 1.0}], start={"x": 2.0})
    with pytest.raises(adj.ModelError, match="executor="):
        problem.solve("SLSQP", executor=Broken())
    with pytest.raises(adj.ModelError, match="takes no constraints"):
        problem.solve("BFGS", starts=3)
    with pytest.raises(adj.NameLookupError, match="'xx'"):
        problem.solve("SLSQP", starts=[{"xx": 1.0}])
