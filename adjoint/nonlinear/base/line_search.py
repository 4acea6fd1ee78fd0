"""A step length for each connected component of a system, by backtracking on the scaled residual.

Equations that do not touch each other (a thousand elements, each with its own unknown) are one system
only in name: a common step length would make all of them as slow as the worst. Each component ``c`` has
its own merit

    phi_c(alpha) = sum over its equations of (r_i(u + alpha d) / s_i)^2,        s frozen at u,

and its own length, and all are tried in the same residual evaluation.
"""

from __future__ import annotations

import numpy as np

from adjoint.nonlinear.base.rule import nonzero, project
from adjoint.nonlinear.base.system import System

__all__ = ["SUFFICIENT", "Parts", "backtrack"]

SUFFICIENT = 1e-4  # share of the predicted decrease that a step must bring (Dennis & Schnabel 1983, A6.3.1)
SHORTEST = 1e-10  # step length below which a direction is given up
BLIND = 0.2  # factor of the step length after a NaN or an infinity
FLAT = 1e-12  # a direction whose linear model decreases phi by less than this share leads nowhere


class Parts:
    """The connected components of a system, and which of them are done.

    Attributes
    ----------
    label : ndarray or None
        Component of each unknown; None if the system is one component.
    done : ndarray of bool
        Components that satisfy the convergence rule; they stay where they are.
    """

    def __init__(self, system: System) -> None:
        self.label = system.components
        self.count = 1 if self.label is None else int(self.label.max(initial=0)) + 1
        if self.count == 1:
            self.label = None
        self.done = np.zeros(self.count, dtype=bool)

    def merit(self, r: np.ndarray, s: np.ndarray) -> np.ndarray:
        """``phi`` of each component."""
        t = r / s
        if self.label is None:
            return np.array([t @ t])
        return np.bincount(self.label, t * t, minlength=self.count)

    def mark_done(self, r: np.ndarray, s: np.ndarray, tol: float) -> None:
        """Find the components in which every equation satisfies the rule."""
        if self.label is not None:
            open_equation = ~(np.abs(r) <= tol * s)
            self.done = np.bincount(self.label, open_equation, minlength=self.count) == 0

    def hold(self, d: np.ndarray) -> np.ndarray:
        """The step `d` without the components that are done."""
        return d if self.label is None else np.where(self.done[self.label], 0.0, d)

    def shrinkage(self, r: np.ndarray, r1: np.ndarray, s: np.ndarray) -> float:
        """Largest ``||r1 / s|| / ||r / s||`` of the components that are not done; NaN outside the domain."""
        if self.label is None:
            t, t1 = r / s, r1 / s
            return float((t1 @ t1) / (t @ t)) ** 0.5
        ratio = self.merit(r1, s) / self.merit(r, s)
        return float(np.sqrt(np.maximum.reduce(ratio[~self.done], initial=0.0)))


def backtrack(
    system: System,
    parts: Parts,
    u: np.ndarray,
    d: np.ndarray,
    r: np.ndarray,
    s: np.ndarray,
    r1: np.ndarray,
    share: np.ndarray | float = 1.0,
) -> np.ndarray | None:
    """The point ``u + alpha d`` with a sufficient decrease in every component that allows one.

    `r` and `r1` are the residuals at `u` and at the full step. ``phi_c'(0) = -2 share_c phi_c(0)``; `share`
    is 1 for a Newton step. A component that no length helps stays at `u`; None if that is so for all of them.
    """
    s = nonzero(s)
    phi0 = parts.merit(r, s)
    slope = np.broadcast_to(share, phi0.shape) * phi0
    alpha = np.where(parts.done | ~(slope > FLAT * phi0), 0.0, 1.0)
    trial = u
    while True:
        phi = parts.merit(r1, s)
        # not (a <= b): a NaN is refused as well
        short = (alpha > 0.0) & ~(phi <= phi0 - 2.0 * SUFFICIENT * alpha * slope)
        if trial is not u and not short.any():
            return trial if alpha.any() else None
        a = alpha[short]
        # minimum of the parabola through phi0, the slope -2 slope at 0, and phi(alpha)
        parabola = slope[short] * a * a / (phi[short] - phi0[short] + 2.0 * a * slope[short])
        a = np.where(np.isfinite(phi[short]), np.clip(parabola, 0.1 * a, 0.5 * a), BLIND * a)
        alpha[short] = np.where(a < SHORTEST, 0.0, a)
        trial = project(system, u + (alpha if parts.label is None else alpha[parts.label]) * d)
        r1 = system.residual(trial)
