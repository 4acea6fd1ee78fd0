"""What a picture of a program shows: its inputs and blocks as groups of nodes, fewer where there are too many."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ..analysis import BlockInfo
from ..program import Program
from .text import plural, shape_text, shorten

__all__ = ["Group", "Grouped", "grouped"]

MOST = 60  # nodes that a picture shows singly

INPUT = "#dbe7f6"  # colour of inputs
TINTS = ("#fde7c8", "#d9efd5", "#e8dcf3", "#fbd9d9", "#d3ecec", "#f3efc4")  # of cycles, in turn
INKS = ("#b8690b", "#3c8031", "#7b52a8", "#b84a4a", "#25807f", "#8d7f12")  # and of their lines


@dataclass(frozen=True)
class Group:
    """Nodes drawn together: an input, an explicit equation, or the unknowns of a cycle.

    ``kind`` is "input", "explicit" or "cycle"; ``labels`` has one text per node, ``outputs`` says which nodes are
    outputs; ``title`` is the name of a cycle that is drawn as one.
    """

    kind: str
    labels: tuple[str, ...]
    outputs: tuple[bool, ...]
    title: str = ""


@dataclass(frozen=True)
class Grouped:
    """Groups in solve order, inputs first; edges between nodes ``(group, place in it)``."""

    groups: tuple[Group, ...]
    edges: tuple[tuple[tuple[int, int], tuple[int, int]], ...]
    condensed: bool


def grouped(program: Program, most: int = MOST) -> Grouped:
    """The groups of a program: every variable a node, or, beyond ``most`` variables, every block.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x, a, b = m.input("x", 1.0), m.unknown("a"), m.unknown("b")
    >>> _ = m.define(a, 0.5 * b + x), m.define(b, 0.1 * a**2)
    >>> [(g.kind, g.labels) for g in grouped(m).groups]
    [('input', ('x',)), ('cycle', ('a', 'b'))]
    >>> grouped(m).edges
    (((0, 0), (1, 0)), ((1, 0), (1, 1)), ((1, 1), (1, 0)))
    """
    if len(program.variables) <= most:
        return _single(program)
    return _condensed(program, most)


def _single(program: Program) -> Grouped:
    outputs = frozenset(program.outputs)
    groups = [Group("input", (_label(v),), (v.name in outputs,)) for v in program.inputs]
    place = {v.name: (i, 0) for i, v in enumerate(program.inputs)}
    for block in program.blocks():
        place.update({v.name: (len(groups), k) for k, v in enumerate(block.unknowns)})
        labels = tuple(_label(v) for v in block.unknowns)
        marks = tuple(v.name in outputs for v in block.unknowns)
        groups.append(Group(block.kind, labels, marks, block.name if block.kind == "cycle" else ""))
    edges = _edges(program, place)
    return Grouped(tuple(groups), edges, condensed=False)


def _label(variable: Any) -> str:
    shape = shape_text(variable.shape)
    return shorten(variable.name, 24) + (f" [{shape}]" if shape else "")


def _condensed(program: Program, most: int) -> Grouped:
    """Blocks as nodes; where these are too many, runs of blocks; the inputs together where they are many."""
    outputs = frozenset(program.outputs)
    inputs = [[v.name] for v in program.inputs]
    if len(inputs) > most // 3:
        inputs = [[name for part in inputs for name in part]]
    groups = [Group("input", (_summary(names, "input"),), (False,)) for names in inputs]
    place = {name: (i, 0) for i, names in enumerate(inputs) for name in names}
    for part in _merged(program.blocks(), max(most - len(groups), 1)):
        names = [v.name for b in part for v in b.unknowns]
        kind = "cycle" if any(b.kind == "cycle" for b in part) else "explicit"
        place.update(dict.fromkeys(names, (len(groups), 0)))
        groups.append(Group(kind, (_part_label(part, names, kind),), (any(n in outputs for n in names),)))
    return Grouped(tuple(groups), _edges(program, place), condensed=True)


def _merged(blocks: Sequence[BlockInfo], most: int) -> list[list[BlockInfo]]:
    """Neighbours in solve order put together until at most so many remain.

    First the explicit blocks between two levels of cycles, then the cycles of one level, then whatever is near.
    All edges go from earlier blocks to later ones, so that merging neighbours makes no circle.
    """
    parts = [[b] for b in blocks]
    keys: list[Any] = [
        lambda item: (item[1].level, "explicit") if item[1].kind == "explicit" else item[0],
        lambda item: (item[1].level, item[1].kind),
    ]
    for key in keys:
        if len(parts) > most:
            parts = [[b for _, b in run] for _, run in groupby(enumerate(blocks), key=key)]
    if len(parts) > most:
        size = -(-len(parts) // most)
        parts = [sum(parts[i : i + size], []) for i in range(0, len(parts), size)]
    return parts


def _part_label(part: Sequence[BlockInfo], names: Sequence[str], kind: str) -> str:
    cycles = [b for b in part if b.kind == "cycle"]
    if kind == "explicit":
        return _summary(names, "equation")
    if len(cycles) == 1 and len(part) == 1:
        return f"{cycles[0].name}: {_summary(names, 'unknown')}"
    return f"{plural(len(cycles), 'cycle')}, {_summary(names, 'unknown')}"


def _summary(names: Sequence[str], what: str) -> str:
    if len(names) == 1:
        return shorten(names[0], 24)
    return f"{plural(len(names), what)} ({shorten(names[0], 16)} … {shorten(names[-1], 16)})"


def _edges(program: Program, place: dict[str, tuple[int, int]]) -> Any:
    """Edges between places, each once, without those from a node to itself."""
    pairs = ((place[a], place[b]) for a, b in program.graph.edges)
    return tuple(_unique(p for p in pairs if p[0] != p[1]))


def _unique(items: Iterable[Hashable]) -> list[Any]:
    return list(dict.fromkeys(items))
