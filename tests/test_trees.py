"""Trees of leaves: what is taken apart is put together again, whatever its form."""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from adjoint.trees import build, flatten, is_tree, leaf_names, map_leaves, ordered_as, same


class Pair(NamedTuple):
    left: Any
    right: Any


TREES = [
    3.0,
    None,
    (),
    [1, (2, 3), []],
    {"b": 1, "a": [2, {"c": 3}]},
    Pair(1, {"x": Pair(2, None)}),
    [None, (None, 4)],
]


@pytest.mark.parametrize("tree", TREES)
def test_apart_and_together(tree: Any) -> None:
    leaves = flatten(tree)
    assert build(tree, leaves) == tree and type(build(tree, leaves)) is type(tree)
    assert len(leaf_names(tree, "t")) == len(leaves)
    assert same(tree, map_leaves(lambda x: 2 * x, tree))
    assert flatten(map_leaves(lambda x: 2 * x, tree)) == [2 * x for x in leaves]
    assert ordered_as(tree, tree) == tree


def test_names_lead_to_the_leaves() -> None:
    tree = {"b": 1, "a": [2, {"c": 3}]}
    assert [eval(name, {"t": tree}) for name in leaf_names(tree, "t")] == flatten(tree)


def test_forms() -> None:
    assert same({"a": 1, "b": 2}, {"b": 3, "a": 4})
    assert flatten(ordered_as({"a": 1, "b": (2,)}, {"b": (0,), "a": 0})) == [2, 1]
    for a, b in [({"a": 1}, {"b": 1}), ((1,), [1]), ((1,), (1, 2)), (None, 1), ({"a": 1}, [1]), (Pair(1, 2), (1, 2))]:
        assert not same(a, b) and not same(b, a)
    assert flatten(OrderedDict(x=1)) == flatten(MappingProxyType({"x": 1})) == [1]
    assert is_tree({}) and is_tree(Pair(1, 2)) and not is_tree("text") and not is_tree(None)
