"""Options of sequential quadratic programming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from ..options import checked_options

__all__ = ["SQPOptions"]

CHOICES = {"hessian_approximation": ("exact", "bfgs")}


@dataclass(frozen=True)
class SQPOptions:
    """Options, with their defaults.

    Attributes
    ----------
    tol : float
        Scaled optimality error at which the answer is optimal.
    acceptable_tol : float
        Error with which an answer is acceptable where no progress is possible any further.
    constr_viol_tol : float
        Unscaled violation that an optimal answer may have at most.
    dual_inf_tol : float
        Unscaled dual and complementarity errors at which iterating ends; an optimal answer may have larger ones where
        no progress is possible any further.
    max_iter, max_wall_time : int, float
        Limits; time in seconds.
    initial_radius : float
        Start of the trust region, relative to the sizes of the variables and at least to 1.
    initial_penalty, max_penalty : float
        Start and bound of the price of violations.
    nlp_scaling_max_gradient : float
        Objective and rows with larger gradients at the start are scaled down to it; infinity leaves them.
    hessian_approximation : {"exact", "bfgs"}
        Damped BFGS also where the program has no second derivatives.
    print_level : int
        0 is silent, 3 prints the outcome, 5 the table of iterations.
    """

    tol: float = 1e-8
    acceptable_tol: float = 1e-6
    constr_viol_tol: float = 1e-4
    dual_inf_tol: float = 1e-6
    max_iter: int = 1000
    max_wall_time: float = inf
    initial_radius: float = 1.0
    initial_penalty: float = 10.0
    max_penalty: float = 1e8
    nlp_scaling_max_gradient: float = 100.0
    hessian_approximation: str = "exact"
    print_level: int = 0

    @classmethod
    def of(cls, given: Mapping[str, Any] | SQPOptions | None) -> SQPOptions:
        """The options of a mapping, checked.

        >>> SQPOptions.of({"tol": 1e-6}).tol
        1e-06
        """
        return checked_options(cls, given, "sqp", CHOICES)
