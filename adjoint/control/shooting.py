"""Shooting: steps from the start on, or from the starts of several segments side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..expr import Expr, as_expr
from ..loops.scan import scan
from ..primitives.indexing import concatenate, reshape, stack
from .dynamics import Dynamics, Pieces, with_axis
from .grid import Grid
from .steps import explicit_step, solved_step, stage_equations

__all__ = ["Shot", "integrate", "stages_from"]

# Steps up to which a segment is written out instead of repeated by a loop: every end then has a sparse Jacobian, in its
# own segment's start and controls only, where a loop's is full. (20 segments of Goddard's rocket, an iteration in the
# full space: 20 ms with 16 steps in each written out, after 14 s for compiling; 3 s with a loop of 8.) A single segment
# gains less.
WRITTEN_OUT, SINGLE_WRITTEN_OUT = 32, 8


@dataclass(frozen=True)
class Shot:
    """What steps lead to: the states at the begin of all P steps and at the end of the last, ``(P + 1, *shape)``; those
    at the end of each segment, ``(segments, *shape)``; and the stages ``(P, s, *shape)``, where they had to be solved
    for."""

    points: Pieces
    ends: Pieces
    stages: Pieces | None


def integrate(dynamics: Dynamics, grid: Grid, starts: Mapping[str, Expr], z: Mapping[str, Expr]) -> Shot:
    """All steps of a grid, from the starts of its segments, ``(segments, *shape)``.

    >>> from adjoint.control.grid import make_grid
    >>> from adjoint.loops.tableaux import TABLEAUX
    >>> decay = Dynamics(lambda t, y, u: [-y["x"]], {"x": ()}, {})
    >>> shot = integrate(decay, make_grid([0.0, 0.5, 1.0], {}, TABLEAUX["rk4"], 20), {"x": as_expr([1.0])}, {})
    >>> round(float(shot.points["x"].value[-1]), 8)
    0.36787944
    """
    steps = grid.t.size
    segments = next(iter(starts.values())).shape[0]
    length = steps // segments
    single = segments == 1  # without an axis for the segments
    state = {n: e[0] if single else e for n, e in starts.items()}
    guess = {n: e if single else stack([e] * segments) for n, e in z.items()}

    def divided(e: Expr) -> Expr:
        """Rows of steps: those of all segments that are done at once."""
        return e if single else reshape(e, (segments, length, *e.shape[1:])).swapaxes(0, 1)

    rows = {"t": divided(grid.t), "h": divided(grid.h), "u": {n: divided(u) for n, u in grid.controls.items()}}
    solved = bool(dynamics.algebraic) or not grid.tableau.is_explicit
    if length <= (SINGLE_WRITTEN_OUT if single else WRITTEN_OUT) and not solved:
        ends, stages = _written_out(dynamics, grid, state, rows, length), None
    else:
        ends, stages = _repeated(dynamics, grid, state, guess, rows, solved)

    def joined(e: Expr) -> Expr:
        """In the order of time."""
        return e if single else reshape(e.swapaxes(0, 1), (steps, *e.shape[2:]))

    points = {}
    for n, e in ends.items():
        begins = concatenate([with_axis(state[n]), e[:-1]])
        last = e[-1] if single else e[-1][-1]
        points[n] = concatenate([joined(begins), with_axis(last)])
    final = {n: with_axis(e[-1]) if single else e[-1] for n, e in ends.items()}
    return Shot(points, final, None if stages is None else {n: joined(e) for n, e in stages.items()})


def _written_out(dynamics: Dynamics, grid: Grid, state: Pieces, rows: dict[str, Any], length: int) -> Pieces:
    """The ends of all steps, ``(length, …)``.

    The states after each step are joined into one array: derivatives are then composed step by step. Through one
    formula of several steps they would grow with a power of their number.
    """
    found = []
    for k in range(length):
        u = {n: e[k] for n, e in rows["u"].items()}
        state, _ = explicit_step(dynamics, grid.tableau, rows["t"][k], rows["h"][k], state, u, {})
        state = _rejoined(state)
        found.append(state)
    return {n: stack([y[n] for y in found]) for n in dynamics.states}


def _rejoined(state: Pieces) -> Pieces:
    """The same pieces, as parts of one array."""
    together = concatenate([reshape(e, (e.size,)) for e in state.values()])
    parts, at = {}, 0
    for n, e in state.items():
        parts[n] = reshape(together[at : at + e.size], e.shape)
        at += e.size
    return parts


def _repeated(
    dynamics: Dynamics, grid: Grid, state: Pieces, guess: Pieces, rows: dict[str, Any], solved: bool
) -> tuple[Pieces, Pieces | None]:
    """The same by a loop; and the stages, where they are solved for."""
    method = None if grid.tableau.is_explicit else stage_equations(grid.tableau)

    def step(carry: Any, row: Any) -> tuple[Any, Any]:
        y, z = carry
        if method is None:
            end, stages = explicit_step(dynamics, grid.tableau, row["t"], row["h"], y, row["u"], z)
        else:
            end, stages = solved_step(dynamics, method, row["t"], row["h"], y, row["u"], z)
        axis = (slice(None),) * row["t"].ndim
        last = {n: stages[n][(*axis, -1)] for n in z}
        return (end, last), ((end, stages) if solved else end)

    _, out = scan(step, (state, guess), rows)
    if not solved:
        return {n: as_expr(e) for n, e in out.items()}, None
    return tuple({n: as_expr(e) for n, e in part.items()} for part in out)  # type: ignore[return-value]


def stages_from(dynamics: Dynamics, grid: Grid, points: Mapping[str, Expr]) -> Pieces:
    """The stages of all steps of an explicit method, from where they begin."""
    begins = {n: e[:-1] for n, e in points.items()}
    return explicit_step(dynamics, grid.tableau, grid.t, grid.h, begins, grid.controls, {})[1]
