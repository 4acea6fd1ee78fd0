"""Moving elements: selections, their transposes, joining and padding."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings

import adjoint as adj


def solved(build: Any, value: Any) -> adj.Solution:
    m = adj.Program()
    m.define("y", build(m.input("x", value)))
    return m.solve()


A = np.arange(1.0, 25.0).reshape(2, 3, 4)


@settings(max_examples=60)
@given(index=hnp.basic_indices((2, 3, 4), allow_newaxis=True))
def test_basic_indexing_is_numpys(index: Any) -> None:
    sol = solved(lambda x: x[index], A)
    np.testing.assert_array_equal(sol["y"], A[index])
    expected = np.zeros(np.shape(A[index]) + A.shape).reshape(-1, A.size)
    expected[np.arange(np.size(A[index])), np.ravel(A[index]).astype(int) - 1] = 1.0
    np.testing.assert_array_equal(np.reshape(sol.jacobian("y", wrt="x"), expected.shape), expected)


@pytest.mark.parametrize(
    "index",
    [
        [1, 0, 1],
        (slice(None), [2, 0]),
        ([0, 1], [2, 0], [3, 3]),
        (np.array([[0, 1], [1, 0]]),),
        A > 10,
        (0, A[0] > 5),
        (..., [0, -1]),
        (None, [1], slice(0, 2)),
        np.array([], dtype=int),
        (slice(None), np.array([True, False, True])),
        -1,
        (np.int64(1), slice(np.int64(0), np.int64(2))),
        True,
    ],
    ids=str,
)
def test_advanced_indexing_is_numpys(index: Any) -> None:
    sol = solved(lambda x: x[index], A)
    np.testing.assert_array_equal(sol["y"], A[index])
    back = sol.vjp({"y": np.ones(np.shape(A[index]))})["x"]  # how often each element was taken
    expected = np.zeros(A.shape)
    np.add.at(expected, index, 1.0)
    np.testing.assert_array_equal(back, expected)


def test_an_index_that_does_not_fit_is_told() -> None:
    m = adj.Program()
    x = m.input("x", A)
    for index in (2, (0, 3), (0, 0, 0, 0), [5], np.ones((2, 2), bool), 1.5, "a"):
        with pytest.raises((adj.ShapeError, adj.UnsupportedError)):
            x[index]
    for index in (x > 0, m.input("i", 1.0)):
        with pytest.raises(adj.UnsupportedError, match="static"):
            x[index]


def test_moves_of_elements_are_merged() -> None:
    """Reshapes of reshapes and takes of takes are one; moves that change nothing are none."""
    x = adj.Program().input("x", A)
    assert x.reshape(24).reshape(2, 3, 4) is x
    assert x.reshape(2, 12).reshape(-1, 2).args[0] is x
    assert x[[1, 0]][[1, 0]] is x
    assert x[...] is x
    assert np.broadcast_to(x, x.shape) is x
    assert np.squeeze(x) is x
    assert x.reshape(6, 4)[[0, 5]].args[0] is x


def test_a_sum_of_something_repeated_is_a_product() -> None:
    x = adj.Program().input("x", 2.0)
    assert np.sum(np.broadcast_to(x, (3, 4))) is 12.0 * x


def test_reshape_and_broadcast_refuse_what_does_not_fit() -> None:
    x = adj.Program().input("x", np.ones(6))
    for use in (
        lambda: x.reshape(4),
        lambda: x.reshape(-1, 4),
        lambda: x.reshape(-1, -1),
        lambda: np.broadcast_to(x, (6, 2)),
        lambda: np.broadcast_to(x, ()),
        lambda: np.transpose(x, (0, 1)),
        lambda: np.concatenate([x, np.ones((2, 2))]),
        lambda: np.concatenate([x, x], axis=1),
        lambda: np.stack([x, np.ones(3)]),
        lambda: np.cumsum(x, axis=1),
        lambda: np.flip(x, axis=2),
    ):
        with pytest.raises(adj.ShapeError):
            use()


def test_put_replaces_and_cuts_the_derivative_of_what_was_there() -> None:
    m = adj.Program()
    x, v = m.input("x", [1.0, 2.0, 3.0]), m.input("v", 5.0)
    m.define("y", adj.put(x, 1, v))
    m.define("z", adj.put(x, slice(0, 2), [v, 2 * v]))
    sol = m.solve()
    np.testing.assert_array_equal(sol["y"], [1.0, 5.0, 3.0])
    np.testing.assert_array_equal(sol["z"], [5.0, 10.0, 3.0])
    np.testing.assert_array_equal(sol.jacobian("y", wrt="x"), np.diag([1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(sol.jacobian("z", wrt="v"), [1.0, 2.0, 0.0])
    with pytest.raises(adj.ShapeError, match="more than once"):
        adj.put(x, [0, 0], 1.0)
    with pytest.raises(adj.ShapeError):
        adj.put(x, 3, 1.0)


def test_put_hides_what_was_not_a_number() -> None:
    """The replaced element does not come back as 0·NaN or 0·inf."""
    m = adj.Program()
    x = m.input("x", [0.0, 1.0])
    m.define("y", adj.put(1.0 / x, 0, 7.0))
    np.testing.assert_array_equal(m.solve()["y"], [7.0, 1.0])


def test_scatter_add_accumulates_repeated_positions() -> None:
    m = adj.Program()
    x = m.input("x", [1.0, 2.0, 4.0])
    m.define("y", adj.scatter_add(4, [3, 0, 3], x))
    m.define("z", adj.scatter_add((2, 2), ([0, 1, 0], [1, 1, 1]), x))
    m.define("s", adj.segment_sum(np.stack([x, 2 * x], axis=1), [1, 1, 0], 3))
    m.define("one", adj.scatter_add((), (), x[0]))
    sol = m.solve()
    np.testing.assert_array_equal(sol["y"], [2.0, 0.0, 0.0, 5.0])
    np.testing.assert_array_equal(sol["z"], [[0.0, 5.0], [0.0, 2.0]])
    np.testing.assert_array_equal(sol["s"], [[4.0, 8.0], [3.0, 6.0], [0.0, 0.0]])
    assert sol["one"] == 1.0
    np.testing.assert_array_equal(sol.jacobian("y", wrt="x"), [[0.0, 1.0, 0.0], [0.0] * 3, [0.0] * 3, [1.0, 0.0, 1.0]])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 3), (1,), (1, 1)])
def test_empty_and_one_element_arrays_move_too(shape: tuple[int, ...]) -> None:
    v = np.ones(shape)
    for build in (
        lambda x: x.reshape(-1),
        lambda x: x.T,
        lambda x: x[::-1],
        lambda x: x[..., None],
        lambda x: np.concatenate([x, x]),
        lambda x: np.cumsum(x),
        lambda x: np.stack([x, x], axis=-1),
        lambda x: np.flip(x),
        lambda x: np.pad(x, 1),
        lambda x: np.tile(x, 2),
        lambda x: x[np.zeros(0, int)],
    ):
        sol = solved(build, v)
        np.testing.assert_array_equal(sol["y"], build(v))
        jac = sol.jacobian("y", wrt="x")
        assert np.shape(jac) == np.shape(build(v)) + shape
        assert np.shape(sol.vjp({"y": np.ones(np.shape(build(v)))})["x"]) == shape


def test_the_transpose_of_every_move_by_a_dot_product() -> None:
    """⟨A x, w⟩ = ⟨x, Aᵀ w⟩, with the sums of moves that gradients are made of."""
    rng = np.random.default_rng(0)
    for build in (
        lambda x: x[1:, ::2, -1],
        lambda x: x[::-1, [0, 0, 2]],
        lambda x: np.pad(x, ((1, 0), (0, 2), (1, 1))),
        lambda x: np.pad(x, 1, mode="edge"),
        lambda x: np.pad(x, ((0, 0), (1, 1), (2, 2)), mode="wrap"),
        lambda x: np.cumsum(x, axis=1),
        lambda x: np.concatenate([x, x[:, :, ::-1], 2 * x], axis=2),
        lambda x: np.moveaxis(x, 0, 2),
        lambda x: np.roll(x, 2, axis=1),
        lambda x: adj.segment_sum(x, [1, 0], 4),
    ):
        sol = solved(build, A)
        v, w = rng.standard_normal(A.shape), rng.standard_normal(np.shape(sol["y"]))
        left = np.vdot(sol.jvp({"x": v}, of="y")["y"], w)
        right = np.vdot(v, sol.vjp({"y": w})["x"])
        assert left == pytest.approx(right, rel=1e-12)
        matrix = sol.jacobian("y", wrt="x").reshape(w.size, v.size)
        assert w.ravel() @ matrix @ v.ravel() == pytest.approx(left, rel=1e-12)
