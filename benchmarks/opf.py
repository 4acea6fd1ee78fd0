"""AC optimal power flow on 118, 1354 and 2869 buses: five callbacks of an optimizer, beside CasADi.

The polar formulation of the rosetta-opf comparison, on both sides: variables are voltage angles and magnitudes,
generation, and the active and reactive flows into both ends of every branch (they are not substituted). With
a = va_from − va_to and admittances Y = G + jB,

    minimize    f = Σ c₂ P² + c₁ P + c₀                     P the generation in MW
    balance     Σ p_from + Σ p_to + Gs vm² + Pd − Σ pg = 0            (reactive: Σ q − Bs vm² + Qd − Σ qg)
    flows       p_from = G_ff v_f² + v_f v_t (G_ft cos a + B_ft sin a), and the three others
    thermal     p² + q² ≤ rate² at both ends
    angles      lower ≤ a ≤ upper

The callbacks are f, ∇f, c (all left-hand sides), the sparse Jacobian J of c, and the sparse Hessian H of f + λᵀc. Ours:
array syntax with integer index arrays, all variables inputs; each call is at a point not among those remembered, so it
includes the values it needs. CasADi: array syntax, scalar expressions (SX) and matrix expressions (MX), the faster
counts; it writes nonzeros, of H those of the upper triangle, into given memory. "Set-up" is from the parsed case to
the first result of all five, imports excluded, taken once, beside each of CasADi's forms.

Values are compared at a random point near the flat start; at the reference solution the objective must be the
reference's, and the power balanced. Case files and solutions: ADJOINT_DATA/pglib_opf.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import adjoint as adj

from ._callbacks import POINTS, Callbacks, agree, built, installed, of_casadi, of_program, rows, warm_up
from ._opf_data import Network, near_flat_start, network, reference
from .harness import Row
from .powerflow import example

CASES = ("case118_ieee", "case1354_pegase", "case2869_pegase")
FLOWS = ("p_from", "q_from", "p_to", "q_to")


def branch_flows(net: Network, vf: Any, vt: Any, cos: Any, sin: Any) -> dict[str, Any]:
    """Power into both ends of the branches, by the voltages at them; for expressions of every library."""
    real, imaginary = vf * vt * cos, vf * vt * sin
    return {
        "p_from": net.ff.real * vf**2 + net.ft.real * real + net.ft.imag * imaginary,
        "q_from": -net.ff.imag * vf**2 + net.ft.real * imaginary - net.ft.imag * real,
        "p_to": net.tt.real * vt**2 + net.tf.real * real - net.tf.imag * imaginary,
        "q_to": -net.tt.imag * vt**2 - net.tf.real * imaginary - net.tf.imag * real,
    }


def model(net: Network) -> tuple[adj.Program, list[str]]:
    """The program, all variables inputs; and the names of its constraints, in order."""
    m = adj.Program("opf")
    start = near_flat_start(net, 0)
    parts = np.split(start, np.cumsum([*net.sizes.values()])[:-1])
    x = {name: m.input(name, part) for name, part in zip(net.sizes, parts, strict=True)}
    buses = net.load.size

    def at_buses(flow: str, gen: str) -> adj.Expr:
        ends = {f"{flow}_from": net.start, f"{flow}_to": net.end}
        leaving = sum(adj.segment_sum(x[name], at, buses) for name, at in ends.items())
        return leaving - adj.segment_sum(x[gen], net.gen_bus, buses)

    a = x["va"][net.start] - x["va"][net.end]
    flows = branch_flows(net, x["vm"][net.start], x["vm"][net.end], np.cos(a), np.sin(a))
    constraints = {
        "active": at_buses("p", "pg") + net.shunt.real * x["vm"] ** 2 + net.load.real,
        "reactive": at_buses("q", "qg") - net.shunt.imag * x["vm"] ** 2 + net.load.imag,
        **{f"flow {name}": x[name] - flow for name, flow in flows.items()},
        **{f"thermal {end}": x[f"p_{end}"] ** 2 + x[f"q_{end}"] ** 2 for end in ("from", "to")},
        "angle": a,
    }
    for name, e in constraints.items():
        m.define(name, e)
    power = net.base * x["pg"]
    m.define("f", np.sum(net.cost[:, 0] * power**2 + net.cost[:, 1] * power + net.cost[:, 2]))
    return m, list(constraints)


def point_and_multipliers(net: Network) -> tuple[np.ndarray, np.ndarray]:
    """Where all values are compared."""
    count = 2 * net.load.size + 7 * net.start.size
    return near_flat_start(net, 0), np.random.default_rng(POINTS).standard_normal(count)


def ours(case: Any) -> Callbacks:
    """The callbacks of the program."""
    net = network(case)
    m, names = model(net)
    points = [near_flat_start(net, seed) for seed in range(POINTS)]
    return of_program(m, names, list(net.sizes), points, point_and_multipliers(net)[1])


def casadi_callbacks(case: Any, form: str) -> Callbacks:
    """CasADi's callbacks, "SX" or "MX"."""
    import casadi as ca

    net = network(case)
    vector = getattr(ca, form).sym("x", sum(net.sizes.values()))
    parts = ca.vertsplit(vector, [0, *np.cumsum([*net.sizes.values()]).tolist()])
    x = dict(zip(net.sizes, parts, strict=True))
    start, end = net.start.tolist(), net.end.tolist()

    def sums(e: Any, at: np.ndarray) -> Any:
        incidence = sp.csc_matrix((np.ones(at.size), (at, np.arange(at.size))), (net.load.size, at.size))
        return ca.mtimes(ca.DM(incidence), e)

    def at_buses(flow: str, gen: str) -> Any:
        return sums(x[f"{flow}_from"], net.start) + sums(x[f"{flow}_to"], net.end) - sums(x[gen], net.gen_bus)

    a = x["va"][start] - x["va"][end]
    flows = branch_flows(net, x["vm"][start], x["vm"][end], ca.cos(a), ca.sin(a))
    constraints = [
        at_buses("p", "pg") + net.shunt.real * x["vm"] ** 2 + net.load.real,
        at_buses("q", "qg") - net.shunt.imag * x["vm"] ** 2 + net.load.imag,
        *(x[name] - flow for name, flow in flows.items()),
        *(x[f"p_{end}"] ** 2 + x[f"q_{end}"] ** 2 for end in ("from", "to")),
        a,
    ]
    power = net.base * x["pg"]
    f = ca.sum1(net.cost[:, 0] * power**2 + net.cost[:, 1] * power + net.cost[:, 2])
    return of_casadi(f"CasADi {form}", vector, f, ca.vertcat(*constraints), *point_and_multipliers(net))


def check_reference(case: Any, path: Path) -> None:
    """At the reference solution the objective is the reference's, and the power is balanced."""
    net = network(case)
    m, names = model(net)
    solution, objective = reference(path, net)
    f, c = m.function("f"), m.function(names)
    at = f.pack({**solution, **dict.fromkeys(FLOWS, 0.0)})
    assert abs(f(at) - objective) <= 1e-8 * objective, (f(at), objective)
    c(at)
    at = f.pack({**solution, **{name: -np.asarray(c.solution[f"flow {name}"]) for name in FLOWS}})
    balance = np.abs(c(at)[: 2 * net.load.size]).max()
    assert balance < 1e-6, balance


def run(repeat: int) -> list[Row]:
    """The callbacks and the set-up, by case."""
    folder = os.environ.get("ADJOINT_DATA")
    if not folder:
        return [Row("optimal power flow", float("nan"), None, "CasADi", "s", "set ADJOINT_DATA to the reference data")]
    data, table = Path(folder) / "pglib_opf", []
    warm_up()
    for name in CASES:
        case = example("matpower").read_case(data / f"pglib_opf_{name}.m")
        mine, seconds = built(ours, case)
        peers = [built(casadi_callbacks, case, form) for form in ("SX", "MX")] if installed("casadi") else []
        agree(mine, [peer for peer, _ in peers])
        check_reference(case, data / "reference" / f"pglib_opf_{name}.json")
        table += rows(name, mine, [peer for peer, _ in peers], repeat, "promised: ≤ 0.2 ×")
        for peer, cost in peers:
            table.append(Row(f"{name}: set-up", seconds, cost, peer.name, "s", "promised: ≤ 0.2 ×"))
        if not peers:
            table.append(Row(f"{name}: set-up", seconds, None, "CasADi", "s", "promised: ≤ 0.2 ×"))
    return table
