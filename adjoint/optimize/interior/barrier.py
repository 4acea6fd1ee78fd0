"""The monotone barrier update of Fiacco and McCormick (W&B, eq. 7 and 8)."""

from __future__ import annotations

from .options import InteriorOptions
from .step import Errors

__all__ = ["lowered", "smallest"]


def smallest(options: InteriorOptions, f_scale: float = 1.0) -> float:
    """The barrier parameter below which none is needed for the tolerances, with an objective scaled by `f_scale`."""
    tolerance = min(options.tol, options.compl_inf_tol * f_scale)
    return max(tolerance / (options.barrier_tol_factor + 1.0), options.mu_target)


def lowered(mu: float, least: float, errors: Errors, options: InteriorOptions, force: bool = False) -> float:
    """The barrier parameter for a point: lower while the barrier problem is solved well enough.

    >>> lowered(0.1, 1e-9, Errors(0.0, 0.0, 0.0, 0.02, 0.02, 1.0, 1.0), InteriorOptions())
    0.00015
    """
    while mu > least and (force or errors.total(mu) <= options.barrier_tol_factor * mu):
        linear, superlinear = options.mu_linear_decrease_factor * mu, mu**options.mu_superlinear_decrease_power
        mu = max(least, min(linear, superlinear))
        force = False
        if errors.s_c > 1.0:
            break  # errors that large multipliers make small say little of the next problem
    return mu
