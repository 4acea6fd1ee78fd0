"""Options of Gauss–Newton and Levenberg–Marquardt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from ..options import checked_options

__all__ = ["LeastSquaresOptions", "least_squares_options"]

CHOICES = {"linear_solver": ("auto", "dense", "sparse")}


@dataclass(frozen=True)
class LeastSquaresOptions:
    """Options, with their defaults.

    Attributes
    ----------
    tol : float
        Relative offset (Bates & Watts 1981) at which the answer is optimal: the length of the part of the residuals
        that a step can still remove to first order, divided by that of the residuals.
    max_iter, max_wall_time : int, float
        Limits; time in seconds.
    damping : float
        First damping of Levenberg–Marquardt, where every column of the Jacobian has length 1.
    linear_solver : {"auto", "dense", "sparse"}
        Orthogonal factors of a dense Jacobian, or symmetric sparse factors of the augmented system.
    print_level : int
        0 is silent, 5 prints the table of iterations.
    """

    tol: float = 1e-10
    max_iter: int = 1000
    max_wall_time: float = inf
    damping: float = 1e-3
    linear_solver: str = "auto"
    print_level: int = 0


def least_squares_options(given: Mapping[str, Any], method: str) -> LeastSquaresOptions:
    """The options of a mapping, checked.

    Raises
    ------
    ModelError
        An option that does not exist, with the closest names, or a value that does not fit.

    >>> least_squares_options({"tol": 1e-6}, "gauss-newton").tol
    1e-06
    """
    return checked_options(LeastSquaresOptions, given, method, CHOICES)
