"""Vectors of expressions of a file: terms of one pattern are evaluated once, on vectors of their operands.

A vector of sums is built in three steps. Sums are split into signed terms (``terms``); terms of equal structure are
brought together (``trees``) and divided by the operands that they share (``patterns.sharing``); each group is one array
expression, whose elements are added up by the sum they belong to. Long sums inside of a term are vectors of sums again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..expr import Expr, constant
from ..patterns.sharing import FEW, by_sharing
from ..primitives.elementwise import add, multiply, negative
from ..primitives.indexing import broadcast_to, concatenate, scatter_flat, stack, sum_axes
from .model import NUMBER, VARIABLE
from .opcodes import OPCODES
from .pattern import IF, Pattern, Tables, value_of
from .terms import Terms, long_sums, split
from .trees import Index, Trees, numbered, ranges
from .vectors import Entries, Vectors

__all__ = ["Bodies"]

LONG = 16  # terms from which a sum is a reduction, not part of a pattern
NESTED = 50  # long sums in long sums that are built for themselves
EXPONENTS = 8  # different exponents of a pattern that become patterns of their own

NO_LINEAR: Entries = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)

_TIMES = OPCODES["times"]
_KNOWN = -9  # code of an operand that is a long sum


class Bodies:
    """Builds vectors of expressions.

    Parameters
    ----------
    trees : the tokens
    vectors : where their variables are
    tables : slopes and breakpoints of the piecewise linear functions
    """

    def __init__(self, trees: Trees, vectors: Vectors, tables: Tables) -> None:
        self.trees, self.vectors, self.tables = trees, vectors, tables
        self._depth = 0

    def sums(self, begin: Index, end: Index, linear: Entries) -> Expr:
        """The values of the expressions at ``begin:end`` plus linear parts (rows, variables, coefficients).

        A scalar for one expression, else a vector.
        """
        count = begin.size
        own = np.flatnonzero(end > begin)
        terms = self._terms(begin[own], end[own])
        terms.owner = own[terms.owner]
        fixed, linear, rest = self._simple(terms, linear, count)
        total = self.vectors.linear(linear, count)
        for part in self._added(rest, count):
            total = add(total, part)
        if fixed.any():
            total = add(total, fixed if count > 1 else float(fixed[0]))
        return total if count == 1 else broadcast_to(total, (count,))

    # -- terms
    def _terms(self, begin: Index, end: Index) -> Terms:
        """The terms of all expressions; those of equal structure are looked at once."""
        if not begin.size:
            return Terms(begin, begin, np.zeros(0), begin)
        kind, first, count = numbered(self.trees.structure(begin, end) ^ (end - begin).astype(np.uint64))
        found = split(self.trees, begin[first], end[first])
        whole = count >= FEW
        if whole.any():
            whole &= self._unlike(found, first.size)
        members = np.argsort(kind, kind="stable")
        start = np.cumsum(count) - count
        take = np.flatnonzero(whole[kind])
        kept = Terms(begin[take], end[take], np.ones(take.size), take)
        split_up = ~whole[found.owner]
        group = found.owner[split_up]
        repeat = count[group]
        owner = members[ranges(start[group], repeat)]
        shift = begin[owner] - np.repeat(begin[first[group]], repeat)
        parts = [np.repeat(x[split_up], repeat) for x in (found.begin, found.end, found.sign)]
        return Terms.joined([kept, Terms(parts[0] + shift, parts[1] + shift, parts[2], owner)])

    def _unlike(self, terms: Terms, sums: int) -> np.ndarray:
        """Which sums are better not split: short ones, whose terms (that are not linear) are like no others."""
        number, before, after = self._linear(terms)
        nonlinear = np.ones(terms.begin.size, dtype=bool)
        for linear in (number, before, after):
            nonlinear[linear] = False
        structure = self.trees.structure(terms.begin, terms.end) ^ (terms.end - terms.begin).astype(np.uint64)
        kind, _, count = numbered(structure)
        length, own, again = (
            np.bincount(terms.owner[which], minlength=sums)
            for which in (slice(None), nonlinear, nonlinear & (count[kind] > 1))
        )
        return (length < LONG) & (own > 1) & (again == 0)

    def _linear(self, terms: Terms) -> tuple[Index, Index, Index]:
        """Which terms are numbers, are variables or numbers times variables, and are variables times numbers."""
        code, at, length = self.trees.code, terms.begin, terms.end - terms.begin
        triple = np.flatnonzero((length == 3) & (code[at] == _TIMES))
        first, second = code[at[triple] + 1], code[at[triple] + 2]
        alone = np.flatnonzero(code[at] == VARIABLE)
        before = np.concatenate([alone, triple[(first == NUMBER) & (second == VARIABLE)]])
        return np.flatnonzero(code[at] == NUMBER), before, triple[(first == VARIABLE) & (second == NUMBER)]

    def _simple(self, terms: Terms, linear: Entries, count: int) -> tuple[np.ndarray, Entries, Terms]:
        """Numbers, multiples of variables, and the rest."""
        value, index = self.trees.value, self.trees.index
        number, before, after = self._linear(terms)
        fixed = np.bincount(terms.owner[number], terms.sign[number] * value[terms.begin[number]], count)
        which = np.concatenate([before, after])
        if which.size:
            last = terms.end[which] - 1
            variable = np.where(np.arange(which.size) < before.size, last, last - 1)
            factor = np.where(terms.end[which] - terms.begin[which] == 1, 1.0, value[2 * last - 1 - variable])
            rows, variables, factors = linear
            linear = (
                np.concatenate([rows, terms.owner[which]]),
                np.concatenate([variables, index[variable]]),
                np.concatenate([factors, factor * terms.sign[which]]),
            )
        left = np.ones(terms.begin.size, dtype=bool)
        left[number] = left[which] = False
        return fixed, linear, Terms(terms.begin[left], terms.end[left], terms.sign[left], terms.owner[left])

    # -- values of patterns, added up
    def _added(self, terms: Terms, count: int) -> Iterator[Expr]:
        """The terms, added up by owner, in a few vectors (scalars for one owner)."""
        alone: dict[int, Expr] = {}
        parts: list[tuple[Expr, Index]] = []
        for value, sign, owner in self._values(terms):
            if (sign == sign[0]).all():
                value = negative(value) if sign[0] < 0 else value
            else:
                value = multiply(sign, value)
            if count == 1:
                yield sum_axes(value, (0,)) if value.shape else value
            elif not value.shape:
                i = int(owner[0])
                alone[i] = add(alone[i], value) if i in alone else value
            elif owner.size == count and np.array_equal(owner, np.arange(count)):
                yield value
            else:
                parts.append((value, owner))
        if alone:
            parts.append((stack(list(alone.values())), np.array(list(alone))))
        if parts:
            owner = np.concatenate([o for _, o in parts])
            vector = concatenate([p for p, _ in parts])
            yield vector if np.array_equal(owner, np.arange(count)) else scatter_flat(vector, owner, (count,))

    def _values(self, terms: Terms) -> Iterator[tuple[Expr, Index, Index]]:
        """For each group of terms of one pattern the values, the signs and the owners."""
        if not terms.begin.size:
            return
        length = terms.end - terms.begin
        kind, first, count = numbered(self.trees.structure(terms.begin, terms.end) ^ length.astype(np.uint64))
        order = np.argsort(kind, kind="stable")
        at = np.cumsum(count) - count
        single = count == 1
        for own, value in self._scalars(terms, first[single]):
            yield value, terms.sign[own : own + 1], terms.owner[own : own + 1]
        for start, number in zip(at[~single].tolist(), count[~single].tolist(), strict=True):
            own = order[start : start + number]
            while own.size:
                begin, size = terms.begin[own], int(length[own[0]])
                same = self.trees.same(begin, size)
                for which, value in self._pattern(begin[same], size):
                    chosen = own[same][which]
                    yield value, terms.sign[chosen], terms.owner[chosen]
                own = own[~same]

    def _scalars(self, terms: Terms, which: Index) -> Iterator[tuple[int, Expr]]:
        """The values of terms that are the only ones of their pattern."""
        trees = self.trees
        for own, begin, end in zip(which.tolist(), terms.begin[which].tolist(), terms.end[which].tolist(), strict=True):
            code = trees.code[begin:end].tolist() if end - begin <= 2 * LONG else [IF]
            if IF in code:
                yield own, next(self._pattern(np.array([begin]), end - begin))[1]
                continue
            index, value = trees.index[begin:end].tolist(), trees.value[begin:end].tolist()

            def leaf(k: int, code: list[int] = code, index: list[int] = index, value: list[float] = value) -> Expr:
                return constant(value[k]) if code[k] == NUMBER else self.vectors.scalar(index[k])

            yield own, value_of(code, index, leaf, self.tables)

    def _pattern(self, begin: Index, length: int) -> Iterator[tuple[Index, Expr]]:
        """The values of terms of one structure, by groups that share operands and exponents."""
        first = slice(int(begin[0]), int(begin[0]) + length)
        code, index = self.trees.code[first], self.trees.index[first]
        heads, stops = long_sums(code, index, LONG) if self._depth < NESTED else (begin[:0], begin[:0])
        place = np.arange(length)
        if heads.size:  # long sums become operands: vectors of their own
            code = code.copy()
            code[heads] = _KNOWN
            keep = np.ones(length, dtype=bool)
            keep[ranges(heads + 1, stops - heads - 1)] = False
            place = np.flatnonzero(keep)
        pattern = Pattern.of(code[place], index[place])
        spans = dict(zip(heads.tolist(), stops.tolist(), strict=True))
        variables = place[code[place] == VARIABLE].tolist()
        for own in self._by_exponents(begin, place[pattern.exponents()].tolist()):
            operands = [self.trees.index[begin[own] + k] for k in variables]
            for which, _ in by_sharing(operands, own.size):
                members = own[which]
                value = pattern.value(self._leaves(begin[members], code, place, spans), self.tables)
                yield members, value if members.size == 1 else broadcast_to(value, (members.size,))

    def _by_exponents(self, begin: Index, places: list[int]) -> list[Index]:
        """Instances by their exponents where these are few, so that whole powers become products."""
        groups = [np.arange(begin.size)]
        for k in places:
            parts = []
            for own in groups:
                distinct, inverse = np.unique(self.trees.value[begin[own] + k], return_inverse=True)
                few = 1 < distinct.size <= EXPONENTS and (own.size < FEW or own.size >= FEW * distinct.size)
                inverse = inverse.reshape(-1)
                parts += [own[inverse == i] for i in range(distinct.size)] if few else [own]
            groups = parts
        return groups

    def _leaves(self, begin: Index, code: Index, place: Index, spans: dict[int, int]) -> Callable[[int], Expr]:
        """The operands of a pattern, as vectors; scalars for one instance, and where one is the same in all."""
        trees = self.trees

        def leaf(k: int) -> Expr:
            at = int(place[k])
            if code[at] == _KNOWN:
                self._depth += 1
                vector = self.sums(begin + at, begin + spans[at], NO_LINEAR)
                self._depth -= 1
                return vector
            if code[at] == NUMBER:
                numbers = trees.value[begin + at]
                return constant(float(numbers[0]) if (numbers == numbers[0]).all() else numbers)
            ids = trees.index[begin + at]
            return self.vectors.scalar(int(ids[0])) if (ids == ids[0]).all() else self.vectors.vector(ids)

        return leaf
