"""Newton's full steps for one cycle, again and again: what solves most steps of most loops, whatever their size.

With the tests of ``nonlinear/direct``: the steps fall superlinearly, the rule of convergence holds at the end, and,
where derivatives are wanted, the matrix is regular. Where a test fails the general methods take over from the guess.
Linear equations take one step; their matrix is that of a solve whose root was seen to be regular.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from ..blocks import Cycle
from ..linear import SingularMatrix
from ..nonlinear.base import FLOOR, SINGULAR_RCOND, natural_scale, scaled_residual
from ..nonlinear.direct import CLOSE, GONE, GROWTH, RATE, STEPS
from ..plan import Plan
from ..trial import Trial

__all__ = ["Direct", "direct_solver"]

Array = Any


class Direct:
    """The solver of a cycle from a flat vector of all inputs of its program.

    Parameters
    ----------
    cycle : Cycle
    inputs, unknowns : variables of the program, in the order in which vectors hold them
    linear : whether the equations are linear, with a matrix that is known to be regular
    tol : float
    """

    def __init__(self, cycle: Cycle, inputs: Any, unknowns: Any, linear: bool, tol: float) -> None:
        self.cycle, self.linear, self.tol = cycle, linear, tol
        self.fused, self.residual = cycle.fused(), cycle.residual()
        at, places = 0, {}
        for v in inputs:
            places[v] = (at, at + v.size, v.shape)
            at += v.size
        self.params = [places[v] for v in cycle.params]
        self.order = None
        if [id(v) for v in cycle.variables] != [id(v) for v in unknowns]:
            starts = dict(zip(unknowns, np.cumsum([0, *(v.size for v in unknowns)]).tolist(), strict=False))
            self.order = np.concatenate([starts[v] + np.arange(v.size) for v in cycle.variables])

    def __call__(self, guess: Array, known: Array, regular: bool) -> Array | None:
        """The unknowns; None where this does not work. ``regular``: their matrix has to be."""
        params = [known[a:b].reshape(shape) if shape else known[a] for a, b, shape in self.params]
        u = guess if self.order is None else guess[self.order]
        try:
            with Trial():
                u = self._linear(u, params) if self.linear else self._newton(u, params, regular)
        except SingularMatrix:
            return None
        if u is None or self.order is None:
            return u
        out = np.empty(u.shape)
        out[self.order] = u
        return out

    def _linear(self, u: Array, params: list[Array]) -> Array | None:
        r, entries = self.fused(u, *params)
        matrix = self.cycle.matrix(entries)
        factor = self.cycle.factor(matrix)
        u = u - factor.solve(r)
        r = self.residual(u, *params)[0]
        return u if scaled_residual(r, natural_scale(matrix, u)) <= self.tol else None

    def _newton(self, u: Array, params: list[Array], regular: bool) -> Array | None:
        first, square, step, before, factor = -1.0, inf, inf, inf, None
        for _ in range(STEPS):
            r, entries = self.fused(u, *params)
            last, square = square, float(r @ r)
            if not square <= last:
                return None  # also where it is NaN
            matrix = self.cycle.matrix(entries)
            if step <= CLOSE or square <= GONE * first:
                break
            first = square if first < 0.0 else first
            factor = self.cycle.factor(matrix)
            d = factor.solve(r)
            before, step = step, float(d @ d) / max(float(u @ u), FLOOR**2)
            if not step <= GROWTH * before:
                return None
            u = u - d
        else:
            return None
        gone = square <= GONE * first
        if factor is None or not (gone or step <= RATE * before):
            return None
        if regular and not factor.rcond() >= SINGULAR_RCOND:
            return None
        return u if scaled_residual(r, natural_scale(matrix, u)) <= self.tol else None


def direct_solver(plan: Plan, inputs: Any, unknowns: Any, linear: bool, tol: float) -> Direct | None:
    """That of a plan which is one cycle without bounds; None for others."""
    if len(plan.blocks) != 1 or not isinstance(plan.blocks[0], Cycle):
        return None
    cycle = plan.blocks[0]
    if not cycle.size or cycle.box()[0] is not None:
        return None
    return Direct(cycle, inputs, unknowns, linear, tol)
