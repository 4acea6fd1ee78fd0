"""The quadratic subproblem in a trust region, and the price of violations (steering).

References
----------
.. [1] R. H. Byrd, J. Nocedal and R. A. Waltz, "Steering exact penalty methods for nonlinear programming", Optim.
       Methods Softw. 23, 2008, pp. 197-213 (section 3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..scaled import Point, ScaledProgram
from .quadratic import QuadraticProgram, QuadraticSolution, solve_quadratic

__all__ = [
    "FEASIBLE",
    "Subproblem",
    "dense_jacobian",
    "first_multipliers",
    "linearized",
    "most_feasible",
    "steered",
]

FEASIBLE = 1e-9  # violation of the linearization that counts as none
SHARE = 0.1  # of the possible reduction of the violation that a step must have
RAISE, RAISES = 10.0, 2
FLAT = 1e-8  # Hessian where only the violation counts


@dataclass(frozen=True, eq=False)
class Subproblem:
    """A linearization at a point; ``violation`` is the one at ``d = 0``."""

    program: QuadraticProgram
    violation: float

    def solve(self) -> QuadraticSolution:
        """Its solution."""
        return solve_quadratic(self.program)

    def change(self, s: QuadraticSolution) -> float:
        """The change of the objective that the model predicts."""
        q = self.program
        return float(q.g @ s.d + 0.5 * s.d @ q.B @ s.d)

    def reduction(self, s: QuadraticSolution) -> float:
        """The reduction of the penalty function that the model predicts."""
        return self.program.price * (self.violation - s.violation) - self.change(s)

    def shifted(self, residual: np.ndarray) -> Subproblem:
        """With other constant parts of the rows: ``c(x + d) − J d``, less ``c(x)``, for the second-order correction."""
        q = self.program
        return replace(self, program=replace(q, low=q.low - residual, high=q.high - residual))


def dense_jacobian(program: ScaledProgram, p: Point) -> np.ndarray:
    """The Jacobian of the rows as a matrix."""
    rows, cols = program.jacobian_pattern
    return np.bincount(rows * program.n + cols, p.J, program.m * program.n).reshape(program.m, program.n)


def linearized(program: ScaledProgram, p: Point, B: np.ndarray, radius: float, price: float) -> Subproblem:
    """The subproblem at a point; the trust region is a box, relative to the sizes of the variables."""
    box = radius * np.maximum(1.0, np.abs(p.x))
    lower, upper = np.maximum(program.lower - p.x, -box), np.minimum(program.upper - p.x, box)
    J = dense_jacobian(program, p)
    q = QuadraticProgram(B, p.g, J, program.row_lower - p.c, program.row_upper - p.c, lower, upper, price)
    return Subproblem(q, float(program.violation(p.c).sum()))


def most_feasible(sub: Subproblem) -> QuadraticSolution:
    """The step that violates the linearization least."""
    q = sub.program
    return solve_quadratic(replace(q, B=FLAT * np.eye(len(q.g)), g=np.zeros_like(q.g), price=1.0))


def steered(sub: Subproblem, largest: float) -> tuple[Subproblem, QuadraticSolution]:
    """The subproblem with a price that makes its step approach feasibility as far as the linearization lets it."""
    s = sub.solve()
    none = FEASIBLE * max(1.0, sub.violation)
    if s.violation <= none:
        return sub, s
    target = most_feasible(sub).violation
    for _ in range(RAISES):
        if sub.program.price >= largest:
            break
        if s.violation <= max(none, 2.0 * target if target <= none else 0.0):
            break
        if target > none and sub.violation - s.violation >= SHARE * (sub.violation - target):
            break
        sub = replace(sub, program=replace(sub.program, price=RAISE * sub.program.price))
        s = sub.solve()
    return sub, s


def first_multipliers(program: ScaledProgram, p: Point) -> np.ndarray:
    """Multipliers of the rows by least squares, where they are not too large; else zero."""
    if not program.m:
        return np.zeros(0)
    q = linearized(program, p, np.eye(program.n), 1.0, 1e3).program
    s = Subproblem(replace(q, low=np.minimum(q.low, 0.0), high=np.maximum(q.high, 0.0)), 0.0).solve()
    return s.y if float(np.abs(s.y).max(initial=0.0)) < 900.0 else np.zeros(program.m)
