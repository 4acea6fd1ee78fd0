"""The reduced problem: what optimizers see of it, and what is recomputed at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import OptimizeResult

import adjoint as adj
from adjoint.optimize.base import Reduced, finish


def problem(maximize: bool = False) -> adj.Problem:
    m = adj.Program()
    x, p = m.input("x", [1.0, 2.0]), m.input("p", 0.5)
    y = m.unknown("y", guess=1.0)
    m.constrain(y**2 == np.sum(x) + p, name="root")
    m.define("f", np.sum(x**2) + y)
    goal = {"maximize" if maximize else "minimize": "f"}
    return adj.Problem(
        m,
        over={"x": (-9.0, [3.0, np.inf])},
        subject_to={"cap": y <= 3.0, "pair": x * y >= np.array([0.0, 1.0]), "line": x[0] - x[1] == -1.0},
        **goal,
    )


def differences(fun: Any, x: np.ndarray) -> np.ndarray:
    h = 1e-6
    return np.stack([(np.asarray(fun(x + h * e)) - fun(x - h * e)) / (2 * h) for e in np.eye(x.size)], axis=-1)


X = np.array([1.5, 0.5])


def test_values_and_derivatives() -> None:
    for maximize, sign in ((False, 1.0), (True, -1.0)):
        r = Reduced(problem(maximize))
        y = np.sqrt(2.5)
        assert r.value(X) == pytest.approx(sign * (2.5 + y))
        np.testing.assert_allclose(r.gradient(X), differences(r.value, X), rtol=1e-7)
        np.testing.assert_allclose(r.hessian(X), differences(r.gradient, X), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(r.hessian_product(X, X), r.hessian(X) @ X, rtol=1e-12)


def test_constraints_are_flat_and_their_jacobians_sparse() -> None:
    r = Reduced(problem())
    assert r.names == ["cap", "pair", "line"]
    for label, size in (("cap", 1), ("pair", 2), ("line", 1)):
        value, jac = r.constraint_value(label, X), r.constraint_jacobian(label, X)
        assert value.shape == (size,)
        assert sp.issparse(jac)
        np.testing.assert_allclose(
            jac.toarray(), differences(lambda x, n=label: r.constraint_value(n, x), X), rtol=1e-6, atol=1e-9
        )
    assert [b.tolist() for b in r.constraint_bounds("cap")] == [[-np.inf], [3.0]]
    assert [b.tolist() for b in r.constraint_bounds("pair")] == [[0.0, 1.0], [np.inf, np.inf]]
    assert [b.tolist() for b in r.constraint_bounds("line")] == [[-1.0], [-1.0]]
    np.testing.assert_array_equal(r.lower, [-9.0, -9.0])
    np.testing.assert_array_equal(r.upper, [3.0, np.inf])


def test_objective_and_constraints_share_their_solves() -> None:
    r = Reduced(problem())
    r.value(X)
    r.gradient(X)
    r.hessian(X)
    for label in r.names:
        r.constraint_value(label, X)
        r.constraint_jacobian(label, X)
    assert r.objective.solves == 1


def test_beyond_the_last_good_point_the_objective_rises() -> None:
    """Where nothing solves: a bowl around the last good point, with its own gradient; constraints stand still."""
    for maximize in (False, True):
        r = Reduced(problem(maximize))
        good = r.value(X)
        r.gradient(X)
        kept = {label: (r.constraint_value(label, X), r.constraint_jacobian(label, X)) for label in r.names}
        bad = np.array([-3.0, -3.0])
        assert r.value(bad) > good + 1.0
        slope = r.gradient(bad)
        assert slope @ (bad - X) > 0.0
        assert len(r.failures) == 1
        assert "cycle_1" in r.failures[0]
        for label in r.names:
            np.testing.assert_array_equal(r.constraint_value(label, bad), kept[label][0])
            np.testing.assert_array_equal(r.constraint_jacobian(label, bad).toarray(), kept[label][1].toarray())
        assert r.value(X) == good


def test_a_failure_before_any_good_point_raises() -> None:
    r = Reduced(problem())
    with pytest.raises(adj.ConvergenceError):
        r.value(np.array([-3.0, -3.0]))
    with pytest.raises(adj.ConvergenceError):
        Reduced(problem()).constraint_value("cap", np.array([-3.0, -3.0]))


def result_at(p: adj.Problem, x: Any) -> Any:
    return finish(Reduced(p), OptimizeResult(x=np.array(x), fun=0.0, success=True, message=""))


def test_the_end_is_verified_and_completed() -> None:
    result = result_at(problem(), X)
    assert result.fun == pytest.approx(2.5 + np.sqrt(2.5))
    assert result.solution["y"] == pytest.approx(np.sqrt(2.5))
    assert result.nsolves == 1
    assert set(result.constraints) == {"cap", "pair", "line"}
    assert set(result.multipliers) >= {"root", "f", "cap", "pair", "line", "x"}


def test_an_end_that_does_not_solve_is_no_success() -> None:
    result = result_at(problem(), [-3.0, -3.0])
    assert result.success is False
    assert result.solution is None
    assert "does not solve" in result.message


def corner(maximize: bool = False) -> adj.Problem:
    """f = a·x at the corner x = (1, 1) of x0 ≤ 1 (bound), x0 + x1 ≤ 2 (constraint), and x1 ≥ −5."""
    m = adj.Program()
    x, a = m.input("x", [0.0, 0.0]), m.input("a", [-3.0, -1.0])
    m.define("f", (a * x).sum() * (-1.0 if maximize else 1.0))
    goal = {"maximize" if maximize else "minimize": "f"}
    return adj.Problem(
        m, over={"x": ([-5, -5], [1.0, 5.0])}, subject_to={"sum": x[0] + x[1] <= 2, "far": x[1] >= -5}, **goal
    )


def test_multipliers_of_active_constraints_and_bounds() -> None:
    """∇f = λ_sum (1, 1) + λ_x: λ_sum = −1, λ_x = (−2, 0); what is not active has 0."""
    for maximize, sign in ((False, 1.0), (True, -1.0)):
        lam = result_at(corner(maximize), [1.0, 1.0]).multipliers
        assert lam["sum"] == pytest.approx(sign * -1.0)
        assert lam["far"] == 0.0
        np.testing.assert_allclose(lam["x"], [sign * -2.0, 0.0], atol=1e-12)
        assert lam["f"] == 1.0


def test_multipliers_have_the_signs_that_optimality_asks_for() -> None:
    """At a point that is not optimal no multiplier takes the wrong sign to make up for it."""
    m = adj.Program()
    x = m.input("x", 0.0)
    m.define("f", -1.0 * x)
    p = adj.Problem(m, minimize="f", over={"x": (0.0, 9.0)}, subject_to={"low": x >= 0.0})
    assert result_at(p, [0.0]).multipliers["low"] == pytest.approx(0.0, abs=1e-12)


def test_degenerate_active_constraints_share_finite_multipliers() -> None:
    """The same constraint twice, and a bound that says the same: any split, but ∇f = Σ λ ∇c."""
    m = adj.Program()
    x = m.input("x", 0.0)
    m.define("f", -3.0 * x)
    p = adj.Problem(m, minimize="f", over={"x": (None, 1.0)}, subject_to={"a": x <= 1, "b": 2 * x <= 2})
    lam = result_at(p, [1.0]).multipliers
    assert lam["a"] <= 1e-9
    assert lam["b"] <= 1e-9
    assert lam["a"] + 2 * lam["b"] + lam["x"] == pytest.approx(-3.0)
