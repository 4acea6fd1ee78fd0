"""Callbacks and statuses of solvers with the Python interface of cyipopt: IPOPT, POUNCE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import EvaluationError, ModelError
from .driver import WarmStart
from .nlp import NonlinearProgram
from .outcome import NLPOutcome

__all__ = ["Callbacks", "solve_in_style"]

# Codes of IPOPT's ApplicationReturnStatus.
STATUS = {
    0: "optimal",
    1: "acceptable",
    2: "infeasible",
    3: "acceptable",  # search direction becomes too small: checked below
    4: "unbounded",  # diverging iterates
    5: "stopped",
    6: "optimal",  # feasible point of a square problem
    -1: "iteration_limit",
    -2: "failed",
    -4: "time_limit",
    -5: "time_limit",
    -13: "evaluation_error",
}
SMALL_STEP = 3


class Callbacks:
    """The functions of a nonlinear program under the names that the solvers call."""

    def __init__(self, nlp: NonlinearProgram, callback: Callable[..., Any] | None, failed: type[Exception]) -> None:
        self._nlp, self._callback, self._failed = nlp, callback, failed
        self.iterations = 0
        self.evaluations = dict.fromkeys(("objective", "gradient", "constraints", "jacobian", "hessian"), 0)
        self.problem: str | None = None  # the last failure
        if nlp.hessian_pattern is not None:  # the solvers ask whether the object has them
            self.hessian, self.hessianstructure = self._hessian, self._hessianstructure

    def _call(self, name: str, *args: Any) -> Any:
        self.evaluations[name] += 1
        try:
            return getattr(self._nlp, name)(*args)
        except EvaluationError as error:
            self.problem = str(error)
            raise self._failed(self.problem) from error

    def objective(self, x: np.ndarray) -> float:
        return float(self._call("objective", x.copy()))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return self._call("gradient", x.copy())  # type: ignore[no-any-return]

    def constraints(self, x: np.ndarray) -> np.ndarray:
        return self._call("constraints", x.copy())  # type: ignore[no-any-return]

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        return self._call("jacobian", x.copy())  # type: ignore[no-any-return]

    def jacobianstructure(self) -> tuple[np.ndarray, np.ndarray]:
        return self._nlp.jacobian_pattern

    def _hessian(self, x: np.ndarray, y: np.ndarray, sigma: float) -> np.ndarray:
        return self._call("hessian", x.copy(), float(sigma), y.copy())  # type: ignore[no-any-return]

    def _hessianstructure(self) -> tuple[np.ndarray, np.ndarray]:
        assert self._nlp.hessian_pattern is not None
        return self._nlp.hessian_pattern

    def intermediate(self, mode: int, iteration: int, objective: float, primal: float, dual: float, *rest: Any) -> bool:
        self.iterations = int(iteration)
        if self._callback is None:
            return True
        record = {"nit": int(iteration), "fun": float(objective), "primal": float(primal), "dual": float(dual)}
        try:
            return not self._callback(record)
        except StopIteration:
            return False


def solve_in_style(
    problem_class: Callable[..., Any],
    failed: type[Exception],
    nlp: NonlinearProgram,
    options: Mapping[str, Any],
    callback: Callable[..., Any] | None,
    start: WarmStart | None,
    tol: float | None,
) -> NLPOutcome:
    """Solve by a class with the interface of ``cyipopt.Problem``; the options are the solver's own."""
    functions = Callbacks(nlp, callback, failed)
    problem = problem_class(
        n=nlp.n,
        m=nlp.m,
        problem_obj=functions,
        lb=nlp.lower,
        ub=nlp.upper,
        cl=nlp.constraint_lower,
        cu=nlp.constraint_upper,
    )
    settings: dict[str, Any] = {"print_level": 0, "sb": "yes", **({} if tol is None else {"tol": tol}), **options}
    if nlp.hessian_pattern is None:
        settings.setdefault("hessian_approximation", "limited-memory")
    if start is not None:
        settings.setdefault("warm_start_init_point", "yes")
    for name, value in settings.items():
        try:
            problem.add_option(name, value)
        except Exception as error:
            if name != "sb":  # of IPOPT's banner, which others may not have
                raise ModelError(f"option {name!r} = {value!r} was refused: {error}") from None
    initial = () if start is None else (start.y, start.z_lower, start.z_upper)
    x, info = problem.solve(nlp.x0.copy(), *(np.array(part) for part in initial))
    status = int(info["status"])
    word = STATUS.get(status, "failed")
    if status == SMALL_STEP and functions.problem is not None:
        word = "failed"
    text = info.get("status_msg", b"")
    message = text.decode() if isinstance(text, bytes) else str(text)
    if functions.problem is not None and word != "optimal":
        message += f" (the last evaluation that failed: {functions.problem})"
    y, z_lower, z_upper = (np.asarray(info[key], dtype=float) for key in ("mult_g", "mult_x_L", "mult_x_U"))
    return NLPOutcome(np.asarray(x), y, z_lower, z_upper, word, message, functions.iterations, functions.evaluations)
