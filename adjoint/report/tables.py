"""Solutions, gradients, optima and structures as tables of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..problem import Problem
from ..program import Program
from ..solution import Solution
from .optimum import Entry, by_element, entries
from .text import array_text, number, plural, shape_text, shorten, small, table

__all__ = ["block_table", "gradient_text", "result_text", "solution_text", "value_table"]


def value_table(
    named: Mapping[str, Any], titles: Sequence[str] = ("name", "value"), most: int | None = None
) -> str:
    """Names and values; arrays with their shape, smallest and largest element, and first values.

    >>> print(value_table({"a": 2.0, "b": [1.0, -4.0, 2.5, 0.0, 9.0]}))
    name  value                shape  min  max
    a     2
    b     [1, -4, 2.5, 0, …]   5      -4    9
    """
    rows, arrays = [], False
    for name, value in named.items():
        array = np.asarray(value, dtype=float)
        row = [shorten(name), array_text(array), shape_text(array.shape)]
        if array.shape:
            arrays = True
            row += [number(array.min(), 6), number(array.max(), 6)] if array.size else ["", ""]
        else:
            row += ["", ""]
        rows.append(row)
    if arrays:
        return table([*titles, "shape", "min", "max"], rows, "l.l..", most)
    return table(titles, [row[:2] for row in rows], "l.", most)


def block_table(sol: Solution, most: int | None = None) -> str:
    """How each block was solved, in solve order.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", 2 * m.input("x", 3.0))
    >>> print(block_table(m.solve()))
    block  kind      size  iterations  residual  method
    y      explicit     1           0         0  evaluated
    """
    rows = [
        [shorten(b.name), b.kind, str(b.size), str(b.iterations), small(b.residual), b.method]
        for b in sol.blocks
    ]
    return table(["block", "kind", "size", "iterations", "residual", "method"], rows, "llrrrl", most)


def solution_text(
    program: Program, sol: Solution, most: int | None = None, elements: Mapping[str, float] | None = None
) -> str:
    """The tables of a solution: its blocks, then its inputs and unknowns; or elements of its unknowns by name.

    >>> import adjoint as adj
    >>> m = adj.Program("double")
    >>> y = m.define("y", 2 * m.input("x", 3.0))
    >>> print(solution_text(m, m.solve()))
    double: All equations were evaluated.
    <BLANKLINE>
    block  kind      size  iterations  residual  method
    y      explicit     1           0         0  evaluated
    <BLANKLINE>
    input  value
    x      3
    <BLANKLINE>
    unknown  value
    y        6
    """
    parts = [f"{program.name}: {sol.message}", block_table(sol, most)]
    if elements is not None:
        return "\n\n".join([*parts, value_table(elements, ("variable", "value"), most)])
    inputs = {v.name: sol[v.name] for v in program.inputs}
    unknowns = {v.name: sol[v.name] for v in program.unknowns}
    if inputs:
        parts.append(value_table(inputs, ("input", "value"), most))
    if unknowns:
        parts.append(value_table(unknowns, ("unknown", "value"), most))
    return "\n\n".join(parts)


def gradient_text(
    of: str,
    value: float,
    gradient: Mapping[str, Any],
    multipliers: Mapping[str, Any] | None = None,
    most: int | None = None,
) -> str:
    """The value of an objective, its gradient, and where given the multiplier of every equation.

    >>> print(gradient_text("f", 9.0, {"x": 6.0}, {"y": 0.5, "f": 1.0}))
    f = 9
    <BLANKLINE>
    input  df/dinput
    x      6
    <BLANKLINE>
    equation  multiplier
    y         0.5
    f         1
    """
    name = shorten(of, 24)
    parts = [f"{name} = {number(value, 12)}", value_table(gradient, ("input", f"d{name}/dinput"), most)]
    if multipliers is not None:
        parts.append(value_table(multipliers, ("equation", "multiplier"), most))
    return "\n\n".join(parts)


def result_text(problem: Problem, result: Any, method: str, most: int | None = None) -> str:
    """The tables of an optimum: objective, variables with their active bounds, constraints with their multipliers.

    >>> import adjoint as adj
    >>> m = adj.Program("parabola")
    >>> f = m.define("f", (m.input("x", 0.0) - 1) ** 2)
    >>> problem = adj.Problem(m, minimize="f", over={"x": (2, 5)})
    >>> print(result_text(problem, problem.solve(), "SLSQP"))
    parabola: minimize f by SLSQP
    Optimization terminated successfully
    f = 1  (1 iteration, 1 solve)
    <BLANKLINE>
    variable  value  lower  upper  active  multiplier
    x         2      2      5      lower   2
    """
    sense = "maximize" if problem.maximize else "minimize"
    name = problem.objective.name
    counts = [
        plural(int(result[key]), word)
        for key, word in (("nit", "iteration"), ("nsolves", "solve"))
        if result.get(key) is not None
    ]
    tail = f"  ({', '.join(counts)})" if counts else ""
    lines = [
        f"{problem.program.name}: {sense} {name} by {method}",
        str(result.message).strip(),
        f"{shorten(name)} = {number(result.get('fun'), 12)}{tail}",
    ]
    failed = result.get("failed_solves") or []
    if failed:
        lines.append(f"{plural(len(failed), 'solve')} failed on the way, the first {shorten(failed[0], 200)}")
    variables, constraints = (by_element(problem, found) for found in entries(problem, result))
    parts = ["\n".join(lines), _entry_table("variable", variables, most)]
    if constraints:
        parts.append(_entry_table("constraint", constraints, most))
    return "\n\n".join(parts)


def _entry_table(title: str, items: Sequence[Entry], most: int | None) -> str:
    rows = []
    for e in items:
        value = "" if e.value is None else array_text(e.value, digits=6)
        multiplier = "" if e.multiplier is None else array_text(e.multiplier, digits=6)
        rows.append([shorten(e.name), value, _bound(e.lower), _bound(e.upper), _mark(e.active), multiplier])
    return table([title, "value", "lower", "upper", "active", "multiplier"], rows, "l...l.", most)


def _bound(value: Any) -> str:
    """A bound: one number where all elements share it, nothing where there is none."""
    array = np.asarray(value, dtype=float)
    if array.size and np.all(array == array.flat[0]):
        array = array.flat[0]
    if not np.any(np.isfinite(array)):
        return ""
    return array_text(array, digits=6)


def _mark(active: Any) -> str:
    """Which bound is active; of an array, how many elements are on each."""
    if not np.shape(active):
        return str(active)
    counts = [(name, int(np.sum(active == name))) for name in ("equal", "lower", "upper")]
    return ", ".join(f"{k} {name}" for name, k in counts if k)
