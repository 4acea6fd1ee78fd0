"""Prefix programs as arrays, against a plain walk over random trees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjoint.nl.model import NUMBER, VARIABLE
from adjoint.nl.opcodes import OPCODES
from adjoint.nl.terms import long_sums, split
from adjoint.nl.trees import Trees, arities, parents, subtree_ends
from adjoint.patterns.sharing import FEW, by_sharing

PLUS, MINUS, NEGATE, SUM, TIMES, SIN = (OPCODES[n] for n in ("plus", "minus", "negate", "sum", "times", "sin"))
Tree = tuple[int, list["Tree"]]  # opcode (or kind of leaf), operands

LEAVES = st.sampled_from([(NUMBER, []), (VARIABLE, [])])


def _operators(children: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    pair = st.tuples(st.sampled_from([PLUS, MINUS, TIMES]), st.lists(children, min_size=2, max_size=2))
    one = st.tuples(st.sampled_from([NEGATE, SIN]), st.lists(children, min_size=1, max_size=1))
    many = st.tuples(st.just(SUM), st.lists(children, min_size=3, max_size=5))
    return st.one_of(pair, one, many)


TREES = st.lists(st.recursive(LEAVES, _operators, max_leaves=20), min_size=1, max_size=5)


def _tokens(tree: Tree) -> list[tuple[int, int]]:
    code, operands = tree
    return [(code, len(operands)), *(t for child in operands for t in _tokens(child))]


def _flat(trees: list[Tree]) -> tuple[Trees, np.ndarray, np.ndarray]:
    parts = [_tokens(t) for t in trees]
    code, index = np.array([t for part in parts for t in part]).T
    end = np.cumsum([len(p) for p in parts])
    begin = end - [len(p) for p in parts]
    value = np.arange(code.size, dtype=float)
    return Trees.of_tokens(code.astype(np.int16), value, index, 100), begin, end


def _terms(tree: Tree, at: int, sign: float) -> list[tuple[int, int, float]]:
    """Begin, end and sign of the terms, by recursion."""
    code, operands = tree
    if code not in (PLUS, MINUS, NEGATE, SUM):
        return [(at, at + len(_tokens(tree)), sign)]
    found, place = [], at + 1
    for k, child in enumerate(operands):
        flips = code == NEGATE or (code == MINUS and k == 1)
        found += _terms(child, place, -sign if flips else sign)
        place += len(_tokens(child))
    return found


@given(TREES)
def test_terms_and_ends_are_those_of_a_plain_walk(trees: list[Tree]) -> None:
    flat, begin, end = _flat(trees)
    terms = split(flat, begin, end)
    found = list(zip(terms.owner.tolist(), terms.begin.tolist(), terms.end.tolist(), terms.sign.tolist(), strict=True))
    expected = [
        (i, *t) for i, (tree, at) in enumerate(zip(trees, begin.tolist(), strict=True)) for t in _terms(tree, at, 1)
    ]
    assert found == expected
    stop = subtree_ends(arities(flat.code, flat.index))
    assert stop[begin].tolist() == end.tolist()


def _parents(tree: Tree, at: int, above: int) -> list[int]:
    found, place = [above], at + 1
    for child in tree[1]:
        found += _parents(child, place, at)
        place += len(_tokens(child))
    return found


def _long(tree: Tree, at: int, least: int, in_sum: bool) -> list[tuple[int, int]]:
    """Begin and end of the outermost sums of so many terms."""
    adds = tree[0] in (PLUS, MINUS, NEGATE, SUM)
    if adds and not in_sum and len(_terms(tree, at, 1.0)) >= least:
        return [(at, at + len(_tokens(tree)))]
    found, place = [], at + 1
    for child in tree[1]:
        found += _long(child, place, least, adds)
        place += len(_tokens(child))
    return found


@given(TREES)
def test_parents_and_long_sums_are_those_of_a_plain_walk(trees: list[Tree]) -> None:
    for tree in trees:
        flat, _, _ = _flat([tree])
        assert parents(subtree_ends(arities(flat.code, flat.index))).tolist() == _parents(tree, 0, -1)
        for least in (3, 5):
            found = zip(*(x.tolist() for x in long_sums(flat.code, flat.index, least)), strict=True)
            assert list(found) == _long(tree, 0, least, False)


@given(TREES)
def test_equal_structure_has_equal_numbers(trees: list[Tree]) -> None:
    flat, begin, end = _flat([*trees, *trees])
    structure = flat.structure(begin, end)
    tokens = [_tokens(t) for t in [*trees, *trees]]
    for i, a in enumerate(tokens):
        for j, b in enumerate(tokens):
            assert (structure[i] == structure[j]) == (a == b)
            if len(a) == len(b):
                assert flat.same(begin[[i, j]], len(a)).tolist() == [True, a == b]


def test_sums_nested_deeper_than_recursion() -> None:
    n = 200_000
    code = np.array([PLUS, VARIABLE] * n + [NUMBER], dtype=np.int16)
    index = np.array([2, 0] * n + [0])
    terms = split(Trees.of_tokens(code, np.zeros(code.size), index, 1), np.array([0]), np.array([code.size]))
    assert terms.begin.size == n + 1
    assert (terms.sign == 1).all()


@given(st.lists(st.lists(st.integers(0, 2), min_size=30, max_size=30), min_size=1, max_size=4))
def test_groups_share_what_they_say(rows: list[list[int]]) -> None:
    operands = [np.array(r) for r in rows]
    seen = []
    for own, first in by_sharing(operands, 30):
        seen += own.tolist()
        for k, j in enumerate(first):
            assert j <= k
            assert (operands[k][own] == operands[j][own]).all()
        if own.size < FEW:
            assert first == list(range(len(rows)))
    assert sorted(seen) == list(range(30))


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 20_000])
def test_the_rolling_hash_across_its_blocks(size: int) -> None:
    code = np.full(3 * size, VARIABLE, dtype=np.int16)
    code[::3] = TIMES
    trees = Trees.of_tokens(code, np.zeros(code.size), np.where(code == TIMES, 2, 0), 1)
    begin = 3 * np.arange(size)
    assert np.unique(trees.structure(begin, begin + 3)).size == 1
