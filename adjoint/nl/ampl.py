"""The command line of AMPL's solvers: ``adjoint model -AMPL key=value ...`` solves model.nl and writes model.sol.

The conventions are those of D. M. Gay, "Hooking your solver to AMPL" (1997): options are ``key=value``, in the
environment variable ``adjoint_options`` and, with more weight, on the command line.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from ..errors import AdjointError, ModelError
from .answers import CODES, sol_of_result, without_point
from .build import problem_from_model
from .model import Model
from .read import read_model
from .sol import SolFile, write_sol

__all__ = ["Request", "is_asked", "request", "run", "solve_model"]

ENVIRONMENT = "adjoint_options"
FLAG = "-AMPL"

REFUSED = 520  # an option or a model that cannot be taken

NO_MESSAGE = 8  # of the bits of wantsol: nothing on the terminal

HELP = """\
method=NAME          interior-point (default), or another method of Problem.solve
formulation=WORD     reduced (default: defined variables are eliminated) or full
objno=N              which objective, from 1; 0: any feasible point
relax=yes            leave out integrality, complementarity and logical constraints
tol=X                tolerance
wantsol=8            no message on the terminal
warm_start_init_point=yes   start from the duals of the file and the suffixes ipopt_zL_in, ipopt_zU_in
Every other key is an option of the method, such as max_iter=200 or print_level=5."""


@dataclass
class Request:
    """What the options ask for; ``options`` are those of the method."""

    method: str = "interior-point"
    formulation: str = "reduced"
    objno: int = 1
    relax: bool = False
    tol: float | None = None
    wantsol: int = 0
    warm_start_init_point: bool = False
    options: dict[str, Any] = field(default_factory=dict)


def is_asked(arguments: Sequence[str]) -> bool:
    """Whether arguments are those of an AMPL solver: ``-AMPL`` after the model, or the questions ``-v`` and ``-=``.

    >>> is_asked(["model", "-AMPL", "tol=1e-6"]), is_asked(["-v"]), is_asked(["solve", "model.nl"])
    (True, True, False)
    """
    return list(arguments[1:2]) == [FLAG] or list(arguments) in (["-v"], ["-="])


def run(arguments: Sequence[str], version: str) -> int:
    """Do what an AMPL solver is asked; the exit code is 0 whenever the ``.sol`` file tells how the solve ended."""
    if arguments[0] in ("-v", "-="):
        print(f"adjoint {version}" if arguments[0] == "-v" else HELP)
        return 0
    stub = Path(arguments[0]).with_suffix("") if arguments[0].endswith(".nl") else Path(arguments[0])
    path, answer = stub.with_name(stub.name + ".nl"), stub.with_name(stub.name + ".sol")
    banner = f"adjoint {version}: "
    try:
        model = read_model(path)
    except (AdjointError, OSError) as error:
        print(banner + str(error), file=sys.stderr)
        return 2
    code = 0
    try:
        asked = request(os.environ.get(ENVIRONMENT, ""), arguments[2:])
        sol = solve_model(model, asked)
        quiet = asked.wantsol & NO_MESSAGE
    except AdjointError as error:
        print(banner + str(error), file=sys.stderr)
        sol, quiet, code = without_point(model, str(error), REFUSED), NO_MESSAGE, 1
    sol.message = banner + sol.message
    write_sol(answer, sol, binary=model.binary)
    if not quiet:
        print(sol.message, flush=True)
    return code


# -- options ---------------------------------------------------------------------------------------------------------


def request(environment: str, arguments: Sequence[str] = ()) -> Request:
    """What the environment variable and the arguments ask for; the last word on a key counts.

    >>> asked = request("max_iter=50 tol=1e-6", ["max_iter=20", "mu_strategy", "adaptive"])
    >>> asked.tol, asked.options
    (1e-06, {'max_iter': 20, 'mu_strategy': 'adaptive'})
    """
    own = {f.name: f for f in fields(Request) if f.name != "options"}
    found: dict[str, Any] = {}
    for key, text in (*_pairs(shlex.split(environment)), *_pairs(arguments)):
        found[key] = _value(text)
    asked = Request(options={key: value for key, value in found.items() if key not in own})
    for key, value in found.items():
        if key in own:
            setattr(asked, key, _of_kind(key, value, getattr(Request, key)))
    if asked.warm_start_init_point and asked.method.lower() == "ipopt":
        asked.options["warm_start_init_point"] = "yes"
    return asked


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Keys and values of ``key=value`` and of ``key value``."""
    pairs, rest = [], list(words)
    while rest:
        key, sign, value = rest.pop(0).partition("=")
        if not sign:
            if not rest:
                raise ModelError(f"option {key!r}: expected {key}=value")
            value = rest.pop(0)
        pairs.append((key.strip(), value.strip().strip("\"'")))
    return pairs


def _value(text: str) -> Any:
    """A number, or a text.

    >>> _value("200"), _value("1e-9"), _value("yes")
    (200, 1e-09, 'yes')
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) else text


def _of_kind(key: str, value: Any, default: Any) -> Any:
    """A value in the type of a default."""
    words = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}
    if isinstance(default, bool):
        if str(value).lower() not in words:
            raise ModelError(f"option {key}={value}: expected yes or no")
        return words[str(value).lower()]
    if isinstance(default, str):
        return str(value)
    kind = int if isinstance(default, int) else float
    if not isinstance(value, int | float) or kind(value) != value or value < 0:
        raise ModelError(f"option {key}={value}: expected {'a whole number' if kind is int else 'a positive number'}")
    return kind(value)


# -- solving ---------------------------------------------------------------------------------------------------------


def solve_model(model: Model, asked: Request) -> SolFile:
    """Solve what a file says.

    >>> import tempfile
    >>> import adjoint as adj
    >>> m = adj.Program("small")
    >>> x = m.input("x", [1.0, 2.0])
    >>> problem = adj.Problem(m, minimize=x[0] ** 2 + x[1] ** 2, subject_to={"sum": x[0] + x[1] >= 2})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     problem.write_nl(f"{folder}/small.nl")
    ...     sol = solve_model(read_model(f"{folder}/small.nl"), Request())
    >>> sol.status, sol.primal.round(6).tolist(), sol.dual.round(6).tolist()
    ('solved', [1.0, 1.0], [2.0])
    """
    if asked.objno > max(model.n_obj, 1):
        raise ModelError(f"option objno={asked.objno}: the file has {model.n_obj} objectives")
    crossed = _crossed(model)
    if crossed:
        return without_point(model, crossed, CODES["infeasible"])
    chosen = model if asked.objno else replace(model, n_obj=0)
    problem = problem_from_model(chosen, objective=max(asked.objno - 1, 0), relax=asked.relax)
    result = problem.solve(
        asked.method,
        start=_start(model) if asked.warm_start_init_point else None,
        options=asked.options,
        tol=asked.tol,
        formulation=asked.formulation,
    )
    return sol_of_result(problem, result, max(asked.objno - 1, 0))


def _crossed(model: Model) -> str:
    """Words on a lower bound above its upper bound, which no point satisfies; empty where there is none."""
    for kind, lower, upper, names in (
        ("variable", model.var_lower, model.var_upper, model.var_names),
        ("constraint", model.con_lower, model.con_upper, model.con_names),
    ):
        for i in np.flatnonzero(lower > upper)[:1].tolist():
            name = names[i] if names else f"{kind} {i}"
            return f"infeasible: the lower bound of {name}, {lower[i]:g}, is above its upper bound, {upper[i]:g}"
    return ""


def _start(model: Model) -> Any:
    """The start values of a file with its duals, as a previous result."""
    bounds = np.zeros(model.n_var)
    for s in model.suffixes:
        if s.kind == 0 and s.name in ("ipopt_zL_in", "ipopt_zU_in"):
            bounds[s.index] += s.value
    return scipy.optimize.OptimizeResult(x=model.x0, multipliers={"constraints": model.dual0, "x": bounds})
