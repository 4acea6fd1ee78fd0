"""Block coordinates of the Lagrangian: z, λ and x in turn.

    z:  ∂L/∂λ = 0   (the equations, given x)        λ:  ∂L/∂z = 0   (linear, given z)        x:  a step along −∂L/∂x

With both solved exactly, the step is one along the gradient: this is backpropagation. Sweeps solve inexactly: one of
``z ← z − h(z)`` is Jacobi's method for explicit equations ``z = f(z)``, one of ``λ ← λ − ∂L/∂z`` is the same for the
transposed system; on a program without cycles, as many sweeps as its longest path has edges are exact.
"""

from __future__ import annotations

import numpy as np

from ...errors import ModelError
from ..formulations import Formulation
from .field import SaddleField
from .flows import LocalRate, SaddlePoint, Told, Watch
from .options import BlockCoordinateOptions

__all__ = ["sweep_blocks"]


def sweep_blocks(
    nlp: Formulation,
    program: SaddleField,
    v: np.ndarray,
    y: np.ndarray,
    options: BlockCoordinateOptions,
    told: Told | None,
    method: str,
) -> SaddlePoint:
    """Iterate with inexact solves, from any z and λ."""
    z = _places(nlp, method)
    moved = np.setdiff1d(np.arange(nlp.n), z)
    watch, steps = Watch(program, options, told), LocalRate(1.0)
    none = np.zeros(0)
    while True:
        for _ in range(max(1, options.sweeps)):
            v = v.copy()
            v[z] -= program.violation(v)
        for _ in range(max(1, options.sweeps)):
            y = y - program.gradient(v, y).v[z]
        at = program.gradient(v, y)
        rate = options.learning_rate or steps.next(v[moved], none, at._replace(v=at.v[moved], y=none))
        end = watch.ended(v, y, at, rate)
        if end is not None:
            return end
        step = np.zeros(nlp.n)
        step[moved] = -rate * at.v[moved]
        v = program.projected(v + step)
        if not (np.isfinite(v).all() and np.isfinite(y).all()):
            return watch.diverged(v, y)


def _places(nlp: Formulation, method: str) -> np.ndarray:
    """Where the unknowns of the equations are in the vector, in the order of the equations."""
    if nlp.problem.constraints:
        raise ModelError(f"method {method!r} takes no constraints beside the equations; 'mdmm' does")
    implicit = [e.name for e in nlp.kept.equations if e.target is None]
    if implicit:
        raise ModelError(
            f"method {method!r}: solves='sweeps' is for explicit equations; {', '.join(implicit[:5])} "
            f"{'is' if len(implicit) == 1 else 'are'} implicit (solves='exact')"
        )
    places, at = {}, 0
    for variable in nlp.variables:
        places[variable] = np.arange(at, at + variable.size)
        at += variable.size
    parts = [places[e.target] for e in nlp.kept.equations if e.target is not None]
    return np.concatenate([np.zeros(0, dtype=int), *parts])
