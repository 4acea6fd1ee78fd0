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
from ..outcome import Intermediate, crossed_bounds
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
from .start import Start, first_point
from .step import measure
from .table import HEADER, line

__all__ = ["Run", "solve"]

Callback = Callable[[Intermediate], Any]

WARM_MU = 1e-6  # barrier parameter of a warm start: 1e-4 and 1e-3 take one iteration more each on power flow
UNBOUNDED = -1e20  # objective below which the program counts as unbounded
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
        return Run(nlp, given, begin, callback, workspace).solve()


def start_of(start: Any) -> Start:
    """The parts of a start."""
    if start is None:
        return Start()
    if isinstance(start, InteriorResult):
        return Start(start.x, start.y, start.z_lower, start.z_upper, max(start.mu, WARM_MU))
    begin = Start(*start)
    known = begin.y is not None or begin.z_lower is not None
    return begin._replace(mu=WARM_MU) if known and begin.mu is None else begin


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
        self.acceptable = 0  # acceptable iterates in a row
        self.stopped = False

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
            p = first_point(form, o, self.start)
        except EvaluationError as error:
            return failed_at_start(nlp, "evaluation_error", f"at the start, {error}")
        measure(form, p)
        self.f_start = p.f
        mu = o.mu_init if self.start.mu is None else max(self.start.mu, smallest(o, form.f_scale))
        e = Engine(form, p, mu, o, self.judge, self.log)
        e.least = smallest(o, form.f_scale)
        if o.mu_strategy == "adaptive" and p.d.size:
            e.adaptive = Adaptive(o.mu_oracle, o.mu_min, p)
        self.recovery = Recovery(form, e, self.limits, self.record)
        self.relaxation = Relaxation(form, e, ended=not (o.bound_relax_factor and p.d.size))
        e.last_problem = self.relaxation.tighten
        self.record(e, p.f, None, 0.0, 0.0, "")
        status = iterate(e)
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
        factorizations = e.regularization.factorizations + self.recovery.factorizations
        result.counts = {**self.form.counts, "factorizations": factorizations}
        total = perf_counter() - self.begin
        derivatives, linear = self.form.time_derivatives, self.form.time_linear
        result.times = {"derivatives": derivatives, "linear_algebra": linear, "rest": total - derivatives - linear}
        if self.options.print_level >= 3:
            print(f"interior-point: {result.message} ({result.iterations} iterations, {total:.3f} s)")
        return result

    # -- what ends it --------------------------------------------------------------------------------------

    def judge(self, e: Engine) -> str:
        """The status that ends the method at its point, or ""."""
        p, o = e.point, self.options
        error = p.errors.total(o.mu_target)
        if error <= o.tol and self.unscaled_within(p, o.dual_inf_tol, o.constr_viol_tol, o.compl_inf_tol):
            return self.limits() if self.relaxation.tighten() else "optimal"
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
        return "unbounded" if self.diverged(p) else self.limits()

    def diverged(self, p: Point) -> bool:
        """Whether the point is so far away that the program counts as unbounded."""
        far = largest(p.w) > self.options.diverging_iterates_tol
        return far or p.f / self.form.f_scale < UNBOUNDED or p.f < -LOST * max(1.0, abs(self.f_start))

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
