"""The iteration of ADMM in its consensus form: copies, their common value, and prices.

    minimize Σ_b f_b(x_b) + g(z)   subject to   x_b = z on the copies of every block

    x_b ← argmin f_b(x_b) + λ_bᵀ(x_b − z) + ½ Σ ρ (x_b − z)²                 all blocks at once
    x̂_b = α x_b + (1 − α) z                                                 over-relaxation
    z   ← argmin g(z) + Σ_b ½ Σ ρ (x̂_b + λ_b/ρ − z)²                         a mean, where g = 0
    λ_b ← λ_b + ρ (x̂_b − z)

Boyd, Parikh, Chu, Peleato and Eckstein 2011, "Distributed Optimization and Statistical Learning via the Alternating
Direction Method of Multipliers", sections 3.3, 3.4 and 7.2. Penalties are balanced on relative residuals, as in
Wohlberg 2017, "ADMM Penalty Parameter Selection by Residual Balancing", arXiv:1704.06209, for each variable by itself:
angles, flows and prices differ in units. With its penalties fixed, the iteration is a fixed-point iteration of z and λ,
whose spirals are long where blocks have little curvature of their own: it is accelerated
(:mod:`~adjoint.optimize.splitting.acceleration`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .acceleration import Acceleration
from .options import SplittingOptions
from .subproblem import Answer, Request
from .workers import Workers

__all__ = ["Coordinated", "Copies", "Record", "coordinate"]

UNBALANCED = 5.0  # ratio of relative residuals from which a penalty changes
STEP = 10.0  # most change of a penalty at once
PART = 0.01
EVERY = 5  # iterations between changes of penalties
RANGE = (1e-10, 1e12)  # of penalties
Proximal = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Record(NamedTuple):
    """One iteration.

    Attributes
    ----------
    primal, dual : float
        Norms of ``x_b − z`` and of ``ρ (z − z_before)`` over all copies.
    primal_limit, dual_limit : float
        What they have to fall below.
    penalty : dict
        By variable.
    failed : int
        Blocks that did not reach their tolerance.
    seconds : float
        Since the start.
    """

    iteration: int
    primal: float
    dual: float
    primal_limit: float
    dual_limit: float
    penalty: dict[str, float]
    failed: int
    seconds: float


@dataclass(frozen=True)
class Copies:
    """Which element of ``z`` each copy of each block is, and the variable that each element belongs to.

    Attributes
    ----------
    of_block : list of ndarray
    group : ndarray
        Of every element of ``z``, the number of its name.
    names : list of str
    """

    of_block: Sequence[np.ndarray]
    group: np.ndarray
    names: Sequence[str]

    @property
    def size(self) -> int:
        return len(self.group)

    def total(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Sums over blocks."""
        out = np.zeros(self.size)
        for where, part in zip(self.of_block, parts, strict=True):
            out[where] += part
        return out


@dataclass
class Coordinated:
    """Where the iteration ended."""

    z: np.ndarray
    answers: list[Answer]
    prices: list[np.ndarray]
    penalty: np.ndarray
    status: str
    message: str
    history: list[Record]


def coordinate(
    workers: Workers,
    copies: Copies,
    places: Sequence[np.ndarray],
    z: np.ndarray,
    starts: Sequence[Any],
    penalty: np.ndarray,
    options: SplittingOptions,
    *,
    prices: Sequence[np.ndarray] | None = None,
    proximal: Proximal | None = None,
    told: Callable[[Record, np.ndarray, list[Answer]], bool] | None = None,
) -> Coordinated:
    """Iterate until copies agree and prices rest.

    Parameters
    ----------
    places : list of ndarray
        Places of the copies in the vector of each block.
    starts : list
        First start of each block.
    proximal : callable, optional
        ``proximal(v, weight)`` is the z that minimizes ``g(z) + ½ Σ weight (z − v)²``; default ``v``.
    told : callable, optional
        Called after each iteration; stops it by True.
    """
    began = time.perf_counter()
    count = copies.total([np.ones(len(w)) for w in copies.of_block])
    state = Coordinated(z.copy(), [], [np.zeros(len(w)) for w in copies.of_block], penalty.copy(), "", "", [])
    if prices is not None:
        state.prices = [np.array(p) for p in prices]
    latest = list(starts)
    accelerated = Acceleration(options.memory)
    for iteration in range(1, options.max_iter + 1):
        old = _packed(state, copies)
        requests = [
            Request(state.z[w], p, state.penalty[w], s)
            for w, p, s in zip(copies.of_block, state.prices, latest, strict=True)
        ]
        state.answers = latest = workers.round(requests)
        x = [a.x[place] for a, place in zip(state.answers, places, strict=True)]
        before = state.z
        alpha = options.relaxation
        relaxed = [alpha * c + (1 - alpha) * before[w] for c, w in zip(x, copies.of_block, strict=True)]
        rho = [state.penalty[w] for w in copies.of_block]
        weight = np.maximum(count, 1) * state.penalty
        v = copies.total([r * c + p for r, c, p in zip(rho, relaxed, state.prices, strict=True)]) / weight
        v[count == 0] = before[count == 0]
        state.z = v if proximal is None else proximal(v, weight)
        state.prices = [
            p + r * (c - state.z[w]) for p, r, c, w in zip(state.prices, rho, relaxed, copies.of_block, strict=True)
        ]
        record = _record(state, copies, count, x, before, iteration, options, time.perf_counter() - began)
        state.history.append(record)
        if told is not None and told(record, state.z, state.answers):
            return _ended(state, "stopped", "the callback stopped the iteration")
        if record.primal <= record.primal_limit and record.dual <= record.dual_limit and not record.failed:
            return _ended(state, "optimal", f"the blocks agree after {iteration} iterations")
        if options.balance and iteration < options.balance_until and iteration % EVERY == 0:
            penalties = _balanced(state, copies, count, x, before, penalty)
            if not np.array_equal(penalties, state.penalty):
                state.penalty = penalties
                accelerated.forget()
                continue
        if record.failed:
            accelerated.forget()
        elif iteration < options.max_iter:
            _unpack(accelerated(old, _packed(state, copies)), state, copies)
    return _ended(state, "iteration_limit", _limit(state, options))


def _packed(state: Coordinated, copies: Copies) -> np.ndarray:
    """√ρ z and λ/√ρ: so the iteration has no units, and for two blocks its steps do not grow."""
    prices = [p / np.sqrt(state.penalty[w]) for p, w in zip(state.prices, copies.of_block, strict=True)]
    return np.concatenate([np.sqrt(state.penalty) * state.z, *prices])


def _unpack(packed: np.ndarray, state: Coordinated, copies: Copies) -> None:
    """Back into z and λ."""
    z, *prices = np.split(packed, np.cumsum([copies.size, *(len(w) for w in copies.of_block)])[:-1])
    state.z = z / np.sqrt(state.penalty)
    state.prices = [p * np.sqrt(state.penalty[w]) for p, w in zip(prices, copies.of_block, strict=True)]


def _ended(state: Coordinated, status: str, message: str) -> Coordinated:
    state.status, state.message = status, message
    return state


def _limit(state: Coordinated, options: SplittingOptions) -> str:
    last = state.history[-1]
    failed = [a.message for a in state.answers if not a.success]
    text = f"the iteration limit was reached (max_iter={options.max_iter}): copies differ by {last.primal:.2e}"
    return text + (f"; {len(failed)} blocks failed in the last iteration, one so: {failed[0]}" if failed else "")


def _record(
    state: Coordinated,
    copies: Copies,
    count: np.ndarray,
    x: Sequence[np.ndarray],
    before: np.ndarray,
    iteration: int,
    options: SplittingOptions,
    seconds: float,
) -> Record:
    """Residuals over all copies, and their limits."""
    primal = np.sqrt(sum(float(np.sum((c - state.z[w]) ** 2)) for c, w in zip(x, copies.of_block, strict=True)))
    dual = float(np.sqrt(np.sum(count * (state.penalty * (state.z - before)) ** 2)))
    size = np.sqrt(sum(len(w) for w in copies.of_block))
    norm_x = np.sqrt(sum(float(np.sum(c**2)) for c in x))
    norm_z = np.sqrt(float(np.sum(count * state.z**2)))
    norm_p = np.sqrt(sum(float(np.sum(p**2)) for p in state.prices))
    first = np.unique(copies.group, return_index=True)[1]
    penalty = {copies.names[copies.group[k]]: float(state.penalty[k]) for k in first}
    failed = sum(not a.success for a in state.answers)
    primal_limit = options.tol * float(size + max(norm_x, norm_z))
    dual_limit = options.tol * float(size + norm_p)
    return Record(iteration, float(primal), dual, primal_limit, dual_limit, penalty, failed, seconds)


def _balanced(
    state: Coordinated,
    copies: Copies,
    count: np.ndarray,
    x: Sequence[np.ndarray],
    before: np.ndarray,
    initial: np.ndarray,
) -> np.ndarray:
    """Penalties that make relative primal and dual residuals of each variable more alike."""
    groups = len(copies.names)

    def norms(parts: Sequence[np.ndarray]) -> np.ndarray:
        squares = copies.total([p**2 for p in parts])
        return np.sqrt(np.bincount(copies.group, squares, groups))

    primal = norms([c - state.z[w] for c, w in zip(x, copies.of_block, strict=True)])
    dual = norms([(state.penalty * (state.z - before))[w] for w in copies.of_block])
    size = np.maximum(norms(x), 1e-6 * np.sqrt(np.bincount(copies.group, count, groups)))
    # a price near 0 is no scale: at least a part of what the first penalty makes of the variable
    first = np.sqrt(np.bincount(copies.group, initial**2, groups) / np.bincount(copies.group, minlength=groups))
    price = np.maximum(norms(state.prices), PART * first * size)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (primal / size) / (dual / price)
    factor = np.clip(np.sqrt(np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0)), 1 / STEP, STEP)
    factor[(ratio < UNBALANCED) & (ratio > 1 / UNBALANCED)] = 1.0
    return np.clip(state.penalty * factor[copies.group], *RANGE)
