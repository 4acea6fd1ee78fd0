"""Operations on small arrays, by calls that do less than NumPy's general ones, which look at their arguments for longer
than they compute. The results are the same to the last bit."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...expr import Expr

__all__ = ["SMALL_ARRAYS", "stacked"]

FEW = 500  # elements, up to which these are faster; measured
Step = Callable[..., Any] | None  # None where the operation is not that simple


def _getitem(node: Expr) -> Step:
    if not node.args[0].shape:
        return None  # it may come as a number
    index = tuple(slice(*i[1:]) if isinstance(i, tuple) else i for i in node.params[0])
    return operator.itemgetter(index[0] if len(index) == 1 else index)


def _reshape(node: Expr) -> Step:
    shape = node.params[0]
    if node.args[0].shape:
        return lambda x: x.reshape(shape)
    return (lambda x: np.array([x])) if shape == (1,) else None


def _take(node: Expr) -> Step:
    positions = node.params[0].array
    if node.args[0].shape:
        return lambda x: x.take(positions)
    return (lambda x: np.full(positions.shape, x)) if positions.shape else None


def _scatter(node: Expr) -> Step:
    positions, shape = node.params[0].array, node.params[1]
    if len(shape) != 1 or positions.ndim != 1 or not positions.size or node.size > FEW:
        return None
    size = shape[0]
    return lambda x: np.bincount(positions, x, size)


def _sum(node: Expr) -> Step:
    return np.add.reduce if node.args[0].ndim == 1 else None


def _broadcast(node: Expr) -> Step:
    if node.size > FEW:
        return None
    ones = np.ones(node.params[0])
    return lambda x: x * ones


def _sparse(node: Expr) -> Step:
    """Sums in the order of SciPy's: row by row."""
    matrix = node.params[0].array
    if node.ndim != 1 or not 0 < matrix.nnz <= FEW:
        return None
    size, data, columns = matrix.shape[0], matrix.data, matrix.indices.astype(np.intp)
    row = np.repeat(np.arange(size), np.diff(matrix.indptr))
    return lambda x: np.bincount(row, data * x.take(columns), size)


SMALL_ARRAYS: dict[str, Callable[[Expr], Step]] = {
    "getitem": _getitem,
    "reshape": _reshape,
    "take": _take,
    "scatter_add": _scatter,
    "sum": _sum,
    "broadcast_to": _broadcast,
    "sparse_product": _sparse,
}


def stacked(order: Sequence[Expr], uses: dict[Expr, int]) -> dict[Expr, tuple[list[Expr], Callable[..., Any]]]:
    """The arguments and the function of each vector that is joined from several scalars, which are not made vectors one
    by one then: ``uses`` is changed to what is used."""
    found = {}
    for node in order:
        if node.op is None or node.op.name != "concatenate" or node.ndim != 1:
            continue
        lifted = [_is_lifted(a) for a in node.args]
        if sum(lifted) < 2:
            continue
        found[node] = [a.args[0] if one else a for a, one in zip(node.args, lifted, strict=True)], _joining(lifted)
        for a, one in zip(node.args, lifted, strict=True):
            if one:
                uses[a] -= 1
                uses[a.args[0]] += 1
                if not uses[a]:  # it is not needed any more, nor is what it asks of the scalar
                    uses[a.args[0]] -= 1
    return found


def _joining(lifted: Sequence[bool]) -> Callable[..., Any]:
    """The function that joins scalars and vectors."""
    if all(lifted):
        return lambda *values: np.array(values)
    ends = [k for k in range(1, len(lifted)) if not (lifted[k] and lifted[k - 1])]
    spans = list(zip([0, *ends], [*ends, len(lifted)], strict=True))
    runs = [(a, b, lifted[a]) for a, b in spans]

    def joined(*values: Any) -> np.ndarray:
        return np.concatenate([np.array(values[a:b]) if scalars else values[a] for a, b, scalars in runs])

    return joined


def _is_lifted(e: Expr) -> bool:
    """Whether it is a scalar as a vector."""
    return e.op is not None and e.op.name == "reshape" and e.shape == (1,) and not e.args[0].shape
