"""Inertia correction: what is added to the diagonal until a step is one of descent (W&B, section 3.1, algorithm IC)."""

from __future__ import annotations

import numpy as np

from ...linear import SingularMatrix
from .bounds import largest
from .form import Factored, Form

__all__ = ["Regularization", "System"]

FIRST = 1e-4  # δ̄_w⁰
SMALLEST, LARGEST = 1e-20, 1e40  # δ̄_w^min, δ̄_w^max
FALL, GROW, GROW_FIRST = 1.0 / 3.0, 8.0, 100.0  # κ_w⁻, κ_w⁺, κ̄_w⁺
DEPENDENT, POWER = 1e-8, 0.25  # δ̄_c, κ_c
DEGENERATE = 3  # iterations in a row after which rows are taken to depend on each other for good
QUASI = 1e-8  # first of the values that make the matrix quasi-definite
REFINED, USABLE = 1e-9, 1e-5  # residuals, relative, where refinement ends; above which a matrix counts as singular
CONDITION = 1e6


class System:
    """The primal-dual system of one iterate, factored: ``[[W + Σ + δ_w, Jᵀ], [J, −δ_c]]``."""

    __slots__ = ("delta_c", "delta_w", "factors", "form", "poor", "sigma", "steps")

    def __init__(self, form: Form, factors: Factored, sigma: np.ndarray, delta_w: float, delta_c: float, steps: int):
        self.form, self.factors = form, factors
        self.sigma, self.delta_w, self.delta_c = sigma + delta_w, delta_w, delta_c
        self.steps = steps
        self.poor = False

    def solve(self, r: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The solution, refined with the matrix before the elimination of slacks (W&B, section 3.10)."""
        form = self.form
        dw, dy = form.solve(self.factors, r, s)
        size = max(largest(r), largest(s))
        best, kept = np.inf, (dw, dy)
        for step in range(self.steps + 1):
            er = form.hessian_dot(dw)
            er += self.sigma * dw
            er += form.transpose_dot(dy)
            np.subtract(r, er, out=er)
            es = s - form.jacobian_dot(dw)
            if self.delta_c:
                es += self.delta_c * dy
            error = max(largest(er), largest(es))
            ratio = error / (min(max(largest(dw), largest(dy)), CONDITION * size) + size + 1e-300)
            if not ratio < best:  # the last correction made it worse, or nothing is finite
                (dw, dy), ratio = kept, best
                break
            kept, best = (dw, dy), ratio
            if ratio <= REFINED or step == self.steps:
                break
            cw, cy = form.solve(self.factors, er, es)
            dw, dy = dw + cw, dy + cy
        self.poor = not ratio <= USABLE
        return dw, dy


class Regularization:
    """The last ``δ_w``, and what was learned of the program's degeneracy."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.last = 0.0
        self.damped = False  # whether the next matrix is regularized though its inertia may be right
        self.dependent = 0  # factorizations in a row that needed δ_c
        self.factorizations = 0

    def factor(self, form: Form, sigma: np.ndarray, mu: float, strength: int = 0) -> System | None:
        """Factors with the right inertia, or None.

        With `strength` the plain matrix is known to be useless: 1 is the usual δ_c, or δ_w if that is on already; more
        makes the matrix as quasi-definite as factors without pivoting need it.
        """
        delta_c_on = DEPENDENT * mu**POWER if form.rows else 0.0
        delta_w = self._raised(0.0) if self.damped else 0.0
        delta_c = delta_c_on if self.dependent >= DEGENERATE else 0.0
        if strength == 1:
            delta_c, delta_w = delta_c_on, (0.0 if delta_c == 0.0 and form.rows else self._raised(0.0))
        elif strength > 1:
            delta_w = QUASI * 100.0 ** (strength - 2)
            delta_c = delta_w if form.rows else 0.0
        tried_plain = False
        while delta_w <= LARGEST:
            factors = self._attempt(form, sigma, delta_w, delta_c)
            if factors is not None and factors.correct:
                if delta_w and strength < 2:
                    self.last = delta_w
                if tried_plain and delta_w == 0.0:
                    self.dependent += 1
                elif self.dependent < DEGENERATE:
                    self.dependent = 0
                return System(form, factors, sigma, delta_w, delta_c, self.steps)
            if delta_c == 0.0 and delta_c_on and (factors is None or factors.zero or factors.excess < 0):
                delta_c = delta_c_on  # IC-2: rows that depend on each other
                tried_plain = True
            else:
                delta_w = self._raised(delta_w)  # IC-3 to IC-6
        return None

    def _attempt(self, form: Form, sigma: np.ndarray, delta_w: float, delta_c: float) -> Factored | None:
        self.factorizations += 1
        try:
            return form.factor(sigma, delta_w, delta_c)
        except SingularMatrix:
            return None

    def _raised(self, delta_w: float) -> float:
        if delta_w == 0.0:
            return FIRST if self.last == 0.0 else max(SMALLEST, FALL * self.last)
        return (GROW_FIRST if self.last == 0.0 or delta_w > 1e5 * self.last else GROW) * delta_w
