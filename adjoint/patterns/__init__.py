"""Patterns × index sets: scalar equations that differ only in constants and indices become array expressions.

Equations written in a Python loop, ``c[i] = 3·x[i]³ + 2·x[i+1] − 5``, are 10⁵ scalar nodes of a few patterns. Each
pattern is evaluated once, on vectors of operands that are gathered from the arrays: a handful of array nodes, on which
derivatives and backends work as on any vectorized model. The rewriting is one of expressions into expressions:

1. ``graph``: the nodes below the outputs, as arrays of numbers.
2. ``sums``: long chains of additions become sums of many terms.
3. ``signatures``: equal structure gets equal numbers. Expressions that several others share are computed once where
   they are large; chains of definitions are ordered by level.
4. ``groups``: the instances of a pattern, and which operands vary between them.
5. ``build``: the array expressions.

Grouping equal operations by level for vector hardware is due to Allen & Kennedy 1987 (loop distribution by dependence
level); modelling languages keep patterns from the start (AMPL's indexed constraints; Shin, Anitescu & Pacaud 2024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..expr import Expr, Variable
from .build import Builder
from .graph import OPERATION, SUM, Graph, Packs, read
from .groups import Group, groups_by_level
from .signatures import Signatures, sign
from .sums import flatten_sums

__all__ = ["Batch", "batch", "flat"]

SMALL = 32  # scalar operations below which nothing is gained
GAIN = 2  # batched, a program must have so many times fewer operations
ARRAY_COST = 4  # an operation on a vector costs as much as so many on scalars, before the first element


@dataclass(frozen=True)
class Batch:
    """A run of definitions on vectors.

    Attributes
    ----------
    output : the outputs, flattened and concatenated, in terms of the variables of ``definitions``
    definitions : vectors of scalars that were defined alike, and the variables that stay as they are; in order
    members : for each of these vectors, the scalar variables that are its elements
    """

    output: Expr
    definitions: dict[Variable, Expr]
    members: dict[Variable, list[Variable]]


def flat(
    outputs: Sequence[Expr],
    definitions: Mapping[Variable, Expr] | None = None,
    packs: Packs | None = None,
) -> Expr | None:
    """One vector expression equal to the outputs, flattened and concatenated.

    Parameters
    ----------
    outputs : sequence of Expr
    definitions : variables that stand for expressions (a run of explicit equations); none is left in the result
    packs : for variables that are parts of a flat vector variable: the vector and where the part begins in it

    Returns
    -------
    Expr or None
        None where batching does not pay: few scalar operations, or no two alike.

    >>> import numpy as np, adjoint as adj
    >>> from adjoint.patterns import flat
    >>> m = adj.Program()
    >>> x = m.input("x", np.ones(100))
    >>> vector = flat([np.sin(x[i]) * x[i + 1] + (i + 1) for i in range(99)])
    >>> vector.shape, vector is np.sin(x[0:99]) * x[1:100] + np.arange(1.0, 100.0)
    ((99,), True)
    """
    builder = _built(outputs, definitions or {}, packs or {}, False)
    return None if builder is None else builder.joined([builder.graph.place[e] for e in outputs])


def batch(outputs: Sequence[Expr], definitions: Mapping[Variable, Expr], packs: Packs | None = None) -> Batch | None:
    """The same with the definitions kept, as definitions of vectors; None where batching does not pay."""
    builder = _built(outputs, definitions, packs or {}, True)
    if builder is None:
        return None
    output = builder.joined([builder.graph.place[e] for e in outputs])
    return Batch(output, builder.definitions, builder.members)


def _built(outputs: Sequence[Expr], definitions: Mapping[Variable, Expr], packs: Packs, named: bool) -> Builder | None:
    if _has_few(outputs, definitions):
        return None
    graph = read(outputs, definitions, packs)
    before = int(np.count_nonzero(graph.kind == OPERATION))
    if before < SMALL:
        return None
    asked = np.zeros(len(graph.nodes), dtype=bool)
    asked[[graph.place[e] for e in outputs]] = True
    asked |= _taken_whole(graph)
    signs = flatten_sums(graph, asked)
    asked |= _taken_whole(graph)
    signatures = sign(graph, asked)
    targets = np.flatnonzero((graph.kind == OPERATION) & (asked | signatures.leaf))
    groups = groups_by_level(graph, signatures, targets)
    if not _pays(graph, signatures, targets, groups, before):
        return None
    builder = Builder(graph, signatures, signs, packs, named)
    builder.run(groups)
    return builder


def _has_few(outputs: Sequence[Expr], definitions: Mapping[Variable, Expr]) -> bool:
    """Whether there are fewer scalar operations than anything could be gained with."""
    seen: set[Expr] = set(outputs)
    stack, count = list(seen), 0
    while stack and count < SMALL:
        node = stack.pop()
        if node.op is None:
            args = (definitions[node],) if node in definitions else ()  # type: ignore[index]
        else:
            args = node.args
            count += not node.shape and node.op.kind == "elementwise"
        for a in args:
            if a not in seen:
                seen.add(a)
                stack.append(a)
    return count < SMALL


def _taken_whole(graph: Graph) -> np.ndarray:
    """Scalars that arrays, sums and definitions take: they are computed for themselves."""
    out = np.zeros(len(graph.nodes), dtype=bool)
    source = np.repeat(graph.kind, np.diff(graph.start))
    out[graph.args[source != OPERATION]] = True
    return out


def _pays(
    graph: Graph, signatures: Signatures, targets: np.ndarray, groups: Mapping[int, Sequence[Group]], before: int
) -> bool:
    """Whether the vector operations and the scalars that are left are much fewer than the scalars there were."""
    found = [g for part in groups.values() for g in part]
    if not found and not (graph.kind == SUM).any():
        return False
    batched = np.zeros(len(graph.nodes), dtype=bool)
    for g in found:
        batched[g.members] = True
    left = targets[~batched[targets] & signatures.known[targets]]
    too_deep = np.count_nonzero(~signatures.known & (graph.kind == OPERATION))
    after = ARRAY_COST * sum(s >= 0 for g in found for s in g.steps) + int(signatures.size[left].sum()) + int(too_deep)
    return GAIN * after < before
