"""Scalar programs in segments: values, cotangents, multipliers and tangents against NumPy and the symbolic sweeps."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

from adjoint.backends.numpy_ import NumpyBackend
from adjoint.derivatives import forward_sweep, jvp, reverse_sweep, vjp
from adjoint.expr import Variable, apply, constant
from adjoint.primitive import BUILDERS, PRIMITIVES
from adjoint.primitives.activations import erf, expit, softplus
from adjoint.primitives.elementwise import where

pytest.importorskip("llvmlite")

from adjoint.backends.llvm_ import segments, straight
from adjoint.backends.llvm_.segments import scalar_program
from adjoint.backends.llvm_.tape import build
from adjoint.backends.llvm_.tape_code import opcodes
from adjoint.backends.llvm_.tape_order import LOCAL_SIZE

UNARY = (np.sin, np.cos, np.tanh, np.exp, np.sqrt, np.log, np.square, np.abs, np.reciprocal, np.negative, erf, expit)
BINARY = (np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.hypot, np.arctan2)


@pytest.fixture(params=["straight", 1, 4, 8], ids=lambda w: w if w == "straight" else f"width{w}")
def width(request, monkeypatch):
    """Straight-line code, or loops of a given width, whatever the lengths of the segments."""
    if request.param == "straight":
        if not segments.takes_machine_code():
            pytest.skip("code for another processor")
        return straight.LANES
    if request.param > segments.vector_width() or 1 < segments.vector_width() < 4:
        pytest.skip("wider than the vectors of this processor")
    monkeypatch.setattr(segments, "takes_machine_code", lambda: False)
    monkeypatch.setattr(segments, "_width", lambda tape: request.param)
    return request.param


@pytest.fixture
def loops(monkeypatch):
    """No straight-line code."""
    monkeypatch.setattr(segments, "takes_machine_code", lambda: False)


def reference(inputs, outputs, definitions, arrays, seeds):
    """Values, cotangents of the inputs and adjoints by NumPy, through the definitions."""
    variables = [v for i in inputs for v in (i if isinstance(i, tuple) else (i,))]
    definitions = definitions or {}
    cts = {}
    for e, seed in zip(outputs, seeds, strict=True):
        ct = constant(np.broadcast_to(seed, e.shape))
        cts[e] = cts[e] + ct if e in cts else ct
    swept = reverse_sweep(cts, {*variables, *definitions}, definitions)
    wanted = [swept.get(v, constant(np.zeros(v.shape))) for v in (*variables, *definitions)]
    compiled = NumpyBackend().compile(inputs, [*outputs, *wanted], definitions)
    with np.errstate(all="ignore"):
        results = compiled(*arrays)
    n = len(outputs)
    cotangents = results[n : n + len(variables)]
    return results[:n], cotangents, dict(zip(definitions, results[n + len(variables) :], strict=True))


def assert_same(inputs, outputs, definitions, arrays, seeds, rtol=1e-11):
    program = scalar_program(inputs, outputs, definitions)
    assert program is not None
    values, cotangents, adjoints = reference(inputs, outputs, definitions, arrays, seeds)
    got, got_cotangents, got_adjoints = program.pullback(*arrays, seeds=seeds)
    for a, b in zip(program.value(*arrays), got, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(got, values, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-300)
    scale = max((np.max(np.abs(c), initial=0.0) for c in cotangents if np.all(np.isfinite(c))), default=0.0)
    for a, b in zip(got_cotangents, cotangents, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale)
    for v, b in adjoints.items():
        np.testing.assert_allclose(got_adjoints.get(v, np.zeros(v.shape)), b, rtol=rtol, atol=rtol * scale)
    return program


def random_program(seed, size, window, definitions=False):
    """A program of values of moderate size over two vectors and a scalar; some variables defined on the way."""
    rng = np.random.default_rng(seed)
    u, s = Variable("u", (7,)), Variable("s")
    nodes = [*(u[i] for i in range(7)), s, constant(0.75)]
    defined = {}
    for k in range(size):
        low = max(0, len(nodes) - window)
        x, y = (nodes[i] for i in rng.integers(low, len(nodes), 2))
        if rng.random() < 0.5:
            f = UNARY[rng.integers(len(UNARY))]
            e = f(1.5 + np.sin(x))  # within the domain of each, away from kinks
        elif rng.random() < 0.1:
            e = where(np.sin(x) > 0.1, x * 0.5, np.cos(y))
        else:
            e = BINARY[rng.integers(len(BINARY))](np.cos(x), 2.5 + np.sin(y))
        if definitions and rng.random() < 0.4:
            defined[v := Variable(f"v{k}")] = e
            nodes.append(v)
        if not definitions or rng.random() < 0.7:  # beside its variable, or instead
            nodes.append(e)
    outputs = [nodes[-1], nodes[-2] * nodes[-3], np.stack(nodes[-4:])]
    arrays = [rng.uniform(0.5, 1.5, 7), 0.8]
    return [u, s], outputs, defined, arrays, [1.0, -0.7, rng.uniform(-1, 1, 4)]


# -- programs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [3, 12, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_random_programs(seed, window, width):
    assert_same(*random_program(seed, 150, window))


@pytest.mark.parametrize("seed", range(4))
def test_random_programs_with_definitions(seed, width):
    assert_same(*random_program(seed, 80, 20, definitions=True))


def test_every_opcode(width):
    """Values, cotangents and tangents of each operation, on points inside its domain."""
    rng = np.random.default_rng(1)
    for row in opcodes():
        n = len(row.partials)
        x = Variable("x", (n, 11))
        at = rng.uniform(0.2, 0.8, (n, 11)) + (1.0 if row.name == "arccosh" else 0.0)
        outs = tuple(apply(row, tuple(x[k, i] for k in range(n)), (), ()) for i in range(11))
        seeds = rng.uniform(0.5, 1.0, 11)
        y = np.stack(outs)
        assert_same([x], [y], None, [at], [seeds], rtol=1e-13)
        direction = rng.uniform(-1.0, 1.0, (n, 11))
        _, (tangent,) = scalar_program([x], [y]).pushforward(at, tangents=[direction])
        (expected,) = NumpyBackend().compile([x], jvp([y], {x: constant(direction)}))(at)
        np.testing.assert_allclose(tangent, expected, rtol=1e-12, atol=1e-14, err_msg=row.name)


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, -1e-310, 1e308, -745.0, 710.0])


def test_special_values(width):
    """NaN, infinities, zeros and subnormal numbers come out as NumPy's."""
    for row in opcodes():
        n = len(row.partials)
        points = np.stack(np.meshgrid(*[SPECIAL[:10] if n == 1 else SPECIAL[:7]] * n), -1).reshape(-1, n).T
        count = points.shape[1]
        x = Variable("x", points.shape)
        y = np.stack([apply(row, tuple(x[k, i] for k in range(n)), (), ()) for i in range(count)])
        (got,), (cotangent,), _ = scalar_program([x], [y]).pullback(points, seeds=[np.ones(count)])
        arrays = [Variable(f"a{k}", (count,)) for k in range(n)]
        out = apply(row, tuple(arrays), (), (count,))
        with np.errstate(all="ignore"):
            (expected,) = NumpyBackend().compile(arrays, [out])(*points)
            rows = NumpyBackend().compile(arrays, vjp([out], [1.0], arrays))(*points)
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=0.0, err_msg=row.name)
        np.testing.assert_allclose(cotangent, np.stack(rows), rtol=1e-13, atol=0.0, err_msg=row.name)


def test_place_in_a_segment_does_not_matter(width):
    """Bit for bit: equal operands give equal values wherever they stand in however long a segment."""
    x = np.random.default_rng(2).uniform(-3.0, 3.0, 21)
    for name in ("sin", "exp", "tanh", "log1p", "cbrt", "power", "divide"):
        row = PRIMITIVES[name]
        results = []
        for n in (1, 7, 8, 9, 20):
            v = Variable("v", (21,))
            picks = [tuple(v[20 - k] for _ in row.partials) for k in range(n)]
            out = np.stack([apply(row, args, (), ()) for args in picks])
            results.append(scalar_program([v], [out]).value(np.abs(x))[0])
        for r in results[:-1]:
            np.testing.assert_array_equal(r, results[-1][: r.size])


def test_deep_chain_and_rule_for_the_width(loops):
    x = Variable("x")
    e = x
    for _ in range(3000):
        e = np.sin(e) + 0.5 * e
    program = assert_same([x], [e], None, [0.3], [2.0])
    assert program.width == 1
    wide = Variable("w", (200,))
    program = assert_same([wide], [np.stack([np.sin(wide[i]) for i in range(200)])], None, [np.ones(200)], [1.0])
    assert program.width == segments.vector_width() or segments.vector_width() < 4


def test_large_program_is_ordered_by_operands(loops):
    rng = np.random.default_rng(3)
    x = Variable("x", (64,))
    layer = [x[i] for i in range(64)]
    for _ in range(4):
        pairs = rng.integers(0, len(layer), (3000, 2)).tolist()
        layer = [np.sin(layer[i] * 0.5 + layer[j]) for i, j in pairs]
    y = np.stack(layer)
    program = assert_same([x], [y], None, [rng.uniform(-1, 1, 64)], [rng.uniform(-1, 1, 3000)])
    assert program.tape.operations > LOCAL_SIZE
    for _, _, start, stop in program.tape.segments.tolist():
        assert np.all(np.diff(program.tape.operands[0][start:stop]) >= 0)


# -- straight-line code ------------------------------------------------------------------------------------------------


def layered(seed, width, depth):
    """A program of ``depth`` layers of ``width`` operations, light and heavy ones, of values of moderate size."""
    rng = np.random.default_rng(seed)
    x = Variable("x", (width,))
    layer = [x[i] for i in range(width)]
    kinds = [np.add, np.subtract, np.multiply, lambda a, b: a / (2.0 + b * b), lambda a, b: np.sqrt(1.0 + a * a)]
    kinds += [lambda a, b: np.sin(a), lambda a, b: -a, lambda a, b: np.tanh(a + b), lambda a, b: np.square(a)]
    for _ in range(depth):
        picks = rng.integers(0, width, (width, 2)).tolist()
        layer = [0.5 * kinds[rng.integers(len(kinds))](layer[i], layer[j]) for i, j in picks]
    return x, np.stack(layer), rng.uniform(-1.0, 1.0, width), rng.uniform(-1.0, 1.0, width)


def test_long_code_is_that_of_the_loops(monkeypatch):
    """With words that fetch code ahead among the others."""
    if not segments.takes_machine_code():
        pytest.skip("code for another processor")
    x, y, at, seeds = layered(4, 60, 250)
    program = scalar_program([x], [y])
    for kind in ("value", "reverse"):
        assert len(straight.machine_code(program.tape, kind)) > 8 * straight.PREFETCHED
    monkeypatch.setattr(segments, "takes_machine_code", lambda: False)
    monkeypatch.setattr(segments, "_width", lambda tape: straight.LANES)
    other = scalar_program([x], [1.0 * y, 0.0 * y[0]])
    assert program.tape.light is not None and other.tape.light is None
    (values,), (cotangents,), _ = program.pullback(at, seeds=[seeds])
    (expected, _), (expected_cotangents,), _ = other.pullback(at, seeds=[seeds, 0.0])
    np.testing.assert_array_equal(values, expected)  # the same functions of vectors, the same rounding
    np.testing.assert_allclose(cotangents, expected_cotangents, rtol=1e-11, atol=1e-13)
    (tangent,) = program.pushforward(at, tangents=[seeds])[1]
    np.testing.assert_allclose(tangent, other.pushforward(at, tangents=[seeds])[1][0], rtol=1e-11, atol=1e-13)


def test_gradient_of_two_sweeps_in_one_call(width):
    """The first call, another point, and the first again; the number tells of what is not finite."""
    x, p = Variable("x", (3,)), Variable("p")
    y = np.sin(x[0]) * x[1] + p / x[2]
    gradient = scalar_program([x, p], [y, y + 0.0 * x[0]]).gradient()
    for at in ([0.3, 0.5, 2.0], [1.0, -1.0, 0.5], [0.3, 0.5, 2.0]):
        found, check = gradient(np.array(at), 0.7)
        expected = [np.cos(at[0]) * at[1], np.sin(at[0]), -0.7 / at[2] ** 2]
        np.testing.assert_allclose(found, expected, rtol=1e-14)
        assert np.isfinite(check)
    for at in ([0.3, 0.5, 0.0], [np.nan, 0.5, 1.0], [np.inf, 0.0, 1.0]):
        assert not np.isfinite(gradient(np.array(at), 0.7)[1])


def test_code_is_released_with_its_program():
    if not segments.takes_machine_code():
        pytest.skip("code for another processor")
    x, y, at, _ = layered(5, 20, 10)
    program = scalar_program([x], [y])
    code = weakref.ref(program.sweep(segments.VALUE).kept[0])
    function = program.function()
    del program
    gc.collect()
    assert code() is not None and np.isfinite(function(at)[0]).all()
    del function
    gc.collect()
    assert code() is None


def test_equal_programs_are_one():
    """While one of them is in use: a value and its gradient are sweeps of one program."""
    x, z = Variable("x", (2,)), Variable("z")
    y = np.sin(z) * x[1]
    first = scalar_program([x], [y], {z: x[0] * x[1]})
    assert scalar_program([x], [y], {z: x[0] * x[1]}) is first
    assert scalar_program([x], [y], {z: x[0] + x[1]}) is not first
    assert scalar_program([(x,)], [y], {z: x[0] * x[1]}) is not first


# -- definitions -------------------------------------------------------------------------------------------------------


def test_definition_multipliers_when_the_expression_is_used_elsewhere(width):
    x, y, z, t = Variable("x"), Variable("y"), Variable("z"), Variable("t")
    e = np.sin(x) * x
    definitions = {y: e, z: y, t: x}  # z is y; t is an input
    outputs = [e * y + z * y + t, y]
    assert_same([x], outputs, definitions, [0.7], [1.0, 3.0])
    _, _, adjoints = scalar_program([x], outputs, definitions).pullback(0.7, seeds=[1.0, 3.0])
    value = np.sin(0.7) * 0.7
    np.testing.assert_allclose(adjoints[z], value)
    np.testing.assert_allclose(adjoints[t], 1.0)
    np.testing.assert_allclose(adjoints[y], value + value + 3.0 + value)  # e·y, z·y, the seed, and λ of z


def test_definitions_share_positions():
    x = Variable("x", (3,))
    y, z, unused = Variable("y"), Variable("z", (2,)), Variable("unused")
    definitions = {y: x[0] * x[1], z: np.stack([np.cos(y), y * x[2]]), unused: x[0] + 1.0}
    program = assert_same([x], [z[0] * z[1]], definitions, [np.array([0.5, 1.5, -0.4])], [1.0])
    assert program.tape.operations == 4  # no copies
    assert unused not in program.tape.definitions


def test_constant_definition():
    x, y = Variable("x"), Variable("y")
    assert_same([x], [y * x, y], {y: constant(3.0)}, [2.0], [1.0, 1.0])


# -- edges -------------------------------------------------------------------------------------------------------------


def test_outputs_that_are_inputs_constants_or_repeated(width):
    x, v = Variable("x"), Variable("v", (4,))
    e = np.exp(x) * v[2]
    outputs = [x, constant(2.0), e, e, v, v[-1], np.stack([e, e, x]), constant([1.0, 2.0])]
    seeds = [1.0, 5.0, 2.0, 3.0, np.arange(4.0), 7.0, np.array([1.0, 2.0, 3.0]), np.ones(2)]
    assert_same([x, v], outputs, None, [0.2, np.array([1.0, 2.0, 3.0, 4.0])], seeds)


def test_nothing_to_do():
    x = Variable("x", (2,))
    program = scalar_program([x], [])
    assert program.value(np.ones(2)) == []
    outputs, (gradient,), adjoints = program.pullback(np.ones(2), seeds=[])
    assert outputs == [] and adjoints == {}
    np.testing.assert_array_equal(gradient, np.zeros(2))
    assert scalar_program([], [constant(4.0)]).value() == [4.0]


def test_packed_inputs_and_outputs():
    x, v, m = Variable("x"), Variable("v", (2,)), Variable("m", (2, 2))
    program = scalar_program([(x, v), m], [(x * v[0], m), m[1, 0] * v[1]])
    packed, matrix = np.array([2.0, 3.0, 5.0]), np.arange(4.0).reshape(2, 2)
    first, second = program.value(packed, matrix)
    np.testing.assert_array_equal(first, [6.0, 0.0, 1.0, 2.0, 3.0])
    assert second == 10.0
    _, (a, b), _ = program.pullback(packed, matrix, seeds=[np.ones(5), 1.0])
    np.testing.assert_array_equal(a, [3.0, 2.0, 2.0])
    np.testing.assert_array_equal(b, [[1.0, 1.0], [6.0, 1.0]])


def test_moved_elements():
    x = Variable("x", (6,))
    grid = x.reshape(2, 3).T
    out = np.concatenate([grid[1], np.stack([np.sin(grid[2, 0]), x[np.array(4)]])])
    assert_same([x], [out], None, [np.linspace(0.1, 1.0, 6)], [np.arange(4.0)])


def test_not_a_scalar_program():
    x, stranger = Variable("x", (3,)), Variable("stranger")
    assert build([x], [np.sin(x)], None, opcodes()) is None
    assert build([x], [np.sum(x)], None, opcodes()) is None
    assert build([x], [x[0] * stranger], None, opcodes()) is None
    assert build([x], [BUILDERS["gamma"](x[0])], None, opcodes()) is None  # has no kernel


def test_softplus_and_where_follow_the_table():
    x, y = Variable("x"), Variable("y")
    outputs = [where(x > y, softplus(x), x**y), np.where(x == y, x, y)]
    for at in ([1.5, 0.5], [0.5, 1.5], [0.7, 0.7]):
        assert_same([x, y], outputs, None, at, [1.0, 1.0])


def test_tangents_with_definitions(width):
    inputs, outputs, definitions, arrays, _ = random_program(9, 60, 15, definitions=True)
    rng = np.random.default_rng(0)
    directions = [rng.uniform(-1, 1, 7), 0.3]
    got = scalar_program(inputs, outputs, definitions).pushforward(*arrays, tangents=directions)[1]
    swept = forward_sweep(outputs, dict(zip(inputs, map(constant, directions), strict=True)), definitions)
    expected = NumpyBackend().compile(inputs, [swept[e] for e in outputs], definitions)(*arrays)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_calls_do_not_see_each_other():
    """Another seed, then the first again; a result is not overwritten by the next call."""
    inputs, outputs, definitions, arrays, seeds = random_program(5, 100, 20)
    program = scalar_program(inputs, outputs, definitions)
    first = program.pullback(*arrays, seeds=seeds)
    kept = [np.copy(c) for c in first[1]]
    program.pullback(np.full(7, 0.9), 0.1, seeds=[2.0, 0.0, np.ones(4)])
    for a, b, c in zip(kept, first[1], program.pullback(*arrays, seeds=seeds)[1], strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_threads():
    inputs, outputs, definitions, _, seeds = random_program(6, 3000, 500)
    program = scalar_program(inputs, outputs, definitions)
    points = [(np.full(7, 0.5 + 0.1 * k), 0.3) for k in range(4)]
    expected = [program.pullback(*p, seeds=seeds) for p in points]
    wrong = []

    def work(k):
        for _ in range(30):
            outs, cts, _ = program.pullback(*points[k], seeds=seeds)
            same = zip((*outs, *cts), (*expected[k][0], *expected[k][1]), strict=True)
            if not all(np.array_equal(a, b) for a, b in same):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_gradient_is_that_of_vjp():
    x = Variable("x", (2,))
    y = np.sin(x[0] * x[1]) / (1.0 + np.exp(x[1]))
    at = np.array([0.4, -1.2])
    (expected,) = NumpyBackend().compile([x], vjp([y], [1.0], [x]))(at)
    np.testing.assert_allclose(scalar_program([x], [y]).pullback(at, seeds=[1.0])[1][0], expected, rtol=1e-14)
