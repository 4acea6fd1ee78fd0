"""What a worker does: it keeps a block's problem, and minimizes it with a pull of its copies towards a target.

    minimize  f(x) + priceᵀ (x_c − target) + ½ Σ penalty (x_c − target)²     over the block's own x, within its rows

where x_c are the copies: the elements that other blocks hold too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy

from ...equations import number, unused_name
from ...errors import ConvergenceError, EvaluationError, ModelError, NameLookupError, SingularError, closest
from ...primitives.indexing import concatenate, ravel

__all__ = ["Answer", "Description", "Prepared", "Request", "Subproblem"]

TARGET, PRICE, PENALTY = "target", "price", "penalty"
TIGHT: Mapping[str, Mapping[str, Any]] = {
    # errors of a block are noise to the prices; these methods stop on small changes of the objective, that is, early
    "slsqp": {"ftol": 1e-14},
    "l-bfgs-b": {"ftol": 1e-15, "gtol": 1e-8},
}
NOISE = 10.0  # changes of an objective that mean something, in its roundings
WARM: Mapping[str, Mapping[str, Any]] = {
    # a start with multipliers is near the answer: a small barrier, and little push from the bounds
    "interior-point": {
        "warm_start_init_point": True,
        "mu_init": 1e-5,
        "warm_start_bound_push": 1e-6,
        "warm_start_mult_bound_push": 1e-6,
    },
}


@dataclass(frozen=True)
class Request:
    """One round for one block: where the copies are pulled, and where to start. ``start`` None asks for what there is
    to solve (:class:`Description`)."""

    target: np.ndarray
    price: np.ndarray
    penalty: np.ndarray
    start: Any = None


@dataclass(frozen=True)
class Answer:
    """What a block found.

    Attributes
    ----------
    x : ndarray
        The block's vector.
    multipliers : dict
        By constraint and variable of the block, in the library's sign.
    success : bool
    message : str
    fun : float
        The objective, pull included.
    """

    x: np.ndarray
    multipliers: dict[str, np.ndarray]
    success: bool
    message: str
    fun: float = 0.0


@dataclass(frozen=True)
class Description:
    """The variables of a block: names, shapes, start and bounds of its vector, and where its copies are in it."""

    names: list[str]
    shapes: list[tuple[int, ...]]
    x0: np.ndarray
    copies: np.ndarray


@dataclass(frozen=True)
class Subproblem:
    """A block as it is sent to a worker.

    Attributes
    ----------
    problem : Problem, or callable
        A callable makes it, of ``argument``, where the worker is: data need not travel.
    copies : ndarray, list of names, or None
        Elements of its vector, or whole variables, that others hold too; None for all.
    method, options : str, dict
        How it is solved: a name of the registry, and its options.
    values : dict
        By name, inputs that are not moved: a shard's data.
    """

    problem: Any
    copies: Any
    method: str = "interior-point"
    options: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    argument: Any = None

    def prepare(self) -> Prepared:
        """The problem with the pull, ready for requests."""
        given = self.problem(self.argument) if callable(self.problem) else self.problem
        if not all(hasattr(given, name) for name in ("program", "objective", "variables", "solve")):
            raise ModelError(f"a block is a Problem, or a function that makes one, not {type(given).__name__}")
        places = _places(given, self.copies)
        return Prepared(self, given, *_pulled(given, places, self.values), places)


def _places(problem: Any, copies: Any) -> np.ndarray:
    """Copies as elements of the vector; None is all of it."""
    if copies is None:
        return np.arange(sum(v.size for v in problem.variables))
    if isinstance(copies, np.ndarray) and copies.dtype.kind in "iu":
        return copies
    first, at = {}, 0
    for v in problem.variables:
        first[v.name] = at
        at += v.size
    for name in copies:
        if name not in first:
            raise ModelError(f"{name!r} is to be shared, and is not among the variables: {', '.join(first)}")
    sizes = {v.name: v.size for v in problem.variables}
    parts = [first[name] + np.arange(sizes[name]) for name in copies]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=int)


def _pulled(problem: Any, copies: np.ndarray, data: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """The problem with the pull in its objective, and the names of the pull's parameters: inputs that are not moved."""
    program = problem.program.extended()
    for name, value in data.items():
        if name not in program:
            raise NameLookupError(closest(name, [v.name for v in program.inputs], "input"))
        v = program[name]
        if v not in program.inputs or v in problem.bounds:
            raise ModelError(f"the data of a shard are inputs that are not moved; {name!r} is none")
        program.inputs[v] = number(value, f"data of {name!r}", v.shape)
    if not len(copies):
        return problem, ()
    zeros = np.zeros(len(copies))
    target, price, penalty = (program.input(unused_name(program, name), zeros) for name in (TARGET, PRICE, PENALTY))
    moved = [ravel(program[v.name]) for v in problem.variables]
    apart = (concatenate(moved) if len(moved) > 1 else moved[0])[copies] - target
    sign = -1.0 if problem.maximize else 1.0
    pull = np.sum(apart * (price + 0.5 * penalty * apart))
    out = type(problem)(
        program,
        minimize=sign * program[problem.objective.name] + pull,
        over={v.name: pair for v, pair in problem.bounds.items()},
        subject_to={k: replace(c, expr=problem.constrained[k]) for k, c in problem.constraints.items()},
    )
    return out, (target.name, price.name, penalty.name)


@dataclass
class Prepared:
    """A block's problem where it is solved; all that a request needs is in the request."""

    subproblem: Subproblem
    given: Any
    problem: Any
    parameters: tuple[str, ...]
    copies: np.ndarray

    def answer(self, request: Request | None) -> Answer | Description:
        """Solve for one request, or describe the problem."""
        if request is None:
            return self.description()
        s = self.subproblem
        values: dict[str, Any] = {}
        if len(self.copies):
            pull = (request.target, request.price, request.penalty)
            values.update(zip(self.parameters, pull, strict=True))
        start, x, fun = request.start, None, 0.0
        if isinstance(start, Answer):
            x, fun = start.x, start.fun
            start = scipy.optimize.OptimizeResult(x=start.x, multipliers=start.multipliers or None)
        plain = {**_tight(s.method.lower(), fun, request.penalty), **s.options}
        options = plain
        if isinstance(start, scipy.optimize.OptimizeResult) and start.multipliers is not None:
            options = {**WARM.get(s.method.lower(), {}), **plain}
        found = self._solved(s.method, start, options, values)
        if not found.success and options != plain:  # the warm start led astray: again from the point alone
            cold = self._solved(s.method, _cold(start), plain, values)
            found = cold if cold.success or found.x is None else found
        if found.x is None:
            size = sum(v.size for v in self.problem.variables)
            return Answer(np.zeros(size) if x is None else x, {}, False, found.message)
        own = _multipliers(self.problem, found)
        return Answer(np.array(found.x), own, bool(found.success), str(found.message), float(found.get("fun", 0.0)))

    def _solved(self, method: str, start: Any, options: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        try:
            return self.problem.solve(method, start=start, options=options, values=values)
        except (ConvergenceError, EvaluationError, SingularError) as error:
            return scipy.optimize.OptimizeResult(x=None, success=False, message=f"{type(error).__name__}: {error}")

    def description(self) -> Description:
        """Names, shapes and start of the variables."""
        p = self.given
        x0 = []
        for v in p.variables:
            low, high = (np.broadcast_to(b, v.shape).reshape(-1) for b in p.bounds[v])
            default = p.program.inputs.get(v, p.program.guesses.get(v))
            x0.append(np.clip(np.broadcast_to(0.0 if default is None else default, v.shape).reshape(-1), low, high))
        names, shapes = [v.name for v in p.variables], [v.shape for v in p.variables]
        return Description(names, shapes, np.concatenate(x0), self.copies)


def _tight(method: str, fun: float, penalty: np.ndarray) -> dict[str, Any]:
    """Tolerances of a method: as tight as rounding lets them be.

    A gradient g lowers an objective of curvature ρ by g²/2ρ. Where that is lost in the rounding of f, a line search has
    nothing to go by; SciPy's L-BFGS-B then evaluates for ever. In the first round f is not known: its defaults do.
    """
    out = dict(TIGHT.get(method, {}))
    if method == "l-bfgs-b" and len(penalty):
        if not fun:
            return {}
        rounding = np.finfo(float).eps * max(abs(fun), 1.0)
        out["gtol"] = max(out["gtol"], NOISE * float(np.sqrt(rounding * penalty.max())))
    return out


def _cold(start: Any) -> Any:
    return scipy.optimize.OptimizeResult(x=start.x, multipliers=None)


def _multipliers(problem: Any, found: Any) -> dict[str, np.ndarray]:
    """Of constraints and bounds, by name."""
    given = found.get("multipliers") or {}
    out = {}
    names = [*problem.constraints, *(v.name for v in problem.variables)]
    rows = {**getattr(given, "_bounds", {}), **getattr(given, "_rows", {})} if hasattr(given, "_rows") else given
    for name in names:
        value = rows.get(name)
        if value is not None:
            out[name] = np.reshape(np.asarray(value, dtype=float), -1)
    return out
