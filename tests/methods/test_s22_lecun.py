"""LeCun's framework: one Lagrangian, whose three gradients are the forward pass, the backward pass, and the update.

Y. LeCun, "A theoretical framework for back-propagation" (1988): ``L = C(X(N)) + Σ B(k)ᵀ (X(k) − F[W(k) X(k−1)])``. In
the library's sign the multipliers are ``λ(k) = −B(k)``. Tied weights: the gradient is the sum over the copies.
"""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.learn import dense, recurrent, squared_error

RANDOM = np.random.default_rng(0)
SIZES = (3, 4, 2)
X0, TARGET = RANDOM.normal(size=3), RANDOM.normal(size=2)
WEIGHTS = [RANDOM.normal(size=(n, k)) for k, n in zip(SIZES, SIZES[1:], strict=False)]


def network() -> adj.Program:
    m = adj.Program()
    x = m.input("X0", X0)
    for k, w in enumerate(WEIGHTS, start=1):
        x = m.define(f"X{k}", np.tanh(m.input(f"W{k}", w) @ x))
    m.define("C", 0.5 * np.sum((x - TARGET) ** 2))
    return m


def test_three_gradients_at_any_point() -> None:
    """At values and multipliers of any kind, feasible or not, against LeCun's formulas."""
    m = network()
    L = m.lagrangian("C")
    z = {"X1": RANDOM.normal(size=4), "X2": RANDOM.normal(size=2), "C": 0.7}
    B = {"X1": RANDOM.normal(size=4), "X2": RANDOM.normal(size=2)}
    lam = {"X1": -B["X1"], "X2": -B["X2"], "C": 1.0}
    inside = [WEIGHTS[0] @ X0, WEIGHTS[1] @ z["X1"]]
    slopes = [1.0 - np.tanh(a) ** 2 for a in inside]
    # ∂L/∂B: the forward pass
    forward = L.grad_lam(z, lam)
    np.testing.assert_allclose(-forward["X1"], z["X1"] - np.tanh(inside[0]), rtol=1e-12)
    np.testing.assert_allclose(-forward["X2"], z["X2"] - np.tanh(inside[1]), rtol=1e-12)
    # ∂L/∂X: the backward pass
    backward = L.grad_z(z, lam)
    np.testing.assert_allclose(backward["X2"], (z["X2"] - TARGET) + B["X2"], rtol=1e-12)
    np.testing.assert_allclose(backward["X1"], B["X1"] - WEIGHTS[1].T @ (B["X2"] * slopes[1]), rtol=1e-12)
    # ∂L/∂W: the update
    update = L.grad_x(z, lam)
    np.testing.assert_allclose(update["W1"], -np.outer(B["X1"] * slopes[0], X0), rtol=1e-12)
    np.testing.assert_allclose(update["W2"], -np.outer(B["X2"] * slopes[1], z["X1"]), rtol=1e-12)


def test_all_vanish_but_the_last_at_the_solution() -> None:
    m = network()
    sol = m.solve()
    lam, L = sol.multipliers("C"), m.lagrangian("C")
    z = {n: sol[n] for n in ("X1", "X2", "C")}
    for gradient in (L.grad_z(z, lam), L.grad_lam(z, lam)):
        assert max(float(np.abs(v).max()) for v in gradient.values()) < 1e-14
    update, gradient = L.grad_x(z, lam), sol.gradient("C")
    for name in ("W1", "W2"):
        np.testing.assert_allclose(update[name], gradient[name], rtol=1e-12)


def test_descent_on_the_whole_lagrangian_trains() -> None:
    """W, X and B at once, from states that violate the equations."""
    m = network()
    problem = adj.Problem(m, minimize=m["C"] + 0.05 * (np.sum(m["W1"] ** 2) + np.sum(m["W2"] ** 2)), over=["W1", "W2"])
    start = {"W1": WEIGHTS[0], "W2": WEIGHTS[1], "X1": np.full(4, 0.5), "X2": np.full(2, -0.5)}
    result = problem.solve("mdmm", start=start, tol=1e-7, options={"multipliers": {"X1": 0.3, "X2": -0.1}})
    assert result.success, result.message
    lam = result.solution.multipliers(problem.objective.name)
    for name in ("X1", "X2"):
        np.testing.assert_allclose(result.multipliers[name], lam[name], atol=1e-5)
    assert max(float(np.abs(g).max()) for g in (lam["W1"], lam["W2"])) < 1e-5


def unfolded(tied: bool) -> adj.Program:
    """h_t = tanh(w h_{t−1} + u x_t), outputs v h_t; each copy of w of its own, or one for all."""
    m = adj.Program()
    h, loss = 0.0, 0.0
    w = m.input("w", 0.5) if tied else None
    u, v = m.input("u", 1.0), m.input("v", 0.8)
    for t, (x, y) in enumerate(zip((1.0, -0.5, 0.25), (0.5, 0.0, 0.1), strict=True)):
        weight = w if tied else m.input(f"w{t}", 0.5)
        h = m.define(f"h{t}", np.tanh(weight * h + u * x))
        loss = loss + 0.5 * (v * h - y) ** 2
    m.define("L", loss)
    return m


def test_tied_weights_add_up() -> None:
    tied, untied = unfolded(True).solve(), unfolded(False).solve()
    copies = [untied.gradient("L", wrt=f"w{t}") for t in (1, 2)]
    np.testing.assert_allclose(copies, [-0.0423209574351, -0.00464322895117], rtol=1e-11)
    assert tied["L"] == pytest.approx(0.011761124095308, rel=1e-12)
    gradient = tied.gradient("L")
    assert gradient["w"] == pytest.approx(sum(copies), rel=1e-14)
    np.testing.assert_allclose(
        [gradient[n] for n in "wuv"], [-0.0469641863863, 0.0626141202625, 0.104040030472], rtol=1e-11
    )


def test_the_recurrent_layer_is_that_network() -> None:
    m = adj.Program()
    x = m.input("x", np.array([1.0, -0.5, 0.25]).reshape(1, 3, 1))
    states = recurrent(m, x, 1, "memory")
    out = [dense(m, h, 1, f"out{t}", bias=False) for t, h in enumerate(states)]
    m.define("L", sum(squared_error(o, np.array([[y]])) for o, y in zip(out, (0.5, 0.0, 0.1), strict=True)))
    values = {"memory.weights": [[1.0]], "memory.recurrent": [[0.5]], **{f"out{t}.weights": [[0.8]] for t in range(3)}}
    sol = m.solve(values)
    assert sol["L"] == pytest.approx(0.011761124095308, rel=1e-12)
    assert sol.gradient("L", wrt="memory.recurrent")[0, 0] == pytest.approx(-0.0469641863863, rel=1e-10)
    assert sol.gradient("L", wrt="memory.weights")[0, 0] == pytest.approx(0.0626141202625, rel=1e-10)
    copies = sum(sol.gradient("L", wrt=f"out{t}.weights")[0, 0] for t in range(3))
    assert copies == pytest.approx(0.104040030472, rel=1e-10)
