"""method="tearing": a cycle solved in its tear variables, and verified as a whole."""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.blocks import Torn


def ring(n: int) -> adj.Program:
    """A long ring of explicit equations: one tear variable suffices."""
    m = adj.Program("ring")
    x = m.input("x", 0.5)
    z = [m.unknown(f"z{i}", guess=0.1) for i in range(n)]
    for i in range(n):
        m.define(z[i], 0.9 * np.sin(z[i - 1]) + x / (i + 1))
    return m


def test_a_ring_is_torn_at_one_variable() -> None:
    m = ring(12)
    torn = Torn(m.plan().cycles[0])
    assert len(torn.tears) == len(torn.residuals) == 1
    assert len(torn.evaluated) == 11


def test_tearing_gives_the_solution_and_its_derivatives() -> None:
    m = ring(12)
    plain, torn = m.solve(), m.solve(method="tearing")
    for name in plain:
        assert torn[name] == pytest.approx(plain[name], rel=1e-13)
    assert torn.gradient("z3") == pytest.approx(plain.gradient("z3"), rel=1e-12)
    assert torn.blocks[0].residual <= 1e-14
    assert torn.check_derivatives("z5")


def test_implicit_equations_and_arrays() -> None:
    m = adj.Program()
    p = m.input("p", [1.0, 2.0])
    u, w = m.unknown("u", guess=[1.0, 1.0]), m.unknown("w", guess=1.0)
    v = m.define("v", u**2 + w)
    m.define(w, 0.1 * np.sum(v))
    m.constrain(v * u == 3 * p, name="balance")
    torn = Torn(m.plan().cycles[0])
    assert "balance" in [e.name for e in torn.residuals]
    plain, other = m.solve(), m.solve(method={"u": "tearing"})
    np.testing.assert_allclose(other["u"], plain["u"], rtol=1e-12)
    np.testing.assert_allclose(other.gradient("w", wrt="p"), plain.gradient("w", wrt="p"), rtol=1e-11)


def test_bounds_hold_for_tear_variables() -> None:
    m = adj.Program()
    y = m.unknown("y", guess=2.0, lower=0.0)
    z = m.define("z", y**2 - 2.0)
    m.define(y, y - 0.3 * z)
    assert m.solve(method="tearing")["y"] == pytest.approx(np.sqrt(2.0), rel=1e-12)


def test_no_solution_raises_all_the_same() -> None:
    m = adj.Program()
    y = m.unknown("y", guess=1.0)
    z = m.define("z", y**2 + 1.0)
    m.define(y, y + z)
    with pytest.raises(adj.ConvergenceError, match="'cycle_1'"):
        m.solve(method="tearing")


def test_equations_that_do_not_pair_by_name_are_refused() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    y, w = m.unknown("y", [1.0, 2.0]), m.unknown("w", 1.0)
    m.constrain(adj.array([y[0] + w, y[1] - w, y[0] * y[1]]) == [1.0, 2.0, x], name="three")
    with pytest.raises(adj.ModelError, match="cannot be torn"):
        m.solve(method="tearing")
