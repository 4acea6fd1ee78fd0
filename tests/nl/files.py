"""Small ``.nl`` files, written from their parts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

Linear = Mapping[int, float]


def tokens(text: str) -> str:
    """Lines of tokens from words: ``o2 v0 n3``. After o54, o11, … and f0 comes a count; after o64, its data."""
    return re.sub(r"(f\d+)\n", r"\1 ", "".join(f"{word}\n" for word in text.split()))


def nl(
    n: int,
    constraints: Sequence[str] = (),
    objectives: Sequence[str] = ("n0",),
    *,
    rows: Mapping[int, Linear] | None = None,
    goal: Linear | None = None,
    defined: Sequence[tuple[Linear, str]] = (),
    maximize: Sequence[int] = (),
    x0: Sequence[float] = (),
    r: Sequence[str] = (),
    b: Sequence[str] = (),
    discrete: str = "0 0 0 0 0",
    extra: str = "",
    functions: int = 0,
    logical: int = 0,
) -> str:
    """A file of n variables; expressions as words, linear parts by variable, ``extra`` segments before all others."""
    rows = {i: (rows or {}).get(i, {0: 0.0}) for i in range(len(constraints))}
    m, k = len(constraints), len(objectives)
    columns = np.zeros(n, dtype=int)
    for row in rows.values():
        for j in row:
            columns[j] += 1
    r = r or ["3"] * m
    lines = [
        "g3 1 1 0",
        f" {n} {m} {k} 0 0 {logical}",
        f" {m} {k}",
        " 0 0",
        f" {n} {n} {n}",
        f" 0 {functions} 0 1",
        f" {discrete}",
        f" {columns.sum()} {k}",
        " 0 0",
        f" {len(defined)} 0 0 0 0",
    ]
    text = "\n".join(lines) + "\n" + extra
    for i, (linear, words) in enumerate(defined):
        text += f"V{n + i} {len(linear)} 0\n" + "".join(f"{j} {c!r}\n" for j, c in linear.items()) + tokens(words)
    text += "".join(f"C{i}\n" + tokens(words) for i, words in enumerate(constraints))
    text += "".join(f"O{i} {int(i in maximize)}\n" + tokens(words) for i, words in enumerate(objectives))
    if len(x0):
        text += f"x{n}\n" + "".join(f"{i} {float(v)!r}\n" for i, v in enumerate(x0))
    text += ("r\n" + "\n".join(r) + "\n") if m else ""
    text += "b\n" + "\n".join(b or ["3"] * n) + "\n"
    text += f"k{n - 1}\n" + "".join(f"{c}\n" for c in np.cumsum(columns)[:-1])
    for i, row in rows.items():
        text += f"J{i} {len(row)}\n" + "".join(f"{j} {c!r}\n" for j, c in row.items())
    if goal:
        text += f"G0 {len(goal)}\n" + "".join(f"{j} {c!r}\n" for j, c in goal.items())
    return text


def written(folder: Path, text: str, name: str = "model") -> Path:
    """The file."""
    path = folder / f"{name}.nl"
    path.write_text(text, encoding="ascii")
    return path
