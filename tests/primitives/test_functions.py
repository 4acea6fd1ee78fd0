"""NumPy's functions where the library's own code decides: the law for all of them is in ``laws``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.expr import as_expr


def value(build: Any, **inputs: Any) -> Any:
    m = adj.Program()
    m.define("value", build(*[m.input(name, v) for name, v in inputs.items()]))
    return m.solve()["value"]


V = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 7.0, 6.0])
A = V[:6].reshape(2, 3)


def test_splits_that_are_even_and_uneven() -> None:
    m = adj.Program()
    x = m.input("x", V)
    for ours, theirs in (
        (np.split(x, [2, 5]), np.split(V, [2, 5])),
        (np.split(x, 7), np.split(V, 7)),
        (np.split(x, [3, 3, 10]), np.split(V, [3, 3, 10])),
        (np.array_split(x, 3), np.array_split(V, 3)),
        (np.array_split(x, 10), np.array_split(V, 10)),
    ):
        assert [p.shape for p in ours] == [p.shape for p in theirs]
        for k, part in enumerate(ours):
            other = m.extended()
            other.define("part", part)
            np.testing.assert_array_equal(other.solve()["part"], theirs[k])
    with pytest.raises(adj.AdjointError):
        np.split(x, 3)


def test_clip_with_one_side() -> None:
    for arguments in ({"a_min": 2.5, "a_max": None}, {"a_min": None, "a_max": 2.5}, {"min": 2.5}, {"max": 2.5}):
        np.testing.assert_array_equal(value(lambda x, k=arguments: np.clip(x, **k), x=V), np.clip(V, **arguments))
    np.testing.assert_array_equal(value(lambda x: x.clip(2, 4), x=V), V.clip(2, 4))
    np.testing.assert_array_equal(value(lambda x, b: np.clip(x, b, b + 1), x=V, b=2.0), V.clip(2, 3))


def test_interp_checks_its_table() -> None:
    x = adj.Program().input("x", 1.0)
    for xp, fp in (([1.0], [1.0]), ([1.0, 1.0], [0.0, 1.0]), ([2.0, 1.0], [0.0, 1.0]), ([0.0, 1.0], [0.0, 1.0, 2.0])):
        with pytest.raises(adj.ShapeError, match="np.interp"):
            np.interp(x, xp, fp)
    with pytest.raises(adj.UnsupportedError):
        np.interp(x, [0.0, 1.0], [x, 1.0])
    with pytest.raises(adj.UnsupportedError):
        np.interp(x, [0.0, 1.0], [0.0, 1.0], left=-1.0)


def test_interp_keeps_its_own_copy_of_the_table() -> None:
    fp = np.array([0.0, 1.0])
    m = adj.Program()
    m.define("y", np.interp(m.input("x", 0.5), [0.0, 1.0], fp))
    fp[1] = 100.0
    assert m.solve()["y"] == 0.5


def test_where_with_one_argument_is_refused() -> None:
    with pytest.raises(adj.UnsupportedError, match="np.where"):
        np.where(adj.Program().input("x", V) > 2)


def test_like_functions_give_plain_arrays() -> None:
    x = adj.Program().input("x", A)
    for ours, theirs in (
        (np.zeros_like(x), np.zeros_like(A)),
        (np.ones_like(x), np.ones_like(A)),
        (np.full_like(x, 3), np.full_like(A, 3)),
    ):
        assert type(ours) is np.ndarray
        np.testing.assert_array_equal(ours, theirs)


def test_methods_are_the_functions() -> None:
    x = adj.Program().input("x", A)
    assert x.sum(axis=0) is np.sum(x, axis=0)
    assert x.reshape(3, 2) is x.reshape((3, 2)) is np.reshape(x, (3, 2))
    assert x.transpose() is x.T is np.transpose(x)
    assert x.transpose(1, 0) is x.transpose((1, 0))
    assert x.ravel() is x.flatten() is np.ravel(x)
    assert x.mean() is np.mean(x)
    assert x.copy() is np.copy(x) is x


def test_arrays_of_expressions() -> None:
    m = adj.Program()
    x, v = m.input("x", 2.0), m.input("v", [1.0, 3.0])
    m.define("a", adj.array([[x, 1.0], [0.0, x * x]]))
    m.define("b", adj.array([v, [x, 0.0]]))
    m.define("c", adj.array((1.0, 2.0)))
    m.define("d", adj.array(np.array([x, 7.0], dtype=object)))
    sol = m.solve()
    np.testing.assert_array_equal(sol["a"], [[2.0, 1.0], [0.0, 4.0]])
    np.testing.assert_array_equal(sol["b"], [[1.0, 3.0], [2.0, 0.0]])
    np.testing.assert_array_equal(sol["c"], [1.0, 2.0])
    np.testing.assert_array_equal(sol["d"], [2.0, 7.0])
    np.testing.assert_array_equal(sol.jacobian("a", wrt="x"), [[1.0, 0.0], [0.0, 4.0]])
    with pytest.raises(adj.ShapeError):
        adj.array([v, [1.0, 2.0, 3.0]])


def test_trapezoid_of_samples_with_and_without_places() -> None:
    np.testing.assert_allclose(value(lambda y: np.trapezoid(y, dx=0.5), y=V), np.trapezoid(V, dx=0.5))
    places = np.cumsum(V)
    np.testing.assert_allclose(value(np.trapezoid, y=V, x=places), np.trapezoid(V, places))
    np.testing.assert_allclose(value(lambda y: np.trapezoid(y, axis=0), y=A), np.trapezoid(A, axis=0))


def test_convolution_in_all_modes() -> None:
    k = np.array([1.0, -2.0, 0.5])
    for mode in ("full", "same", "valid"):
        for a, v in ((V, k), (k, V), (k, k)):
            np.testing.assert_allclose(
                value(lambda a, v, m=mode: np.convolve(a, v, m), a=a, v=v), np.convolve(a, v, mode), rtol=1e-13
            )


def test_activation_functions() -> None:
    v = np.array([-2.0, 0.5, 3.0])
    np.testing.assert_allclose(value(adj.swish, x=v), v / (1 + np.exp(-v)))
    np.testing.assert_allclose(value(lambda x: adj.swish(x, beta=2.0), x=v), v / (1 + np.exp(-2 * v)))
    np.testing.assert_allclose(value(adj.mish, x=v), v * np.tanh(np.log1p(np.exp(v))))
    np.testing.assert_array_equal(value(adj.relu, x=v), [0.0, 0.5, 3.0])


def test_functions_of_plain_numbers_are_constants() -> None:
    """The library's own functions take numbers too."""
    for function in (adj.relu, adj.swish, adj.mish, adj.erf, adj.expit, adj.softplus, adj.logsumexp, adj.softmax):
        out = function(np.array([0.5, 1.0]))
        assert isinstance(as_expr(out), adj.Expr)
        assert not as_expr(out).args


def test_iterating_and_unpacking() -> None:
    m = adj.Program()
    a, b, c = m.input("x", V[:3])
    m.define("y", a * b - c)
    assert m.solve()["y"] == 1.0
    m.define("z", sum(row[0] for row in m.input("A", A)))
    assert m.solve()["z"] == A[0, 0] + A[1, 0]
