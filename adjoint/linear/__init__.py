"""Linear solvers: factor once, solve with the matrix and with its transpose.

::

    make_solver(pattern) → LinearSolver.factor(A) → Factorization.solve(b, transpose=False)

One solver serves all matrices of one sparsity pattern; the same factors serve the solution and its
multipliers.
"""

from __future__ import annotations

from .auto import SOLVERS, make_solver
from .base import Factorization, InaccurateFactors, LinearSolver, SingularMatrix, with_data
from .condition import condition_estimate, null_vectors
from .krylov import gmres_solve
from .refine import refined_solve

__all__ = [
    "SOLVERS",
    "Factorization",
    "InaccurateFactors",
    "LinearSolver",
    "SingularMatrix",
    "condition_estimate",
    "gmres_solve",
    "make_solver",
    "null_vectors",
    "refined_solve",
    "with_data",
]
