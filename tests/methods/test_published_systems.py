"""Nonlinear systems from the test suites of other packages: roots, blocks, and what a singular root must say."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import adjoint as adj

# -- eight equations in blocks of 2, 3 and 3 (SciML: NonlinearSolve.jl#502, ModelingToolkit.jl#3213) ---------

EIGHT = [0.903212274317, -0.443600343334, -0.647798871261, -0.176100564369]
EIGHT += [-0.419643377607, 2.204144548446, 1.05804713313, -4.179650698308]


def eight_equations() -> adj.Program:
    m = adj.Program("eight")
    u = [m.unknown(f"u{k}", 0.0) for k in range(1, 9)]
    u1, u2, u3, u4, u5, u6, u7, u8 = u
    # deliberately out of order
    m.constrain(u1 + u2 + u3 + u4 + u5 + 2.0 * u6 + 2.5 * u7 + 1.5 * u8, name="e6")
    m.constrain(u5**2 + u4, name="e4")
    m.constrain(np.cos(u2) - u1, name="e1")
    m.constrain(u1 + 2.0 * u2 + 3.0 * u3 + 5.0 * u4 + 6.0 * u5 + u6 - u7 - u8, name="e8")
    m.constrain(np.sin(u1 + u2) + u2, name="e2")
    m.constrain(2.0 * u4 + u3 + 1.0, name="e3")
    m.constrain(u1 + u2 + u3 + 2.0 * u4 + u5 + 4.0 * u6 - 1.5 * u7 + 1.5 * u8, name="e7")
    m.constrain(u3**2 + u5, name="e5")
    return m


def test_blocks_of_eight_equations() -> None:
    blocks = [({e.name for e in b.equations}, {v.name for v in b.unknowns}) for b in eight_equations().blocks()]
    two = ({"e1", "e2"}, {"u1", "u2"})
    three = ({"e3", "e4", "e5"}, {"u3", "u4", "u5"})
    last = ({"e6", "e7", "e8"}, {"u6", "u7", "u8"})
    assert len(blocks) == 3
    assert blocks[2] == last
    assert two in blocks[:2] and three in blocks[:2]


@pytest.mark.parametrize("method", ["auto", "newton", "trust-region"])
def test_eight_equations_from_zeros(method: str) -> None:
    sol = eight_equations().solve(method=method)
    np.testing.assert_allclose([sol[f"u{k}"] for k in range(1, 9)], EIGHT, atol=5e-12)
    assert sum(block.kind == "cycle" for block in sol.blocks) == 3


# -- OpenModelica, nonlinear_system/nlsTestPackage.mo (Burkardt's testnls) ----------------------------------


def test_powell_singular_root() -> None:
    """Problem 3: the Jacobian is singular at the root 0. The value is close to it; derivatives are refused."""
    m = adj.Program("powell singular")
    shift = m.input("shift", 0.0)
    x = m.unknown("x", np.ones(4))
    m.constrain(x[0] + 10.0 * x[1] == shift, name="p1")
    m.constrain(np.sqrt(5.0) * (x[2] - x[3]), name="p2")
    m.constrain((x[1] - 2.0 * x[2]) ** 2, name="p3")
    m.constrain(np.sqrt(10.0) * (x[0] - x[3]) ** 2, name="p4")
    with pytest.warns(adj.SingularWarning):
        sol = m.solve()
    np.testing.assert_allclose(sol["x"], 0.0, atol=1e-4)  # squares: residuals of 1e-10 leave errors of 1e-5
    with pytest.raises(adj.SingularError) as error:
        sol.gradient({"x": np.ones(4)})
    assert set(error.value.equations) <= {"p1", "p2", "p3", "p4"}
    assert {"p3", "p4"} & set(error.value.equations)
    assert all(name.startswith("x[") for name in error.value.variables)


def badly_scaled(x1: float = 10.0, x2: float = 0.0) -> adj.Program:
    m = adj.Program("powell badly scaled")
    c = m.input("c", 1.0001)
    a, b = m.unknown("x1", x1), m.unknown("x2", x2)
    m.constrain(1e4 * a * b == 1.0, name="product")
    m.constrain(np.exp(-a) + np.exp(-b) == c, name="sum")
    return m


@pytest.mark.parametrize("start", [(10.0, 0.0), (0.0, 1.0), (8.0, 1e-4)])
def test_powell_badly_scaled(start: tuple[float, float]) -> None:
    """Problem 4: condition number 8.3e8, and yet regular: the derivative exists."""
    m = badly_scaled(*start)
    sol = m.solve()
    root = {sol["x1"], sol["x2"]}  # the equations are symmetric in x1, x2
    assert max(root) == pytest.approx(9.106146739867, abs=5e-10)
    assert min(root) == pytest.approx(1.0981593297e-05, abs=5e-15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gradient = m.solve().gradient("x1", wrt="c")
    a, b = sol["x1"], sol["x2"]
    # (da, db) with b da + a db = 0 and −e⁻ᵃ da − e⁻ᵇ db = 1
    assert gradient == pytest.approx(1.0 / (-np.exp(-a) + np.exp(-b) * b / a), rel=1e-6, abs=0.0)


def trigonometric(count: int = 10) -> adj.Program:
    m = adj.Program("trigonometric")
    start = np.array([0.05] * 7 + [0.2, 0.15, 0.13])
    x = m.unknown("x", start)
    k = np.arange(1, count + 1)
    m.constrain(np.sin(x) - k * (1.0 - np.cos(x)) + np.sum(np.cos(x)) == float(count), name="balance")
    return m


def test_trigonometric() -> None:
    """Problem 5, N = 10."""
    x = trigonometric().solve()["x"]
    assert x[0] == pytest.approx(0.047911947304, abs=5e-13)
    assert x[7] == pytest.approx(0.186397001384, abs=5e-13)


@pytest.mark.parametrize("start", [0.5, 0.0])
def test_boundary_value_problem(start: float) -> None:
    """Problem 6, N = 100: 2x_k − x_{k−1} − x_{k+1} + ½h²(x_k + kh + 1)² = 0 between zeros at both ends."""
    count = 100
    h = 1.0 / (count + 1)
    m = adj.Program("boundary values")
    x = m.unknown("x", np.full(count, start))
    k = np.arange(2, count)
    m.constrain(x[0] == x[count - 1], name="first")
    m.constrain(
        2.0 * x[1:-1] - x[:-2] - x[2:] + 0.5 * h**2 * (x[1:-1] + k * h + 1.0) ** 2, name="inside"
    )
    m.constrain(x[count - 1], name="last")
    sol = m.solve()
    assert sol["x"][49] == pytest.approx(-0.119613695822, abs=5e-13)
    assert sol["x"][0] == sol["x"][-1] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("start", [0.5, 1.5])
def test_brown_almost_linear(start: float) -> None:
    """Problem 7, N = 10: all 1, from its source's start 1.5; and from 0.5, where plain Newton takes 91 iterations."""
    count = 10
    m = adj.Program("brown")
    x = m.unknown("x", np.full(count, start))
    m.constrain(x[:-1] + np.sum(x) == count + 1.0, name="sums")
    m.constrain(np.prod(x) == 1.0, name="product")
    sol = m.solve()
    np.testing.assert_allclose(sol["x"], 1.0, rtol=1e-9)
    assert sum(block.iterations for block in sol.blocks) < 91
    # its other root
    sol = m.solve(start={"x": np.full(count, 0.98)})
    np.testing.assert_allclose(sol["x"], [0.9794303] * 9 + [1.2056970], atol=5e-8)


@pytest.mark.parametrize("start", [(-1.0, 1.0), (-0.5, 0.1), (1.5, 1.5)])
def test_nominal_values(start: tuple[float, float]) -> None:
    """Problem 10: terms that differ by 1e6 and unknowns by 1e8 need no scaling by the user.

    From its source's start, (1.5, 1.5) in nominal units, a fold lies before the root: solved, or refused by name.
    """
    xn, yn = 1e5, 1e-3
    m = adj.Program("nominal")
    x, y = m.unknown("x", start[0] * xn), m.unknown("y", start[1] * yn)
    a, b = x / xn, y / yn
    m.constrain(0.1 * (-a * np.exp(-a * b) - 1.0), name="f1")
    m.constrain(1e5 * (b * np.exp(-a + b) - 1.0), name="f2")
    try:
        sol = m.solve()
    except adj.ConvergenceError as error:
        assert start == (1.5, 1.5)
        assert {name for name, _ in error.worst} == {"f1", "f2"}
        return
    a, b = sol["x"] / xn, sol["y"] / yn
    assert -a * np.exp(-a * b) == pytest.approx(1.0, rel=1e-9, abs=0.0)
    assert b * np.exp(-a + b) == pytest.approx(1.0, rel=1e-9, abs=0.0)
