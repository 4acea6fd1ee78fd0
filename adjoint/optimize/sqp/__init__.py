"""``method="sqp"``: sequential quadratic programming for small and medium programs."""

from __future__ import annotations

from typing import Any

from ..driver import WarmStart, solve_nlp
from ..formulations import Formulation
from ..outcome import NLPOutcome
from ..task import Task
from .method import solve
from .options import SQPOptions

__all__ = ["SQPOptions", "solve", "solve_by_sqp"]


def solve_by_sqp(task: Task) -> Any:
    """Run sequential quadratic programming on any formulation of a problem."""
    return solve_nlp(task, _run)


def _run(nlp: Formulation, task: Task, start: WarmStart | None) -> NLPOutcome:
    given = dict(task.options)
    if task.tol is not None:
        given.setdefault("tol", task.tol)
    return solve(nlp, given, start=start, callback=task.callback)
