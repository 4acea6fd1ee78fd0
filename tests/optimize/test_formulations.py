"""A problem as a nonlinear program: the same in every formulation, with derivatives that finite differences confirm."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import adjoint as adj
from adjoint.optimize.formulations import Formulation
from adjoint.optimize.nlp import NonlinearProgram
from tests.models import sellar


def sellar_problem(**more: Any) -> adj.Problem:
    m = sellar()
    over = {"z1": (-10, 10), "z2": (0, 10), "x": (0, 10)}
    return adj.Problem(m, minimize="f", over=over, subject_to={"c1": m["y1"] >= 3.16, "c2": m["y2"] <= 24.0}, **more)


def chain_problem() -> adj.Problem:
    """Arrays, definitions on the way, a cycle, and an unknown that the equations leave free."""
    m = adj.Program("chain")
    p = m.input("p", np.array([0.4, -0.3, 0.2]))
    w = m.define("w", np.sin(p) + 1.5)
    u = m.unknown("u", guess=np.ones(3))
    free = m.unknown("free", guess=0.3, lower=-2.0, upper=2.0)
    m.constrain(u**3 + w * u - 2.0 - 0.1 * np.roll(u, 1) - free, name="cubic")
    m.define("total", np.sum(u * w) + free**2)
    return adj.Problem(
        m,
        maximize=-m["total"] - np.sum(p**2),
        over={"p": (-1, 1), "free": (None, None)},
        subject_to={"band": adj.between(0.2, u, 1.4), "cap": w[0] * free <= 2.0},
    )


FORMULATIONS: list[Any] = ["reduced", "full", {"cycle_1": "full"}]
PROBLEMS = {"sellar": sellar_problem, "chain": chain_problem}


def matrix(pattern: tuple[np.ndarray, np.ndarray], data: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return sp.coo_array((data, pattern), shape=shape).toarray()


@pytest.mark.parametrize("formulation", FORMULATIONS, ids=str)
@pytest.mark.parametrize("name", PROBLEMS)
def test_derivatives(name: str, formulation: Any) -> None:
    nlp = Formulation(PROBLEMS[name](), formulation)
    assert isinstance(nlp, NonlinearProgram)
    rng = np.random.default_rng(2)
    x, h = nlp.x0 + 0.03 * rng.standard_normal(nlp.n), 1e-6
    y = rng.standard_normal(nlp.m)

    def gradient_of_lagrangian(x: np.ndarray) -> np.ndarray:
        return 0.7 * nlp.gradient(x) + matrix(nlp.jacobian_pattern, nlp.jacobian(x), (nlp.m, nlp.n)).T @ y

    J = matrix(nlp.jacobian_pattern, nlp.jacobian(x), (nlp.m, nlp.n))
    assert nlp.hessian_pattern is not None
    H = matrix(nlp.hessian_pattern, nlp.hessian(x, 0.7, y), (nlp.n, nlp.n))
    assert np.all(np.triu(H, 1) == 0)
    H = H + np.tril(H, -1).T
    for k, e in enumerate(np.eye(nlp.n) * h):
        assert (nlp.objective(x + e) - nlp.objective(x - e)) / (2 * h) == pytest.approx(nlp.gradient(x)[k], abs=1e-6)
        assert (nlp.constraints(x + e) - nlp.constraints(x - e)) / (2 * h) == pytest.approx(J[:, k], abs=1e-6)
        difference = (gradient_of_lagrangian(x + e) - gradient_of_lagrangian(x - e)) / (2 * h)
        assert difference == pytest.approx(H[:, k], abs=2e-6)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_full_space_holds_the_reduced_one(name: str) -> None:
    """At a solution of the equations both have the same objective and constraints, and the residuals vanish."""
    problem = PROBLEMS[name]()
    reduced, full = Formulation(problem), Formulation(problem, "full")
    reduced.objective(reduced.x0)
    z = {v.name: reduced._function.solution[v.name] for v in full.variables}
    at = full.at(start=z)
    equations = sum(e.size for e in full.kept.equations)
    assert np.abs(at.constraints(at.x0)[:equations]).max() < 1e-9
    assert at.constraints(at.x0)[equations:] == pytest.approx(reduced.constraints(reduced.x0), abs=1e-9)
    assert at.objective(at.x0) == pytest.approx(reduced.objective(reduced.x0), rel=1e-9)


def test_names_and_bounds() -> None:
    nlp = Formulation(chain_problem(), "full")
    assert nlp.names()[:4] == ["p[0]", "p[1]", "p[2]", "free"]
    assert "cubic[2]" in nlp.constraint_names() and nlp.constraint_names()[-1] == "cap"
    assert nlp.lower[3] == -2.0 and nlp.upper[3] == 2.0
    assert nlp.rows[-2:] == [("band", 3), ("cap", 1)]


def test_other_data_and_starts_share_the_structure() -> None:
    m = adj.Program()
    x = m.input("x", np.ones(3))
    m.define("f", np.sum((x - m.input("p", 2.0)) ** 4))
    nlp = Formulation(adj.Problem(m, minimize="f", over=["x"]))
    _ = nlp.jacobian_pattern, nlp.hessian_pattern
    other = nlp.at({"p": 3.0}, {"x": np.zeros(3)})
    assert other.x0.tolist() == [0.0] * 3 and other.objective(other.x0) == 243.0 and nlp.objective(nlp.x0) == 3.0
    assert other.cache is nlp.cache and other.jacobian_pattern is nlp.jacobian_pattern
    with pytest.raises(adj.ModelError, match="moved by the optimizer"):
        nlp.at({"x": 1.0})


def test_points_without_a_value_are_named() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    m.define("f", np.log(x))
    nlp = Formulation(adj.Problem(m, minimize="f", over=["x"]))
    with pytest.raises(adj.EvaluationError, match="f"):
        nlp.objective(np.array([-1.0]))


def test_wrong_words_are_named() -> None:
    problem = sellar_problem()
    with pytest.raises(adj.ModelError, match="'reduced', 'full'"):
        Formulation(problem, "complete")
    with pytest.raises(adj.NameLookupError, match="cycle_1"):
        Formulation(problem, {"cycle_11": "full"})


def test_problems_with_formulations_are_pickled() -> None:
    problem = sellar_problem()
    problem.solve("SLSQP")
    again = pickle.loads(pickle.dumps(problem))
    assert again.solve("SLSQP").fun == pytest.approx(3.18339395, abs=1e-6)


def test_black_boxes_have_no_second_derivatives() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    m.external("e", lambda x: np.sin(x), [x], jac=lambda x: np.cos(x))
    nlp = Formulation(adj.Problem(m, minimize="e", over=["x"]))
    assert nlp.hessian_pattern is None
    assert nlp.gradient(nlp.x0) == pytest.approx([np.cos(1.0)])


def test_an_input_without_a_value_gets_one_with_the_task() -> None:
    m = adj.Program()
    x, p = m.input("x", 1.0), m.input("p")
    m.define("f", (x - p) ** 2)
    result = adj.Problem(m, minimize="f", over=["x"]).solve(method="interior-point", values={"p": 2.0})
    np.testing.assert_allclose(result.x, [2.0], atol=1e-8)


def test_a_black_box_beside_the_problem_does_not_matter() -> None:
    """Only what the outputs depend on has to have second derivatives."""
    m = adj.Program()
    x = m.input("x", np.array([1.0, 2.0]))
    m.external("beside", lambda x: float(np.sum(x**2)), inputs=[x], shape=(), jac=lambda x: 2 * x)
    f = m.define("f", np.sum(x**4))
    pattern = Formulation(adj.Problem(m, minimize=f, over=["x"])).hessian_pattern
    assert pattern is not None and [p.tolist() for p in pattern] == [[0, 1], [0, 1]]
    m.define("g", f + m["beside"])
    assert Formulation(adj.Problem(m, minimize="g", over=["x"])).hessian_pattern is None


@pytest.mark.parametrize("formulation", ["reduced", "full"])
def test_a_linear_program_has_an_empty_hessian_of_numbers(formulation: str) -> None:
    m = adj.Program()
    x = m.input("x", np.array([1.0, 2.0]))
    y = m.define("y", 2.0 * x)
    m.define("f", np.sum(y))
    nlp = Formulation(adj.Problem(m, minimize="f", over=["x"], subject_to=[y[0] >= y[1]]), formulation)
    H = nlp.hessian(nlp.x0, 1.0, np.ones(nlp.m))
    assert H.dtype == np.float64 and H.size == 0


def test_an_empty_hessian_at_a_kink() -> None:
    """There the program itself is asked, whose matrix is empty."""
    m = adj.Program()
    x = m.input("x", np.array([0.0, 2.0]))
    m.define("f", np.sum(np.abs(x)))
    nlp = Formulation(adj.Problem(m, minimize="f", over=["x"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", adj.KinkWarning)
        H, gradient = nlp.hessian(nlp.x0, 1.0, np.zeros(0)), nlp.gradient(nlp.x0)
    assert H.dtype == np.float64 and H.size == 0
    np.testing.assert_array_equal(gradient, [0.0, 1.0])


def test_values_are_computed_once_per_point(monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = Formulation(chain_problem(), "full")
    x, calls = nlp.x0, []
    call = nlp._call("values")
    assert call is not None
    monkeypatch.setitem(nlp._calls, "values", lambda x: calls.append(x) or call(x))
    for _ in range(2):
        nlp.objective(x), nlp.constraints(x), nlp.gradient(x), nlp.jacobian(x), nlp.hessian(x, 1.0, np.ones(nlp.m))
    assert len(calls) == 1
    x[0] += 1.0  # the same array, another point
    np.testing.assert_array_equal(nlp.constraints(x), Formulation(chain_problem(), "full").constraints(x))
    assert len(calls) == 2


def test_values_and_derivatives_that_are_not_finite() -> None:
    """An evaluation error for values; derivatives are those that the program itself gives."""
    m = adj.Program()
    x = m.input("x", 1.0)
    m.define("f", np.sqrt(x) + np.exp(x))
    nlp = Formulation(adj.Problem(m, minimize="f", over=["x"]))
    zero, negative = np.zeros(1), -np.ones(1)
    assert nlp.objective(zero) == 1.0
    np.testing.assert_array_equal(nlp.gradient(zero), m.function("f").jac(zero))
    for call in (nlp.objective, nlp.gradient, lambda x: nlp.hessian(x, 1.0, np.zeros(0))):
        with pytest.raises(adj.EvaluationError):
            call(negative)
