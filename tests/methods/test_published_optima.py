"""Optima from the test suites of other packages, by the problem's door: values, multipliers, sensitivities."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import adjoint as adj

# -- Sellar's problem --------------------------------------------------------------------------------------


def sellar(gemseo: bool) -> adj.Program:
    """OpenMDAO's form, or GEMSEO's, whose y1 is the square root of the other's."""
    m = adj.Program("sellar")
    z1, z2, x = m.input("z1", 5.0), m.input("z2", 2.0), m.input("x", 1.0)
    y1, y2 = m.unknown("y1", 1.0), m.unknown("y2", 1.0)
    right = z1**2 + z2 + x - 0.2 * y2
    m.define(y1, np.sqrt(right) if gemseo else right)
    m.define(y2, (y1 if gemseo else np.sqrt(y1)) + z1 + z2)
    square = m.define("square", y1**2 if gemseo else 1.0 * y1)
    m.define("f", x**2 + z2 + square + np.exp(-y2))
    return m


def sellar_problem(gemseo: bool = False) -> adj.Problem:
    m = sellar(gemseo)
    return adj.Problem(
        m,
        minimize="f",
        over={"z1": (-10, 10), "z2": (0, 10), "x": (0, 10)},
        subject_to={"con1": m["square"] >= 3.16, "con2": m["y2"] <= 24.0},
    )


@pytest.mark.parametrize("gemseo", [False, True], ids=["openmdao", "gemseo"])
@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
def test_sellar_optimum(method: str, gemseo: bool) -> None:
    """f = 3.18339395, z1 = 1.97763888, z2 = x = 0, y1 = 3.16 (√3.16 = 1.77763888), y2 = 3.75527777."""
    options = {"SLSQP": {"ftol": 1e-14}, "trust-constr": {"gtol": 1e-14, "xtol": 1e-14}}
    result = sellar_problem(gemseo).solve(method=method, options=options[method])
    atol = 6e-9 if method == "SLSQP" else 2e-5  # a barrier method ends inside the bounds, here with barrier 5e-8
    assert result.fun == pytest.approx(3.18339395, abs=atol)
    sol = result.solution
    assert sol["y1"] == pytest.approx(np.sqrt(3.16) if gemseo else 3.16, abs=atol)
    assert sol["y2"] == pytest.approx(3.75527777, abs=atol)
    np.testing.assert_allclose([sol["z1"], sol["z2"], sol["x"]], [1.97763888, 0.0, 0.0], atol=atol)


def test_sellar_multipliers_at_the_optimum() -> None:
    """λ of con1: the change of the optimum per unit added to 3.16."""
    result = sellar_problem().solve(method="SLSQP", options={"ftol": 1e-14})
    h = 1e-4
    optima = []
    for bound in (3.16 + h, 3.16 - h):
        m = sellar(False)
        problem = adj.Problem(
            m, minimize="f", over={"z1": (-10, 10), "z2": (0, 10), "x": (0, 10)}, subject_to=[m["y1"] >= bound]
        )
        optima.append(problem.solve(method="SLSQP", options={"ftol": 1e-14}).fun)
    assert result.multipliers["con1"] == pytest.approx((optima[0] - optima[1]) / (2.0 * h), rel=1e-6, abs=0.0)
    assert result.multipliers["con2"] == 0.0
    assert result.multipliers["x"] > 0.0  # the lower bound of x is active: raising it raises f


def test_sellar_optimum_of_the_reference(data: Path) -> None:
    reference = json.loads((data / "mdo_coupled" / "problems.json").read_text())["sellar"]["optimum_casadi_ipopt"]
    result = sellar_problem().solve(method="SLSQP", options={"ftol": 1e-14})
    assert result.fun == pytest.approx(reference["obj"], abs=5e-9)  # IPOPT relaxes bounds by 1e-8
    lam = reference["lam_g_casadi_sign(gradf+J^T lam=0)"]
    assert result.multipliers["con1"] == pytest.approx(lam[2], abs=1e-6)
    # its coupling constraints are rhs − y = 0 with ∇f + Jᵀ λ = 0: the same sign as λ of y = rhs here
    assert result.multipliers["y1"] == pytest.approx(lam[0], abs=1e-6)
    assert result.multipliers["y2"] == pytest.approx(lam[1], abs=1e-6)


# -- Hohmann transfer with a plane change (OpenMDAO, test_examples/test_hohmann_transfer.py) ---------------


def hohmann() -> adj.Program:
    """From a circular orbit of 6778 km to one of 42164 km; both burns turn the plane."""
    m = adj.Program("hohmann")
    mu, r1, r2 = m.input("mu", 398600.4418), m.input("r1", 6778.0), m.input("r2", 42164.0)
    dinc1, dinc2 = m.input("dinc1", 0.0), m.input("dinc2", 28.5)
    a = m.define("a", (r1 + r2) / 2.0)
    e = m.define("e", (a - r1) / a)
    momentum = m.define("h", np.sqrt(mu * a * (1.0 - e**2)))
    v1, v2 = m.define("v1", np.sqrt(mu / r1)), m.define("v2", np.sqrt(mu / r2))
    for k, v, w, dinc in ((1, v1, momentum / r1, dinc1), (2, v2, momentum / r2, dinc2)):
        m.define(f"dv{k}", np.sqrt(v**2 + w**2 - 2.0 * v * w * np.cos(np.radians(dinc))))
    m.define("delta_v", m["dv1"] + m["dv2"])
    return m


def test_hohmann_start() -> None:
    assert hohmann().solve()["delta_v"] == pytest.approx(4.221581425832, abs=5e-13)


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
def test_hohmann_optimum(method: str) -> None:
    m = hohmann()
    problem = adj.Problem(
        m,
        minimize="delta_v",
        over={"dinc1": (0.0, 28.5), "dinc2": (0.0, 28.5)},
        subject_to={"total": m["dinc1"] + m["dinc2"] == 28.5},
    )
    options = {"SLSQP": {"ftol": 1e-15}, "trust-constr": {"gtol": 1e-10, "xtol": 1e-12, "barrier_tol": 1e-10}}
    result = problem.solve(method=method, options=options[method])
    # SLSQP ends where f no longer changes (f is flat), the barrier method a little inside the bounds
    f_tol, x_tol = (5e-13, 2e-6) if method == "SLSQP" else (1e-9, 1e-3)
    assert result.fun == pytest.approx(4.196343770200, abs=f_tol)
    np.testing.assert_allclose(result.x, [2.23108979, 26.26891021], atol=x_tol)
    slope = result.solution.gradient("delta_v")
    assert slope["dinc1"] == pytest.approx(slope["dinc2"], abs=1e-5)
    assert result.multipliers["total"] == pytest.approx(slope["dinc1"], abs=1e-5)


def test_hohmann_stationary_point() -> None:
    """The split of the plane change as a root: to all printed digits, by Newton on the exact second derivative."""
    m = hohmann()
    fun = m.function("delta_v", wrt=["dinc1", "dinc2"])
    along = np.array([1.0, -1.0])
    split = np.array([2.0, 26.5])
    for _ in range(8):
        split = split - along * (fun.jac(split) @ along) / (along @ fun.hess(split) @ along)
    np.testing.assert_allclose(split, [2.23108979, 26.26891021], atol=6e-9)
    assert fun(split) == pytest.approx(4.196343770200, abs=5e-13)


# -- Betz's limit (OpenMDAO, test_examples/test_betz_limit.py) ---------------------------------------------


def betz() -> adj.Program:
    """An actuator disc: C_t = 4a(1 − a), C_p = C_t(1 − a), and the power."""
    m = adj.Program("betz")
    a, area = m.input("a", 0.5), m.input("area", 10.0)
    rho, wind = m.input("rho", 1.225), m.input("wind", 10.0)
    thrust = m.define("Ct", 4.0 * a * (1.0 - a))
    cp = m.define("Cp", thrust * (1.0 - a))
    m.define("power", cp * 0.5 * rho * area * wind**3)
    return m


def test_betz_limit() -> None:
    problem = adj.Problem(betz(), maximize="Cp", over={"a": (0.0, 1.0), "area": (0.0, 1.0)})
    result = problem.solve(method="SLSQP", options={"ftol": 1e-15})
    assert result.solution["a"] == pytest.approx(1.0 / 3.0, abs=1e-7)
    assert result.fun == pytest.approx(0.592592592593, abs=5e-13)
    assert result.fun == pytest.approx(16.0 / 27.0, rel=1e-13, abs=0.0)


def test_betz_power_takes_the_largest_area() -> None:
    problem = adj.Problem(betz(), maximize="power", over={"a": (0.0, 1.0), "area": (0.0, 1.0)})
    result = problem.solve(method="SLSQP", options={"ftol": 1e-12})
    assert result.solution["area"] == pytest.approx(1.0, abs=1e-9)
    assert result.solution["a"] == pytest.approx(1.0 / 3.0, abs=1e-5)


# -- a stirred-tank reactor (Pyomo, pynumero/examples/external_grey_box/react_example) ---------------------


def reactor() -> adj.Program:
    """A → B → C and 2A → D in a flow of space velocity sv."""
    m = adj.Program("reactor")
    sv, feed = m.input("sv", 5.0), m.input("caf", 10000.0)
    k1, k2, k3 = m.input("k1", 5.0 / 6.0), m.input("k2", 5.0 / 3.0), m.input("k3", 1.0 / 6000.0)
    ca, cb, cc, cd = (m.unknown(name, 1.0, lower=0.0) for name in ("ca", "cb", "cc", "cd"))
    m.constrain(sv * feed == (sv + k1) * ca + 2.0 * k3 * ca**2, name="balance_a")
    m.constrain(k1 * ca == (sv + k2) * cb, name="balance_b")
    m.constrain(k2 * cb == sv * cc, name="balance_c")
    m.constrain(k3 * ca**2 == sv * cd, name="balance_d")
    m.define("ratio", cb / (ca + cc + cd))
    return m


@pytest.mark.parametrize("method", ["SLSQP", "L-BFGS-B", "TNC", "trust-constr"])
def test_reactor_most_product(method: str) -> None:
    problem = adj.Problem(reactor(), maximize="cb", over={"sv": (0.1, 10.0)})
    options = {
        "SLSQP": {"ftol": 1e-12},
        "L-BFGS-B": {"ftol": 1e-16, "gtol": 1e-7},
        "TNC": {"ftol": 1e-14, "gtol": 1e-10},
        "trust-constr": {"gtol": 1e-9, "xtol": 1e-12, "barrier_tol": 1e-9},
    }
    result = problem.solve(method=method, options=options[method])
    assert result.fun == pytest.approx(1072.437200108632, rel=1e-12, abs=0.0)
    # f is flat to 1e-12 relative over 1e-5 of sv; the sharper statement is the gradient's
    assert result.x[0] == pytest.approx(1.343811786175, abs=1e-5)
    assert result.solution.gradient("cb", wrt="sv") == pytest.approx(0.0, abs=1e-2)


@pytest.mark.parametrize(
    ("of", "sv", "value", "cb"),
    [
        ("cb", 1.343811761064339, 1072.437200108631827, 1072.437200108631827),
        ("ratio", 1.265419964744789, 0.151904092661719, 1071.741008939537938),
    ],
    ids=["cb", "ratio"],
)
def test_reactor_stationary_points(of: str, sv: float, value: float, cb: float) -> None:
    """The root of the total derivative, by Newton on the exact second derivative, against a 60-digit solution.

    The digits in print, sv = 1.343811786175, cb = 1072.437200108632, and sv = 1.265419965, ratio = 0.151904092662,
    cb = 1071.741008945, are an optimizer's: its objectives hold, its sv to 3e-8 and its cb to 6e-9.
    """
    fun = reactor().function(of, wrt=["sv"])
    at = np.array([1.3])
    for _ in range(8):
        at = at - fun.jac(at) / fun.hess(at)[0]
    assert at[0] == pytest.approx(sv, rel=1e-13, abs=0.0)
    assert fun(at) == pytest.approx(value, rel=1e-14, abs=0.0)
    assert fun.solution["cb"] == pytest.approx(cb, rel=1e-13, abs=0.0)
    printed = {"cb": (1.343811786175, 1072.437200108632), "ratio": (1.265419965, 1071.741008945)}[of]
    assert at[0] == pytest.approx(printed[0], abs=3e-8)
    assert fun.solution["cb"] == pytest.approx(printed[1], abs=6e-9)


def test_reactor_best_ratio() -> None:
    result = adj.Problem(reactor(), maximize="ratio", over={"sv": (0.1, 10.0)}).solve(
        method="L-BFGS-B", options={"ftol": 1e-16, "gtol": 1e-11}
    )
    assert result.fun == pytest.approx(0.151904092662, abs=5e-13)
    assert result.x[0] == pytest.approx(1.265419965, abs=1e-6)


# -- a parametric quadratic program (Ganesh and Biegler 1987; Pyomo, sensitivity_toolbox/examples) ---------

X = [0.57653061, 0.37755102, -0.04591837]


def test_parametric_quadratic_program() -> None:
    """min ‖x‖² s.t. 6x1 + 3x2 + 2x3 = η1, η2 x1 + x2 − x3 = 1 at η = (4.5, 1), without the bounds x ≥ 0.

    With L = f + μᵀ c the multipliers are (−0.13265306, −0.35714286); here λ = −μ, ∂f*/∂(right-hand side).
    """
    m = adj.Program("quadratic")
    x = m.input("x", [0.15, 0.15, 0.0])
    m.define("f", x @ x)
    problem = adj.Problem(
        m,
        minimize="f",
        over=["x"],
        subject_to={"first": 6.0 * x[0] + 3.0 * x[1] + 2.0 * x[2] == 4.5, "second": x[0] + x[1] - x[2] == 1.0},
    )
    result = problem.solve(method="SLSQP", options={"ftol": 1e-15})
    np.testing.assert_allclose(result.x, X, atol=6e-9)
    assert result.fun == pytest.approx(0.47704082, abs=6e-9)
    assert result.multipliers["first"] == pytest.approx(0.13265306, abs=6e-9)
    assert result.multipliers["second"] == pytest.approx(0.35714286, abs=6e-9)


def test_sensitivities_of_its_optimum() -> None:
    """The optimality conditions are a program too: ∇f = Σ λ ∇c and the constraints, with inputs η."""
    m = adj.Program("optimality")
    eta1, eta2 = m.input("eta1", 4.5), m.input("eta2", 1.0)
    x = m.unknown("x", [0.15, 0.15, 0.0])
    first, second = m.unknown("first", 0.0), m.unknown("second", 0.0)
    one = np.array([6.0, 3.0, 2.0])
    two = adj.array([eta2, 1.0, -1.0])
    m.constrain(2.0 * x == first * one + second * two, name="stationary")
    m.constrain(one @ x == eta1, name="constraint_1")
    m.constrain(two @ x == 1.0, name="constraint_2")
    m.define("f", x @ x)
    sol = m.solve()
    np.testing.assert_allclose(sol["x"], X, atol=6e-9)
    assert (sol["first"], sol["second"]) == pytest.approx((0.13265306, 0.35714286), abs=6e-9)
    jacobian = sol.jacobian("x", wrt=["eta1", "eta2"])
    np.testing.assert_allclose(jacobian["x", "eta1"], [0.1122449, 0.02040816, 0.13265306], atol=6e-9)
    h = 1e-30  # complex step on the closed form Aᵀ (A Aᵀ)⁻¹ b
    A = np.array([one, [1.0 + 1j * h, 1.0, -1.0]])
    exact = (A.T @ np.linalg.solve(A @ A.T, [4.5, 1.0])).imag / h
    np.testing.assert_allclose(jacobian["x", "eta2"], exact, rtol=1e-12)
    np.testing.assert_allclose(jacobian["x", "eta2"], [0.0043731, -0.2376092, 0.3432945], atol=2e-7)  # as printed
    # envelope theorem: ∂f*/∂η1 is the multiplier of its constraint
    assert sol.gradient("f", wrt="eta1") == pytest.approx(sol["first"], rel=1e-12, abs=0.0)
    assert sol.gradient("f", wrt="eta2") == pytest.approx(-sol["second"] * sol["x"][0], rel=1e-12, abs=0.0)
