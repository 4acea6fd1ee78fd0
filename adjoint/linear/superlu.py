"""Sparse LU by SuperLU, which is part of SciPy: always there, and the faster one for meshes.

Two ways to order the elimination, and what was measured (milliseconds; factor / solve / transposed solve):

- **symmetric**: minimum degree on the pattern of ``A + Aᵀ``, pivots on the diagonal. For matrices without a
  zero on the diagonal whose pattern is symmetric, or nearly so, or has a dense row. 2-D convection, 90,000
  rows: 182 / 7.9 / 8.3, against 350 / 14 / 16 for columns; 3-D Poisson, 13,824 rows: 223 / 4 / 4 against
  610 / 9 / 13; a network of 50,000 rows with one dense row: 83 / 3.7 / 3.7 against 45,000 / 1,100 / 1,100.
  The threshold of pivoting is exactly 0: with 0.1, pivots off the diagonal filled an indefinite mesh matrix
  of 40,000 rows for 290 s. What that costs in accuracy is measured for each factorization, and refined away
  or given up. (On that same matrix, partial pivoting lost all digits to the growth of elements, and the
  symmetric way none.)
- **columns**: COLAMD with partial pivoting, inside the blocks of the block triangular form, if there are
  several: a cyclic graph of expressions, 1e5 rows, is factored in 20 ms instead of 2,700.

The ordering is kept after the first factorization. Later ones permute the entries, and factor in natural
order by single columns: power network, 1e5 rows, 83 ms instead of 207; optimal control, 5e4 rows, 9 instead
of 21.

References
----------
.. [1] X. S. Li, "An overview of SuperLU: algorithms, implementation, and user interface", ACM Trans. Math.
       Softw. 31(3), 2005.
.. [2] T. A. Davis, J. R. Gilbert, S. I. Larimore and E. G. Ng, "A column approximate minimum degree ordering
       algorithm", ACM Trans. Math. Softw. 30(3), 2004.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csc_array

from .base import (
    InaccurateFactors,
    LinearSolver,
    SingularMatrix,
    SparseFactorization,
    SparsePattern,
    verified,
)

__all__ = ["SuperLUSolver", "diagonal_blocks"]

ORDERED = 50  # rows of a diagonal block from which its columns are ordered
SUPERNODES = 40  # fill (entries of the factors per entry of A) from which supernodes gain
COLUMNS = 4  # right-hand sides at once; with more, threads of OpenBLAS get in each other's way

Blocks = tuple[np.ndarray, np.ndarray, np.ndarray]  # row order, column order, pointer to the blocks
BlockForm = Callable[[csc_array], Any]


class SuperLUSolver(LinearSolver):
    """Sparse LU of SciPy, with the ordering kept.

    Parameters
    ----------
    pattern : sparse matrix
        Its entries do not matter.
    block_form : callable, optional
        ``block_form(A)`` finds the block triangular form of a pattern with zeros on its diagonal, which
        takes a matching: an object with ``row_order``, ``col_order`` and ``block_ptr``. Without it such a
        pattern is one block.

    Examples
    --------
    >>> from scipy.sparse import csc_array
    >>> A = csc_array([[4.0, 1.0], [2.0, 3.0]])
    >>> SuperLUSolver(A).factor(A).solve(np.array([1.0, 2.0]), transpose=True)
    array([-0.1,  0.7])
    """

    name = "superlu"

    def __init__(self, pattern: Any, block_form: BlockForm | None = None) -> None:
        self.pattern = SparsePattern.of(pattern)
        self.n = self.pattern.n
        self.block_form = block_form
        self.symmetric = self.pattern.has_full_diagonal and (
            self.pattern.is_symmetric or self.pattern.has_dense_rows
        )
        self._orderings: dict[str, Ordering] = {}

    def factor(self, A: Any) -> SparseFactorization:
        """The factors of `A`, whose accuracy was tried."""
        data = self.pattern.entries(A)
        if self.symmetric and np.all(data[self.pattern.diagonal] != 0.0):
            try:
                return self._factor("symmetric", data)
            except InaccurateFactors:
                self.symmetric = False  # and not tried again with this pattern
            except SingularMatrix:
                pass  # a pivot that vanished on the diagonal may have others in its column
        return self._factor("columns", data)

    def _factor(self, way: str, data: np.ndarray) -> SparseFactorization:
        ordering = self._orderings.get(way)
        if ordering is None and way == "columns":
            blocks = self._blocks()
            if blocks is not None:
                ordering = self._orderings[way] = _order_blocks(self.pattern, data, *blocks)
        if ordering is not None:
            solve = ordering.factor(data, OPTIONS[way])
        else:
            lu = _splu(self.pattern.matrix(data), permc_spec=ORDER[way], relax=1, **OPTIONS[way])
            cols = np.argsort(lu.perm_c)
            rows = cols if way == "symmetric" else np.arange(self.n)
            self._orderings[way] = _ordering(self.pattern, rows, cols, lu.nnz < SUPERNODES * self.pattern.nnz)
            solve = _plain_solve(lu)
        return verified(self.pattern, data, solve)

    def _blocks(self) -> Blocks | None:
        """The block triangular form, if there are several blocks."""
        if self.block_form is None or self.pattern.has_full_diagonal:
            return diagonal_blocks(self.pattern)
        form = self.block_form(self.pattern.matrix(np.ones(self.pattern.nnz)))
        if form is None or len(form.block_ptr) <= 2:
            return None
        # Lower triangular, as equations are solved; SuperLU eliminates columns, which needs upper triangular.
        return form.row_order[::-1], form.col_order[::-1], self.n - form.block_ptr[::-1]


ORDER = {"symmetric": "MMD_AT_PLUS_A", "columns": "COLAMD"}
OPTIONS: dict[str, dict[str, Any]] = {
    "symmetric": {"diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}},
    "columns": {"diag_pivot_thresh": 1.0},
}


@dataclass(frozen=True, eq=False)
class Ordering:
    """``A[rows][:, cols]`` is to be factored in natural order."""

    rows: np.ndarray
    cols: np.ndarray
    pattern: SparsePattern
    gather: np.ndarray
    by_columns: bool

    def factor(self, data: np.ndarray, options: dict[str, Any]) -> Callable[[np.ndarray, bool], np.ndarray]:
        """The solve with the factors of `A` of these entries."""
        extra = {"panel_size": 1} if self.by_columns else {}
        B = self.pattern.matrix(data[self.gather])
        plain = _plain_solve(_splu(B, permc_spec="NATURAL", relax=1, **extra, **options))

        def solve(b: np.ndarray, transpose: bool) -> np.ndarray:
            into, out = (self.rows, self.cols) if transpose else (self.cols, self.rows)
            x = np.empty_like(b)
            x[into] = plain(b[out], transpose)
            return x

        return solve


def _ordering(pattern: SparsePattern, rows: np.ndarray, cols: np.ndarray, by_columns: bool) -> Ordering:
    return Ordering(rows, cols, *pattern.permuted(rows, cols), by_columns)


def diagonal_blocks(pattern: SparsePattern) -> Blocks | None:
    """Block upper triangular form of a pattern with a full diagonal: its strongly connected components.

    None if there is one block only, or an entry missing on the diagonal.

    >>> diagonal_blocks(SparsePattern.of(csc_array([[1.0, 0.0], [1.0, 1.0]])))
    (array([1, 0]), array([1, 0]), array([0, 1, 2]))
    """
    if not pattern.has_full_diagonal:
        return None
    graph = pattern.matrix(np.ones(pattern.nnz)).T  # rows of this matrix are the columns of A
    count, labels = sparse.csgraph.connected_components(graph, directed=True, connection="strong")
    if count == 1:
        return None
    # SciPy numbers the components in topological order; it does not promise to.
    steps = labels[pattern.indices] - labels[pattern.columns]
    if np.any(steps > 0):
        return None
    order = np.argsort(labels, kind="stable")
    return order, order, np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=count))])


def _order_blocks(
    pattern: SparsePattern, data: np.ndarray, rows: np.ndarray, cols: np.ndarray, ptr: np.ndarray
) -> Ordering:
    """The columns of each larger block of a block upper triangular form ordered by COLAMD."""
    cols = cols.copy()
    B, gather = pattern.permuted(rows, cols)
    A = B.matrix(data[gather])
    for k in np.flatnonzero(np.diff(ptr) >= ORDERED):
        part = slice(ptr[k], ptr[k + 1])
        lu = _splu(A[part, part].tocsc(), permc_spec="COLAMD", relax=1)  # SciPy orders only where it factors
        cols[part] = cols[part][np.argsort(lu.perm_c)]
    return _ordering(pattern, rows, cols, True)


def _splu(A: csc_array, **options: Any) -> Any:
    try:
        return sparse.linalg.splu(A, **options)
    except RuntimeError as error:
        raise SingularMatrix(f"SuperLU: {error}") from None


def _plain_solve(lu: Any) -> Callable[[np.ndarray, bool], np.ndarray]:
    def solve(b: np.ndarray, transpose: bool) -> np.ndarray:
        trans = "T" if transpose else "N"
        if b.ndim == 1 or b.shape[1] <= COLUMNS:
            return lu.solve(b, trans)
        x = np.empty_like(b)
        for k in range(0, b.shape[1], COLUMNS):
            x[:, k : k + COLUMNS] = lu.solve(b[:, k : k + COLUMNS], trans)
        return x

    return solve
