"""Solves inside of solves: one that fails at a trial point shortens the step, and one that fails for good is named."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest

import adjoint as adj
from adjoint.inner import argmin, root
from adjoint.loops import scan
from adjoint.trial import Trial, trial_under_way


def positive(y: adj.Expr) -> adj.Expr:
    """The root of y; for y < 0 there is none."""
    return root(lambda z: z**2 - y, 1.0, name="positive")


def repeated(y: adj.Expr) -> adj.Expr:
    """The same in every step of a loop."""
    return scan(lambda c, _: (root(lambda z: z**2 - y + 0 * c, 1.0, name="positive"), None), 1.0, length=3)[0]


def large_steps(y: adj.Expr) -> adj.Expr:
    """The same, solved by the general methods in every step of a loop."""
    step = lambda c, _: (root(lambda z: z**2 - y + 0 * c, np.ones(40), name="positive"), None)
    return scan(step, np.ones(40), length=2)[0][7]


@pytest.mark.parametrize("inside", [positive, repeated, large_steps])
@pytest.mark.parametrize("method", ["auto", "newton", "trust-region"])
def test_a_failure_shortens_the_step(inside: object, method: str) -> None:
    m = adj.Program()
    x = m.input("x", 0.05)
    y = m.unknown("y", guess=4.0)
    # Newton's first step on arctan goes to y < 0.
    m.constrain(np.arctan(5 * (inside(y) - x)) == 0)  # type: ignore[operator]
    sol = m.solve(method=method)
    assert sol["y"] == pytest.approx(0.05**2, rel=1e-9)
    assert sol.gradient("y", wrt="x") == pytest.approx(0.1, rel=1e-8)
    assert sol.check_derivatives("y")


def test_a_failure_for_good_names_what_failed_inside() -> None:
    m = adj.Program()
    y = m.unknown("y", guess=4.0)
    m.constrain(positive(y) + 1 == 0, name="impossible")
    with pytest.raises(adj.ConvergenceError, match=r"(?s)impossible.*Inside of it, last: block 'positive'"):
        m.solve()


def test_outside_of_cycles_a_failure_is_an_error() -> None:
    m = adj.Program()
    m.define("z", positive(m.input("y", 4.0)))
    assert m.solve()["z"] == pytest.approx(2.0)
    with pytest.raises(adj.ConvergenceError, match="positive"):
        m.solve(y=-1.0)
    m = adj.Program()
    m.define("z", large_steps(m.input("y", 4.0)))
    with pytest.raises(adj.ConvergenceError, match="positive"):
        m.solve(y=-1.0)


def test_a_singular_hessian_at_a_trial_point() -> None:
    # The minimizer of y⁴/4 + a y²/2 has a singular Hessian at a = 0, where the search for a begins.
    m = adj.Program()
    a = m.unknown("a", guess=0.0)
    y = argmin(lambda y: y**4 / 4 + a * y**2 / 2, 0.3, name="flat")
    m.constrain(y - 0.5 + a == 0)
    assert m.solve()["a"] == pytest.approx(0.5)


def test_trials_are_of_a_thread_and_end_with_errors() -> None:
    seen = []
    with Trial() as outer:
        with pytest.raises(ValueError, match="inside"), Trial() as inner:
            assert trial_under_way() is inner
            raise ValueError("inside")
        assert trial_under_way() is outer
        thread = Thread(target=lambda: seen.append(trial_under_way()))
        thread.start()
        thread.join()
        outer.failed(ValueError("first line\nsecond"))
    assert seen == [None] and trial_under_way() is None
    assert outer.told("It failed.") == "It failed.\n  Inside of it, last: first line"
