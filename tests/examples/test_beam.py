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


@pytest.mark.parametrize("elements", [1, 7, 50])
def test_internal_forces_bend_the_same_beam(elements: int) -> None:
    h = 0.1 + 0.05 * np.cos(np.arange(elements))
    stiffness, forces = beam.model(elements).solve(h=h), beam.internal_forces(elements).solve(h=h)
    np.testing.assert_allclose(-forces["deflection"], stiffness["d"][::2], rtol=1e-8)
    np.testing.assert_allclose(-forces["slope"], stiffness["d"][1::2], rtol=1e-8)
    np.testing.assert_allclose(forces["moment"], 1.0 - np.arange(elements) / elements, rtol=1e-12)
    expected = stiffness.gradient("compliance", "h")
    np.testing.assert_allclose(forces.gradient("compliance", "h"), expected, rtol=1e-7, atol=1e-9 * abs(expected).max())


FORMS = {
    "stiffness, reduced": (beam.model, "reduced"),
    "forces, reduced": (beam.internal_forces, "reduced"),
    "forces, full": (beam.internal_forces, "full"),
    "forces, mixed": (beam.internal_forces, {"moment": "full", "deflection": "full"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_formulations_agree(form: str) -> None:
    build, formulation = FORMS[form]
    result = beam.problem(build=build).solve("interior-point", formulation=formulation)
    assert result.status == "optimal"
    assert result.fun / 1e-4 == pytest.approx(23762.1536769, rel=1e-8)
    assert result.multipliers["volume"] / 1e-4 / 0.01 == pytest.approx(-7128646.1035, rel=1e-6)
    assert result.residuals().largest <= 1e-6
    if build is beam.internal_forces:  # dJ/d(right-hand side): a moment bends what is left of it, a step lifts the tip
        rotation, translation = result.multipliers["rotation"], result.multipliers["translation"]
        np.testing.assert_allclose(rotation, 1e-4 * (1 - np.arange(1, 51) / 50), atol=1e-10)
        np.testing.assert_allclose(translation, 1e-4, rtol=1e-6)


def test_five_hundred_elements() -> None:
    result = beam.problem(500, beam.internal_forces).solve("interior-point", formulation="full")
    assert result.status == "optimal"
    assert result.fun / 1e-4 == pytest.approx(23711.2474, rel=1e-8)


def test_main(capsys: pytest.CaptureFixture[str]) -> None:
    beam.main()
    assert capsys.readouterr().out.count("compliance 23762.15367") == 3
