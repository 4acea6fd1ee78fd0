"""Named variables and equations: names, shapes, sub-models."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

import adjoint as adj


@pytest.fixture
def m() -> adj.Program:
    return adj.Program("model")


# -- variables ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shape", "expected"),
    [
        (3, None, ()),
        (np.float32(3), None, ()),
        (np.array(3), None, ()),
        (True, None, ()),
        ([1, 2], None, (2,)),
        ((1.0, 2.0), None, (2,)),
        ([[1, 2]], None, (1, 2)),
        ([3.0], None, (1,)),
        ([], None, (0,)),
        (2.0, (2, 3), (2, 3)),
        ([1.0, 2.0], (3, 2), (3, 2)),
        (None, (4,), (4,)),
        (None, 4, (4,)),
        (None, [2, 2], (2, 2)),
        (None, None, ()),
    ],
)
def test_shapes_from_values_or_given(m: adj.Program, value: Any, shape: Any, expected: Any) -> None:
    assert m.input("x", value, shape).shape == expected
    assert m.unknown("y", value, shape).shape == expected


def test_defaults_and_guesses_are_copies(m: adj.Program) -> None:
    v = np.ones(3)
    x, y = m.input("x", v), m.unknown("y", v)
    m.constrain(y == x)
    v[:] = 7.0
    np.testing.assert_array_equal(m.solve()["x"], np.ones(3))
    np.testing.assert_array_equal(m.guesses[y], np.ones(3))


def test_whole_numbers_become_floats(m: adj.Program) -> None:
    x = m.input("x", np.array([1, 2, 3]))
    m.define("half", x / 2)
    m.define("k", m.input("n", 7) * 1)
    sol = m.solve(x=np.array([3, 4, 5]), n=np.int64(9))
    np.testing.assert_array_equal(sol["half"], [1.5, 2.0, 2.5])
    assert sol["x"].dtype == np.float64
    assert type(sol["k"]) is float


def test_names_are_unique_over_variables_and_equations(m: adj.Program) -> None:
    x = m.input("x", 1.0)
    y = m.unknown("y")
    m.constrain(y == x, name="balance")
    for use in (
        lambda: m.input("x"),
        lambda: m.unknown("x"),
        lambda: m.define("x", y),
        lambda: m.constrain(y == x, name="x"),
        lambda: m.constrain(y == x, name="balance"),
        lambda: m.input("balance"),
        lambda: m.define("balance", y),
        lambda: m.input(""),
        lambda: m.input(3),
        lambda: m.define(x, y),
        lambda: m.define(3, y),
    ):
        with pytest.raises(adj.ModelError):
            use()
    assert list(m.variables) == ["x", "y"]
    assert list(m.equations) == ["balance"]


def test_a_failed_definition_leaves_nothing_behind(m: adj.Program) -> None:
    x, v = m.input("x", 1.0), m.unknown("v", shape=(2,))
    other = adj.Program().input("other", 1.0)
    for use in (lambda: m.define("y", other), lambda: m.define("y", None), lambda: m.define(v, np.ones(3) * x)):
        with pytest.raises(adj.AdjointError):
            use()
    assert "y" not in m
    assert not m.equations
    m.define("y", x)


def test_implicit_equations_get_free_names(m: adj.Program) -> None:
    x, y, z = m.input("x", 1.0), m.unknown("y"), m.unknown("z")
    m.define("equation_1", x)
    a, b = m.constrain(y == x), m.constrain(z - y)
    assert len({a.name, b.name, "equation_1"}) == 3


def test_what_is_not_a_value_is_refused(m: adj.Program) -> None:
    for use in (
        lambda: m.input("a", "text"),
        lambda: m.input("a", np.nan),
        lambda: m.input("a", [1.0, np.inf]),
        lambda: m.input("a", 1j),
        lambda: m.input("a", [1.0, 2.0], shape=(3,)),
        lambda: m.input("a", shape=(-1,)),
        lambda: m.input("a", shape="text"),
        lambda: m.unknown("a", lower=2.0, upper=1.0),
        lambda: m.unknown("a", lower=[1.0, 2.0]),
        lambda: m.unknown("a", guess=[1.0, 2.0], shape=(3,)),
        lambda: m.unknown("a", lower=np.nan),
    ):
        with pytest.raises(adj.AdjointError, match="a"):
            use()
    assert not m.variables


def test_bounds_may_be_infinite_and_are_spread(m: adj.Program) -> None:
    y = m.unknown("y", shape=(2,), lower=-np.inf, upper=[1.0, np.inf])
    low, high = m.bounds[y]
    np.testing.assert_array_equal(low, [-np.inf, -np.inf])
    np.testing.assert_array_equal(high, [1.0, np.inf])


def test_access_by_name(m: adj.Program) -> None:
    x = m.input("xylophone", 1.0)
    assert m["xylophone"] is x
    assert "xylophone" in m
    assert "x" not in m
    with pytest.raises(KeyError, match="xylophone"):
        m["xylofone"]
    with pytest.raises(adj.NameLookupError):
        m[3]


# -- equations ---------------------------------------------------------------------------------------------


def test_define_makes_variables_and_defines_unknowns(m: adj.Program) -> None:
    x = m.input("x", 2.0)
    y = m.unknown("y")
    assert m.define(y, x**2) is y
    z = m.define("z", y + x)
    assert (z.name, z.shape) == ("z", ())
    w = m.unknown("w", shape=(3,))
    m.define(w, z)  # spread
    m.define("c", 5)
    m.define("l", [x, 1.0])
    sol = m.solve()
    np.testing.assert_array_equal(sol["w"], [6.0, 6.0, 6.0])
    assert sol["c"] == 5.0
    np.testing.assert_array_equal(sol["l"], [2.0, 1.0])
    with pytest.raises(adj.ModelError, match="already"):
        m.define(y, x)
    with pytest.raises(adj.ModelError, match=r"m\['z'\]"):
        m.define("z", x)
    with pytest.raises(adj.ModelError, match="constrain"):
        m.define("b", y == x)
    with pytest.raises(adj.ShapeError):
        m.define(m.unknown("u"), np.ones(2) * x)


def test_constrain_takes_equations_and_expressions(m: adj.Program) -> None:
    x, y, z = m.input("x", 9.0), m.unknown("y"), m.unknown("z", shape=(2,))
    assert m.constrain(y**2 == x).residual is y**2 - x
    m.constrain(np.array([1.0, 2.0]) == z)
    for wrong in (y <= x, y != x, True, np.bool_(False), None, "y = x", np.float64(3.0) == 3.0):
        with pytest.raises(adj.AdjointError):
            m.constrain(wrong)
    with pytest.raises(adj.ModelError, match="no variable"):
        m.constrain(adj.array(1.0))
    sol = m.solve()
    assert sol["y"] == pytest.approx(3.0)
    np.testing.assert_allclose(sol["z"], [1.0, 2.0])


def test_residuals_have_the_sign_of_the_equation(m: adj.Program) -> None:
    """λ is the change per unit added to the right-hand side, of explicit and implicit equations alike."""
    x = m.input("x", 2.0)
    y, z = m.unknown("y"), m.unknown("z")
    m.define(y, 3 * x)
    m.constrain(z == 5 * x, name="z_equation")
    m.define("f", 7 * y + 11 * z)
    lam = m.solve().multipliers("f")
    assert lam == {"y": 7.0, "z_equation": 11.0, "f": 1.0, "x": 76.0}


def test_variables_of_another_program_are_refused(m: adj.Program) -> None:
    foreign = adj.Program("elsewhere").input("x", 1.0)
    mine = m.input("x", 1.0)
    for use in (
        lambda: m.define("y", foreign + mine),
        lambda: m.constrain(foreign == mine),
        lambda: m.define(foreign, mine),
        lambda: m.external("y", np.sin, inputs=[foreign]),
        lambda: m.include(adj.Program("p"), bind={"nothing": mine}),
    ):
        with pytest.raises(adj.AdjointError):
            use()
    with pytest.raises(adj.ModelError, match=r"elsewhere.*include"):
        m.define("y", foreign)


def test_outputs_are_what_no_equation_uses(m: adj.Program) -> None:
    x = m.input("x", 1.0)
    a = m.define("a", x)
    m.define("b", a)
    y = m.unknown("y")
    m.define(y, 0.5 * y + 1.0)
    assert m.outputs == ["b", "y"]
    assert [v.name for v in m.unknowns] == ["a", "b", "y"]


def test_incidence_graph(m: adj.Program) -> None:
    x, y = m.input("x", 1.0), m.unknown("y")
    m.constrain(y**2 == x, name="root")
    m.define("f", y + 1)
    graph = m.incidence_graph()
    assert nx.is_bipartite(graph)
    assert set(graph.edges(("equation", "root"))) == {
        (("equation", "root"), ("variable", "y")),
        (("equation", "root"), ("variable", "x")),
    }
    assert set(graph[("equation", "f")]) == {("variable", "y"), ("variable", "f")}


# -- include -----------------------------------------------------------------------------------------------


def root(guess: float = 1.0) -> adj.Program:
    """r² = a with r ≥ 0, and s = 2 r."""
    part = adj.Program("root")
    a = part.input("a", 4.0)
    r = part.unknown("r", guess=guess, lower=0.0)
    part.constrain(r**2 == a, name="square")
    part.define("s", 2 * r)
    return part


def test_a_model_included_twice_under_two_prefixes(m: adj.Program) -> None:
    x = m.input("x", 9.0)
    left = m.include(root(), prefix="left.", bind={"a": x})
    right = m.include(root(), prefix="right.")
    m.define("sum", left["s"] + right["r"])
    assert list(m.variables) == ["x", "left.r", "left.s", "right.a", "right.r", "right.s", "sum"]
    assert list(m.equations) == ["left.square", "left.s", "right.square", "right.s", "sum"]
    assert left["a"] is x
    assert right["a"] is m["right.a"]
    sol = m.solve({"right.a": 16.0})
    assert (sol["left.r"], sol["right.r"], sol["sum"]) == pytest.approx((3.0, 4.0, 10.0))
    assert sol.gradient("sum") == pytest.approx({"x": 1 / 3, "right.a": 1 / 8})
    low, _ = m.bounds[m["left.r"]]
    assert low == 0.0


def test_one_program_included_several_times_is_not_changed(m: adj.Program) -> None:
    part = root()
    for k in range(3):
        m.include(part, prefix=f"{k}.", bind={"a": m.input(f"a{k}", (k + 1.0) ** 2)})
    assert list(part.equations) == ["square", "s"]
    sol = m.solve()
    assert [sol[f"{k}.r"] for k in range(3)] == pytest.approx([1.0, 2.0, 3.0])
    assert part.solve()["r"] == pytest.approx(2.0)


def test_nested_includes(m: adj.Program) -> None:
    """Fourth root as a root of a root."""
    middle = adj.Program("fourth")
    b = middle.input("b", 16.0)
    inner = middle.include(root(), prefix="inner.", bind={"a": b})
    outer = middle.include(root(), prefix="outer.", bind={"a": inner["r"]})
    middle.define("q", outer["r"])
    x = m.input("x", 81.0)
    part = m.include(middle, prefix="top.", bind={"b": x})
    sol = m.solve()
    assert sol["top.inner.r"] == pytest.approx(9.0)
    assert sol["top.q"] == pytest.approx(3.0)
    assert sol.gradient("top.q", wrt="x") == pytest.approx(1 / 108)
    assert part["outer.r"] is m["top.outer.r"]


def test_a_cycle_across_included_models(m: adj.Program) -> None:
    """Bound to an unknown that the included model helps to determine."""
    y = m.unknown("y", guess=2.0)
    part = m.include(root(), bind={"a": y})
    m.define(y, part["r"] + 2.0)
    sol = m.solve()
    assert sol["y"] == pytest.approx(4.0)
    assert [b.kind for b in m.blocks()] == ["cycle", "explicit"]


def test_bound_expressions_are_spread_and_checked(m: adj.Program) -> None:
    part = adj.Program("part")
    part.define("total", part.input("v", np.ones(3)).sum())
    x = m.input("x", 2.0)
    m.include(part, bind={"v": 2 * x})
    m.include(part, prefix="c.", bind={"v": [1.0, 2.0, 4.0]})
    sol = m.solve()
    assert (sol["total"], sol["c.total"]) == (12.0, 7.0)
    with pytest.raises(adj.ShapeError, match="v"):
        m.include(part, prefix="d.", bind={"v": np.ones(2)})
    with pytest.raises(adj.ModelError, match="only inputs"):
        m.include(root(), prefix="e.", bind={"r": x})
    with pytest.raises(adj.NameLookupError):
        m.include(root(), prefix="f.", bind={"z": x})
    with pytest.raises(adj.ModelError):
        m.include({"a": 1})
    with pytest.raises(adj.NameLookupError, match="total"):
        m.include(part, prefix="g.")["totl"]


def test_a_failed_include_leaves_nothing_behind(m: adj.Program) -> None:
    m.input("s", 1.0)
    before = list(m.variables), list(m.equations)
    with pytest.raises(adj.ModelError):
        m.include(root())  # its "s" is taken
    assert (list(m.variables), list(m.equations)) == before


def test_a_program_can_include_itself_under_a_prefix() -> None:
    m = root()
    m.include(m, prefix="copy.")
    sol = m.solve({"copy.a": 25.0})
    assert (sol["r"], sol["copy.r"]) == pytest.approx((2.0, 5.0))


def test_a_traced_function_is_included(m: adj.Program) -> None:
    def product(a: float, b: float) -> tuple[float, float]:
        c = a * b
        return c, c + 1

    part = adj.trace(product, 2.0, 3.0)
    included = m.include(part, prefix="p.", bind={"a": m.input("q", 5.0)})
    sol = m.solve()
    assert [sol[included[name].name] for name in part.outputs] == [15.0, 16.0]


def test_externals_and_large_arrays_are_included(m: adj.Program) -> None:
    part = adj.Program("part")
    v = part.input("v", np.arange(100.0))
    part.external("norm", np.linalg.norm, inputs=[v])
    part.define("first", v[np.arange(0, 100, 7)])
    m.include(part, prefix="p.")
    sol = m.solve()
    assert sol["p.norm"] == np.linalg.norm(np.arange(100.0))
    np.testing.assert_array_equal(sol["p.first"], np.arange(0.0, 100.0, 7.0))
