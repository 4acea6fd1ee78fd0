"""A formulation taken apart: rows of equations and constraints, terms of the objective, and what each depends on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...errors import ModelError
from ...expr import Expr, Variable
from ..formulations import Formulation
from .elements import needed
from .incidence import incidence
from .terms import Term, terms_of

__all__ = ["Group", "Parts", "parts_of"]


@dataclass(frozen=True)
class Group:
    """The rows of an equation or a constraint, or of a term of the objective (which has a weight, and no sides).

    Attributes
    ----------
    first : int
        Number of its first row; those of terms come after all others.
    """

    name: str
    expr: Expr
    first: int
    weight: float | None = None

    @property
    def stop(self) -> int:
        return self.first + self.expr.size


@dataclass(frozen=True)
class Parts:
    """What a nonlinear program is made of, as expressions.

    Attributes
    ----------
    nlp : Formulation
    groups : list of Group
    definitions : dict
        Variables that are neither moved nor given, with their expressions.
    constant : float
        What the objective has beside its terms.
    """

    nlp: Formulation
    groups: list[Group]
    definitions: dict[Variable, Expr]
    constant: float

    @property
    def size(self) -> int:
        """Number of rows, terms included."""
        return self.groups[-1].stop if self.groups else 0

    @cached_property
    def incidence(self) -> Any:
        """Rows and terms × elements of the variables, sparse."""
        return incidence([g.expr for g in self.groups], self.nlp.variables, self.definitions)

    @cached_property
    def starts(self) -> dict[Variable, int]:
        """Where each variable starts in the vector."""
        ends = np.cumsum([0, *(v.size for v in self.nlp.variables)])
        return dict(zip(self.nlp.variables, ends.tolist(), strict=False))

    def value(self, v: Variable) -> np.ndarray:
        """The value of an input that is not moved, flat."""
        given = self.nlp.values.get(v.name, self.nlp.problem.program.inputs.get(v))
        if given is None:
            raise ModelError(f"no value for the input {v.name!r}: give values={{...}} or a default")
        return np.broadcast_to(np.asarray(given, dtype=float), v.shape).reshape(-1)


def parts_of(nlp: Formulation) -> Parts:
    """The rows and terms of a formulation.

    Raises
    ------
    ModelError
        The formulation eliminates equations that need each other, or that are implicit: those have no expression to
        put in their place.
    """
    program = nlp._program
    kept = {e.name for e in nlp.kept.equations}
    definitions = {
        e.target: e.expr for e in program.equations.values() if e.target is not None and e.target.name not in kept
    }
    _require_acyclic(nlp, definitions)
    groups, at = [], 0
    for (name, size), output in zip(nlp.rows, nlp._outputs[1:], strict=True):
        expr = definitions[program[output]] if program[output] in definitions else program[output]
        groups.append(Group(name, expr, at))
        at += size
    objective = program[nlp._outputs[0]]
    terms, constant = terms_of(objective, definitions)
    for term in terms:
        groups.append(_term(nlp, term, at))
        at += term.expr.size
    parts = Parts(nlp, groups, definitions, constant)
    known = {*nlp.variables, *program.inputs, *definitions}
    roots = [(g.expr, np.arange(g.expr.size)) for g in groups]
    for v in needed(roots, definitions):
        if isinstance(v, Variable) and v not in known:
            raise ModelError(
                f"{v.name!r} is determined by an implicit equation that the formulation eliminates: keep it, with "
                "formulation='full'"
            )
    return parts


def _term(nlp: Formulation, term: Term, at: int) -> Group:
    return Group(nlp.problem.objective.name, term.expr, at, nlp.sign * term.weight)


def _require_acyclic(nlp: Formulation, definitions: dict[Variable, Expr]) -> None:
    """A cycle among definitions cannot be substituted."""
    for block in nlp._function._shared.plan.analysis.blocks:
        if block.kind == "explicit":
            continue
        inside = [v.name for v in block.unknowns if v in definitions]
        for v in block.unknowns:
            definitions.pop(v, None)
        outputs = {nlp._program[o] for o in nlp._outputs}
        if inside and outputs.intersection(block.unknowns):
            raise ModelError(f"{', '.join(inside)} need each other: keep their equations, with formulation='full'")
