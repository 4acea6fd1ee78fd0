"""The barrier method on one form: iterate, search, update μ (W&B, algorithm A)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...errors import EvaluationError
from .adaptive import Adaptive
from .barrier import lowered, smallest
from .bounds import largest
from .form import Form, Point
from .inertia import Regularization, System
from .options import InteriorOptions
from .search import Search, Trial
from .start import least_squares_multipliers
from .step import Step, advance, measure, newton_step

__all__ = ["Engine", "called_back", "iterate", "renew"]

TINY = 10 * 2.220446049250313e-16  # relative step below which no search can tell points apart
TINY_DUAL = 1e-2
TINY_THETA = 1e-4
NEARLY, HALF = 1e-6, 0.5  # violation below which multipliers are renewed, and how much better they have to be
CUT = 1e-4  # share of a step below which the next one is regularized
RISING = 3  # iterations with more and more regularization after which they are
STRONGEST = 5  # attempts to make a system accurate
SOFT = 1.0 - 1e-4  # reduction of the primal-dual error by a soft restoration step (W&B, section 4.1)


@dataclass(slots=True, eq=False)
class Watchdog:
    """What a watchdog returns to: W&B, section 3.2."""

    point: Point
    step: Step
    system: System
    left: int


class Engine:
    """State of the method on one form.

    `judge` says whether a point ends the method ("" if not); `log` is told of every accepted step.
    """

    def __init__(
        self,
        form: Form,
        point: Point,
        mu: float,
        options: InteriorOptions,
        judge: Callable[[Engine], str],
        log: Callable[[Engine, Trial | None, float, float], None],
    ) -> None:
        self.form, self.point, self.options = form, point, options
        self.judge, self.log = judge, log
        self.regularization = Regularization(options.max_refinement_steps)
        self.search = Search(form, point.theta, options.max_soc)
        self.mu, self.least = mu, smallest(options)
        self.tau = max(options.tau_min, 1.0 - mu)
        self.tiny = 0  # tiny steps in a row
        self.shortened = 0  # iterations in a row with a shortened step
        self.watchdog: Watchdog | None = None
        self.delta_w = 0.0  # of the last step
        self.rising = 0  # iterations in a row in which it rose
        self.soft = 0  # soft restoration steps in a row
        self.system: System | None = None
        self.strength = 0  # regularization that made the last system accurate
        self.error = ""  # message of an evaluation that failed
        self.adaptive: Adaptive | None = None
        self.last_problem: Callable[[], object] | None = None  # called when μ is small enough to end with

    def set_mu(self, mu: float) -> None:
        """Another barrier problem: the filter is cleared."""
        if mu == self.mu:
            return
        self.mu = mu
        self.tau = max(self.options.tau_min, 1.0 - mu)
        self.form.set_barrier(self.point, mu)
        self.search.clear()
        self.watchdog, self.shortened, self.soft = None, 0, 0

    def fell_back(self) -> bool:
        """Go on with the monotone update, where the search failed with a barrier parameter freely chosen."""
        mu = None if self.adaptive is None else self.adaptive.fall_back(self.point)
        if mu is None:
            return False
        self.set_mu(mu)
        self.search.clear()
        return True


def iterate(e: Engine) -> str:
    """Iterate until `judge` ends it; else "search" where no step is acceptable, "singular" where no system has factors,
    "tiny" where steps vanish, "evaluation" where second derivatives fail."""
    while True:
        status = e.judge(e)
        if status:
            return status
        p = e.point
        if e.watchdog is None and (e.adaptive is None or e.tiny > 1):  # its point is judged with the μ of its search
            mu = lowered(e.mu, e.least, p.errors, e.options, force=e.tiny > 1)
            if e.tiny > 1 and mu == e.mu:
                return "tiny"
            e.set_mu(mu)
        if e.mu <= e.options.tol and e.last_problem is not None:
            e.last_problem()
            p = e.point
        try:
            e.form.hessian(p.w, p.y)
            step, failure = direction(e), "singular"
        except EvaluationError as error:
            step, failure, e.error = None, "evaluation", str(error)
        if step is not None:
            trial = next_trial(e, step)
        elif e.watchdog is not None:
            trial = called_off(e, e.watchdog)
        else:
            return failure
        if trial is None:
            if e.fell_back():
                continue
            return "search"
        e.log(e, trial, step_size(trial.step), e.system.delta_w if e.system else 0.0)


def direction(e: Engine) -> Step | None:
    """The step with factors of the right inertia; regularized where the solution stays inaccurate."""
    p = e.point
    sigma = e.form.bounds.diagonal(p.z / p.d)
    step, chosen = None, e.adaptive is None or e.tiny > 1 or e.watchdog is not None
    strength = max(0, e.strength - 1)  # what was of no use lately is not tried every time
    while strength <= STRONGEST:
        e.system = e.regularization.factor(e.form, sigma, e.mu, strength)
        if e.system is not None:
            if not chosen and e.adaptive is not None:
                e.set_mu(e.adaptive.choose(e, e.system))
                chosen = True
            step = newton_step(e.form, p, e.system, e.mu, e.tau)
            if not e.system.poor:
                e.strength = strength
                return step
        if not e.form.sharpen():
            strength += 1
    if e.system is None or step is None or not np.isfinite(step.slope):
        return None
    return step


def step_size(step: Step) -> float:
    """Largest change of a variable."""
    return largest(step.dw)


def next_trial(e: Engine, step: Step) -> Trial | None:
    """Search along the step, and move to what is found."""
    p, o = e.point, e.options
    assert e.system is not None
    if is_tiny(p, step):
        trial = tiny_step(e, step)
        if trial is not None:
            return trial
    e.tiny = 0
    if e.watchdog is not None:
        return watched(e, step)
    if e.soft:
        return softly(e, step)
    if e.shortened >= o.watchdog_shortened_iter_trigger:
        e.watchdog = Watchdog(p, step, e.system, o.watchdog_trial_iter_max)
        return watched(e, step)
    trial = e.search.along(p, step, e.system, e.mu, e.tau)
    if trial is None:
        return softly(e, step)
    return accept(e, trial)


def accept(e: Engine, trial: Trial) -> Trial:
    """Move to a trial."""
    p, step = e.point, trial.step
    full = trial.alpha >= step.alpha
    e.shortened = 0 if full else e.shortened + 1
    advance(p, trial.point, step, trial.alpha, step.alpha_dual, e.mu)
    move(e, trial.point)
    delta = e.system.delta_w if e.system is not None else 0.0
    e.rising = e.rising + 1 if 0.0 < e.delta_w < delta else 0
    e.delta_w = delta
    e.regularization.damped = not delta and trial.alpha < CUT * step.alpha
    if e.rising >= RISING and e.form.rows and trial.point.errors.dual > p.errors.dual:
        renew_multipliers(e, trial.point)
    return trial


def renew_multipliers(e: Engine, p: Point) -> None:
    """Multipliers of the rows by least squares, if they are better.

    A step regularized by δ puts δ dw into the multipliers: where rows are nearly dependent these grow, and with them
    the curvature that has to be regularized, without end.
    """
    if p.errors.primal > NEARLY:
        return
    old, before = p.y, p.errors.dual
    p.y = least_squares_multipliers(e.form, p, e.options.constr_mult_init_max)
    measure(e.form, p)
    if p.errors.dual > HALF * before:
        p.y = old
        measure(e.form, p)


def move(e: Engine, new: Point) -> None:
    """The new point becomes the engine's."""
    e.form.moved(e.point, new)
    e.form.set_jacobian(new.J)
    new.d = e.form.bounds.exact(new.w, new.d)
    measure(e.form, new)
    e.point = new


def renew(e: Engine, p: Point) -> None:
    """Search on from a point."""
    measure(e.form, p)
    e.point = p
    e.watchdog, e.shortened, e.soft, e.tiny = None, 0, 0, 0


# -- steps too small to be searched along ------------------------------------------------------------------


def is_tiny(p: Point, step: Step) -> bool:
    """Whether no variable changes but by rounding (W&B, section 3.9)."""
    if p.theta > TINY_THETA:
        return False
    return bool(np.logical_and.reduce(np.abs(step.dw) <= TINY * (1.0 + np.abs(p.w))))


def tiny_step(e: Engine, step: Step) -> Trial | None:
    """The full step, taken without a test."""
    p = e.point
    point = e.search.trial(p, step, step.alpha)
    if point is None or not derive(e, point):
        return None
    small_dual = largest(step.dy) < TINY_DUAL
    e.tiny = e.tiny + 1 if small_dual else 0
    return accept(e, Trial(point, step, step.alpha, 0, "t"))


def derive(e: Engine, point: Point) -> bool:
    """Evaluate the derivatives of a trial; False where they are not finite."""
    try:
        point.gradient, point.J = e.form.derivatives(point.w)
    except EvaluationError as error:
        e.search.evaluation_error = error
        return False
    return True


# -- watchdog ----------------------------------------------------------------------------------------------


def watched(e: Engine, step: Step) -> Trial | None:
    """A step of the watchdog: the full one, though the test refuses it, for a few iterations (W&B, section 3.2)."""
    dog = e.watchdog
    assert dog is not None and e.system is not None
    origin, p = dog.point, e.point
    phi = origin.f - e.mu * origin.barrier
    point = e.search.trial(p, step, step.alpha)
    if point is not None:
        flag, _ = e.search.judged(origin, phi, dog.step.slope, dog.step.alpha, point, e.mu)
        if flag:
            e.watchdog, e.shortened = None, 0
            return accept(e, Trial(point, step, step.alpha, 1, "w"))
        if dog.left > 0 and derive(e, point):
            dog.left -= 1
            return accept(e, Trial(point, step, step.alpha, 1, "w"))
    return called_off(e, dog)


def called_back(e: Engine, dog: Watchdog) -> None:
    """Return to where the watchdog began."""
    e.watchdog, e.shortened = None, 0
    e.form.set_jacobian(dog.point.J)
    e.point = dog.point


def called_off(e: Engine, dog: Watchdog) -> Trial | None:
    """Search on where the watchdog began."""
    called_back(e, dog)
    trial = e.search.along(dog.point, dog.step, dog.system, e.mu, e.tau, start=0.5 * dog.step.alpha)
    return accept(e, trial) if trial is not None else softly(e, dog.step)


# -- soft restoration --------------------------------------------------------------------------------------


def softly(e: Engine, step: Step) -> Trial | None:
    """A step that reduces the primal-dual error, where the filter accepts none (W&B, section 4.1)."""
    p = e.point
    if e.soft >= e.options.max_soft_resto_iters or not e.form.rows:
        e.soft = 0
        return None
    alpha = min(step.alpha, step.alpha_dual)
    point = e.search.trial(p, step, alpha)
    if point is None:
        e.soft = 0
        return None
    phi = p.f - e.mu * p.barrier
    if e.soft == 0:
        e.search.filter.add(p.theta, phi)
    flag, _ = e.search.judged(p, phi, step.slope, alpha, point, e.mu)
    trial = Trial(point, Step(step.dw, step.dd, step.dy, step.dz, step.alpha, alpha, step.slope), alpha, 1, "s")
    if flag:
        e.soft = 0
        return accept(e, trial)
    before = system_error(e, p)
    if not derive(e, point):
        e.soft = 0
        return None
    shadow = Point(*(getattr(point, k) for k in ("w", "d", "f", "c", "theta", "barrier", "y", "z", "gradient", "J")))
    advance(p, shadow, trial.step, alpha, alpha, e.mu)
    e.form.set_jacobian(shadow.J)
    measure(e.form, shadow)
    after = system_error(e, shadow)
    e.form.set_jacobian(p.J)
    if after > SOFT * before:
        e.soft = 0
        return None
    e.soft += 1
    return accept(e, trial)


def system_error(e: Engine, p: Point) -> float:
    """Mean size of the residuals of the primal-dual equations."""
    total = float(np.abs(p.dual).mean()) if p.dual.size else 0.0
    if p.c.size:
        total += p.theta / p.c.size
    if p.z.size:
        total += float(np.abs(p.d * p.z - e.mu).mean())
    return total
