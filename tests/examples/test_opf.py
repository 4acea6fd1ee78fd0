"""AC optimal power flow: published objectives, locational marginal prices, residuals; the same in every formulation."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import matpower
import numpy as np
import opf
import pytest
from matpower import Branch, Bus, Case, CaseError, Gen

import adjoint as adj

CASES = (
    *("case3_lmbd", "case5_pjm", "case14_ieee", "case30_as", "case57_ieee", "case118_ieee", "case300_ieee"),
    *("case1354_pegase", "case2869_pegase"),
)

# MATPOWER's optima of the cases that pypower brings, $/h. Most have no branch limits (a rate of 0).
PUBLISHED = {"case9": 5296.69, "case14": 8081.53, "case30": 576.89, "case57": 41737.79, "case118": 129660.69}


def read(data: Path, name: str) -> Case:
    return matpower.read_case(data / "pglib_opf" / f"pglib_opf_{name}.m")


@functools.cache
def solved(data: Path, name: str, formulation: str = "full") -> Any:
    return opf.problem(read(data, name)).solve("interior-point", formulation=formulation)


def baseline(data: Path, name: str) -> str:
    """The AC objective, as printed, of typical conditions: the first table."""
    lines = (data / "pglib_opf" / "BASELINE.md").read_text(encoding="utf-8").splitlines()
    return next(line.split("|")[5].strip() for line in lines if line.startswith(f"| pglib_opf_{name} "))


def reference(data: Path, name: str) -> dict[str, Any]:
    return json.loads((data / "pglib_opf" / "reference" / f"pglib_opf_{name}.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_objective(data: Path, name: str) -> None:
    result = solved(data, name)
    assert result.status == "optimal"
    assert f"{result.fun:.4e}" == baseline(data, name)
    assert result.fun == pytest.approx(reference(data, name)["objective"], rel=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_prices(data: Path, name: str) -> None:
    found, expected = opf.prices(read(data, name), solved(data, name)), reference(data, name)
    assert list(found) == expected["bus"]
    scale = np.abs(expected["lmp_dollar_per_MWh"]).max()
    np.testing.assert_allclose([*found.values()], expected["lmp_dollar_per_MWh"], rtol=1e-5, atol=1e-6 * scale)


@pytest.mark.parametrize("name", CASES)
def test_residuals(data: Path, name: str) -> None:
    assert solved(data, name).residuals().largest <= 1e-6


@pytest.mark.parametrize("name", ["case5_pjm", "case30_as", "case118_ieee"])
def test_formulations_agree(data: Path, name: str) -> None:
    full = solved(data, name)
    others = [solved(data, name, "reduced")]
    others.append(opf.problem(read(data, name)).solve("interior-point", formulation={"P_from": "full"}))
    for other in others:
        assert other.fun == pytest.approx(full.fun, rel=1e-8)
        for constraint in ("active_balance", "reactive_balance"):
            expected = full.multipliers[constraint]
            scale = np.abs(full.multipliers["active_balance"]).max()
            np.testing.assert_allclose(other.multipliers[constraint], expected, atol=1e-6 * scale)
        # Of the flow equations: where one is eliminated, from the reverse sweep. A line whose limit is all active power
        # is held twice in full space, by its limit and by the bound of the flow, which share the multiplier.
        for flow in opf.FLOWS:
            scale = np.abs(full.multipliers[flow]).max()
            np.testing.assert_allclose(other.multipliers[flow], full.multipliers[flow], atol=1e-5 * scale)


def test_a_price_is_the_cost_of_one_more_megawatt(data: Path) -> None:
    case = read(data, "case5_pjm")
    price = opf.prices(case, solved(data, "case5_pjm"))
    for k, number in enumerate(case.bus[:, Bus.NUMBER]):
        costs = []
        for step in (-0.05, 0.05):
            bus = case.bus.copy()
            bus[k, Bus.PD] += step
            costs.append(opf.problem(replace(case, bus=bus)).solve("interior-point", formulation="full").fun)
        assert price[int(number)] == pytest.approx((costs[1] - costs[0]) / 0.1, rel=1e-4)


@pytest.mark.parametrize("name", PUBLISHED)
def test_cases_of_pypower(name: str) -> None:
    api = pytest.importorskip("pypower.api")
    case = matpower.from_pypower(getattr(api, name)(), name)
    result = opf.problem(case).solve("interior-point", formulation="full")
    assert result.status == "optimal"
    assert result.fun == pytest.approx(PUBLISHED[name], abs=0.0051)


def test_limits_by_the_format(data: Path) -> None:
    case = read(data, "case3_lmbd")
    branch = case.branch.copy()
    branch[:, [opf.ANGLE_MIN, opf.ANGLE_MAX]] = [[0, 0], [-360, 30], [-30, 0]]
    branch[0, Branch.RATE_A] = 0
    changed = replace(case, branch=branch)
    low, high = opf.angle_limits(changed)
    np.testing.assert_allclose(low, [-np.inf, -np.inf, -np.pi / 6])
    np.testing.assert_allclose(high, [np.inf, np.pi / 6, 0.0])
    assert opf.rates(changed)[0] == np.inf
    assert np.isinf(opf.angle_limits(replace(case, branch=branch[:, :11]))).all()


def test_costs(data: Path) -> None:
    case = read(data, "case3_lmbd")
    linear = np.array([[2, 0, 0, 2, 5.0, 7.0, 0], [2, 0, 0, 1, 3.0, 0, 0], [2, 0, 0, 3, 1.0, 2.0, 4.0]])
    expected = [[0, 5, 7], [0, 0, 3], [1, 2, 4]]
    assert opf.cost_coefficients(replace(case, gencost=linear)).tolist() == expected
    linear[1, 0] = 1
    with pytest.raises(CaseError, match="piecewise"):
        opf.cost_coefficients(replace(case, gencost=linear))
    with pytest.raises(CaseError, match="reactive"):
        opf.in_service(replace(case, gencost=np.vstack([linear, linear])))
    with pytest.raises(CaseError, match="nothing to minimize"):
        opf.in_service(replace(case, gencost=None))


def test_out_of_service(data: Path) -> None:
    case = read(data, "case5_pjm")
    gen, branch, island = case.gen[:1].copy(), case.branch[:1].copy(), case.bus[:1].copy()
    gen[0, Gen.STATUS] = branch[0, Branch.STATUS] = 0
    island[0, [Bus.NUMBER, Bus.TYPE]] = 99, matpower.ISOLATED
    more = replace(
        case,
        bus=np.vstack([island, case.bus]),
        gen=np.vstack([gen, case.gen]),
        branch=np.vstack([branch, case.branch]),
        gencost=np.vstack([case.gencost[:1], case.gencost]),
    )
    result = opf.problem(more).solve("interior-point", formulation="full")
    assert result.fun == pytest.approx(solved(data, "case5_pjm").fun, rel=1e-9)


def test_more_load_than_generation(data: Path) -> None:
    case = read(data, "case5_pjm")
    bus = case.bus.copy()
    bus[:, Bus.PD] *= 3
    result = opf.problem(replace(case, bus=bus)).solve("interior-point", formulation="full")
    assert result.status == "infeasible"
    assert "active_balance of bus" in result.message


def test_main(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opf.main(str(data / "pglib_opf" / "pglib_opf_case5_pjm.m"))
    printed = capsys.readouterr().out
    assert "5 buses, 6 branches" in printed and "17551.8909 $/h" in printed
    assert "price" in printed


def test_the_flows_are_equations_of_the_program() -> None:
    pytest.importorskip("pypower")
    m = opf.model()
    assert isinstance(m, adj.Program)
    assert set(opf.FLOWS) <= set(m.equations)
