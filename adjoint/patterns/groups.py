"""Groups of scalar expressions of one pattern: same operations, other constants and elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .graph import CONSTANT, Graph, Index
from .signatures import Signatures

__all__ = ["FEW", "Group", "groups_by_level"]

FEW = 8  # instances below which expressions stay scalar


@dataclass(frozen=True)
class Group:
    """Instances of a pattern.

    Attributes
    ----------
    members : the nodes
    steps : the first member's tree in pre-order: the node of an operation, or −1 − k for the k-th operand
    operands : one row of nodes per operand, one column per instance
    """

    members: Index
    steps: list[int]
    operands: Index


def groups_by_level(graph: Graph, signatures: Signatures, targets: Index) -> dict[int, list[Group]]:
    """The groups with enough instances among the targets, by the stage at which they can be computed."""
    result: dict[int, list[Group]] = {}
    targets = targets[signatures.known[targets]]
    if not targets.size:
        return result
    level = signatures.level[targets]
    key = signatures.own[targets] ^ (level.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    _, first, inverse, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    end = np.cumsum(count)
    for k in np.flatnonzero(count >= FEW)[np.argsort(first[count >= FEW])].tolist():
        members = targets[order[end[k] - count[k] : end[k]]]
        found = _expanded(graph, signatures.leaf, members)
        if found is not None:
            result.setdefault(int(signatures.level[members[0]]), []).extend(_by_sharing(graph, members, *found))
    return result


def _expanded(graph: Graph, leaf: np.ndarray, members: Index) -> tuple[list[int], Index] | None:
    """Pre-order of the common tree and its operands; None where the trees differ after all."""
    steps: list[int] = []
    operands: list[Index] = []
    stack = [members]
    while stack:
        nodes = stack.pop()
        top = int(nodes[0])
        if steps and leaf[top]:
            if not leaf[nodes].all():
                return None
            steps.append(-1 - len(operands))
            operands.append(nodes)
            continue
        if steps and leaf[nodes].any() or (graph.code[nodes] != graph.code[top]).any():
            return None
        steps.append(top)
        start, arity = graph.start[nodes], graph.start[top + 1] - graph.start[top]
        stack.extend(graph.args[start + k] for k in range(arity - 1, -1, -1))
    return steps, np.array(operands)


def _by_sharing(graph: Graph, members: Index, steps: list[int], operands: Index) -> Iterator[Group]:
    """Groups in which the same operands are equal: x·x is another pattern than x·y. Constants are never shared."""
    constant = graph.kind[operands[:, 0]] == CONSTANT
    first = _first_occurrence(np.where(constant[:, None], -1 - np.arange(len(constant))[:, None], operands))
    if (first == first[:, :1]).all():
        yield _group(members, steps, operands, first[:, 0])
        return
    numbers: dict[bytes, int] = {}
    which = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in np.ascontiguousarray(first.T)])
    count = np.bincount(which)
    left = np.flatnonzero(count[which] < FEW)
    for k in np.flatnonzero(count >= FEW).tolist():
        own = np.flatnonzero(which == k)
        same = first[:, own[0]]
        fits = (operands[:, left] == operands[same][:, left])[~constant].all(axis=0)  # they share more by chance
        own = np.sort(np.concatenate([own, left[fits]]))
        left = left[~fits]
        yield _group(members[own], steps, operands[:, own], same)
    if left.size >= FEW:  # a pattern in which nothing is shared holds for any
        yield _group(members[left], steps, operands[:, left], np.arange(len(operands)))


def _group(members: Index, steps: list[int], operands: Index, first: Index) -> Group:
    place = first.tolist()
    return Group(members, [s if s >= 0 else -1 - place[-1 - s] for s in steps], operands)


def _first_occurrence(table: Index) -> Index:
    """For each entry of a column the first row with the same value."""
    order = np.argsort(table, axis=0, kind="stable")
    ordered = np.take_along_axis(table, order, axis=0)
    new = np.ones(table.shape, dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    begin = np.maximum.accumulate(np.where(new, np.arange(len(table))[:, None], 0), axis=0)
    first = np.empty_like(order)
    np.put_along_axis(first, order, np.take_along_axis(order, begin, axis=0), axis=0)
    return first
