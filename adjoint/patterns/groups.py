"""Groups of scalar expressions of one pattern: same operations, other constants and elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .graph import CONSTANT, Graph, Index
from .sharing import FEW, by_sharing
from .signatures import Signatures

__all__ = ["FEW", "Group", "groups_by_level"]


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
    """Groups in which the same operands are equal. Constants are never shared."""
    varying = np.flatnonzero(graph.kind[operands[:, 0]] != CONSTANT)
    for own, first in by_sharing(list(operands[varying]), members.size):
        if own.size >= FEW:
            same = np.arange(len(operands))
            same[varying] = varying[first]
            yield _group(members[own], steps, operands[:, own], same)


def _group(members: Index, steps: list[int], operands: Index, first: Index) -> Group:
    place = first.tolist()
    return Group(members, [s if s >= 0 else -1 - place[-1 - s] for s in steps], operands)
