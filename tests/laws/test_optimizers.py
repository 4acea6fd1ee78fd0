"""Every optimizer on every problem of a small table, and the signs of multipliers.

The methods are those of the registry: a new one is tested on all problems without being named here. A method
may refuse what it cannot take (bounds, constraints, objectives that are no sums of squares) by a ModelError that says
so; what it accepts, it solves.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from tests.optimize.methods import AVAILABLE

# Plain descent and ascent diverges where the Lagrangian is not convex enough, by design (docs/training.md).
METHODS = [name for name in AVAILABLE if name != "gradient-descent-ascent"]


@dataclass(frozen=True)
class Expected:
    """How exactly a method finds a minimizer, with which options, and which problems it need not solve."""

    tol: float = 1e-5
    options: dict[str, Any] = field(default_factory=dict)
    need_not: frozenset[str] = frozenset()


EXPECTED = {
    "Nelder-Mead": Expected(1e-4, {"xatol": 1e-8, "fatol": 1e-12, "maxiter": 4000, "maxfev": 4000, "adaptive": True}),
    "Powell": Expected(1e-4, {"xtol": 1e-10, "ftol": 1e-14}),
    "CG": Expected(1e-4, {"gtol": 1e-7}),
    "L-BFGS-B": Expected(1e-4, {"ftol": 1e-14, "gtol": 1e-8}),
    "TNC": Expected(1e-3, {"maxfun": 4000, "ftol": 1e-14, "gtol": 1e-10}),
    "COBYLA": Expected(1e-3, {"tol": 1e-8, "maxiter": 5000}, frozenset({"rosenbrock"})),
    "COBYQA": Expected(1e-4),
    "SLSQP": Expected(1e-4, {"ftol": 1e-12, "maxiter": 200}),
    "trust-constr": Expected(1e-4, {"gtol": 1e-8, "xtol": 1e-10, "maxiter": 2000}),
    "least-squares": Expected(options={"ftol": 1e-12, "xtol": 1e-12, "gtol": 1e-12}),
    "dogleg": Expected(need_not=frozenset({"domain"})),  # where the Hessian is positive definite
    "sgd": Expected(options={"learning_rate": 0.1}, need_not=frozenset({"rosenbrock"})),
    "adam": Expected(options={"learning_rate": 0.02}),
    "rprop": Expected(options={"step_min": 1e-12}),
    "bdmm": Expected(need_not=frozenset({"sellar"})),  # a differential equation that takes its time
    "extragradient": Expected(options={"damping": 0.3}),
}
CONSTRAINED = {"SLSQP", "trust-constr", "COBYLA", "COBYQA"}
BOUNDED = {*CONSTRAINED, "Nelder-Mead", "Powell", "L-BFGS-B", "TNC"}
SCIPY = {*BOUNDED, "CG", "BFGS", "Newton-CG", "dogleg", "trust-ncg", "trust-krylov", "trust-exact"}


SQUARES = {"gauss-newton", "levenberg-marquardt", "least-squares", "natural-gradient"}  # methods for sums of squares


def expected_of(method: str) -> Expected:
    return EXPECTED.get(method, Expected())


def solve(problem: adj.Problem, method: str, bounded: bool = False, constrained: bool = False, **more: Any) -> Any:
    """The result, or None where the method refuses, in words, what the problem has."""
    try:
        return problem.solve(method, options=expected_of(method).options, **more)
    except adj.ModelError as error:
        if "takes sums of squares only" in str(error):
            assert method in SQUARES and method in str(error)
            return None
        assert bounded or constrained, f"{method} refuses a problem without bounds and constraints: {error}"
        assert method in str(error) and "takes no" in str(error)
        assert method not in (CONSTRAINED if constrained else BOUNDED)
        return None


# -- problems ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    make: Callable[[], adj.Problem]
    at: dict[str, Any]
    value: float
    bounded: bool = False
    constrained: bool = False


def rosenbrock() -> adj.Problem:
    m = adj.Program("rosenbrock")
    x, y = m.input("x", -1.2), m.input("y", 1.0)
    m.define("f", (1 - x) ** 2 + 100 * (y - x**2) ** 2)
    return adj.Problem(m, minimize="f", over=["x", "y"])


def quadratic() -> adj.Problem:
    """½xᵀAx − bᵀx on an array, through an unknown that a cycle determines: y = x + y/2."""
    m = adj.Program("quadratic")
    x = m.input("x", np.zeros(4))
    y = m.unknown("y", shape=(4,))
    m.define(y, 0.5 * x + 0.5 * y)
    m.define("f", 0.5 * y @ (QUADRATIC @ y) - np.sum(y))
    return adj.Problem(m, minimize="f", over=["x"])


def distance() -> adj.Problem:
    """The distance from the minimizer of the quadratic, through the same cycle, as a sum of squares."""
    m = quadratic().program.extended()
    m.define("distance", np.sum((m["y"] - BEST) ** 2))
    return adj.Problem(m, minimize="distance", over=["x"])


def domain() -> adj.Problem:
    """x − log x: a long step leaves the domain, and the method comes back."""
    m = adj.Program("domain")
    x = m.input("x", 5.0)
    m.define("f", x - np.log(x))
    return adj.Problem(m, minimize="f", over=["x"])


def box() -> adj.Problem:
    m = adj.Program("box")
    x, y = m.input("x", 0.5), m.input("y", 2.0)
    m.define("f", (x - 3) ** 2 + (y + 1) ** 2 + x * y / 2)
    return adj.Problem(m, minimize="f", over={"x": (0, 1), "y": (0, 5)})


def line() -> adj.Problem:
    m = adj.Program("line")
    x, y = m.input("x", 0.0), m.input("y", 0.0)
    m.define("f", (x - 2) ** 2 + (y - 1) ** 2)
    return adj.Problem(m, minimize="f", over=["x", "y"], subject_to={"line": x + y == 2.0})


def sellar(limit: float = 3.16, shift: float = 0.0, sign: float = 1.0) -> adj.Problem:
    m = adj.Program("sellar")
    z1, z2, x, more = m.input("z1", 5.0), m.input("z2", 2.0), m.input("x", 1.0), m.input("more", shift)
    y1, y2 = m.unknown("y1", guess=1.0), m.unknown("y2", guess=1.0)
    m.define(y1, z1**2 + z2 + x - 0.2 * y2)
    m.define(y2, np.sqrt(y1) + z1 + z2 + more)
    m.define("f", sign * (x**2 + z2 + y1 + np.exp(-y2)))
    goal = {"minimize": "f"} if sign > 0 else {"maximize": "f"}
    over = {"z1": (-10, 10), "z2": (0, 10), "x": (0, 10)}
    return adj.Problem(m, **goal, over=over, subject_to={"low": y1 >= limit, "high": y2 <= 24.0})


QUADRATIC = np.array([[4.0, 1.0, 0.0, 0.0], [1.0, 3.0, 1.0, 0.0], [0.0, 1.0, 2.0, 0.5], [0.0, 0.0, 0.5, 1.0]])
BEST = np.linalg.solve(QUADRATIC, np.ones(4))
# Sellar, Batill & Renaud (1996): at the optimum z2 = x = 0 and y1 = 3.16, so z1² − (z1 + √y1)/5 = y1.
SELLAR_Z1 = 0.1 + np.sqrt(0.01 + 0.2 * np.sqrt(3.16) + 3.16)
SELLAR_F = 3.16 + np.exp(-SELLAR_Z1 - np.sqrt(3.16))

CASES: dict[str, Case] = {
    "rosenbrock": Case(rosenbrock, {"x": 1.0, "y": 1.0}, 0.0),
    "quadratic": Case(quadratic, {"x": BEST, "y": BEST}, -0.5 * float(np.sum(BEST))),
    "domain": Case(domain, {"x": 1.0}, 1.0),
    "box": Case(box, {"x": 1.0, "y": 0.0}, 5.0, bounded=True),
    "line": Case(line, {"x": 1.5, "y": 0.5}, 0.5, constrained=True),
    "sellar": Case(sellar, {"z1": SELLAR_Z1, "z2": 0.0, "x": 0.0, "y1": 3.16}, float(SELLAR_F), True, True),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_every_problem(method: str, name: str) -> None:
    case, expected = CASES[name], expected_of(method)
    if name in expected.need_not:
        return
    problem = case.make()
    result = solve(problem, method, case.bounded, case.constrained)
    if result is None:
        return
    assert result.success, result.message
    tol = expected.tol
    assert abs(result.fun - case.value) <= tol * max(1.0, abs(case.value))
    for variable, value in case.at.items():
        np.testing.assert_allclose(result.solution[variable], value, atol=10 * tol, rtol=10 * tol)
    # What the result says is so, at its own point.
    again = problem.program.solve({v.name: result.solution[v.name] for v in problem.variables})
    assert again[problem.objective.name] == pytest.approx(result.fun, rel=1e-9, abs=1e-9)
    assert result.x.shape == (sum(v.size for v in problem.variables),)
    assert set(result.multipliers) >= {*problem.program.equations, *problem.constraints}
    assert set(result.constraints) == set(problem.constraints)


@pytest.mark.parametrize("name", ["quadratic", "sellar"])
@pytest.mark.parametrize("method", METHODS)
def test_full_space(method: str, name: str) -> None:
    """Methods that also work on all variables at once find the same; the others say that they do not."""
    case, expected = CASES[name], expected_of(method)
    try:
        result = case.make().solve(method, options=expected.options, formulation="full")
    except adj.ModelError as error:
        assert method in str(error)
        return
    assert result.success, result.message
    for variable, value in case.at.items():
        np.testing.assert_allclose(result.solution[variable], value, atol=10 * expected.tol, rtol=10 * expected.tol)


def test_scipy_methods_are_there() -> None:
    assert set(METHODS) >= SCIPY


@pytest.mark.parametrize("method", METHODS)
def test_letter_case_does_not_matter(method: str) -> None:
    problem = distance() if method in SQUARES else quadratic()
    assert problem.solve(method.upper(), options=expected_of(method).options).success


# -- multipliers: the change of the optimal objective per unit added to the right-hand side ------------------


def plane(constraint: Callable[[Any, Any], Any], bounds: dict[str, Any], sign: float, add: float = 0.0) -> adj.Problem:
    """min (x−2)² + (y−1)², or max of its negative; s = x + y stands in an equation of its own."""
    m = adj.Program("plane")
    x, y = m.input("x", 1.0), m.input("y", 0.5)
    s = m.define("s", x + y + add)
    m.define("f", sign * ((x - 2) ** 2 + (y - 1) ** 2))
    over: dict[str, Any] = {"x": (None, None), "y": (None, None), **bounds}
    goal = {"minimize": "f"} if sign > 0 else {"maximize": "f"}
    return adj.Problem(m, **goal, over=over, subject_to={"c": constraint(s, x)} if constraint(s, x) is not None else {})


# The constraint, the bounds, and d min/d(right-hand side): of the constraint, the equation of s, the bound of x.
# Minimum with s = c: (3 − c)²/2 at x = 2 − (3 − c)/2; with x = b: (b − 2)².
SIGNS: dict[str, tuple[Callable[[Any, Any], Any], dict[str, Any], dict[str, float]]] = {
    "equal": (lambda s, x: s == 2.0, {}, {"c": -1.0, "s": 1.0, "x": 0.0}),
    "equal, turned": (lambda s, x: 2.0 == s, {}, {"c": -1.0, "s": 1.0}),
    "equal, above": (lambda s, x: s == 4.0, {}, {"c": 1.0, "s": -1.0}),
    "at most": (lambda s, x: s <= 2.0, {}, {"c": -1.0, "s": 1.0}),
    "at most, turned": (lambda s, x: 2.0 >= s, {}, {"c": -1.0, "s": 1.0}),
    "at most, expression": (lambda s, x: s + x <= 2.0 + x, {}, {"c": -1.0, "s": 1.0}),
    "at most, strictly": (lambda s, x: s < 2.0, {}, {"c": -1.0, "s": 1.0}),
    "at most, scaled": (lambda s, x: 2.0 * s <= 4.0, {}, {"c": -0.5, "s": 1.0}),
    "at least": (lambda s, x: s >= 4.0, {}, {"c": 1.0, "s": -1.0}),
    "at least, turned": (lambda s, x: 4.0 <= s, {}, {"c": 1.0, "s": -1.0}),
    "between, above": (lambda s, x: adj.between(0.0, s, 2.0), {}, {"c": -1.0, "s": 1.0}),
    "between, below": (lambda s, x: adj.between(4.0, s, 9.0), {}, {"c": 1.0, "s": -1.0}),
    "between, equal": (lambda s, x: adj.between(2.0, s, 2.0), {}, {"c": -1.0, "s": 1.0}),
    "inactive": (lambda s, x: s <= 9.0, {}, {"c": 0.0, "s": 0.0, "x": 0.0}),
    "upper bound": (lambda s, x: None, {"x": (None, 1.0)}, {"s": 0.0, "x": -2.0}),
    "lower bound": (lambda s, x: None, {"x": (3.0, None)}, {"s": 0.0, "x": 2.0}),
    "bound and constraint": (lambda s, x: s <= 2.0, {"x": (None, 1.0)}, {"c": 0.0, "x": -2.0}),
    "both active": (lambda s, x: s <= 1.5, {"x": (None, 0.5)}, {"c": 0.0, "x": -3.0}),
}
# The last two: at x = b the rest is (y − 1)², so s <= b + 1 is met exactly and its multiplier is 0.


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["minimize", "maximize"])
@pytest.mark.parametrize("kind", SIGNS)
@pytest.mark.parametrize("method", METHODS)
def test_multipliers_by_name_and_sign(method: str, kind: str, sign: float) -> None:
    constraint, bounds, expected = SIGNS[kind]
    problem = plane(constraint, bounds, sign)
    result = solve(problem, method, bool(bounds), bool(problem.constraints))
    if result is None:
        return
    tol = 20 * expected_of(method).tol
    for name, value in expected.items():
        assert result.multipliers[name] == pytest.approx(sign * value, abs=tol), f"multiplier of {name}"
    assert result.multipliers["f"] == pytest.approx(1.0)


@pytest.mark.parametrize("method", METHODS)
def test_maximum_is_the_minimum_of_the_negative(method: str) -> None:
    low, high = (solve(sellar(sign=s), method, True, True) for s in (1.0, -1.0))
    if low is None:
        assert high is None
        return
    tol = 20 * expected_of(method).tol
    np.testing.assert_allclose(high.x, low.x, atol=tol)
    assert high.fun == pytest.approx(-low.fun, abs=tol)
    for name in ("low", "high", "y1", "y2", "z2", "x"):
        assert high.multipliers[name] == pytest.approx(-low.multipliers[name], abs=10 * tol)


def test_multipliers_are_differences_of_the_optimum() -> None:
    """Sellar: of a constraint, and of an equation inside the cycle."""
    result = solve(sellar(), "SLSQP")
    h = 1e-3
    for name, key in (("low", "limit"), ("y2", "shift")):
        base = {"limit": 3.16, "shift": 0.0}[key]
        up, down = (solve(sellar(**{key: base + s}), "SLSQP").fun for s in (h, -h))
        assert result.multipliers[name] == pytest.approx((up - down) / (2 * h), rel=1e-3, abs=1e-5)
    assert result.multipliers["high"] == 0.0


def test_multipliers_of_arrays() -> None:
    """Elementwise: those that bind have a multiplier, in the shape of the constraint."""
    m = adj.Program()
    x = m.input("x", np.zeros(3))
    m.define("f", np.sum((x - np.array([1.0, 2.0, 3.0])) ** 2))
    problem = adj.Problem(m, minimize="f", over={"x": (-9.0, [9.0, 9.0, 2.5])}, subject_to={"c": x <= [0.5, 9.0, 9.0]})
    result = problem.solve("SLSQP")
    np.testing.assert_allclose(result.solution["x"], [0.5, 2.0, 2.5], atol=1e-6)
    np.testing.assert_allclose(result.multipliers["c"], [-1.0, 0.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(result.multipliers["x"], [0.0, 0.0, -1.0], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_rows_of_all_kinds_in_one_constraint(method: str) -> None:
    """Equalities, inequalities and rows without sides, side by side in an array; nobody is warned of them."""
    m = adj.Program()
    x = m.input("x", [1.5, 2.0, 0.5, 3.0])
    m.define("f", np.sum((x - [0.0, 1.0, 5.0, 2.0]) ** 2))
    inf = np.inf
    rows = adj.between([1.0, 0.0, -inf, -inf], x, [1.0, inf, 2.0, inf])
    problem = adj.Problem(m, minimize="f", subject_to={"rows": rows, "free": adj.between(-inf, x[0] + x[1], inf)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = solve(problem, method, constrained=True)
    if result is None:
        return
    tol = 20 * expected_of(method).tol
    np.testing.assert_allclose(result.x, [1.0, 1.0, 2.0, 2.0], atol=tol)
    np.testing.assert_allclose(result.multipliers["rows"], [2.0, 0.0, -6.0, 0.0], atol=10 * tol)
    assert result.multipliers["free"] == pytest.approx(0.0, abs=10 * tol)
    assert result.residuals().primal <= tol


# -- what all methods share ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_start_and_callback(method: str) -> None:
    points: list[Any] = []
    start = {"x": BEST + 0.1}
    problem = distance() if method in SQUARES else quadratic()
    result = problem.solve(
        method,
        options=expected_of(method).options,
        start=start,
        callback=lambda *a, **k: points.append(a or k),
    )
    assert result.success and points
    again = problem.solve(method, options=expected_of(method).options, start=result)
    np.testing.assert_allclose(again.x, BEST, atol=1e-3)
    assert problem.program["x"].name == "x"
    np.testing.assert_array_equal(problem.program.inputs[problem.program["x"]], np.zeros(4))


def test_a_problem_leaves_its_program_alone() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    m.define("f", x**2)
    before = (m.version, list(m.variables), list(m.equations))
    problem = adj.Problem(m, minimize=m["f"] + x, over=["x"], subject_to=[x + m["f"] >= 0.0])
    problem.solve("SLSQP")
    assert (m.version, list(m.variables), list(m.equations)) == before
    assert m.solve()["f"] == 1.0


def test_the_solution_takes_the_names_of_its_program() -> None:
    """The result's solution is of an extended program: variables of the original are its variables too."""
    m = adj.Program()
    x = m.input("x", 1.0)
    f = m.define("f", (x - 3.0) ** 2)
    result = adj.Problem(m, minimize=f, over=[x], subject_to={"c": x + f <= 2.0}).solve("SLSQP")
    assert result.solution[f] == result.solution["f"] == result.fun
    assert result.solution.gradient(f, wrt=x) == result.solution.gradient("f", wrt="x")
    assert result.solution["c"] == result.constraints["c"]


def test_a_failed_solve_is_not_a_result() -> None:
    """Where the last point does not solve, there is no success and no number that looks like an answer."""
    m = adj.Program()
    x = m.input("x", 1.0)
    m.define("f", np.sqrt(x))
    result = adj.Problem(m, minimize="f", over=["x"]).solve("BFGS")
    assert result.failed_solves
    assert not result.success or result.fun >= 0.0
