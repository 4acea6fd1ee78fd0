"""Resilient propagation: steps from the signs of the gradient only, one for each element.

    same sign as before:  Δ ← min(1.2 Δ, Δmax)         change of sign:  Δ ← max(0.5 Δ, Δmin)         step  −sign(g) Δ

M. Riedmiller & H. Braun, "RPROP: a fast adaptive learning algorithm" (1992); the variants after C. Igel & M. Hüsken,
"Empirical evaluation of the improved Rprop learning algorithms", *Neurocomputing* 50 (2003). They differ in what
happens where the sign of an element changes:

========  =================================================================================
Rprop-    the step is taken, with the smaller Δ
Rprop+    the last step is taken back, and Δ does not change in the next iteration
iRprop-   no step, and Δ does not change in the next iteration
iRprop+   as Rprop+ where the objective has grown, as iRprop- where it has not
========  =================================================================================
"""

from __future__ import annotations

import numpy as np

__all__ = ["Rprop"]


class Rprop:
    """One of the four variants.

    >>> rule, w = Rprop("Rprop-", 0.1, 1e-6, 50.0, 1.2, 0.5), np.ones(1)
    >>> for _ in range(8):
    ...     w = w + rule.step(w, float(w @ w), 2.0 * w, 1.0)
    >>> w.round(7).tolist()
    [-0.1422912]
    """

    def __init__(self, variant: str, step: float, step_min: float, step_max: float, grow: float, shrink: float) -> None:
        self.improved, self.takes_back = variant.startswith("i"), variant.endswith("+")
        self.first, self.low, self.high, self.grow, self.shrink = step, step_min, step_max, grow, shrink
        self.size: np.ndarray | None = None
        self.last_gradient = self.last_point = np.zeros(0)
        self.last_objective = np.inf
        self.smallest = False  # whether every step, of elements that move, has come down to the smallest

    def step(self, x: np.ndarray, f: float, g: np.ndarray, rate: float) -> np.ndarray:
        if self.size is None:
            self.size, self.last_gradient, self.last_point = np.full_like(g, self.first), 0.0 * g, x
        moves = x != self.last_point  # others are held by a bound
        signs = np.sign(g) * np.sign(self.last_gradient)
        same, changed = signs > 0.0, signs < 0.0
        self.size[same] = np.minimum(self.size[same] * self.grow, self.high)
        self.size[changed] = np.maximum(self.size[changed] * self.shrink, self.low)
        self.smallest = bool(np.all((self.size <= self.low) | ~moves)) and bool(moves.any())
        step = -np.sign(g) * self.size
        if self.takes_back or self.improved:
            back = self.takes_back and (not self.improved or f > self.last_objective)
            step[changed] = (self.last_point - x)[changed] if back else 0.0
            g = np.where(changed, 0.0, g)  # the next iteration counts as one without a change
        self.last_gradient, self.last_point, self.last_objective = g, x, f
        return step
