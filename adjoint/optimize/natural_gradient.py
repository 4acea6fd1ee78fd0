"""``method="natural-gradient"``: damped Gauss–Newton steps by conjugate gradients, for objectives of named outputs.

    (G + μ I) d = −∇f,      x ← x + d

G is the Gauss–Newton matrix, or Fisher's (:mod:`~adjoint.curvature`), never formed: conjugate gradients take products.
The damping follows Levenberg and Marquardt: it falls where the quadratic model predicts the change of f, and grows
where it does not (J. Martens, "Deep learning via Hessian-free optimization", *ICML* 2010).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import scipy

from ..curvature import GaussNewton
from ..equations import unused_name
from ..errors import KinkWarning, ModelError
from .base import Reduced, finish
from .least_squares.squares import residual_program
from .options import checked_options
from .task import Task

__all__ = ["NaturalGradientOptions", "solve_by_natural_gradient"]

GOOD, BAD = 0.75, 0.25  # ratios of the actual and the predicted change between which the damping stays
LESS, MORE, REFUSED = 1.0 / 3.0, 2.0, 4.0  # what it is multiplied by
LARGEST = 1e16  # damping at which no step descends


@dataclass(frozen=True)
class NaturalGradientOptions:
    """Options, with their defaults.

    ``outputs`` is one of its own, a name or a list of names; sums of squares need none.

    Attributes
    ----------
    damping : float
        The first μ.
    cg_iter, cg_tol : int, float
        Limit of the conjugate gradients, and their relative residual; that falls with the gradient if 0.
    """

    damping: float = 1e-2
    cg_iter: int = 250
    cg_tol: float = 0.0
    tol: float = 1e-8
    max_iter: int = 1000
    max_wall_time: float = inf


class Record(NamedTuple):
    """An iteration: objective, largest element of the gradient, damping, and conjugate gradients so far."""

    iteration: int
    objective: float
    gradient: float
    damping: float
    inner: int


@dataclass
class _Run:
    """The state of a run."""

    x: np.ndarray
    f: float
    g: np.ndarray
    damping: float
    inner: int = 0


def solve_by_natural_gradient(task: Task) -> Any:
    """Run it on the reduced problem."""
    given = dict(task.options)
    if task.tol is not None:
        given.setdefault("tol", task.tol)
    outputs = given.pop("outputs", None)
    o = checked_options(NaturalGradientOptions, given, task.method, {})
    problem = task.problem
    reduced = Reduced(problem, task.values)
    bounded = bool(np.isfinite(reduced.lower).any() or np.isfinite(reduced.upper).any())
    for what, refused in (("constraints", bool(problem.constraints)), ("bounds", bounded)):
        if refused:
            raise ModelError(f"method {task.method!r} takes no {what}; 'interior-point' does")
    parts = (problem.program, problem.objective.name, outputs) if outputs else _residuals(problem, task.method)
    program, of, names = parts
    curvature = GaussNewton(program, of, names, [v.name for v in problem.variables], task.values)
    x0 = reduced.start(task.start)
    reduced.value(x0)  # a start that does not solve is the user's to know
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        fields = _iterate(reduced, curvature, x0, o, task.callback)
        return finish(reduced, scipy.optimize.OptimizeResult(fields))


def _residuals(problem: Any, method: str) -> tuple[Any, str, list[str]]:
    """A program with the sum of squares and the residuals as variables, and their names."""
    try:
        program, names = residual_program(problem)
    except ModelError as error:
        raise ModelError(
            f"method {method!r} takes sums of squares only, or options={{'outputs': names}}: the variables that the "
            f"loss is a convex function of (means, scores). {error}"
        ) from None
    sign = -1.0 if problem.maximize else 1.0
    name = unused_name(program, "sum of squares")
    program.define(name, sum((sign * np.sum(program[n] ** 2) for n in names), start=0.0))
    return program, name, names


def _iterate(
    reduced: Reduced, G: GaussNewton, x: np.ndarray, o: NaturalGradientOptions, callback: Callable[..., Any] | None
) -> dict[str, Any]:
    at, deadline = _Run(x, reduced.value(x), reduced.gradient(x), o.damping), perf_counter() + o.max_wall_time
    history: list[Record] = []
    while True:
        size = float(np.abs(at.g).max(initial=0.0))
        record = Record(len(history), reduced.sign * at.f, size, at.damping, at.inner)
        history.append(record)
        stopped = callback is not None and _told(callback, at.x, record)
        status, message = "", ""
        if size <= o.tol:
            status, message = "optimal", f"the gradient is {size:.2g}"
        elif stopped:
            status, message = "stopped", "stopped by the callback"
        elif record.iteration >= o.max_iter:
            status, message = "iteration_limit", f"the iteration limit was reached (max_iter); gradient {size:.2g}"
        elif perf_counter() > deadline:
            status, message = "time_limit", f"the time limit was reached (max_wall_time); gradient {size:.2g}"
        elif not _step(reduced, G, at, o):
            status, message = "failed", f"no step descends; gradient {size:.2g}"
        if status:
            success = status == "optimal"
            fields = {"x": at.x, "status": status, "message": message, "success": success}
            return {**fields, "nit": record.iteration, "history": history, "products": at.inner}


def _step(reduced: Reduced, G: GaussNewton, at: _Run, o: NaturalGradientOptions) -> bool:
    """One accepted step; False where none is found."""
    norm = float(np.linalg.norm(at.g))
    tol = o.cg_tol or min(0.1, np.sqrt(norm))
    while at.damping <= LARGEST:
        mu = at.damping

        def product(p: np.ndarray, mu: float = mu) -> np.ndarray:
            return reduced.sign * G.product(at.x, p) + mu * p

        d, Ad, count = conjugate_gradients(product, -at.g, tol * norm, o.cg_iter)
        at.inner += count
        predicted = float(at.g @ d + 0.5 * d @ (Ad - mu * d))
        f = reduced.value(at.x + d)
        # Near the optimum f shows rounding only; gradients tell on.
        rounding = 1e-14 * max(1.0, abs(at.f))
        ratio = (f - at.f) / predicted if predicted < 0.0 else -1.0
        if abs(predicted) <= rounding and f <= at.f + rounding:
            ratio = 1.0
        if ratio > GOOD:
            at.damping = max(LESS * at.damping, 1e-16)
        elif ratio < BAD:
            at.damping *= MORE if ratio > 0.0 else REFUSED
        if ratio > 1e-4:
            at.x = at.x + d
            at.f, at.g = reduced.value(at.x), reduced.gradient(at.x)
            return True
    return False


def conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray], b: np.ndarray, tol: float, limit: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """``x`` with ``‖A x − b‖ ≤ tol``, ``A x``, and the number of products.

    It ends early where A has no positive curvature.

    >>> x, Ax, count = conjugate_gradients(lambda p: np.array([2.0, 5.0]) * p, np.array([2.0, 10.0]), 1e-12, 10)
    >>> x.round(9).tolist(), count
    ([1.0, 2.0], 2)
    """
    x, Ax, r = np.zeros_like(b), np.zeros_like(b), b.copy()
    p, rr = r.copy(), float(b @ b)
    for count in range(limit):
        if np.sqrt(rr) <= tol:
            return x, Ax, count
        Ap = product(p)
        curvature = float(p @ Ap)
        if curvature <= 0.0:
            return (x, Ax, count + 1) if count else (p, Ap, 1)
        alpha = rr / curvature
        x, Ax, r = x + alpha * p, Ax + alpha * Ap, r - alpha * Ap
        rr, before = float(r @ r), rr
        p = r + (rr / before) * p
    return x, Ax, limit


def _told(callback: Callable[..., Any], x: np.ndarray, record: Record) -> bool:
    """The user's callback, in SciPy's manner: it stops by True or StopIteration."""
    fields = {"x": x.copy(), "fun": record.objective, "nit": record.iteration, "record": record}
    try:
        return callback(scipy.optimize.OptimizeResult(fields)) is True
    except StopIteration:
        return True
