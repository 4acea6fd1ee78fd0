"""Block subproblems: some rows and terms of a program, on copies of the variables that they need."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...equations import unused_name
from ...expr import Constant, Variable, constant
from ...primitives.indexing import reshape
from .elements import elements, needed
from .model import Group, Parts

__all__ = ["Block", "blocks_of"]


@dataclass(frozen=True)
class Block:
    """A block of a program as a problem of its own.

    Attributes
    ----------
    name : str
    problem : Problem
        Its variables have the names they have in the whole program, and are the elements that it needs.
    columns : ndarray
        Which elements of the program's vector its own vector holds.
    rows : dict
        By constraint of ``problem``, the numbers of its rows.
    copies : ndarray
        Places in its vector of the elements that other blocks hold too.
    """

    name: str
    problem: Any
    columns: np.ndarray
    rows: dict[str, np.ndarray]
    copies: np.ndarray


def blocks_of(parts: Parts, labels: np.ndarray, names: Sequence[str]) -> list[Block]:
    """The blocks of a program: those with rows in them."""
    picked = []
    for k, name in enumerate(names):
        roots = []
        for g in parts.groups:
            positions = np.flatnonzero(labels[g.first : g.stop] == k)
            if len(positions):
                roots.append((g, positions))
        if roots:
            picked.append((name, roots, _columns(parts, roots)))
    users = np.zeros(parts.nlp.n, dtype=int)
    for _, _, columns in picked:
        users[columns] += 1
    return [_block(parts, name, roots, columns, users[columns] > 1) for name, roots, columns in picked]


def _columns(parts: Parts, roots: list[tuple[Group, np.ndarray]]) -> np.ndarray:
    """Elements of the program's vector that rows depend on."""
    found = needed([(g.expr, p) for g, p in roots], parts.definitions)
    columns = [parts.starts[v] + found[v] for v in parts.starts if v in found]
    return np.concatenate(columns) if columns else np.zeros(0, dtype=int)


def _block(
    parts: Parts, name: str, roots: list[tuple[Group, np.ndarray]], columns: np.ndarray, shared: np.ndarray
) -> Block:
    nlp = parts.nlp
    kind = type(nlp.problem)
    program = type(nlp.problem.program)(name, nlp.problem.program.backend, nlp.problem.program.linear_solver)
    local: dict[Variable, tuple[Variable, np.ndarray]] = {}
    over: dict[str, Any] = {}
    for v, first in parts.starts.items():
        mine = columns[(columns >= first) & (columns < first + v.size)]
        if not len(mine):
            continue
        shape = v.shape if len(mine) == v.size else (len(mine),)
        local[v] = program.input(v.name, nlp.x0[mine].reshape(shape)), mine - first
        over[v.name] = (nlp.lower[mine].reshape(shape), nlp.upper[mine].reshape(shape))

    def leaf(v: Variable, positions: np.ndarray) -> Any:
        if v not in local:
            return constant(parts.value(v)[positions])
        variable, have = local[v]
        vector = reshape(variable, (variable.size,))
        return vector if len(positions) == len(have) else vector[np.searchsorted(have, positions)]

    exprs = elements([(g.expr, p) for g, p in roots], leaf, parts.definitions)
    objective: Any = 0.0
    subject_to: dict[str, Any] = {}
    rows: dict[str, np.ndarray] = {}
    for (g, p), e in zip(roots, exprs, strict=True):
        if g.weight is not None:
            objective = objective + g.weight * np.sum(e)
        elif not isinstance(e, Constant):
            label = unused_name(program, g.name, taken=subject_to)
            subject_to[label] = e == 0
            rows[label] = g.first + p
    problem = kind(program, minimize=objective, over=over, subject_to=subject_to)
    for label, numbers in rows.items():
        sides = {"lower": nlp.constraint_lower[numbers], "upper": nlp.constraint_upper[numbers]}
        problem.constraints[label] = dataclasses.replace(problem.constraints[label], **sides)
    return Block(name, problem, columns, rows, np.flatnonzero(shared))
