"""Tangents along many directions at once, against one direction after the other, on every row and backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adjoint import batched
from adjoint.backends import BACKENDS
from adjoint.batched import forward_batched, jacobian_batched, unit_tangents
from adjoint.derivatives import forward_sweep, jvp, vjp
from adjoint.expr import Constant, Expr, Variable, apply, constant
from adjoint.primitive import Primitive
from adjoint.primitives.elementwise import zeros
from adjoint.sparsity import TooDenseError, flat_values, jacobian_map
from adjoint.walk import topological
from tests.laws.random_arrays import ArrayProgram, array_programs
from tests.laws.samples import SAMPLES
from tests.laws.test_primitives import KNOWN, Node, close, nodes, run

SMOOTH = [name for name in KNOWN if SAMPLES[name].order]


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Any:
    return BACKENDS[request.param]


def at(outputs: Sequence[Expr], values: Mapping[Variable, Any], backend: Any = BACKENDS["numpy"]) -> list[np.ndarray]:
    return run(outputs, {v: np.asarray(x, dtype=float)[()] for v, x in values.items()}, backend=backend)


def names(e: Expr) -> list[str]:
    return [n.op.name for n in topological([e]) if n.op is not None]


# -- every row -----------------------------------------------------------------------------------------------------


def rows_of_jacobian(n: Node) -> np.ndarray:
    """The dense Jacobian, one reverse sweep per row."""
    units = np.eye(n.node.size).reshape(n.node.size, *n.node.shape)
    rows = [vjp([n.node], [constant(u)], n.moving) for u in units]
    flat = [np.concatenate([np.ravel(x) for x in run(row, n.values)]) for row in rows]
    return np.reshape(flat, (n.node.size, sum(v.size for v in n.moving)))


@pytest.mark.parametrize(("name", "looped"), [*((name, None) for name in SMOOTH), ("matmul", 0)])
def test_jacobian_of_a_row(name: str, looped: int | None, backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if looped is not None:
        monkeypatch.setattr(batched, "LOOPED_PRODUCT", looped)
    for case, n in nodes(name):
        (actual,) = run([jacobian_batched([n.node], n.moving)], n.values, backend=backend)
        close(actual, rows_of_jacobian(n), 1e-13, f"{name}, reverse: {case}")
        found = jacobian_map([n.node], n.moving)
        (entries,) = run([flat_values(found)], n.values)
        close(actual, found.dense(entries), 1e-13, f"{name}, sparse: {case}")


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("name", SMOOTH)
def test_directions_that_are_computed(name: str, count: int, backend: Any) -> None:
    """Tangents that are expressions: nothing folds."""
    rng = np.random.default_rng(count)
    for case, n in nodes(name):
        moved = {v: Variable(f"d{v.name}", (count, *v.shape)) for v in n.moving}
        given = {d: rng.normal(size=d.shape) for d in moved.values()}
        found = forward_batched([n.node], moved, count)
        out = found[n.node] if n.node in found else zeros((count, *n.node.shape))
        (actual,) = run([out], n.values | given, backend=backend)
        assert actual.shape == (count, *n.node.shape)
        for k in range(count):
            (one,) = run(jvp([n.node], {v: constant(given[d][k]) for v, d in moved.items()}), n.values)
            close(actual[k], one, 1e-13, f"{name}: {case}")


@pytest.mark.parametrize("name", SMOOTH)
def test_some_arguments_move_and_come_through_definitions(name: str, backend: Any) -> None:
    for case, n in nodes(name):
        for x in n.moving:
            w = Variable("w", x.shape)
            J = jacobian_batched([n.node, x], [w], {x: 2.0 * w})
            (actual,) = run([J], {**n.values, w: 0.5 * n.values[x]}, backend=backend)
            alone = Node(n.node, n.values, [x])
            expected = np.concatenate([2.0 * rows_of_jacobian(alone), 2.0 * np.eye(x.size)])
            close(actual, expected, 1e-13, f"{name}: {case}")


# -- random programs -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(array_programs(12), st.integers(0, 10**6), st.sampled_from(sorted(BACKENDS)), st.booleans())
def test_random_programs(p: ArrayProgram, seed: int, name: str, looped: bool) -> None:
    rng, count = np.random.default_rng(seed), 3
    values = p.values(rng)
    directions = [rng.normal(size=(count, *v.shape)) for v in p.variables]
    with pytest.MonkeyPatch.context() as patch:
        if not looped:
            patch.setattr(batched, "LOOPED_PRODUCT", 0)
        found = forward_batched(p.expressions, dict(zip(p.variables, directions, strict=True)), count, p.definitions)
    depending = [e for e in p.expressions if e in found]
    actual = BACKENDS[name].compile(p.inputs, [found[e] for e in depending], p.definitions)(*values)
    for k in range(count):
        given = {v: constant(d[k]) for v, d in zip(p.variables, directions, strict=True)}
        tangents = forward_sweep(p.expressions, given, p.definitions)
        one = [tangents.get(e, zeros(e.shape)) for e in p.expressions]
        expected = BACKENDS["numpy"].compile(p.inputs, one, p.definitions)(*values)
        got = dict(zip(depending, actual, strict=True))
        for e, right in zip(p.expressions, expected, strict=True):
            left = got[e][k] if e in got else np.zeros(e.shape)
            size = np.abs(np.where(np.isfinite(right), right, 0.0)).max(initial=1.0)
            np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-10 * size, err_msg=repr(p))


# -- forms -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def x() -> Variable:
    return Variable("x", (3,))


@pytest.fixture
def s() -> Variable:
    return Variable("s")


V = np.array([1.0, 2.0, 3.0])


def test_unit_directions_are_constants_in_the_order_of_the_leaves(x: Variable, s: Variable) -> None:
    units = unit_tangents([s, x])
    assert all(isinstance(t, Constant) for t in units.values())
    np.testing.assert_array_equal(units[s].value, [1.0, 0.0, 0.0, 0.0])  # type: ignore[attr-defined]
    np.testing.assert_array_equal(units[x].value, np.eye(4)[:, 1:])  # type: ignore[attr-defined]


def test_the_two_functions_agree(x: Variable, s: Variable, backend: Any) -> None:
    y = np.sin(x) * s
    J = jacobian_batched([y, s], [x, s])
    T = forward_batched([y, s], unit_tangents([x, s]), 4)
    a, b, c = at([J, T[y], T[s]], {x: V, s: 2.0}, backend)
    np.testing.assert_allclose(a[:3], b.T, rtol=1e-15)
    np.testing.assert_array_equal(a[3], c)
    np.testing.assert_allclose(b, np.vstack([np.diag(2 * np.cos(V)), np.sin(V)]), rtol=1e-15)


def test_the_jacobian_of_a_linear_function_is_a_constant(x: Variable) -> None:
    J = jacobian_batched([2.0 * x[1:] - x[:-1], x], [x])
    assert isinstance(J, Constant)
    np.testing.assert_array_equal(J.value, [[-1, 2, 0], [0, -1, 2], [1, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_what_does_not_depend_has_no_tangent(x: Variable, s: Variable) -> None:
    outputs = [np.exp(s), np.floor(x), constant(1.0)]
    assert not forward_batched(outputs, unit_tangents([x]), 3)
    assert jacobian_batched(outputs, [x]) is constant(np.zeros((5, 3)))
    assert jacobian_batched([], [x]).shape == (0, 3)
    assert jacobian_batched([x], []).shape == (3, 0)


def test_an_output_may_come_twice_and_be_below_another(x: Variable, backend: Any) -> None:
    y = np.exp(x)
    z = np.sin(y) * y + x
    (J,) = at([jacobian_batched([z, y, z], [x])], {x: V / 4}, backend)
    e = np.exp(V / 4)
    np.testing.assert_allclose(J[3:6], np.diag(e), rtol=1e-14)
    np.testing.assert_allclose(J[:3], np.diag((np.cos(e) * e + np.sin(e)) * e + 1.0), rtol=1e-14)
    np.testing.assert_array_equal(J[:3], J[6:])


def test_the_sweep_starts_at_any_node(x: Variable) -> None:
    a = np.exp(x)
    out = np.sum(a * x)
    t = forward_batched([out], {a: np.eye(3)}, 3)[out]
    np.testing.assert_array_equal(at([t], {x: V})[0], V)


def test_results_can_be_differentiated_again(x: Variable) -> None:
    """The Jacobian of a gradient is the Hessian, and symmetric."""
    f = np.prod(x) + np.sum(np.sin(x) * x[::-1])
    (g,) = vjp([f], [1.0], [x])
    (H,) = at([jacobian_batched([g], [x])], {x: V})
    np.testing.assert_allclose(H, H.T, rtol=1e-13)
    J = jacobian_batched([f], [x])
    (again,) = at([jacobian_batched([J], [x])], {x: V})
    np.testing.assert_allclose(again, H, rtol=1e-13)


# -- cost ------------------------------------------------------------------------------------------------------------


def full_sized(J: Expr) -> int:
    """Elementwise operations on as many elements as the Jacobian has."""
    return sum(n.size == J.size and n.op is not None and n.op.kind == "elementwise" for n in topological([J]))


def test_a_long_formula_costs_each_direction_one_product_per_operand() -> None:
    a, u = Variable("a", (5,)), np.linspace(0.0, 1.0, 7)[:, None]
    p, q = np.sum(a * a) * u, np.broadcast_to(np.sin(a), (7, 5))
    y = np.tanh(np.exp(p * q) + np.cos(q) / (1.0 + p * p)) * q
    operands = 3  # p, q, and 1 + p * p, which has another shape
    assert full_sized(jacobian_batched([y], [a])) == operands + (operands - 1)


def test_a_tangent_is_kept_on_the_directions_that_matter(backend: Any) -> None:
    """y depends on some elements of the vector, each term of it on one: no product with the others is formed."""
    x, u = Variable("x", (6,)), np.linspace(0.0, 1.0, 40)
    y = np.exp(-x[1] * u) * x[2] + np.sin(x[4] * u) + x[5]
    J = jacobian_batched([y, x[0], np.sum(x[2:4])], [x])
    products = [n.size for n in topological([J]) if n.op is not None and n.op.name == "multiply"]
    assert max(products) == 40
    values = {x: np.array([0.3, 0.7, -1.2, 2.0, 1.5, 0.1])}
    (actual,) = at([J], values, backend)
    _, b, c, _, e, _ = values[x]
    close(actual[:40, 1], -u * np.exp(-b * u) * c, 1e-14, "x[1]")
    close(actual[:40, 2], np.exp(-b * u), 1e-14, "x[2]")
    close(actual[:40, 4], u * np.cos(e * u), 1e-14, "x[4]")
    np.testing.assert_array_equal(actual[:40, [0, 3, 5]], np.broadcast_to([0.0, 0.0, 1.0], (40, 3)))
    np.testing.assert_array_equal(actual[40:], [[1, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0]])


def test_shared_operations_are_differentiated_once(s: Variable) -> None:
    """x_{t+1} = f(x_t), and every x_t is used: the work grows as the chain."""
    counts = []
    for length in (20, 40):
        x: Expr = Variable("x", (4,))
        start, total = x, []
        for _ in range(length):
            x = np.sin(x) * s + x
            total.append(np.sum(x * x))
        J = jacobian_batched(total, [start, s])  # type: ignore[list-item]
        counts.append(len(topological([J])))
    assert counts[1] < 2.2 * counts[0]


def test_many_directions_are_one_matrix_product(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched, "LOOPED_PRODUCT", 0)
    a, b = Variable("a", (6, 4)), Variable("b", (4, 3))
    out = a @ b
    values = {a: np.arange(24.0).reshape(6, 4), b: np.cos(np.arange(12.0)).reshape(4, 3)}
    for wrt, products in (([a], 1), ([b], 1), ([a, b], 2)):
        J = jacobian_batched([out], wrt)
        assert names(J).count("matmul") == products
        assert all(n.ndim == 2 for n in topological([J]) if n.op is not None and n.op.name == "matmul")
        close(at([J], values, backend)[0], rows_of_jacobian(Node(out, values, wrt)), 1e-13, "matmul")


def test_small_matrix_products_are_sums_of_products() -> None:
    a, b = Variable("a", (6, 4)), Variable("b", (4, 3))
    assert "matmul" not in names(jacobian_batched([a @ b], [a, b]))


def test_a_budget(x: Variable) -> None:
    y = np.sum(np.sin(x)[:, None] * np.ones(50), axis=1)
    jacobian_batched([y], [x], budget=450)
    with pytest.raises(TooDenseError, match="more than 449 elements"):
        jacobian_batched([y], [x], budget=449)
    with pytest.raises(TooDenseError, match="3 rows and 3 directions: more than 8 elements"):
        jacobian_batched([y], [x], budget=8)
    with pytest.raises(TooDenseError):  # the unit directions alone
        jacobian_batched([np.sum(Variable("many", (50_000,)))], [Variable("many", (50_000,))])
    with pytest.raises(TooDenseError):
        forward_batched([y], unit_tangents([x]), 3, budget=100)


def test_a_long_chain_needs_no_recursion(s: Variable) -> None:
    e: Expr = s
    for _ in range(3_000):
        e = np.sin(e) + 0.5 * e
    (g,) = vjp([e], [1.0], [s])
    J, expected = at([jacobian_batched([e], [s]), g], {s: 0.3})
    assert J.shape == (1, 1)
    assert J[0, 0] == pytest.approx(float(expected), rel=1e-9)


def test_a_linear_row_that_is_not_known(x: Variable, backend: Any) -> None:
    """Rows that users add: one direction after the other, and joined."""

    def mix(e: Expr, by: float) -> Expr:
        return apply(row, (e,), (by,), e.shape)

    row = Primitive(
        "mix", "linear", lambda v, by: v + by * v[::-1], transpose=lambda ct, k, args, params: mix(ct, *params)
    )
    y = np.sin(mix(x * x, 0.25))
    J, expected = at([jacobian_batched([y], [x]), np.stack(vjp_rows(y, x))], {x: V}, backend)
    np.testing.assert_allclose(J, expected, rtol=1e-14)


def vjp_rows(y: Expr, x: Variable) -> list[Expr]:
    return [vjp([y], [constant(u)], [x])[0] for u in np.eye(y.size)]
