"""Uno, by the package unopy: filter SQP and interior-point methods assembled from common parts."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import EvaluationError, ModelError
from .driver import WarmStart, solve_nlp
from .nlp import NonlinearProgram
from .outcome import NLPOutcome
from .task import Task

__all__ = ["is_available", "solve_with_uno"]

PRESET = "ipopt"
SOLUTION = {
    "FEASIBLE_KKT_POINT": "optimal",
    "FEASIBLE_FJ_POINT": "acceptable",
    "FEASIBLE_SMALL_STEP": "acceptable",
    "INFEASIBLE_STATIONARY_POINT": "infeasible",
    "UNBOUNDED_OBJECTIVE": "unbounded",
    "DIVERGING_ITERATE": "unbounded",
}
ENDED = {
    "ITERATION_LIMIT": "iteration_limit",
    "TIME_LIMIT": "time_limit",
    "EVALUATION_ERROR": "evaluation_error",
    "USER_TERMINATION": "stopped",
    "USER_INTERRUPTION": "stopped",
}


@functools.cache
def _package() -> Any:
    """The package, or None."""
    try:
        import unopy
    except ImportError:
        return None
    return unopy


def is_available() -> bool:
    """Whether the package is installed."""
    return _package() is not None


def solve_with_uno(task: Task) -> Any:
    """Run Uno with exact sparse derivatives. ``options`` are Uno's own; ``preset`` chooses the method: "ipopt"
    (interior-point, the default), "filtersqp", ..."""
    if _package() is None:
        raise ModelError("method 'uno' needs the package unopy: pip install 'adjoint[nlp]'")
    return solve_nlp(task, lambda nlp, t, start: _solve(nlp, t.options, t.callback, start, t.tol))


def _solve(
    nlp: NonlinearProgram,
    options: Mapping[str, Any],
    callback: Callable[..., Any] | None,
    start: WarmStart | None,
    tol: float | None,
) -> NLPOutcome:
    uno = _package()
    problems: list[str] = []
    result = _solver(uno, options, callback, tol).optimize(_model(uno, nlp, start, problems))
    ended = result.optimization_status.name
    status = SOLUTION.get(result.solution_status.name, "failed") if ended == "SUCCESS" else ENDED.get(ended, "failed")
    message = f"{ended.lower().replace('_', ' ')}: {result.solution_status.name.lower().replace('_', ' ')}"
    if problems and status != "optimal":
        message += f" (the last evaluation that failed: {problems[-1]})"
    # Uno's L = f − yᵀc with positive multipliers of lower sides, negative ones of upper sides.
    upper = -np.asarray(result.upper_bound_dual_solution, dtype=float)
    evaluations = {
        "objective": int(result.number_objective_evaluations),
        "constraints": int(result.number_constraint_evaluations),
        "gradient": int(result.number_objective_gradient_evaluations),
        "jacobian": int(result.number_jacobian_evaluations),
        "hessian": int(result.number_hessian_evaluations),
    }
    return NLPOutcome(
        np.asarray(result.primal_solution, dtype=float),
        -np.asarray(result.constraint_dual_solution, dtype=float),
        np.asarray(result.lower_bound_dual_solution, dtype=float),
        upper,
        status,
        message,
        int(result.number_iterations),
        evaluations,
    )


def _model(uno: Any, nlp: NonlinearProgram, start: WarmStart | None, problems: list[str]) -> Any:
    """The model, whose functions write into given arrays."""

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            try:
                return function(*args)
            except EvaluationError as error:
                problems.append(str(error))
                raise

        return call

    def into(function: Callable[..., np.ndarray]) -> Callable[..., None]:
        def call(*args: Any) -> None:
            args[-1][:] = function(*args[:-1])

        return guarded(call)

    model = uno.Model(uno.PROBLEM_NONLINEAR, nlp.n, nlp.lower.tolist(), nlp.upper.tolist(), uno.ZERO_BASED_INDEXING)
    value = guarded(lambda x: float(nlp.objective(np.array(x))))
    model.set_objective(uno.MINIMIZE, value, into(lambda x: nlp.gradient(np.array(x))))
    if nlp.m:
        rows, columns = (part.tolist() for part in nlp.jacobian_pattern)
        sides = nlp.constraint_lower.tolist(), nlp.constraint_upper.tolist()
        constraints = into(lambda x: nlp.constraints(np.array(x)))
        jacobian = into(lambda x: nlp.jacobian(np.array(x)))
        model.set_constraints(nlp.m, constraints, *sides, len(rows), rows, columns, jacobian)
    if nlp.hessian_pattern is not None:
        rows, columns = (part.tolist() for part in nlp.hessian_pattern)
        hessian = into(lambda x, sigma, y: nlp.hessian(np.array(x), float(sigma), -np.array(y)))
        model.set_lagrangian_hessian(len(rows), uno.LOWER_TRIANGLE, rows, columns, hessian)
    model.set_lagrangian_sign_convention(uno.MULTIPLIER_NEGATIVE)
    model.set_initial_primal_iterate(nlp.x0.tolist())
    if start is not None and nlp.m:
        model.set_initial_dual_iterate((-start.y).tolist())
    return model


def _solver(uno: Any, options: Mapping[str, Any], callback: Callable[..., Any] | None, tol: float | None) -> Any:
    solver = uno.UnoSolver()
    solver.set_preset(options.get("preset", PRESET))
    settings: dict[str, Any] = {"logger": "SILENT", "print_solution": False}
    if tol is not None:
        settings |= {"primal_tolerance": tol, "dual_tolerance": tol}
    for name, setting in {**settings, **options}.items():
        if name == "preset":
            continue
        try:
            solver.set_option(name, setting)
        except Exception as error:
            raise ModelError(f"option {name!r} = {setting!r} was refused: {error}") from None
    if callback is not None:
        stopped = [False]
        count = itertools.count(1)

        def note(x: Any, *rest: Any) -> None:
            try:
                stopped[0] |= bool(callback({"nit": next(count), "x": np.array(x)}))
            except StopIteration:
                stopped[0] = True

        solver.set_notify_acceptable_iterate_callback(note)
        solver.set_termination_callback(lambda *rest: stopped[0])
    return solver
