"""Pictures of a program, drawn with matplotlib: its graph, and its incidence matrix in block triangular form."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..program import Program
from .groups import INKS, INPUT, TINTS, Grouped, grouped
from .layout import ARC, ARCS, BOX, MARGIN, TITLE, Layout, Place, layered
from .matrix import BlockMatrix, block_matrix
from .text import plural, shorten

__all__ = ["draw_graph", "draw_matrix", "is_available"]

LINE, INK = "#7a8596", "#1f2933"
FONT = 9.0  # points
EDGE = 0.3  # inches of paper around a drawing
MOST_PIXELS = 8000


def is_available() -> bool:
    """Whether matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def _figure(width: float, height: float) -> Any:
    """An empty figure in inches, on no screen."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ModelError("pictures need matplotlib: pip install 'adjoint[plot]'") from None
    return Figure(figsize=(width, height))


def _save(figure: Any, path: str | Path) -> None:
    file = Path(path)
    kinds = sorted(figure.canvas.get_supported_filetypes())
    if file.suffix.lstrip(".").lower() not in kinds:
        raise ModelError(f"{file}: the picture's name must end with one of .{', .'.join(kinds)}")
    resolution = min(150.0, MOST_PIXELS / max(figure.get_size_inches()))
    figure.savefig(file, dpi=resolution, facecolor="white")


# -- the graph ---------------------------------------------------------------------------------------------


def draw_graph(program: Program, path: str | Path) -> None:
    """Draw the graph of a program into a file (.png, .svg, .pdf): inputs left, then the blocks in solve order.

    Every variable is a node; a program of more than 60 is drawn by blocks. Cycles are coloured groups.

    >>> import tempfile, adjoint as adj
    >>> m = adj.Program("square")
    >>> y = m.define("y", m.input("x", 3.0) ** 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw_graph(m, f"{folder}/square.png") if is_available() else None
    """
    graph = grouped(program)
    _figure(1, 1)
    widths = {
        (i, k): _text_width(label) + 0.2
        for i, g in enumerate(graph.groups)
        for k, label in enumerate(g.labels)
    }
    where = layered(graph, widths)
    title = _graph_title(program, graph)
    keys = _graph_keys(graph)
    wide = max(where.size[0], _text_width(title, FONT + 2), sum(_text_width(text) + 0.55 for _, text in keys))
    width, height = wide + 2 * EDGE, where.size[1] + 2 * EDGE + 0.75
    figure = _figure(width, height)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(-EDGE - (wide - where.size[0]) / 2, width - EDGE - (wide - where.size[0]) / 2))
    axes.set(ylim=(-EDGE - 0.35, height - EDGE - 0.35))
    _draw_groups(axes, graph, where)
    _draw_edges(axes, graph, where)
    left = axes.get_xlim()[0] + EDGE
    _text(axes, left, where.size[1] + 0.3, title, size=FONT + 2, ha="left", weight="bold")
    _draw_keys(axes, keys, left, -0.32)
    _save(figure, path)


def _text_width(text: str, size: float = FONT) -> float:
    """Width of a text in inches."""
    from matplotlib.textpath import TextPath

    visible = text.replace("$", "S").rstrip() or " "
    return float(TextPath((0, 0), visible, size=size).get_extents().x1) / 72


def _text(axes: Any, x: float, y: float, text: str, **options: Any) -> None:
    settings = {"ha": "center", "va": "center_baseline", "fontsize": options.pop("size", FONT), "color": INK}
    axes.text(x, y, text, **{**settings, **options}, parse_math=False, zorder=6)


def _graph_title(program: Program, graph: Grouped) -> str:
    cycles = sum(b.kind == "cycle" for b in program.blocks())
    counts = [
        plural(len(program.inputs), "input"),
        plural(len(program.unknowns), "unknown"),
        plural(cycles, "cycle"),
    ]
    tail = ", drawn by blocks" if graph.condensed else ""
    return f"{shorten(program.name, 40)}: {', '.join(counts)}{tail}"


def _graph_keys(graph: Grouped) -> list[tuple[dict[str, Any], str]]:
    """The entries of the legend: how a box looks, and what it means."""
    kinds = {g.kind for g in graph.groups}
    keys: list[tuple[dict[str, Any], str]] = []
    if "input" in kinds:
        keys.append(({"facecolor": INPUT, "edgecolor": LINE}, "input"))
    if "explicit" in kinds:
        keys.append(({"facecolor": "white", "edgecolor": LINE}, "explicit equation"))
    if "cycle" in kinds:
        keys.append(({"facecolor": TINTS[0], "edgecolor": INKS[0]}, "cycle, solved together"))
    if any(any(g.outputs) for g in graph.groups):
        keys.append(({"facecolor": "white", "edgecolor": INK, "linewidth": 2.0}, "output"))
    return keys


def _draw_keys(axes: Any, keys: Sequence[tuple[dict[str, Any], str]], x: float, y: float) -> None:
    for style, text in keys:
        _box(axes, x, y - 0.07, 0.26, 0.14, 0.04, **style)
        _text(axes, x + 0.33, y, text, ha="left", color="#4a5463")
        x += _text_width(text) + 0.6


def _box(axes: Any, x: float, y: float, width: float, height: float, corner: float, **style: Any) -> None:
    from matplotlib.patches import FancyBboxPatch

    shape = f"round,pad=0,rounding_size={corner}"
    axes.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle=shape, **{"linewidth": 0.9, "zorder": 3, **style})
    )


def _draw_groups(axes: Any, graph: Grouped, where: Layout) -> None:
    colours = itertools.count()
    for i, g in enumerate(graph.groups):
        at = next(colours) % len(TINTS) if g.kind == "cycle" else 0
        fill = {"input": INPUT, "explicit": "white", "cycle": "white" if g.title else TINTS[at]}[g.kind]
        line = INKS[at] if g.kind == "cycle" else LINE
        if g.title:
            left, bottom, width, height = where.frames[i]
            _box(axes, left, bottom, width, height, 0.10, facecolor=TINTS[at], edgecolor=INKS[at], zorder=1)
            _text(
                axes,
                left + width / 2,
                bottom + height - TITLE / 2 - 0.02,
                g.title,
                size=FONT - 1,
                color=INKS[at],
            )
        for k, (label, output) in enumerate(zip(g.labels, g.outputs, strict=True)):
            left, bottom, width, height = where.nodes[i, k]
            style = {"edgecolor": INK, "linewidth": 2.0} if output else {"edgecolor": line}
            _box(
                axes,
                left,
                bottom,
                width,
                height,
                0.02 if g.kind == "input" else 0.08,
                facecolor=fill,
                **style,
            )
            _text(axes, left + width / 2, bottom + height / 2, label)


def _draw_edges(axes: Any, graph: Grouped, where: Layout) -> None:
    from matplotlib.path import Path as Curve

    for points in where.routes.values():
        corners, codes = [points[0]], [Curve.MOVETO]
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            if y0 == y1:
                corners.append((x1, y1))
                codes.append(Curve.LINETO)
            else:
                middle = (x0 + x1) / 2
                corners += [(middle, y0), (middle, y1), (x1, y1)]
                codes += [Curve.CURVE4] * 3
        _arrow(axes, Curve(corners, codes), LINE)
    cycles = [i for i, g in enumerate(graph.groups) if g.kind == "cycle"]
    ink = {i: INKS[n % len(INKS)] for n, i in enumerate(cycles)}
    for a, b in graph.edges:
        if a[0] == b[0]:
            _arrow(axes, _arc(where, a, b, Curve), ink.get(a[0], LINE))


def _arc(where: Layout, a: Place, b: Place, curve: Any) -> Any:
    """An edge inside a cycle: down on the right of the nodes, up on the left."""
    x, y, width, _ = where.nodes[a]
    _, end, _, _ = where.nodes[b]
    sign = 1.0 if end < y else -1.0
    side = x + width if sign > 0 else x
    frame = where.frames[a[0]]
    room = (frame[0] + frame[2] - side if sign > 0 else side - frame[0]) - MARGIN
    reach = (
        side + sign * min((ARCS + ARC * abs(a[1] - b[1])), room) * 4 / 3
    )  # three quarters of it are reached
    start, stop = y + BOX / 2 - 0.05 * sign, end + BOX / 2 + 0.05 * sign
    corners = [(side, start), (reach, start), (reach, stop), (side, stop)]
    return curve(corners, [curve.MOVETO, *[curve.CURVE4] * 3])


def _arrow(axes: Any, path: Any, colour: str) -> None:
    from matplotlib.patches import ArrowStyle, FancyArrowPatch

    head = ArrowStyle("-|>", head_length=4.0, head_width=1.8)
    axes.add_patch(
        FancyArrowPatch(
            path=path,
            arrowstyle=head,
            mutation_scale=1.0,
            shrinkA=0.0,
            shrinkB=0.0,
            color=colour,
            lw=0.9,
            zorder=2,
        )
    )


# -- the matrix --------------------------------------------------------------------------------------------


def draw_matrix(program: Program, path: str | Path) -> None:
    """Draw which scalar equation uses which scalar unknown, in solve order: block lower triangular.

    >>> import tempfile, adjoint as adj
    >>> m = adj.Program("square")
    >>> y = m.define("y", m.input("x", 3.0) ** 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw_matrix(m, f"{folder}/square.png") if is_available() else None
    """
    _figure(1, 1)
    matrix = block_matrix(program)
    n = max(matrix.size, 1)
    side = float(np.clip(0.26 * n, 1.6, 8.0))
    ticks = [_ticks(spans, side / n) for spans in (matrix.equations, matrix.unknowns)]
    left, top = (EDGE + 0.15 + max((_text_width(t) for _, t in names), default=0.0) for names in ticks)
    what = "equation" if matrix.scalar else "array equation"
    title = (
        f"{shorten(program.name, 40)}: {plural(matrix.size, what)} in {plural(len(matrix.diagonal), 'block')}"
    )
    keys = _matrix_keys(matrix)
    below = sum(_text_width(text) + 0.6 for _, text in keys)
    wide = max(left + side, _text_width(title, FONT + 3) + EDGE, below + EDGE) + EDGE
    high = top + side + 1.1
    figure = _figure(wide, high)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(0.0, wide), ylim=(0.0, high))
    _text(axes, EDGE, high - 0.3, title, size=FONT + 2, ha="left", weight="bold")
    _draw_keys(axes, keys, EDGE, 0.28)
    cell, origin = side / n, (left, 0.6 + side)
    _draw_entries(axes, matrix, cell, origin)
    for at, name in ticks[0]:
        _text(axes, left - 0.1, origin[1] - at * cell, name, ha="right")
    for at, name in ticks[1]:
        _text(axes, left + at * cell, origin[1] + 0.1, name, va="bottom", rotation=90)
    _save(figure, path)


def _ticks(spans: Sequence[tuple[int, int, str]], cell: float) -> list[tuple[float, str]]:
    """Names at the middle of their rows, where the distance to the one before leaves room for a line of text."""
    out: list[tuple[float, str]] = []
    for first, size, name in spans:
        middle = first + size / 2
        if not out or (middle - out[-1][0]) * cell >= 1.35 * FONT / 72:
            out.append((middle, shorten(name, 24)))
    return out


def _matrix_keys(matrix: BlockMatrix) -> list[tuple[dict[str, Any], str]]:
    kinds = {kind for _, _, kind in matrix.diagonal}
    keys: list[tuple[dict[str, Any], str]] = []
    if "explicit" in kinds:
        keys.append(({"facecolor": INK, "edgecolor": INK}, "defines"))
    keys.append(({"facecolor": LINE, "edgecolor": LINE}, "uses"))
    if "cycle" in kinds:
        keys.append(({"facecolor": TINTS[0], "edgecolor": INKS[0]}, "cycle, solved together"))
    return keys


def _draw_entries(axes: Any, matrix: BlockMatrix, cell: float, origin: tuple[float, float]) -> None:
    """Cycles as tinted squares; entries as squares, those on the diagonal of explicit equations dark."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    x0, y0 = origin
    n = matrix.size
    block_of = np.repeat(np.arange(len(matrix.diagonal)), [size for _, size, _ in matrix.diagonal])
    ink = np.full(len(matrix.diagonal), INK, dtype=object)
    cycles = [b for b, (_, _, kind) in enumerate(matrix.diagonal) if kind == "cycle"]
    for count, b in enumerate(cycles):
        first, size, _ = matrix.diagonal[b]
        ink[b] = INKS[count % len(INKS)]
        corner = (x0 + first * cell, y0 - (first + size) * cell)
        style = {"facecolor": TINTS[count % len(TINTS)], "edgecolor": ink[b], "linewidth": 0.9}
        axes.add_patch(Rectangle(corner, size * cell, size * cell, zorder=1, **style))
    axes.add_patch(
        Rectangle(
            (x0, y0 - n * cell), n * cell, n * cell, fill=False, edgecolor=LINE, linewidth=0.9, zorder=4
        )
    )
    if n == 0:
        return
    _draw_borders(axes, matrix, cell, origin)
    mark = max(0.72 * cell, 0.018)
    squares = [
        Rectangle((x0 + (j + 0.5) * cell - mark / 2, y0 - (i + 0.5) * cell - mark / 2), mark, mark)
        for i, j in zip(matrix.rows.tolist(), matrix.cols.tolist(), strict=True)
    ]
    same = block_of[matrix.rows] == block_of[matrix.cols]
    colours = np.where(same, ink[block_of[matrix.rows]], LINE).tolist()
    axes.add_collection(
        PatchCollection(
            squares, facecolors=colours, edgecolors="none", zorder=3, rasterized=len(squares) > 5000
        )
    )


def _draw_borders(axes: Any, matrix: BlockMatrix, cell: float, origin: tuple[float, float]) -> None:
    """Thin lines between arrays, where there are few."""
    from matplotlib.collections import LineCollection

    x0, y0 = origin
    end = matrix.size * cell
    lines = []
    for spans, across in ((matrix.equations, True), (matrix.unknowns, False)):
        if len(spans) > 60 or all(size == 1 for _, size, _ in spans):
            continue
        for first, _, _ in spans[1:]:
            at = first * cell
            lines.append(
                [(x0, y0 - at), (x0 + end, y0 - at)] if across else [(x0 + at, y0), (x0 + at, y0 - end)]
            )
    axes.add_collection(LineCollection(lines, colors=LINE, linewidths=0.4, alpha=0.6, zorder=2))
