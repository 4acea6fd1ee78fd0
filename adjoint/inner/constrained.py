"""Minimizers with constraints inside an expression: the KKT conditions are the equations.

With the multipliers ``m`` in the sign of the library (the change of the minimum per unit added to the right-hand side)
and ``L = f − m·c``, the conditions of ``min f(y)`` subject to ``l ≤ c(y) ≤ u`` and bounds are the equations

    max(min(∇L, y − lower), y − upper) = 0,        max(min(m, c − l), c − u) = 0,        c − l = 0 for equalities,

which have the derivative of the active set where complementarity is strict (Fiacco 1983, *Introduction to Sensitivity
and Stability Analysis in Nonlinear Programming*, chapter 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..derivatives import vjp
from ..errors import ModelError
from ..expr import Comparison, Expr, Variable
from ..primitives.indexing import concatenate, ravel, reshape
from ..problem import Constraint, Problem, as_constraint
from ..program import Program
from ..rebuild import substitute
from ..walk import variables_of
from .build import Built, bound
from .form import Inner, Traced, parameters_of
from .rows import ROOT, solution_of
from .schedule import Tolerance

__all__ = ["constrained_argmin", "stationarity"]


def stationarity(gradient: Expr, y: Any, lower: Any, upper: Any) -> Expr:
    """The conditions ``g = 0``, or with bounds ``max(min(g, y − lower), y − upper) = 0``."""
    if lower is not None:
        gradient = np.minimum(gradient, y - lower)
    if upper is not None:
        gradient = np.maximum(gradient, y - upper)
    return gradient


def constrained_argmin(
    what: str, like: Traced, objective: Expr, subject_to: Callable[..., Any], bounds: Sequence[Any], tol: Tolerance
) -> Any:
    """The minimizer under constraints as an expression."""
    found = subject_to(like.unknowns(like.leaf), *like.arguments)
    constraints = _constraints(what, found)
    like, objective, constraints = _closed(like, objective, constraints)
    sides = [bound(what, side, value, like) for side, value in zip(("lower", "upper"), bounds, strict=True)]
    if any(e is not None and variables_of([e]) for e in sides):
        raise ModelError(f"{what}: with subject_to=, bounds are numbers; a bound that moves is a constraint")
    n, shape = like.leaf.size, like.leaf.shape
    size = n + sum(c.expr.size for c in constraints)
    both = Variable("y and multipliers", (size,))
    y = reshape(both[:n], shape) if shape else both[0]
    residual = _conditions(objective, constraints, like.leaf, both, sides)
    start = np.concatenate([np.reshape(like.guess, -1), np.zeros(size - n)])
    wide = replace(like, leaf=both, guess=start)
    residual = substitute([residual], {like.leaf: y})[0]
    built = Built(what, wide, [residual])
    inside = built.inside(residual)
    built.program.constrain(inside, f"{what}: optimality")
    problem = _problem(what, like, objective, constraints, sides, built)
    inner = Inner(what, "argmin", built.program, inside, problem=problem, method="interior-point", tol=tol)
    whole = solution_of(inner, built.args) if built.args else ROOT.value(inner)
    flat = whole[:n]
    own = (reshape(flat, shape) if isinstance(flat, Expr) else flat.reshape(shape)) if shape else flat[0]
    return like.unknowns(own if isinstance(own, Expr) or shape else float(own))


def _closed(like: Traced, objective: Expr, constraints: list[Constraint]) -> tuple[Traced, Expr, list[Constraint]]:
    """The same in leaves alone: what the functions close over is given like an argument."""
    roots = [objective, *(c.expr for c in constraints)]
    closed = parameters_of(roots, [like.leaf, *like.given])
    found: dict[Expr, Expr] = {Variable(f"parameter {k + 1}", e.shape): e for k, e in enumerate(closed)}
    objective, *bodies = substitute(roots, {e: leaf for leaf, e in found.items()})
    changed = [replace(c, expr=body) for c, body in zip(constraints, bodies, strict=True)]
    return replace(like, given={**like.given, **found}), objective, changed


def _constraints(what: str, found: Any) -> list[Constraint]:
    items = [found] if isinstance(found, (Comparison, Constraint)) else found
    if not isinstance(items, (list, tuple)):
        raise ModelError(f"{what}: subject_to gives a comparison or a list of them, not {type(found).__name__}")
    return [as_constraint(item) for item in items]


def _conditions(objective: Expr, constraints: Sequence[Constraint], y: Variable, both: Variable, sides: Any) -> Expr:
    """The KKT conditions, flat; ``y`` is still a leaf of its own."""
    at, parts, gradient = y.size, [], vjp([objective], [1.0], [y])[0]
    for c in constraints:
        m = both[at : at + c.expr.size]
        at += c.expr.size
        low, high = (np.broadcast_to(side, c.shape).reshape(-1) for side in (c.lower, c.upper))
        body = reshape(ravel(c.expr), (c.expr.size,))
        gradient = gradient - vjp([body], [m], [y])[0]
        equal, row = low == high, stationarity(m, body, low, high)
        parts.append(np.where(equal, body - np.where(equal, low, 0.0), row) if equal.any() else row)
    first = stationarity(gradient, y, *sides)
    return concatenate([reshape(first, (y.size,)), *parts])


def _problem(
    what: str, like: Traced, objective: Expr, constraints: Sequence[Constraint], sides: Any, built: Built
) -> Problem:
    """The same as a problem for an optimizer; its parameters have the names of those of the equations."""
    program = Program(what)
    new: dict[Expr, Expr] = {}
    for leaf, variable in built.replacement.items():
        if isinstance(variable, Variable) and variable is not built.unknown:
            new[leaf] = program.input(variable.name, np.zeros(variable.shape))  # every solve gives the value
    y = program.input("y", like.guess) if "y" not in program else program.input(f"{what}: y", like.guess)
    new[like.leaf] = y
    f, *bodies = substitute([objective, *(c.expr for c in constraints)], new)
    subject_to = {
        f"constraint {k + 1}": Constraint(body, c.lower, c.upper, c.text)
        for k, (body, c) in enumerate(zip(bodies, constraints, strict=True))
    }
    pair = tuple(None if e is None else _number(e) for e in sides)
    return Problem(program, minimize=f, over={y.name: pair}, subject_to=subject_to)


def _number(e: Expr) -> Any:
    """The value of a constant that may have been broadcast."""
    constant = e.args[0] if e.args else e
    return np.broadcast_to(constant.value, e.shape)  # type: ignore[attr-defined]
