"""Inner problems as equations of the program, and their full space."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.inner import argmin, fixed_point, root, single_level


def bilevel() -> adj.Program:
    m = adj.Program("bilevel")
    x = m.input("x", 0.5)

    def follower(y: Any) -> Any:
        z = root(lambda z: z + z**3 - y[0], 0.0, name="response")
        return np.sum((y - x) ** 2) + 0.5 * z**2

    y = m.define("y", argmin(follower, np.zeros(2), name="follower"))
    m.define("f", (y[0] - 1.0) ** 2 + y[1] ** 2 + 0.1 * fixed_point(lambda w: np.cos(w) * x, 0.5, name="cosine"))
    return m


def test_same_values_and_derivatives() -> None:
    two = bilevel()
    one = single_level(two)
    a, b = two.solve(), one.solve()
    assert b["f"] == pytest.approx(a["f"], abs=1e-12)
    assert b.gradient("f", wrt="x") == pytest.approx(a.gradient("f", wrt="x"), abs=1e-11)
    assert b.hessian("f", wrt="x") == pytest.approx(a.hessian("f", wrt="x"), abs=1e-9)
    assert {"follower", "cosine", "response"} <= set(one.variables)
    assert not {"follower"} & set(two.variables)  # the program itself is as it was
    lam = b.multipliers("f")
    assert np.shape(lam["follower: equations"]) == (2,)


def test_full_space() -> None:
    two = bilevel()
    reduced = adj.Problem(two, minimize="f", over={"x": (-1, 2)}).solve(method="L-BFGS-B")
    full = adj.Problem(single_level(two), minimize="f", over={"x": (-1, 2)})
    result = full.solve(method="interior-point", formulation="full")
    assert result.success
    assert result.fun == pytest.approx(reduced.fun, abs=1e-7)
    assert result.x == pytest.approx(reduced.x, abs=1e-4)


def test_last_solution_is_the_guess() -> None:
    m = adj.Program()
    m.define("y", root(lambda y, x: y**2 - x, -1.0, m.input("x", 4.0), name="minus"))
    m.solve(x=9.0)
    assert list(single_level(m).guesses.values()) == [pytest.approx(-3.0)]
