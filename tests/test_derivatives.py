"""Derivatives of expressions as expressions: forward and reverse, at leaves and in the middle of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from adjoint.backends import get_backend
from adjoint.derivatives import active_nodes, jvp, vjp
from adjoint.expr import Expr, Variable, as_expr, constant
from adjoint.walk import topological, variables_of


def evaluate(outputs: Sequence[Expr], values: Mapping[Variable, Any]) -> list[Any]:
    function = get_backend("numpy").compile(list(values), list(outputs))
    return list(function(*[np.asarray(v, dtype=float)[()] for v in values.values()]))


@pytest.fixture
def x() -> Variable:
    return Variable("x", (3,))


@pytest.fixture
def s() -> Variable:
    return Variable("s")


V = np.array([1.0, 2.0, 3.0])


def test_reverse_and_forward_agree_with_the_known_derivative(x: Variable, s: Variable) -> None:
    out = np.sum(np.sin(x) * s)
    gx, gs = evaluate(vjp([out], [1.0], [x, s]), {x: V, s: 2.0})
    np.testing.assert_allclose(gx, 2 * np.cos(V), rtol=1e-15)
    assert gs == pytest.approx(np.sin(V).sum())
    (tangent,) = evaluate(jvp([out], {x: V, s: 1.0}), {x: V, s: 2.0})
    assert tangent == pytest.approx(2 * np.cos(V) @ V + np.sin(V).sum())


def test_results_have_the_shape_of_what_they_belong_to(x: Variable, s: Variable) -> None:
    outputs = [x * s, np.sum(x), s + np.ones((2, 3))]
    parts = vjp(outputs, [np.ones(3), 1.0, 1.0], [x, s])
    assert [p.shape for p in parts] == [(3,), ()]
    assert [t.shape for t in jvp(outputs, {s: 1.0})] == [(3,), (), (2, 3)]
    assert [t.shape for t in jvp(outputs, {x: np.ones(3)})] == [(3,), (), (2, 3)]


def test_what_does_not_depend_is_the_constant_zero(x: Variable, s: Variable) -> None:
    (gs,) = vjp([np.sum(x)], [1.0], [s])
    assert gs is constant(0.0)
    assert vjp([np.sum(x)], [1.0], [Variable("other", (2,))])[0] is constant(np.zeros(2))
    assert jvp([np.sum(x)], {s: 1.0})[0] is constant(0.0)
    assert not variables_of(vjp([np.sum(np.floor(x))], [1.0], [x]))
    assert vjp([], [], [x])[0] is constant(np.zeros(3))


def test_derivatives_of_linear_functions_are_constants(x: Variable) -> None:
    (g,) = vjp([np.sum(2.0 * x[1:] - x[:-1])], [1.0], [x])
    assert not variables_of([g])
    np.testing.assert_array_equal(evaluate([g], {x: V})[0], [-1.0, 1.0, 2.0])


def test_an_output_may_be_its_own_variable_and_come_twice(x: Variable, s: Variable) -> None:
    (g,) = vjp([s, s, s * s], [1.0, 2.0, 1.0], [s])
    assert evaluate([g], {s: 5.0}) == [13.0]
    assert evaluate(jvp([s, s * s], {s: 3.0}), {s: 5.0}) == [3.0, 30.0]


def test_cotangents_are_spread_to_the_shape_of_the_output(x: Variable) -> None:
    (g,) = vjp([x**2], [2.0], [x])
    np.testing.assert_array_equal(evaluate([g], {x: V})[0], 4 * V)


def test_differentiation_stops_at_a_node_in_the_middle(x: Variable) -> None:
    """∂/∂a of f(a(x), x) with a held as a variable of its own, and x partial."""
    a = np.exp(x)
    out = np.sum(a * x)
    ga, gx = vjp([out], [1.0], [a, x])
    va, vx = evaluate([ga, gx], {x: V})
    np.testing.assert_array_equal(va, V)
    np.testing.assert_allclose(vx, np.exp(V))
    (t,) = jvp([out], {a: constant(np.ones(3))})
    assert evaluate([t], {x: V})[0] == pytest.approx(V.sum())


def test_derivatives_are_expressions_to_any_order(s: Variable) -> None:
    out = np.exp(2.0 * s)
    for order in range(1, 6):
        out = vjp([out], [1.0], [s])[0] if order % 2 else jvp([out], {s: 1.0})[0]
        assert evaluate([out], {s: 0.3})[0] == pytest.approx(2.0**order * np.exp(0.6))


def test_a_hessian_product_is_symmetric(x: Variable) -> None:
    f = np.prod(x) + np.sum(np.sin(x) * x[::-1])
    p, q = Variable("p", (3,)), Variable("q", (3,))
    (g,) = vjp([f], [1.0], [x])
    hp, hq = jvp([g], {x: p})[0], jvp([g], {x: q})[0]
    a, b = evaluate([np.sum(q * hp), np.sum(p * hq)], {x: V, p: V[::-1], q: np.cos(V)})
    assert a == pytest.approx(b, rel=1e-13)


def test_second_derivatives_share_subexpressions_with_the_first(s: Variable) -> None:
    """Hash-consing keeps repeated differentiation small: growth is linear, not exponential."""
    f = np.exp(np.sin(s) * s)
    sizes = []
    for _ in range(5):
        f = vjp([f], [1.0], [s])[0]
        sizes.append(len(topological([f])))
    assert sizes[-1] < 200


def test_active_nodes_are_those_on_the_way(x: Variable, s: Variable) -> None:
    a = np.exp(x)
    out = np.sum(a) * s
    order = topological([out])
    assert active_nodes(order, {s}) == {s, out}
    assert a in active_nodes(order, {x})
    assert active_nodes(topological([as_expr(1.0)]), {x}) == set()


def test_a_long_chain_is_differentiated_without_recursion(s: Variable) -> None:
    e: Expr = s
    for _ in range(10_000):
        e = np.sin(e) + 0.5 * e
    (g,) = vjp([e], [1.0], [s])
    (t,) = jvp([e], {s: 1.0})
    (h,) = jvp([g], {s: 1.0})
    forward, reverse, second = evaluate([t, g, h], {s: 0.3})
    assert forward == pytest.approx(reverse, rel=1e-9)
    assert np.isfinite(second)
