"""What a method is asked to do, and what the registry knows of each method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Method", "Task"]


@dataclass(frozen=True)
class Task:
    """The arguments of ``Problem.solve``.

    Attributes
    ----------
    values : dict
        Of inputs that are not moved, by name, where they differ from the defaults.
    """

    problem: Any
    method: str
    start: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    callback: Callable[..., Any] | None = None
    formulation: str | Mapping[str, str] = "reduced"
    tol: float | None = None
    seed: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A row of the registry.

    Attributes
    ----------
    run : callable
        ``run(task)`` gives a ``scipy.optimize.OptimizeResult``.
    full_space : bool
        Whether it takes every formulation, or the reduced one only.
    """

    run: Callable[[Task], Any]
    full_space: bool = False
