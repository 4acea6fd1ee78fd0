"""Structural signatures of scalar expressions, bottom-up and vectorized over all nodes that are ready at once.

Two expressions have the same signature if they differ in their constants and in the elements they load only. A
signature is a 64-bit hash; the few groups it leaves are compared exactly where they are used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from .graph import CONSTANT, DEAD, DEFINED, LOAD, OPERATION, SCALAR, SUM, Graph, Index, rows

__all__ = ["Signatures", "sign"]

LARGE = 16  # operations from which a shared expression is computed once, not in each of its users
PATIENCE, BREADTH = 64, 32  # after so many passes: give up where they have found fewer nodes each than that

_WEIGHTS = np.random.default_rng(1).integers(1, 2**63, 8, dtype=np.uint64) | np.uint64(1)


@dataclass
class Signatures:
    """What is known of each node.

    Attributes
    ----------
    own : signature of the tree below an operation
    level : stage at which a node can be computed; it needs vectors of earlier stages only
    size : operations of the tree
    leaf : whether users take the node as an operand, rather than computing it as part of theirs
    known : False for what is too deep and narrow to be batched
    """

    own: Index
    level: Index
    size: Index
    leaf: np.ndarray
    known: np.ndarray


def sign(graph: Graph, pinned: np.ndarray) -> Signatures:
    """Signatures of all nodes; shared large expressions become leaves of their users."""
    n, kind = len(graph.nodes), graph.kind
    users = np.bincount(graph.args, minlength=n)
    shared = (users > 1) | pinned
    other = np.where(kind == CONSTANT, CONSTANT, SCALAR)  # one kind of operand: a scalar computed elsewhere
    own = _mixed(np.where(kind == LOAD, graph.base + 64, other).astype(np.uint64))
    elsewhere = _mixed(np.array([SCALAR], dtype=np.uint64))[0]
    level, size = np.zeros(n, dtype=np.intp), np.zeros(n, dtype=np.intp)
    leaf, seen = kind != OPERATION, own.copy()
    materialized = (kind == SUM) | (kind == DEFINED)
    user_start, user_of = _transposed(graph)
    arity = np.diff(graph.start)
    pending = arity.copy()
    known = pending == 0
    ready = np.flatnonzero(known & (kind != DEAD))
    passes = found = 0
    while True:
        at, _ = rows(user_start, ready)
        u, c = np.unique(user_of[at], return_counts=True)
        pending[u] -= c
        ready = u[pending[u] == 0]
        passes, found = passes + 1, found + ready.size
        if not ready.size or (passes > PATIENCE and found < BREADTH * passes):
            return Signatures(own, level, size, leaf, known)
        known[ready] = True
        at, begin = rows(graph.start, ready)
        a = graph.args[at]
        is_op = kind[ready] == OPERATION
        above = level[a] + (materialized[a] & ~np.repeat(kind[ready] == DEFINED, arity[ready]))
        outside = np.repeat(~is_op & (kind[ready] != DEFINED), arity[ready])  # arrays and sums take finished scalars
        above += outside & (kind[a] == OPERATION) & ~materialized[a]
        level[ready] = np.maximum.reduceat(above, begin)
        ops = ready[is_op]
        if ops.size:
            at, begin = rows(graph.start, ops)
            a = graph.args[at]
            order = at - np.repeat(graph.start[ops], arity[ops])
            size[ops] = 1 + np.add.reduceat(np.where(leaf[a], 0, size[a]), begin)
            parts = np.add.reduceat(seen[a] * _WEIGHTS[order & 7], begin)
            own[ops] = seen[ops] = _mixed(parts + _mixed(graph.code[ops].astype(np.uint64) + np.uint64(1)))
            cut = ops[shared[ops] & (size[ops] > LARGE)]
            leaf[cut] = materialized[cut] = True
            seen[cut] = elsewhere


def _mixed(x: Index) -> Index:
    """The finalizer of SplitMix64 (Steele, Lea & Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _transposed(graph: Graph) -> tuple[Index, Index]:
    """Users of each node, compressed."""
    n = len(graph.nodes)
    table = sp.csr_array((np.ones(graph.args.size, dtype=np.int8), graph.args, graph.start), shape=(n, n)).tocsc()
    return table.indptr.astype(np.intp), table.indices
