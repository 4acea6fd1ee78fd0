"""Sequential quadratic programming: its quadratic programs, its matrices, and programs written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.errors import ModelError
from adjoint.optimize.sqp import SQPOptions, solve
from adjoint.optimize.sqp.convex import convexified
from adjoint.optimize.sqp.quadratic import QuadraticProgram, QuadraticSolution, solve_quadratic

from .nlp_cases import CASES, Program, check_optimality, hs071, quadratic, rosenbrock

inf = np.inf


# -- quadratic programs ------------------------------------------------------------------------------------


def random_quadratic(seed: int) -> QuadraticProgram:
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 15)), int(rng.integers(0, 20))
    root = rng.standard_normal((n, max(1, n // 2)))
    low = rng.standard_normal(m) - 1.0
    high = low + np.where(rng.random(m) < 0.3, 0.0, 2.0 * rng.random(m))
    low[rng.random(m) < 0.2] = -inf
    lower, upper = -2.0 * rng.random(n) - 1e-3, 2.0 * rng.random(n) + 1e-3
    g, price = rng.standard_normal(n) * 10.0 ** rng.uniform(-3, 3), 10.0 ** rng.uniform(0, 6)
    B = root @ root.T + 1e-8 * np.eye(n)
    return QuadraticProgram(B, g, rng.standard_normal((m, n)), low, high, lower, upper, price)


def check_quadratic(q: QuadraticProgram, s: QuadraticSolution) -> None:
    """The conditions of the elastic program: multipliers of violated rows are the price."""
    size = max(1.0, float(np.abs(q.g).max()), float(np.abs(s.y).max(initial=0.0)))
    r = q.B @ s.d + q.g + q.A.T @ s.y
    assert np.abs(s.d - np.clip(s.d - r, q.lower, q.upper)).max() <= 1e-6 * size
    c = q.A @ s.d
    assert (np.abs(s.y) <= q.price * (1 + 1e-6)).all()
    over, under = c > q.high + 1e-6, c < q.low - 1e-6
    assert s.y[over] == pytest.approx(q.price, rel=1e-4)
    assert s.y[under] == pytest.approx(-q.price, rel=1e-4)
    inside = (c > q.low + 1e-5) & (c < q.high - 1e-5)
    assert (np.abs(s.y[inside]) <= 1e-4 * size).all()


@pytest.mark.parametrize("seed", range(40))
def test_quadratic_programs(seed: int) -> None:
    q = random_quadratic(seed)
    s = solve_quadratic(q)
    assert s.accurate and s.iterations < 60
    check_quadratic(q, s)


def test_rows_that_contradict_each_other() -> None:
    one = np.ones(2)
    q = QuadraticProgram(
        np.eye(2), np.zeros(2), np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([1.0, 3.0]), np.array([1.0, 3.0]),
        -5.0 * one, 5.0 * one, 100.0,
    )  # fmt: skip
    s = solve_quadratic(q)
    assert s.violation == pytest.approx(2.0, abs=1e-8)
    assert s.d == pytest.approx(0.5 * one, abs=1e-6)  # the nearest of those that violate least


# -- convexity ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_the_step_on_the_active_rows_is_kept(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = 8, 3
    A = rng.standard_normal((m, n))
    Z = np.linalg.svd(A)[2][m:].T
    H = rng.standard_normal((n, n))
    H = H + H.T
    H += Z @ (20.0 * np.eye(n - m)) @ Z.T  # positive definite in the null space only
    B = convexified(H, A)
    assert np.linalg.eigvalsh(B)[0] > 0.0
    K = [[H, A.T], [A, np.zeros((m, m))]], [[B, A.T], [A, np.zeros((m, m))]]
    b = rng.standard_normal(n + m)
    d, e = (np.linalg.solve(np.block(k), b)[:n] for k in K)
    assert d == pytest.approx(e, abs=1e-7)


def test_negative_curvature_in_the_null_space() -> None:
    H = np.diag([-3.0, 2.0, 1.0])
    none = np.zeros((0, 3))
    assert np.diag(convexified(H, none)) == pytest.approx([3.0, 2.0, 1.0])
    assert np.diag(convexified(H, none, turned=False)) == pytest.approx([0.0, 2.0, 1.0], abs=1e-6)
    dependent = np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert np.linalg.eigvalsh(convexified(H, dependent))[0] > 0.0


# -- the method --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_ends_as_it_must(name: str) -> None:
    case = CASES[name]
    program = case.make()
    outcome = solve(program, {"max_iter": 500})
    assert outcome.status in case.status, outcome.message
    if name.endswith("(hs013)"):
        return  # there are no multipliers
    if case.f is not None:
        assert program.objective(outcome.x) == pytest.approx(case.f, rel=1e-6, abs=1e-6)
    if case.x is not None:
        assert outcome.x == pytest.approx(np.array(case.x), abs=1e-5)
    if case.y is not None:
        assert outcome.y == pytest.approx(np.array(case.y), abs=1e-5)
    if outcome.status == "optimal":
        check_optimality(program, outcome)
    if outcome.status == "infeasible":
        assert "row[" in outcome.message or "x[" in outcome.message


def test_few_evaluations_on_the_classical_problem() -> None:
    outcome = solve(hs071())
    assert outcome.iterations <= 8
    assert outcome.evaluations["objective"] <= 9 and outcome.evaluations["hessian"] <= 8


def test_scaling_does_not_change_multipliers() -> None:
    scaled, plain = (
        solve(hs071(), {"nlp_scaling_max_gradient": 1e-2}),
        solve(hs071(), {"nlp_scaling_max_gradient": inf}),
    )
    assert scaled.y == pytest.approx(plain.y, abs=1e-5)
    assert scaled.z_lower == pytest.approx(plain.z_lower, abs=1e-5)


def test_warm_start_ends_at_once() -> None:
    first = solve(hs071())
    again = solve(hs071(), start=(first.x, first.y))
    assert again.status == "optimal" and again.iterations <= 1


def test_limits_and_callback() -> None:
    assert solve(rosenbrock(), {"max_iter": 3}).status == "iteration_limit"
    assert solve(rosenbrock(20), {"max_wall_time": 0.0}).status == "time_limit"
    seen: list[Any] = []

    def stop(state: Any) -> bool:
        seen.append(state)
        return state.record.iteration >= 2

    assert solve(rosenbrock(), callback=stop).status == "stopped"
    assert [s.record.iteration for s in seen] == [0, 1, 2]
    assert seen[0].x.shape == (2,)


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    solve(hs071(), {"print_level": 5})
    lines = capsys.readouterr().out.splitlines()
    assert "penalty" in lines[0] and lines[-1].startswith("sqp: an optimal point was found")


def test_options_are_checked() -> None:
    assert SQPOptions.of(None) == SQPOptions()
    with pytest.raises(ModelError, match="sqp: .*max_iter"):
        solve(hs071(), {"max_iters": 3})
    with pytest.raises(ModelError, match="not negative"):
        solve(hs071(), {"tol": -1.0})
    with pytest.raises(ModelError, match="is one of"):
        solve(hs071(), {"hessian_approximation": "sr1"})


# -- stationary points that are none -----------------------------------------------------------------------


def outside(x0: Any) -> Program:
    """x0² + 2 x1² outside the unit circle, whose violation has a maximum at its center."""
    return quadratic_and(
        x0, np.diag([2.0, 4.0]), lambda x: [x @ x], lambda x: [2.0 * x], lambda x, y: 2.0 * y[0] * np.eye(2)
    )


def quadratic_and(x0: Any, Q: np.ndarray, c: Any, jac: Any, hess: Any, **sides: Any) -> Program:
    """½ xᵀQx with rows c(x) ≥ 1."""
    return Program(
        x0, lambda x: 0.5 * x @ Q @ x, lambda x: Q @ x, lambda x, s, y: s * Q + hess(x, y), c, jac,
        constraint_lower=[1.0], constraint_upper=[inf], **sides,
    )  # fmt: skip


def product(n: int = 4) -> Program:
    """Σ xᵢ with Π xᵢ ≥ 0.01: all derivatives of the product up to order n − 1 vanish at the start 0."""

    def without(x: np.ndarray, *gone: int) -> float:
        return float(np.prod(np.delete(x, gone)))

    def hess(x: np.ndarray, s: float, y: np.ndarray) -> np.ndarray:
        return y[0] * np.array([[without(x, i, j) if i != j else 0.0 for j in range(n)] for i in range(n)])

    return Program(
        np.zeros(n), lambda x: x.sum(), lambda x: np.ones(n), hess, lambda x: [np.prod(x)],
        lambda x: [[without(x, i) for i in range(n)]], lower=0.0, upper=1.0,
        constraint_lower=[0.01], constraint_upper=[inf],
    )  # fmt: skip


def test_a_maximum_of_the_violation_is_left_by_its_curvature() -> None:
    outcome = solve(outside([0.0, 0.0]))
    assert outcome.status == "optimal"
    assert abs(outcome.x[0]) == pytest.approx(1.0, abs=1e-6) and outcome.x[1] == pytest.approx(0.0, abs=1e-5)
    check_optimality(outside([0.0, 0.0]), outcome)


def test_a_saddle_of_higher_order_is_left_at_random() -> None:
    outcome = solve(product())
    assert outcome.status == "optimal"
    assert outcome.x == pytest.approx(np.full(4, 0.01**0.25), abs=1e-5)


def test_a_saddle_of_the_objective_is_left() -> None:
    outcome = solve(quadratic([[-2.0, 0.0], [0.0, 2.0]], [0.0, 0.0], [0.0, 0.3], lower=-0.5, upper=1.0))
    assert outcome.status == "optimal" and outcome.x == pytest.approx([1.0, 0.0], abs=1e-6)


def test_a_saddle_along_a_curved_row_is_left() -> None:
    """x0² − x1² on the unit circle has its maxima, first-order points too, at (±1, 0)."""
    Q = np.diag([2.0, -2.0])
    program = Program(
        [1.0, 0.0], lambda x: 0.5 * x @ Q @ x, lambda x: Q @ x, lambda x, s, y: s * Q + 2.0 * y[0] * np.eye(2),
        lambda x: [x @ x], lambda x: [2.0 * x], constraint_lower=[1.0], constraint_upper=[1.0],
    )  # fmt: skip
    outcome = solve(program)
    assert outcome.status == "optimal" and np.abs(outcome.x) == pytest.approx([0.0, 1.0], abs=1e-6)


def test_of_several_stationary_points_the_least_violated_is_returned() -> None:
    case = CASES["a local minimum of the violation"]
    outcome = solve(case.make())
    assert outcome.status == "infeasible" and outcome.x == pytest.approx(np.array(case.x), abs=1e-4)


def test_units_of_variables() -> None:
    """A saddle of the objective in units that differ by 1e6: curvature is judged in units of the variables."""
    size = np.array([1.0, 1e6, 1e3])
    Q = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, -2.0], [0.0, -2.0, -1.0]]) / size / size[:, None]
    A = np.array([[1.0, 1.0, 1.0], [0.0, 1.0, -2.0]]) / size
    sides = {"constraint_lower": [3.0, -1.0], "constraint_upper": [3.0, -1.0]}
    outcome = solve(quadratic(Q, np.array([1.0, -1.0, 0.5]) / size, 2.0 * size, A, lower=0.0, **sides))
    assert outcome.status in ("optimal", "acceptable") and outcome.iterations <= 8


def test_a_problem_by_name() -> None:
    m = adj.Program("circle")
    x = m.input("x", np.array([0.5, 0.1]))
    m.define("radius", x[0] ** 2 + x[1] ** 2)
    m.define("f", x[0] + x[1])
    problem = adj.Problem(m, minimize="f", over=["x"], subject_to=[m["radius"] <= 1.0])
    result = problem.solve(method="sqp")
    assert result.success and result.fun == pytest.approx(-np.sqrt(2.0), abs=1e-8)
    assert problem.solve(method="sqp", start=result).nit <= 1



@pytest.mark.parametrize(("name", "optimum"), [("avion2", 94680129.57902949), ("hs99exp", -1008062500.0)])
def test_variables_and_objectives_in_large_units(data: Path, name: str, optimum: float) -> None:
    path = data / "nl" / "cute" / f"{name}.nl"
    if not path.exists():
        pytest.skip(f"no {name}.nl")
    result = adj.read_nl(path).solve(method="sqp")
    assert result.success and result.fun == pytest.approx(optimum, rel=1e-8)
    assert result.nit <= 40 and result.residuals().primal <= 1e-8
