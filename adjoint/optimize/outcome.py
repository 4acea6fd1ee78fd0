"""What a method on a nonlinear program found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["STATUSES", "NLPOutcome"]

STATUSES = (
    "optimal",
    "acceptable",
    "infeasible",
    "unbounded",
    "iteration_limit",
    "time_limit",
    "stopped",
    "evaluation_error",
    "failed",
)


@dataclass
class NLPOutcome:
    """A point with multipliers, in the sign of :mod:`~adjoint.optimize.nlp`, and how it was found.

    Attributes
    ----------
    status : str
        One of ``STATUSES``.
    evaluations : dict
        How often each function was called, where the method tells.
    """

    x: np.ndarray
    y: np.ndarray
    z_lower: np.ndarray
    z_upper: np.ndarray
    status: str
    message: str
    iterations: int
    evaluations: dict[str, int] = field(default_factory=dict)
