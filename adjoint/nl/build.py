"""A problem from what an AMPL ``.nl`` file says.

The program has one input, the vector x of all variables; vectors of defined variables, ``defined_1``, ``defined_2``, …,
each of which needs only earlier ones; the vector of the constraints' bodies; and the objective.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np

from ..errors import ModelError
from ..expr import Expr, Variable
from ..primitives.indexing import reshape
from ..problem import Constraint, Problem
from ..program import Program
from .bodies import Bodies
from .levels import levels
from .model import Linear, Model
from .read import read_model
from .supported import check_supported, constraint_name, variable_name
from .trees import Index, Trees, ranges
from .vectors import Vectors

__all__ = ["problem_from_model", "read_nl"]

logger = logging.getLogger(__name__)


def read_nl(path: str | os.PathLike[str], *, objective: int | str = 0, relax: bool = False) -> Problem:
    """An AMPL ``.nl`` file, text or binary, as a problem.

    Parameters
    ----------
    path : str or path
        Names of variables and constraints are read from the ``.col`` and ``.row`` files beside it, if there are any.
    objective : int or str
        Which one, by number from 0 or by name, where the file has several.
    relax : bool
        Read models with integer variables, complementarity and logical constraints without these conditions, rather
        than refuse them. What was left out is logged, and listed in ``problem.relaxed``.

    Returns
    -------
    Problem
        Over ``x``, with the constraints ``"constraints"`` and the objective ``"objective"``. ``problem.source`` is the
        :class:`~adjoint.nl.model.Model`, with all that the file says.

    Raises
    ------
    FileFormatError
        The file is not a ``.nl`` file, or is damaged.
    UnsupportedError
        It has what a continuous problem cannot have.

    >>> import tempfile
    >>> import adjoint as adj
    >>> m = adj.Program("small")
    >>> x = m.input("x", [1.0, 2.0])
    >>> problem = adj.Problem(m, minimize=x[0] ** 2 + x[1] ** 4, subject_to={"area": x[0] * x[1] >= 1})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     problem.write_nl(f"{folder}/small.nl")
    ...     again = adj.read_nl(f"{folder}/small.nl")
    >>> again.labels
    {'x': ['x[0]', 'x[1]'], 'constraints': ['area']}
    >>> again.program.solve().gradient("objective")["x"].tolist()
    [2.0, 32.0]
    """
    return problem_from_model(read_model(path), objective=objective, relax=relax)


def problem_from_model(model: Model, *, objective: int | str = 0, relax: bool = False) -> Problem:
    """The problem of a file's content; the parameters are those of :func:`read_nl`."""
    number = _objective(model, objective)
    relaxed = check_supported(model, number, relax)
    for condition in relaxed:
        logger.warning("%s: %s", model.source or model.name, condition)
    m = Program(model.name or "model")
    x = m.input("x", model.x0)
    labels = {} if model.var_names is None else {"x": model.var_names}
    bodies = Bodies(Trees.of(model), Vectors(x, model.n_var + model.n_defined), model.piecewise)
    labels |= _define_variables(m, model, bodies)
    constraints = {}
    if model.n_con:
        body = _vector(bodies, model.con_expr, model.con_linear, np.arange(model.n_con))
        holder = m.define("constraints", reshape(body, (model.n_con,)))
        constraints["constraints"] = _bounded(model, holder)
        if model.con_names is not None:
            labels["constraints"] = model.con_names
    sense: dict[str, Any] = {"minimize": 0}
    if number is not None:
        goal = m.define("objective", _vector(bodies, model.obj_expr, model.obj_linear, np.array([number])))
        sense = {"maximize" if model.obj_maximize[number] else "minimize": goal}
    problem = Problem(m, over={"x": _bounds(model)}, subject_to=constraints, labels=labels, **sense)
    problem.source = model
    problem.relaxed = relaxed
    return problem


def _vector(bodies: Bodies, expr: Index, linear: Linear, which: Index) -> Expr:
    """The values of some expressions with their linear parts."""
    begin, length = linear.start[which], linear.start[which + 1] - linear.start[which]
    at = ranges(begin, length)
    at = at[linear.coef[at] != 0.0]  # zeros say where the nonlinear part depends on a variable
    rows = np.repeat(np.arange(which.size), length)
    if at.size < rows.size:
        rows = rows[linear.coef[ranges(begin, length)] != 0.0]
    return bodies.sums(expr[which, 0], expr[which, 1], (rows, linear.var[at], linear.coef[at]))


def _define_variables(m: Program, model: Model, bodies: Bodies) -> dict[str, list[str]]:
    """Equations for the defined variables, by level; what their elements are called in the file."""
    labels = {}
    for k, which in enumerate(levels(model), start=1):
        body = _vector(bodies, model.defined_expr, model.defined_linear, which)
        variable = m.define(f"defined_{k}", body)
        bodies.vectors.enter(model.n_var + which, variable)
        labels[variable.name] = [f"V{model.n_var + i}" for i in which.tolist()]
    return labels


def _objective(model: Model, objective: int | str) -> int | None:
    """The number of the objective to take; None where there is none."""
    names = model.obj_names
    if isinstance(objective, str):
        if names is None or objective not in names:
            known = "no names of objectives" if names is None else f"the objectives {', '.join(names)}"
            raise ModelError(f"objective={objective!r}: {model.source or model.name} has {known}")
        return names.index(objective)
    if isinstance(objective, bool) or not isinstance(objective, int | np.integer) or objective < 0:
        raise ModelError(f"objective= is a number from 0 or a name, got {objective!r:.60}")
    if objective >= max(model.n_obj, 1):
        raise ModelError(f"objective={objective}: {model.source or model.name} has {model.n_obj} objectives")
    return int(objective) if model.n_obj else None


def _bounds(model: Model) -> tuple[np.ndarray, np.ndarray]:
    crossed = np.flatnonzero(~(model.var_lower <= model.var_upper))
    if crossed.size:
        i = int(crossed[0])
        raise ModelError(
            f"variable {variable_name(model, i)}: its lower bound {model.var_lower[i]} is above its upper bound "
            f"{model.var_upper[i]}"
        )
    return model.var_lower, model.var_upper


def _bounded(model: Model, body: Variable) -> Constraint:
    crossed = np.flatnonzero(~(model.con_lower <= model.con_upper))
    if crossed.size:
        i = int(crossed[0])
        raise ModelError(
            f"constraint {constraint_name(model, i)}: its lower bound {model.con_lower[i]} is above its upper bound "
            f"{model.con_upper[i]}"
        )
    return Constraint(body, model.con_lower, model.con_upper, f"lower <= {body.name} <= upper")
