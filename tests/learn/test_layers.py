"""Layers against plain NumPy; names, initial values, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.signal import correlate

import adjoint as adj
from adjoint import learn

RANDOM = np.random.default_rng(0)


def test_dense() -> None:
    m = adj.Program()
    x = RANDOM.normal(size=(5, 3))
    out = learn.dense(m, m.input("x", x), 4, "out", np.tanh)
    sol = m.solve({"out.bias": [0.1, -0.2, 0.3, 0.0]})
    z = x @ sol["out.weights"] + [0.1, -0.2, 0.3, 0.0]
    np.testing.assert_allclose(sol["out.z"], z, rtol=1e-14)
    np.testing.assert_allclose(sol[out], np.tanh(z), rtol=1e-14)
    assert learn.parameters(m) == ["out.weights", "out.bias"]


def test_no_bias_no_activation_more_axes() -> None:
    m = adj.Program()
    x = RANDOM.normal(size=(2, 3, 4))
    learn.dense(m, m.input("x", x), 5, "out", bias=False)
    sol = m.solve()
    np.testing.assert_allclose(sol["out"], x @ sol["out.weights"], rtol=1e-13)
    assert "out.bias" not in m and "out.z" not in m


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 0), (1, 1), (3, 2)])
@pytest.mark.parametrize("size", [3, (2, 3)])
def test_convolution(stride: int, padding: int, size: Any) -> None:
    m = adj.Program()
    x = RANDOM.normal(size=(2, 7, 6, 2))
    learn.convolution(m, m.input("x", x), 3, size, "edges", stride=stride, padding=padding)
    sol = m.solve({"edges.bias": [1.0, 2.0, 3.0]})
    window = (size, size) if isinstance(size, int) else size
    kernels = np.reshape(sol["edges.weights"], (*window, 2, 3))
    padded = np.pad(x, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    for n in range(2):
        for k in range(3):
            full = sum(correlate(padded[n, :, :, c], kernels[:, :, c, k], "valid") for c in range(2)) + k + 1.0
            np.testing.assert_allclose(sol["edges"][n, :, :, k], full[::stride, ::stride], atol=1e-12)


def test_convolution_of_signals() -> None:
    m = adj.Program()
    x = RANDOM.normal(size=(1, 9, 1))
    learn.convolution(m, m.input("x", x), 1, 4, "filter", bias=False)
    sol = m.solve()
    expected = correlate(x[0, :, 0], sol["filter.weights"][:, 0], "valid")
    np.testing.assert_allclose(sol["filter"][0, :, 0], expected, atol=1e-13)


def test_gradients_of_layers() -> None:
    m = adj.Program()
    x = m.input("x", RANDOM.normal(size=(2, 6, 5, 1)))
    c = learn.convolution(m, x, 2, 3, "c", adj.softplus, padding=1, stride=2)
    states = learn.recurrent(m, c.reshape(2, 3, 6), 4, "r")
    scores = learn.dense(m, states[-1], 3, "s")
    m.define("loss", learn.cross_entropy(scores, learn.one_hot([0, 2], 3)))
    assert m.solve().check_derivatives("loss")
    assert len(learn.parameters(m)) == 7
    assert learn.parameters(m, "r") == ["r.weights", "r.recurrent", "r.bias"]


def test_recurrent() -> None:
    m = adj.Program()
    x, first = RANDOM.normal(size=(2, 4, 3)), RANDOM.normal(size=(2, 5))
    states = learn.recurrent(m, m.input("x", x), 5, "memory", initial=m.input("first", first))
    sol = m.solve()
    h = first
    for t, state in enumerate(states):
        h = np.tanh(x[:, t] @ sol["memory.weights"] + h @ sol["memory.recurrent"])
        np.testing.assert_allclose(sol[state], h, rtol=1e-12)


def test_seeds_and_names() -> None:
    def weights(name: str, seed: Any) -> np.ndarray:
        m = adj.Program()
        learn.dense(m, m.input("x", np.ones((1, 6))), 6, name, seed=seed)
        return np.asarray(m.inputs[m[f"{name}.weights"]])

    np.testing.assert_array_equal(weights("a", 1), weights("a", 1))
    assert not np.array_equal(weights("a", 1), weights("b", 1))
    assert not np.array_equal(weights("a", 1), weights("a", 2))
    random = np.random.default_rng(5)
    assert not np.array_equal(weights("a", random), weights("a", random))


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [("glorot_uniform", 2.0 / 500), ("glorot_normal", 2.0 / 500), ("he_normal", 2.0 / 300), ("zeros", 0.0)],
)
def test_variances(initializer: str, variance: float) -> None:
    w = getattr(learn, initializer)((300, 200), np.random.default_rng(0))
    assert w.var() == pytest.approx(variance, rel=0.03) and abs(w.mean()) < 1e-3


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6)])
def test_orthogonal(shape: tuple[int, int]) -> None:
    w = learn.orthogonal(shape, np.random.default_rng(0))
    small = w.T @ w if shape[0] >= shape[1] else w @ w.T
    np.testing.assert_allclose(small, np.eye(min(shape)), atol=1e-12)


def test_losses() -> None:
    m = adj.Program()
    p, t = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(4, 3))
    labels = learn.one_hot([0, 1, 2, 1], 3)
    v = m.input("p", p)
    m.define("squares", learn.squared_error(v, t))
    m.define("entropy", learn.cross_entropy(v, labels))
    m.define("hinge", learn.hinge(v, 2.0 * labels - 1.0))
    sol = m.solve()
    assert sol["squares"] == pytest.approx(0.5 * np.mean(np.sum((p - t) ** 2, axis=1)))
    log_p = p - np.log(np.exp(p).sum(axis=1, keepdims=True))
    assert sol["entropy"] == pytest.approx(-np.mean(np.sum(labels * log_p, axis=1)))
    assert sol["hinge"] == pytest.approx(np.mean(np.sum(np.maximum(1 - (2 * labels - 1) * p, 0), axis=1)))
    large = m.solve(p=1e4 * p)
    assert np.isfinite(large["entropy"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, x: learn.convolution(m, x, 2, 3, "c"), "samples, axes, channels"),
        (lambda m, x: learn.convolution(m, x.reshape(2, 3, 1), 2, 9, "c"), "do not fit"),
        (lambda m, x: learn.recurrent(m, x, 2, "r"), "samples, times, features"),
        (lambda m, x: learn.cross_entropy(x, np.ones(3)), "predictions have shape"),
        (lambda m, x: learn.dense(m, np.sum(x), 2, "d"), "last axis is features"),
        (lambda m, x: learn.parameters(m), "no layers"),
        (lambda m, x: learn.glorot_normal((3,), RANDOM), "two axes"),
    ],
)
def test_what_is_refused(call: Any, words: str) -> None:
    m = adj.Program()
    with pytest.raises(adj.AdjointError, match=words):
        call(m, m.input("x", np.ones((2, 3))))
