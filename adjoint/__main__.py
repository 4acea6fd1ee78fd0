"""The command line: ``adjoint solve|gradient|optimize|check|graph MODEL``, also ``python -m adjoint``.

``adjoint MODEL -AMPL key=value ...`` is that of AMPL's solvers (:mod:`~adjoint.nl.ampl`).

Exit codes: 0 done; 1 the model failed (not solved, not optimal, structure or derivatives wrong); 2 wrong usage, or
a model file that does not load.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import __version__
from .errors import (
    AdjointError,
    ConvergenceError,
    FileFormatError,
    ModelError,
    NameLookupError,
    ShapeError,
    UnsupportedError,
    closest,
)
from .nl import SolFile, ampl, write_sol
from .nl.answers import sol_of_failure, sol_of_result, sol_of_solution
from .nonlinear import METHODS
from .optimize import OPTIMIZERS
from .problem import Problem
from .program import Program
from .report.arguments import UsageError, assignments
from .report.dot import dot
from .report.graph_picture import draw_graph
from .report.json_ import dumps, error_data, graph_data, plain, result_data, solution_data
from .report.labels import Labels, element_values
from .report.matrix_picture import draw_matrix
from .report.model_file import ModelFile, as_program, load
from .report.nl_summary import summary
from .report.options import ROWS, parser
from .report.progress import progress
from .report.requests import made_problem, objective, options, require_names, set_inputs
from .report.tables import gradient_text, result_text, solution_text
from .solution import Solution
from .system import equality_system

__all__ = ["main"]

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

ASKED_WRONGLY = (UsageError, FileFormatError, ModelError, NameLookupError, ShapeError, UnsupportedError)


@dataclass(frozen=True)
class Outcome:
    """What a command found: the exit code, and the same as text and as data."""

    code: int
    text: str
    data: dict[str, Any] = field(default_factory=dict)


# -- commands ----------------------------------------------------------------------------------------------


def _load(args: argparse.Namespace) -> ModelFile:
    return load(args.model, args.name, _objective(args), args.relax)


def _objective(args: argparse.Namespace) -> int | str:
    return int(args.objective) if args.objective.isdecimal() else args.objective


def _write_sol(path: str, sol: SolFile) -> None:
    write_sol(path, replace(sol, message=f"adjoint {__version__}: {sol.message}"))


def _program(args: argparse.Namespace, structure_only: bool = False) -> tuple[Program, dict[str, Any]]:
    """The program of the file, and the values from --set, of names that it has."""
    values = assignments(args.set)
    program, given = as_program(_load(args).program(), values, structure_only)
    require_names(program, given)
    return program, given


def _solved(args: argparse.Namespace, program: Program, values: Mapping[str, Any]) -> Solution:
    if args.method is not None and args.method not in METHODS:
        raise UsageError(f"--method: {closest(args.method, METHODS, 'method for cycles')}")
    start = assignments(args.start, "--start")
    tol = {"tol": args.tol} if args.tol is not None else {}
    return program.solve(values, start=start or None, method=args.method or "auto", **tol)


def _rows(args: argparse.Namespace) -> int | None:
    return None if args.all else ROWS


def solve(args: argparse.Namespace) -> Outcome:
    """``adjoint solve``."""
    found = _load(args).program()
    if isinstance(found, Problem) and (found.is_feasibility or found.source is not None):
        return _solve_system(args, found)
    if args.sol:
        raise UsageError("--sol goes with a .nl file")
    program, values = as_program(found, assignments(args.set))
    require_names(program, values)
    sol = _solved(args, program, values)
    return Outcome(DONE, solution_text(program, sol, _rows(args)), solution_data(program, sol))


def _solve_system(args: argparse.Namespace, problem: Problem) -> Outcome:
    """Solve the equality constraints of a problem without an objective."""
    if not problem.is_feasibility:
        raise UsageError(f"{args.model}: it has an objective; solve is for systems of equations, see adjoint optimize")
    if args.sol and problem.source is None:
        raise UsageError("--sol goes with a .nl file")
    values = assignments(args.set)
    with Labels(*equality_system(problem)).in_errors():
        program = problem.system()
        require_names(program, values)
        try:
            sol = _solved(args, program, values)
        except ConvergenceError as error:
            if args.sol:
                _write_sol(args.sol, sol_of_failure(problem, error))
            raise
    elements = element_values(problem, sol) if problem.source is not None or problem.labels else None
    if args.sol:
        _write_sol(args.sol, sol_of_solution(problem, sol))
    data = solution_data(program, sol) | ({} if elements is None else {"variables": elements})
    return Outcome(DONE, solution_text(program, sol, _rows(args), elements), data)


def gradient(args: argparse.Namespace) -> Outcome:
    """``adjoint gradient``."""
    program, values = _program(args)
    sol = _solved(args, program, values)
    label, of, value = objective(program, sol, args.of)
    names = [n.strip() for n in args.wrt.split(",") if n.strip()] if args.wrt else None
    found = sol.gradient(of, wrt=names)
    multipliers = None
    if args.multipliers:
        every = sol.multipliers(of)
        multipliers = {name: every[name] for name in program.equations}
    data = {
        "program": program.name,
        "success": True,
        "of": label,
        "value": plain(value),
        "gradient": plain(found),
    }
    if multipliers is not None:
        data["multipliers"] = plain(multipliers)
    return Outcome(DONE, gradient_text(label, value, found, multipliers, _rows(args)), data)


def optimize(args: argparse.Namespace) -> Outcome:
    """``adjoint optimize``."""
    problem, values = _problem(args)
    if args.sol and problem.source is None:
        raise UsageError("--sol goes with a .nl file")
    moved = {v.name for v in problem.variables}
    start = {k: v for k, v in {**values, **assignments(args.start, "--start")}.items() if k in moved}
    set_inputs(problem.program, {k: v for k, v in values.items() if k not in moved})
    for name in assignments(args.start, "--start"):
        if name not in moved:
            raise UsageError(f"--start {name}: {closest(name, moved, 'variable to optimize over')}")
    by_key = {name.lower(): name for name in OPTIMIZERS}
    if args.method is not None and args.method.lower() not in by_key:
        raise UsageError(f"--method: {closest(args.method, OPTIMIZERS, 'optimization method')}")
    method = by_key.get((args.method or "SLSQP").lower(), "SLSQP")
    keywords = {key: getattr(args, key) for key in ("tol", "seed") if getattr(args, key) is not None}
    with progress(f"{problem.program.name}, {method}", not args.quiet, -1.0 if problem.maximize else 1.0) as callback:
        result = problem.solve(
            method,
            start=start or None,
            options=options(args.option),
            callback=callback,
            formulation=args.formulation,
            **keywords,
        )
    if args.sol:
        _write_sol(args.sol, sol_of_result(problem, result, _objective(args)))
    text = result_text(problem, result, method, _rows(args))
    return Outcome(DONE if result.success else FAILED, text, result_data(problem, result, method))


def _problem(args: argparse.Namespace) -> tuple[Problem, dict[str, Any]]:
    """The problem of the file, or one made of its program and --minimize, --over, --subject-to."""
    file, values = _load(args), assignments(args.set)
    asked = args.minimize or args.maximize
    if asked is None:
        problem = file.problem()
        if problem is None:
            raise UsageError(f"{file.path}: no problem found; give --minimize NAME (or --maximize) and --over BOUNDS")
        if args.over or args.subject_to:
            raise UsageError("--over and --subject-to go with --minimize or --maximize; the file's problem has its own")
        program = problem.program
    else:
        program, values = as_program(file.program(), values)
        sense = "minimize" if args.minimize else "maximize"
        problem = made_problem(program, sense, asked, args.over, args.subject_to)
    require_names(program, values)
    return problem, values


def check(args: argparse.Namespace) -> Outcome:
    """``adjoint check``."""
    found = _load(args).program()
    program, values = as_program(found, assignments(args.set), structure_only=not args.derivatives)
    require_names(program, values)
    if isinstance(found, Problem) and found.source is not None:
        about = summary(found)
        text, data, ok = str(about), about.data, about.ok
    else:
        report = program.check()
        text, data, ok = str(report), plain(report), report.ok
        data = {"program": data.pop("name"), "success": ok, **data}
    if args.derivatives:
        if ok:
            sol = _solved(args, program, values)
            label, of, _ = objective(program, sol, args.derivatives)
            compared = sol.check_derivatives(of)
            ok = compared.ok
            text += "\n" + str(compared)
            data.update(derivatives=plain(compared), success=ok)
            data["derivatives"]["of"] = label
        else:
            text += "\nderivatives: not checked, because the structure is wrong"
    return Outcome(DONE if ok else FAILED, text, data)


def graph(args: argparse.Namespace) -> Outcome:
    """``adjoint graph``."""
    program, _ = _program(args, structure_only=True)
    text, written = dot(program), []
    for path, write in (
        (args.picture, lambda path: draw_graph(program, path)),
        (args.matrix, lambda path: draw_matrix(program, path)),
        (args.output, lambda path: Path(path).write_text(text + "\n", encoding="utf-8")),
    ):
        if path:
            try:
                write(path)
            except OSError as error:
                raise UsageError(f"{path}: {error.strerror or error}") from None
            written.append(path)
    data = {**graph_data(program), "files": written}
    return Outcome(DONE, "\n".join(f"wrote {path}" for path in written) or text, data)


COMMANDS: dict[str, Callable[[argparse.Namespace], Outcome]] = {
    "solve": solve,
    "gradient": gradient,
    "optimize": optimize,
    "check": check,
    "graph": graph,
}

# -- running -----------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "square.py"
    >>> words = "import adjoint as adj\\nm = adj.Program('square')\\ny = m.define('y', m.input('x', 3.0)**2)\\n"
    >>> _ = file.write_text(words)
    >>> main(["gradient", str(file), "--set", "x=4"])
    y = 16
    <BLANKLINE>
    input  dy/dinput
    x      8
    0
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if ampl.is_asked(words):
        return ampl.run(words, __version__)
    try:
        args = parser(__version__).parse_args(words)
    except SystemExit as exit_:  # argparse has said why
        return exit_.code if isinstance(exit_.code, int) else USAGE
    outcome = _guarded(args)
    if args.json:
        return _print(dumps({"command": args.command, **outcome.data}), outcome.code)
    wanted = outcome.text and (not args.quiet or _is_the_product(args))
    return _print(outcome.text, outcome.code) if wanted else outcome.code


def _is_the_product(args: argparse.Namespace) -> bool:
    """Whether the text is what was asked for, rather than a report: DOT on stdout."""
    return args.command == "graph" and not (args.output or args.picture or args.matrix)


def _guarded(args: argparse.Namespace) -> Outcome:
    """Run the command; errors and warnings become one message each on stderr, as does all that a model prints."""
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(sys.stderr):
        try:
            outcome = COMMANDS[args.command](args)
        except KeyboardInterrupt:
            return _failed(args, INTERRUPTED, "interrupted", KeyboardInterrupt("interrupted"))
        except ASKED_WRONGLY as error:
            outcome = _failed(args, USAGE, str(error), error)
        except (AdjointError, OSError) as error:
            outcome = _failed(args, FAILED, str(error), error)
        except Exception as error:
            hint = "" if args.debug else " (--debug shows where)"
            outcome = _failed(args, FAILED, f"{type(error).__name__}: {error}{hint}", error)
    said = list(dict.fromkeys(str(w.message) for w in caught))
    if not args.quiet:
        for words in said:
            print(f"adjoint: warning: {words}", file=sys.stderr)
    return Outcome(outcome.code, outcome.text, {**outcome.data, "warnings": said})


def _failed(args: argparse.Namespace, code: int, words: str, error: BaseException) -> Outcome:
    if args.debug:
        traceback.print_exception(error)
    print(f"adjoint: {words}", file=sys.stderr)
    return Outcome(code, "", error_data(error))


def _print(text: str, code: int) -> int:
    """Print to stdout in the characters it has; a reader that has gone, as in ``adjoint ... | head``, is no error."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
    return code


if __name__ == "__main__":
    sys.exit(main())
