"""Short programs without cycles are solved in one call from the fourth time on: what the first solve gives."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint import evaluation

BACKENDS = ["numpy", pytest.param("llvm", marks=pytest.mark.skipif("llvm" not in adj.backends.BACKENDS, reason="llvm"))]


def model(backend: str | None = "numpy") -> adj.Program:
    m = adj.Program(backend=backend)
    a, b = m.input("a", np.linspace(0.1, 1.0, 6).reshape(2, 3)), m.input("b", np.full((2, 3), 0.5))
    s = m.input("s", 2.0)
    y = m.define("y", np.exp(a) * np.sin(b) * s + b)
    m.define("g", np.abs(s) * y[0])
    m.define("f", np.sum(y) * s)
    return m


def settled(m: adj.Program) -> adj.Program:
    for _ in range(4):
        m.solve()
    assert m.solve()._state.vector is not None
    return m


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_and_derivatives_of_the_general_way(backend: str) -> None:
    m = model(backend)
    given: dict[str, Any] = {"a": np.linspace(1.0, 2.0, 6).reshape(3, 2).T, "s": -1.5}
    weights = {"y": np.arange(6.0).reshape(2, 3), "g": np.ones(3)}
    first = m.solve(given)
    known = first.vjp(weights), first.gradient("f"), first.jacobian("g"), first.hvp("f", {"s": 1.0}), first.residuals()
    again = settled(m).solve(given)
    assert again._state.vector is not None and first._state.vector is None
    assert list(again) == list(first)
    for name in first:
        assert type(again[name]) is type(first[name])
        np.testing.assert_allclose(again[name], first[name], rtol=1e-14)
    found = again.vjp(weights), again.gradient("f"), again.jacobian("g"), again.hvp("f", {"s": 1.0}), again.residuals()
    for mine, theirs in zip(found, known, strict=True):
        assert list(mine) == list(theirs)
        for key in theirs:
            assert np.shape(mine[key]) == np.shape(theirs[key])
            np.testing.assert_allclose(mine[key], theirs[key], rtol=1e-13, atol=1e-14)
    assert again.message == first.message
    assert [r[:4] for r in again.blocks] == [r[:4] for r in first.blocks]
    for wrt in ("s", ["b", "s"]):
        np.testing.assert_allclose(
            again.gradient("f", wrt)["s"] if wrt != "s" else again.gradient("f", wrt), known[1]["s"]
        )
    assert pickle.loads(pickle.dumps(again))["f"] == again["f"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_are_the_solutions_own(backend: str) -> None:
    m = settled(model(backend))
    a = np.ones((2, 3))
    sol = m.solve(a=a)
    a[:] = 7.0
    sol["y"][:] = 0.0
    cot = sol.vjp({"y": np.ones((2, 3))})
    cot["a"][:] = 0.0
    np.testing.assert_array_equal(sol["a"], np.ones((2, 3)))
    np.testing.assert_allclose(sol["y"], m.solve(a=np.ones((2, 3)))["y"])
    assert np.any(sol.vjp({"y": np.ones((2, 3))})["a"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_wrong_is_named_as_ever(backend: str) -> None:
    m, fresh = settled(model(backend)), model(backend)
    for given in (
        {"a": np.full((2, 3), np.nan)},
        {"a": np.ones(7)},
        {"s": np.inf},
        {"q": 1.0},
        {"y": np.ones((2, 3))},
        {"a": "text"},
        {"a": np.full((2, 3), 800.0)},  # overflows
    ):
        messages = []
        for program in (m, fresh):
            with pytest.raises(adj.AdjointError) as raised:
                program.solve(given)
            messages.append(str(raised.value))
        assert messages[0] == messages[1]
    for seeds in ({"y": np.ones(5)}, {"q": 1.0}, {"y": np.full((2, 3), np.nan)}, {}):
        outcomes = []
        for program in (m, model(backend)):
            try:
                outcomes.append(sorted(program.solve().vjp(seeds)))
            except adj.AdjointError as error:
                outcomes.append([type(error).__name__, str(error)])
        assert outcomes[0] == outcomes[1]


def test_other_forms_of_inputs() -> None:
    """Whole numbers, lists, numbers for arrays, other types: taken the general way."""
    m, fresh = settled(model()), model()
    for given in ({"s": 3}, {"a": [[1, 2, 3], [4, 5, 6]]}, {"b": 0.25}, {"a": np.ones((2, 3), dtype=np.float32)}):
        np.testing.assert_array_equal(m.solve(given)["y"], fresh.solve(given)["y"])


def test_a_kink_warns() -> None:
    sol = settled(model()).solve(s=0.0)
    with pytest.warns(adj.KinkWarning):
        sol.vjp({"g": np.ones(3)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settled(model()).solve(s=1.0).vjp({"g": np.ones(3)})


def test_a_change_of_the_program_is_seen() -> None:
    m = settled(model())
    m.define("h", m["f"] * 2.0)
    for _ in range(6):
        sol = m.solve()
        assert sol["h"] == 2.0 * sol["f"]
        assert sol.gradient("h")["s"] == pytest.approx(2.0 * sol.gradient("f")["s"])


def test_long_programs_and_cycles_are_solved_as_ever() -> None:
    long = adj.Program(backend="numpy")
    x = long.input("x", 1.0)
    for k in range(evaluation.LARGEST):
        x = long.define(f"y{k}", np.sin(x) + 0.1 * k)
    cycle = adj.Program(backend="numpy")
    u = cycle.unknown("u", guess=1.0)
    cycle.constrain(u**2 == cycle.input("p", 4.0))
    empty = adj.Program(backend="numpy")
    empty.input("p", 1.0)
    for m in (long, cycle, empty):
        for _ in range(6):
            assert m.solve()._state.vector is None
