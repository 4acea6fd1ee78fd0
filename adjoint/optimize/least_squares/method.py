"""Gauss–Newton with a line search, and Levenberg–Marquardt, on residuals with bounds.

Both take steps of the linearized problem (:mod:`.linearized`). Levenberg–Marquardt changes the damping by the ratio of
the actual to the predicted reduction (Nielsen 1999), with the scales of Moré (1978), which fall slowly here, and bends
its steps along curved valleys (Transtrum & Sethna 2012). Gauss–Newton takes undamped steps and shortens them until the
sum of squares falls enough (Nocedal & Wright 2006, section 10.3); it damps them only where that fails. Variables at a
bound that the gradient presses them against are held during a step (Kanzow, Yamashita & Fukushima 2004).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ...errors import AdjointError
from ...linear.base import SingularMatrix
from .linearized import EPS, Dense, Linearized, Sparse, bounded_step
from .options import LeastSquaresOptions

__all__ = ["LeastSquaresOutcome", "Record", "minimize_squares"]

SUFFICIENT = 1e-4  # fraction of the predicted reduction that a step must give
SMALL_DAMPING = 1e-14  # at most that much hides no step from the test of convergence
DAMPED = 1e-6  # least damping of a Gauss–Newton step that is damped
FALL = 0.1  # share to which scales may fall in one iteration
LEAST_DAMPING = 1e-60
LARGE_DAMPING = 1e16  # beyond it no step changes the point
VANISHED = 1e-30  # length of the residuals, relative to the start, at which they count as zero
MEASURABLE = 1e-13  # relative reductions of the sum below it are rounding
ROUNDED = 1e-6  # relative offset of an undamped step that rounding alone may keep from reducing the sum
IDLE = 3  # iterations on which not even the offset falls
CURVED = 1e-3  # relative offset above which steps are curved
CURVATURE = 0.75  # greatest ratio of twice the second-order part of a step to the first (Transtrum & Sethna 2012)
PROBE = 0.1  # share of the step at which the second derivative is looked at
SHORT = 0.01  # share of a Gauss–Newton step, below which the next one is damped
FIRST, FARTHER = 100.0, 4.0  # scaled length of the first step beside the point's, and of each beside the last one's
SHORTENINGS = 30  # of one Gauss–Newton step
DENSE_COLUMNS = 60  # up to which a Jacobian is dense
DENSE_SHARE = 0.25  # of nonzero entries, from which it is

MESSAGES = {
    "optimal": "the residuals are orthogonal to the Jacobian to the tolerance",
    "iteration_limit": "the iteration limit was reached (max_iter)",
    "time_limit": "the time limit was reached (max_wall_time)",
    "stopped": "stopped by the callback",
    "failed": "no step reduces the sum of squares any further",
}


class Record(NamedTuple):
    """One iteration: the sum of squares, the relative offset, the damping and the length of the step."""

    iteration: int
    sum_of_squares: float
    offset: float
    damping: float
    step: float


@dataclass
class LeastSquaresOutcome:
    """What was found, and how.

    Attributes
    ----------
    offset : float
        Relative offset at the last point, 0 where the residuals vanish.
    failures : list of str
        Points on the way where the residuals could not be evaluated.
    """

    x: np.ndarray
    status: str
    message: str
    iterations: int
    offset: float
    evaluations: dict[str, int] = field(default_factory=dict)
    history: list[Record] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class _Search:
    """A point with its residuals, and the state of the iteration."""

    def __init__(
        self,
        residuals: Any,
        jacobian: Any,
        x: np.ndarray,
        lower: np.ndarray,
        upper: np.ndarray,
        workspace: dict[str, Any],
    ) -> None:
        self.last: float | None = None  # scaled length of the last step
        self.workspace = workspace
        self.residuals, self.jacobian = residuals, jacobian
        self.lower, self.upper = lower, upper
        self.counts = {"residuals": 0, "jacobian": 0}
        self.failures: list[str] = []
        self.x, self.scale = x, np.zeros(x.size)
        self.r = self._evaluated(x)
        self.sum = float(self.r @ self.r)

    def _evaluated(self, x: np.ndarray) -> np.ndarray:
        self.counts["residuals"] += 1
        return np.asarray(self.residuals(x), dtype=float)

    def tried(self, x: np.ndarray) -> tuple[float, np.ndarray | None]:
        """The sum of squares at a point, and the residuals; infinity where there are none."""
        try:
            r = self._evaluated(x)
        except AdjointError as error:
            self.failures.append(f"at {np.array2string(x, precision=6, threshold=8)}: {error}")
            return np.inf, None
        with np.errstate(over="ignore"):
            total = float(r @ r)
        return (total, r) if np.isfinite(total) else (np.inf, None)

    def linearize(self, linear_solver: str) -> None:
        """The Jacobian at the point, and what follows from it."""
        self.counts["jacobian"] += 1
        J, n = self.jacobian(self.x), self.x.size
        sparse = hasattr(J, "indptr")
        dense = linear_solver == "dense" or (
            linear_solver == "auto" and (n <= DENSE_COLUMNS or not sparse or J.nnz >= DENSE_SHARE * J.shape[0] * n)
        )
        if dense and sparse:
            J = J.toarray()
        elif not dense and not sparse:
            raise TypeError("the sparse solver takes a sparse Jacobian")
        length = np.sqrt((J * J).sum(axis=0))
        length = np.reshape(length, -1)
        self.scale = np.maximum(length, FALL * self.scale)
        scale = np.where(self.scale > 0.0, self.scale, 1.0)
        self.J, self.g = J, J.T @ self.r
        self.rounding = EPS * float(np.linalg.norm(abs(J) @ np.abs(self.x)))  # of the residuals, where x is rounded
        self.noise = max(MEASURABLE * self.sum, 4.0 * self.rounding * float(np.sqrt(self.sum)))  # of the sum
        self.linearized: Linearized = Dense(J, self.r, scale) if dense else self._sparse(J, scale)
        held = ((self.x <= self.lower) & (self.g >= 0.0)) | ((self.x >= self.upper) & (self.g <= 0.0))
        self.free = ~(held | (self.lower == self.upper))

    def _sparse(self, J: Any, scale: np.ndarray) -> Sparse:
        J.sort_indices()
        pattern = self.workspace.get("pattern")
        if pattern is None or not all(
            np.array_equal(*pair) for pair in zip(pattern, (J.indices, J.indptr), strict=True)
        ):
            self.workspace.update(pattern=(J.indices.copy(), J.indptr.copy()), solver=Sparse.solver(J))
        return Sparse(J, self.r, scale, self.workspace["solver"])

    def step(self, damping: float) -> tuple[np.ndarray, float]:
        """A step, and the reduction of the sum of squares that the linearization predicts."""
        self.damping = damping
        if not self.free.any():
            return np.zeros(self.x.size), 0.0
        p = bounded_step(self.linearized, damping, self.free, self.lower - self.x, self.upper - self.x)
        Jp = self.J @ p
        return p, -float(2.0 * self.g @ p + Jp @ Jp)

    def moved(self, p: np.ndarray) -> np.ndarray:
        """The point after a step, inside the bounds."""
        return np.clip(self.x + p, self.lower, self.upper)

    def is_far(self, p: np.ndarray) -> bool:
        """Whether a step is so much longer than the last one that the linearization cannot hold there (a trust region
        as in Moré 1978): it may have jumped over a pole."""
        size = float(np.linalg.norm(self.scale * self.x))
        reach = FIRST * size if self.last is None and size > 0.0 else FARTHER * (self.last or np.inf)
        return float(np.linalg.norm(self.scale * p)) > reach

    def accept(self, x: np.ndarray, total: float, r: np.ndarray) -> None:
        """Go there."""
        self.last = float(np.linalg.norm(self.scale * (x - self.x)))
        self.x, self.sum, self.r = x, total, r


Trial = tuple[np.ndarray, float, np.ndarray, float]  # a point, its sum of squares and residuals, the reduction ratio


def _curved_step(s: _Search, p: np.ndarray, predicted: float) -> Trial | None:
    """The step along a geodesic, which follows a curved valley; where that is too curved, the straight step.

    With the second derivative ``r″`` of the residuals along p, the step is ``p + a/2`` where a solves the linearized
    problem for ``r″`` in the place of r (Transtrum & Sethna 2012, eq. 6 to 8 and 15).
    """
    if predicted > CURVED**2 * s.sum:
        r = s.tried(s.x + PROBE * p)[1]
        if r is not None:
            second = 2.0 / PROBE * ((r - s.r) / PROBE - s.J @ p)
            a = s.linearized.curved(s.damping, second)
            if np.linalg.norm(s.scale * a) <= CURVATURE / 2.0 * np.linalg.norm(s.scale * p):
                return _whole_step(s, p + 0.5 * a, predicted)
    return _whole_step(s, p, predicted)


def _whole_step(s: _Search, p: np.ndarray, predicted: float) -> Trial | None:
    """The point after the step, if the sum of squares falls by a fraction of what was predicted."""
    x = s.moved(p)
    total, r = s.tried(x)
    if r is None:
        return None
    if predicted <= s.noise:
        return (x, total, r, 1.0) if total <= s.sum + s.noise else None
    ratio = (s.sum - total) / predicted
    return (x, total, r, ratio) if ratio > SUFFICIENT else None


def _line_search(s: _Search, p: np.ndarray, predicted: float) -> Trial | None:
    """The step or a part of it, by quadratic interpolation until the condition of Armijo holds."""
    trial = _whole_step(s, p, predicted)
    slope, t = 2.0 * float(s.g @ p), 1.0
    if trial is not None or slope >= 0.0:
        return trial
    total = s.tried(s.moved(p))[0]
    for _ in range(SHORTENINGS):
        curvature = total - s.sum - slope * t
        best = -slope * t * t / (2.0 * curvature) if np.isfinite(curvature) and curvature > 0.0 else 0.0
        t = float(np.clip(best, 0.1 * t, 0.5 * t))
        x = s.moved(t * p)
        total, r = s.tried(x)
        if r is not None and total <= s.sum + SUFFICIENT * t * slope:
            return x, total, r, t
    return None


def minimize_squares(
    residuals: Callable[[np.ndarray], np.ndarray],
    jacobian: Callable[[np.ndarray], Any],
    x0: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    options: LeastSquaresOptions,
    line_search: bool = False,
    callback: Callable[[np.ndarray, Record], bool] | None = None,
    workspace: dict[str, Any] | None = None,
) -> LeastSquaresOutcome:
    """Minimize ``‖r(x)‖²`` between bounds.

    Parameters
    ----------
    residuals, jacobian : callable
        Of x; they raise :class:`AdjointError` where they have no value. The Jacobian is an array or sparse (CSR).
    line_search : bool
        Gauss–Newton instead of Levenberg–Marquardt.
    callback : callable, optional
        ``callback(x, record)`` after every iteration; True stops.
    workspace : dict, optional
        Where the solver of a sparse pattern, with its ordering, is kept from one call to the next.

    >>> line = np.array([1.0, 2.0, 4.0])
    >>> out = minimize_squares(
    ...     lambda x: np.exp(x[0] * line) - 2.0, lambda x: (line * np.exp(x[0] * line))[:, None],
    ...     np.zeros(1), np.array([-np.inf]), np.array([np.inf]), LeastSquaresOptions(),
    ... )
    >>> out.status, round(float(out.x[0]), 6)
    ('optimal', 0.204776)
    """
    s = _Search(residuals, jacobian, x0, lower, upper, {} if workspace is None else workspace)
    loop = _Loop(s, options, line_search, callback)
    status = loop.run()
    message = MESSAGES[status]
    if status == "optimal" and loop.zero:
        message = "the residuals vanish"
    offset = 0.0 if loop.zero else loop.offset
    return LeastSquaresOutcome(s.x, status, message, loop.iterations, offset, s.counts, loop.history, s.failures)


class _Loop:
    """The iteration; ``run`` gives the status."""

    def __init__(self, s: _Search, options: LeastSquaresOptions, line_search: bool, callback: Any) -> None:
        self.s, self.options, self.callback = s, options, callback
        self.damping, self.growth = (0.0 if line_search else options.damping), 2.0
        self.line_search, self.trial = line_search, (_line_search if line_search else _curved_step)
        self.first, self.deadline = s.sum, perf_counter() + options.max_wall_time
        self.iterations, self.offset, self.zero = 0, np.inf, False
        self.history: list[Record] = []

    def run(self) -> str:
        """Iterate to the end."""
        s, options, least, idle = self.s, self.options, np.inf, 0
        while True:
            s.linearize(options.linear_solver)
            before, step = s.sum, self._next_point()
            if isinstance(step, str):
                return step
            self.iterations += 1
            if self._told(step):
                return "stopped"
            if self.offset**2 * before <= s.noise:  # the offset shows progress still, the sum does not
                idle = idle + 1 if self.offset > 0.9 * least else 0
                if idle >= IDLE:
                    return "optimal"
                least = min(least, self.offset)
            if self.iterations >= options.max_iter:
                return "iteration_limit"
            if perf_counter() > self.deadline:
                return "time_limit"

    def _next_point(self) -> str | float:
        """Go to a better point and give the length of the step, or the status with which the iteration ends."""
        s, looked, undamped = self.s, False, np.inf
        while self.damping < LARGE_DAMPING:
            try:
                p, predicted = s.step(self.damping)
            except SingularMatrix:
                self._damp_more()
                continue
            if not self.line_search and s.is_far(p):
                self.damping = 3.0 * max(self.damping, DAMPED)
                continue
            length = float(np.sqrt(s.sum))
            self.offset = float(np.sqrt(max(predicted, 0.0))) / length if length else 0.0
            self.zero = length <= max(4.0 * s.rounding, VANISHED * np.sqrt(self.first))
            small = self.offset * length <= max(self.options.tol * length, 4.0 * s.rounding) or self.zero
            still = bool(np.all(np.abs(p) <= EPS * np.abs(s.x)))
            if self.damping <= SMALL_DAMPING:
                undamped = self.offset
            if (small and predicted >= -s.noise) or still:
                if self.damping <= SMALL_DAMPING:
                    return "optimal"
                if looked:  # undamped steps have been tried from here
                    break
                self.damping, self.growth, looked = SMALL_DAMPING, 2.0, True
                continue
            found = self.trial(s, p, predicted) if predicted > 0.0 else None
            if found is not None:
                self._damp_less(found[3])
                distance = float(np.linalg.norm(found[0] - s.x))
                s.accept(*found[:3])
                return distance
            self._damp_more()
        self.offset = min(undamped, self.offset) if looked else self.offset
        return "optimal" if undamped <= ROUNDED else "failed"

    def _damp_less(self, ratio: float) -> None:
        if self.line_search:
            if ratio < SHORT:
                self.damping = max(DAMPED, 10.0 * self.damping)
            else:
                self.damping = self.damping / 100.0 if self.damping > DAMPED else 0.0
        else:
            self.damping = max(self.damping * max(0.1, 1.0 - (2.0 * ratio - 1.0) ** 3), LEAST_DAMPING)
        self.growth = 2.0

    def _damp_more(self) -> None:
        if self.line_search:
            self.damping = max(DAMPED, 100.0 * self.damping)
        else:
            self.damping = max(self.damping, SMALL_DAMPING) * self.growth
        self.growth *= 2.0

    def _told(self, step: float) -> bool:
        """Keep, print and pass on the iteration; True where the callback stops."""
        record = Record(self.iterations, self.s.sum, self.offset, self.damping, step)
        self.history.append(record)
        if self.options.print_level >= 5:
            if self.iterations % 20 == 1:
                print(" iter   sum of squares    offset   damping     |step|")
            print(f"{record.iteration:5d} {record[1]:16.8e} {record.offset:9.2e} {record.damping:9.2e} {step:10.2e}")
        return self.callback is not None and self.callback(self.s.x, record)
