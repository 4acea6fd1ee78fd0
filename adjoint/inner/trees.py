"""Nested tuples, lists and dicts of arrays, as one flat vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["leaves_of", "map_leaves"]


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with every leaf replaced.

    >>> map_leaves(lambda x: 2 * x, {"a": 1, "b": (2, [3])})
    {'a': 2, 'b': (4, [6])}
    """
    if isinstance(tree, Mapping):
        return {key: map_leaves(function, value) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(map_leaves(function, value) for value in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(map_leaves(function, value) for value in tree)
    return function(tree)


def leaves_of(tree: Any, like: Any = None) -> list[Any]:
    """The leaves in order; those of dicts in the order of ``like``, where it is given.

    >>> leaves_of({"b": 2, "a": 1}, like={"a": 0, "b": 0})
    [1, 2]
    """
    if isinstance(tree, Mapping):
        keys = like if isinstance(like, Mapping) else tree
        return [leaf for k in keys for leaf in leaves_of(tree[k], like[k] if isinstance(like, Mapping) else None)]
    if isinstance(tree, (tuple, list)):
        inside = like if isinstance(like, (tuple, list)) and len(like) == len(tree) else [None] * len(tree)
        return [leaf for part, other in zip(tree, inside, strict=True) for leaf in leaves_of(part, other)]
    return [tree]
