"""Solvers in processes of their own, with limits on time and memory."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from ._nl_cases import without_comments
from ._nl_solvers import SOLVERS, Answer

__all__ = ["Worker"]

MEMORY = 8 << 30  # bytes
WALL = 10.0  # a process that waits for others is ended after this many times the limit
WARM_UP = """g3 1 1 0
 2 1 1 0 1
 1 1
 0 0
 2 2 2
 0 0 0 1
 0 0 0 0 0
 2 2
 0 0
 0 0 0 0 0
C0
o2
v0
v1
O0 0
o0
o5
v0
n2
o5
v1
n2
x2
0 2
1 2
r
4 1
b
3
3
k1
1
J0 2
0 0
1 0
G0 2
0 0
1 0
"""


class Worker:
    """A process that solves with one solver; it is started again after it had to be ended."""

    def __init__(self, solver: str, limit: float) -> None:
        self.solver, self.limit = solver, limit
        self._process: Any = None
        self._pipe: Any = None

    def solve(self, path: Path) -> tuple[Answer, float, float]:
        """The answer, seconds of processor time, and seconds."""
        if self._process is None or not self._process.is_alive():
            self._start()
        self._pipe.send(path)
        nothing = np.zeros(0)
        try:
            if self._pipe.poll(WALL * self.limit):
                return self._pipe.recv()  # type: ignore[no-any-return]
        except (EOFError, OSError):
            pass
        code = self._end()
        by_limit = code is None or code in (-signal.SIGXCPU, -signal.SIGKILL)
        status, words = ("time_limit", "stopped") if by_limit else ("failed", f"the process ended with {code}")
        return Answer(nothing, status, 0, words), self.limit if by_limit else float("nan"), float("nan")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, self.solver, self.limit), daemon=True)
        self._process.start()
        other.close()
        self._pipe.recv()  # ready

    def _end(self) -> int | None:
        """End the process; its exit code, None where it did not end by itself."""
        self._process.join(1.0)
        code: int | None = self._process.exitcode
        if code is None:
            self._process.kill()
            self._process.join()
        self._process = None
        return code

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _serve(pipe: Connection, name: str, limit: float) -> None:
    """Solve what comes; what solvers print is not shown."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    call = SOLVERS[name]
    with tempfile.TemporaryDirectory() as folder:
        warm_up = Path(folder) / "warm_up.nl"
        warm_up.write_text(WARM_UP)
        _timed(call, warm_up)
        pipe.send("ready")
        while True:
            path = pipe.recv()
            if "CasADi" in name:
                path = without_comments(path, Path(folder))
            _limit_time(limit)
            pipe.send(_timed(call, path))


def _limit_time(limit: float) -> None:
    """The system ends the process after some more seconds of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + limit) + 1, hard))


def _timed(call: Callable[[Path], Answer], path: Path) -> tuple[Answer, float, float]:
    processor, start = time.process_time(), time.perf_counter()
    try:
        answer = call(path)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
        answer = Answer(np.zeros(0), "failed", 0, words)
    return answer, time.process_time() - processor, time.perf_counter() - start
