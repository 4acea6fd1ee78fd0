"""Sparse matrices of fixed pattern and changing entries: their products, and the augmented system made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from ...linear.symmetric import SymmetricFactorization, SymmetricPattern, SymmetricSolver, make_condensed_solver

__all__ = ["AugmentedSystem", "Products", "Workspace", "symmetric_products"]

DENSE = 4000  # entries up to which a product with the dense matrix costs no more than the call of a sparse one


class Products:
    """``A v`` and ``Aᵀ v`` of a matrix whose entries are set anew at every iterate.

    >>> A = Products(np.array([0, 1]), np.array([1, 0]), (2, 2))
    >>> A.set(np.array([3.0, 5.0]))
    >>> A.dot(np.array([1.0, 2.0])).tolist(), A.transpose_dot(np.array([1.0, 2.0])).tolist()
    ([6.0, 5.0], [10.0, 3.0])
    """

    def __init__(self, rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]) -> None:
        self.shape = shape
        size = shape[0] * shape[1]
        flat = rows.astype(np.int64) * shape[1] + cols
        order = np.argsort(flat, kind="stable")
        self._unique = not np.any(np.diff(flat[order]) == 0)
        self._dense = size <= DENSE or size <= 4 * len(flat)
        if self._dense:
            self._flat, self._work = flat, np.zeros(size)
            self._matrix: Any = self._work.reshape(shape)
            self._transpose: Any = self._matrix.T
            return
        # rows in order; equal places stay neighbours, which products add up
        indptr = np.zeros(shape[0] + 1, dtype=np.int32)
        np.cumsum(np.bincount(rows, minlength=shape[0]), out=indptr[1:])
        self._order, data, indices = order, np.zeros(len(flat)), cols[order].astype(np.int32)
        self._matrix = sparse.csr_array((data, indices, indptr), shape=shape)
        self._transpose = sparse.csc_array((data, indices, indptr), shape=shape[::-1])

    def set(self, entries: np.ndarray) -> None:
        """The entries from now on, in the order of the pattern."""
        if not self._dense:
            self._matrix.data = self._transpose.data = entries[self._order]
        elif self._unique:
            self._work[self._flat] = entries
        else:
            self._work[:] = np.bincount(self._flat, entries, len(self._work))

    def dot(self, v: np.ndarray) -> np.ndarray:
        """``A v``."""
        return self._matrix @ v

    def transpose_dot(self, v: np.ndarray) -> np.ndarray:
        """``Aᵀ v``."""
        return self._transpose @ v


def symmetric_products(rows: np.ndarray, cols: np.ndarray, n: int) -> tuple[Products, np.ndarray]:
    """Products with a symmetric matrix given by its lower triangle, and the order in which its entries are set."""
    off = np.flatnonzero(rows != cols)
    both = np.concatenate([rows, cols[off]]), np.concatenate([cols, rows[off]])
    return Products(*both, (n, n)), np.concatenate([np.arange(len(rows)), off])


class _Sums:
    """Sums of the entries given for each of some places; mostly there is one at most, and sums are a gather."""

    def __init__(self, place: np.ndarray, size: int) -> None:
        self._place, self._size = place, size
        self._gather = None
        if np.bincount(place, minlength=1).max() <= 1:
            self._gather = np.full(size, len(place))
            self._gather[place] = np.arange(len(place))

    def of(self, *parts: np.ndarray) -> np.ndarray:
        """The sums of the entries of all parts."""
        if self._gather is None:
            return np.bincount(self._place, np.concatenate(parts), self._size)
        return np.concatenate((*parts, (0.0,)))[self._gather]  # type: ignore[no-any-return]


@dataclass(eq=False)
class Workspace:
    """What depends on the patterns alone, kept from one solve to the next of the same program with other numbers.

    One solve at a time may use it.
    """

    key: tuple[Any, ...] = ()
    parts: tuple[Any, ...] = ()

    def get(self, key: tuple[Any, ...], make: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
        """The parts for a key of arrays and plain values, made if the last ones are for another."""
        same = len(key) == len(self.key)
        same = same and all(a is b or np.array_equal(a, b) for a, b in zip(key, self.key, strict=True))
        if not same:
            self.key, self.parts = key, make()
        return self.parts


class AugmentedSystem:
    """``[[H + diag(p), Jᵀ], [J, −diag(q)]]``, the symmetric matrix of every step (W&B, eq. 13).

    The places of the entries of ``H`` (lower triangle) and ``J`` in the lower triangle of the matrix are computed once;
    ordering and symbolic factorization too. Of the rows in `equations`, whose ``q`` is 0 mostly, those that define a
    variable are eliminated.
    """

    def __init__(
        self,
        hessian: tuple[np.ndarray, np.ndarray],
        jacobian: tuple[np.ndarray, np.ndarray],
        n: int,
        m: int,
        method: str,
        equations: np.ndarray | None = None,
    ) -> None:
        self.n, self.m, self._method = n, m, method
        self._equations = np.zeros(0, dtype=np.intp) if equations is None else equations
        size = n + m
        diagonal = np.arange(size)
        rows = np.concatenate([diagonal, np.maximum(*hessian), jacobian[0] + n])
        cols = np.concatenate([diagonal, np.minimum(*hessian), jacobian[1]])
        places, position = np.unique(cols.astype(np.int64) * size + rows, return_inverse=True)
        columns, rows = np.divmod(places, max(size, 1))
        indptr = np.zeros(size + 1, dtype=np.int32)
        np.cumsum(np.bincount(columns, minlength=size), out=indptr[1:])
        lower = sparse.csc_array((np.ones(len(places)), rows.astype(np.int32), indptr), shape=(size, size))
        self._sums = _Sums(position[size:], len(places))
        self.pattern = SymmetricPattern(lower, m)
        self.solver: SymmetricSolver | None = None  # made with the first matrix

    def factor(self, H: np.ndarray, J: np.ndarray, p: np.ndarray, q: np.ndarray) -> SymmetricFactorization:
        """The factors; raises :class:`adjoint.linear.SingularMatrix`."""
        data = self._sums.of(H, J)
        data[self.pattern.diagonal] += np.concatenate((p, -q))
        if self.solver is None:
            self.solver = make_condensed_solver(self.pattern, data, self.n + self._equations, self._method)
        return self.solver.factor(data)

    def increase_quality(self) -> bool:
        """Factor more accurately from now on; False where that cannot be."""
        return self.solver is not None and self.solver.increase_quality()
