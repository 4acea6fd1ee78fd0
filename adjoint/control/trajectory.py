"""``trajectory``: a differential equation in a program, by shooting or by collocation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import ModelError, NameLookupError, ShapeError, UnsupportedError, closest
from ..expr import Constant, Expr, as_expr
from ..loops.tableaux import TABLEAUX, Tableau, tableau
from ..primitives.indexing import concatenate
from ..problem import Constraint, between
from ..program import Program
from .collocation import collocate
from .dynamics import Dynamics, Pieces, check_index, with_axis
from .grid import Grid, make_grid
from .guess import make_guess
from .path import Trajectory
from .shooting import integrate
from .steps import StageEquations, stage_equations

__all__ = ["trajectory"]

DEFAULT_METHODS = {"single-shooting": "rk4", "multiple-shooting": "rk4", "collocation": "radau5"}
Bounds = dict[str, tuple[Any, Any]]


def trajectory(
    program: Program,
    fun: Callable[..., Any],
    t: Any,
    start: Mapping[str, Any],
    controls: Mapping[str, Any] | None = None,
    *,
    transcription: str = "collocation",
    method: Any = None,
    segments: int | None = None,
    substeps: int = 1,
    algebraic: Mapping[str, Any] | None = None,
    bounds: Mapping[str, tuple[Any, Any]] | None = None,
    guess: Any = "simulate",
    prefix: str = "",
) -> Trajectory:
    """The solution of ``y' = fun(t, y, u)`` from a start, as equations of a program.

    What is unknown depends on the transcription; the expressions that are given have the same meaning in all of them:

    - ``"single-shooting"``: nothing; the states are explicit, one loop over the steps.
    - ``"multiple-shooting"``: the starts of segments, which are integrated side by side, with equations
      ``x: continuity``.
    - ``"collocation"``: the states at all nodes of an implicit method, with equations ``x: collocation`` (and
      ``x: continuity``, where the last node is not the end of a step).

    Parameters
    ----------
    program : Program
    fun : callable
        ``fun(t, y, u)`` gives the derivative of each state: a dict by name, or a list in the order of ``start``. ``t``,
        and the pieces ``y["x"]`` and ``u["force"]``, are arrays over many points of time at once: what is done to them
        is elementwise. A state that is a vector has its elements on the last axis: ``y["q"][..., 0]``.
    t : array or expression
        N + 1 times: those of the mesh. For a free end ``T * np.linspace(0, 1, N + 1)``.
    start : dict
        Each state's value at ``t[0]``, a number or vector, or an expression.
    controls : dict, optional
        By name expressions or arrays: ``(N,)`` constant in each interval, ``(N + 1,)`` linear between the times,
        ``(N, s)`` a value at each of the s nodes of each interval.
    transcription : str
    method : str or tableau, optional
        As for :func:`adjoint.ode`, "bdf" excepted; collocation needs an implicit one. Default: "rk4" for shooting,
        "radau5" for collocation.
    segments : int, optional
        Of multiple shooting: a divisor of N; default N.
    substeps : int
        Steps of the method in each interval.
    algebraic : dict, optional
        Algebraic variables ``z`` and where the search for them starts: they are further pieces of ``y``. What ``fun``
        gives under such a name is zero, ``0 = g(t, y, z, u)``, at all nodes; it must determine ``z`` (index 1).
    bounds : dict, optional
        ``{"x": (lower, upper)}``: bounds of the unknowns that stand for a state or algebraic variable, which are bounds
        of variables in the full space. Where points of the mesh are not unknown, ``limits`` of the result has
        constraints that say the same.
    guess : "simulate" or dict
        Where unknowns start: a simulation with all inputs at their defaults, or numbers by name: one, or rows at equal
        distances in time, between which it is linear. States that are not named stay at their start.
    prefix : str
        Before all names in the program, for programs with several trajectories.

    Returns
    -------
    Trajectory
        ``path["x"]`` is an expression, ``(N + 1, *shape)``, and a variable of the program named ``x`` has its value.

    Examples
    --------
    The least ``∫ u²/2`` that moves a mass from rest to rest, from 0 to 1, is 6:

    >>> import numpy as np, adjoint as adj
    >>> def shortest(transcription):
    ...     m = adj.Program("mass")
    ...     u = m.input("u", np.zeros(21))
    ...     path = adj.trajectory(m, lambda t, y, u: {"x": y["v"], "v": u["u"]}, np.linspace(0, 1, 21),
    ...         {"x": 0.0, "v": 0.0}, {"u": u}, transcription=transcription)
    ...     _ = m.define("cost", path.integral(lambda t, y, u: u["u"] ** 2 / 2))
    ...     ends = {"place": path["x"][-1] == 1, "rest": path["v"][-1] == 0}
    ...     problem = adj.Problem(m, minimize="cost", over=["u"], subject_to=ends)
    ...     return problem.solve("interior-point", formulation="full").fun
    >>> [round(shortest(way), 6) for way in ("single-shooting", "multiple-shooting", "collocation")]
    [6.0, 6.0, 6.0]
    """
    if not isinstance(program, Program):
        raise ModelError(f"trajectory() takes a Program first, got {type(program).__name__}")
    if transcription not in DEFAULT_METHODS:
        raise NameLookupError(closest(transcription, DEFAULT_METHODS, "transcription"))
    if not callable(fun):
        raise ModelError(f"trajectory() takes a function fun(t, y, u), got {type(fun).__name__}")
    first = _values(start, "start")
    if not first:
        raise ModelError("trajectory: start= names no state")
    z = _values(algebraic or {}, "algebraic")
    dynamics = Dynamics(fun, {n: e.shape for n, e in first.items()}, {n: e.shape for n, e in z.items()})
    grid = make_grid(t, controls, _tableau(DEFAULT_METHODS[transcription] if method is None else method), substeps)
    _check_names(program, dynamics, grid, prefix)
    check_index(dynamics, grid.controls)
    limited = _bounds(bounds, dynamics)
    equations: StageEquations | None = None
    nodes: Pieces | None
    unbounded: Any = ()
    with _all_or_nothing(program):
        if transcription == "collocation":
            equations = _implicit(grid.tableau, segments)
            begin = make_guess(program, dynamics, grid, first, z, guess)
            points, nodes = collocate(program, dynamics, grid, equations, first, begin, limited, prefix)
        else:
            count = _segments(segments, grid, transcription)
            points, nodes = _shot(program, dynamics, grid, first, z, count, guess, limited, prefix)
            every = np.arange(1, grid.intervals + 1)
            unbounded = every[(every % (grid.intervals // count) != 0) | (every == grid.intervals)]
        on_mesh = {n: e[:: grid.substeps] for n, e in points.items()}
        limits = _limits(on_mesh, limited, unbounded, prefix)
        for name, e in on_mesh.items():
            program.define(prefix + name, e)
    return Trajectory(transcription, grid.mesh, limits, dynamics, grid, points, nodes, equations, prefix)


@contextmanager
def _all_or_nothing(program: Program) -> Iterator[None]:
    """What was added to a program goes again where an error follows."""
    before = [dict(d) for d in (program.variables, program.equations, program.inputs, program.guesses, program.bounds)]
    version = program.version
    try:
        yield
    except Exception:
        program.variables, program.equations, program.inputs, program.guesses, program.bounds = before  # type: ignore[assignment]
        program.version = version
        raise


def _values(given: Any, what: str) -> dict[str, Expr]:
    if not isinstance(given, Mapping):
        raise ModelError(f"trajectory: {what}= is a dict by name, got {type(given).__name__}")
    found = {}
    for name, value in given.items():
        if not isinstance(name, str) or not name:
            raise ModelError(f"trajectory: the names of {what}= are non-empty strings, got {name!r}")
        found[name] = as_expr(value)
        if found[name].ndim > 1:
            raise ShapeError(f"trajectory: {name!r} is a number or a vector, got shape {found[name].shape}")
    return found


def _check_names(program: Program, dynamics: Dynamics, grid: Grid, prefix: Any) -> None:
    if not isinstance(prefix, str):
        raise ModelError(f"trajectory: prefix= is a string, got {type(prefix).__name__}")
    names = [*dynamics.states, *dynamics.algebraic, *grid.controls]
    for name in names:
        if names.count(name) > 1:
            raise ModelError(f"trajectory: {name!r} is used twice, as a state, algebraic variable or control")
    for name in dynamics.states:
        if prefix + name in program.variables or prefix + name in program.equations:
            raise ModelError(
                f"trajectory: there is a variable named {prefix + name!r} already; the state of this name will be a "
                "variable of the program too. Rename one, or give prefix="
            )


def _tableau(method: Any) -> Tableau:
    if isinstance(method, str):
        if method not in TABLEAUX:
            raise NameLookupError(closest(method, TABLEAUX, "method of trajectory()"))
        return TABLEAUX[method]
    if isinstance(method, tuple) and len(method) in (2, 3):
        return tableau(*method)
    raise ModelError(f"trajectory: method= is a name, or (A, b) or (A, b, c) of a tableau, got {method!r:.60}")


def _implicit(method: Tableau, segments: Any) -> StageEquations:
    if segments is not None:
        raise ModelError("trajectory: segments= is for transcription='multiple-shooting'")
    if method.is_explicit:
        implicit = ", ".join(repr(n) for n, tableau in TABLEAUX.items() if not tableau.is_explicit)
        raise ModelError(f"trajectory: collocation needs an implicit method: {implicit}")
    return stage_equations(method)


def _segments(segments: Any, grid: Grid, transcription: str) -> int:
    if transcription == "single-shooting":
        if segments is not None:
            raise ModelError("trajectory: segments= is for transcription='multiple-shooting'")
        return 1
    count = grid.intervals if segments is None else segments
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1 or grid.intervals % count:
        raise ModelError(f"trajectory: segments= is a divisor of the {grid.intervals} intervals, got {segments!r}")
    return int(count)


def _shot(
    program: Program,
    dynamics: Dynamics,
    grid: Grid,
    first: Mapping[str, Expr],
    z: Mapping[str, Expr],
    segments: int,
    guess: Any,
    bounds: Bounds,
    prefix: str,
) -> tuple[Pieces, Pieces | None]:
    """Shooting, from the start or from several; the equations between segments."""
    starts, inner = {n: with_axis(e) for n, e in first.items()}, {}
    if segments > 1:
        every = grid.t.size // segments
        begin = make_guess(program, dynamics, grid, first, z, guess).points
        for n, e in starts.items():
            low, high = bounds.get(n, (None, None))
            values = begin[n][every:-1:every]
            inner[n] = program.unknown(f"{prefix}{n} at segments", values, lower=low, upper=high)
            starts[n] = concatenate([e, inner[n]])
    shot = integrate(dynamics, grid, starts, z)
    for n, e in inner.items():
        program.constrain(e - shot.ends[n][:-1], f"{prefix}{n}: continuity")
    return shot.points, shot.stages


def _bounds(bounds: Any, dynamics: Dynamics) -> Bounds:
    if not isinstance(bounds, Mapping | None):
        raise ModelError(f"trajectory: bounds= is a dict {{name: (lower, upper)}}, got {type(bounds).__name__}")
    for name, pair in (bounds or {}).items():
        if name not in dynamics.shapes:
            raise NameLookupError(closest(name, dynamics.shapes, "state or algebraic variable"))
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ModelError(f"trajectory: bounds={{{name!r}: ...}} takes a pair (lower, upper), got {pair!r:.40}")
    return {n: (pair[0], pair[1]) for n, pair in (bounds or {}).items()}


def _limits(on_mesh: Pieces, bounds: Bounds, where: Any, prefix: str) -> dict[str, Constraint]:
    """Bounds of states at points of the mesh that are not unknown, as constraints."""
    found: dict[str, Constraint] = {}
    for name, (low, high) in bounds.items() if len(where) else ():
        if name not in on_mesh:
            raise UnsupportedError(
                f"trajectory: shooting has no unknown for the algebraic variable {name!r} that bounds= could bound; "
                f"constrain at_nodes[{name!r}]"
            )
        if isinstance(on_mesh[name], Constant):
            continue  # a path of numbers, which nothing moves
        lower, upper = -np.inf if low is None else low, np.inf if high is None else high
        found[f"{prefix}{name}: limits"] = between(lower, on_mesh[name][where], upper)
    return found
