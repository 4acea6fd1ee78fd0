"""ADBench: GMM, bundle adjustment, hand, LSTM beside JAX, PyTorch, CasADi and autograd (files: ADJOINT_DATA/adbench).

Every contender is a function of one vector that gives NumPy arrays; the point changes at every call, so a derivative
includes what it needs of the objective. PyTorch runs eagerly, on one thread unless ``OMP_NUM_THREADS`` says otherwise:
its operations here are too short to share.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from . import _adbench_ba, _adbench_data, _adbench_gmm, _adbench_hand, _adbench_lstm
from ._adbench_frameworks import Pair, casadi_, frameworks
from .harness import Row, compare, timeit

POINTS = 5  # more than a function of the library remembers
ENOUGH = 2.0  # seconds for the samples of one slow figure
TOLERANCE = 1e-8

GMM = ("gmm_d2_K5", "gmm_d10_K5", "gmm_d10_K25")
BA = ("ba1_n49_m7776_p31843",)
HAND = ("hand1_t26_c100", "hand5_t26_c800", "hand9_t26_c12800")
LSTM = ("lstm_l2_c1024",)


@dataclasses.dataclass(frozen=True)
class Problem:
    """One file of one objective: a point, and how to make the pair of the library and of each peer."""

    title: str
    point: np.ndarray
    ours: Callable[[], Pair]
    peers: dict[str, Callable[[], Pair]]
    derivative: str = "gradient"


@dataclasses.dataclass(frozen=True)
class Contender:
    """What was built: its pair, the seconds until both had given their first value, and these values."""

    pair: Pair
    seconds: float
    values: tuple[Any, Any]


# -- problems ----------------------------------------------------------------------------------------------


def _problem(title: str, module: Any, data: Any, point: np.ndarray, derivative: str) -> Problem:
    """The library and all installed peers on one objective."""
    peers: dict[str, Callable[[], Pair]] = {
        framework.name: lambda framework=framework: module.pair(framework, data)  # type: ignore[misc]
        for framework in frameworks()
    }
    if (casadi := casadi_()) is not None:
        peers["CasADi"] = lambda: module.casadi_pair(casadi, data)
    return Problem(title, point, lambda: module.ours(data), peers, derivative)


def problems(folder: Path) -> Iterable[Problem]:
    """All that is measured; a file is read when its turn comes."""
    for name in GMM:
        gmm = _adbench_data.read_gmm(folder / "gmm" / "1k" / f"{name}.txt")
        yield _problem(f"{name}_n1000", _adbench_gmm, gmm, gmm.vector, "gradient")
    for name in BA:
        ba = _adbench_data.read_ba(folder / "ba" / f"{name}.txt")
        yield _problem(name, _adbench_ba, ba, ba.vector, "sparse Jacobian")
    model = folder / "hand" / "model"
    for name in HAND:
        hand = _adbench_data.read_hand(folder / "hand" / "simple_small" / f"{name}.txt", model)
        yield _problem(name, _adbench_hand, hand, _adbench_hand.start(hand), "Jacobian")
    hand = _adbench_data.read_hand(folder / "hand" / "hand_complicated.txt", model, complicated=True)
    yield _problem("hand_complicated, 2 points", _adbench_hand, hand, _adbench_hand.start(hand), "Jacobian")
    for name in LSTM:
        lstm = _adbench_data.read_lstm(folder / "lstm" / f"{name}.txt")
        yield _problem(name, _adbench_lstm, lstm, lstm.vector, "gradient")


# -- measuring ---------------------------------------------------------------------------------------------


def build(make: Callable[[], Pair], point: np.ndarray) -> Contender:
    """Build, compile, and call both functions once."""
    start = time.perf_counter()
    pair = make()
    # Copies of the values: PyTorch's and CasADi's may be views.
    values = np.array(pair[0](point)), pair[1](point).copy()
    return Contender(pair, time.perf_counter() - start, values)


def check(name: str, ours: Contender, peer: Contender) -> None:
    """Both give the same objective and derivative."""
    for what, mine, theirs in zip(("objective", "derivative"), ours.values, peer.values, strict=True):
        difference = abs(mine - theirs).max()
        assert difference <= TOLERANCE * max(1.0, abs(mine).max()), f"{name}: {what} differs by {difference}"


def moving(function: Callable[[np.ndarray], Any], point: np.ndarray) -> Callable[[], Any]:
    """The function at another point each time."""
    points = itertools.cycle([point * (1.0 + 1e-4 * k) for k in range(POINTS)])
    return lambda: function(next(points))


def samples(call: Callable[[], Any], repeat: int) -> int:
    """How many samples a slow function gets."""
    start = time.perf_counter()
    call()
    return max(1, min(repeat, math.ceil(ENOUGH / (time.perf_counter() - start))))


def figures(problem: Problem, ours: Contender, peers: dict[str, Contender], repeat: int) -> list[Row]:
    """Objective and derivative, beside each peer; the best peer of each first."""
    tables = []
    for k, what in enumerate(("objective", problem.derivative)):
        mine, rows = moving(ours.pair[k], problem.point), []
        own = samples(mine, repeat)
        for name, peer in peers.items():
            theirs = moving(peer.pair[k], problem.point)
            count = min(own, samples(theirs, repeat))
            rows.append(compare(f"{problem.title}: {what}", mine, theirs, name, count))
        if not rows:
            rows.append(Row(f"{problem.title}: {what}", timeit(mine, own), None, "JAX"))
        tables.append(sorted(rows, key=lambda row: math.inf if row.peer is None else row.peer))
    noted = [dataclasses.replace(row, note=_ratios(row, tables[0])) for row in tables[1]]
    return [row for table in (tables[0], noted) for row in _best_first(table)]


def _best_first(rows: list[Row]) -> list[Row]:
    best = rows[0] if rows[0].peer is None else dataclasses.replace(rows[0], name=f"{rows[0].name}, the best peer")
    return [best, *rows[1:]]


def _ratios(row: Row, objectives: list[Row]) -> str:
    """How many objectives a derivative costs, here and there."""
    objective = next(o for o in objectives if o.peer_name == row.peer_name)
    words = f"÷ objective: {row.ours / objective.ours:.3g}"
    if row.peer is None or objective.peer is None:
        return words
    return f"{words}, peer {row.peer / objective.peer:.3g}"


def measure(problem: Problem, repeat: int) -> list[Row]:
    """All rows of one problem."""
    ours = build(problem.ours, problem.point)
    peers = {name: build(make, problem.point) for name, make in problem.peers.items()}
    for name, peer in peers.items():
        check(f"{problem.title}, {name}", ours, peer)
    title = f"{problem.title}: including build and compile"
    builds = [Row(title, ours.seconds, peer.seconds, name) for name, peer in peers.items()]
    return [*figures(problem, ours, peers, repeat), *(builds or [Row(title, ours.seconds, None, "JAX")])]


def run(repeat: int) -> list[Row]:
    """Objective and derivative of every file, beside every peer; and the time until the first values."""
    folder = os.environ.get("ADJOINT_DATA")
    if not folder:
        return [Row("ADBench", float("nan"), None, "JAX", "s", "set ADJOINT_DATA to the reference data")]
    rows: list[Row] = []
    for problem in problems(Path(folder) / "adbench" / "data"):
        rows += measure(problem, repeat)
    return rows
