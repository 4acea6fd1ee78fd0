"""A graph of scalar operations, held in arrays: what array expressions become on their way into a file.

Node i is a number, a variable, or an operation with the operands ``args[start[i]:start[i+1]]``. Sums are weighted,
``Σ coef[k]·args[k]``, so that additions, differences, constant factors and matrices are all of one kind: a linear part
can be read off. Everything is appended for many nodes at once, and operands come before their users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .model import NUMBER, VARIABLE
from .opcodes import OPCODES

__all__ = ["SUM", "Graph", "Scalars"]

SUM = OPCODES["sum"]

Array = np.ndarray


class _Growing:
    """A vector that is appended to."""

    def __init__(self, dtype: Any) -> None:
        self.data = np.zeros(64, dtype)
        self.size = 0

    def append(self, values: Any, count: int) -> None:
        end = self.size + count
        if end > self.data.size:
            data = np.zeros(max(end, 2 * self.data.size), self.data.dtype)
            data[: self.size] = self.data[: self.size]
            self.data = data
        self.data[self.size : end] = values
        self.size = end

    @property
    def array(self) -> Array:
        return self.data[: self.size]


@dataclass
class Graph:
    """The nodes as arrays.

    Attributes
    ----------
    code : opcode, NUMBER or VARIABLE
    value : of numbers
    index : of variables; of piecewise linear functions, their place in ``piecewise``
    level : 0 for leaves, else one more than that of the highest operand
    named : whether the element of a named variable
    piecewise : pairs (slopes, breakpoints)
    """

    code: Array
    value: Array
    index: Array
    level: Array
    named: Array
    start: Array
    args: Array
    coef: Array
    piecewise: list[tuple[Array, Array]]


class Scalars:
    """A graph that grows. All methods take and give flat arrays of node numbers.

    >>> s = Scalars()
    >>> x = s.variables(2)
    >>> y = s.operation("exp", s.sums([0, 0], x, [1.0, 3.0], 1))  # exp(x0 + 3·x1)
    >>> s.graph().code.tolist()
    [-1, -1, -2, -2, 54, 44]
    """

    def __init__(self) -> None:
        self._code, self._level = _Growing(np.int16), _Growing(np.int64)
        self._value, self._index = _Growing(np.float64), _Growing(np.int64)
        self._named, self._ends = _Growing(np.bool_), _Growing(np.int64)
        self._args, self._coef = _Growing(np.int64), _Growing(np.float64)
        self.piecewise: list[tuple[Array, Array]] = []
        self.n_variables = 0
        self.zero, self.one = self.numbers(np.array([0.0, 1.0])).tolist()

    def graph(self) -> Graph:
        """What there is so far."""
        start = np.concatenate([[0], self._ends.array])
        return Graph(
            self._code.array,
            self._value.array,
            self._index.array,
            self._level.array,
            self._named.array,
            start,
            self._args.array,
            self._coef.array,
            self.piecewise,
        )

    def _append(self, code: int, n: int, value: Any = 0.0, index: Any = 0, level: Any = 0) -> Array:
        first = self._code.size
        for column, entry in (
            (self._code, code), (self._value, value), (self._index, index), (self._level, level), (self._named, False)
        ):  # fmt: skip
            column.append(entry, n)
        return np.arange(first, first + n)

    # -- leaves --------------------------------------------------------------------------------------------------

    def numbers(self, values: Array) -> Array:
        """One number each."""
        self._ends.append(self._args.size, values.size)
        return self._append(NUMBER, values.size, value=values)

    def variables(self, n: int) -> Array:
        """Further variables."""
        self._ends.append(self._args.size, n)
        first, self.n_variables = self.n_variables, self.n_variables + n
        return self._append(VARIABLE, n, index=np.arange(first, first + n))

    def is_number(self, ids: Array) -> Array:
        return np.asarray(self._code.array[ids] == NUMBER)

    def value(self, ids: Array) -> Array:
        """The values of numbers."""
        return self._value.array[ids]

    def name(self, ids: Array) -> None:
        """Mark the elements of a named variable."""
        self._named.array[ids] = True

    # -- operations ----------------------------------------------------------------------------------------------

    def operation(self, name: str, *operands: Array) -> Array:
        """The operation on each tuple of operands."""
        return self.rows(name, np.stack(operands, axis=1))

    def rows(self, name: str, operands: Array) -> Array:
        """The operation on each row of operands."""
        n, arity = operands.shape
        level = self._level.array[operands].max(axis=1, initial=0) + 1
        self._ends.append(self._args.size + arity * np.arange(1, n + 1), n)
        self._args.append(operands.reshape(-1), n * arity)
        self._coef.append(1.0, n * arity)
        return self._append(OPCODES[name], n, level=level)

    def table(self, x: Array, slopes: Array, breakpoints: Array) -> Array:
        """The piecewise linear function with value 0 at 0."""
        ids = self.operation("piecewise", x)
        self._index.array[ids] = len(self.piecewise)
        self.piecewise.append((slopes, breakpoints))
        return ids

    def sums(self, rows: Any, terms: Array, coef: Any, n: int) -> Array:
        """n sums; entry k adds ``coef[k]·terms[k]`` to sum ``rows[k]``. Zero coefficients leave no trace."""
        rows, coef = np.asarray(rows), np.asarray(coef, dtype=np.float64)
        if coef.shape != terms.shape:
            coef = np.broadcast_to(coef, terms.shape)
        keep = np.flatnonzero(coef != 0.0)
        if keep.size < coef.size:
            rows, terms, coef = rows[keep], terms[keep], coef[keep]
        if np.any(rows[1:] < rows[:-1]):
            order = np.argsort(rows, kind="stable")
            rows, terms, coef = rows[order], terms[order], coef[order]
        count = np.bincount(rows, minlength=n)
        out = np.full(n, self.zero)
        known = self.is_number(terms)
        fixed = np.bincount(rows[known], minlength=n) == count  # sums of numbers, empty ones too
        weighed = np.bincount(rows[known], coef[known] * self.value(terms[known]), n)
        some = fixed & (weighed != 0.0)
        out[some] = self.numbers(weighed[some])
        begin = np.cumsum(count) - count
        single = (count == 1) & ~fixed
        same = single.copy()
        same[single] = coef[begin[single]] == 1.0
        out[same] = terms[begin[same]]
        rest = ~fixed & ~same
        if rest.any():
            inside = rest[rows]
            out[rest] = self._weighted(rows[inside], terms[inside], coef[inside], count[rest])
        return out

    def _weighted(self, rows: Array, terms: Array, coef: Array, count: Array) -> Array:
        ends = np.cumsum(count)
        level = np.maximum.reduceat(self._level.array[terms], ends - count) + 1
        self._ends.append(self._args.size + ends, count.size)
        self._args.append(terms, terms.size)
        self._coef.append(coef, coef.size)
        return self._append(SUM, count.size, level=level)

    def scaled(self, x: Array, factor: Any) -> Array:
        """``factor·x``."""
        return self.sums(np.arange(x.size), x, factor, x.size)

    def added(self, a: Array, b: Array, sign: float = 1.0) -> Array:
        """``a + sign·b``."""
        rows = np.repeat(np.arange(a.size), 2)
        return self.sums(rows, np.stack([a, b], axis=1).reshape(-1), np.tile([1.0, sign], a.size), a.size)

    def multiplied(self, a: Array, b: Array) -> Array:
        """``a·b``; where one of the two is a number, a weighted sum."""
        by_a, by_b = self.is_number(a), self.is_number(b)
        out = np.empty(a.size, np.int64)
        out[by_b] = self.scaled(a[by_b], self.value(b[by_b]))
        by_a &= ~by_b
        out[by_a] = self.scaled(b[by_a], self.value(a[by_a]))
        rest = ~(by_a | by_b)
        same = rest & (a == b)
        out[same] = self.power(a[same], 2.0)
        rest &= ~same
        base, exponent = self._whole_powers(a)
        same = rest & (base == b)
        out[same] = self.operation("pow", b[same], self.numbers(exponent[same] + 1.0))
        rest &= ~same
        out[rest] = self.operation("times", a[rest], b[rest])
        return out

    def _whole_powers(self, x: Array) -> tuple[Array, Array]:
        """Bases and exponents where x is a whole power without a name of its own; else a base of -1."""
        base, exponent = np.full(x.size, -1), np.zeros(x.size)
        at = np.flatnonzero((self._code.array[x] == OPCODES["pow"]) & ~self._named.array[x])
        end = self._ends.array[x[at]]
        n = self._args.array[end - 1]
        value = self.value(n)
        whole = self.is_number(n) & (value == np.rint(value)) & (value > 0)
        base[at[whole]], exponent[at[whole]] = self._args.array[end[whole] - 2], value[whole]
        return base, exponent

    def divided(self, a: Array, b: Array) -> Array:
        """``a/b``; where b is a number, a weighted sum."""
        known = self.is_number(b)
        known[known] = self.value(b[known]) != 0.0
        out = np.empty(a.size, np.int64)
        out[known] = self.scaled(a[known], 1.0 / self.value(b[known]))
        out[~known] = self.operation("divide", a[~known], b[~known])
        return out

    def power(self, x: Array, exponent: float) -> Array:
        """``x`` to a constant power; of a whole power, a whole one of its base."""
        base, inner = self._whole_powers(x)
        if exponent != np.rint(exponent) or not np.any(base >= 0):
            return self.operation("pow", x, self.filled(x, exponent))
        inner = np.where(base < 0, 1.0, inner)
        return self.operation("pow", np.where(base < 0, x, base), self.numbers(inner * exponent))

    def filled(self, like: Array, value: float) -> Array:
        """One number, as many times as ``like`` has elements."""
        return np.full(like.size, self.numbers(np.array([value]))[0] if like.size else 0)

    def shifted(self, x: Array, by: float) -> Array:
        """``x + by``"""
        return self.added(x, self.filled(x, by))

    # -- conditions ----------------------------------------------------------------------------------------------

    def choice(self, condition: Array, a: Array, b: Array) -> Array:
        """``a`` where the condition (a node of a logical operation) holds, else ``b``."""
        return self.operation("if", condition, a, b)

    def mask(self, condition: Array) -> Array:
        """1 where the condition holds, else 0."""
        return self.choice(condition, np.full(condition.size, self.one), np.full(condition.size, self.zero))

    def conditions(self, x: Array) -> Array:
        """The conditions of those x that are masks, else -1."""
        out = np.full(x.size, -1)
        at = np.flatnonzero(self._code.array[x] == OPCODES["if"])
        first = self._ends.array[x[at]] - 3
        args = self._args.array
        masks = (args[first + 1] == self.one) & (args[first + 2] == self.zero)
        out[at[masks]] = args[first[masks]]
        return out

    def condition(self, x: Array) -> Array:
        """``x ≠ 0`` as a condition."""
        out = self.conditions(x)
        other = out < 0
        out[other] = self.operation("ne", x[other], np.full(np.count_nonzero(other), self.zero))
        return out
