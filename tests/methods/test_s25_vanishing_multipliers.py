"""Multipliers that vanish or explode: λ_t = J_tᵀ λ_{t+1}, so |λ_0| ≤ Π ‖J_t‖.

S. Hochreiter 1991; Y. Bengio, P. Simard & P. Frasconi 1994. A logistic unit has slope 1/4 at most. B. Recht ("Mates of
Costate", 2016): stable dynamics forget, unstable ones explode. Numbers computed independently.
"""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj

LAYERS, SIZE, SLOPE = 10, 3.48311560978516e-07, -1.4870


def unit(z: adj.Expr) -> adj.Expr:
    return 1 / (1 + np.exp(-z))


def test_along_the_depth() -> None:
    m = adj.Program("layers")
    z = m.input("z0", 0.5)
    for k in range(LAYERS):
        z = m.define(f"z{k + 1}", unit(z))
    sol = m.solve()
    assert sol.gradient(f"z{LAYERS}", wrt="z0") == pytest.approx(SIZE, rel=1e-12)
    assert SIZE <= 4.0**-LAYERS == pytest.approx(9.5367e-07, rel=1e-4)
    (chain,) = sol.diagnose(f"z{LAYERS}", along=[f"z{k}" for k in range(LAYERS + 1)]).series
    assert chain.sizes[0] == pytest.approx(SIZE, rel=1e-12)
    assert chain.slope == pytest.approx(SLOPE, abs=5e-5)
    assert np.all(np.diff(np.log(chain.sizes)) >= np.log(4.0))
    assert chain.vanishing == ("z0",) and chain.exploding == ()


def test_along_the_time_of_a_loop() -> None:
    m = adj.Program("loop")
    end, _ = adj.scan(lambda z, _: (unit(z), None), m.input("start", 0.5), length=LAYERS)
    m.define("loss", end)
    found = m.solve().diagnose("loss")
    (time,) = found.series
    assert time.sizes[0] == pytest.approx(SIZE, rel=1e-12) and time.slope == pytest.approx(SLOPE, abs=5e-5)
    assert time.vanishing == ("step 0",) and not found.ok
    assert "vanishing at step 0" in str(found)
    assert m.solve().diagnose("loss", vanishing=1e-8).ok


@pytest.mark.parametrize(("radius", "flags"), [(0.5, ("vanishing",)), (1.0, ()), (2.0, ("exploding",))])
def test_linear_dynamics_forget_keep_or_explode(radius: float, flags: tuple[str, ...]) -> None:
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    m = adj.Program("dynamics")
    end, _ = adj.scan(lambda z, _: (radius * turn @ z, None), m.input("z", [1.0, 0.0]), length=40)
    m.define("loss", end[0])
    (time,) = m.solve().diagnose("loss").series
    assert time.slope == pytest.approx(np.log(radius), abs=1e-12)
    assert bool(time.vanishing) == ("vanishing" in flags) and bool(time.exploding) == ("exploding" in flags)
    if flags:
        places = time.vanishing or time.exploding
        expected = int(np.ceil(40 - np.log(1e6) / abs(np.log(radius))))
        assert places[0] == "step 0" and len(places) == expected


def test_the_flags_of_layers_with_many_units() -> None:
    rng = np.random.default_rng(0)
    m = adj.Program("deep")
    a = m.input("x", rng.normal(size=8))
    for k in range(30):
        a = m.define(f"a{k}", np.tanh((0.3 if k < 15 else 1.0) * rng.normal(size=(8, 8)) / np.sqrt(8) @ a))
    m.define("loss", np.sum(a))
    found = m.solve().diagnose("loss", vanishing=1e-3)
    sizes = dict(zip(found.series[0].places, found.series[0].sizes, strict=True))
    assert set(found.series[0].vanishing) == {p for p, s in sizes.items() if s < 1e-3 * sizes["loss"]} != set()
