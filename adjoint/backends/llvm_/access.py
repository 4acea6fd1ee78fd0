"""Where elements are: views of an array as strides, or as a table of positions.

Reshaping, slicing, transposing, broadcasting and taking move no numbers in a compiled kernel: they say where in the
underlying array the element for each step of a loop is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...primitive import Primitive

__all__ = ["Access", "View", "contiguous", "listed", "refined", "split", "strided"]

LEAST_RUN = 8  # neighbours for which a table of where they start pays
_CELL = np.zeros(1, dtype=np.int8)  # views of one byte stand for arrays of any size: strides in bytes are elements
_START = _CELL.__array_interface__["data"][0]


@dataclass(frozen=True, slots=True)
class Access:
    """Positions of ``size`` elements, in the order of a loop.

    ``offset + Σ_d i_d·strides[d]`` with the loop index written to the base ``dims``, or ``positions[i]``; with ``run``,
    ``positions[i // run] + i % run``.
    """

    size: int
    offset: int
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    positions: np.ndarray | None = None
    run: int = 1

    @property
    def is_contiguous(self) -> bool:
        return self.positions is None and self.offset == 0 and self.strides in ((1,), ())

    @property
    def is_one(self) -> bool:
        """Whether it is the same element always."""
        return self.positions is None and not any(self.strides)

    def bounds(self) -> tuple[int, int]:
        """The smallest and the largest position; there are some."""
        if self.positions is not None:
            return int(self.positions.min()), int(self.positions.max()) + self.run - 1
        ends = [(n - 1) * s for n, s in zip(self.dims, self.strides, strict=True)]
        return self.offset + sum(e for e in ends if e < 0), self.offset + sum(e for e in ends if e > 0)

    def moved(self, by: int) -> Access:
        """All positions farther by a number."""
        if self.positions is not None:
            return replace(self, positions=self.positions + by)
        return replace(self, offset=self.offset + by)

    def table(self) -> np.ndarray:
        """The positions as an array."""
        if self.positions is not None:
            return (self.positions[:, None] + np.arange(self.run)).reshape(-1) if self.run > 1 else self.positions
        out = np.full((1,) * len(self.dims), self.offset, dtype=np.int64)
        for d, (n, s) in enumerate(zip(self.dims, self.strides, strict=True)):
            shape = [1] * len(self.dims)
            shape[d] = n
            out = out + (np.arange(n, dtype=np.int64) * s).reshape(shape)
        return np.broadcast_to(out, self.dims).reshape(-1)


def contiguous(size: int, offset: int = 0) -> Access:
    """Elements one after the other."""
    return Access(size, offset, (size,) if size != 1 else (), (1,) if size != 1 else ())


def strided(shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> Access:
    """Affine positions; neighbouring dimensions that are one in memory are joined."""
    size = math.prod(shape)
    dims: list[int] = []
    steps: list[int] = []
    for n, s in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if dims and steps[-1] == s * n:
            dims[-1] *= n
            steps[-1] = s
        else:
            dims.append(n)
            steps.append(s)
    return Access(size, offset, tuple(dims), tuple(steps))


class View:
    """An array seen through operations that copy elements (rows of the table with ``copies``)."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.strided: Any = as_strided(_CELL, tuple(shape), _c_strides(shape))
        self.positions: np.ndarray | None = None

    def apply(self, row: Primitive, params: tuple[Any, ...]) -> None:
        """Look through one more operation."""
        if self.positions is None:
            if row.name == "reshape":
                try:
                    self.strided = np.reshape(self.strided, params[0], copy=False)
                    return
                except ValueError:
                    pass  # not a view
            elif row.name == "getitem":
                index = row_index(params)
                # With an ellipsis NumPy gives an array always, also of one element: nothing is read.
                self.strided = self.strided[index if Ellipsis in index else (*index, ...)]
                return
            elif row.name in ("transpose", "broadcast_to"):
                self.strided = row.value(self.strided, *params)
                return
            self.positions = self._table().reshape(self.strided.shape)
        self.positions = np.asarray(row.value(self.positions, *params))

    def broadcast(self, shape: tuple[int, ...]) -> None:
        """Repeat along new or length-one axes."""
        if self.positions is None:
            self.strided = np.broadcast_to(self.strided, shape)
        else:
            self.positions = np.broadcast_to(self.positions, shape)

    def _offset(self) -> int:
        return self.strided.__array_interface__["data"][0] - _START if self.strided.size else 0

    def _table(self) -> np.ndarray:
        return strided(self.strided.shape, self.strided.strides, self._offset()).table()

    def access(self) -> Access:
        """Where the elements are, in C order."""
        if self.positions is None:
            return strided(self.strided.shape, self.strided.strides, self._offset())
        return listed(self.positions.reshape(-1))


def listed(positions: np.ndarray) -> Access:
    """Positions one by one; as strides where they are affine after all."""
    n = positions.size
    if n:
        step = int(positions[1] - positions[0]) if n > 1 else 0
        if n < 3 or bool((np.diff(positions) == step).all()):
            return strided((n,), (step,), int(positions[0]))
    run = _run(positions)
    if run >= LEAST_RUN:
        return Access(n, 0, (n // run, run), (1, 0), positions[::run], run)
    return Access(n, 0, (n,), (1,), positions)


def _run(positions: np.ndarray) -> int:
    """The number of neighbours, the same everywhere, that positions come in."""
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    if not breaks.size:
        return 1
    run = int(breaks[0])
    return run if positions.size % run == 0 and not (breaks % run).any() else 1


def row_index(params: tuple[Any, ...]) -> tuple[Any, ...]:
    """A frozen index with its slices."""
    return tuple(slice(*i[1:]) if isinstance(i, tuple) else i for i in params[0])


def _c_strides(shape: Sequence[int]) -> tuple[int, ...]:
    out, step = [], 1
    for n in reversed(shape):
        out.append(step)
        step *= max(n, 1)
    return tuple(reversed(out))


def refined(accesses: Sequence[Access], size: int) -> tuple[tuple[int, ...], list[tuple[int, ...] | None]]:
    """One loop nest for several accesses: its dimensions, and the strides of each access in them.

    None for an access that does not fit the nest: it goes by a table of positions.
    """
    cuts = {1, size}
    fits = []
    for a in accesses:
        own = _cuts(a.dims) if a.positions is None else {1, a.run, size}
        merged = sorted(cuts | own)
        ok = all(big % small == 0 for small, big in zip(merged, merged[1:], strict=False))
        fits.append(ok)
        if ok:
            cuts = set(merged)
    marks = sorted(cuts, reverse=True)
    dims = tuple(big // small for big, small in zip(marks, marks[1:], strict=False))
    return dims, [split(a, dims) if ok else None for a, ok in zip(accesses, fits, strict=True)]


def _cuts(dims: Sequence[int]) -> set[int]:
    out, step = {1}, 1
    for n in reversed(dims):
        step *= n
        out.add(step)
    return out


def split(access: Access, dims: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of an access in a finer nest."""
    own = list(zip(access.dims, access.strides, strict=True))
    out: list[int] = []
    left, step = (own.pop() if own else (1, 0))
    for n in reversed(dims):
        if left == 1 and own:
            left, step = own.pop()
        out.append(step if left > 1 else 0)
        left //= n
        step *= n
    return tuple(reversed(out))
