"""Coupled models from the test suites of other packages: values, total derivatives, multipliers, Hessians.

The equations are restated; the digits were recomputed independently, to more places than the packages' own tests print.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import adjoint as adj

# -- Sellar's problem (Sellar, Batill and Renaud 1996; OpenMDAO, test_suite/components/sellar.py) ---------


def sellar() -> adj.Program:
    m = adj.Program("sellar")
    z1, z2, x = m.input("z1", 5.0), m.input("z2", 2.0), m.input("x", 1.0)
    y1, y2 = m.unknown("y1"), m.unknown("y2")
    m.define(y1, z1**2 + z2 + x - 0.2 * y2)
    m.define(y2, np.sqrt(y1) + z1 + z2)
    m.define("f", x**2 + z2 + y1 + np.exp(-y2))
    m.define("con1", 3.16 - y1)
    m.define("con2", y2 - 24.0)
    return m


INPUTS = ["z1", "z2", "x"]


def test_sellar_values() -> None:
    sol = sellar().solve()
    assert sol["y1"] == pytest.approx(25.588302369878, abs=5e-13)
    assert sol["y2"] == pytest.approx(12.058488150612, abs=5e-13)
    assert sol["f"] == pytest.approx(28.588308165034, abs=5e-13)
    assert sol["y1"] == pytest.approx(25.58830273, abs=5e-7)  # OpenMDAO's own assertion is off by 3.6e-7


def test_sellar_totals() -> None:
    sol = sellar().solve()
    gradient = sol.gradient("f")
    np.testing.assert_allclose(
        [gradient[n] for n in INPUTS], [9.61001055699, 1.78448533563, 2.98061391348], atol=5e-12
    )
    rows = {
        "y1": [9.610021856911, 0.784491580156, 0.980614475195],
        "y2": [1.949890715445, 1.07754209922, 0.096927624025],
    }
    for mode in ("forward", "reverse"):
        jacobian = sol.jacobian(["y1", "y2"], wrt=INPUTS, mode=mode)
        for name, row in rows.items():
            np.testing.assert_allclose([jacobian[name, n] for n in INPUTS], row, atol=5e-12)


def test_sellar_multipliers() -> None:
    """With L = f + μᵀ F, F = (y1 − rhs1, y2 − rhs2), μ = (−0.980613913484, 0.196128577853): here λ = −μ."""
    lam = sellar().solve().multipliers("f")
    assert lam["y1"] == pytest.approx(0.980613913484, abs=5e-13)
    assert lam["y2"] == pytest.approx(-0.196128577853, abs=5e-13)


def test_sellar_reduced_hessian() -> None:
    """Against differences of a solve in 60 digits; the printed digits differ by one in the last at (z2, z2)."""
    hessian = sellar().solve().hessian("f", wrt=INPUTS)
    exact = [
        [1.9962336965241797, 2.8679994830132012e-3, 3.5708744525101027e-3],
        [2.8679994830132012e-3, 2.3985717429509836e-4, 2.9201581207978920e-4],
        [3.5708744525101027e-3, 2.9201581207978920e-4, 2.0003643176267145],
    ]
    printed = [
        [1.99623370, 2.8679995e-3, 3.5708745e-3],
        [2.8679995e-3, 2.3985718e-4, 2.9201581e-4],
        [3.5708745e-3, 2.9201581e-4, 2.00036432],
    ]
    computed = [[hessian[a, b] for b in INPUTS] for a in INPUTS]
    np.testing.assert_allclose(computed, exact, rtol=1e-11)
    np.testing.assert_allclose(computed, printed, rtol=3e-8)


def test_sellar_from_any_guess() -> None:
    """Default group solvers elsewhere return y1 = −0.2, y2 = 0.447 without a message."""
    for guess in (1e-3, 1.0, 100.0):
        sol = sellar().solve(start={"y1": guess, "y2": guess})
        assert sol["y1"] == pytest.approx(25.588302369878, abs=5e-12)


def test_sellar_to_forty_digits(data: Path) -> None:
    reference = json.loads((data / "mdo_coupled" / "problems.json").read_text())["sellar"]["mpmath_40digits"]
    sol = sellar().solve()
    outputs = ["y1", "y2", "f", "con1", "con2"]
    for name in outputs:
        assert sol[name] == pytest.approx(reference["obj" if name == "f" else name], rel=2e-15, abs=0.0)
    jacobian = sol.jacobian(outputs, wrt=INPUTS)
    for n in INPUTS:
        column = reference["d(y1,y2,obj,con1,con2)/d"][n]
        np.testing.assert_allclose([jacobian[o, n] for o in outputs], column, rtol=1e-14)


# -- a diode circuit (OpenMDAO, test_suite/scripts/circuit_analysis.py) -----------------------------------


def circuit(V1: float = 10.0, V2: float = 1e-3) -> adj.Program:
    """A source into node 1, resistors to ground and to node 2, a diode from node 2 to ground."""
    m = adj.Program("circuit")
    source, R1, R2 = m.input("I", 0.1), m.input("R1", 100.0), m.input("R2", 1e4)
    v1, v2 = m.unknown("V1", V1), m.unknown("V2", V2)
    between = m.define("I2", (v1 - v2) / R2)
    m.constrain(source == v1 / R1 + between, name="node_1")
    m.constrain(between == 1e-15 * (np.exp(v2 / 0.025875) - 1.0), name="node_2")
    return m


@pytest.mark.parametrize("start", [(10.0, 1e-3), (1.0, 0.5), (10.0, 0.7)])
def test_diode(start: tuple[float, float]) -> None:
    """From V2 = 1e-3 a plain Newton stops at a residual of 1e131 and returns (9.987, 8.732) as an answer."""
    sol = circuit(*start).solve()
    assert sol["V1"] == pytest.approx(9.908047345079, abs=5e-13)
    assert sol["V2"] == pytest.approx(0.712781853012, abs=5e-13)
    jacobian = sol.jacobian(["V1", "V2"], wrt="I")
    assert jacobian["V1", "I"] == pytest.approx(99.012651828244, abs=5e-12)
    assert jacobian["V2", "I"] == pytest.approx(0.277834652694, abs=5e-12)


@pytest.mark.parametrize("method", ["newton", "newton-natural", "trust-region", "pseudo-transient", "broyden"])
def test_diode_converges_or_raises(method: str) -> None:
    try:
        sol = circuit().solve(method=method)
    except adj.ConvergenceError as error:
        assert {name for name, _ in error.worst} <= {"node_1", "node_2", "I2"}
    else:
        assert sol["V2"] == pytest.approx(0.712781853012, abs=1e-9)


def test_diode_to_forty_digits(data: Path) -> None:
    reference = json.loads((data / "mdo_coupled" / "problems.json").read_text())["openmdao_circuit"]["mpmath_40digits"]
    sol = circuit().solve()
    assert sol["V1"] == pytest.approx(reference["n1"], rel=2e-15, abs=0.0)
    assert sol["V2"] == pytest.approx(reference["n2"], rel=2e-14, abs=0.0)
    for name, key in (("I", "I_source"), ("R1", "R1"), ("R2", "R2")):
        column = [sol.jacobian(v, wrt=name) for v in ("V1", "V2")]
        np.testing.assert_allclose(column, reference["d(n1,n2)/d"][key], rtol=1e-11)


# -- a fold (OpenMDAO, test_suite/components/implicit_newton_linesearch.py, ImplCompOneState) --------------


def fold(guess: float) -> adj.Program:
    """½y² + 2y + exp(−16y²) + 2 exp(−5y) = x, at its minimum: ∂/∂y = 0 at y = 0.39684581."""
    m = adj.Program("fold")
    x, y = m.input("x", 1.2278849186466743), m.unknown("y", guess)
    m.constrain(0.5 * y**2 + 2.0 * y + np.exp(-16.0 * y**2) + 2.0 * np.exp(-5.0 * y) == x, name="state")
    return m


@pytest.mark.parametrize("guess", [1.0, 0.2, 0.5])
def test_fold_has_no_derivative(guess: float) -> None:
    """Plain Newton reports dy/dx = +15277 from y = 1 and −29876 from y = 0.2, without a warning."""
    with pytest.warns(adj.SingularWarning, match="y"):
        sol = fold(guess).solve()
    assert sol["y"] == pytest.approx(0.39684581, abs=1e-6)
    for derivative in (lambda: sol.gradient("y"), lambda: sol.jvp({"x": 1.0}), lambda: sol.multipliers("y")):
        with pytest.raises(adj.SingularError, match="state") as error:
            derivative()
        assert error.value.variables == ["y"]


def test_beside_the_fold_there_is_one() -> None:
    m = fold(1.0)
    sol = m.solve(x=1.3)
    y = sol["y"]
    slope = y + 2.0 - 32.0 * y * np.exp(-16.0 * y**2) - 10.0 * np.exp(-5.0 * y)
    assert sol.gradient("y", wrt="x") == pytest.approx(1.0 / slope, rel=1e-12, abs=0.0)
    with pytest.raises(adj.ConvergenceError):
        m.solve(x=1.2)  # beyond it: no solution on this branch, nor on the other


def test_no_root_raises() -> None:
    """x² + 1 = 0: elsewhere a line is printed, and x = 0.382 with a derivative of −2.617."""
    m = adj.Program()
    a, x = m.input("a", 1.0), m.unknown("x", 1.5)
    m.constrain(x**2 + a, name="square")
    with pytest.raises(adj.ConvergenceError, match="square") as error:
        m.solve()
    assert error.value.worst[0][0] == "square"


# -- Kepler's equation (OpenMDAO, test_examples/test_keplers_equation.py) ----------------------------------


def test_kepler() -> None:
    """E − e sin E = M at M = 85°, e = 0.6; the second derivative per radian."""
    m = adj.Program("kepler")
    M, e = m.input("M", np.radians(85.0)), m.input("e", 0.6)
    E = m.unknown("E", 1.0)
    m.constrain(E - e * np.sin(E) == M, name="kepler")
    sol = m.solve()
    assert np.degrees(sol["E"]) == pytest.approx(115.91942563011821, rel=4e-16, abs=0.0)
    gradient = sol.gradient("E")
    assert gradient["M"] == pytest.approx(0.79222726798332, abs=5e-15)
    assert gradient["e"] == pytest.approx(0.71253683670741, abs=5e-15)
    assert sol.hessian("E", wrt="M") == pytest.approx(-0.26832315063, abs=5e-12)
