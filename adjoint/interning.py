"""The tables of all nodes, by content: building an expression twice gives the same object.

The tables hold their nodes; what nothing else uses any more is dropped when Python collects all its garbage, when a
table has doubled, and when constants take much memory. (Measured: weak references to the nodes would cost as much time
as the nodes, most of it in the garbage collector.) Variables hold their program weakly, so that a node of a program
that is gone is a node that nothing uses.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["constants", "drop_unused", "keep", "keep_constant", "nodes", "paused_collection", "untrack"]

# Nodes point at their arguments only, and so never form a cycle: the garbage collector need not look at them. Measured:
# it takes as long as building a large model itself.
untrack: Any = None
if platform.python_implementation() == "CPython":
    untrack = ctypes.pythonapi.PyObject_GC_UnTrack
    untrack.argtypes, untrack.restype = [ctypes.py_object], None

nodes: dict[Any, Any] = {}
constants: dict[Any, Any] = {}

SMALL = 50_000  # nodes up to which every full collection looks through them
FIRST = 100_000  # nodes at which the table is looked through for the first time without a collection
MANY_BYTES = 32_000_000  # bytes of new constants after which the tables are looked through
_UNUSED = 3  # references to a node that only its table holds: the table's, the loop variable's, getrefcount's


class _Watch:
    """Sizes of the tables when they were last looked through."""

    limit = FIRST
    seen = 0
    new_bytes = 0
    busy = False


def keep(key: Any, node: Any) -> Any:
    """The node of a key: the one that came first, whatever other threads do."""
    node = nodes.setdefault(key, node)
    if len(nodes) > _Watch.limit:
        drop_unused()
    return node


def keep_constant(key: Any, node: Any) -> Any:
    """The constant of a key."""
    node = constants.setdefault(key, node)
    _Watch.new_bytes += node.value.nbytes
    if _Watch.new_bytes > MANY_BYTES:
        drop_unused()
    return node


def drop_unused() -> None:
    """Forget the nodes that nothing else uses."""
    if _Watch.busy:
        return  # a collection in the middle of it
    _Watch.busy = True
    for table in (nodes, constants):
        # Two lists: pairs would be new objects, of which so many set off the garbage collector.
        found = list(table.values())
        keys = list(table)[: len(found)]  # another thread may have added some
        while found:  # users before their arguments, as a user keeps its arguments alive
            key, node = keys.pop(), found.pop()
            if sys.getrefcount(node) <= _UNUSED:
                del table[key]
    _Watch.limit = max(FIRST, 2 * len(nodes))
    _Watch.new_bytes, _Watch.busy = 0, False


class _Paused:
    """How many are building something, and whether the collector ran before the first of them."""

    lock = threading.Lock()
    count = 0
    enabled = False


@contextmanager
def paused_collection() -> Iterator[None]:
    """Without the garbage collector's automatic runs, in the block of a ``with`` statement.

    For what makes many objects that stay, in one go: the collector would go through all of them, again and again.

    Examples
    --------
    >>> import gc
    >>> before = gc.isenabled()
    >>> with paused_collection():
    ...     gc.isenabled()
    False
    >>> gc.isenabled() == before
    True
    """
    with _Paused.lock:
        if not _Paused.count:
            _Paused.enabled = gc.isenabled()
            gc.disable()
        _Paused.count += 1
    try:
        yield
    finally:
        with _Paused.lock:
            _Paused.count -= 1
            if not _Paused.count and _Paused.enabled:
                gc.enable()


def _after_fork() -> None:
    """In a forked process the threads that were building are not there."""
    _Paused.lock = threading.Lock()
    if _Paused.count and _Paused.enabled:
        gc.enable()
    _Paused.count = 0


def _at_collection(phase: str, info: dict[str, int]) -> None:
    if phase == "start" and info["generation"] == 2:
        if len(nodes) <= SMALL or len(nodes) < 1.1 * _Watch.seen:  # not in the middle of building something large
            drop_unused()
        _Watch.seen = len(nodes)


gc.callbacks.append(_at_collection)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
