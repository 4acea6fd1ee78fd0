"""Weighted automata against worked examples and dense linear algebra."""

from __future__ import annotations

import automaton
import numpy as np
import pytest

import adjoint as adj


def test_two_states() -> None:
    sol = automaton.path_sum(automaton.model())
    assert sol["Z"] == pytest.approx(0.5, abs=1e-14)
    np.testing.assert_allclose(sol["forward"], [1.5, 0.5], atol=1e-14)
    np.testing.assert_allclose(sol.multipliers("Z")["forward"], [0.5, 4 / 3], atol=1e-14)
    np.testing.assert_allclose(sol.gradient("Z", wrt="w"), [0.75, 2.0, 0.25, 2 / 3], atol=1e-13)


def test_one_loop() -> None:
    sol = automaton.path_sum(automaton.model([0], [0], [0.5], final=[1]))
    assert sol["Z"] == pytest.approx(2.0, abs=1e-14)
    np.testing.assert_allclose(sol.gradient("Z", wrt="w"), [4.0], atol=1e-13)


def test_ring() -> None:
    sol = automaton.path_sum(automaton.ring())
    assert sol["Z"] == pytest.approx(10.0, abs=1e-12)
    assert max(np.abs(r).max() for r in sol.residuals().values()) < 1e-10
    np.testing.assert_allclose(sol.gradient("Z", wrt="w"), 10 * 0.9 ** np.arange(10_000), atol=1e-12)


def test_random_automata() -> None:
    rng = np.random.default_rng(3)
    for n in (1, 2, 5, 30):
        W = rng.random((n, n)) * (rng.random((n, n)) < 0.5)
        W *= 0.9 / max(np.abs(np.linalg.eigvals(W)).max(), 0.9)
        W[n - 1, n - 1] += 1e-3  # one arc at least
        source, target = np.nonzero(W)
        omega = rng.random(n)
        sol = automaton.path_sum(automaton.model(source, target, W[source, target], omega))
        star = np.linalg.inv(np.eye(n) - W)
        assert sol["Z"] == pytest.approx(star[0] @ omega, rel=1e-10)
        slopes = np.outer(star[0], star @ omega)[source, target]
        np.testing.assert_allclose(sol.gradient("Z", wrt="w"), slopes, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(sol["leaving"], star.sum(axis=1), rtol=1e-10)


@pytest.mark.parametrize(
    "weights",
    [
        (0.2, 0.3, 0.4, 0.95),
        (1.0, 0.0, 0.0, 0.5),  # a loop of weight 1: singular
        (2.0, 0.0, 0.0, 0.5),
        (0.5, 0.5, 0.5, 0.5),  # a stochastic matrix: singular
        (0.2, 0.9, 0.9, 0.2),
        (0.0, 3.0, 3.0, 0.0),  # the linear system has the solution Z = -3/8
        (100.0, 100.0, 100.0, 100.0),
    ],
)
def test_weights_without_a_sum_are_refused(weights: tuple[float, ...]) -> None:
    W = np.reshape(weights, (2, 2))
    assert np.abs(np.linalg.eigvals(W)).max() >= 1.0 - 1e-15
    with pytest.raises(automaton.DivergentError, match="spectral radius of 1 or more"):
        automaton.path_sum(automaton.model(), weights)


@pytest.mark.parametrize("weight", [1.0, 1.001, 2.0])
def test_a_divergent_ring_is_refused(weight: float) -> None:
    with pytest.raises(automaton.DivergentError, match="spectral radius of 1 or more"):
        automaton.path_sum(automaton.ring(), np.full(10_000, weight))


def test_a_ring_just_below_one_is_solved() -> None:
    sol = automaton.path_sum(automaton.ring(100), np.full(100, 0.9999))
    assert sol["Z"] == pytest.approx(1e4, rel=1e-10)


def test_negative_weights_are_refused() -> None:
    with pytest.raises(automaton.DivergentError, match=r"arc 1 has the negative weight -0\.3"):
        automaton.path_sum(automaton.model(), (0.2, -0.3, 0.4, 0.1))


def test_the_program_itself_refuses() -> None:
    with pytest.raises(adj.ConvergenceError, match="leaving"):
        automaton.model().solve(w=(0.0, 3.0, 3.0, 0.0))
