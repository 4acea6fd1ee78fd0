"""Solutions: a mapping of verified values, immutable, with floats for scalars and copies for arrays."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import adjoint as adj


def model() -> adj.Program:
    m = adj.Program("demo")
    x, s = m.input("x", [1.0, 2.0]), m.input("s", 3.0)
    y, w = m.unknown("y", shape=(2,)), m.unknown("w")
    m.constrain(y**3 + y == x * w, name="cubic")
    m.define(w, s + 0.1 * np.sum(y))
    m.define("f", np.sum(y * x) * w)
    m.define("alias", x)
    m.define("view", np.reshape(x, (2, 1)))
    return m


@pytest.fixture
def sol() -> adj.Solution:
    return model().solve()


def test_a_solution_is_a_mapping_by_name(sol: adj.Solution) -> None:
    assert isinstance(sol, Mapping)
    assert set(sol) == {"x", "s", "y", "w", "f", "alias", "view"}
    assert len(sol) == 7
    assert "y" in sol
    assert "q" not in sol
    assert sol.get("q") is None
    assert dict(sol)["f"] == sol["f"]
    assert {**sol}["s"] == 3.0
    with pytest.raises(adj.NameLookupError, match="alias"):
        sol["alais"]
    with pytest.raises(KeyError):
        sol[3]


def test_a_variable_stands_for_its_name() -> None:
    m = model()
    sol = m.solve()
    assert sol[m["f"]] == sol["f"]
    assert sol.gradient(m["f"], wrt=m["s"]) == sol.gradient("f", wrt="s")
    np.testing.assert_array_equal(sol.jacobian(m["y"], wrt=m["x"]), sol.jacobian("y", wrt="x"))


def test_a_variable_of_another_program_does_not(sol: adj.Solution) -> None:
    foreign = adj.Program("foreign").input("x", [1.0, 2.0])
    with pytest.raises(adj.AdjointError):
        sol[foreign]


def numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for part in value.values():
            yield from numbers(part)
    elif not isinstance(value, (str, bool)):
        yield value


def everything(sol: adj.Solution) -> list[Any]:
    return [
        dict(sol),
        sol.gradient("f"),
        sol.gradient("f", wrt="x"),
        sol.multipliers("f"),
        sol.jacobian(["f", "y"]),
        sol.jacobian("f", wrt="s"),
        sol.jvp({"s": 1.0}),
        sol.vjp({"y": [1.0, 0.0]}),
        sol.hvp("f", {"s": 1.0}),
        sol.hessian("f"),
        sol.hessian("f", wrt="s"),
        sol.residuals(),
    ]


def test_scalars_are_floats_and_arrays_are_float64(sol: adj.Solution) -> None:
    for result in everything(sol):
        for value in numbers(result):
            if np.ndim(value) == 0:
                assert type(value) is float
            else:
                assert type(value) is np.ndarray
                assert value.dtype == np.float64


def test_results_are_copies(sol: adj.Solution) -> None:
    """Whoever writes into a result changes no other, and not the solution."""
    before = everything(sol)
    kept = copy.deepcopy(before)
    for result in everything(sol):
        for value in numbers(result):
            if np.ndim(value):
                value[...] = -99.0  # writable, and nobody else's
    for again, old in zip(everything(sol), kept, strict=True):
        for a, b in zip(numbers(again), numbers(old), strict=True):
            np.testing.assert_array_equal(a, b)


def test_defaults_are_not_changed_through_a_solution() -> None:
    m = model()
    sol = m.solve()
    sol["x"][:] = -1.0
    sol["alias"][:] = -1.0
    sol["view"][:] = -1.0
    np.testing.assert_array_equal(m.solve()["x"], [1.0, 2.0])
    np.testing.assert_array_equal(sol["x"], [1.0, 2.0])


def test_a_solution_has_nothing_to_assign(sol: adj.Solution) -> None:
    with pytest.raises(TypeError):
        sol["f"] = 1.0  # type: ignore[index]
    sol.blocks.clear()
    assert sol.blocks
    assert all(isinstance(b.history, tuple) for b in sol.blocks)


def test_solutions_of_one_program_are_independent() -> None:
    m = model()
    first = m.solve()
    kept = {k: np.array(v) for k, v in first.items()}, first.gradient("f")
    second = m.solve(s=5.0)
    second.hessian("f")
    assert second["f"] != first["f"]
    for name, value in kept[0].items():
        np.testing.assert_array_equal(first[name], value)
    assert first.gradient("f", wrt="s") == kept[1]["s"]


def test_message_and_repr(sol: adj.Solution) -> None:
    assert sol.success is True
    assert sol.status is adj.Status.SOLVED
    assert "1 cycle" in sol.message
    for word in ("demo", "s = 3", "y = array"):
        assert word in repr(sol)
    big = adj.Program()
    for k in range(50):
        big.input(f"x{k}", 1.0)
    assert "38 more" in repr(big.solve())
    assert big.solve().message == "All equations were evaluated."


def test_blocks_report_how_each_was_solved(sol: adj.Solution) -> None:
    cycle = next(b for b in sol.blocks if b.kind == "cycle")
    assert cycle.size == 3
    assert cycle.iterations == len(cycle.history) - 1 or cycle.iterations >= 1
    assert cycle.residual <= 1e-10
    assert sum(b.size for b in sol.blocks) == 8


def test_residuals_are_recomputed_by_name(sol: adj.Solution) -> None:
    residuals = sol.residuals()
    assert set(residuals) == {"cubic", "w", "f", "alias", "view"}
    assert residuals["cubic"].shape == (2,)
    assert all(np.max(np.abs(r)) < 1e-12 for r in residuals.values())


def test_a_solution_is_pickled_and_copied(sol: adj.Solution) -> None:
    for again in (pickle.loads(pickle.dumps(sol)), copy.deepcopy(sol)):
        assert isinstance(again, adj.Solution)
        for name in sol:
            np.testing.assert_array_equal(again[name], sol[name])
        np.testing.assert_allclose(again.gradient("f")["x"], sol.gradient("f")["x"], rtol=1e-13)
        np.testing.assert_allclose(again.hessian("f", wrt="x"), sol.hessian("f", wrt="x"), rtol=1e-12)
        assert again.status is sol.status
        assert [b.iterations for b in again.blocks] == [b.iterations for b in sol.blocks]


def test_a_pickled_solution_is_a_start(sol: adj.Solution) -> None:
    again = model().solve(start=pickle.loads(pickle.dumps(sol)))
    assert max(b.iterations for b in again.blocks) <= 1


def test_a_pickled_singular_solution_still_refuses_derivatives() -> None:
    m = adj.Program()
    y = m.unknown("y")
    m.constrain(y**2 == m.input("x", 0.0))
    with pytest.warns(adj.SingularWarning):
        sol = m.solve()
    again = pickle.loads(pickle.dumps(sol))
    with pytest.raises(adj.SingularError):
        again.gradient("y")
