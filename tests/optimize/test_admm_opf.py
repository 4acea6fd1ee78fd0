"""ADMM on AC optimal power flow cut into regions: the objective and the prices of the whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs" / "examples"))
pytest.importorskip("pypower")
import opf
from matpower import read_case

AREA = 6  # column of the bus table


def regions() -> dict[str, Any]:
    """Blocks by the areas of the case: the buses' voltages and balances; flows follow their rows."""
    area = opf.in_service(opf.example_case()).bus[:, AREA].astype(int)
    names = ("Va", "Vm", "active_balance", "reactive_balance")
    return {f"area {a}": {name: np.flatnonzero(area == a) for name in names} for a in np.unique(area)}


@pytest.mark.parametrize("blocks", [regions(), 3])
def test_regions_agree_on_the_optimal_power_flow(blocks: Any) -> None:
    problem = opf.problem()
    reference = problem.solve("interior-point", formulation="full")
    options = {"blocks": blocks, "executor": "serial", "tol": 1e-5, "max_iter": 400}
    result = problem.solve("admm", options=options)
    assert result.success, result.message
    assert result.fun == pytest.approx(reference.fun, rel=1e-4)  # the acceptance asks for 1e-3
    assert result.residuals().primal < 1e-3
    prices, wanted = result.multipliers["active_balance"], reference.multipliers["active_balance"]
    np.testing.assert_allclose(prices, wanted, rtol=2e-3)
    assert all(b.copies < 0.3 * b.variables for b in result.blocks)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "blocks"),
    [("case14_ieee", 2), ("case57_ieee", 3), ("case118_ieee", 2), ("case118_ieee", 3), ("case300_ieee", 3)],
)
def test_regions_of_larger_networks(name: str, blocks: int, data: Path) -> None:
    """PGLib's cases, cut by the structure."""
    problem = opf.problem(read_case(data / "pglib_opf" / f"pglib_opf_{name}.m"))
    reference = problem.solve("interior-point", formulation="full")
    options = {"blocks": blocks, "executor": "serial", "tol": 1e-5, "max_iter": 400}
    result = problem.solve("admm", options=options)
    assert result.success, result.message
    assert result.fun == pytest.approx(reference.fun, rel=1e-4)
    prices, wanted = result.multipliers["active_balance"], reference.multipliers["active_balance"]
    np.testing.assert_allclose(prices, wanted, atol=1e-3 * np.abs(wanted).max())
