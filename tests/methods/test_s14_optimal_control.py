"""Optimal control: costates are the multipliers of the state equations.

Kelley 1960; Bryson 1961; Dreyfus 1962: λ̇ = −F_xᵀ λ, λ(T) = φ_x, δJ = ∫ λᵀ F_u δu. In discrete time, B. Recht ("Mates of
Costate", 2016): p_N = S x_{N+1}, p_{t−1} = Aᵀ p_t + Q x_t, ∇u_t = R u_t + Bᵀ p_t. E. Mizutani, S. Dreyfus & K. Nishio
2000: costs may sit on hidden nodes too. Numbers computed independently.
"""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj

A, B = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([0.0, 0.1])
R, S, N = 0.1, 10.0, 20
OPTIMUM = 6.95711237291987  # Riccati's


def control() -> adj.Program:
    """J = ½ Σ_{t≤N} (x_tᵀ x_t + R u_t²) + ½ S x_{N+1}ᵀ x_{N+1} with 21 controls, as one loop."""
    m = adj.Program("control")
    u, x0 = m.input("u", np.zeros(N + 1)), m.input("x0", [1.0, 0.0])
    end, (states, costs) = adj.scan(lambda x, u: (A @ x + B * u, (x, 0.5 * (x @ x + R * u**2))), x0, u)
    m.define("x", states)
    m.define("end", end)
    m.define("J", np.sum(costs) + 0.5 * S * (end @ end))
    return m


def test_without_control() -> None:
    sol = control().solve()
    gradient = sol.gradient("J")
    assert sol["J"] == pytest.approx(15.5, abs=1e-13)
    assert gradient["u"][0] == pytest.approx(3.9, abs=1e-13) and gradient["u"][N] == pytest.approx(0.0, abs=1e-13)
    np.testing.assert_allclose(gradient["x0"], [31.0, 42.0], rtol=1e-13)


def test_the_gradient_is_that_of_the_costates() -> None:
    u = np.sin(np.arange(N + 1.0))
    sol = control().solve(u=u)
    gradient, p = sol.gradient("J"), S * sol["end"]
    for t in range(N, -1, -1):
        assert gradient["u"][t] == pytest.approx(R * u[t] + B @ p, rel=1e-12, abs=1e-14)
        p = A.T @ p + sol["x"][t]
    np.testing.assert_allclose(gradient["x0"], p, rtol=1e-13)


def test_the_optimum_is_riccatis() -> None:
    problem = adj.Problem(control(), minimize="J", over=["u"])
    result = problem.solve(method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 100})
    assert result.fun == pytest.approx(OPTIMUM, rel=1e-12)
    assert result.nit <= 40  # 32 elsewhere; the number depends on the line search
    assert problem.solve(method="interior-point").fun == pytest.approx(OPTIMUM, rel=1e-12)


def test_costs_on_hidden_nodes() -> None:
    """A weighted sum of any variables is an objective: here the end, and a state in the middle."""
    m = control()
    weights = {"end": np.array([1.0, 0.0]), "x": np.zeros((N + 1, 2))}
    weights["x"][10, 1] = 3.0
    lam = m.solve().multipliers(weights)["u"]
    expected = np.zeros(N + 1)
    for t in range(N + 1):
        expected[t] = (np.linalg.matrix_power(A, N - t) @ B)[0]
        if t < 10:
            expected[t] += 3.0 * (np.linalg.matrix_power(A, 9 - t) @ B)[1]
    np.testing.assert_allclose(lam, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("steps", [1000, 2000])
def test_kelleys_gradient_density(steps: int) -> None:
    """ẋ = −x + u, J = x(1): dJ/du(t) = e^{t−1}, which Euler's steps meet to O(h)."""
    m = adj.Program("Kelley")
    u, h = m.input("u", np.zeros(steps)), 1.0 / steps
    end, _ = adj.scan(lambda x, u: (x + h * (-x + u), None), 1.0, u)
    m.define("J", end)
    density = m.solve().gradient("J", wrt="u") / h
    if steps == 1000:
        assert density[0] == pytest.approx(0.368063488, abs=5e-10)
    error = np.abs(density - np.exp(np.arange(steps) * h - 1.0)).max()
    assert error == pytest.approx(h, rel=0.02)  # 1.0e-3


def test_kelleys_gradient_by_the_differential_equation() -> None:
    """The same by `adj.ode`, along u = t^k: δJ = ∫ e^{t−1} t^k dt, by steps of order four."""
    m = adj.Program("Kelley")
    c = m.input("c", np.zeros(3))
    t = np.linspace(0, 1, 101)
    m.define("J", adj.ode(lambda t, x: -x + c[0] + c[1] * t + c[2] * t**2, 1.0, t)[-1])
    expected = [1 - np.exp(-1), np.exp(-1), 1 - 2 * np.exp(-1)]
    np.testing.assert_allclose(m.solve().gradient("J", wrt="c"), expected, rtol=1e-8)
