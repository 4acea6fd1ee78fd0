"""What a linear solver is, and what the sparse ones share."""

from __future__ import annotations

from .estimate import inverse_norm
from .interface import Factorization, InaccurateFactors, LinearSolver, SingularMatrix
from .pattern import SparsePattern, with_data
from .sparse_factors import SparseFactorization, backward_error, verified

__all__ = [
    "Factorization",
    "InaccurateFactors",
    "LinearSolver",
    "SingularMatrix",
    "SparseFactorization",
    "SparsePattern",
    "backward_error",
    "inverse_norm",
    "verified",
    "with_data",
]
