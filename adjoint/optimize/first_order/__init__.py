"""First-order methods: gradient descent, momentum, Adam, stochastic gradients by mini-batches, and Rprop."""

from __future__ import annotations

from .backtracking import search_descend
from .options import GradientDescentOptions
from .run import (
    solve_by_adam,
    solve_by_gradient_descent,
    solve_by_momentum,
    solve_by_rprop,
    solve_by_sgd,
)

__all__ = [
    "GradientDescentOptions",
    "search_descend",
    "solve_by_adam",
    "solve_by_gradient_descent",
    "solve_by_momentum",
    "solve_by_rprop",
    "solve_by_sgd",
]
