"""Methods that solve one block of nonlinear equations, by name in ``METHODS``, and what they share."""

from adjoint.nonlinear.auto import METHODS, Method, solve_auto
from adjoint.nonlinear.base import Attempt, Options, Outcome, System, natural_scale, scaled_residual
from adjoint.nonlinear.singular import is_singular_at

__all__ = [
    "METHODS",
    "Attempt",
    "Method",
    "Options",
    "Outcome",
    "System",
    "is_singular_at",
    "natural_scale",
    "scaled_residual",
    "solve_auto",
]
