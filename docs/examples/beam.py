"""The stiffest cantilever of a given volume: 50 beam elements, each with its own height.

    minimize   f·d                       compliance, with the load f: a unit force at the tip
    over       h                         the height of each element, 0.01 ≤ h ≤ 10
    subject to K(h) d = f                Euler–Bernoulli bending, d = (deflection, slope) of every node
               Σ b h L/n = volume

The optimizer sees h only: at every step the equilibrium is solved, and one adjoint solve gives the gradient.
"""

from __future__ import annotations

import numpy as np

import adjoint as adj

LENGTH, WIDTH, YOUNG, VOLUME = 1.0, 0.1, 1.0, 0.01


def element_stiffness(length: float) -> np.ndarray:
    """The stiffness matrix of a beam element of unit bending stiffness E I."""
    a = length
    return (
        np.array(
            [
                [12.0, 6 * a, -12.0, 6 * a],
                [6 * a, 4 * a**2, -6 * a, 2 * a**2],
                [-12.0, -6 * a, 12.0, -6 * a],
                [6 * a, 2 * a**2, -6 * a, 4 * a**2],
            ]
        )
        / a**3
    )


def model(elements: int = 50) -> adj.Program:
    """Equilibrium of the clamped beam; compliance and volume as functions of the heights."""
    n, size = elements, LENGTH / elements
    m = adj.Program("beam")
    h = m.input("h", np.full(n, VOLUME / (WIDTH * LENGTH)))
    d = m.unknown("d", shape=(2 * n,))  # node 0 is clamped: its deflection and slope are 0

    bending = YOUNG * WIDTH * h**3 / 12.0
    nodal = np.concatenate([np.zeros(2), d])
    dofs = 2 * np.arange(n)[:, None] + np.arange(4)  # of each element, among all nodes
    forces = bending[:, None] * (nodal[dofs] @ element_stiffness(size))
    internal = adj.scatter_add(2 * n + 2, dofs, forces)[2:]
    load = np.zeros(2 * n)
    load[-2] = -1.0
    m.constrain(internal == load, name="equilibrium")

    m.define("compliance", load @ d)
    m.define("volume", np.sum(h) * WIDTH * size)
    return m


def problem(elements: int = 50) -> adj.Problem:
    """Minimize the compliance at a fixed volume."""
    m = model(elements)
    scale = 1e-4  # SLSQP stops on absolute changes: bring the objective near 1
    return adj.Problem(
        m,
        minimize=scale * m["compliance"],
        over={"h": (0.01, 10.0)},
        subject_to={"volume": m["volume"] / VOLUME == 1.0},
    )


def main() -> None:
    start = model().solve()
    print(f"uniform height: compliance {start['compliance']:.6f}")
    result = problem().solve(method="SLSQP", options={"maxiter": 300, "ftol": 1e-9})
    sol = result.solution
    print(f"optimum after {result.nit} iterations: compliance {sol['compliance']:.6f}")
    print(f"  volume {sol['volume']:.9f}, h at the clamp {sol['h'][0]:.8f}, at the tip {sol['h'][-1]:.8f}")


if __name__ == "__main__":
    main()
