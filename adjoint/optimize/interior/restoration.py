"""Feasibility restoration: the nearest point with the least violation, found by the same method (W&B, section 3.3).

::

    minimize ρ Σ (p + n) + ζ/2 ‖D (w − w_R)‖²   subject to   c(w) − p + n = 0,   bounds on w,   p, n ≥ 0

``p`` and ``n`` are eliminated from the systems of equations: their matrix has the size and pattern of the program's.
"""

from __future__ import annotations

import numpy as np

from .bounds import Bounds
from .form import Factored, Form, Point
from .quasi_newton import LimitedMemory
from .standard import StandardForm

__all__ = ["RestorationForm", "split"]

RHO = 1000.0  # ρ


class RestorationForm(Form):
    """The restoration of a program from one of its points, as a :class:`Form` with variables ``(w, p, n)``."""

    def __init__(self, base: StandardForm, reference: Point, mu: float) -> None:
        self.base, self.reference = base, reference.w
        self.N, self.rows = base.size, base.rows
        self.size = self.N + 2 * self.rows
        self.weights = np.minimum(1.0, 1.0 / np.maximum(np.abs(reference.w), 1e-300)) ** 2  # D²
        extra = 2 * self.rows
        b = base.bounds
        self.bounds = Bounds(
            self.size,
            np.concatenate([b.index, self.N + np.arange(extra)]),
            np.concatenate([b.sign, np.ones(extra)]),
            np.concatenate([b.value, np.zeros(extra)]),
        )
        self.zeta = np.sqrt(mu)
        self.original: tuple[np.ndarray, float, np.ndarray] | None = None  # f and c of the program at the last point
        self.curvature = None if base.curvature is None else LimitedMemory(base.n, base.curvature.history)

    def start(self, p: Point, mu: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Variables, distances and bound multipliers to start from."""
        plus, minus = split(p.c, mu)
        w = np.concatenate([p.w, plus, minus])
        d = np.concatenate([p.d, plus, minus])
        z = np.concatenate([np.minimum(RHO, p.z), mu / plus, mu / minus])
        return w, d, z

    def values(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        f, c = self.base.values(w[: self.N])
        self.original = w, f, c
        return self.objective(w), c - w[self.N : self.N + self.rows] + w[self.N + self.rows :]

    def program_values(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        """Objective and constraints of the program."""
        if self.original is None or self.original[0] is not w:
            self.values(w)
        assert self.original is not None
        return self.original[1:]

    def objective(self, w: np.ndarray) -> float:
        """The violation and the distance to the reference."""
        away = w[: self.N] - self.reference
        return float(RHO * w[self.N :].sum() + 0.5 * self.zeta * (self.weights * away).dot(away))

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """Its gradient."""
        g = np.full(self.size, RHO)
        g[: self.N] = self.zeta * self.weights * (w[: self.N] - self.reference)
        return g

    def derivatives(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, J = self.base.derivatives(w[: self.N])
        return self.gradient(w), J

    def set_jacobian(self, J: np.ndarray) -> None:
        self.base.set_jacobian(J)

    def set_barrier(self, p: Point, mu: float) -> None:
        self.zeta = np.sqrt(mu)
        gradient = self.gradient(p.w)
        p.f = self.objective(p.w)
        p.dual = p.dual + (gradient - p.gradient)
        p.gradient = gradient

    def hessian(self, w: np.ndarray, y: np.ndarray) -> None:
        self.base.hessian(w[: self.N], y, 0.0)

    def jacobian_dot(self, v: np.ndarray) -> np.ndarray:
        return self.base.jacobian_dot(v[: self.N]) - v[self.N : self.N + self.rows] + v[self.N + self.rows :]

    def transpose_dot(self, y: np.ndarray) -> np.ndarray:
        return np.concatenate((self.base.transpose_dot(y), -y, y))

    def hessian_dot(self, v: np.ndarray) -> np.ndarray:
        r = np.zeros(self.size)
        w = v[: self.N]
        r[: self.N] = self.base.hessian_dot(w) + self.zeta * self.weights * w
        return r

    def factor(self, sigma: np.ndarray, delta_w: float, delta_c: float | np.ndarray, hessian: bool = True) -> Factored:
        N, m = self.N, self.rows
        plus, minus = 1.0 / (sigma[N : N + m] + delta_w), 1.0 / (sigma[N + m :] + delta_w)
        proximity = self.zeta * self.weights if hessian else 0.0
        inner = self.base.factor(sigma[:N] + proximity, delta_w, delta_c + plus + minus, hessian)
        return Factored(inner, inner.excess, inner.zero, (plus, minus))

    def sharpen(self) -> bool:
        return self.base.sharpen()

    def solve(self, factors: Factored, r: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        N, m = self.N, self.rows
        plus, minus = factors.eliminated
        rp, rn = r[N : N + m], r[N + m :]
        # (Σ_p + δ) dp − dy = r_p and (Σ_n + δ) dn + dy = r_n, put into the rows J dw − dp + dn − δ_c dy = s
        dw, dy = self.base.solve(factors.handle, r[:N], s + plus * rp - minus * rn)
        return np.concatenate((dw, plus * (rp + dy), minus * (rn - dy))), dy

    def moved(self, old: Point, new: Point) -> None:
        if self.base.curvature is not None:
            self.base.learn(old.w, new.w, 0.0, 0.0, new)


def split(c: np.ndarray, mu: float) -> tuple[np.ndarray, np.ndarray]:
    """``p − n = c`` that minimize ``ρ (p + n) − μ (log p + log n)`` (W&B, eq. 33)."""
    a = 0.5 * mu / RHO
    h = np.hypot(c, 2.0 * a)
    large = a + 0.5 * (h + np.abs(c))
    small = a + 2.0 * a * a / (h + np.abs(c))  # a + (h − |c|) / 2, without its cancellation
    return np.where(c >= 0.0, large, small), np.where(c >= 0.0, small, large)
