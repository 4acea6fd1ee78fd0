"""What a method is asked to do, and what the registry knows of each method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
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
    run : callable, or "module:function" of this package, which is loaded with the first call
        ``run(task)`` gives a ``scipy.optimize.OptimizeResult``.
    full_space : bool
        Whether it takes every formulation, or the reduced one only.
    """

    run: Callable[[Task], Any] | str
    full_space: bool = False

    def __call__(self, task: Task) -> Any:
        """Run the method."""
        if isinstance(self.run, str):
            module, function = self.run.split(":")
            return getattr(import_module(f".{module}", __package__), function)(task)
        return self.run(task)
