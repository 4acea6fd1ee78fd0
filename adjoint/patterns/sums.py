"""Long sums: chains of scalar additions and subtractions read as one sum of signed terms.

``f = f + term`` in a Python loop is a chain as deep as the loop is long. Every node of it points at its user; doubling
the pointers (Wyllie 1979) finds the head and the sign of each in log₂ n passes over arrays.
"""

from __future__ import annotations

import numpy as np

from .graph import DEAD, OPERATION, SUM, Graph

__all__ = ["LONG", "flatten_sums"]

LONG = 16  # terms from which a sum is a reduction, not part of a pattern


def flatten_sums(graph: Graph, pinned: np.ndarray) -> np.ndarray | None:
    """Turn long sums into SUM nodes whose arguments are the terms; their signs by edge, or None where there are none.

    ``pinned`` nodes are asked for themselves and stay.
    """
    n = len(graph.nodes)
    first, rank = np.unique(graph.code, return_index=True, return_inverse=True)[1:]
    ops = [graph.nodes[i].op for i in first]
    names = np.array(["" if op is None else op.name for op in ops])
    plus, minus = (names == "add")[rank], (names == "subtract")[rank]
    sums = (plus | minus) & (graph.kind == OPERATION)
    if np.count_nonzero(sums) < LONG - 1:
        return None
    source = np.repeat(np.arange(n), np.diff(graph.start))
    sign = np.ones(graph.args.size)
    sign[graph.start[np.flatnonzero(minus & sums)] + 1] = -1.0
    users = np.bincount(graph.args, minlength=n)
    user, factor = np.arange(n), np.ones(n)
    user[graph.args] = source
    factor[graph.args] = sign
    inner = sums & (users == 1) & ~pinned & sums[user]
    head, factor = np.where(inner, user, np.arange(n)), np.where(inner, factor, 1.0)
    while True:
        further = head[head]
        if np.array_equal(further, head):
            break
        factor = factor * factor[head]
        head = further
    terms = np.flatnonzero(sums[source] & ~inner[graph.args])
    long = np.bincount(head[source[terms]], minlength=n) >= LONG
    if not long.any():
        return None
    terms = terms[long[head[source[terms]]]]
    from_ = source[terms]
    sign[terms] *= factor[from_]
    graph.kind[inner & long[head]] = DEAD
    graph.kind[long] = SUM
    kept = np.flatnonzero(~long[head[source]] | ~sums[source])
    edges = np.concatenate([kept, terms])
    owner = np.concatenate([source[kept], head[from_]])
    # Terms of a chain in the order of the loop: the deepest node holds the first.
    order = np.lexsort((edges - graph.start[source[edges]], np.where(long[owner], -source[edges], 0), owner))
    graph.args, signs = graph.args[edges[order]], sign[edges[order]]
    graph.start[1:] = np.cumsum(np.bincount(owner, minlength=n))
    return signs
