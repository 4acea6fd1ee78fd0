"""What the method returns, and what it tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

__all__ = ["InteriorResult", "Record"]


class Record(NamedTuple):
    """One iteration.

    ``objective`` is that of the program, ``infeasibility`` and ``dual_infeasibility`` are the scaled largest residuals;
    ``flag`` says how the step was accepted: f and h by the filter (on the barrier function; on either), F and H after
    a second-order correction, w by the watchdog, s by soft restoration, t a tiny step; a leading r in restoration.
    """

    iteration: int
    objective: float
    infeasibility: float
    dual_infeasibility: float
    mu: float
    step: float
    regularization: float
    alpha_dual: float
    alpha: float
    trials: int
    flag: str


@dataclass(slots=True, eq=False)
class InteriorResult:
    """Outcome of :func:`adjoint.optimize.interior.solve`.

    Attributes
    ----------
    x, f : ndarray, float
        Point and objective.
    y, z_lower, z_upper : ndarray
        Multipliers of the rows and of the bounds, in the sign of :mod:`adjoint.optimize.nlp`.
    status, message : str
        A key of :data:`~adjoint.optimize.outcome.MESSAGES`, and words that name what is violated.
    iterations : int
    mu : float
        The last barrier parameter.
    history : list of Record
    evaluations : dict
        How often each function was called, and matrices were factored.
    times : dict
        Seconds in derivatives (all functions), linear algebra, and the rest.
    residuals : dict
        Unscaled largest primal, dual and complementarity residuals.
    violated : list of (name, violation)
        Of a point that is not feasible, worst first.
    """

    x: np.ndarray
    f: float
    y: np.ndarray
    z_lower: np.ndarray
    z_upper: np.ndarray
    status: str
    message: str
    iterations: int
    mu: float
    history: list[Record] = field(default_factory=list)
    evaluations: dict[str, int] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    residuals: dict[str, float] = field(default_factory=dict)
    violated: list[tuple[str, float]] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Whether the point is optimal, to the tolerance or to the acceptable one."""
        return self.status in ("optimal", "acceptable")
