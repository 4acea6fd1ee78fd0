"""``method="admm"``: a program cut into blocks, which are solved at once and agree in the end.

Each block has some of the equations, constraints and terms of the objective, and its own copy of every variable that
they need. Where a variable is in several blocks its copies must agree: the multipliers of that are the prices of
:mod:`~adjoint.optimize.splitting.coordination`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import scipy

from ...errors import AdjointError, EvaluationError, ModelError, NameLookupError, closest
from ..driver import WarmStart, solve_nlp
from ..formulations import Formulation
from ..outcome import NLPOutcome
from ..task import Task
from .blocks import Block, blocks_of
from .coordination import Coordinated, Copies, Record, coordinate
from .model import parts_of
from .options import SplittingOptions
from .partition import labels_by_name, labels_by_structure
from .subproblem import Answer, Subproblem
from .workers import Workers

__all__ = ["ADMMOutcome", "BlockReport", "solve_by_admm"]


@dataclass(frozen=True)
class BlockReport:
    """One block: how large it is, and by how many of its variables it hangs together with others."""

    name: str
    variables: int
    rows: int
    copies: int


@dataclass
class ADMMOutcome(NLPOutcome):
    """What ADMM found; see :class:`~adjoint.optimize.outcome.NLPOutcome`.

    Attributes
    ----------
    history : list of Record
        The convergence report: one record for each iteration.
    blocks : list of BlockReport
    prices : dict
        By block, the multipliers of its copies by variable: what agreement costs.
    redone : int
        Pieces of work that were lost with a worker and done again.
    """

    history: list[Record] = field(default_factory=list)
    blocks: list[BlockReport] = field(default_factory=list)
    prices: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    redone: int = 0


def solve_by_admm(task: Task) -> Any:
    """Run ADMM; unless a dict says otherwise, every equation is a constraint, so that the graph can be cut anywhere."""
    formulation = task.formulation if isinstance(task.formulation, Mapping) else "full"
    return solve_nlp(dataclasses.replace(task, formulation=formulation), _run)


def _run(nlp: Formulation, task: Task, warm: WarmStart | None) -> ADMMOutcome:
    given = dict(task.options)
    if task.tol is not None:
        given.setdefault("tol", task.tol)
    options = SplittingOptions.of(given, task.method)
    blocks = _blocks(nlp, options)
    shared = np.unique(np.concatenate([b.columns[b.copies] for b in blocks]))
    copies = _copies(nlp, blocks, shared)
    method_options = dict(options.method_options or {})
    subproblems = [Subproblem(b.problem, b.copies, options.method, method_options) for b in blocks]
    starts = [_start(nlp, b, warm) for b in blocks]
    told = None if task.callback is None else _told(nlp, blocks, shared, task.callback)
    z = nlp.x0[shared]
    with Workers(subproblems, options.executor, options.retries, options.timeout) as workers:
        penalty = _penalty(nlp, copies, shared, options.penalty)
        found = coordinate(workers, copies, [b.copies for b in blocks], z, starts, penalty, options, told=told)
        redone = workers.redone
    return _outcome(nlp, blocks, shared, found, redone)


def _blocks(nlp: Formulation, options: SplittingOptions) -> list[Block]:
    parts = parts_of(nlp)
    if isinstance(options.blocks, Integral) and not isinstance(options.blocks, bool):
        if options.blocks < 1:
            raise ModelError(f"admm: blocks is a positive number or a dict {{block: names}}, not {options.blocks}")
        count = int(options.blocks)
        return blocks_of(parts, labels_by_structure(parts, count), [f"block {k + 1}" for k in range(count)])
    return blocks_of(parts, labels_by_name(parts, options.blocks), list(options.blocks))


def _copies(nlp: Formulation, blocks: Sequence[Block], shared: np.ndarray) -> Copies:
    variable = np.repeat(np.arange(len(nlp.variables)), [v.size for v in nlp.variables])
    used, group = np.unique(variable[shared], return_inverse=True)
    of_block = [np.searchsorted(shared, b.columns[b.copies]) for b in blocks]
    return Copies(of_block, group, [nlp.variables[k].name for k in used])


def _penalty(nlp: Formulation, copies: Copies, shared: np.ndarray, given: Any) -> np.ndarray:
    """First penalties, by element of z."""
    known = [v.name for v in nlp.variables]
    by_name = dict(given) if isinstance(given, Mapping) else dict.fromkeys(known, given) if given is not None else {}
    for name, value in by_name.items():
        if name not in known:
            raise NameLookupError(closest(name, known, "variable"))
        if not float(value) > 0:
            raise ModelError(f"admm: penalty is positive, not {value!r}")
    if not copies.size:
        return np.zeros(0)
    count = np.bincount(copies.group, minlength=len(copies.names))
    size = np.bincount(copies.group, np.abs(nlp.x0[shared]), len(copies.names)) / count
    slope, norms = _scales(nlp)
    reach = np.bincount(copies.group, norms[shared], len(copies.names)) / count
    # an angle is worth the flow that it drives: by how much rows change with a variable; else by its own size
    guess = max(slope, 1e-6) * np.where(reach > 0, reach, 1.0 / np.maximum(size, 1.0))
    chosen = [float(by_name.get(name, g)) for name, g in zip(copies.names, guess, strict=True)]
    return np.array(chosen)[copies.group]


def _scales(nlp: Formulation) -> tuple[float, np.ndarray]:
    """The largest slope of the objective at the start, and the norms of the columns of the Jacobian."""
    x = np.clip(nlp.x0, nlp.lower, nlp.upper)
    try:
        slope = float(np.abs(nlp.gradient(x)).max(initial=0.0))
        columns = nlp.jacobian_pattern[1]
        return slope, np.sqrt(np.bincount(columns, nlp.jacobian(x) ** 2, nlp.n))
    except EvaluationError:
        return 1.0, np.zeros(nlp.n)


def _start(nlp: Formulation, block: Block, warm: WarmStart | None) -> Any:
    """Where a block starts: the program's start, with the multipliers of a previous result."""
    x = nlp.x0[block.columns]
    if warm is None:
        return scipy.optimize.OptimizeResult(x=x, multipliers=None)
    rows = {name: -warm.y[numbers] for name, numbers in block.rows.items()}
    return Answer(x, rows, True, "")


def _merged(nlp: Formulation, blocks: Sequence[Block], shared: np.ndarray, z: np.ndarray, answers: Any) -> np.ndarray:
    """The program's vector: each block's own elements, and what copies agreed on."""
    x = nlp.x0.copy()
    for block, answer in zip(blocks, answers, strict=True):
        x[block.columns] = answer.x
    x[shared] = z
    return np.clip(x, nlp.lower, nlp.upper)


def _outcome(
    nlp: Formulation, blocks: Sequence[Block], shared: np.ndarray, found: Coordinated, redone: int
) -> ADMMOutcome:
    """Values and multipliers of the whole program."""
    x = _merged(nlp, blocks, shared, found.z, found.answers)
    y, bounds = np.zeros(nlp.m), np.zeros(nlp.n)
    prices: dict[str, dict[str, np.ndarray]] = {}
    for block, answer, price in zip(blocks, found.answers, found.prices, strict=True):
        for name, numbers in block.rows.items():
            if name in answer.multipliers:
                y[numbers] = -answer.multipliers[name]
        at = 0
        for v in block.problem.variables:
            if v.name in answer.multipliers:
                np.add.at(bounds, block.columns[at : at + v.size], answer.multipliers[v.name])
            at += v.size
        prices[block.name] = _by_name(nlp, block.columns[block.copies], price)
    reports = [BlockReport(b.name, len(b.columns), sum(len(r) for r in b.rows.values()), len(b.copies)) for b in blocks]
    z_lower, z_upper = np.maximum(bounds, 0.0), np.maximum(-bounds, 0.0)
    return ADMMOutcome(
        *(x, y, z_lower, z_upper, found.status, found.message, len(found.history)),
        history=found.history,
        blocks=reports,
        prices=prices,
        redone=redone,
    )


def _by_name(nlp: Formulation, columns: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    ends = np.cumsum([v.size for v in nlp.variables])
    owner = np.searchsorted(ends, columns, side="right")
    return {nlp.variables[k].name: values[owner == k] for k in np.unique(owner).tolist()}


def _told(
    nlp: Formulation, blocks: Sequence[Block], shared: np.ndarray, callback: Callable[..., Any]
) -> Callable[[Record, np.ndarray, list[Answer]], bool]:
    """The user's callback, in SciPy's manner: it stops by True or StopIteration."""
    own = sum(v.size for v in nlp.problem.variables)

    def told(record: Record, z: np.ndarray, answers: list[Answer]) -> bool:
        x = _merged(nlp, blocks, shared, z, answers)
        try:
            value = nlp.sign * nlp.objective(x)
        except (EvaluationError, AdjointError):
            value = float("nan")
        point = scipy.optimize.OptimizeResult(x=x[:own], fun=value, nit=record.iteration, record=record)
        try:
            return callback(point) is True
        except StopIteration:
            return True

    return told
