"""Which block every row belongs to: as the user names it, or cut by the structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy
import scipy.sparse as sp

from ...errors import ModelError, NameLookupError, closest
from .model import Parts

__all__ = ["labels_by_name", "labels_by_structure"]

NONE = -1
SWEEPS = 10  # of refinement
UNEVEN = 0.25  # by which part blocks may be larger or smaller than their share
DENSE = 400  # rows up to which all eigenvectors are computed


def labels_by_name(parts: Parts, blocks: Mapping[str, Any]) -> np.ndarray:
    """The block of every row, from names.

    A block names equations, constraints and variables: a list of names, or ``{name: index}`` where some elements of an
    array belong to it. A row that no block names goes to the block with most of its variables; a variable that no block
    names goes where most of its rows are; and so on until all have a place.

    Raises
    ------
    NameLookupError, ModelError
        A name that the program does not have; an element in two blocks.
    """
    if not isinstance(blocks, Mapping) or not blocks:
        raise ModelError(f"blocks= is a number, or a dict {{block: names}}, not {blocks!r:.60}")
    rows, columns = np.full(parts.size, NONE), np.full(parts.nlp.n, NONE)
    places = _places(parts)
    for k, (label, content) in enumerate(blocks.items()):
        items = content.items() if isinstance(content, Mapping) else [(name, ...) for name in _names(content, label)]
        for name, index in items:
            if name not in places:
                raise NameLookupError(closest(name, places, "equation, constraint or variable"))
            for which, first, shape in places[name]:
                _claim(rows if which == "row" else columns, first + _positions(shape, index, name), k, name)
    return _spread(parts.incidence, rows, columns)


def _names(content: Any, label: str) -> list[str]:
    if isinstance(content, str):
        return [content]
    try:
        return list(content)
    except TypeError:
        raise ModelError(f"blocks= {label!r}: a list of names or {{name: index}}, not {content!r:.60}") from None


def _places(parts: Parts) -> dict[str, list[tuple[str, int, tuple[int, ...]]]]:
    """By name: rows or columns, where they start, and their shape."""
    out: dict[str, list[tuple[str, int, tuple[int, ...]]]] = {}
    for g in parts.groups:
        out.setdefault(g.name, []).append(("row", g.first, g.expr.shape))
    for v, first in parts.starts.items():
        out.setdefault(v.name, []).append(("column", first, v.shape))
    return out


def _positions(shape: tuple[int, ...], index: Any, name: str) -> np.ndarray:
    positions = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
    try:
        return np.unique(positions if index is ... or index is None else positions[index])
    except (IndexError, TypeError, ValueError) as error:
        raise ModelError(f"blocks=: {index!r:.40} does not index {name!r} of shape {shape}: {error}") from None


def _claim(labels: np.ndarray, positions: np.ndarray, k: int, name: str) -> None:
    taken = labels[positions]
    if ((taken != NONE) & (taken != k)).any():
        raise ModelError(f"blocks=: elements of {name!r} are in more than one block")
    labels[positions] = k


def _spread(incidence: Any, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Labels of all rows, from those of some rows and columns."""
    k = int(max(rows.max(initial=0), columns.max(initial=0))) + 1
    while True:
        before = np.count_nonzero(rows == NONE), np.count_nonzero(columns == NONE)
        rows = _most(incidence, columns, rows, k)
        columns = _most(incidence.T, rows, columns, k)
        if (np.count_nonzero(rows == NONE), np.count_nonzero(columns == NONE)) == before:
            break
    return np.maximum(rows, 0)


def _most(matrix: Any, neighbours: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Labels, with those that are missing from most of the neighbours; of equals the first."""
    have = np.flatnonzero(neighbours != NONE)
    hot = sp.csr_array((np.ones(len(have)), (have, neighbours[have])), shape=(len(neighbours), k))
    counts = (sp.csr_array(matrix) @ hot).toarray()
    found = np.where(counts.max(axis=1, initial=0) > 0, counts.argmax(axis=1), NONE)
    return np.where(labels == NONE, found, labels)


def labels_by_structure(parts: Parts, count: int) -> np.ndarray:
    """The block of every row of ``count`` blocks of nearly one size with few variables in common.

    Recursive spectral bisection: rows are neighbours where they share a variable, a variable of d rows with weight
    1/(d − 1). They are ordered by the eigenvector of the second smallest eigenvalue of the Laplacian, and cut where the
    fewest variables have rows on both sides (Pothen, Simon and Liou 1990, "Partitioning Sparse Matrices with
    Eigenvectors of Graphs"). Rows then move across the cuts where that leaves fewer copies.
    """
    by_row = sp.csr_array(parts.incidence)
    degree = np.diff(sp.csc_array(by_row).indptr)
    light = np.flatnonzero((degree > 1) & (degree <= max(50, 4 * int(np.sqrt(parts.size)))))
    by_row = sp.csr_array(by_row[:, light])  # a variable of nearly all rows says nothing of where to cut
    labels = np.zeros(parts.size, dtype=int)
    _divide(by_row, np.arange(parts.size), labels, 0, count)
    return _refined(by_row, labels, count)


def _divide(by_row: Any, rows: np.ndarray, labels: np.ndarray, first: int, count: int) -> None:
    """Label rows by ``first`` … ``first + count − 1``."""
    labels[rows] = first
    if count == 1 or len(rows) < 2:
        return
    own = sp.csr_array(by_row[rows])
    order = np.argsort(_fiedler(own), kind="stable")
    half = count // 2
    at = _cut(sp.csr_array(own[order]), half / count)
    _divide(by_row, rows[order[:at]], labels, first, half)
    _divide(by_row, rows[order[at:]], labels, first + half, count - half)


def _fiedler(by_row: Any) -> np.ndarray:
    """The eigenvector that orders rows; of several components one after the other."""
    degree = np.asarray(by_row.sum(axis=0)).reshape(-1)
    weights = 1.0 / np.maximum(degree - 1.0, 1.0)
    graph = sp.csr_array(by_row @ sp.diags_array(weights) @ by_row.T)
    graph.setdiag(0.0)
    graph.eliminate_zeros()
    pieces, member = scipy.sparse.csgraph.connected_components(graph, directed=False)
    out = np.zeros(graph.shape[0])
    for k in range(pieces):
        inside = np.flatnonzero(member == k)
        if len(inside) > 2:
            v = _second(sp.csr_array(graph[inside][:, inside]))
            out[inside] = 3.0 * k + v / max(float(np.abs(v).max()), 1e-300)
        else:
            out[inside] = 3.0 * k
    return out


def _second(graph: Any) -> np.ndarray:
    """Eigenvector of the second smallest eigenvalue of the normalized Laplacian of a connected graph."""
    n = graph.shape[0]
    scale = 1.0 / np.sqrt(np.asarray(graph.sum(axis=1)).reshape(-1))
    L = sp.eye_array(n) - sp.diags_array(scale) @ graph @ sp.diags_array(scale)
    if n <= DENSE:
        vectors = np.linalg.eigh(L.toarray())[1]
    else:
        start = np.cos(np.arange(n))  # the same order each time
        vectors = scipy.sparse.linalg.eigsh(sp.csc_array(L), k=2, sigma=-1e-3, v0=start)[1]
    return vectors[:, 1] * scale  # type: ignore[no-any-return]


def _cut(ordered: Any, fraction: float) -> int:
    """Where to cut an order of rows, near a fraction of it: where fewest variables are on both sides."""
    n = ordered.shape[0]
    by_variable = sp.csc_array(ordered)
    by_variable.sort_indices()
    used = np.flatnonzero(np.diff(by_variable.indptr) > 0)
    first = by_variable.indices[by_variable.indptr[used]]
    last = by_variable.indices[by_variable.indptr[used + 1] - 1]
    # a cut before row k separates the variables with first < k <= last
    open_ = np.cumsum(np.bincount(first + 1, minlength=n + 2) - np.bincount(last + 1, minlength=n + 2))
    low, high = max(1, int(n * fraction * (1 - UNEVEN))), min(n - 1, int(np.ceil(n * fraction * (1 + UNEVEN))))
    window = np.arange(low, max(high, low) + 1)
    best = np.flatnonzero(open_[window] == open_[window].min())
    return int(window[best[np.argmin(np.abs(window[best] - n * fraction))]])


def _refined(by_row: Any, labels: np.ndarray, count: int) -> np.ndarray:
    """Rows moved to the block that has more of their variables, while blocks keep their size."""
    labels = labels.copy()
    by_column = sp.csc_array(by_row)
    sizes = np.bincount(labels, minlength=count)
    rows = np.repeat(np.arange(by_row.shape[0]), np.diff(by_row.indptr))
    held = np.zeros((by_row.shape[1], count), dtype=int)  # of each variable, its rows in each block
    np.add.at(held, (by_row.indices, labels[rows]), 1)
    most, least = (1 + UNEVEN) * len(labels) / count, (1 - UNEVEN) * len(labels) / count
    for _ in range(SWEEPS):
        split = np.flatnonzero((held > 0).sum(axis=1) > 1)
        border = np.unique(by_column[:, split].indices) if len(split) else split
        moved = False
        for i in border.tolist():
            mine, own = by_row.indices[by_row.indptr[i] : by_row.indptr[i + 1]], labels[i]
            gain = (held[mine] > 0).sum(axis=0) + (held[mine, own] == 1).sum() - len(mine)  # copies saved by a move
            gain[own] = 0
            gain[sizes + 1 > most] = 0
            best = int(gain.argmax())
            if gain[best] > 0 and sizes[own] - 1 >= least:
                held[mine, own] -= 1
                held[mine, best] += 1
                sizes[own] -= 1
                sizes[best] += 1
                labels[i], moved = best, True
        if not moved:
            break
    return labels
