"""Rounds of work on any ``concurrent.futures.Executor``, with lost work done again.

A block is sent to the executor once and kept by the worker that got it, under a token. Requests name the token. A
worker that does not have the block, because it is new, or took over from one that was killed, says so, and gets the
block with the request again. All that a request needs beside the block is in the request: the answer does not depend
on who gives it, but for rounding.

A worker may also hang, or an answer be lost without a word. So a request that is late is sent again, with twice the
patience each time; an executor that recognizes a task by its arguments, as Dask does, would take the second request for
the first, whose answer never comes: requests carry the number of the attempt. When the last attempt is late too, that
is an error: no round waits for ever.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from ...errors import AdjointError, ModelError

__all__ = ["WorkerError", "Workers"]

SOLVES = 4  # whose blocks a worker keeps at most: it is not told when a solve is over
Token = tuple[str, int]  # of the solve, and the number of the block
Running = dict[Future[Any], tuple[int, Executor, float]]  # block, who works on it, since when
LATE, LATE_FACTOR = 30.0, 10.0  # seconds, and multiples of the longest answer, from which a request is late
FIRST = 600.0  # seconds before there is an answer to go by
_kept: OrderedDict[str, dict[int, Any]] = OrderedDict()
_lock = threading.Lock()


class WorkerError(AdjointError, RuntimeError):
    """Work was lost again and again: the executor's workers end, or cannot be reached."""


@dataclass(frozen=True)
class _Unknown:
    """The worker does not have the block."""


@dataclass(frozen=True)
class _Failure:
    """The work itself failed, which doing it again would not change."""

    error: BaseException


def work(token: Token, block: Any, request: Any, attempt: int = 0) -> Any:
    """What runs on a worker: an answer to one request. ``attempt`` makes requests that are sent again different."""
    try:
        prepared = _prepared(token, block)
        return _Unknown() if prepared is None else prepared.answer(request)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = ModelError(f"{type(error).__name__}: {error}")
        return _Failure(error)


def _prepared(token: Token, block: Any) -> Any:
    """The block of a token, prepared; None where it has to be sent."""
    solve, k = token
    with _lock:
        if k in _kept.get(solve, ()):
            _kept.move_to_end(solve)
            return _kept[solve][k]
    if block is None:
        return None
    prepared = (pickle.loads(block) if isinstance(block, bytes) else block).prepare()
    with _lock:
        _kept.setdefault(solve, {})[k] = prepared
        while len(_kept) > SOLVES:
            _kept.popitem(last=False)
    return prepared


class Workers:
    """The blocks of one solve and the executor that works on them.

    Parameters
    ----------
    blocks : list
        Objects with ``prepare()``, which gives an object with ``answer(request)``.
    executor : Executor, callable, "threads", "processes", "serial" or None
        A callable makes one, and is called again where the one before broke. None: threads.
    retries : int
        How often one request is sent again after its worker was lost, or was late.
    timeout : float, optional
        Seconds after which an answer is late; twice that for the second attempt, and so on. Default: ten times the
        longest answer so far, at least 30, and 600 before the first; threads of this process are never late.

    Attributes
    ----------
    redone : int
        Requests that were sent again.
    """

    def __init__(
        self, blocks: Sequence[Any], executor: Any = None, retries: int = 3, timeout: float | None = None
    ) -> None:
        self.retries, self.timeout, self.redone = retries, timeout, 0
        self._longest = 0.0
        self._solve = uuid.uuid4().hex
        self._make = _maker(executor, len(blocks))
        self._own = not isinstance(executor, Executor)
        self._here = executor in (None, "threads") or isinstance(executor, ThreadPoolExecutor)
        self._executor: Executor | None = None if self._own else executor
        self._payloads = [_packed(b, executor) for b in blocks]
        self._sent: set[int] = set()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: Any, *error: Any) -> None:
        if self._own and self._executor is not None:
            if kind is not None and issubclass(kind, WorkerError):
                _end(self._executor)
            else:
                _shut(self._executor, wait=True)
        with _lock:
            _kept.pop(self._solve, None)

    def round(self, requests: Sequence[Any], first: int = 0) -> list[Any]:
        """Answers to one request for each block from ``first`` on, in their order.

        Raises
        ------
        WorkerError
            The work was lost more than ``retries`` times, or had no answer.
        """
        if self._make is None:
            return [_checked(work((self._solve, k), self._payloads[k], r)) for k, r in enumerate(requests, first)]
        running: Running = {}
        try:
            return self._answers(dict(enumerate(requests, first)), running)
        finally:  # an executor of the user's may wait at its end for all that it was given
            for future in running:
                future.cancel()

    def _answers(self, asked: dict[int, Any], running: Running) -> list[Any]:
        answers: dict[int, Any] = {}
        lost = dict.fromkeys(asked, 0)
        for k in asked:
            self._submit(k, asked[k], running, lost[k])
        while len(answers) < len(asked):
            done, _ = wait(running, self._patience(0), return_when=FIRST_COMPLETED)
            for future in done:
                k, executor, began = running.pop(future)
                if k in answers:
                    continue
                answer = self._result(k, future, executor, lost)
                if isinstance(answer, _Unknown):
                    self._sent.discard(k)
                    self._submit(k, asked[k], running, lost[k])
                else:
                    answers[k] = _checked(answer)
                    self._longest = max(self._longest, time.monotonic() - began)
            self._send_late_again({k: r for k, r in asked.items() if k not in answers}, lost, running)
        return [answers[k] for k in asked]

    def _result(self, k: int, future: Future[Any], executor: Executor, lost: dict[int, int]) -> Any:
        """The answer; where the worker was lost, ``_Unknown``."""
        try:
            return future.result()
        except pickle.PicklingError:
            raise
        except (Exception, CancelledError) as error:  # the executor's: those of the work are an answer
            lost[k] += 1
            if lost[k] > self.retries:
                message = f"block {k} was lost {lost[k]} times; the last time: {type(error).__name__}: {error}"
                raise WorkerError(message) from error
            self._repair(error, executor)
            self.redone += 1
            return _Unknown()

    def _patience(self, lost: int) -> float | None:
        """Seconds after which a request is late: much longer than any answer took so far; None: never."""
        if self.timeout is None and self._here:
            return None
        usual = max(LATE, LATE_FACTOR * self._longest) if self._longest else FIRST
        return float((usual if self.timeout is None else self.timeout) * 2**lost)

    def _send_late_again(self, missing: dict[int, Any], lost: dict[int, int], running: Running) -> None:
        """Requests without an answer once more; of two answers the first counts."""
        now = time.monotonic()
        latest: dict[int, float] = {}
        for k, _, began in running.values():
            latest[k] = max(began, latest.get(k, began))
        for k, request in missing.items():
            patience = self._patience(lost[k])
            if patience is None or now - latest[k] <= patience:
                continue
            if lost[k] >= self.retries:
                message = (
                    f"block {k} was sent {lost[k] + 1} times and gave no answer, the last time for {patience:.3g} s"
                )
                raise WorkerError(f"{message}: its worker hangs, or needs longer (timeout=, retries=)")
            lost[k] += 1
            self.redone += 1
            self._sent.discard(k)
            self._submit(k, request, running, lost[k])

    def _submit(self, k: int, request: Any, running: Running, attempt: int) -> None:
        for _ in range(self.retries + 1):
            if self._executor is None:
                assert self._make is not None
                self._executor = self._make()
            executor = self._executor
            block = None if k in self._sent else self._payloads[k]
            try:
                future = executor.submit(work, (self._solve, k), block, request, attempt)
            except BrokenExecutor as error:
                self._repair(error, executor)
                continue
            self._sent.add(k)
            running[future] = k, executor, time.monotonic()
            return
        raise WorkerError(f"block {k} could not be submitted: the executor breaks each time it is made")

    def _repair(self, error: BaseException, executor: Executor) -> None:
        """A pool of processes breaks as a whole when one of them ends: a new one takes over."""
        if not isinstance(error, BrokenExecutor) or executor is not self._executor:
            return
        if not self._own:
            message = "the executor broke; where executor= is a function that makes one, a new one takes over"
            raise WorkerError(f"{message} ({error})") from error
        _shut(executor, wait=False)
        self._executor = None
        self._sent.clear()


def _checked(answer: Any) -> Any:
    if isinstance(answer, _Failure):
        raise answer.error
    return answer


def _shut(executor: Executor, wait: bool) -> None:
    try:
        executor.shutdown(wait=wait, cancel_futures=True)
    except TypeError:  # Dask's takes ``wait`` only
        executor.shutdown(wait=wait)


def _end(executor: Executor) -> None:
    """Give an executor up whose workers do not answer: processes of a pool are ended, or Python would wait for them."""
    processes = list((getattr(executor, "_processes", None) or {}).values())
    _shut(executor, wait=False)
    for process in processes:
        process.terminate()


def _maker(executor: Any, blocks: int) -> Callable[[], Executor] | None:
    """What makes an executor; None for none at all."""
    count = max(1, min(blocks, os.cpu_count() or 1))
    if executor is None or executor == "threads":
        return lambda: ThreadPoolExecutor(count)
    if executor == "processes":
        return lambda: ProcessPoolExecutor(count, mp_context=get_context("spawn"))
    if executor == "serial":
        return None
    if isinstance(executor, Executor):
        return lambda: executor
    if callable(executor):
        return executor  # type: ignore[no-any-return]
    raise ModelError(
        "executor= is a concurrent.futures.Executor, a function that makes one, 'threads', 'processes' or 'serial', "
        f"not {executor!r:.60}"
    )


def _packed(block: Any, executor: Any) -> Any:
    """A block as bytes: each worker makes its own of it. Within this process, what does not pickle goes as it is."""
    try:
        return pickle.dumps(block)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        if executor in (None, "threads", "serial") or isinstance(executor, ThreadPoolExecutor):
            return block
        raise ModelError(f"a block cannot be sent to another process: {error}") from error
