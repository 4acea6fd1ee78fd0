"""Solutions in AMPL's ``.sol`` files, of problems that were read from ``.nl`` files."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConvergenceError, Status
from ..nl.model import Model
from ..nl.sol import SolFile, write_sol
from ..problem import Problem
from ..solution import Solution

__all__ = ["write_failure", "write_result", "write_solution"]

SOLVED, LIMIT, FAILED = 0, 400, 500  # AMPL's codes


def write_solution(path: str, problem: Problem, sol: Solution) -> None:
    """The solution of a system of equations; its duals are 0, because there is no objective."""
    _write(path, problem, sol.message, SOLVED, sol["x"], np.zeros(problem.source.n_con))


def write_failure(path: str, problem: Problem, error: ConvergenceError) -> None:
    """The last iterate of a system of equations that was not solved."""
    code = LIMIT if error.status is Status.ITERATION_LIMIT else FAILED
    _write(path, problem, error.status.value, code, error.values["x"], None)


def write_result(path: str, problem: Problem, result: Any, objective: int | str = 0) -> None:
    """The optimum of a problem, and its multipliers."""
    message = str(result.message).strip()
    limit = any(word in message.lower() for word in ("limit", "maximum number"))
    code = SOLVED if result.success else LIMIT if limit else FAILED
    dual = (result.get("multipliers") or {}).get("constraints")
    _write(path, problem, message, code, result.x, dual, objective)


def _write(path: str, problem: Problem, message: str, code: int, x: Any, dual: Any, objective: int | str = 0) -> None:
    model: Model = problem.source
    number = (model.obj_names or []).index(objective) if isinstance(objective, str) else objective
    write_sol(
        path,
        SolFile(
            f"adjoint: {message}",
            np.asarray(x, dtype=float),
            None if dual is None else np.asarray(dual, dtype=float),
            model.n_var,
            model.n_con,
            number,
            code,
            model.options,
            model.vbtol,
        ),
    )
