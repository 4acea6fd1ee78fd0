"""Every continuous ``.nl`` file of the collection: the library's optimizers beside IPOPT and POUNCE.

The collection is read from the folder ``nl`` of the one that ADJOINT_DATA names. Each solver runs in a process of its
own, with default options, and is ended after 60 seconds of processor time. Times are those of the processor, from the
file to the optimum, reading and compiling included; packages are loaded before. A point counts as solved where the
solver says so and the model finds it feasible. ``python -m benchmarks.nl --help``: single solvers and files.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ._nl_cases import FEASIBLE, Case, cases, point
from ._nl_solvers import SMALL_ONLY, SOLVERS, available
from ._nl_workers import Worker
from .harness import Row

__all__ = ["Run", "measure", "run", "summary", "tables"]

LIMIT = 60.0  # seconds
SMALL = 50  # variables
FIRST = ("interior-point", "IPOPT (CasADi)", "POUNCE")
PROMISED = {"augmented-lagrangian": 0.95, "sqp": 0.95}  # of the problems with few variables
SHORT = {"optimum": "opt.", "reference": "ref.", "other": "other"}


@dataclass(frozen=True)
class Run:
    """What a solver did with a problem.

    Attributes
    ----------
    outcome : str
        "reference", "other" (not the reference) or "optimum" (there is no reference); else why it failed.
    """

    collection: str
    name: str
    n: int
    m: int
    solver: str
    outcome: str
    objective: float
    violation: float
    iterations: int
    seconds: float
    wall: float
    message: str
    trusted: bool

    @property
    def solved(self) -> bool:
        """Whether it found an optimum."""
        return self.outcome in SHORT


def measure(data: Path, solvers: Sequence[str], only: str = "", limit: float = LIMIT) -> Iterable[list[Run]]:
    """The runs of all solvers, problem by problem."""
    workers = {name: Worker(name, limit) for name in solvers}
    try:
        for case in cases(data, only):
            chosen = [w for w in workers.values() if case.n <= SMALL or w.solver not in SMALL_ONLY]
            if chosen:
                yield [_run(case, w) for w in chosen]
    finally:
        for worker in workers.values():
            worker.close()


def _run(case: Case, worker: Worker) -> Run:
    answer, seconds, wall = worker.solve(case.path)
    value, violation = point(case, answer.x) if answer.x.size == case.n else (math.nan, math.inf)
    outcome = answer.status
    if outcome in ("optimal", "acceptable"):
        if not violation <= FEASIBLE:
            outcome = "not feasible"
        elif not case.references:
            outcome = "optimum"
        else:
            outcome = "reference" if case.is_reference(value) else "other"
    where = (case.collection, case.name, case.n, case.m, worker.solver)
    words = " ".join(answer.message.split())
    return Run(*where, outcome, value, violation, answer.iterations, seconds, wall, words, case.trusted)


# -- reporting -------------------------------------------------------------------------------------------------------


def tables(runs: Sequence[Run]) -> str:
    """One table per collection, one line per problem: outcome, iterations and time of each solver."""
    lines: list[str] = []
    for collection in dict.fromkeys(r.collection for r in runs):
        some = [r for r in runs if r.collection == collection]
        solvers = list(dict.fromkeys(r.solver for r in some))
        found = {(r.name, r.solver): r for r in some}
        head = ["", "n", "m", "objective", *solvers]
        rows = [head]
        for name in dict.fromkeys(r.name for r in some):
            first = next(r for r in some if r.name == name)
            value = next((f"{r.objective:.7g}" for s in solvers if (r := found.get((name, s))) and r.solved), "")
            cells = [_cell(found.get((name, s))) for s in solvers]
            rows.append([name, str(first.n), str(first.m), value, *cells])
        widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
        lines += ["", f"{collection}: outcome, iterations, seconds"]
        lines += ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _cell(r: Run | None) -> str:
    if r is None:
        return ""
    return f"{SHORT.get(r.outcome, r.outcome):<6}{r.iterations:>5} {r.seconds:8.3f}"


def summary(runs: Sequence[Run]) -> list[Row]:
    """Problems not solved, and the time over what both have solved, beside each peer; how many are solved by method."""
    by_solver: dict[str, dict[str, Run]] = {}
    for r in runs:
        by_solver.setdefault(r.solver, {})[f"{r.collection}/{r.name}"] = r
    ours, rows = by_solver.get(FIRST[0], {}), []
    for peer in [s for s in by_solver if s not in (FIRST[0], *SMALL_ONLY)]:
        theirs = by_solver[peer]
        same = ours.keys() & theirs.keys()
        solved = [k for k in same if ours[k].solved], [k for k in same if theirs[k].solved]
        both = sorted(set(solved[0]) & set(solved[1]))
        missed = [float(len(same) - len(s)) for s in solved]
        note = f"of {len(same)}; solved {len(solved[0])} and {len(solved[1])}"
        rows.append(Row("not solved", missed[0], missed[1], peer, "", note))
        times = [sum(side[k].seconds for k in both) for side in (ours, theirs)]
        rows.append(Row("time over those solved by both", times[0], times[1], peer, "s", f"{len(both)} problems"))
        small = [k for k in both if ours[k].n <= SMALL]
        times = [sum(side[k].seconds for k in small) for side in (ours, theirs)]
        rows.append(Row(f"the same with n ≤ {SMALL}", times[0], times[1], peer, "s", f"{len(small)} problems"))
    solvable = {k for found in by_solver.values() for k, r in found.items() if r.solved}
    for name, found in by_solver.items():
        rows.append(_share(name, [r for k, r in found.items() if k in solvable and r.n <= SMALL]))
    classic = {k: r for k, r in ours.items() if k.startswith("hs_suite/")}
    if classic:
        missing = [r.name for r in classic.values() if not r.solved]
        note = f"of {len(classic)}: {', '.join(missing)}; not solved by any: "
        note += ", ".join(r.name for k, r in classic.items() if k not in solvable)
        rows.append(Row("Hock–Schittkowski, not solved", float(len(missing)), math.nan, "", "", note))
    return rows


def _share(name: str, few: Sequence[Run]) -> Row:
    """How many of the small problems that some solver solves are solved by one of them."""
    right = [r for r in few if r.trusted]
    note = f"{sum(r.solved for r in few)} of the {len(few)} that some solver solves"
    note += f" (promised: ≥ {PROMISED[name]:.0%})" if name in PROMISED else ""
    note += f"; the published optimum in {sum(r.outcome == 'reference' for r in right)} of {len(right)} that have one"
    share = 100.0 * sum(r.solved for r in few) / max(len(few), 1)
    return Row(f"{name}: solved, n ≤ {SMALL}", share, math.nan, "", "%", note)


def run(repeat: int) -> list[Row]:
    """All solvers that are installed on all files; the tables go to stderr, so that stdout can be JSON."""
    del repeat
    data = os.environ.get("ADJOINT_DATA")
    if not data:
        return []
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("ADJOINT_CACHE_DIR", folder)
        runs = [r for found in measure(Path(data) / "nl", [s for s in SOLVERS if available(s)]) for r in found]
    print(tables(runs), file=sys.stderr)
    return summary(runs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Some solvers on some files, a line for each."""
    parser = argparse.ArgumentParser("python -m benchmarks.nl", description=__doc__.partition("\n")[0])
    parser.add_argument("--solvers", default=",".join(FIRST), help=f"of {', '.join(SOLVERS)}")
    parser.add_argument("--only", default="", help="part of collection/name")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of processor time")
    parser.add_argument("--json", type=Path, help="file for the runs")
    chosen = parser.parse_args(arguments)
    solvers = [s for s in chosen.solvers.split(",") if available(s)]
    runs: list[Run] = []
    for found in measure(Path(os.environ["ADJOINT_DATA"]) / "nl", solvers, chosen.only, chosen.limit):
        runs += found
        print(
            f"{found[0].collection + '/' + found[0].name:<34}" + "  ".join(f"{_cell(r):<28}" for r in found), flush=True
        )
        if chosen.json:
            chosen.json.write_text(json.dumps([asdict(r) for r in runs], indent=1))
    for row in summary(runs):
        print(f"{row.name}: {row.ours:.6g} | {row.peer_name} {row.peer} | {row.note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
