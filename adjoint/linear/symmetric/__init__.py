"""Symmetric indefinite systems: factors with inertia, one solver per sparsity pattern."""

from __future__ import annotations

from .auto import SYMMETRIC_SOLVERS, make_condensed_solver, make_symmetric_solver
from .interface import Inertia, SymmetricFactorization, SymmetricPattern, SymmetricSolver

__all__ = [
    "SYMMETRIC_SOLVERS",
    "Inertia",
    "SymmetricFactorization",
    "SymmetricPattern",
    "SymmetricSolver",
    "make_condensed_solver",
    "make_symmetric_solver",
]
