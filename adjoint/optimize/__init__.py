"""Optimizers: one file and one row in the registry each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ModelError, closest
from .interior_point import solve_by_interior_point
from .ipopt_ import solve_with_ipopt
from .pounce_ import solve_with_pounce
from .scipy_ import SCIPY_METHODS, solve_with_scipy
from .task import Method, Task
from .uno_ import solve_with_uno

__all__ = ["OPTIMIZERS", "Method", "Task", "solve_problem"]

OPTIMIZERS: dict[str, Method] = {
    **dict.fromkeys(SCIPY_METHODS, Method(solve_with_scipy)),
    "interior-point": Method(solve_by_interior_point, full_space=True),
    "ipopt": Method(solve_with_ipopt, full_space=True),
    "pounce": Method(solve_with_pounce, full_space=True),
    "uno": Method(solve_with_uno, full_space=True),
}


def solve_problem(
    problem: Any,
    method: str,
    *,
    start: Any = None,
    options: Mapping[str, Any] | None = None,
    callback: Callable[..., Any] | None = None,
    formulation: str | Mapping[str, str] = "reduced",
    seed: int | None = None,
    tol: float | None = None,
    values: Mapping[str, Any] | None = None,
) -> Any:
    """Dispatch to the optimizer of a name (letter case does not matter)."""
    by_key = {name.lower(): name for name in OPTIMIZERS}
    if not isinstance(method, str) or method.lower() not in by_key:
        raise ModelError(closest(method, OPTIMIZERS, "optimization method"))
    name = by_key[method.lower()]
    if formulation != "reduced" and not OPTIMIZERS[name].full_space:
        raise ModelError(f"method {name!r} works in the reduced space: formulation='reduced', not {formulation!r}")
    task = Task(problem, name, start, dict(options or {}), callback, formulation, tol, seed, dict(values or {}))
    return OPTIMIZERS[name].run(task)
