"""Multipliers of the equations are costates: closed forms, and the linear regulator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate

import adjoint as adj

A, B = np.array([[0.0, 1.0], [-1.0, -0.2]]), np.array([0.0, 1.0])
Q, R, S = np.diag([2.0, 1.0]), 0.5, np.diag([3.0, 1.0])
X0, END = np.array([1.0, -0.5]), 2.0


def kelley(n: int, u: Any, **way: Any) -> tuple[adj.Program, adj.Trajectory]:
    """x' = −x + u, J = x(1): the costate is exp(t − 1)."""
    m = adj.Program("Kelley")
    given = m.input("u", np.zeros(u))
    right = lambda t, y, u: {"x": -y["x"] + u["u"]}
    path = adj.trajectory(m, right, np.linspace(0, 1, n + 1), {"x": 0.0}, {"u": given}, **way)
    m.define("J", path["x"][-1])
    m.define("times", path.t_at_nodes)
    return m, path


@pytest.mark.parametrize(
    ("method", "error"),
    [("radau3", 2e-4), ("radau5", 1e-6), ("implicit-midpoint", 1e-4), ("gauss4", 2e-7), ("gauss6", 1e-9)],
)
def test_costates_of_collocation(method: str, error: float) -> None:
    m, path = kelley(40, 40, method=method)
    sol = m.solve()
    found = path.costates(sol.multipliers("J"))["x"]
    assert found.shape == sol["times"].shape
    np.testing.assert_allclose(found, np.exp(sol["times"] - 1), atol=error)


def test_a_control_moves_the_objective_by_weight_and_costate() -> None:
    m, path = kelley(10, (10, 3))
    sol = m.solve()
    weights = 0.1 * np.array([(16 - np.sqrt(6)) / 36, (16 + np.sqrt(6)) / 36, 1 / 9])
    np.testing.assert_allclose(sol.gradient("J", "u"), weights * path.costates(sol.multipliers("J"))["x"], rtol=1e-9)


def test_a_stage_equation_counts_as_often_as_its_weight() -> None:
    m, path = kelley(10, 10, method="gauss4")
    sol = m.solve()
    multipliers = sol.multipliers("J")
    np.testing.assert_allclose(multipliers["x: collocation"], 0.5 * path.costates(multipliers)["x"], rtol=1e-12)
    np.testing.assert_allclose(multipliers["x: continuity"], np.exp(np.linspace(0, 1, 11)[1:] - 1), rtol=1e-6)


def test_euler_shoots_as_kelley_did() -> None:
    m, path = kelley(1000, 1000, transcription="single-shooting", method="euler")
    assert m.solve().gradient("J", "u")[0] * 1000 == pytest.approx(0.368063488, abs=5e-10)
    with pytest.raises(adj.ModelError, match="single shooting has no equations"):
        path.costates({})


def test_costates_of_multiple_shooting() -> None:
    m, path = kelley(20, 20, transcription="multiple-shooting", segments=5)
    found = path.costates(m.solve().multipliers("J"))["x"]
    np.testing.assert_allclose(found, np.exp(np.array([0.2, 0.4, 0.6, 0.8]) - 1), rtol=1e-6)
    with pytest.raises(adj.ModelError, match="no multipliers of 'x: continuity'"):
        path.costates({"J": 1.0})


# -- the linear regulator: u = −R⁻¹ Bᵀ P x, p = P x, with P from the Riccati equation ------------------------------


def regulator() -> tuple[Any, Any]:
    def riccati(t: float, flat: Any) -> Any:
        P = flat.reshape(2, 2)
        return -(A.T @ P + P @ A - P @ np.outer(B, B) @ P / R + Q).reshape(-1)

    exact = {"rtol": 1e-12, "atol": 1e-12, "dense_output": True}
    back = scipy.integrate.solve_ivp(riccati, (END, 0), S.reshape(-1), **exact)
    P = lambda t: back.sol(t).reshape(2, 2)
    x = scipy.integrate.solve_ivp(lambda t, x: A @ x - B * (B @ P(t) @ x) / R, (0, END), X0, **exact)
    return P, x.sol


def linear_quadratic(n: int, **way: Any) -> tuple[adj.Problem, adj.Trajectory]:
    m = adj.Program("regulator")
    collocated = way["transcription"] == "collocation"
    u = m.input("u", np.zeros((n, 3) if collocated else n + 1))
    start = {"q": m.input("q0", X0)}
    right = lambda t, y, u: {"q": y["q"] @ A.T + u["u"][..., None] * B}
    path = adj.trajectory(m, right, np.linspace(0, END, n + 1), start, {"u": u}, **way)
    running = path.integral(lambda t, y, u: np.sum(y["q"] @ Q * y["q"], axis=-1) + R * u["u"] ** 2)
    m.define("J", 0.5 * running + 0.5 * path["q"][-1] @ S @ path["q"][-1])
    m.define("times", path.t_at_nodes)
    return adj.Problem(m, minimize="J", over=["u"]), path


@pytest.mark.parametrize("formulation", ["full", "reduced"])
@pytest.mark.parametrize(("way", "error"), [("collocation", 1e-7), ("multiple-shooting", 1e-5)])
def test_regulator(way: str, formulation: str, error: float) -> None:
    P, x = regulator()
    problem, path = linear_quadratic(20, transcription=way)
    result = problem.solve("interior-point", formulation=formulation, tol=1e-10)
    assert result.fun == pytest.approx(0.5 * X0 @ P(0) @ X0, rel=error)
    np.testing.assert_allclose(result.solution.gradient("J", "q0"), P(0) @ X0, rtol=1e-4)
    times = result.solution["times"] if way == "collocation" else np.linspace(0, END, 21)[1:-1]
    found = path.costates(result.multipliers)["q"].reshape(-1, 2)
    expected = np.array([P(t) @ x(t) for t in times.reshape(-1)])
    np.testing.assert_allclose(found, expected, atol=2e-4)
