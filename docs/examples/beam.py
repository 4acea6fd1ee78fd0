"""The stiffest cantilever of a given volume: 50 beam elements, each with its own height.

    minimize   f·d                       compliance, with the load f: a unit force at the tip
    over       h                         the height of each element, 0.01 ≤ h ≤ 10
    subject to K(h) d = f                Euler–Bernoulli bending, d = (deflection, slope) of every node
               Σ b h L/n = volume

In the reduced space the optimizer sees h only: at every step the equilibrium is solved, and adjoint solves give the
derivatives. In the full space, where the equations hold at the end only, K(h) d = f is a trap: as long as it does not
hold, f·d can be anything, also −10⁶, and interior-point methods get lost there. The same beam by its internal forces,
moments first, is well behaved in both:

    M₋ − M₊ = F ℓ                           moments at the ends of each element, of length ℓ = L/n
    θ₊ − θ₋ = ℓ (M₋ + M₊) / 2EI             slopes
    w₊ − w₋ = ℓ θ₋ + ℓ² (2 M₋ + M₊) / 6EI   deflections
"""

from __future__ import annotations

from collections.abc import Callable

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


def internal_forces(elements: int = 50) -> adj.Program:
    """The same beam by moments, slopes and deflections of the nodes, clamp to tip."""
    n, size = elements, LENGTH / elements
    m = adj.Program("beam")
    h = m.input("h", np.full(n, VOLUME / (WIDTH * LENGTH)))
    moment = m.unknown("moment", shape=(n,))  # at the left ends; at the tip it is 0
    slope = m.unknown("slope", shape=(n,))  # at the right ends; at the clamp it is 0
    deflection = m.unknown("deflection", shape=(n,))

    left, right = moment, np.concatenate([moment[1:], np.zeros(1)])
    before, lower = (np.concatenate([np.zeros(1), u[:-1]]) for u in (slope, deflection))
    flexibility = 12.0 / (YOUNG * WIDTH * h**3)
    m.constrain((left - right) / size == 1.0, name="moment_balance")
    m.constrain(slope - before == size * flexibility * (left + right) / 2, name="rotation")
    bending = size**2 * flexibility * (2 * left + right) / 6
    m.constrain(deflection - lower == size * before + bending, name="translation")

    m.define("compliance", deflection[n - 1])
    m.define("volume", np.sum(h) * WIDTH * size)
    return m


def problem(elements: int = 50, build: Callable[[int], adj.Program] = model) -> adj.Problem:
    """Minimize the compliance at a given volume: an input, so that ``values={"available": 0.02}`` is another."""
    m = build(elements)
    available = m.input("available", VOLUME)
    scale = 1e-4  # methods stop on absolute changes: bring the objective near 1
    return adj.Problem(
        m,
        minimize=scale * m["compliance"],
        over={"h": (0.01, 10.0)},
        subject_to={"volume": m["volume"] / available == 1.0},
    )


def main() -> None:
    start = model().solve()
    print(f"uniform height: compliance {start['compliance']:.6f}")
    for build, formulation in ((model, "reduced"), (internal_forces, "reduced"), (internal_forces, "full")):
        result = problem(build=build).solve("interior-point", formulation=formulation)
        sol = result.solution
        print(f"{build.__name__}, {formulation} space: compliance {sol['compliance']:.6f}, {result.nit} iterations")
    print(f"  volume {sol['volume']:.9f}, h at the clamp {sol['h'][0]:.8f}, at the tip {sol['h'][-1]:.8f}")


if __name__ == "__main__":
    main()
