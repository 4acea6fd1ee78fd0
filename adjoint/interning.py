"""The tables of all nodes, by content: building an expression twice gives the same object.

The tables hold their nodes weakly: a node lives as long as something else uses it.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

__all__ = ["constants", "find", "keep", "nodes"]


class Entry(ref):  # type: ignore[type-arg]
    """A weak reference that knows its key."""

    __slots__ = ("key", "table")
    key: Any
    table: dict[Any, Entry]


nodes: dict[Any, Entry] = {}
constants: dict[Any, Entry] = {}


def _forget(entry: Entry) -> None:
    if entry.table.get(entry.key) is entry:
        del entry.table[entry.key]


def find(table: dict[Any, Entry], key: Any) -> Any:
    """The node of a key, or None."""
    entry = table.get(key)
    return None if entry is None else entry()


def keep(table: dict[Any, Entry], key: Any, node: Any) -> Any:
    """The node of a key: the one that came first."""
    entry = Entry(node, _forget)
    entry.key, entry.table = key, table
    while True:
        first = table.setdefault(key, entry)  # one step, whatever other threads do
        if first is entry:
            return node
        known = first()
        if known is not None:
            return known
        _forget(first)  # dead, and not yet removed
