"""Solvers of ``.nl`` files, from the file to the optimum: the library's methods, and its peers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import adjoint as adj
from adjoint.optimize import OPTIMIZERS

__all__ = ["PEERS", "SMALL_ONLY", "SOLVERS", "Answer", "available"]


@dataclass
class Answer:
    """What a solver said: its point, a status of :mod:`adjoint.optimize.outcome`, iterations, and words."""

    x: np.ndarray
    status: str
    iterations: int
    message: str = ""
    duals: np.ndarray | None = None


def adjoint_(path: Path, method: str) -> Answer:
    """A method of ``Problem.solve``."""
    result = adj.read_nl(path).solve(method)
    status = result.status if isinstance(result.status, str) else _word(result)
    multipliers = result.get("multipliers")
    duals = None if multipliers is None or not np.isfinite(result.fun) else multipliers.get("constraints")
    return Answer(np.asarray(result.x), status, int(result.get("nit", 0)), str(result.message), duals)


def _word(result: Any) -> str:
    """SciPy's statuses are numbers of each method's own."""
    if result.success:
        return "optimal"
    words = str(result.message).lower()
    return "iteration_limit" if "limit" in words or "maximum number" in words else "failed"


def casadi_ipopt(path: Path) -> Answer:
    """IPOPT with CasADi's derivatives."""
    import casadi as ca

    builder = ca.NlpBuilder()
    builder.import_nl(str(path))
    nlp = {"x": ca.vcat(builder.x), "f": builder.f, "g": ca.vcat(builder.g)}
    options = {"ipopt": {"print_level": 0, "sb": "yes"}, "print_time": False, "error_on_fail": False}
    solver = ca.nlpsol("solver", "ipopt", nlp, options)
    found = solver(x0=builder.x_init, lbx=builder.x_lb, ubx=builder.x_ub, lbg=builder.g_lb, ubg=builder.g_ub)
    stats = solver.stats()
    words = {
        "Solve_Succeeded": "optimal",
        "Solved_To_Acceptable_Level": "acceptable",
        "Feasible_Point_Found": "optimal",
        "Infeasible_Problem_Detected": "infeasible",
        "Diverging_Iterates": "unbounded",
        "Maximum_Iterations_Exceeded": "iteration_limit",
        "Invalid_Number_Detected": "evaluation_error",
    }
    said = stats["return_status"]
    x, duals = np.array(found["x"]).reshape(-1), -np.array(found["lam_g"]).reshape(-1)
    return Answer(x, words.get(said, "failed"), stats["iter_count"], said, duals)


def pounce_native(path: Path) -> Answer:
    """POUNCE with its own reader and derivatives."""
    import pounce

    problem = pounce.read_nl(str(path))
    ((x, info),) = pounce.solve_nlp_batch([problem], parallel=False)
    words = {0: "optimal", 1: "acceptable", 2: "infeasible", 4: "unbounded", 6: "optimal", -1: "iteration_limit"}
    said = info.get("status_msg", b"")
    status = words.get(int(info["status"]), "failed")
    count = info.get("iter_count", info.get("iterations", 0))
    text = said.decode() if isinstance(said, bytes) else str(said)
    return Answer(np.asarray(x), status, int(count), text, -np.asarray(info["mult_g"]))


PEERS: dict[str, tuple[str, Callable[[Path], Answer]]] = {
    "IPOPT (CasADi)": ("casadi", casadi_ipopt),
    "POUNCE": ("pounce", pounce_native),
}
SMALL_ONLY = ("augmented-lagrangian", "sqp", "SLSQP", "trust-constr")  # where n <= 50
SOLVERS: dict[str, Callable[[Path], Answer]] = {
    "interior-point": functools.partial(adjoint_, method="interior-point"),
    **{name: call for name, (_, call) in PEERS.items()},
    "ipopt": functools.partial(adjoint_, method="ipopt"),
    "pounce": functools.partial(adjoint_, method="pounce"),
    **{name: functools.partial(adjoint_, method=name) for name in SMALL_ONLY},
}
PACKAGES = {"ipopt": "cyipopt", "pounce": "pounce", **{name: package for name, (package, _) in PEERS.items()}}


def available(name: str) -> bool:
    """Whether a solver can run here."""
    package = PACKAGES.get(name)
    if package is not None:
        try:
            __import__(package)
        except ImportError:
            return False
    return name in PEERS or name in OPTIMIZERS
