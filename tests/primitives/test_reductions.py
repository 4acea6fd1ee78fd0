"""Reductions: ties, zeros, empty arrays, and what would overflow."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import adjoint as adj


def solved(build: Any, value: Any) -> adj.Solution:
    m = adj.Program()
    m.define("y", build(m.input("x", value)))
    return m.solve()


A = np.array([[3.0, 1.0, 2.0], [4.0, 0.5, 6.0]])
KEEP = [
    np.sum,
    np.mean,
    np.max,
    np.min,
    np.prod,
    np.var,
    np.std,
    np.linalg.norm,
    adj.logsumexp,
]


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1), (1, 0)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("function", KEEP, ids=lambda f: f.__name__)
def test_axes_and_keepdims(function: Any, axis: Any, keepdims: bool) -> None:
    def reference(v: Any) -> Any:
        if function is adj.logsumexp:
            return np.log(np.sum(np.exp(v), axis=axis, keepdims=keepdims))
        return function(v, axis=axis, keepdims=keepdims)

    sol = solved(lambda x: function(x, axis=axis, keepdims=keepdims), A)
    np.testing.assert_allclose(sol["y"], reference(A), rtol=1e-14)
    assert np.shape(sol["y"]) == np.shape(reference(A))
    step = 1e-30j
    direction = np.cos(np.arange(6.0)).reshape(2, 3)
    expected = sol.jvp({"x": direction}, of="y")["y"]
    if function in (np.sum, np.mean, np.prod, adj.logsumexp):
        np.testing.assert_allclose(expected, np.imag(reference(A + step * direction)) / 1e-30, rtol=1e-13)
    weights = np.sin(1.0 + np.arange(np.size(expected))).reshape(np.shape(expected))
    assert np.vdot(weights, expected) == pytest.approx(np.vdot(sol.vjp({"y": weights})["x"], direction), rel=1e-12)


def test_tied_extrema_share_the_derivative() -> None:
    for function, sign in ((np.max, 1.0), (np.min, -1.0)):
        sol = solved(function, sign * np.array([1.0, 5.0, 5.0, 2.0, 5.0]))
        with pytest.warns(adj.KinkWarning):
            slopes = sol.gradient("y", wrt="x")
        np.testing.assert_allclose(slopes, [0.0, 1 / 3, 1 / 3, 0.0, 1 / 3], rtol=1e-15)


def test_ties_are_shared_along_the_axis_only() -> None:
    sol = solved(lambda x: np.max(x, axis=1), np.array([[1.0, 1.0], [1.0, 0.0]]))
    with pytest.warns(adj.KinkWarning):
        jac = sol.jacobian("y", wrt="x")
    np.testing.assert_array_equal(jac, [[[0.5, 0.5], [0.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]])


def test_the_norm_has_derivative_zero_at_the_origin() -> None:
    sol = solved(lambda x: np.linalg.norm(x), np.zeros(3))
    with pytest.warns(adj.KinkWarning):
        np.testing.assert_array_equal(sol.gradient("y", wrt="x"), np.zeros(3))


@pytest.mark.parametrize(
    ("order", "axis"), [(1, None), (2, None), (3, None), (np.inf, None), (-np.inf, None), (2, 1), (1, 0)]
)
def test_vector_norms(order: float, axis: int | None) -> None:
    v = np.array([3.0, -4.0, 1.0]) if axis is None else np.array([[3.0, -4.0], [1.0, 2.0]])
    sol = solved(lambda x: np.linalg.norm(x, order, axis=axis), v)
    np.testing.assert_allclose(sol["y"], np.linalg.norm(v, order, axis=axis), rtol=1e-14)
    assert sol.check_derivatives({"y": np.ones(np.shape(sol["y"]))}).ok


def test_matrix_norms_other_than_frobenius_are_refused() -> None:
    x = adj.Program().input("x", A)
    assert np.linalg.norm(x, "fro") is np.linalg.norm(x)
    for order in (1, 2, np.inf, "nuc"):
        with pytest.raises(adj.UnsupportedError):
            np.linalg.norm(x, order)


def test_products_with_zeros_have_exact_derivatives() -> None:
    for v, slopes in (
        ([2.0, 0.0, 5.0], [0.0, 10.0, 0.0]),
        ([0.0, 0.0, 5.0], [0.0, 0.0, 0.0]),
        ([2.0, 3.0, 5.0], [15.0, 10.0, 6.0]),
    ):
        np.testing.assert_array_equal(solved(np.prod, v).gradient("y", wrt="x"), slopes)
    hessian = solved(np.prod, [0.0, 0.0, 5.0]).hessian("y", wrt="x")
    np.testing.assert_array_equal(hessian, [[0.0, 5.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13])
def test_running_sums_and_products(n: int) -> None:
    v = np.linspace(0.5, 1.5, n)
    for function in (np.cumsum, np.cumprod):
        sol = solved(function, v)
        np.testing.assert_allclose(sol["y"], function(v), rtol=1e-14)
        steps = np.imag(function(v[:, None] + 1e-30j * np.eye(n), axis=0)) / 1e-30
        np.testing.assert_allclose(sol.jacobian("y", wrt="x"), steps, rtol=1e-13, atol=1e-14)


def test_log_sum_exp_and_softmax_do_not_overflow() -> None:
    for v in ([1000.0, 1001.0, 999.0], [-1000.0, -1001.0, -999.0], [0.0, -2000.0, 1.0]):
        e = np.exp(np.array(v) - max(v))
        p = e / e.sum()
        sol = solved(adj.logsumexp, v)
        assert sol["y"] == pytest.approx(max(v) + np.log(e.sum()), rel=1e-15)
        np.testing.assert_allclose(sol.gradient("y", wrt="x"), p, rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(sol.hessian("y", wrt="x"), np.diag(p) - np.outer(p, p), rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(solved(adj.softmax, v)["y"], p, rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(
            solved(adj.log_softmax, v)["y"], np.array(v) - max(v) - np.log(e.sum()), rtol=1e-12, atol=1e-13
        )


def test_softmax_and_logsumexp_are_smooth_at_a_tie() -> None:
    """Their maximum is a shift, not a kink: nothing is warned."""
    sol = solved(lambda x: adj.softmax(x)[0] + adj.logsumexp(x), np.zeros(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(sol.gradient("y", wrt="x"), [0.75, 0.25], rtol=1e-15)


def test_softmax_over_axes() -> None:
    for axis in (None, 0, 1, (0, 1)):
        e = np.exp(A)
        np.testing.assert_allclose(
            solved(lambda x, a=axis: adj.softmax(x, axis=a), A)["y"], e / e.sum(axis=axis, keepdims=True), rtol=1e-14
        )


def test_weighted_averages() -> None:
    m = adj.Program()
    x, w = m.input("x", A), m.input("w", [1.0, 3.0])
    m.define("y", np.average(x, axis=0, weights=w))
    m.define("z", np.average(x, weights=x))
    sol = m.solve()
    np.testing.assert_allclose(sol["y"], np.average(A, axis=0, weights=[1.0, 3.0]), rtol=1e-15)
    assert sol["z"] == pytest.approx(np.average(A, weights=A))
    assert sol.check_derivatives({"y": np.ones(3), "z": 1.0}).ok


def test_reductions_of_empty_arrays() -> None:
    """A sum of nothing is 0 and a product 1; what has no value is refused."""
    assert solved(np.sum, np.zeros(0))["y"] == 0.0
    assert solved(np.prod, np.zeros(0))["y"] == 1.0
    np.testing.assert_array_equal(solved(lambda x: np.sum(x, axis=0), np.zeros((0, 3)))["y"], np.zeros(3))
    np.testing.assert_array_equal(solved(lambda x: np.sum(x, axis=1), np.zeros((0, 3)))["y"], np.zeros(0))
    assert solved(np.linalg.norm, np.zeros(0))["y"] == 0.0
    for function in (np.max, np.min, np.mean, np.var, adj.logsumexp):
        with pytest.raises(adj.AdjointError):
            solved(function, np.zeros(0))


def test_bad_axes_are_refused() -> None:
    x = adj.Program().input("x", A)
    for use in (
        lambda: np.sum(x, axis=2),
        lambda: np.max(x, axis=(0, 0)),
        lambda: np.cumprod(x, axis=-3),
        lambda: np.mean(x, axis=0.5),
        lambda: np.var(x[0, :1], ddof=1),
    ):
        with pytest.raises(adj.AdjointError):
            use()


def test_a_scalar_reduces_to_itself() -> None:
    x = adj.Program().input("x", 2.0)
    for function in (np.sum, np.max, np.min, np.mean, np.prod):
        assert function(x) is x
