"""Which variable elements each row of array expressions depends on, as one sparse matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from ...expr import Expr, Variable
from ...walk import topological
from .elements import reduced

__all__ = ["incidence"]


def incidence(
    roots: Sequence[Expr], variables: Sequence[Variable], definitions: Mapping[Variable, Expr] | None = None
) -> Any:
    """A sparse matrix of ones: rows are the elements of the roots in order, columns those of the variables.

    The chain rule on patterns: what a row needs of a node's arguments is what it needs of the node, times the local
    pattern of the operation.

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> x, s = m.input("x", np.ones(3)), m.input("s", 1.0)
    >>> incidence([x * s, np.sum(x)], [x, s]).toarray().astype(int).tolist()
    [[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 0]]
    """
    definitions = definitions or {}
    total = sum(r.size for r in roots)
    waiting: dict[Expr, Any] = {}
    found: dict[Expr, Any] = {}
    at = 0
    for root in roots:
        own = sp.csr_array((np.ones(root.size), (at + np.arange(root.size), np.arange(root.size))), (total, root.size))
        waiting[root] = own if root not in waiting else waiting[root] + own
        at += root.size
    order = topological(roots, definitions=definitions)
    matter = _dependent(order, variables, definitions)
    for node in reversed(order):
        P = waiting.pop(node, None)
        if P is None:
            continue
        P.data[:] = 1.0
        found[node] = P if isinstance(node, Variable) else None
        definition = definitions.get(node) if isinstance(node, Variable) else None
        for k, arg in enumerate(node.args if definition is None else (definition,)):
            if arg in matter:
                part = sp.csr_array(P @ _local(node, k)) if definition is None else P
                waiting[arg] = part if arg not in waiting else sp.csr_array(waiting[arg] + part)
    columns = [found.get(v) if found.get(v) is not None else sp.csr_array((total, v.size)) for v in variables]
    out = sp.csr_array(sp.hstack(columns, format="csr")) if columns else sp.csr_array((total, 0))
    out.data[:] = 1.0
    return out


def _dependent(order: Sequence[Expr], variables: Sequence[Variable], definitions: Mapping[Variable, Expr]) -> set[Expr]:
    """The nodes that depend on one of the variables, the variables included."""
    found: set[Expr] = set(variables)
    for node in order:
        definition = definitions.get(node) if isinstance(node, Variable) else None
        if any(arg in found for arg in (node.args if definition is None else (definition,))):
            found.add(node)
    return found


def _local(node: Expr, k: int) -> Any:
    """The pattern of ∂node/∂argument k."""
    op, arg = node.op, node.args[k]
    assert op is not None
    rows: Any = np.arange(node.size)
    positions = np.arange(arg.size).reshape(arg.shape)
    if op.kind == "elementwise":
        columns = np.broadcast_to(positions, node.shape).reshape(-1)
    elif op.copies and len(node.args) == 1:
        columns = np.asarray(op.value(positions, *node.params)).reshape(-1)
    elif op.kind == "reduction":
        come = reduced(node)
        rows, columns = np.repeat(rows, come.shape[1]), come.reshape(-1)
    elif op.kind in ("linear", "bilinear") and op.entries is not None:
        rows, columns, _ = op.entries(node.args, node.params, k)
    else:
        rows, columns = np.repeat(rows, arg.size), np.tile(positions.reshape(-1), node.size)
    return sp.csr_array((np.ones(len(columns)), (rows, columns)), shape=(node.size, arg.size))
