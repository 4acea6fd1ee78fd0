"""The structure of a system by single elements: its blocks, and the parts that cannot be determined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..analysis import element_incidence
from ..describe import counted
from ..program import Program
from ..solve import element_name
from ..structure import (
    Incidence,
    Matching,
    block_triangular_form,
    connected_parts,
    dulmage_mendelsohn,
    maximum_matching,
)
from .labels import Labels

__all__ = ["Structure", "element_structure"]

Part = tuple[list[str], list[str]]

SHOWN = 8  # names in a line
PARTS = 20  # parts in a report


@dataclass(frozen=True)
class Structure:
    """Which scalar equations can determine which scalar unknowns, and in what order.

    Attributes
    ----------
    equations, unknowns : how many
    matched : how many equations can be solved for an unknown of their own
    blocks : sizes of the blocks in solve order, where all are matched
    largest : (equations, unknowns) of the largest block, by name
    overdetermined, underdetermined : (equations, unknowns) of each part that has too many of the one or of the other
    """

    equations: int
    unknowns: int
    matched: int
    blocks: list[int]
    largest: Part
    overdetermined: list[Part]
    underdetermined: list[Part]

    @property
    def is_square(self) -> bool:
        """Whether the equations determine all unknowns."""
        return self.matched == self.equations == self.unknowns

    def lines(self) -> list[str]:
        """The structure in words."""
        out = [f"system: {counted(self.equations, 'equation')} for {counted(self.unknowns, 'unknown')}"]
        if self.is_square:
            out.append("structure: every unknown is determined")
        else:
            out.append(f"structure: the equations determine {self.matched} of {counted(self.unknowns, 'unknown')}")
        if self.blocks:
            together = sum(size for size in self.blocks if size > 1)
            out.append(f"blocks: {len(self.blocks)}, the largest of {counted(max(self.blocks), 'equation')}")
            if together:
                out.append(f"  {counted(together, 'equation')} in blocks of more than one")
            if max(self.blocks) > 1:
                out.append(f"  largest: {_some(self.largest[0])} for {_some(self.largest[1])}")
        for title, parts in (("over-determined", self.overdetermined), ("under-determined", self.underdetermined)):
            for eqs, vs in parts[:PARTS]:
                left, right = counted(len(eqs), "equation"), counted(len(vs), "unknown")
                out.append(f"{title}: {left} ({_some(eqs)}) for {right} ({_some(vs)})")
            if len(parts) > PARTS:
                out.append(f"{title}: … {len(parts) - PARTS} more parts")
        return out


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN]) or "none"
    return shown + (f", … {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def element_structure(program: Program, labels: Labels) -> Structure:
    """The structure of the equations of a program, element by element.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.unknown("x", shape=3)
    >>> _ = m.constrain(adj.array([x[0] + x[1] - 3, x[0] - x[1] - 1, x[2] - x[0] ** 2]), "balance")
    >>> print("\\n".join(element_structure(m, Labels(m, {"x": ["a", "b", "c"]})).lines()))
    system: 3 equations for 3 unknowns
    structure: every unknown is determined
    blocks: 2, the largest of 2 equations
      2 equations in blocks of more than one
      largest: balance[0], balance[1] for a, b
    """
    equations, unknowns = list(program.equations.values()), program.unknowns
    rows, cols, n_rows, n_cols = element_incidence(equations, unknowns)
    graph = Incidence.from_coo(rows, cols, (n_rows, n_cols))
    matching = maximum_matching(graph)
    row_names, col_names = _Names(equations, labels), _Names(unknowns, labels)
    blocks: list[int] = []
    largest: Part = ([], [])
    over: list[Part] = []
    under: list[Part] = []
    if matching.is_perfect and n_rows == n_cols:
        form = block_triangular_form(graph, matching)
        blocks = form.block_sizes.tolist()
        if blocks:
            k = int(np.argmax(form.block_sizes))
            largest = row_names.of(form.rows(k)), col_names.of(form.cols(k))
    else:
        over, under = _singular_parts(graph, matching, row_names, col_names)
    return Structure(n_rows, n_cols, matching.size, blocks, largest, over, under)


def _singular_parts(
    graph: Incidence, matching: Matching, row_names: _Names, col_names: _Names
) -> tuple[list[Part], list[Part]]:
    parts = dulmage_mendelsohn(graph, matching)
    found = []
    for rows, cols in (
        (parts.overdetermined_rows, parts.overdetermined_cols),
        (parts.underdetermined_rows, parts.underdetermined_cols),
    ):
        named = [(row_names.of(r), col_names.of(c)) for r, c in connected_parts(graph, rows, cols)]
        found.append(sorted(named, key=lambda part: -len(part[0]) - len(part[1])))
    return found[0], found[1]


class _Names:
    """Names of the elements of items that stand one after the other."""

    def __init__(self, items: Sequence[Any], labels: Labels) -> None:
        self.items, self.labels = items, labels
        self.begin = np.cumsum([0, *(item.size for item in items)])

    def of(self, places: Any) -> list[str]:
        """Names of the elements at some places."""
        out = []
        for k in np.asarray(places).tolist():
            i = int(np.searchsorted(self.begin, k, side="right")) - 1
            item, own = self.items[i], k - int(self.begin[i])
            known = self.labels.labels.get(item.name)
            out.append(element_name(item, own) if known is None else known[own])
        return out
