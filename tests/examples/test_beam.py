"""The cantilever: closed forms, and the published optimum."""

from __future__ import annotations

import json
from pathlib import Path

import beam
import numpy as np
import pytest


def test_uniform_beam_bends_as_in_the_textbook() -> None:
    sol = beam.model().solve()
    h, x = 0.1, np.linspace(0.0, 1.0, 51)
    stiffness = 0.1 * h**3 / 12
    deflection = -(x**2) * (3 - x) / (6 * stiffness)  # exact at the nodes
    np.testing.assert_allclose(sol["d"][::2], deflection[1:], rtol=1e-8)
    assert sol["compliance"] == pytest.approx(1 / (3 * stiffness), rel=1e-9)


def test_gradient_is_the_local_strain_energy() -> None:
    sol = beam.model(10).solve()
    assert sol.check_derivatives("compliance")
    slope = sol.gradient("compliance", wrt="h")
    moment = 1.0 - (np.arange(10) + 0.5) / 10  # at the middle of each element
    square = moment**2 + (1 / 10) ** 2 / 12  # its mean square over the element
    np.testing.assert_allclose(slope, -3 / 0.1 * square / 10 / (0.1 * 0.1**3 / 12), rtol=1e-8)


def test_optimum(data: Path) -> None:
    result = beam.problem().solve(method="SLSQP", options={"maxiter": 300, "ftol": 1e-10})
    sol = result.solution
    assert result.success
    assert sol["compliance"] == pytest.approx(23762.1536769, rel=1e-8)
    assert sol["volume"] == pytest.approx(0.01, rel=1e-9)
    published = json.loads((data / "mdo_coupled" / "problems.json").read_text())["openmdao_beam"]
    np.testing.assert_allclose(sol["h"], published["openmdao_reference_h"], atol=2e-6)
    # d compliance / d volume at the optimum; the problem's objective and constraint are scaled
    scaled = result.multipliers["volume"] / 1e-4 / 0.01
    assert scaled == pytest.approx(published["casadi_ipopt"]["d_compliance_d_volume"], rel=1e-5)
