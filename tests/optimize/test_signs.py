"""The sign and size of every multiplier, by every method: differences of the optimum say what they must be.

A multiplier is the change of the optimal objective per unit added to a right-hand side: of a constraint, of a bound, of
an equation. Here the right-hand sides are moved, and the problem is solved again. Methods are those of the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.optimize import OPTIMIZERS
from tests.optimize.methods import AVAILABLE

# Those without a damping follow differential equations whose circles do not end here.
METHODS = [name for name in AVAILABLE if name not in ("bdmm", "gradient-descent-ascent")]
ALWAYS = {"admm", "mac", "extragradient"}  # every equation is a constraint there, unless a dict says otherwise
FULL = [name for name in METHODS if OPTIMIZERS[name].full_space and name not in ALWAYS]

# How exactly methods end, and the options with which they do; the others: 1e-5 with their defaults.
TOLERANCES = {"COBYLA": 1e-2, "COBYQA": 1e-3, "Nelder-Mead": 1e-3, "Powell": 1e-3, "TNC": 1e-3, "trust-constr": 1e-4}
TOLERANCES |= {"penalty": 1e-4, "mac": 1e-4}  # whose violation is a multiplier over the last penalty
TOLERANCES |= {"CG": 1e-4, "BFGS": 1e-4, "L-BFGS-B": 1e-4, "SLSQP": 1e-3, "uno": 1e-4}
OPTIONS: dict[str, dict[str, Any]] = {
    "COBYLA": {"tol": 1e-9, "maxiter": 5000},
    "L-BFGS-B": {"ftol": 1e-15, "gtol": 1e-9},
    "Nelder-Mead": {"xatol": 1e-8, "fatol": 1e-13, "maxiter": 4000, "maxfev": 4000},
    "Powell": {"xtol": 1e-10, "ftol": 1e-14},
    "SLSQP": {"ftol": 1e-9, "maxiter": 300},
    "TNC": {"maxfun": 4000, "ftol": 1e-15, "gtol": 1e-10},
    "trust-constr": {"gtol": 1e-9, "xtol": 1e-11, "maxiter": 3000},
    "least-squares": {"ftol": 1e-14, "xtol": 1e-14, "gtol": 1e-12},
    "rprop": {"step_min": 1e-12},
    "sgd": {"learning_rate": 0.05},
    "momentum": {"learning_rate": 0.01},
    "adam": {"learning_rate": 0.02},
    "penalty": {"tol": 1e-5},
    "mdmm": {"damping": 3.0},
    "extragradient": {"damping": 3.0},
}
INF = np.inf

# What is constrained (s, or an array of s, u and x) between which sides; bounds of x; whose multiplier is looked at.
KINDS: dict[str, tuple[str, tuple[Any, Any] | None, tuple[float, float] | None, tuple[str, ...]]] = {
    "equations": ("s", None, None, ("cubic", "s", "pair")),
    "equal": ("s", (1.5, 1.5), None, ("c", "cubic", "s", "pair")),
    "at most": ("s", (-INF, 1.0), None, ("c", "cubic", "s")),
    "at least": ("s", (4.0, INF), None, ("c", "cubic", "s")),
    "two sides, low": ("s", (4.0, 9.0), None, ("c", "s")),
    "two sides, high": ("s", (-9.0, 1.0), None, ("c", "s")),
    "not active": ("s", (-INF, 50.0), None, ("c", "s", "cubic")),
    "implicit unknown": ("u", (-INF, 0.8), None, ("c", "cubic", "s")),
    "lower bound": ("s", None, (2.5, INF), ("x", "cubic", "s")),
    "upper bound": ("s", None, (-INF, 1.0), ("x", "cubic", "s")),
    "two bounds, low": ("s", None, (2.5, 9.0), ("x", "s")),
    "two bounds, high": ("s", None, (-9.0, 1.0), ("x", "s")),
    "fixed": ("s", None, (1.0, 1.0), ("x", "cubic", "s")),
    "bound and constraint": ("s", (-INF, 1.0), (0.9, INF), ("c", "x", "s")),
    "array": ("array", ((1.2, -INF, -INF), (1.2, 0.9, INF)), None, ("c", "s", "cubic")),
}


def built(kind: str, sign: float, shift: Mapping[str, Any]) -> adj.Problem:
    """A sum of squares, or its negative, of inputs, an explicit equation s, an implicit one, and a pair."""
    what, sides, bounds, _ = KINDS[kind]
    m = adj.Program(kind)
    x, y = m.input("x", 1.6), m.input("y", 0.9)
    u = m.unknown("u", guess=1.0)
    m.constrain(u**3 + u == x + 2.0 * y + shift.get("cubic", 0.0), name="cubic")
    s = m.define("s", x * y + x + shift.get("s", 0.0))
    v = m.unknown("v", shape=(2,), guess=np.ones(2))
    m.constrain(v * [2.0, 3.0] + 0.3 * np.sin(v[::-1]) - [x, y] == shift.get("pair", np.zeros(2)), name="pair")
    f = (x - 2.0) ** 2 + (y - 1.0) ** 2 + 0.3 * u**2 + 0.2 * (s - 2.5) ** 2 + 0.5 * np.sum((v - 0.7) ** 2)
    m.define("f", sign * f)
    subject_to = {}
    if sides is not None:
        e = {"s": s, "u": u, "array": adj.array([s, u, x])}[what]
        low, high = (np.asarray(side) + shift.get("c", 0.0) for side in sides)
        subject_to["c"] = adj.between(low, e, high)
    over: dict[str, Any] = {"x": (None, None), "y": (None, None)}
    if bounds is not None:
        over["x"] = tuple(b + shift.get("x", 0.0) for b in bounds)
    return adj.Problem(m, **{"minimize" if sign > 0 else "maximize": "f"}, over=over, subject_to=subject_to)


@cache
def problem_of(kind: str, sign: float) -> adj.Problem:
    return built(kind, sign, {})


def optimum(problem: adj.Problem) -> float:
    result = problem.solve("interior-point", tol=1e-11)
    assert result.success, result.message
    return float(result.fun)


@cache
def slopes(kind: str, sign: float) -> dict[str, np.ndarray]:
    """d(optimal objective)/d(right-hand side), by central differences, of every name that the kind asks for."""
    h, out = 1e-4, {}
    shapes = {"pair": (2,), "c": np.shape(KINDS[kind][1][0]) if KINDS[kind][1] is not None else ()}
    for name in KINDS[kind][3]:
        shape = shapes.get(name, ())
        found = np.zeros(shape)
        for k in np.ndindex(shape):
            unit = np.zeros(shape)
            unit[k] = h
            up, down = (optimum(built(kind, sign, {name: d * unit})) for d in (1.0, -1.0))
            found[k] = (up - down) / (2 * h)
        out[name] = found
    return out


def test_the_differences_have_the_signs_of_the_sides() -> None:
    """To raise an active lower side costs, to raise an upper one helps; of a maximum the other way round."""
    for sign in (1.0, -1.0):
        for kind, name, side in (
            ("at most", "c", -1),
            ("at least", "c", 1),
            ("two sides, low", "c", 1),
            ("two sides, high", "c", -1),
            ("lower bound", "x", 1),
            ("upper bound", "x", -1),
        ):
            assert np.sign(slopes(kind, sign)[name]) == sign * side, (kind, sign)
        assert slopes("not active", sign)["c"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["minimize", "maximize"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_multipliers_are_differences_of_the_optimum(method: str, kind: str, sign: float) -> None:
    try:
        result = problem_of(kind, sign).solve(method, options=OPTIONS.get(method))
    except adj.ModelError as error:
        assert "takes no" in str(error) and (KINDS[kind][1] or KINDS[kind][2])
        return
    check(result, method, kind, sign)


@pytest.mark.parametrize("formulation", ["full", {"cubic": "full"}], ids=["full", "mixed"])
@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["minimize", "maximize"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", FULL)
def test_multipliers_in_other_formulations(method: str, kind: str, sign: float, formulation: Any) -> None:
    try:
        result = problem_of(kind, sign).solve(method, options=OPTIONS.get(method), formulation=formulation)
    except adj.ModelError as error:
        assert "takes no" in str(error) and (KINDS[kind][1] or KINDS[kind][2])
        return
    check(result, method, kind, sign)


def check(result: Any, method: str, kind: str, sign: float) -> None:
    tol = TOLERANCES.get(method, 1e-5)
    assert result.success, result.message
    for name, expected in slopes(kind, sign).items():
        found = result.multipliers[name]
        assert np.shape(found) == expected.shape
        np.testing.assert_allclose(found, expected, rtol=tol, atol=10 * tol, err_msg=f"multiplier of {name}")
    primal, dual, complementarity = result.residuals()
    assert primal <= 10 * tol
    assert dual <= 100 * tol
    assert complementarity <= 100 * tol
