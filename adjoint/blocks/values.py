"""Values by variable: packed into vectors, and stacked for many directions at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..expr import Variable

__all__ = [
    "Matrices",
    "Values",
    "add_columns",
    "column",
    "pack",
    "stack_columns",
    "stack_rows",
    "to_dense",
    "unpack",
    "unstack",
]

Values = dict[Variable, Any]
Matrices = dict[Variable, Any]  # 2-D, dense or sparse: one column (tangents) or one row (cotangents) per direction


def pack(variables: Sequence[Variable], values: Values) -> np.ndarray:
    """Values flattened and concatenated."""
    if all(not v.shape for v in variables):
        return np.array([values[v] for v in variables], dtype=None if variables else float)
    return np.concatenate([np.reshape(values[v], -1) for v in variables])


def unpack(variables: Sequence[Variable], vector: np.ndarray, into: Values) -> Values:
    """The parts of a flat vector, by variable."""
    at = 0
    for v in variables:
        into[v] = vector[at] if not v.shape else vector[at : at + v.size].reshape(v.shape)
        at += v.size
    return into


# -- many directions at once: stacks of 2-D parts, sparse where all are -----------------------------------------


def stack_rows(parts: Sequence[Any]) -> Any:
    """Parts one above the other."""
    if len(parts) == 1:
        return parts[0]
    if all(sp.issparse(p) for p in parts):
        return sp.vstack(parts, format="csr")
    return np.concatenate([to_dense(p) for p in parts])


def stack_columns(parts: Sequence[Any]) -> Any:
    """Parts side by side."""
    if len(parts) == 1:
        return parts[0]
    if all(sp.issparse(p) for p in parts):
        return sp.hstack(parts, format="csr")
    return np.concatenate([to_dense(p) for p in parts], axis=1)


def to_dense(x: Any) -> np.ndarray:
    """A 2-D part as an array."""
    return x.toarray() if sp.issparse(x) else x


def unstack(variables: Sequence[Variable], rows: Any, into: Matrices) -> None:
    """Rows handed out to variables."""
    at = 0
    for v in variables:
        into[v] = rows[at : at + v.size]
        at += v.size


def add_columns(cot: Matrices, variables: Sequence[Variable], columns: Any) -> None:
    """Columns handed out to variables and added."""
    at = 0
    for v in variables:
        part = columns[:, at : at + v.size]
        cot[v] = cot[v] + part if v in cot else part
        at += v.size


def column(x: Any, i: int, v: Variable) -> Any:
    """Column i of a 2-D part, in the shape of v."""
    return to_dense(x[:, [i]]).reshape(v.shape)[()]
