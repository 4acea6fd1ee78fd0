"""Prefix programs as arrays: where subtrees end, and numbers that tell whether two subtrees are built alike.

In prefix order a subtree is a run of tokens. So its structure is a substring, and equal substrings are found by a
rolling hash, one sum over all tokens (Karp & Rabin 1987), however deep the trees are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from .model import VARIABLE, Model
from .opcodes import ARITY, BY_COUNT, N_OPCODES, PIECEWISE

__all__ = ["Index", "Trees", "arities", "followed", "numbered", "parents", "ranges", "subtree_ends"]

Index = np.ndarray

_RANDOM = np.random.default_rng(1).integers(1, 2**63, N_OPCODES + 8, dtype=np.uint64) | np.uint64(1)
_DEFINED, _COUNT = N_OPCODES + 4, N_OPCODES + 5  # places in it
_BY_COUNT = np.concatenate([ARITY == BY_COUNT, np.zeros(4, dtype=bool)])  # codes from −4 on
_FEW = 64  # keys
_BASE = int(_RANDOM[-1]) << 1 | 1
_INVERSE = pow(_BASE, -1, 2**64)
_BLOCK = 4096  # powers of the base are products of two of a table


@dataclass
class Trees:
    """The tokens of a model, with their rolling hash.

    Attributes
    ----------
    code, value, index : of the model
    sums : of the hashes of the tokens before each
    """

    code: Index
    value: Index
    index: Index
    sums: Index

    @classmethod
    def of(cls, model: Model) -> Trees:
        """The tokens of a model."""
        return cls.of_tokens(model.code, model.value, model.index, model.n_var, model.piecewise)

    @classmethod
    def of_tokens(
        cls, code: Index, value: Index, index: Index, n_var: int, tables: Sequence[tuple[np.ndarray, np.ndarray]] = ()
    ) -> Trees:
        """Tokens; ``tables`` are what piecewise linear functions refer to."""
        key = _RANDOM[code.astype(np.intp) + 4]
        key[(code == VARIABLE) & (index >= n_var)] = _RANDOM[_DEFINED]
        counted = np.flatnonzero(_BY_COUNT[code])
        key[counted] ^= index[counted].astype(np.uint64) * _RANDOM[_COUNT]
        piecewise = np.flatnonzero(code == PIECEWISE)
        if piecewise.size:
            number: dict[tuple[bytes, bytes], int] = {}
            content = [(slopes.tobytes(), breakpoints.tobytes()) for slopes, breakpoints in tables]
            same = np.array([number.setdefault(c, k) for k, c in enumerate(content)])
            index = index.copy()
            index[piecewise] = same[index[piecewise]]  # equal tables have one number
            key[piecewise] ^= index[piecewise].astype(np.uint64) * _RANDOM[_COUNT]
        key *= _powers(_BASE, np.arange(key.size))
        sums = np.zeros(key.size + 1, dtype=np.uint64)
        np.cumsum(key, out=sums[1:])
        return cls(code, value, index, sums)

    def structure(self, begin: Index, end: Index) -> Index:
        """A number for each run of tokens: equal where operators, kinds of operands and their order are."""
        return (self.sums[end] - self.sums[begin]) * _powers(_INVERSE, begin)

    def same(self, begin: Index, length: int) -> np.ndarray:
        """Which runs really are like the first one."""
        first = int(begin[0])
        if begin.size < length:
            return np.array([self._equal(first, b, length) for b in begin.tolist()], dtype=bool)
        fits = np.ones(begin.size, dtype=bool)
        for k in range(length):
            at = begin + k
            fits &= self.code[at] == self.code[first + k]
            if self.code[first + k] >= 0:
                fits &= self.index[at] == self.index[first + k]
        return fits

    def _equal(self, a: int, b: int, length: int) -> bool:
        one, other = self.code[a : a + length], self.code[b : b + length]
        if not np.array_equal(one, other):
            return False
        return not ((self.index[a : a + length] != self.index[b : b + length]) & (one >= 0)).any()


def _powers(base: int, exponent: Index) -> Index:
    """Powers modulo 2⁶⁴."""
    low = _table(base)
    most = int(exponent.max(initial=0))
    if most < _BLOCK:
        return low[exponent]
    high = _accumulated(pow(base, _BLOCK, 2**64), most // _BLOCK + 1)
    if exponent.size == most + 1:  # all of them, in order
        return (high[:, None] * low).reshape(-1)[: most + 1]
    return high[exponent >> 12] * low[exponent & (_BLOCK - 1)]


@cache
def _table(base: int) -> Index:
    return _accumulated(base, _BLOCK)


def _accumulated(base: int, count: int) -> Index:
    table = np.full(count, base, dtype=np.uint64)
    table[0] = 1
    return np.multiply.accumulate(table)


def arities(code: Index, index: Index) -> Index:
    """Operands of each token."""
    return np.where(code >= 0, np.where(code == PIECEWISE, 1, index), 0)


def subtree_ends(arity: Index) -> Index:
    """Where the subtree of each token ends, for trees one after the other.

    With h tokens still needed before token i, its subtree ends at the first later token before which h − 1 are.

    >>> subtree_ends(np.array([2, 1, 0, 0, 0]))
    array([4, 3, 3, 4, 5])
    """
    n = arity.size
    needed = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(arity - 1, out=needed[1:])
    needed -= needed.min(initial=0)
    end = np.arange(1, n + 1)
    inner = arity > 0
    if inner.any():
        wide = n + 2
        key = np.sort(needed * wide + np.arange(n + 1))
        at = key % wide
        asks = np.flatnonzero((at < n) & inner[np.minimum(at, n - 1)])
        end[at[asks]] = at[np.searchsorted(key, key[asks] - wide)]
    return end


def parents(stop: Index) -> Index:
    """The operator that each token is an operand of, in one tree; −1 for the root.

    The token after a subtree is the next operand of the same operator, or of one further out: the largest subtree that
    ends there is the operand before. Pointers to it are doubled (Wyllie 1979) until they point at first operands.

    >>> parents(subtree_ends(np.array([2, 1, 0, 0]))).tolist()
    [-1, 0, 1, 0]
    """
    before = np.arange(stop.size)
    ending = np.flatnonzero(stop < stop.size)[::-1]
    before[stop[ending]] = ending  # of equal ends, the first token's stays
    return followed(before) - 1


def followed(pointer: Index) -> Index:
    """Where pointers lead to in the end."""
    while True:
        further = pointer[pointer]
        if np.array_equal(further, pointer):
            return pointer
        pointer = further


def numbered(keys: Index) -> tuple[Index, Index, Index]:
    """Numbers 0, 1, … for equal keys in order of appearance, the first place of each, and how many there are of it."""
    if keys.size <= _FEW:
        return _numbered_few(keys.tolist())
    _, first, inverse, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return rank[inverse.reshape(-1)], first[order], count[order]


def _numbered_few(keys: list[int]) -> tuple[Index, Index, Index]:
    """The same without arrays, which for a few keys take longer to make."""
    found: dict[int, int] = {}
    number = [found.setdefault(key, len(found)) for key in keys]
    first, count = [0] * len(found), [0] * len(found)
    for place in range(len(keys) - 1, -1, -1):
        first[number[place]] = place
        count[number[place]] += 1
    return np.array(number, dtype=np.intp), np.array(first, dtype=np.intp), np.array(count, dtype=np.intp)


def ranges(begin: Index, length: Index) -> Index:
    """The numbers of all ranges, one after the other."""
    total = int(length.sum())
    before = np.cumsum(length) - length
    return np.arange(total) + np.repeat(begin - before, length)
