"""Optimizers: one file and one row in the registry each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ModelError, closest
from .scipy_ import SCIPY_METHODS, solve_with_scipy

__all__ = ["OPTIMIZERS", "solve_problem"]

OPTIMIZERS: dict[str, Callable[..., Any]] = dict.fromkeys(SCIPY_METHODS, solve_with_scipy)


def solve_problem(
    problem: Any,
    method: str,
    *,
    start: Any = None,
    options: Mapping[str, Any] | None = None,
    callback: Callable[..., Any] | None = None,
    formulation: str = "reduced",
    seed: int | None = None,
    tol: float | None = None,
) -> Any:
    """Dispatch to the optimizer of a name (letter case does not matter)."""
    by_key = {name.lower(): name for name in OPTIMIZERS}
    if not isinstance(method, str) or method.lower() not in by_key:
        raise ModelError(closest(method, OPTIMIZERS, "optimization method"))
    name = by_key[method.lower()]
    if formulation != "reduced":
        raise ModelError(f"method {name!r} works in the reduced space: formulation='reduced', not {formulation!r}")
    return OPTIMIZERS[name](problem, name, start, options, callback, tol)
