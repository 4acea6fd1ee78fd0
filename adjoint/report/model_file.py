"""The model in a file: what it is called, and a clear word where it does not load.

An AMPL ``.nl`` file is a problem. In a Python file, a program is looked for as ``model`` or ``model()``, else as the
one program at the top of the file; a problem as ``problem`` or ``problem()``, else as the one problem.
"""

from __future__ import annotations

import inspect
import linecache
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import closest
from ..nl.build import read_nl
from ..problem import Problem
from ..program import Program
from ..trace import TracedFunction
from .arguments import UsageError

__all__ = ["ModelFile", "as_program", "load"]

KINDS = (Program, TracedFunction, Problem)


class ModelFile:
    """A loaded file; programs and problems are made when asked for.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "square.py"
    >>> words = "import adjoint as adj\\nm = adj.Program('square')\\ny = m.define('y', m.input('x', 3.0)**2)\\n"
    >>> _ = file.write_text(words)
    >>> load(str(file)).program()
    <Program 'square': 1 inputs, 1 unknowns, 1 equations>
    """

    def __init__(self, path: Path, module: ModuleType, name: str | None) -> None:
        self.path, self.module, self.name = path, module, name
        self._made: dict[str, Any] = {}

    def program(self) -> Program | TracedFunction | Problem:
        """The program; a problem where the file has nothing else, which then stands for its program."""
        if self.name:
            return self._get(self.name)
        if "model" in vars(self.module):
            return self._get("model")
        programs = self._names((Program, TracedFunction))
        if len(programs) == 1:
            return self._get(programs[0])
        several = len(programs) > 1
        problem = None if several and "problem" not in vars(self.module) else self.problem()
        if problem is not None:
            return problem
        if several:
            raise UsageError(
                f"{self.path}: there are several programs; choose one with --name: {', '.join(programs)}"
            )
        raise UsageError(
            f"{self.path}: no program found; expected model or model() giving an adjoint.Program, a function under "
            "@adjoint.program, or any adjoint.Program at the top of the file"
        )

    def problem(self) -> Problem | None:
        """The problem, if there is one."""
        if self.name:
            made = self._get(self.name)
            return made if isinstance(made, Problem) else None
        if "problem" in vars(self.module):
            made = self._get("problem")
            if not isinstance(made, Problem):
                raise UsageError(f"{self.path}: problem is {_article(made)}, expected an adjoint.Problem")
            return made
        problems = self._names((Problem,))
        if len(problems) > 1:
            raise UsageError(
                f"{self.path}: there are several problems; choose one with --name: {', '.join(problems)}"
            )
        return self._get(problems[0]) if problems else None

    def _names(self, kinds: tuple[type, ...]) -> list[str]:
        """Public names of different objects of some kinds at the top of the file."""
        found: dict[str, Any] = {}
        for name, item in vars(self.module).items():
            if (
                isinstance(item, kinds)
                and not name.startswith("_")
                and all(item is not f for f in found.values())
            ):
                found[name] = item
        return list(found)

    def _get(self, name: str) -> Any:
        """The object of a name, called where it is a function that makes one."""
        if name not in self._made:
            if name not in vars(self.module):
                raise UsageError(f"{self.path}: {closest(name, self._choices(), 'program or problem')}")
            self._made[name] = self._resolve(name, vars(self.module)[name])
        return self._made[name]

    def _choices(self) -> list[str]:
        named = [n for n in ("model", "problem") if n in vars(self.module)]
        return list(dict.fromkeys([*named, *self._names(KINDS)]))

    def _resolve(self, name: str, item: Any) -> Any:
        if isinstance(item, KINDS):
            return item
        if callable(item):
            needed = _needed(item)
            if needed:
                raise UsageError(
                    f"{self.path}: {name}({', '.join(needed)}) needs arguments; give them defaults, or put "
                    "@adjoint.program above a function that is the model itself"
                )
            with _importable(self.path.parent):
                made = _run(self.path, item)
            if isinstance(made, KINDS):
                return made
            raise UsageError(
                f"{self.path}: {name}() gives {_article(made)}, expected an adjoint.Program or Problem"
            )
        raise UsageError(f"{self.path}: {name} is {_article(item)}, expected an adjoint.Program or Problem")


def _article(item: Any) -> str:
    return "nothing" if item is None else f"an object of type {type(item).__name__}"


def _needed(fun: Callable[..., Any]) -> list[str]:
    """Arguments without a default."""
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return []
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in free]


def load(spec: str, name: str | None = None, objective: int | str = 0, relax: bool = False) -> ModelFile:
    """Run a model file, ``FILE.py`` or ``FILE.py:NAME``, as a module that is not ``__main__``; or read ``FILE.nl``.

    Its folder can be imported from meanwhile. No bytecode of it is written. The other arguments are those of
    :func:`adjoint.read_nl`.
    """
    if Path(spec).suffix == ".nl":
        return _loaded_nl(Path(spec), name, objective, relax)
    head, colon, tail = spec.rpartition(":")
    if colon and head.endswith(".py") and not Path(spec).exists():
        if name and name != tail:
            raise UsageError(f"{spec} --name {name}: two names for one model")
        spec, name = head, tail
    path = Path(spec)
    source = _read(path)
    module = ModuleType(f"model_file_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickles look for it
    linecache.checkcache(str(path))

    def execute() -> None:
        exec(compile(source, str(path), "exec"), module.__dict__)

    with _importable(path.parent):
        _run(path, execute)
    return ModelFile(path, module, name or None)


def _loaded_nl(path: Path, name: str | None, objective: int | str, relax: bool) -> ModelFile:
    """The problem in a ``.nl`` file."""
    if name:
        raise UsageError(f"{path}: --name chooses among the models of a Python file; a .nl file has one")
    _read(path)
    module = ModuleType(f"model_file_{path.stem}")
    module.problem = read_nl(path, objective=objective, relax=relax)  # type: ignore[attr-defined]
    return ModelFile(path, module, None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        here = [p.name for p in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
        raise UsageError(f"{path}: no such file" + _beside(path.name, here)) from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder; expected a Python file with a model") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None


def _beside(name: str, here: list[str]) -> str:
    hint = closest(name, here).partition("; did you mean ")[2]
    return f"; did you mean {hint}" if hint else ""


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


def _run(path: Path, action: Callable[[], Any]) -> Any:
    """What an action of the model file gives; an error in it names the file and the line."""
    try:
        return action()
    except (Exception, SystemExit) as error:
        raise UsageError(_explained(path, error)) from error


def _explained(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        words = f"{_shown(path, error.filename)}:{error.lineno}: {type(error).__name__}: {error.msg}"
        if not error.text:
            return words
        indent = len(error.text) - len(error.text.lstrip())
        caret = " " * max((error.offset or 1) - 1 - indent, 0) + "^"
        return f"{words}\n    {error.text.strip()}\n    {caret}"
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, SystemExit):
        what = "the file ended the program (sys.exit) while it was loaded"
    folder = path.parent.resolve()
    own = [
        f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve().parent == folder
    ]
    if not own:
        return f"{path}: {what}"
    line = f"\n    {own[-1].line}" if own[-1].line else ""
    return f"{_shown(path, own[-1].filename)}:{own[-1].lineno}: {what}{line}"


def _shown(path: Path, file: str) -> str:
    """A file as the user wrote it, where it is the model's own."""
    return str(path) if Path(file).resolve() == path.resolve() else file


def as_program(
    found: Program | TracedFunction | Problem, values: Mapping[str, Any], structure_only: bool = False
) -> tuple[Program, dict[str, Any]]:
    """The program behind whatever a file has, and the values to give to its solve.

    A function is traced with the values and the defaults of its arguments (with ``structure_only``, 1 for those
    without). A problem stands for its program, with the unknowns that its optimizer moves as inputs.

    >>> import adjoint as adj
    >>> square = adj.program(lambda x, n=2: x**n)
    >>> m, given = as_program(square, {"x": 3.0})
    >>> m.solve(given)["program"]
    9.0
    """
    if isinstance(found, TracedFunction):
        return _traced(found, values, structure_only)
    if isinstance(found, Problem):
        program = found.program.extended()
        for v in found.variables:
            if v not in program.inputs:  # the optimizer's: given, for a solve
                program.inputs[v] = program.guesses.get(v)
        return program, dict(values)
    return found, dict(values)


def _traced(
    found: TracedFunction, values: Mapping[str, Any], structure_only: bool
) -> tuple[Program, dict[str, Any]]:
    parameters, title = inspect.signature(found.fun).parameters, getattr(found, "__name__", "the function")
    for name in values:
        if name not in parameters:
            raise UsageError(f"--set {name}: {closest(name, parameters, f'argument of {title}')}")
    arguments = {}
    for name, p in parameters.items():
        if name in values:
            arguments[name] = values[name]
        elif p.default is not p.empty:
            arguments[name] = p.default
        elif p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        elif structure_only:
            arguments[name] = 1.0
        else:
            raise UsageError(f"no value for the argument {name!r} of {title}: give --set {name}=...")
    code = getattr(inspect.unwrap(found.fun), "__code__", None)
    return _run(Path(code.co_filename if code else title), lambda: found._trace(arguments))
