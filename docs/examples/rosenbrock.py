"""Rosenbrock's valley: a long chain, and the sensitivity of a constrained optimum.

    minimize   Σ 100 (x_{k+1} − x_k²)² + (1 − x_k)²                       the minimum is 0, at ones

    minimize   (1 − x)² + (y − x²)²   subject to   x² + y² ≤ r            the multiplier is df*/dr

The second is solved again and again for other r, each time from the last solution, its multipliers included.
"""

from __future__ import annotations

import numpy as np

import adjoint as adj


def model(size: int = 100) -> adj.Program:
    """The valley."""
    m = adj.Program("rosenbrock")
    x = m.input("x", np.zeros(size))
    m.define("f", np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2))
    return m


def problem(size: int = 100) -> adj.Problem:
    """Its lowest point."""
    return adj.Problem(model(size), minimize="f", over=["x"])


def in_a_disc(radius_squared: float = 1.0) -> adj.Problem:
    """A wider valley in a disc."""
    m = adj.Program("disc")
    x, y = m.input("x", 0.0), m.input("y", 0.0)
    m.define("f", (1.0 - x) ** 2 + (y - x**2) ** 2)
    return adj.Problem(m, minimize="f", over=["x", "y"], subject_to={"disc": x**2 + y**2 <= radius_squared})


def main() -> None:
    result = problem().solve("interior-point")
    error = np.max(np.abs(result.x - 1.0))
    print(f"100 variables: f = {result.fun:.1e} after {result.nit} iterations, |x − 1| ≤ {error:.0e}")
    previous = None
    for r in (1.0, 1.25, 1.5, 1.75):
        previous = in_a_disc(r).solve("interior-point", start=previous)
        slope = previous.multipliers["disc"]
        print(f"  x² + y² ≤ {r:.2f}: f = {previous.fun:.7f}, df/dr = {slope:.7f} ({previous.nit} iterations)")


if __name__ == "__main__":
    main()
