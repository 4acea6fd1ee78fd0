"""The interior-point method: the program's own iterations, and restoration where they fail.

References
----------
.. [1] A. Wächter and L. T. Biegler, "On the implementation of an interior-point filter line-search algorithm for
       large-scale nonlinear programming", Math. Program. 106, 2006, pp. 25-57.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from ...errors import EvaluationError
from ..nlp import NonlinearProgram
from ..outcome import Intermediate, crossed_bounds, relative_to_terms
from .adaptive import Adaptive
from .barrier import smallest
from .bounds import largest
from .engine import Engine, called_back, iterate
from .finish import failed_at_start, finished, unscaled, without_freedom
from .form import Point
from .matrices import Workspace
from .options import InteriorOptions
from .recovery import ALMOST, Recovery
from .relaxation import Relaxation
from .restoration import RestorationForm
from .result import InteriorResult, Record
from .search import Trial
from .standard import StandardForm
from .start import Start, first_point, is_stationary, moved
from .step import measure
from .table import HEADER, line

__all__ = ["Run", "solve"]

Callback = Callable[[Intermediate], Any]

# A warm start begins very near, with the last barrier parameter. Where bounds then stop the first step, what is active
# changes, and the way from there would be long: it begins again from farther inside, with a larger parameter; and where
# that step is a small part of both the primal and the dual one, as any other start. By level: least distances and
# multipliers, and barrier parameter. (Measured: 1e-4 takes one iteration more than 1e-6.)
LEVELS = (1e-6, 0.0), (None, 1e-6)
STOPPED, PART = 0.5, 0.1
LOST_EARLY = "search", "singular", "tiny", "evaluation"  # or that the first step is not to be had at all
COLD = -1  # no warm start
ATTEMPTS = 4  # further starts where the violation is stationary at the first one
UNBOUNDED = -1e20  # objective below which the program counts as unbounded
NEARLY = 1e-4  # violation, relative to the terms of a row, up to which a point says that a program is unbounded
LOST = 1e15  # decrease of the scaled objective, about 1/ε of its start, that counts as well


def solve(
    nlp: NonlinearProgram,
    options: InteriorOptions | Mapping[str, Any] | None = None,
    *,
    start: Any = None,
    callback: Callback | None = None,
    workspace: Workspace | None = None,
) -> InteriorResult:
    """Minimize a nonlinear program by the primal-dual interior-point method with a filter line search.

    Parameters
    ----------
    nlp : NonlinearProgram
    options : InteriorOptions or mapping
        Options by name.
    start : InteriorResult or (x, y, z_lower, z_upper, mu), optional
        A point to start from instead of ``nlp.x0``; what is None is made. With multipliers it is a warm start.
    callback : callable, optional
        Called with each :class:`Intermediate`; True, or StopIteration raised, stops.
    workspace : Workspace, optional
        Keeps ordering and symbolic factorization for the next solve of a program with the same patterns.

    Returns
    -------
    InteriorResult
    """
    given = InteriorOptions.of(options)
    begin = start_of(start)
    if begin.y is not None or begin.z_lower is not None:
        given = replace(given, warm_start_init_point=True)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # iterates that diverge end with a status
        result = Run(nlp, given, begin, callback, workspace).solve()
        if result.status != "infeasible" or begin.x is not None or not is_stationary(nlp):
            return result
        for seed in range(ATTEMPTS):
            again = Run(nlp, given, begin._replace(x=moved(nlp, seed)), callback, workspace).solve()
            if again.success:
                return again
    return result


def first_level(options: InteriorOptions, start: Start) -> int:
    """Where to begin: from very near where the start is an optimum of nearby data, unless options say otherwise;
    ``COLD`` where it is no warm start."""
    usual = InteriorOptions()
    pushes = options.warm_start_bound_push, options.warm_start_mult_bound_push
    if not options.warm_start_init_point or start.mu is None:
        return COLD
    if pushes != (usual.warm_start_bound_push, usual.warm_start_mult_bound_push):
        return 1
    return 0 if start.mu <= LEVELS[1][1] else 1


def at_level(options: InteriorOptions, level: int) -> InteriorOptions:
    """The options with which the first point is made."""
    if level == COLD:
        return options
    if level == len(LEVELS):
        return replace(options, warm_start_init_point=False)
    push = LEVELS[level][0]
    return options if push is None else replace(options, warm_start_bound_push=push, warm_start_mult_bound_push=push)


def start_of(start: Any) -> Start:
    """The parts of a start."""
    if start is None:
        return Start()
    if isinstance(start, InteriorResult):
        return Start(start.x, start.y, start.z_lower, start.z_upper, start.mu)
    begin = Start(*start)
    known = begin.y is not None or begin.z_lower is not None
    return begin._replace(mu=0.0) if known and begin.mu is None else begin


class Run:
    """One solve: its clock, its log, and the program's form."""

    def __init__(
        self,
        nlp: NonlinearProgram,
        options: InteriorOptions,
        start: Start,
        callback: Callback | None,
        workspace: Workspace | None,
    ) -> None:
        self.begin = perf_counter()
        self.workspace = workspace
        self.nlp, self.options, self.start, self.callback = nlp, options, start, callback
        self.iterations = 0
        self.history: list[Record] = []
        self.counts: dict[str, int] = {}  # of a first attempt
        self.acceptable = 0  # acceptable iterates in a row
        self.stopped = False
        self.returned = 0  # from points without bound that are not feasible
        self.level = first_level(options, start)

    def solve(self) -> InteriorResult:
        """Run to the end."""
        nlp, o = self.nlp, self.options
        crossed = crossed_bounds(nlp)
        if crossed:
            return failed_at_start(nlp, "infeasible", "bounds cross each other", crossed)
        bad = np.flatnonzero(~np.isfinite(nlp.x0))
        if bad.size and self.start.x is None:
            names = ", ".join(nlp.names()[i] for i in bad[:5])
            return failed_at_start(nlp, "evaluation_error", f"the start is not finite: {names}")
        try:
            if np.array_equal(nlp.lower, nlp.upper):
                return without_freedom(nlp, o.constr_viol_tol)
            self.form = form = StandardForm(nlp, o, self.workspace)
            p = first_point(form, at_level(o, self.level), self.start)
        except EvaluationError as error:
            return failed_at_start(nlp, "evaluation_error", f"at the start, {error}")
        measure(form, p)
        self.f_start = p.f
        least = smallest(o, form.f_scale)
        mu = o.mu_init if self.start.mu is None or self.level == len(LEVELS) else max(self.start.mu, least)
        if 0 <= self.level < len(LEVELS):
            mu = max(mu, LEVELS[self.level][1])
        e = Engine(form, p, mu, o, self.judge, self.log)
        e.least = least
        if o.mu_strategy == "adaptive" and p.d.size:
            e.adaptive = Adaptive(o.mu_oracle, o.mu_min, p)
        self.recovery = Recovery(form, e, self.limits, self.record)
        self.relaxation = Relaxation(form, e, ended=not (o.bound_relax_factor and p.d.size))
        e.last_problem = self.relaxation.tighten
        self.record(e, p.f, None, 0.0, 0.0, "")
        self.fresh = len(self.history)
        status = iterate(e)
        early = 0 <= self.level < len(LEVELS) and len(self.history) < self.fresh + 2
        if status == "blocked" or (early and status in LOST_EARLY):
            self.level, self.counts = self.level + 1, self.total(e)
            return self.solve()
        while status in ("search", "singular", "tiny"):
            if self.relaxation.loosen():
                status = iterate(e)
                continue
            good = self.is_acceptable(e.point) and not self.recovery.may_forget
            status = "acceptable" if good else self.recovery.recover(status)
            status = status or iterate(e)
        if e.watchdog is not None and status not in ("optimal", "acceptable"):
            called_back(e, e.watchdog)
        status = {"evaluation": "evaluation_error"}.get(status, status)
        return self.complete(finished(form, e.point, status, e.error, min(o.constr_viol_tol, ALMOST * o.tol)), e)

    def complete(self, result: InteriorResult, e: Engine) -> InteriorResult:
        """The result with what was counted."""
        result.iterations, result.mu, result.history = self.iterations, e.mu, self.history
        result.evaluations = self.total(e)
        total = perf_counter() - self.begin
        derivatives, linear = self.form.time_derivatives, self.form.time_linear
        result.times = {"derivatives": derivatives, "linear_algebra": linear, "rest": total - derivatives - linear}
        if self.options.print_level >= 3:
            print(f"interior-point: {result.message} ({result.iterations} iterations, {total:.3f} s)")
        return result

    def total(self, e: Engine) -> dict[str, int]:
        """How often each function was called, and matrices were factored, in all attempts."""
        factorizations = e.regularization.factorizations + self.recovery.factorizations
        counts = {**self.form.counts, "factorizations": factorizations}
        return {key: n + self.counts.get(key, 0) for key, n in counts.items()}

    # -- what ends it --------------------------------------------------------------------------------------

    def judge(self, e: Engine) -> str:
        """The status that ends the method at its point, or ""."""
        p, o = e.point, self.options
        error = p.errors.total(o.mu_target)
        if error <= o.tol and self.unscaled_within(p, o.dual_inf_tol, o.constr_viol_tol, o.compl_inf_tol):
            return self.limits() if self.relaxation.tighten() else "optimal"
        if 0 <= self.level < len(LEVELS) and len(self.history) == self.fresh + 1:
            part = self.history[-1].alpha, self.history[-1].alpha_dual
            if min(part) < STOPPED if self.level == 0 else max(part) < PART:
                return "blocked"
        if self.relaxation.overdue():
            self.relaxation.loosen()
            p = e.point
        if e.watchdog is not None:
            return self.limits()
        if self.is_acceptable(p):
            self.acceptable += 1
            if o.acceptable_iter and self.acceptable >= o.acceptable_iter:
                return "acceptable"
        else:
            self.acceptable = 0
        return (self.diverged(p) if self.is_far(p) else "") or self.limits()

    def is_far(self, p: Point) -> bool:
        """Whether the variables are so large, or the objective is so low, that they seem to have no bound."""
        low = p.f / self.form.f_scale < UNBOUNDED or p.f < -LOST * max(1.0, abs(self.f_start))
        return low or largest(p.w) > self.options.diverging_iterates_tol

    def diverged(self, p: Point) -> str:
        """The program is unbounded where that happens at points that are nearly feasible; else their violation has to
        be reduced first, and where it was already, the method has failed."""
        form = self.form
        scale = form.c_scale[form.jacobian_pattern[0]]
        violation, J = np.abs(p.c) / form.c_scale, p.J / scale
        if relative_to_terms(violation, form.jacobian_pattern, J, p.w) <= NEARLY:
            return "unbounded"
        self.returned += 1
        return "search" if self.returned == 1 else "failed"

    def is_acceptable(self, p: Point) -> bool:
        """Whether the errors are within the acceptable ones."""
        o = self.options
        unscaled = o.acceptable_dual_inf_tol, o.acceptable_constr_viol_tol, o.acceptable_compl_inf_tol
        return p.errors.total(o.mu_target) <= o.acceptable_tol and self.unscaled_within(p, *unscaled)

    def limits(self) -> str:
        """The limit that was reached, or ""."""
        if self.stopped:
            return "stopped"
        if self.iterations >= self.options.max_iter:
            return "iteration_limit"
        if perf_counter() - self.begin > self.options.max_wall_time:
            return "time_limit"
        return ""

    def unscaled_within(self, p: Point, dual: float, primal: float, complementarity: float) -> bool:
        """Whether the unscaled errors are within these."""
        form = self.form
        if p.errors.dual > dual * form.f_scale or p.errors.most > complementarity * form.f_scale:
            return False
        return not p.c.size or largest(p.c / form.c_scale) <= primal

    # -- log -----------------------------------------------------------------------------------------------

    def log(self, e: Engine, trial: Trial | None, step: float, delta: float) -> None:
        """Log an iteration of the program."""
        self.record(e, e.point.f, trial, step, delta, "")

    def record(self, e: Engine, f: float, trial: Trial | None, step: float, delta: float, mark: str) -> None:
        """Count, keep, print and pass on an iteration."""
        p = e.point
        self.iterations += bool(self.history)
        alphas = (trial.step.alpha_dual, trial.alpha, trial.count, mark + trial.flag) if trial else (0.0, 0.0, 0, mark)
        infeasibility = p.errors.primal
        if mark and isinstance(e.form, RestorationForm) and e.form.original is not None:
            infeasibility = float(np.abs(e.form.original[2]).max())
        r = Record(self.iterations, f / self.form.f_scale, infeasibility, p.errors.dual, e.mu, step, delta, *alphas)
        self.history.append(r)
        if self.options.print_level >= 5:
            if len(self.history) % 20 == 1:
                print(HEADER)
            print(line(r))
        if self.callback is not None:
            self.tell(r, p)

    def tell(self, record: Record, p: Point) -> None:
        """Call the callback."""
        assert self.callback is not None
        inner = p if p.w.size == self.form.size else program_part(self.form, p)
        try:
            self.stopped = self.callback(Intermediate(record, *unscaled(self.form, inner))) is True or self.stopped
        except StopIteration:
            self.stopped = True


def program_part(form: StandardForm, p: Point) -> Point:
    """The program's part of a point of restoration."""
    bounds = len(form.bounds.sign)
    return Point(p.w[: form.size], p.d[:bounds], p.f, p.c, p.theta, p.barrier, p.y, p.z[:bounds])
