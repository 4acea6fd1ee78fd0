"""Block triangular form: which equations are solved together, and in which order.

References
----------
.. [1] I. S. Duff and J. K. Reid, "An implementation of Tarjan's algorithm for the block triangularization
       of a matrix", ACM Trans. Math. Softw. 4(2), 1978, pp. 137-147.
.. [2] A. Pothen and C.-J. Fan, "Computing the block triangular form of a sparse matrix", ACM Trans. Math.
       Softw. 16(4), 1990, pp. 303-324.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .incidence import Incidence
from .matching import Matching
from .strong_components import strong_components

__all__ = ["BlockTriangularForm", "block_triangular_form"]

IntArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class BlockTriangularForm:
    """Blocks in solve order: each depends on itself and on earlier ones only.

    ``A[row_order][:, col_order]`` is block lower triangular, with the matching on its diagonal.

    Attributes
    ----------
    row_order, col_order : ndarray of int
        Permutations of the rows and the columns; equal positions are matched.
    block_ptr : ndarray of int
        Block ``k`` has the positions ``block_ptr[k]`` to ``block_ptr[k + 1]``.
    """

    row_order: IntArray
    col_order: IntArray
    block_ptr: IntArray

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.block_ptr) - 1

    @property
    def block_sizes(self) -> IntArray:
        """Number of rows of each block."""
        return np.diff(self.block_ptr)

    @property
    def largest(self) -> int:
        """Number of rows of the largest block; 0 if there is none."""
        return int(self.block_sizes.max(initial=0))

    def rows(self, k: int) -> IntArray:
        """The rows of block ``k``."""
        return self.row_order[self.block_ptr[k] : self.block_ptr[k + 1]]

    def cols(self, k: int) -> IntArray:
        """The columns of block ``k``, in the order of the rows they are matched to."""
        return self.col_order[self.block_ptr[k] : self.block_ptr[k + 1]]


def block_triangular_form(incidence: Incidence, matching: Matching) -> BlockTriangularForm:
    """The finest block triangular form of a structurally nonsingular incidence.

    The blocks are the strongly connected components of the graph in which the equation of row ``i`` waits for
    the rows that its other unknowns are matched to [1]_. They do not depend on the matching [2]_. Within a
    block the rows are in increasing order.

    Raises
    ------
    ValueError
        If the matching is not perfect.

    Examples
    --------
    Rows 0 and 2 share two unknowns; row 1 needs one of them:

    >>> from adjoint.structure import Incidence, maximum_matching
    >>> a = Incidence.from_coo([0, 0, 1, 1, 2, 2], [0, 2, 1, 2, 0, 2], shape=(3, 3))
    >>> form = block_triangular_form(a, maximum_matching(a))
    >>> [form.rows(k).tolist() for k in range(form.n_blocks)]
    [[0, 2], [1]]
    """
    if not matching.is_perfect:
        raise ValueError(
            f"block triangular form needs a perfect matching; {matching.size} of {incidence.n_rows} rows and "
            f"{incidence.n_cols} columns are matched. Take the square part of dulmage_mendelsohn."
        )
    # The edges i -> (row matched to j) lead to what row i depends on: against the solve order.
    count, labels = strong_components(incidence.indptr, matching.col_to_row[incidence.indices])
    block_of_row = count - 1 - labels
    row_order = np.argsort(block_of_row, kind="stable")
    block_ptr = np.concatenate([[0], np.cumsum(np.bincount(block_of_row, minlength=count))])
    return BlockTriangularForm(row_order, matching.row_to_col[row_order], block_ptr.astype(np.intp))
