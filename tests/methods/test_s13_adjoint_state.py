"""The adjoint state method: one state and one adjoint solve give the gradient, whatever its dimension.

Wikipedia, "Adjoint state method": B_v u = b, L = J(u, v) + (B_v u − b)ᵀ λ, B_vᵀ λ = −∇_u J,
∇j = ∇_v J + [(∂_v B) u]ᵀ λ.
Its multiplier has the opposite sign of this library's, λ_there = −λ_here: here λ_i is the change of the objective per
unit added to the right-hand side b_i.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import adjoint as adj

RNG = np.random.default_rng(13)


def state_equation() -> adj.Program:
    """B = [[2 + v, 1], [1, 3]], b = (1, 2), J = ½‖u‖² + ½v²."""
    m = adj.Program("state")
    v = m.input("v", 0.5)
    u = m.unknown("u", shape=2)
    B = adj.array([[2.0 + v, 1.0], [1.0, 3.0]])
    m.constrain(B @ u == np.array([1.0, 2.0]), name="state")
    m.define("J", 0.5 * np.sum(u**2) + 0.5 * v**2)
    return m


def test_printed_values() -> None:
    sol = state_equation().solve()
    lam = sol.multipliers("J")
    np.testing.assert_allclose(sol["u"], [0.153846153846, 0.615384615385], atol=5e-13)
    assert sol["J"] == pytest.approx(0.32618343195266, abs=5e-15)
    np.testing.assert_allclose(-lam["state"], [0.023668639053, -0.213017751479], atol=5e-13)
    assert lam["v"] == pytest.approx(0.503641329085, abs=5e-13)


def test_sign() -> None:
    """Bᵀ λ_there = −∇_u J with λ_there = −λ, and the gradient from either."""
    sol = state_equation().solve()
    lam, u = sol.multipliers("J")["state"], sol["u"]
    there = -lam
    B = np.array([[2.5, 1.0], [1.0, 3.0]])
    np.testing.assert_allclose(B.T @ there, -u, rtol=1e-14)
    dB = np.array([[1.0, 0.0], [0.0, 0.0]])
    assert sol.gradient("J", wrt="v") == pytest.approx(0.5 + (dB @ u) @ there, rel=1e-14, abs=0.0)


def test_duality() -> None:
    """sᵀx = rᵀb where A x = b and Aᵀ r = s: both −0.5."""
    m = adj.Program()
    A, b, s = np.array([[4.0, 1.0], [2.0, 3.0]]), np.array([1.0, 2.0]), np.array([1.0, -1.0])
    right = m.input("b", b)
    x = m.unknown("x", shape=2)
    m.constrain(A @ x == right, name="system")
    m.define("f", s @ x)
    sol = m.solve()
    r = sol.multipliers("f")["system"]
    assert sol["f"] == pytest.approx(-0.5, rel=1e-15, abs=0.0)
    assert r @ b == pytest.approx(-0.5, rel=1e-15, abs=0.0)
    np.testing.assert_allclose(A.T @ r, s, rtol=1e-15)


def count_factorizations(m: adj.Program, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets an element at each factorization by the linear solver of the program's one cycle."""
    (cycle,) = m.plan().cycles
    solver = type(cycle.solver)
    factor: Callable[..., object] = solver.factor
    calls: list[int] = []

    def counted(self: object, matrix: object) -> object:
        calls.append(1)
        return factor(self, matrix)

    monkeypatch.setattr(solver, "factor", counted)
    return calls


def linear_model(n: int) -> adj.Program:
    """A dense or banded linear state equation with n parameters on its diagonal."""
    m = adj.Program("linear")
    v = m.input("v", RNG.uniform(3.0, 4.0, n))
    u = m.unknown("u", shape=n)
    neighbours = np.concatenate([u[1:], [0.0]]) + np.concatenate([[0.0], u[:-1]])
    m.constrain(v * u - neighbours == np.ones(n), name="state")
    m.define("J", 0.5 * np.sum(u**2))
    return m


@pytest.mark.parametrize("n", [2, 30, 2000])
def test_one_factorization(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """State, adjoint, and every further right-hand side share the factors: O(m³) once, then O(m²) each."""
    m = linear_model(n)
    calls = count_factorizations(m, monkeypatch)
    sol = m.solve()
    gradient = sol.gradient("J", wrt="v")
    for _ in range(3):
        sol.multipliers({"u": RNG.standard_normal(n)})
        sol.jvp({"v": RNG.standard_normal(n)})
    sol.hvp("J", {"v": RNG.standard_normal(n)})
    assert len(calls) == 1
    u, lam = sol["u"], sol.multipliers("J")["state"]
    np.testing.assert_allclose(gradient, -lam * u, rtol=1e-12)
    sol = m.solve(v=np.full(n, 5.0))
    sol.gradient("J")
    assert len(calls) == 2


@pytest.mark.parametrize("n", [3, 100])
def test_two_sweeps_whatever_the_dimension(n: int) -> None:
    """The gradient with respect to n parameters agrees with n differences of whole solves."""
    m = linear_model(n)
    fun = m.function("J", wrt=["v"])
    gradient = fun.jac(fun.x0)
    assert fun.solves == 1
    h = 1e-5
    for k in range(0, n, max(1, n // 5)):
        step = np.eye(n)[k] * h
        difference = (fun(fun.x0 + step) - fun(fun.x0 - step)) / (2.0 * h)
        assert gradient[k] == pytest.approx(difference, rel=1e-7, abs=0.0)
