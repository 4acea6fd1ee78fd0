"""Problems that leave nothing to choose, as programs: equality constraints determine the variables."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.system import equality_system


def circle(**keywords: Any) -> adj.Problem:
    """x + y = 3 and x² + y² = 5: (1, 2) and (2, 1)."""
    m = adj.Program("circle")
    x, y = m.input("x", 0.0), m.input("y", 4.0)
    m.define("f", x * y)
    subject_to = {"line": x + y == 3.0, "circle": x**2 + y**2 == 5.0}
    return adj.Problem(m, **{"minimize": 0, "subject_to": subject_to, **keywords})


def test_equality_constraints_become_equations() -> None:
    program = circle().system()
    assert [v.name for v in program.unknowns] == ["x", "y", "f"]
    assert not program.inputs
    assert {e.name for e in program.equations.values() if e.target is None} == {"line", "circle"}
    sol = program.solve()
    assert (sol["x"], sol["y"], sol["f"]) == (pytest.approx(1.0), pytest.approx(2.0), pytest.approx(2.0))


def test_the_problem_is_not_changed() -> None:
    problem = circle()
    before = list(problem.program.variables), list(problem.program.equations), dict(problem.program.inputs)
    problem.system().solve()
    assert before == (list(problem.program.variables), list(problem.program.equations), problem.program.inputs)
    assert problem.solve(options={"ftol": 1e-14}).solution["f"] == pytest.approx(2.0)


def test_bounds_bound_the_search() -> None:
    free, bounded = circle(), circle(over={"x": (1.75, 9.0), "y": (None, None)})
    assert free.system().solve(start={"y": 4.0})["x"] == pytest.approx(1.0)
    assert bounded.system().solve(start={"y": 0.5})["x"] == pytest.approx(2.0)
    assert bounded.system().bounds[bounded.program["x"]] == (1.75, 9.0)
    assert not free.system().bounds


def test_an_objective_remains_a_variable() -> None:
    problem = circle(minimize="f")
    sol = problem.system().solve()
    assert sol["f"] == pytest.approx(2.0)
    assert "objective" not in circle().system()


def test_other_inputs_remain_inputs() -> None:
    m = adj.Program()
    x, p = m.input("x", 1.0), m.input("p", 9.0)
    problem = adj.Problem(m, minimize=0, over=["x"], subject_to={"square": x**2 == p})
    program = problem.system()
    assert program.solve()["x"] == pytest.approx(3.0)
    assert program.solve(p=16.0).gradient("x", wrt="p") == pytest.approx(0.125)


def test_multipliers_have_the_names_of_constraints() -> None:
    """Moving a right-hand side moves the solution as its multiplier says."""
    sol = circle(minimize="f").system().solve()
    lam = sol.multipliers("f")
    m = adj.Program()
    x, y = m.input("x", 1.0), m.input("y", 2.0)
    h = 1e-6
    moved = adj.Problem(m, minimize=0, subject_to={"line": x + y == 3.0 + h, "circle": x**2 + y**2 == 5.0})
    new = moved.system().solve()
    assert (new["x"] * new["y"] - sol["f"]) / h == pytest.approx(lam["line"], rel=1e-4)


def test_unknowns_that_the_equations_left_free() -> None:
    m = adj.Program()
    u, y = m.unknown("u", guess=0.5, lower=-5.0, upper=5.0), m.unknown("y")
    m.constrain(y + 0.1 * y**3 == u, name="response")
    problem = adj.Problem(m, minimize=0, over=["u"], subject_to={"target": y == 2.0})
    sol = problem.system().solve()
    assert (sol["u"], sol["y"]) == (pytest.approx(2.8), pytest.approx(2.0))


def test_constrained_variables_that_others_use_remain() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    y = m.define("y", x**3)
    m.define("z", 2 * y)
    problem = adj.Problem(m, minimize=0, subject_to={"y": y == 8.0})
    program = problem.system()
    sol = program.solve()
    assert (sol["x"], sol["y"], sol["z"]) == (pytest.approx(2.0), pytest.approx(8.0), pytest.approx(16.0))
    assert "y (2)" in program.equations


# -- arrays ------------------------------------------------------------------------------------------------


def vector(lower: Any, upper: Any, limits: Any = None, **keywords: Any) -> adj.Problem:
    m = adj.Program("vector")
    x = m.input("x", np.array([1.0, 2.0, 0.5]))
    body = adj.array([x[0] ** 2 + x[1] ** 2, x[1] * x[2], x[0] + x[2]])
    subject_to = {"body": adj.between(lower, body, upper)}
    return adj.Problem(m, minimize=0, over={"x": limits or (None, None)}, subject_to=subject_to, **keywords)


def test_arrays() -> None:
    rhs = np.array([5.0, 6.0, 4.0])
    sol = vector(rhs, rhs).system().solve()
    x = sol["x"]
    np.testing.assert_allclose([x[0] ** 2 + x[1] ** 2, x[1] * x[2], x[0] + x[2]], rhs)


def test_fixed_elements_are_equations_and_fixed_variables_given() -> None:
    limits = ([-9.0, -9.0, 0.5], [9.0, 9.0, 0.5])
    problem = vector([5.0, -np.inf, 1.5], [5.0, np.inf, 1.5], limits)
    program, labels = equality_system(problem)
    np.testing.assert_allclose(problem.system().solve()["x"], [1.0, 2.0, 0.5])
    assert labels == {"body": ["body[0]", "body[2]"], "fixed x": ["fixed x[2]"]}
    assert program.equations["fixed x"].size == 1
    given = circle(over={"x": (2.0, 2.0), "y": (None, None)}, subject_to={})
    with pytest.raises(adj.StructureError, match="0 scalar equations.*1 unknown"):
        given.system()


def test_names_of_elements() -> None:
    rhs = [5.0, 1.0, 1.5]
    labels = {"x": ["a", "b", "c"], "body": ["r", "s", "t"]}
    assert equality_system(vector(rhs, rhs, labels=labels))[1] == labels
    part = equality_system(vector([5.0, -np.inf, 1.5], [5.0, np.inf, 1.5], labels=labels))[1]
    assert part["body"] == ["r", "t"]


# -- what is no system -------------------------------------------------------------------------------------


def test_inequalities_are_refused_by_name() -> None:
    for lower, upper, names in (
        ([5.0, 0.0, 1.5], [5.0, 1.0, 1.5], r"1 inequality constraint \(second\)"),
        ([-np.inf, 0.0, 1.5], [5.0, np.inf, 1.5], r"2 inequality constraints \(first, second\)"),
    ):
        labels = {"body": ["first", "second", "third"]}
        with pytest.raises(adj.ModelError, match=names):
            vector(lower, upper, labels=labels).system()
    with pytest.raises(adj.ModelError, match="circle"):
        m = adj.Program()
        x = m.input("x", 1.0)
        adj.Problem(m, minimize=0, subject_to={"circle": x**2 <= 5.0}).system()


def test_numbers_that_differ_are_refused() -> None:
    with pytest.raises(adj.StructureError, match=r"2 scalar equations \(body: 2\) for 3 unknowns \(x: 3\)") as caught:
        vector([5.0, -np.inf, 1.5], [5.0, np.inf, 1.5]).system()
    assert caught.value.underdetermined == [(["body"], ["x"])]
    problem = circle(over=["x"])
    with pytest.raises(adj.StructureError, match="for 1 unknown") as caught:
        problem.system()
    assert caught.value.overdetermined == [(["line", "circle"], ["x"])]


def test_structurally_singular_elements_are_named() -> None:
    m = adj.Program()
    x = m.input("x", np.ones(3))
    problem = adj.Problem(m, minimize=0, subject_to={"body": adj.array([x[0] + x[1], x[0] - x[1], x[0] * x[1]]) == 1})
    report = problem.system().check()
    assert not report
    with pytest.raises(adj.StructureError, match=r"x\[2\]"):
        problem.system().solve()


def test_systems_are_pickled() -> None:
    program = pickle.loads(pickle.dumps(circle().system()))
    assert program.solve()["x"] == pytest.approx(1.0)


def test_a_wrong_start_says_so() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    problem = adj.Problem(m, minimize=0, subject_to={"square": x**2 == -1.0})
    with warnings.catch_warnings(), pytest.raises(adj.ConvergenceError, match="square"):
        problem.system().solve()
