"""From a task to residuals with their Jacobian, and from what was found to a result by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from ...errors import AdjointError, KinkWarning, ModelError, closest
from ...function import Function
from ..base import Reduced, finish
from ..task import Task
from .method import DENSE_COLUMNS, LeastSquaresOutcome, Record, minimize_squares
from .options import least_squares_options
from .squares import residual_program

__all__ = ["solve_by_gauss_newton", "solve_by_levenberg_marquardt", "solve_by_scipy_least_squares"]

SCIPY_OPTIONS = ("method", "ftol", "xtol", "gtol", "x_scale", "tr_solver", "tr_options", "max_nfev", "verbose")
SCIPY_STATUS = {0: "iteration_limit", 1: "optimal", 2: "optimal", 3: "optimal", 4: "optimal"}
MANY = 200  # variables from which SciPy gets a sparse Jacobian


def solve_by_gauss_newton(task: Task) -> Any:
    """Run Gauss–Newton with a line search."""
    return _solve(task, line_search=True)


def solve_by_levenberg_marquardt(task: Task) -> Any:
    """Run Levenberg–Marquardt."""
    return _solve(task, line_search=False)


def _residuals(task: Task, dense: bool) -> tuple[Function, dict[str, Any]]:
    """The residuals as one function of the vector, and the workspace; both are kept with the problem."""
    problem = task.problem
    if problem.constraints:
        raise ModelError(
            f"method {task.method!r} takes no constraints; 'SLSQP', 'trust-constr' and 'interior-point' do"
        )
    kept = problem.kept.get("least squares")
    if kept is None:
        try:
            program, names = residual_program(problem)
        except ModelError as error:
            raise ModelError(f"method {task.method!r} takes sums of squares only: {error}") from None
        kept = problem.kept["least squares"] = program, names, {}
    program, names, workspace = kept
    moved = [v.name for v in problem.variables]
    return Function(program, names, moved, sparse=not dense, values=dict(task.values) or None), workspace


def _solve(task: Task, line_search: bool) -> Any:
    given = dict(task.options)
    if task.tol is not None:
        given.setdefault("tol", task.tol)
    options = least_squares_options(given, task.method)
    n = sum(v.size for v in task.problem.variables)
    dense = options.linear_solver == "dense" or (options.linear_solver == "auto" and n <= DENSE_COLUMNS)
    reduced = Reduced(task.problem, task.values)
    residuals, workspace = _residuals(task, dense)
    x0 = reduced.start(task.start)
    told = None if task.callback is None else _told(task.callback)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        found = minimize_squares(
            residuals, residuals.jac, x0, reduced.lower, reduced.upper, options, line_search, told, workspace
        )
    return _finished(reduced, found)


def _told(callback: Callable[..., Any]) -> Callable[[np.ndarray, Record], bool]:
    """The user's callback, in SciPy's manner: it stops by True or StopIteration."""

    def told(x: np.ndarray, record: Record) -> bool:
        fields = {"x": x.copy(), "fun": record.sum_of_squares, "nit": record.iteration, "record": record}
        point = scipy.optimize.OptimizeResult(fields)
        try:
            return callback(point) is True
        except StopIteration:
            return True

    return told


def _finished(reduced: Reduced, found: LeastSquaresOutcome) -> Any:
    result = scipy.optimize.OptimizeResult(
        x=found.x,
        success=found.status == "optimal",
        status=found.status,
        message=found.message,
        nit=found.iterations,
        nfev=found.evaluations["residuals"],
        njev=found.evaluations["jacobian"],
        offset=found.offset,
        history=found.history,
    )
    reduced.failures += found.failures
    return finish(reduced, result)


class _StopError(Exception):
    """The callback asked to stop."""


def solve_by_scipy_least_squares(task: Task) -> Any:
    """Run ``scipy.optimize.least_squares`` with the exact Jacobian: method "trf" (default), "dogbox" or "lm"."""
    options = dict(task.options)
    for name in options:
        if name not in SCIPY_OPTIONS:
            raise ModelError(f"{task.method}: " + closest(name, SCIPY_OPTIONS, "option"))
    for name in ("ftol", "xtol", "gtol"):
        if task.tol is not None:
            options.setdefault(name, task.tol)
    reduced = Reduced(task.problem, task.values)
    free = reduced.lower < reduced.upper  # SciPy takes no fixed variables
    dense = options.get("method") == "lm" or int(free.sum()) <= MANY
    residuals, _ = _residuals(task, dense)
    x = reduced.start(task.start)
    if options.get("method") == "lm" and bool(np.isfinite(reduced.lower).any() or np.isfinite(reduced.upper).any()):
        raise ModelError(f"method {task.method!r} with 'lm' takes no bounds; 'trf' and 'dogbox' do")
    iterates = _Iterates(task.callback, reduced, residuals, x, free)
    residuals(x)  # a start that does not solve is the user's to know
    if not free.any():
        fields = {"x": x, "success": True, "status": "optimal", "message": "every variable is fixed", "nit": 0}
        return finish(reduced, scipy.optimize.OptimizeResult(fields))
    bounds = (-np.inf, np.inf) if options.get("method") == "lm" else (reduced.lower[free], reduced.upper[free])
    try:
        found = scipy.optimize.least_squares(iterates.value, x[free], jac=iterates.jacobian, bounds=bounds, **options)
        status = SCIPY_STATUS.get(found.status, "failed")
        fields = {"message": found.message, "nfev": found.nfev, "njev": found.njev, "optimality": found.optimality}
        last = iterates.whole(found.x)
    except _StopError:
        status, last, fields = "stopped", iterates.last, {"message": "stopped by the callback"}
    fields.update(x=last, status=status, success=status == "optimal", nit=iterates.count)
    return finish(reduced, scipy.optimize.OptimizeResult(fields))


class _Iterates:
    """Residuals and Jacobian as SciPy asks for them; it asks for a Jacobian once at every iterate."""

    def __init__(self, callback: Any, reduced: Reduced, residuals: Function, x: np.ndarray, free: np.ndarray) -> None:
        self.callback, self.reduced, self.residuals = callback, reduced, residuals
        self.last, self.free, self.count = x, free, 0

    def whole(self, x: np.ndarray) -> np.ndarray:
        """All variables."""
        full = self.last.copy()
        full[self.free] = x
        return full

    def value(self, x: np.ndarray) -> np.ndarray:
        """The residuals; NaN, from which SciPy steps back, where there are none."""
        try:
            return np.asarray(self.residuals(self.whole(x)))
        except AdjointError as error:
            text = f"at {np.array2string(x, precision=6, threshold=8)}: {error}"
            self.reduced.failures.append(text)
            return np.full(self.residuals._count, np.nan)

    def jacobian(self, x: np.ndarray) -> Any:
        """Their Jacobian."""
        self.last = self.whole(x)
        if self.callback is not None and self.count:
            r = self.residuals(self.last)
            point = scipy.optimize.OptimizeResult(x=self.last.copy(), fun=float(r @ r), nit=self.count)
            try:
                stop = self.callback(point) is True
            except StopIteration:
                stop = True
            if stop:
                raise _StopError
        self.count += 1
        J = self.residuals.jac(self.last)
        return J if self.free.all() else J[:, self.free]
