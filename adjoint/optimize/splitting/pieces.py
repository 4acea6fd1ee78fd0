"""Pieces of the penalty function: some variables move, the others are given, and equations are squared.

minimize  f(x) + ½ μ Σ c(x)²    over the variables of the piece
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
import scipy.sparse as sp

from ...errors import ConvergenceError, EvaluationError, SingularError
from ...expr import Expr, Variable, constant
from ...primitives.indexing import concatenate
from .elements import elements, needed
from .model import Parts

__all__ = ["Piece", "PieceRequest", "pieces_of", "whole_of"]


@dataclass(frozen=True)
class PieceRequest:
    """Where the variables of a piece start, what the others are, and the penalty."""

    start: np.ndarray
    given: np.ndarray
    mu: float


@dataclass(frozen=True)
class PieceAnswer:
    """The minimizer of a piece."""

    x: np.ndarray
    success: bool
    message: str


@dataclass(frozen=True)
class Piece:
    """A piece as it is sent to a worker.

    Attributes
    ----------
    problem : Problem
    moved, given : ndarray
        Elements of the program's vector that it moves, and that it needs beside.
    given_names : list of (name, size)
        Inputs that hold ``given``, in order.
    penalty : str
        The input that holds μ.
    """

    problem: Any
    moved: np.ndarray
    given: np.ndarray
    given_names: list[tuple[str, int]]
    penalty: str
    method: str = "interior-point"
    options: Mapping[str, Any] = field(default_factory=dict)

    def prepare(self) -> Piece:
        """It is ready as it is."""
        return self

    def answer(self, request: PieceRequest) -> PieceAnswer:
        """The minimizer, from a start; the start itself where there is none."""
        values: dict[str, Any] = {self.penalty: request.mu}
        at = 0
        for name, size in self.given_names:
            values[name] = request.given[at : at + size]
            at += size
        start = scipy.optimize.OptimizeResult(x=request.start)
        try:
            found = self.problem.solve(self.method, start=start, values=values, options=dict(self.options))
        except (ConvergenceError, EvaluationError, SingularError) as error:
            return PieceAnswer(request.start, False, f"{type(error).__name__}: {error}")
        usable = found.x is not None and np.isfinite(found.x).all()
        return PieceAnswer(
            np.array(found.x) if usable else request.start, bool(found.success), str(found.get("message", ""))
        )


def pieces_of(parts: Parts, columns: np.ndarray, most: int, method: str, options: Mapping[str, Any]) -> list[Piece]:
    """The penalty function of some variables, in pieces that do not depend on each other.

    Elements are in one piece where a row has both. There are at most ``most`` pieces: small ones are put together.
    """
    own = sp.csr_array(sp.csc_array(parts.incidence)[:, columns])
    rows = np.flatnonzero(np.diff(own.indptr))
    graph = sp.block_array([[None, own[rows]], [own[rows].T, None]], format="csr")
    count, member = scipy.sparse.csgraph.connected_components(graph, directed=False)
    sizes = np.bincount(member, minlength=count)
    bins, filled = np.zeros(count, dtype=int), np.zeros(min(most, count), dtype=int)
    for k in np.argsort(-sizes, kind="stable").tolist():  # the largest first, each to where least is
        bins[k] = int(filled.argmin())
        filled[bins[k]] += sizes[k]
    label = bins[member]
    out = []
    for k in range(len(filled)):
        mine = columns[label[len(rows) :] == k]
        out.append(_piece(parts, rows[label[: len(rows)] == k], np.sort(mine), method, options))
    return out


def whole_of(parts: Parts) -> Piece:
    """The penalty function of all variables, in their order."""
    return _piece(parts, np.arange(parts.size), np.arange(parts.nlp.n), "", {})


def _piece(parts: Parts, rows: np.ndarray, moved: np.ndarray, method: str, options: Mapping[str, Any]) -> Piece:
    nlp, m = parts.nlp, parts.nlp.problem.program
    roots = [(g, rows[(rows >= g.first) & (rows < g.stop)] - g.first) for g in parts.groups]
    roots = [(g, p) for g, p in roots if len(p)]
    found = needed([(g.expr, p) for g, p in roots], parts.definitions)
    program = type(m)("piece", m.backend, m.linear_solver)
    over: dict[str, Any] = {}
    vectors: dict[Variable, tuple[list[Expr], np.ndarray]] = {}
    given, names = [], []
    for v, first in parts.starts.items():
        need = first + found[v] if v in found else np.zeros(0, dtype=int)
        free = moved[(moved >= first) & (moved < first + v.size)]
        fixed = np.setdiff1d(need, free)
        held: list[Expr] = []
        if len(free):
            held.append(program.input(v.name, nlp.x0[free]))
            over[v.name] = (nlp.lower[free], nlp.upper[free])
        if len(fixed):
            name = f"given {v.name}"
            held.append(program.input(name, nlp.x0[fixed]))
            given.append(fixed)
            names.append((name, len(fixed)))
        vectors[v] = (held, np.concatenate([free, fixed]) - first)
    mu = program.input("penalty", 1.0)
    exprs = elements([(g.expr, p) for g, p in roots], lambda v, p: _picked(parts, vectors, v, p), parts.definitions)
    objective: Any = 0.0
    for (g, p), e in zip(roots, exprs, strict=True):
        if g.weight is not None:
            objective = objective + g.weight * np.sum(e)
            continue
        side = nlp.constraint_lower[g.first + p]
        objective = objective + 0.5 * mu * np.sum((e - side if side.any() else e) ** 2)
    problem = type(nlp.problem)(program, minimize=objective, over=over)
    everything = np.concatenate(given) if given else np.zeros(0, dtype=int)
    return Piece(problem, moved, everything, names, mu.name, method, options)


def _picked(
    parts: Parts, vectors: Mapping[Variable, tuple[list[Expr], np.ndarray]], v: Variable, positions: np.ndarray
) -> Expr:
    """Elements of a variable, from what moves and what is given."""
    if v not in vectors:
        return constant(parts.value(v)[positions])
    held, have = vectors[v]
    vector = concatenate(held) if len(held) > 1 else held[0]
    order = np.argsort(have, kind="stable")
    return vector[order[np.searchsorted(have[order], positions)]]
