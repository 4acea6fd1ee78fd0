"""Structure by name: matching of names and of elements, blocks in order, and what cannot be determined."""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.analysis import analyze


def names(block: adj.BlockInfo) -> tuple[str, ...]:
    return tuple(v.name for v in block.unknowns)


@pytest.fixture
def m() -> adj.Program:
    return adj.Program()


def test_explicit_equations_are_ordered_by_what_they_need(m: adj.Program) -> None:
    x = m.input("x", 1.0)
    a, b, c = m.unknown("a"), m.unknown("b"), m.unknown("c")
    m.define(c, a + b)
    m.define(b, a + x)
    m.define(a, x)
    blocks = analyze(m).blocks
    assert [names(b) for b in blocks] == [("a",), ("b",), ("c",)]
    assert {b.kind for b in blocks} == {"explicit"}
    assert [b.level for b in blocks] == [0, 0, 0]


def test_equations_in_order_are_blocks_in_their_order(m: adj.Program) -> None:
    """Where every equation takes what those before it give, nothing is matched; unknowns may be declared before."""
    x, late = m.input("x", 1.0), m.unknown("late")
    a = m.define("a", 2 * x)
    b = m.define("b", a + x)
    m.define(late, a * b)
    found = analyze(m)
    assert [names(block) for block in found.blocks] == [("a",), ("b",), ("late",)]
    assert [(block.name, block.kind, block.level) for block in found.blocks] == [
        (name, "explicit", 0) for name in ("a", "b", "late")
    ]
    assert {v.name: e.name for v, e in found.owner.items()} == {"late": "late", "a": "a", "b": "b"}
    assert {e.name: [v.name for v in taken] for e, taken in found.incidence.items()} == {
        "a": ["x"],
        "b": ["a", "x"],
        "late": ["a", "b"],
    }


def test_levels_count_the_cycles_before(m: adj.Program) -> None:
    """Explicit equations of a level come before its cycles; independent cycles are of one level."""
    x = m.input("x", 1.0)
    u, v, w = m.unknown("u"), m.unknown("v"), m.unknown("w")
    a = m.define("a", 2 * x)
    m.constrain(u**3 + u == a, name="first")
    m.constrain(v**3 + v == x, name="second")
    b = m.define("b", u + v)
    m.constrain(w**3 + w == b, name="third")
    m.define("c", w + a)
    m.define("d", a + 1)
    found = [(names(b), b.kind, b.level) for b in m.blocks()]
    levels = [(level, kind == "cycle") for _, kind, level in found]
    assert levels == sorted(levels)
    assert sorted(found) == [
        (("a",), "explicit", 0),
        (("b",), "explicit", 1),
        (("c",), "explicit", 2),
        (("d",), "explicit", 0),
        (("u",), "cycle", 0),
        (("v",), "cycle", 0),
        (("w",), "cycle", 1),
    ]
    assert [b.name for b in m.blocks() if b.kind == "cycle"] == ["cycle_1", "cycle_2", "cycle_3"]


def test_a_cycle_is_no_larger_than_it_must_be(m: adj.Program) -> None:
    x = m.input("x", 1.0)
    y = [m.unknown(f"y{k}") for k in range(4)]
    m.define(y[0], x + 0.1 * y[1])
    m.define(y[1], 0.1 * y[0])
    m.define(y[2], y[1] + 0.1 * y[3])
    m.define(y[3], 0.1 * y[2] + y[0])
    assert [names(b) for b in m.blocks()] == [("y0", "y1"), ("y2", "y3")]


def test_an_equation_that_uses_its_own_target_is_a_cycle(m: adj.Program) -> None:
    y = m.unknown("y")
    m.define(y, 0.5 * y + 1.0)
    (block,) = m.blocks()
    assert (block.kind, block.size, names(block)) == ("cycle", 1, ("y",))
    assert m.solve()["y"] == pytest.approx(2.0)


def test_implicit_equations_are_matched_whatever_their_order(m: adj.Program) -> None:
    """Triangular in another order than written: three blocks of one, not one of three."""
    x = m.input("x", 2.0)
    a, b, c = m.unknown("a"), m.unknown("b"), m.unknown("c")
    m.constrain(a + b + c == 6.0, name="all")
    m.constrain(a == x, name="only a")
    m.constrain(a * b == 4.0, name="a and b")
    assert [(names(b), b.equations[0].name) for b in m.blocks()] == [
        (("a",), "only a"),
        (("b",), "a and b"),
        (("c",), "all"),
    ]
    sol = m.solve()
    assert (sol["a"], sol["b"], sol["c"]) == pytest.approx((2.0, 2.0, 2.0))


def test_a_definition_may_determine_another_variable(m: adj.Program) -> None:
    """y = f(x, z) with y fixed by an equation of its own: the definition then determines z."""
    x = m.input("x", 1.0)
    y, z = m.unknown("y"), m.unknown("z")
    m.define(y, x + z**3)
    m.constrain(y == 9.0, name="target")
    sol = m.solve()
    assert (sol["y"], sol["z"]) == pytest.approx((9.0, 2.0))
    assert [names(b) for b in m.blocks()] == [("y",), ("z",)]
    assert sol.gradient("z", wrt="x") == pytest.approx(-1 / 12)


def test_an_array_equation_that_determines_several_unknowns(m: adj.Program) -> None:
    """Two scalars and a vector from one equation of four elements: matched element by element."""
    x = m.input("x", [1.0, 2.0, 3.0, 4.0])
    a, b, v = m.unknown("a"), m.unknown("b"), m.unknown("v", shape=(2,))
    m.constrain(np.concatenate([[a + b, a - b], v * v]) == x, name="four")
    m.define("f", a + v[1])
    assert [(names(b), b.size) for b in m.blocks()] == [(("a", "b", "v"), 4), (("f",), 1)]
    sol = m.solve()
    assert (sol["a"], sol["b"]) == pytest.approx((1.5, -0.5))
    np.testing.assert_allclose(sol["v"], np.sqrt([3.0, 4.0]))
    np.testing.assert_allclose(sol.gradient("f", wrt="x"), [0.5, 0.5, 0.0, 0.25])
    assert sol.multipliers("f")["four"].shape == (4,)


def test_an_unknown_that_several_equations_determine(m: adj.Program) -> None:
    x = m.input("x", 3.0)
    v, w = m.unknown("v", shape=(3,)), m.unknown("w")
    m.constrain(v[:2] == np.array([1.0, 2.0]) * x, name="ends")
    m.constrain(v[2] == v[0] + w, name="middle")
    m.constrain(w == v[1], name="link")
    sol = m.solve()
    np.testing.assert_allclose(sol["v"], [3.0, 6.0, 9.0])
    np.testing.assert_allclose(sol.jacobian("v", wrt="x"), [1.0, 2.0, 3.0])
    assert sum(b.size for b in m.blocks()) == 4


def test_overdetermined_and_underdetermined_parts_by_name(m: adj.Program) -> None:
    x = m.input("x", 1.0)
    y, z, v = m.unknown("y"), m.unknown("z"), m.unknown("v", shape=(2,))
    m.constrain(y == x, name="once")
    m.constrain(2 * y == x, name="twice")
    m.constrain(v[0] + v[1] + z == x, name="loose")
    m.define("fine", x + 1)
    with pytest.raises(adj.StructureError) as info:
        m.solve()
    (over,), (under,) = info.value.overdetermined, info.value.underdetermined
    assert (set(over[0]), set(over[1])) == ({"once", "twice"}, {"y"})
    assert (set(under[0]), set(under[1])) == ({"loose"}, {"z", "v[0]", "v[1]"})
    assert "twice" in str(info.value)
    assert "v[1]" in str(info.value)


def test_each_connected_part_is_listed(m: adj.Program) -> None:
    for k in range(3):
        m.unknown(f"free_{k}")
    with pytest.raises(adj.StructureError) as info:
        m.solve()
    assert sorted(part[1][0] for part in info.value.underdetermined) == ["free_0", "free_1", "free_2"]


def test_sizes_that_match_by_count_but_not_by_structure(m: adj.Program) -> None:
    """Two equations for two unknowns, but both equations in the first only."""
    y, _ = m.unknown("y"), m.unknown("z")
    m.constrain(y == 1.0)
    m.constrain(y**2 == 1.0)
    with pytest.raises(adj.StructureError):
        m.blocks()
    assert not m.check()


def test_given_unknowns_count_as_inputs(m: adj.Program) -> None:
    x = m.input("x", 1.0)
    y, u = m.unknown("y"), m.unknown("u", guess=2.0)
    m.constrain(y**3 + u == x, name="balance")
    with pytest.raises(adj.StructureError):
        analyze(m)
    assert [names(b) for b in analyze(m, given=[u]).blocks] == [("y",)]
    assert [names(b) for b in analyze(m, given=[y]).blocks] == [("u",)]


def test_incidence_and_owner(m: adj.Program) -> None:
    x = m.input("x", 1.0)
    y = m.unknown("y")
    e = m.constrain(y**2 == x, name="root")
    analysis = analyze(m)
    assert [v.name for v in analysis.incidence[e]] == ["y", "x"]
    assert analysis.owner[y] is e


def test_a_large_chain_of_cycles_is_analyzed_without_recursion(m: adj.Program) -> None:
    last = m.input("x", 1.0)
    for k in range(3000):
        y = m.unknown(f"y{k}")
        m.constrain(y**3 + y == last, name=f"e{k}")
        last = y
    blocks = m.blocks()
    assert len(blocks) == 3000
    assert [b.level for b in blocks] == list(range(3000))


def test_repr_of_a_block_is_short(m: adj.Program) -> None:
    y = [m.unknown(f"y{k}") for k in range(50)]
    for k in range(50):
        m.define(y[k], 0.1 * y[k - 1] + 1.0)
    (block,) = m.blocks()
    assert repr(block) == "<cycle_1: cycle, 50 equations, for y0, y1, y2, y3, y4, y5, … 44 more>"
