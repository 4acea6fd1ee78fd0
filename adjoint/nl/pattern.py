"""One expression tree, evaluated on operands that are given by place: once for all terms that are built like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..expr import Expr
from ..primitives.elementwise import multiply, subtract
from .model import NUMBER
from .opcodes import OPCODES, PIECEWISE
from .operators import OPERATORS, guarded, mask, piecewise_linear
from .trees import Index, arities, subtree_ends

__all__ = ["IF", "Pattern", "Tables", "value_of"]

IF, _POW = OPCODES["if"], OPCODES["pow"]
Tables = list[tuple[np.ndarray, np.ndarray]]


def value_of(codes: list[int], indices: list[int], leaf: Callable[[int], Expr], tables: Tables) -> Expr:
    """The value of a tree: prefix order, read backwards, is a stack program.

    ``leaf(k)`` is the expression of the operand at place k.
    """
    values: list[Expr] = []
    for k in range(len(codes) - 1, -1, -1):
        values.append(_step(codes[k], indices[k], k, values, leaf, tables, None))
    return values[0]


def _step(
    code: int,
    index: int,
    k: int,
    values: list[Expr],
    leaf: Callable[[int], Expr],
    tables: Tables,
    needed: Expr | None,
) -> Expr:
    if code < 0:
        return leaf(k)
    if code == PIECEWISE:
        return piecewise_linear(values.pop(), *tables[index])
    args = [values.pop() for _ in range(index)]
    return OPERATORS[code](*(args if needed is None else guarded(code, args, needed)))


@dataclass(frozen=True)
class Pattern:
    """A tree in prefix order.

    Attributes
    ----------
    code, index : the tokens
    stop : where the subtree of each ends
    """

    code: list[int]
    index: list[int]
    stop: list[int]

    @classmethod
    def of(cls, code: Index, index: Index) -> Pattern:
        """The pattern of these tokens."""
        return cls(code.tolist(), index.tolist(), subtree_ends(arities(code, index)).tolist())

    def exponents(self) -> list[int]:
        """Where numbers are exponents."""
        places = [self.stop[k + 1] for k, c in enumerate(self.code) if c == _POW]
        return [k for k in places if self.code[k] == NUMBER]

    def value(self, leaf: Callable[[int], Expr], tables: Tables) -> Expr:
        """The value.

        The conditions of ifs are evaluated first: an operator in a branch gets harmless operands where the branch is
        not taken.
        """
        if IF not in self.code:
            return value_of(self.code, self.index, leaf, tables)
        known: dict[int, Expr] = {}
        needed: dict[int, Expr] = {}
        k = 0
        while k < len(self.code):
            if k in known:
                k = self.stop[k]
                continue
            if self.code[k] == IF:
                first, second = self.stop[k + 1], self.stop[self.stop[k + 1]]
                test = mask(self._run(k + 1, first, leaf, tables, known, needed))
                known[k + 1] = test
                for branch, holds in ((range(first, second), test), (range(second, self.stop[k]), subtract(1.0, test))):
                    for t in branch:
                        needed[t] = multiply(needed[t], holds) if t in needed else holds
            k += 1
        return self._run(0, len(self.code), leaf, tables, known, needed)

    def _run(
        self,
        begin: int,
        end: int,
        leaf: Callable[[int], Expr],
        tables: Tables,
        known: Mapping[int, Expr],
        needed: Mapping[int, Expr],
    ) -> Expr:
        """The value of the tokens ``begin:end``; the values of some subtrees are known."""
        at_end = {self.stop[head]: head for head in sorted(known, reverse=True) if head >= begin}
        values: list[Expr] = []
        k = end - 1
        while k >= begin:
            head = at_end.get(k + 1)
            if head is None:
                values.append(_step(self.code[k], self.index[k], k, values, leaf, tables, needed.get(k)))
                k -= 1
            else:
                values.append(known[head])
                k = head - 1
        return values[0]
