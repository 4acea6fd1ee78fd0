"""The primal-dual step of one iterate, and the quantities that judge a point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bounds import largest, to_boundary
from .form import Form, Point
from .inertia import System

__all__ = ["Errors", "Step", "advance", "evaluated", "measure", "newton_step"]

SCALE_MAX = 100.0  # s_max of W&B, eq. 5
KAPPA_SIGMA = 1e10  # W&B, eq. 16
SMALL = 1e-5  # dual residual from which rounding is looked at
ROUNDING = 1e-12  # relative error of derivatives


@dataclass(slots=True, eq=False)
class Errors:
    """Violations of the optimality conditions (W&B, eq. 5)."""

    dual: float
    counted: float  # the dual residual, without what rounding makes of its terms
    primal: float
    least: float  # d z, the smallest and the largest
    most: float
    s_d: float
    s_c: float

    def total(self, mu: float) -> float:
        """``E_μ``."""
        complementarity = max(self.most - mu, mu - self.least) / self.s_c
        return max(self.counted / self.s_d, self.primal, complementarity)


def measure(form: Form, p: Point) -> None:
    """Set the dual residual and the errors of a point whose derivatives are known."""
    p.dual = p.gradient + form.transpose_dot(p.y) - form.bounds.scatter(p.z)
    dual, primal = largest(p.dual), largest(p.c)
    least = most = 0.0
    s_d = s_c = 1.0
    sum_y = float(np.add.reduce(np.abs(p.y)))
    if p.z.size:
        products = p.d * p.z
        least, most = float(np.minimum.reduce(products)), float(np.maximum.reduce(products))
        sum_z = float(np.add.reduce(p.z))
        s_c = max(SCALE_MAX, sum_z / p.z.size) / SCALE_MAX
        s_d = max(SCALE_MAX, (sum_y + sum_z) / (p.y.size + p.z.size)) / SCALE_MAX
    elif p.y.size:
        s_d = max(SCALE_MAX, sum_y / p.y.size) / SCALE_MAX
    rounded = dual <= SMALL and p.y.size and dual <= ROUNDING * sum_y * largest(p.J)
    counted = beyond_rounding(form, p) if rounded else dual
    p.errors = Errors(dual, counted, primal, least, most, s_d, s_c)


def beyond_rounding(form: Form, p: Point) -> float:
    """The largest dual residual that is not small beside the terms ``Jᵀy`` it is the sum of.

    Where terms of 1e5 cancel, 1e-8 is beyond what the functions' derivatives have digits for.
    """
    form.set_jacobian(np.abs(p.J))
    terms = np.abs(form.transpose_dot(np.abs(p.y)))
    form.set_jacobian(p.J)
    r = np.abs(p.dual)
    return float(np.maximum.reduce(r, where=r > ROUNDING * terms, initial=0.0))


@dataclass(slots=True, eq=False)
class Step:
    """A direction for all variables, and how far the bounds let it go."""

    dw: np.ndarray
    dd: np.ndarray
    dy: np.ndarray
    dz: np.ndarray
    alpha: float  # largest primal step
    alpha_dual: float
    slope: float  # of the barrier function


def newton_step(form: Form, p: Point, system: System, mu: float, tau: float, c: np.ndarray | None = None) -> Step:
    """The solution of the primal-dual equations (W&B, eq. 9 to 12), with `c` in place of the point's constraints for a
    second-order correction (eq. 26)."""
    b = form.bounds
    inverse = 1.0 / p.d
    pull = mu * (inverse - b.one_sided)
    dw, dy = system.solve(b.scatter(pull - p.z) - p.dual, -(p.c if c is None else c))
    dd = b.along(dw)
    dz = mu * inverse - p.z - (p.z / p.d) * dd
    slope = float(p.gradient.dot(dw) - pull.dot(dd))
    return Step(dw, dd, dy, dz, to_boundary(p.d, dd, tau), to_boundary(p.z, dz, tau), slope)


def evaluated(form: Form, w: np.ndarray, d: np.ndarray, y: np.ndarray, z: np.ndarray) -> Point:
    """The point with its values; raises :class:`EvaluationError`."""
    f, c = form.values(w)
    return Point(w, d, f, c, float(np.add.reduce(np.abs(c))), form.bounds.barrier(d), y, z)


def advance(p: Point, trial: Point, step: Step, alpha: float, alpha_dual: float, mu: float) -> None:
    """Multipliers of an accepted trial; those of bounds stay near μ / d (W&B, eq. 14 and 16)."""
    trial.y = p.y + alpha * step.dy
    if p.z.size:
        central = mu / trial.d
        z = p.z + alpha_dual * step.dz
        trial.z = np.minimum(np.maximum(z, central / KAPPA_SIGMA), central * KAPPA_SIGMA)
