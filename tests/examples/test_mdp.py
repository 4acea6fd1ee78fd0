"""Policy evaluation against a worked example and against the optimal values of known processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mdp
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla


def test_two_states() -> None:
    sol = mdp.model().solve()
    np.testing.assert_allclose(sol["v"], [3.835616438356, 2.465753424658], atol=1e-12)
    slopes = sol.gradient("J")
    np.testing.assert_allclose(slopes["rewards"], [3.835616438356, 6.164383561644], atol=1e-12)
    expected = 0.9 * np.outer([280, 450], [280, 180]) / 73**2  # γ d vᵀ, with v = (280, 180) / 73
    np.testing.assert_allclose(slopes["P"], expected, atol=1e-11)
    assert slopes["gamma"] == pytest.approx(28.973541002064, abs=1e-11)


def under_policy(process: dict[str, Any], policy: list[int]) -> tuple[sp.csr_array, np.ndarray]:
    """Transitions and expected rewards where the policy is followed; a terminal step has no successor."""
    n = process["n_states"]
    P, rewards = np.zeros((n, n)), np.zeros(n)
    for state, action in enumerate(policy):
        for chance, successor, reward, terminal in process["transitions"][state][action]:
            rewards[state] += chance * reward
            P[state, successor] += 0.0 if terminal else chance
    return sp.csr_array(P), rewards


@pytest.mark.parametrize(
    ("name", "gamma", "tolerance"),
    [
        ("FrozenLake4x4_slippery", "0.9", 1e-12),
        ("FrozenLake4x4_slippery", "0.99", 1e-12),
        ("FrozenLake4x4_slippery", "0.999999", 1e-9),
        ("FrozenLake4x4_deterministic", "0.9", 1e-12),
        ("FrozenLake4x4_deterministic", "0.99", 1e-12),
        ("Taxi-v4", "0.9", 1e-11),
        ("Taxi-v4", "0.99", 1e-10),
    ],
)
def test_known_processes(data: Path, name: str, gamma: str, tolerance: float) -> None:
    process = json.loads((data / "mdp" / f"{name}.json").read_text())
    optimal = process["optimal"][gamma]
    P, rewards = under_policy(process, optimal["policy"])
    start = process["initial_distribution"]
    sol = mdp.model(P, rewards, float(gamma), start).solve()
    np.testing.assert_allclose(sol["v"], optimal["V"], atol=tolerance)
    visits = sol.gradient("J", wrt="rewards")
    assert visits @ rewards == pytest.approx(np.dot(start, optimal["V"]), abs=tolerance)  # J = d·r


def test_grid_world() -> None:
    P, rewards = mdp.grid_world()
    n = rewards.size
    assert n == 10_000
    np.testing.assert_allclose(P.sum(axis=1)[:-1], 1.0, atol=1e-15)
    sol = mdp.model(P, rewards, gamma=0.999).solve()
    A = sp.csc_array(sp.eye_array(n) - 0.999 * P)
    np.testing.assert_allclose(sol["v"], spla.spsolve(A, rewards), rtol=1e-10)
    d = spla.spsolve(sp.csc_array(A.T), (np.arange(n) == 0).astype(float))
    slopes = sol.gradient("J")
    np.testing.assert_allclose(slopes["rewards"], d, rtol=1e-9, atol=1e-14)
    assert slopes["gamma"] == pytest.approx(d @ (P @ sol["v"]), rel=1e-10)
