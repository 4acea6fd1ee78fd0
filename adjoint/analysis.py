"""Which equation determines which unknown, and in what order: the structure of a program, before any number.

Works on named variables first, with sizes; where their matching is not perfect (an array equation that
determines several unknowns, say), on single elements, from the sparsity of the equations. The graph theory
is in ``structure/``; this file translates names to numbers and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .describe import counted
from .equations import Equation, Equations
from .errors import StructureError
from .expr import Variable
from .interning import paused_collection, untrack
from .sparsity import TooDenseError, jacobian_map
from .structure import Incidence, connected_parts, dulmage_mendelsohn, maximum_matching, strong_components

__all__ = ["Analysis", "BlockInfo", "analyze", "element_incidence", "raise_structure"]

MOST_PARTS = 20  # connected parts listed in a message; the error carries all


@dataclass(frozen=True, slots=True, eq=False)
class BlockInfo:
    """Equations solved together, and the unknowns they determine.

    ``kind`` is "explicit" (evaluated) or "cycle" (solved); ``level`` counts the cycles before it.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.unknown("y", guess=1.0)
    >>> _ = m.constrain(y**2 == m.input("x", 4.0))
    >>> m.blocks()
    [<cycle_1: cycle, 1 equation, for y>]
    """

    name: str
    kind: str
    equations: tuple[Equation, ...]
    unknowns: tuple[Variable, ...]
    level: int

    def __post_init__(self) -> None:
        if untrack is not None:  # like equations, never part of a cycle of references
            untrack(self)
            untrack(self.equations)
            untrack(self.unknowns)

    @property
    def size(self) -> int:
        """Number of scalar equations."""
        return sum(e.size for e in self.equations)

    def __repr__(self) -> str:
        names = [v.name for v in self.unknowns]
        shown = ", ".join(names[:6]) + (f", … {len(names) - 6} more" if len(names) > 6 else "")
        return f"<{self.name}: {self.kind}, {counted(self.size, 'equation')}, for {shown}>"


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """The block triangular form of a program, by name."""

    blocks: tuple[BlockInfo, ...]
    incidence: dict[Equation, tuple[Variable, ...]]  # what each equation takes: all its variables but a matched target
    owner: dict[Variable, Equation]  # the equation matched to each unknown (its first, for element-wise matches)


def analyze(model: Equations, given: Iterable[Variable] = ()) -> Analysis:
    """Match equations to unknowns, and order the blocks. ``given`` unknowns count as inputs.

    Raises
    ------
    StructureError
        Where the equations cannot determine the unknowns; over- and under-determined parts by name.
    """
    given = set(given)
    equations = list(model.equations.values())
    unknowns = [v for v in model.unknowns if v not in given]
    if _is_in_order(equations, unknowns):
        with paused_collection():
            return _explicit(equations, unknowns)
    number = {v: i for i, v in enumerate(unknowns)}
    incidence = {e: e.variables for e in equations}
    pairs = _match_names(equations, unknowns, number, incidence, given)
    if pairs is None:
        pairs = _match_elements(equations, unknowns, number)
    own = {(i, j) for i, j in pairs.tolist()}
    for i, e in enumerate(equations):
        # Where an explicit equation determines another unknown, its target is a variable like any other.
        if e.target is not None and (i, number.get(e.target, -1)) not in own:
            incidence[e] = (e.target, *(v for v in e.variables if v is not e.target))
    return _order(equations, unknowns, number, incidence, pairs)


def _is_in_order(equations: Sequence[Equation], unknowns: Sequence[Variable]) -> bool:
    """Whether all equations are explicit, and each takes what those before it give: there is nothing to find then."""
    waiting = set(unknowns)
    for e in equations:
        if e.target not in waiting or not waiting.isdisjoint(e.variables):
            return False
        waiting.discard(e.target)
    return not waiting


def _explicit(equations: Sequence[Equation], unknowns: Sequence[Variable]) -> Analysis:
    """Every equation a block, in their order."""
    blocks = tuple(BlockInfo(e.name, "explicit", (e,), (e.target,), 0) for e in equations)  # type: ignore[arg-type]
    equation_of = {e.target: e for e in equations}
    return Analysis(blocks, {e: e.variables for e in equations}, {v: equation_of[v] for v in unknowns})


def _match_names(
    equations: Sequence[Equation],
    unknowns: Sequence[Variable],
    number: dict[Variable, int],
    incidence: dict[Equation, tuple[Variable, ...]],
    given: set[Variable],
) -> np.ndarray | None:
    """Pairs (equation, unknown) of equal size by a perfect matching of names; None where there is none."""
    if len(equations) != len(unknowns):
        return None
    n = len(equations)
    start = np.full(n, -1, dtype=np.int64)
    open_equations = 0
    for i, e in enumerate(equations):
        if e.target is not None and e.target not in given:
            start[i] = number[e.target]
        else:
            open_equations += 1
    if open_equations == 0:
        return np.stack([np.arange(n), start], axis=1)
    rows: list[int] = []
    cols: list[int] = []
    for i, e in enumerate(equations):
        for v in incidence[e] if e.target is None else [e.target, *incidence[e]]:
            j = number.get(v)
            if j is not None and v.size == e.size:
                rows.append(i)
                cols.append(j)
    graph = Incidence.from_coo(np.array(rows, dtype=np.int64), np.array(cols, dtype=np.int64), (n, n))
    matching = maximum_matching(graph, start)
    if not matching.is_perfect:
        return None
    return np.stack([np.arange(n), np.asarray(matching.row_to_col)], axis=1)


def element_incidence(
    equations: Sequence[Equation], unknowns: Sequence[Variable]
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Rows and columns of the structural nonzeros of all scalar equations in all scalar unknowns."""
    rows, cols = [], []
    first_col = np.concatenate([[0], np.cumsum([v.size for v in unknowns])]).astype(np.int64)
    at = {v: int(c) for v, c in zip(unknowns, first_col, strict=False)}
    row = 0
    for e in equations:
        inside = [v for v in dict.fromkeys(e.variables if e.target is None else (e.target, *e.variables)) if v in at]
        try:
            pattern = jacobian_map([e.residual], inside)
            local_rows, local_cols = pattern.indices.astype(np.int64), pattern.columns
        except TooDenseError:
            local_rows, local_cols = (p.ravel() for p in np.indices((e.size, sum(v.size for v in inside))))
        starts = np.concatenate([np.arange(at[v], at[v] + v.size) for v in inside] or [np.zeros(0, np.int64)])
        rows.append(local_rows + row)
        cols.append(starts[local_cols] if local_cols.size else local_cols)
        row += e.size
    empty = [np.zeros(0, dtype=np.int64)]
    return np.concatenate(rows or empty), np.concatenate(cols or empty), row, int(first_col[-1])


def _match_elements(
    equations: Sequence[Equation], unknowns: Sequence[Variable], number: dict[Variable, int]
) -> np.ndarray:
    """Pairs (equation, unknown) that share a matched element; StructureError where not all are matched."""
    rows, cols, n_rows, n_cols = element_incidence(equations, unknowns)
    graph = Incidence.from_coo(rows, cols, (n_rows, n_cols))
    matching = maximum_matching(graph)
    equation_of = np.repeat(np.arange(len(equations)), [e.size for e in equations])
    unknown_of = np.repeat(np.arange(len(unknowns)), [v.size for v in unknowns])
    if n_rows != n_cols or not matching.is_perfect:
        raise_structure(graph, matching, equations, unknowns)
    matched = np.asarray(matching.row_to_col)
    return np.unique(np.stack([equation_of, unknown_of[matched]], axis=1), axis=0)


def _element_names(items: Sequence[Any]) -> list[str]:
    names: list[str] = []
    for item in items:
        shape = item.shape
        if not shape:
            names.append(item.name)
        else:
            names.extend(f"{item.name}[{', '.join(map(str, k))}]" for k in np.ndindex(*shape))
    return names


def raise_structure(graph: Any, matching: Any, equations: Sequence[Equation], unknowns: Sequence[Variable]) -> None:
    """StructureError for a matching that is not perfect: the over- and under-determined parts by name."""
    parts = dulmage_mendelsohn(graph, matching)
    row_names, col_names = _element_names(equations), _element_names(unknowns)

    def named(rows: Any, cols: Any) -> list[tuple[list[str], list[str]]]:
        found = []
        for r, c in connected_parts(graph, rows, cols):
            found.append(([row_names[i] for i in r], [col_names[j] for j in c]))
        return sorted(found, key=lambda part: -len(part[0]) - len(part[1]))

    over = named(parts.overdetermined_rows, parts.overdetermined_cols)
    under = named(parts.underdetermined_rows, parts.underdetermined_cols)
    lines = [
        f"{counted(graph.n_rows, 'equation')} for {counted(graph.n_cols, 'unknown')}; "
        f"they determine {matching.size} of them."
    ]
    for title, group, advice in (
        ("Over-determined", over, "remove an equation, or make an input an unknown"),
        ("Under-determined", under, "add an equation, or make an unknown an input"),
    ):
        for eqs, vs in group[:MOST_PARTS]:
            lines.append(
                f"{title} part: {counted(len(eqs), 'equation')} ({_some(eqs)}) for {counted(len(vs), 'unknown')} "
                f"({_some(vs)}): {advice}."
            )
        if len(group) > MOST_PARTS:
            lines.append(f"{title}: … {len(group) - MOST_PARTS} more parts.")
    raise StructureError("\n".join(lines), over, under)


def _some(names: Sequence[str], most: int = 10) -> str:
    if not names:
        return "none"
    return ", ".join(names[:most]) + (f", … {len(names) - most} more" if len(names) > most else "")


def _order(
    equations: Sequence[Equation],
    unknowns: Sequence[Variable],
    number: dict[Variable, int],
    incidence: dict[Equation, tuple[Variable, ...]],
    pairs: np.ndarray,
) -> Analysis:
    """Strongly connected components of the equations, in solve order, each with its level."""
    n = len(equations)
    members: list[list[int]] = [[] for _ in unknowns]  # the equations matched to elements of each unknown
    for i, j in pairs.tolist():
        members[j].append(i)
    source: list[int] = []
    target: list[int] = []
    loops = set()
    for i, e in enumerate(equations):
        for v in incidence[e]:
            j = number.get(v)
            if j is None:
                continue
            for k in members[j]:
                if k == i:
                    loops.add(i)
                else:
                    source.append(k)
                    target.append(i)
    for group in members:  # equations that share an unknown are solved together
        for k in group[1:]:
            source += [group[0], k]
            target += [k, group[0]]
    tails, heads = np.array(source, dtype=np.int64), np.array(target, dtype=np.int64)
    if np.any(tails > heads):
        edges = Incidence.from_coo(tails, heads, (n, n))
        count, labels = strong_components(edges.indptr, edges.indices)
    else:  # every equation takes what those before it give: that is the order, and no two are solved together
        count, labels = n, np.arange(n)
    return _blocks(equations, unknowns, incidence, members, np.asarray(labels), count, loops, (source, target))


def _blocks(
    equations: Sequence[Equation],
    unknowns: Sequence[Variable],
    incidence: dict[Equation, tuple[Variable, ...]],
    members: list[list[int]],
    labels: np.ndarray,
    count: int,
    loops: set[int],
    edges: tuple[list[int], list[int]],
) -> Analysis:
    label = labels.tolist()
    inside: list[list[int]] = [[] for _ in range(count)]
    for i, c in enumerate(label):
        inside[c].append(i)
    solved: list[list[int]] = [[] for _ in range(count)]
    for j, group in enumerate(members):
        solved[label[group[0]]].append(j)
    is_cycle = [
        len(eqs) > 1
        or eqs[0] in loops
        or equations[eqs[0]].target is None
        or len(solved[c]) != 1
        or equations[eqs[0]].target is not unknowns[solved[c][0]]
        for c, eqs in enumerate(inside)
    ]
    level = [0] * count
    before: list[list[int]] = [[] for _ in range(count)]
    for a, b in zip(*edges, strict=True):
        if label[a] != label[b]:
            before[label[b]].append(label[a])
    for c in range(count):  # labels are in topological order
        for p in before[c]:
            level[c] = max(level[c], level[p] + is_cycle[p])
    blocks = []
    cycles = 0
    for c in sorted(range(count), key=lambda c: (level[c], is_cycle[c], c)):
        if is_cycle[c]:
            cycles += 1
        name = f"cycle_{cycles}" if is_cycle[c] else equations[inside[c][0]].name
        blocks.append(
            BlockInfo(
                name,
                "cycle" if is_cycle[c] else "explicit",
                tuple(equations[i] for i in inside[c]),
                tuple(unknowns[j] for j in solved[c]),
                level[c],
            )
        )
    owner = {v: equations[group[0]] for v, group in zip(unknowns, members, strict=True)}
    return Analysis(tuple(blocks), incidence, owner)
