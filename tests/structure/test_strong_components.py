from __future__ import annotations

import importlib
import re

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csgraph

from adjoint.structure import Incidence, strong_components, topological_levels


@st.composite
def digraphs(draw: st.DrawFn) -> Incidence:
    n = draw(st.integers(1, 9))
    node = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=2 * n))
    return Incidence.from_coo([i for i, _ in edges], [j for _, j in edges], (n, n))


def networkx_graph(a: Incidence) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(a.n_rows))
    graph.add_edges_from(zip(a.row_of_entry().tolist(), a.indices.tolist(), strict=True))
    return graph


def assert_components(a: Incidence, count: int, labels: np.ndarray) -> None:
    groups = {frozenset(np.flatnonzero(labels == k).tolist()) for k in range(count)}
    assert groups == set(map(frozenset, nx.strongly_connected_components(networkx_graph(a))))
    assert np.all(labels[a.row_of_entry()] <= labels[a.indices])


def acyclic(n: int, window: int, seed: int) -> Incidence:
    rng = np.random.default_rng(seed)
    tails = np.repeat(np.arange(n), 3)
    heads = tails + rng.integers(1, window, tails.size)
    number = rng.permutation(n)
    inside = heads < n
    return Incidence.from_coo(number[tails[inside]], number[heads[inside]], (n, n))


@given(digraphs())
@settings(deadline=None)
def test_components_against_networkx(a):
    assert_components(a, *strong_components(a.indptr, a.indices))


@given(digraphs(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_components_are_ordered_here_if_scipy_does_not(a, random):
    scipys = csgraph.connected_components

    def in_any_order(*args, **kwargs):
        count, labels = scipys(*args, **kwargs)
        return count, np.array(random.sample(range(count), count), dtype=labels.dtype)[labels]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csgraph, "connected_components", in_any_order)
        assert_components(a, *strong_components(a.indptr, a.indices))


def test_components_of_nothing():
    count, labels = strong_components([0], [])
    assert (count, labels.size) == (0, 0)
    assert topological_levels([0], []).size == 0


def test_each_node_of_a_large_acyclic_graph_is_a_component():
    a = acyclic(100_000, window=1_000, seed=0)
    count, labels = strong_components(a.indptr, a.indices)
    assert count == a.n_rows
    assert np.all(labels[a.row_of_entry()] < labels[a.indices])


@given(digraphs())
@settings(deadline=None)
def test_levels_against_networkx(a):
    graph = networkx_graph(a)
    if nx.is_directed_acyclic_graph(graph):
        expected = {i: k for k, nodes in enumerate(nx.topological_generations(graph)) for i in nodes}
        assert topological_levels(a.indptr, a.indices).tolist() == [expected[i] for i in range(a.n_rows)]
    else:
        with pytest.raises(ValueError, match="cycle") as error:
            topological_levels(a.indptr, a.indices)
        cycle = [int(i) for i in re.findall(r"\d+", str(error.value))]
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(graph.has_edge(i, j) for i, j in zip(cycle, cycle[1:], strict=False))


@pytest.mark.parametrize("window", [2, 30, 1_000, 20_000])
def test_levels_of_narrow_and_wide_graphs(window):
    a = acyclic(20_000, window, seed=window)
    levels = topological_levels(a.indptr, a.indices)
    generations = nx.topological_generations(networkx_graph(a))
    expected = {i: k for k, nodes in enumerate(generations) for i in nodes}
    assert levels.tolist() == [expected[i] for i in range(a.n_rows)]


def test_levels_of_a_long_chain():
    n = 100_000
    indptr = np.append(np.arange(n), n - 1)
    assert topological_levels(indptr, np.arange(1, n)).tolist() == list(range(n))


def test_a_cycle_behind_a_wide_level_is_named():
    """A hundred sources lead into the ring 100 → 101 → 102 → 100."""
    tails = np.concatenate([np.arange(100), [100, 101, 102]])
    heads = np.concatenate([np.full(100, 100), [101, 102, 100]])
    a = Incidence.from_coo(tails, heads, (103, 103))
    with pytest.raises(ValueError, match=r"10[012] -> 10[012] -> 10[012] -> 10[012]$"):
        topological_levels(a.indptr, a.indices)


def test_parallel_edges_count_once_each():
    assert topological_levels([0, 2, 2], [1, 1]).tolist() == [0, 1]


@given(digraphs())
def test_small_and_large_graphs_are_numbered_alike(a: Incidence) -> None:
    module = importlib.import_module("adjoint.structure.strong_components")
    count, labels = strong_components(a.indptr, a.indices)
    small, module.SMALL = module.SMALL, 0
    try:
        other, by_scipy = strong_components(a.indptr, a.indices)
    finally:
        module.SMALL = small
    assert count == other
    np.testing.assert_array_equal(labels, by_scipy)
