"""POUNCE, by the package pounce-solver: an interior-point method in Rust, with the interface of cyipopt."""

from __future__ import annotations

import functools
from typing import Any

from ..errors import ModelError
from .cyipopt_style import solve_in_style
from .driver import solve_nlp
from .task import Task

__all__ = ["is_available", "solve_with_pounce"]


@functools.cache
def _package() -> Any:
    """The package, or None."""
    try:
        import pounce
    except ImportError:
        return None
    return pounce if hasattr(pounce, "Problem") else None


def is_available() -> bool:
    """Whether the package is installed."""
    return _package() is not None


def solve_with_pounce(task: Task) -> Any:
    """Run POUNCE with exact sparse derivatives; ``options`` are its own (under IPOPT's names)."""
    package = _package()
    if package is None:
        raise ModelError("method 'pounce' needs the package pounce-solver: pip install pounce-solver")
    return solve_nlp(
        task,
        lambda nlp, t, start: solve_in_style(
            package.Problem, ArithmeticError, nlp, t.options, t.callback, start, t.tol
        ),
    )
