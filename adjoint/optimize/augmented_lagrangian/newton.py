"""Newton's directions for the augmented Lagrangian in the free variables.

With ``w = ρ J_A d``, the equations ``(H + ρ J_AᵀJ_A + δ) d = −∇φ`` are ::

    [[H + δ, J_Aᵀ], [J_A, −1/ρ]] (d, w) = (−∇φ, 0)

which stay sparse, and well-conditioned for large ``ρ``. Variables at their bounds and rows inside get the rows and
columns of a unit matrix, so that the pattern stays the same.

References
----------
.. [1] N. I. M. Gould, "On the accurate determination of search directions for simple differentiable penalty functions",
       IMA J. Numer. Anal. 6, 1986, pp. 357-372.
.. [2] A. Wächter and L. T. Biegler, Math. Program. 106, 2006 (section 3.1: inertia correction).
.. [3] R. S. Dembo and T. Steihaug, "Truncated-Newton algorithms for large-scale unconstrained optimization", Math.
       Program. 26, 1983, pp. 190-212.
.. [4] M. Hintermüller, K. Ito and K. Kunisch, "The primal-dual active set strategy as a semismooth Newton method", SIAM
       J. Optim. 13, 2002, pp. 865-888.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np

from ...linear import SingularMatrix
from ..interior.matrices import AugmentedSystem, Products, symmetric_products
from ..scaled import ScaledProgram, evaluated
from .function import AugmentedFunction, Sample

__all__ = ["ConjugateGradients", "Direction", "Directions", "FactoredNewton"]

FIRST = 1e-4  # δ
TRIALS, SIMPLER = 60, 20  # values of it; after how many the active sets are not predicted any more
FALL, GROW, GROW_FIRST = 1.0 / 3.0, 8.0, 100.0
SHORT, NONE = 0.2, 1e-6  # steps after which the next is regularized at least as much; what counts as not at all
SHARPER, REACH, SHORTER = 4, 1.0, 0.3  # how often a δ is made smaller where the step is shorter than a share of what
# steps have reached of late, relative to the variables, and what that is at first
SETTLING = 20  # changes of the active sets of one model
FORCING = 0.1  # residual of conjugate gradients, relative to the gradient, at most
DIFFERENCE = 1e-7


class Directions(Protocol):
    """What gives directions of descent."""

    def direction(self, function: AugmentedFunction, s: Sample, free: np.ndarray, raised: bool) -> Direction | None:
        """A direction; of the variables that are not `free`, bounds hold. `raised`: more regular than the last one."""

    def bend(self, function: AugmentedFunction, s: Sample, d: np.ndarray, c: np.ndarray) -> np.ndarray | None:
        """What to add to the last direction, so that the rows, of values ``c`` at its end, are met better; or None."""

    def learn(self, alpha: float) -> bool:
        """Take in the length of the step that was found; whether longer ones may be tried."""

    def forget(self) -> None:
        """Start anew at another point."""


class Direction(NamedTuple):
    """A direction, and whether it ends within the bounds; else it is of the free variables only."""

    d: np.ndarray
    inside: bool


class FactoredNewton:
    """Directions with the exact Hessian and sparse factors, regularized until they are of descent.

    The model is piecewise quadratic: rows that it reaches and leaves, and bounds, are found by a primal-dual active set
    method on it [4]_, without evaluating the program.
    """

    def __init__(self, program: ScaledProgram, method: str) -> None:
        assert program.hessian_pattern is not None
        self.program = program
        patterns = program.hessian_pattern, program.jacobian_pattern
        self.system = AugmentedSystem(*patterns, program.n, program.m, method)
        shape = program.m, program.n
        self.H, self._mirror = symmetric_products(*program.hessian_pattern, program.n)
        self.whole_H, _ = symmetric_products(*program.hessian_pattern, program.n)
        self.J, self.whole_J = (Products(*program.jacobian_pattern, shape) for _ in range(2))
        self._at: tuple[Sample, np.ndarray] | None = None
        self._free, self._metric = np.ones(program.n, dtype=bool), np.ones(program.n)
        self.last = self.delta = self.least = self.length = 0.0
        self.reach = REACH

    def direction(self, function: AugmentedFunction, s: Sample, free: np.ndarray, raised: bool) -> Direction | None:
        if self._at is None or self._at[0] is not s:
            self._at = s, function.program.hessian(s.point.x, s.y)
        self._free = free
        size = np.maximum(1.0, np.abs(s.point.x))
        self._metric = 1.0 / size**2
        delta, failed = self._raised(self.delta) if raised else self.least, 0.0
        for trial in range(TRIALS):
            found = self._descent(function, s, free, delta, trial > SIMPLER)
            if found is not None:
                break
            delta, failed = self._raised(delta), delta
        else:
            return None
        for _ in range(SHARPER if delta > FIRST and not raised else 0):
            if float(np.abs(found.d / size).max()) >= SHORTER * self.reach:
                break
            less = float(np.sqrt(delta * failed)) if failed else delta / GROW
            other = self._descent(function, s, free, less, False)
            if other is None:
                failed = less
            else:
                delta, found = less, other
        self.delta = delta
        if delta:
            self.last = delta
        self.length = float(np.abs(found.d / size).max(initial=0.0))
        return found

    def _descent(
        self, function: AugmentedFunction, s: Sample, free: np.ndarray, delta: float, simple: bool
    ) -> Direction | None:
        """The direction of one ``δ``, if it is of descent."""
        assert self._at is not None
        H, n = self._at[1], self.program.n
        d = self.predicted(function, s, H, free, delta)
        inside = d is not None
        if d is None and simple:
            right = np.concatenate([np.where(free, -s.gradient, 0.0), np.zeros(self.program.m)])
            x = self.solve(H, s.point.J, free, function.binding(s.y), 1.0 / function.penalty, delta, right)
            d = None if x is None else x[:n]
        return Direction(d, inside) if d is not None and (d @ s.gradient < 0.0 or not np.any(d)) else None

    def bend(self, function: AugmentedFunction, s: Sample, d: np.ndarray, c: np.ndarray) -> np.ndarray | None:
        if self._at is None or not self.program.m:
            return None
        self.whole_J.set(s.point.J)
        ahead = replace(s.point, c=c - self.whole_J.dot(d))
        end = self.predicted(function, replace(s, point=ahead), self._at[1], self._free, self.delta)
        return None if end is None else end - d

    def predicted(
        self, function: AugmentedFunction, s: Sample, H: np.ndarray, free: np.ndarray, delta: float
    ) -> np.ndarray | None:
        """The minimizer of the model, or None where the active sets do not settle."""
        program, p, rho = self.program, s.point, function.penalty
        n = program.n
        self.whole_H.set(H[self._mirror])
        self.whole_J.set(p.J)
        lower, upper = program.lower - p.x, program.upper - p.x
        g, v = p.g, p.c + function.y / rho
        side, binding = np.clip(v, program.row_lower, program.row_upper), function.binding(s.y)
        free = free.copy()
        held = np.where(free, 0.0, np.where(s.gradient > 0.0, lower, upper))
        for _ in range(SETTLING):
            top = np.where(free, -g - self.whole_H.dot(held), 0.0)
            bottom = np.where(binding, side - v - self.whole_J.dot(held), 0.0)
            x = self.solve(H, p.J, free, binding, 1.0 / rho, delta, np.concatenate([top, bottom]))
            if x is None:
                return None
            d, w = np.where(free, x[:n], held), np.where(binding, x[n:], 0.0)
            ahead = v + self.whole_J.dot(d)
            new_side = np.clip(ahead, program.row_lower, program.row_upper)
            new_binding = program.equality | (ahead != new_side)
            r = g + self.whole_H.dot(d) + delta * self._metric * d + self.whole_J.transpose_dot(w)
            new_free = np.where(free, (d >= lower) & (d <= upper), np.where(held == lower, r < 0.0, r > 0.0))
            if np.array_equal(new_free, free) and np.array_equal(new_binding, binding):
                if np.array_equal(new_side[binding], side[binding]):
                    return d
            held = np.where(new_free, 0.0, np.clip(d, lower, upper))
            side, binding, free = new_side, new_binding, new_free
        return None

    def forget(self) -> None:
        self.last, self.delta, self.least, self.reach = min(self.last, 1.0), 0.0, 0.0, REACH

    def learn(self, alpha: float) -> bool:
        self.reach = max(0.5 * self.reach, 8.0 * self.length) if alpha == 1.0 else max(alpha, SHORT) * self.length
        if alpha < SHORT:  # the model is not to be trusted this far
            self.least = max(GROW * self.delta, FIRST)
        elif alpha == 1.0:
            self.least = self.least / GROW if self.least > NONE else 0.0
        return self.delta > 0.0

    def solve(
        self,
        H: np.ndarray,
        J: np.ndarray,
        free: np.ndarray,
        binding: np.ndarray,
        compliance: float,
        delta: float,
        right: np.ndarray,
    ) -> np.ndarray | None:
        """The solution of the system of free variables and binding rows; None where its inertia is wrong."""
        program = self.program
        assert program.hessian_pattern is not None
        (hr, hc), (jr, jc) = program.hessian_pattern, program.jacobian_pattern
        H, J = np.where(free[hr] & free[hc], H, 0.0), np.where(binding[jr] & free[jc], J, 0.0)
        p, q = np.where(free, delta * self._metric, 1.0), np.where(binding, compliance, 1.0)
        try:
            factors = self.system.factor(H, J, p, q)
        except SingularMatrix:
            return None
        if factors.inertia.negative != program.m or factors.inertia.zero:
            return None
        self.H.set(H[self._mirror])
        self.J.set(J)
        n, x = program.n, factors.solve(right)
        for _ in range(2):
            top = right[:n] - self.H.dot(x[:n]) - p * x[:n] - self.J.transpose_dot(x[n:])
            x = x + factors.solve(np.concatenate([top, right[n:] - self.J.dot(x[:n]) + q * x[n:]]))
        return x if np.isfinite(x).all() else None

    def _raised(self, delta: float) -> float:
        if delta == 0.0:
            return FIRST if self.last == 0.0 else max(1e-20, FALL * self.last)
        return (GROW_FIRST if self.last == 0.0 else GROW) * delta


class ConjugateGradients:
    """Directions by truncated conjugate gradients, which need products with the Hessian only.

    Without second derivatives the products are differences of gradients.
    """

    def __init__(self, program: ScaledProgram) -> None:
        self.program = program
        self.J = Products(*program.jacobian_pattern, (program.m, program.n))
        self.regular = 0.0
        if program.hessian_pattern is not None:
            self.H, self._mirror = symmetric_products(*program.hessian_pattern, program.n)

    def direction(self, function: AugmentedFunction, s: Sample, free: np.ndarray, raised: bool) -> Direction | None:
        self.regular = max(10.0 * self.regular, FIRST) if raised else 0.0
        product = self._products(function, s)
        b = np.where(free, -s.gradient, 0.0)
        size = float(np.linalg.norm(b))
        d, r = np.zeros_like(b), b.copy()
        direction, rr = r.copy(), size**2
        for _ in range(10 * len(b) + 10):
            if np.sqrt(rr) <= min(FORCING, np.sqrt(size)) * size:
                break
            Bp = np.where(free, product(direction), 0.0) + self.regular * direction
            curvature = float(direction @ Bp)
            if curvature <= 1e-14 * float(direction @ direction):  # negative: as far as was gone, or along it
                return Direction(d if np.any(d) else direction, False)
            alpha = rr / curvature
            d, r = d + alpha * direction, r - alpha * Bp
            rr, old = float(r @ r), rr
            direction = r + (rr / old) * direction
        return Direction(d, False)

    def bend(self, function: AugmentedFunction, s: Sample, d: np.ndarray, c: np.ndarray) -> np.ndarray | None:
        return None

    def forget(self) -> None:
        self.regular = 0.0

    def learn(self, alpha: float) -> bool:
        return True

    def _products(self, function: AugmentedFunction, s: Sample) -> Callable[[np.ndarray], np.ndarray]:
        program, p = function.program, s.point
        if program.hessian_pattern is None:

            def differences(v: np.ndarray) -> np.ndarray:
                h = DIFFERENCE * max(1.0, float(np.linalg.norm(p.x))) / max(float(np.linalg.norm(v)), 1e-300)
                return (function.sample(evaluated(program, p.x + h * v)).gradient - s.gradient) / h

            return differences
        self.H.set(program.hessian(p.x, s.y)[self._mirror])
        self.J.set(p.J)
        weight = np.where(function.binding(s.y), function.penalty, 0.0)
        return lambda v: self.H.dot(v) + self.J.transpose_dot(weight * self.J.dot(v))
