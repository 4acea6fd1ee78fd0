"""What a ``.sol`` file says of a result: one table of AMPL's codes.

Duals are the change of the optimal objective per unit added to the right-hand side: the sign of the multipliers of this
library. Multipliers of bounds go back in the suffixes in which IPOPT does that, ``ipopt_zL_out`` and ``ipopt_zU_out``,
where the file asks for suffixes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ConvergenceError, Status
from ..problem import Problem
from ..solution import Solution
from .model import Model, Suffix
from .sol import SolFile

__all__ = ["CODES", "sol_of_failure", "sol_of_result", "sol_of_solution", "without_point"]

CODES = {  # a hundred each: solved, perhaps, infeasible, unbounded, limits, failed
    "optimal": 0,
    "acceptable": 1,
    "infeasible": 200,
    "unbounded": 300,
    "iteration_limit": 400,
    "time_limit": 401,
    "stopped": 402,
    "failed": 500,
    "stalled": 501,
    "restoration_failed": 502,
    "evaluation_error": 503,
}


def without_point(model: Model, message: str, code: int, objective: int = 0) -> SolFile:
    """Words and a code, without a point."""
    return SolFile(
        message,
        n_var=model.n_var,
        n_con=model.n_con,
        objective=objective,
        code=code,
        options=model.options,
        vbtol=model.vbtol,
    )


def sol_of_solution(problem: Problem, sol: Solution) -> SolFile:
    """What it says of the solution of a system of equations; its duals are 0, because there is no objective."""
    out = without_point(problem.source, sol.message, CODES["optimal"])
    out.primal, out.dual = np.array(sol["x"], dtype=float), np.zeros(problem.source.n_con)
    return out


def sol_of_failure(problem: Problem, error: ConvergenceError) -> SolFile:
    """What it says of a system of equations that was not solved: its last iterate."""
    limit = error.status is Status.ITERATION_LIMIT
    out = without_point(problem.source, error.status.value, CODES["iteration_limit" if limit else "failed"])
    out.primal = np.array(error.values["x"], dtype=float)
    return out


def sol_of_result(problem: Problem, result: Any, objective: int | str = 0) -> SolFile:
    """What a ``.sol`` file says of the result of a problem that was read from a ``.nl`` file."""
    model: Model = problem.source
    multipliers: Mapping[str, Any] = {} if result.get("multipliers") is None else result.multipliers
    words = str(result.message).strip().rstrip(".")
    if not problem.is_feasibility:
        words += f"; objective {result.fun:.10g}"
    if "nit" in result:
        words += f"\n{result.nit} iterations"
    number = (model.obj_names or []).index(objective) if isinstance(objective, str) else objective
    sol = without_point(model, words, _code(result), number)
    sol.primal = np.array(result.x, dtype=float)
    if not model.n_con:
        sol.dual = np.zeros(0)
    if not np.isfinite(result.fun):  # no multipliers there
        return sol
    dual, bounds = multipliers.get("constraints"), multipliers.get("x")
    if model.n_con and dual is not None:
        sol.dual = np.reshape(dual, -1).astype(float)
    if model.flags & 1 and bounds is not None:
        sol.suffixes = _bound_suffixes(np.reshape(bounds, -1), problem.maximize)
    return sol


def _bound_suffixes(multipliers: np.ndarray, maximize: bool) -> list[Suffix]:
    """Multipliers of lower bounds and of upper bounds, which push the other way."""
    pushes_up = multipliers < 0 if maximize else multipliers > 0
    every = np.arange(multipliers.size)
    return [
        Suffix(name, 0, True, every, np.where(side, multipliers, 0.0))
        for name, side in (("ipopt_zL_out", pushes_up), ("ipopt_zU_out", ~pushes_up))
    ]


def _code(result: Any) -> int:
    """The code of a result; SciPy's say why they ended in words only."""
    if result.status in CODES:
        return CODES[result.status]
    if result.success:
        return CODES["optimal"]
    words = str(result.message).lower()
    limit = any(word in words for word in ("limit", "maximum number"))
    return CODES["iteration_limit" if limit else "infeasible" if "infeasible" in words else "failed"]
