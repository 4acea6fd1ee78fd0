"""From what a function gave on symbols to the equations of an inner problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ModelError, ShapeError, closest
from ..expr import Constant, Expr, Variable, as_expr
from ..primitives.indexing import broadcast_to
from ..program import Program
from ..rebuild import substitute
from ..walk import topological
from .form import Inner, Traced, parameters_of
from .rows import ROOT, solution_of
from .schedule import Schedule

__all__ = ["Built", "bound", "checked", "named", "placed"]


class Built:
    """The program of an inner problem that holds its unknown and parameters, but no equation yet.

    Attributes
    ----------
    program : Program
    unknown : Variable
    args : list of Expr, the parameters as expressions of the program outside
    """

    def __init__(self, name: str, like: Traced, roots: Sequence[Expr], bounds: Sequence[Any] = (None, None)) -> None:
        inside = [like.leaf, *like.given]
        if like.leaf not in set(topological(roots)):
            raise ModelError(f"{name}: the function does not depend on its first argument")
        used = set(topological(roots))
        closed = parameters_of(roots, inside)
        self.program = Program(name)
        low, high = (b if b is None or not isinstance(b, Expr) else None for b in bounds)
        self.unknown = self.program.unknown(name, guess=like.guess, shape=like.leaf.shape, lower=low, upper=high)
        self.replacement: dict[Expr, Expr] = {like.leaf: self.unknown}
        self.args: list[Expr] = []
        for leaf, outer in [*((v, like.given[v]) for v in like.given if v in used), *((e, e) for e in closed)]:
            self.replacement[leaf] = self._input(leaf)
            self.args.append(outer)

    def _input(self, e: Expr) -> Variable:
        base = e.name if isinstance(e, Variable) else f"parameter {len(self.args) + 1}"
        name, k = base, 1
        while name in self.program:
            k += 1
            name = f"{base} ({k})"
        return self.program.input(name, shape=e.shape)

    def inside(self, e: Expr) -> Expr:
        """An expression of the trace in the variables of the program."""
        return substitute([e], self.replacement)[0]


def placed(inner: Inner, built: Built, like: Traced) -> Any:
    """The solution, in the structure of the guess: numbers where no parameter is an expression."""
    if built.args:
        return like.unknowns(solution_of(inner, built.args))
    found = ROOT.value(inner)
    return like.unknowns(found if isinstance(found, np.ndarray) else float(found))


def named(name: str | None, kind: str, fun: Any) -> str:
    """The name of an inner problem."""
    if name is not None:
        if not isinstance(name, str) or not name:
            raise ModelError(f"{kind}: name= is a string that is not empty, got {name!r}")
        return name
    return f"{kind} of {getattr(fun, '__name__', 'a function')}"


def checked(what: str, method: str, methods: Sequence[str], tol: Any, max_iterations: Any) -> None:
    """Check the options of an inner problem."""
    if method not in methods:
        raise ModelError(f"{what}: " + closest(method, methods, "method"))
    if not isinstance(tol, Schedule) and not (isinstance(tol, (int, float)) and 0 < tol < 1):
        raise ModelError(f"{what}: tol is a number between 0 and 1, or a Schedule, got {tol!r}")
    if not isinstance(max_iterations, int) or max_iterations < 1:
        raise ModelError(f"{what}: max_iterations is a positive whole number, got {max_iterations!r}")


def bound(what: str, side: str, value: Any, like: Traced) -> Expr | None:
    """A bound as an expression in the shape of the unknowns."""
    if value is None:
        return None
    e = as_expr(value)
    if isinstance(e, Constant) and np.isnan(e.value).any():
        raise ModelError(f"{what}: {side}= has NaN elements")
    try:
        return broadcast_to(e, like.leaf.shape)
    except (ValueError, ShapeError):
        raise ShapeError(f"{what}: {side}= has shape {e.shape}, the unknowns {like.leaf.shape}") from None
