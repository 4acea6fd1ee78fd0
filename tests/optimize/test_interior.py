"""The interior-point method on programs written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.errors import ModelError
from adjoint.linear.symmetric import auto
from adjoint.linear.symmetric.condensed import CondensedSolver
from adjoint.optimize.interior import InteriorOptions, Intermediate, Workspace, solve
from adjoint.optimize.nlp import NonlinearProgram

from .nlp_cases import CASES, Program, hs071, linear_rows, logarithm, quadratic, rosenbrock, wachter_biegler


def check_optimality(program: Any, result: Any, tolerance: float = 1e-5) -> None:
    """The conditions of an optimum, from the program's own functions."""
    x, y = result.x, result.y
    r = program.gradient(x) + (program.jacobian(x).reshape(program.m, program.n).T @ y if program.m else 0.0)
    assert np.abs(r - result.z_lower + result.z_upper).max() <= tolerance * max(1.0, np.abs(y).max(initial=0.0))
    c = program.constraints(x)
    assert (c >= program.constraint_lower - 1e-6).all() and (c <= program.constraint_upper + 1e-6).all()
    assert (x >= program.lower).all() and (x <= program.upper).all()  # bounds hold exactly
    assert (result.z_lower >= 0.0).all() and (result.z_upper >= 0.0).all()
    slack_low, slack_high = c - program.constraint_lower, program.constraint_upper - c
    assert (y[slack_low > 1e-3] >= -1e-5).all() and (y[slack_high > 1e-3] <= 1e-5).all()


@pytest.mark.parametrize("name", CASES)
def test_ends_as_it_must(name: str) -> None:
    case = CASES[name]
    program = case.make()
    assert isinstance(program, NonlinearProgram)
    result = solve(program, {"max_iter": 500})
    assert result.status in case.status, result.message
    if case.f is not None:
        assert result.f == pytest.approx(case.f, rel=1e-6, abs=1e-6) or name.endswith("(hs013)")
    if case.x is not None:
        assert result.x == pytest.approx(np.array(case.x), abs=1e-5)
    if case.y is not None:
        assert result.y == pytest.approx(np.array(case.y), abs=1e-5)
    if result.status == "optimal":
        assert result.success
        if not name.endswith("(hs013)"):
            check_optimality(program, result)
    else:
        assert result.message
    if result.status == "infeasible":
        assert result.violated
        assert result.violated[0][0].startswith(("row[", "x["))
        assert result.violated[0][0] in result.message
        assert result.violated == sorted(result.violated, key=lambda pair: -pair[1])


@pytest.mark.parametrize("strategy", ["monotone", "adaptive"])
@pytest.mark.parametrize("oracle", ["quality-function", "loqo", "probing"])
@pytest.mark.parametrize("name", ["hs071", "linear program", "two-sided row", "logarithm", "a bound against a row"])
def test_barrier_strategies(name: str, strategy: str, oracle: str) -> None:
    case = CASES[name]
    result = solve(case.make(), {"mu_strategy": strategy, "mu_oracle": oracle})
    assert result.status in case.status
    if case.f is not None:
        assert result.f == pytest.approx(case.f, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("solver", ["dense", "superlu", "auto"])
def test_linear_solvers(solver: str) -> None:
    assert solve(hs071(), {"linear_solver": solver}).f == pytest.approx(17.0140172891563, abs=1e-6)


def network(lines: int) -> adj.Problem:
    """Flows defined by potentials, with limits, and balances at every node: the structure of an optimal power flow."""
    nodes = lines // 2
    rng = np.random.default_rng(lines)
    start, end = rng.integers(nodes, size=lines), rng.integers(nodes, size=lines)
    m = adj.Program("network")
    v, g = m.input("v", np.linspace(0.5, 1.5, nodes)), m.input("g", np.zeros(nodes))
    there = m.define(m.unknown("there", shape=(lines,)), np.sin(v[start] - v[end]) * v[start])
    back = m.define(m.unknown("back", shape=(lines,)), np.sin(v[end] - v[start]) * v[end])
    leaving = adj.segment_sum(there, start, nodes) + adj.segment_sum(back, end, nodes)
    m.define("balance", g - leaving - 0.1 * np.cos(np.arange(nodes)))
    m.define("load", there**2 + back**2)
    m.define("cost", np.sum((1.0 + np.arange(nodes) % 3) * g**2) + 0.1 * np.sum(v**2))
    return adj.Problem(
        m,
        minimize="cost",
        over={"v": (0.2, 2.0), "g": (-1.0, 1.0)},
        subject_to={"balance": m["balance"] == 0.0, "load": m["load"] <= 0.002},
    )


@pytest.mark.parametrize("solver", ["auto", "superlu"])
def test_eliminating_definitions_leaves_the_iterates(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[CondensedSolver] = []

    class Counted(CondensedSolver):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(auto, "LARGE", 0)
    monkeypatch.setattr(auto, "CondensedSolver", Counted)
    options = {"linear_solver": solver}
    found = network(60).solve("interior-point", formulation="full", options=options)
    assert len(made) == 1 and len(made[0].condensation.x) > 100
    monkeypatch.setattr(auto, "pivot_pairs", lambda *_: None)
    whole = network(60).solve("interior-point", formulation="full", options=options)
    assert len(made) == 1
    assert found.status == whole.status == "optimal" and found.nit == whole.nit
    for a, b in zip(found.history, whole.history, strict=True):
        assert a.objective == pytest.approx(b.objective, rel=1e-7, abs=1e-9)
        assert (a.mu, a.trials, a.regularization) == pytest.approx((b.mu, b.trials, b.regularization))
        assert a.alpha == pytest.approx(b.alpha, rel=1e-5)
    for name in ("balance", "load", "there"):
        np.testing.assert_allclose(found.multipliers[name], whole.multipliers[name], atol=1e-7)
    reduced = network(60).solve("interior-point", formulation="reduced", options=options)
    assert reduced.fun == pytest.approx(found.fun, rel=1e-6)


def test_the_classical_problem_takes_few_iterations() -> None:
    result = solve(hs071())
    assert result.iterations <= 9
    assert result.evaluations["hessian"] <= 9
    assert result.evaluations["factorizations"] <= 10
    assert max(result.residuals.values()) < 1e-7


def test_multipliers_of_fixed_variables_balance_the_gradient() -> None:
    program = hs071(lower=[1.0, 1.0, 3.0, 1.0], upper=[5.0, 5.0, 3.0, 5.0])
    result = solve(program)
    assert result.x[2] == 3.0
    check_optimality(program, result)
    assert result.residuals["dual"] < 1e-6


def test_multipliers_are_sensitivities() -> None:
    def at(side: float) -> Any:
        return solve(linear_rows([[1.0, 2.0]], [side], [np.inf]))

    result, h = at(1.0), 1e-3
    slope = (at(1.0 + h).f - at(1.0 - h).f) / (2 * h)
    assert -result.y[0] == pytest.approx(slope, rel=1e-5)  # L = f + y (c − side)


def test_warm_start_takes_fewer_iterations() -> None:
    cold = solve(hs071())
    nearby = hs071(constraint_lower=[25.1, 40.0])
    warm = solve(nearby, start=cold)
    again = solve(nearby)
    assert warm.status == "optimal"
    assert warm.f == pytest.approx(again.f, rel=1e-7)
    assert warm.iterations < again.iterations


def test_workspace_is_kept_and_renewed() -> None:
    workspace = Workspace()
    first = solve(hs071(), workspace=workspace)
    parts = workspace.parts
    assert solve(hs071(constraint_lower=[26.0, 40.0]), workspace=workspace).f > first.f
    assert workspace.parts is parts
    assert solve(rosenbrock(2), workspace=workspace).status == "optimal"  # other patterns
    assert workspace.parts is not parts


def test_start_may_be_a_point_alone() -> None:
    result = solve(rosenbrock(2), start=(np.array([1.0, 1.0]), None, None, None, None))
    assert result.iterations == 0 and result.status == "optimal"


def test_scaling_does_not_move_the_answer() -> None:
    def program() -> Any:
        return quadratic(
            [[2e6, 0.0], [0.0, 2.0]],
            [-2e6, -2.0],
            [3.0, 3.0],
            [[1e4, 1e4]],
            constraint_lower=[-np.inf],
            constraint_upper=[1e4],
        )

    scaled, plain = solve(program()), solve(program(), {"nlp_scaling_method": "none"})
    assert scaled.x == pytest.approx(plain.x, abs=1e-4)
    assert scaled.y == pytest.approx(plain.y, abs=1e-6)
    assert scaled.f == pytest.approx(plain.f, rel=1e-8)


def test_unknown_options_are_named() -> None:
    with pytest.raises(ModelError, match="max_iter"):
        solve(hs071(), {"maxiter": 3})
    with pytest.raises(ModelError, match="monotone"):
        solve(hs071(), {"mu_strategy": "loqo"})
    with pytest.raises(ModelError, match="number"):
        InteriorOptions.of({"tol": "small"})
    with pytest.raises(ModelError, match="whole"):
        InteriorOptions.of({"max_iter": 2.5})
    with pytest.raises(ModelError, match="not negative"):
        InteriorOptions.of({"tol": -1.0})
    with pytest.raises(ModelError, match="True or False"):
        InteriorOptions.of({"warm_start_init_point": 3})
    assert InteriorOptions.of({"warm_start_init_point": "yes"}).warm_start_init_point


def test_limits() -> None:
    result = solve(rosenbrock(2), {"max_iter": 3})
    assert result.status == "iteration_limit" and result.iterations == 3 and "max_iter" in result.message
    assert solve(rosenbrock(2), {"max_wall_time": 0.0}).status == "time_limit"


def test_callback_sees_the_iterates_and_stops() -> None:
    seen: list[Intermediate] = []

    def watch(state: Intermediate) -> bool:
        seen.append(state)
        return state.record.iteration == 4

    result = solve(hs071(), callback=watch)
    assert result.status == "stopped" and result.iterations == 4
    assert [s.record.iteration for s in seen] == [0, 1, 2, 3, 4]
    assert seen[-1].x == pytest.approx(result.x)
    assert seen[-1].y.shape == (2,) and seen[-1].z_lower.shape == (4,)

    def halt(state: Intermediate) -> None:
        raise StopIteration

    assert solve(hs071(), callback=halt).status == "stopped"


def test_callback_during_restoration() -> None:
    marks = []
    solve(CASES["a circle of imaginary radius"].make(), callback=lambda s: marks.append((s.record.flag, s.x.shape)))
    assert any(flag.startswith("r") for flag, _ in marks)
    assert {shape for _, shape in marks} == {(2,)}


def test_history_and_table(capsys: pytest.CaptureFixture[str]) -> None:
    result = solve(hs071(), {"print_level": 5})
    assert len(result.history) == result.iterations + 1
    out = capsys.readouterr().out
    assert "inf_pr" in out and "optimal" in out
    assert len(out.strip().splitlines()) == len(result.history) + 2
    assert set(result.times) == {"derivatives", "linear_algebra", "rest"}
    solve(hs071())
    assert capsys.readouterr().out == ""


def test_step_is_shortened_where_a_function_ends() -> None:
    result = solve(logarithm(50.0))
    assert result.status == "optimal" and result.x[0] == pytest.approx(1.0, abs=1e-6)


def test_start_is_checked() -> None:
    program = rosenbrock(2)
    with pytest.raises(ModelError, match="shape"):
        solve(program, start=(np.zeros(3), None, None, None, None))
    program.x0[1] = np.nan
    result = solve(program)
    assert result.status == "evaluation_error" and "x[1]" in result.message


def test_bounds_are_exact_though_they_are_widened_on_the_way() -> None:
    for strategy in ("monotone", "adaptive"):
        result = solve(quadratic(np.zeros((2, 2)), [1e3, 1.0], [5.0, 5.0], lower=1.0), {"mu_strategy": strategy})
        assert result.f == pytest.approx(1001.0, rel=1e-10)
        assert result.residuals["dual"] < 1e-4


def test_message_says_what_was_not_finite() -> None:
    assert "the objective is not finite" in solve(logarithm(-1.0)).message


def test_crossed_bounds_are_named() -> None:
    result = solve(CASES["bounds that cross"].make())
    assert result.violated == [("x[1]", 1.0)] and "x[1]" in result.message


def test_restoration_is_in_the_history() -> None:
    result = solve(wachter_biegler())
    assert any(r.flag.startswith("r") for r in result.history)
    assert result.violated == [("row[1]", pytest.approx(1.5, abs=1e-6))]


def test_limited_memory_on_request() -> None:
    program = hs071()
    result = solve(program, {"hessian_approximation": "limited-memory"})
    assert result.evaluations["hessian"] == 0
    assert result.f == pytest.approx(17.0140172891563, abs=1e-6)


def test_deterministic() -> None:
    first, second = solve(hs071()), solve(hs071())
    assert np.array_equal(first.x, second.x) and first.iterations == second.iterations


def test_duplicate_entries_of_patterns_add_up() -> None:
    program = quadratic(
        [[2.0, 0.0], [0.0, 2.0]], [-2.0, -4.0], [0.0, 0.0], [[1.0, 1.0]], constraint_lower=[1.0], constraint_upper=[1.0]
    )
    plain = solve(program)
    twice = np.array([0, 0, 0]), np.array([0, 1, 1])
    program.jacobian_pattern = twice
    program.jacobian = lambda x: np.array([1.0, 0.25, 0.75])
    program.hessian_pattern = np.array([0, 1, 1]), np.array([0, 1, 1])
    program.hessian = lambda x, sigma, y: sigma * np.array([2.0, 0.5, 1.5])
    assert solve(program).x == pytest.approx(plain.x, abs=1e-8)


def test_without_constraints_no_answer_is_above_the_start() -> None:
    """A watchdog that fails goes back to where it began."""
    program = rosenbrock(2)
    program.objective = lambda x: float(abs(x[0]) + x[1] ** 2)
    program.gradient = lambda x: np.array([np.sign(x[0]), 2.0 * x[1]])
    program.hessian = lambda x, sigma, y: sigma * np.array([0.0, 0.0, 2.0])
    program.hessian_pattern = np.array([0, 1, 1]), np.array([0, 0, 1])
    program.x0 = np.array([1.0, 0.7])
    assert solve(program).f <= 1.49
    for most in range(8, 16):
        assert solve(program, {"max_iter": most}).f <= 1.49


def test_limits_name_what_is_violated() -> None:
    result = solve(hs071(), {"max_iter": 1})
    assert result.status == "iteration_limit"
    assert result.violated and result.violated[0][0] in result.message


def test_bounds_and_rows_hold_where_bounds_leave_no_interior() -> None:
    """Projected to the bounds, the first variable would move the row by 1e4 times what it was outside."""
    program = quadratic(
        np.zeros((2, 2)),
        [1.0, 1.0],
        [3.0, 3.0],
        [[1e4, 1.0], [1.0, 0.0]],
        lower=[1.0, 0.0],
        upper=[np.inf, np.inf],
        constraint_lower=[1e4 + 2.0, -np.inf],
        constraint_upper=[1e4 + 2.0, 1.0],
    )
    result = solve(program)
    assert result.success
    assert result.x == pytest.approx([1.0, 2.0], abs=1e-6)
    assert (result.x >= program.lower).all()
    assert result.residuals["primal"] < 1e-7


def test_an_objective_without_bound_is_seen_early() -> None:
    program = quadratic(
        np.zeros((3, 3)),
        [1.0, -1.0, 0.0],
        [1.0, 2.0, 3.0],
        [[1.0, 1.0, 1.0]],
        constraint_lower=[6.0],
        constraint_upper=[6.0],
    )
    result = solve(program)
    assert result.status == "unbounded" and result.iterations < 50


def test_multipliers_that_grow_with_the_regularization_are_renewed() -> None:
    """BT8 of Boggs and Tolle: the gradients of both rows are parallel at the solution (1, 0, 0, 0, 0)."""
    program = Program(
        [1.0, 1.0, 1.0, 0.0, 0.0],
        lambda x: float(x[:3] @ x[:3]),
        lambda x: np.concatenate([2.0 * x[:3], [0.0, 0.0]]),
        lambda x, sigma, y: np.diag(
            [2.0 * sigma + 2.0 * y[1], 2.0 * sigma + 2.0 * (y[0] + y[1]), 2.0 * sigma, -2.0 * y[0], -2.0 * y[1]]
        ),
        c=lambda x: np.array([x[0] + x[1] ** 2 - x[3] ** 2 - 1.0, x[0] ** 2 + x[1] ** 2 - x[4] ** 2 - 1.0]),
        jac=lambda x: np.array(
            [[1.0, 2.0 * x[1], 0.0, -2.0 * x[3], 0.0], [2.0 * x[0], 2.0 * x[1], 0.0, 0.0, -2.0 * x[4]]]
        ),
        constraint_lower=[0.0, 0.0],
        constraint_upper=[0.0, 0.0],
    )
    result = solve(program)
    assert result.status == "optimal" and result.iterations <= 30
    assert result.x == pytest.approx([1.0, 0.0, 0.0, 0.0, 0.0], abs=1e-3)


def test_a_start_where_the_violation_is_stationary_is_left() -> None:
    """At 0 a circle to stay out of has no gradient; the method is led to a point of least violation first."""
    m = adj.Program("outside")
    x = m.input("x", [0.0, 0.0])
    rows = {"right": x[0] + x[1] ** 2 >= 0, "above": x[0] ** 2 + x[1] >= 0, "outside": x[0] ** 2 + x[1] ** 2 >= 1}
    f = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    result = adj.Problem(m, minimize=f, over={"x": ([-0.5, -np.inf], [0.5, np.inf])}, subject_to=rows).solve(
        "interior-point"
    )
    assert result.success and result.residuals().primal <= 1e-7


@pytest.mark.parametrize("change", [1e-3, 0.9])
def test_warm_starts_from_near_and_far(change: float) -> None:
    """With a small change the active bounds stay, and few steps are needed; with a large one they do not."""
    m = adj.Program("projection")
    x, p = m.input("x", np.zeros(20)), m.input("p", np.linspace(-1.0, 1.0, 20))
    problem = adj.Problem(m, minimize=np.sum((x - p) ** 4 + (x - p) ** 2), over={"x": (0.0, 0.5)})
    moved = {"p": np.linspace(-1.0, 1.0, 20) * (1 - change) + change}
    first = problem.solve("interior-point")
    cold = problem.solve("interior-point", values=moved)
    warm = problem.solve("interior-point", values=moved, start=first)
    assert warm.success and warm.fun == pytest.approx(cold.fun, abs=1e-6)
    np.testing.assert_allclose(warm.x, cold.x, atol=1e-4)
    assert warm.nit <= (4 if change < 0.1 else cold.nit + 8)
