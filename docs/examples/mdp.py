"""The value of a policy in a Markov decision process, and what it depends on.

    v = r + γ P v                v_i: expected discounted reward from state i on
    J = μ·v                      μ: where the process starts

One adjoint solve gives how J depends on everything: d = (I − γ Pᵀ)⁻¹ μ is the discounted number of visits to
each state, and ∂J/∂r = d, ∂J/∂P = γ d vᵀ, ∂J/∂γ = d·P v.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

import adjoint as adj


def model(P: Any = None, rewards: Any = None, gamma: float = 0.9, start: Any = None) -> adj.Program:
    """The value of every state, and J. A dense P is an input of the model, a sparse one a constant of it."""
    if P is None:
        P, rewards = np.array([[0.5, 0.5], [0.2, 0.8]]), np.array([1.0, 0.0])
    n = len(rewards)
    start = np.arange(n) == 0 if start is None else np.asarray(start)

    m = adj.Program("mdp")
    discount, r = m.input("gamma", gamma), m.input("rewards", rewards)
    transitions = P if sp.issparse(P) else m.input("P", P)
    v = m.unknown("v", guess=np.zeros(n))
    m.define(v, r + discount * (transitions @ v))
    m.define("J", start.astype(float) @ v)
    return m


def grid_world(side: int = 100, slip: float = 0.1) -> tuple[sp.csr_array, np.ndarray]:
    """Walk down and to the right through a grid to the far corner, slipping to the sides; a hole costs 1."""
    row, col = np.divmod(np.arange(side * side), side)
    east = (row + col) % 2 == 0
    goal = (row == side - 1) & (col == side - 1)

    def neighbor(down: Any, right: Any) -> np.ndarray:
        return np.clip(row + down, 0, side - 1) * side + np.clip(col + right, 0, side - 1)

    ahead = np.where(east, neighbor(0, 1), neighbor(1, 0))
    left = np.where(east, neighbor(-1, 0), neighbor(0, 1))
    right = np.where(east, neighbor(1, 0), neighbor(0, -1))
    here = np.arange(side * side)
    P = sp.csr_array((side * side, side * side))
    for target, chance in ((ahead, 1 - 2 * slip), (left, slip), (right, slip)):
        P = P + sp.csr_array(
            (np.where(goal, 0.0, chance), (here, target)), shape=P.shape
        )  # the goal ends the walk
    hole = (row * 7 + col * 3) % 41 == 20
    return P, np.where(goal, 100.0, np.where(hole, -1.0, 0.0))


def main() -> None:
    sol = model().solve()
    print(f"two states: v = {sol['v']}, J = {sol['J']:.9f}")
    for name, value in sol.gradient("J").items():
        print(f"  dJ/d{name} = {np.array2string(np.asarray(value), precision=6, prefix=' ' * 12)}")

    P, rewards = grid_world()
    sol = model(P, rewards, gamma=0.999).solve()
    slopes = sol.gradient("J")
    print(f"grid of {rewards.size} states: value at the start {sol['J']:.6f}, dJ/dγ = {slopes['gamma']:.4f}")
    visits = slopes["rewards"]
    print(f"  discounted number of visits: {visits.sum():.4f} in all, {visits[-1]:.6f} at the goal")
    costly = int(np.argmin(np.where(rewards < 0, -visits, 0.0)))
    print(f"  the hole that costs most is at {divmod(costly, 100)}: {visits[costly]:.6f} falls")


if __name__ == "__main__":
    main()
