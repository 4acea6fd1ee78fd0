"""Elementwise operations at their special points: kinks, zeros, infinities, the ends of domains."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import adjoint as adj


def solved(build: Any, **inputs: Any) -> adj.Solution:
    """The solution of ``y = build(inputs)``."""
    m = adj.Program()
    m.define("y", build(*[m.input(name, value) for name, value in inputs.items()]))
    return m.solve()


# -- conventions at kinks, each with its warning -----------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "inputs", "slopes"),
    [
        (np.abs, {"x": 0.0}, {"x": 0.0}),
        (np.fabs, {"x": 0.0}, {"x": 0.0}),
        (adj.relu, {"x": 0.0}, {"x": 0.0}),
        (np.maximum, {"x": 2.0, "y": 2.0}, {"x": 0.5, "y": 0.5}),
        (np.minimum, {"x": 2.0, "y": 2.0}, {"x": 0.5, "y": 0.5}),
        (lambda x: np.clip(x, 0.0, 1.0), {"x": 1.0}, {"x": 0.5}),
        (np.hypot, {"x": 0.0, "y": 0.0}, {"x": 0.0, "y": 0.0}),
        (np.sign, {"x": 0.0}, {"x": 0.0}),
        (np.floor, {"x": 2.0}, {"x": 0.0}),
        (np.ceil, {"x": 2.0}, {"x": 0.0}),
        (np.trunc, {"x": 2.0}, {"x": 0.0}),
        (np.rint, {"x": 2.5}, {"x": 0.0}),
        (lambda x: np.where(x > 0, x, 3 * x), {"x": 0.0}, {"x": 3.0}),
        (lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 5.0]), {"x": 1.0}, {"x": 4.0}),
    ],
)
def test_derivative_at_a_kink_follows_its_convention_and_warns(build: Any, inputs: Any, slopes: Any) -> None:
    m = adj.Program()
    m.define("value", build(*[m.input(name, v) for name, v in inputs.items()]))
    sol = m.solve()
    with pytest.warns(adj.KinkWarning, match="value"):
        assert sol.gradient("value") == slopes


@pytest.mark.parametrize(
    ("build", "x", "slope"),
    [
        (np.abs, -2.0, -1.0),
        (adj.relu, 1e-300, 1.0),
        (adj.relu, -1.0, 0.0),
        (lambda x: np.maximum(x, 1.0), 1.5, 1.0),
        (lambda x: np.clip(x, 0.0, 1.0), 2.0, 0.0),
        (np.floor, 2.5, 0.0),
        (np.rint, 2.0, 0.0),
        (np.sign, -3.0, 0.0),
        (lambda x: np.where(x == 1.0, 5.0, x), 2.0, 1.0),
        (lambda x: np.interp(x, [0.0, 1.0], [0.0, 3.0]), 0.5, 3.0),
        (lambda x: np.interp(x, [0.0, 1.0], [0.0, 3.0]), 7.0, 0.0),
    ],
)
def test_beside_a_kink_nothing_is_warned(build: Any, x: float, slope: float) -> None:
    sol = solved(build, x=x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sol.gradient("y", wrt="x") == slope


def test_the_warning_names_each_equation_at_its_kink_once() -> None:
    m = adj.Program()
    x = m.input("x", [0.0, 1.0])
    m.define("bent", np.abs(x))
    m.define("smooth", np.abs(x + 1.0))
    sol = m.solve()
    with pytest.warns(adj.KinkWarning) as caught:
        sol.jacobian("bent")
        sol.jacobian("smooth")
    assert len(caught) == 1
    assert "bent" in str(caught[0].message)
    assert "smooth" not in str(caught[0].message)


# -- where a derivative needs care -------------------------------------------------------------------------


def test_powers_at_zero() -> None:
    """Σ c_k x^k at 0 with the exponents in an array: value, slope and curvature of the polynomial."""
    sol = solved(lambda x: np.sum(np.array([1.0, 2.0, 3.0, 4.0]) * x ** np.arange(4)), x=0.0)
    assert (sol["y"], sol.gradient("y", wrt="x"), sol.hessian("y", wrt="x")) == (1.0, 2.0, 6.0)


@pytest.mark.parametrize("exponent", [-4, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 5, 2.5])
def test_powers_by_constant_exponents(exponent: float) -> None:
    sol = solved(lambda x: x**exponent, x=1.7)
    np.testing.assert_allclose(sol["y"], 1.7**exponent, rtol=1e-15)
    np.testing.assert_allclose(sol.gradient("y", wrt="x"), exponent * 1.7 ** (exponent - 1), rtol=1e-14)
    np.testing.assert_allclose(
        sol.hessian("y", wrt="x"), exponent * (exponent - 1) * 1.7 ** (exponent - 2), rtol=1e-14, atol=0
    )


def test_whole_powers_of_negative_numbers() -> None:
    for exponent in (2, 3, 4, 5, -1, -3):
        sol = solved(lambda x, k=exponent: x**k, x=-2.0)
        assert sol["y"] == (-2.0) ** exponent
        np.testing.assert_allclose(sol.gradient("y", wrt="x"), exponent * (-2.0) ** (exponent - 1), rtol=1e-15)


def test_a_power_of_zero_by_its_exponent() -> None:
    sol = solved(np.power, x=0.0, p=2.0)
    assert sol["y"] == 0.0
    assert sol.gradient("y") == {"x": 0.0, "p": 0.0}


def test_where_hides_the_branch_that_is_not_taken() -> None:
    """Also where that branch is NaN, if its argument is guarded, as in NumPy."""
    sol = solved(lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 2.0 * x), x=-3.0)
    assert (sol["y"], sol.gradient("y", wrt="x")) == (-6.0, 2.0)


def test_the_condition_of_where_is_a_truth_not_a_factor() -> None:
    m = adj.Program()
    c, a, b = m.input("c", 2.0), m.input("a", 3.0), m.input("b", 5.0)
    try:
        m.define("y", np.where(c, a, b))
    except adj.UnsupportedError:
        return  # only masks are conditions
    sol = m.solve()
    assert sol["y"] == 3.0
    assert sol.gradient("y") == {"c": 0.0, "a": 1.0, "b": 0.0}


@pytest.mark.parametrize(
    ("ufunc", "arguments"), [(np.logical_and, (2.0, 3.0)), (np.logical_or, (2.0, 0.0)), (np.logical_not, (3.0,))]
)
def test_logical_functions_of_numbers_are_truths(ufunc: Any, arguments: tuple[float, ...]) -> None:
    m = adj.Program()
    try:
        m.define("y", np.where(ufunc(*[m.input(f"x{k}", v) for k, v in enumerate(arguments)]), 1.0, 0.0) + 0.0)
        m.define("z", ufunc(*[m[f"x{k}"] for k in range(len(arguments))]) * 1.0)
    except adj.UnsupportedError:
        return
    sol = m.solve()
    assert sol["y"] == sol["z"] == float(ufunc(*arguments))


def test_constant_conditions() -> None:
    sol = solved(lambda x: np.where(np.array([True, False, True]), x, -x), x=np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(sol["y"], [1.0, -2.0, 3.0])
    np.testing.assert_array_equal(sol.jacobian("y", wrt="x"), np.diag([1.0, -1.0, 1.0]))


def test_stable_forms_at_large_arguments() -> None:
    for build, x, value, slope in (
        (adj.softplus, 800.0, 800.0, 1.0),
        (adj.softplus, -800.0, 0.0, 0.0),
        (adj.expit, -800.0, 0.0, 0.0),
        (adj.expit, 800.0, 1.0, 0.0),
        (lambda x: np.logaddexp(x, 0.0), 800.0, 800.0, 1.0),
        (np.tanh, 400.0, 1.0, 0.0),
        (np.log1p, 1e-20, 1e-20, 1.0),
        (np.expm1, 1e-20, 1e-20, 1.0),
        (lambda x: np.hypot(x, 1.0), 1e200, 1e200, 1.0),
    ):
        sol = solved(build, x=x)
        assert sol["y"] == pytest.approx(value, abs=1e-300)
        assert sol.gradient("y", wrt="x") == pytest.approx(slope, abs=1e-300)


def test_all_quadrants_of_arctan2() -> None:
    for angle in (0.3, 1.2, 2.0, 3.0, -0.4, -1.7, -2.9):
        s, c = np.sin(angle), np.cos(angle)
        sol = solved(np.arctan2, s=2 * s, c=2 * c)
        assert sol["y"] == pytest.approx(angle)
        slopes = sol.gradient("y")
        assert (slopes["s"], slopes["c"]) == pytest.approx((c / 2, -s / 2))
        assert sol.check_derivatives("y").ok


def test_broadcasting_sums_the_derivative_over_what_was_repeated() -> None:
    sol = solved(lambda a, b, c: np.sum(a * b * c), a=np.arange(1.0, 4.0)[:, None], b=np.arange(1.0, 3.0), c=2.0)
    slopes = sol.gradient("y")
    np.testing.assert_array_equal(slopes["a"], np.full((3, 1), 6.0))
    np.testing.assert_array_equal(slopes["b"], [12.0, 12.0])
    assert slopes["c"] == 18.0


def test_shapes_that_do_not_broadcast_are_named() -> None:
    m = adj.Program()
    a, b = m.input("a", np.ones(3)), m.input("b", np.ones(4))
    for use in (lambda: a + b, lambda: np.arctan2(a, b), lambda: a <= np.ones(5), lambda: np.where(a > 0, a, b)):
        with pytest.raises(adj.ShapeError, match=r"(?s)a.*3"):
            np.where(use(), 1.0, 0.0)


def test_not_a_number_is_not_hidden() -> None:
    """NaN passes through every operation, so that the equation that makes it is named."""
    m = adj.Program()
    x = m.input("x", -1.0)
    for k, build in enumerate((adj.relu, np.abs, np.sign, np.floor, lambda v: np.maximum(v, 0.0), adj.softplus)):
        other = m.extended()
        other.define(f"y{k}", build(np.sqrt(x)))
        with pytest.raises(adj.EvaluationError, match=f"y{k}"):
            other.solve()
