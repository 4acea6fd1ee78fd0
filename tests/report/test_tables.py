from __future__ import annotations

import numpy as np
from scipy.optimize import OptimizeResult

import adjoint as adj
from adjoint.report.tables import gradient_text, result_text, solution_text, value_table
from tests.report.models import arrays, chain, empty, sellar


def test_solution() -> None:
    m = sellar()
    text = solution_text(m, m.solve())
    lines = [line.split() for line in text.splitlines()]
    assert lines[0][0] == "sellar:"
    assert ["cycle_1", "cycle", "2"] in [line[:3] for line in lines]
    assert ["y1", "25.588302"] in lines and ["z1", "5"] in lines


def test_arrays_show_shape_extremes_and_first_values() -> None:
    m = arrays()
    text = solution_text(m, m.solve(k=np.linspace(1, 2, 6)))
    (line,) = [line for line in text.splitlines() if line.startswith("k ")]
    assert line.split() == ["k", "[1,", "1.2,", "1.4,", "1.6,", "…]", "6", "1", "2"]


def test_empty_arrays() -> None:
    assert value_table({"a": np.zeros(0)}).splitlines()[1].split() == ["a", "[]", "0"]


def test_long_solutions_are_cut() -> None:
    m = chain(100)
    text = solution_text(m, m.solve(), most=10)
    assert "… 90 more rows" in text and "c50" not in text
    assert "c99" in solution_text(m, m.solve())


def test_a_program_without_anything() -> None:
    m = empty()
    assert solution_text(m, m.solve()).startswith("empty: ")


def test_gradient_and_multipliers() -> None:
    text = gradient_text("f", 2.0, {"x": 1.0, "v": np.arange(3.0)}, {"f": 1.0})
    assert text.splitlines() == [
        "f = 2",
        "",
        "input  df/dinput  shape  min  max",
        "x      1",
        "v      [0, 1, 2]  3      0    2",
        "",
        "equation  multiplier",
        "f         1",
    ]


def problem(**options: object) -> adj.Problem:
    m = adj.Program("spread")
    x = m.input("x", np.array([0.2, 0.4, 0.9]))
    m.define("f", ((x - np.array([-1.0, 0.5, 2.0])) ** 2).sum())
    return adj.Problem(m, minimize="f", over={"x": (0, 1)}, **options)


def test_arrays_count_their_active_bounds() -> None:
    p = problem()
    (line,) = [line for line in result_text(p, p.solve(), "SLSQP").splitlines() if line.startswith("x ")]
    assert "1 lower, 1 upper" in line
    assert line.split("]")[1].split()[:2] == ["0", "1"]


def test_bounds_that_are_not_there_are_blank() -> None:
    m = sellar()
    p = adj.Problem(m, maximize="f", over={"z1": (None, 6)})
    text = result_text(p, p.solve(), "SLSQP")
    assert text.startswith("sellar: maximize f by SLSQP") and "inf" not in text


def test_a_result_without_solution_shows_the_last_point() -> None:
    result = OptimizeResult(
        x=np.array([0.1, 0.2, 0.3]), fun=None, message="stopped", success=False, solution=None, multipliers={}
    )
    result.failed_solves = ["at [1]: block 'cycle_1' did not converge"]
    p = problem(subject_to=[])
    text = result_text(p, result, "SLSQP")
    assert "[0.1, 0.2, 0.3]" in text and "1 solve failed on the way" in text
