"""IPOPT, by the package cyipopt: the interior-point method of Wächter & Biegler in its original implementation."""

from __future__ import annotations

import functools
from typing import Any

from ..errors import ModelError
from .cyipopt_style import solve_in_style
from .driver import solve_nlp
from .task import Task

__all__ = ["is_available", "solve_with_ipopt"]


@functools.cache
def _package() -> Any:
    """The package, or None."""
    try:
        import cyipopt
    except ImportError:
        return None
    return cyipopt


def is_available() -> bool:
    """Whether the package is installed."""
    return _package() is not None


def solve_with_ipopt(task: Task) -> Any:
    """Run IPOPT with exact sparse derivatives; ``options`` are IPOPT's own."""
    package = _package()
    if package is None:
        raise ModelError(
            "method 'ipopt' needs the package cyipopt (pip install cyipopt-wheels, or conda install cyipopt); "
            "'interior-point' needs nothing"
        )
    failed = package.CyIpoptEvaluationError
    return solve_nlp(
        task,
        lambda nlp, t, start: solve_in_style(package.Problem, failed, nlp, t.options, t.callback, start, t.tol),
    )
