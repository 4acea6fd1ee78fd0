"""Which solver for which pattern."""

from __future__ import annotations

from typing import Any

from adjoint.errors import NameLookupError, UnsupportedError, closest

from . import klu_
from .base import Factorization, InaccurateFactors, LinearSolver, SparsePattern
from .dense import DenseSolver
from .klu_ import KLUSolver
from .superlu import BlockForm, SuperLUSolver

__all__ = ["SOLVERS", "make_solver"]

SOLVERS: dict[str, type[LinearSolver]] = {"dense": DenseSolver, "superlu": SuperLUSolver, "klu": KLUSolver}


def make_solver(pattern: Any, method: str = "auto", block_form: BlockForm | None = None) -> LinearSolver:
    if isinstance(pattern, int) or pattern.shape[0]==0: return DenseSolver(pattern)
    return SOLVERS[method](pattern)
