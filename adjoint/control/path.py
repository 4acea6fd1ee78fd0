"""What a trajectory gives: expressions by name, on the mesh and at the nodes; integrals; costates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import ModelError, NameLookupError, ShapeError, closest
from ..expr import Expr, as_expr
from ..primitives.indexing import broadcast_to
from ..problem import Constraint
from .collocation import costates_of
from .dynamics import Dynamics, Pieces
from .grid import Grid
from .shooting import stages_from
from .steps import StageEquations

__all__ = ["Trajectory"]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The expressions of a trajectory; made by :func:`trajectory`.

    ``path["x"]`` is the state at the times of the mesh, ``(N + 1, *shape)``.

    Attributes
    ----------
    transcription : str
    t : expression
        The N + 1 times.
    limits : dict
        Constraints, for ``subject_to``: the bounds of ``bounds=`` where they are not bounds of unknowns.

    Examples
    --------
    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program("braking")
    >>> force = m.input("force", np.full(10, -1.0))
    >>> right = lambda t, y, u: {"x": y["v"], "v": u["force"]}
    >>> path = adj.trajectory(m, right, np.linspace(0, 1, 11), {"x": 0.0, "v": 1.0}, {"force": force})
    >>> _ = m.define("work", path.integral(lambda t, y, u: u["force"] * y["v"]))
    >>> sol = m.solve()
    >>> round(sol["work"], 9), sol["x"].shape, path.at_nodes["x"].shape
    (-0.5, (11,), (10, 3))
    """

    transcription: str
    t: Expr
    limits: Mapping[str, Constraint]
    _dynamics: Dynamics = field(repr=False)
    _grid: Grid = field(repr=False)
    _points: Pieces = field(repr=False)
    _nodes: Pieces | None = field(repr=False)
    _method: StageEquations | None = field(repr=False)
    _prefix: str = field(repr=False)

    def __getitem__(self, name: str) -> Expr:
        """A state at the times of the mesh."""
        if name not in self._points:
            others = [*self._dynamics.algebraic, *self._grid.controls]
            if name in others:
                raise NameLookupError(f"{name!r} has no values on the mesh; at_nodes[{name!r}] has those at the nodes")
            raise NameLookupError(closest(name, self._points, "state"))
        return self._points[name][:: self._grid.substeps]

    @cached_property
    def at_nodes(self) -> dict[str, Expr]:
        """States, algebraic variables and controls at the s nodes of all steps, ``(steps, s, *shape)``.

        In collocation these are the collocation points; in shooting, the stages of the method."""
        states = stages_from(self._dynamics, self._grid, self._points) if self._nodes is None else self._nodes
        shape = (self._grid.t.size, self._grid.tableau.stages)
        return {**states, **{n: broadcast_to(u, shape) for n, u in self._grid.controls.items()}}

    @property
    def t_at_nodes(self) -> Expr:
        """Times of the nodes, ``(steps, s)``."""
        return self._grid.nodes

    def integral(self, fun: Callable[..., Any]) -> Expr:
        """``∫ fun(t, y, u) dt`` over all steps, by the quadrature of the method.

        It is what a further state with this derivative would be at the end.

        Parameters
        ----------
        fun : callable
            As that of :func:`trajectory`; it gives one expression.
        """
        t, nodes = self._grid.nodes, self.at_nodes
        y, u = ({n: nodes[n] for n in names} for names in (self._dynamics.shapes, self._grid.controls))
        found = as_expr(fun(t, y, u))
        try:
            values = broadcast_to(found, t.shape)
        except ShapeError:
            raise ShapeError(f"integral: fun gives shape {found.shape}, expected {t.shape}") from None
        return ((values @ self._grid.tableau.b) * self._grid.h).sum()

    def costates(self, multipliers: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """What the objective gains per unit added to a state, on the way.

        Parameters
        ----------
        multipliers : dict
            Of an optimum (``result.multipliers``), or of a solution (``sol.multipliers("objective")``).

        Returns
        -------
        dict
            By name of the state. Of collocation, at the nodes: ``(steps, s, *shape)``, at the times ``t_at_nodes``. Of
            multiple shooting, at the starts of all segments but the first.
        """
        if self.transcription == "single-shooting":
            raise ModelError(
                "costates: single shooting has no equations between states. Derivatives by the start are gradients by "
                "an input; for derivatives on the way use 'multiple-shooting' or 'collocation'"
            )
        kind = "continuity" if self._method is None else "collocation"
        names = {n: f"{self._prefix}{n}: {kind}" for n in self._dynamics.states}
        missing = [repr(e) for e in names.values() if e not in multipliers]
        if missing:
            raise ModelError(f"costates: no multipliers of {', '.join(missing)}")
        found = {n: np.asarray(multipliers[e], dtype=float) for n, e in names.items()}
        return found if self._method is None else {n: costates_of(self._method, mu) for n, mu in found.items()}
