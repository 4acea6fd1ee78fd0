"""The graph of a program as a picture: inputs left, then the blocks in solve order, cycles as coloured groups."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from ..program import Program
from .groups import INKS, INPUT, TINTS, Grouped, grouped
from .layout import ARC, ARCS, BOX, MARGIN, TITLE, Layout, Place, layered
from .picture import (
    EDGE,
    FONT,
    INK,
    LINE,
    SOFT,
    Keys,
    Paper,
    arrow,
    box,
    legend,
    legend_width,
    paper,
    require,
    save,
    text,
    text_width,
    title,
    title_width,
)
from .text import plural, shorten

__all__ = ["draw_graph"]

ABOVE, BELOW = 0.45, 0.35  # inches for the title and for the legend


def draw_graph(program: Program, path: str | Path) -> None:
    """Draw the graph of a program into a file (.png, .svg, .pdf).

    Every variable is a node; a program of more than 60 is drawn by blocks. Needs matplotlib.

    >>> import tempfile, adjoint as adj
    >>> from adjoint.report.picture import is_available
    >>> m = adj.Program("square")
    >>> y = m.define("y", m.input("x", 3.0) ** 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw_graph(m, f"{folder}/square.png") if is_available() else None
    """
    require()
    graph = grouped(program)
    widths = {(i, k): text_width(t) + 0.2 for i, g in enumerate(graph.groups) for k, t in enumerate(g.labels)}
    where, words, keys = layered(graph, widths), _title(program, graph), _keys(graph)
    wide = max(where.size[0], title_width(words), legend_width(keys))
    left = (where.size[0] - wide) / 2
    sheet = paper(wide + 2 * EDGE, where.size[1] + 2 * EDGE + ABOVE + BELOW, (left - EDGE, -EDGE - BELOW))
    _draw_groups(sheet, graph, where)
    _draw_edges(sheet, graph, where)
    title(sheet, left, where.size[1] + ABOVE - 0.1, words)
    legend(sheet, keys, left, -BELOW)
    save(sheet, path)


def _title(program: Program, graph: Grouped) -> str:
    cycles = sum(b.kind == "cycle" for b in program.blocks())
    counts = [
        plural(len(program.inputs), "input"),
        plural(len(program.unknowns), "unknown"),
        plural(cycles, "cycle"),
    ]
    tail = ", drawn by blocks" if graph.condensed else ""
    return f"{shorten(program.name, 40)}: {', '.join(counts)}{tail}"


def _keys(graph: Grouped) -> Keys:
    """The entries of the legend: how a box looks, and what it means."""
    kinds = {g.kind for g in graph.groups}
    keys: list[tuple[dict[str, Any], str]] = []
    if "input" in kinds:
        keys.append(({"fill": INPUT, "line": LINE}, "input"))
    if "explicit" in kinds:
        keys.append(({"fill": "white", "line": LINE}, "explicit equation"))
    if "cycle" in kinds:
        keys.append(({"fill": TINTS[0], "line": INKS[0]}, "cycle, solved together"))
    if any(any(g.outputs) for g in graph.groups):
        keys.append(({"fill": "white", "line": INK, "linewidth": 2.0}, "output"))
    return keys


def _draw_groups(sheet: Paper, graph: Grouped, where: Layout) -> None:
    colours = itertools.count()
    for i, g in enumerate(graph.groups):
        at = next(colours) % len(TINTS) if g.kind == "cycle" else 0
        fill = {"input": INPUT, "explicit": "white", "cycle": "white" if g.title else TINTS[at]}[g.kind]
        line = INKS[at] if g.kind == "cycle" else LINE
        if g.title:
            left, bottom, width, height = where.frames[i]
            box(sheet, where.frames[i], 0.10, TINTS[at], INKS[at], zorder=1)
            middle = bottom + height - TITLE / 2 - 0.02
            text(sheet, left + width / 2, middle, g.title, FONT - 1, color=INKS[at])
        for k, (label, output) in enumerate(zip(g.labels, g.outputs, strict=True)):
            left, bottom, width, height = where.nodes[i, k]
            corner = 0.02 if g.kind == "input" else 0.08
            box(
                sheet,
                where.nodes[i, k],
                corner,
                fill,
                INK if output else line,
                linewidth=2.0 if output else 0.9,
            )
            text(sheet, left + width / 2, bottom + height / 2, label)


def _draw_edges(sheet: Paper, graph: Grouped, where: Layout) -> None:
    for pieces in where.routes.values():
        for points in pieces:
            arrow(sheet, points, LINE, head=points is pieces[-1])
    for x, y, (i, k) in where.gates:
        text(sheet, x, y, graph.groups[i].labels[k], color=SOFT, style="italic")
    cycles = [i for i, g in enumerate(graph.groups) if g.kind == "cycle"]
    ink = {i: INKS[n % len(INKS)] for n, i in enumerate(cycles)}
    for a, b in graph.edges:
        if a[0] == b[0]:
            arrow(sheet, _arc(where, a, b), ink[a[0]], bent=True)


def _arc(where: Layout, a: Place, b: Place) -> list[tuple[float, float]]:
    """An edge inside a cycle: down on the right of the nodes, up on the left."""
    x, y, width, _ = where.nodes[a]
    end = where.nodes[b][1]
    sign = 1.0 if end < y else -1.0
    side = x + width if sign > 0 else x
    frame = where.frames[a[0]]
    room = (frame[0] + frame[2] - side if sign > 0 else side - frame[0]) - MARGIN
    reach = side + sign * min(ARCS + ARC * abs(a[1] - b[1]), room) * 4 / 3  # three quarters of it are reached
    start, stop = y + BOX / 2 - 0.05 * sign, end + BOX / 2 + 0.05 * sign
    return [(side, start), (reach, start), (reach, stop), (side, stop)]
