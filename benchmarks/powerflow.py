"""AC power flow on 118 to 2869 buses, beside the Newton methods of pypower and pandapower, from a flat start.

pypower's ``newtonpf`` gets admittances made beforehand. pandapower with numba, on 2869 buses, is timed twice: all of
``runpp``, which converts its tables and makes the admittances at every call, and its inner ``newtonpf`` with
everything prepared. Both stop at a power mismatch of 1e-10 per unit. Case files: ADJOINT_DATA/powerflow/cases.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from .harness import Row, compare, timeit

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
CASES = ("case118", "case1354pegase", "case2869pegase")


def example(name: str) -> Any:
    """A script of the example gallery as a module."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def pypower_newton(case: Any) -> Callable[[], np.ndarray] | None:
    """pypower's newtonpf from a flat start, admittances made beforehand; None where it is not installed."""
    try:
        from pypower.api import bustypes, ext2int, makeSbus, makeYbus, newtonpf, ppoption
    except ImportError:
        return None
    ppc = ext2int(
        {
            "version": "2",
            "baseMVA": case.base_mva,
            "bus": np.array(case.bus, dtype=float),
            "gen": np.array(case.gen, dtype=float),
            "branch": np.array(case.branch, dtype=float),
        }
    )
    base, bus, gen, branch = ppc["baseMVA"], ppc["bus"], ppc["gen"], ppc["branch"]
    ref, pv, pq = bustypes(bus, gen)
    ybus, _, _ = makeYbus(base, bus, branch)
    sbus = makeSbus(base, bus, gen)
    start = np.ones(len(bus), dtype=complex)
    on = gen[:, 7] > 0
    at = gen[on, 0].astype(int)
    fixed = np.isin(at, np.concatenate([ref, pv]))
    start[at[fixed]] = gen[on, 5][fixed]
    start *= np.exp(1j * np.pi / 180 * bus[ref[0], 8])
    options = ppoption(VERBOSE=0, OUT_ALL=0, PF_TOL=1e-10)

    def solve() -> np.ndarray:
        voltage, converged, _ = newtonpf(ybus, sbus, start.copy(), ref, pv, pq, options)
        assert converged
        return voltage

    return solve


def pandapower_newton() -> tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]] | None:
    """pandapower on 2869 buses: ``runpp``, and its inner Newton alone; None without pandapower and numba."""
    try:
        import numba  # noqa: F401 - without it, pandapower is slow and says so
        from pandapower import runpp
        from pandapower.networks import case2869pegase
        from pandapower.pf import run_newton_raphson_pf as inner
    except ImportError:
        return None
    net = case2869pegase()
    options = {"init": "flat", "algorithm": "nr", "numba": True, "lightsim2grid": False}

    def whole() -> np.ndarray:
        runpp(net, tolerance_mva=1e-10 * net.sn_mva, **options)
        return net._ppc["internal"]["V"]

    newton = inner.newtonpf
    with mock.patch.object(inner, "newtonpf", wraps=newton) as spy:
        whole()
    (ybus, sbus, start, *rest), keywords = spy.call_args

    def prepared() -> np.ndarray:
        voltage, converged, *_ = newton(ybus, sbus, start.copy(), *rest, **keywords)
        assert converged
        return voltage

    return whole, prepared


def pandapower_rows(name: str, m: Any, repeat: int) -> list[Row]:
    """The solve beside pandapower's."""
    title, note = f"{name}: solve from a flat start", "promised: ≤ 1 ×"
    found = pandapower_newton()
    if found is None:
        return [compare(title, m.solve, None, "pandapower with numba", repeat, note=note)]
    mine = np.sort(m.solve()["Vm"])
    for fn in found:
        gap = np.abs(np.sort(np.abs(fn())) - mine).max()
        assert gap < 1e-8, gap
    names = ("pandapower runpp, numba", "pandapower newtonpf alone, numba")
    return [compare(title, m.solve, fn, peer, repeat, note=note) for fn, peer in zip(found, names, strict=True)]


def run(repeat: int) -> list[Row]:
    """Solve from a flat start, everything compiled; and the gradient of losses in all set points."""
    folder = os.environ.get("ADJOINT_DATA")
    if not folder:
        return [Row("power flow", float("nan"), None, "pypower", "s", "set ADJOINT_DATA to the reference data")]
    matpower, powerflow = example("matpower"), example("powerflow")
    rows = []
    for name in CASES:
        case = matpower.read_case(Path(folder) / "powerflow" / "cases" / f"{name}.m")
        m = powerflow.model(case)
        peer = pypower_newton(case)
        sol = m.solve()
        if peer is not None:
            gap = np.abs(np.sort(np.abs(peer())) - np.sort(np.abs(sol["Vm"]))).max() if "Vm" in sol else 0.0
            assert gap < 1e-8, gap
        rows.append(compare(f"{name}: solve from a flat start", m.solve, peer, "pypower newtonpf", repeat))
        inputs = [n for n in ("Pd", "Qd", "Pg", "Vg") if n in sol]
        gradient = timeit(lambda m=m, inputs=inputs: m.solve().gradient("losses", wrt=inputs), repeat)  # type: ignore[misc]
        if name == "case2869pegase":
            rows += pandapower_rows(name, m, repeat)
        rows.append(Row(f"{name}: solve + gradient of losses", gradient, None, "", "s", "for orientation"))
    return rows
