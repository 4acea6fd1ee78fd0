"""Runs and cycles: evaluation, tangents and multipliers of one block, each compiled once."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import adjoint as adj
from adjoint.backends import get_backend
from adjoint.blocks import Cycle, Run, cycle, pack, run, unpack
from adjoint.expr import Variable


def model() -> adj.Program:
    """A run, a cycle of two, and a run again; arrays and scalars."""
    m = adj.Program()
    x, p = m.input("x", [1.0, 2.0]), m.input("p", 0.5)
    a = m.define("a", x * p)
    u, w = m.unknown("u", shape=(2,)), m.unknown("w")
    m.constrain(u**3 + u == a + w, name="cubic")
    m.define(w, 0.1 * np.sum(u))
    m.define("f", np.sum(u * a) + w**2)
    m.define("g", u[::-1] * p)
    return m


class Counting:
    """A backend that counts what it compiles and what of it is called."""

    name = "counting"

    def __init__(self) -> None:
        self.compiled = 0
        self.calls: Counter[int] = Counter()

    def compile(self, *args: Any, **keywords: Any) -> Any:
        function, number = get_backend("numpy").compile(*args, **keywords), self.compiled
        self.compiled += 1

        def counted(*arrays: Any) -> Any:
            self.calls[number] += 1
            return function(*arrays)

        return counted


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    backend = Counting()
    monkeypatch.setattr("adjoint.plan.get_backend", lambda name=None: backend)
    return backend


def test_pack_and_unpack_are_inverse() -> None:
    variables = [Variable("s"), Variable("A", (2, 2)), Variable("e", (0,)), Variable("v", (1,))]
    vector = np.arange(6.0)
    values = unpack(variables, vector, {})
    assert [np.shape(values[v]) for v in variables] == [(), (2, 2), (0,), (1,)]
    np.testing.assert_array_equal(pack(variables, values), vector)
    assert pack([], {}).shape == (0,)


def test_blocks_of_the_plan() -> None:
    plan = model().plan()
    assert [(type(b), {v.name for v in b.variables}) for b in plan.blocks] == [
        (Run, {"a"}),
        (Cycle, {"u", "w"}),
        (Run, {"f", "g"}),
    ]
    assert [v.name for v in plan.blocks[1].params] == ["a"]
    assert [b.size for b in plan.blocks] == [2, 3, 3]


def test_jacobian_of_a_cycle_is_that_of_its_residuals() -> None:
    m = model()
    sol = m.solve()
    block = m.plan().blocks[1]
    u, w = sol["u"], sol["w"]
    r, entries = block.fused()(np.array([*u, w]), sol["a"])
    np.testing.assert_allclose(r, [0, 0, 0], atol=1e-14)
    expected = [[3 * u[0] ** 2 + 1, 0, -1], [0, 3 * u[1] ** 2 + 1, -1], [-0.1, -0.1, 1]]
    np.testing.assert_allclose(block.jacobian.dense(entries), expected)
    assert block.jacobian.nnz == 7


def test_a_gauss_seidel_sweep_uses_the_newest_values() -> None:
    m = adj.Program()
    y, z = m.unknown("y"), m.unknown("z")
    m.define(y, 2 * z)
    m.define(z, y + 1)
    (block,) = m.plan().blocks
    np.testing.assert_array_equal(block.gauss_seidel()(np.array([0.0, 3.0]))[0], [6.0, 7.0])
    assert model().plan().blocks[1].gauss_seidel() is None


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_many_directions_are_what_single_ones_are(mode: str) -> None:
    sol = model().solve()
    together = sol.jacobian(["f", "g", "u"], mode=mode)
    for name in ("f", "g", "u"):
        for k in range(np.size(sol[name])):
            seed = np.zeros(np.size(sol[name]))
            seed[k] = 1.0
            row = sol.vjp({name: seed.reshape(np.shape(sol[name]))})
            for wrt in ("x", "p"):
                np.testing.assert_allclose(
                    np.reshape(together[name, wrt], (np.size(sol[name]), -1))[k], np.ravel(row[wrt]), rtol=1e-12
                )


def test_functions_are_compiled_once(counting: Counting) -> None:
    m = model()
    for k in range(2):
        sol = m.solve(p=0.5 + k)
        sol.gradient("f")
        sol.jacobian(["f", "g"])
        sol.jvp({"p": 1.0})
        sol.hvp("f", {"p": 1.0})
        sol.hessian("f")
        if k == 0:
            first = counting.compiled
    assert counting.compiled == first


def test_only_what_is_asked_for_is_compiled(counting: Counting) -> None:
    """Solving compiles values only: a run, residuals with their Jacobian, a run (and no derivative function)."""
    model().solve()
    assert counting.compiled <= 5


def test_the_sparse_and_the_dense_solver_give_one_answer() -> None:
    found = []
    for solver in ("dense", "superlu"):
        m = adj.Program(linear_solver=solver)
        x = m.input("x", np.linspace(0.5, 1.5, 60))
        y = m.unknown("y", shape=(60,))
        m.constrain(y**3 + y - 0.1 * np.roll(y, 1) == x)
        m.define("f", np.sum(y**2))
        sol = m.solve()
        found.append((sol["y"], sol.gradient("f", wrt="x"), sol.hessian("f", wrt="x"), sol.jacobian("y", wrt="x")))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_sparse_jacobians_stay_sparse() -> None:
    n = 400
    m = adj.Program()
    x = m.input("x", np.ones(n))
    a = m.define("a", np.exp(x[1:]) - x[:-1])
    m.define("b", a**2)
    sol = m.solve()
    jac = sol.jacobian("b", wrt="x", sparse=True)
    assert sp.issparse(jac)
    assert jac.nnz == 2 * (n - 1)
    for wrong in (sol.jacobian("b", wrt="x", mode=mode, sparse=True) for mode in ("forward", "reverse")):
        np.testing.assert_allclose(wrong.toarray(), jac.toarray())


def test_where_total_derivatives_are_too_dense_products_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[str] = Counter()
    for name in ("_each_direction", "_each_seed"):
        original = getattr(run, name)

        def counted(*args: Any, original: Any = original, name: str = name) -> Any:
            calls[name] += 1
            return original(*args)

        monkeypatch.setattr(run, name, counted)
    reference = model().solve().jacobian(["f", "g", "u"], mode="reverse")
    calls.clear()
    for module in (run, cycle):
        monkeypatch.setattr(module, "TOTAL_BUDGET", 1)
    for mode in ("forward", "reverse"):
        found = model().solve().jacobian(["f", "g", "u"], mode=mode)
        for key, expected in reference.items():
            np.testing.assert_allclose(found[key], expected, rtol=1e-12, atol=1e-14)
    assert calls["_each_direction"] > 0
    assert calls["_each_seed"] > 0


def test_components_of_independent_equations() -> None:
    m = adj.Program()
    x = m.input("x", np.arange(5.0))
    y = m.unknown("y", shape=(5,))
    m.constrain(y**3 + y == x)
    (block,) = m.plan().blocks
    assert len(set(block.components)) == 5
    z = m.unknown("z", shape=(5,))
    m.constrain(z + 0.1 * np.sum(z) == y)
    assert m.plan().blocks[1].components is None


@pytest.mark.parametrize("seed", range(20))
def test_components_of_small_and_of_large_patterns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    matrix = sp.random_array((n, n), density=0.12, rng=rng, format="csc") + sp.eye_array(n, format="csc")
    matrix = sp.csc_array(matrix[rng.permutation(n)] if seed % 3 == 0 else matrix)
    columns = np.repeat(np.arange(n), np.diff(matrix.indptr))
    pattern: Any = SimpleNamespace(
        shape=(n, n), nnz=matrix.nnz, indices=matrix.indices, indptr=matrix.indptr, columns=columns
    )
    small, cycle.SMALL = cycle.SMALL, 0
    try:
        expected = cycle._components(pattern)
    finally:
        cycle.SMALL = small
    found = cycle._components(pattern)
    assert (found is None) == (expected is None)
    if found is not None:
        np.testing.assert_array_equal(found, expected)
