"""Minimizing the augmented Lagrangian within bounds: projected Newton's method, or SciPy's L-BFGS-B.

References
----------
.. [1] D. P. Bertsekas, "Projected Newton methods for optimization problems with simple constraints", SIAM J. Control
       Optim. 20, 1982, pp. 221-246 (algorithm of section 2, eq. 32-37).
.. [2] R. H. Byrd, P. Lu, J. Nocedal and C. Zhu, "A limited memory algorithm for bound constrained optimization", SIAM
       J. Sci. Comput. 16, 1995, pp. 1190-1208.
.. [4] D. Q. Mayne and E. Polak, "A superlinearly convergent algorithm for constrained optimization problems", Math.
       Program. Stud. 16, 1982, pp. 45-61 (search along arcs).
.. [3] E. G. Birgin and J. M. Martínez, "Large-scale active-set box-constrained optimization method with spectral
       projected gradients", Comput. Optim. Appl. 23, 2002, pp. 101-125 (extrapolation).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import scipy

from ...errors import EvaluationError
from ..scaled import Point, ScaledProgram, evaluated
from .function import AugmentedFunction, Sample
from .newton import Directions

__all__ = ["Inner", "lbfgsb", "projected_newton", "projected_size"]

SUFFICIENT = 1e-4  # Armijo's constant
NEAR = 1e-6  # distance at which a bound that the gradient pushes to is taken to hold
BACKTRACKS = 40
LONGEST, LONGER, EXTRAPOLATIONS = 10.0, 4.0, 20  # steps, relative to the variables; their growth
PAYS = 0.5  # of the gain so far, that a longer step adds at least
FAR = 1e5  # growth of the violation at which the method diverges
RAISES = 6  # more regular directions that are tried where a search fails
UNBOUNDED = 1e20
ROUNDING = 20.0 * np.finfo(float).eps

Bend = Callable[[np.ndarray], np.ndarray | None]
Inner = tuple[Sample, int, str]  # point, iterations, "" or "diverged" or "stalled"


def projected_size(program: ScaledProgram, x: np.ndarray, gradient: np.ndarray) -> float:
    """``‖P(x − ∇φ) − x‖∞``, zero at a solution."""
    return float(np.abs(np.clip(x - gradient, program.lower, program.upper) - x).max(initial=0.0))


def projected_newton(
    function: AugmentedFunction, s: Sample, directions: Directions, tol: float, limit: int, late: Callable[[], bool]
) -> Inner:
    """Minimize from a sample until the projected gradient is at most `tol`."""
    program = function.program
    directions.forget()
    most = FAR * max(1.0, float(program.violation(s.point.c).max(initial=0.0)))
    for count in range(limit):
        size = projected_size(program, s.point.x, s.gradient)
        if size <= tol:
            return s, count, ""
        if diverged(program, s.point) or float(program.violation(s.point.c).max(initial=0.0)) > most:
            return s, count, "diverged"
        if late():
            return s, count, "stalled"
        x, near = s.point.x, min(NEAR, size)
        held = ((x <= program.lower + near) & (s.gradient > 0.0)) | ((x >= program.upper - near) & (s.gradient < 0.0))
        new, raised = None, 0
        while new is None and raised <= RAISES:
            found = directions.direction(function, s, ~held, raised > 0)
            if found is None:
                break
            d, along = (found.d, np.zeros_like(held)) if found.inside else (np.where(held, -s.gradient, found.d), held)
            d = d * min(1.0, LONGEST * max(1.0, float(np.abs(x).max())) / max(float(np.abs(d).max()), 1e-300))
            bend = functools.partial(directions.bend, function, s, d) if found.inside else None
            new, alpha = searched(function, s, d, along, bend)
            if directions.learn(alpha) and new is not None and alpha == 1.0:
                new = extrapolated(function, s, new)
            raised += 1
        if new is None:
            return s, count, "stalled"
        s = new
    return s, limit, "stalled"


def diverged(program: ScaledProgram, p: Point) -> bool:
    """Whether the objective or the variables have left all bounds."""
    return p.f / program.f_scale < -UNBOUNDED or float(np.abs(p.x).max(initial=0.0)) > UNBOUNDED


def searched(
    function: AugmentedFunction, s: Sample, d: np.ndarray, held: np.ndarray, bend: Bend | None = None
) -> tuple[Sample | None, float]:
    """The first point of sufficient decrease along the projection of ``x + α d + α² b``, and ``α``.

    The bend ``b`` follows curved rows [4]_; it is computed where the full step fails.
    """
    program, x = function.program, s.point.x
    slope = float(s.gradient[~held] @ d[~held])
    alpha, b = 1.0, np.zeros_like(d)
    noise = ROUNDING * max(1.0, abs(s.value))
    for trial in range(BACKTRACKS):
        new = np.clip(x + alpha * d + alpha**2 * b, program.lower, program.upper)
        try:
            f, c = program.values(new)
            change = function.value(f, c) - s.value
            expected = alpha * slope + float(s.gradient[held] @ (new - x)[held])
            if np.array_equal(new, x):
                break
            if change <= SUFFICIENT * expected:
                return function.sample(Point(new, f, c, *program.derivatives(new))), alpha
            if change <= noise and -expected <= 1e4 * noise:  # within rounding: by the gradient
                trial_sample = function.sample(Point(new, f, c, *program.derivatives(new)))
                if projected_size(program, new, trial_sample.gradient) < 0.9 * projected_size(program, x, s.gradient):
                    return trial_sample, alpha
            if not trial and bend is not None:
                found = bend(c)
                if found is not None:
                    b = found
                    continue
            alpha *= 0.5
        except EvaluationError:
            alpha *= 0.2
    return None, 0.0


def extrapolated(function: AugmentedFunction, s: Sample, new: Sample) -> Sample:
    """Further along the same line, as long as that pays ([3]_)."""
    program, x = function.program, s.point.x
    d = new.point.x - x
    length, best, value = 1.0, None, new.value
    for _ in range(EXTRAPOLATIONS):
        length *= LONGER
        trial = np.clip(x + length * d, program.lower, program.upper)
        try:
            f, c = program.values(trial)
        except EvaluationError:
            break
        reached = function.value(f, c)
        if not reached < value - PAYS * (s.value - value) or np.array_equal(trial, x + d):
            break
        best, value = (trial, f, c), reached
    if best is None:
        return new
    try:
        return function.sample(Point(*best, *program.derivatives(best[0])))
    except EvaluationError:
        return new


def lbfgsb(function: AugmentedFunction, s: Sample, tol: float, limit: int, late: Callable[[], bool]) -> Inner:
    """The same by L-BFGS-B."""
    program = function.program
    best = s

    def call(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        if late():
            raise StopIteration
        try:
            new = function.sample(evaluated(program, np.clip(x, program.lower, program.upper)))
        except EvaluationError:
            return abs(best.value) * 1e3 + 1e10, best.gradient
        if diverged(program, new.point):
            best = new
            raise StopIteration
        if new.value < best.value or projected_size(program, x, new.gradient) <= tol:
            best = new
        return new.value, new.gradient

    bounds = np.column_stack([program.lower, program.upper])
    options = {"maxiter": limit, "maxfun": 20 * limit, "gtol": tol, "ftol": 0.0, "maxcor": 20}
    try:
        r = scipy.optimize.minimize(call, s.point.x, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        count = int(r.nit)
    except StopIteration:
        return best, limit, "diverged" if diverged(program, best.point) else "stalled"
    return best, count, "" if projected_size(program, best.point.x, best.gradient) <= tol else "stalled"
