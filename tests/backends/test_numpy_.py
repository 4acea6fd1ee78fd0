"""The NumPy backend: reused registers and buffers never show in its results."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import adjoint as adj
from adjoint.backends import BACKENDS, get_backend, numpy_
from adjoint.expr import Constant, Expr, Variable, constant
from adjoint.walk import topological

BACKEND = get_backend("numpy")
SIDE = 48  # 48 × 48 elements: above the size from which arrays are overwritten


@pytest.fixture(params=["source", "instructions"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both forms of a compiled function."""
    if request.param == "instructions":
        monkeypatch.setattr(numpy_, "SOURCE_LIMIT", 0)
    yield request.param


def plainly(roots: list[Expr], values: dict[Variable, Any], definitions: dict[Variable, Expr]) -> list[Any]:
    """Every node evaluated by its row, every value kept."""
    known: dict[Expr, Any] = {v: np.array(a) for v, a in values.items()}
    for node in topological(roots, definitions=definitions):
        if isinstance(node, Constant):
            known[node] = node.value
        elif node in definitions:
            known[node] = np.array(known[definitions[node]])
        elif node.op is not None:
            known[node] = np.array(node.op.value(*[known[a] for a in node.args], *node.params))
    return [known[r] for r in roots]


UNARY = [np.sin, np.cos, np.tanh, np.abs, np.negative, np.square, adj.relu, lambda a: a * 0.5, lambda a: 1.0 - a]
BINARY = [np.add, np.subtract, np.multiply, np.maximum, np.hypot, lambda a, b: np.where(a > b, a, b)]
VIEWS = [
    lambda a: a.T,
    lambda a: a[::-1],
    lambda a: a[:, ::-1],
    lambda a: a.reshape(-1).reshape(SIDE, SIDE),
    lambda a: np.broadcast_to(a[0], (SIDE, SIDE)),
    lambda a: np.broadcast_to(a[:, :1], (SIDE, SIDE)),
    lambda a: np.concatenate([a[1:], a[:1]]),
    lambda a: a + np.sum(a) * 1e-3,
    lambda a: adj.put(a, 0, a[1]),
    lambda a: np.cumsum(a, axis=1) * 0.01,
]


def random_program(seed: int) -> tuple[list[Variable], list[Any], dict[Variable, Expr]]:
    """Expressions on a few inputs, some used once, some often, some given a name, some returned twice."""
    rng = np.random.default_rng(seed)
    inputs = [Variable("a", (SIDE, SIDE)), Variable("b", (SIDE, SIDE)), Variable("row", (SIDE,)), Variable("s")]
    pool: list[Expr] = [inputs[0], inputs[1], inputs[0] * inputs[2], inputs[1] + inputs[3]]
    definitions: dict[Variable, Expr] = {}
    for k in range(int(rng.integers(3, 30))):
        recent = pool[-4:] if rng.random() < 0.7 else pool
        a, b = (recent[int(rng.integers(len(recent)))] for _ in range(2))
        kind = rng.random()
        if kind < 0.4:
            e = UNARY[int(rng.integers(len(UNARY)))](a)
        elif kind < 0.75:
            e = BINARY[int(rng.integers(len(BINARY)))](a, b)
        else:
            e = VIEWS[int(rng.integers(len(VIEWS)))](a)
        if rng.random() < 0.15:
            v = Variable(f"v{k}", e.shape)
            definitions[v] = e
            e = v
        pool.append(e)
    outputs: list[Any] = [pool[-1], pool[int(rng.integers(len(pool)))], pool[int(rng.integers(len(pool)))], pool[-1]]
    if rng.random() < 0.5:
        outputs.append((pool[-1], np.sum(pool[-2]), pool[int(rng.integers(len(pool)))]))
    return inputs, outputs, definitions


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32 - 1), source=st.booleans())
def test_random_programs_give_what_plain_evaluation_gives(seed: int, source: bool) -> None:
    """Inputs are left as they are, outputs of an earlier call too, and no output is changed by making another."""
    inputs, outputs, definitions = random_program(seed)
    flat = [e for out in outputs for e in (out if isinstance(out, tuple) else (out,))]
    rng = np.random.default_rng(seed)
    values = {v: np.asarray(rng.standard_normal(v.shape))[()] for v in inputs}
    others = {v: np.asarray(rng.standard_normal(v.shape))[()] for v in inputs}
    before = {v: np.array(a) for v, a in values.items()}
    limit = numpy_.SOURCE_LIMIT
    numpy_.SOURCE_LIMIT = limit if source else 0
    try:
        function = BACKEND.compile(inputs, outputs, definitions)
    finally:
        numpy_.SOURCE_LIMIT = limit
    first = function(*values.values())
    kept = [np.array(r) for r in first]
    function(*others.values())
    for v, a in values.items():
        np.testing.assert_array_equal(a, before[v])
    expected = iter(plainly(flat, values, definitions))
    for out, result, copy in zip(outputs, first, kept, strict=True):
        if isinstance(out, tuple):
            reference = np.concatenate([np.ravel(next(expected)) for _ in out])
        else:
            reference = next(expected)
        np.testing.assert_array_equal(result, copy)  # the second call has not changed it
        np.testing.assert_allclose(result, reference, rtol=1e-11, atol=1e-11)  # sums in another order of memory


def test_inputs_may_be_read_only(form: str) -> None:
    a, b = Variable("a", (SIDE, SIDE)), Variable("b", (SIDE, SIDE))
    frozen = np.ones((SIDE, SIDE))
    frozen.setflags(write=False)
    function = BACKEND.compile([a, b], [np.sin(a + b) * a, np.exp(-a) + b])
    for result, expected in zip(function(frozen, frozen), (np.sin(2.0), np.exp(-1.0) + 1), strict=True):
        np.testing.assert_array_equal(result, np.full((SIDE, SIDE), expected))


def test_one_array_given_twice_is_not_overwritten(form: str) -> None:
    a, b = Variable("a", (SIDE, SIDE)), Variable("b", (SIDE, SIDE))
    function = BACKEND.compile([a, b], [np.cos(np.sin(a) + 1.0) * b])
    same = np.full((SIDE, SIDE), 0.5)
    np.testing.assert_array_equal(function(same, same)[0], np.cos(np.sin(same) + 1.0) * 0.5)
    np.testing.assert_array_equal(same, 0.5)


def test_large_temporaries_are_overwritten() -> None:
    """A chain over large arrays needs memory for a few of them, not for all."""
    n = 500_000
    x = Variable("x", (n,))
    e: Any = x
    for _ in range(10):
        e = np.sin(e) + np.cos(e) * 0.5
    function = BACKEND.compile([x], [e])
    v = np.zeros(n)
    tracemalloc.start()
    try:
        function(v)
        assert tracemalloc.get_traced_memory()[1] < 5 * v.nbytes
    finally:
        tracemalloc.stop()


def test_packed_inputs_and_outputs(form: str) -> None:
    s, t, v, A = Variable("s"), Variable("t"), Variable("v", (2,)), Variable("A", (2, 2))
    scalars = BACKEND.compile([(s, t), v], [(s + t, t * 2.0), s * v])
    packed, array = scalars(np.array([3.0, 4.0]), np.array([1.0, 2.0]))
    np.testing.assert_array_equal(packed, [7.0, 8.0])
    np.testing.assert_array_equal(array, [3.0, 6.0])
    mixed = BACKEND.compile([(s, A, v)], [(A @ v, s, A.T, v[0])])
    (out,) = mixed(np.array([5.0, 1.0, 2.0, 3.0, 4.0, 10.0, 20.0]))
    np.testing.assert_array_equal(out, [50.0, 110.0, 5.0, 1.0, 3.0, 2.0, 4.0, 10.0])
    nothing = BACKEND.compile([(), s], [(), s])
    out, same = nothing(np.zeros(0), 2.0)
    assert (out.shape, same) == ((0,), 2.0)
    empty = BACKEND.compile([(Variable("e", (0,)), s)], [(s * 2.0,)])
    np.testing.assert_array_equal(empty(np.array([4.0]))[0], [8.0])


def test_calls_on_small_arrays_give_what_the_rows_give() -> None:
    """Those that do less than NumPy's general ones: the same bits, on small arrays and on larger ones."""
    rng = np.random.default_rng(0)
    few = numpy_.small_arrays.FEW
    for n in (4, few + 1):
        x, s = Variable("x", (n,)), Variable("s", ())
        A = scipy.sparse.random_array((n, n), density=min(1.0, 3 / n), rng=rng, format="csr")
        positions = rng.integers(0, n, n)
        exprs: list[Any] = [x[1], x[1:3], x[::-1], x[None, 1:], x.reshape(1, n), x[positions], s.reshape(1), np.sum(x)]
        exprs += [adj.scatter_add(n, positions, x), np.broadcast_to(s, (n,)), np.broadcast_to(x, (2, n)), A @ x]
        exprs += [
            np.stack([s, x[1], s]),
            np.concatenate([x, s.reshape(1), x[0].reshape(1), x]),
            np.broadcast_to(s, (2, 2)),
        ]
        exprs += [np.concatenate([s.reshape(1), x, s.reshape(1), np.sin(s).reshape(1)]), s.reshape(1)[np.array([0, 0])]]
        values = {x: rng.standard_normal(n), s: np.float64(0.3)}
        listed = numpy_.NumpyBackend(source_limit=0).compile([x, s], exprs)
        for result, expected in zip(listed(*values.values()), plainly(exprs, values, {}), strict=True):
            np.testing.assert_array_equal(result, expected)
            assert np.shape(result) == np.shape(expected)


def test_constants_inputs_and_their_views_as_outputs(form: str) -> None:
    x = Variable("x", (2, 2))
    one = adj.array([1.0, 2.0])
    function = BACKEND.compile([x], [x, x.T, one, adj.array(3.0), (one, x)])
    v = np.arange(4.0).reshape(2, 2)
    for result, expected in zip(function(v), (v, v.T, [1.0, 2.0], 3.0, [1.0, 2.0, 0.0, 1.0, 2.0, 3.0]), strict=True):
        np.testing.assert_array_equal(result, expected)


def test_definitions_and_their_other_names(form: str) -> None:
    x, a, b, c = Variable("x"), Variable("a"), Variable("b"), Variable("c")
    definitions = {a: x, b: np.exp(a), c: b}
    function = BACKEND.compile([x], [a, b, c, c * b], definitions)
    e = np.exp(2.0)
    assert function(2.0) == (2.0, e, e, e * e)


def test_a_variable_that_is_not_an_input_is_named() -> None:
    x, y = Variable("x"), Variable("lost")
    with pytest.raises(adj.ModelError, match="lost"):
        BACKEND.compile([x], [x * y])


def test_complex_values_continue_what_is_not_analytic(form: str) -> None:
    x, y = Variable("x"), Variable("y")
    h = 1e-30
    for build, at, slopes in (
        (lambda x, y: np.abs(x) + y, (-2.0, 1.0), (-1.0, 1.0)),
        (np.maximum, (3.0, 1.0), (1.0, 0.0)),
        (np.hypot, (3.0, 4.0), (0.6, 0.8)),
        (np.arctan2, (3.0, -4.0), (-0.16, -0.12)),
        (lambda x, y: np.where(x > y, x * y, x), (3.0, 2.0), (2.0, 3.0)),
        (lambda x, y: np.sqrt(x * x) ** 3 / y, (2.0, 4.0), (3.0, -0.5)),
    ):
        function = BACKEND.compile([x, y], [build(x, y)], None, True)
        found = [np.imag(function(at[0] + 1j * h, at[1])[0]) / h, np.imag(function(at[0], at[1] + 1j * h)[0]) / h]
        np.testing.assert_allclose(found, slopes, rtol=1e-13, atol=1e-15)


def test_every_index_is_written_as_source(form: str) -> None:
    x = Variable("x", (3, 4, 5))
    v = np.arange(60.0).reshape(3, 4, 5)
    for index in (
        0,
        -1,
        (slice(None), 2),
        (..., -1),
        (None, 1),
        slice(2, None, -1),
        (slice(0, 3, 2), None, ..., 3),
        (),
    ):
        np.testing.assert_array_equal(BACKEND.compile([x], [x[index] + 0.5])(v)[0], v[index] + 0.5)


def test_a_number_is_indexed_as_an_array_without_axes(form: str) -> None:
    x = Variable("x")
    for value in (2.0, np.float64(2.0), np.array(2.0)):
        assert BACKEND.compile([x], [x[None], x[..., None] + 1.0])(value)[0].tolist() == [2.0]
    assert BACKEND.compile([], [x[None]], {x: constant(2.0)})()[0].tolist() == [2.0]


def test_long_programs_switch_to_instructions() -> None:
    x = Variable("x")
    e: Any = x
    for _ in range(numpy_.SOURCE_LIMIT):
        e = np.sin(e) + 0.1
    assert len(topological([e])) > numpy_.SOURCE_LIMIT
    expected = 0.5
    for _ in range(numpy_.SOURCE_LIMIT):
        expected = np.sin(expected) + 0.1
    assert BACKEND.compile([x], [e])(0.5)[0] == expected


def test_backends_by_name() -> None:
    assert get_backend("numpy") is BACKENDS["numpy"]
    assert get_backend() in BACKENDS.values()
    with pytest.raises(adj.AdjointError, match="numpy"):
        get_backend("nunpy")
