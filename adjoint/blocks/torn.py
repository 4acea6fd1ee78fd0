"""A cycle reduced to its tear variables: given them, the other equations are evaluated one after the other.

The tear variables of an explicit cycle are found by ``structure.tear`` (Elmqvist & Otter 1994); implicit equations are
residuals in any case. The reduced Jacobian is total: the chain rule goes through the evaluated equations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ModelError
from ..expr import Expr, Variable
from ..linear import make_solver
from ..sparsity import flat_values, jacobian_map
from ..structure import Incidence, Matching, tear
from .cycle import Cycle
from .values import Values, pack, unpack

__all__ = ["Torn"]


class Torn:
    """The reduced system of a cycle, with its compiled functions.

    Attributes
    ----------
    tears : list of Variable
        Unknowns of the reduced system.
    residuals : list of Equation
        Its equations; all others are evaluated.
    """

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle
        rows, order = _tearing(cycle)
        self.residuals = [cycle.equations[i] for i in rows]
        definitions: dict[Any, Expr] = {cycle.equations[i].target: cycle.equations[i].expr for i in order}
        self.tears = [v for v in cycle.variables if v not in definitions]
        self.evaluated: list[Any] = list(definitions)
        outputs = tuple(e.residual for e in self.residuals)
        inputs: list[Any] = [tuple(self.tears), *cycle.params]
        self.map = jacobian_map(outputs, self.tears, definitions)
        compile_ = cycle.backend.compile
        self.residual = compile_(inputs, [outputs], definitions)
        self.fused = compile_(inputs, [outputs, flat_values(self.map)], definitions)
        self.rest = compile_(inputs, list(definitions.values()), definitions)
        self.solver = make_solver(self.map.wrap(np.ones(self.map.nnz)), cycle.linear_solver)

    def system(self, values: Values) -> TornSystem:
        """The reduced system at fixed values outside the cycle."""
        return TornSystem(self, [values[v] for v in self.cycle.params])

    def whole(self, system: TornSystem, u: np.ndarray) -> np.ndarray:
        """All unknowns of the cycle from the tear variables."""
        values: dict[Variable, Any] = unpack(self.tears, u, {})
        values.update(zip(self.evaluated, self.rest(u, *system.params), strict=True))
        return pack(self.cycle.variables, values)


class TornSystem:
    """What nonlinear methods see of a reduced system."""

    components: np.ndarray | None = None

    def __init__(self, torn: Torn, params: list[Any]) -> None:
        self.torn, self.params = torn, params
        self.name, self.size = torn.cycle.name, sum(v.size for v in torn.tears)
        lower, upper = torn.cycle.box()
        self.lower, self.upper = (b if b is None else self.start(b) for b in (lower, upper))
        self.factor = torn.solver.factor

    def start(self, whole: np.ndarray) -> np.ndarray:
        """The entries of the tear variables in a vector of all unknowns."""
        return pack(self.torn.tears, unpack(self.torn.cycle.variables, whole, {}))

    def residual(self, u: np.ndarray) -> np.ndarray:
        return self.torn.residual(u, *self.params)[0]

    def linearize(self, u: np.ndarray) -> tuple[np.ndarray, Any]:
        r, entries = self.torn.fused(u, *self.params)
        map_ = self.torn.map
        return r, map_.dense(entries) if self.torn.solver.dense else map_.matrix(entries)

    def sweep(self, u: np.ndarray) -> np.ndarray | None:
        return None

    def jvp(self, u: np.ndarray, du: np.ndarray) -> np.ndarray:
        return self.linearize(u)[1] @ du


def _tearing(cycle: Cycle) -> tuple[list[int], list[int]]:
    """Positions of the residual equations, and of the evaluated ones in order."""
    place = {v: j for j, v in enumerate(cycle.variables)}
    n = len(cycle.equations)
    owned = {i: place[e.target] for i, e in enumerate(cycle.equations) if e.target is not None and e.target in place}
    implicit = [i for i in range(n) if i not in owned]
    free = sorted(set(range(n)) - set(owned.values()))
    if len(cycle.variables) != n or len(free) != len(implicit):
        raise ModelError(f"block {cycle.name!r} cannot be torn: its equations do not pair with its unknowns by name")
    row_to_col = np.empty(n, dtype=np.int64)
    for i, j in [*owned.items(), *zip(implicit, free, strict=True)]:
        row_to_col[i] = j
    rows, cols = list(range(n)), row_to_col.tolist()
    for i, e in enumerate(cycle.equations):
        inside = [place[v] for v in e.variables if v in place]
        rows += [i] * len(inside)
        cols += inside
    loops = [i for i, e in enumerate(cycle.equations) if i in owned and any(v is e.target for v in e.variables)]
    graph = Incidence.from_coo(np.array(rows), np.array(cols), (n, n))
    found = tear(graph, Matching.from_rows(row_to_col, n), sorted({*implicit, *loops}))
    return found.residual_rows.tolist(), found.order.tolist()
