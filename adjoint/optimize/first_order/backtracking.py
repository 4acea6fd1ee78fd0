"""Gradient descent with steps found by backtracking.

The first trial is the step of Barzilai & Borwein (1988) along the projected gradient; it is halved until the objective
is below the largest of the last few values by a share of the decrease to first order. That is the spectral projected
gradient method of E. G. Birgin, J. M. Martínez & M. Raydan, *SIAM J. Optim.* 10 (2000); with a memory of 1, Armijo's
rule.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from .loop import Found, Record, Told, _reason, projected_gradient
from .options import GradientDescentOptions

__all__ = ["search_descend"]

SHARE = 1e-4  # γ of the paper, algorithm 2.1
SMALLEST, LARGEST = 1e-12, 1e12  # of the trial steps
ROUNDING = 1e-15  # changes of the objective below it, relative, are not told from rounding
HALVINGS = 60


def search_descend(
    value: Callable[[np.ndarray], float],
    gradient: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    options: GradientDescentOptions,
    told: Told | None,
) -> Found:
    """Descend until the projected gradient is small."""
    deadline = perf_counter() + options.max_wall_time
    found = Found(x, "", "")
    f, g = value(x), gradient(x)
    eta = options.learning_rate or 1.0 / max(float(np.abs(g).max(initial=0.0)), 1e-12)
    last: list[float] = []
    for k in range(options.max_iter + 1):
        record = Record(k, f, projected_gradient(x, g, *bounds), eta)
        found.history.append(record)
        found.x, found.steps = x, k
        stop = _reason(found, record, told, options, deadline)
        if stop:
            found.status, found.message = stop
            return found
        last = [*last[1 - options.memory :], f] if options.memory > 1 else [f]
        direction = np.clip(x - eta * g, *bounds) - x
        t = _backtrack(value, x, direction, max(last), float(g @ direction), f)
        if t == 0.0:
            found.status, found.message = "failed", f"no step descends; projected gradient {record.gradient:.2g}"
            return found
        new = np.clip(x + t * direction, *bounds)
        f, new_g = value(new), gradient(new)
        s, y = new - x, new_g - g
        curvature = float(s @ y)
        eta = min(max(float(s @ s) / curvature, SMALLEST), LARGEST) if curvature > 0.0 else min(4.0 * eta, LARGEST)
        x, g = new, new_g
    raise AssertionError("the loop ends by one of its reasons")


def _backtrack(
    value: Callable[[np.ndarray], float], x: np.ndarray, d: np.ndarray, reference: float, slope: float, f: float
) -> float:
    """The share of a step that descends enough; 0 where none does."""
    t = 1.0
    for _ in range(HALVINGS):
        trial = value(x + t * d)
        if trial <= reference + SHARE * t * slope + ROUNDING * abs(f):
            return t
        # The minimum of the parabola through what is known, kept away from the ends.
        bend = trial - f - t * slope
        t = min(max(-0.5 * slope * t * t / bend, 0.1 * t), 0.5 * t) if bend > 0.0 else 0.5 * t
    return 0.0
