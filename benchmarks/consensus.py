"""Consensus ADMM over shards of a logistic regression: threads, processes, and a Dask cluster with a killed worker.

A million rows of 20 features in 16 shards, which are made on the workers. Seconds are of the whole run, with starting
processes and compiling; the peer is the same regression unsharded, by scikit-learn's L-BFGS (without a penalty), whose
time includes making the data. The note has the largest difference from the optimum, by Newton's method on all rows.
``python -m benchmarks.consensus --rows 6250 --executors threads`` runs a part.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from adjoint.optimize.splitting import SplittingResult, consensus

from ._consensus_data import data, optimum, problem_of
from .harness import Row

__all__ = ["EXECUTORS", "measure", "run"]

SHARDS, ROWS = 16, 62_500
KILL = 4  # the iteration after which a worker is killed
EXECUTORS = ("threads", "processes", "dask", "dask, a worker killed")


@contextmanager
def cluster() -> Iterator[Any]:
    """Two Dask workers, each a process."""
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client


def solved(rows: int, executor: Any, callback: Callable[..., Any] | None = None) -> SplittingResult:
    """The regression by consensus: the penalty is about the curvature of a shard."""
    options = {"penalty": 0.16 * rows, "method": "L-BFGS-B", "tol": 1e-5}
    work = [(k, rows) for k in range(SHARDS)]
    return consensus(problem_of, work, executor=executor, options=options, callback=callback)


def on(name: str, rows: int) -> SplittingResult:
    """The regression on an executor by name."""
    if not name.startswith("dask"):
        return solved(rows, name)
    with cluster() as client, client.get_executor() as executor:

        def callback(record: Any, values: Any) -> None:
            if name != "dask" and record.iteration == KILL:
                pid = next(iter(client.run(os.getpid).values()))
                threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()  # while the next round is under way

        return solved(rows, executor, callback)


def unsharded(rows: int) -> float | None:
    """Seconds of scikit-learn; None where it is not installed."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        return None
    began = time.perf_counter()
    A = np.concatenate([data(k, rows) for k in range(SHARDS)])
    label = np.random.default_rng(0).choice([-1.0, 1.0], size=len(A))
    LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-6, max_iter=1000).fit(A * label[:, None], label)
    return time.perf_counter() - began


def measure(rows: int, executors: Iterable[str]) -> list[Row]:
    """One row for each executor."""
    want, peer, out = optimum(SHARDS, rows), unsharded(rows), []
    for name in executors:
        began = time.perf_counter()
        try:
            found = on(name, rows)
        except ImportError:
            continue
        seconds = time.perf_counter() - began
        error = float(np.abs(found.x["w"] - want).max())
        note = f"{found.status}, {found.nit} iterations, |w − w*| ≤ {error:.0e}, {found.redone} requests sent again"
        out.append(Row(f"{SHARDS * rows} rows, {name}", seconds, peer, "scikit-learn", "s", note))
    return out


def run(repeat: int) -> list[Row]:
    """The rows; each is one run."""
    return measure(ROWS, EXECUTORS)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.consensus")
    parser.add_argument("--rows", type=int, default=ROWS, help="of each of the 16 shards")
    parser.add_argument("--executors", default=";".join(EXECUTORS))
    chosen = parser.parse_args()
    for row in measure(chosen.rows, chosen.executors.split(";")):
        print(f"{row.name:42s} {row.ours:8.2f} s {row.peer_name} {row.peer or 0.0:8.2f} s  {row.note}", flush=True)


if __name__ == "__main__":
    main()
