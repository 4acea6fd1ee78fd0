"""Differential-algebraic equations of index 1, by collocation and by shooting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate

import adjoint as adj

WAYS = ["single-shooting", "multiple-shooting", "collocation"]


def robertson(t: Any, y: Any, u: Any) -> Any:
    a, b, c = y["a"], y["b"], y["c"]
    return {"a": -0.04 * a + 1e4 * b * c, "b": 0.04 * a - 1e4 * b * c - 3e7 * b**2, "c": a + b + c - 1}


def pendulum(t: Any, y: Any, u: Any) -> Any:
    """A mass on a rod of length 1: positions, velocities, and the force of the rod, from the constraint differentiated
    twice."""
    x, z, vx, vz, force = (y[k] for k in ("x", "z", "vx", "vz", "force"))
    constraint = vx**2 + vz**2 - force * (x**2 + z**2) - 9.81 * z
    return {"x": vx, "z": vz, "vx": -force * x, "vz": -force * z - 9.81, "force": constraint}


@pytest.mark.parametrize("way", ["collocation", "single-shooting"])
def test_robertson(way: str) -> None:
    m = adj.Program("Robertson")
    t = np.concatenate([[0.0], np.geomspace(1e-6, 40.0, 60)])
    path = adj.trajectory(
        m, robertson, t, {"a": 1.0, "b": 0.0}, algebraic={"c": 0.0}, transcription=way, method="radau5"
    )
    m.define("c at the end", path.at_nodes["c"][-1, -1])
    sol = m.solve()
    assert sol["a"][-1] == pytest.approx(0.7158270687, rel=1e-6)  # Hairer & Wanner II, IV.10
    assert sol["b"][-1] == pytest.approx(9.185534764e-6, rel=1e-6)
    assert sol["c at the end"] == pytest.approx(1 - sol["a"][-1] - sol["b"][-1], abs=1e-9)


@pytest.mark.parametrize(
    ("way", "method", "error"),
    [
        ("collocation", "radau5", 1e-6),
        ("collocation", "gauss6", 1e-8),
        ("single-shooting", "radau5", 1e-6),
        ("single-shooting", "rk4", 1e-4),
        ("multiple-shooting", "rk4", 1e-4),
    ],
)
def test_pendulum(way: str, method: str, error: float) -> None:
    m = adj.Program()
    angle = m.input("angle", np.pi / 2)
    start = {"x": np.sin(angle), "z": -np.cos(angle), "vx": 0.0, "vz": 0.0}
    segments = {"segments": 5} if way == "multiple-shooting" else {}
    path = adj.trajectory(
        m,
        pendulum,
        np.linspace(0, 2, 101),
        start,
        algebraic={"force": 1.0},
        transcription=way,
        method=method,
        **segments,
    )
    m.define("end", path["x"][-1])
    sol = m.solve()
    right = lambda t, y: [y[1], -9.81 * np.sin(y[0])]
    final = scipy.integrate.solve_ivp(right, (0, 2), [np.pi / 2, 0], rtol=1e-12, atol=1e-12).y[:, -1]
    assert sol["x"][-1] == pytest.approx(np.sin(final[0]), abs=error)
    assert sol["z"][-1] == pytest.approx(-np.cos(final[0]), abs=error)
    if way != "multiple-shooting":
        assert sol.check_derivatives("end")


def steered(way: str, algebraic: bool) -> Any:
    """min ∫ x² + u², x' = −x³ + u, with z = x³ as a variable or substituted."""
    m = adj.Program()
    u = m.input("u", np.zeros(11))
    if algebraic:
        fun = lambda t, y, u: {"x": -y["z"] + u["u"], "z": y["z"] + 0.1 * y["z"] ** 3 - y["x"]}
    else:
        fun = lambda t, y, u: {"x": -cubic_root(y["x"]) + u["u"]}
    path = adj.trajectory(
        m,
        fun,
        np.linspace(0, 1, 11),
        {"x": 1.0},
        {"u": u},
        algebraic={"z": 1.0} if algebraic else None,
        transcription=way,
        method="radau5" if way == "collocation" else "rk4",
    )
    m.define("cost", path.integral(lambda t, y, u: y["x"] ** 2 + u["u"] ** 2))
    return adj.Problem(m, minimize="cost", over=["u"])


def cubic_root(x: Any) -> Any:
    """z of z + z³/10 = x, by Cardano's formula."""
    return np.cbrt(5 * x + np.sqrt(25 * x**2 + 1000 / 27)) + np.cbrt(5 * x - np.sqrt(25 * x**2 + 1000 / 27))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("formulation", ["full", "reduced"])
def test_an_algebraic_variable_or_its_formula(way: str, formulation: str) -> None:
    found = [steered(way, a).solve("interior-point", formulation=formulation, tol=1e-10) for a in (True, False)]
    assert found[0].fun == pytest.approx(found[1].fun, rel=1e-9)
    np.testing.assert_allclose(found[0].solution["u"], found[1].solution["u"], atol=1e-5)


def test_names_and_bounds() -> None:
    m = adj.Program()
    fun = lambda t, y, u: {"x": -y["z"], "z": y["z"] - y["x"]}
    times = np.linspace(0, 1, 5)
    adj.trajectory(m, fun, times, {"x": 1.0}, algebraic={"z": 1.0}, bounds={"z": (0.0, 2.0)})
    assert {"x: collocation", "z: algebraic"} < set(m.equations)
    assert m["z at nodes"].shape == (4, 3)
    assert [float(np.max(side)) for side in m.bounds[m["z at nodes"]]] == [0.0, 2.0]
    with pytest.raises(adj.UnsupportedError, match=r"no unknown for the algebraic variable 'z'.*at_nodes"):
        adj.trajectory(
            adj.Program(),
            fun,
            times,
            {"x": 1.0},
            algebraic={"z": 1.0},
            bounds={"z": (0.0, 2.0)},
            transcription="single-shooting",
        )


@pytest.mark.parametrize("way", WAYS)
def test_a_higher_index_is_refused(way: str) -> None:
    fun = lambda t, y, u: {"x": y["z"], "z": y["x"] - np.sin(t), "w": y["w"] - y["z"]}
    with pytest.raises(adj.StructureError, match="index is above 1"):
        adj.trajectory(
            adj.Program(), fun, np.linspace(0, 1, 5), {"x": 0.0}, algebraic={"z": 1.0, "w": 0.0}, transcription=way
        )


def test_a_singular_point_is_refused() -> None:
    fun = lambda t, y, u: {"x": 1.0 + 0.0 * y["z"], "z": (y["x"] - 0.5) * y["z"] - 1.0}
    m = adj.Program()
    adj.trajectory(
        m, fun, np.linspace(0, 1, 3), {"x": 0.0}, algebraic={"z": 0.0}, method="backward-euler", guess={"x": [0.0, 1.0]}
    )
    with pytest.raises((adj.SingularError, adj.ConvergenceError)):
        m.solve()
