"""Sequential quadratic programming in a trust region, on the exact penalty function ``f + ν Σ violation``.

A step is accepted too where the violation and the objective pass a filter [5]_, which is not hindered by a large price.
The subproblems have elastic rows, so that they always have a solution (Fletcher's Sl1QP [1]_); the price ``ν`` is
steered [2]_; a second-order correction keeps full steps near curved constraints [1]_ (section 14.4), [3]_ (section
18.3).

References
----------
.. [1] R. Fletcher, "Practical Methods of Optimization", 2nd ed., 1987.
.. [2] R. H. Byrd, J. Nocedal and R. A. Waltz, "Steering exact penalty methods for nonlinear programming", Optim.
       Methods Softw. 23, 2008, pp. 197-213.
.. [3] J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd ed., 2006.
.. [4] A. R. Conn, N. I. M. Gould and P. L. Toint, "Trust-Region Methods", 2000 (section 17.4.2: rounding).
.. [5] R. Fletcher and S. Leyffer, "Nonlinear programming without a penalty function", Math. Program. 91, 2002,
       pp. 239-269.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
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
from .curvature import Curvature
from .filter import Filter
from .options import SQPOptions
from .quadratic import QuadraticSolution
from .restart import below_saddle, less_violated, shifted_at_random
from .subproblem import FEASIBLE, Subproblem, dense_jacobian, first_multipliers, linearized, most_feasible, steered

__all__ = ["solve"]

ACCEPT, GOOD, POOR = 1e-4, 0.75, 0.25  # shares of the predicted reduction
GROW, SHRINK = 3.0, 0.4
SMALLEST, LARGEST = 1e-13, 1e10  # radii
UNBOUNDED = 1e20
NEARLY = 1e-4  # violation, relative to the terms of the row, that far points may have
FAR = 1e12  # objective of far points, where steps end in rounding
SATURATED = 0.99  # multipliers this near to the price belong to rows that the subproblem leaves violated
STATIONARY, LOOSE = 1e-7, 1e-5  # relative reduction of the violation at its minimum; where all progress has ended
ROUNDING = 50.0 * np.finfo(float).eps
FALL = 20.0  # a price this much above the multipliers comes down
AGAIN = 100.0  # how much dearer violations, and shorter the steps, are the second time
RESTARTS, SHIFT = 4, 1e-1  # how often, and how far at random, a point is left where the violation is stationary
SADDLES = 5  # points of first order that are left at most
LEFT = 0.9  # share of the violation left at a stationary point that counts as less
RESTORING = 100  # iterations without the objective from there
FALLS = 10  # as often as this at most


def solve(
    nlp: NonlinearProgram,
    options: SQPOptions | Mapping[str, Any] | None = None,
    *,
    start: Any = None,
    callback: Callable[[Intermediate], Any] | None = None,
) -> NLPOutcome:
    """Minimize a nonlinear program by sequential quadratic programming; for small and medium, dense ones.

    Parameters
    ----------
    nlp : NonlinearProgram
    options : SQPOptions or mapping
        Options by name.
    start : (x, y, ...), optional
        A point, with multipliers of the rows, to start from instead of ``nlp.x0``.
    callback : callable, optional
        Called with each :class:`Intermediate`; True, or StopIteration raised, stops.

    Returns
    -------
    NLPOutcome
    """
    given = SQPOptions.of(options)
    first = first_point(nlp, given.nlp_scaling_max_gradient, start)
    if isinstance(first, NLPOutcome):
        return first
    program, p = first
    y = None if start is None else start[1]
    run = Run(program, p, given, y, callback)
    result = run.solve()
    if given.print_level >= 3:
        print(f"sqp: {result.message} ({result.iterations} iterations)")
    return result


class Run:
    """One solve."""

    def __init__(
        self,
        program: ScaledProgram,
        p: Point,
        options: SQPOptions,
        y: np.ndarray | None,
        callback: Callable[[Intermediate], Any] | None,
    ) -> None:
        self.program, self.options, self.p = program, options, p
        self.log = Log(program, options.max_iter, options.max_wall_time, options.print_level, callback)
        self.curvature = Curvature(program, options.hessian_approximation == "exact")
        self.radius, self.price, self.falls = options.initial_radius, options.initial_penalty, 0
        self.fresh = True  # no step yet from this point
        self.error_text = ""
        self.attempts = self.saddles = 0
        self.kept: tuple[float, Point, np.ndarray, Errors] | None = None  # where the violation was least
        if y is None:
            self.y = first_multipliers(program, p)
        else:
            self.y = np.asarray(y, dtype=float)[program.kept] * program.f_scale / program.c_scale
        self.price = max(self.price, 2.0 * float(np.abs(self.y).max(initial=0.0)))
        self.B = np.eye(program.n)
        self.filter = Filter(float(program.violation(p.c).sum()))

    def solve(self) -> NLPOutcome:
        """Run to the end."""
        self.e = errors(self.program, self.p, self.y)
        self.note(0.0, 0, "")
        status = self.left(self.judge())
        while not status:
            try:
                status = self.step()
            except EvaluationError as error:
                status, self.error_text = "evaluation_error", str(error)
            status = self.left(status or self.judge())
        if status in ("infeasible", "failed") and self.kept is not None:
            if self.kept[0] < float(self.program.violation(self.p.c).sum()):
                _, self.p, self.y, self.e = self.kept
        if status not in ("optimal", "infeasible", "unbounded") and self.within(self.e, self.options.tol):
            status = "optimal"
        if status in ("failed", "evaluation_error") and self.acceptable():
            status = "acceptable"
        if status == "failed":
            status = self.reason()
        detail = self.error_text if status == "evaluation_error" else ""
        tol = self.options.tol if status == "infeasible" else self.options.constr_viol_tol  # of rows that are named
        return outcome(self.program, self.p, self.y, status, self.log.iterations, detail, tol)

    def left(self, status: str) -> str:
        """The status, or "" where its point is stationary but not what is sought, and was left."""
        acceptable = status == "failed" and self.acceptable()
        if (status == "optimal" or acceptable) and self.below():
            return ""
        if (status == "infeasible" or (status == "failed" and not acceptable)) and self.restarted():
            return ""
        return status

    def note(self, step: float, inner: int, flag: str) -> None:
        """Log the point; flags: s corrected, - refused, e not evaluable, q inaccurate subproblem, t tiny, p moved away,
        b moved below a saddle."""
        self.log.record(self.p, self.y, self.e, self.price, step, self.radius, inner, flag)

    def within(self, e: Errors, tol: float) -> bool:
        """Whether the errors are within a tolerance."""
        violation = self.program.violation(self.p.c) / self.program.c_scale
        return e.total <= tol and float(violation.max(initial=0.0)) <= self.options.constr_viol_tol

    def acceptable(self) -> bool:
        """Whether the errors are acceptable, relative to the gradient of the objective where that is large."""
        size = max(self.e.scale, float(np.abs(self.p.g).max(initial=0.0)))
        return self.within(self.e._replace(scale=size), self.options.acceptable_tol)

    def converged(self, e: Errors) -> bool:
        """Whether the errors are within the tolerance, and the unscaled ones small too."""
        unscaled = max(e.dual, e.complementarity) / e.scale / self.program.f_scale
        return self.within(e, self.options.tol) and unscaled <= self.options.dual_inf_tol

    def judge(self) -> str:
        """The status that ends the method at its point, or ""."""
        if self.converged(self.e):
            return "optimal"
        far = float(np.abs(self.p.x).max(initial=0.0)) > UNBOUNDED
        if self.p.f / self.program.f_scale < -UNBOUNDED or far:
            return "unbounded" if self.nearly_feasible() else "failed"
        return self.log.limits()

    # -- one step ------------------------------------------------------------------------------------------

    def step(self) -> str:
        """Solve the subproblem, try its step, and adapt the trust region; the status that ends it, or ""."""
        p, program = self.p, self.program
        if self.fresh:
            # multipliers at the price: the violation rules, and what it curves down is followed as far as can be
            turned = float(np.abs(self.y).max(initial=0.0)) < SATURATED * self.price
            self.B = self.curvature.matrix(p, self.y, self.active(), self.radius, turned)
        sub, s = steered(linearized(program, p, self.B, self.radius, self.price), self.options.max_penalty)
        self.price = sub.program.price
        if sub.violation > self.options.constr_viol_tol and s.violation > 0.9 * sub.violation and self.stationary():
            return "infeasible"
        predicted = sub.reduction(s)
        e = errors(program, p, s.y)
        if e.total < self.e.total:
            self.y, self.e = s.y, e
            if self.converged(e):
                return "optimal"
        size = float(np.abs(s.d / np.maximum(1.0, np.abs(p.x))).max(initial=0.0))
        noise = ROUNDING * max(1.0, abs(p.f), self.price * sub.violation)
        if predicted <= noise and not s.accurate and self.radius > SMALLEST:  # a smaller program is easier to solve
            self.fresh, self.radius = False, SHRINK * self.radius
            self.note(0.0, s.iterations, "q")
            return ""
        if predicted <= noise or size <= 1e-15:
            return self.last_step(s)
        trial, ratio, flag = self.tried(sub, s, predicted, noise)
        if trial is None or ratio < ACCEPT:
            self.fresh = False
            self.radius = SHRINK * min(self.radius, size)
            self.note(size, s.iterations, flag or "-")
            return "failed" if self.radius < SMALLEST else ""
        if ratio > GOOD and size > 0.8 * self.radius:
            self.radius = min(GROW * self.radius, LARGEST)
        elif ratio < POOR:
            self.radius = max(0.5 * min(self.radius, size), 1e-10)
        self.move(trial, s)
        self.note(size, s.iterations, flag)
        return ""

    def tried(
        self, sub: Subproblem, s: QuadraticSolution, predicted: float, noise: float
    ) -> tuple[Point | None, float, str]:
        """The point after the step, or after the corrected one, its ratio of reductions, and the flag."""
        p, program = self.p, self.program
        x = np.clip(p.x + s.d, program.lower, program.upper)
        try:
            f, c = program.values(x)
        except EvaluationError as error:
            self.error_text = str(error)
            return None, -1.0, "e"
        ratio = self.success(sub, s, predicted, noise, f, c)
        flag = ""
        violation = float(program.violation(c).sum())
        if ratio < POOR and self.price * violation > 1e-2 * predicted:
            # second-order correction: the rows as they are at the end of the step
            corrected = sub.shifted(c - p.c - sub.program.A @ s.d).solve()
            other = np.clip(p.x + corrected.d, program.lower, program.upper)
            try:
                of, oc = program.values(other)
                better = self.success(sub, s, predicted, noise, of, oc)
                if better > ratio:
                    x, f, c, ratio, flag = other, of, oc, better, "s"
            except EvaluationError:
                pass
        if ratio < ACCEPT:
            return None, ratio, flag
        try:
            new = Point(x, f, c, *program.derivatives(x))
        except EvaluationError as error:
            self.error_text = str(error)
            return None, -1.0, "e"
        old = sub.violation, p.f
        if not self.filter.on_objective(old, -sub.change(s)):
            self.filter.add(old)
        return new, ratio, flag

    def success(
        self, sub: Subproblem, s: QuadraticSolution, predicted: float, noise: float, f: float, c: np.ndarray
    ) -> float:
        """The ratio of reductions of the penalty function or, where the linearization is feasible, of the filter."""
        violation = float(self.program.violation(c).sum())
        gained = self.p.f - f + self.price * (sub.violation - violation)
        ratio = (gained + noise) / (predicted + noise)
        if s.violation > FEASIBLE * max(1.0, sub.violation):
            return ratio
        return max(ratio, self.filter.ratio((sub.violation, self.p.f), (violation, f), -sub.change(s)))

    def move(self, new: Point, s: QuadraticSolution) -> None:
        """Go to a point, with the multipliers of the subproblem."""
        self.curvature.update(self.p, new, s.y)
        self.p, self.y, self.fresh = new, s.y, True
        self.e = errors(self.program, new, s.y)
        largest = float(np.abs(s.y).max(initial=0.0))
        if self.price > FALL * max(largest, 1.0) and s.violation <= 1e-9 and self.falls < FALLS:
            self.price, self.falls = max(3.0 * largest, self.options.initial_penalty), self.falls + 1

    def last_step(self, s: QuadraticSolution) -> str:
        """A step within rounding: taken where it makes the errors smaller, else the end."""
        x = np.clip(self.p.x + s.d, self.program.lower, self.program.upper)
        try:
            new = evaluated(self.program, x)
        except EvaluationError:
            return "failed"
        e = errors(self.program, new, s.y)
        if e.total >= 0.9 * self.e.total:
            return "failed"
        self.p, self.y, self.e, self.fresh = new, s.y, e, True
        self.note(float(np.abs(s.d).max(initial=0.0)), s.iterations, "t")
        return ""

    def restarted(self) -> bool:
        """Leave a stationary point of the violation: along negative curvature; else for the start, with smaller steps;
        else for a point near. False when that was done often enough, or led back to no smaller violation."""
        program, o = self.program, self.options
        violation = float(program.violation(self.p.c).sum())
        if self.kept is None or violation < self.kept[0]:
            self.kept = violation, self.p, self.y, self.e
        elif self.attempts > 1 and violation > 0.999 * self.kept[0]:
            return False
        if self.attempts >= RESTARTS:
            return False
        self.attempts += 1
        sub = linearized(program, self.p, self.B, 1.0, self.price)
        new = less_violated(program, self.p, sub) if violation > o.constr_viol_tol else None
        if new is None:
            self.price, self.radius = o.initial_penalty, o.initial_radius
            if self.attempts == 1 and not np.array_equal(self.p.x, program.x0):
                self.price, self.radius = AGAIN * self.price, self.radius / AGAIN
                new = evaluated(program, program.x0)
            else:
                new = self.feasible(shifted_at_random(program, self.p, sub, SHIFT, self.attempts))
        if new is None:
            return False
        new = evaluated(program, new.x)
        step = float(np.abs(new.x - self.p.x).max(initial=0.0))
        reached = float(program.violation(new.c).sum())
        self.filter = Filter(reached)
        if reached < LEFT * self.kept[0]:  # never back: the penalty function and the filter forbid what was left
            self.filter.largest = LEFT * self.kept[0]
            self.price = max(self.price, (new.f - self.kept[1].f) / (0.5 * self.kept[0]))
        self.p, self.y = new, np.zeros(program.m)
        self.e, self.fresh = errors(program, new, self.y), True
        self.note(step, 0, "p")
        return True

    def below(self) -> bool:
        """Leave a saddle point that satisfies the conditions of first order; False where it is none."""
        if self.saddles >= SADDLES or not self.curvature.exact or self.log.stopped:
            return False
        sub = linearized(self.program, self.p, self.B, 1.0, max(self.price, 2.0 * float(np.abs(self.y).max(initial=0))))
        new = below_saddle(self.program, self.p, sub, self.y)
        if new is None:
            return False
        step = float(np.abs(new.x - self.p.x).max(initial=0.0))
        self.saddles += 1
        self.p, self.price, self.radius = new, sub.program.price, min(self.options.initial_radius, 3.0 * step)
        self.filter = Filter(float(self.program.violation(new.c).sum()))
        self.e, self.fresh = errors(self.program, new, self.y), True
        self.note(step, 0, "b")
        return True

    def feasible(self, p: Point | None) -> Point | None:
        """A point near that satisfies the rows, or violates them less, found without the objective."""
        if p is None:
            return None
        program = self.program.without_objective()
        options = replace(self.options, max_iter=RESTORING, print_level=0)
        run = Run(program, evaluated(program, p.x), options, None, None)
        run.attempts = RESTARTS
        run.solve()
        try:
            return evaluated(self.program, run.p.x)
        except EvaluationError:
            return p

    def active(self) -> np.ndarray:
        """Gradients of the rows and bounds that hold with equality, to judge by the multipliers."""
        program, p, y = self.program, self.p, self.y
        r = p.g + program.transpose_dot(p.J, y)
        binding = program.equality | (np.abs(y) > 1e-6 * max(1.0, float(np.abs(y).max(initial=0.0))))
        binding &= np.abs(y) < SATURATED * self.price  # the others stay violated
        at = ((p.x - program.lower <= 1e-8) & (r > 1e-8)) | ((program.upper - p.x <= 1e-8) & (r < -1e-8))
        return np.vstack([dense_jacobian(program, p)[binding], np.eye(program.n)[at]])

    def reason(self) -> str:
        """Why no progress is possible any further."""
        if self.stationary(LOOSE):
            return "infeasible"
        far = self.p.f / self.program.f_scale < -FAR
        return "unbounded" if far and self.nearly_feasible() else "failed"

    def nearly_feasible(self) -> bool:
        """Whether a far point violates the rows little, relative to their terms."""
        return self.program.relative_violation(self.p.x, self.p.c, self.p.J) <= NEARLY

    def stationary(self, tol: float = STATIONARY) -> bool:
        """Whether the violation cannot be reduced, to first order."""
        sub = linearized(self.program, self.p, self.B, 1.0, self.price)
        if sub.violation <= self.options.constr_viol_tol:
            return False
        return sub.violation - most_feasible(sub).violation <= tol * max(1.0, sub.violation)
