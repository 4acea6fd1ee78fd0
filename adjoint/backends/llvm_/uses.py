"""Who reads what: sums that are formed in one buffer, and joins whose parts go to the readers directly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...expr import Expr

__all__ = ["count_uses", "find_joins", "find_sums", "is_sink"]

SMALL_PRODUCT = 65536  # multiplications of matrix products as loops; beyond, BLAS is faster
SMALL_MATRIX = 1024  # multiplications per matrix, of a batch

# Linear operations that a loop adds to a buffer term by term.
LINEAR = frozenset({"sum", "embed", "scatter_add", "sparse_product", "matmul"})

Core = Callable[[Expr], Expr]  # the node that holds the elements of another in the same order
Outputs = Sequence[Any]


def count_uses(order: Sequence[Expr], outputs: Outputs, core: Core) -> dict[Expr, int]:
    """How often each node is read, as an operand or as an output; views of a node count for it."""
    uses: dict[Expr, int] = {}
    for node in order:
        if core(node) is not node:
            continue
        for a in node.args:
            c = core(a)
            uses[c] = uses.get(c, 0) + 1
    for out in outputs:
        for e in out if isinstance(out, tuple) else (out,):
            c = core(e)
            uses[c] = uses.get(c, 0) + 1
    return uses


def find_sums(order: Sequence[Expr], core: Core, uses: Mapping[Expr, int]) -> tuple[set[Expr], set[Expr]]:
    """Sums (a + b, a − b) that hold a sink: all their terms go to the buffer of the outermost sum. Also the operands
    that such sums absorb."""
    sums: set[Expr] = set()
    absorbed: set[Expr] = set()
    for node in order:
        if core(node) is not node or node.op is None:
            continue
        args = [core(a) for a in node.args]
        if node.op.name in ("add", "subtract") and all(a.size == node.size for a in node.args):
            inside = [a for a in args if uses[a] == 1 and (a in sums or is_sink(a))]
            if inside and args[0] is not args[1]:
                sums.add(node)
                absorbed.update(inside)
    return sums, absorbed


def find_joins(
    order: Sequence[Expr], outputs: Outputs, core: Core, uses: Mapping[Expr, int]
) -> tuple[dict[Expr, np.ndarray], set[Expr]]:
    """Joins (of vectors) that only scatters and permuted outputs read: their parts go there directly.

    The permuted outputs, each with the places of the join's elements, and the joins.
    """
    readers: dict[Expr, int] = {}
    permuted: dict[Expr, np.ndarray] = {}
    for node in order:
        if node.op is not None and node.op.name == "scatter_add" and core(node) is node:
            c = core(node.args[0])
            readers[c] = readers.get(c, 0) + 1
    for out in outputs:
        for e in out if isinstance(out, tuple) else (out,):
            c = core(e)
            if c.op is None or c.op.name != "take" or uses[c] != 1:
                continue
            base, positions = core(c.args[0]), c.params[0].array.reshape(-1)
            if base.size == positions.size and base.op is not None and base.op.name == "concatenate":
                inverse = np.full(base.size, -1)
                inverse[positions] = np.arange(base.size)
                if (inverse >= 0).all():
                    permuted[c] = inverse
                    readers[base] = readers.get(base, 0) + 1
    dissolved = {
        c
        for c, count in readers.items()
        if c.op is not None and c.op.name == "concatenate" and c.params[0] == 0 and count == uses[c]
    }
    return {c: p for c, p in permuted.items() if core(c.args[0]) in dissolved}, dissolved


def is_sink(c: Expr) -> bool:
    """Whether a node is formed by adding to a buffer: linear operations, but not large matrix products."""
    return c.op is not None and c.op.name in LINEAR and (c.op.name != "matmul" or _is_small_product(c))


def _is_small_product(node: Expr) -> bool:
    a, b = node.args
    per_matrix = a.shape[-2] * a.shape[-1] * b.shape[-1]
    total = per_matrix * math.prod(a.shape[:-2])
    return total <= SMALL_PRODUCT or (total > per_matrix and per_matrix <= SMALL_MATRIX)
