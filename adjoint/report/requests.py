"""What the options of a command ask of a program: an objective, a problem, other values of inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..equations import number
from ..errors import closest
from ..problem import Problem, between
from ..program import Program
from ..solution import Solution
from .arguments import UsageError, bounds, constraints, option_value

__all__ = ["made_problem", "objective", "options", "require_names", "set_inputs"]


def require_names(program: Program, values: Iterable[str]) -> None:
    """Refuse names in ``--set`` that a program does not have, with the closest ones.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("speed", 3.0)
    >>> require_names(m, ["sped"])
    Traceback (most recent call last):
    adjoint.report.arguments.UsageError: --set sped: no input named 'sped'; did you mean 'speed'?
    """
    for name in values:
        if name not in program:
            raise UsageError(f"--set {name}: {closest(name, [v.name for v in program.inputs], 'input')}")


def objective(program: Program, sol: Solution, asked: str | None) -> tuple[str, Any, float]:
    """The label, what to differentiate (a name or weights), and its value, from ``--of f`` or ``--of "y[2]"``.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", 2 * m.input("x", [1.0, 2.0]))
    >>> objective(m, m.solve(), "y[1]")
    ('y[1]', {'y': array([0., 1.])}, 4.0)
    """
    if asked is None:
        outputs = program.outputs
        if len(outputs) != 1:
            raise UsageError(f"choose an output with --of: {', '.join(outputs) or 'there are none'}")
        asked = outputs[0]
    element = re.fullmatch(r"(.+)\[([-\d,\s]+)\]", asked)
    if element and asked not in program and element[1] in program:
        array = np.asarray(sol[element[1]])
        weights = np.zeros(array.shape)
        try:
            weights[tuple(int(i) for i in element[2].split(",") if i.strip())] += 1.0
        except (IndexError, ValueError):
            raise UsageError(f"--of {asked}: {element[1]!r} has shape {array.shape}") from None
        if weights.sum() != 1.0:
            raise UsageError(
                f"--of {asked}: {element[1]!r} has shape {array.shape}; give one index for each axis"
            )
        return asked, {element[1]: weights}, float((weights * array).sum())
    if asked not in program:
        raise UsageError(f"--of: {closest(asked, program.variables, 'variable')}")
    shape = program[asked].shape
    if shape:
        element_names = f"{asked}[{', '.join('0' for _ in shape)}]"
        raise UsageError(
            f"--of {asked}: it has shape {shape}; a gradient is of one number, such as {element_names!r}"
        )
    return asked, asked, sol[asked]


def made_problem(
    program: Program, sense: str, name: str, over: Iterable[str] = (), subject_to: Iterable[str] = ()
) -> Problem:
    """The problem of ``--minimize name --over ... --subject-to ...``; ``sense`` is "minimize" or "maximize".

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> f = m.define("f", m.input("x", 3.0) ** 2)
    >>> made_problem(m, "minimize", "f", ["x=1:5"], ["f >= 4"]).solve().x.round(6).tolist()
    [2.0]
    """
    moved, limits = bounds(over), constraints(subject_to)
    named = [
        (f"--{sense}", name),
        *(("--over", n) for n in moved),
        *(("--subject-to", n) for n, _, _ in limits.values()),
    ]
    for option, n in named:
        if n not in program:
            raise UsageError(f"{option} {n}: {closest(n, program.variables, 'variable')}")
    subject = {label: between(lower, program[n], upper) for label, (n, lower, upper) in limits.items()}
    goal: dict[str, Any] = {sense: name}
    return Problem(program, over=moved or None, subject_to=subject, **goal)


def set_inputs(program: Program, values: Mapping[str, Any]) -> None:
    """Other defaults for inputs that the optimizer does not move.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", 3.0)
    >>> set_inputs(m, {"x": 4})
    >>> float(m.inputs[x])
    4.0
    """
    for name, value in values.items():
        v = program[name]
        if v not in program.inputs:
            raise UsageError(f"--set {name}: it is determined by the equations, and cannot be given")
        program.inputs[v] = number(value, f"--set {name}", v.shape)


def options(texts: Sequence[str]) -> dict[str, Any]:
    """Options of an optimizer by name from ``key=value``.

    >>> options(["maxiter=200", "disp=true"])
    {'maxiter': 200, 'disp': True}
    """
    out = {}
    for text in texts:
        key, sign, right = text.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"--option {text}: expected key=value, such as --option maxiter=200")
        out[key.strip()] = option_value(right.strip())
    return out
