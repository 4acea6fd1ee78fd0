"""Homotopy in the inputs: from where the program is easy to solve to where it is wanted."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint import homotopy


@pytest.fixture
def solves(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many solves succeeded and failed on the way."""
    count: Counter[str] = Counter()
    original = homotopy.forward

    def counted(*args: Any, **keywords: Any) -> Any:
        try:
            state = original(*args, **keywords)
        except Exception:
            count["failed"] += 1
            raise
        count["solved"] += 1
        return state

    monkeypatch.setattr(homotopy, "forward", counted)
    return count


def shifted() -> adj.Program:
    """√(y − a) = k: the guess is outside the domain, unless a is small."""
    m = adj.Program()
    a, k = m.input("a", 10.0), m.input("k", 1.0)
    y = m.unknown("y", guess=1.0)
    m.constrain(np.sqrt(y - a) == k, name="root")
    return m


def test_a_solution_that_no_method_reaches_from_the_guess(solves: Counter[str]) -> None:
    m = shifted()
    with pytest.raises(adj.ConvergenceError):
        m.solve()
    sol = m.solve(homotopy={"a": 0.0})
    assert sol["y"] == pytest.approx(11.0)
    assert sol["a"] == 10.0
    assert solves["failed"] > 0
    assert solves["solved"] > 2


def test_an_easy_path_takes_one_step(solves: Counter[str]) -> None:
    m = adj.Program()
    x, y = m.input("x", 9.0), m.unknown("y")
    m.constrain(y**2 == x)
    assert m.solve(homotopy={"x": 4.0})["y"] == pytest.approx(3.0)
    assert solves == {"solved": 2}


def test_the_branch_is_that_of_the_easy_inputs() -> None:
    """A cubic with three roots: the path from the left ends on the lower branch, from the right on the upper."""
    m = adj.Program()
    x, y = m.input("x", 0.0), m.unknown("y", guess=0.0)
    m.constrain(y**3 - 3 * y == x)
    assert m.solve(homotopy={"x": -10.0})["y"] == pytest.approx(-np.sqrt(3))
    assert m.solve(homotopy={"x": 10.0})["y"] == pytest.approx(np.sqrt(3))


def test_the_result_is_an_ordinary_solution() -> None:
    m = shifted()
    sol = m.solve(a=20.0, homotopy={"a": 0.0, "k": 0.5})
    assert (sol["a"], sol["k"], sol["y"]) == pytest.approx((20.0, 1.0, 21.0))
    assert sol.gradient("y") == pytest.approx({"a": 1.0, "k": 2.0})
    assert max(b.residual for b in sol.blocks) <= 1e-10


def test_arrays_move_too_and_inputs_not_named_stay() -> None:
    m = adj.Program()
    v, s = m.input("v", [4.0, 9.0]), m.input("s", 2.0)
    y = m.unknown("y", shape=(2,), guess=1.0)
    m.constrain(y**2 * s == v)
    sol = m.solve(homotopy={"v": [2.0, 2.0]})
    np.testing.assert_allclose(sol["y"], np.sqrt([2.0, 4.5]))


def test_a_path_that_turns_back_tells_how_far_it_came() -> None:
    """y² = 1 − t·2 has no solution beyond t = 1/2."""
    m = adj.Program()
    x, y = m.input("x", -1.0), m.unknown("y", guess=1.0)
    m.constrain(y**2 == x)
    with pytest.raises(adj.ConvergenceError, match=r"t = 0\.(49|5)"):
        m.solve(homotopy={"x": 1.0})


def test_the_easy_inputs_must_solve() -> None:
    m = adj.Program()
    x, y = m.input("x", 4.0), m.unknown("y", guess=1.0)
    m.constrain(y**2 == x)
    with pytest.raises(adj.ConvergenceError):
        m.solve(homotopy={"x": -1.0})


def test_explicit_equations_that_are_not_finite_on_the_way_shorten_the_step() -> None:
    m = adj.Program()
    x = m.input("x", 4.0)
    m.define("y", 1 / x)
    assert m.solve(homotopy={"x": 1.0})["y"] == 0.25


def test_no_singular_warning_from_the_way(recwarn: pytest.WarningsRecorder) -> None:
    m = adj.Program()
    x, y = m.input("x", 4.0), m.unknown("y", guess=1.0)
    m.constrain(y**2 == x**2 + 1.0)
    m.solve(homotopy={"x": -4.0})
    assert not recwarn.list


def test_wrong_homotopies_are_refused() -> None:
    m = shifted()
    for wrong in ({"q": 1.0}, {"y": 1.0}, {"a": [1.0, 2.0]}, {"a": np.nan}, 5, "a", [1.0]):
        with pytest.raises(adj.AdjointError):
            m.solve(homotopy=wrong)
