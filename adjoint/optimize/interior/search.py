"""The filter line search: backtracking with second-order corrections (W&B, section 2.3, algorithm A, step A-5)."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import EvaluationError
from .filter import Filter
from .form import Form, Point
from .inertia import System
from .step import Step, evaluated, newton_step

__all__ = ["Search", "Trial"]

SHORTEST = 1e-16  # step that changes nothing
KAPPA_SOC = 0.99  # W&B, section 2.4
FILTER_TRIGGER, FILTER_RESETS = 5, 5  # refusals by old entries of the filter after which it is cleared, and how often


@dataclass(slots=True, eq=False)
class Trial:
    """An accepted trial point, its step and the step's length."""

    point: Point
    step: Step
    alpha: float
    count: int  # trials
    flag: str  # how it was accepted


class Search:
    """The line search of one program: its filter, and what it remembers of earlier searches."""

    def __init__(self, form: Form, theta: float, max_soc: int) -> None:
        self.form, self.max_soc = form, max_soc
        self.filter = Filter(theta)
        self.refusals = self.resets = 0
        self.evaluation_error: EvaluationError | None = None

    def clear(self) -> None:
        """Start again, for a barrier function with another μ."""
        self.filter.clear()
        self.refusals = 0

    def along(
        self, p: Point, step: Step, system: System, mu: float, tau: float, start: float | None = None
    ) -> Trial | None:
        """The first acceptable trial along a step, or None."""
        phi, slope = p.f - mu * p.barrier, step.slope
        alpha = step.alpha if start is None else start
        least = max(self.filter.smallest_step(slope, p.theta), SHORTEST)
        count = 0
        refused = False
        while count == 0 or alpha > least:
            count += 1
            trial = self.trial(p, step, alpha)
            if trial is not None:
                flag, by_filter = self.judged(p, phi, slope, alpha, trial, mu)
                refused = by_filter
                if flag:
                    self._remember(refused and count > 1)
                    return Trial(trial, step, alpha, count, flag)
                if count == 1 and start is None and self.max_soc and trial.theta >= p.theta:
                    found = self._corrected(p, phi, step, trial, system, mu, tau)
                    if found is not None:
                        return found
            alpha *= 0.5
        self._remember(refused)
        return None

    def trial(self, p: Point, step: Step, alpha: float) -> Point | None:
        """The point at a step length, or None where it cannot be evaluated."""
        try:
            return evaluated(self.form, p.w + alpha * step.dw, p.d + alpha * step.dd, p.y, p.z)
        except EvaluationError as error:
            self.evaluation_error = error
            return None

    def judged(self, p: Point, phi: float, slope: float, alpha: float, trial: Point, mu: float) -> tuple[str, bool]:
        """How the trial is accepted ("" if it is not), and whether an entry of the filter refused it."""
        phi_trial = trial.f - mu * trial.barrier
        ok, by_filter, augment = self.filter.accepts(alpha, slope, p.theta, phi, trial.theta, phi_trial)
        if not ok:
            return "", by_filter
        try:
            trial.gradient, trial.J = self.form.derivatives(trial.w)
        except EvaluationError as error:
            self.evaluation_error = error
            return "", False
        if augment:
            self.filter.add(p.theta, phi)
        return "h" if augment else "f", False

    def _corrected(
        self, p: Point, phi: float, step: Step, trial: Point, system: System, mu: float, tau: float
    ) -> Trial | None:
        """Second-order corrections of the full step (W&B, section 2.4)."""
        alpha, c, theta = step.alpha, p.c, p.theta
        for _ in range(self.max_soc):
            c = alpha * c + trial.c
            corrected = newton_step(self.form, p, system, mu, tau, c)
            alpha = corrected.alpha
            found = self.trial(p, corrected, alpha)
            if found is None:
                return None
            flag, _ = self.judged(p, phi, step.slope, step.alpha, found, mu)
            if flag:
                return Trial(found, corrected, alpha, 1, flag.upper())
            if found.theta > KAPPA_SOC * theta:
                return None
            theta, trial = found.theta, found
        return None

    def _remember(self, refused: bool) -> None:
        """Clear a filter whose old entries refuse trial after trial."""
        self.refusals = self.refusals + 1 if refused else 0
        if self.refusals >= FILTER_TRIGGER and self.resets < FILTER_RESETS:
            self.filter.clear()
            self.resets += 1
            self.refusals = 0
