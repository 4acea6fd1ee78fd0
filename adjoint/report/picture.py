"""What pictures are made of: a sheet of paper measured in inches, texts, boxes, arrows. The one user of matplotlib."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError

__all__ = [
    "Paper",
    "arrow",
    "box",
    "is_available",
    "legend",
    "lines",
    "paper",
    "save",
    "squares",
    "text",
    "text_width",
]

INK, LINE, SOFT = "#1f2933", "#7a8596", "#4a5463"  # of texts and outputs, of lines, of the legend
FONT = 9.0  # points
EDGE = 0.3  # inches of empty paper around a drawing
KEY = 0.6  # inches in a legend for a sample and what follows its text
MOST_PIXELS = 8000
DENSE = 5000  # squares beyond which they are pixels in vector formats too

Point = tuple[float, float]


@dataclass(frozen=True)
class Paper:
    """A figure, and axes over all of it whose unit is the inch."""

    figure: Any
    axes: Any


def is_available() -> bool:
    """Whether matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def require() -> None:
    """Say what to install where matplotlib is missing."""
    if not is_available():
        raise ModelError("pictures need matplotlib: pip install 'adjoint[plot]'")


def paper(width: float, height: float, corner: Point = (0.0, 0.0)) -> Paper:
    """An empty sheet, on no screen; ``corner`` are the coordinates of its lower left corner."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(corner[0], corner[0] + width), ylim=(corner[1], corner[1] + height))
    return Paper(figure, axes)


def save(sheet: Paper, path: str | Path) -> None:
    """Write the sheet; the ending of the name is the format."""
    file = Path(path)
    kinds = sorted(sheet.figure.canvas.get_supported_filetypes())
    if file.suffix.lstrip(".").lower() not in kinds:
        raise ModelError(f"{file}: the name of a picture must end with one of .{', .'.join(kinds)}")
    resolution = min(150.0, MOST_PIXELS / max(sheet.figure.get_size_inches()))
    sheet.figure.savefig(file, dpi=resolution, facecolor="white")


def text_width(words: str, size: float = FONT, weight: str = "normal") -> float:
    """Width of a text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    visible = words.replace("$", "S").rstrip() or " "  # a $ would start a formula
    return (
        float(TextPath((0, 0), visible, size=size, prop=FontProperties(weight=weight)).get_extents().x1) / 72
    )


def text(sheet: Paper, x: float, y: float, words: str, size: float = FONT, **options: Any) -> None:
    """A text around a point; names are no formulas."""
    settings = {"ha": "center", "va": "center_baseline", "color": INK, **options}
    sheet.axes.text(x, y, words, fontsize=size, parse_math=False, zorder=6, **settings)


def title_width(words: str) -> float:
    """Width of a title in inches."""
    return text_width(words, FONT + 2, "bold") + 0.05


def title(sheet: Paper, x: float, y: float, words: str) -> None:
    """A title from a point to the right."""
    text(sheet, x, y, words, FONT + 2, ha="left", weight="bold")


def box(
    sheet: Paper, place: tuple[float, float, float, float], corner: float, fill: str, line: str, **style: Any
) -> None:
    """A rounded box: left, bottom, width, height."""
    from matplotlib.patches import FancyBboxPatch

    x, y, width, height = place
    shape = f"round,pad=0,rounding_size={corner}"
    settings = {"linewidth": 0.9, "zorder": 3, **style}
    sheet.axes.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle=shape, facecolor=fill, edgecolor=line, **settings)
    )


def arrow(sheet: Paper, points: Sequence[Point], colour: str, bent: bool = False, head: bool = True) -> None:
    """A line or arrow through points, level at each; ``bent``: one curve with the inner points as its handles."""
    from matplotlib.patches import ArrowStyle, FancyArrowPatch, PathPatch
    from matplotlib.path import Path as Curve

    corners, codes = [points[0]], [Curve.MOVETO]
    if bent:
        corners, codes = list(points), [Curve.MOVETO, *[Curve.CURVE4] * 3]
    else:
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            if y0 == y1:
                corners.append((x1, y1))
                codes.append(Curve.LINETO)
            else:
                corners += [((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1), (x1, y1)]
                codes += [Curve.CURVE4] * 3
    path = Curve(corners, codes)
    if head:
        tip = ArrowStyle("-|>", head_length=4.0, head_width=1.8)
        line = FancyArrowPatch(
            path=path, arrowstyle=tip, mutation_scale=1.0, shrinkA=0.0, shrinkB=0.0, zorder=2
        )
        line.set(color=colour, linewidth=0.9)
    else:
        line = PathPatch(path, facecolor="none", edgecolor=colour, linewidth=0.9, zorder=2)
    sheet.axes.add_patch(line)


def squares(sheet: Paper, middles: Sequence[Point], side: float, colours: Sequence[str]) -> None:
    """Filled squares around points."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    shapes = [Rectangle((x - side / 2, y - side / 2), side, side) for x, y in middles]
    many = len(shapes) > DENSE
    sheet.axes.add_collection(
        PatchCollection(shapes, facecolors=colours, edgecolors="none", zorder=3, rasterized=many)
    )


def lines(sheet: Paper, pairs: Sequence[tuple[Point, Point]]) -> None:
    """Thin straight lines."""
    from matplotlib.collections import LineCollection

    sheet.axes.add_collection(LineCollection(list(pairs), colors=LINE, linewidths=0.4, alpha=0.6, zorder=2))


Keys = Sequence[tuple[dict[str, Any], str]]


def legend_width(keys: Keys) -> float:
    """Width of a legend in inches."""
    return sum(text_width(words) + KEY for _, words in keys)


def legend(sheet: Paper, keys: Keys, x: float, y: float) -> None:
    """Samples of boxes, each with what it means, from a point to the right."""
    for style, words in keys:
        box(sheet, (x, y - 0.07, 0.26, 0.14), 0.04, **style)
        text(sheet, x + 0.33, y, words, ha="left", color=SOFT)
        x += text_width(words) + KEY
