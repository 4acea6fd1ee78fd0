"""How optima move with parameters: against closed forms and optima computed again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj


def program() -> adj.Program:
    m = adj.Program()
    p, r = m.input("p", [3.0, 1.0]), m.input("r", 2.5)
    x = m.input("x", [0.5, 0.5, 0.5])
    m.define("f", (x[0] - p[0]) ** 2 + (x[1] - p[1]) ** 2 * np.exp(x[2]) + x[2] ** 2 + x[0] * x[2])
    m.define("sum", x[0] + x[1] - r)
    m.define("product", x[0] * x[1])
    return m


def problem(maximize: bool = False) -> adj.Problem:
    m = program()
    goal: dict[str, Any] = {"maximize": -m["f"]} if maximize else {"minimize": "f"}
    return adj.Problem(m, over={"x": (0, 4)}, subject_to={"sum": m["sum"] <= 0, "product": m["product"] == 1.2}, **goal)


METHODS = ["interior-point", "SLSQP", "trust-constr", "sqp", "augmented-lagrangian"]


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_against_optima_computed_again(method: str, maximize: bool) -> None:
    P = problem(maximize)
    s = P.solve(method=method).sensitivity(["r", "p"])
    assert s.active == ["sum (upper)", "x[2] (lower bound)"] and s.weak == []
    h = 1e-4
    ends = [P.solve(method="interior-point", values={"r": 2.5 + d}) for d in (h, -h)]
    np.testing.assert_allclose(s["x", "r"], (ends[0].x - ends[1].x) / (2 * h), atol=1e-5)
    assert s.objective["r"] == pytest.approx((ends[0].fun - ends[1].fun) / (2 * h), rel=1e-6)
    for name in ("sum", "product", "x"):
        difference = (np.array(ends[0].multipliers[name]) - ends[1].multipliers[name]) / (2 * h)
        np.testing.assert_allclose(s.multipliers[name, "r"], difference, rtol=1e-4, atol=1e-5)
    for j in range(2):
        step = h * np.eye(2)[j]
        ends = [P.solve(method="interior-point", values={"p": np.array([3.0, 1.0]) + d}) for d in (step, -step)]
        np.testing.assert_allclose(s["x", "p"][:, j], (ends[0].x - ends[1].x) / (2 * h), atol=1e-5)
        assert s.objective["p"][j] == pytest.approx((ends[0].fun - ends[1].fun) / (2 * h), rel=1e-6)


def random_problem(seed: int) -> tuple[adj.Problem, np.ndarray]:
    """A convex objective, curved constraints and bounds, some of them active; and a direction of the parameters."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(2, 7)), int(rng.integers(1, 4))
    m = adj.Program()
    p, x = m.input("p", rng.normal(size=k)), m.input("x", 0.1 * rng.normal(size=n))
    Q, C, A = rng.normal(size=(n, n)), rng.normal(size=(n, k)), rng.normal(size=(2, n))
    quadratic = 0.5 * x @ ((Q @ Q.T + 0.5 * np.eye(n)) @ x) + x @ (C @ p)
    m.define("f", quadratic + 0.1 * np.sum(np.exp(0.3 * x)) + 0.2 * np.sum(p) ** 2)
    lower = np.where(rng.random(n) < 0.5, -0.5 * np.abs(rng.normal(size=n)), -np.inf)
    upper = np.where(rng.random(n) < 0.5, 0.5 * np.abs(rng.normal(size=n)), np.inf)
    limits: dict[str, Any] = {"limits": A @ x + 0.1 * np.sum(p) + 0.05 * np.sum(x**2) <= 0.5 + rng.random(2)}
    if seed % 2:
        limits["equal"] = np.sum(np.sin(x)) * 0.5 == 0.05 + 0.1 * p[0]
    if seed % 3:
        limits["range"] = adj.between(-0.1, x[0] * x[1] + x[-1], 0.2)
    return adj.Problem(m, minimize="f", over={"x": (lower, upper)}, subject_to=limits), rng.normal(size=k)


@pytest.mark.parametrize("seed", range(8))
def test_random_problems(seed: int) -> None:
    P, d = random_problem(seed)
    p0, h = np.array(P.program.inputs[P.program["p"]]), 1e-5
    ends = [P.solve(method="interior-point", values={"p": p0 + s * h * d}, options={"tol": 1e-11}) for s in (1, -1)]
    best = P.solve(method="interior-point").fun
    for method in ("interior-point", "sqp", "SLSQP"):
        result = P.solve(method=method, options={"ftol": 1e-12} if method == "SLSQP" else {})
        assert result.success and result.fun == pytest.approx(best, abs=1e-6)
        s = result.sensitivity("p")
        np.testing.assert_allclose(s["x", "p"] @ d, (ends[0].x - ends[1].x) / (2 * h), atol=1e-3)
        assert s.objective["p"] @ d == pytest.approx((ends[0].fun - ends[1].fun) / (2 * h), abs=1e-5)
        for name in [*P.constraints, "x"]:
            difference = (np.array(ends[0].multipliers[name]) - ends[1].multipliers[name]) / (2 * h)
            np.testing.assert_allclose(s.multipliers[name, "p"] @ d, difference, atol=1e-2)


def test_quadratic_program_closed_form() -> None:
    # min ½ xᵀ Q x − bᵀ x subject to A x = c: dx/dc and dλ/dc are blocks of the inverse of the KKT matrix.
    Q, A = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 2.0]]), np.array([[1.0, 1.0, 1.0]])
    m = adj.Program()
    b, c, x = m.input("b", [1.0, -1.0, 2.0]), m.input("c", [0.7]), m.input("x", np.zeros(3))
    m.define("f", 0.5 * x @ (Q @ x) - b @ x)
    result = adj.Problem(m, minimize="f", over=["x"], subject_to={"plane": A @ x - c == 0}).solve(
        method="interior-point"
    )
    s = result.sensitivity()
    K = np.linalg.inv(np.block([[Q, -A.T], [A, np.zeros((1, 1))]]))
    np.testing.assert_allclose(s["x", "b"], K[:3, :3], atol=1e-12)
    np.testing.assert_allclose(s["x", "c"], K[:3, 3:], atol=1e-12)
    np.testing.assert_allclose(s.multipliers["plane", "c"], K[3:, 3:], atol=1e-12)
    np.testing.assert_allclose(s.multipliers["plane", "b"], K[3:, :3], atol=1e-12)
    np.testing.assert_allclose(s.objective["b"], -result.x, atol=1e-8)
    np.testing.assert_allclose(s.objective["c"], result.multipliers["plane"], atol=1e-8)


def test_multiplier_is_the_derivative_by_the_right_hand_side() -> None:
    P = problem()
    result = P.solve(method="interior-point")
    assert result.sensitivity("r").objective["r"] == pytest.approx(result.multipliers["sum"], rel=1e-7)


@pytest.mark.parametrize("formulation", ["reduced", "full"])
def test_formulations_agree(formulation: str) -> None:
    m = adj.Program()
    p, u = m.input("p", 1.0), m.input("u", 0.5)
    y = m.unknown("y", guess=1.0)
    m.define(y, np.cos(0.3 * y) + u * p)
    m.define("f", (y - 2) ** 2 + 0.1 * u**2)
    P = adj.Problem(m, minimize="f", over={"u": (-5, 5)})
    s = P.solve(method="interior-point", formulation=formulation).sensitivity("p")
    assert s["u", "p"] == pytest.approx(-0.7908918918132, rel=1e-8)
    assert s.objective["p"] == pytest.approx(-0.2141584849949, rel=1e-8)
    h = 1e-4
    ends = [P.solve(method="interior-point", formulation=formulation, values={"p": 1.0 + d}) for d in (h, -h)]
    assert s["u", "p"] == pytest.approx((ends[0].x[0] - ends[1].x[0]) / (2 * h), rel=1e-5)
    if formulation == "full":
        assert s["y", "p"] == pytest.approx((ends[0].solution["y"] - ends[1].solution["y"]) / (2 * h), rel=1e-5)
        difference = (ends[0].multipliers["y"] - ends[1].multipliers["y"]) / (2 * h)
        assert s.multipliers["y", "p"] == pytest.approx(difference, rel=1e-4)


def test_values_of_the_solve_count() -> None:
    P = problem()
    s = P.solve(method="interior-point", values={"r": 2.6}).sensitivity("r")
    h = 1e-4
    ends = [P.solve(method="interior-point", values={"r": 2.6 + d}).fun for d in (h, -h)]
    assert s.objective["r"] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6)


def test_many_variables() -> None:
    n = 800
    m = adj.Program()
    c, r, x = m.input("c", np.linspace(-1.0, 2.0, n)), m.input("r", 100.0), m.input("x", np.ones(n))
    m.define("f", 0.5 * np.sum((x - c) ** 2))
    P = adj.Problem(m, minimize="f", over={"x": (0, 10)}, subject_to={"total": np.sum(x) - r == 0})
    result = P.solve(method="interior-point")
    s = result.sensitivity("r")
    free = result.x > 1e-6
    np.testing.assert_allclose(s["x", "r"], np.where(free, 1.0 / free.sum(), 0.0), atol=1e-10)
    assert s.multipliers["total", "r"] == pytest.approx(1.0 / free.sum())


def test_mapping() -> None:
    s = problem().solve(method="interior-point").sensitivity()
    assert set(s) == {("x", "p"), ("x", "r")} and len(s) == 2
    with pytest.raises(adj.NameLookupError, match="x, p"):
        s["x", "q"]


def test_text() -> None:
    text = str(problem().solve(method="interior-point").sensitivity("r"))
    for words in ("df*/d(r): -", "d(x)/d(r): [", "dλ(sum)/d(r)", "active: sum (upper), x[2] (lower bound)"):
        assert words in text
    result = small(lambda x, p: (x[0] - p) ** 2 + (x[1] - 1) ** 2, lambda x: {"wall": x[0] >= 0})
    with pytest.warns(adj.KinkWarning):
        assert "COMPLEMENTARITY FAILS, derivatives of one side: wall (lower)" in str(result.sensitivity("p"))


# -- where it does not hold ------------------------------------------------------------------------------------------


def small(objective: Any, constraints: Any, method: str = "interior-point") -> Any:
    m = adj.Program()
    p, x = m.input("p", 0.0), m.input("x", [1.0, 1.0])
    f = objective(x, p)
    return adj.Problem(m, minimize=f, over=["x"], subject_to=constraints(x)).solve(method=method)


@pytest.mark.parametrize("method", ["interior-point", "SLSQP"])
def test_strict_complementarity(method: str) -> None:
    result = small(lambda x, p: (x[0] - p) ** 2 + (x[1] - 1) ** 2, lambda x: {"wall": x[0] >= 0}, method)
    with pytest.warns(adj.KinkWarning, match="wall"):
        s = result.sensitivity("p")
    assert s.weak == ["wall (lower)"] and s["x", "p"].tolist() == pytest.approx([1.0, 0.0])


def test_dependent_constraints() -> None:
    lines = lambda x: {"line": x[0] + x[1] == 1, "same": 2 * x[0] + 2 * x[1] == 2, "other": x[0] >= -5}
    result = small(lambda x, p: (x[0] - p) ** 2 + (x[1] - 1) ** 2, lines)
    with pytest.raises(adj.SingularError, match="linearly dependent.*line, same") as caught:
        result.sensitivity("p")
    assert caught.value.equations == ["line", "same"]


def test_more_constraints_than_variables() -> None:
    corner = lambda x: {"a": x[0] >= 1, "b": x[1] >= 1, "c": x[0] + x[1] >= 2}
    result = small(lambda x, p: x[0] + x[1] + p, corner)
    with pytest.raises(adj.SingularError, match="dependent"):
        result.sensitivity("p")


def test_second_order() -> None:
    result = small(lambda x, p: (x[0] + x[1] - p) ** 2, lambda x: {})
    with pytest.raises(adj.SingularError, match="second-order") as caught:
        result.sensitivity("p")
    assert set(caught.value.variables) == {"x[0]", "x[1]"}


def test_a_point_that_is_no_optimum() -> None:
    """Near a bound that the objective does not push against, and one that it is driven from."""
    m = adj.Program()
    p, x = m.input("p", 0.3), m.input("x", [0.5, 0.5])
    P = adj.Problem(m, minimize=(x[0] - p) ** 2 + (x[1] - 1) ** 2, over={"x": (0, 2)})
    for point in ([0.5, 1.0], [1e-5, 1.0], [0.3, 2.0 - 1e-5]):
        result = P.solve(method="L-BFGS-B")
        result.x = np.array(point)
        with pytest.raises(adj.DerivativeError, match="not optimal|another point"):
            result.sensitivity("p")


def test_not_solved() -> None:
    P = problem()
    result = P.solve(method="interior-point", options={"max_iter": 1})
    with pytest.raises(adj.DerivativeError, match="not solved"):
        result.sensitivity("p")


@pytest.mark.parametrize(
    ("name", "error"), [("x", adj.ModelError), ("f", adj.NameLookupError), ("q", adj.NameLookupError)]
)
def test_names_refused(name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        problem().solve(method="interior-point").sensitivity(name)
