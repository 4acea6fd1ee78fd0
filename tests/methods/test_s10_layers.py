"""Layers: the matrix form of backpropagation, and the setting of a single neuron.

Wikipedia, "Backpropagation" (δ^L = ∇_a C ∘ f'(z^L), δ^(l−1) = (W^l)ᵀ δ^l ∘ f'(z^(l−1)), ∇W^l = δ^l (a^(l−1))ᵀ), and
M. Nielsen, *Neural Networks and Deep Learning*, chapter 2. δ^l is the multiplier of the equation of z^l, and has the
shape of z^l; the Jacobian of a vector equation is a block.
"""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj

W1 = np.array([[0.1, 0.2], [0.3, -0.4], [-0.5, 0.6]])
W2 = np.array([[0.7, -0.8, 0.9], [-0.1, 0.2, -0.3]])
X, Y = np.array([0.5, -1.0]), np.array([1.0, 0.0])


def network() -> adj.Program:
    """Sigmoid 2-3-2 without bias, C = ½‖a² − y‖²."""
    m = adj.Program("network")
    w1, w2, x = m.input("W1", W1), m.input("W2", W2), m.input("x", X)
    z1 = m.define("z1", w1 @ x)
    a1 = m.define("a1", adj.expit(z1))
    z2 = m.define("z2", w2 @ a1)
    a2 = m.define("a2", adj.expit(z2))
    m.define("C", 0.5 * np.sum((a2 - Y) ** 2))
    return m


def test_printed_values() -> None:
    sol = network().solve()
    lam = sol.multipliers("C")
    assert sol["C"] == pytest.approx(0.23833504288908364, rel=1e-15, abs=0.0)
    np.testing.assert_allclose(lam["z2"], [-0.11940872, 0.1244186], atol=5e-9)
    np.testing.assert_allclose(lam["z1"], [-0.02387246, 0.0279362, -0.03037373], atol=5e-9)
    dW1 = [[-0.0119362286, 0.0238724572], [0.0139681013, -0.0279362027], [-0.0151868634, 0.0303737268]]
    dW2 = [[-0.0552349119, -0.0757213218, -0.0357548954], [0.0575523322, 0.0788982640, 0.0372550177]]
    np.testing.assert_allclose(lam["W1"], dW1, atol=5e-11)
    np.testing.assert_allclose(lam["W2"], dW2, atol=5e-11)


def test_layer_formulas() -> None:
    sol = network().solve()
    lam = sol.multipliers("C")
    a1, a2 = sol["a1"], sol["a2"]
    delta2 = (a2 - Y) * a2 * (1.0 - a2)
    delta1 = (W2.T @ delta2) * a1 * (1.0 - a1)
    np.testing.assert_allclose(lam["z2"], delta2, rtol=1e-13)
    np.testing.assert_allclose(lam["z1"], delta1, rtol=1e-13)
    np.testing.assert_allclose(lam["W2"], np.outer(delta2, a1), rtol=1e-13)
    np.testing.assert_allclose(lam["W1"], np.outer(delta1, X), rtol=1e-13)
    np.testing.assert_allclose(lam["x"], W1.T @ delta1, rtol=1e-13)


def test_shape_rule() -> None:
    """shape(λ_v) = shape(v), for equations and inputs; gradients too."""
    m = network()
    sol = m.solve()
    lam = sol.multipliers("C")
    for v in m.variables.values():
        assert np.shape(lam[v.name]) == v.shape == np.shape(sol[v.name])
    for name, gradient in sol.gradient("C").items():
        assert gradient.shape == m[name].shape
    block = sol.jacobian("z2", wrt="W1")
    assert block.shape == (2, 3, 2)
    a1 = sol["a1"]
    np.testing.assert_allclose(block, np.einsum("ik,k,j->ikj", W2, a1 * (1.0 - a1), X), rtol=1e-13)


def test_bias_is_its_multiplier() -> None:
    """∇b^l = δ^l."""
    m = network()
    b = m.input("b", [0.1, -0.2])
    z = m.define("z3", W2 @ m["a1"] + b)
    m.define("C3", np.sum(adj.expit(z) ** 2))
    lam = m.solve().multipliers("C3")
    np.testing.assert_array_equal(lam["b"], lam["z3"])


# -- one linear neuron -----------------------------------------------------------------------------------


def test_linear_neuron_is_a_parabola() -> None:
    """E = (t − y)², y = w₁x₁ + w₂x₂ on the case x = (1, 1), t = 0: E = (w₁ + w₂)²."""
    m = adj.Program("neuron")
    w = m.input("w", [0.3, 0.4])
    x, t = m.input("x", [1.0, 1.0]), m.input("t", 0.0)
    y = m.define("y", np.sum(w * x))
    m.define("E", (t - y) ** 2)
    sol = m.solve()
    assert sol["E"] == pytest.approx(0.49, rel=1e-15, abs=0.0)
    np.testing.assert_allclose(sol.gradient("E", wrt="w"), [1.4, 1.4], rtol=1e-15)
    hessian = sol.hessian("E", wrt="w")
    np.testing.assert_array_equal(hessian, 2.0 * np.ones((2, 2)))
    assert np.linalg.matrix_rank(hessian) == 1


def test_descent_reaches_the_valley() -> None:
    """Δw = −η ∂E/∂w moves along (1, 1) to w₁ + w₂ = 0."""
    m = adj.Program("neuron")
    w = m.input("w", [0.3, 0.4])
    m.define("E", (w[0] + w[1]) ** 2)
    fun = m.function("E")
    at = fun.x0
    for _ in range(60):
        at = at - 0.1 * fun.jac(at)
    np.testing.assert_allclose(at, [-0.05, 0.05], atol=1e-12)


SAMPLES = np.array([[0.5, -1.0], [1.0, 0.3], [-0.7, 0.2], [0.1, 0.9]])
TARGETS = np.array([1.0, 0.0, 0.5, 0.2])


def neuron(samples: np.ndarray, targets: np.ndarray, bias_as_weight: bool) -> adj.Program:
    """Sigmoid neuron, E = mean of (t − y)²; its bias an input of its own, or the weight of a constant 1."""
    m = adj.Program()
    if bias_as_weight:
        w = m.input("w", [0.2, -0.4, 0.3])
        s = np.column_stack([samples, np.ones(len(samples))]) @ w
    else:
        w, b = m.input("w", [0.2, -0.4]), m.input("b", 0.3)
        s = samples @ w + b
    m.define("E", np.mean((targets - adj.expit(s)) ** 2))
    return m


def test_bias_column_is_an_explicit_bias() -> None:
    explicit = neuron(SAMPLES, TARGETS, False).solve()
    column = neuron(SAMPLES, TARGETS, True).solve()
    assert column["E"] == pytest.approx(explicit["E"], rel=1e-15, abs=0.0)
    gradient = np.append(explicit.gradient("E", wrt="w"), explicit.gradient("E", wrt="b"))
    np.testing.assert_allclose(column.gradient("E", wrt="w"), gradient, rtol=1e-14)


def test_gradient_of_a_batch_is_the_mean_of_gradients() -> None:
    """The two conditions on the loss: a mean over samples, and a function of the outputs."""
    batch = neuron(SAMPLES, TARGETS, True).solve().gradient("E", wrt="w")
    each = [
        neuron(SAMPLES[i : i + 1], TARGETS[i : i + 1], True).solve().gradient("E", wrt="w") for i in range(4)
    ]
    np.testing.assert_allclose(batch, np.mean(each, axis=0), rtol=1e-14)
