"""What a method tells while it runs: records, the table, the callback; and its limits."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ..outcome import Intermediate
from .optimality import Errors, Point
from .outcome import multipliers
from .program import ScaledProgram

__all__ = ["Log", "Record"]

HEADER = " iter       objective  inf_pr   inf_du   compl  penalty     |d|   radius  inner"


class Record(NamedTuple):
    """One iteration: the objective of the program, and scaled residuals.

    ``radius`` is that of the trust region, ``inner`` the iterations of the inner method, and ``flag`` says how the step
    was found, in letters that each method lists.
    """

    iteration: int
    objective: float
    infeasibility: float
    dual_infeasibility: float
    complementarity: float
    penalty: float
    step: float
    radius: float
    inner: int
    flag: str


def line(r: Record) -> str:
    """A row of the table.

    >>> line(Record(3, 17.0, 1e-3, 2e-4, 0.0, 10.0, 0.5, 2.0, 7, "s"))
    '   3   1.7000000e+01 1.00e-03 2.00e-04 0.00e+00 1.0e+01 5.00e-01 2.0e+00     7 s'
    """
    return (
        f"{r.iteration:4d} {r.objective:15.7e} {r.infeasibility:.2e} {r.dual_infeasibility:.2e} "
        f"{r.complementarity:.2e} {r.penalty:.1e} {r.step:.2e} {r.radius:.1e} {r.inner:5d} {r.flag}"
    ).rstrip()


class Log:
    """The clock, the limits and the history of one run."""

    def __init__(
        self,
        program: ScaledProgram,
        max_iter: int,
        max_wall_time: float,
        print_level: int,
        callback: Callable[[Intermediate], Any] | None,
    ) -> None:
        self.program, self.callback = program, callback
        self.max_iter, self.deadline = max_iter, perf_counter() + max_wall_time
        self.print_level = print_level
        self.history: list[Record] = []
        self.stopped = False

    @property
    def iterations(self) -> int:
        """Iterations so far; the first record is the start."""
        return max(0, len(self.history) - 1)

    @property
    def late(self) -> bool:
        """Whether the time is over."""
        return perf_counter() > self.deadline

    def limits(self) -> str:
        """The status of the limit that was reached, or ""."""
        if self.stopped:
            return "stopped"
        if self.iterations >= self.max_iter:
            return "iteration_limit"
        return "time_limit" if self.late else ""

    def record(
        self, p: Point, y: np.ndarray, e: Errors, penalty: float, step: float, radius: float, inner: int, flag: str
    ) -> None:
        """Keep, print and pass on an iteration."""
        f = p.f / self.program.f_scale
        r = Record(len(self.history), f, *e[:3], penalty, step, radius, inner, flag)
        self.history.append(r)
        if self.print_level >= 5:
            if len(self.history) % 20 == 1:
                print(HEADER)
            print(line(r))
        if self.callback is not None:
            try:
                point = Intermediate(r, *multipliers(self.program, p.x, y, p))
                self.stopped = self.callback(point) is True or self.stopped
            except StopIteration:
                self.stopped = True
