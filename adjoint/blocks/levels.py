"""A cycle by single elements: the blocks of its block triangular form, level after level.

The equations of a cycle are few arrays, of which each may need all of the others; their elements need not. Blocks of
one level do not need each other: they are one system of several connected components, each with a step length of its
own. Every evaluation is that of the whole cycle, so this is for cycles that cannot be solved as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from ..linear import make_solver
from ..structure import Incidence, block_triangular_form, maximum_matching, topological_levels

__all__ = ["Level", "LevelSystem", "levels_of", "solve_by_levels"]


class Level(NamedTuple):
    """Equations and unknowns of one level: the blocks, with the component that each unknown belongs to."""

    rows: np.ndarray
    cols: np.ndarray
    components: np.ndarray | None


def levels_of(incidence: Incidence) -> list[Level]:
    """The levels of a structurally regular system, in solve order.

    >>> a = Incidence.from_coo([0, 0, 1, 1, 2, 3, 3], [0, 1, 0, 1, 2, 2, 3], shape=(4, 4))
    >>> [level.rows.tolist() for level in levels_of(a)]
    [[0, 1, 2], [3]]
    """
    form = block_triangular_form(incidence, maximum_matching(incidence))
    block_of_row, block_of_col = np.empty((2, incidence.n_rows), dtype=np.intp)
    number = np.repeat(np.arange(form.n_blocks), form.block_sizes)
    block_of_row[form.row_order], block_of_col[form.col_order] = number, number
    needed, needs = block_of_col[incidence.indices], block_of_row[incidence.row_of_entry()]
    other = needed != needs
    edges = Incidence.from_coo(needed[other], needs[other], (form.n_blocks, form.n_blocks))
    level = topological_levels(edges.indptr, edges.indices)
    out = []
    for own in range(int(level.max(initial=-1)) + 1):
        at = np.flatnonzero(level[number] == own)
        _, components = np.unique(number[at], return_inverse=True)
        several = components.size and components[-1] > 0
        out.append(Level(form.row_order[at], form.col_order[at], components if several else None))
    return out


class LevelSystem:
    """The equations of one level in its unknowns, the others held: what nonlinear methods see."""

    def __init__(self, system: Any, level: Level, pattern: Any, u: np.ndarray) -> None:
        self.system, self.rows, self.cols, self.u = system, level.rows, level.cols, u
        self.name, self.size, self.components = system.name, level.rows.size, level.components
        self.lower = None if system.lower is None else system.lower[level.cols]
        self.upper = None if system.upper is None else system.upper[level.cols]
        solver = make_solver(sp.csc_array(pattern[level.rows][:, level.cols]))
        self.factor, self._dense = solver.factor, solver.dense

    def _whole(self, v: np.ndarray) -> np.ndarray:
        u = self.u.copy()
        u[self.cols] = v
        return u

    def residual(self, v: np.ndarray) -> np.ndarray:
        return self.system.residual(self._whole(v))[self.rows]

    def linearize(self, v: np.ndarray) -> tuple[np.ndarray, Any]:
        r, J = self.system.linearize(self._whole(v))
        own = (J if isinstance(J, np.ndarray) else sp.csr_array(J))[self.rows][:, self.cols]
        if self._dense:
            return r[self.rows], own if isinstance(own, np.ndarray) else own.toarray()
        return r[self.rows], sp.csc_array(own)

    def sweep(self, v: np.ndarray) -> None:
        return None

    def jvp(self, v: np.ndarray, dv: np.ndarray) -> np.ndarray:
        du = np.zeros(self.u.size)
        du[self.cols] = dv
        return self.system.jvp(self._whole(v), du)[self.rows]


def solve_by_levels(
    system: Any, pattern: Any, method: Callable[..., Any], u0: np.ndarray, options: Any
) -> np.ndarray | None:
    """The unknowns, level after level; None where there is one block only, or one of them is not solved."""
    levels = levels_of(Incidence.from_sparse(pattern))
    if len(levels) == 1 and levels[0].components is None:
        return None
    u = u0.copy()
    for level in levels:
        outcome = method(LevelSystem(system, level, sp.csr_array(pattern), u), u[level.cols], options)
        if not outcome.success:
            return None
        u[level.cols] = outcome.u
    return u
