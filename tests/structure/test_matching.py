from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import maximum_bipartite_matching

from adjoint.structure import Incidence, Matching, maximum_matching
from adjoint.structure.augmenting_paths import augment
from adjoint.structure.karp_sipser import karp_sipser


def assert_is_matching(a: Incidence, matching: Matching) -> None:
    rows = np.flatnonzero(matching.row_to_col >= 0)
    cols = matching.row_to_col[rows]
    assert np.all(np.asarray(a.tocsr()[rows, cols]).ravel() == 1) if rows.size else True
    np.testing.assert_array_equal(matching.col_to_row[cols], rows)
    assert np.count_nonzero(matching.col_to_row >= 0) == rows.size == matching.size


def assert_is_maximum(a: Incidence, matching: Matching) -> None:
    """Kőnig: as many rows and columns as the matching has pairs meet every entry; so no matching has more."""
    rows, cols = matching.row_to_col < 0, np.zeros(a.n_cols, dtype=bool)
    row_of_entry = a.row_of_entry()
    while True:
        reached = np.zeros(a.n_cols, dtype=bool)
        reached[a.indices[rows[row_of_entry]]] = True
        new = reached & ~cols
        if not new.any():
            break
        cols |= reached
        assert np.all(matching.col_to_row[new] >= 0)
        rows[matching.col_to_row[new]] = True
    assert np.all(~rows[row_of_entry] | cols[a.indices])
    assert np.count_nonzero(~rows) + np.count_nonzero(cols) == matching.size


def size_by_networkx(a: Incidence) -> int:
    graph = nx.Graph()
    graph.add_nodes_from(range(a.n_rows))
    graph.add_edges_from(zip(a.row_of_entry().tolist(), (a.indices + a.n_rows).tolist(), strict=True))
    return len(nx.bipartite.eppstein_matching(graph, range(a.n_rows))) // 2


@given(st.from_type(Incidence))
@settings(deadline=None)
def test_small_ones_against_networkx_and_scipy(a):
    matching = maximum_matching(a)
    assert_is_matching(a, matching)
    assert_is_maximum(a, matching)
    assert matching.size == size_by_networkx(a)
    if a.nnz:
        assert matching.size == np.count_nonzero(maximum_bipartite_matching(a.tocsr()) >= 0)
    assert matching.is_perfect == (matching.size == a.n_rows == a.n_cols)


@given(st.from_type(Incidence), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_a_start_keeps_its_rows_and_columns(a, random):
    start = np.full(a.n_rows, -1)
    for i in range(a.n_rows):
        open_cols = [j for j in a.indices[a.indptr[i] : a.indptr[i + 1]] if j not in start]
        if open_cols and random.random() < 0.6:
            start[i] = random.choice(open_cols)
    before = start.copy()
    matching = maximum_matching(a, start)
    assert_is_matching(a, matching)
    assert_is_maximum(a, matching)
    assert np.all(matching.row_to_col[start >= 0] >= 0)
    assert np.all(matching.col_to_row[start[start >= 0]] >= 0)
    np.testing.assert_array_equal(start, before)


@given(st.from_type(Incidence), st.integers(0, 2))
@settings(deadline=None)
def test_the_flow_phases_find_the_same_size(a, max_phases):
    nothing = np.full(a.n_rows, -1)
    matching = Matching.from_rows(augment(a, nothing, max_phases), a.n_cols)
    assert_is_matching(a, matching)
    assert matching.size == maximum_matching(a).size


def test_the_greedy_matching_is_one(large):
    for a in (large["random"], large["random, wide"], large["random, tall"]):
        greedy = Matching.from_rows(karp_sipser(a), a.n_cols)
        assert_is_matching(a, greedy)
        assert greedy.size >= 0.999 * maximum_matching(a).size


def test_large_ones(large):
    for name, a in large.items():
        matching = maximum_matching(a)
        assert_is_matching(a, matching)
        assert_is_maximum(a, matching)
        assert matching.is_perfect == (not name.startswith("random")), name


def test_large_by_flow(large):
    a = large["random, wide"]
    matching = Matching.from_rows(augment(a, np.full(a.n_rows, -1), max_phases=1), a.n_cols)
    assert_is_matching(a, matching)
    assert_is_maximum(a, matching)


def test_the_diagonal_is_kept_where_it_is_there(large):
    a = large["tridiagonal"]
    np.testing.assert_array_equal(maximum_matching(a).row_to_col, np.arange(a.n_rows))


def test_one_path_through_everything():
    """Row i has columns i and i + 1, the last row only column 0: every row of a diagonal start must move."""
    n = 50_000
    rows = np.concatenate([np.arange(n - 1), np.arange(n - 1), [n - 1]])
    cols = np.concatenate([np.arange(n - 1), np.arange(1, n), [0]])
    a = Incidence.from_coo(rows, cols, (n, n))
    expected = np.append(np.arange(1, n), 0)
    np.testing.assert_array_equal(maximum_matching(a).row_to_col, expected)
    start = np.append(np.arange(n - 1), -1)
    np.testing.assert_array_equal(maximum_matching(a, start).row_to_col, expected)


def test_ladder_of_dead_ends():
    """Layers of two rows, each with both columns of the next layer, and no free column at the end: the number
    of paths of one length doubles with each layer (scipy/scipy#26147)."""
    layers = 2_000
    first = 2 * np.arange(layers)
    rows = np.concatenate([first, first, first + 1, first + 1])
    cols = np.concatenate([first, first + 1, first, first + 1])
    onward = rows < 2 * layers - 2
    a = Incidence.from_coo(
        np.concatenate([rows, rows[onward], [2 * layers]]),
        np.concatenate([cols, cols[onward] + 2, [0]]),
        (2 * layers + 1, 2 * layers),
    )
    start = np.append(np.arange(2 * layers), -1)
    for matching in (maximum_matching(a), maximum_matching(a, start)):
        assert matching.size == 2 * layers
        assert_is_maximum(a, matching)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 2)])
def test_no_entries(shape):
    matching = maximum_matching(Incidence.from_coo([], [], shape))
    assert matching.size == 0
    assert (len(matching.row_to_col), len(matching.col_to_row)) == shape
    assert matching.is_perfect == (shape == (0, 0))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ([0], "start has shape"),
        ([1, -1], "row 0 to column 1"),
        ([0, 5], "row 1 to column 5"),
        ([0, 0], "column 0 to more than one row"),
    ],
)
def test_a_wrong_start_is_an_error(start, message):
    a = Incidence.from_coo([0, 1], [0, 0], shape=(2, 2))
    with pytest.raises(ValueError, match=message):
        maximum_matching(a, start)


def test_the_same_twice(large):
    a = large["cyclic, much feedback"]
    np.testing.assert_array_equal(maximum_matching(a).row_to_col, maximum_matching(a).row_to_col)
