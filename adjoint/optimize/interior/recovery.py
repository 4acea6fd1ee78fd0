"""What is done where the search fails: a rescue at feasible points, restoration at others (W&B, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .bounds import largest, to_boundary
from .engine import Engine, iterate, renew
from .form import Point
from .restoration import RestorationForm
from .search import Trial
from .standard import StandardForm
from .start import least_squares_multipliers
from .step import evaluated, measure

__all__ = ["ALMOST", "Recovery"]

REQUIRED = 0.9  # κ_resto: what restoration must reduce the largest violation to
RESET = 1e3  # bound multipliers after restoration above which they start again
RESPLITS = 5  # times that a search of the restoration which fails starts again
RESCUES = 3  # times that a search which fails at a feasible point starts again
ALMOST = 1e2  # violations below this many tolerances count as feasible

Log = Callable[[Engine, float, "Trial | None", float, float, str], None]


@dataclass(eq=False)
class Recovery:
    """Recovery of one program's engine; `limits` and `log` are those of the run."""

    form: StandardForm
    engine: Engine
    limits: Callable[[], str]
    log: Log
    rescues: int = 0
    factorizations: int = 0
    origin: Point | None = None
    waiting: bool = True  # no step of restoration was made yet

    @property
    def may_forget(self) -> bool:
        """Whether a quasi-Newton approximation can start again."""
        return self.form.curvature is not None and self.rescues < RESCUES

    def recover(self, reason: str) -> str:
        """Go on after a search that failed: the status that ends the method, or ""."""
        e = self.engine
        if reason == "tiny" or e.point.theta <= ALMOST * e.options.tol or not e.form.rows:
            return self.rescue()
        return self.restore()

    def rescue(self) -> str:
        """Start again at a feasible point: multipliers from the barrier, filter and regularization forgotten."""
        if self.rescues >= RESCUES:
            return "stalled"
        self.rescues += 1
        e, p = self.engine, self.engine.point
        p.z = e.mu / p.d
        p.y = least_squares_multipliers(e.form, p, e.options.constr_mult_init_max)
        if self.form.curvature is not None:
            self.form.curvature.clear()
        e.search.clear()
        renew(e, p)
        return ""

    def restore(self) -> str:
        """Restoration from the engine's point."""
        e, base = self.engine, self.form
        self.origin, self.waiting = e.point, True
        origin = e.point
        e.search.filter.add(origin.theta, origin.f - e.mu * origin.barrier)
        mu = max(e.mu, origin.errors.primal)
        form = RestorationForm(base, origin, mu)
        saved, base.curvature = base.curvature, form.curvature
        try:
            inner = Engine(form, begun(form, origin, mu), mu, e.options, self.judge, self.count)
            status = iterate(inner)
            for _ in range(RESPLITS):
                if status not in ("search", "singular"):
                    break
                resplit(form, inner)
                status = iterate(inner)
        finally:
            base.curvature = saved
        self.factorizations += inner.regularization.factorizations
        return self.back(form, inner, status)

    def judge(self, inner: Engine) -> str:
        """Whether restoration is done: the filter accepts the point, and the violation fell enough."""
        form, e, origin = inner.form, self.engine, self.origin
        assert isinstance(form, RestorationForm) and origin is not None
        if not self.waiting:
            f, c = form.program_values(inner.point.w)
            theta = float(np.abs(c).sum())
            phi = f - e.mu * e.form.bounds.barrier(inner.point.d[: len(origin.d)])
            allowed = max(REQUIRED * origin.errors.primal, min(e.options.tol, e.options.constr_viol_tol))
            accepted = largest(c) <= allowed and theta <= e.search.filter.theta_max
            if accepted and e.search.filter.admits(theta, phi):
                return "restored"
        self.waiting = False
        if inner.point.errors.total(0.0) <= inner.options.tol:
            return "converged"
        return self.limits()

    def count(self, inner: Engine, trial: Trial | None, step: float, delta: float) -> None:
        """Log an iteration of restoration, with the objective of the program."""
        form = inner.form
        assert isinstance(form, RestorationForm)
        self.log(inner, form.program_values(inner.point.w)[0], trial, step, delta, "r")

    def back(self, form: RestorationForm, inner: Engine, status: str) -> str:
        """Go on with the program: the status that ends the method, or ""."""
        e, base, r, origin = self.engine, self.form, inner.point, self.engine.point
        p = evaluated(base, r.w[: base.size], r.d[: len(origin.d)], np.zeros(base.rows), origin.z)
        p.gradient, p.J = base.derivatives(p.w)
        base.set_jacobian(p.J)
        p.z = bound_multipliers(origin, p, e.mu, e.tau)
        p.y = least_squares_multipliers(base, p, e.options.constr_mult_init_max)
        if base.curvature is not None:
            base.curvature.clear()
        renew(e, p)
        if status == "restored":
            return ""
        if status == "evaluation":
            e.error = inner.error
        if status not in ("converged", "tiny", "search", "singular"):
            return status
        if float((np.abs(p.c) / base.c_scale).max()) > ALMOST * e.options.tol:
            return "infeasible" if status in ("converged", "tiny") else "restoration_failed"
        return self.rescue()


def begun(form: RestorationForm, origin: Point, mu: float) -> Point:
    """The first point of restoration."""
    w, d, z = form.start(origin, mu)
    p = evaluated(form, w, d, np.zeros(form.rows), z)
    p.gradient, p.J = form.derivatives(w)
    form.set_jacobian(p.J)
    measure(form, p)
    return p


def resplit(form: RestorationForm, inner: Engine) -> None:
    """The best ``p`` and ``n`` for the present ``w``, where the search of the restoration fails itself."""
    p, N, B = inner.point, form.N, len(inner.point.d) - 2 * form.rows
    c = form.program_values(p.w)[1]
    same = Point(p.w[:N], p.d[:B], 0.0, c, 0.0, 0.0, p.y, p.z[:B])
    inner.search.clear()
    renew(inner, begun(form, same, inner.mu))


def bound_multipliers(origin: Point, p: Point, mu: float, tau: float) -> np.ndarray:
    """Bound multipliers by a step along with the restored variables, or ones where they become large."""
    if not p.d.size:
        return origin.z
    dz = mu / origin.d - origin.z - (origin.z / origin.d) * (p.d - origin.d)
    z = origin.z + to_boundary(origin.z, dz, tau) * dz
    return np.ones_like(z) if z.max() > RESET else z
