"""Problems and models as ``.nl`` files."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..problem import FORMATS, Problem
from .emit import model_binary, model_text
from .full_space import full_space
from .layout import layout
from .model import Model
from .sol import SolFile

__all__ = ["named_solution", "problem_model", "write_model", "write_nl"]


def write_nl(problem: Problem, path: Any, *, binary: bool = False, names: bool = True) -> None:
    """Write a problem as an AMPL ``.nl`` file, in full space.

    What the problem optimizes over, and the unknowns of cycles and implicit equations, are the variables of the file;
    the equations of those unknowns are equality constraints beside the problem's own. Explicit equations outside of
    cycles become defined variables of the file, where objective or constraints need them; so do large expressions that
    are used more than once. ``linalg.solve`` becomes variables and equations of its own.

    Parameters
    ----------
    problem : Problem
    path : path
        With or without the ending ``.nl``.
    binary : bool
        The binary form of the file instead of text.
    names : bool
        Write the names of the variables to ``.col``, those of the constraints and the objective to ``.row``.

    Raises
    ------
    UnsupportedError
        The equation named there uses an operation that AMPL does not have: a black box, erf, the gamma function.

    >>> import tempfile, adjoint as adj
    >>> m = adj.Program()
    >>> x, y = m.input("x", 2.0), m.input("y", 2.0)
    >>> problem = adj.Problem(m, minimize=x**2 + y**2, over=["x", "y"], subject_to={"line": x + 3 * y >= 2})
    >>> path = Path(tempfile.mkdtemp()) / "point.nl"
    >>> write_nl(problem, path)
    >>> path.with_suffix(".row").read_text().split()
    ['line', 'objective']
    """
    if not isinstance(problem, Problem):
        raise ModelError(f"write_nl() takes a Problem, got {type(problem).__name__}")
    write_model(problem_model(problem), path, binary=binary, names=names)


def problem_model(problem: Problem) -> Model:
    """What the file of a problem says.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", 2.0)
    >>> model = problem_model(adj.Problem(m, maximize=3 - x**2, subject_to=[2 * x <= 1]))
    >>> model.n_var, model.n_nonlinear_con, model.con_linear.coef.tolist()
    (1, 0, [2.0])
    """
    return layout(full_space(problem), problem.program.name, problem.maximize, problem.objective.name).model


def named_solution(problem: Problem, sol: SolFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of variables, and the multipliers of constraints and equations, that a solver found, by name.

    Parameters
    ----------
    problem : Problem
        As it was written by :func:`write_nl`.
    sol : SolFile
        What the solver said of that file.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x, y = m.input("x", 2.0), m.input("y", [2.0, 2.0])
    >>> problem = adj.Problem(m, minimize=x + np.sum(y**2), subject_to={"line": x + y[0] >= 2})
    >>> named_solution(problem, SolFile(primal=[0.5, 0.0, 1.5], dual=[1.0]))  # in the order of the file: y, then x
    ({'x': 1.5, 'y': array([0.5, 0. ])}, {'line': 1.0})
    """
    space = full_space(problem)
    order = layout(space, "", problem.maximize, "")
    out: list[dict[str, Any]] = []
    for values, rows, places in (
        (sol.primal, space.variables, order.variables),
        (sol.dual, space.constraints, order.constraints),
    ):
        if values is not None and values.size != places.size:
            raise ModelError(f"the solution has {values.size} values for {places.size} variables or constraints")
        flat = np.empty(places.size)
        flat[places] = np.nan if values is None else values
        ends = np.cumsum([math.prod(shape) for _, shape in rows.groups])
        parts = np.split(flat, ends[:-1]) if rows.groups else []
        named = [] if values is None else zip(rows.groups, parts, strict=True)
        out.append({n: part.reshape(shape) if shape else float(part[0]) for (n, shape), part in named})
    return out[0], out[1]


def write_model(model: Model, path: Any, *, binary: bool = False, names: bool = True) -> None:
    """Write what a file says to a file."""
    path = Path(path)
    if path.suffix != ".nl":
        path = path.with_name(path.name + ".nl")
    if not names:
        model = replace(model, var_names=None, con_names=None, obj_names=None)
    path.write_bytes(model_binary(model) if binary else model_text(model))
    if model.var_names is not None:
        _write_lines(path.with_suffix(".col"), model.var_names)
    if model.con_names is not None:
        _write_lines(path.with_suffix(".row"), [*model.con_names, *(model.obj_names or [])])


def _write_lines(path: Path, names: Iterable[str]) -> None:
    path.write_text("".join(" ".join(name.split()) + "\n" for name in names), encoding="utf-8", newline="\n")


FORMATS["nl"] = write_nl
