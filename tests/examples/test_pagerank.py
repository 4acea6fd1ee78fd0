"""PageRank against the reference data and networkx."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pagerank
import pytest


def test_karate_club(data: Path) -> None:
    reference = json.loads((data / "mdp" / "karate_pagerank.json").read_text())
    assert [int(node) for node in reference["nodes"]] == list(nx.karate_club_graph())
    rank = pagerank.model().solve()["rank"]
    np.testing.assert_allclose(rank, reference["pagerank"], atol=1e-11)
    assert rank.sum() == pytest.approx(1.0, abs=1e-14)


def test_derivative_in_the_damping() -> None:
    m = pagerank.model()
    sol = m.solve()
    slope = sol.jvp({"damping": 1.0}, of="rank")["rank"]
    assert slope.sum() == pytest.approx(0.0, abs=1e-12)
    h = 1e-5
    difference = (m.solve(damping=0.85 + h)["rank"] - m.solve(damping=0.85 - h)["rank"]) / (2 * h)
    np.testing.assert_allclose(slope, difference, atol=1e-8)
    weights = np.cos(np.arange(34))
    assert sol.gradient({"rank": weights}, wrt="damping") == pytest.approx(weights @ slope, abs=1e-13)


def test_web_with_dead_ends() -> None:
    graph = pagerank.directory()
    sol = pagerank.model(graph).solve()
    expected = nx.pagerank(graph, tol=1e-14, max_iter=1000)
    np.testing.assert_allclose(sol["rank"], [expected[k] for k in graph], atol=1e-11)
    assert sol["rank"].sum() == pytest.approx(1.0, abs=1e-12)
    stuck = [k for k in graph if graph.out_degree(k) == 0]
    assert len(stuck) > 400
    assert sol["stuck"] == pytest.approx(sol["rank"][stuck].sum(), rel=1e-12)
    assert sol.jvp({"damping": 1.0}, of="rank")["rank"].sum() == pytest.approx(0.0, abs=1e-11)
