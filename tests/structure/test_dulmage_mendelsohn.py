from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adjoint.structure import (
    DulmageMendelsohn,
    Incidence,
    Matching,
    block_triangular_form,
    connected_parts,
    dulmage_mendelsohn,
    maximum_matching,
)

# The first example of Pothen and Fan, "Computing the block triangular form of a sparse matrix", 1990: the
# columns of each row, from 1.
POTHEN_FAN = {
    1: [1, 2, 3, 4, 5, 6],
    2: [4, 5, 7, 8, 10],
    3: [1, 3, 5],
    4: [6, 7, 11],
    5: [6, 7, 9],
    6: [8, 9],
    7: [8, 9, 10],
    8: [10, 11],
    9: [11],
    10: [10],
    11: [10, 11],
    12: [11],
}


def pothen_fan() -> Incidence:
    entries = [(i - 1, j - 1) for i, cols in POTHEN_FAN.items() for j in cols]
    return Incidence.from_coo(*zip(*entries, strict=True), shape=(12, 11))


def decompose(a: Incidence) -> DulmageMendelsohn:
    return dulmage_mendelsohn(a, maximum_matching(a))


def test_pothen_fan_example():
    a = pothen_fan()
    parts = decompose(a)
    assert parts.underdetermined_rows.tolist() == [0, 1, 2]
    assert parts.underdetermined_cols.tolist() == [0, 1, 2, 3, 4]
    assert parts.square_rows.tolist() == [3, 4, 5, 6]
    assert parts.square_cols.tolist() == [5, 6, 7, 8]
    assert parts.overdetermined_rows.tolist() == [7, 8, 9, 10, 11]
    assert parts.overdetermined_cols.tolist() == [9, 10]
    assert (parts.unmatched_rows.size, parts.unmatched_cols.size) == (3, 2)
    assert not parts.is_square


def test_pothen_fan_example_fine_decomposition():
    a = pothen_fan()
    parts = decompose(a)
    square = a.select(parts.square_rows, parts.square_cols)
    form = block_triangular_form(square, maximum_matching(square))
    assert [sorted(parts.square_rows[form.rows(k)]) for k in range(form.n_blocks)] == [[5, 6], [3, 4]]
    assert [sorted(parts.square_cols[form.cols(k)]) for k in range(form.n_blocks)] == [[7, 8], [5, 6]]
    assert len(connected_parts(a, parts.underdetermined_rows, parts.underdetermined_cols)) == 1
    assert len(connected_parts(a, parts.overdetermined_rows, parts.overdetermined_cols)) == 1


def test_one_equation_repeated():
    """x + y = 1; x + y = 1; y = 2; z + w + x = 3: three equations for x and y, one for z and w."""
    a = Incidence.from_coo([0, 0, 1, 1, 2, 3, 3, 3], [0, 1, 0, 1, 1, 2, 3, 0], shape=(4, 4))
    parts = decompose(a)
    assert parts.overdetermined_rows.tolist() == [0, 1, 2]
    assert parts.overdetermined_cols.tolist() == [0, 1]
    assert parts.underdetermined_rows.tolist() == [3]
    assert parts.underdetermined_cols.tolist() == [2, 3]
    assert parts.square_rows.size == parts.square_cols.size == 0
    assert (parts.unmatched_rows.size, parts.unmatched_cols.size) == (1, 1)


def test_one_equation_repeated_beside_a_square_part():
    a = Incidence.from_coo([0, 1, 2, 2, 3, 3], [0, 0, 1, 2, 1, 2], shape=(4, 4))
    parts = decompose(a)
    assert parts.overdetermined_rows.tolist() == [0, 1]
    assert parts.overdetermined_cols.tolist() == [0]
    assert parts.square_rows.tolist() == [2, 3]
    assert parts.square_cols.tolist() == [1, 2]
    assert parts.underdetermined_rows.tolist() == []
    assert parts.underdetermined_cols.tolist() == parts.unmatched_cols.tolist() == [3]


@pytest.mark.parametrize(("n_rows", "n_cols"), [(2, 5), (5, 2)])
def test_full_rectangles_are_one_part(n_rows, n_cols):
    a = Incidence.from_coo(*np.divmod(np.arange(n_rows * n_cols), n_cols), shape=(n_rows, n_cols))
    parts = decompose(a)
    if n_rows < n_cols:
        rows, cols = parts.underdetermined_rows, parts.underdetermined_cols
    else:
        rows, cols = parts.overdetermined_rows, parts.overdetermined_cols
    assert (rows.size, cols.size) == (n_rows, n_cols)
    assert parts.square_rows.size == 0


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 2)])
def test_without_entries_rows_are_too_many_and_columns_free(shape):
    parts = decompose(Incidence.from_coo([], [], shape))
    assert parts.overdetermined_rows.tolist() == parts.unmatched_rows.tolist() == list(range(shape[0]))
    assert parts.underdetermined_cols.tolist() == parts.unmatched_cols.tolist() == list(range(shape[1]))
    assert parts.overdetermined_cols.size == parts.underdetermined_rows.size == parts.square_rows.size == 0
    assert parts.is_square == (shape == (0, 0))


def test_a_matching_that_is_not_maximum_is_an_error():
    a = Incidence.from_coo([0, 0, 1], [0, 1, 0], shape=(2, 2))
    with pytest.raises(ValueError, match="not maximum"):
        dulmage_mendelsohn(a, Matching.from_rows([0, -1], n_cols=2))


@given(st.from_type(Incidence))
@settings(deadline=None, max_examples=60)
def test_parts_by_their_definition(a):
    """A row is overdetermined if some maximum matching misses it; likewise an underdetermined column."""
    parts = decompose(a)
    size = maximum_matching(a).size

    def size_without(row: int = -1, col: int = -1) -> int:
        rows, cols = np.arange(a.n_rows), np.arange(a.n_cols)
        return maximum_matching(a.select(rows[rows != row], cols[cols != col])).size

    assert parts.overdetermined_rows.tolist() == [i for i in range(a.n_rows) if size_without(row=i) == size]
    assert parts.underdetermined_cols.tolist() == [j for j in range(a.n_cols) if size_without(col=j) == size]


@given(st.from_type(Incidence))
@settings(deadline=None)
def test_parts_are_a_partition_in_block_form(a):
    parts = decompose(a)
    groups = [
        (parts.overdetermined_rows, parts.overdetermined_cols),
        (parts.square_rows, parts.square_cols),
        (parts.underdetermined_rows, parts.underdetermined_cols),
    ]
    assert sorted(np.concatenate([rows for rows, _ in groups])) == list(range(a.n_rows))
    assert sorted(np.concatenate([cols for _, cols in groups])) == list(range(a.n_cols))
    for k, (rows, _) in enumerate(groups):
        for _, later_cols in groups[k + 1 :]:
            assert a.select(rows, later_cols).nnz == 0
    assert parts.square_rows.size == parts.square_cols.size
    assert parts.overdetermined_rows.size - parts.overdetermined_cols.size == parts.unmatched_rows.size
    assert parts.underdetermined_cols.size - parts.underdetermined_rows.size == parts.unmatched_cols.size
    assert set(parts.unmatched_rows) <= set(parts.overdetermined_rows)
    assert set(parts.unmatched_cols) <= set(parts.underdetermined_cols)


@given(st.from_type(Incidence), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_parts_do_not_depend_on_the_matching(a, random):
    rows = np.array(random.sample(range(a.n_rows), a.n_rows), dtype=int)
    cols = np.array(random.sample(range(a.n_cols), a.n_cols), dtype=int)
    parts, moved = decompose(a), decompose(a.select(rows, cols))
    assert sorted(rows[moved.overdetermined_rows]) == parts.overdetermined_rows.tolist()
    assert sorted(cols[moved.underdetermined_cols]) == parts.underdetermined_cols.tolist()
    assert sorted(rows[moved.square_rows]) == parts.square_rows.tolist()


def test_large_ones(large):
    for name in ("random", "random, wide", "random, tall"):
        a = large[name]
        matching = maximum_matching(a)
        parts = dulmage_mendelsohn(a, matching)
        assert parts.unmatched_rows.size == a.n_rows - matching.size
        assert a.select(parts.overdetermined_rows, parts.underdetermined_cols).nnz == 0
        assert a.select(parts.overdetermined_rows, parts.square_cols).nnz == 0
        assert a.select(parts.square_rows, parts.underdetermined_cols).nnz == 0
        rows, cols = parts.square_rows, parts.square_cols
        assert rows.size == cols.size == maximum_matching(a.select(rows, cols)).size


@given(st.from_type(Incidence))
@settings(deadline=None)
def test_connected_parts_against_networkx(a):
    graph = nx.Graph()
    graph.add_nodes_from([("row", i) for i in range(a.n_rows)] + [("col", j) for j in range(a.n_cols)])
    entries = zip(a.row_of_entry().tolist(), a.indices.tolist(), strict=True)
    graph.add_edges_from((("row", i), ("col", j)) for i, j in entries)
    parts = connected_parts(a, np.arange(a.n_rows), np.arange(a.n_cols))
    found = {frozenset([("row", int(i)) for i in r] + [("col", int(j)) for j in c]) for r, c in parts}
    assert found == {frozenset(component) for component in nx.connected_components(graph)}
    assert len(found) == len(parts)


def test_connected_parts_are_in_the_order_of_their_rows():
    a = Incidence.from_coo([0, 1, 2, 3], [0, 1, 2, 1], shape=(4, 4))
    parts = connected_parts(a, [3, 2, 1], [3, 1, 0])
    assert [(r.tolist(), c.tolist()) for r, c in parts] == [([3, 1], [1]), ([2], []), ([], [3]), ([], [0])]
    assert connected_parts(a, [], []) == []
