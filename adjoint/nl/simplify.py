"""Which scalars become defined variables, and what the sums of a graph of scalars consist of.

Sums of sums are multiplied out, down to variables, numbers and other operations; so the linear part of every
constraint is found, whatever it was written as. All passes go over levels of the graph, with arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .model import NUMBER, VARIABLE
from .opcodes import CLASS, LOGICAL, PIECEWISE
from .records import entries_of
from .scalars import SUM, Graph

__all__ = ["Entries", "Sums", "by_level", "expand", "merged", "simplify"]

Array = np.ndarray
Entries = tuple[Array, Array, Array]  # (row, node, coefficient)

SMALL = 4  # tokens below which an expression is repeated wherever it is used
REPEATED = 12  # repeated tokens from which a shared expression becomes a defined variable
_HUGE = 2**40

_IS_LOGICAL = np.array([c == LOGICAL for c in CLASS])


@dataclass
class Sums:
    """Sums in their simplest form: row i is ``Σ coef·node`` over its entries, sorted by row, then by node.

    Attributes
    ----------
    live : whether anything uses the node
    roots : nodes of the first rows; then come those of ``defined`` that are sums, and the sums inside of operations
    defined : nodes that become defined variables, arguments first
    row_of : the row of a node that is a sum, else -1
    owner : the node of each row
    """

    live: Array
    roots: Array
    defined: Array
    row_of: Array
    owner: Array
    row: Array
    node: Array
    coef: Array


def by_level(level: Array, nodes: Array, descending: bool = False) -> Iterator[Array]:
    """The nodes in groups of equal level."""
    order = nodes[np.argsort(level[nodes], kind="stable")]
    cuts = np.flatnonzero(np.diff(level[order])) + 1
    begin, end = np.concatenate([[0], cuts]), np.concatenate([cuts, [order.size]])
    for a, b in zip(*(x[:: -1 if descending else 1].tolist() for x in (begin, end)), strict=True):
        if a < b:
            yield order[a:b]


def expand(terms: Entries, open_: Array, level: Array, start: Array, args: Array, coef: Array) -> Entries:
    """Replace entries (row, node, factor) by those of the node, until no node is left that is open.

    Node i has the entries ``args[start[i]:start[i+1]]`` with factors ``coef``, of lower level. Each pair (row, node) is
    replaced once, highest level first: what meets again is added first.
    """
    waiting: dict[int, list[Entries]] = {}
    done: list[Entries] = []

    def put(rows: Array, nodes: Array, factors: Array) -> None:
        go = open_[nodes]
        done.append((rows[~go], nodes[~go], factors[~go]))
        at = np.flatnonzero(go)
        if not at.size:
            return
        levels = level[nodes[at]]
        first = int(levels[0])
        if np.all(levels == first):
            waiting.setdefault(first, []).append((rows[at], nodes[at], factors[at]))
            return
        for group in by_level(levels, np.arange(at.size)):
            k = at[group]
            waiting.setdefault(int(levels[group[0]]), []).append((rows[k], nodes[k], factors[k]))

    put(*terms)
    while waiting:
        rows, nodes, factors = merged(waiting.pop(max(waiting)), level.size)
        at, _, count = entries_of(start, nodes)
        put(np.repeat(rows, count), args[at], np.repeat(factors, count) * coef[at])
    return merged(done, level.size)


def merged(parts: list[Entries], n: int) -> Entries:
    """Entries of equal (row, node) added up, sorted by row, then by node."""
    rows, nodes, factors = (np.concatenate(x) for x in zip(*parts, strict=True))
    key = rows * n + nodes
    if np.all(key[1:] > key[:-1]):
        return rows, nodes, factors
    unique, inverse = np.unique(key, return_inverse=True)
    return unique // n, unique % n, np.bincount(inverse, factors, unique.size)


def simplify(g: Graph, roots: Array) -> Sums:
    """Choose the defined variables, and multiply out the sums."""
    n = g.code.size
    live = _live(g, roots)
    defined, affine = _defined(g, roots, live)
    is_sum = g.code == SUM
    source = np.repeat(np.arange(n), np.diff(g.start))
    inside = np.zeros(n, bool)
    inside[g.args[live[source] & ~is_sum[source]]] = True
    operands = np.flatnonzero(inside & is_sum & ~defined & live)
    chosen = np.flatnonzero(defined)
    named_sums = chosen[is_sum[chosen]]
    owner = np.concatenate([roots, named_sums, operands])
    row_of = np.full(n, -1)
    row_of[owner[roots.size :]] = np.arange(roots.size, owner.size)
    # In the roots affine defined variables are multiplied out as well: what is linear in them is a linear constraint.
    top = np.arange(roots.size), roots, np.ones(roots.size)
    parts = [expand(top, is_sum & (affine | ~defined), g.level, g.start, g.args, g.coef)]
    at, _, count = entries_of(g.start, owner[roots.size :])
    inner = np.repeat(np.arange(roots.size, owner.size), count), g.args[at], g.coef[at]
    parts.append(expand(inner, is_sum & ~defined, g.level, g.start, g.args, g.coef))
    row, node, coef = merged(parts, n)
    keep = coef != 0.0
    return Sums(live, roots, chosen, row_of, owner, row[keep], node[keep], coef[keep])


def _live(g: Graph, roots: Array) -> Array:
    live = np.zeros(g.code.size, bool)
    live[roots] = True
    for nodes in by_level(g.level, np.flatnonzero(g.level > 0), descending=True):
        at, _, _ = entries_of(g.start, nodes[live[nodes]])
        live[g.args[at]] = True
    return live


def _defined(g: Graph, roots: Array, live: Array) -> tuple[Array, Array]:
    """Which nodes become defined variables: those with a name, and large ones that several others use; and which are
    affine."""
    n = g.code.size
    source = np.repeat(np.arange(n), np.diff(g.start))
    as_root = np.bincount(roots, minlength=n)
    uses = as_root + np.bincount(g.args[live[source]], minlength=n)
    operation = live & (g.code != NUMBER) & (g.code != VARIABLE)
    defined = operation & g.named & ~((uses == 1) & (as_root == 1))
    defined[g.args[live[source] & (g.code[source] == PIECEWISE)]] = True  # whose operand is a variable
    defined &= operation
    size, affine = np.ones(n, np.int64), ~operation
    for nodes in by_level(g.level, np.flatnonzero(operation)):
        at, begin, _ = entries_of(g.start, nodes)
        sums = g.code[nodes] == SUM
        weights = size[g.args[at]] + 2 * (g.coef[at] != 1.0)
        total = np.minimum(np.add.reduceat(weights, begin) + 1 + sums, _HUGE)
        affine[nodes] = sums & np.logical_and.reduceat(affine[g.args[at]], begin)
        shared = (uses[nodes] > 1) & (total >= SMALL) & ((uses[nodes] - 1) * (total - 1) >= REPEATED)
        defined[nodes] |= shared & ~_IS_LOGICAL[g.code[nodes]]
        size[nodes] = np.where(defined[nodes], 1, total)
    return defined, affine
