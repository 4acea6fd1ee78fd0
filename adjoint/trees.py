"""Nested tuples, lists and dicts: taken apart into leaves, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["build", "flatten", "is_tree", "leaf_names", "map_leaves", "ordered_as", "same"]


def is_tree(value: Any) -> bool:
    """Whether a value is a container of leaves, and no leaf itself.

    >>> is_tree([1.0]), is_tree(1.0)
    (True, False)
    """
    return isinstance(value, (tuple, list, Mapping))


def flatten(tree: Any) -> list[Any]:
    """The leaves of a tree in order; of a dict in the order of its keys as written; None has no leaf.

    >>> flatten({"a": 1, "b": (2, [3, None])})
    [1, 2, 3]
    """
    if tree is None:
        return []
    if isinstance(tree, Mapping):
        return [leaf for part in tree.values() for leaf in flatten(part)]
    if isinstance(tree, (tuple, list)):
        return [leaf for part in tree for leaf in flatten(part)]
    return [tree]


def build(tree: Any, leaves: Sequence[Any]) -> Any:
    """A tree of the same form with other leaves.

    >>> build({"a": 0, "b": (0, None)}, [1, 2])
    {'a': 1, 'b': (2, None)}
    """
    return _build(tree, iter(leaves))


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with every leaf replaced.

    >>> map_leaves(lambda x: 2 * x, {"a": 1, "b": (2, [3])})
    {'a': 2, 'b': (4, [6])}
    """
    return build(tree, [function(leaf) for leaf in flatten(tree)])


def _build(tree: Any, leaves: Iterator[Any]) -> Any:
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {key: _build(part, leaves) for key, part in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_build(part, leaves) for part in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(_build(part, leaves) for part in tree)
    return next(leaves)


def leaf_names(tree: Any, name: str) -> list[str]:
    """What the leaves are called.

    >>> leaf_names({"a": 0, "b": (0, 0)}, "carry")
    ["carry['a']", "carry['b'][0]", "carry['b'][1]"]
    """
    if tree is None:
        return []
    if isinstance(tree, Mapping):
        return [n for key, part in tree.items() for n in leaf_names(part, f"{name}[{key!r}]")]
    if isinstance(tree, (tuple, list)):
        return [n for k, part in enumerate(tree) for n in leaf_names(part, f"{name}[{k}]")]
    return [name]


def same(a: Any, b: Any) -> bool:
    """Whether two trees have one form; the order of a dict's keys does not matter.

    >>> same((1, [2]), (3, [4])), same((1, 2), [1, 2])
    (True, False)
    """
    if a is None or b is None:
        return a is b
    if isinstance(a, Mapping) or isinstance(b, Mapping):
        both = isinstance(a, Mapping) and isinstance(b, Mapping) and a.keys() == b.keys()
        return both and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)) or isinstance(b, (tuple, list)):
        if type(a) is not type(b) or len(a) != len(b):
            return False
        return all(same(x, y) for x, y in zip(a, b, strict=True))
    return True


def ordered_as(tree: Any, form: Any) -> Any:
    """A tree with the keys of its dicts in the order of a form that it has.

    >>> ordered_as({"b": 2, "a": 1}, {"a": 0, "b": 0})
    {'a': 1, 'b': 2}
    """
    if isinstance(form, Mapping):
        return {key: ordered_as(tree[key], part) for key, part in form.items()}
    if isinstance(form, tuple) and hasattr(form, "_fields"):
        return type(form)(*(ordered_as(x, part) for x, part in zip(tree, form, strict=True)))
    if isinstance(form, (tuple, list)):
        return type(form)(ordered_as(x, part) for x, part in zip(tree, form, strict=True))
    return tree
