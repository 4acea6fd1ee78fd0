"""The bound-constrained augmented Lagrangian method.

The augmented Lagrangian of the rows is minimized within the bounds, to a tolerance that falls; then either the
multipliers are updated or the penalty parameter grows [1]_, [2]_. Where the violation has a minimum that is not zero,
the method ends at it ([3]_, section 6.2).

References
----------
.. [1] A. R. Conn, N. I. M. Gould and P. L. Toint, "A globally convergent augmented Lagrangian algorithm for
       optimization with general constraints and simple bounds", SIAM J. Numer. Anal. 28, 1991, pp. 545-572.
.. [2] R. Andreani, E. G. Birgin, J. M. Martínez and M. L. Schuverdt, "On augmented Lagrangian methods with general
       lower-level constraints", SIAM J. Optim. 18, 2008, pp. 1286-1309 (algorithm 3.1).
.. [3] E. G. Birgin and J. M. Martínez, "Practical Augmented Lagrangian Methods for Constrained Optimization", 2014.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...errors import EvaluationError
from ..nlp import NonlinearProgram
from ..outcome import NLPOutcome
from ..scaled import (
    Errors,
    Intermediate,
    Log,
    Point,
    ScaledProgram,
    errors,
    evaluated,
    first_point,
    outcome,
)
from .escape import curved_away
from .function import AugmentedFunction, Sample
from .inner import Inner, diverged, lbfgsb, projected_newton, projected_size
from .newton import ConjugateGradients, Directions, FactoredNewton
from .options import AugmentedLagrangianOptions
from .polish import polished

__all__ = ["solve"]

FIRST_TOL, TOL_FALL = 1e-2, 0.1  # of the inner method
AGAIN = 1e3  # penalty parameter of further attempts
AWAY = 1e-2, 1e-1, 1.0  # their distances from the start, relative to the variables
SADDLES, STIFF = 5, 10.0  # points of first order that are left at most; growth of the penalty parameter there
RESTORED = 1e-10  # tolerance of the gradient of the violation there
LESS = 0.9  # violation that they start with, relative to the least before
PENALTIES = 1.0, 1e4  # range of the first penalty parameter
STATIONARY = 1e-5  # gradient of the violation, relative to it, at which its minimum is reached
CERTAIN = 1e5  # penalty parameter from which that is looked at
POLISHED = 1e-1  # error from which on Newton's method on the conditions is tried
RETREATS = 12  # starts anew with a larger penalty where the inner method diverges
NEARLY = 1e-4  # violation, relative to the terms of the row, that far points may have
FAR = 1e12  # objective below which the program counts as unbounded where all progress has ended
SLOW = 1e-4  # fall of an objective without rows that is none
STALLS = 4  # updates in a row without progress that end the method


def solve(
    nlp: NonlinearProgram,
    options: AugmentedLagrangianOptions | Mapping[str, Any] | None = None,
    *,
    start: Any = None,
    callback: Callable[[Intermediate], Any] | None = None,
) -> NLPOutcome:
    """Minimize a nonlinear program by the augmented Lagrangian method.

    Parameters
    ----------
    nlp : NonlinearProgram
    options : AugmentedLagrangianOptions or mapping
        Options by name.
    start : (x, y, ...), optional
        A point, with multipliers of the rows, to start from instead of ``nlp.x0``.
    callback : callable, optional
        Called with each :class:`Intermediate`; True, or StopIteration raised, stops.

    Returns
    -------
    NLPOutcome
    """
    given = AugmentedLagrangianOptions.of(options)
    first = first_point(nlp, given.nlp_scaling_max_gradient, start)
    if isinstance(first, NLPOutcome):
        return first
    program, p = first
    result = Run(program, p, given, None if start is None else start[1], callback).solve()
    if given.print_level >= 3:
        print(f"augmented-lagrangian: {result.message} ({result.iterations} iterations)")
    return result


class Run:
    """One solve."""

    def __init__(
        self,
        program: ScaledProgram,
        p: Point,
        options: AugmentedLagrangianOptions,
        y: np.ndarray | None,
        callback: Callable[[Intermediate], Any] | None,
    ) -> None:
        self.program, self.options, self.p = program, options, p
        self.log = Log(program, options.max_iter, options.max_wall_time, options.print_level, callback)
        self.y = np.zeros(program.m)
        if y is not None:
            self.y = np.asarray(y, dtype=float)[program.kept] * program.f_scale / program.c_scale
        self.penalty = options.initial_penalty or first_penalty(program, p)
        self.tol = FIRST_TOL
        exact = program.hessian_pattern is not None
        inner = options.inner if options.inner != "auto" else ("newton" if exact else "newton-cg")
        if inner == "newton" and not exact:
            inner = "newton-cg"
        self.directions: Directions | None = None
        if inner == "newton":
            self.directions = FactoredNewton(program, options.linear_solver)
        elif inner == "newton-cg":
            self.directions = ConjugateGradients(program)
        self.polish_at = POLISHED
        self.error_text = ""
        self.attempts = self.saddles = 0
        self.left = np.inf, p, self.y, Errors(0.0, 0.0, 0.0, 1.0)  # where the violation was least before an attempt

    def solve(self) -> NLPOutcome:
        """Run to the end."""
        self.e = errors(self.program, self.p, self.y)
        self.best = self.p, self.y, self.e
        self.last_measure = np.inf
        self.retreats = self.stalls = self.slow = 0
        self.note(0.0, 0, "")
        status = self.judge()
        if status == "optimal" and self.below():
            status = ""
        while not status:
            try:
                status = self.update()
            except EvaluationError as error:
                status, self.error_text = "evaluation_error", str(error)
            status = status or self.judge()
            if (status in ("infeasible", "failed") and self.again()) or (status == "optimal" and self.below()):
                status = ""
        if status in ("failed", "iteration_limit", "time_limit") and self.best[2].total < self.e.total:
            self.p, self.y, self.e = self.best
        if status == "infeasible" and self.left[0] < float(self.program.violation(self.p.c).sum()):
            _, self.p, self.y, self.e = self.left
        if status not in ("optimal", "infeasible", "unbounded") and self.within(self.options.tol):
            status = "optimal"
        if status in ("failed", "evaluation_error", "iteration_limit") and self.acceptable():
            status = "acceptable"
        if status in ("failed", "iteration_limit") and self.stationary(self.options.acceptable_tol):
            status = "infeasible"
        far = self.p.f / self.program.f_scale < -FAR
        near = far and self.program.relative_violation(self.p.x, self.p.c, self.p.J) <= NEARLY
        if status in ("failed", "iteration_limit") and near:
            status = "unbounded"
        detail = self.error_text if status == "evaluation_error" else ""
        tol = self.options.tol if status == "infeasible" else self.options.constr_viol_tol  # of rows that are named
        return outcome(self.program, self.p, self.y, status, self.log.iterations, detail, tol)

    def note(self, step: float, inner: int, flag: str) -> None:
        """Log the point; flags: d diverged, s stalled, p polished, a started anew, b moved below a
        saddle."""
        self.log.record(self.p, self.y, self.e, self.penalty, step, 0.0, inner, flag)

    def within(self, tol: float) -> bool:
        """Whether the errors are within a tolerance."""
        return self.e.total <= tol and self.nearly_feasible()

    def acceptable(self) -> bool:
        """Whether the errors are acceptable, relative to the gradient of the objective where that is large."""
        size = max(self.e.scale, float(np.abs(self.p.g).max(initial=0.0)))
        e = self.e._replace(scale=size)
        return e.total <= self.options.acceptable_tol and self.nearly_feasible()

    def nearly_feasible(self) -> bool:
        """Whether the unscaled violation is small."""
        violation = self.program.violation(self.p.c) / self.program.c_scale
        return float(violation.max(initial=0.0)) <= self.options.constr_viol_tol

    def judge(self) -> str:
        """The status that ends the method at its point, or ""."""
        if self.within(self.options.tol):
            return "optimal"
        return self.log.limits()

    # -- one update ----------------------------------------------------------------------------------------

    def update(self) -> str:
        """Minimize, then update multipliers or the penalty parameter; the status that ends it, or ""."""
        program, o = self.program, self.options
        function = AugmentedFunction(program, self.y, self.penalty)
        s, inner, flag = self.minimized(function)
        if flag == "diverged" or (inner >= o.max_inner_iter and self.leaves(s)):
            return self.retreat(s, inner)
        step = float(np.abs(s.point.x - self.p.x).max(initial=0.0))
        # Birgin & Martínez, eq. 4.8: infeasibility and complementarity at once
        measure = float(np.abs(s.y - self.y).max(initial=0.0)) / self.penalty
        before = self.e.total
        f, self.p, y = self.p.f, s.point, np.clip(s.y, -o.multiplier_bound, o.multiplier_bound)
        self.e = errors(program, self.p, y)
        if self.e.total < self.best[2].total:
            self.best = self.p, y, self.e
        still = step <= 1e-14 or (not program.m and f - s.point.f <= SLOW * max(1.0, abs(f)))
        stuck = flag == "stalled" and still and self.e.total >= before
        if self.polish(y):
            self.note(step, inner, "p")
            return ""
        if measure > o.sufficient_decrease * self.last_measure and measure > 0.1 * o.tol:
            if self.penalty >= CERTAIN and self.stationary(o.constr_viol_tol):
                self.y = y
                self.note(step, inner, flag[:1])
                return "infeasible"
            self.penalty *= o.penalty_growth
        self.y, self.last_measure = y, measure
        self.tol = max(0.1 * o.tol, TOL_FALL * self.tol)
        self.note(step, inner, flag[:1])
        self.stalls = self.stalls + 1 if stuck else 0
        self.slow = self.slow + 1 if inner >= o.max_inner_iter else 0
        if self.slow >= STALLS and self.again():
            return ""
        return "failed" if self.stalls >= STALLS or self.penalty > o.max_penalty else ""

    def minimized(self, function: AugmentedFunction) -> Inner:
        """The inner problem solved."""
        s, o = function.sample(self.p), self.options
        tol = self.tol * max(1.0, self.e.scale if self.e.scale < 1e6 else 1.0)
        if self.directions is None:
            return lbfgsb(function, s, tol, o.max_inner_iter, lambda: self.log.late)
        return projected_newton(function, s, self.directions, tol, o.max_inner_iter, lambda: self.log.late)

    def leaves(self, s: Sample) -> bool:
        """Whether a point is far below in the objective, and violates the rows as much as before or more."""
        violation, before = (float(self.program.violation(c).max(initial=0.0)) for c in (s.point.c, self.p.c))
        return violation > max(1e-3, 0.5 * before) and s.point.f < self.p.f - max(1.0, abs(self.p.f))

    def retreat(self, s: Sample, inner: int) -> str:
        """Start anew with a larger penalty, where the inner method diverges through points that are not feasible."""
        if self.program.relative_violation(s.point.x, s.point.c, s.point.J) <= NEARLY:
            self.p, self.y = s.point, s.y
            self.e = errors(self.program, self.p, self.y)
            return "unbounded"
        if self.again():
            return ""
        self.retreats += 1
        self.penalty *= 100.0
        self.note(0.0, inner, "d")
        return "failed" if self.retreats > RETREATS else ""

    def polish(self, y: np.ndarray) -> bool:
        """Newton's method on the conditions; True where it ended at an optimum."""
        if self.options.polish == "no" or not isinstance(self.directions, FactoredNewton):
            return False
        if self.e.total > self.polish_at:
            return False
        found = polished(self.program, self.directions, self.p, y, self.options.tol)
        if found is None or found[2].total > self.options.tol or diverged(self.program, found[0]):
            self.polish_at = 0.3 * self.e.total
            return False
        self.p, self.y, self.e = found
        return True

    def again(self) -> bool:
        """Start anew, from a feasible point near the start and with a larger penalty parameter; False where that was
        done often enough."""
        program = self.program
        if not program.m or self.directions is None:
            return False
        violation = float(program.violation(self.p.c).sum())
        if self.attempts == 0 or violation < self.left[0]:
            self.left = violation, self.p, self.y, self.e
        while self.attempts < len(AWAY):
            x = program.near(program.x0, AWAY[self.attempts], self.attempts)
            self.attempts += 1
            p = self.feasible(x)
            least = self.left[0]
            if p is not None and (self.attempts == 1 or float(program.violation(p.c).sum()) < LESS * least):
                break
        else:
            return False
        step = float(np.abs(p.x - self.p.x).max(initial=0.0))
        self.p, self.y = p, np.zeros(program.m)
        self.e = errors(program, self.p, self.y)
        # the augmented Lagrangian is smaller here than where the violation was left
        rise = 2.0 * (p.f - self.left[1].f) / max(float(np.square(program.violation(self.left[1].c)).sum()), 1e-300)
        self.penalty = max(AGAIN, first_penalty(program, p), min(2.0 * rise, CERTAIN))
        self.tol = FIRST_TOL
        self.last_measure, self.retreats, self.stalls, self.slow, self.polish_at = np.inf, 0, 0, 0, POLISHED
        self.note(step, 0, "a")
        return True

    def below(self) -> bool:
        """Leave a saddle point that satisfies the conditions of first order; False where it is none."""
        if self.saddles >= SADDLES or not isinstance(self.directions, FactoredNewton) or self.log.stopped:
            return False
        function = AugmentedFunction(self.program, self.y, STIFF * self.penalty)
        s = curved_away(function, function.sample(self.p))
        if s is None:
            return False
        step = float(np.abs(s.point.x - self.p.x).max(initial=0.0))
        self.saddles += 1
        self.p, self.penalty, self.tol, self.last_measure = s.point, STIFF * self.penalty, FIRST_TOL, np.inf
        self.e = errors(self.program, self.p, self.y)
        self.note(step, 0, "b")
        return True

    def feasible(self, x: np.ndarray) -> Point | None:
        """The least violation that the inner method reaches from a point, without the objective."""
        program = self.program.without_objective()
        assert self.directions is not None
        try:
            function = AugmentedFunction(program, np.zeros(program.m), 1.0)
            s: Sample | None = function.sample(evaluated(program, x))
            limit = self.options.max_inner_iter
            while s is not None:  # saddle points are left, too
                reached = projected_newton(function, s, self.directions, RESTORED, limit, lambda: self.log.late)[0]
                s = curved_away(function, reached) if reached.value > RESTORED else None
            return evaluated(self.program, reached.point.x)
        except EvaluationError:
            return None

    def stationary(self, least: float) -> bool:
        """Whether the violation is larger than that, and cannot be reduced, to first order."""
        program, p = self.program, self.p
        v = p.c - np.clip(p.c, program.row_lower, program.row_upper)
        size = float(np.abs(v).max(initial=0.0))
        if size <= least:
            return False
        return projected_size(program, p.x, program.transpose_dot(p.J, v)) <= STATIONARY * size


def first_penalty(program: ScaledProgram, p: Point) -> float:
    """The penalty parameter that balances objective and violation at the start ([3]_, section 12.4)."""
    violation = program.violation(p.c)
    return float(np.clip(10.0 * max(1.0, abs(p.f)) / max(1.0, 0.5 * float(violation @ violation)), *PENALTIES))
