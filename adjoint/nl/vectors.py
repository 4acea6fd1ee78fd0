"""Where the variables of a file are in a program, and vectors gathered from them."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ..expr import Expr, apply, constant
from ..patterns.build import gather
from ..primitive import PRIMITIVES
from ..primitives.elementwise import add, multiply, zeros
from ..primitives.indexing import concatenate, reshape
from ..primitives.products import sparse_product
from .trees import Index

__all__ = ["Entries", "Vectors"]

Entries = tuple[Index, Index, np.ndarray]  # of linear functions: rows, variables, coefficients

_ELEMENT = PRIMITIVES["getitem"]
SHORT = 4  # terms up to which a scalar linear function is a sum of products


class Vectors:
    """The elements of vectors, by the numbers that a file gives to its variables.

    Parameters
    ----------
    x : Expr
        The variables 0, 1, … .
    count : int
        How many numbers there are; the others are entered as they are defined.
    """

    def __init__(self, x: Expr, count: int) -> None:
        self.items: list[Expr] = [x]
        self.source = np.full(count, -1)
        self.position = np.zeros(count, dtype=np.int64)
        self.source[: x.size] = 0
        self.position[: x.size] = np.arange(x.size)
        self.n_var = x.size
        self.scalars: dict[int, Expr] = {}

    def enter(self, ids: Index, vector: Expr) -> None:
        """These variables are the elements of a vector (or one is a scalar)."""
        self.source[ids] = len(self.items)
        self.position[ids] = np.arange(ids.size)
        self.items.append(vector)

    def scalar(self, number: int) -> Expr:
        """One variable."""
        found = self.scalars.get(number)
        if found is None:
            item = self.items[self.source[number]]
            # What x[i] builds, without looking at the index: there are many.
            found = apply(_ELEMENT, (item,), ((int(self.position[number]),),), ()) if item.shape else item
            self.scalars[number] = found
        return found

    def vector(self, ids: Index) -> Expr:
        """Some variables, in order."""
        source, position = self.source[ids], self.position[ids]
        first = int(source[0])
        if (source == first).all():
            return gather(self._flat(first), position)
        used, place = np.unique(source, return_inverse=True)
        parts = [self._flat(k) for k in used.tolist()]
        start = np.cumsum([0, *(p.size for p in parts)])
        return gather(concatenate(parts), start[place.reshape(-1)] + position)

    def _flat(self, number: int) -> Expr:
        item = self.items[number]
        return item if item.shape else reshape(item, (1,))

    def linear(self, entries: Entries, count: int) -> Expr:
        """Σ coef·variable, added up by row; a scalar where there is one row."""
        rows, ids, coef = entries
        if not rows.size:
            return constant(0.0) if count == 1 else zeros((count,))
        if count == 1 and rows.size <= SHORT:
            total: Expr = constant(0.0)
            for i, c in zip(ids.tolist(), coef.tolist(), strict=True):
                total = add(total, multiply(c, self.scalar(i)))
            return total
        if (ids < self.n_var).all():
            vector, columns = self.items[0], ids
        else:
            distinct, columns = np.unique(ids, return_inverse=True)
            vector, columns = self.vector(distinct), columns.reshape(-1)
        order = np.argsort(rows, kind="stable")
        start = np.zeros(count + 1, dtype=np.intp)
        np.cumsum(np.bincount(rows, minlength=count), out=start[1:])
        matrix = sp.csr_array((coef[order], columns[order], start), shape=(count, vector.size))
        product = sparse_product(matrix, vector)
        return reshape(product, ()) if count == 1 else product
