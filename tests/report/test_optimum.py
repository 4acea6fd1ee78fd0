from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

import adjoint as adj
from adjoint.report.optimum import active, by_element, entries
from tests.report.models import sellar


@pytest.mark.parametrize(
    ("value", "lower", "upper", "multiplier", "expected"),
    [
        (0.0, 0.0, 1.0, 0.0, "lower"),
        (1.0, 0.0, 1.0, 0.0, "upper"),
        (0.5, 0.0, 1.0, 0.0, ""),
        (0.5, -np.inf, np.inf, 0.0, ""),
        (2.0, 2.0, 2.0, 0.0, "equal"),
        (1e6 + 0.1, 0.0, 1e6, 0.0, "upper"),
        (1e-5, 0.0, 1.0, 0.0, ""),
        (1e-5, 0.0, 1.0, 2.0, "lower"),
        (1e-5, 0.0, 2e-5, 2.0, "lower"),
        (0.5, 0.0, 1.0, 2.0, ""),
    ],
)
def test_active(value: float, lower: float, upper: float, multiplier: float, expected: str) -> None:
    assert active(value, lower, upper, multiplier) == expected


def test_by_element() -> None:
    assert active([0.0, 0.5, 3.0], 0.0, [1.0, 1.0, 3.0]).tolist() == ["lower", "", "upper"]


def test_entries_of_an_optimum() -> None:
    m = sellar()
    over = {"z1": (-10, 10), "z2": (0, 10), "x": (0, 10)}
    problem = adj.Problem(
        m, minimize="f", over=over, subject_to={"low": m["y1"] >= 3.16, "high": m["y2"] <= 24.0}
    )
    result = problem.solve(method="SLSQP")
    variables, constraints = entries(problem, result)
    assert [(e.name, e.active) for e in variables] == [("z1", ""), ("z2", "lower"), ("x", "lower")]
    assert [(e.name, e.active) for e in constraints] == [("low", "lower"), ("high", "")]
    # The published optimum: z1 = 1.9776, f = 3.18339; the multipliers are those of the result.
    assert variables[0].value == pytest.approx(1.97763888, abs=1e-6)
    assert constraints[0].multiplier == result.multipliers["low"] > 0


def test_values_of_the_last_point_where_it_does_not_solve() -> None:
    m = adj.Program()
    x, y = m.input("x", np.ones(2)), m.input("y", 3.0)
    m.define("f", (x**2).sum() + y)
    problem = adj.Problem(m, minimize="f", over=["x", "y"])
    variables, constraints = entries(problem, OptimizeResult(solution=None, x=np.array([1.0, 2.0, 4.0])))
    assert variables[0].value.tolist() == [1.0, 2.0] and variables[1].value == 4.0
    assert variables[0].multiplier is None and constraints == []


def test_arrays_whose_elements_have_names_are_divided() -> None:
    m = adj.Program()
    v, w = m.input("v", np.zeros(2)), m.input("w", np.zeros(2))
    m.define("f", np.sum((v - 1) ** 2) + np.sum(w**2))
    subject_to = {"cap": v <= np.array([0.5, 3.0])}
    problem = adj.Problem(m, minimize="f", subject_to=subject_to, labels={"v": ["a", "b"], "cap": ["first", "second"]})
    variables, constraints = (by_element(problem, part) for part in entries(problem, problem.solve()))
    assert [e.name for e in variables] == ["a", "b", "w"]
    assert [round(e.value, 6) for e in variables[:2]] == [0.5, 1.0]
    assert [(e.name, e.upper, e.active) for e in constraints] == [("first", 0.5, "upper"), ("second", 3.0, "")]
    problem.source = "a file"
    assert [e.name for e in by_element(problem, entries(problem, problem.solve())[0])] == ["a", "b", "w[0]", "w[1]"]
    lost = OptimizeResult(x=np.zeros(4), solution=None, multipliers={})
    assert [e.multiplier for e in by_element(problem, entries(problem, lost)[1])] == [None, None]
