"""Outer optimization: the program's value and λ of its inputs, handed to ``scipy.optimize``.

T. Vieira 2017 (maximize f by passing (f, λ_x) to an optimizer). The linear-quadratic control problem is B. Recht's
("Mates of Costate", 2016): p_N = S x_{N+1}, p_{t−1} = Aᵀ p_t + Q x_t, ∇u_t = R u_t + Bᵀ p_t.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize as so

import adjoint as adj

A, B = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([0.0, 0.1])
R, S, N = 0.1, 10.0, 20


def control() -> adj.Program:
    """J = ½ Σ_{t≤N} (x_tᵀ x_t + R u_t²) + ½ S x_{N+1}ᵀ x_{N+1}, x_{t+1} = A x_t + B u_t: 21 controls."""
    m = adj.Program("control")
    u, x = m.input("u", np.zeros(N + 1)), m.input("x0", [1.0, 0.0])
    cost = 0.0
    for t in range(N + 1):
        cost = cost + 0.5 * (x @ x + R * u[t] ** 2)
        x = m.define(f"x{t + 1}", A @ x + B * u[t])
    m.define("J", cost + 0.5 * S * (x @ x))
    return m


def riccati() -> float:
    """The optimum, x₀ᵀ P₀ x₀ / 2."""
    P = S * np.eye(2)
    b = B[:, None]
    for _ in range(N + 1):
        gain = np.linalg.solve(R + b.T @ P @ b, b.T @ P @ A)
        P = np.eye(2) + A.T @ P @ (A - b @ gain)
    return 0.5 * P[0, 0]


def test_control_at_zero() -> None:
    sol = control().solve()
    gradient = sol.gradient("J")
    assert sol["J"] == 15.5
    assert gradient["u"][0] == pytest.approx(3.9, rel=1e-14, abs=0.0)
    assert gradient["u"][N] == 0.0
    np.testing.assert_allclose(gradient["x0"], [31.0, 42.0], rtol=1e-14)


def test_costates() -> None:
    """λ of the state equations is Recht's p: p_{t−1} = Aᵀ p_t + Q x_t, and ∇u_t = R u_t + Bᵀ p_t."""
    m = control()
    u = np.sin(np.arange(N + 1.0))
    sol = m.solve(u=u)
    lam = sol.multipliers("J")
    p = S * sol[f"x{N + 1}"]
    for t in range(N, -1, -1):
        np.testing.assert_allclose(lam[f"x{t + 1}"], p, rtol=1e-13)
        assert lam["u"][t] == pytest.approx(R * u[t] + B @ p, rel=1e-12, abs=1e-14)
        p = A.T @ p + (sol[f"x{t}"] if t else np.array([1.0, 0.0]))
    np.testing.assert_allclose(lam["x0"], p, rtol=1e-13)


def test_control_optimum() -> None:
    """The Riccati value 6.95711237291987, by L-BFGS-B on the gradients; also from −J, maximized."""
    assert riccati() == pytest.approx(6.95711237291987, abs=5e-15)
    fun = control().function("J", wrt=["u"])
    result = so.minimize(
        fun, fun.x0, jac=fun.jac, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 500}
    )
    assert result.success
    assert result.fun == pytest.approx(6.95711237291987, rel=1e-13, abs=0.0)
    assert result.nit <= 40  # 32 with SciPy 1.17
    assert np.abs(fun.jac(result.x)).max() < 1e-6


def test_maximizing_by_value_and_multipliers() -> None:
    """−J is maximized: scipy minimizes (−f, −λ_x), value and gradient from one solution."""
    m = control()
    m.define("f", -m["J"])

    def negative(u: np.ndarray) -> tuple[float, np.ndarray]:
        sol = m.solve(u=u)
        return -sol["f"], -sol.multipliers("f")["u"]

    options = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500}
    result = so.minimize(negative, np.zeros(N + 1), jac=True, method="L-BFGS-B", options=options)
    assert -result.fun == pytest.approx(-6.95711237291987, rel=1e-13, abs=0.0)
    problem = adj.Problem(m, maximize="f", over=["u"])
    best = problem.solve(method="L-BFGS-B", options=options)
    assert best.fun == pytest.approx(-6.95711237291987, rel=1e-13, abs=0.0)


def test_control_by_newton() -> None:
    """Quadratic: the exact Hessian takes one step."""
    fun = control().function("J", wrt=["u"])
    step = np.linalg.solve(fun.hess(fun.x0), fun.jac(fun.x0))
    assert fun(fun.x0 - step) == pytest.approx(6.95711237291987, rel=1e-14, abs=0.0)


def rosenbrock() -> adj.Program:
    """Declared as constraints: a = 1 − x, b = y − x², f = a² + 100 b²."""
    m = adj.Program("rosenbrock")
    x, y = m.input("x", -1.2), m.input("y", 1.0)
    a = m.define("a", 1.0 - x)
    b = m.define("b", y - x**2)
    m.define("f", a**2 + 100.0 * b**2)
    return m


OPTIONS = {
    "L-BFGS-B": {"ftol": 1e-15, "gtol": 1e-9},
    "TNC": {"maxfun": 1000, "ftol": 1e-16, "gtol": 1e-12},
    "Newton-CG": {"xtol": 1e-10},
}


@pytest.mark.parametrize("method", ["L-BFGS-B", "BFGS", "TNC", "Newton-CG", "trust-exact"])
def test_rosenbrock(method: str) -> None:
    fun = rosenbrock().function("f")
    keywords = {"hess": fun.hess} if method in ("Newton-CG", "trust-exact") else {}
    result = so.minimize(fun, fun.x0, jac=fun.jac, method=method, options=OPTIONS.get(method), **keywords)
    np.testing.assert_allclose(result.x, [1.0, 1.0], atol=1e-6)


@pytest.mark.parametrize("method", ["L-BFGS-B", "BFGS", "TNC"])
def test_rosenbrock_as_a_problem(method: str) -> None:
    problem = adj.Problem(rosenbrock(), minimize="f", over=["x", "y"])
    result = problem.solve(method=method, options=OPTIONS.get(method))
    np.testing.assert_allclose(result.x, [1.0, 1.0], atol=1e-6)
    assert result.solution["b"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make", [rosenbrock, control], ids=["rosenbrock", "control"])
def test_check_grad(make: object, seed: int) -> None:
    """scipy's check_grad (one-sided differences, error of the order of its step 1.5e-8) at random points."""
    fun = make().function("f" if make is rosenbrock else "J")  # type: ignore[operator]
    at = np.random.default_rng(seed).uniform(-2.0, 2.0, fun.x0.size)
    assert so.check_grad(fun, fun.jac, at) < 1e-6 * max(1.0, np.linalg.norm(fun.jac(at)))


@pytest.mark.parametrize("rate", [0.2, 0.3])
def test_gradient_descent(rate: float) -> None:
    """The plain recursion x ← x − η λ_x, on a well-conditioned program."""
    m = adj.Program()
    x = m.input("x", [2.0, -1.5])
    r = m.define("r", x - np.array([0.5, 0.25]))
    m.define("f", np.sum(r**2) + 0.1 * np.sum(r**4))
    fun = m.function("f")
    at = fun.x0
    for _ in range(200):
        at = at - rate * fun.jac(at)
    np.testing.assert_allclose(at, [0.5, 0.25], atol=1e-12)
