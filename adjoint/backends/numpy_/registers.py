"""What both forms of a function need to know of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...expr import Expr
from ...primitive import Primitive

__all__ = ["KEPT", "uses_of", "value_of"]

KEPT = 1_000_000_000


def value_of(row: Primitive, complex_values: bool) -> Callable[..., Any]:
    """The function of an operation."""
    return row.complex_value if complex_values and row.complex_value is not None else row.value


def uses_of(order: Sequence[Expr], roots: Sequence[Expr], definitions: Mapping[Any, Expr]) -> dict[Expr, int]:
    """How often each node is used; what is returned, or has another name, is kept."""
    count = dict.fromkeys(order, 0)
    for node in order:
        for arg in node.args:
            count[arg] += 1
        if node.op is None and node in definitions:
            count[definitions[node]] += KEPT  # the variable is another name of it
    for root in roots:
        count[root] += KEPT
    return count
