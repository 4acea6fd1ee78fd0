"""The user's door: graphs in and out, plans, and what is the same whatever the order of building."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

import adjoint as adj
from tests.models import sellar

# -- the reference example ---------------------------------------------------------------------------------


def test_the_reference_example() -> None:
    sol = sellar().solve(z1=5.0, z2=2.0, x=1.0)
    assert sol["y1"] == pytest.approx(25.588302369878, rel=1e-13)
    lam = sol.multipliers("f")
    assert lam["y1"] == pytest.approx(0.980613913484, rel=1e-11)
    assert lam["y2"] == pytest.approx(-0.196127, rel=1e-5)
    assert lam["f"] == 1.0
    assert sol.gradient("f") == pytest.approx({"z1": 9.61001055699, "z2": 1.78448533563, "x": 2.98061391348}, rel=1e-11)
    assert lam["x"] == sol.gradient("f", wrt="x")
    assert sol.multipliers({"y1": 2.0, "f": 1.0})["f"] == 1.0


# -- graph -------------------------------------------------------------------------------------------------


def test_the_graph_has_an_edge_from_each_argument() -> None:
    graph = sellar().graph
    assert type(graph) is nx.DiGraph
    assert set(graph.nodes) == {"z1", "z2", "x", "y1", "y2", "f"}
    assert set(graph.edges) == {
        ("z1", "y1"),
        ("z2", "y1"),
        ("x", "y1"),
        ("y2", "y1"),
        ("y1", "y2"),
        ("z1", "y2"),
        ("z2", "y2"),
        ("x", "f"),
        ("z2", "f"),
        ("y1", "f"),
        ("y2", "f"),
    }
    assert graph.nodes["x"]["kind"] == "input"
    assert graph.nodes["y1"]["kind"] == "unknown"
    assert graph.nodes["y1"]["equation"] == "y1"
    assert "equation" not in graph.nodes["x"]
    assert graph.nodes["f"]["shape"] == ()


def test_networkx_functions_agree_with_the_blocks() -> None:
    m = sellar()
    graph = m.graph
    components = {frozenset(c) for c in nx.strongly_connected_components(graph)}
    assert {frozenset(v.name for v in b.unknowns) for b in m.blocks()} <= components
    assert nx.descendants(graph, "z1") == {"y1", "y2", "f"}
    assert nx.ancestors(graph, "y2") == {"z1", "z2", "x", "y1"}
    order = list(nx.topological_sort(nx.condensation(graph)))
    assert len(order) == 5
    assert not nx.is_directed_acyclic_graph(graph)
    assert nx.shortest_path(graph, "x", "y2") == ["x", "y1", "y2"]
    assert nx.to_numpy_array(graph).sum() == 11


def test_paths_of_an_acyclic_graph_add_up_to_the_gradient() -> None:
    """Bauer's formula: the derivative is the sum over all paths of the products of the edges."""
    m = adj.Program()
    x = m.input("x", 0.3)
    a = m.define("a", np.exp(x))
    b = m.define("b", a**2)
    c = m.define("c", a + b)
    m.define("f", np.sin(c) * a)
    sol = m.solve()
    a_, c_ = sol["a"], sol["c"]
    local = {
        ("x", "a"): a_,
        ("a", "b"): 2 * a_,
        ("a", "c"): 1.0,
        ("b", "c"): 1.0,
        ("c", "f"): np.cos(c_) * a_,
        ("a", "f"): np.sin(c_),
    }
    assert set(m.graph.edges) == set(local)
    total = sum(
        np.prod([local[edge] for edge in zip(path, path[1:], strict=False)])
        for path in nx.all_simple_paths(m.graph, "x", "f")
    )
    assert sol.gradient("f", wrt="x") == pytest.approx(total, rel=1e-13)


def test_implicit_equations_are_drawn_into_what_they_determine() -> None:
    m = adj.Program()
    x = m.input("x", 4.0)
    y, z = m.unknown("y"), m.unknown("z")
    m.constrain(y * z == x, name="product")
    m.constrain(y == 2.0, name="fixed")
    graph = m.graph
    assert set(graph.edges) == {("y", "z"), ("x", "z")}
    assert graph.nodes["z"]["equation"] == "product"
    assert graph.nodes["y"]["equation"] == "fixed"


def test_an_explicit_equation_of_its_own_target_is_a_loop() -> None:
    m = adj.Program()
    y = m.unknown("y")
    m.define(y, np.cos(y))
    assert list(m.graph.edges) == [("y", "y")]


def test_each_graph_is_new() -> None:
    m = sellar()
    m.graph.remove_node("y1")
    assert "y1" in m.graph
    assert m.solve()["y1"] > 0


def test_a_graph_of_a_model_that_is_not_closed_yet() -> None:
    m = adj.Program()
    x, y = m.input("x", 1.0), m.unknown("y")
    m.define("f", x + y)
    assert set(m.graph.edges) == {("x", "f"), ("y", "f")}


# -- from_graph --------------------------------------------------------------------------------------------


def test_a_program_from_a_graph() -> None:
    G = nx.DiGraph()
    G.add_node("x", value=2.0)
    G.add_node("y", value=3.0)
    G.add_node("d", f=lambda a, b: a - b, args=["y", "x"])
    G.add_node("f", f=lambda d, x: d**2 * x, args=["d", "x"])
    G.add_edges_from([("x", "d"), ("y", "d"), ("x", "f"), ("d", "f")])
    m = adj.Program.from_graph(G, name="from a graph")
    assert m.name == "from a graph"
    sol = m.solve()
    assert (sol["d"], sol["f"]) == (1.0, 2.0)
    assert sol.gradient("f") == {"x": -3.0, "y": 4.0}
    assert set(m.graph.edges) == set(G.edges)


def test_without_args_the_predecessors_come_in_the_order_of_the_graph() -> None:
    G = nx.DiGraph([("b", "f"), ("a", "f")])
    G.nodes["a"]["value"], G.nodes["b"]["value"] = 2.0, 10.0
    G.nodes["f"]["f"] = lambda first, second: first - second
    assert adj.Program.from_graph(G).solve()["f"] == 8.0


def test_a_cycle_in_the_graph_is_solved() -> None:
    G = nx.DiGraph()
    G.add_node("x", value=1.0)
    G.add_node("u", f=lambda x, w: x + 0.5 * np.sin(w), args=["x", "w"], guess=0.5)
    G.add_node("w", f=lambda u: u**2, args=["u"], guess=0.5)
    G.add_edges_from([("x", "u"), ("w", "u"), ("u", "w")])
    sol = adj.Program.from_graph(G).solve()
    assert sol["u"] == pytest.approx(1.0 + 0.5 * np.sin(sol["u"] ** 2))
    assert sol.check_derivatives("w").ok


def test_arrays_flow_through_a_graph_without_naming_their_shapes() -> None:
    G = nx.DiGraph()
    G.add_node("x", value=np.array([1.0, 2.0, 3.0]))
    G.add_node("y", f=lambda x: np.exp(x), args=["x"])
    G.add_node("f", f=lambda y: np.sum(y**2), args=["y"])
    G.add_edges_from([("x", "y"), ("y", "f")])
    m = adj.Program.from_graph(G)
    sol = m.solve()
    np.testing.assert_allclose(sol["y"], np.exp([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(sol.gradient("f", wrt="x"), 2 * np.exp([2.0, 4.0, 6.0]))


def test_arrays_in_a_cycle_have_the_shape_of_their_guess() -> None:
    G = nx.DiGraph()
    G.add_node("x", value=np.array([1.0, 2.0]))
    G.add_node("u", f=lambda x, u: x + 0.1 * u[::-1], args=["x", "u"], guess=np.zeros(2))
    G.add_edges_from([("x", "u"), ("u", "u")])
    u = adj.Program.from_graph(G).solve()["u"]
    np.testing.assert_allclose(u, np.array([1.0, 2.0]) + 0.1 * u[::-1])


def test_nodes_need_not_be_strings_nor_in_order() -> None:
    G = nx.DiGraph([(1, 2), (2, 3), (1, 3)])
    nx.set_node_attributes(G, {2: {"f": lambda a: 2 * a}, 3: {"f": lambda a, b: a * b, "args": [1, 2]}})
    G.nodes[1]["value"] = 3.0
    H = nx.DiGraph()
    H.add_nodes_from(reversed(list(G.nodes(data=True))))
    H.add_edges_from(G.edges)
    sol = adj.Program.from_graph(H).solve()
    assert (sol["2"], sol["3"]) == (6.0, 18.0)


def test_inputs_without_a_value_and_constants_from_a_function() -> None:
    G = nx.DiGraph([("x", "y"), ("c", "y")])
    G.nodes["c"]["f"] = lambda: 5.0
    G.nodes["y"].update(f=lambda x, c: x * c, args=["x", "c"])
    m = adj.Program.from_graph(G)
    assert [v.name for v in m.inputs] == ["x"]
    with pytest.raises(adj.ModelError, match="x"):
        m.solve()
    assert m.solve(x=2.0)["y"] == 10.0


def test_wrong_graphs_are_refused() -> None:
    def graph(**data: Any) -> nx.DiGraph:
        G = nx.DiGraph([("x", "y")])
        G.nodes["x"]["value"] = 1.0
        G.nodes["y"].update(data)
        return G

    for G, words in (
        (graph(), "'y'.*f="),
        (graph(f=lambda x: x, args=["z"]), "'y'"),
        (graph(f=lambda x: x, args=[]), "'y'"),
        (graph(f=lambda x, y: x, args=["x"]), "'y'"),
        (graph(f=3, args=["x"]), "'y'"),
        (graph(value=1.0), "'y'"),
        (nx.Graph(), "DiGraph"),
        ({"x": 1}, "DiGraph"),
    ):
        with pytest.raises(adj.AdjointError, match=words):
            adj.Program.from_graph(G)


# -- building ----------------------------------------------------------------------------------------------


def test_the_order_of_building_does_not_matter() -> None:
    reference = sellar().solve()
    m = adj.Program()
    y2, f, y1 = m.unknown("y2", guess=1.0), m.unknown("f"), m.unknown("y1", guess=1.0)
    x, z2, z1 = m.input("x", 1.0), m.input("z2", 2.0), m.input("z1", 5.0)
    m.define(f, np.exp(-y2) + y1 + z2 + x**2)
    m.define(y2, z1 + z2 + np.sqrt(y1))
    m.define(y1, x + z2 + z1**2 - 0.2 * y2)
    sol = m.solve()
    for name in reference:
        assert sol[name] == pytest.approx(reference[name], rel=1e-13)
    assert sol.gradient("f") == pytest.approx(reference.gradient("f"), rel=1e-11)


def test_a_program_grows_after_it_was_solved() -> None:
    m = sellar()
    before = m.solve()["f"]
    m.define("twice", 2 * m["f"])
    assert m.solve()["twice"] == 2 * before
    u = m.unknown("u")
    with pytest.raises(adj.StructureError):
        m.solve()
    m.constrain(u + np.exp(u) == m["twice"])
    assert m.solve()["twice"] == 2 * before


def test_an_extended_program_leaves_the_original_alone() -> None:
    m = sellar()
    other = m.extended()
    other.define("g", m["f"] * other["y1"])
    other.input("more", 1.0)
    assert "g" not in m
    assert "more" not in m
    assert other.solve()["g"] == pytest.approx(other.solve()["f"] * other.solve()["y1"])
    assert set(m.solve()) < set(other.solve())


def test_backends_and_linear_solvers_by_name() -> None:
    for keywords in ({"backend": "numpy"}, {"linear_solver": "dense"}, {"linear_solver": "superlu"}):
        m = adj.Program("p", **keywords)
        y = m.unknown("y")
        m.constrain(y**3 + y == m.input("x", 2.0))
        assert m.solve()["y"] == pytest.approx(1.0)
    for keywords in ({"backend": "numpi"}, {"linear_solver": "dens"}):
        with pytest.raises(adj.AdjointError):
            m = adj.Program("p", **keywords)
            y = m.unknown("y")
            m.constrain(y**3 + y == m.input("x", 2.0))
            m.solve()
    with pytest.raises(adj.ModelError):
        adj.Program(3)  # type: ignore[arg-type]


def test_repr_counts() -> None:
    assert repr(sellar()) == "<Program 'sellar': 3 inputs, 3 unknowns, 3 equations>"
