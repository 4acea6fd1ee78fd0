"""Threads that share the ranges of long loops with the one that calls: how many, from when to when.

They wait in compiled code (:mod:`.sharing`), without Python's lock.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from typing import Any

import numpy as np

from ...errors import ModelError
from .sharing import WORDS, module
from .target import function

__all__ = ["driver_address", "get_num_threads", "pool", "set_num_threads"]

MOST = 8  # threads, unless more are asked for: long loops are limited by memory


def driver_address() -> int:
    """The function that runs the kernels of a step one after the other, given the address of its head."""
    return module().address("run")


class _Pool:
    """The threads, and the memory that they and the callers share: never freed, as they may look at it to the end."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked: int | None = None
        self.needed = False
        self.threads: list[threading.Thread] = []
        self.memory = np.zeros(0, dtype=np.int64)

    @property
    def number(self) -> int:
        """How many threads a loop may use, the caller's included."""
        if os.name != "posix":
            return 1
        if self.asked is None:
            self.asked = _wanted()
        return self.asked

    def start(self) -> None:
        """Have the threads wait for loops, if they do not yet."""
        self.needed = True
        if self.threads or self.number < 2:
            return
        with self.lock:
            if self.threads:
                return
            memory = np.zeros(WORDS + 8, dtype=np.int64)
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
            address = memory.__array_interface__["data"][0]
            address += -address % 64
            self.memory, self.address = memory, address
            _function("start")(address)
            worker = function(module().address("worker"), ctypes.c_void_p, release_gil=True)
            started = []
            for k in range(1, self.number):
                thread = threading.Thread(target=worker, args=(address,), name=f"adjoint-{k}", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the system gives no more
                    break
                started.append(thread)
            if started:
                _function("use")(address)
            self.threads = started

    def stop(self) -> None:
        """End the threads; loops that they are in the middle of are finished before."""
        with self.lock:
            if self.threads:
                _function("use")(None)
                _function("stop")(self.address)
                for thread in self.threads:
                    thread.join()
                self.threads = []

    def forget(self) -> None:
        """In a forked process the threads are not there."""
        self.lock = threading.Lock()
        if self.threads:
            self.threads = []
            _function("use")(None)


def _function(name: str) -> Any:
    return function(module().address(name), ctypes.c_void_p, release_gil=True)


def _wanted() -> int:
    given = os.environ.get("ADJOINT_NUM_THREADS", "").strip()
    if given:
        return _positive(int(given) if given.isdigit() else given, "ADJOINT_NUM_THREADS")
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST)
    return min(os.cpu_count() or 1, MOST)


def _positive(count: Any, what: str) -> int:
    if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 1:
        raise ModelError(f"{what} is {count!r}, expected a positive whole number")
    return int(count)


pool = _Pool()
atexit.register(pool.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.forget)


def get_num_threads() -> int:
    """The number of threads that one long loop may use.

    Examples
    --------
    >>> get_num_threads() >= 1
    True
    """
    return pool.number


def set_num_threads(count: int | None) -> None:
    """Let a long loop of compiled code use so many threads; None: as many as at the start.

    That is the environment variable ``ADJOINT_NUM_THREADS``, or the number of processors, but 8 at most. Results do not
    depend on it.

    Examples
    --------
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(None)
    """
    asked = None if count is None else _positive(count, "the number of threads")
    pool.stop()
    pool.asked = asked
    if pool.needed:
        pool.start()
