"""The adaptive barrier update: μ chosen at every iterate, while that makes progress; monotone where it does not.

References
----------
.. [1] J. Nocedal, A. Wächter and R. A. Waltz, "Adaptive barrier update strategies for nonlinear interior methods", SIAM
       J. Optim. 19(4), 2009, pp. 1674-1693.
.. [2] R. J. Vanderbei and D. F. Shanno, "An interior-point algorithm for nonconvex nonlinear programming", Comput.
       Optim. Appl. 13, 1999, pp. 231-252 (the rule of LOQO).
.. [3] S. Mehrotra, "On the implementation of a primal-dual interior point method", SIAM J. Optim. 2(4), 1992.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .barrier import lowered
from .bounds import to_boundary
from .form import Form, Point
from .inertia import System

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Adaptive"]

MARGIN = 1e-5  # by which a point must improve on every earlier one
FIXED = 0.8  # μ of the monotone mode, relative to the mean complementarity where it begins
MU_MAX = 1e3  # largest μ, relative to the mean complementarity at the start
SIGMA_MIN, SIGMA_MAX = 1e-6, 100.0
SECTIONS, SECTION_END = 8, 1e-2  # golden section: steps, and relative width where it ends
GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)


class Adaptive:
    """State of the strategy: the mode, and the filter of objective and violation that guards it ([1]_, section 5)."""

    def __init__(self, oracle: str, mu_min: float, p: Point) -> None:
        self.oracle: Callable[[Form, Point, System, float], float] = ORACLES[oracle]
        self.free = True
        self.accepted: list[tuple[float, float]] = []
        self.mu_min = mu_min
        self.mu_max = MU_MAX * max(1.0, mean_complementarity(p))

    def choose(self, e: Engine, system: System) -> float:
        """μ for the next step."""
        p = e.point
        if self.improves(p):
            self.free = True
        elif self.free:
            self.free = False
            return self.bounded(FIXED * mean_complementarity(p))
        else:
            return lowered(e.mu, e.least, p.errors, e.options)
        self.remember(p)
        return self.bounded(self.oracle(e.form, p, system, e.tau))

    def bounded(self, mu: float) -> float:
        """μ within its range."""
        return min(max(mu, self.mu_min), self.mu_max)

    def improves(self, p: Point) -> bool:
        """Whether objective or violation are better than at every point accepted so far."""
        margin = MARGIN * min(1.0, p.errors.total(0.0))
        return all(p.f + margin < f or p.theta + margin < theta for theta, f in self.accepted)

    def remember(self, p: Point) -> None:
        """Accept a point of the free mode."""
        self.accepted = [(t, f) for t, f in self.accepted if t < p.theta or f < p.f]
        self.accepted.append((p.theta, p.f))

    def fall_back(self, p: Point) -> float | None:
        """μ of the monotone mode, where a search of the free mode fails; None if it is on already."""
        if not self.free:
            return None
        self.free = False
        return self.bounded(FIXED * mean_complementarity(p))


def mean_complementarity(p: Point) -> float:
    """``dᵀz / number of bounds``."""
    return float(p.d.dot(p.z)) / p.d.size


def loqo(form: Form, p: Point, system: System, tau: float) -> float:
    """μ by how far the products are from each other ([2]_)."""
    mean = mean_complementarity(p)
    spread = p.errors.least / mean
    return 0.1 * min(0.05 * (1.0 - spread) / spread, 2.0) ** 3 * mean


def affine(form: Form, p: Point, system: System) -> tuple[np.ndarray, np.ndarray]:
    """``dd`` and ``dz`` of the step with μ = 0."""
    dw, _ = system.solve(-form.bounds.scatter(p.z) - p.dual, -p.c)
    dd = form.bounds.along(dw)
    return dd, -p.z - (p.z / p.d) * dd


def probing(form: Form, p: Point, system: System, tau: float) -> float:
    """Mehrotra's heuristic: μ small where the step with μ = 0 gets far ([3]_)."""
    mean = mean_complementarity(p)
    dd, dz = affine(form, p, system)
    alpha, alpha_dual = to_boundary(p.d, dd, 1.0), to_boundary(p.z, dz, 1.0)
    after = float((p.d + alpha * dd).dot(p.z + alpha_dual * dz)) / p.d.size
    return min((after / mean) ** 3, SIGMA_MAX) * mean


def quality(form: Form, p: Point, system: System, tau: float) -> float:
    """μ whose step gives the least linearized error of the optimality conditions ([1]_, section 4)."""
    mean = mean_complementarity(p)
    dd, dz = affine(form, p, system)
    dw, _ = system.solve(form.bounds.scatter(form.bounds.slope(p.d)), np.zeros(form.rows))
    centre = mean * form.bounds.along(dw)
    centre_z = mean / p.d - (p.z / p.d) * centre
    dual, primal = float(p.dual.dot(p.dual)) / p.dual.size, float(p.c.dot(p.c)) / max(p.c.size, 1)

    def error(log_sigma: float) -> float:
        sigma = math.exp(log_sigma)
        step, step_z = dd + sigma * centre, dz + sigma * centre_z
        alpha, alpha_dual = to_boundary(p.d, step, tau), to_boundary(p.z, step_z, tau)
        products = (p.d + alpha * step) * (p.z + alpha_dual * step_z)
        return (
            (1.0 - alpha_dual) ** 2 * dual + (1.0 - alpha) ** 2 * primal + float(products.dot(products)) / products.size
        )

    inside = math.log(1.0 - 1e-4)
    if error(inside) <= error(0.0):
        return math.exp(golden_section(error, math.log(SIGMA_MIN), inside)) * mean
    return math.exp(golden_section(error, 0.0, math.log(SIGMA_MAX))) * mean


def golden_section(f: Callable[[float], float], low: float, high: float) -> float:
    """A local minimizer between two points, the ends included.

    >>> round(golden_section(lambda x: (x - 0.3) ** 2, 0.0, 1.0), 1)
    0.3
    """
    ends = (f(low), low), (f(high), high)
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    fa, fb = f(a), f(b)
    for _ in range(SECTIONS):
        if high - low < SECTION_END:
            break
        if fa > fb:
            low, a, fa = a, b, fb
            b = low + GOLDEN * (high - low)
            fb = f(b)
        else:
            high, b, fb = b, a, fa
            a = high - GOLDEN * (high - low)
            fa = f(a)
    return min((fa, a), (fb, b), *ends)[1]


ORACLES: dict[str, Callable[[Form, Point, System, float], float]] = {
    "quality-function": quality,
    "loqo": loqo,
    "probing": probing,
}
