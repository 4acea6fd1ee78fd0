"""A program as the step of a loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..analysis import BlockInfo
from ..errors import ModelError, NameLookupError, ShapeError, closest
from ..expr import Expr, Variable, as_expr
from ..primitives.indexing import broadcast_to
from ..program import Program
from ..rebuild import substitute
from .tracing import solve_within

__all__ = ["program_step"]


def program_step(
    program: Program,
    carry: Mapping[str, str],
    outputs: Sequence[str] = (),
    bind: Mapping[str, Any] | None = None,
) -> Callable[[Any, Any], tuple[dict[str, Any], Any]]:
    """A program, explicit or with cycles, as a step of :func:`scan`: its cycles are solved in every step.

    Carry and inputs of the scan are dicts by names of the program's inputs, as are the carry and the outputs that it
    gives. What is neither bound, nor carried, nor an input of the scan, keeps its default.

    Parameters
    ----------
    program : Program
    carry : dict
        The input that holds the old value: the variable that holds the new one. Where the new one is an unknown of a
        cycle, its search starts at the old one.
    outputs : list of names
        Variables whose values in every step are the outputs of the scan.
    bind : dict, optional
        Inputs of the program: expressions of the program that the scan is part of.

    Returns
    -------
    callable
        ``step(carry, x)``

    Examples
    --------
    Backward Euler for ``y' = −k y³``:

    >>> import numpy as np, adjoint as adj
    >>> from adjoint.loops import program_step, scan
    >>> euler = adj.Program("backward Euler")
    >>> old, k, h = euler.input("old", 1.0), euler.input("k", 1.0), 0.1
    >>> y = euler.unknown("y")
    >>> _ = euler.constrain(y == old - h * k * y**3)
    >>> m = adj.Program("decay")
    >>> rate = m.input("rate", 2.0)
    >>> step = program_step(euler, carry={"old": "y"}, outputs=["y"], bind={"k": rate})
    >>> end, path = scan(step, {"old": 1.0}, length=20)
    >>> _ = m.define("end", end["old"])
    >>> sol = m.solve()
    >>> round(sol["end"], 6), round(sol.gradient("end", wrt="rate"), 6)
    (0.345077, -0.073723)
    """
    if not isinstance(program, Program):
        raise ModelError(f"program_step() takes a Program, got {type(program).__name__}")
    bound = {name: as_expr(value) for name, value in (bind or {}).items()}
    _check_names(program, carry, outputs, bound)

    def step(state: Any, x: Any) -> tuple[dict[str, Any], Any]:
        given = {**bound, **_by_name(state, "the carry"), **_by_name(x, "xs")}
        new = _inputs(program, given)
        starts = {program[after]: new[program[before]] for before, after in carry.items()}
        for block in program.plan().analysis.blocks:
            if block.kind == "explicit":
                for v, e in zip(block.unknowns, block.equations, strict=True):
                    new[v] = substitute([e.expr], new)[0]
            else:
                _solve_block(program, block, new, starts)
        rows = {name: new[program[name]] for name in outputs}
        return {before: new[program[after]] for before, after in carry.items()}, rows or None

    return step


def _check_names(program: Program, carry: Any, outputs: Any, bound: Mapping[str, Expr]) -> None:
    if not isinstance(carry, Mapping) or isinstance(outputs, str):
        raise ModelError("program_step() takes carry={'old': 'new'} and a list of names as outputs=")
    for name in (*carry, *bound):
        if program[name] not in program.inputs:
            raise ModelError(f"{name!r} is not an input of {program.name!r}: only inputs are carried or bound")
    for before, after in carry.items():
        if program[before].shape != program[after].shape:
            raise ShapeError(
                f"the carry {before!r} has shape {program[before].shape}, {after!r} has {program[after].shape}"
            )
    for name in outputs:
        program[name]


def _by_name(tree: Any, what: str) -> dict[str, Any]:
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ModelError(f"{what} of a scan over a program is a dict by names of its inputs, not {type(tree).__name__}")
    return tree


def _inputs(program: Program, given: Mapping[str, Any]) -> dict[Expr, Expr]:
    names = [v.name for v in program.inputs]
    for name in given:
        if name not in names:
            raise NameLookupError(closest(name, names, f"input of {program.name!r}"))
    new: dict[Expr, Expr] = {}
    for v, default in program.inputs.items():
        value = given.get(v.name, default)
        if value is None:
            raise ModelError(f"no value for the input {v.name!r} of {program.name!r}: bind it, or carry it")
        new[v] = broadcast_to(as_expr(value), v.shape)
    return new


def _solve_block(program: Program, block: BlockInfo, new: dict[Expr, Expr], starts: Mapping[Variable, Expr]) -> None:
    own = set(block.unknowns)
    unknowns = tuple(Variable(v.name, v.shape) for v in block.unknowns)
    guesses: dict[Expr, Expr] = {}
    for v in block.unknowns:
        if v in starts:
            guesses[v] = starts[v]
        elif v in program.guesses:
            guesses[v] = broadcast_to(as_expr(program.guesses[v]), v.shape)
    for e in block.equations:  # unknowns without a guess start at their definitions, at the other guesses
        if e.target in own and e.target not in guesses and guesses:
            guesses[e.target] = substitute([e.expr], {**new, **guesses})[0]
    start = [broadcast_to(guesses.get(v, as_expr(1.0)), v.shape) for v in block.unknowns]
    inside: dict[Expr, Expr] = {v: broadcast_to(as_expr(1.0), v.shape) for v in block.unknowns}
    start = substitute(start, inside)
    new.update(zip(block.unknowns, unknowns, strict=True))
    residuals = substitute([e.residual for e in block.equations], new)
    bounds = {u: program.bounds[v] for u, v in zip(unknowns, block.unknowns, strict=True) if v in program.bounds}
    solve_within(unknowns, residuals, start, bounds, [e.name for e in block.equations])
