"""Direct collocation: states at all nodes are unknowns, with equations of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..expr import Expr
from ..primitives.indexing import concatenate
from ..program import Program
from .dynamics import Dynamics, Pieces, with_axis
from .grid import Grid
from .guess import Guess
from .steps import StageEquations, node_equations

__all__ = ["collocate", "costates_of"]


def collocate(
    program: Program,
    dynamics: Dynamics,
    grid: Grid,
    method: StageEquations,
    start: Mapping[str, Expr],
    guess: Guess,
    bounds: Mapping[str, tuple[Any, Any]],
    prefix: str,
) -> tuple[Pieces, Pieces]:
    """Add unknowns and equations to a program: the states at the P + 1 ends of steps, and everything at the nodes.

    For each state ``x`` the unknown ``x at nodes`` and the equation ``x: collocation``; where the last node is not the
    end of the step also ``x at mesh`` and ``x: continuity``. For each algebraic variable ``z`` the unknown
    ``z at nodes`` and the equation ``z: algebraic``.
    """
    steps, stages = grid.t.size, grid.tableau.stages
    skipped = stages - method.solved
    unknown, begin, after = {}, {}, {}
    for name, shape in dynamics.states.items():
        low, high = bounds.get(name, (None, None))
        values = guess.nodes[name][:, skipped:]
        unknown[name] = program.unknown(f"{prefix}{name} at nodes", values, lower=low, upper=high)
        if method.end is None:
            after[name] = method.after(unknown[name], unknown[name], shape)
        else:
            after[name] = program.unknown(f"{prefix}{name} at mesh", guess.points[name][1:], lower=low, upper=high)
        first = with_axis(start[name])
        begin[name] = concatenate([first, after[name][:-1]]) if steps > 1 else first
    inner = {}
    for name in dynamics.algebraic:
        low, high = bounds.get(name, (None, None))
        inner[name] = program.unknown(f"{prefix}{name} at nodes", guess.nodes[name], lower=low, upper=high)
    residuals, nodes = node_equations(dynamics, method, grid.t, grid.h, begin, grid.controls, unknown, inner)
    for name, shape in dynamics.states.items():
        program.constrain(residuals[name], f"{prefix}{name}: collocation")
        if method.end is not None:
            ends = method.after(begin[name], unknown[name], shape)
            program.constrain(after[name] - ends, f"{prefix}{name}: continuity")
    for name in dynamics.algebraic:
        program.constrain(residuals[name], f"{prefix}{name}: algebraic")
    points = {name: concatenate([begin[name], after[name][-1:]]) for name in dynamics.states}
    return points, nodes


def costates_of(method: StageEquations, multipliers: np.ndarray) -> np.ndarray:
    """Costates at the nodes from multipliers of the equations: ``b_j p_j = Σ_i W_ij μ_i``.

    A unit added to h f at a node changes the equations by the column of their weights; and the objective by b p, since
    ``∫ p f dt`` is ``Σ h b p f`` in the quadrature of the method (Hager 2000, "Runge–Kutta methods in optimal control
    and the transformed adjoint system").
    """
    moved = np.tensordot(multipliers, method.weights, axes=(1, 0))
    at_nodes = np.moveaxis(moved, -1, 1)
    return at_nodes / method.tableau.b.reshape((-1,) + (1,) * (at_nodes.ndim - 2))
