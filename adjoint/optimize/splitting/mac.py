"""``method="mac"``: auxiliary coordinates.

Every equation ``z = f(z, x)`` is relaxed, and its variable becomes a coordinate of its own:

    E(x, z; μ) = f(x, z) + ½ μ Σ |z − f(z, x)|²

E is minimized over x and over z in turn. With the z given, the x of different equations have nothing to do with each
other; with the x given, neither have the z of different data: each step falls into pieces, which are solved at once.
Then μ grows. ``μ (f(z, x) − z)`` tends to the multipliers of the equations.

Carreira-Perpiñán and Wang 2014, "Distributed Optimization of Deeply Nested Systems", AISTATS, arXiv:1212.5921. The
alternation converges slowly as μ grows; it is accelerated (Walker and Ni 2011, "Anderson Acceleration for Fixed-Point
Iterations"); where E is higher after the next alternation, that goes on from where it was without.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
import scipy

from ...errors import EvaluationError, ModelError, NameLookupError, closest
from ..driver import WarmStart, solve_nlp
from ..formulations import Formulation
from ..formulations.residuals import bound_multipliers
from ..outcome import NLPOutcome
from ..task import Task
from .acceleration import combined
from .model import Parts, parts_of
from .pieces import Piece, PieceRequest, pieces_of, whole_of
from .workers import Workers

__all__ = ["MACOptions", "MACOutcome", "MACRecord", "solve_by_mac"]

STILL = 1e-14  # relative change of the variables that is none


@dataclass(frozen=True)
class MACOptions:
    """Options, with their defaults.

    Attributes
    ----------
    mu, mu_growth, mu_max : float
        The first penalty, the factor by which it grows, the last one.
    steps : list of lists of names, optional
        Which variables are moved together, in order. Default: those of the problem, then those of the equations.
    pieces : int, optional
        Into how many pieces a step is cut at most, where it falls into that many. Default: one for each processor.
    memory : int
        Steps that the acceleration remembers; 0 is none.
    executor, retries, timeout, method, method_options
        As for ``admm``.
    tol : float
        Largest violation of an equation at which the answer is optimal, relative to the size of the variables.
    step_tol : float
        Largest element of the gradient of E, relative to that of f, from which μ grows.
    max_iter : int
        Alternations in all.
    """

    mu: float = 1.0
    mu_growth: float = 10.0
    mu_max: float = 1e6
    steps: Any = None
    pieces: int | None = None
    memory: int = 5
    executor: Any = "serial"
    retries: int = 3
    timeout: float | None = None
    method: str = "interior-point"
    method_options: Any = None
    tol: float = 1e-5
    step_tol: float = 1e-6
    max_iter: int = 1000

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> MACOptions:
        """The options of a mapping, checked.

        >>> MACOptions.of({"mu": 10}).mu
        10
        """
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise ModelError("mac: " + closest(name, known, "option"))
        options = cls(**given)
        for name in ("mu", "tol", "step_tol", "max_iter"):
            if not getattr(options, name) > 0:
                raise ModelError(f"mac: {name} is positive, not {getattr(options, name)!r}")
        if not options.mu_growth > 1.0 or options.mu_max < options.mu:
            raise ModelError("mac: mu_growth is greater than 1, and mu_max at least mu")
        return options


class MACRecord(NamedTuple):
    """One alternation: the penalty, E, the largest violation of an equation, and the largest element of the gradient of
    E, relative to that of f."""

    iteration: int
    mu: float
    penalized: float
    violation: float
    gradient: float


@dataclass
class MACOutcome(NLPOutcome):
    """What the method found; see :class:`~adjoint.optimize.outcome.NLPOutcome`.

    Attributes
    ----------
    history : list of MACRecord
    pieces : list of int
        Into how many pieces each step fell.
    coordinates : dict
        Values of the auxiliary coordinates by name, before the last evaluation of the equations.
    """

    history: list[MACRecord] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)
    coordinates: dict[str, Any] = field(default_factory=dict)


def solve_by_mac(task: Task) -> Any:
    """Run the method of auxiliary coordinates; unless a dict says otherwise, every equation gets one."""
    formulation = task.formulation if isinstance(task.formulation, Mapping) else "full"
    return solve_nlp(dataclasses.replace(task, formulation=formulation), _run)


def _run(nlp: Formulation, task: Task, warm: WarmStart | None) -> MACOutcome:
    given = dict(task.options)
    if task.tol is not None:
        given.setdefault("tol", task.tol)
    options = MACOptions.of(given)
    if not np.array_equal(nlp.constraint_lower, nlp.constraint_upper):
        raise ModelError("method 'mac' takes no inequality constraints; 'admm' takes inequalities")
    parts = parts_of(nlp)
    most = options.pieces or os.cpu_count() or 1
    own = dict(options.method_options or {})
    steps = [pieces_of(parts, columns, most, options.method, own) for columns in _steps(parts, options.steps)]
    told = None if task.callback is None else _told(nlp, task.callback)
    with Workers(
        [piece for step in steps for piece in step], options.executor, options.retries, options.timeout
    ) as workers:
        x, mu, history, status, message = _iterated(nlp, _penalized(parts), steps, workers, options, told)
    return _outcome(nlp, task, x, mu, history, status, message, [len(s) for s in steps])


def _steps(parts: Parts, given: Any) -> list[np.ndarray]:
    """The elements that each step moves."""
    nlp = parts.nlp
    if given is None:
        given = [[v.name for v in nlp.problem.variables], [v.name for v in nlp.kept.unknowns]]
    by_name = {v.name: first + np.arange(v.size) for v, first in parts.starts.items()}
    out = []
    for names in given:
        for name in names:
            if name not in by_name:
                raise NameLookupError(closest(name, by_name, "variable"))
        columns = np.concatenate([by_name[name] for name in names]) if names else np.zeros(0, dtype=int)
        columns = columns[nlp.lower[columns] < nlp.upper[columns]]
        if len(columns):
            out.append(np.sort(columns))
    moved = np.unique(np.concatenate(out)) if out else np.zeros(0, dtype=int)
    missing = [name for name, c in by_name.items() if not np.isin(c[nlp.lower[c] < nlp.upper[c]], moved).all()]
    if missing:
        raise ModelError(f"mac: steps= leaves out {', '.join(missing)}")
    return out


@dataclass(frozen=True)
class _Penalized:
    """E of the whole program, by evaluation and one reverse sweep: no Jacobian."""

    nlp: Formulation
    whole: Formulation
    penalty: str

    def value(self, x: np.ndarray, mu: float) -> tuple[float, float]:
        """E, and the largest violation of an equation."""
        try:
            c = self.nlp.constraints(x) - self.nlp.constraint_lower
            value = self.nlp.objective(x) + 0.5 * mu * float(c @ c)
        except EvaluationError:
            return np.inf, np.inf
        return value, float(np.abs(c).max(initial=0.0))

    def gradient(self, x: np.ndarray, mu: float) -> np.ndarray:
        """∇f + Jᵀ μ c."""
        return self.whole.at({self.penalty: mu}).gradient(x)

    def slope(self, x: np.ndarray, mu: float) -> float:
        """The largest element of the gradient of E that no bound holds, relative to that of f."""
        try:
            left, own = self.gradient(x, mu), self.gradient(x, 0.0)
        except EvaluationError:
            return np.inf
        left = np.where(x <= self.nlp.lower + STILL, np.minimum(left, 0.0), left)
        left = np.where(x >= self.nlp.upper - STILL, np.maximum(left, 0.0), left)
        return float(np.abs(left).max(initial=0.0) / (1.0 + np.abs(own).max(initial=0.0)))


def _penalized(parts: Parts) -> _Penalized:
    whole = whole_of(parts)
    return _Penalized(parts.nlp, Formulation(whole.problem), whole.penalty)


def _alternated(steps: Sequence[Sequence[Piece]], workers: Workers, x: np.ndarray, mu: float) -> tuple[np.ndarray, str]:
    """All steps once; and the message of a piece that failed."""
    x, failed, at = x.copy(), "", 0
    for step in steps:
        requests = [PieceRequest(x[p.moved], x[p.given], mu) for p in step]
        answers = workers.round(requests, first=at)
        for piece, answer in zip(step, answers, strict=True):
            x[piece.moved] = answer.x
            failed = failed or ("" if answer.success else answer.message)
        at += len(step)
    return x, failed


def _iterated(
    nlp: Formulation,
    E: _Penalized,
    steps: Sequence[Sequence[Piece]],
    workers: Workers,
    options: MACOptions,
    told: Callable[[MACRecord, np.ndarray], bool] | None,
) -> tuple[np.ndarray, float, list[MACRecord], str, str]:
    x, mu = np.clip(nlp.x0, nlp.lower, nlp.upper), float(options.mu)  # what is fixed stays where it is fixed
    history: list[MACRecord] = []
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    safe: tuple[np.ndarray, float] | None = None  # where the alternation itself had come to, and E there
    for iteration in range(1, options.max_iter + 1):
        new, failed = _alternated(steps, workers, x, mu)
        rests = float(np.abs(new - x).max(initial=0.0)) <= STILL * (1.0 + float(np.abs(new).max(initial=0.0)))
        value, violation = E.value(new, mu)
        slope = E.slope(new, mu)
        history.append(MACRecord(iteration, mu, value, violation, slope))
        if told is not None and told(history[-1], new):
            return new, mu, history, "stopped", "the callback stopped the iteration"
        if safe is not None and value > safe[1]:  # the acceleration led up
            x, pairs, safe = safe[0], [], None
            continue
        if slope <= options.step_tol or (rests and not failed):
            if violation <= options.tol * (1.0 + np.abs(new).max(initial=0.0)):
                return new, mu, history, "optimal", f"the equations hold to {violation:.1e} at a penalty of {mu:g}"
            if mu >= options.mu_max:
                text = f"the last penalty, {mu:g}, leaves a violation of {violation:.1e} (mu_max)"
                return new, mu, history, "iteration_limit", text
            x, mu, pairs, safe = new, min(mu * options.mu_growth, options.mu_max), [], None
            continue
        pairs = [*pairs, (x, new)][-options.memory - 1 :] if options.memory else []
        x, safe = new, None
        if len(pairs) > 1:
            x, safe = np.clip(combined(pairs), nlp.lower, nlp.upper), (new, value)
    text = f"the iteration limit was reached (max_iter={options.max_iter})"
    return x, mu, history, "iteration_limit", text + (f"; a piece failed: {failed}" if failed else "")


def _outcome(
    nlp: Formulation,
    task: Task,
    x: np.ndarray,
    mu: float,
    history: list[MACRecord],
    status: str,
    message: str,
    pieces: list[int],
) -> MACOutcome:
    """Multipliers from the penalty; the coordinates as the equations give them."""
    y = mu * (nlp.constraints(x) - nlp.constraint_lower)
    parts = nlp.parts(x)
    own = {v.name: parts[v.name] for v in nlp.problem.variables}
    forward = nlp.at(task.values, own).x0
    final = forward if _violation(nlp, forward) <= _violation(nlp, x) else x
    z_lower, z_upper = np.zeros(nlp.n), np.zeros(nlp.n)
    if np.isfinite(nlp.lower).any() or np.isfinite(nlp.upper).any():
        z_lower, z_upper = bound_multipliers(nlp, final, y)
    coordinates = {v.name: parts[v.name] for v in nlp.kept.unknowns}
    found = (final, y, z_lower, z_upper, status, message, len(history))
    return MACOutcome(*found, history=history, pieces=pieces, coordinates=coordinates)


def _violation(nlp: Formulation, x: np.ndarray) -> float:
    try:
        return float(np.abs(nlp.constraints(x) - nlp.constraint_lower).max(initial=0.0))
    except EvaluationError:
        return np.inf


def _told(nlp: Formulation, callback: Callable[..., Any]) -> Callable[[MACRecord, np.ndarray], bool]:
    own = sum(v.size for v in nlp.problem.variables)

    def told(record: MACRecord, x: np.ndarray) -> bool:
        point = scipy.optimize.OptimizeResult(x=x[:own].copy(), fun=record.penalized, nit=record.iteration)
        point.record = record
        try:
            return callback(point) is True
        except StopIteration:
            return True

    return told
