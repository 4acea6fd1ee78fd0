"""The augmented Lagrangian method: its function, its directions, and programs written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.errors import ModelError
from adjoint.optimize.augmented_lagrangian import AugmentedLagrangianOptions, solve
from adjoint.optimize.augmented_lagrangian.escape import curved_away
from adjoint.optimize.augmented_lagrangian.function import AugmentedFunction
from adjoint.optimize.augmented_lagrangian.inner import lbfgsb, projected_newton, projected_size
from adjoint.optimize.augmented_lagrangian.newton import ConjugateGradients, FactoredNewton
from adjoint.optimize.scaled import ScaledProgram, errors, evaluated

from .nlp_cases import CASES, Program, check_optimality, hs071, linear_rows, pair, quadratic, rosenbrock

inf = np.inf


# -- the function ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", [True, False])
def test_gradient_of_the_augmented_lagrangian(objective: bool) -> None:
    program = ScaledProgram(hs071(), inf)
    function = AugmentedFunction(program if objective else program.without_objective(), np.array([-0.4, 0.3]), 3.0)
    x = np.array([1.5, 4.0, 3.0, 2.0])
    s = function.sample(evaluated(function.program, x))
    for i in range(4):
        h = 1e-6 * np.eye(4)[i]
        ahead, behind = (function.value(*function.program.values(x + step)) for step in (h, -h))
        assert s.gradient[i] == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)


def test_rows_inside_have_no_multiplier() -> None:
    program = ScaledProgram(linear_rows([[1.0, 1.0], [1.0, -1.0]], [-9.0, 3.0], [9.0, 3.0]))
    y = AugmentedFunction(program, np.zeros(2), 10.0).multipliers(np.array([0.0, 1.0]))
    assert y.tolist() == [0.0, -20.0]


# -- the inner methods -------------------------------------------------------------------------------------


def box_program() -> Program:
    """A convex quadratic program in a box, with rows of every kind."""
    rng = np.random.default_rng(3)
    root, A = rng.standard_normal((6, 6)), rng.standard_normal((4, 6))
    return quadratic(
        root @ root.T + np.eye(6), 5.0 * rng.standard_normal(6), np.zeros(6), A, lower=-0.5, upper=0.7,
        constraint_lower=[0.3, -inf, -0.2, -inf], constraint_upper=[0.3, 0.1, 0.2, inf],
    )  # fmt: skip


@pytest.mark.parametrize("inner", ["newton", "newton-cg", "l-bfgs-b"])
def test_inner_methods_find_the_same_minimum(inner: str) -> None:
    program = ScaledProgram(box_program())
    function = AugmentedFunction(program, np.zeros(program.m), 10.0)
    s = function.sample(evaluated(program, program.x0))
    if inner == "l-bfgs-b":
        s, _, flag = lbfgsb(function, s, 1e-7, 500, lambda: False)
    else:
        directions = FactoredNewton(program, "auto") if inner == "newton" else ConjugateGradients(program)
        s, count, flag = projected_newton(function, s, directions, 1e-7, 500, lambda: False)
        assert count <= 30
    assert flag == ""
    assert projected_size(program, s.point.x, s.gradient) <= 1e-7
    again = projected_newton(function, s, FactoredNewton(program, "dense"), 1e-10, 50, lambda: False)[0]
    assert s.point.x == pytest.approx(again.point.x, abs=1e-5)


def test_a_convex_model_is_minimized_in_one_step() -> None:
    """The active sets of rows and bounds are predicted: one step of Newton's method solves a quadratic program."""
    program = ScaledProgram(box_program())
    function = AugmentedFunction(program, np.zeros(program.m), 10.0)
    s = function.sample(evaluated(program, program.x0))
    _, count, flag = projected_newton(function, s, FactoredNewton(program, "auto"), 1e-8, 10, lambda: False)
    assert flag == "" and count <= 2


# -- the method --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_ends_as_it_must(name: str) -> None:
    case = CASES[name]
    program = case.make()
    outcome = solve(program)
    if name == "a local minimum of the violation" and outcome.status == "optimal":
        return  # the second attempt finds a feasible point
    assert outcome.status in case.status, outcome.message
    if name.endswith("(hs013)"):
        return  # there are no multipliers
    if case.f is not None and not name.startswith("rosenbrock chain"):  # it has two minima
        assert program.objective(outcome.x) == pytest.approx(case.f, rel=1e-6, abs=1e-6)
    if case.x is not None:
        assert outcome.x == pytest.approx(np.array(case.x), abs=1e-5)
    if case.y is not None:
        assert outcome.y == pytest.approx(np.array(case.y), abs=1e-5)
    if outcome.status == "optimal":
        check_optimality(program, outcome)
    if outcome.status == "infeasible":
        assert "row[" in outcome.message or "x[" in outcome.message


@pytest.mark.parametrize("inner", ["newton", "newton-cg", "l-bfgs-b"])
@pytest.mark.parametrize("name", ["hs071", "rosenbrock", "two-sided row", "fixed variable", "free row"])
def test_inner_methods(inner: str, name: str) -> None:
    program = CASES[name].make()
    outcome = solve(program, {"inner": inner})
    assert outcome.status in ("optimal", "acceptable"), outcome.message
    check_optimality(program, outcome)


@pytest.mark.parametrize("solver", ["dense", "superlu"])
def test_linear_solvers(solver: str) -> None:
    assert solve(hs071(), {"linear_solver": solver}).x[0] == pytest.approx(1.0)


def test_without_polish() -> None:
    outcome = solve(hs071(), {"polish": "no"})
    assert outcome.status == "optimal"
    check_optimality(hs071(), outcome)


def test_polish_needs_fewer_updates() -> None:
    assert solve(hs071()).iterations < solve(hs071(), {"polish": "no"}).iterations


def test_warm_start() -> None:
    first = solve(hs071())
    again = solve(hs071(), start=(first.x, first.y))
    assert again.status == "optimal" and again.iterations == 0


def test_limits_and_callback() -> None:
    assert solve(hs071(), {"max_iter": 1, "polish": "no"}).status == "iteration_limit"
    assert solve(hs071(), {"max_wall_time": 0.0}).status == "time_limit"
    seen: list[Any] = []

    def stop(state: Any) -> None:
        seen.append(state)
        raise StopIteration

    assert solve(hs071(), callback=stop).status == "stopped"
    assert len(seen) == 1 and seen[0].y.shape == (2,)


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    solve(hs071(), {"print_level": 5})
    lines = capsys.readouterr().out.splitlines()
    assert "penalty" in lines[0] and lines[-1].startswith("augmented-lagrangian: an optimal point was found")


def test_options_are_checked() -> None:
    assert AugmentedLagrangianOptions.of({}) == AugmentedLagrangianOptions()
    with pytest.raises(ModelError, match="augmented-lagrangian: .*inner"):
        solve(hs071(), {"iner": "newton"})
    with pytest.raises(ModelError, match="is one of"):
        solve(hs071(), {"inner": "bfgs"})
    with pytest.raises(ModelError, match="whole number"):
        solve(hs071(), {"max_iter": 2.5})


# -- curved valleys, and saddle points -----------------------------------------------------------------------


def moved_objective() -> Program:
    """Hock and Schittkowski 37 with its objective as a variable: min v, v + x1 x2 x3 = 0, 0 ≤ x1 + 2 x2 + 2 x3 ≤ 72."""

    def hess(x: np.ndarray, s: float, y: np.ndarray) -> np.ndarray:
        H = np.zeros((4, 4))
        H[0, 1] = H[1, 0] = y[0] * x[2]
        H[0, 2] = H[2, 0] = y[0] * x[1]
        H[1, 2] = H[2, 1] = y[0] * x[0]
        return H

    return Program(
        [10.0, 10.0, 10.0, 0.0], lambda x: x[3], lambda x: [0.0, 0.0, 0.0, 1.0], hess,
        lambda x: [x[3] + x[0] * x[1] * x[2], x[0] + 2.0 * x[1] + 2.0 * x[2]],
        lambda x: [[x[1] * x[2], x[0] * x[2], x[0] * x[1], 1.0], [1.0, 2.0, 2.0, 0.0]],
        lower=[0.0, 0.0, 0.0, -inf], upper=[42.0, 42.0, 42.0, inf],
        constraint_lower=[0.0, 0.0], constraint_upper=[0.0, 72.0],
    )  # fmt: skip


def test_a_curved_valley_is_followed() -> None:
    outcome = solve(moved_objective(), {"initial_penalty": 100.0})
    assert outcome.status == "optimal" and moved_objective().objective(outcome.x) == pytest.approx(-3456.0, rel=1e-8)
    assert outcome.evaluations["hessian"] <= 300  # thousands, where the steps are straight


def test_bends_meet_curved_rows() -> None:
    """From a point on the unit circle along its tangent: the bend leads back to it, to second order."""
    program = ScaledProgram(CASES["equality on a circle"].make(), inf)
    directions = FactoredNewton(program, "auto")
    function = AugmentedFunction(program, np.array([0.5]), 1e4)
    s = function.sample(evaluated(program, np.array([np.cos(2.0), np.sin(2.0)])))
    found = directions.direction(function, s, np.ones(2, dtype=bool), False)
    assert found is not None and found.inside
    straight = s.point.x + found.d
    bend = directions.bend(function, s, found.d, program.values(straight)[1])
    assert bend is not None
    before, after = (abs(float(x @ x) - 1.0) for x in (straight, straight + bend))
    assert after < 0.3 * before


def test_a_saddle_of_the_violation_is_left() -> None:
    """x0 x1 ≥ 1 from (0, 0), where the gradient vanishes; the curvature shows the way."""
    program = ScaledProgram(
        pair(lambda x: [x[0] * x[1]], lambda x: [[x[1], x[0]]], lambda x, y: y[0] * (1.0 - np.eye(2)), [1.0], [inf])
    ).without_objective()
    function = AugmentedFunction(program, np.zeros(1), 1.0)
    s = function.sample(evaluated(program, np.zeros(2)))
    new = curved_away(function, s)
    assert new is not None and new.value < s.value and abs(new.point.x[0] - new.point.x[1]) < 1e-12
    assert curved_away(function, function.sample(evaluated(program, np.array([2.0, 2.0])))) is None


def test_a_saddle_of_the_objective_is_left() -> None:
    outcome = solve(quadratic([[-2.0, 0.0], [0.0, 2.0]], [0.0, 0.0], [0.0, 0.3], lower=-0.5, upper=1.0))
    assert outcome.status == "optimal" and outcome.x == pytest.approx([1.0, 0.0], abs=1e-6)


def test_a_linear_program_by_name() -> None:
    m = adj.Program("linear")
    x = m.input("x", np.array([0.5, 0.5]))
    problem = adj.Problem(m, minimize=-x[0] - 2.0 * x[1], over={"x": (0, 1)}, subject_to={"c": x[0] + x[1] <= 1.5})
    result = problem.solve(method="augmented-lagrangian")
    assert result.success and result.fun == pytest.approx(-2.5, abs=1e-8)


# -- what active-set methods share -------------------------------------------------------------------------


def test_scaled_program_leaves_out_what_is_fixed_or_free() -> None:
    program = ScaledProgram(
        linear_rows([[1.0, 1e4], [1.0, 1.0]], [1.0, -inf], [2.0, inf], lower=[0.3, -inf], upper=[0.3, inf])
    )
    assert (program.n, program.m) == (1, 1)
    assert program.c_scale == pytest.approx([0.01])
    assert program.full(np.array([7.0])).tolist() == [0.3, 7.0]


def test_errors_vanish_at_an_optimum() -> None:
    program = ScaledProgram(hs071(), inf)
    found = solve(hs071())
    assert errors(program, evaluated(program, found.x), found.y).total <= 1e-7
    assert errors(program, evaluated(program, found.x), -found.y).total > 0.1


def test_rosenbrock_without_rows() -> None:
    outcome = solve(rosenbrock(30))
    assert outcome.status == "optimal" and outcome.iterations == 1


def test_a_problem_by_name() -> None:
    m = adj.Program("circle")
    x = m.input("x", np.array([0.5, 0.1]))
    m.define("radius", x[0] ** 2 + x[1] ** 2)
    m.define("f", x[0] + x[1])
    problem = adj.Problem(m, minimize="f", over=["x"], subject_to={"disc": m["radius"] <= 1.0})
    result = problem.solve(method="augmented-lagrangian")
    assert result.success and result.fun == pytest.approx(-np.sqrt(2.0), abs=1e-8)
    assert result.multipliers["disc"] == pytest.approx(-np.sqrt(0.5), abs=1e-6)


def test_violated_constraints_by_name() -> None:
    m = adj.Program("contradiction")
    x = m.input("x", 0.5)
    m.define("f", x**2)
    problem = adj.Problem(m, minimize="f", over={"x": (0.0, 1.0)}, subject_to={"too far": x >= 3.0})
    for method in ("augmented-lagrangian", "sqp"):
        result = problem.solve(method=method)
        assert result.status == "infeasible" and "too far by 2" in result.message
