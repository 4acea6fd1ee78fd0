"""AC optimal power flow: the cheapest generation that serves every load within the limits of the network.

The variables are the voltages Vm e^{jVa}, the generation Pg + jQg and the flows into both ends of every branch, per
unit and radians: the polar formulation of PGLib and rosetta-opf. ``powerflow.py`` has the formulas of the flows.

    minimize    cost              Σ c₂ P² + c₁ P + c₀                       $/h, P the generation in MW
    subject to  P_from, Q_from, P_to, Q_to = the branch flows of Va and Vm
                active_balance    Σ Pg − Σ P − Gs Vm² − Pd = 0              at every bus
                reactive_balance  Σ Qg − Σ Q + Bs Vm² − Qd = 0
                thermal_from, thermal_to     P² + Q² ≤ rate²
                angle             the difference of the voltage angles of a branch, within its limits
                                  and bounds on Vm, Pg, Qg and the flows; Va = 0 at the reference

The flows are equations of the program. ``formulation="full"`` keeps them as constraints, with the flows as variables of
the optimizer; ``formulation="reduced"`` substitutes them. Objective and multipliers are the same.

The multiplier of a bus's active balance, per MW, is its locational marginal price: what one more MW of load costs.

Babaeinejadsarookolaee et al. 2019, "The Power Grid Library for Benchmarking AC Optimal Power Flow Algorithms",
arXiv:1908.02788, model 1.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from matpower import ISOLATED, Branch, Bus, Case, CaseError, Gen, from_pypower, read_case
from powerflow import branch_flows, network

import adjoint as adj

ANGLE_MIN, ANGLE_MAX = 11, 12  # columns of the branch matrix, where it has them
KIND, COUNT, COEFFICIENTS = 0, 3, 4  # columns of the cost matrix
POLYNOMIAL = 2  # kind of a cost
FLOWS = ("P_from", "Q_from", "P_to", "Q_to")


def example_case() -> Case:
    """A case of 30 buses with tight lines, from the package pypower."""
    if importlib.util.find_spec("pypower") is None:
        raise SystemExit("the example case is in pypower: pip install pypower, or give the path of a .m file")
    from pypower.api import case30

    return from_pypower(case30(), "case30")


# -- the case ------------------------------------------------------------------------------------------


def in_service(case: Case) -> Case:
    """The buses, generators and branches that are in service."""
    if case.gencost is None:
        raise CaseError("there is no mpc.gencost: nothing to minimize", case.name)
    if case.gencost.shape[0] != case.gen.shape[0]:
        message = f"mpc.gencost has {case.gencost.shape[0]} rows for {case.gen.shape[0]} generators"
        raise CaseError(f"{message}; costs of reactive power are not in the formulation", case.name)
    number = case.bus[:, Bus.NUMBER]
    bus = case.bus[case.bus[:, Bus.TYPE] != ISOLATED]
    runs = (case.gen[:, Gen.STATUS] > 0) & np.isin(case.gen[:, Gen.BUS], bus[:, Bus.NUMBER])
    dead = np.setdiff1d(number, bus[:, Bus.NUMBER])
    ends = np.isin(case.branch[:, [Branch.FROM, Branch.TO]], dead).any(axis=1)
    used = (case.branch[:, Branch.STATUS] > 0) & ~ends
    return replace(case, bus=bus, gen=case.gen[runs], branch=case.branch[used], gencost=case.gencost[runs])


def cost_coefficients(case: Case) -> np.ndarray:
    """By generator, the coefficients of its cost in MW: of the highest power first."""
    table = case.gencost
    if not (table[:, KIND] == POLYNOMIAL).all():
        raise CaseError("piecewise linear costs (kind 1 in mpc.gencost) are not read", case.name)
    counts = table[:, COUNT].astype(int)
    out = np.zeros((table.shape[0], counts.max()))
    for row, values, count in zip(out, table[:, COEFFICIENTS:], counts, strict=True):
        row[out.shape[1] - count :] = values[:count]
    return out


def rates(case: Case) -> np.ndarray:
    """The most apparent power of each branch, per unit; in the format, 0 is no limit."""
    rate = case.branch[:, Branch.RATE_A] / case.base_mva
    return np.where(rate == 0.0, np.inf, rate)


def angle_limits(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the angle differences, radians. In the format, ±360° is no limit, nor are two zeros."""
    branch = case.branch
    if branch.shape[1] <= ANGLE_MAX:
        free = np.full(branch.shape[0], np.inf)
        return -free, free
    low, high = branch[:, ANGLE_MIN], branch[:, ANGLE_MAX]
    none = (low == 0.0) & (high == 0.0)
    return (
        np.where(none | (low <= -360.0), -np.inf, np.radians(low)),
        np.where(none | (high >= 360.0), np.inf, np.radians(high)),
    )


# -- the problem ---------------------------------------------------------------------------------------


def model(case: Case | None = None) -> adj.Program:
    """Flows, balances and cost by voltages and generation, from the flat start."""
    case = in_service(example_case() if case is None else case)
    net, base, buses = network(case), case.base_mva, case.bus.shape[0]
    rate = rates(case)

    m = adj.Program(case.name)
    Pd, Qd = m.input("Pd", case.bus[:, Bus.PD]), m.input("Qd", case.bus[:, Bus.QD])
    Va, Vm = m.input("Va", np.zeros(buses)), m.input("Vm", np.ones(buses))
    Pg, Qg = (m.input(name, np.zeros(case.gen.shape[0])) for name in ("Pg", "Qg"))
    flow = {
        name: m.define(m.unknown(name, shape=e.shape, lower=-rate, upper=rate), e)
        for name, e in branch_flows(net, Va, Vm).items()
    }

    def leaving(P: str) -> adj.Expr:
        ends = ((f"{P}_from", net.start), (f"{P}_to", net.end))
        return sum(adj.segment_sum(flow[name], at, buses) for name, at in ends)

    Gs, Bs = case.bus[:, Bus.GS] / base, case.bus[:, Bus.BS] / base
    Pg_bus, Qg_bus = (adj.segment_sum(g, net.gen_bus, buses) for g in (Pg, Qg))
    m.define("active_balance", Pg_bus - leaving("P") - Gs * Vm**2 - Pd / base)
    m.define("reactive_balance", Qg_bus - leaving("Q") + Bs * Vm**2 - Qd / base)
    for end in ("from", "to"):
        m.define(f"thermal_{end}", flow[f"P_{end}"] ** 2 + flow[f"Q_{end}"] ** 2)
    m.define("angle", Va[net.start] - Va[net.end])

    cost: Any = 0.0
    for c in cost_coefficients(case).T:  # Horner's rule
        cost = cost * (base * Pg) + c
    m.define("cost", np.sum(cost))
    return m


def problem(case: Case | None = None) -> adj.Problem:
    """The optimal power flow of a case."""
    case = in_service(example_case() if case is None else case)
    m, net, bus, gen = model(case), network(case), case.bus, case.gen
    free = np.full(bus.shape[0], np.inf)
    free[net.reference] = 0.0
    most = rates(case) ** 2
    numbers = [f"bus {k:g}" for k in bus[:, Bus.NUMBER]]
    lines = [f"{f:g}-{t:g}" for f, t in case.branch[:, [Branch.FROM, Branch.TO]]]
    return adj.Problem(
        m,
        minimize="cost",
        over={
            "Va": (-free, free),
            "Vm": (bus[:, Bus.VMIN], bus[:, Bus.VMAX]),
            "Pg": (gen[:, Gen.PMIN] / case.base_mva, gen[:, Gen.PMAX] / case.base_mva),
            "Qg": (gen[:, Gen.QMIN] / case.base_mva, gen[:, Gen.QMAX] / case.base_mva),
        },
        subject_to={
            "active_balance": m["active_balance"] == 0,
            "reactive_balance": m["reactive_balance"] == 0,
            "thermal_from": m["thermal_from"] <= most,
            "thermal_to": m["thermal_to"] <= most,
            "angle": adj.between(angle_limits(case)[0], m["angle"], angle_limits(case)[1]),
        },
        labels={
            **{name: [f"{name} of {k}" for k in numbers] for name in ("active_balance", "reactive_balance")},
            "thermal_from": [f"line {k} at its start" for k in lines],
            "thermal_to": [f"line {k} at its end" for k in lines],
        },
    )


def prices(case: Case, result: Any) -> dict[int, float]:
    """The locational marginal prices by bus number, $/MWh."""
    case = in_service(case)
    per_mw = result.multipliers["active_balance"] / case.base_mva
    return dict(zip(case.bus[:, Bus.NUMBER].astype(int).tolist(), per_mw.tolist(), strict=True))


def main(path: str | None = None, formulation: str | Mapping[str, str] = "full") -> None:
    began = time.perf_counter()
    case = in_service(example_case() if path is None else read_case(path))
    p, rate = problem(case), rates(case)
    built = time.perf_counter()
    result = p.solve("interior-point", formulation=formulation)
    done = time.perf_counter()
    print(f"{case.name}: {len(case.bus)} buses, {len(case.branch)} branches; built in {built - began:.3f} s")
    print(f"{result.status} after {result.nit} iterations, {done - built:.3f} s: {result.fun:.4f} $/h")
    price = prices(case, result)
    for word, k in (("lowest", min(price, key=price.__getitem__)), ("highest", max(price, key=price.__getitem__))):
        print(f"  {word} price: {price[k]:.4f} $/MWh at bus {k}")
    for end in ("from", "to"):
        # of rate², per unit: d rate² = 2 rate d rate
        worth = -2 * np.where(np.isinf(rate), 0.0, rate) * result.multipliers[f"thermal_{end}"] / case.base_mva
        for k in np.flatnonzero(worth > 0.01):
            print(f"  one more MVA, {p.element(f'thermal_{end}', k)}, is worth {worth[k]:.4f} $/h")


if __name__ == "__main__":
    main(*sys.argv[1:])
