"""One optimal power flow by the library, in a process of its own: ``benchmarks._opf_adjoint CASE.m``.

Prints JSON: seconds by part, from the parsed case to the result, imports excluded; iterations; peak memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import numpy as np

import adjoint as adj
from adjoint.optimize.driver import formulation_of
from adjoint.optimize.task import Task

from .powerflow import example


def solve(case: Any, **options: Any) -> dict[str, Any]:
    """Build, compile, solve; all flows start at zero, as in the rosetta-opf comparison."""
    opf, method = example("opf"), "interior-point"
    wall, cpu = time.perf_counter(), time.process_time()
    problem = opf.problem(case)
    start = {name: np.zeros(problem.program[name].shape) for name in opf.FLOWS}
    built = time.perf_counter()
    nlp = formulation_of(Task(problem, method, start=start, formulation="full"))
    nlp.constraints(nlp.x0)
    nlp.jacobian(nlp.x0)
    nlp.hessian(nlp.x0, 1.0, np.ones(nlp.m))
    compiled = time.perf_counter()
    result = problem.solve(method, start=start, formulation="full", options=options)
    done, used = time.perf_counter(), time.process_time() - cpu
    parts = {"build": built - wall, "compile": compiled - built}
    for name in ("derivatives", "linear_algebra"):
        parts[name] = result.get("times", {}).get(name, float("nan"))
    parts["rest"] = done - wall - sum(parts.values())
    return {
        "seconds": done - wall,
        "cpu": used,
        "parts": parts,
        "status": result.status,
        "objective": result.fun,
        "iterations": result.nit,
        "size": [nlp.n, nlp.m],
        "residuals": list(result.residuals()),
    }


def warm_up() -> None:
    """A ring of ten buses, solved by the sparse solver, so that imports and the start of the compiler are not timed."""
    buses = range(1, 11)
    ring = {
        "baseMVA": 100.0,
        "bus": [[k, 3 if k == 1 else 1, 5.0, 1.0, 0, 0, 1, 1.0, 0.0, 1, 1, 1.1, 0.9] for k in buses],
        "gen": [[1, 0.0, 0.0, 300.0, -300.0, 1.0, 100.0, 1, 400.0, 0.0]],
        "branch": [[k, k % 10 + 1, 0.01, 0.1, 0.02, 200, 0, 0, 0, 0, 1, -30, 30] for k in buses],
        "gencost": [[2, 0, 0, 3, 0.1, 5.0, 0.0]],
    }
    solve(example("matpower").from_pypower(ring), max_iter=5)
    m = adj.Program("warm-up")
    m.define("f", np.sum(m.input("x", np.ones(3)) ** 4))
    f = m.function("f")
    for _ in range(20):  # what is called less often may not be compiled
        f(np.ones(3))


if __name__ == "__main__":
    parsed = example("matpower").read_case(sys.argv[1])
    warm_up()
    found = solve(parsed)
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    print(json.dumps(found))
