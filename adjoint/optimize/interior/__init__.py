"""A primal-dual interior-point method for sparse nonlinear programs, with a filter line search.

Reading order: ``standard`` (the program scaled, with slacks) → ``form`` (what the method works on) → ``bounds`` (the
barrier) → ``step`` (the primal-dual step) → ``inertia`` (its factors) → ``filter``, ``search`` (how far to go) →
``barrier`` (μ) → ``engine`` (the iteration) → ``restoration``, ``recovery`` (where it fails) → ``method`` (all of it).
"""

from __future__ import annotations

from ..outcome import Intermediate
from .matrices import Workspace
from .method import solve
from .options import InteriorOptions
from .result import InteriorResult, Record

__all__ = ["InteriorOptions", "InteriorResult", "Intermediate", "Record", "Workspace", "solve"]
