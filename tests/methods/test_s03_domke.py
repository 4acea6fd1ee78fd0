"""f = exp(eˣ + e²ˣ) + sin(eˣ + e²ˣ) as a program of six constraints.

J. Domke's notes on automatic differentiation (2011), taken up by T. Vieira 2017: 6 constraints, 8 edges, 4 paths from x
to f. The printed values were computed in more than double precision; they are asked for to 1e-14 relative.
"""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

import adjoint as adj


@adj.program
def domke(x):
    a = np.exp(x)
    b = a**2
    c = a + b
    d = np.exp(c)
    e = np.sin(c)
    f = d + e
    return f


# x, f, λ_c, λ_a, f'
TABLE = [
    (-1.0, 2.1362742261923539, 2.5300667925640259, 4.3915859081137806, 1.6155741697332786),
    (0.0, 8.2983535257563319, 6.9729092623835078, 20.918727787150524, 20.918727787150524),
    (0.5, 77.866155501951915, 78.468540585340024, 337.21404447303279, 555.97196790150814),
    (1.0, 24521.662861312988, 24521.517682351189, 157834.30952669599, 429038.13549379807),
]


@pytest.mark.parametrize(("x", "f", "lam_c", "lam_a", "slope"), TABLE)
def test_table(x: float, f: float, lam_c: float, lam_a: float, slope: float) -> None:
    lam = domke.multipliers(x)
    assert domke(x) == pytest.approx(f, rel=1e-14, abs=0.0)
    assert lam["c"] == pytest.approx(lam_c, rel=1e-14, abs=0.0)
    assert lam["a"] == pytest.approx(lam_a, rel=1e-14, abs=0.0)
    assert lam["x"] == pytest.approx(slope, rel=1e-14, abs=0.0)
    assert domke.gradient(x) == lam["x"]


@pytest.mark.parametrize("x", [row[0] for row in TABLE])
def test_formulas_of_the_multipliers(x: float) -> None:
    """λ_d = λ_e = 1, λ_c = e^c + cos c, λ_b = λ_c, λ_a = λ_c (1 + 2a), f' = λ_a a."""
    sol = domke.program.solve(x=x)
    lam = sol.multipliers("f")
    assert lam["f"] == lam["d"] == lam["e"] == 1.0
    assert lam["c"] == pytest.approx(np.exp(sol["c"]) + np.cos(sol["c"]), rel=1e-14, abs=0.0)
    assert lam["b"] == lam["c"]
    assert lam["a"] == pytest.approx(lam["c"] * (1.0 + 2.0 * sol["a"]), rel=1e-14, abs=0.0)
    assert lam["x"] == pytest.approx(lam["a"] * sol["a"], rel=1e-14, abs=0.0)


def test_closed_form_at_zero() -> None:
    assert domke(0.0) == pytest.approx(np.exp(2.0) + np.sin(2.0), rel=1e-15, abs=0.0)
    assert domke.gradient(0.0) == pytest.approx(3.0 * (np.exp(2.0) + np.cos(2.0)), rel=1e-15, abs=0.0)


def test_the_program_is_the_function() -> None:
    m = domke.program
    assert list(m.equations) == ["a", "b", "c", "d", "e", "f"]
    assert m.graph.number_of_edges() == 8
    assert len(list(nx.all_simple_paths(m.graph, "x", "f"))) == 4


def two_inputs() -> adj.Program:
    """The gist's graph: a = eˣ, b = a², c = a + b + y, d = tanh c, e = sin c, f = d + e."""
    m = adj.Program("gist")
    x, y = m.input("x", 0.3), m.input("y", -0.2)
    a = m.define("a", np.exp(x))
    b = m.define("b", a**2)
    c = m.define("c", a + b + y)
    d = m.define("d", np.tanh(c))
    e = m.define("e", np.sin(c))
    m.define("f", d + e)
    return m


def test_two_inputs() -> None:
    sol = two_inputs().solve(x=0.3, y=-0.2)
    gradient = sol.gradient("f")
    assert sol["f"] == pytest.approx(1.16357336148923, rel=1e-14, abs=0.0)
    assert gradient["x"] == pytest.approx(-4.87033286100864, rel=1e-14, abs=0.0)
    assert gradient["y"] == pytest.approx(-0.97521803000413, rel=1e-14, abs=0.0)


def test_random_linear_read_out() -> None:
    """An objective Σ w_i z_i over all nodes, inputs included: e_n becomes w."""
    sol = two_inputs().solve()
    rng = np.random.default_rng(0)
    w = dict(zip("xyabcdef", rng.standard_normal(8), strict=True))
    lam = sol.multipliers(w)
    a, b, c = sol["a"], sol["b"], sol["c"]
    assert b == pytest.approx(a * a, rel=1e-15, abs=0.0)
    expected = {"f": w["f"]}
    expected["e"] = w["e"] + expected["f"]
    expected["d"] = w["d"] + expected["f"]
    expected["c"] = w["c"] + expected["d"] * (1.0 - np.tanh(c) ** 2) + expected["e"] * np.cos(c)
    expected["b"] = w["b"] + expected["c"]
    expected["a"] = w["a"] + expected["c"] + expected["b"] * 2.0 * a
    expected["x"] = w["x"] + expected["a"] * a
    expected["y"] = w["y"] + expected["c"]
    assert lam.keys() == expected.keys()
    for name, value in expected.items():
        assert lam[name] == pytest.approx(value, rel=1e-13, abs=0.0), name
    assert sol.gradient(w) == pytest.approx({"x": expected["x"], "y": expected["y"]}, rel=1e-13, abs=0.0)
