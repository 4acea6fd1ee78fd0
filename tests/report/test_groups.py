from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.report.groups import MOST, grouped
from tests.report.models import arrays, chain, sellar, tangle


def test_single_nodes() -> None:
    g = grouped(sellar())
    assert [(x.kind, x.labels, x.title) for x in g.groups] == [
        ("input", ("z1",), ""),
        ("input", ("z2",), ""),
        ("input", ("x",), ""),
        ("cycle", ("y1", "y2"), "cycle_1"),
        ("explicit", ("f",), ""),
    ]
    assert not g.condensed and g.groups[-1].outputs == (True,)
    assert len(g.edges) == len(sellar().graph.edges)


def test_arrays_show_their_shape() -> None:
    assert ("T [6]", "q [5]") in [x.labels for x in grouped(arrays()).groups]


def many_cycles(n: int) -> adj.Program:
    """A chain of n cycles of two, each at a level of its own."""
    m = adj.Program("levels")
    last: adj.Expr = m.input("x", 1.0)
    for i in range(n):
        a, b = m.unknown(f"a{i}"), m.unknown(f"b{i}")
        m.define(a, 0.1 * b + last)
        m.define(b, 0.1 * a)
        last = m.define(f"c{i}", np.sin(a + b))
    return m


@pytest.mark.parametrize(
    "make",
    [
        lambda: chain(200),
        lambda: tangle(300, 50),
        lambda: tangle(70, 3),
        lambda: many_cycles(25),
        lambda: many_cycles(29),
        lambda: many_cycles(200),
    ],
)
def test_large_programs_are_condensed(make: object) -> None:
    m = make()  # type: ignore[operator]
    g = grouped(m)
    assert g.condensed and len(g.groups) <= MOST
    assert all(len(x.labels) == len(x.outputs) == 1 for x in g.groups)
    assert len(set(g.edges)) == len(g.edges)
    for (a, _), (b, _) in g.edges:
        assert a < b  # merging neighbours keeps the order
    assert any(any(x.outputs) for x in g.groups)


def test_condensed_blocks_keep_their_names_where_they_fit() -> None:
    labels = [label for x in grouped(many_cycles(25)).groups for label in x.labels]
    assert "cycle_3: 2 unknowns (a2 … b2)" in labels and "c7" in labels


def test_nothing_is_lost_by_condensing() -> None:
    m = many_cycles(200)
    labels = " ".join(label for x in grouped(m).groups for label in x.labels)
    assert "(a0 …" in labels or "a0" in labels
    assert "c199" in labels
