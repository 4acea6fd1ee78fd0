"""The incidence matrix of a program as a picture: equations against unknowns in solve order, block triangular."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..program import Program
from .groups import INKS, TINTS
from .matrix import BlockMatrix, block_matrix
from .picture import (
    EDGE,
    FONT,
    INK,
    LINE,
    Keys,
    Paper,
    box,
    legend,
    legend_width,
    lines,
    paper,
    require,
    save,
    squares,
    text,
    text_width,
    title,
    title_width,
)
from .text import plural, shorten

__all__ = ["draw_matrix"]

CELL = 0.26  # inches of a scalar equation, where they are few
SMALLEST, LARGEST = 1.6, 8.0  # inches of the longer side of the matrix
ABOVE, BELOW = 0.5, 0.3  # for the title and for the legend
FEW = 60  # names between which lines are drawn


def draw_matrix(program: Program, path: str | Path) -> None:
    """Draw which scalar equation uses which scalar unknown into a file (.png, .svg, .pdf). Needs matplotlib.

    >>> import tempfile, adjoint as adj
    >>> from adjoint.report.picture import is_available
    >>> m = adj.Program("square")
    >>> y = m.define("y", m.input("x", 3.0) ** 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw_matrix(m, f"{folder}/square.png") if is_available() else None
    """
    require()
    matrix = block_matrix(program)
    n = max(1, *matrix.shape)
    cell = float(np.clip(CELL * n, SMALLEST, LARGEST)) / n
    height, width = (size * cell for size in matrix.shape)
    names = [_ticks(spans, cell) for spans in (matrix.equations, matrix.unknowns)]
    left, top = (0.15 + max((text_width(t) for _, t in ticks), default=0.0) for ticks in names)
    words, keys = _title(program, matrix), _keys(matrix)
    wide = max(left + width, title_width(words), legend_width(keys))
    sheet = paper(
        wide + 2 * EDGE, height + top + 2 * EDGE + ABOVE + BELOW, (-left - EDGE, -height - EDGE - BELOW)
    )
    title(sheet, -left, top + ABOVE - 0.1, words)
    legend(sheet, keys, -left, -height - BELOW)
    _draw_blocks(sheet, matrix, cell)
    _draw_entries(sheet, matrix, cell)
    for at, name in names[0]:
        text(sheet, -0.1, -at * cell, name, ha="right")
    for at, name in names[1]:
        text(sheet, at * cell, 0.1, name, va="bottom", rotation=90)
    save(sheet, path)


def _title(program: Program, matrix: BlockMatrix) -> str:
    what = "equation" if matrix.scalar else "array equation"
    counts = f"{plural(matrix.shape[0], what)} in {plural(len(matrix.blocks), 'block')}"
    return f"{shorten(program.name, 40)}: {counts}"


def _keys(matrix: BlockMatrix) -> Keys:
    kinds = {b.kind for b in matrix.blocks}
    keys: list[tuple[dict[str, Any], str]] = []
    if "explicit" in kinds:
        keys.append(({"fill": INK, "line": INK}, "defines"))
    if np.any(matrix.block_of_rows[matrix.rows] != matrix.block_of_cols[matrix.cols]):
        keys.append(({"fill": LINE, "line": LINE}, "uses"))
    if "cycle" in kinds:
        keys.append(({"fill": TINTS[0], "line": INKS[0]}, "cycle, solved together"))
    return keys


def _ticks(spans: Sequence[tuple[int, int, str]], cell: float) -> list[tuple[float, str]]:
    """Names at the middle of their rows, where the distance to the one before leaves room for a line of text."""
    out: list[tuple[float, str]] = []
    for first, size, name in spans:
        middle = first + size / 2
        if not out or (middle - out[-1][0]) * cell >= 1.35 * FONT / 72:
            out.append((middle, shorten(name, 24)))
    return out


def _inks(matrix: BlockMatrix) -> list[str]:
    """The colour of the entries of each block on the diagonal."""
    cycles = [b.kind == "cycle" for b in matrix.blocks]
    return [INKS[(sum(cycles[: k + 1]) - 1) % len(INKS)] if cycle else INK for k, cycle in enumerate(cycles)]


def _draw_blocks(sheet: Paper, matrix: BlockMatrix, cell: float) -> None:
    """The frame, the cycles as tinted boxes, and lines between arrays."""
    for b, ink in zip(matrix.blocks, _inks(matrix), strict=True):
        if b.kind == "cycle":
            place = (b.col * cell, -(b.row + b.height) * cell, b.width * cell, b.height * cell)
            box(sheet, place, 0.0, TINTS[INKS.index(ink)], ink, zorder=1)
    height, width = (size * cell for size in matrix.shape)
    box(sheet, (0.0, -height, width, height), 0.0, "none", LINE, zorder=4)
    if any(size > 1 for _, size, _ in matrix.equations) and len(matrix.equations) <= FEW:
        lines(sheet, [((0.0, -i * cell), (width, -i * cell)) for i, _, _ in matrix.equations[1:]])
    if any(size > 1 for _, size, _ in matrix.unknowns) and len(matrix.unknowns) <= FEW:
        lines(sheet, [((j * cell, 0.0), (j * cell, -height)) for j, _, _ in matrix.unknowns[1:]])


def _draw_entries(sheet: Paper, matrix: BlockMatrix, cell: float) -> None:
    """A square for each entry, in the colour of its block, or grey outside the diagonal."""
    if not matrix.blocks:
        return
    by_row, by_col = matrix.block_of_rows, matrix.block_of_cols
    inside = by_row[matrix.rows] == by_col[matrix.cols]
    colours = np.where(inside, np.array(_inks(matrix))[by_row[matrix.rows]], LINE)
    middles = [((j + 0.5) * cell, -(i + 0.5) * cell) for i, j in zip(matrix.rows, matrix.cols, strict=True)]
    squares(sheet, middles, max(0.72 * cell, 0.018), colours.tolist())
