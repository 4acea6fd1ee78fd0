"""Published optima of other programs' examples, by every formulation that suits them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as adj

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs" / "examples"))  # scripts beside each other

import cstr
import hanging_chain
import hohmann
import powerflow
import rosenbrock
import sellar
import sobieski
import wing

Formulation = str | Mapping[str, str]


def solved(problem: adj.Problem, formulation: Formulation = "reduced", **more: Any) -> Any:
    result = problem.solve("interior-point", formulation=formulation, **more)
    assert result.status == "optimal", result.message
    return result


# -- published answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("formulation", ["reduced", "full"])
def test_hohmann(formulation: str) -> None:
    p = hohmann.problem()
    assert p.program.solve()["delta_v"] == pytest.approx(4.221581425832, abs=1e-12)
    result = solved(p, formulation)
    assert result.fun == pytest.approx(4.196343770200, abs=1e-10)
    np.testing.assert_allclose(result.x, [2.23108979, 26.26891021], atol=1e-6)


@pytest.mark.parametrize("formulation", ["reduced", "full"])
def test_betz_limit(formulation: str) -> None:
    """No turbine takes more than 16/27 of the wind's power: the wind behind the disc is slowed by 2 a, at it by a."""
    m = adj.Program("actuator disc")
    a, wind, area, density = (m.input(*pair) for pair in (("a", 0.5), ("wind", 10.0), ("area", 2.0), ("rho", 1.225)))
    speed = m.define("speed", wind * (1 - a))
    thrust = m.define("thrust", 2 * density * area * wind * a * speed)
    power = m.define("power", thrust * speed)
    m.define("Cp", power / (0.5 * density * area * wind**3))
    result = solved(adj.Problem(m, maximize="Cp", over={"a": (0.0, 1.0)}), formulation)
    assert result.fun == pytest.approx(16 / 27, abs=1e-9)
    assert result.x == pytest.approx(1 / 3, abs=1e-6)


@pytest.mark.parametrize("formulation", ["reduced", "full"])
def test_rectangular_wing(formulation: str) -> None:
    """Friction asks for a long chord, induced drag for a short one."""
    m = adj.Program("rectangular wing")
    chord, span = m.input("chord", 1.0), m.input("span", 2.0)
    Re = m.define("Re", 1.225 / 1.81e-5 * chord)
    m.define("CD", 1.328 / np.sqrt(Re) + 0.4**2 / np.pi * chord / span)
    over = {"chord": (1e-3, None), "span": (1e-3, None)}
    result = solved(adj.Problem(m, minimize="CD", over=over, subject_to={"area": chord * span == 1}), formulation)
    np.testing.assert_allclose(result.x[:2], [0.2288630528244024, 4.369425242121806], rtol=1e-6)


@pytest.mark.parametrize("formulation", ["reduced", "full"])
def test_wing_that_carries_itself(formulation: str) -> None:
    result = solved(wing.problem(), formulation)
    assert result.fun == pytest.approx(303.1, abs=0.05)
    assert result.fun == pytest.approx(303.0747732, rel=1e-8)
    # Lift is held at cruise; more weight is more drag.
    assert result.constraints["cruise"] == pytest.approx(1.0, abs=1e-7)
    assert result.multipliers["weight"] == pytest.approx(0.0530956, rel=1e-5)


@pytest.mark.parametrize("formulation", ["reduced", "full"])
def test_hanging_chain(formulation: str) -> None:
    result = solved(hanging_chain.problem(), formulation)
    assert result.fun == pytest.approx(626.462, abs=1e-3)
    carried = result.multipliers["ground"]
    assert np.all(carried >= -1e-7) and np.all(result.constraints["ground"] >= -1e-8)
    # What hangs is balanced: the ground and the two nails carry the weight.
    nails = result.multipliers["y"][[0, -1]]
    assert carried.sum() + nails.sum() == pytest.approx(40 * 9.81, rel=1e-6)


def test_rosenbrock_chain() -> None:
    for size in (2, 10, 100):
        result = solved(rosenbrock.problem(size))
        np.testing.assert_allclose(result.x, 1.0, atol=1e-6)


def test_rosenbrock_in_a_disc() -> None:
    result = solved(rosenbrock.in_a_disc())
    assert result.fun == pytest.approx(0.0409190, abs=1e-7)
    assert result.multipliers["disc"] == pytest.approx(-0.1089876005, rel=1e-6)


def test_sensitivity_along_a_sweep() -> None:
    """The multiplier is the slope of the optimum in the radius, from one solve to the next."""
    step, results = 1e-3, []
    for r in (1.5 - step, 1.5, 1.5 + step):
        results.append(solved(rosenbrock.in_a_disc(r), start=results[-1] if results else None))
    slope = (results[2].fun - results[0].fun) / (2 * step)
    assert results[1].multipliers["disc"] == pytest.approx(slope, rel=1e-4)


def test_sobieski() -> None:
    p = sobieski.problem()
    first = p.program.solve()
    # Another implementation of the same equations.
    assert first["range"] == pytest.approx(535.782131922939, rel=1e-10)
    assert first["weight"] == pytest.approx(50607.06361903, rel=1e-10)
    assert first["drag"] == pytest.approx(12194.40917863, rel=1e-10)
    stresses = [first[f"stress_{k}"] - 1.09 for k in range(1, 6)]
    np.testing.assert_allclose(stresses, [0.035, -0.006666667, -0.0275, -0.04, -0.048333333], atol=1e-8)

    result = solved(p)
    assert result.fun == pytest.approx(3963.98, rel=2e-4)  # published, to the accuracy of the method that found it
    assert result.fun == pytest.approx(3963.3800120, rel=1e-9)
    # Where the published design is at its bounds; the range hardly feels the taper.
    expected = {"box_area": 0.75, "friction": 0.75, "throttle": 0.15624, "thickness": 0.06, "altitude": 60000.0}
    expected |= {"mach": 1.4, "aspect": 2.5, "sweep": 70.0, "area": 1500.0}
    for name, value in expected.items():
        assert result.solution[name] == pytest.approx(value, rel=1e-4), name

    full = solved(p, "full", start=first)
    assert full.fun == pytest.approx(result.fun, rel=1e-8)
    for name in ("throttle_use", "pressure_gradient", "sweep", "mach"):
        assert full.multipliers[name] == pytest.approx(result.multipliers[name], rel=1e-6), name


# -- the same optimum and multipliers from every formulation ----------------------------------------------

MODELS: dict[str, tuple[Callable[[], adj.Problem], Formulation]] = {
    "sellar": (sellar.problem, {"y1": "full"}),
    "wing": (wing.problem, {"W": "full"}),
    "cstr": (cstr.problem, {"ca": "full"}),
}


def agree(one: Any, other: Any, problem: adj.Problem) -> None:
    """Objectives to 1e-8, multipliers of equations, constraints and bounds to 1e-6."""
    assert other.fun == pytest.approx(one.fun, rel=1e-8, abs=1e-8)
    names = [*problem.constraints, *problem.program.equations, *(v.name for v in problem.variables)]
    for name in names:
        expected, scale = one.multipliers[name], max(1.0, float(np.max(np.abs(one.multipliers[name]))))
        np.testing.assert_allclose(other.multipliers[name], expected, atol=1e-6 * scale, err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_formulations_agree(name: str) -> None:
    make, mixed = MODELS[name]
    problem = make()
    reduced = solved(problem, options={"tol": 1e-9})
    for formulation in ("full", mixed):
        agree(reduced, solved(problem, formulation, options={"tol": 1e-9}), problem)


def test_formulations_agree_on_power_flow() -> None:
    pytest.importorskip("pypower")
    problem = powerflow.problem()  # some voltage limits hardly matter, so their multipliers need more digits
    reduced, full = (solved(problem, formulation, options={"tol": 1e-11}) for formulation in ("reduced", "full"))
    agree(reduced, full, problem)
    assert reduced.fun == pytest.approx(114.998062, rel=1e-7)
