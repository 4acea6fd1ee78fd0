"""Problems: what is minimized, over what, subject to what, and what a result says."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.optimize as so

import adjoint as adj
from adjoint import function
from adjoint.problem import FORMATS
from tests.models import sellar

OVER = {"z1": (-10, 10), "z2": (0, 10), "x": (0, 10)}


def plane() -> adj.Program:
    """f = (x − 1)² + (y − 2)² over the plane."""
    m = adj.Program()
    x, y = m.input("x", 0.0), m.input("y", 0.0)
    m.define("f", (x - 1) ** 2 + (y - 2) ** 2)
    return m


# -- the reference example ---------------------------------------------------------------------------------


def test_sellar() -> None:
    m = sellar()
    y1, y2 = m["y1"], m["y2"]
    problem = adj.Problem(m, minimize="f", over=OVER, subject_to=[y1 >= 3.16, y2 <= 24.0])
    result = problem.solve(method="SLSQP")
    assert isinstance(result, so.OptimizeResult)
    assert result.success
    np.testing.assert_allclose(result.x, [1.9776388, 0.0, 0.0], atol=1e-6)
    assert result.fun == pytest.approx(3.18339395)
    assert result.solution["y1"] == pytest.approx(3.16)
    assert result.nit < 20
    assert result.failed_solves == []
    assert result.multipliers["y1 >= 3.16"] > 0.9
    assert result.multipliers["y2 <= 24"] == pytest.approx(0.0, abs=1e-9)


# -- objective ---------------------------------------------------------------------------------------------


def test_objectives_by_name_variable_or_expression() -> None:
    m = plane()
    for objective in ("f", m["f"], m["f"] * 2 + 1.0):
        result = adj.Problem(m, minimize=objective).solve()
        np.testing.assert_allclose(result.x, [1.0, 2.0], atol=1e-6)


def test_maximize_is_minimize_with_the_other_sign() -> None:
    m = plane()
    x, y = m["x"], m["y"]
    low = adj.Problem(m, minimize=m["f"] * -1.0, over=["x", "y"], subject_to={"disc": x**2 + y**2 <= 5}).solve(
        start={"x": -0.1}
    )
    high = adj.Problem(m, maximize="f", over=["x", "y"], subject_to={"disc": x**2 + y**2 <= 5}).solve(start={"x": -0.1})
    np.testing.assert_allclose(high.x, low.x, atol=1e-6)
    assert high.fun == pytest.approx(-low.fun)
    assert high.fun == pytest.approx(20.0, rel=1e-5)
    assert high.multipliers["disc"] == pytest.approx(-low.multipliers["disc"], rel=1e-4)
    assert high.multipliers["disc"] == pytest.approx(2.0, rel=1e-4)  # d(√5 + r)²/dr² at r = √5


def test_one_objective_and_a_scalar() -> None:
    m = plane()
    m.input("v", np.ones(2))
    for keywords in (
        {},
        {"minimize": "f", "maximize": "f"},
        {"minimize": m["v"]},
        {"minimize": "q"},
        {"minimize": [3.0]},
        {"minimize": np.inf},
        {"minimize": m["f"] <= 3},
        {"minimize": "f", "over": "q"},
        {"minimize": "f", "over": ["f"]},
        {"minimize": "f", "over": []},
        {"minimize": "f", "over": {"x": 3}},
        {"minimize": "f", "over": {"x": (1, 0)}},
        {"minimize": "f", "over": {"x": (np.nan, 0)}},
        {"minimize": "f", "over": {"v": (np.zeros(3), None)}},
        {"minimize": "f", "over": 3},
        {"minimize": "f", "subject_to": [True]},
        {"minimize": "f", "subject_to": [m["x"]]},
        {"minimize": "f", "subject_to": [m["x"] != 1]},
        {"minimize": "f", "subject_to": 3},
        {"minimize": "f", "subject_to": "x <= 3"},
        {"minimize": "f", "subject_to": [adj.Program().input("x", 1.0) <= 2]},
    ):
        with pytest.raises(adj.AdjointError):
            adj.Problem(m, **keywords)
    with pytest.raises(adj.ModelError):
        adj.Problem("m", minimize="f")  # type: ignore[arg-type]


def test_a_constant_objective_asks_for_a_feasible_point() -> None:
    m = plane()
    x, y = m["x"], m["y"]
    for keywords in ({"minimize": 0}, {"maximize": 3.0}, {"minimize": np.float64(2.0)}):
        problem = adj.Problem(m, subject_to={"line": x + y == 2, "cap": x <= 0.5}, **keywords)
        result = problem.solve()
        assert problem.is_feasibility and result.success
        assert result.x.sum() == pytest.approx(2.0)
        assert result.x[0] <= 0.5 + 1e-9
        assert result.multipliers["line"] == pytest.approx(0.0, abs=1e-9)
    assert not adj.Problem(m, minimize="f").is_feasibility


def test_a_problem_leaves_its_program_alone() -> None:
    m = plane()
    before = list(m.variables), list(m.equations)
    adj.Problem(m, minimize=m["f"] + 1.0, subject_to=[m["x"] + m["y"] <= 1]).solve()
    assert (list(m.variables), list(m.equations)) == before


def test_several_problems_on_one_program() -> None:
    m = plane()
    free = adj.Problem(m, minimize="f")
    bound = adj.Problem(m, minimize="f", over={"x": (None, 0.5), "y": (None, None)})
    np.testing.assert_allclose(bound.solve().x, [0.5, 2.0], atol=1e-6)
    np.testing.assert_allclose(free.solve().x, [1.0, 2.0], atol=1e-6)


# -- over --------------------------------------------------------------------------------------------------


def test_forms_of_over() -> None:
    m = plane()
    x = m["x"]
    for over, expected in (
        (None, [1.0, 2.0]),
        (["y", "x"], [2.0, 1.0]),
        ("x", [1.0]),
        (x, [1.0]),
        ([x], [1.0]),
        ({"x": (None, 0.5)}, [0.5]),
        ({x: (-np.inf, 0.5)}, [0.5]),
        ({"x": [0.75, 0.8]}, [0.8]),
        ({"x": (0.2, 0.2), "y": (0, 9)}, [0.2, 2.0]),
    ):
        np.testing.assert_allclose(adj.Problem(m, minimize="f", over=over).solve().x, expected, atol=1e-6)


def test_bounds_of_arrays() -> None:
    m = adj.Program()
    v = m.input("v", np.zeros(3))
    m.define("f", np.sum((v - np.array([1.0, 2.0, 3.0])) ** 2))
    result = adj.Problem(m, minimize="f", over={"v": (-1, [0.5, np.inf, 2.5])}).solve()
    np.testing.assert_allclose(result.solution["v"], [0.5, 2.0, 2.5], atol=1e-6)


def test_unknowns_that_the_equations_leave_free() -> None:
    """One equation, two unknowns: the optimizer moves one, the equation determines the other."""
    m = adj.Program()
    target = m.input("target", 2.0)
    u, y = m.unknown("u", guess=0.5, lower=-5.0, upper=5.0), m.unknown("y")
    m.constrain(y + 0.1 * y**3 == u, name="response")
    m.define("f", (y - target) ** 2)
    assert not m.check()
    problem = adj.Problem(m, minimize="f", over=["u"])
    assert problem.bounds[problem.program["u"]] == (-5.0, 5.0)
    result = problem.solve(options={"ftol": 1e-14})
    assert result.success
    assert result.solution["y"] == pytest.approx(2.0, abs=1e-5)
    assert result.solution["u"] == pytest.approx(2.8, abs=1e-5)
    assert "response" in result.multipliers
    with pytest.raises(adj.StructureError):
        adj.Problem(m, minimize="f", over=["target"]).solve()


def test_optimizing_over_the_state_instead_of_the_control() -> None:
    """The equation is turned round: y is moved, u follows."""
    m = adj.Program()
    u, y = m.unknown("u", guess=0.0), m.unknown("y", guess=0.5)
    m.constrain(y + 0.1 * y**3 == u, name="response")
    m.define("f", (y - 2.0) ** 2 + 0.0 * u)
    result = adj.Problem(m, minimize="f", over={"y": (0, 1.5)}, subject_to=[u <= 10]).solve()
    np.testing.assert_allclose(result.x, [1.5], atol=1e-8)
    assert result.solution["u"] == pytest.approx(1.8375)


# -- constraints -------------------------------------------------------------------------------------------


def test_forms_of_constraints() -> None:
    m = plane()
    x, y = m["x"], m["y"]
    for constraint, expected in (
        (x + y <= 2, [0.5, 1.5]),
        (2 >= x + y, [0.5, 1.5]),
        (x + y == 2, [0.5, 1.5]),
        (x + y < 2, [0.5, 1.5]),
        (x + y >= 4, [1.5, 2.5]),
        (x >= y, [1.5, 1.5]),
        (x - y == 0, [1.5, 1.5]),
        (adj.between(4, x + y, 5), [1.5, 2.5]),
        (adj.between(-1, x + y, 2), [0.5, 1.5]),
        (adj.between(2, x + y, 2), [0.5, 1.5]),
        (np.float64(2.0) >= x + y, [0.5, 1.5]),
    ):
        for subject_to in (constraint, [constraint], (constraint,), {"line": constraint}):
            result = adj.Problem(m, minimize="f", subject_to=subject_to).solve()
            np.testing.assert_allclose(result.x, expected, atol=1e-5)


def test_names_of_constraints() -> None:
    m = plane()
    x, y = m["x"], m["y"]
    assert list(adj.Problem(m, minimize="f", subject_to={"a": x <= 1, "b": y >= 0}).constraints) == ["a", "b"]
    listed = adj.Problem(m, minimize="f", subject_to=[x <= 1, x <= 1, adj.between(0, y, 1)])
    assert list(listed.constraints) == ["x <= 1", "x <= 1 (2)", "0 <= y <= 1"]
    clash = adj.Problem(m, minimize="f", subject_to={"f": x + y <= 2, "x": y >= 0})
    result = clash.solve()
    assert set(result.constraints) == {"f", "x"}


def test_vector_constraints() -> None:
    m = adj.Program()
    v = m.input("v", np.zeros(3))
    m.define("f", np.sum((v - np.array([1.0, 2.0, 3.0])) ** 2))
    caps = v <= np.array([0.25, 5.0, 2.5])
    result = adj.Problem(m, minimize="f", subject_to={"caps": caps, "sum": np.sum(v) == 4.0}).solve()
    np.testing.assert_allclose(result.x, [0.25, 1.375, 2.375], atol=1e-6)
    assert result.multipliers["sum"] == pytest.approx(-1.25, rel=1e-5)
    np.testing.assert_allclose(result.multipliers["caps"], [-0.25, 0.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(result.constraints["caps"], result.x)


def test_a_constraint_of_no_elements_holds() -> None:
    m = adj.Program()
    x, s = m.input("x", np.zeros(0)), m.input("s", 2.0)
    m.define("f", s**2)
    result = adj.Problem(m, minimize="f", over=["s"], subject_to={"none": x * s <= 1.0}).solve()
    assert result.success
    assert result.x[0] == pytest.approx(0.0, abs=1e-6)
    assert result.multipliers["none"].shape == (0,)


def test_constraints_between_arrays_and_expressions() -> None:
    c = adj.between([0.0, -np.inf], adj.Program().input("v", np.zeros(2)), [1.0, 2.0])
    assert c.shape == (2,)
    assert not c.is_equality
    v = adj.Program().input("v", np.zeros(2))
    for use in (
        lambda: adj.between(1, v, 0),
        lambda: adj.between(0, 3.0, 1),
        lambda: adj.between(np.zeros(3), v, 1),
        lambda: adj.between(np.nan, v, 1),
        lambda: adj.between(v, v, 1),
        lambda: adj.between("a", v, 1),
    ):
        with pytest.raises(adj.AdjointError):
            use()


def test_a_constraint_on_an_input_of_larger_shape() -> None:
    """A scalar expression against a vector of bounds is a vector constraint."""
    m = plane()
    result = adj.Problem(m, minimize="f", subject_to={"both": m["x"] >= np.array([1.5, 1.7])}).solve()
    assert result.x[0] == pytest.approx(1.7, abs=1e-6)
    assert np.shape(result.multipliers["both"]) == (2,)


# -- results -----------------------------------------------------------------------------------------------


def test_fields_of_a_result() -> None:
    m = plane()
    result = adj.Problem(
        m, minimize="f", over={"x": (None, 0.5), "y": (None, None)}, subject_to={"cap": m["y"] <= 1}
    ).solve()
    assert type(result.fun) is float
    assert result.fun == result.solution["f"]
    assert isinstance(result.solution, adj.Solution)
    assert result.constraints == {"cap": pytest.approx(1.0)}
    assert result.failed_solves == []
    assert result.nfev > 0
    assert isinstance(result.message, str)
    assert result.solution.gradient("f") == pytest.approx({"x": -1.0, "y": -2.0}, abs=1e-6)


def test_multipliers_are_derivatives_of_the_optimum() -> None:
    """Of constraints, bounds and equations, by solving again with each right-hand side moved."""

    def solved(**shift: float) -> Any:
        m = adj.Program()
        x, y = m.input("x", 1.0), m.input("y", 1.0)
        u = m.unknown("u")
        m.constrain(u + 0.1 * u**3 - x * y == shift.get("model", 0.0), name="model")
        m.define("f", (x - 3) ** 2 + (y - 2) ** 2 + 0.1 * u + shift.get("f", 0.0))
        return adj.Problem(
            m,
            minimize="f",
            over={"x": (None, 2.0 + shift.get("x", 0.0)), "y": (None, None)},
            subject_to={"cap": u <= 1.0 + shift.get("cap", 0.0)},
        ).solve(options={"ftol": 1e-15, "maxiter": 500})

    result = solved()
    assert result.solution["u"] == pytest.approx(1.0, abs=1e-6)
    h = 1e-3
    for name in ("cap", "model", "f", "x"):
        slope = (solved(**{name: h}).fun - solved(**{name: -h}).fun) / (2 * h)
        assert result.multipliers[name] == pytest.approx(slope, rel=2e-3, abs=2e-4)
    assert result.multipliers["y"] == pytest.approx(0.0, abs=1e-4)


def test_equality_constraints_have_multipliers_of_either_sign() -> None:
    m = plane()
    for value, sign in ((2.0, -1.0), (4.0, 1.0)):
        result = adj.Problem(m, minimize="f", subject_to={"line": m["x"] + m["y"] == value}).solve()
        assert result.multipliers["line"] == pytest.approx(sign, rel=1e-4)


# -- start -------------------------------------------------------------------------------------------------


def test_forms_of_a_start() -> None:
    m = plane()
    seen: list[np.ndarray] = []
    problem = adj.Problem(m, minimize="f", over={"x": (-5, 5), "y": (-5, 5)})

    def first(start: Any) -> list[float]:
        seen.clear()
        original = adj.optimize.base.Reduced.value

        def noted(self: Any, x: np.ndarray) -> float:
            seen.append(np.array(x))
            return original(self, x)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(adj.optimize.base.Reduced, "value", noted)
            problem.solve(start=start)
        return seen[0].tolist()

    result = problem.solve()
    assert first(None) == [0.0, 0.0]
    assert first({"y": 3.0}) == [0.0, 3.0]
    assert first({"x": 1.0, "y": 3}) == [1.0, 3.0]
    assert first({"x": 100.0}) == [5.0, 0.0]
    assert first(result) == result.x.tolist()
    assert first(result.solution) == result.x.tolist()
    assert first(m.solve(x=4.0)) == [4.0, 0.0]
    for wrong in ({"q": 1.0}, {"x": [1.0, 2.0]}, 5.0, "x", [1.0, 2.0], {"x": np.nan}):
        with pytest.raises(adj.AdjointError):
            problem.solve(start=wrong)


def test_a_variable_without_a_start_is_named() -> None:
    m = adj.Program()
    m.define("f", (m.input("a") - 1) ** 2 + m.input("b", 0.0) ** 2)
    with pytest.raises(adj.ModelError, match="'a'"):
        adj.Problem(m, minimize="f").solve()
    assert adj.Problem(m, minimize="f").solve(start={"a": 0.0}).x[0] == pytest.approx(1.0, abs=1e-6)


def test_other_inputs_keep_their_defaults() -> None:
    m = plane()
    result = adj.Problem(m, minimize="f", over=["x"]).solve()
    assert result.solution["y"] == 0.0
    assert result.fun == pytest.approx(4.0)


# -- inner solves that fail --------------------------------------------------------------------------------


def half_plane() -> adj.Program:
    """y = √x by an equation that has no solution for x < 0."""
    m = adj.Program()
    x, y = m.input("x", 9.0), m.unknown("y", guess=1.0)
    m.constrain(y**2 == x, name="root")
    m.define("f", (x - 0.25) ** 2 + 0.01 * y)
    return m


@pytest.mark.parametrize("method", ["CG", "SLSQP", "Nelder-Mead", "COBYLA"])
def test_a_failed_inner_solve_backs_off_and_is_reported(method: str) -> None:
    result = adj.Problem(half_plane(), minimize="f", over=["x"]).solve(method=method)
    assert result.failed_solves
    assert all("cycle_1" in text for text in result.failed_solves)
    assert result.success
    assert result.x[0] == pytest.approx(0.2449487, abs=1e-3)


def test_constraints_of_a_failed_solve_back_off_too() -> None:
    m = half_plane()
    result = adj.Problem(m, minimize="f", over=["x"], subject_to=[m["y"] <= 0.4]).solve(method="SLSQP")
    assert result.solution["y"] <= 0.4 + 1e-6
    assert result.x[0] == pytest.approx(0.16, abs=1e-4)


def test_a_start_that_does_not_solve_is_an_error() -> None:
    problem = adj.Problem(half_plane(), minimize="f", over=["x"])
    with pytest.raises(adj.ConvergenceError):
        problem.solve(start={"x": -1.0})


def test_an_infeasible_problem_is_no_success() -> None:
    m = plane()
    result = adj.Problem(m, minimize="f", subject_to=[m["x"] >= 1, m["x"] <= 0]).solve(method="SLSQP")
    assert not result.success
    assert isinstance(result.solution, adj.Solution)


# -- names of elements -------------------------------------------------------------------------------------


def labelled() -> adj.Problem:
    m = adj.Program()
    v = m.input("v", np.ones((2, 2)))
    m.define("f", np.sum(v**2))
    labels = {"v": ["a", "b", "c", "d"], "limit": ["first", "second"]}
    return adj.Problem(m, minimize="f", subject_to={"limit": v[0] >= 1, "other": v[1] >= 2}, labels=labels)


def test_elements_have_names() -> None:
    problem = labelled()
    assert problem.labels == {"v": ["a", "b", "c", "d"], "limit": ["first", "second"]}
    assert [problem.element("v", k) for k in range(4)] == ["a", "b", "c", "d"]
    assert (problem.element("limit", 1), problem.element("other", 1), problem.element("f", 0)) == (
        "second",
        "other[1]",
        "f",
    )
    assert adj.Problem(plane(), minimize="f").labels == {}
    with pytest.raises(adj.NameLookupError, match="'limit'"):
        problem.element("limits", 0)


def test_names_of_elements_are_checked() -> None:
    m = plane()
    v = m.input("v", np.ones(2))
    for labels, error, words in (
        ({"v": ["a"]}, adj.ShapeError, "1 text"),
        ({"v": ["a", "b", "c"]}, adj.ShapeError, "3 texts"),
        ({"low": ["a"]}, adj.ShapeError, "low"),
        ({"w": ["a", "b"]}, adj.NameLookupError, "'v'"),
        ({"v": "ab"}, adj.ModelError, "list of texts"),
        ({"v": [1, 2]}, adj.ModelError, "list of texts"),
        ({"v": {"a", "b"}}, adj.ModelError, "list of texts"),
        (["a", "b"], adj.ModelError, "dict"),
    ):
        with pytest.raises(error, match=words):
            adj.Problem(m, minimize="f", subject_to={"low": v >= 0}, labels=labels)  # type: ignore[arg-type]


# -- files -------------------------------------------------------------------------------------------------


def test_a_problem_is_written_by_the_writer_of_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, calls = adj.Problem(plane(), minimize="f"), []
    monkeypatch.setitem(FORMATS, "nl", lambda *args, **options: calls.append((args, options)))
    problem.write_nl("model.nl", names=False)
    assert calls == [((problem, "model.nl"), {"names": False})]
    monkeypatch.delitem(FORMATS, "nl")
    with pytest.raises(adj.ModelError, match="writer"):
        problem.write_nl("model.nl")


# -- kept for later ----------------------------------------------------------------------------------------


def test_problems_and_results_are_pickled() -> None:
    m = plane()
    problem = adj.Problem(
        m, minimize="f", over={"x": (None, 0.5), "y": (-9, 9)}, subject_to={"cap": m["x"] + m["y"] <= 2}
    )
    result = problem.solve()
    again = pickle.loads(pickle.dumps(problem)).solve()
    np.testing.assert_allclose(again.x, result.x)
    kept = pickle.loads(pickle.dumps(result))
    assert kept.fun == result.fun
    assert kept.solution["x"] == result.solution["x"]
    assert kept.multipliers == result.multipliers


def test_what_a_problem_was_read_from_is_pickled() -> None:
    problem = labelled()
    problem.source, problem.relaxed = {"duals": [1.0]}, ("integers: left out",)
    again = pickle.loads(pickle.dumps(problem))
    assert (again.labels, again.source, again.relaxed) == (problem.labels, problem.source, problem.relaxed)
    assert pickle.loads(pickle.dumps(adj.Problem(plane(), minimize=0))).is_feasibility


def test_an_optimum_is_a_start_for_its_program() -> None:
    """Also where the problem added variables of its own for its constraints."""
    m = sellar()
    cap = {"cap": m["y1"] + m["x"] <= 24.0}
    result = adj.Problem(m, minimize="f", over=OVER, subject_to=cap).solve()
    sol = m.solve(dict(zip(OVER, result.x, strict=True)), start=result.solution)
    assert sol["y1"] == pytest.approx(result.solution["y1"])
    assert max(b.iterations for b in sol.blocks) <= 1


def test_one_solve_per_point_for_objective_and_constraints(monkeypatch: pytest.MonkeyPatch) -> None:
    points: list[bytes] = []
    original = function.Shared._solve

    def noted(self: Any, values: Any, start: Any) -> Any:
        points.append(b"".join(np.asarray(values[v], dtype=float).tobytes() for v in self.wrt))
        return original(self, values, start)

    monkeypatch.setattr(function.Shared, "_solve", noted)
    monkeypatch.setattr(function, "OFTEN", 10**9)  # every point is solved block by block
    m = sellar()
    result = adj.Problem(m, minimize="f", over=OVER, subject_to=[m["y1"] >= 3.16, m["y2"] <= 24.0]).solve("SLSQP")
    assert result.success
    assert len(points) == len(set(points)) == result.nsolves
    assert result.nsolves <= result.nfev + 1


# -- methods -----------------------------------------------------------------------------------------------


def test_unknown_methods_and_formulations_are_refused() -> None:
    problem = adj.Problem(plane(), minimize="f")
    for keywords, words in (
        ({"method": "SLSPQ"}, "SLSQP"),
        ({"method": None}, "None"),
        ({"method": "SLSQP", "formulation": "full"}, "formulation"),
        ({"method": "SLSQP", "formulation": "none"}, "formulation"),
    ):
        with pytest.raises(adj.AdjointError, match=words):
            problem.solve(**keywords)


def test_the_case_of_a_method_does_not_matter() -> None:
    problem = adj.Problem(plane(), minimize="f")
    for method in ("slsqp", "BFGS", "bfgs", "l-bfgs-b"):
        assert problem.solve(method=method).success


def test_options_tol_and_callback_are_passed_on() -> None:
    m = adj.Program()
    x = m.input("x", [-1.2, 1.0])
    m.define("f", 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)
    problem = adj.Problem(m, minimize="f")
    short = problem.solve(method="BFGS", options={"maxiter": 3})
    assert not short.success
    assert short.nit == 3
    seen: list[Any] = []
    full = problem.solve(method="BFGS", callback=lambda x: seen.append(np.array(x)), tol=1e-10)
    assert len(seen) == full.nit
    assert len(seen[0]) == 2
    results: list[Any] = []
    problem.solve(method="BFGS", callback=lambda intermediate_result: results.append(intermediate_result.fun))
    assert results == sorted(results, reverse=True)
