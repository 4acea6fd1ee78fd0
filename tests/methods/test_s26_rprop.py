"""Rprop: the printed steps of f = w² from 1, by all four variants.

M. Riedmiller & H. Braun (1992); variants after C. Igel & M. Hüsken (2003).
"""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj

PRINTED = [1.0, 0.9, 0.78, 0.636, 0.4632, 0.25584, 0.007008, -0.2915904]
EIGHTH = {"Rprop-": -0.1422912, "iRprop-": -0.2915904, "Rprop+": 0.007008, "iRprop+": 0.007008}


def path(variant: str, steps: int, **options: float) -> list[float]:
    m = adj.Program()
    m.define("f", m.input("w", 1.0) ** 2)
    points: list[float] = []
    options = {"variant": variant, "max_iter": steps, **options}
    adj.Problem(m, minimize="f", over=["w"]).solve("rprop", options=options, callback=lambda r: points.append(r.x[0]))
    return points


@pytest.mark.parametrize("variant", EIGHTH)
def test_printed_steps(variant: str) -> None:
    points = path(variant, 8)
    np.testing.assert_allclose(points[:8], PRINTED, rtol=0.0, atol=1e-15)
    assert points[8] == pytest.approx(EIGHTH[variant], rel=1e-12)


@pytest.mark.parametrize("variant", EIGHTH)
def test_after_a_change_of_sign(variant: str) -> None:
    """Δ is halved once; after a step back or no step it does not change in the next iteration."""
    delta = 0.2985984
    ninth = {
        "Rprop-": -0.1422912 + 1.2 * 0.5 * delta,
        "iRprop-": -0.2915904 + 0.5 * delta,
        "Rprop+": 0.007008 - 0.5 * delta,
        "iRprop+": 0.007008 - 0.5 * delta,
    }
    assert path(variant, 9)[9] == pytest.approx(ninth[variant], rel=1e-12)


def test_steps_stay_between_their_limits() -> None:
    """Δ ≤ Δmax and Δ ≥ Δmin."""
    points = np.array(path("Rprop-", 60, step=0.1, step_max=0.15, step_min=0.01))
    steps = np.abs(np.diff(points))
    assert steps.max() <= 0.15 + 1e-15
    assert steps.min() >= 0.01 - 1e-15
    np.testing.assert_allclose(steps[:4], [0.1, 0.12, 0.144, 0.15], rtol=1e-12)


def test_the_improved_variants_differ_where_the_objective_has_not_grown() -> None:
    """f = w² + 3u: the sign of one element changes, and f falls all the same: iRprop+ does not go back, Rprop+ does."""
    ends = {}
    for variant in ("Rprop+", "iRprop+"):
        m = adj.Program()
        w, u = m.input("w", 0.01), m.input("u", 5.0)
        m.define("f", w**2 + 3.0 * u)
        points: list[np.ndarray] = []
        adj.Problem(m, minimize="f", over=["w", "u"]).solve(
            "rprop", options={"variant": variant, "max_iter": 2}, callback=lambda r, to=points: to.append(r.x)
        )
        ends[variant] = points[-1]
    np.testing.assert_allclose(ends["Rprop+"], [0.01, 5.0 - 0.1 - 0.12], rtol=1e-12)
    np.testing.assert_allclose(ends["iRprop+"], [-0.09, 5.0 - 0.1 - 0.12], rtol=1e-12)


def test_whole_batches_only() -> None:
    m = adj.Program()
    x = m.input("x", np.zeros(2))
    m.define("f", np.sum((x - m.input("w", 1.0)) ** 2))
    problem = adj.Problem(m, minimize="f", over=["w"])
    with pytest.raises(adj.ModelError, match="'rprop' takes no mini-batches"):
        problem.solve("rprop", options={"data": {"x": np.ones(4)}})
