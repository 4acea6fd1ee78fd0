"""One step of a Runge–Kutta method, for any number of intervals side by side.

    Y_i = y + h Σ_j a_ij f(Y_j),      y⁺ = y + h Σ_i b_i f(Y_i)

An explicit method is evaluated. Of an implicit one, the stages are unknowns. Their equations are written so that each
has one right-hand side in it where that is possible: with D = A⁻¹,

    Σ_j D_ij (Y_j − y) − h f(Y_i) = 0,      y⁺ = y + bᵀ D (Y − y)

the derivative of the collocation polynomial at a node, minus what it should be (Biegler 2010, *Nonlinear Programming*,
section 10.2). A method whose first stage is ``y`` itself (the trapezoidal rule, Lobatto's) has a first row of zeros in
A; the rest is inverted, and multiplies the right-hand sides of all stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError
from ..expr import Expr, Variable, as_expr
from ..loops.tableaux import Tableau
from ..loops.tracing import solve_within
from ..primitive import Shape
from ..primitives.indexing import broadcast_to, concatenate, stack
from .dynamics import Dynamics, Pieces, spread, with_axis

__all__ = ["StageEquations", "explicit_step", "node_equations", "solved_step", "stage_equations"]


@dataclass(frozen=True)
class StageEquations:
    """An implicit method, its stages being unknowns.

    Attributes
    ----------
    solved : int
        The number of stages that are unknowns: all, or all but the first, which is the start of the step.
    slope : array
        D, of the unknown stages.
    weights : array
        What multiplies h f of all stages in the equations: the identity where all are unknowns.
    end : array or None
        bᵀ D; None where the last stage is the end of the step.
    """

    tableau: Tableau
    solved: int
    slope: np.ndarray
    weights: np.ndarray
    end: np.ndarray | None

    def stages(self, y: Expr, unknown: Expr, shape: Shape) -> Expr:
        """All stages."""
        if self.solved == self.tableau.stages:
            return unknown
        axis = unknown.ndim - 1 - len(shape)
        return concatenate([_inserted(y, shape), unknown], axis=axis)

    def residual(self, y: Expr, unknown: Expr, h: Expr, f: Expr, shape: Shape) -> Expr:
        """Of the equations of the unknown stages, from the right-hand sides ``f`` of all stages."""
        rise = _combined(self.slope, unknown - _inserted(y, shape), shape)
        driven = f if np.array_equal(self.weights, np.eye(self.solved)) else _combined(self.weights, f, shape)
        return rise - spread(with_axis(h, h.ndim), shape) * driven

    def after(self, y: Expr, unknown: Expr, shape: Shape) -> Expr:
        """The end of the step."""
        last = (..., *(slice(None) for _ in shape))
        if self.end is None:
            return unknown[(last[0], -1, *last[1:])]
        rise = unknown - _inserted(y, shape)
        return y + _combined(self.end[None, :], rise, shape)[(last[0], 0, *last[1:])]


def stage_equations(tableau: Tableau) -> StageEquations:
    """The equations of an implicit method.

    >>> from adjoint.loops.tableaux import TABLEAUX
    >>> radau, rule = stage_equations(TABLEAUX["radau3"]), stage_equations(TABLEAUX["trapezoidal"])
    >>> radau.slope.round(6).tolist(), radau.solved, rule.solved
    ([[1.5, 0.5], [-4.5, 2.5]], 2, 1)
    """
    a, b = tableau.a, tableau.b
    free = np.any(a, axis=1)
    first = 0 if free.all() else 1
    inner = a[first:, first:]
    ends_at_last = np.allclose(a[-1], b, rtol=0, atol=1e-14)
    if not free[first:].all() or np.linalg.cond(inner) > 1e10 or (first and not ends_at_last):
        raise ModelError(
            "trajectory: the stages of this method cannot be unknowns of their own equations: its matrix A is "
            "singular. Methods of collocation ('radau5', 'gauss4', 'trapezoidal', …) can be used."
        )
    slope = np.linalg.inv(inner)
    weights = np.eye(len(a)) if not first else np.hstack([slope @ a[first:, :first], np.eye(len(inner))])
    return StageEquations(tableau, len(a) - first, slope, weights, None if ends_at_last else b @ slope)


def _inserted(y: Expr, shape: Shape) -> Expr:
    """With an axis for the stages."""
    return with_axis(y, y.ndim - len(shape))


def _combined(matrix: np.ndarray, stages: Expr, shape: Shape) -> Expr:
    """A matrix times the stages."""
    return as_expr(matrix) @ stages if shape else stages @ matrix.T


def explicit_step(
    dynamics: Dynamics,
    tableau: Tableau,
    t: Expr,
    h: Expr,
    y: Mapping[str, Expr],
    u: Mapping[str, Expr],
    z: Mapping[str, Expr],
) -> tuple[Pieces, Pieces]:
    """The end of a step of an explicit method, and the stages of everything, on an axis after those of the intervals.

    Where there are algebraic variables, their equations are added to the loop that is being traced, stage by stage;
    ``z`` is where the search for them starts.
    """
    slopes: list[Pieces] = []
    every: list[Pieces] = []
    for i, (row, c) in enumerate(zip(tableau.a, tableau.c, strict=True)):
        stage = {name: _sum(y[name], h, row, slopes, name, shape) for name, shape in dynamics.states.items()}
        at, controls = t + float(c) * h, {name: value[..., i % value.shape[-1]] for name, value in u.items()}
        stage.update(_algebraic(dynamics, at, stage, controls, z, i))
        f = dynamics(at, stage, controls)
        slopes.append({name: f[name] for name in dynamics.states})
        every.append(stage)
    end = {name: _sum(y[name], h, tableau.b, slopes, name, shape) for name, shape in dynamics.states.items()}
    return end, {name: stack([s[name] for s in every], axis=t.ndim) for name in dynamics.shapes}


def _sum(y: Expr, h: Expr, weights: np.ndarray, slopes: list[Pieces], name: str, shape: Shape) -> Expr:
    """y + h Σ w_i k_i."""
    terms = [float(w) * k[name] for w, k in zip(weights, slopes, strict=False) if w]
    return y + spread(h, shape) * sum(terms[1:], terms[0]) if terms else y


def _algebraic(
    dynamics: Dynamics, t: Expr, y: Pieces, u: Pieces, guess: Mapping[str, Expr], stage: int
) -> dict[str, Expr]:
    """The algebraic variables of one stage, as unknowns of the step."""
    names = list(dynamics.algebraic)
    if not names:
        return {}
    unknown = {name: Variable(f"{name}, stage {stage + 1}", guess[name].shape) for name in names}
    g = dynamics(t, {**y, **unknown}, u)
    labels = [f"{n}: algebraic" for n in names]
    solve_within([unknown[n] for n in names], [g[n] for n in names], [guess[n] for n in names], names=labels)
    return dict(unknown)


def solved_step(
    dynamics: Dynamics,
    method: StageEquations,
    t: Expr,
    h: Expr,
    y: Mapping[str, Expr],
    u: Mapping[str, Expr],
    z: Mapping[str, Expr],
) -> tuple[Pieces, Pieces]:
    """The same of an implicit method: its stages are unknowns of the loop that is being traced."""
    s, solved = method.tableau.stages, method.solved
    unknown = {n: Variable(n, (*t.shape, solved, *shape)) for n, shape in dynamics.states.items()}
    inner = {n: Variable(n, (*t.shape, s, *shape)) for n, shape in dynamics.algebraic.items()}
    residuals, nodes = node_equations(dynamics, method, t, h, y, u, unknown, inner)
    starts = [broadcast_to(_inserted(y[n], shape), unknown[n].shape) for n, shape in dynamics.states.items()]
    starts += [broadcast_to(_inserted(z[n], shape), inner[n].shape) for n, shape in dynamics.algebraic.items()]
    names = [f"{n}: collocation" for n in unknown] + [f"{n}: algebraic" for n in inner]
    solve_within([*unknown.values(), *inner.values()], list(residuals.values()), starts, names=names)
    return {n: method.after(y[n], unknown[n], shape) for n, shape in dynamics.states.items()}, nodes


def node_equations(
    dynamics: Dynamics,
    method: StageEquations,
    t: Expr,
    h: Expr,
    y: Mapping[str, Expr],
    u: Mapping[str, Expr],
    unknown: Mapping[str, Any],
    z: Mapping[str, Any],
) -> tuple[Pieces, Pieces]:
    """What is to be zero at all nodes, by name of its variable; and all variables at the nodes."""
    nodes = {n: method.stages(y[n], unknown[n], shape) for n, shape in dynamics.states.items()}
    nodes.update(z)
    at = with_axis(t, t.ndim) + with_axis(h, h.ndim) * method.tableau.c
    f = dynamics(at, nodes, {n: broadcast_to(value, at.shape) for n, value in u.items()})
    residuals = {n: method.residual(y[n], unknown[n], h, f[n], shape) for n, shape in dynamics.states.items()}
    residuals.update({n: f[n] for n in dynamics.algebraic})
    return residuals, nodes
