"""One optimal power flow by CasADi and IPOPT, in a process of its own: ``benchmarks._opf_casadi FILE.npz SX``.

The file holds the arrays of ``opf_solve.arrays``. The library is not imported here: the peak memory is the peer's own.
Prints JSON, as ``_opf_adjoint`` does.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

import casadi as ca
import numpy as np

FLOWS = ("p_from", "q_from", "p_to", "q_to")


def program(d: Any, form: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The nonlinear program in array syntax, and the start and bounds: the formulation of ``docs/examples/opf.py``."""
    buses, gens, lines = d["load_p"].size, d["gen_bus"].size, d["start"].size
    sizes = {"va": buses, "vm": buses, "pg": gens, "qg": gens, **dict.fromkeys(FLOWS, lines)}
    vector = getattr(ca, form).sym("x", sum(sizes.values()))
    x = dict(zip(sizes, ca.vertsplit(vector, [0, *np.cumsum([*sizes.values()]).tolist()]), strict=True))
    start, end = d["start"].tolist(), d["end"].tolist()

    def sums(e: Any, at: np.ndarray) -> Any:
        count = at.size
        order = np.argsort(at, kind="stable")
        pattern = ca.Sparsity.triplet(buses, count, at[order].tolist(), order.tolist())
        return ca.mtimes(ca.DM(pattern, 1.0), e)

    def at_buses(flow: str, gen: str) -> Any:
        leaving = sums(x[f"{flow}_from"], d["start"]) + sums(x[f"{flow}_to"], d["end"])
        return sums(x[gen], d["gen_bus"]) - leaving

    a, vf, vt = x["va"][start] - x["va"][end], x["vm"][start], x["vm"][end]
    real, imaginary = vf * vt * ca.cos(a), vf * vt * ca.sin(a)
    G, B = ({k: part(d[k]) for k in ("ff", "ft", "tf", "tt")} for part in (np.real, np.imag))
    flows = {
        "p_from": G["ff"] * vf**2 + G["ft"] * real + B["ft"] * imaginary,
        "q_from": -B["ff"] * vf**2 + G["ft"] * imaginary - B["ft"] * real,
        "p_to": G["tt"] * vt**2 + G["tf"] * real - B["tf"] * imaginary,
        "q_to": -B["tt"] * vt**2 - G["tf"] * imaginary - B["tf"] * real,
    }
    rows = [
        *(x[name] - flow for name, flow in flows.items()),
        at_buses("p", "pg") - d["shunt_g"] * x["vm"] ** 2 - d["load_p"],
        at_buses("q", "qg") + d["shunt_b"] * x["vm"] ** 2 - d["load_q"],
        *(x[f"p_{side}"] ** 2 + x[f"q_{side}"] ** 2 for side in ("from", "to")),
        a,
    ]
    power = float(d["base"]) * x["pg"]
    f = ca.sum1(d["cost"][:, 0] * power**2 + d["cost"][:, 1] * power + d["cost"][:, 2])
    equal, most = np.zeros(4 * lines + 2 * buses), d["rate"] ** 2
    limits = {
        "lbg": np.concatenate([equal, np.full(2 * lines, -np.inf), d["angle_low"]]),
        "ubg": np.concatenate([equal, most, most, d["angle_high"]]),
        "lbx": d["lower"],
        "ubx": d["upper"],
        "x0": d["x0"],
    }
    return {"x": vector, "f": f, "g": ca.vertcat(*rows)}, limits


def solve(d: Any, form: str) -> dict[str, Any]:
    """Build, make the solver with its derivatives, solve, at CasADi's and IPOPT's default options."""
    wall, cpu = time.perf_counter(), time.process_time()
    nlp, limits = program(d, form)
    built = time.perf_counter()
    solver = ca.nlpsol("solver", "ipopt", nlp, {"ipopt.print_level": 0, "print_time": False})
    compiled = time.perf_counter()
    found = solver(**limits)
    done, used = time.perf_counter(), time.process_time() - cpu
    stats = solver.stats()
    calls = ("nlp_f", "nlp_g", "nlp_grad_f", "nlp_jac_g", "nlp_hess_l")
    derivatives = sum(stats[f"t_wall_{name}"] for name in calls)
    return {
        "seconds": done - wall,
        "cpu": used,
        "parts": {
            "build": built - wall,
            "compile": compiled - built,
            "derivatives": derivatives,
            "linear_algebra": float("nan"),  # IPOPT's own time is not divided
            "rest": done - compiled - derivatives,
        },
        "status": stats["return_status"],
        "objective": float(found["f"]),
        "iterations": stats["iter_count"],
        "size": [int(nlp["x"].numel()), int(nlp["g"].numel())],
    }


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """IPOPT's banner, printed by native code, goes nowhere."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


if __name__ == "__main__":
    with np.load(sys.argv[1]) as arrays:
        data = dict(arrays)
    with silent():
        answer = solve(data, sys.argv[2])
    answer["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    print(json.dumps(answer))
