"""Which equation uses which unknown, in solve order: the block triangular form of a program as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..analysis import element_incidence
from ..expr import variables_of
from ..program import Program

__all__ = ["BlockMatrix", "block_matrix"]

LARGE = 20_000  # scalar equations beyond which whole equations are shown


@dataclass(frozen=True)
class BlockMatrix:
    """The incidence matrix of a program, rows and columns in solve order: block lower triangular.

    Attributes
    ----------
    size : number of rows, and of columns
    rows, cols : places of the entries
    diagonal : (first, size, kind) of each block on the diagonal
    equations, unknowns : (first, size, name) of each row and column of names
    scalar : whether rows are scalar equations, or whole ones
    """

    size: int
    rows: np.ndarray
    cols: np.ndarray
    diagonal: list[tuple[int, int, str]]
    equations: list[tuple[int, int, str]]
    unknowns: list[tuple[int, int, str]]
    scalar: bool


def block_matrix(program: Program, large: int = LARGE) -> BlockMatrix:
    """The block triangular form of a program.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x, a, b = m.input("x", 1.0), m.unknown("a"), m.unknown("b")
    >>> _ = m.define("f", a + b)
    >>> _ = m.define(a, 0.5 * b + x), m.define(b, 0.1 * a**2)
    >>> matrix = block_matrix(m)
    >>> matrix.diagonal
    [(0, 2, 'cycle'), (2, 1, 'explicit')]
    >>> sorted(zip(matrix.rows.tolist(), matrix.cols.tolist()))
    [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    """
    blocks = program.blocks()
    equations, unknowns = [e for b in blocks for e in b.equations], [v for b in blocks for v in b.unknowns]
    scalar = sum(e.size for e in equations) <= large
    if scalar:
        rows, cols, _, _ = element_incidence(equations, unknowns)
    else:
        place = {v: j for j, v in enumerate(unknowns)}
        pairs = [
            (i, place[v]) for i, e in enumerate(equations) for v in variables_of([e.residual]) if v in place
        ]
        rows, cols = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    by_equation, by_unknown = _spans(equations, scalar), _spans(unknowns, scalar)
    diagonal, at = [], 0
    for b in blocks:
        size = b.size if scalar else max(len(b.equations), len(b.unknowns))
        diagonal.append((at, size, b.kind))
        at += size
    return BlockMatrix(at, rows, cols, diagonal, by_equation, by_unknown, scalar)


def _spans(items: Sequence[Any], scalar: bool) -> list[tuple[int, int, str]]:
    """Where the rows (or columns) of each item begin, and how many they are."""
    sizes = [item.size if scalar else 1 for item in items]
    first = np.cumsum([0, *sizes])
    return [(int(i), size, item.name) for i, size, item in zip(first, sizes, items, strict=False)]
