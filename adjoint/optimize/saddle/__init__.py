"""Methods on the Lagrangian itself: variables and multipliers move, equations may be violated on the way."""

from __future__ import annotations

from .run import (
    solve_by_bdmm,
    solve_by_block_coordinates,
    solve_by_descent_and_ascent,
    solve_by_extragradient,
    solve_by_mdmm,
    solve_by_multipliers,
    solve_by_penalties,
)

__all__ = [
    "solve_by_bdmm",
    "solve_by_block_coordinates",
    "solve_by_descent_and_ascent",
    "solve_by_extragradient",
    "solve_by_mdmm",
    "solve_by_multipliers",
    "solve_by_penalties",
]
