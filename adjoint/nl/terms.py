"""Sums read as signed terms: one pass over the tokens, however long the sums and however deep their chains are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .opcodes import OPCODES
from .trees import Index, Trees, arities, followed, parents, ranges, subtree_ends

__all__ = ["ADDITIVE", "Terms", "long_sums", "split"]

_PLUS, _MINUS, _NEGATE, _SUM = (OPCODES[name] for name in ("plus", "minus", "negate", "sum"))
ADDITIVE = np.zeros(256, dtype=bool)
ADDITIVE[[_PLUS, _MINUS, _NEGATE, _SUM]] = True


@dataclass
class Terms:
    """Terms of some sums: the tokens ``begin:end`` of each, its sign, and which sum it belongs to."""

    begin: Index
    end: Index
    sign: Index
    owner: Index

    @classmethod
    def joined(cls, parts: list[Terms]) -> Terms:
        """All in one."""
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("begin", "end", "sign", "owner")))


def split(trees: Trees, begin: Index, end: Index) -> Terms:
    """The terms of the expressions at ``begin:end``, one after the other.

    A token is inside of a term if an operator before it that does not add has not ended yet; a term is subtracted if an
    odd number of subtractions is open where it begins.
    """
    at = ranges(begin, end - begin)
    code = trees.code[at]
    arity = arities(code, trees.index[at])
    stop = subtree_ends(arity)
    adds = (code >= 0) & ADDITIVE[code]
    inside = np.zeros(at.size, dtype=bool)
    covered = np.maximum.accumulate(np.where(adds, 0, stop))
    inside[1:] = covered[:-1] > np.arange(1, at.size)
    minus = np.flatnonzero((code == _MINUS) & ~inside)
    negate = np.flatnonzero((code == _NEGATE) & ~inside)
    flips = np.bincount(np.concatenate([stop[minus + 1], negate + 1, stop[minus], stop[negate]]), minlength=at.size + 1)
    odd = np.cumsum(flips[:-1]) & 1
    head = np.flatnonzero(~adds & ~inside)
    owner = np.repeat(np.arange(begin.size), end - begin)
    first = at[head]
    return Terms(first, first + stop[head] - head, 1.0 - 2.0 * odd[head], owner[head])


def long_sums(code: Index, index: Index, least: int) -> tuple[Index, Index]:
    """Where the outermost sums of so many terms begin and end in a tree."""
    adds = (code >= 0) & ADDITIVE[code]
    if index[adds].sum() < least:  # of all operands
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    stop = subtree_ends(arities(code, index))
    above = parents(stop)
    under_sum = (above >= 0) & adds[above]
    head = followed(np.where(adds & under_sum, above, np.arange(code.size)))
    terms = np.bincount(head[above[under_sum & ~adds]], minlength=code.size)
    found = np.flatnonzero(terms >= least)
    outer = np.ones(found.size, dtype=bool)
    outer[1:] = found[1:] >= np.maximum.accumulate(stop[found])[:-1]
    return found[outer], stop[found[outer]]
