"""Total derivatives of small programs with cycles, from the compiled call that solves them (``small``)."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np
import scipy.sparse as sp

from .blocks import pack
from .equations import Equation
from .expr import Expr, Variable, constant
from .forms import Form, kink_tests
from .plan import Plan
from .small import compiled_program, constant_part, places, scaled, start_of, steps_of
from .sparsity import jacobian_map

__all__ = ["Small", "small_program"]


def small_program(plan: Plan, of: tuple[Variable, ...], wrt: tuple[Variable, ...]) -> Any:
    """The compiled program for some outputs over some inputs, made once per plan; None where it is not small."""
    key = ("small program", of, wrt)
    if key not in plan.functions:
        plan.functions[key] = _compiled(plan, of, wrt)
    return plan.functions[key]


def _compiled(plan: Plan, of: tuple[Variable, ...], wrt: tuple[Variable, ...]) -> Any:
    steps = steps_of(plan)
    unknowns = tuple(v for b in plan.blocks for v in b.variables)
    totals = None if steps is None else _totals(plan, unknowns, of, wrt)
    if totals is None:
        return None
    return compiled_program(plan, steps, totals)  # type: ignore[arg-type]


def _totals(plan: Plan, unknowns: Sequence[Variable], of: Sequence[Variable], wrt: Sequence[Variable]) -> Any:
    """The local derivatives of all equations by the unknowns (A) and by the vector (B), and the rows wanted."""
    place = places(unknowns)
    if any(v not in place for v in of):
        return None  # an input among the outputs
    n, columns = sum(v.size for v in unknowns), sum(v.size for v in wrt)
    equations: list[Equation] = [e for b in plan.blocks for e in b.equations]
    map_ = jacobian_map([e.residual for e in equations], [*unknowns, *wrt])
    own = map_.columns[map_.position]
    rows = map_.indices[map_.position].astype(np.int64)
    at = np.where(own < n, rows * n + own, n * n + rows * columns + own - n)
    dense = constant_part(map_).reshape(n, n + columns)
    base = np.concatenate([dense[:, :n].reshape(-1), dense[:, n:].reshape(-1)])
    check: Expr = constant(0.0)
    for test in kink_tests(Form(tuple(e.expr for e in equations), (), (), {})):
        check = check + test
    targets = np.array([i for v in of for i in place[v]], dtype=np.int64)
    return scaled(map_), check, at, base, n, columns, targets


class Small:
    """Values and derivatives at a vector, with a check that is not finite where the general way has to be gone.

    One call per point computes both; the last point is remembered, and its solution is where the next search starts.

    Parameters
    ----------
    program : SmallProgram
    shared : the plan, the inputs in the vector (``wrt``), and the values of all inputs (``base``)
    of : outputs
    scalar : bool
        Whether the output is one number.
    sparse : bool
        Whether Jacobians are sparse.
    """

    def __init__(self, program: Any, shared: Any, of: Sequence[Variable], scalar: bool, sparse: bool) -> None:
        plan, base = shared.plan, shared.base
        self.program, self.scalar, self.sparse = program, scalar, sparse
        self._known = np.asarray(pack(plan.inputs, base), dtype=float)
        place = places(plan.inputs)
        self._whole = len(plan.inputs) == len(shared.wrt) and all(
            a is b for a, b in zip(plan.inputs, shared.wrt, strict=True)
        )
        self._at = np.array([i for v in shared.wrt for i in place[v]], dtype=np.intp)
        unknowns = places([v for b in plan.blocks for v in b.variables])
        self._start = start_of(plan, base)
        self._rows = np.array([i for v in of for i in unknowns[v]], dtype=np.intp)
        self._first = int(self._rows[0])
        self._shape = self._rows.size, self._at.size
        self._recent: tuple[bytes, np.ndarray, np.ndarray] | None = None

    def at(self, x: np.ndarray) -> tuple[bytes, np.ndarray, np.ndarray] | None:
        """The point, the values of the unknowns and the derivatives there."""
        key, recent = x.tobytes(), self._recent
        if recent is not None and recent[0] == key:
            return recent
        if self._whole:
            known = x
        else:
            known = self._known.copy()
            known[self._at] = x
        found = self.program.solve(known, self._start if recent is None else recent[1])
        if found is None and recent is not None:
            found = self.program.solve(known, self._start)
        if found is None:
            return None
        self._recent = key, *found
        return self._recent

    def value(self, x: np.ndarray) -> tuple[Any, float]:
        """A number for a scalar output, else the outputs flattened and concatenated."""
        found = self.at(x)
        if found is None:
            return None, nan
        return found[1][self._first if self.scalar else self._rows], 0.0

    def jac(self, x: np.ndarray) -> tuple[Any, float]:
        """The gradient of a scalar output, else the Jacobian."""
        found = self.at(x)
        if found is None:
            return None, nan
        if self.scalar:
            return found[2].copy(), 0.0
        matrix = found[2].reshape(self._shape)
        return (sp.csr_array(matrix) if self.sparse else matrix.copy()), 0.0
