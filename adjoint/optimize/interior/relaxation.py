"""Bounds a little wider while iterating, and exact at the end.

A feasible set without interior has one when its bounds are widened by 1e-8 (W&B, section 3.5); but then every answer
moves by its multipliers times as much. Here the bounds become exact again for the last barrier problem. Where it does
not converge soon, for its feasible set has no interior, the answer of the widened one is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import EvaluationError
from .engine import Engine, renew
from .form import Point
from .standard import StandardForm
from .step import evaluated

__all__ = ["Relaxation"]

PATIENCE = 10  # iterations with exact bounds
KEPT = 0.1  # share of a distance that may be lost without moving the variable


@dataclass(eq=False)
class Relaxation:
    """The bounds of a program during its iterations."""

    form: StandardForm
    engine: Engine
    ended: bool = False
    origin: Point | None = None  # where the bounds became exact
    iterations: int = 0  # since then

    def tighten(self) -> bool:
        """Make the bounds exact; False where they are, or cannot be."""
        if self.ended or self.engine.watchdog is not None:
            return False
        self.ended = True
        e, form, p = self.engine, self.form, self.engine.point
        widened = form.bounds
        form.set_bounds(0.0)
        try:
            new = inside(form, p, e.mu)
        except EvaluationError:
            new = None
        if new is None:
            form.bounds = widened
            return False
        self.origin = p
        form.set_jacobian(new.J)
        e.search.clear()
        renew(e, new)
        return True

    def overdue(self) -> bool:
        """Count an iteration; whether there were too many with exact bounds."""
        self.iterations += self.origin is not None
        return self.iterations > PATIENCE

    def loosen(self) -> bool:
        """Return to the point where the bounds became exact, with the widened bounds, for good; False elsewhere."""
        if self.origin is None:
            return False
        e, p = self.engine, self.origin
        self.origin, self.iterations = None, 0
        self.form.set_bounds(e.options.bound_relax_factor)
        self.form.set_jacobian(p.J)
        e.search.clear()
        renew(e, p)
        return True


def inside(form: StandardForm, p: Point, mu: float) -> Point | None:
    """The point with distances to the bounds of the form; variables at or beyond them are moved to where the
    multiplier wants them, if there is room."""
    b = form.bounds
    raw = b.distances(p.w)
    near = raw < KEPT * p.d
    if not near.any():
        return Point(p.w, raw, p.f, p.c, p.theta, b.barrier(raw), p.y, p.z, p.gradient, p.J)
    wanted = np.where(near, np.minimum(p.d, mu / p.z), raw)
    w = p.w + b.scatter(wanted - raw)
    d = np.where(near, wanted, b.distances(w))
    if not (d > 0.0).all() or np.bincount(b.index[near]).max() > 1:
        return None
    new = evaluated(form, w, d, p.y, p.z)
    new.gradient, new.J = form.derivatives(w)
    return new
