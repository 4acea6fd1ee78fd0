"""The steps that a trajectory is divided into, and the controls at their nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError, ShapeError
from ..expr import Constant, Expr, as_expr
from ..loops.tableaux import Tableau
from ..primitives.indexing import broadcast_to, reshape

__all__ = ["Grid", "make_grid"]


@dataclass(frozen=True)
class Grid:
    """Steps between the points of a mesh.

    Attributes
    ----------
    mesh : expression
        N + 1 times.
    substeps : int
        Steps in each interval of the mesh.
    t, h : expressions
        Where the P = N · substeps steps begin, and how long they are.
    controls : dict
        Values at the nodes of all steps, ``(P, s)``; ``(P, 1)`` where a control is constant in each step.
    """

    tableau: Tableau
    mesh: Expr
    substeps: int
    t: Expr
    h: Expr
    controls: Mapping[str, Expr]

    @property
    def intervals(self) -> int:
        """N."""
        return self.mesh.size - 1

    @property
    def nodes(self) -> Expr:
        """Times of the nodes, ``(P, s)``."""
        return self.t[:, None] + self.h[:, None] * self.tableau.c


def make_grid(t: Any, controls: Mapping[str, Any] | None, tableau: Tableau, substeps: int) -> Grid:
    """The steps of a method between times, with controls given on the mesh.

    >>> from adjoint.loops.tableaux import TABLEAUX
    >>> grid = make_grid([0.0, 1.0, 2.0], {"u": [5.0, 6.0], "v": [0.0, 1.0, 2.0]}, TABLEAUX["rk4"], 2)
    >>> grid.h.value.tolist(), grid.controls["u"].value[:, 0].tolist()
    ([0.5, 0.5, 0.5, 0.5], [5.0, 5.0, 6.0, 6.0])
    >>> grid.controls["v"].value[1].tolist()
    [0.5, 0.75, 0.75, 1.0]
    """
    mesh = as_expr(t)
    if mesh.ndim != 1 or mesh.size < 2:
        raise ShapeError(f"trajectory: t= is a vector of two or more times, got shape {mesh.shape}")
    if isinstance(mesh, Constant) and not (np.diff(mesh.value) > 0).all():
        raise ModelError("trajectory: the times of t= increase from each to the next")
    if isinstance(substeps, bool) or not isinstance(substeps, int | np.integer) or substeps < 1:
        raise ModelError(f"trajectory: substeps= is a positive whole number, got {substeps!r}")
    if not isinstance(controls, Mapping | None):
        raise ModelError(f"trajectory: controls= is a dict by name, got {type(controls).__name__}")
    n = mesh.size - 1
    length = (mesh[1:] - mesh[:-1]) / float(substeps)
    begin = mesh[:-1][:, None] + length[:, None] * np.arange(substeps)
    steps = n * substeps
    return Grid(
        tableau,
        mesh,
        substeps,
        reshape(begin, (steps,)),
        reshape(broadcast_to(length[:, None], (n, substeps)), (steps,)),
        {name: _at_nodes(name, as_expr(u), n, tableau, substeps) for name, u in (controls or {}).items()},
    )


def _at_nodes(name: str, u: Expr, n: int, tableau: Tableau, substeps: int) -> Expr:
    s, steps = tableau.stages, n * substeps
    if u.shape == (n,):
        return reshape(broadcast_to(u[:, None], (n, substeps)), (steps, 1))
    if u.shape == (n + 1,):
        along = (np.arange(substeps)[:, None] + tableau.c) / substeps
        values = u[:-1][:, None, None] * (1.0 - along) + u[1:][:, None, None] * along
        return reshape(values, (steps, s))
    if u.shape == (n, s):
        if substeps > 1:
            raise ModelError(f"trajectory: the control {name!r} has a value at every node; that leaves no substeps")
        return u
    raise ShapeError(
        f"trajectory: the control {name!r} has shape {u.shape}; for {n} intervals it is ({n},), constant in each; "
        f"({n + 1},), linear between the times; or ({n}, {s}), a value at each of the {s} nodes of an interval. "
        "A parameter that does not change needs no entry: use it in fun"
    )
