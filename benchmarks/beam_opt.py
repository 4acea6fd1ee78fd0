"""The stiffest beam of 50 and 500 elements, model build to optimum, beside AeroSandbox (CasADi, IPOPT).

``docs/examples/beam.py`` by its internal forces, in the full space; of AeroSandbox the faster of two formulations: the
same, and by stiffness. "From nothing" builds, differentiates and solves anew in every sample; "again" solves the same
problem once more. Both sides must find the same compliance. "In a sweep" is the time of each of 100 solves for volumes
from 0.9 to 1.1 of the given one, every one started from the last; its peer is the library's own time from nothing.

Where AeroSandbox is not installed, 0.107 s stands for 500 elements: its time on the machine of ``docs/benchmarks.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._beam_aerosandbox import by_forces, by_stiffness
from ._callbacks import installed
from .harness import Row, compare, timeit
from .powerflow import example

OPTIMA = {50: 23762.153678, 500: 23711.247349}  # by CasADi and IPOPT
STORED = {500: 0.107}  # seconds
SWEEP = 100  # solves
TOLERANCE = 1e-6  # of compliances, relative


def peers(elements: int) -> Sequence[Callable[[], tuple[float, int]]]:
    """The peer's formulations that find the optimum."""
    if not installed("aerosandbox"):
        return ()
    found = []
    for build in (by_forces, by_stiffness):
        try:
            compliance, _ = build(elements)
        except RuntimeError:  # not solved
            continue
        if abs(compliance - OPTIMA[elements]) <= TOLERANCE * OPTIMA[elements]:
            found.append(lambda build=build: build(elements))
    return found


def sweep(problem: Any, volume: float) -> None:
    """Solve for one volume after the other."""
    last = None
    for factor in np.linspace(0.9, 1.1, SWEEP):
        values = {"available": factor * volume}
        last = problem.solve("interior-point", formulation="full", values=values, start=last)
        assert last.success, last.message


def run(repeat: int) -> list[Row]:
    """From nothing, and again."""
    beam, table = example("beam"), []
    for n, optimum in OPTIMA.items():

        def solve(problem: Any, n: int = n, optimum: float = optimum) -> Any:
            result = problem.solve("interior-point", formulation="full")
            assert abs(result.solution["compliance"] - optimum) <= TOLERANCE * optimum, (n, result.status)
            return result

        def ours(n: int = n) -> Any:
            return solve(beam.problem(n, beam.internal_forces))

        candidates = peers(n)
        peer = min(candidates, key=lambda f: timeit(f, 1), default=None)
        title, note = f"{n} elements", "promised: ≤ 1 ×" if n == 500 else ""
        row = compare(f"{title}: from nothing", ours, peer, "AeroSandbox", repeat, note=note)
        if peer is None and n in STORED:
            row = Row(row.name, row.ours, STORED[n], "AeroSandbox (stored)", "s", note)
        table.append(row)
        kept = beam.problem(n, beam.internal_forces)
        again = timeit(lambda kept=kept: solve(kept), repeat)
        table.append(Row(f"{title}: the same problem again", again, row.peer, row.peer_name, "s", "for orientation"))
        swept = timeit(lambda kept=kept: sweep(kept, beam.VOLUME), repeat) / SWEEP
        note = "promised: ≤ 0.2 ×" if n == 500 else ""
        table.append(Row(f"{title}: in a sweep", swept, row.ours, "adjoint, from nothing", "s", note))
        iterations = peer()[1] if peer else None
        table.append(Row(f"{title}: iterations", ours().nit, iterations, "AeroSandbox", "", "for orientation"))
    return table
