"""Heat that makes its own heat: a nonlinear elliptic equation, and the gradient in a field of coefficients.

    −∇·(k ∇u) = λ exp(u)  in the unit square,  u = 0 on its boundary          (Bratu's problem where k = 1)
    J = ∫ u

on n × n interior points, five-point stencil, k given at the points and averaged between them. The gradient of
J with respect to the n² values of k costs one linear solve, on the factors that the last Newton step left.
"""

from __future__ import annotations

import time

import numpy as np

import adjoint as adj


def model(n: int = 200, strength: float = 5.0, conductivity: np.ndarray | float = 1.0) -> adj.Program:
    """The temperature on n × n interior points."""
    step = 1.0 / (n + 1)
    m = adj.Program("bratu")
    k = m.input("k", conductivity, shape=(n, n))
    source = m.input("lambda", strength)
    u = m.unknown("u", guess=np.zeros((n, n)))

    wide = np.pad(u, 1)  # with the boundary values
    around = np.pad(k, 1, mode="edge")
    between_x = 0.5 * (around[1:, 1:-1] + around[:-1, 1:-1])
    between_y = 0.5 * (around[1:-1, 1:] + around[1:-1, :-1])
    flux_x = between_x * np.diff(wide[:, 1:-1], axis=0)
    flux_y = between_y * np.diff(wide[1:-1, :], axis=1)
    divergence = np.diff(flux_x, axis=0) + np.diff(flux_y, axis=1)
    m.constrain(divergence + step**2 * source * np.exp(u) == 0, name="heat")

    m.define("J", step**2 * np.sum(u))
    return m


def main(n: int = 200) -> None:
    began = time.perf_counter()
    m = model(n)
    sol = m.solve()
    solved = time.perf_counter()
    slope = sol.gradient("J", wrt="k")
    done = time.perf_counter()
    print(f"{n} × {n} points: highest u = {sol['u'].max():.6f}, J = {sol['J']:.9f} ({solved - began:.2f} s)")
    i, j = np.unravel_index(np.argmin(slope), slope.shape)
    print(f"dJ/dk: {slope.size} values in {done - solved:.2f} s, down to {slope[i, j]:.6e} at ({i}, {j})")
    print(f"dJ/dλ = {sol.gradient('J', wrt='lambda'):.9f}")


if __name__ == "__main__":
    main()
