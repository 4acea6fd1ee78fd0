"""AC optimal power flow on 118 to 2869 buses, from the parsed case to the optimum, beside CasADi with IPOPT (MUMPS).

The formulation of ``opf`` on both sides, from the same start (voltages 1 ∠ 0, generation and flows 0 or the bound
nearest to it), at default options. Each solve runs in a process of its own, in turn, imports made before the clock
starts; the library's kernels are kept nowhere ("from nothing") or on disk from a run before ("kernels on disk"). Model
build and compilation count. CasADi: array syntax, scalar expressions (SX) and matrix expressions (MX), the faster
counts. Objectives must agree to 1e-6. Memory is the peak of the process (``ru_maxrss``).

Case files: ADJOINT_DATA/pglib_opf.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._callbacks import installed
from .harness import Row
from .powerflow import example

CASES = ("case118_ieee", "case300_ieee", "case1354_pegase", "case2869_pegase")
ROOT = Path(__file__).resolve().parents[1]
TOLERANCE = 1e-6  # of objectives, relative
PEER = "CasADi + IPOPT"
PARTS = ("build", "compile", "derivatives", "linear_algebra", "rest")


def arrays(case: Any) -> dict[str, np.ndarray]:
    """What the peer's program is made of."""
    opf, powerflow = example("opf"), example("powerflow")
    problem, case = opf.problem(case), opf.in_service(case)
    net, base, bus = powerflow.network(case), case.base_mva, case.bus
    rate, (low, high) = opf.rates(case), opf.angle_limits(case)
    bounds = [problem.bounds[v] for v in problem.variables] + [(-rate, rate)] * len(opf.FLOWS)
    lower, upper = (np.concatenate(side) for side in zip(*bounds, strict=True))
    start = np.zeros(lower.size)
    start[len(bus) : 2 * len(bus)] = 1.0
    cost = opf.cost_coefficients(case)
    return {
        "base": np.array(base),
        "load_p": bus[:, 2] / base,
        "load_q": bus[:, 3] / base,
        "shunt_g": bus[:, 4] / base,
        "shunt_b": bus[:, 5] / base,
        "gen_bus": net.gen_bus,
        "start": net.start,
        "end": net.end,
        **net.Y,
        "rate": rate,
        "angle_low": low,
        "angle_high": high,
        "cost": np.pad(cost, ((0, 0), (3 - cost.shape[1], 0))),
        "lower": lower,
        "upper": upper,
        "x0": np.clip(start, lower, upper),
    }


def child(module: str, *arguments: str, cache: str = "") -> dict[str, Any]:
    """What a process of its own found; one BLAS thread on both sides."""
    environ = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    if cache:
        environ["ADJOINT_CACHE_DIR"] = cache
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


def middle(runs: Sequence[Mapping[str, Any]], key: str, part: str = "") -> float:
    """The median over runs of a figure, or of a part of the time."""
    return statistics.median(float(run[key][part] if part else run[key]) for run in runs)


def measure(path: Path, peer: bool, repeat: int) -> dict[str, list[dict[str, Any]]]:
    """Runs of each side, in turn."""
    runs: dict[str, list[dict[str, Any]]] = {"nothing": [], "disk": [], "SX": [], "MX": []}
    with tempfile.TemporaryDirectory() as folder:
        npz, kept = f"{folder}/case.npz", f"{folder}/kept"
        np.savez(npz, **arrays(example("matpower").read_case(path)))
        forms = ("SX", "MX") if peer else ()
        for k in range(repeat):
            runs["nothing"].append(child("_opf_adjoint", str(path), cache=f"{folder}/new{k}"))
            runs["disk"].append(child("_opf_adjoint", str(path), cache=kept))
            for form in forms:
                runs[form].append(child("_opf_casadi", npz, form))
            if k == 0 and peer:  # the slower form is not run again
                forms = (min(forms, key=lambda form: runs[form][0]["seconds"]),)
        if repeat > 1:
            runs["disk"].pop(0)  # it found nothing on disk
    return runs


def check(ours: Mapping[str, Any], peer: Mapping[str, Any]) -> None:
    """Both sides solved the same problem."""
    assert ours["size"] == peer["size"], (ours["size"], peer["size"])
    gap = abs(ours["objective"] - peer["objective"]) / abs(peer["objective"])
    assert gap <= TOLERANCE and ours["status"] == "optimal", (ours["status"], gap)


def rows(name: str, runs: Mapping[str, list[dict[str, Any]]]) -> list[Row]:
    """The table of a case."""
    ours = runs["nothing"]
    form = min((f for f in ("SX", "MX") if runs[f]), key=lambda f: middle(runs[f], "seconds"), default=None)
    theirs = runs[form] if form else []
    label = f"{PEER} ({form})" if form else PEER
    for run in theirs:
        check(ours[0], run)

    def row(what: str, side: str, key: str, unit: str, note: str = "", part: str = "") -> Row:
        beside = middle(theirs, key, part) if theirs else None
        return Row(f"{name}: {what}", middle(runs[side], key, part), beside, label, unit, note)

    table = [
        row("total, from nothing", "nothing", "seconds", "s", "promised: ≤ 0.5 ×"),
        row("total, kernels on disk", "disk", "seconds", "s", "promised: ≤ 0.5 ×"),
        row("total, from nothing, processor time", "nothing", "cpu", "s", "for orientation"),
        row("total, kernels on disk, processor time", "disk", "cpu", "s", "for orientation"),
    ]
    table += [row(part.replace("_", " "), "nothing", "parts", "s", "of the total", part) for part in PARTS]
    table.append(row("compile, kernels on disk", "disk", "parts", "s", "of the total", "compile"))
    table.append(row("iterations", "nothing", "iterations", "", "promised: ≤ 1.3 ×"))
    table.append(row("peak memory", "nothing", "memory", "MB", "promised: ≤ 1 ×"))
    table.append(row("peak memory, kernels on disk", "disk", "memory", "MB", "promised: ≤ 1 ×"))
    return table


def run(repeat: int) -> list[Row]:
    """Totals, their parts, iterations and memory, by case."""
    folder = os.environ.get("ADJOINT_DATA")
    if not folder:
        return [Row("optimal power flow", float("nan"), None, PEER, "s", "set ADJOINT_DATA to the reference data")]
    table, peer = [], installed("casadi")
    for name in CASES:
        path = Path(folder).resolve() / "pglib_opf" / f"pglib_opf_{name}.m"
        table += rows(name, measure(path, peer, repeat))
    return table
