"""``method="interior-point"``: the library's own method on the sparse optimality system."""

from __future__ import annotations

from typing import Any

from .driver import WarmStart, solve_nlp
from .formulations import Formulation
from .interior import InteriorResult, solve
from .task import Task

__all__ = ["solve_by_interior_point"]


def solve_by_interior_point(task: Task) -> Any:
    """Run the interior-point method on any formulation of a problem."""
    return solve_nlp(task, _run)


def _run(nlp: Formulation, task: Task, start: WarmStart | None) -> InteriorResult:
    given = dict(task.options)
    if task.tol is not None:
        given.setdefault("tol", task.tol)
    return solve(nlp, given, start=start, callback=task.callback)
