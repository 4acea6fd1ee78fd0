"""The two kinds of block, each with its compiled functions: a run of explicit equations, and a cycle.

A block knows four things, all in terms of its own equations ``g(u, p) = 0`` (``u`` its unknowns, ``p`` the
variables it takes from outside; for explicit equations ``g = u − f(u, p)``):

- ``evaluate``: u from p, by evaluation (run) or by a nonlinear solver (cycle);
- ``push``: tangents, ``(∂g/∂u) u̇ = −(∂g/∂p) ṗ``;
- ``pull``: multipliers, ``(∂g/∂u)ᵀ λ = ū`` with ū the cotangents of u, then ``p̄ += −(∂g/∂p)ᵀ λ``.

For a run both systems are triangular, and the compiled functions are their substitution. For a cycle they are
solved with one factorization, shared by all right-hand sides. Functions are compiled when first needed, for
the equations that matter to the question asked, and kept.
"""

from __future__ import annotations

from .cycle import Cycle, Linearization
from .run import Run
from .torn import Torn
from .values import Matrices, Values, pack, stack_columns, stack_rows, to_dense, unpack

__all__ = [
    "Cycle",
    "Linearization",
    "Matrices",
    "Run",
    "Torn",
    "Values",
    "pack",
    "stack_columns",
    "stack_rows",
    "to_dense",
    "unpack",
]
