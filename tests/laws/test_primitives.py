"""The laws that every row of the table of primitives obeys, on every backend.

The rows are those registered when ``adjoint`` is imported; their samples are in ``samples.py``. The reference
for values is NumPy or SciPy; for derivatives the complex step (Squire & Trapp 1998) and central differences;
for Jacobians the tangents of unit vectors; for another backend the NumPy one.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adjoint as adj
from adjoint.backends import BACKENDS, numpy_
from adjoint.derivatives import jvp, vjp
from adjoint.expr import Constant, Expr, Variable, apply, as_expr, constant
from adjoint.primitive import BUILDERS, PRIMITIVES, Primitive
from adjoint.sparsity import flat_values, jacobian_map
from adjoint.walk import topological
from tests.laws.samples import SAMPLES, Case, Sample

ROWS = sorted(PRIMITIVES)
KNOWN = [name for name in ROWS if name in SAMPLES]
STEP = 1e-30

# A backend, and which of its forms: the NumPy one writes source or instructions, and may overwrite arrays.
EXECUTORS = [("numpy", "source"), ("numpy", "instructions"), ("numpy", "in place")]
EXECUTORS += [(name, "") for name in sorted(BACKENDS) if name != "numpy"]
REFERENCE = BACKENDS["numpy"]


@pytest.fixture(params=EXECUTORS, ids=lambda p: "-".join(filter(None, p)).replace(" ", "-"))
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    name, form = request.param
    if form == "instructions":
        monkeypatch.setattr(numpy_, "SOURCE_LIMIT", 0)
    if form == "in place":
        monkeypatch.setattr(numpy_.source, "IN_PLACE_SIZE", 2)
    return BACKENDS[name]


@dataclass
class Node:
    """One operation on fresh variables, with the values of those variables."""

    node: Expr
    values: dict[Variable, Any]
    moving: list[Variable]

    @property
    def tangents(self) -> dict[Variable, Variable]:
        return {v: Variable(f"d{v.name}", v.shape) for v in self.moving}


def build(row: Primitive, case: Case) -> Node:
    """The operation on variables, and on constants where the case holds an argument."""
    args: list[Expr] = []
    values: dict[Variable, Any] = {}
    moving = []
    for k, array in enumerate(case.arrays):
        if k in case.held:
            args.append(constant(array))
            continue
        v = Variable(f"x{k}", np.shape(array))
        args.append(v)
        values[v] = array
        if k not in case.still:
            moving.append(v)
    with np.errstate(all="ignore"):
        shape = np.shape(row.value(*case.arrays, *case.params))
    return Node(apply(row, tuple(args), case.params, shape), values, moving)


def run(
    outputs: Sequence[Any],
    values: dict[Variable, Any],
    complex_values: bool = False,
    backend: Any = REFERENCE,
) -> Any:
    """The outputs at the values; the inputs must not be touched."""
    function = backend.compile(list(values), list(outputs), None, complex_values)
    before = [np.array(x) for x in values.values()]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy's deprecations are tomorrow's errors
        out = function(*values.values())
    for v, old, new in zip(values, before, values.values(), strict=True):
        np.testing.assert_array_equal(new, old, err_msg=f"the input {v.name} was overwritten")
    return [np.array(o) for o in out]


def close(actual: Any, expected: Any, tol: float, note: Any, scale: Any = None) -> None:
    """Equal to ``tol`` of the largest element (or of the scale); NaN and infinities in the same places."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}: {note}"
    finite = expected[np.isfinite(expected)]
    size = np.abs(finite).max(initial=0.0) if scale is None else scale
    np.testing.assert_allclose(
        actual, expected, rtol=tol, atol=tol * min(max(size, 1.0), 1e3), err_msg=str(note)
    )


def directions(node: Node, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=v.shape)[()] for v in node.moving]


def nodes(name: str) -> list[tuple[Case, Node]]:
    return [(case, build(PRIMITIVES[name], case)) for case in SAMPLES[name].cases]


def shifted(
    values: dict[Variable, Any], moving: Sequence[Variable], by: Sequence[Any], step: complex
) -> dict[Variable, Any]:
    """The values moved along a direction; all complex where the step is."""
    kind = complex if isinstance(step, complex) else float
    out = {v: np.asarray(x, dtype=kind)[()] for v, x in values.items()}
    for v, d in zip(moving, by, strict=True):
        out[v] = (np.asarray(values[v]) + step * np.asarray(d))[()]
    return out


# -- the table -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_every_row_has_samples(name: str) -> None:
    assert name in SAMPLES, f"add the row {name!r} to tests/laws/samples.py: every law is then tested on it"
    assert SAMPLES[name].cases


@pytest.mark.parametrize("name", ROWS)
def test_row_is_complete(name: str) -> None:
    row = PRIMITIVES[name]
    assert row.name == name
    assert row.kind in ("elementwise", "linear", "bilinear", "reduction", "general")
    if row.kind == "elementwise":
        assert row.partials
    elif row.kind == "reduction":
        assert len(row.partials) == 1
    else:
        assert row.transpose is not None
    assert (row.tangent is not None) == (row.kind == "general")


@pytest.mark.parametrize("name", [n for n in ROWS if PRIMITIVES[n].kink is not None])
def test_every_kink_has_a_sample(name: str) -> None:
    assert SAMPLES[name].kinks, f"add points at the kink of {name!r} to its sample, with the convention"


# -- values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
def test_value(name: str, backend: Any) -> None:
    sample = SAMPLES[name]
    for case, n in nodes(name):
        with np.errstate(all="ignore"):
            expected = np.asarray(sample.reference(*case.arrays, *case.params))
        (actual,) = run([n.node], n.values, backend=backend)
        close(actual, expected, 1e-14, f"{name}: {case}")
        assert actual.dtype == np.float64
        assert actual.shape == n.node.shape


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 1e308, -1e308, 5e-324, 710.0, -746.0])


@pytest.mark.parametrize(
    "name", [n for n in KNOWN if PRIMITIVES[n].kind == "elementwise" and SAMPLES[n].special]
)
def test_special_values_elementwise(name: str, backend: Any) -> None:
    """NaN, infinities, zeros and numbers that overflow: as NumPy's, in arrays and in scalars."""
    row, sample = PRIMITIVES[name], SAMPLES[name]
    count = len(sample.cases[0].arrays)
    some = SPECIAL if count < 3 else SPECIAL[:6]
    grid = np.array(list(itertools.product(some, repeat=count))).T
    case = Case(tuple(grid), sample.cases[0].params)
    n = build(row, case)
    with np.errstate(all="ignore"):
        expected = sample.reference(*case.arrays, *case.params)
    (actual,) = run([n.node], n.values, backend=backend)
    _same_special(actual, expected, grid, name)
    scalars = build(row, Case(tuple(np.float64(1.0) for _ in range(count)), case.params))
    function = backend.compile(list(scalars.values), [scalars.node])
    with np.errstate(all="ignore"):
        one_by_one = np.array([function(*column)[0] for column in grid.T])
        scalars_may_differ = np.array([sample.reference(*column, *case.params) for column in grid.T])
    # NumPy gives nan for (-inf) ** 0.5 of scalars, and C's inf in arrays: either is right.
    one_by_one = np.where(_equal(one_by_one, expected), scalars_may_differ, one_by_one)
    _same_special(one_by_one, scalars_may_differ, grid, name)


def _equal(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    with np.errstate(all="ignore"):
        return same | (np.abs(actual - expected) <= 1e-14 * np.abs(expected))


def _same_special(actual: np.ndarray, expected: np.ndarray, grid: np.ndarray, name: str) -> None:
    same = _equal(actual, expected)
    wrong = [
        f"{name}{tuple(grid[:, i])} = {actual[i]}, NumPy: {expected[i]}" for i in np.flatnonzero(~same)[:6]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "name", [n for n in KNOWN if PRIMITIVES[n].kind != "elementwise" and SAMPLES[n].special]
)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_special_values_of_arrays(name: str, bad: float, backend: Any) -> None:
    row, sample = PRIMITIVES[name], SAMPLES[name]
    for case in sample.cases:
        for k, array in enumerate(case.arrays):
            if k in case.held or not np.size(array):
                continue
            spoiled = np.array(array)
            spoiled.reshape(-1)[-1] = bad
            new = Case((*case.arrays[:k], spoiled[()], *case.arrays[k + 1 :]), case.params)
            n = build(row, new)
            with np.errstate(all="ignore"):
                expected = sample.reference(*new.arrays, *new.params)
            close(run([n.node], n.values, backend=backend)[0], expected, 1e-13, f"{name}: {new}")


@pytest.mark.parametrize("name", [n for n in KNOWN if PRIMITIVES[n].kind == "elementwise" and n in BUILDERS])
def test_builder(name: str) -> None:
    """The library's builder may simplify: of constants it gives the constant, of variables the same value."""
    sample = SAMPLES[name]
    for case in sample.cases:
        expected = np.asarray(sample.reference(*case.arrays))
        folded = BUILDERS[name](*case.arrays)
        assert isinstance(folded, Constant)
        close(np.asarray(folded.value), expected, 1e-14, f"{name} of constants: {case}")
        n = build(PRIMITIVES[name], case)
        built = BUILDERS[name](*n.node.args)
        assert built.shape == n.node.shape
        close(run([built], n.values)[0], expected, 1e-14, f"{name}: {case}")


# -- first derivatives ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in KNOWN if SAMPLES[n].order])
def test_tangent_is_the_complex_step(name: str) -> None:
    for case, n in nodes(name):
        v, dot = directions(n), n.tangents
        (tangent,) = run(jvp([n.node], dot), {**n.values, **dict(zip(dot.values(), v, strict=True))})
        (value,) = run([n.node], n.values)
        (moved,) = run([n.node], shifted(n.values, n.moving, v, 1j * STEP), complex_values=True)
        close(np.real(moved), value, 1e-13, f"{name}, real part of the continuation: {case}")
        close(np.imag(moved) / STEP, tangent, 1e-9, f"{name}: {case}")


@pytest.mark.parametrize("name", [n for n in KNOWN if SAMPLES[n].order and SAMPLES[n].differences])
def test_tangent_is_the_central_difference(name: str) -> None:
    """Independent of the continuation, which may share a mistake with the partials."""
    h = 1e-5
    for case, n in nodes(name):
        v, dot = directions(n), n.tangents
        (tangent,) = run(jvp([n.node], dot), {**n.values, **dict(zip(dot.values(), v, strict=True))})
        ends = [run([n.node], shifted(n.values, n.moving, v, s))[0] for s in (h, -h)]
        close(tangent, (ends[0] - ends[1]) / (2 * h), 1e-6, f"{name}: {case}")


@pytest.mark.parametrize("name", [n for n in KNOWN if SAMPLES[n].order])
def test_cotangent_is_the_transpose(name: str) -> None:
    """uᵀ(J v) = (Jᵀu)ᵀ v, for all arguments together and for each."""
    for case, n in nodes(name):
        v, dot = directions(n), n.tangents
        bar = Variable("bar", n.node.shape)
        u = np.random.default_rng(1).normal(size=n.node.shape)[()]
        pulled = vjp([n.node], [bar], n.moving)
        assert [p.shape for p in pulled] == [x.shape for x in n.moving]
        parts = run(pulled, {**n.values, bar: u})
        total = 0.0
        for x, d, part in zip(n.moving, v, parts, strict=True):
            (tangent,) = run(jvp([n.node], {x: dot[x]}), {**n.values, dot[x]: d})
            assert tangent.shape == n.node.shape
            left, right = np.sum(u * tangent), np.sum(part * d)
            scale = np.sum(np.abs(u * tangent)) + np.sum(np.abs(part * d))
            assert abs(left - right) <= 1e-12 * scale, (
                f"{name}, argument {x.name}: {left} and {right}: {case}"
            )
            total += left
        (tangent,) = run(jvp([n.node], dot), {**n.values, **dict(zip(dot.values(), v, strict=True))})
        close(np.sum(u * tangent), total, 1e-12, f"{name}, sum over arguments: {case}")


def columns(n: Node, wrt: Sequence[Variable]) -> np.ndarray:
    """The dense Jacobian, one tangent of a unit vector per column."""
    dot = {v: Variable(f"d{v.name}", v.shape) for v in wrt}
    function = REFERENCE.compile([*n.values, *dot.values()], jvp([n.node], dot))
    out = []
    for v in wrt:
        for k in range(v.size):
            units = {w: np.zeros(w.shape) for w in wrt}
            units[v].reshape(-1)[k] = 1.0
            with np.errstate(all="ignore"):
                out.append(np.ravel(function(*n.values.values(), *[units[w][()] for w in wrt])[0]))
    return np.stack(out, axis=1) if out else np.zeros((n.node.size, 0))


@pytest.mark.parametrize("name", [n for n in KNOWN if SAMPLES[n].order])
def test_sparse_jacobian_is_the_dense_one(name: str) -> None:
    for case, n in nodes(name):
        for wrt in [n.moving, *([x] for x in n.moving if len(n.moving) > 1)]:
            expected = columns(n, wrt)
            map_ = jacobian_map([n.node], wrt)
            assert map_.shape == expected.shape
            assert map_.nnz <= expected.size
            (entries,) = run([flat_values(map_)], n.values)
            close(map_.dense(entries), expected, 1e-13, f"{name}, dense(): {case}")
            matrix = map_.matrix(entries)
            close(matrix.toarray(), expected, 1e-13, f"{name}, matrix(): {case}")
            assert matrix.has_canonical_format, f"{name}: {case}"


@pytest.mark.parametrize("name", [n for n in KNOWN if SAMPLES[n].order])
def test_sparse_jacobian_is_total_through_definitions(name: str) -> None:
    """With every argument defined as 2w, the Jacobian in w is twice the one in the argument."""
    for case, n in nodes(name):
        double = {x: Variable(f"w{k}", x.shape) for k, x in enumerate(n.moving)}
        map_ = jacobian_map([n.node], list(double.values()), {x: 2.0 * w for x, w in double.items()})
        (entries,) = run([flat_values(map_)], n.values | {w: 0.5 * n.values[x] for x, w in double.items()})
        close(map_.dense(entries), 2.0 * columns(n, n.moving), 1e-13, f"{name}: {case}")


@pytest.mark.parametrize(
    "name", [n for n in KNOWN if SAMPLES[n].order and len(SAMPLES[n].cases[0].arrays) == 2]
)
def test_repeated_argument(name: str) -> None:
    """f(x, x): both partials count."""
    row, sample = PRIMITIVES[name], SAMPLES[name]
    tie = sample.kinks and all(
        np.array_equal(k.case.arrays[0], k.case.arrays[1]) and np.all(k.case.arrays[0]) for k in sample.kinks
    )
    for case in sample.cases:
        shapes = {np.shape(a) for a in case.arrays}
        if len(shapes) > 1 or len(case.arrays) != 2 or case.held or case.still or tie:
            continue
        x, w = Variable("x", shapes.pop()), Variable("w", np.shape(case.arrays[0]))
        value = case.arrays[0]
        twin = apply(row, (x, x), case.params, np.shape(row.value(value, value, *case.params)))
        apart = apply(row, (x, w), case.params, twin.shape)
        d = Variable("d", x.shape)
        at = {x: value, w: value, d: np.random.default_rng(2).normal(size=x.shape)[()]}
        together, first, second = run(
            [*jvp([twin], {x: d}), *jvp([apart], {x: d}), *jvp([apart], {w: d})], at
        )
        close(together, first + second, 1e-13, f"{name}: {case}")
        map_ = jacobian_map([twin], [x])
        (entries,) = run([flat_values(map_)], at)
        expected = columns(Node(twin, {x: value}, [x]), [x])
        close(map_.dense(entries), expected, 1e-13, f"{name}, jacobian: {case}")


# -- second derivatives --------------------------------------------------------------------------------------


def gradient_of(n: Node) -> tuple[list[Expr], np.ndarray]:
    """The gradient of a weighted sum of the node's elements."""
    weights = np.random.default_rng(3).normal(size=n.node.shape)
    return vjp([n.node], [constant(weights)], n.moving), weights


@pytest.mark.parametrize("name", [n for n in KNOWN if SAMPLES[n].order == 2])
def test_second_derivative_is_the_complex_step_of_the_first(name: str) -> None:
    for case, n in nodes(name):
        gradient, _ = gradient_of(n)
        v, dot = directions(n, 4), n.tangents
        product = run(jvp(gradient, dot), {**n.values, **dict(zip(dot.values(), v, strict=True))})
        moved = run(gradient, shifted(n.values, n.moving, v, 1j * STEP), complex_values=True)
        for x, hv, g in zip(n.moving, product, moved, strict=True):
            close(hv, np.imag(g) / STEP, 1e-9, f"{name}, row of {x.name}: {case}")


@pytest.mark.parametrize("name", [n for n in KNOWN if SAMPLES[n].order == 2 and SAMPLES[n].differences])
def test_second_derivative_is_the_difference_of_the_first(name: str) -> None:
    h = 1e-5
    for case, n in nodes(name):
        gradient, _ = gradient_of(n)
        v, dot = directions(n, 4), n.tangents
        product = run(jvp(gradient, dot), {**n.values, **dict(zip(dot.values(), v, strict=True))})
        ends = [run(gradient, shifted(n.values, n.moving, v, s)) for s in (h, -h)]
        for x, hv, up, down in zip(n.moving, product, *ends, strict=True):
            close(hv, (up - down) / (2 * h), 2e-6, f"{name}, row of {x.name}: {case}")


@pytest.mark.parametrize("name", [n for n in KNOWN if SAMPLES[n].order == 2])
def test_hessian_is_symmetric(name: str) -> None:
    """The sparse Jacobian of the gradient is symmetric, and its product is the tangent of the gradient."""
    for case, n in nodes(name):
        gradient, _ = gradient_of(n)
        map_ = jacobian_map(gradient, n.moving)
        (entries,) = run([flat_values(map_)], n.values)
        hessian = map_.dense(entries)
        close(hessian, hessian.T, 1e-12, f"{name}: {case}")
        v, dot = directions(n, 5), n.tangents
        product = run(jvp(gradient, dot), {**n.values, **dict(zip(dot.values(), v, strict=True))})
        flat = np.concatenate([np.zeros(0), *map(np.ravel, v)])
        close(
            hessian @ flat, np.concatenate([np.zeros(0), *map(np.ravel, product)]), 1e-12, f"{name}: {case}"
        )


@pytest.mark.parametrize("name", [n for n in KNOWN if SAMPLES[n].order < 2])
def test_missing_derivatives_raise(name: str) -> None:
    for case, n in nodes(name):
        outputs = vjp([n.node], [np.ones(n.node.shape)], n.moving) if SAMPLES[name].order else [n.node]
        box = next(p.name for p in case.params if hasattr(p, "name"))
        for derive in (
            lambda outputs=outputs, n=n: jvp(outputs, n.tangents),
            lambda outputs=outputs, n=n: vjp(outputs, [np.ones(o.shape) for o in outputs], n.moving),
        ):
            with pytest.raises(adj.DerivativeError, match=box):
                derive()


# -- kinks ---------------------------------------------------------------------------------------------------


KINKED = [n for n in KNOWN if SAMPLES[n].kinks]


@pytest.mark.parametrize("name", KINKED)
def test_convention_at_a_kink(name: str) -> None:
    for kink in SAMPLES[name].kinks:
        n = build(PRIMITIVES[name], kink.case)
        partials = run(vjp([n.node], [np.ones(n.node.shape)], n.moving), n.values)
        for actual, expected in zip(partials, kink.partials, strict=True):
            close(actual, expected, 1e-15, f"{name}: {kink.case.arrays}")


@pytest.mark.parametrize("name", KINKED)
def test_a_kink_is_found(name: str) -> None:
    row = PRIMITIVES[name]
    assert row.kink is not None
    for kink in SAMPLES[name].kinks:
        n = build(row, kink.case)
        (found,) = run([row.kink(n.node, *n.node.args, *n.node.params)], n.values)
        assert np.any(found != 0), f"{name} at {kink.case.arrays}"


@pytest.mark.parametrize("name", [n for n in KNOWN if PRIMITIVES[n].kink is not None])
def test_no_kink_is_found_elsewhere(name: str) -> None:
    row = PRIMITIVES[name]
    for case, n in nodes(name):
        (found,) = run([row.kink(n.node, *n.node.args, *n.node.params)], n.values)  # type: ignore[misc]
        assert not np.any(found), f"{name}: {case}"


@pytest.mark.parametrize("name", KINKED)
def test_a_derivative_at_a_kink_warns(name: str) -> None:
    """... and names the equation; a derivative beside the kink does not."""
    for kink in SAMPLES[name].kinks:
        m = adj.Program()
        args = [m.input(f"x{k}", a) for k, a in enumerate(kink.case.arrays)]
        shape = build(PRIMITIVES[name], kink.case).node.shape
        m.define("bend", apply(PRIMITIVES[name], tuple(args), kink.case.params, shape))
        sol = m.solve()
        with pytest.warns(adj.KinkWarning, match="bend"):
            sol.vjp({"bend": np.ones(shape)})
    case = SAMPLES[name].cases[0]
    m = adj.Program()
    args = [m.input(f"x{k}", a) for k, a in enumerate(case.arrays)]
    m.define(
        "bend", apply(PRIMITIVES[name], tuple(args), case.params, build(PRIMITIVES[name], case).node.shape)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m.solve().vjp({"bend": 1.0})


def test_relu_minus_relu_is_not_silently_flat() -> None:
    """f(x) = relu(x) − relu(−x) is x; at 0 the convention gives 0, with a warning (Kakade & Lee 2018)."""
    m = adj.Program()
    x = m.input("x", 0.0)
    m.define("f", adj.relu(x) - adj.relu(-x))
    with pytest.warns(adj.KinkWarning, match="f"):
        m.solve().gradient("f")
    assert m.solve(x=1e-3).gradient("f")["x"] == 1.0


# -- backends ------------------------------------------------------------------------------------------------


def everything(name: str, n: Node) -> tuple[list[Any], dict[Variable, Any]]:
    """Value, tangent, cotangents, Jacobian entries and second derivatives, as outputs of one function."""
    sample: Sample = SAMPLES[name]
    outputs: list[Any] = [n.node]
    values = dict(n.values)
    if sample.order:
        dot, bar = n.tangents, Variable("bar", n.node.shape)
        values.update(zip(dot.values(), directions(n, 6), strict=True))
        values[bar] = np.random.default_rng(7).normal(size=bar.shape)[()]
        pulled = vjp([n.node], [bar], n.moving)
        outputs += [*jvp([n.node], dot), *pulled, flat_values(jacobian_map([n.node], n.moving))]
        if sample.order == 2:
            outputs += [*jvp(pulled, dot), flat_values(jacobian_map(pulled, n.moving)), tuple(pulled)]
    return outputs, values


@pytest.mark.parametrize("name", KNOWN)
def test_backends_agree(name: str, backend: Any) -> None:
    """Every function that a row can give, real and complex, is the one of the NumPy backend."""
    for case, n in nodes(name):
        outputs, values = everything(name, n)
        for expected, actual in zip(run(outputs, values), run(outputs, values, backend=backend), strict=True):
            close(actual, expected, 1e-13, f"{name}: {case}")
        moved = {v: (x + 1e-20j * np.cos(np.arange(v.size)).reshape(v.shape))[()] for v, x in values.items()}
        pairs = zip(run(outputs, moved, True), run(outputs, moved, True, backend=backend), strict=True)
        for expected, actual in pairs:
            close(np.real(actual), np.real(expected), 1e-13, f"{name}, complex: {case}")
            close(np.imag(actual) * 1e20, np.imag(expected) * 1e20, 1e-12, f"{name}, complex: {case}")


@pytest.mark.parametrize("name", KNOWN)
def test_packed_arguments(name: str, backend: Any) -> None:
    """Several variables in one vector, and several outputs in one vector."""
    for case, n in nodes(name):
        outputs, values = everything(name, n)
        flat = tuple(e for out in outputs for e in (out if isinstance(out, tuple) else (out,)))
        vector = np.concatenate([np.zeros(0), *(np.ravel(x) for x in values.values())])
        with np.errstate(all="ignore"):
            (actual,) = backend.compile([tuple(values)], [flat])(vector)
        expected = np.concatenate([np.ravel(x) for x in run(flat, values)])
        close(actual, expected, 1e-13, f"{name}: {case}")


@pytest.mark.parametrize("name", KNOWN)
def test_arguments_used_for_the_last_time(name: str, backend: Any) -> None:
    """Computed arguments that nothing else needs may be overwritten; the result is the same."""
    minus = PRIMITIVES["negative"]
    for case, n in nodes(name):
        fresh = [apply(minus, (apply(minus, (a,), (), a.shape),), (), a.shape) for a in n.node.args]
        node = apply(PRIMITIVES[name], tuple(fresh), case.params, n.node.shape)
        expected = np.asarray(SAMPLES[name].reference(*case.arrays, *case.params))
        close(run([node], n.values, backend=backend)[0], expected, 1e-14, f"{name}: {case}")


SMOOTH: list[Callable[..., Any]] = [
    np.sin,
    np.tanh,
    np.negative,
    lambda a: np.exp(-np.square(a)),
    lambda a: 1.0 / (1.0 + a * a),
    lambda a: a[::-1],
    lambda a: np.cumsum(a) / len(a),
    lambda a: a - np.mean(a),
    lambda a: np.concatenate([a[1:], a[:1]]),
    lambda a: np.where(a > 0.1, a, 0.5 * a),
    lambda a: a.reshape(2, -1).T.ravel(),
    lambda a: np.broadcast_to(a[3], a.shape),
    lambda a: np.transpose(a.reshape(2, -1)).reshape(-1)[:],
]
PAIRS: list[Callable[..., Any]] = [
    np.add,
    np.subtract,
    np.multiply,
    np.maximum,
    np.hypot,
    lambda a, b: a / (1.0 + b * b),
]


STEPS = st.lists(st.tuples(*[st.integers(0, 40)] * 3), min_size=1, max_size=30)


def graph(steps: list[tuple[int, int, int]]) -> tuple[list[Variable], list[Any]]:
    """Two leaves, and the nodes above them that the steps build; each uses nodes before it."""
    leaves = [Variable("a", (6,)), Variable("b", (6,))]
    pool: list[Any] = list(leaves)
    for which, i, j in steps:
        a, b = pool[i % len(pool)], pool[j % len(pool)]
        which %= len(SMOOTH) + len(PAIRS)
        pool.append(SMOOTH[which](a) if which < len(SMOOTH) else PAIRS[which - len(SMOOTH)](a, b))
    return leaves, pool


@settings(max_examples=40)
@given(STEPS, st.integers(0, 2**32 - 1))
def test_any_graph_has_a_sparse_jacobian(steps: list[tuple[int, int, int]], seed: int) -> None:
    """... and Hessian: the chain rule over shared nodes, against tangents of unit vectors."""
    leaves, pool = graph(steps)
    rng = np.random.default_rng(seed)
    values = {v: rng.normal(size=6) for v in leaves}
    for node in (pool[-1], as_expr(np.sum(pool[-1]) + pool[-1][2])):
        expected = columns(Node(node, values, leaves), leaves)
        map_ = jacobian_map([node, leaves[1]], leaves)
        (entries,) = run([flat_values(map_)], values)
        stacked = np.vstack([expected, np.eye(12)[6:]])
        close(map_.dense(entries), stacked, 1e-11, f"dense() of {node}")
        close(map_.matrix(entries).toarray(), stacked, 1e-11, f"matrix() of {node}")
    gradient = vjp([node], [1.0], leaves)
    map_ = jacobian_map(gradient, leaves)
    (entries,) = run([flat_values(map_)], values)
    hessian = map_.dense(entries)
    close(hessian, hessian.T, 1e-10, f"Hessian of {node}")
    along = rng.normal(size=12)
    dot = {v: Variable(f"d{v.name}", v.shape) for v in leaves}
    product = run(jvp(gradient, dot), values | dict(zip(dot.values(), np.split(along, 2), strict=True)))
    close(hessian @ along, np.concatenate(product), 1e-10, f"Hessian of {node}")


@settings(max_examples=40)
@given(STEPS, st.integers(0, 2**32 - 1))
def test_any_graph_is_evaluated_alike(steps: list[tuple[int, int, int]], seed: int) -> None:
    """Registers that are used again and arrays that are overwritten never show: against one call per node."""
    leaves, pool = graph(steps)
    outputs = [pool[-1], pool[len(pool) // 2], np.sum(pool[-1]), pool[-1] * 2.0]
    outputs = [as_expr(o) for o in outputs]
    outputs += vjp([as_expr(np.sum(pool[-1]))], [1.0], leaves)
    rng = np.random.default_rng(seed)
    values = {v: rng.normal(size=6) for v in leaves}
    known: dict[Expr, Any] = dict(values)
    for node in topological(outputs):
        if node not in known:
            known[node] = (
                node.value if node.op is None else node.op.value(*[known[a] for a in node.args], *node.params)
            )  # type: ignore[attr-defined]
    for name, form in EXECUTORS:
        with pytest.MonkeyPatch.context() as patch:
            if form == "instructions":
                patch.setattr(numpy_, "SOURCE_LIMIT", 0)
            if form == "in place":
                patch.setattr(numpy_.source, "IN_PLACE_SIZE", 2)
            for actual, node in zip(run(outputs, values, backend=BACKENDS[name]), outputs, strict=True):
                close(actual, known[node], 1e-12, f"{name} {form}: {node}")
