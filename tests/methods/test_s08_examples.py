"""Small worked examples with printed values: a product of partials along each path, and scalar engines.

B. Barak 2020 (f = (x + y) + x³; finite differences cost n + 1 evaluations); A. Karpathy, the README of micrograd. The
first is a stand-in of the same kind as Kwiatkowski's example (three inputs, result 144), not his formula.
"""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import approx_fprime

import adjoint as adj


def test_three_inputs_and_144() -> None:
    """r = (x y + z)² at (2, 5, 2)."""

    @adj.program
    def r(x, y, z):
        p = x * y
        q = p + z
        return q**2

    assert r(2.0, 5.0, 2.0) == 144.0
    assert r.gradient(2.0, 5.0, 2.0) == {"x": 120.0, "y": 48.0, "z": 24.0}


def test_partials_multiplied_along_each_path() -> None:
    """The gradient is the sum over paths of the product of the partials on their edges."""
    m = adj.Program()
    x, y, z = m.input("x", 2.0), m.input("y", 5.0), m.input("z", 2.0)
    p = m.define("p", x * y)
    q = m.define("q", p + z)
    s = m.define("s", x * q)
    m.define("r", q**2 + s)
    sol = m.solve()
    partial = {
        ("x", "p"): sol["y"],
        ("y", "p"): sol["x"],
        ("p", "q"): 1.0,
        ("z", "q"): 1.0,
        ("x", "s"): sol["q"],
        ("q", "s"): sol["x"],
        ("q", "r"): 2.0 * sol["q"],
        ("s", "r"): 1.0,
    }
    assert set(m.graph.edges) == set(partial)
    for name, slope in sol.gradient("r").items():
        paths = nx.all_simple_edge_paths(m.graph, name, "r")
        assert slope == sum(np.prod([partial[edge] for edge in path]) for path in paths)


def test_barak() -> None:
    @adj.program
    def f(x, y):
        return (x + y) + x**3

    assert f(2.0, 3.0) == 13.0
    assert f.gradient(2.0, 3.0) == {"x": 13.0, "y": 1.0}


@adj.program
def micrograd(a, b):
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + adj.relu(b + a)
    d += 3 * d + adj.relu(b - a)
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g


def test_micrograd() -> None:
    """g = 24.7041, dg/da = 138.8338, dg/db = 645.5773 in the README."""
    assert micrograd(-4.0, 2.0) == pytest.approx(24.70408163265306, rel=1e-15, abs=0.0)
    gradient = micrograd.gradient(-4.0, 2.0)
    assert gradient["a"] == pytest.approx(138.8338192419825, rel=1e-15, abs=0.0)
    assert gradient["b"] == pytest.approx(645.5772594752186, rel=1e-15, abs=0.0)


@pytest.mark.parametrize("n", [1, 5, 20])
def test_finite_differences_cost_n_evaluations(n: int) -> None:
    """n + 1 one-sided, 2n central; the gradient costs one solve."""
    m = adj.Program()
    x = m.input("x", np.linspace(0.1, 1.0, n))
    m.define("f", np.sum(np.sin(x) * x) + np.prod(x))
    one = m.function("f")
    gradient = one.jac(one.x0)
    assert one.solves == 1
    calls = []

    def counted(v: np.ndarray) -> float:
        calls.append(v)
        return one(v)

    differences = approx_fprime(one.x0, counted, 1e-7)
    assert len(calls) == n + 1
    np.testing.assert_allclose(np.ravel(differences), gradient, rtol=1e-5)
    calls.clear()
    h = 1e-5
    central = [(counted(one.x0 + h * e) - counted(one.x0 - h * e)) / (2.0 * h) for e in np.eye(n)]
    assert len(calls) == 2 * n
    np.testing.assert_allclose(central, gradient, rtol=1e-8)
