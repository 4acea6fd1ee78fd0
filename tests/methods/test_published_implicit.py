"""Functions defined by equations, from the test suites of other packages: values, and first and second derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import adjoint as adj

# -- implicit quadratic (csdl_alpha, test_implicit_simple.py) ----------------------------------------------


@pytest.mark.parametrize("method", ["auto", "newton", "fixed-point", "aitken", "anderson"])
def test_implicit_quadratic(method: str) -> None:
    """x = (1 − a x²)/b with a = 1.5, b = 2."""
    m = adj.Program()
    a, b, x = m.input("a", 1.5), m.input("b", 2.0), m.unknown("x", 0.1)
    m.define(x, (1.0 - a * x**2) / b)
    sol = m.solve(method=method)
    root = (-2.0 + np.sqrt(4.0 + 4.0 * 1.5)) / 3.0
    assert sol["x"] == pytest.approx(0.38742589, abs=5e-9)
    assert sol["x"] == pytest.approx(root, rel=1e-9, abs=0.0)
    gradient = sol.gradient("x")
    assert gradient["a"] == pytest.approx(-(root**2) / (2.0 + 2.0 * 1.5 * root), rel=1e-8, abs=0.0)
    assert gradient["b"] == pytest.approx(-root / (2.0 + 2.0 * 1.5 * root), rel=1e-8, abs=0.0)


# -- a function defined by three equations in two parts (Pyomo, test_implicit_functions.py) ----------------


def three_equations() -> adj.Program:
    m = adj.Program("implicit function")
    p = m.input("p", [1.0, 1.0])
    x1, x2, x3 = m.unknown("x1"), m.unknown("x2"), m.unknown("x3")
    m.constrain(x2**2 + x3**2 == p[0], name="circle")
    m.constrain(2.0 * x1 + 3.0 * x2 - 4.0 * x3 == p[0] ** 2 - p[1], name="plane")
    m.constrain(p[1] ** 1.5 == 2.0 * np.exp(x2 / x3), name="ratio")
    return m


@pytest.mark.parametrize(
    ("p", "x"),
    [
        ((1.0, 1.0), (2.498252765639, -0.569676293112, 0.821869162985)),
        ((2.0, 3.0), (1.080826206055, 0.97660100716, 1.022863858397)),
        ((3.0, 3.0), (3.711363917035, 1.196087074915, 1.252747264704)),
    ],
)
def test_implicit_function_of_two_parts(p: tuple[float, float], x: tuple[float, float, float]) -> None:
    sol = three_equations().solve(p=p)
    np.testing.assert_allclose([sol["x1"], sol["x2"], sol["x3"]], x, atol=5e-12)


def test_its_other_printed_values() -> None:
    """The remaining rows of Pyomo's own test, to its six digits."""
    m = three_equations()
    for p, x in (
        ((1.0, 2.0), (0.898530, 0.327465, 0.944863)),
        ((1.0, 3.0), (-0.589294, 0.690561, 0.723274)),
        ((2.0, 1.0), (5.033063, -0.805644, 1.162299)),
        ((2.0, 2.0), (2.977820, 0.463105, 1.336239)),
        ((3.0, 1.0), (8.327101, -0.986708, 1.423519)),
        ((3.0, 2.0), (5.922325, 0.567186, 1.636551)),
    ):
        sol = m.solve(p=p)
        np.testing.assert_allclose([sol["x1"], sol["x2"], sol["x3"]], x, atol=6e-7)


def test_exactly_two_parts() -> None:
    parts = [({e.name for e in b.equations}, {v.name for v in b.unknowns}) for b in three_equations().blocks()]
    assert parts == [({"circle", "ratio"}, {"x2", "x3"}), ({"plane"}, {"x1"})]


# -- second derivatives of implicit functions (Pyomo, test_external_pyomo_model.py) ------------------------


def hidden(external: Callable[[adj.Expr, adj.Expr], adj.Comparison], y0: float) -> adj.Program:
    """F(x) = x² + y(x)² − 1, where y solves an equation."""
    m = adj.Program()
    x, y = m.input("x", 2.0), m.unknown("y", y0)
    m.constrain(external(x, y), name="external")
    m.define("F", x**2 + y**2 - 1.0)
    return m


@pytest.mark.parametrize("x", [-5.0, -4.0, -3.0, -1.5, 0.5, 1.0, 2.0, 3.5])
def test_simple_models(x: float) -> None:
    sol = hidden(lambda x, y: x * y == 0.2, 1.0).solve(x=x)
    assert sol["F"] == pytest.approx(x**2 + 0.04 / x**2 - 1.0, rel=1e-13, abs=0.0)
    assert sol.gradient("F", wrt="x") == pytest.approx(2.0 * x - 0.08 / x**3, rel=1e-13, abs=0.0)
    assert sol.hessian("F", wrt="x") == pytest.approx(2.0 + 0.24 / x**4, rel=1e-13, abs=0.0)
    c = 0.2 ** (1.0 / 3.0)
    sol = hidden(lambda x, y: x**3 * y**3 == 0.2, np.sign(x)).solve(x=x)
    assert sol["y"] == pytest.approx(c / x, rel=1e-10, abs=0.0)
    assert sol.hessian("y", wrt="x") == pytest.approx(2.0 * c / x**3, rel=1e-9, abs=0.0)
    assert sol.hessian("F", wrt="x") == pytest.approx(2.0 + 6.0 * c**2 / x**4, rel=1e-9, abs=0.0)


def test_simple_model_printed() -> None:
    sol = hidden(lambda x, y: x * y == 0.2, 1.0).solve(x=2.0)
    assert sol["F"] == pytest.approx(3.01, rel=1e-15, abs=0.0)
    assert sol.gradient("F", wrt="x") == pytest.approx(3.99, rel=1e-15, abs=0.0)
    assert sol.hessian("F", wrt="x") == pytest.approx(2.015, rel=1e-15, abs=0.0)


def test_two_by_two() -> None:
    """Two residuals of two inputs and two hidden variables, at (2, 2)."""
    m = adj.Program()
    x, y0, y1 = m.input("x", [2.0, 2.0]), m.unknown("y0", 2.0), m.unknown("y1", 2.0)
    m.constrain(y0 + y1 + x[0] * x[1] + x[0] ** 2 == 1.0, name="external_0")
    m.constrain(y0 + 2.0 * x[0] * x[1] + x[1] ** 2 == 2.0, name="external_1")
    m.define("F0", x[0] ** 2 + x[0] * y0 + y0**2 - 1.0)
    m.define("F1", x[1] ** 2 + x[1] * y1 - 2.0)
    sol = m.solve()
    jacobian = sol.jacobian(["F0", "F1"], wrt=["x"])
    np.testing.assert_allclose([jacobian["F0", "x"], jacobian["F1", "x"]], [[66, 144], [-4, 19]], rtol=1e-13)
    np.testing.assert_allclose(sol.hessian("F0", wrt="x"), [[26, 92], [92, 164]], rtol=1e-13)
    np.testing.assert_allclose(sol.hessian("F1", wrt="x"), [[-4, 0], [0, 18]], rtol=1e-13, atol=1e-12)


def test_two_by_two_where_transposes_matter() -> None:
    """x0² y0 √x1 y1 = 0.1, x0 y0 x1 = 0.2: y0 = 0.2/(x0 x1), y1 = 0.5 √x1/x0."""
    m = adj.Program()
    x, y0, y1 = m.input("x", [2.0, 2.0]), m.unknown("y0", 2.0), m.unknown("y1", 2.0)
    m.constrain(x[0] ** 2 * y0 * x[1] ** 0.5 * y1 - 0.1, name="external_0")
    m.constrain(x[0] * y0 * x[1] - 0.2, name="external_1")
    m.define("F", x[0] ** 2 + x[1] ** 2 + y0**2 + y1**2 - 1.0)
    for a, b in ((2.0, 2.0), (0.5, 3.0), (-1.0, 0.7)):
        sol = m.solve(x=[a, b], start={"y0": np.sign(a), "y1": np.sign(a)})
        # F = a² + b² + 0.04 a⁻² b⁻² + 0.25 a⁻² b − 1
        gradient = [2 * a - 0.08 / (a**3 * b**2) - 0.5 * b / a**3, 2 * b - 0.08 / (a**2 * b**3) + 0.25 / a**2]
        aa = 2.0 + 0.24 / (a**4 * b**2) + 1.5 * b / a**4
        ab = 0.16 / (a**3 * b**3) - 0.5 / a**3
        bb = 2.0 + 0.24 / (a**2 * b**4)
        np.testing.assert_allclose(sol.gradient("F", wrt="x"), gradient, rtol=1e-12)
        np.testing.assert_allclose(sol.hessian("F", wrt="x"), [[aa, ab], [ab, bb]], rtol=1e-11)
