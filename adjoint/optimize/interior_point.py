"""``method="interior-point"``: the library's own method on the sparse optimality system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .driver import WarmStart, solve_nlp
from .formulations import Formulation
from .interior import InteriorResult, Intermediate, Workspace, solve
from .singletons import WithoutSingletons, without_singletons
from .task import Task

__all__ = ["solve_by_interior_point"]

KEY = "interior-point"  # in the cache of a formulation


def solve_by_interior_point(task: Task) -> Any:
    """Run the interior-point method on any formulation of a problem.

    Variables that one equation merely defines are substituted first (``singletons``).
    """
    return solve_nlp(task, _run)


def _run(nlp: Formulation, task: Task, start: WarmStart | None) -> InteriorResult:
    given = dict(task.options)
    if task.tol is not None:
        given.setdefault("tol", task.tol)
    workspace = nlp.cache.setdefault(KEY, Workspace())
    rest = without_singletons(nlp)
    if rest is None:
        return solve(nlp, given, start=start, callback=task.callback, workspace=workspace)
    begin = None
    if start is not None:
        z = rest.part(start.z_lower), rest.part(start.z_upper)
        begin = WarmStart(rest.part(start.x), rest.part_of_rows(start.y), *z)
    found = solve(rest, given, start=begin, callback=_whole(rest, task.callback), workspace=workspace)
    return replace(found, **_parts(rest, found))


def _parts(rest: WithoutSingletons, found: Any) -> dict[str, Any]:
    """The point and the multipliers of the whole program."""
    return {
        "x": rest.point(found.x),
        "y": rest.row_multipliers(found.y),
        "z_lower": rest.bound_multipliers(found.z_lower),
        "z_upper": rest.bound_multipliers(found.z_upper),
    }


def _whole(rest: WithoutSingletons, callback: Callable[..., Any] | None) -> Callable[[Intermediate], Any] | None:
    """The callback, told of the whole program."""
    if callback is None:
        return None
    return lambda found: callback(found._replace(**_parts(rest, found)))
