"""A chain of masses and springs between two nails, above curved ground: the shape of least energy.

    minimize    ½ D Σ (distance − L/N)² + g m Σ y
    over        x, y                              of the N masses; the two ends are fixed
    subject to  y ≥ cos(x/10) − ½                 the ground

The ground's multipliers are the forces by which it carries the chain.
"""

from __future__ import annotations

import numpy as np

import adjoint as adj

COUNT, LENGTH, GRAVITY = 40, 1.0, 9.81
MASS, STIFFNESS = 40.0 / COUNT, 70.0 * COUNT


def model() -> adj.Program:
    """The energy of a chain, and how high it hangs above the ground."""
    m = adj.Program("hanging chain")
    x, y = m.input("x", np.linspace(-2.0, 2.0, COUNT)), m.input("y", np.ones(COUNT))
    distance = m.define("distance", np.sqrt((x[1:] - x[:-1]) ** 2 + (y[1:] - y[:-1]) ** 2))
    springs = 0.5 * STIFFNESS * np.sum((distance - LENGTH / COUNT) ** 2)
    m.define("energy", springs + GRAVITY * MASS * np.sum(y))
    m.define("height", y - np.cos(0.1 * x) + 0.5)
    return m


def problem() -> adj.Problem:
    """The least energy."""
    m = model()
    free = np.full(COUNT, np.inf)
    free[[0, -1]] = 0.0
    x = np.linspace(-2.0, 2.0, COUNT)
    return adj.Problem(
        m,
        minimize="energy",
        over={"x": (x - free, x + free), "y": (1.0 - free, 1.0 + free)},
        subject_to={"ground": m["height"] >= 0.0},
    )


def main() -> None:
    for formulation in ("reduced", "full"):
        result = problem().solve("interior-point", formulation=formulation)
        print(f"{formulation} space: energy {result.fun:.6f}, {result.nit} iterations")
    lying = int(np.sum(result.multipliers["ground"] > 1e-6))
    print(f"  {lying} of {COUNT} masses lie on the ground, which carries {result.multipliers['ground'].sum():.4f} N")


if __name__ == "__main__":
    main()
