"""Sparse matrices of fixed pattern and changing entries: their products, and the augmented system made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from ...linear.symmetric import Inertia, SymmetricFactorization, SymmetricSolver, make_symmetric_solver

__all__ = ["AugmentedSystem", "Products", "ScaledFactors", "Workspace", "symmetric_products"]

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
    ordering and symbolic factorization too.
    """

    def __init__(
        self,
        hessian: tuple[np.ndarray, np.ndarray],
        jacobian: tuple[np.ndarray, np.ndarray],
        n: int,
        m: int,
        method: str,
    ) -> None:
        self.n, self.m = n, m
        size = n + m
        diagonal = np.arange(size)
        rows = np.concatenate([diagonal, np.maximum(*hessian), jacobian[0] + n])
        cols = np.concatenate([diagonal, np.minimum(*hessian), jacobian[1]])
        flat = cols.astype(np.int64) * size + rows
        places, position = np.unique(flat, return_inverse=True)
        indptr = np.zeros(size + 1, dtype=np.int32)
        np.cumsum(np.bincount(places // size if size else places, minlength=size), out=indptr[1:])
        indices = (places % size if size else places).astype(np.int32)
        lower = sparse.csc_array((np.ones(len(places)), indices, indptr), shape=(size, size))
        self._rows, self._cols = indices, (places // size if size else places).astype(np.int32)
        self._diagonal, entries = position[:size], position[size:]
        self._entries = entries
        self._unique = int(np.bincount(entries, minlength=1).max()) <= 1
        self._data = np.zeros(len(places))
        self._n_hessian = len(hessian[0])
        self.solver: SymmetricSolver = make_symmetric_solver(lower, negative=m, method=method)

    def factor(
        self, H: np.ndarray, J: np.ndarray, p: np.ndarray, q: np.ndarray
    ) -> ScaledFactors | SymmetricFactorization:
        """The factors; raises :class:`adjoint.linear.SingularMatrix`.

        For solvers that do not scale it themselves, the matrix is scaled from both sides so that no diagonal entry is
        above 1: near bounds they are of all sizes.
        """
        entries = np.concatenate((H, J))
        data = self._data
        if self._unique:
            data[:] = 0.0
            data[self._entries] = entries
        else:
            data[:] = np.bincount(self._entries, entries, len(data))
        data[self._diagonal] += np.concatenate((p, -q))
        if self.solver.name == "dense":
            return self.solver.factor(data)
        scale = 1.0 / np.sqrt(np.maximum(1.0, np.abs(data[self._diagonal])))
        return ScaledFactors(self.solver.factor(data * scale[self._rows] * scale[self._cols]), scale)


@dataclass(slots=True, eq=False)
class ScaledFactors:
    """Factors of ``D K D``, which solve with ``K``."""

    factors: SymmetricFactorization
    scale: np.ndarray

    @property
    def inertia(self) -> Inertia:
        """The inertia, which scaling does not change."""
        return self.factors.inertia

    def solve(self, b: np.ndarray) -> np.ndarray:
        """``K⁻¹ b`` for one right-hand side or several columns."""
        scale = self.scale if b.ndim == 1 else self.scale[:, None]
        return scale * self.factors.solve(scale * b)
