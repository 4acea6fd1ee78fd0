"""Batched scalar programs have the values and derivatives of the programs as written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adjoint as adj
from adjoint.backends import get_backend
from adjoint.derivatives import vjp
from adjoint.expr import Expr, Variable, as_expr
from adjoint.patterns import batch, flat
from adjoint.rebuild import substitute
from adjoint.sparsity import flat_values, jacobian_map
from adjoint.walk import topological, variables_of


def evaluate(outputs: Sequence[Any], values: Mapping[Any, Any], definitions: Any = None) -> list[Any]:
    """Values of expressions (a tuple: flattened and concatenated), by the reference backend."""
    roots = [e for out in outputs for e in (out if isinstance(out, tuple) else (out,))]
    needed = [v for v in topological(roots, definitions=definitions) if isinstance(v, Variable)]
    inputs = [v for v in needed if v not in (definitions or {})]
    function = get_backend("numpy").compile(inputs, outputs, definitions)
    return list(function(*[values[v] for v in inputs]))


def inlined(outputs: Sequence[Expr], definitions: Mapping[Variable, Expr]) -> list[Expr]:
    """The outputs without the variables that have definitions."""
    known: dict[Expr, Expr] = {}
    for v, e in definitions.items():
        known[v] = substitute([e], known)[0]
    return substitute(outputs, known)


def packed(packs: Mapping[Variable, tuple[Variable, int]], values: Mapping[Any, Any]) -> dict[Any, Any]:
    out = dict(values)
    for v, (vector, at) in packs.items():
        out.setdefault(vector, np.zeros(vector.shape))[at : at + v.size] = np.reshape(values[v], -1)
    return out


def points(variables: Sequence[Variable], seed: int = 0) -> dict[Any, Any]:
    rng = np.random.default_rng(seed)
    return {v: rng.uniform(0.5, 1.5, v.shape)[()] for v in variables}


def close(actual: Any, expected: Any, tol: float = 1e-13) -> None:
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    np.testing.assert_allclose(actual, expected, rtol=tol, atol=tol * scale)


def agree(outputs: Sequence[Expr], values: Mapping[Any, Any], definitions: Any = None, packs: Any = None) -> Expr:
    """The batched outputs, which have the values of the outputs."""
    vector = flat(outputs, definitions, packs)
    assert vector is not None
    (expected,) = evaluate([tuple(outputs)], values, definitions)
    assert vector.shape == expected.shape
    close(evaluate([vector], packed(packs or {}, values))[0], expected)
    return vector


def operations(roots: Sequence[Expr]) -> int:
    return sum(bool(node.args) for node in topological(roots))


X = Variable("x", (40,))
S = Variable("s")


def test_a_loop_is_its_vectorized_form() -> None:
    vector = flat([np.sin(X[i]) * X[i + 1] + float(i) for i in range(1, 39)])
    assert vector is np.sin(X[1:39]) * X[2:40] + np.arange(1.0, 39.0)


def test_what_does_not_vary_stays_scalar() -> None:
    vector = flat([(2.5 * X[i] + X[7]) / X[7] + np.exp(S) for i in range(40)])
    assert vector is (2.5 * X + X[7]) / X[7] + np.exp(S)


def test_equal_operands_are_one_operand() -> None:
    vector = flat([np.cos(X[i]) * X[i] - X[i] for i in range(40)])
    assert vector is np.cos(X) * X - X
    mixed = agree([np.cos(X[i]) * X[39 - i if i % 2 else i] for i in range(40)], points([X]))
    assert operations([mixed]) < 12


def test_few_or_different_scalars_are_left() -> None:
    assert flat([np.sin(X[i]) for i in range(10)]) is None
    deep = X[0]
    for i in range(3000):
        deep = np.sin(deep) * 1.5 + float(i)
    started = time.perf_counter()
    assert flat([deep]) is None
    assert time.perf_counter() - started < 5.0


def test_indices_of_every_kind() -> None:
    y = Variable("y", (5, 40))
    outputs = [y[3, i] * y[i % 5][i] + X[5:][i % 7] - X[::-1][-1] * y.T[i][-1] for i in range(40)]
    outputs += [X[np.array([i, 3])][0] * np.reshape(y, (200,))[-i] + np.exp(y)[2, i] for i in range(40)]
    vector = agree(outputs, points([X, y]))
    assert operations([vector]) < 40


def test_outputs_of_all_shapes_in_their_order() -> None:
    y = Variable("y", (4, 10))
    scalars = [X[i] * X[i - 1] for i in range(40)]
    outputs = [scalars[3], y * S, *scalars, S, np.exp(y[0]), as_expr(scalars), scalars[3]]
    agree(outputs, points([X, y, S]))


def test_loose_scalars_and_packs() -> None:
    z = [Variable(f"z{i}") for i in range(60)]
    a = Variable("a", (2, 3))
    vector = Variable("all", (70,))
    packs = {v: (vector, 2 + i) for i, v in enumerate(z)} | {a: (vector, 62)}
    outputs = [z[i] * z[i - 1] + np.cos(z[0]) * a[i % 2, i % 3] for i in range(60)] + [a]
    agree(outputs, points([*z, a]))
    result = agree(outputs, points([*z, a]), packs=packs)
    assert variables_of([result]) == [vector] and operations([result]) < 20


@pytest.mark.parametrize("start", [0.0, S])
def test_long_sums(start: Any) -> None:
    total = start
    for i in range(39):
        total = total + (X[i] - 1.0) ** 2
        total = total - 100.0 * (X[i + 1] - X[i] ** 2) ** 2
    vector = agree([total * 2.0 + np.sin(total), X[3]], points([X, S]))
    assert operations([vector]) < 25


def test_products_of_matrices_written_as_loops() -> None:
    A = np.random.default_rng(1).normal(size=(20, 40))
    y = Variable("y", (20, 40))
    rows = [sum(A[i, j] * X[j] for j in range(40)) for i in range(20)]
    assert operations([agree(rows, points([X]))]) < 10
    rows = [S - sum(y[i, j] * np.sin(X[j]) for j in range(20 + i)) for i in range(20)]
    assert operations([agree(rows, points([X, S, y]))]) < 16


def test_shared_expressions_are_computed_once() -> None:
    w = [X[i] for i in range(40)]
    for _ in range(40):  # as trees these have 3⁴⁰ nodes
        w = [np.tanh(a * a - 0.5 * a * b) for a, b in zip(w, w[1:] + w[:1], strict=True)]
    agree(w, points([X]))


def test_definitions_by_level() -> None:
    z = [[Variable(f"z{k},{i}") for i in range(30)] for k in range(5)]
    definitions: dict[Any, Expr] = {z[0][i]: X[i] * X[i + 1] + S for i in range(30)}
    for k in range(1, 5):
        for i in range(30):
            definitions[z[k][i]] = np.sin(z[k - 1][i]) * z[k - 1][(i + 1) % 30] + 0.1 * i
    outputs = [*z[4], *z[2], X[0] * z[3][0]]
    values = points([X, S])
    vector = agree(outputs, values, definitions)
    assert operations([vector]) < 130  # scalars: 1000
    found = batch(outputs, definitions)
    assert found is not None
    assert {v for own in found.members.values() for v in own} <= set(definitions)
    close(evaluate([found.output], values, found.definitions)[0], evaluate([tuple(outputs)], values, definitions)[0])


def test_variables_of_equal_definition_are_kept_apart() -> None:
    """λ of a variable counts what uses the variable, not what uses an expression of the same value."""
    a, b = ([Variable(f"{name}{i}") for i in range(40)] for name in "ab")
    expressions = [np.sin(X[i]) * X[i - 1] for i in range(40)]
    definitions: dict[Any, Expr] = dict(zip([*a, *b], expressions * 2, strict=True))
    found = batch([*a, *b, *(e + 1.0 for e in expressions)], definitions)
    assert found is not None
    assert sorted(v.name for own in found.members.values() for v in own) == sorted(v.name for v in definitions)
    assert sum(vector.size for vector in found.members) == 80


def test_many_equations_are_read_in_linear_time() -> None:
    x = Variable("x", (4002,))
    outputs = [3.0 * x[i + 1] ** 3 + 2.0 * x[i + 2] - 5.0 + np.sin(x[i + 1] - x[i + 2]) for i in range(4000)]

    def seconds(count: int) -> float:
        started = time.perf_counter()
        assert flat(outputs[:count]) is not None
        return time.perf_counter() - started

    seconds(500)
    assert min(seconds(4000) for _ in range(3)) < 40 * min(seconds(500) for _ in range(3))


# -- random programs of a few patterns ---------------------------------------------------------------------------------

PATTERNS: tuple[Any, ...] = (
    lambda a, b, c, k: np.sin(a) * b + k * c,
    lambda a, b, c, k: np.exp(-a * a) - np.cos(b * k) / (1.0 + c * c),
    lambda a, b, c, k: np.where(a > b, a * c, b - k),
    lambda a, b, c, k: np.sqrt(a * a + b * b + 1.0) ** 3 - np.maximum(c, k),
    lambda a, b, c, k: a + b - c * k,
    lambda a, b, c, k: np.tanh(a * np.tanh(b * np.tanh(c * np.tanh(a * np.tanh(b * np.tanh(c * k)))))),
)


@dataclass
class Model:
    """Scalar equations in levels: later ones use arrays, scalars, constants and earlier ones."""

    outputs: list[Expr]
    definitions: dict[Any, Expr] = field(default_factory=dict)
    inputs: list[Variable] = field(default_factory=list)
    packs: dict[Variable, tuple[Variable, int]] = field(default_factory=dict)


def model(seed: int, levels: int, named: bool, with_packs: bool) -> Model:
    rng = np.random.default_rng(seed)
    x, y = Variable("x", (12,)), Variable("y", (3, 4))
    z = [Variable(f"z{i}") for i in range(6)]
    vector = Variable("packed", (30,))
    result = Model([], inputs=[x, y, *z])
    if with_packs:
        result.packs = {v: (vector, 2 * i) for i, v in enumerate(z)} | {x: (vector, 14)}
    pool: list[Any] = [*x, *(y[i, j] for i in range(3) for j in range(4)), *z]
    for level in range(levels):
        new = []
        use = rng.choice(len(PATTERNS), 2)
        for i in range(int(rng.integers(9, 20))):
            operands = [pool[k] for k in rng.integers(0, len(pool), 3)]
            if rng.random() < 0.3:
                operands[1] = operands[0]
            e = PATTERNS[use[i % 2]](*operands, float(rng.choice([0.0, 1.0, -1.0, 0.7, rng.normal()])))
            if rng.random() < 0.1:
                e = e + sum(pool[k] * rng.normal() for k in rng.integers(0, len(pool), 20))
            if named and rng.random() < 0.8:
                v = Variable(f"v{level},{i}")
                result.definitions[v] = as_expr(e)
                e = v
            new.append(as_expr(e))
        pool = pool[-20:] + new
        result.outputs += new
    result.outputs = [result.outputs[k] for k in rng.permutation(len(result.outputs))]
    if rng.random() < 0.5:
        total = sum(e * e for e in result.outputs)
        result.outputs += [total, as_expr(result.outputs[:10]), np.exp(-y)]
    return result


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.integers(1, 4), st.booleans(), st.booleans())
def test_law_values_and_derivatives(seed: int, levels: int, named: bool, with_packs: bool) -> None:
    m = model(seed, levels, named, with_packs)
    values = points(m.inputs, seed)
    plain = inlined(m.outputs, m.definitions)
    (expected,) = evaluate([tuple(plain)], values)
    weights = np.cos(np.arange(expected.size))
    vector = flat(m.outputs, m.definitions, m.packs)
    if vector is None:
        return
    inputs = [v for v in m.inputs if v not in m.packs]
    if m.packs:
        inputs.append(next(iter(m.packs.values()))[0])
    at = packed(m.packs, values)
    close(evaluate([vector], at)[0], expected, 1e-12)
    one = (np.concatenate([np.ravel(w) for w in evaluate(vjp([vector], [weights], inputs), at)]), inputs)
    split = np.split(weights, np.cumsum([e.size for e in plain])[:-1])
    seeds = [w.reshape(e.shape) for w, e in zip(split, plain, strict=True)]
    two = dict(zip(m.inputs, evaluate(vjp(plain, seeds, m.inputs), values), strict=True))
    both = packed(m.packs, {v: np.asarray(g) for v, g in two.items()})
    close(one[0], np.concatenate([np.ravel(both.get(v, np.zeros(v.shape))) for v in inputs]), 1e-11)
    map_ = jacobian_map([vector], inputs)
    entries = evaluate([flat_values(map_)], at)[0]
    close(weights @ map_.dense(entries), one[0], 1e-11)


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 4), st.booleans())
def test_law_named_batches(seed: int, levels: int, with_packs: bool) -> None:
    m = model(seed, levels, True, with_packs)
    values = points(m.inputs, seed)
    found = batch(m.outputs, m.definitions, m.packs)
    if found is None:
        return
    at = packed(m.packs, values)
    close(
        evaluate([found.output], at, found.definitions)[0],
        evaluate([tuple(m.outputs)], values, m.definitions)[0],
        1e-12,
    )
    names = [v for own in found.members.values() for v in own]
    vectors = list(found.definitions)
    held = dict(zip(vectors, evaluate(vectors, at, found.definitions), strict=True))
    expected = evaluate(names, values, m.definitions)
    close(np.concatenate([np.zeros(0), *(held[v] for v in found.members)]), expected, 1e-12)


def test_a_program_solves_the_same() -> None:
    m = adj.Program()
    x = m.input("x", np.linspace(0.1, 1.0, 30))
    for i in range(30):
        m.define(f"y{i}", np.sin(x[i]) * x[i - 1] + float(i))
    sol = m.solve()
    assert sol["y3"] == pytest.approx(np.sin(sol["x"][3]) * sol["x"][2] + 3.0)
