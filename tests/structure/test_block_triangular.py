from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adjoint.structure import BlockTriangularForm, Incidence, block_triangular_form, maximum_matching


def assert_block_lower_triangular(a: Incidence, form: BlockTriangularForm) -> None:
    n = a.n_rows
    assert np.array_equal(np.sort(form.row_order), np.arange(n))
    assert np.array_equal(np.sort(form.col_order), np.arange(n))
    assert form.block_ptr[0] == 0
    assert form.block_ptr[-1] == n
    assert np.all(form.block_sizes > 0)
    permuted = a.tocsr()[form.row_order][:, form.col_order]
    assert np.all(permuted.diagonal() == 1)
    block = np.repeat(np.arange(form.n_blocks), form.block_sizes)
    entries = permuted.tocoo()
    assert np.all(block[entries.col] <= block[entries.row])


def assert_irreducible(a: Incidence, form: BlockTriangularForm) -> None:
    for k in range(form.n_blocks):
        part = a.select(form.rows(k), form.cols(k))
        graph = nx.DiGraph(zip(part.row_of_entry().tolist(), part.indices.tolist(), strict=True))
        assert nx.is_strongly_connected(graph)


@st.composite
def nonsingular(draw: st.DrawFn) -> Incidence:
    n = draw(st.integers(1, 9))
    node = st.integers(0, n - 1)
    entries = draw(st.lists(st.tuples(node, node), max_size=2 * n))
    entries += enumerate(draw(st.permutations(range(n))))
    return Incidence.from_coo([i for i, _ in entries], [j for _, j in entries], (n, n))


@given(nonsingular())
@settings(deadline=None)
def test_small_ones(a):
    form = block_triangular_form(a, maximum_matching(a))
    assert_block_lower_triangular(a, form)
    assert_irreducible(a, form)
    for k in range(form.n_blocks):
        assert np.all(np.diff(form.rows(k)) > 0)
        assert form.rows(k).size == form.cols(k).size == form.block_sizes[k] <= form.largest


@given(nonsingular(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_blocks_do_not_depend_on_the_matching(a, random):
    def blocks(b: Incidence, row_names: list[int], col_names: list[int]) -> set[tuple[frozenset, frozenset]]:
        form = block_triangular_form(b, maximum_matching(b))
        names = np.array(row_names), np.array(col_names)
        pairs = [(names[0][form.rows(k)], names[1][form.cols(k)]) for k in range(form.n_blocks)]
        return {(frozenset(r.tolist()), frozenset(c.tolist())) for r, c in pairs}

    n = a.n_rows
    rows, cols = random.sample(range(n), n), random.sample(range(n), n)
    assert blocks(a, list(range(n)), list(range(n))) == blocks(a.select(rows, cols), rows, cols)


def test_sellar():
    """y1 needs y2 and y2 needs y1; f needs both: one block of two, then f."""
    y1, y2, f = 0, 1, 2
    a = Incidence.from_coo([0, 0, 1, 1, 2, 2, 2], [y1, y2, y1, y2, f, y1, y2], shape=(3, 3))
    form = block_triangular_form(a, maximum_matching(a))
    assert [form.rows(k).tolist() for k in range(form.n_blocks)] == [[0, 1], [2]]
    assert form.col_order.tolist() == [y1, y2, f]
    assert (form.n_blocks, form.largest) == (2, 2)


def test_an_acyclic_program_keeps_its_order():
    """a = exp(x); b = a²; c = a + b; d = exp(c); e = sin(c): five blocks of one, as written."""
    a, b, c, d, e = range(5)
    incidence = Incidence.from_coo(
        [a, b, b, c, c, c, d, d, e, e], [a, b, a, c, a, b, d, c, e, c], shape=(5, 5)
    )
    form = block_triangular_form(incidence, maximum_matching(incidence))
    assert form.row_order.tolist() == form.col_order.tolist() == [a, b, c, d, e]
    assert form.block_sizes.tolist() == [1] * 5


def test_independent_equations_keep_their_order():
    form = block_triangular_form(
        a := Incidence.from_coo(range(6), range(6), shape=(6, 6)), maximum_matching(a)
    )
    assert form.row_order.tolist() == list(range(6))


def test_an_imperfect_matching_is_an_error():
    a = Incidence.from_coo([0, 1], [0, 0], shape=(2, 2))
    with pytest.raises(ValueError, match="1 of 2 rows and 2 columns"):
        block_triangular_form(a, maximum_matching(a))


def test_nothing():
    a = Incidence.from_coo([], [], (0, 0))
    form = block_triangular_form(a, maximum_matching(a))
    assert (form.n_blocks, form.largest, form.block_sizes.size) == (0, 0, 0)


def test_large_ones(large):
    for name in ("cyclic", "cyclic, much feedback", "tridiagonal, shuffled", "kkt"):
        a = large[name]
        form = block_triangular_form(a, maximum_matching(a))
        assert_block_lower_triangular(a, form)
        assert (form.n_blocks == 1) == (not name.startswith("cyclic")), name
