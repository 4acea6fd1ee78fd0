"""Square nonlinear systems of three collections: solved, iterations, time, beside SciPy's hybr.

The collections are read from the folder that ADJOINT_DATA names; without it, the typed functions are left. ``python -m
benchmarks.systems`` prints one line for each system.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.optimize

import adjoint as adj
from adjoint.nl.build import read_nl

from ._systems_files import TextSystem, ibex_systems, polynomial_systems
from ._systems_functions import FUNCTIONS
from .harness import Row

__all__ = ["Case", "Run", "cases", "left_side", "problem_of", "run", "solve_case"]

SPREAD = 2.0  # random starts, for systems that are published without one, are in [-SPREAD, SPREAD]
SATISFIED = 1e-8  # of the natural size of an equation, or of 1
SLOW = 0.5  # seconds from which a peer is not asked again
PEERS = ("SciPy hybr", "SciPy hybr, our Jacobian")


@dataclass(frozen=True)
class Case:
    """A square system, where the search starts, and known roots, one per row."""

    group: str
    name: str
    problem: adj.Problem
    start: np.ndarray
    roots: np.ndarray


@dataclass(frozen=True)
class Run:
    """How a solve ended: the point, whether the equations hold there, iterations (of SciPy: evaluations), seconds."""

    x: np.ndarray
    solved: bool
    iterations: int
    seconds: float
    message: str = ""


# -- the systems -----------------------------------------------------------------------------------------------------


def problem_of(
    name: str, residual: Callable[[Any], Any], start: Any, lower: Any = None, upper: Any = None
) -> adj.Problem:
    """The feasibility problem ``residual(x) = 0`` with bounds."""
    m = adj.Program(name)
    x = m.input("x", np.array(start, dtype=float))
    body = residual(x)
    body = adj.array(body) if isinstance(body, list) else body
    return adj.Problem(m, minimize=0, over={"x": (lower, upper)}, subject_to={"constraints": body == 0})


def left_side(problem: adj.Problem) -> adj.Function:
    """The expression of the constraints as a function of x."""
    return problem.program.function(problem.constrained["constraints"].name, wrt=["x"])


def cases(data: Path | None, n: int = 10) -> Iterator[Case]:
    """All systems with all their starts; the typed ones with ``n`` unknowns where any number will do."""
    for f in FUNCTIONS:
        size = f.size(n) if f.name != "Chebyquad" else 9  # no real root for 8, and for more than 9
        roots = np.zeros((0, size)) if f.root is None else f.root(size)[None, :]
        yield Case("typed", f.name, problem_of(f.name, f.residual, f.start(size)), f.start(size), roots)
    if data is None:
        return
    for group, systems in (
        ("polynomial", polynomial_systems(data / "systems" / "polysys" / "systems.json")),
        ("ibex", ibex_systems(data / "systems" / "ibex")),
    ):
        for s in systems:
            if len(s.equations) == len(s.unknowns):
                yield from _from_common_starts(group, s)
    yield from _files(data / "nl")


def _from_common_starts(group: str, s: TextSystem) -> Iterator[Case]:
    """From all unknowns 1/2, all -1, and two random points."""
    n = len(s.unknowns)
    problem = problem_of(s.name, s.residual, np.zeros(n), s.lower, s.upper)
    rng = np.random.default_rng(n)
    for start in (np.full(n, 0.5), np.full(n, -1.0), *rng.uniform(-SPREAD, SPREAD, (2, n))):
        yield Case(group, s.name, problem, np.clip(start, s.lower, s.upper), s.roots)


def _files(folder: Path) -> Iterator[Case]:
    """The ``.nl`` files that are square systems, from their own starts."""
    for path in sorted(folder.rglob("*.nl")):
        try:
            problem = read_nl(path)
            if problem.is_feasibility and problem.constraints:
                problem.system()
                x0 = left_side(problem).x0
                yield Case("nl", path.stem, problem, x0, np.zeros((0, x0.size)))
        except adj.AdjointError:
            continue  # refused, or no square system


# -- solving ---------------------------------------------------------------------------------------------------------


def solve_case(case: Case, repeat: int = 1) -> dict[str, Run]:
    """The runs of the library and of its peers, by name; the shortest of ``repeat`` times, taken in turn."""
    program = case.problem.system()
    fun = left_side(case.problem)
    rhs = np.reshape(case.problem.constraints["constraints"].lower, -1)

    def residual(x: np.ndarray) -> np.ndarray:
        return fun(x) - rhs

    def ours() -> tuple[np.ndarray, int, str]:
        try:
            sol = program.solve(start={"x": case.start})
        except adj.ConvergenceError as error:
            return np.reshape(error.values["x"], -1), len(error.history), error.status.name
        except adj.AdjointError as error:
            return case.start, 0, type(error).__name__
        return np.reshape(sol["x"], -1), sum(b.iterations for b in sol.blocks), sol.blocks[-1].method

    def hybr(jac: Any) -> tuple[np.ndarray, int, str]:
        found = scipy.optimize.root(residual, case.start, jac=jac, method="hybr")
        return found.x, found.nfev, "" if found.success else found.message.split(".")[0]

    runs: dict[str, Run] = {}
    calls = {"adjoint": ours, PEERS[0]: lambda: hybr(None), PEERS[1]: lambda: hybr(fun.jac)}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for k in range(repeat + 1):  # the first compiles
            for name, call in calls.items():
                if k and name in PEERS and runs[name].seconds > SLOW:
                    continue
                begin = time.perf_counter()
                try:
                    x, iterations, message = call()
                except adj.AdjointError as error:  # from within SciPy's iteration: outside the domain
                    x, iterations, message = case.start, 0, type(error).__name__
                seconds = time.perf_counter() - begin
                known = runs[name].seconds if k > 1 else np.inf
                runs[name] = Run(x, _holds(residual, fun, x), iterations, min(known, seconds), message)
    return runs


def _holds(residual: Callable[..., Any], fun: Any, x: np.ndarray) -> bool:
    """Whether the equations hold, relative to the size of their terms."""
    try:
        r, size = residual(x), np.abs(fun.jac(x)) @ np.abs(x)
    except adj.AdjointError:
        return False
    return bool(np.isfinite(r).all() and (np.abs(r) <= SATISFIED * np.maximum(1.0, size)).all())


def _data() -> Path | None:
    folder = os.environ.get("ADJOINT_DATA")
    return Path(folder) if folder else None


def run(repeat: int) -> list[Row]:
    """For each collection: systems that are left unsolved, and the median of the times of those that both solve."""
    results: dict[str, list[dict[str, Run]]] = {}
    for case in cases(_data()):
        results.setdefault(case.group, []).append(solve_case(case, repeat))
    rows = []
    for group, runs in results.items():
        for peer in PEERS:
            unsolved = [float(sum(not r[name].solved for r in runs)) for name in ("adjoint", peer)]
            rows.append(Row(f"{group}: unsolved of {len(runs)}", unsolved[0], unsolved[1], peer, "systems"))
            both = [r for r in runs if r["adjoint"].solved and r[peer].solved]
            for what, unit in (("iterations", "iterations"), ("seconds", "s")):
                figures = [float(np.median([getattr(r[name], what) for r in both])) for name in ("adjoint", peer)]
                words = "median iterations (SciPy: evaluations)" if what == "iterations" else "median time"
                rows.append(Row(f"{group}: {words}, both solve", *figures, peer, unit))
    return rows


def main() -> None:
    """One line for each system, and how many of each collection were solved."""
    print(f"{'':<40}{'n':>6}  {'adjoint':<28}{PEERS[0]:<28}{PEERS[1]}")
    solved: dict[str, list[int]] = {}
    for case in cases(_data()):
        runs = solve_case(case, 3).values()
        cells = [f"{'solved' if r.solved else 'FAILED':<7}{r.iterations:>5} {1e3 * r.seconds:>9.3f} ms  " for r in runs]
        print(f"{case.group + ' ' + case.name:<40}{case.start.size:>6}  {''.join(cells)}", flush=True)
        count = solved.setdefault(case.group, [0, 0, 0, 0])
        solved[case.group] = [a + b for a, b in zip(count, [1, *(r.solved for r in runs)], strict=True)]
    for group, (total, *count) in solved.items():
        print(f"{group}: of {total} solved by adjoint {count[0]}, {PEERS[0]} {count[1]}, {PEERS[1]} {count[2]}")


if __name__ == "__main__":
    main()
