"""Minimizers under constraints as expressions: the KKT conditions are the equations."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.inner import argmin


def projection(backend: str | None = None) -> adj.Program:
    """The nearest point to c with y₀ + y₁ + y₂ = r, y₂ ≤ 1.5 and y ≥ −1."""
    m = adj.Program(backend=backend)
    c, r = m.input("c", [1.0, -2.0, 3.0]), m.input("r", 1.0)
    constraints = lambda y, c: [np.sum(y) == r, y[2] <= 1.5]
    fun = lambda y, c: 0.5 * np.sum((y - c) ** 2)
    y = m.define("y", argmin(fun, np.ones(3), c, lower=-1.0, subject_to=constraints, name="nearest"))
    m.define("f", 0.5 * np.sum(y**2))
    return m


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_projection(backend: str) -> None:
    sol = projection(backend).solve()
    np.testing.assert_allclose(sol["y"], [0.5, -1.0, 1.5], atol=1e-12)
    np.testing.assert_allclose(sol.gradient("f", wrt="c"), 0.0, atol=1e-12)
    assert sol.gradient("f", wrt="r") == pytest.approx(0.5)
    assert sol.check_derivatives("f")


def test_equality_against_its_closed_form() -> None:
    # min ½ yᵀ Q y − bᵀ y subject to aᵀ y = s
    Q, a = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -0.5])
    m = adj.Program()
    b, s = m.input("b", [1.0, 0.3]), m.input("s", 0.2)
    y = m.define("y", argmin(lambda y: 0.5 * y @ (Q @ y) - b @ y, np.zeros(2), subject_to=lambda y: a @ y == s))
    K = np.block([[Q, -a[:, None]], [a[None], np.zeros((1, 1))]])
    inverse = np.linalg.inv(K)
    sol = m.solve()
    np.testing.assert_allclose(sol["y"], (inverse @ [1.0, 0.3, 0.2])[:2], atol=1e-12)
    np.testing.assert_allclose(sol.jacobian("y", wrt="b"), inverse[:2, :2], atol=1e-11)
    np.testing.assert_allclose(sol.jacobian("y", wrt="s"), inverse[:2, 2], atol=1e-11)
    assert y.shape == (2,)


def test_second_derivatives() -> None:
    m = adj.Program()
    p = m.input("p", [0.8, 0.4])

    def fun(y: Any) -> Any:
        return np.sum(np.cosh(y - p)) + 0.3 * y[0] * y[1] * p[0]

    y = argmin(fun, np.zeros(2), subject_to=lambda y: [y[0] ** 2 + y[1] ** 2 <= 0.5 * p[1] + 0.1, y[0] >= -3.0])
    m.define("f", y[0] ** 3 + 2 * y[1])
    sol = m.solve()
    assert sol.check_derivatives("f")
    h = 1e-5
    for j in range(2):
        step = h * np.eye(2)[j]
        ends = [m.solve(p=np.array([0.8, 0.4]) + d).gradient("f", wrt="p") for d in (step, -step)]
        np.testing.assert_allclose(sol.hessian("f", wrt="p")[:, j], (ends[0] - ends[1]) / (2 * h), atol=1e-6)


def test_active_set_changes() -> None:
    m = adj.Program()
    p = m.input("p", 0.0)
    m.define("y", argmin(lambda y: (y - p) ** 2, 0.2, subject_to=lambda y: y <= 1.0))
    for at, value, slope in ((0.5, 0.5, 1.0), (3.0, 1.0, 0.0), (-2.0, -2.0, 1.0)):
        sol = m.solve(p=at)
        assert sol["y"] == pytest.approx(value, abs=1e-9)
        assert sol.gradient("y", wrt="p") == pytest.approx(slope, abs=1e-9)


def test_weakly_active_constraint_warns() -> None:
    m = adj.Program()
    p = m.input("p", 1.0)
    m.define("y", argmin(lambda y: np.sum((y - p) ** 2), np.zeros(2), subject_to=lambda y: y[0] <= 1.0, name="edge"))
    with pytest.warns(adj.KinkWarning, match="'edge'"):
        m.solve().gradient({"y": np.ones(2)})


def test_infeasible_is_named() -> None:
    m = adj.Program()
    p = m.input("p", 1.0)
    m.define("y", argmin(lambda y: (y - p) ** 2, 0.0, subject_to=lambda y: [y >= 2.0, y <= 1.0], name="nowhere"))
    with pytest.raises(adj.ConvergenceError, match="'nowhere'"):
        m.solve()


def test_repeated_constraints_have_no_derivative() -> None:
    m = adj.Program()
    p = m.input("p", 1.0)
    twice = lambda y: [y[0] + y[1] == 1.0, 2 * y[0] + 2 * y[1] == 2.0]
    m.define("y", argmin(lambda y: np.sum((y - p) ** 2), np.zeros(2), subject_to=twice, name="twice"))
    with pytest.raises(adj.AdjointError, match="'twice'"):
        m.solve().gradient({"y": np.ones(2)})


def test_pickle_and_numbers() -> None:
    sol = pickle.loads(pickle.dumps(projection())).solve()
    assert sol.gradient("f", wrt="r") == pytest.approx(0.5)
    np.testing.assert_allclose(
        argmin(lambda y: np.sum((y - 1) ** 2), np.zeros(2), subject_to=lambda y: y[0] <= 0.3), [0.3, 1.0]
    )
    assert argmin(lambda y: (y - 1) ** 2, 0.0, subject_to=lambda y: y <= 0.3) == pytest.approx(0.3)


def test_refused() -> None:
    m = adj.Program()
    p = m.input("p", 1.0)
    with pytest.raises(adj.ModelError, match="bounds are numbers"):
        argmin(lambda y: (y - p) ** 2, 0.0, lower=p, subject_to=lambda y: y <= 2.0)
    with pytest.raises(adj.ModelError, match="subject_to"):
        argmin(lambda y: (y - p) ** 2, 0.0, subject_to=lambda y: 3.0)
