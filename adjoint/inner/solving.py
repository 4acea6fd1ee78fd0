"""The value of an inner problem: solved, verified, remembered."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import sqrt
from typing import Any, cast

import numpy as np

from ..blocks import pack
from ..errors import ConvergenceError, KinkWarning, SingularError, Status
from ..nonlinear import METHODS, Options, Outcome, System, is_singular_at, natural_scale, scaled_residual
from ..solve import CycleSystem, State, element_name, forward, linearize_again, make_options
from ..sparsity import TooDenseError
from ..trial import Trial, trial_under_way
from .descent import descend
from .form import Inner
from .hessian import Curvature
from .linear import BlockLinear, HessianLinear, ProductsLinear
from .memory import Point, all_finite
from .minimize import Minimum, Objective, minimize, point_at
from .nearby import chord
from .optimum import optimum, weakly_active
from .schedule import tolerance_now

__all__ = ["linear_at", "solve_inner"]

AT_ONCE = 30  # unknowns up to which a solve from the guess is one compiled call, and a warm start saves nothing
NEAR = 0.5  # length of a step along the tangent, relative to the solution, up to which it is trusted
PRODUCTS = ("newton-krylov", "newton-cg", "gradient-descent")  # methods that form no matrix
WEAK = 1e-6  # a multiplier of a bound, relative to the natural magnitude of its equation, that may be zero


def solve_inner(inner: Inner, params: Sequence[Any]) -> Point | None:
    """The solution at the parameters; None where one of them is not finite, or there is none at a trial point.

    The search starts at the last solution; where it fails from there, at the guess.

    Raises
    ------
    ConvergenceError
        With the name of the inner problem.
    """
    if not all(map(all_finite, params)):
        return None
    tol = tolerance_now(inner.tol)
    known = inner.memory.find(params, tol=tol)
    if known is not None:
        return known
    params = tuple(np.array(p)[()] for p in params)  # they may lie in memory that is used again
    around = trial_under_way()
    try:
        with Trial() as trial:
            return inner.memory.keep(_searched(inner, params, tol))
    except ConvergenceError as error:
        if around is None:
            text = trial.told(str(error))
            raise ConvergenceError(text, error.block, error.status, error.worst, error.values, error.history) from None
        around.failed(error)
        return None  # a step of what is solved around it went too far: it is shortened where this is not a number


def _searched(inner: Inner, params: tuple[Any, ...], tol: float) -> Point:
    """The solution, searched from the last one and from the guess."""
    last = inner.memory.last
    plain, small = inner.objective is None and inner.problem is None, inner.unknown.size <= AT_ONCE
    if last is not None and plain and not small and inner.method in ("auto", "newton"):
        near = chord(inner, last, params, tol)
        if near is not None:
            return near
    starts = [inner.guess] if last is None else [_predicted(inner, last, params), inner.guess]
    if inner.objective is None and small:
        starts = starts[::-1]
    for start in starts[:-1]:
        try:
            return _from(inner, params, start, tol)
        except ConvergenceError:
            continue
    return _from(inner, params, starts[-1], tol)


def _predicted(inner: Inner, last: Point, params: tuple[Any, ...]) -> np.ndarray:
    """The last solution, moved along its tangent to the new parameters, if that does not lead far away."""
    if inner.problem is not None or inner.method == "gradient-descent" or last.note:
        return last.y
    changes = [p - q for p, q in zip(params, last.params, strict=True)]
    try:
        moved = inner.function("moved")(inner.shaped(last.y), *last.params, *changes)[0]
        step = last.linear.solve(np.array(moved, dtype=float).reshape(-1))
    except SingularError:
        return last.y
    near = sqrt(step @ step) <= NEAR * (sqrt(last.y @ last.y) + sqrt(inner.guess @ inner.guess))
    return last.y - step if near else last.y


def _from(inner: Inner, params: tuple[Any, ...], start: np.ndarray, tol: float) -> Point:
    """The solution, searched from one start."""
    if inner.objective is not None:
        return _minimum(inner, params, start, tol)
    if inner.problem is None:
        return _root(inner, params, start, tol)
    point = _root(inner, params, optimum(inner, params, start), tol)
    point.note = weakly_active(inner, params, point.y)
    if point.note and isinstance(point.linear, BlockLinear):
        point.linear.at_a_kink()
    return point


def _root(inner: Inner, params: tuple[Any, ...], start: np.ndarray, tol: float) -> Point:
    """A root by the methods for blocks of equations."""
    if inner.method not in PRODUCTS and not inner.memory.without_matrix:
        try:
            values: dict[Any, Any] = dict(zip(inner.parameters, params, strict=True))
            begin = {inner.unknown: inner.shaped(start)}
            guessed = inner.unknown.size <= AT_ONCE and start is inner.guess
            methods = None if inner.method in ("auto", "interior-point") else {"": inner.method}
            options = make_options(tol, inner.max_iterations)
            state = forward(inner.plan, values, options, methods, None if guessed else begin, warn_singular=False)
            y = np.array(pack([inner.unknown], state.values))
            report = None if state.at_once or not state.reports else state.reports[-1]
            found = (0.0, 0, "newton") if report is None else (report.residual, report.iterations, report.method)
            return Point(params, y, BlockLinear(inner, state), tol, *found)
        except TooDenseError:
            inner.memory.without_matrix = True
    system = _Products(inner, params)
    outcome = METHODS["newton-krylov"](
        cast(System, system), start, Options(tol=tol, max_iterations=inner.max_iterations)
    )
    if not outcome.success:
        raise _failed(inner, outcome, params)
    linear = ProductsLinear(inner, params, outcome.u, tol)
    return Point(params, outcome.u, linear, tol, outcome.scaled, outcome.iterations, outcome.method)


class _Products:
    """The equations as nonlinear methods see them, without a matrix."""

    linearize = sweep = factor = components = None

    def __init__(self, inner: Inner, params: tuple[Any, ...]) -> None:
        self.name, self.size = inner.name, inner.unknown.size
        self.inner, self.params = inner, params
        self.lower, self.upper = inner.program.bounds.get(inner.unknown, (None, None))
        self.lower = None if self.lower is None else np.reshape(self.lower, -1)
        self.upper = None if self.upper is None else np.reshape(self.upper, -1)

    def residual(self, u: np.ndarray) -> np.ndarray:
        return _flat(self.inner.function("residual")(self.inner.shaped(u), *self.params)[0])

    def jvp(self, u: np.ndarray, du: np.ndarray) -> np.ndarray:
        arguments = (self.inner.shaped(u), *self.params, self.inner.shaped(du))
        return _flat(self.inner.function("pushed")(*arguments)[0])


def _flat(value: Any) -> np.ndarray:
    return np.array(value, dtype=float).reshape(-1)


def _minimum(inner: Inner, params: tuple[Any, ...], start: np.ndarray, tol: float) -> Point:
    """A minimum, verified to second order."""
    objective = Objective(curvature_of(inner), params, *_bounds(inner, params))
    search = descend if inner.method == "gradient-descent" else minimize
    at = search(objective, start, tol, inner.max_iterations)
    if at.status is not Status.SOLVED:
        raise _failed(inner, at, params)
    weak = _weak(inner, objective, at)
    # Where it is not clear what holds an unknown, the linear solves follow the convention of the conditions as written.
    linear = ProductsLinear(inner, params, at.u, tol) if weak else HessianLinear(inner, objective, at, tol)
    return Point(params, at.u, linear, tol, at.scaled, at.iterations, inner.method, weak)


def curvature_of(inner: Inner) -> Curvature:
    """The derivatives of the objective, made once."""
    if inner.memory.curvature is None:
        inner.memory.curvature = Curvature(inner, inner.method not in PRODUCTS)
    return inner.memory.curvature  # type: ignore[no-any-return]


def _bounds(inner: Inner, params: tuple[Any, ...]) -> list[np.ndarray | None]:
    """The bounds at the parameters, flat."""
    out: list[np.ndarray | None] = []
    for side, e in enumerate(inner.bounds):
        if e is None:
            out.append(None)
            continue
        key = ("bound", side)
        if key not in inner._functions:
            inner._functions[key] = inner.plan.backend.compile(list(inner.parameters), [e])
        found = _flat(inner._functions[key](*params)[0])
        out.append(np.broadcast_to(found, (inner.unknown.size,)))
    if out[0] is not None and out[1] is not None and (out[0] > out[1]).any():
        k = int(np.flatnonzero(out[0] > out[1])[0])
        raise ConvergenceError(
            f"the inner problem {inner.name!r} has no feasible point: the lower bound of element {k} is {out[0][k]:g}, "
            f"the upper {out[1][k]:g}",
            inner.name,
            Status.AT_BOUND,
        )
    return out


def _weak(inner: Inner, objective: Objective, at: Minimum) -> str:
    """What to say where an unknown is at a bound, and does not push against it: the derivative is one-sided there."""
    held = np.zeros(at.u.size, dtype=bool)
    for side in (objective.lower, objective.upper):
        if side is not None:
            held |= np.abs(at.u - side) <= WEAK * np.maximum(np.abs(side), 1.0) * np.isfinite(side)
    weak = np.flatnonzero(held & (np.abs(at.gradient) <= WEAK * at.scale))
    if objective.lower is not None and objective.upper is not None:
        weak = weak[objective.lower[weak] < objective.upper[weak]]
    if not weak.size:
        return ""
    names = ", ".join(element_name(inner.unknown, int(k)) for k in weak[:6])
    return (
        f"the minimizer {inner.name!r} is at a bound that holds it with no force ({names}): strict complementarity "
        "fails, the derivative given is that of one side"
    )


def _failed(inner: Inner, at: Outcome | Minimum, params: tuple[Any, ...]) -> ConvergenceError:
    residual = at.residual if isinstance(at, Outcome) else np.where(at.free, at.gradient, 0.0)
    size = np.abs(residual) / np.where(at.scale > 0, at.scale, 1.0)
    order = np.argsort(-np.where(np.isnan(size), np.inf, size), kind="stable")[:5]
    worst = [(element_name(inner.unknown, int(k)), float(residual[k])) for k in order]
    shown = ", ".join(f"{n}: {r:.3e}" for n, r in worst)
    advice = at.status.value
    if isinstance(at, Minimum):
        if at.status is Status.DIVERGED:
            advice = "The objective falls without bound: there is no minimum near. Add bounds, or regularize it."
        elif at.status is Status.STALLED and at.escapes:
            advice = "It ended at a stationary point that is no minimum (a saddle). Give another guess=."
    values = {inner.name: inner.shaped(at.u)}
    values.update({v.name: p for v, p in zip(inner.parameters, params, strict=True)})
    return ConvergenceError(
        f"the inner problem {inner.name!r} ({inner.kind}, {inner.unknown.size} unknowns, method {inner.method!r}) did "
        f"not converge after {at.iterations} iterations. {advice}\n  largest scaled residual {at.scaled:.2e}; worst "
        f"elements: {shown}\n  The error carries the last iterate (.values), .worst and .history.",
        inner.name,
        at.status,
        worst,
        values,
        at.history,
    )


def linear_at(inner: Inner, y: Any, params: Sequence[Any]) -> Any:
    """``∂g/∂y`` at values and parameters: as a rule at a solution that is remembered; else it is made here."""
    flat = _flat(y)
    point = inner.memory.find(params, flat)
    if point is None:
        point = inner.memory.keep(_linearized(inner, tuple(np.array(p)[()] for p in params), flat))
    if point.note:
        warnings.warn(point.note, KinkWarning, stacklevel=2)
    return point.linear


def _linearized(inner: Inner, params: tuple[Any, ...], y: np.ndarray) -> Point:
    """The linearization at values that nothing is solved for."""
    tol = tolerance_now(inner.tol)
    if inner.objective is not None:
        objective = Objective(curvature_of(inner), params, *_bounds(inner, params))
        with np.errstate(all="ignore"):
            at = point_at(objective, y)
        weak = _weak(inner, objective, at)
        linear: Any = ProductsLinear(inner, params, y, tol) if weak else HessianLinear(inner, objective, at, tol)
        return Point(params, y, linear, np.inf, at.scaled, 0, inner.method, weak)
    if inner.method in PRODUCTS or inner.memory.without_matrix:
        return Point(params, y, ProductsLinear(inner, params, y, tol), np.inf, np.nan, 0, inner.method)
    values: dict[Any, Any] = dict(zip(inner.parameters, params, strict=True))
    values[inner.unknown] = inner.shaped(y)
    system = CycleSystem(inner.cycle, values)
    with np.errstate(all="ignore"):
        r, J = system.linearize(y)
        s = natural_scale(J, y)
        outcome = Outcome(y, r, J, None, s, scaled_residual(r, s), 0, Status.SOLVED)
        singular = is_singular_at(system, outcome, tol)[1]
    state = State(inner.plan, values)
    linearize_again(state, {inner.name: singular})
    return Point(params, y, BlockLinear(inner, state), np.inf, outcome.scaled, 0, inner.method)
