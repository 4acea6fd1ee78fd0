"""Which equation uses which unknown, in solve order: the block triangular form of a program as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..analysis import element_incidence
from ..program import Program
from ..walk import variables_of

__all__ = ["BlockMatrix", "DiagonalBlock", "block_matrix"]

LARGE = 20_000  # scalar equations beyond which whole equations are shown


@dataclass(frozen=True)
class DiagonalBlock:
    """A block on the diagonal; ``kind`` is "explicit" or "cycle". Square, where rows are scalar equations."""

    row: int
    col: int
    height: int
    width: int
    kind: str


@dataclass(frozen=True)
class BlockMatrix:
    """The incidence matrix of a program, rows and columns in solve order: block lower triangular.

    Attributes
    ----------
    shape : number of rows and of columns
    rows, cols : places of the entries
    blocks : those on the diagonal
    equations, unknowns : (first, size, name) of each equation in the rows, of each unknown in the columns
    scalar : whether a row is a scalar equation, or a whole one
    """

    shape: tuple[int, int]
    rows: np.ndarray
    cols: np.ndarray
    blocks: list[DiagonalBlock]
    equations: list[tuple[int, int, str]]
    unknowns: list[tuple[int, int, str]]
    scalar: bool

    @property
    def block_of_rows(self) -> np.ndarray:
        """The number of the block of each row."""
        return np.repeat(np.arange(len(self.blocks)), [b.height for b in self.blocks])

    @property
    def block_of_cols(self) -> np.ndarray:
        """The number of the block of each column."""
        return np.repeat(np.arange(len(self.blocks)), [b.width for b in self.blocks])


def block_matrix(program: Program, large: int = LARGE) -> BlockMatrix:
    """The block triangular form of a program; of more scalar equations than ``large``, by whole equations.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x, a, b = m.input("x", 1.0), m.unknown("a"), m.unknown("b")
    >>> _ = m.define("f", a + b)
    >>> _ = m.define(a, 0.5 * b + x), m.define(b, 0.1 * a**2)
    >>> matrix = block_matrix(m)
    >>> [(b.row, b.height, b.kind) for b in matrix.blocks]
    [(0, 2, 'cycle'), (2, 1, 'explicit')]
    >>> sorted(zip(matrix.rows.tolist(), matrix.cols.tolist()))
    [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    """
    infos = program.blocks()
    equations, unknowns = [e for b in infos for e in b.equations], [v for b in infos for v in b.unknowns]
    scalar = sum(e.size for e in equations) <= large
    if scalar:
        rows, cols, _, _ = element_incidence(equations, unknowns)
    else:
        place = {v: j for j, v in enumerate(unknowns)}
        used = [
            (i, place[v]) for i, e in enumerate(equations) for v in variables_of([e.residual]) if v in place
        ]
        rows, cols = np.array(used, dtype=np.int64).reshape(-1, 2).T
    blocks, row, col = [], 0, 0
    for b in infos:
        height, width = (
            sum(size for _, size, _ in _spans(items, scalar)) for items in (b.equations, b.unknowns)
        )
        blocks.append(DiagonalBlock(row, col, height, width, b.kind))
        row, col = row + height, col + width
    return BlockMatrix(
        (row, col), rows, cols, blocks, _spans(equations, scalar), _spans(unknowns, scalar), scalar
    )


def _spans(items: Sequence[Any], scalar: bool) -> list[tuple[int, int, str]]:
    """Where the rows (or columns) of each item begin, and how many they are."""
    sizes = [item.size if scalar else 1 for item in items]
    first = np.cumsum([0, *sizes])
    return [(int(i), size, item.name) for i, size, item in zip(first, sizes, items, strict=False)]
