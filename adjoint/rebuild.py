"""Expressions taken apart and put together again: substitution, and flat records that pickle without recursion."""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Sequence
from typing import Any

from .expr import Constant, Expr, Operation, Variable, apply, constant
from .primitive import PRIMITIVES
from .walk import topological

__all__ = ["flatten", "restore", "substitute"]


def substitute(roots: Sequence[Expr], replacement: dict[Expr, Expr]) -> list[Expr]:
    """The roots with nodes replaced; shared subexpressions stay shared."""
    new: dict[Expr, Expr] = dict(replacement)
    for node in topological(roots, stop=replacement):
        if node in new:
            continue
        args = tuple(new[a] for a in node.args)
        if all(a is b for a, b in zip(args, node.args, strict=True)):
            new[node] = node
        else:
            assert node.op is not None
            new[node] = apply(node.op, args, node.params, node.shape)
    return [new[root] for root in roots]


def flatten(roots: Sequence[Expr], variable: Callable[[Variable], Any]) -> list[tuple[Any, ...]]:
    """Records of all nodes, arguments first, then the positions of the roots."""
    order = topological(roots)
    place = {node: i for i, node in enumerate(order)}
    records: list[tuple[Any, ...]] = []
    for node in order:
        if isinstance(node, Variable):
            records.append(("variable", variable(node)))
        elif isinstance(node, Constant):
            records.append(("constant", node.value))
        else:
            assert node.op is not None
            records.append((node.op.name, tuple(place[a] for a in node.args), node.params, node.shape))
    records.append(("roots", tuple(place[r] for r in roots)))
    return records


def restore(records: Sequence[tuple[Any, ...]], variable: Callable[[Any], Variable]) -> list[Expr]:
    """The roots that :func:`flatten` was given."""
    nodes: list[Expr] = []
    for record in records[:-1]:
        if record[0] == "variable":
            nodes.append(variable(record[1]))
        elif record[0] == "constant":
            nodes.append(constant(record[1]))
        else:
            name, args, params, shape = record
            nodes.append(apply(PRIMITIVES[name], tuple(nodes[a] for a in args), params, shape))
    return [nodes[i] for i in records[-1][1]]


def _restore_one(records: Sequence[tuple[Any, ...]]) -> Expr:
    return restore(records, lambda v: v)[0]


copyreg.pickle(Operation, lambda e: (_restore_one, (flatten([e], lambda v: v),)))  # type: ignore[arg-type, return-value]
