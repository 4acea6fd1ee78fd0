"""Where the search for a trajectory starts: numbers, by simulation or between given points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from ..backends import get_backend
from ..equations import number
from ..errors import AdjointError, ModelError, NameLookupError, ShapeError, closest
from ..expr import Expr, Variable, as_expr
from ..primitive import Shape
from ..primitives.indexing import broadcast_to
from ..program import Program
from ..walk import variables_of
from .dynamics import Dynamics, with_axis
from .grid import Grid
from .shooting import integrate

__all__ = ["Guess", "first_numbers", "make_guess"]


@dataclass(frozen=True)
class Guess:
    """Numbers of all variables.

    Attributes
    ----------
    points : dict
        States where the P steps begin and where the last ends, ``(P + 1, *shape)``.
    nodes : dict
        States and algebraic variables at the nodes, ``(P, s, *shape)``; nothing where no node is an unknown.
    """

    points: Mapping[str, np.ndarray]
    nodes: Mapping[str, np.ndarray]


def make_guess(
    program: Program, dynamics: Dynamics, grid: Grid, start: Mapping[str, Expr], z: Mapping[str, Expr], guess: Any
) -> Guess:
    """The guess of a word, or of points by name.

    >>> import adjoint as adj
    >>> from adjoint.control.grid import make_grid
    >>> from adjoint.loops.tableaux import TABLEAUX
    >>> grid = make_grid([0.0, 1.0, 2.0], {}, TABLEAUX["backward-euler"], 1)
    >>> rest, start = Dynamics(lambda t, y, u: [0.0], {"x": ()}, {}), {"x": as_expr(3.0)}
    >>> m = adj.Program()
    >>> make_guess(m, rest, grid, start, {}, "simulate").points["x"].tolist()
    [3.0, 3.0, 3.0]
    >>> make_guess(m, rest, grid, start, {}, {"x": [0.0, 1.0]}).points["x"].tolist()
    [0.0, 0.5, 1.0]
    """
    if isinstance(guess, str):
        if guess != "simulate":
            raise NameLookupError(closest(guess, ["simulate"], "guess of trajectory()"))
        return _simulated(program, dynamics, grid, start, z)
    if not isinstance(guess, Mapping):
        raise ModelError(f"trajectory: guess= is 'simulate', or a dict of points by name, got {type(guess).__name__}")
    names = list(dynamics.shapes)
    for name in guess:
        if name not in names:
            raise NameLookupError(closest(name, names, "state or algebraic variable"))
    return _interpolated(program, dynamics, grid, {**start, **z}, guess)


def _simulated(
    program: Program, dynamics: Dynamics, grid: Grid, start: Mapping[str, Expr], z: Mapping[str, Expr]
) -> Guess:
    """One step after the other, with all else at its default."""
    try:
        shot = integrate(dynamics, grid, {n: with_axis(e) for n, e in start.items()}, z)
        stages = shot.stages or {}
        found = first_numbers(program, [*shot.points.values(), *stages.values()])
    except AdjointError as error:
        if isinstance(error, ModelError | ShapeError | NameLookupError):
            raise
        raise ModelError(_no_simulation(str(error))) from error
    for name, values in zip([*shot.points, *stages], found, strict=True):
        if not np.isfinite(values).all():
            raise ModelError(_no_simulation(f"{name!r} grows beyond all numbers"))
    points = found[: len(shot.points)]
    nodes = found[len(shot.points) :]
    return Guess(dict(zip(shot.points, points, strict=True)), dict(zip(stages, nodes, strict=True)))


def _no_simulation(why: str) -> str:
    return (
        "trajectory: no guess could be made by simulation, with inputs at their defaults. Give points, as in "
        f"guess={{'x': [first, last]}}; or inputs that are nearer. What happened: {why}"
    )


def _interpolated(
    program: Program, dynamics: Dynamics, grid: Grid, constant: Mapping[str, Expr], given: Mapping[str, Any]
) -> Guess:
    """Linear in time between points at equal distances; constant, where none are given."""
    names = [n for n in constant if n not in given]
    values = dict(zip(names, first_numbers(program, [constant[n] for n in names]), strict=True))
    mesh, begin, nodes = first_numbers(program, [grid.mesh, grid.t, grid.nodes])
    span = mesh[-1] - mesh[0]
    at_points, at_nodes = ((v - mesh[0]) / (span or 1.0) for v in (np.append(begin, mesh[-1]), nodes))
    points, inner = {}, {}
    for name, shape in dynamics.shapes.items():
        row = _rows(name, given[name], shape) if name in given else values[name][None]
        inner[name] = _between(row, at_nodes)
        if name in dynamics.states:
            points[name] = _between(row, at_points)
    return Guess(points, inner)


def _rows(name: str, value: Any, shape: Shape) -> np.ndarray:
    """Points in rows."""
    found = np.asarray(number(value, f"guess of {name!r}"))
    if found.shape == shape:
        return found[None]
    if found.ndim == 1 + len(shape) and found.shape[1:] == shape and found.shape[0]:
        return found
    raise ShapeError(f"the guess of {name!r} has shape {found.shape}, expected {shape}, or rows of that")


def _between(rows: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Rows at equal distances from 0 to 1, interpolated."""
    place = np.clip(along, 0.0, 1.0) * (len(rows) - 1)
    low = np.minimum(place.astype(int), max(len(rows) - 2, 0))
    high = np.minimum(low + 1, len(rows) - 1)
    part = (place - low).reshape(along.shape + (1,) * (rows.ndim - 1))
    return np.asarray((1 - part) * rows[low] + part * rows[high])


def first_numbers(program: Program, expressions: Sequence[Expr]) -> list[np.ndarray]:
    """Values of expressions with inputs at their defaults, and unknowns at their guesses.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", 2.0)
    >>> y = m.define("y", 3 * x)
    >>> float(first_numbers(m, [y + x])[0])
    8.0
    """
    definitions: dict[Variable, Expr] = {}
    waiting = variables_of(expressions)
    while waiting:
        v = waiting.pop()
        if v not in definitions:
            definitions[v] = _first(program, v)
            waiting += variables_of([definitions[v]])
    _without_cycles(program, definitions)
    with np.errstate(all="ignore"):
        function = get_backend("numpy").compile([], tuple(expressions), definitions)
        return [np.array(value, dtype=float) for value in function()]


def _first(program: Program, v: Variable) -> Expr:
    """What a variable is, before anything is solved."""
    if v in program.inputs:
        if program.inputs[v] is None:
            raise ModelError(f"trajectory: the guess needs a value of the input {v.name!r}: give it a default")
        return as_expr(program.inputs[v])
    if v in program.guesses:
        return as_expr(program.guesses[v])
    equation = program.equations.get(v.name)
    return _default(program, v) if equation is None or equation.target is not v else equation.expr


def _default(program: Program, v: Variable) -> Expr:
    """1, moved into the bounds."""
    low, high = program.bounds.get(v, (None, None))
    value = np.clip(1.0, -np.inf if low is None else low, np.inf if high is None else high)
    return broadcast_to(as_expr(value), v.shape)


def _without_cycles(program: Program, definitions: dict[Variable, Expr]) -> None:
    """Of definitions that need each other, one becomes a number."""
    while True:
        try:
            TopologicalSorter({v: variables_of([e]) for v, e in definitions.items()}).prepare()
            return
        except CycleError as error:
            v = error.args[1][0]
            definitions[v] = _default(program, v)
