"""Sparse Jacobians and Hessians of expressions: exact patterns, entries as expressions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize as so
import scipy.sparse as sp

from adjoint.backends import get_backend
from adjoint.derivatives import jvp
from adjoint.expr import Expr, Variable, constant
from adjoint.sparsity import SparseMap, TooDenseError, flat_values, hessian_map, jacobian_map


def entries(map_: SparseMap, values: dict[Variable, Any], complex_values: bool = False) -> np.ndarray:
    function = get_backend("numpy").compile(list(values), [flat_values(map_)], None, complex_values)
    return function(*values.values())[0]


def columns(outputs: list[Expr], values: dict[Variable, Any], leaves: list[Variable]) -> np.ndarray:
    """The Jacobian column by column, by tangents."""
    found = []
    for leaf in leaves:
        for k in range(leaf.size):
            unit = np.zeros(leaf.size)
            unit[k] = 1.0
            parts = jvp(outputs, {leaf: constant(unit.reshape(leaf.shape))})
            result = get_backend("numpy").compile(list(values), [tuple(parts)])(*values.values())[0]
            found.append(result)
    return np.stack(found, axis=1)


X, Y, S = Variable("x", (4,)), Variable("y", (4,)), Variable("s")
AT = {X: np.array([1.0, 2.0, 3.0, 4.0]), Y: np.array([0.5, -1.0, 2.0, 0.25]), S: 3.0}
A = sp.csr_array(np.array([[0.0, 2.0, 0.0, 0.0], [1.0, 0.0, 0.0, 3.0]]))


@pytest.mark.parametrize(
    ("outputs", "leaves", "nnz"),
    [
        ([np.sin(X) * Y], [X, Y], 8),
        ([X[1:] - X[:-1]], [X], 6),
        ([X * S], [X, S], 8),
        ([X + Y], [X, Y], 8),
        ([np.sum(X * Y)], [X, Y], 8),
        ([X[[0, 0, 3]]], [X], 3),
        ([X[0] * X[0] + X[1], S], [X, S], 3),
        ([A @ np.exp(X)], [X], 3),
        ([X @ A.T], [X], 3),
        ([np.reshape(X, (2, 2)) @ np.array([[1.0, 0.0], [2.0, 1.0]])], [X], 6),
        ([np.reshape(X, (2, 2)) @ np.reshape(Y, (2, 2))], [X, Y], 16),
        ([np.max(X)], [X], 4),
        ([np.cumsum(X)], [X], 10),
        ([np.linalg.norm(X) * S], [X, S], 5),
        ([np.concatenate([X[:2], Y[2:]]) ** 2], [X, Y], 4),
        ([np.linalg.solve(np.reshape(X, (2, 2)) + 5 * np.eye(2), Y[:2])], [X, Y], 12),
        ([np.sin(np.cos(np.exp(X) + Y) * X) + Y**2], [X, Y], 8),
        ([np.broadcast_to(S, (3,)) * np.arange(3.0)], [S], 3),
        ([np.ones(3) * 2.0], [X], 0),
        ([S * 2.0, X, Y * 0.0], [X, S], 5),
        ([np.where(X > 2.0, X, Y)], [X, Y], 8),
        ([X - X + Y], [X, Y], 4),
    ],
    ids=str,
)
def test_pattern_and_entries(outputs: list[Any], leaves: list[Variable], nnz: int) -> None:
    from_constants = [constant(o) if isinstance(o, np.ndarray) else o for o in outputs]
    map_ = jacobian_map(from_constants, leaves)
    assert map_.nnz == nnz
    expected = columns(from_constants, AT, leaves)
    data = entries(map_, AT)
    np.testing.assert_allclose(map_.matrix(data).toarray(), expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(map_.dense(data), expected, rtol=1e-13, atol=1e-14)
    assert map_.shape == expected.shape
    assert map_.matrix(data).has_canonical_format


def test_a_group_of_elementwise_operations_leaves_one_value_per_operand_and_row() -> None:
    n = 1000
    x = Variable("x", (n + 2,))
    out = (x[2:] - 2 * x[1:-1] + x[:-2]) + np.exp(x[1:-1]) * np.sin(x[1:-1]) ** 3 / (1 + x[1:-1] ** 2)
    map_ = jacobian_map([out], [x])
    assert map_.nnz == 3 * n
    assert sum(v.size for v in flat_values(map_)) <= n  # the neighbours' entries are constants


def test_constant_entries_are_not_computed() -> None:
    map_ = jacobian_map([3.0 * X - S * 2.0], [X, S])
    assert map_.values == ()
    np.testing.assert_array_equal(map_.matrix(np.zeros(0)).toarray(), np.hstack([3 * np.eye(4), np.full((4, 1), -2.0)]))


def test_entries_of_one_place_are_added() -> None:
    out = X[[0, 1]] * X[[1, 2]] + X[[0, 0]] + 2.0 * X[[0, 1]]
    map_ = jacobian_map([out], [X])
    assert map_.nnz == 5
    np.testing.assert_allclose(
        map_.matrix(entries(map_, {X: AT[X]})).toarray(), [[2 + 1 + 2, 1, 0, 0], [1, 3 + 2, 2, 0]]
    )


def test_matrices_of_two_calls_are_independent() -> None:
    map_ = jacobian_map([X * 2.0, X**2], [X])
    first = map_.matrix(entries(map_, {X: AT[X]}))
    copy = first.toarray()
    map_.matrix(entries(map_, {X: 2 * AT[X]}))
    np.testing.assert_array_equal(first.toarray(), copy)
    linear = jacobian_map([X * 2.0], [X])
    first = linear.matrix(np.zeros(0))
    first.data[:] = 0.0
    np.testing.assert_array_equal(linear.matrix(np.zeros(0)).toarray(), 2 * np.eye(4))


def test_total_derivatives_through_definitions() -> None:
    a, b = Variable("a", (4,)), Variable("b")
    definitions = {a: np.exp(X) * S, b: np.sum(a) + S}
    map_ = jacobian_map([a, b, b * S], [X, S], definitions)
    e = np.exp(AT[X])
    data = entries(map_, {**AT, a: 3 * e, b: 3 * e.sum() + 3})
    expected = np.zeros((6, 5))
    expected[:4, :4], expected[:4, 4] = np.diag(3 * e), e
    expected[4, :4], expected[4, 4] = 3 * e, e.sum() + 1
    expected[5, :4], expected[5, 4] = 9 * e, 3 * (e.sum() + 1) + 3 * e.sum() + 3
    np.testing.assert_allclose(map_.matrix(data).toarray(), expected, rtol=1e-13)


def test_a_long_chain_of_definitions_takes_linear_time() -> None:
    """A variable that every link uses directly does not make one term per link and place."""
    definitions: dict[Variable, Expr] = {}
    last: Expr = S
    for k in range(300):
        v = Variable(f"v{k}")
        definitions[v] = np.sin(last) + S
        last = v
    map_ = jacobian_map([last], [S], definitions)
    assert map_.nnz == 1
    assert sum(v.size for v in flat_values(map_)) <= 4


def test_too_dense_is_told_before_it_is_made() -> None:
    big = Variable("big", (300,))
    with pytest.raises(TooDenseError):
        jacobian_map([np.reshape(big[:100], (10, 10)) @ np.reshape(big[100:200], (10, 10))], [big], budget=500)
    with pytest.raises(TooDenseError):
        jacobian_map([np.linalg.inv(np.reshape(big[:100], (10, 10)))], [big], budget=5000)


def test_hessians_are_exact_and_as_sparse_as_the_function() -> None:
    n = 50
    x = Variable("x", (n,))
    v = np.linspace(0.0, 1.0, n)
    f = np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)
    map_ = hessian_map(f, [x])
    assert map_.nnz == n + 2 * (n - 1)
    matrix = map_.matrix(entries(map_, {x: v})).toarray()
    np.testing.assert_allclose(matrix, matrix.T)
    np.testing.assert_allclose(matrix, so.rosen_hess(v), rtol=1e-12, atol=1e-10)


def test_complex_entries() -> None:
    map_ = jacobian_map([np.exp(X) + X * Y], [X, Y])
    z = AT[X] + 1e-30j
    data = entries(map_, {X: z, Y: AT[Y]}, complex_values=True)
    np.testing.assert_allclose(map_.matrix(data).toarray()[:, :4].diagonal().imag / 1e-30, np.exp(AT[X]))


@pytest.mark.parametrize("shape", [(0,), (0, 3)])
def test_empty_outputs_and_leaves(shape: tuple[int, ...]) -> None:
    e = Variable("e", shape)
    map_ = jacobian_map([np.exp(e), S * 2.0], [e, S])
    assert map_.shape == (1, 1)
    assert map_.nnz == 1
    assert jacobian_map([], [X]).shape == (0, 4)
    assert jacobian_map([X], []).shape == (4, 0)
