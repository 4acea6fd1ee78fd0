"""Blocks and singular parts by single elements."""

from __future__ import annotations

from typing import Any

import numpy as np

import adjoint as adj
from adjoint.report.labels import Labels
from adjoint.report.structure import Structure, element_structure


def found(rows: Any, n: int, **labels: list[str]) -> Structure:
    """The structure of equations in a vector of n unknowns."""
    m = adj.Program()
    x = m.unknown("x", shape=n)
    m.constrain(adj.array(rows(x)), "balance")
    return element_structure(m, Labels(m, labels))


def test_blocks_are_found_within_one_array_equation() -> None:
    s = found(lambda x: [x[2] * x[3] - 1, x[0] + x[1], x[0] * x[1] - x[2], x[2] - x[3]], 4, x=list("abcd"))
    assert s.is_square and s.blocks == [2, 2]
    assert s.largest == (["balance[0]", "balance[3]"], ["c", "d"])
    assert s.lines()[2] == "blocks: 2, the largest of 2 equations"


def test_a_triangular_system_has_blocks_of_one() -> None:
    s = found(lambda x: [x[k] - (x[k - 1] if k else 1) for k in range(50)], 50)
    assert s.blocks == [1] * 50
    assert s.lines() == [
        "system: 50 equations for 50 unknowns",
        "structure: every unknown is determined",
        "blocks: 50, the largest of 1 equation",
    ]


def test_singular_parts_are_named() -> None:
    s = found(lambda x: [x[0] + x[1], x[0] - x[1], x[0] * x[1], x[2] * x[3]], 4, x=list("abcd"), balance=list("pqrs"))
    assert not s.is_square and s.matched == 3 and not s.blocks
    assert [(sorted(r), sorted(c)) for r, c in s.overdetermined] == [(["p", "q", "r"], ["a", "b"])]
    assert [(sorted(r), sorted(c)) for r, c in s.underdetermined] == [(["s"], ["c", "d"])]
    assert "the equations determine 3 of 4 unknowns" in s.lines()[1]


def test_few_and_many_equations() -> None:
    few = found(lambda x: [x[0] + x[1]], 3)
    assert (few.equations, few.unknowns, few.matched) == (1, 3, 1)
    assert few.underdetermined == [(["balance[0]"], ["x[0]", "x[1]"]), ([], ["x[2]"])]
    many = found(lambda x: [x[0] - k for k in range(30)], 1)
    assert len(many.overdetermined[0][0]) == 30
    assert "… 22 more" in many.lines()[2]


def test_explicit_equations_are_equations() -> None:
    m = adj.Program()
    x = m.unknown("x", shape=2)
    y = m.define("y", x**2)
    m.constrain(adj.array([y[0] + x[1], y[1] - 2.0]), "balance")
    s = element_structure(m, Labels(m, {}))
    assert s.is_square and s.blocks == [1, 1, 1, 1]


def test_nothing() -> None:
    s = element_structure(adj.Program(), Labels(adj.Program(), {}))
    assert s.is_square and s.blocks == [] and len(s.lines()) == 2


def test_many_parts() -> None:
    m = adj.Program()
    x = m.unknown("x", shape=30)
    m.constrain(x[:1] ** 2 - 1.0, "balance")
    s = element_structure(m, Labels(m, {}))
    assert len(s.underdetermined) == 29
    assert s.lines()[-1] == "under-determined: … 9 more parts"
    assert np.sum([len(c) for _, c in s.underdetermined]) == 29
