"""Minimizers with bounds: projected Newton steps, and a line search that only goes down.

At an iterate, the unknowns at a bound that the gradient pushes against are held; the others take the Newton step

    d_F = −(H_FF + σ I)⁻¹ g_F,          σ ≥ 0 so that the matrix is positive definite,

and the search goes along the projection of ``u + α d`` onto the bounds (Bertsekas 1982, "Projected Newton methods for
optimization problems with simple constraints", SIAM J. Control Optim. 20). Where the Hessian is known by products only,
conjugate gradients find the step as accurately as it pays (Dembo & Steihaug 1983; Nocedal & Wright 2006, algorithm
7.1).

A stationary point that is no minimum is left along a direction of negative curvature, so a saddle is never an answer.
The convergence rule is that of all solves: ``|g_i| ≤ tol · s_i`` with ``s_i = Σ_j |H_ij| max(|u_j|, 1e-6)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
import scipy

from ..errors import Status
from ..linear.base import SingularMatrix
from ..nonlinear import natural_scale, scaled_residual
from ..nonlinear.base import FLOOR, ROUNDING
from .conjugate_gradients import conjugate_gradients
from .hessian import Curvature, Factors

__all__ = ["KEPT", "Minimum", "Objective", "minimize", "negative_direction", "point_at"]

SUFFICIENT = 1e-4  # of the predicted decrease (Armijo)
SHORTEST = 1e-12  # step length below which a direction is given up
LONGER = 10  # doublings of a step
SHIFTS = 40  # tries of the shift, each ten times the one before
FIRST_SHIFT = 1e-6  # relative to the largest diagonal entry
NEGATIVE = -1e-9  # an eigenvalue below, relative to the largest, is a direction downhill
FAST = 0.01  # ratio of scaled residuals of two iterates that shows superlinear convergence
POLISH = 2  # steps after convergence that bring the answer to rounding level
ESCAPES = 20  # saddle points that are left
PROBES = 6  # random directions for the magnitude of the equations, where there is no matrix
KEPT = 100  # scaled residuals remembered: memory does not grow with the iterations
TESTS = 50  # products spent on the test of the curvature, where there is no matrix


@dataclass
class Minimum:
    """Where the search ended.

    Attributes
    ----------
    u, gradient : ndarray
    free : ndarray of bool, the unknowns that no bound holds
    hessian : the matrix at u; None where there are products only
    factors : Factors or None
    scale, scaled : the natural magnitudes, and the largest scaled residual
    iterations : int
    status : Status
    history : list of float
    escapes : int, stationary points that were left because they are no minima
    """

    u: np.ndarray
    gradient: np.ndarray
    free: np.ndarray
    hessian: Any
    factors: Factors | None
    scale: np.ndarray
    scaled: float
    iterations: int = 0
    status: Status = Status.ITERATION_LIMIT
    history: list[float] = field(default_factory=list)
    escapes: int = 0

    @property
    def simple(self) -> bool:
        """Whether the last step was so good that the Hessian is regular: at a multiple root it gains a constant
        factor."""
        return self.hessian is not None and len(self.history) > 1 and self.history[-1] <= FAST * self.history[-2]


class Objective:
    """The objective at fixed parameters and bounds."""

    def __init__(self, curvature: Curvature, params: Any, lower: Any, upper: Any) -> None:
        self.curvature, self.params = curvature, params
        self.lower, self.upper = lower, upper
        self.shaped = curvature.inner.shaped
        self._probes: np.ndarray | None = None

    def value(self, u: np.ndarray) -> float:
        found = float(self.curvature.value(self.shaped(u), *self.params)[0])
        return found if found == found else inf

    def with_gradient(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        f, g = self.curvature.value_and_gradient(self.shaped(u), *self.params)
        return (float(f) if f == f else inf), np.array(g, dtype=float)

    def matrix(self, u: np.ndarray) -> Any:
        if self.curvature.form == "products":
            return None
        return self.curvature.matrix(self.shaped(u), self.params)

    def product(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.array(self.curvature.product(self.shaped(u), *self.params, self.shaped(v))[0], dtype=float)

    def project(self, u: np.ndarray) -> np.ndarray:
        if self.lower is None and self.upper is None:
            return u
        return np.clip(u, self.lower, self.upper)

    def free(self, u: np.ndarray, g: np.ndarray) -> np.ndarray:
        """The unknowns that no bound holds."""
        held = np.zeros(u.size, dtype=bool)
        if self.lower is not None:
            held |= (u <= self.lower) & (g > 0.0)
        if self.upper is not None:
            held |= (u >= self.upper) & (g < 0.0)
        if self.lower is not None and self.upper is not None:
            held |= self.lower == self.upper
        return ~held

    def scale(self, u: np.ndarray, H: Any) -> np.ndarray:
        """Natural magnitudes of the gradient: of the matrix, or lower bounds of them from products."""
        if H is not None:
            return natural_scale(H, u)
        if self._probes is None:
            self._probes = np.random.default_rng(0).uniform(-1.0, 1.0, (PROBES, u.size))
        magnitude = np.maximum(np.abs(u), FLOOR)
        products = [np.abs(self.product(u, magnitude * probe)) for probe in self._probes]
        return np.maximum.reduce(products)


def minimize(objective: Objective, u0: np.ndarray, tol: float, max_iterations: int) -> Minimum:
    """Search a minimum from ``u0``: verified, and of second order."""
    with np.errstate(all="ignore"):
        return _minimize(objective, objective.project(np.array(u0, dtype=float)), tol, max_iterations)


def _minimize(objective: Objective, u: np.ndarray, tol: float, max_iterations: int) -> Minimum:
    f, g = objective.with_gradient(u)
    at = _point(objective, u, g)
    at.history.append(at.scaled)
    if not (f < inf and at.scaled < inf):
        at.status = Status.NON_FINITE
        return at
    iterations = 0
    while iterations < max_iterations:
        if at.scaled <= tol:
            downhill = negative_direction(objective, at)
            if downhill is None:
                at.status = Status.SOLVED
                return _polished(objective, at)
            moved = _escape(objective, at.u, f, downhill) if at.escapes < ESCAPES else None
            if moved is None:
                at.status = Status.STALLED
                return at
            at.escapes += 1
        else:
            moved = _step(objective, at, f)
            if moved is None:
                at.status = Status.STALLED
                return at
        iterations += 1
        u1, f = moved
        f, g = objective.with_gradient(u1)
        new = _point(objective, u1, g)
        new.iterations, new.history, new.escapes = iterations, at.history, at.escapes
        new.history.append(new.scaled)
        del new.history[1:-KEPT]
        at = new
        if not f > -1e100 or not np.abs(u1).max(initial=0.0) < 1e100:
            at.status = Status.DIVERGED
            return at
    return at


def point_at(objective: Objective, u: np.ndarray) -> Minimum:
    """What is known at values: nothing is searched."""
    return _point(objective, u, objective.with_gradient(u)[1])


def _point(objective: Objective, u: np.ndarray, g: np.ndarray) -> Minimum:
    H = objective.matrix(u)
    free = objective.free(u, g)
    s = objective.scale(u, H)
    return Minimum(u, g, free, H, None, s, scaled_residual(np.where(free, g, 0.0), s))


def _step(objective: Objective, at: Minimum, f: float) -> tuple[np.ndarray, float] | None:
    """A lower point along the projected Newton direction, or along the gradient."""
    for d in (_direction(objective, at), np.where(at.free, -at.gradient, 0.0)):
        if d is not None and np.isfinite(d).all() and at.gradient @ d < 0.0:
            found = _search(objective, at, f, d)
            if found is not None:
                # Where the function does not bend upwards, the length of the step means little.
                return found if at.factors is not None or at.hessian is None else _farther(objective, at.u, *found)
    return None


def _farther(objective: Objective, u: np.ndarray, u1: np.ndarray, f1: float) -> tuple[np.ndarray, float]:
    """Steps twice as long as the one before, as long as they pay."""
    for _ in range(LONGER):
        u2 = objective.project(u + 2.0 * (u1 - u))
        f2 = objective.value(u2)
        if not f2 < f1:
            break
        u1, f1 = u2, f2
    return u1, f1


def _direction(objective: Objective, at: Minimum) -> np.ndarray | None:
    if at.hessian is None:
        return _truncated(objective, at)
    diagonal = at.hessian.diagonal()
    largest = float(np.abs(diagonal).max(initial=0.0)) or 1.0
    shift = 0.0
    for _ in range(SHIFTS):
        try:
            factors = Factors(objective.curvature, at.hessian, at.free, shift)
        except SingularMatrix:
            shift = max(10.0 * shift, FIRST_SHIFT * largest)
            continue
        if not shift:
            at.factors = factors
        return -factors.solve(at.gradient)
    return None


def _truncated(objective: Objective, at: Minimum) -> np.ndarray:
    """The Newton direction by conjugate gradients; where they meet negative curvature, what they have until then."""
    g = np.where(at.free, at.gradient, 0.0)

    def product(v: np.ndarray) -> np.ndarray:
        return np.where(at.free, objective.product(at.u, v), 0.0)

    forcing = min(0.5, np.sqrt(at.scaled))
    found = conjugate_gradients(product, -g, forcing, maxiter=10 * g.size)
    if found.curvature is not None and found.iterations == 0:
        return found.curvature
    return found.x


def _search(objective: Objective, at: Minimum, f: float, d: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Backtracking along the projection of ``u + α d``.

    Where the decrease drowns in the rounding of f, a step counts if it makes the gradient smaller.
    """
    noise = 10.0 * ROUNDING * max(abs(f), 1e-300)
    alpha = 1.0
    while alpha >= SHORTEST:
        u1 = objective.project(at.u + alpha * d)
        if np.array_equal(u1, at.u):
            return None
        f1 = objective.value(u1)
        predicted = float(at.gradient @ (u1 - at.u))
        if f1 <= f + SUFFICIENT * predicted and predicted < 0.0 and f - f1 > noise:
            return u1, f1
        if abs(f1 - f) <= noise and -predicted <= 1e3 * noise:
            g1 = objective.with_gradient(u1)[1]
            free = objective.free(u1, g1)
            if scaled_residual(np.where(free, g1, 0.0), at.scale) < at.scaled:
                return u1, f1
        alpha *= 0.5
    return None


def _polished(objective: Objective, at: Minimum) -> Minimum:
    """Newton steps from a solution while its residual drops; they cost the factors that derivatives need anyway."""
    if at.hessian is None:
        return at
    try:
        at.factors = at.factors or Factors(objective.curvature, at.hessian, at.free)
    except SingularMatrix:
        return at
    for _ in range(POLISH):
        if at.scaled <= ROUNDING:
            break
        u1 = objective.project(at.u - at.factors.solve(at.gradient))
        g1 = objective.with_gradient(u1)[1]
        free = objective.free(u1, g1)
        worst = scaled_residual(np.where(free, g1, 0.0), at.scale)
        if not worst < at.scaled or not np.array_equal(free, at.free):
            break
        at.u, at.gradient, at.scaled = u1, g1, worst
    return at


def negative_direction(objective: Objective, at: Minimum) -> np.ndarray | None:
    """A direction of negative curvature in the free unknowns at a stationary point; None at a minimum."""
    if not at.free.any():
        return None
    if at.hessian is None:
        probe = np.where(at.free, np.random.default_rng(1).standard_normal(at.u.size), 0.0)

        def product(v: np.ndarray) -> np.ndarray:
            return np.where(at.free, objective.product(at.u, v), 0.0)

        found = conjugate_gradients(product, probe, 1e-8, maxiter=TESTS)
        if found.curvature is None or found.iterations == 0 and not np.any(product(found.curvature)):
            return None
        bend = float(found.curvature @ product(found.curvature)) / float(found.curvature @ found.curvature)
        return found.curvature if bend < NEGATIVE * (found.largest if found.largest > 0 else 1.0) else None
    try:
        at.factors = at.factors or Factors(objective.curvature, at.hessian, at.free)
        return None
    except SingularMatrix:
        return _lowest(at)


def _lowest(at: Minimum) -> np.ndarray | None:
    """The eigenvector of the smallest eigenvalue of the Hessian in the free unknowns, if that is negative."""
    out = np.zeros(at.u.size)
    if isinstance(at.hessian, np.ndarray):
        values, vectors = scipy.linalg.eigh(at.hessian[np.ix_(at.free, at.free)])
        smallest, size, vector = values[0], np.abs(values).max(), vectors[:, 0]
    else:
        part = scipy.sparse.csc_array(at.hessian)[at.free][:, at.free]
        if part.shape[0] <= 2:
            values, vectors = scipy.linalg.eigh(part.toarray())
            smallest, size, vector = values[0], np.abs(values).max(), vectors[:, 0]
        else:
            size = float(np.abs(scipy.sparse.linalg.eigsh(part, k=1, which="LM", return_eigenvectors=False)[0]))
            values, vectors = scipy.sparse.linalg.eigsh(part, k=1, which="SA", tol=1e-6)
            smallest, vector = values[0], vectors[:, 0]
    if not smallest < NEGATIVE * size:
        return None
    out[at.free] = vector
    return out


def _escape(objective: Objective, u: np.ndarray, f: float, v: np.ndarray) -> tuple[np.ndarray, float] | None:
    """A lower point along ``±v`` from a stationary point."""
    v = v / np.abs(v).max()
    length = 0.1 * max(1.0, float(np.abs(u).max(initial=0.0)))
    while length > 1e-9:
        ends = [objective.project(u + sign * length * v) for sign in (1.0, -1.0)]
        values = [objective.value(end) for end in ends]
        best = int(np.argmin(values))
        if values[best] < f - 10.0 * ROUNDING * abs(f):
            return ends[best], values[best]
        length *= 0.5
    return None
