"""Small programs with cycles, solved by one compiled call.

For a program of few scalar unknowns everything but the arithmetic is overhead: the sweep over the blocks, the steps of
Newton's method, the factorization. Where the backend offers it, one call does them all, with the tests of
``nonlinear/direct``. Where a test fails it gives nothing, and the caller goes the general way, which copes with it or
names what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from .blocks import Cycle, Values, pack, unpack
from .expr import Expr, Variable
from .nonlinear import Options
from .nonlinear.base import FLOOR, SINGULAR_RCOND
from .nonlinear.direct import CLOSE, GONE, GROWTH, RATE, STEPS
from .plan import Plan
from .sparsity import SparseMap, flat_values

__all__ = [
    *("LARGEST", "Quick", "compiled_program", "constant_part", "places", "scaled", "small_solver", "start_of"),
    "steps_of",
]

LARGEST = 48  # scalar unknowns, and inputs, of a program; measured: beyond, overhead no longer shows
LARGEST_CYCLE = 30  # scalar unknowns of a cycle
RULE = (STEPS, Options().tol, CLOSE, GONE, RATE, GROWTH, FLOOR, SINGULAR_RCOND)  # of Newton's method for small blocks


class Quick:
    """What is needed to solve a small program at once, again and again.

    Attributes
    ----------
    program : SmallProgram without derivatives
    wanted : SmallProgram with the total derivatives that were last asked for, or None
    start : ndarray, the guesses of all unknowns
    """

    def __init__(self, program: Any, start: np.ndarray, unknowns: Sequence[Variable], inputs: Sequence[Variable]):
        self.program, self.start, self.unknowns, self.inputs = program, start, unknowns, inputs
        self.wanted: Any = None
        self.scalars = all(not v.shape for v in unknowns)
        self._get = itemgetter(*inputs) if len(inputs) > 1 and all(not v.shape for v in inputs) else None

    def known(self, values: Values) -> np.ndarray:
        """The inputs, packed."""
        return pack(self.inputs, values) if self._get is None else np.array(self._get(values))


def small_solver(plan: Plan) -> Any:
    """What solves all blocks of a plan at once, made once per plan; None where it is not small, or not plain."""
    if "small" not in plan.functions:
        steps = steps_of(plan)
        found = None if steps is None else compiled_program(plan, steps, None)
        plan.functions["small"] = found
    return plan.functions["small"]


def compiled_program(plan: Plan, steps: list[Any], totals: Any) -> Any:
    """What the backend makes of the steps, and of the total derivatives that are wanted; None where it cannot."""
    variables = (*plan.inputs, *(v for b in plan.blocks for v in b.variables))
    return plan.backend.small_program(variables, steps, totals, RULE)  # type: ignore[attr-defined]


def steps_of(plan: Plan) -> list[Any] | None:
    """The blocks as the backend wants them; None where one is large, bounded, in parts, or starts from other values."""
    sizes = sum(b.size for b in plan.blocks), sum(v.size for v in plan.inputs)
    if not hasattr(plan.backend, "small_program") or not plan.cycles or max(sizes) > LARGEST or 0 in sizes:
        return None
    steps: list[Any] = []
    for b in plan.blocks:
        if not isinstance(b, Cycle):
            steps.append(("run", tuple(b.variables), tuple(b.definitions.values()), b.definitions, (), None, None))
            continue
        guessed = sum(v in plan.model.guesses for v in b.variables)
        if b.size > LARGEST_CYCLE or b.box()[0] is not None or b.components is not None:
            return None
        if guessed not in (0, len(b.variables)):
            return None
        map_ = b.jacobian
        at = map_.indices[map_.position].astype(np.int64) * b.size + map_.columns[map_.position]
        steps.append(("cycle", tuple(b.variables), tuple(b.residuals), {}, scaled(map_), at, constant_part(map_)))
    return steps


def scaled(map_: SparseMap) -> tuple[Expr, ...]:
    """The varying entries of a map with their constant factors."""
    out, at = [], 0
    for e in flat_values(map_):
        if map_.coef is not None:
            factor = map_.coef[at : at + e.size].reshape(e.shape)
            out.append(e * (factor if e.shape else float(factor)))
        else:
            out.append(e)
        at += e.size
    return tuple(out)


def constant_part(map_: SparseMap) -> np.ndarray:
    """The constant entries of a map, as a matrix by rows."""
    rows, columns = map_.shape
    base = np.zeros(rows * columns)
    base[map_.indices.astype(np.int64) * columns + map_.columns] = map_.constant
    return base


def places(variables: Sequence[Variable]) -> dict[Variable, range]:
    """Where each variable is in a packed vector."""
    out, at = {}, 0
    for v in variables:
        out[v] = range(at, at + v.size)
        at += v.size
    return out


def start_of(plan: Plan, values: dict[Variable, Any]) -> np.ndarray:
    """The unknowns of all blocks before a solve: the guesses of the cycles."""
    unknowns = places([v for b in plan.blocks for v in b.variables])
    start = np.zeros(sum(len(p) for p in unknowns.values()))
    for cycle in plan.cycles:
        guess = unpack(cycle.variables, cycle.guess(values), {})
        for v in cycle.variables:
            start[unknowns[v]] = np.reshape(guess[v], -1)
    return start
