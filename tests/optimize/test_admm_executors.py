"""Consensus and sharing on threads, processes and a Dask cluster, workers that are killed included."""

from __future__ import annotations

import importlib.util
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.errors import ModelError, NameLookupError
from adjoint.optimize.splitting import (
    AbsoluteValues,
    Box,
    Equal,
    Squares,
    WorkerError,
    consensus,
    sharing,
)
from adjoint.optimize.splitting.workers import Workers
from benchmarks import consensus as benchmark
from tests.optimize.splitting_cases import WEIGHTS, chain, logistic_data, logistic_optimum, logistic_problem

has_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="distributed is not installed")


def least_squares(rows: int = 30, seed: int = 0) -> tuple[adj.Problem, list[dict[str, Any]], np.ndarray, np.ndarray]:
    """A sum of squares over three shards, with all data together."""
    rng = np.random.default_rng(seed)
    A, b = rng.normal(size=(3, rows, 4)), rng.normal(size=(3, rows))
    m = adj.Program()
    w = m.input("w", np.zeros(4))
    X, y = m.input("X", np.zeros((rows, 4))), m.input("y", np.zeros(rows))
    m.define("f", 0.5 * np.sum((X @ w - y) ** 2))
    problem = adj.Problem(m, minimize="f", over=["w"])
    return problem, [{"X": A[k], "y": b[k]} for k in range(3)], A.reshape(-1, 4), b.reshape(-1)


# -- the forms -----------------------------------------------------------------------------------------------------


def test_consensus_is_the_optimum_of_all_data() -> None:
    problem, shards, A, b = least_squares()
    found = consensus(problem, shards, executor="serial", options={"penalty": 10.0, "tol": 1e-8})
    assert found.success
    np.testing.assert_allclose(found.x["w"], np.linalg.lstsq(A, b, rcond=None)[0], atol=1e-6)
    np.testing.assert_allclose(sum(p["w"] for p in found.multipliers["copies"]), 0.0, atol=1e-8)
    for k, shard in enumerate(shards):  # price of a copy = − gradient of its shard
        gradient = shard["X"].T @ (shard["X"] @ found.x["w"] - shard["y"])
        np.testing.assert_allclose(found.multipliers["copies"][k]["w"], -gradient, atol=1e-4)


def test_consensus_with_a_ridge_and_a_lasso() -> None:
    problem, shards, A, b = least_squares()
    options = {"penalty": 10.0, "tol": 1e-8}
    ridge = consensus(problem, shards, proximal=Squares(5.0), executor="serial", options=options)
    np.testing.assert_allclose(ridge.x["w"], np.linalg.solve(A.T @ A + 5 * np.eye(4), A.T @ b), atol=1e-6)
    lasso = consensus(problem, shards, proximal=AbsoluteValues(6.0), executor="serial", options=options)
    w, slope = lasso.x["w"], A.T @ (A @ lasso.x["w"] - b)
    assert (w == 0).any() and (w != 0).any()
    np.testing.assert_allclose(slope[w != 0], -6.0 * np.sign(w[w != 0]), atol=1e-4)
    assert np.abs(slope[w == 0]).max() <= 6.0
    boxed = consensus(problem, shards, proximal=Box(0.0, 1.0), executor="serial", options=options)
    assert boxed.x["w"].min() >= 0.0


def test_consensus_with_variables_of_each_shard() -> None:
    rng = np.random.default_rng(4)
    data = rng.normal(size=(3, 20)) + np.array([[0.0], [1.0], [5.0]])
    slope = rng.normal(size=(3, 20))
    m = adj.Program()
    w, own = m.input("w", 0.0), m.input("own", 0.0)
    s, d = m.input("s", np.zeros(20)), m.input("d", np.zeros(20))
    m.define("f", np.sum((w * s + own - d) ** 2))
    problem = adj.Problem(m, minimize="f", over=["own", "w"])
    found = consensus(
        problem, [{"s": slope[k], "d": data[k]} for k in range(3)], "w", executor="serial", options={"tol": 1e-8}
    )
    A = np.zeros((60, 4))
    A[:, 0] = slope.reshape(-1)
    for k in range(3):
        A[20 * k : 20 * k + 20, k + 1] = 1.0
    want = np.linalg.lstsq(A, data.reshape(-1), rcond=None)[0]
    assert found.x["w"] == pytest.approx(want[0], abs=1e-6)
    np.testing.assert_allclose([s["own"] for s in found.shards], want[1:], atol=1e-5)


def test_sharing_is_the_exchange_problem() -> None:
    cost = np.array([1.0, 2.0, 4.0])
    m = adj.Program()
    x, c = m.input("x", np.zeros(2)), m.input("c", 1.0)
    m.define("f", 0.5 * c * np.sum(x**2))
    problem = adj.Problem(m, minimize="f", over={"x": (0, 2.5)})
    total = np.array([3.5, 7.0])
    found = sharing(problem, [{"c": v} for v in cost], proximal=Equal(total), executor="serial", options={"tol": 1e-8})
    assert found.success
    np.testing.assert_allclose(found.x["x"], total, atol=1e-5)
    # without bounds in the way the price is total / Σ 1/c; with them, x_1 = 2.5 and the others share the rest
    np.testing.assert_allclose([s["x"][0] for s in found.shards], [2.0, 1.0, 0.5], atol=1e-5)
    np.testing.assert_allclose([s["x"][1] for s in found.shards], [2.5, 2.5, 2.0], atol=1e-4)
    np.testing.assert_allclose(found.multipliers["x"], [-2.0, -8.0], atol=1e-3)


def test_sharing_with_a_smooth_common_term() -> None:
    m = adj.Program()
    x, t = m.input("x", 0.0), m.input("t", 0.0)
    m.define("f", 0.5 * (x - t) ** 2)
    problem = adj.Problem(m, minimize="f", over=["x"])
    targets = np.array([1.0, 2.0, 6.0])
    found = sharing(
        problem, [{"t": v} for v in targets], proximal=Squares(2.0), executor="serial", options={"tol": 1e-8}
    )
    total = targets.sum() / (1 + 3 * 2.0)  # x_k = t_k − 2 Σx
    assert found.x["x"] == pytest.approx(total, abs=1e-6)
    np.testing.assert_allclose([s["x"] for s in found.shards], targets - 2 * total, atol=1e-5)


@pytest.mark.parametrize("form", [consensus, sharing])
def test_wrong_shards_are_named(form: Any) -> None:
    problem, shards, _, _ = least_squares()
    more = {"proximal": Squares()} if form is sharing else {}
    with pytest.raises(ModelError, match="no shards"):
        form(problem, [], executor="serial", **more)
    with pytest.raises(ModelError, match="dict of data"):
        form(problem, [3], executor="serial", **more)
    with pytest.raises(NameLookupError, match="'Z'"):
        form(problem, [{"Z": 1.0}], executor="serial", **more)
    with pytest.raises(ModelError, match="not moved"):
        form(problem, [{"w": np.zeros(4)}], executor="serial", **more)
    with pytest.raises(ModelError, match="'q'"):
        form(problem, shards, "q", executor="serial", **more)
    with pytest.raises(ModelError, match="start="):
        form(problem, shards, executor="serial", start={"q": 1.0}, **more)
    with pytest.raises(ModelError, match="a block is a Problem"):
        form(int, ["3"], executor="serial", **more)


# -- executors -----------------------------------------------------------------------------------------------------


class Losing(Executor):
    """An executor that loses some of its work, and forgets all blocks now and then."""

    def __init__(self, every: int, error: type[Exception] = ConnectionError) -> None:
        self.calls, self.every, self.error = 0, every, error
        self.given: list[Future[Any]] = []
        self.tasks: dict[bytes, Future[Any]] = {}

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls += 1
        future: Future[Any] = Future()
        if self.every and self.calls % self.every == 0:
            future.set_exception(self.error("worker lost"))
        else:
            if self.calls % 5 == 0:
                from adjoint.optimize.splitting import workers

                workers._kept.clear()
            future.set_result(fn(*args, **kwargs))
        return future


def test_lost_work_is_done_again_and_changes_nothing() -> None:
    problem, shards, _, _ = least_squares()
    options = {"penalty": 10.0, "max_iter": 8}
    calm = consensus(problem, shards, executor="serial", options=options)
    lossy = consensus(problem, shards, executor=Losing(every=4), options=options)
    assert lossy.redone >= 6 and calm.redone == 0
    np.testing.assert_array_equal(lossy.x["w"], calm.x["w"])
    result = chain().solve("admm", options={"executor": Losing(every=3), "max_iter": 4})
    assert result.redone > 0


class Silent(Losing):
    """An executor that never answers some of its work."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if (self.calls + 1) % self.every == 0:
            self.calls += 1
            self.given.append(Future())
            return self.given[-1]
        return super().submit(fn, *args, **kwargs)


class Keyed(Silent):
    """As Dask's: the same function of the same arguments is the same task."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        key = pickle.dumps((fn, args))
        if key not in self.tasks:
            self.tasks[key] = super().submit(fn, *args, **kwargs)
        return self.tasks[key]


def test_work_that_is_late_is_done_again() -> None:
    problem, shards, _, _ = least_squares()
    options = {"penalty": 10.0, "max_iter": 4}
    calm = consensus(problem, shards, executor="serial", options=options)
    late = consensus(problem, shards, executor=Silent(every=6), options={**options, "timeout": 0.1})
    assert late.redone >= 2
    np.testing.assert_array_equal(late.x["w"], calm.x["w"])


def test_work_that_is_never_answered_is_an_error() -> None:
    problem, shards, _, _ = least_squares()
    executor = Silent(every=1)
    with pytest.raises(WorkerError, match=r"block \d was sent 3 times and gave no answer, the last time for 0.2 s"):
        consensus(problem, shards, executor=executor, options={"timeout": 0.05, "retries": 2})
    assert len(executor.given) == 9 and all(future.cancelled() for future in executor.given)


def test_an_executor_that_knows_a_task_by_its_arguments() -> None:
    """Dask's does: what is sent again must be another task."""
    problem, shards, _, _ = least_squares()
    found = consensus(problem, shards, executor=Keyed(every=4), options={"max_iter": 3, "timeout": 0.1})
    assert found.redone >= 2


def test_a_process_that_hangs_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(WorkerError, match="hangs"):
        consensus(asleep, [600.0], executor="processes", options={"timeout": 0.5, "retries": 1})
    assert time.monotonic() - began < 60.0


def test_work_that_is_always_lost_is_an_error() -> None:
    problem, shards, _, _ = least_squares()
    with pytest.raises(WorkerError, match="lost 4 times; the last time: ConnectionError: worker lost"):
        consensus(problem, shards, executor=Losing(every=1))


def test_an_error_of_the_work_itself_is_raised_at_once() -> None:
    with pytest.raises(ValueError, match="not a shard"):
        consensus(not_a_problem, [1, 2], executor="threads")


def asleep(seconds: float) -> Any:
    time.sleep(seconds)


def not_a_problem(argument: int) -> Any:
    raise ValueError("not a shard")


def test_what_does_not_pickle_stays_in_this_process() -> None:
    rows = 40
    found = consensus(lambda k: logistic_problem((k, rows)), range(2), executor="threads", options={"penalty": 5.0})
    assert found.success
    with pytest.raises(ModelError, match="cannot be sent"):
        consensus(lambda k: logistic_problem((k, rows)), range(2), executor="processes")


def test_threads_and_processes_give_the_same() -> None:
    arguments = [(k, 500) for k in range(4)]
    options = {"penalty": 50.0, "max_iter": 6, "method": "L-BFGS-B"}
    want = consensus(logistic_problem, arguments, executor="serial", options=options)
    for executor in ("threads", "processes"):
        found = consensus(logistic_problem, arguments, executor=executor, options=options)
        np.testing.assert_allclose(found.x["w"], want.x["w"], atol=1e-7)  # rounding: kernels or NumPy


def test_a_killed_process_is_replaced() -> None:
    made: list[ProcessPoolExecutor] = []

    def make() -> ProcessPoolExecutor:
        made.append(ProcessPoolExecutor(2, mp_context=get_context("spawn")))
        return made[-1]

    def kill(record: Any, values: Any) -> None:
        if record.iteration == 4:
            os.kill(next(iter(made[-1]._processes)), signal.SIGKILL)

    arguments = [(k, 500) for k in range(4)]
    options = {"penalty": 50.0, "method": "L-BFGS-B"}
    found = consensus(logistic_problem, arguments, executor=make, options=options, callback=kill)
    assert found.success and len(made) == 2
    np.testing.assert_allclose(found.x["w"], logistic_optimum(4, 500), atol=1e-4)


def test_an_executor_that_is_given_and_breaks_is_named() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:

        def kill(record: Any, values: Any) -> None:
            os.kill(next(iter(pool._processes)), signal.SIGKILL)

        with pytest.raises(WorkerError, match="function that makes one"):
            consensus(logistic_problem, [(0, 50)], executor=pool, callback=kill, options={"method": "L-BFGS-B"})


def test_blocks_are_dropped_when_the_solve_is_over() -> None:
    from adjoint.optimize.splitting import workers

    problem, shards, _, _ = least_squares()
    before = set(workers._kept)
    consensus(problem, shards, executor="threads", options={"max_iter": 2})
    assert set(workers._kept) == before
    with ThreadPoolExecutor(1) as pool, Workers([], pool) as none:
        assert none.round([]) == []
        assert pickle.loads(pickle.dumps(workers._Unknown())) == workers._Unknown()


# -- a logistic regression with a million rows --------------------------------------------------------------------

SHARDS, ROWS = 16, 62_500
BIG = {"penalty": 10_000.0, "method": "L-BFGS-B", "tol": 1e-5}


@pytest.fixture(scope="module")
def optimum() -> np.ndarray:
    return logistic_optimum(SHARDS, ROWS)


def arguments() -> list[tuple[int, int]]:
    return [(k, ROWS) for k in range(SHARDS)]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_million_rows(executor: str, optimum: np.ndarray) -> None:
    found = consensus(logistic_problem, arguments(), executor=executor, options=BIG)
    assert found.success
    assert np.abs(found.x["w"] - optimum).max() < 1e-4
    assert np.abs(found.x["w"] - WEIGHTS).max() < 0.05
    assert logistic_data(0, 3).shape == (3, 5)


@pytest.fixture
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client


def killing(client: Any, at: int, delay: float = 0.0) -> Any:
    """A callback that kills one worker of a cluster after an iteration, or while the next is under way."""

    def callback(record: Any, values: Any) -> None:
        if record.iteration == at:
            pid = next(iter(client.run(os.getpid).values()))
            threading.Timer(delay, os.kill, (pid, signal.SIGKILL)).start()

    return callback


@has_dask
@pytest.mark.slow
@pytest.mark.parametrize(("rows", "at"), [(500, 3), (ROWS, 4)])
def test_dask_with_a_killed_worker(rows: int, at: int, cluster: Any) -> None:
    options = {**BIG, "penalty": 0.16 * rows}
    work = [(k, rows) for k in range(SHARDS)]
    with cluster.get_executor() as executor:
        found = consensus(
            logistic_problem, work, executor=executor, options=options, callback=killing(cluster, at, delay=0.2)
        )
    assert found.success and found.nit > at
    assert np.abs(found.x["w"] - logistic_optimum(SHARDS, rows)).max() < 1e-4


@has_dask
@pytest.mark.slow
def test_dask_with_a_worker_that_hangs(cluster: Any) -> None:
    """It is not lost, as far as the scheduler can tell: what it has is late, and goes to the other one."""
    stopped: list[int] = []

    def callback(record: Any, values: Any) -> None:
        if record.iteration == 3:
            stopped.append(next(iter(cluster.run(os.getpid).values())))
            os.kill(stopped[0], signal.SIGSTOP)

    options = {**BIG, "penalty": 80.0, "timeout": 2.0}
    work = [(k, 500) for k in range(8)]
    try:
        with cluster.get_executor() as executor:
            found = consensus(logistic_problem, work, executor=executor, options=options, callback=callback)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert found.success and found.redone > 0
    assert np.abs(found.x["w"] - logistic_optimum(8, 500)).max() < 1e-4


def test_the_benchmark() -> None:
    row = benchmark.measure(100, ("threads",))[0]
    assert row.ours > 0 and "optimal" in row.note and "requests sent again" in row.note
