from __future__ import annotations

from itertools import product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from adjoint.structure import Incidence, color_columns, star_color, star_recovery


def symmetric(a: Incidence) -> sparse.csr_array:
    """A random symmetric matrix with the pattern of ``a`` and its transpose."""
    n = max(a.shape)
    pattern = Incidence.from_coo(
        np.concatenate([a.row_of_entry(), a.indices]), np.concatenate([a.indices, a.row_of_entry()]), (n, n)
    ).tocsr()
    weights = np.random.default_rng(0).normal(size=n)
    matrix = sparse.diags_array(weights) @ pattern @ sparse.diags_array(weights)
    matrix.sort_indices()
    return matrix


def compressed(matrix: sparse.csr_array, colors: np.ndarray) -> np.ndarray:
    n, n_colors = colors.size, int(colors.max(initial=-1)) + 1
    seeds = sparse.csr_array((np.ones(n), (np.arange(n), colors)), shape=(n, n_colors))
    return (matrix @ seeds).toarray()


def is_star_coloring(graph: nx.Graph, colors: np.ndarray) -> bool:
    """Neighbours differ, and any two colors induce stars: components of at most one node of degree > 1."""
    if any(colors[i] == colors[j] for i, j in graph.edges):
        return False
    for pair in product(range(colors.max(initial=-1) + 1), repeat=2):
        bicolored = graph.subgraph(np.flatnonzero(np.isin(colors, pair)).tolist())
        for component in nx.connected_components(bicolored):
            if sum(d > 1 for _, d in bicolored.subgraph(component).degree) > 1:
                return False
    return True


def star_chromatic_number(graph: nx.Graph) -> int:
    n = len(graph)
    for n_colors in range(1, n + 1):
        for colors in product(range(n_colors), repeat=n):
            if is_star_coloring(graph, np.array(colors)):
                return n_colors
    return 0


def star_coloring(graph: nx.Graph) -> np.ndarray:
    matrix = nx.to_scipy_sparse_array(graph, nodelist=range(len(graph)), format="csr")
    return star_color(matrix.indptr, matrix.indices)


def stencil(k: int) -> sparse.csr_array:
    """The five-point stencil on a ``k`` by ``k`` grid."""
    line = sparse.diags_array([np.ones(k - 1), np.ones(k), np.ones(k - 1)], offsets=[-1, 0, 1])
    grid = (sparse.kron(line, sparse.eye_array(k)) + sparse.kron(sparse.eye_array(k), line)).tocsr()
    grid.sort_indices()
    return grid


@given(st.from_type(Incidence))
@settings(deadline=None)
def test_columns_of_a_color_have_no_row_in_common(a):
    colors = color_columns(a.indptr, a.indices, a.n_cols)
    assert colors.shape == (a.n_cols,)
    met = compressed(a.tocsr(), colors)
    assert np.all(met <= 1)
    assert set(colors.tolist()) == set(range(colors.max(initial=-1) + 1))
    assert colors.max(initial=-1) + 1 >= np.diff(a.indptr).max(initial=0)
    np.testing.assert_array_equal(met[a.row_of_entry(), colors[a.indices]], 1)


@pytest.mark.parametrize("half_band", [1, 2, 5])
def test_a_band_needs_its_width(half_band):
    """Curtis, Powell and Reid, 1974: column j has color j modulo the width."""
    n, width = 200, 2 * half_band + 1
    offsets = range(-half_band, half_band + 1)
    bands = sparse.diags_array([np.ones(n - abs(k)) for k in offsets], offsets=list(offsets))
    band = Incidence.from_sparse(bands)
    assert color_columns(band.indptr, band.indices, n).tolist() == [j % width for j in range(n)]


def test_dense_columns_need_a_color_each():
    a = Incidence.from_coo(*np.divmod(np.arange(20), 5), shape=(4, 5))
    assert color_columns(a.indptr, a.indices, 5).tolist() == [0, 1, 2, 3, 4]


def test_columns_and_rows_without_entries():
    assert color_columns([0], [], 3).tolist() == [0, 0, 0]
    assert color_columns([0, 0], [], 2).tolist() == [0, 0]
    assert color_columns([0, 0], [], 0).size == 0
    assert star_color([0], []).size == 0
    assert star_color([0, 0, 1], [1]).tolist() == [0, 0]


def test_colors_of_a_grid():
    grid = stencil(60)
    assert color_columns(grid.indptr, grid.indices, grid.shape[1]).max() + 1 <= 8
    assert star_color(grid.indptr, grid.indices).max() + 1 <= 5


def test_colors_of_large_ones(large):
    """The random one cannot do with fewer colors than its longest row has entries."""
    a = large["random"]
    colors = color_columns(a.indptr, a.indices, a.n_cols)
    assert compressed(a.tocsr(), colors).max() == 1
    assert colors.max() + 1 <= 1.3 * np.diff(a.indptr).max()
    a = large["tridiagonal"]
    assert color_columns(a.indptr, a.indices, a.n_cols).max() + 1 == 3
    assert star_color(a.indptr, a.indices).max() + 1 == 3


@given(st.from_type(Incidence))
@settings(deadline=None)
def test_star_coloring_by_its_definition(a):
    matrix = symmetric(a)
    colors = star_color(matrix.indptr, matrix.indices)
    graph = nx.from_scipy_sparse_array(matrix)
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    assert is_star_coloring(graph, colors)


@given(st.from_type(Incidence))
@settings(deadline=None)
def test_star_recovery_gives_every_entry(a):
    matrix = symmetric(a)
    colors = star_color(matrix.indptr, matrix.indices)
    products = compressed(matrix, colors)
    np.testing.assert_allclose(products[star_recovery(matrix.indptr, matrix.indices, colors)], matrix.data)
    lower = sparse.tril(matrix, format="csr")
    np.testing.assert_array_equal(star_color(lower.indptr, lower.indices), colors)
    np.testing.assert_allclose(products[star_recovery(lower.indptr, lower.indices, colors)], lower.data)


def test_star_recovery_of_large_ones(large):
    for matrix in (symmetric(large["cyclic, much feedback"]), symmetric(large["kkt"]), stencil(100)):
        colors = star_color(matrix.indptr, matrix.indices)
        entries = star_recovery(matrix.indptr, matrix.indices, colors)
        np.testing.assert_allclose(compressed(matrix, colors)[entries], matrix.data)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7, 8])
def test_star_colors_of_cycles(n):
    """Three colors are enough for every cycle but that of five, which needs four (Fertin et al. 2004)."""
    graph = nx.cycle_graph(n)
    colors = star_coloring(graph)
    assert is_star_coloring(graph, colors)
    assert star_chromatic_number(graph) == (4 if n == 5 else 3)
    assert star_chromatic_number(graph) <= colors.max() + 1 <= 4


@pytest.mark.parametrize(
    ("graph", "n_colors"),
    [(nx.star_graph(9), 2), (nx.complete_graph(5), 5), (nx.path_graph(9), 3), (nx.empty_graph(4), 1)],
)
def test_star_colors_of_simple_graphs(graph, n_colors):
    assert star_coloring(graph).max() + 1 == n_colors


def test_an_arrow_needs_two_colors_where_columns_need_all():
    n = 2_000
    rows = np.concatenate([np.zeros(n, dtype=int), np.arange(n), np.arange(n)])
    cols = np.concatenate([np.arange(n), np.arange(n), np.zeros(n, dtype=int)])
    arrow = Incidence.from_coo(rows, cols, (n, n))
    assert star_color(arrow.indptr, arrow.indices).max() + 1 == 2
    assert color_columns(arrow.indptr, arrow.indices, n).max() + 1 == n
    backward = Incidence.from_coo(n - 1 - rows, n - 1 - cols, (n, n))
    assert star_color(backward.indptr, backward.indices).max() + 1 == 2
