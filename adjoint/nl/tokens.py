"""The prefix program of a graph of scalars: every operator before its operands.

Sums become trees of ``+``, ``−`` and n-ary sums with constant factors. Lengths of expressions are found from the leaves
up, places from the roots down; all instances of a level at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .model import NUMBER, VARIABLE
from .opcodes import OPCODES, PIECEWISE
from .records import entries_of
from .scalars import SUM, Graph
from .simplify import Sums, by_level

__all__ = ["Tokens", "Tree", "tree"]

Array = np.ndarray

_PLUS, _MINUS, _TIMES, _NEGATE = (OPCODES[name] for name in ("plus", "minus", "times", "negate"))


@dataclass
class Tokens:
    """Tokens of several expressions, one after the other: expression i has ``bounds[i]`` up to ``bounds[i+1]``."""

    code: Array
    value: Array
    index: Array
    bounds: Array

    @property
    def expression(self) -> Array:
        """The expression of each token."""
        return np.repeat(np.arange(self.bounds.size - 1), np.diff(self.bounds))


@dataclass
class Tree:
    """Nodes with their tokens and children, made from the nodes of a graph.

    Attributes
    ----------
    reference : for each defined variable, the node that refers to it
    root, definition : nodes of the expressions of the roots and of the defined variables; -1 where that is 0
    linear : entries (row, variable, coefficient) of the linear parts of the rows of roots and defined variables
    """

    code: Array
    value: Array
    index: Array
    level: Array
    start: Array
    children: Array
    reference: Array
    root: Array
    definition: Array
    linear: tuple[Array, Array, Array]

    def tokens(self, expressions: Array) -> Tokens:
        """The prefix program of some expressions."""
        present = np.flatnonzero(expressions >= 0)
        length = self._lengths()
        count = np.zeros(expressions.size, np.int64)
        count[present] = length[expressions[present]]
        bounds = np.concatenate([[0], np.cumsum(count)])
        code = np.zeros(bounds[-1], np.int16)
        value, index = np.zeros(bounds[-1]), np.zeros(bounds[-1], np.int64)
        nodes, place = expressions[present], bounds[present]
        while nodes.size:
            code[place], value[place], index[place] = self.code[nodes], self.value[nodes], self.index[nodes]
            at, begin, n_children = entries_of(self.start, nodes)
            child = self.children[at]
            before = np.cumsum(length[child]) - length[child]
            first = np.zeros(nodes.size, np.int64)
            some = n_children > 0
            first[some] = before[begin[some]]
            place = np.repeat(place + 1 - first, n_children) + before
            nodes = child
        return Tokens(code, value, index, bounds)

    def _lengths(self) -> Array:
        length = np.ones(self.code.size, np.int64)
        for nodes in by_level(self.level, np.flatnonzero(np.diff(self.start) > 0)):
            at, begin, _ = entries_of(self.start, nodes)
            length[nodes] += np.add.reduceat(length[self.children[at]], begin)
        return length


def tree(g: Graph, sums: Sums) -> Tree:
    """The expressions of all roots and defined variables."""
    return _Growth(g, sums).tree()


class _Growth:
    """Node numbers: first those of the graph, then one for each row of the sums, one for each defined variable, and
    the further ones that sums need."""

    def __init__(self, g: Graph, sums: Sums) -> None:
        self.g, self.sums = g, sums
        n, rows, defined = g.code.size, sums.owner.size, sums.defined.size
        self.first_row, self.first_reference, self.size = n, n + rows, n + rows + defined
        # Of one level: the operation, then a row of it, what refers to it, and its multiples.
        of_rows = 4 * g.level[sums.owner] + 1
        of_rows[: sums.roots.size] = 4 * int(g.level.max(initial=0)) + 4
        self.code = [g.code, np.full(rows, SUM, np.int16), np.full(defined, VARIABLE, np.int16)]
        self.value = [g.value, np.zeros(rows + defined)]
        self.index = [g.index, np.zeros(rows, np.int64), np.arange(defined)]
        self.level = [4 * g.level, of_rows, 4 * g.level[sums.defined] + 2]
        self.parents: list[Array] = []
        self.children: list[Array] = []
        in_row = sums.row_of >= 0
        self.raw = np.arange(n)  # what stands for a node: of a defined variable, its expression
        self.raw[in_row] = self.first_row + sums.row_of[in_row]
        self.refer = self.raw.copy()  # what users of a node have: of a defined variable, the variable
        self.refer[sums.defined] = self.first_reference + np.arange(defined)

    def tree(self) -> Tree:
        """The tree of all rows and operations."""
        g, s = self.g, self.sums
        operations = np.flatnonzero((g.code != SUM) & (g.level > 0) & s.live)
        at, _, count = entries_of(g.start, operations)
        self._join(np.repeat(operations, count), self.refer[g.args[at]])
        outer = np.zeros(s.owner.size, bool)  # rows with a linear part of their own
        outer[: s.roots.size] = True
        outer[s.row_of[s.defined[s.row_of[s.defined] >= 0]]] = True
        fixed = g.code[s.node] == NUMBER
        linear = (g.code[s.node] == VARIABLE) & outer[s.row]
        constant = np.bincount(s.row[fixed], s.coef[fixed] * g.value[s.node[fixed]], s.owner.size)
        terms = ~(fixed | linear)
        stands = self._rows(s.row[terms], s.node[terms], s.coef[terms], constant)
        parent, child = np.concatenate(self.parents), self._resolved(np.concatenate(self.children), stands)
        order = np.argsort(parent, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(parent, minlength=self.size))])
        code, index = np.concatenate(self.code), np.concatenate(self.index)
        counted = (code >= 0) & (code != PIECEWISE)
        index[counted] = np.diff(start)[counted]
        return Tree(
            code,
            np.concatenate(self.value),
            index,
            np.concatenate(self.level),
            start,
            child[order],
            self.first_reference + np.arange(s.defined.size),
            stands[: s.roots.size],
            self._resolved(self.raw[s.defined], stands),
            (s.row[linear], g.index[s.node[linear]], s.coef[linear]),
        )

    def _resolved(self, nodes: Array, stands: Array) -> Array:
        is_row = (nodes >= self.first_row) & (nodes < self.first_reference)
        out = nodes.copy()
        out[is_row] = stands[nodes[is_row] - self.first_row]
        return out

    def _new(self, code: int, value: object, level: Array) -> Array:
        n = level.size
        self.code.append(np.full(n, code, np.int16))
        self.value.append(np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)))
        self.index.append(np.zeros(n, np.int64))
        self.level.append(level)
        self.size += n
        return np.arange(self.size - n, self.size)

    def _join(self, parents: Array, children: Array) -> None:
        self.parents.append(parents)
        self.children.append(children)

    def _rows(self, row: Array, node: Array, coef: Array, constant: Array) -> Array:
        """Add the trees of all rows, of terms ``coef·node`` and constants; gives the node that stands for each."""
        n = constant.size
        total = np.bincount(row, minlength=n) + (constant != 0.0)
        code = self.code[1]
        code[total == 2] = _PLUS
        negative = (coef == -1.0) & (total[row] == 2)
        difference = np.bincount(row[negative], minlength=n) == 1  # a − b: of two terms, one has the factor −1
        code[difference] = _MINUS
        last = negative & difference[row]
        with_constant = np.flatnonzero(constant)
        owner = np.concatenate([row, with_constant])
        item = np.concatenate([self._weighed(node, np.where(last, 1.0, coef)), self._numbers(constant[with_constant])])
        order = np.lexsort((np.concatenate([last, np.zeros(with_constant.size, bool)]), owner))
        owner, item = owner[order], item[order]
        stands = self.first_row + np.arange(n)
        single = total[owner] == 1
        stands[owner[single]] = item[single]
        self._join(self.first_row + owner[~single], item[~single])
        empty = np.flatnonzero(total == 0)
        stands[empty] = self._numbers(np.zeros(empty.size))
        stands[empty[empty < self.sums.roots.size]] = -1
        return stands

    def _numbers(self, values: Array) -> Array:
        return self._new(NUMBER, values, np.zeros(values.size, np.int64))

    def _weighed(self, node: Array, coef: Array) -> Array:
        """Nodes of ``coef·node``."""
        out, level = self.refer[node], 4 * self.g.level[node] + 3
        negative, other = coef == -1.0, (coef != 1.0) & (coef != -1.0)
        product, negated = self._new(_TIMES, 0.0, level[other]), self._new(_NEGATE, 0.0, level[negative])
        factors = np.stack([self._numbers(coef[other]), out[other]], axis=1)
        self._join(np.repeat(product, 2), factors.reshape(-1))
        self._join(negated, out[negative])
        out[other], out[negative] = product, negated
        return out
