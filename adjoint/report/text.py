"""Numbers and tables as text: aligned, readable, and the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["array_text", "number", "plural", "shape_text", "shorten", "small", "table"]


def number(value: Any, digits: int = 8) -> str:
    """A number in at most so many significant digits; nothing for None.

    >>> number(2.0), number(25.588302369878), number(-0.0), number(1e-12 / 3), number(None)
    ('2', '25.588302', '0', '3.3333333e-13', '')
    """
    if value is None:
        return ""
    text = f"{float(value):.{digits}g}"
    return "0" if text == "-0" else text


def small(value: Any) -> str:
    """A size that only matters by its magnitude, such as a residual.

    >>> small(3.14159e-16), small(0.0), small(None)
    ('3.1e-16', '0', '')
    """
    if value is None:
        return ""
    return "0" if value == 0 else f"{float(value):.1e}"


def plural(count: int, word: str) -> str:
    """A count with its noun.

    >>> plural(1, "block"), plural(3, "block")
    ('1 block', '3 blocks')
    """
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def shorten(text: str, most: int = 48) -> str:
    """A text in one line and at most so many characters, cut in the middle.

    >>> shorten("a_long_name_of_a_variable", 12)
    'a_long…iable'
    """
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    left = most // 2
    return line[:left] + "…" + line[len(line) - (most - left - 1) :]


def shape_text(shape: Sequence[int]) -> str:
    """A shape, and nothing for a scalar.

    >>> shape_text((3, 2)), shape_text((4,)), shape_text(())
    ('3×2', '4', '')
    """
    return "×".join(map(str, shape))


def array_text(value: Any, most: int = 4, digits: int = 6) -> str:
    """A number, or the first values of an array.

    >>> array_text(1.5), array_text([1, 2, 3]), array_text(np.arange(100.0))
    ('1.5', '[1, 2, 3]', '[0, 1, 2, 3, …]')
    """
    array = np.asarray(value)
    if not array.shape:
        return number(array, 8)
    first = ", ".join(number(x, digits) for x in array.reshape(-1)[:most])
    return f"[{first}, …]" if array.size > most else f"[{first}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], align: str, most: int | None = None) -> str:
    """Rows of texts under their heads.

    Parameters
    ----------
    head : one title per column
    rows : one text per column in each
    align : str
        One letter per column: "l" left, "r" right, "." at the decimal point.
    most : int, optional
        With more rows, the first ones and their number.

    >>> print(table(["name", "value"], [["x", "1.25"], ["length", "10"], ["tiny", "3e-07"]], "l."))
    name    value
    x        1.25
    length  10
    tiny     3e-07
    >>> print(table(["n", "v"], [["a", "1"], ["b", "2"], ["c", "3"]], "lr", most=1))
    n  v
    a  1
    … 2 more rows
    """
    hidden = 0 if most is None else max(len(rows) - most, 0)
    shown = [list(map(str, row)) for row in (rows[: len(rows) - hidden] if hidden else rows)]
    columns = []
    for j, (title, how) in enumerate(zip(head, align, strict=True)):
        cells = [row[j] for row in shown]
        if how == ".":
            cells = _at_the_point(cells)
        width = max(map(len, [title, *cells]))
        right = how == "r"
        columns.append([c.rjust(width) if right else c.ljust(width) for c in [title, *cells]])
    lines = ["  ".join(parts).rstrip() for parts in zip(*columns, strict=True)]
    if hidden:
        lines.append(f"… {plural(hidden, 'more row')}")
    return "\n".join(lines)


def _at_the_point(cells: Sequence[str]) -> list[str]:
    """Cells padded on the left so that their decimal points stand below each other; lists stay at the left."""
    whole = [_before_the_point(c) for c in cells]
    widest = max((w for w in whole if w is not None), default=0)
    return [c if w is None else " " * (widest - w) + c for c, w in zip(cells, whole, strict=True)]


def _before_the_point(cell: str) -> int | None:
    """Characters before the decimal point (or exponent) of a number; None for other texts."""
    try:
        float(cell)
    except ValueError:
        return None
    return min(i for i in (cell.find("."), cell.find("e"), len(cell)) if i >= 0)
