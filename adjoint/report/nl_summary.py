"""What a ``.nl`` file holds and how it is built: sizes, kinds of variables, patterns, blocks, singular parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..describe import counted
from ..nl.model import Model
from ..nl.trees import Trees, numbered
from ..problem import Problem
from ..system import equality_system
from .json_ import plain
from .labels import Labels
from .structure import Structure, element_structure

__all__ = ["NLSummary", "summary"]

ONE = {"equations": "equation", "inequalities": "inequality", "ranges": "range"}


@dataclass(frozen=True)
class NLSummary:
    """A report on a ``.nl`` file.

    Attributes
    ----------
    ok : whether no equations contradict or repeat each other by their structure; of a system also whether it is square
    name : of the model
    objective : "minimize", "maximize" or "none" (also where it is a constant)
    variables, constraints : numbers of each kind
    nonzeros : of the Jacobian of the constraints and of the gradient of the objectives, as the file counts them
    expressions : of constraints, objectives and defined variables that are not linear; ``patterns`` of them differ
    is_system : whether there are equations only, as many as variables that are not fixed, and no objective
    structure : of the equality constraints, with the equations of defined variables
    relaxed : conditions of the file that are left out
    """

    ok: bool
    name: str
    objective: str
    variables: dict[str, int]
    constraints: dict[str, int]
    nonzeros: dict[str, int]
    expressions: dict[str, int]
    patterns: dict[str, int]
    is_system: bool
    structure: Structure
    relaxed: tuple[str, ...]

    def __str__(self) -> str:
        v, c, n = self.variables, self.constraints, self.nonzeros
        lines = [
            f"model {self.name!r}: {counted(v['total'], 'variable')}, {counted(c['total'], 'constraint')}, "
            + ("no objective" if self.objective == "none" else self.objective),
            f"variables: {_kinds(v)}",
            f"constraints: {_kinds(c)}",
            f"nonzeros: {n['constraints']} in the constraints, {n['objectives']} in the objectives",
        ]
        for kind, number in self.expressions.items():
            if number:
                words = counted(number, "nonlinear expression")
                lines.append(f"patterns: {words} of {kind} in {counted(self.patterns[kind], 'pattern')}")
        lines += self.structure.lines() if self.is_system else self._freedom()
        lines += [f"relaxed: {words}" for words in self.relaxed]
        return "\n".join(lines)

    def _freedom(self) -> list[str]:
        """How much the equations leave to choose."""
        s = self.structure
        lines = [
            f"equations: {s.equations} for {counted(s.unknowns, 'variable')}, defined ones among them",
            f"degrees of freedom: {s.unknowns - s.matched}",
        ]
        return lines + [line for line in s.lines() if line.startswith("over-determined")]

    @property
    def data(self) -> dict[str, Any]:
        """The same as plain data."""
        out = plain(self)
        return {"program": out.pop("name"), "success": self.ok, **out}


def _kinds(numbers: dict[str, int]) -> str:
    found = [f"{n} {ONE.get(kind, kind) if n == 1 else kind}" for kind, n in numbers.items() if n and kind != "total"]
    return ", ".join(found) or "none"


def summary(problem: Problem) -> NLSummary:
    """The report on a problem that was read from a ``.nl`` file."""
    model: Model = problem.source
    program, labels = equality_system(problem)
    if problem.objective.name in program.equations:
        program = _without(program, problem.objective.name)
    structure = element_structure(program, Labels(program, labels))
    is_system = problem.is_feasibility and _is_system(model)
    expressions, patterns = _patterns(model)
    sense = "none" if problem.is_feasibility else "maximize" if problem.maximize else "minimize"
    return NLSummary(
        ok=structure.is_square if is_system else not structure.overdetermined,
        name=problem.program.name,
        objective=sense,
        variables=_variables(model),
        constraints=_constraints(model),
        nonzeros={"constraints": int(model.con_linear.var.size), "objectives": int(model.obj_linear.var.size)},
        expressions=expressions,
        patterns=patterns,
        is_system=is_system,
        structure=structure,
        relaxed=problem.relaxed,
    )


def _without(program: Any, name: str) -> Any:
    """A program without an output: the objective is no equation of the system."""
    if any(program[name] is v for e in program.equations.values() for v in e.variables):
        return program
    smaller = program.extended()
    del smaller.variables[name], smaller.equations[name]
    return smaller


def _is_system(model: Model) -> bool:
    """Whether there are equations only, as many as variables that are not fixed."""
    free = np.count_nonzero(model.var_lower != model.var_upper)
    return bool(model.n_con == free and (model.con_lower == model.con_upper).all())


def _variables(model: Model) -> dict[str, int]:
    """Variables by where they are nonlinear, and by their bounds."""
    in_constraints, in_objectives, in_both = model.nonlinear_vars
    only_objectives = max(0, in_objectives - in_constraints)
    nonlinear = in_constraints + only_objectives
    low, high = np.isfinite(model.var_lower), np.isfinite(model.var_upper)
    fixed = model.var_lower == model.var_upper
    return {
        "total": model.n_var,
        "nonlinear in constraints and objectives": in_both,
        "nonlinear in constraints": in_constraints - in_both,
        "nonlinear in objectives": only_objectives,
        "linear": model.n_var - nonlinear,
        "integer": int(np.count_nonzero(model.integer)),
        "fixed": int(np.count_nonzero(fixed)),
        "bounded": int(np.count_nonzero((low | high) & ~fixed)),
        "free": int(np.count_nonzero(~low & ~high)),
        "defined": model.n_defined,
    }


def _constraints(model: Model) -> dict[str, int]:
    low, high = np.isfinite(model.con_lower), np.isfinite(model.con_upper)
    equal = model.con_lower == model.con_upper
    return {
        "total": model.n_con,
        "nonlinear": model.n_nonlinear_con,
        "linear": model.n_con - model.n_nonlinear_con,
        "equations": int(np.count_nonzero(equal)),
        "inequalities": int(np.count_nonzero((low ^ high) & ~equal)),
        "ranges": int(np.count_nonzero(low & high & ~equal)),
        "free": int(np.count_nonzero(~low & ~high)),
    }


def _patterns(model: Model) -> tuple[dict[str, int], dict[str, int]]:
    """Nonlinear expressions of each kind, and how many of them differ in more than numbers and variables."""
    trees = Trees.of(model)
    expressions, patterns = {}, {}
    for kind, places in (
        ("constraints", model.con_expr),
        ("objectives", model.obj_expr),
        ("defined variables", model.defined_expr),
    ):
        begin, end = places[np.diff(places, axis=1)[:, 0] > 1].T
        keys = trees.structure(begin, end) ^ (end - begin).astype(np.uint64)
        expressions[kind], patterns[kind] = begin.size, numbered(keys)[1].size
    return expressions, patterns
