"""Gauss–Newton, Fisher's matrix and Levenberg–Marquardt: printed values, and the identities between them."""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.curvature import GaussNewton
from adjoint.learn import cross_entropy, dense, one_hot, parameters

TIMES = np.arange(3.0)


def exponential(at: float = 0.0) -> adj.Program:
    """y = e^{t x} at x = 0, 1, 2, with data of t = 0.5: L = ½ ‖r‖²."""
    m = adj.Program()
    r = m.define("r", np.exp(m.input("t", at) * TIMES) - np.exp(0.5 * TIMES))
    m.define("L", 0.5 * np.sum(r**2))
    return m


def test_printed_curvatures() -> None:
    """At 0.5, where the residuals vanish, H = GN = 32.2745062242; at 0 H = −2.52185 and GN = 5."""
    m = exponential()
    fun, G = m.function("L"), GaussNewton(m, "L", "r")
    for t, hessian, gauss_newton in ((0.5, 32.2745062242, 32.2745062242), (0.0, -2.52185, 5.0)):
        assert float(fun.hess([t])[0, 0]) == pytest.approx(hessian, abs=5e-6)
        assert G.matrix([t])[0, 0] == pytest.approx(gauss_newton, rel=1e-11)
    assert float(fun.hess([0.5])[0, 0]) == pytest.approx(32.2745062242, rel=1e-11)


def test_printed_levenberg_marquardt() -> None:
    """μ = 0.01 × 0.3 per step, from 0."""
    m = exponential()
    G, fun, t, mu = GaussNewton(m, "L", "r"), m.function("L"), np.zeros(1), 0.01
    found = []
    for _ in range(5):
        t = t - np.linalg.solve(G.matrix(t) + mu * np.eye(1), fun.jac(t))
        mu *= 0.3
        found.append(t[0])
    np.testing.assert_allclose(found[:4], [0.81543, 0.57979, 0.50583, 0.50003], atol=5e-6)
    assert found[4] == pytest.approx(0.5000000011, abs=5e-11)


@pytest.mark.parametrize("method", ["natural-gradient", "levenberg-marquardt", "gauss-newton"])
def test_methods_find_it(method: str) -> None:
    result = adj.Problem(exponential(), minimize="L", over=["t"]).solve(method)
    assert result.success and result.x[0] == pytest.approx(0.5, abs=1e-9)


def test_linear_model() -> None:
    """GN = Fisher = XᵀX, and one undamped step solves."""
    random = np.random.default_rng(0)
    X, y = random.normal(size=(20, 4)), random.normal(size=20)
    m = adj.Program()
    o = m.define("o", X @ m.input("w", np.zeros(4)))
    m.define("L", 0.5 * np.sum((y - o) ** 2))
    G = GaussNewton(m, "L", ["o"])
    np.testing.assert_allclose(G.matrix(np.zeros(4)), X.T @ X, rtol=1e-12)
    best = np.linalg.lstsq(X, y, rcond=None)[0]
    step = np.linalg.solve(G.matrix(np.zeros(4)), m.function("L").jac(np.zeros(4)))
    np.testing.assert_allclose(-step, best, rtol=1e-10)
    options = {"outputs": "o", "damping": 0.0, "cg_tol": 1e-13}
    result = adj.Problem(m, minimize="L", over=["w"]).solve("natural-gradient", options=options)
    assert result.nit <= 2
    np.testing.assert_allclose(result.x, best, rtol=1e-8)


def classifier() -> adj.Program:
    random = np.random.default_rng(1)
    m = adj.Program()
    x = m.input("x", random.normal(size=(12, 3)))
    h = dense(m, x, 4, "hidden", np.tanh)
    scores = dense(m, h, 3, "scores")
    m.define("L", cross_entropy(scores, one_hot(random.integers(0, 3, 12), 3)))
    return m


def test_fisher_is_the_mean_square_of_scores() -> None:
    """Of a softmax: G equals E[∇log p ∇log pᵀ] with labels drawn from the model itself, summed over all classes."""
    m = classifier()
    names = parameters(m)
    G = GaussNewton(m, "L", "scores", names)
    v = m.function("L", names).x0
    sol = m.solve()
    scores = sol["scores"]
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    J = m.function("scores", names).jac(v).reshape(12, 3, -1)
    fisher = np.zeros((v.size, v.size))
    for n in range(12):
        for k in range(3):
            slope = (np.eye(3)[k] - p[n]) @ J[n]
            fisher += p[n, k] * np.outer(slope, slope) / 12
    np.testing.assert_allclose(G.matrix(v), fisher, atol=1e-14)
    d = np.random.default_rng(2).normal(size=v.size)
    np.testing.assert_allclose(G.operator(v) @ d, fisher @ d, atol=1e-13)


def test_what_does_not_go_through_the_outputs_counts_whole() -> None:
    """A penalty on the weights adds its own second derivative."""
    m = exponential()
    m.define("P", m["L"] + 0.5 * 3.0 * np.sin(m["t"]) ** 2)
    G = GaussNewton(m, "P", ["r"])
    t = 0.4
    expected = np.sum((TIMES * np.exp(t * TIMES)) ** 2) + 3.0 * np.cos(2.0 * t)
    assert G.matrix([t])[0, 0] == pytest.approx(expected, rel=1e-12)


def test_through_cycles() -> None:
    """The residual is determined by a cycle: JᵀJ by its tangents and cotangents."""
    m = adj.Program()
    x = m.input("x", [0.7, -0.2])
    a, b = m.unknown("a", shape=(2,), guess=np.zeros(2)), m.unknown("b", shape=(2,), guess=np.zeros(2))
    m.define(a, np.tanh(0.5 * b + x))
    m.define(b, 0.8 * np.sin(a) + 0.1 * x)
    r = m.define("r", a + b[::-1] - 0.3)
    m.define("L", 0.5 * np.sum(r**2) + np.sum(x**4))
    J = m.function("r", "x").jac([0.7, -0.2])
    expected = J.T @ J + np.diag(12.0 * np.array([0.7, -0.2]) ** 2)
    np.testing.assert_allclose(GaussNewton(m, "L", "r").matrix([0.7, -0.2]), expected, rtol=1e-9)
    options = {"outputs": "r"}
    assert adj.Problem(m, minimize="L", over=["x"]).solve("natural-gradient", options=options).success


def test_natural_gradient_trains() -> None:
    m = classifier()
    problem = adj.Problem(m, minimize="L", over=parameters(m))
    result = problem.solve("natural-gradient", options={"outputs": "scores", "max_iter": 40})
    assert result.fun < 0.05 * m.solve()["L"]
    values = [r.objective for r in result.history]
    assert all(b <= a + 1e-12 for a, b in zip(values, values[1:], strict=False))


def test_what_is_refused() -> None:
    m = exponential()
    with pytest.raises(adj.ModelError, match="takes sums of squares only, or options="):
        adj.Problem(m, minimize=m["t"] + m["L"], over=["t"]).solve("natural-gradient")
    with pytest.raises(adj.ModelError, match="takes no bounds"):
        adj.Problem(m, minimize="L", over={"t": (0, 1)}).solve("natural-gradient", options={"outputs": "r"})
    with pytest.raises(adj.ModelError, match="is no output"):
        GaussNewton(m, "L", ["t"])
