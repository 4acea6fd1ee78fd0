"""The diode circuit against values from 40-digit arithmetic."""

from __future__ import annotations

import circuit
import pytest


def test_voltages_from_a_poor_start() -> None:
    sol = circuit.model().solve()
    assert sol["V1"] == pytest.approx(9.908047345079, abs=1e-11)
    assert sol["V2"] == pytest.approx(0.712781853012, abs=1e-11)
    assert sol["diode_current"] == pytest.approx(0.00091953, abs=1e-8)


def test_sensitivities() -> None:
    jac = circuit.model().solve().jacobian(["V1", "V2"], wrt=["I", "R1", "R2"])
    expected = {
        ("V1", "I"): 99.01265182824449,
        ("V1", "R1"): 0.09810220420761019,
        ("V1", "R2"): 9.078928572398844e-06,
        ("V2", "I"): 0.27783465269367885,
        ("V2", "R1"): 0.00027527988929926424,
        ("V2", "R2"): -2.554763394414599e-06,
    }
    assert jac == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("current", [1e-6, 1e-3, 1.0, 10.0])
def test_other_currents(current: float) -> None:
    sol = circuit.model().solve(I=current)
    assert max(map(abs, sol.residuals().values())) < 1e-9 * current
    assert sol.check_derivatives("V2")
