"""Sellar's problem: two disciplines that need each other's output, solved, differentiated and optimized.

    y1 = z1² + z2 + x − 0.2 y2                   minimize    f = x² + z2 + y1 + exp(−y2)
    y2 = √y1 + z1 + z2                           subject to  y1 ≥ 3.16,  y2 ≤ 24

Sellar, Batill, Renaud 1996, "Response surface based, concurrent subspace optimization for multidisciplinary
system design".
"""

from __future__ import annotations

import numpy as np

import adjoint as adj


def model() -> adj.Program:
    """The coupled equations and the objective."""
    m = adj.Program("sellar")
    z1, z2, x = m.input("z1", 5.0), m.input("z2", 2.0), m.input("x", 1.0)
    y1, y2 = m.unknown("y1"), m.unknown("y2")
    m.define(y1, z1**2 + z2 + x - 0.2 * y2)
    m.define(y2, np.sqrt(y1) + z1 + z2)
    m.define("f", x**2 + z2 + y1 + np.exp(-y2))
    return m


def problem() -> adj.Problem:
    """Minimize f under bounds on both outputs."""
    m = model()
    return adj.Problem(
        m,
        minimize="f",
        over={"z1": (-10, 10), "z2": (0, 10), "x": (0, 10)},
        subject_to={"y1 at least 3.16": m["y1"] >= 3.16, "y2 at most 24": m["y2"] <= 24.0},
    )


def main() -> None:
    sol = model().solve()
    print(f"at z = (5, 2), x = 1: y1 = {sol['y1']:.9f}, y2 = {sol['y2']:.9f}, f = {sol['f']:.9f}")
    for name, value in sol.gradient("f").items():
        print(f"  df/d{name} = {value:.9f}")

    result = problem().solve(method="SLSQP", options={"ftol": 1e-12})
    print(f"optimum: f = {result.fun:.8f} after {result.nit} iterations")
    for name in ("z1", "z2", "x", "y1", "y2"):
        print(f"  {name} = {result.solution[name]:.8f}")
    print(f"  d f*/d(3.16) = {result.multipliers['y1 at least 3.16']:.6f}")


if __name__ == "__main__":
    main()
