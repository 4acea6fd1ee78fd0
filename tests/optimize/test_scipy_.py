"""SciPy's methods on the reduced problem: exact derivatives, no more solves than points, clear refusals."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
import scipy.optimize as so

import adjoint as adj
from adjoint.optimize import SCIPY_METHODS, scipy_
from adjoint.optimize.base import Reduced
from adjoint.optimize.scipy_ import BOUNDS, CONSTRAINTS, HESSIAN, NO_GRADIENT


def coupled(n: int = 2) -> adj.Program:
    """A strictly convex objective with a cycle inside."""
    m = adj.Program()
    x = m.input("x", np.linspace(0.5, 1.5, n))
    y = m.unknown("y")
    m.define(y, 0.3 * np.sin(y) + np.sum(x) / n)
    m.define("f", np.sum((x - 2.0) ** 2) + 0.2 * y**2)
    return m


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Calls of the derivatives of the objective, by kind."""
    count: Counter[str] = Counter()
    for name in ("value", "gradient", "hessian", "hessian_product"):
        original = getattr(Reduced, name)

        def counted(self: Any, *args: Any, original: Any = original, name: str = name) -> Any:
            count[name] += 1
            return original(self, *args)

        monkeypatch.setattr(Reduced, name, counted)
    return count


def test_all_of_scipys_methods_are_known() -> None:
    table = {name.lower() for name in SCIPY_METHODS}
    assert table == {
        "nelder-mead",
        "powell",
        "cg",
        "bfgs",
        "newton-cg",
        "l-bfgs-b",
        "tnc",
        "cobyla",
        "cobyqa",
        "slsqp",
        "trust-constr",
        "dogleg",
        "trust-ncg",
        "trust-krylov",
        "trust-exact",
    }
    for group in (NO_GRADIENT, HESSIAN, BOUNDS, CONSTRAINTS):
        assert group <= table


@pytest.mark.parametrize("method", SCIPY_METHODS)
def test_each_method_with_the_derivatives_it_uses(method: str, calls: Counter[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = adj.Problem(coupled(), minimize="f").solve(method=method)
    assert result.success
    np.testing.assert_allclose(result.solution.gradient("f", wrt="x"), 0.0, atol=2e-3)
    key = method.lower()
    assert (calls["gradient"] > 0) == (key not in NO_GRADIENT)
    assert (calls["hessian"] + calls["hessian_product"] > 0) == (key in HESSIAN)
    assert not result.failed_solves


@pytest.mark.parametrize("method", sorted(set(SCIPY_METHODS) - {"Nelder-Mead", "Powell", "COBYLA", "COBYQA"}))
def test_no_method_differentiates_by_differences(method: str) -> None:
    """Solves are no more than distinct points that the method visits: far fewer than 2 per variable and step."""
    n = 30
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = adj.Problem(coupled(n), minimize="f").solve(method=method)
    assert result.nsolves <= result.nfev + result.get("njev", 0) + 2
    assert result.nsolves < 40


def test_many_variables_use_products_instead_of_hessians(calls: Counter[str]) -> None:
    n = scipy_.MANY + 1
    for method in ("Newton-CG", "trust-ncg", "trust-krylov"):
        calls.clear()
        result = adj.Problem(coupled(n), minimize="f").solve(method=method)
        assert result.success
        assert calls["hessian"] == 0
        assert calls["hessian_product"] > 0


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr", "COBYLA", "COBYQA"])
def test_methods_with_constraints_and_bounds(method: str) -> None:
    m = coupled()
    problem = adj.Problem(
        m,
        minimize="f",
        over={"x": (0.0, [1.0, 5.0])},
        subject_to={"cap": m["y"] <= 1.5, "order": m["x"][1] - m["x"][0] <= 0.25},
    )
    result = problem.solve(method=method, options={"maxiter": 2000})
    assert result.x[0] <= 1.0 + 1e-6
    assert result.solution["y"] <= 1.5 + 1e-4
    np.testing.assert_allclose(result.x, [1.0, 1.25], atol=2e-3)


@pytest.mark.parametrize("method", sorted(set(SCIPY_METHODS)))
def test_what_a_method_does_not_take_is_refused_not_ignored(method: str) -> None:
    m = coupled()
    key = method.lower()
    if key not in BOUNDS:
        with pytest.raises(adj.ModelError, match=r"bounds.*L-BFGS-B"):
            adj.Problem(m, minimize="f", over={"x": (0, 1)}).solve(method=method)
    if key not in CONSTRAINTS:
        with pytest.raises(adj.ModelError, match=r"constraints.*SLSQP"):
            adj.Problem(m, minimize="f", subject_to=[m["y"] <= 1]).solve(method=method)


@pytest.mark.parametrize("method", ["L-BFGS-B", "TNC", "Nelder-Mead", "Powell"])
def test_bounds_hold(method: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = adj.Problem(coupled(), minimize="f", over={"x": (-1.0, [1.0, 9.0])}).solve(method=method)
    assert result.x[0] == pytest.approx(1.0, abs=1e-4)
    assert result.x[1] == pytest.approx(1.8356027, abs=1e-3)


def test_the_result_is_that_of_scipy_with_more() -> None:
    m = coupled()
    ours = adj.Problem(m, minimize="f").solve(method="BFGS")
    fun = m.function("f")
    theirs = so.minimize(fun, fun.x0, jac=fun.jac, method="BFGS")
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-12)
    assert ours.fun == theirs.fun
    assert ours.nit == theirs.nit
    assert set(theirs) <= set(ours)


def test_trust_constr_uses_the_curvature_of_constraints() -> None:
    """With the Hessian of the constraint left out, this one converges in many more iterations."""
    m = adj.Program()
    x = m.input("x", [0.5, 0.9])
    m.define("f", 2 * (np.sum(x**2) - 1) - x[0])
    problem = adj.Problem(m, minimize="f", subject_to={"circle": np.sum(x**2) == 1})
    result = problem.solve(method="trust-constr")
    np.testing.assert_allclose(result.x, [1.0, 0.0], atol=1e-4)
    assert result.multipliers["circle"] == pytest.approx(1.5, abs=1e-3)
    assert result.nit < 30


def test_options_that_scipy_does_not_know_are_its_to_tell() -> None:
    with pytest.warns(so.OptimizeWarning, match="nonsense"):
        adj.Problem(coupled(), minimize="f").solve(method="BFGS", options={"nonsense": 1})


def test_a_line_search_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = adj.Problem(coupled(), minimize="f")
    expected = problem.solve("L-BFGS-B", tol=1e-12)
    monkeypatch.setattr(scipy_, "PATIENCE", 0)  # the first value that is not lower
    monkeypatch.setattr(Reduced, "gradient", lambda self, x: -np.ones_like(x))  # up the hill
    ended = problem.solve("L-BFGS-B")
    assert not ended.success and "line search" in ended.message
    assert ended.fun >= expected.fun and ended.fun <= problem.solve("Nelder-Mead", options={"maxiter": 1}).fun
