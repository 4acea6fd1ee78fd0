from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adjoint.structure import Incidence, Matching, Tearing, block_triangular_form, maximum_matching, tear


def on_diagonal(entries: list[tuple[int, int]], n: int) -> tuple[Incidence, Matching]:
    rows, cols = [i for i, _ in entries] + list(range(n)), [j for _, j in entries] + list(range(n))
    return Incidence.from_coo(rows, cols, (n, n)), Matching.from_rows(np.arange(n), n)


def assert_evaluable(a: Incidence, matching: Matching, tearing: Tearing) -> None:
    """Each row of the order has one unknown that is not yet known: the one it is matched to."""
    known = set(tearing.tear_cols.tolist())
    for i in tearing.order.tolist():
        unknown = set(a.indices[a.indptr[i] : a.indptr[i + 1]].tolist()) - known
        assert unknown == {int(matching.row_to_col[i])}
        known |= unknown
    assert known == set(range(a.n_cols))
    assert sorted([*tearing.order, *tearing.residual_rows]) == list(range(a.n_rows))
    np.testing.assert_array_equal(matching.row_to_col[tearing.residual_rows], tearing.tear_cols)


def fewest(a: Incidence) -> int:
    """The size of a minimum feedback vertex set of the incidence, matched on its diagonal."""
    edges = zip(a.indices.tolist(), a.row_of_entry().tolist(), strict=True)
    graph = nx.DiGraph((i, j) for i, j in edges if i != j)
    for size in range(a.n_rows):
        for kept in combinations(range(a.n_rows), a.n_rows - size):
            if nx.is_directed_acyclic_graph(graph.subgraph(kept)):
                return size
    return a.n_rows


@st.composite
def blocks(draw: st.DrawFn) -> tuple[Incidence, Matching]:
    n = draw(st.integers(1, 9))
    node = st.integers(0, n - 1)
    return on_diagonal(draw(st.lists(st.tuples(node, node), max_size=4 * n)), n)


@given(blocks())
@settings(deadline=None)
def test_the_rest_can_be_evaluated_in_order(block):
    a, matching = block
    tearing = tear(a, matching)
    assert_evaluable(a, matching, tearing)
    assert len(tearing.tear_cols) <= max(a.n_rows - 1, 0)


@given(blocks(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_rows_that_must_be_residuals_are(block, random):
    a, matching = block
    rows = random.sample(range(a.n_rows), random.randint(0, a.n_rows))
    tearing = tear(a, matching, residual_rows=rows)
    assert_evaluable(a, matching, tearing)
    assert set(rows) <= set(tearing.residual_rows.tolist())


def test_nearly_as_few_as_possible():
    rng = np.random.default_rng(0)
    torn = least = 0
    for _ in range(60):
        n = int(rng.integers(3, 9))
        a, matching = on_diagonal(np.argwhere(rng.random((n, n)) < 0.35).tolist(), n)
        tearing = tear(a, matching)
        torn += tearing.tear_cols.size
        least += fewest(a)
    assert least <= torn <= 1.02 * least


def test_acyclic_needs_no_tearing():
    a, matching = on_diagonal([(2, 1), (1, 0), (2, 0)], 3)
    tearing = tear(a, matching)
    assert tearing.tear_cols.size == 0
    assert tearing.order.tolist() == [0, 1, 2]


def test_dense_block_keeps_one_equation():
    n = 6
    tearing = tear(*on_diagonal([(i, j) for i in range(n) for j in range(n)], n))
    assert tearing.tear_cols.size == n - 1


def test_two_rings_through_one_unknown_need_only_that_one():
    a, matching = on_diagonal([(1, 0), (2, 1), (0, 2), (3, 0), (4, 3), (0, 4)], 5)
    assert tear(a, matching).tear_cols.tolist() == [0]


def test_tridiagonal_needs_every_second():
    n = 101
    entries = [(i, i + 1) for i in range(n - 1)] + [(i + 1, i) for i in range(n - 1)]
    assert tear(*on_diagonal(entries, n)).tear_cols.size == n // 2


def test_a_matching_off_the_diagonal():
    """Row 0 owns unknown 1, row 1 owns unknown 2, row 2 owns unknown 0."""
    a = Incidence.from_coo([0, 0, 1, 1, 2, 2], [1, 0, 2, 1, 0, 2], shape=(3, 3))
    matching = Matching.from_rows([1, 2, 0], 3)
    tearing = tear(a, matching)
    assert_evaluable(a, matching, tearing)
    assert tearing.tear_cols.size == 1


def test_an_imperfect_matching_is_an_error():
    a = Incidence.from_coo([0, 1], [0, 0], shape=(2, 2))
    with pytest.raises(ValueError, match="perfect"):
        tear(a, maximum_matching(a))


def test_nothing():
    tearing = tear(*on_diagonal([], 0))
    assert tearing.tear_cols.size == tearing.residual_rows.size == tearing.order.size == 0


def test_the_largest_block_of_a_large_one(large):
    a = large["cyclic, much feedback"]
    form = block_triangular_form(a, maximum_matching(a))
    k = int(np.argmax(form.block_sizes))
    block = a.select(form.rows(k), form.cols(k))
    matching = Matching.from_rows(np.arange(block.n_rows), block.n_rows)
    tearing = tear(block, matching)
    assert_evaluable(block, matching, tearing)
    np.testing.assert_array_equal(tearing.tear_cols, tear(block, matching).tear_cols)
    assert 0 < tearing.tear_cols.size < 0.4 * block.n_rows
