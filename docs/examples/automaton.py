"""A weighted automaton with loops: the total weight of all its paths, and its gradient in every arc.

    forward_i  = α_i + Σ_{arcs j → i} w_ji forward_j          weight of all paths from a start to state i
    Z          = Σ_i forward_i ω_i                            weight of all accepted paths
    leaving_i  = 1 + Σ_{arcs i → j} w_ij leaving_j,  ≥ 1      weight of all paths that leave state i

The multiplier of ``forward`` is the backward weight: ∂Z/∂w_ij = forward_i backward_j comes from one adjoint
solve.

The sum over the infinitely many paths exists only where the spectral radius of the weights is below 1. Where
it is not, the equation of ``forward`` still has a solution, which is no sum of paths. ``leaving`` refuses it:
for weights w ≥ 0 it has a solution ≥ 1 if and only if the spectral radius is below 1 (Berman & Plemmons 1994,
*Nonnegative Matrices in the Mathematical Sciences*, chapter 6, condition I27).

Eisner 2002, "Parameter estimation for probabilistic finite-state transducers".
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import adjoint as adj


class DivergentError(ValueError):
    """The sum over all paths of an automaton does not exist."""


def model(
    source: Any = (0, 0, 1, 1),
    target: Any = (0, 1, 0, 1),
    weights: Any = (0.2, 0.3, 0.4, 0.1),
    final: Any = (0, 1),
) -> adj.Program:
    """An automaton by its arcs and the final weights ω of its states; it starts in state 0."""
    source, target = np.asarray(source), np.asarray(target)
    n = len(final)
    m = adj.Program("automaton")
    w = m.input("w", weights)
    alpha, omega = m.input("alpha", np.arange(n) == 0), m.input("omega", final)

    forward = m.unknown("forward", guess=np.zeros(n))
    m.define(forward, alpha + adj.segment_sum(w * forward[source], target, n))
    m.define("Z", omega @ forward)

    leaving = m.unknown("leaving", guess=np.ones(n), lower=1.0)
    m.define(leaving, 1.0 + adj.segment_sum(w * leaving[target], source, n))
    return m


def path_sum(m: adj.Program, weights: Any = None) -> adj.Solution:
    """Solve an automaton, or refuse weights whose sum over all paths does not exist."""
    w = m.inputs[m["w"]] if weights is None else np.asarray(weights)
    if np.any(w < 0):
        raise DivergentError(f"arc {int(np.argmin(w))} has the negative weight {np.min(w)}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", adj.SingularWarning)
        try:
            return m.solve(w=w)
        except (adj.ConvergenceError, adj.SingularWarning) as error:
            raise DivergentError(
                "the weights have a spectral radius of 1 or more: longer paths do not weigh less and less, "
                "and the sum over all paths does not exist. Scale the weights down."
            ) from error


def ring(states: int = 10_000, weight: float = 0.9) -> adj.Program:
    """One cycle through all states, accepted everywhere: Z = 1 / (1 − weight), for any number of states."""
    here = np.arange(states)
    return model(here, (here + 1) % states, np.full(states, weight), final=np.ones(states))


def main() -> None:
    sol = path_sum(model())
    print(f"two states: Z = {sol['Z']:.12f}")
    print(f"  forward weights {sol['forward']}, backward weights {sol.multipliers('Z')['forward']}")
    print(f"  dZ/dw of the arcs 0→0, 0→1, 1→0, 1→1: {sol.gradient('Z', wrt='w')}")

    big = path_sum(ring())
    slopes = big.gradient("Z", wrt="w")
    print(f"ring of {slopes.size} states: Z = {big['Z']:.12f}, dZ/dw of the first arcs {slopes[:3]}")

    try:
        path_sum(ring(), np.full(slopes.size, 1.001))
    except DivergentError as error:
        print(f"weights of 1.001 are refused: {error}")


if __name__ == "__main__":
    main()
