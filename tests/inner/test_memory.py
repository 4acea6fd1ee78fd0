"""No state of an inner iteration is stored for derivatives."""

from __future__ import annotations

import tracemalloc

import numpy as np

import adjoint as adj
from adjoint.inner import argmin, fixed_point, inner_reports, root


def peak(condition: float, tol: float, n: int = 1000) -> tuple[int, int]:
    """Bytes at the peak of a hypergradient, and the iterations of its inner gradient descent."""
    d = np.geomspace(1.0, condition, n)
    m = adj.Program()
    c = m.input("c", np.ones(n))
    fun = lambda y: 0.5 * np.sum(d * (y - np.sin(c)) ** 2)
    y = m.define("y", argmin(fun, np.zeros(n), method="gradient-descent", tol=tol))
    m.define("f", np.sum(y**2))
    m.solve().gradient("f")  # compiles
    tracemalloc.start()
    sol = m.solve(c=np.full(n, 2.0))
    gradient = sol.gradient("f", wrt="c")
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(gradient, 2 * np.sin(2.0) * np.cos(2.0), rtol=1e-4)
    return found, inner_reports(m)[0].iterations


def test_peak_does_not_grow_with_inner_iterations() -> None:
    few, short = peak(25.0, 1e-6)
    many, long = peak(1700.0, 1e-9)
    assert short <= 150 and long >= 10_000
    assert many <= 1.1 * few


def test_large_factors_are_not_collected() -> None:
    n = 600
    m = adj.Program()
    c = m.input("c", np.ones(n))
    W = np.random.default_rng(0).standard_normal((n, n)) / (2 * np.sqrt(n))
    y = root(lambda y: y + W @ np.tanh(y) - c, np.zeros(n))
    m.define("f", np.sum(y))
    for k in range(4):
        m.solve(c=np.full(n, 1.0 + 0.1 * k)).gradient("f")
    assert len(y.params[0].memory.points) == 2


def test_solutions_remembered_are_few() -> None:
    n = 5000
    m = adj.Program()
    c = m.input("c", np.ones(n))
    m.define("f", np.sum(fixed_point(lambda y: np.tanh(0.5 * y) + c, np.zeros(n), method="fixed-point")))
    for k in range(6):
        m.solve(c=np.full(n, 1.0 + 0.1 * k))
    tracemalloc.start()
    for k in range(40):
        m.solve(c=np.full(n, 2.0 + 0.1 * k)).gradient("f")
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 40 * 8 * n
