"""Least squares: objectives that are sums of squares, and the methods that use the residuals and their Jacobian."""

from __future__ import annotations

from .run import solve_by_gauss_newton, solve_by_levenberg_marquardt, solve_by_scipy_least_squares
from .squares import squares_of

__all__ = [
    "solve_by_gauss_newton",
    "solve_by_levenberg_marquardt",
    "solve_by_scipy_least_squares",
    "squares_of",
]
