"""The program in the barrier method's form: scaled, with slacks, without fixed variables and free rows.

Inequality rows become ``c(x) − s = 0`` with bounds on ``s`` (W&B, section 3.4). Slacks are eliminated from the systems
of equations, for their block is diagonal: the matrix keeps the size of variables and rows.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from ...errors import EvaluationError
from ..nlp import NonlinearProgram
from .bounds import stacked
from .form import Factored, Form, Point
from .matrices import AugmentedSystem, Products, Workspace, symmetric_products
from .options import InteriorOptions
from .quasi_newton import LimitedMemory

__all__ = ["StandardForm"]

MIN_SCALE = 1e-8  # smallest factor of gradient-based scaling
MIN_SIGMA = 1e-18  # the diagonal of a slack far from its bounds, kept from underflow
COUNTED = ("objective", "gradient", "constraints", "jacobian", "hessian")


class StandardForm(Form):
    """A nonlinear program as a :class:`Form` with variables ``w = (x, s)``."""

    def __init__(self, nlp: NonlinearProgram, options: InteriorOptions, workspace: Workspace | None = None) -> None:
        self.nlp, self.options = nlp, options
        self.counts = dict.fromkeys(COUNTED, 0)
        self.time_derivatives = self.time_linear = 0.0
        lower, upper = (np.asarray(v, dtype=float) for v in (nlp.lower, nlp.upper))
        c_lower, c_upper = (np.asarray(v, dtype=float) for v in (nlp.constraint_lower, nlp.constraint_upper))
        self.template = np.array(nlp.x0, dtype=float)
        fixed = lower == upper
        self.template[fixed] = lower[fixed]
        self.free = np.flatnonzero(~fixed)
        self.kept = np.flatnonzero(np.isfinite(c_lower) | np.isfinite(c_upper))
        self.all_free, self.all_kept = len(self.free) == nlp.n, len(self.kept) == nlp.m
        self.n, self.rows = len(self.free), len(self.kept)
        self.sides = c_lower[self.kept], c_upper[self.kept]
        self.slack_rows = np.flatnonzero(self.sides[0] != self.sides[1])
        self.size = self.n + len(self.slack_rows)
        self.x_sides = lower[self.free], upper[self.free]
        self.f_scale, self.c_scale = 1.0, np.ones(self.rows)
        self.target = np.where(self.sides[0] == self.sides[1], self.sides[0], 0.0)
        self._patterns(nlp, workspace or Workspace())
        self.set_bounds(options.bound_relax_factor)

    def _patterns(self, nlp: NonlinearProgram, workspace: Workspace) -> None:
        """Entries of the derivatives that belong to free variables and kept rows, and the matrices they make."""
        self.curvature: LimitedMemory | None = None
        none = np.zeros(0, dtype=np.int64)
        hessian = nlp.hessian_pattern
        if hessian is None or self.options.hessian_approximation == "limited-memory":
            self.curvature = LimitedMemory(self.n, self.options.limited_memory_max_history, self.rows > 0)
            hessian = none, none
        key = (*nlp.jacobian_pattern, *hessian, self.free, self.kept, self.slack_rows, nlp.n, nlp.m)
        key += (self.options.linear_solver,)
        parts = workspace.get(key, lambda: self._matrices(nlp, hessian))
        self._take_jacobian, self.jacobian_pattern, self._take_hessian, self.hessian_pattern, *parts = parts
        self.A, self.W, self._mirror, self.system = parts
        self._H, self._J = np.zeros(len(self.hessian_pattern[0])), np.zeros(len(self.jacobian_pattern[0]))
        self._no_hessian = np.zeros_like(self._H)
        self._row_scale = np.ones(len(self._J))

    def _matrices(self, nlp: NonlinearProgram, hessian: tuple[np.ndarray, np.ndarray]) -> tuple[Any, ...]:
        """Which entries are taken and their patterns; products and factors of these."""
        new_col, new_row = np.full(nlp.n, -1), np.full(nlp.m, -1)
        new_col[self.free], new_row[self.kept] = np.arange(self.n), np.arange(self.rows)
        take_jacobian, J = _taken(nlp.jacobian_pattern, new_row, new_col)
        take_hessian, H = _taken(hessian, new_col, new_col)
        A = Products(*J, (self.rows, self.n))
        W, mirror = symmetric_products(*H, self.n)
        equations = np.flatnonzero(self.sides[0] == self.sides[1])
        system = AugmentedSystem(H, J, self.n, self.rows, self.options.linear_solver, equations)
        return take_jacobian, J, take_hessian, H, A, W, mirror, system

    def set_bounds(self, relax: float) -> None:
        """Bounds of variables and slacks, widened by `relax`."""
        scale = self.c_scale[self.slack_rows]
        lower = np.concatenate([self.x_sides[0], self.sides[0][self.slack_rows] * scale])
        upper = np.concatenate([self.x_sides[1], self.sides[1][self.slack_rows] * scale])
        self.bounds = stacked(lower, upper, relax)

    def set_scale(self, x: np.ndarray) -> None:
        """Gradient-based scaling: no gradient at `x` is larger than the option allows (W&B, section 3.8)."""
        if self.options.nlp_scaling_method == "none":
            return
        largest = self.options.nlp_scaling_max_gradient
        g, J = self.derivatives(np.concatenate([x, np.zeros(len(self.slack_rows))]))
        size = np.abs(g).max(initial=0.0)
        self.f_scale = max(MIN_SCALE, largest / size) if size > largest else 1.0
        row_size = np.zeros(self.rows)
        np.maximum.at(row_size, self.jacobian_pattern[0], np.abs(J))
        self.c_scale = np.where(row_size > largest, np.maximum(MIN_SCALE, largest / np.maximum(row_size, 1.0)), 1.0)
        self._row_scale = self.c_scale[self.jacobian_pattern[0]]
        self.set_bounds(self.options.bound_relax_factor)

    # -- evaluation ----------------------------------------------------------------------------------------

    def full(self, w: np.ndarray) -> np.ndarray:
        """All variables of the program, the fixed ones too."""
        if self.all_free:
            return w[: self.n].copy()
        x = self.template.copy()
        x[self.free] = w[: self.n]
        return x

    def _call(self, name: str, *arguments: Any) -> Any:
        start = perf_counter()
        self.counts[name] += 1
        try:
            return getattr(self.nlp, name)(*arguments)
        finally:
            self.time_derivatives += perf_counter() - start

    def row_values(self, x: np.ndarray) -> np.ndarray:
        """Scaled values of the kept rows at all variables."""
        if not self.rows:
            return np.zeros(0)
        c = self._call("constraints", x)
        return (c if self.all_kept else c[self.kept]) * self.c_scale

    def values(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        x = self.full(w)
        f = float(self._call("objective", x)) * self.f_scale
        c = self.row_values(x) - self.target * self.c_scale
        c[self.slack_rows] -= w[self.n :]
        if not np.isfinite(f + np.add.reduce(c)):
            raise EvaluationError(self._not_finite("the objective" if not np.isfinite(f) else "a constraint", c))
        return f, c

    def _not_finite(self, what: str, c: np.ndarray) -> str:
        bad = np.flatnonzero(~np.isfinite(c))
        if what == "a constraint" and bad.size:
            what = f"the constraint {self.nlp.constraint_names()[self.kept[bad[0]]]!r}"
        return f"{what} is not finite"

    def derivatives(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = self.full(w)
        g = np.zeros(self.size)
        gradient = self._call("gradient", x)
        g[: self.n] = gradient if self.all_free else gradient[self.free]
        g *= self.f_scale
        if not self.rows:
            J = self._J
        else:
            J = self._call("jacobian", x)
            J = (J if self._take_jacobian is None else J[self._take_jacobian]) * self._row_scale
        if not np.isfinite(np.add.reduce(g) + np.add.reduce(J)):
            what = "the gradient of the objective" if not np.isfinite(g).all() else "the Jacobian of the constraints"
            raise EvaluationError(f"{what} is not finite")
        return g, J

    def set_jacobian(self, J: np.ndarray) -> None:
        self._J = J
        self.A.set(J)

    def hessian(self, w: np.ndarray, y: np.ndarray, sigma: float = 1.0) -> None:
        if self.curvature is not None:
            return
        full_y = y * self.c_scale
        if not self.all_kept:
            full_y, some = np.zeros(self.nlp.m), full_y
            full_y[self.kept] = some
        H = self._call("hessian", self.full(w), sigma * self.f_scale, full_y)
        self._H = H = H if self._take_hessian is None else H[self._take_hessian]
        if not np.isfinite(np.add.reduce(H)):
            raise EvaluationError("the Hessian of the Lagrangian is not finite")
        self.W.set(H[self._mirror])

    # -- products ------------------------------------------------------------------------------------------

    def jacobian_dot(self, v: np.ndarray) -> np.ndarray:
        r = self.A.dot(v[: self.n])
        r[self.slack_rows] -= v[self.n :]
        return r

    def transpose_dot(self, y: np.ndarray) -> np.ndarray:
        return np.concatenate((self.A.transpose_dot(y), -y[self.slack_rows]))

    def hessian_dot(self, v: np.ndarray) -> np.ndarray:
        r = np.zeros(self.size)
        x = v[: self.n]
        r[: self.n] = self.W.dot(x) if self.curvature is None else self.curvature.dot(x)
        return r

    # -- systems of equations ------------------------------------------------------------------------------

    def factor(self, sigma: np.ndarray, delta_w: float, delta_c: float | np.ndarray, hessian: bool = True) -> Factored:
        start = perf_counter()
        p = sigma[: self.n] + delta_w
        compliance = 1.0 / (np.maximum(sigma[self.n :], MIN_SIGMA) + delta_w)
        q = np.full(self.rows, delta_c)
        q[self.slack_rows] += compliance
        if self.curvature is not None and hessian:
            p += self.curvature.scale
        try:
            handle = self.system.factor(self._H if hessian else self._no_hessian, self._J, p, q)
            low_rank = None
            if self.curvature is not None and hessian and self.curvature.pairs:
                low_rank = self.curvature.low_rank(handle, self.rows)
        finally:
            self.time_linear += perf_counter() - start
        inertia = handle.inertia
        return Factored(handle, inertia.negative - self.rows, inertia.zero, (compliance, delta_c, low_rank))

    def sharpen(self) -> bool:
        return self.system.increase_quality()

    def solve(self, factors: Factored, r: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        compliance, delta_c, low_rank = factors.eliminated
        n, rows = self.n, self.slack_rows
        b = np.concatenate((r[:n], s))
        # slack rows: σ ds − dy = r_s; rows: J dx − ds − δ_c dy = s; hence J dx − (δ_c + 1/σ) dy = s + r_s / σ
        b[n + rows] += r[n:] * compliance
        start = perf_counter()
        x = factors.handle.solve(b)
        if low_rank is not None:
            x = low_rank.corrected(x)
        self.time_linear += perf_counter() - start
        dx, dy = x[:n], x[n:]
        if not len(rows):
            return dx, dy
        # ds from the row of the slack where that is stiff, from the constraint's row where it is soft
        stiff = (r[n:] + dy[rows]) * compliance
        soft = (self.A.dot(dx) - delta_c * dy - s)[rows]
        return np.concatenate((dx, np.where(compliance <= 1.0, stiff, soft))), dy

    # -- quasi-Newton --------------------------------------------------------------------------------------

    def moved(self, old: Point, new: Point) -> None:
        if self.curvature is not None:
            self.learn(old.w, new.w, old.gradient[: self.n], new.gradient[: self.n], new)

    def set_barrier(self, p: Point, mu: float) -> None:
        pass  # nothing of the program depends on it

    def learn(
        self, old_w: np.ndarray, new_w: np.ndarray, before: np.ndarray | float, after: np.ndarray | float, new: Point
    ) -> None:
        """Update the approximation by a step and the change of the Lagrangian's gradient."""
        assert self.curvature is not None
        before = before + self.A.transpose_dot(new.y)
        self.set_jacobian(new.J)
        after = after + self.A.transpose_dot(new.y)
        self.curvature.update(new_w[: self.n] - old_w[: self.n], after - before)


def _taken(
    pattern: tuple[np.ndarray, np.ndarray], new_row: np.ndarray, new_col: np.ndarray
) -> tuple[np.ndarray | None, tuple[np.ndarray, np.ndarray]]:
    """The entries whose row and column have a new number, None for all, and their new rows and columns."""
    rows, cols = (np.asarray(v, dtype=np.int64) for v in pattern)
    rows, cols = new_row[rows], new_col[cols]
    keep = (rows >= 0) & (cols >= 0)
    if keep.all():
        return None, (rows, cols)
    return np.flatnonzero(keep), (rows[keep], cols[keep])
