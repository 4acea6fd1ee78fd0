"""Reduced space, full space, or a choice for each block.

In the *reduced* space the equations of a block are eliminated: solved at every point, differentiated by their
multipliers. In the *full* space they are constraints, and their unknowns are variables of the optimizer: the equations
hold at the optimum only. Both have the same optimum and the same multipliers, since the multipliers of the full space
are those of the program's Lagrangian.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...analysis import BlockInfo
from ...equations import Equation
from ...errors import ModelError, NameLookupError, closest
from ...expr import Variable

__all__ = ["Kept", "chosen"]

REDUCED, FULL = "reduced", "full"


@dataclass(frozen=True)
class Kept:
    """Equations that become constraints, and the unknowns that they would determine, in solve order."""

    equations: tuple[Equation, ...]
    unknowns: tuple[Variable, ...]


def chosen(problem: Any, formulation: str | Mapping[str, str]) -> Kept:
    """What a formulation keeps as constraints.

    Parameters
    ----------
    problem : Problem
    formulation : "reduced", "full", or dict
        A dict says it by block: keys are names of blocks (``m.blocks()``), or of an equation or unknown in them, values
        "reduced" or "full"; blocks without an entry are reduced.

    Raises
    ------
    ModelError, NameLookupError
        Another word; a name that no block has.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.unknown("y", guess=1.0)
    >>> _ = m.constrain(y**2 == m.input("x", 4.0), name="square")
    >>> f = m.define("f", y)
    >>> problem = adj.Problem(m, minimize="f", over={"x": (1, 9)})
    >>> [e.name for e in chosen(problem, "full").equations], chosen(problem, {"y": "full"}).unknowns == (y,)
    (['square'], True)
    """
    blocks = _blocks(problem)
    if isinstance(formulation, Mapping):
        names = {}
        for k, block in enumerate(blocks):
            names[block.name] = k
            names.update(dict.fromkeys([e.name for e in block.equations] + [v.name for v in block.unknowns], k))
        full = set()
        for name, word in formulation.items():
            if name not in names:
                raise NameLookupError(closest(name, names, "block"))
            if _word(word) == FULL:
                full.add(names[name])
        picked = [b for k, b in enumerate(blocks) if k in full]
    else:
        picked = _relevant(problem, blocks) if _word(formulation) == FULL else []
    return Kept(tuple(e for b in picked for e in b.equations), tuple(v for b in picked for v in b.unknowns))


def _word(word: Any) -> str:
    if word not in (REDUCED, FULL):
        raise ModelError(
            f"formulation is 'reduced', 'full', or a dict {{block: 'reduced' or 'full'}}, not {word!r:.60}"
        )
    return str(word)


def _blocks(problem: Any) -> tuple[BlockInfo, ...]:
    program = problem.program
    given = tuple(v for v in problem.variables if v not in program.inputs)
    return program.plan(given).analysis.blocks  # type: ignore[no-any-return]


def _relevant(problem: Any, blocks: tuple[BlockInfo, ...]) -> list[BlockInfo]:
    """The blocks that the objective or a constraint depends on. Explicit equations of nothing but the objective or a
    constraint are functions, as they stand: no variable is made for their value."""
    ends = {problem.objective, *problem.constrained.values()}
    incidence = {e: set(e.variables) for b in blocks for e in b.equations}
    used = {v for inside in incidence.values() for v in inside}
    needed: set[Variable] = set(ends)
    picked = []
    for block in reversed(blocks):
        if not needed.intersection(block.unknowns):
            continue
        for e in block.equations:
            needed |= incidence[e]
        if block.kind == "explicit" and not used.intersection(block.unknowns):
            continue
        picked.append(block)
    return picked[::-1]
