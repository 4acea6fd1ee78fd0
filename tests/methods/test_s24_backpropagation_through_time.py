"""Backpropagation through time: an unfolded network whose copies share their weights.

J. Elman 1990; P. Werbos 1990; R. Williams & J. Peng 1990 (truncated). The gradient by a shared weight is the *sum* over
the copies, not their mean. Numbers computed independently; PyTorch's gradient on a real series is compared in
tests/loops/test_backpropagation.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj

INPUTS, TARGETS = np.array([1.0, -0.5, 0.25]), np.array([0.5, 0.0, 0.1])
GRADIENT = {"w": -0.0469641863863, "u": 0.0626141202625, "v": 0.104040030472}
COPIES = [0.0, -0.0423209574351, -0.00464322895117]


def looped(**options: Any) -> adj.Program:
    """h_t = tanh(w h_{t−1} + u x_t), o_t = v h_t, L = ½ Σ (o_t − y_t)²."""
    m = adj.Program("Elman")
    w, u, v = m.input("w", 0.5), m.input("u", 1.0), m.input("v", 0.8)

    def step(h: Any, x: Any) -> Any:
        h = np.tanh(w * h + u * x)
        return h, v * h

    _, o = adj.scan(step, 0.0, INPUTS, **options)
    m.define("L", 0.5 * np.sum((o - TARGETS) ** 2))
    return m


def unfolded(tied: bool = True) -> adj.Program:
    """The same, one equation for each time."""
    m = adj.Program("unfolded")
    w, u, v = m.input("w", 0.5 if tied else np.full(3, 0.5)), m.input("u", 1.0), m.input("v", 0.8)
    h, loss = 0.0, 0.0
    for t, (x, y) in enumerate(zip(INPUTS, TARGETS, strict=True)):
        h = m.define(f"h{t + 1}", np.tanh((w if tied else w[t]) * h + u * x))
        loss = loss + 0.5 * (v * h - y) ** 2
    m.define("L", loss)
    return m


@pytest.mark.parametrize("checkpoints", [None, 1, 2])
def test_the_loop(checkpoints: int | None) -> None:
    sol = looped(checkpoints=checkpoints).solve()
    assert sol["L"] == pytest.approx(0.011761124095308, abs=1e-15)
    for name, value in GRADIENT.items():
        assert sol.gradient("L", wrt=name) == pytest.approx(value, abs=1e-12)


def test_the_unfolded_network_is_the_same() -> None:
    sol = unfolded().solve()
    assert sol["L"] == pytest.approx(0.011761124095308, abs=1e-15)
    for name, value in GRADIENT.items():
        assert sol.gradient("L", wrt=name) == pytest.approx(value, abs=1e-12)


def test_the_gradient_is_the_sum_over_the_copies() -> None:
    copies = unfolded(tied=False).solve().gradient("L", wrt="w")
    np.testing.assert_allclose(copies, COPIES, rtol=0, atol=1e-12)
    assert copies.sum() == pytest.approx(GRADIENT["w"], abs=1e-12)


def test_the_multipliers_are_the_error_signals() -> None:
    """λ_{h_t} = v (v h_t − y_t) + w (1 − h_{t+1}²) λ_{h_{t+1}}."""
    sol = unfolded().solve()
    lam, later = sol.multipliers("L"), 0.0
    for t in (3, 2, 1):
        h = sol[f"h{t}"]
        later = 0.8 * (0.8 * h - TARGETS[t - 1]) + later
        assert lam[f"h{t}"] == pytest.approx(later, rel=1e-13)
        later *= 0.5 * (1 - h**2)


def test_truncation_drops_what_came_before() -> None:
    """Cut at every step, each copy counts what its own input does; and the library says that this is no derivative."""
    sol = looped(truncate=1).solve()
    h, direct = 0.0, 0.0
    for x, y in zip(INPUTS, TARGETS, strict=True):
        before, h = h, np.tanh(0.5 * h + x)
        direct += 0.8 * (0.8 * h - y) * (1 - h**2) * before
    assert sol.gradient("L", wrt="w") == pytest.approx(direct, abs=1e-15)
    check = sol.check_derivatives("L")
    assert not check and "DIFFER" in str(check)
    assert looped(truncate=3).solve().check_derivatives("L")
