"""Consensus on MPI's workers, one of them stopped for a while; started by ``mpiexec -n 3 python -m mpi4py.futures``."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import numpy as np

from adjoint.optimize.splitting import consensus
from tests.optimize.splitting_cases import logistic_optimum, logistic_problem

SHARDS, ROWS = 6, 500


def process(_: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def main(stop: bool) -> None:
    from mpi4py.futures import MPIPoolExecutor  # not everywhere: the tests import this module, too

    with MPIPoolExecutor() as executor:
        workers = sorted(set(executor.map(process, range(20))))

        def callback(record: Any, values: Any) -> None:
            if stop and record.iteration == 3:
                os.kill(workers[0], signal.SIGSTOP)

        options = {"penalty": 0.16 * ROWS, "method": "L-BFGS-B", "tol": 1e-5}
        options |= {"timeout": 1.0} if stop else {}
        work = [(k, ROWS) for k in range(SHARDS)]
        found = consensus(logistic_problem, work, executor=executor, options=options, callback=callback)
        if stop:
            os.kill(workers[0], signal.SIGCONT)  # the pool waits for its workers at the end
        error = np.abs(found.x["w"] - logistic_optimum(SHARDS, ROWS)).max()
        print(f"workers {len(workers)} success {found.success} error {error:.1e} redone {found.redone}")


if __name__ == "__main__":
    main("stop" in sys.argv)
