"""AC power flow against Newton solutions of another program, to 1e-8, from a flat start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matpower
import numpy as np
import powerflow
import pytest
from matpower import ISOLATED, PQ, PV, Branch, Bus, Case, CaseError, Gen

import adjoint as adj

CASES = "4gs 5 6ww 9 14 30 57 118 300 1354pegase 2869pegase".split()


def case_of(data: Path, name: str) -> Case:
    return matpower.read_case(data / "powerflow" / "cases" / f"case{name}.m")


def reference(data: Path, name: str) -> np.ndarray:
    table = data / "powerflow" / f"case{name}_solved_pypower.csv"
    return np.loadtxt(table, delimiter=",", skiprows=1)


@pytest.mark.parametrize("name", CASES)
def test_voltages(data: Path, name: str) -> None:
    case, expected = case_of(data, name), reference(data, name)
    assert np.array_equal(case.bus[:, Bus.NUMBER], expected[:, 0])
    sol = powerflow.model(case).solve()
    np.testing.assert_allclose(sol["Vm"], expected[:, 1], atol=1e-8)
    np.testing.assert_allclose(sol["Va"], expected[:, 2], atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_power_is_conserved(data: Path, name: str) -> None:
    case = case_of(data, name)
    net, sol = powerflow.network(case), powerflow.model(case).solve()
    fixed = ~np.isin(net.gen_bus, net.reference)
    given = net.gen[fixed, Gen.PG].sum() + sol["reference_power"]
    shunts = case.bus[:, Bus.GS] @ sol["Vm"] ** 2
    assert given == pytest.approx(case.bus[:, Bus.PD].sum() + shunts + sol["losses"], rel=1e-9)


def test_gradient_of_the_losses_by_complex_step(data: Path) -> None:
    sol = powerflow.model(case_of(data, "14")).solve()
    check = sol.check_derivatives("losses")
    assert check, str(check)
    assert check.method == "complex step"


@pytest.mark.parametrize("name", ["118", "1354pegase", "2869pegase"])
def test_gradient_of_the_losses_by_differences(data: Path, name: str) -> None:
    m = powerflow.model(case_of(data, name))
    sol = m.solve()
    slope = sol.gradient("losses")
    steps = {"Pd": 0.1, "Qd": 0.1, "Pg": 0.1, "Vg": 1e-4}
    for key, h in steps.items():
        most = np.argsort(-np.abs(slope[key]))[[0, 1]]
        for k in most:
            move = np.zeros(slope[key].size)
            move[k] = h
            up, down = (m.solve({key: sol[key] + s * move}, start=sol)["losses"] for s in (1, -1))
            assert slope[key][k] == pytest.approx((up - down) / (2 * h), rel=1e-5), f"{key}[{k}]"


def test_the_reference_generator_has_no_set_power(data: Path) -> None:
    case = case_of(data, "14")
    net, slope = powerflow.network(case), powerflow.model(case).solve().gradient("losses")
    assert slope["Pg"][np.isin(net.gen_bus, net.reference)] == 0.0
    assert slope["Pd"][net.reference] == 0.0
    # a generator is a negative load
    fixed = ~np.isin(net.gen_bus, net.reference)
    np.testing.assert_allclose(slope["Pg"][fixed], -slope["Pd"][net.gen_bus[fixed]], rtol=1e-12)


def test_forward_and_reverse_agree(data: Path) -> None:
    sol = powerflow.model(case_of(data, "300")).solve()
    direction = {"Pd": np.cos(np.arange(300.0)), "Vg": np.sin(np.arange(69.0))}
    slope = sol.gradient("losses")
    expected = sum(np.dot(slope[key], d) for key, d in direction.items())
    assert sol.jvp(direction, of="losses")["losses"] == pytest.approx(expected, rel=1e-9)


def test_more_load_than_the_network_can_carry(data: Path) -> None:
    case = case_of(data, "9")
    with pytest.raises(adj.ConvergenceError, match="balance"):
        powerflow.model(case).solve(Pd=20 * case.bus[:, Bus.PD])


def test_out_of_service(data: Path) -> None:
    case = case_of(data, "14")
    base = powerflow.model(case).solve()
    dead_branch = np.vstack([case.branch, case.branch[:1]])
    dead_branch[-1, Branch.STATUS] = 0
    dead_gen = np.vstack([case.gen, case.gen[:1]])
    dead_gen[-1, [Gen.STATUS, Gen.VG]] = 0, 2.0
    island = case.bus[:1].copy()
    island[0, [Bus.NUMBER, Bus.TYPE]] = 99, ISOLATED
    more = replace(case, branch=dead_branch, gen=dead_gen, bus=np.vstack([case.bus, island]))
    sol = powerflow.model(more).solve()
    np.testing.assert_allclose(sol["Vm"][:14], base["Vm"], atol=1e-12)
    assert sol["losses"] == pytest.approx(base["losses"], abs=1e-10)


def test_roles_of_buses(data: Path) -> None:
    case = case_of(data, "14")
    stopped = case.gen.copy()
    stopped[stopped[:, Gen.BUS] == 3, Gen.STATUS] = 0
    net = powerflow.network(replace(case, gen=stopped))
    assert 2 in net.pq and 2 not in net.pv  # a bus whose generators stand still holds no voltage
    anonymous = case.bus.copy()
    anonymous[0, Bus.TYPE] = PV
    net = powerflow.network(replace(case, bus=anonymous))
    assert net.reference.tolist() == [0]  # the first bus with a generator gives the angle
    anonymous[:, Bus.TYPE] = PQ
    with pytest.raises(CaseError, match="no bus has a generator in service"):
        powerflow.network(replace(case, bus=anonymous))


def test_best_set_points(data: Path) -> None:
    case = case_of(data, "30")
    result = powerflow.problem(case).solve(method="SLSQP")
    assert result.success
    assert result.fun < powerflow.model(case).solve()["losses"]
    Vm = result.solution["Vm"]
    assert np.all(Vm <= case.bus[:, Bus.VMAX] + 1e-7) and np.all(Vm >= case.bus[:, Bus.VMIN] - 1e-7)


def test_main(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    powerflow.main(str(data / "powerflow" / "cases" / "case9.m"))
    assert "case9: 9 buses, 9 branches" in capsys.readouterr().out


def test_the_packaged_case_is_the_published_one(data: Path) -> None:
    pytest.importorskip("pypower")
    sol = powerflow.model().solve()
    np.testing.assert_allclose(sol["Vm"], reference(data, "118")[:, 1], atol=1e-8)
