"""Options of the augmented Lagrangian method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from ..options import checked_options

__all__ = ["AugmentedLagrangianOptions"]

CHOICES = {"inner": ("auto", "newton", "newton-cg", "l-bfgs-b"), "polish": ("yes", "no")}


@dataclass(frozen=True)
class AugmentedLagrangianOptions:
    """Options, with their defaults.

    Attributes
    ----------
    tol : float
        Scaled optimality error at which the answer is optimal.
    acceptable_tol : float
        Error with which an answer is acceptable where no progress is possible any further.
    constr_viol_tol : float
        Unscaled violation that an optimal answer may have at most.
    max_iter, max_wall_time : int, float
        Limits, of updates of the multipliers; time in seconds.
    max_inner_iter : int
        Iterations of the inner method between two updates.
    inner : {"auto", "newton", "newton-cg", "l-bfgs-b"}
        The inner method: Newton's with sparse factors; with conjugate gradients, which need products only; SciPy's
        L-BFGS-B. ``auto`` is the first, or the second, with differences of gradients, where the program has no second
        derivatives.
    polish : {"yes", "no"}
        Newton steps on the optimality conditions of the active rows and bounds, between two updates.
    initial_penalty, max_penalty : float
        Start of the penalty parameter (0: from objective and violation at the start), and its bound.
    penalty_growth : float
        Its growth where violations do not fall.
    sufficient_decrease : float
        By which they must fall.
    multiplier_bound : float
        Largest multiplier that an update gives.
    nlp_scaling_max_gradient : float
        Objective and rows with larger gradients at the start are scaled down to it; infinity leaves them.
    linear_solver : str
        A method of :func:`adjoint.linear.symmetric.make_symmetric_solver`.
    print_level : int
        0 is silent, 3 prints the outcome, 5 the table of iterations.
    """

    tol: float = 1e-8
    acceptable_tol: float = 1e-6
    constr_viol_tol: float = 1e-4
    max_iter: int = 200
    max_wall_time: float = inf
    max_inner_iter: int = 300
    inner: str = "auto"
    polish: str = "yes"
    initial_penalty: float = 0.0
    max_penalty: float = 1e16
    penalty_growth: float = 10.0
    sufficient_decrease: float = 0.5
    multiplier_bound: float = 1e12
    nlp_scaling_max_gradient: float = 100.0
    linear_solver: str = "auto"
    print_level: int = 0

    @classmethod
    def of(cls, given: Mapping[str, Any] | AugmentedLagrangianOptions | None) -> AugmentedLagrangianOptions:
        """The options of a mapping, checked.

        >>> AugmentedLagrangianOptions.of({"inner": "l-bfgs-b"}).inner
        'l-bfgs-b'
        """
        return checked_options(cls, given, "augmented-lagrangian", CHOICES)
