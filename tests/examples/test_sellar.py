"""Sellar's problem against 12-digit values from 40-digit arithmetic."""

from __future__ import annotations

import pytest
import sellar


def test_values_and_gradient() -> None:
    sol = sellar.model().solve()
    assert sol["y1"] == pytest.approx(25.588302369878, abs=1e-11)
    assert sol["y2"] == pytest.approx(12.058488150612, abs=1e-11)
    assert sol["f"] == pytest.approx(28.588308165034, abs=1e-11)
    expected = {"z1": 9.61001055699, "z2": 1.78448533563, "x": 2.98061391348}
    assert sol.gradient("f") == pytest.approx(expected, abs=1e-10)
    assert sol.multipliers("f")["y1"] == pytest.approx(0.980613913484, abs=1e-11)
    assert sol.multipliers("f")["y2"] == pytest.approx(-0.196128577853, abs=1e-11)


def test_derivatives_of_the_outputs() -> None:
    jac = sellar.model().solve().jacobian(["y1", "y2"], wrt=["z1", "z2", "x"])
    expected = {
        ("y1", "z1"): 9.610021856911,
        ("y1", "z2"): 0.784491580156,
        ("y1", "x"): 0.980614475195,
        ("y2", "z1"): 1.949890715445,
        ("y2", "z2"): 1.07754209922,
        ("y2", "x"): 0.096927624025,
    }
    assert jac == pytest.approx(expected, abs=1e-10)


def test_reduced_hessian() -> None:
    hessian = sellar.model().solve().hessian("f")
    expected = {
        ("z1", "z1"): 1.99623370,
        ("z1", "z2"): 2.8679995e-3,
        ("z1", "x"): 3.5708745e-3,
        ("z2", "z2"): 2.3985718e-4,
        ("z2", "x"): 2.9201581e-4,
        ("x", "x"): 2.00036432,
    }
    for (a, b), value in expected.items():
        assert hessian[a, b] == pytest.approx(value, abs=1e-8)
        assert hessian[b, a] == pytest.approx(value, abs=1e-8)


def test_optimum() -> None:
    result = sellar.problem().solve(method="SLSQP", options={"ftol": 1e-12})
    assert result.success
    assert result.fun == pytest.approx(3.183393951, abs=1e-8)
    expected = {"z1": 1.97763888, "z2": 0.0, "x": 0.0, "y1": 3.16, "y2": 3.75527777}
    assert {name: result.solution[name] for name in expected} == pytest.approx(expected, abs=1e-7)
    # df*/d(3.16): 0.9868398740 from IPOPT
    assert result.multipliers["y1 at least 3.16"] == pytest.approx(0.98683987, abs=1e-6)
    assert result.multipliers["y2 at most 24"] == 0.0
