"""A NumPy function becomes a program: its assignments are the equations.

The function is called once on symbolic arguments. While it runs, the names that it binds to expressions are
observed, and each becomes an equation of that name; a name bound again gets a number (``z``, ``z_2``, …). A branch
that depends on a value cannot be taken symbolically, and raises.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .equations import number, unused_name
from .errors import ModelError, UnsupportedError
from .expr import Constant, Expr, Variable, as_expr
from .program import Program
from .rebuild import substitute
from .solution import Solution

__all__ = ["TracedFunction", "program", "trace"]


def trace(fun: Callable[..., Any], *example_arguments: Any, name: str | None = None, **keywords: Any) -> Program:
    """The program of an ordinary function: inputs its arguments, equations its assignments.

    Parameters
    ----------
    fun : callable
    *example_arguments, **keywords
        Numbers or arrays: their shapes are the shapes of the inputs, their values the defaults. Strings, booleans,
        None and functions are passed through.
    name : str, optional

    Returns
    -------
    Program
        ``.outputs`` names what the function returned.

    >>> import numpy as np, adjoint as adj
    >>> def area(width, height):
    ...     half = width * height / 2
    ...     return np.sqrt(half)
    >>> m = adj.trace(area, 4.0, 2.0)
    >>> list(m.equations), m.solve()["area"]
    (['half', 'area'], 2.0)
    """
    if not callable(fun):
        raise ModelError(f"trace() takes a function, got {type(fun).__name__}")
    title = str(name or getattr(inspect.unwrap(fun), "__name__", "program"))
    return _traced(fun, _bind(fun, example_arguments, keywords), (), title)


def _traced(fun: Callable[..., Any], arguments: Mapping[str, Any], static: Sequence[str], title: str) -> Program:
    """The program of a function at arguments by name; those named static, and those that are no numbers, stay."""
    m = Program(title if title.isidentifier() else "program")
    symbolic = {k: v if k in static or _is_static(v) else m.input(k, v) for k, v in arguments.items()}
    result, seen = _observe(fun, inspect.unwrap(fun), symbolic)
    _define(m, seen, result)
    return m


def _bind(fun: Callable[..., Any], args: Sequence[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    try:
        signature = inspect.signature(fun)
        bound = signature.bind(*args, **keywords)
    except (TypeError, ValueError) as error:
        raise ModelError(f"the arguments do not fit {getattr(fun, '__name__', fun)}: {error}") from None
    bound.apply_defaults()
    flat: dict[str, Any] = {}
    for label, value in bound.arguments.items():
        kind = signature.parameters[label].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            flat.update({f"{label}_{i}": v for i, v in enumerate(value)})
        elif kind is inspect.Parameter.VAR_KEYWORD:
            flat.update(value)
        else:
            flat[label] = value
    return flat


def _is_static(value: Any) -> bool:
    return value is None or isinstance(value, (str, bytes, bool, np.bool_)) or callable(value)


def _call(fun: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call with arguments by name, positional-only and starred ones too."""
    positional, named, rest = [], {}, dict(arguments)
    for label, parameter in inspect.signature(fun).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            starred = [k for k in rest if k.startswith(f"{label}_")]
            positional += [rest.pop(k) for k in starred]
        elif parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
            positional.append(rest.pop(label))
        elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            named[label] = rest.pop(label)
    return fun(*positional, **named, **rest)


def _observe(fun: Callable[..., Any], target: Any, arguments: Mapping[str, Any]) -> tuple[Any, list[tuple[str, Expr]]]:
    """Call the function; record each local name as it is bound to a new expression."""
    code = getattr(target, "__code__", None)
    seen: list[tuple[str, Expr]] = []
    current: dict[str, Any] = {}
    depth = 0

    def look(frame: Any) -> None:
        for label, value in frame.f_locals.items():
            if isinstance(value, Expr) and current.get(label) is not value:
                current[label] = value
                seen.append((label, value))

    def local(frame: Any, event: str, arg: Any) -> Any:
        nonlocal depth
        look(frame)
        if event == "return":
            depth -= 1
        return local

    def enter(frame: Any, event: str, arg: Any) -> Any:
        nonlocal depth
        if frame.f_code is code and depth == 0:
            depth += 1
            return local
        return None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        return _call(fun, arguments), seen
    finally:
        sys.settrace(before)


def _define(m: Program, seen: Sequence[tuple[str, Expr]], result: Any) -> None:
    known: dict[Expr, Expr] = {}
    names: dict[Expr, str] = {}

    def add(label: str, expr: Expr) -> str:
        if isinstance(expr, Variable):
            return expr.name
        if expr in names:
            return names[expr]
        unique = unused_name(m, label, "{0}_{1}")
        known[expr] = m.define(unique, substitute([expr], known)[0])
        names[expr] = unique
        return unique

    for label, expr in seen:
        if not isinstance(expr, Constant):
            add(label, expr)
    outputs = _labelled(result, m.name)
    if not outputs:
        raise ModelError(f"the function {m.name!r} returned nothing: a program needs an output")
    m._outputs = [add(label, as_expr(value)) for label, value in outputs]


def _labelled(result: Any, name: str) -> list[tuple[str, Any]]:
    if isinstance(result, Mapping):
        return [(str(k), v) for k, v in result.items()]
    if isinstance(result, (tuple, list)):
        return [(f"{name}_{i}", v) for i, v in enumerate(result)]
    if result is None:
        raise ModelError(f"the function {name!r} returned nothing: a program needs an output")
    return [(name, result)]


class TracedFunction:
    """A function and its program: call it with numbers for values, with expressions for a sub-expression.

    Attributes
    ----------
    program : Program
        Of the last shapes it was called with (scalars, before any call).

    >>> import adjoint as adj
    >>> square = adj.TracedFunction(lambda x: x**2)
    >>> square(3.0), square.gradient(3.0)
    (9.0, 6.0)
    """

    def __init__(self, fun: Callable[..., Any], static: Sequence[str] = ()) -> None:
        self.fun, self.static = fun, tuple(static)
        self._programs: dict[Any, Program] = {}
        self._last: Program | None = None
        self._kept: tuple[Any, Solution] | None = None
        functools.update_wrapper(self, fun)

    @property
    def program(self) -> Program:
        if self._last is None:
            parameters = inspect.signature(self.fun).parameters.values()
            self._trace({p.name: 1.0 if p.default is p.empty else p.default for p in parameters})
        assert self._last is not None
        return self._last

    def _trace(self, arguments: Mapping[str, Any]) -> tuple[Program, dict[str, Any]]:
        static = {k: v for k, v in arguments.items() if k in self.static or _is_static(v)}
        values = {k: number(v, f"argument {k!r}") for k, v in arguments.items() if k not in static}
        key = tuple((k, np.shape(v)) for k, v in values.items()), tuple((k, repr(v)) for k, v in static.items())
        if key not in self._programs:
            self._programs[key] = _traced(self.fun, {**arguments, **values}, self.static, self.fun.__name__)
        self._last = self._programs[key]
        return self._last, values

    def solution(self, *args: Any, **keywords: Any) -> Solution:
        """The solution at the arguments: all named values, multipliers and derivatives."""
        m, values = self._trace(_bind(self.fun, args, keywords))
        key = (id(m), tuple(np.asarray(v).tobytes() for v in values.values()))
        if self._kept is None or self._kept[0] != key:
            self._kept = key, m.solve(values)
        return self._kept[1]

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        if any(isinstance(a, Expr) for a in (*args, *keywords.values())):
            return self.fun(*args, **keywords)
        sol = self.solution(*args, **keywords)
        outputs = self.program.outputs
        values = [sol[name] for name in outputs]
        return values[0] if len(values) == 1 else tuple(values)

    def _single(self) -> str:
        outputs = self.program.outputs
        if len(outputs) != 1 or self.program[outputs[0]].shape:
            raise ModelError(
                f"{self.fun.__name__} has the outputs {outputs}: a gradient needs one number; "
                "use .solution(...).jacobian"
            )
        return outputs[0]

    def gradient(self, *args: Any, **keywords: Any) -> Any:
        """The gradient: of one argument itself, of several a dict by argument."""
        sol = self.solution(*args, **keywords)
        out = sol.gradient(self._single())
        return next(iter(out.values())) if len(out) == 1 else out

    def hessian(self, *args: Any, **keywords: Any) -> Any:
        """Second derivatives: of one argument itself, of several a dict by pair."""
        sol = self.solution(*args, **keywords)
        out = sol.hessian(self._single())
        return next(iter(out.values())) if len(out) == 1 else out

    def multipliers(self, *args: Any, **keywords: Any) -> dict[str, Any]:
        """λ of every assignment, by name."""
        sol = self.solution(*args, **keywords)
        return sol.multipliers(self._single())


def program(fun: Callable[..., Any] | None = None, *, static: Sequence[str] = ()) -> Any:
    """Decorator: an ordinary NumPy function becomes a program.

    Parameters
    ----------
    static : names of arguments that are not differentiated (sizes, options), passed as they are

    >>> import numpy as np, adjoint as adj
    >>> @adj.program
    ... def domke(x):
    ...     a = np.exp(x)
    ...     b = a**2
    ...     c = a + b
    ...     d = np.exp(c)
    ...     e = np.sin(c)
    ...     return d + e
    >>> round(domke(0.0), 12), round(domke.gradient(0.0), 12)
    (8.298353525756, 20.918727787151)
    >>> list(domke.program.equations)
    ['a', 'b', 'c', 'd', 'e', 'domke']
    """
    if fun is None:
        return lambda f: TracedFunction(f, static)
    if not callable(fun):
        raise UnsupportedError(f"@adjoint.program decorates a function, not {type(fun).__name__}")
    return TracedFunction(fun, static)
