"""Instances of a pattern by which of their operands are equal: x·x is another pattern than x·y."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

__all__ = ["FEW", "by_sharing"]

FEW = 8  # instances below which a pattern is not worth being one
MANY = 128  # operands above which they are not compared

Index = np.ndarray


def by_sharing(operands: Sequence[Index], size: int) -> Iterator[tuple[Index, list[int]]]:
    """The instances 0 … size − 1 by the operands that they share, from one array of node numbers per operand.

    Yields the instances of each group, and for each operand the first one that is equal to it in all of them. What is
    left, in groups too small, shares nothing in particular.

    >>> import numpy as np
    >>> from adjoint.patterns.sharing import by_sharing
    >>> [(own.size, first) for own, first in by_sharing([np.arange(20), np.r_[0:10, 30:40]], 20)]
    [(10, [0, 0]), (10, [0, 1])]
    """
    count = len(operands)
    if count > MANY:
        yield np.arange(size), list(range(count))
        return
    equal = _equal_pairs(operands)
    mixed = [e for e in equal.values() if not isinstance(e, bool)]
    if not mixed:
        yield np.arange(size), _firsts(count, {pair: bool(e) for pair, e in equal.items()})
        return
    which = _numbered(mixed)
    members = np.bincount(which)
    left = np.flatnonzero(members[which] < FEW)
    for k in np.flatnonzero(members >= FEW).tolist():
        own = np.flatnonzero(which == k)
        shares = {pair: e if isinstance(e, bool) else bool(e[own[0]]) for pair, e in equal.items()}
        same = _firsts(count, shares)
        fits = np.ones(left.size, dtype=bool)  # they share more by chance
        for row, first in enumerate(same):
            if first != row:
                fits &= operands[row][left] == operands[first][left]
        own = np.sort(np.concatenate([own, left[fits]]))
        left = left[~fits]
        yield own, same
    if left.size:  # a pattern in which nothing is shared holds for any
        yield left, list(range(count))


def _equal_pairs(operands: Sequence[Index]) -> dict[tuple[int, int], bool | np.ndarray]:
    """For each pair of operands whether they are equal: in all instances, in none, or in which."""
    result: dict[tuple[int, int], bool | np.ndarray] = {}
    for i, a in enumerate(operands):
        for j in range(i):
            equal = operands[j] == a
            number = int(np.count_nonzero(equal))
            result[j, i] = number == a.size if number in (0, a.size) else equal
            if number == a.size:
                break
    return result


def _firsts(count: int, equal: dict[tuple[int, int], bool]) -> list[int]:
    return [next((j for j in range(i) if equal.get((j, i))), i) for i in range(count)]


def _numbered(flags: Sequence[np.ndarray]) -> Index:
    """Equal rows of flags get equal numbers, in order of appearance."""
    packed = np.packbits(np.array(flags), axis=0).T
    rows = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    rank = np.empty_like(first)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[inverse.reshape(-1)]
