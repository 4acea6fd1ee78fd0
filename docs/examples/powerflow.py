"""AC power flow of a transmission network, and what every load and generator does to its losses.

The voltage of bus i is Vm_i e^{jVa_i}. A branch from bus f to bus t with admittances Y = G + jB, tap and
phase shift included, takes from them (a = Va_f − Va_t)

    P_f =  G_ff Vm_f² + Vm_f Vm_t (G_ft cos a + B_ft sin a)
    Q_f = −B_ff Vm_f² + Vm_f Vm_t (G_ft sin a − B_ft cos a)
    P_t =  G_tt Vm_t² + Vm_f Vm_t (G_tf cos a − B_tf sin a)
    Q_t = −B_tt Vm_t² − Vm_f Vm_t (G_tf sin a + B_tf cos a)

and at every bus the power that branches, shunts and loads take away is what the generators give:

    active_balance    Σ P + Gs Vm² + Pd = Σ Pg    where the angle is unknown: all buses but the reference
    reactive_balance  Σ Q − Bs Vm² + Qd = Σ Qg    where the magnitude is unknown: buses without set point

Measured at 2869 buses, milliseconds for the first solve / a later one / a gradient: branch flows summed at
their buses 45 / 12.6 / 1.7; constant sparse admittance matrices times the real and imaginary parts of the
voltages 51 / 15.1 / 2.0 (their Jacobian composes longer sums). One term per entry of the admittance matrix
needs 36 / 12.7 / 1.7, but has no branch flows.

Zimmerman, Murillo-Sánchez, Thomas 2011, "MATPOWER: steady-state operations, planning, and analysis tools for
power systems research and education", section III.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from dataclasses import dataclass

import numpy as np
from matpower import ISOLATED, PV, REFERENCE, Branch, Bus, Case, CaseError, Gen, from_pypower, read_case

import adjoint as adj


def example_case() -> Case:
    """The IEEE 118-bus system, from the package pypower."""
    if importlib.util.find_spec("pypower") is None:
        raise SystemExit("the example case is in pypower: pip install pypower, or give the path of a .m file")
    from pypower.api import case118

    return from_pypower(case118(), "case118")


@dataclass(frozen=True)
class Network:
    """A case in the form of the equations: buses by position, what is in service, per unit.

    Attributes
    ----------
    pv, pq, reference : positions of buses with given voltage magnitude, with none, and with given angle
    controller : of each bus in pv and reference, the generator whose set point it holds
    """

    reference: np.ndarray
    pv: np.ndarray
    pq: np.ndarray
    controller: np.ndarray
    gen: np.ndarray
    gen_bus: np.ndarray
    start: np.ndarray
    end: np.ndarray
    Y: dict[str, np.ndarray]


def network(case: Case) -> Network:
    """Roles of the buses, and admittances of the branches."""
    position = {int(number): i for i, number in enumerate(case.bus[:, Bus.NUMBER])}
    kind = case.bus[:, Bus.TYPE].astype(int)
    alive = kind != ISOLATED

    def at(numbers: np.ndarray) -> np.ndarray:
        return np.array([position[int(k)] for k in numbers], dtype=int)

    gen = case.gen[(case.gen[:, Gen.STATUS] > 0) & alive[at(case.gen[:, Gen.BUS])]]
    gen_bus = at(gen[:, Gen.BUS])
    controller = np.full(kind.size, -1)
    controller[gen_bus] = np.arange(gen_bus.size)  # of several at a bus, the last one's set point counts
    reference = np.flatnonzero((kind == REFERENCE) & (controller >= 0))
    pv = np.flatnonzero((kind == PV) & (controller >= 0))
    if not reference.size:
        if not pv.size:
            raise CaseError("no bus has a generator in service that could hold the voltage", case.name)
        reference, pv = pv[:1], pv[1:]
    pq = np.setdiff1d(np.flatnonzero(alive), [*reference, *pv])

    branch = case.branch
    start, end = at(branch[:, Branch.FROM]), at(branch[:, Branch.TO])
    used = (branch[:, Branch.STATUS] > 0) & alive[start] & alive[end]
    branch, start, end = branch[used], start[used], end[used]
    series = 1.0 / (branch[:, Branch.R] + 1j * branch[:, Branch.X])
    ratio = np.where(branch[:, Branch.TAP] == 0.0, 1.0, branch[:, Branch.TAP])
    tap = ratio * np.exp(1j * np.radians(branch[:, Branch.SHIFT]))
    charged = series + 0.5j * branch[:, Branch.B]
    Y = {"ff": charged / ratio**2, "ft": -series / tap.conj(), "tf": -series / tap, "tt": charged}
    return Network(reference, pv, pq, controller, gen, gen_bus, start, end, Y)


def branch_flows(net: Network, Va: adj.Expr, Vm: adj.Expr) -> dict[str, adj.Expr]:
    """Power that each branch in service takes at its two ends, per unit."""
    G, B = ({k: part(y) for k, y in net.Y.items()} for part in (np.real, np.imag))
    Vf, Vt, a = Vm[net.start], Vm[net.end], Va[net.start] - Va[net.end]
    real, imaginary = Vf * Vt * np.cos(a), Vf * Vt * np.sin(a)
    return {
        "P_from": G["ff"] * Vf**2 + G["ft"] * real + B["ft"] * imaginary,
        "Q_from": -B["ff"] * Vf**2 + G["ft"] * imaginary - B["ft"] * real,
        "P_to": G["tt"] * Vt**2 + G["tf"] * real - B["tf"] * imaginary,
        "Q_to": -B["tt"] * Vt**2 - G["tf"] * imaginary - B["tf"] * real,
    }


def model(case: Case | None = None) -> adj.Program:
    """The power flow of a case (MW, MVAr, degrees and per unit), from a flat start."""
    case = example_case() if case is None else case
    net, base, n = network(case), case.base_mva, case.bus.shape[0]
    held, free = np.concatenate([net.reference, net.pv]), np.concatenate([net.pv, net.pq])
    angle = np.radians(case.bus[:, Bus.VA])

    m = adj.Program(case.name)
    Pd, Qd = m.input("Pd", case.bus[:, Bus.PD]), m.input("Qd", case.bus[:, Bus.QD])
    Pg, Vg = m.input("Pg", net.gen[:, Gen.PG]), m.input("Vg", net.gen[:, Gen.VG])
    theta = m.unknown("theta", guess=np.full(free.size, angle[net.reference[0]]))
    v = m.unknown("v", guess=np.ones(net.pq.size))
    Va = adj.put(angle, free, theta)
    Vm = adj.put(adj.put(case.bus[:, Bus.VM], held, Vg[net.controller[held]]), net.pq, v)

    def at_buses(values: adj.Expr | np.ndarray, buses: np.ndarray) -> adj.Expr:
        return adj.segment_sum(values, buses, n)

    flow = branch_flows(net, Va, Vm)
    Gs, Bs = case.bus[:, Bus.GS] / base, case.bus[:, Bus.BS] / base
    P = at_buses(flow["P_from"], net.start) + at_buses(flow["P_to"], net.end) + Gs * Vm**2
    Q = at_buses(flow["Q_from"], net.start) + at_buses(flow["Q_to"], net.end) - Bs * Vm**2
    Pg_bus, Qg_bus = at_buses(Pg, net.gen_bus), at_buses(net.gen[:, Gen.QG], net.gen_bus)
    m.constrain((P + (Pd - Pg_bus) / base)[free] == 0, name="active_balance")
    m.constrain((Q + (Qd - Qg_bus) / base)[net.pq] == 0, name="reactive_balance")

    m.define("Va", np.degrees(Va))
    m.define("Vm", Vm)
    m.define("losses", base * np.sum(flow["P_from"] + flow["P_to"]))
    m.define("reference_power", np.sum((base * P + Pd)[net.reference]))
    return m


def problem(case: Case | None = None) -> adj.Problem:
    """The voltage set points of the generators that waste the least power, within the limits of every bus."""
    case = example_case() if case is None else case
    m = model(case)
    low, high = case.bus[:, Bus.VMIN], case.bus[:, Bus.VMAX]
    at_gen = [int(np.flatnonzero(case.bus[:, Bus.NUMBER] == k)[0]) for k in network(case).gen[:, Gen.BUS]]
    return adj.Problem(
        m,
        minimize="losses",
        over={"Vg": (low[at_gen], high[at_gen])},
        subject_to={"voltage limits": adj.between(low, m["Vm"], high)},
    )


def main(path: str | None = None) -> None:
    began = time.perf_counter()
    case = example_case() if path is None else read_case(path)
    m = model(case)
    built = time.perf_counter()
    sol = m.solve()
    solved = time.perf_counter()
    slope = sol.gradient("losses")
    done = time.perf_counter()
    print(f"{case.name}: {len(case.bus)} buses, {len(case.branch)} branches; built in {built - began:.3f} s")
    print(f"solved in {solved - built:.3f} s: {sol.message}")
    count = sum(np.size(part) for part in slope.values())
    print(f"losses {sol['losses']:.6f} MW; gradient in {count} inputs in {done - solved:.3f} s")
    gen = network(case).gen
    for name, numbers, unit in (
        ("Pd", case.bus[:, Bus.NUMBER], "MW per MW"),
        ("Qd", case.bus[:, Bus.NUMBER], "MW per MVAr"),
        ("Pg", gen[:, Gen.BUS], "MW per MW"),
        ("Vg", gen[:, Gen.BUS], "MW per unit of voltage"),
    ):
        k = int(np.argmax(np.abs(slope[name])))
        print(f"  {name} matters most at bus {numbers[k]:g}: {slope[name][k]: .6f} {unit}")
    if len(case.bus) <= 300:
        result = problem(case).solve(method="SLSQP")
        print(f"losses at the best voltage set points: {result.fun:.6f} MW ({result.nit} iterations)")


if __name__ == "__main__":
    main(*sys.argv[1:])
