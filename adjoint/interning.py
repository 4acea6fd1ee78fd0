"""The tables of all nodes, by content: building an expression twice gives the same object.

The tables hold their nodes. What nothing else uses any more is dropped when Python collects garbage, and when the
table has doubled (measured: a table of weak references costs as much to fill as the nodes themselves).
"""

from __future__ import annotations

import gc
import sys
from typing import Any

__all__ = ["constants", "drop_unused", "keep", "nodes"]

nodes: dict[Any, Any] = {}
constants: dict[Any, Any] = {}

SMALL = 10_000  # nodes: so few are looked through at every full collection
_limit = [100_000]
_UNUSED = 3  # references to a node that only its table holds: the table's, the loop variable's, getrefcount's


def keep(key: Any, node: Any) -> Any:
    """The node of a key: the one that came first."""
    node = nodes.setdefault(key, node)
    if len(nodes) > _limit[0]:
        drop_unused()
    return node


def drop_unused() -> None:
    """Forget the nodes that nothing else uses."""
    for table in (nodes, constants):
        entries = list(table.items())
        while entries:  # users before their arguments, as a user keeps its arguments alive
            key, node = entries.pop()
            if sys.getrefcount(node) <= _UNUSED:
                del table[key]
    _limit[0] = max(100_000, 2 * len(nodes))


def _at_collection(phase: str, info: dict[str, int]) -> None:
    if phase == "start" and info["generation"] == 2 and (len(nodes) < SMALL or len(nodes) > 0.7 * _limit[0]):
        drop_unused()


gc.callbacks.append(_at_collection)
