"""Forward and reverse mode: |E| multiply-adds per input, or |E| per output.

The gist of T. Vieira 2017 (``forward_mode``) and the comments under B. Barak's post of 2020. One input, 50 hidden units
and 1000 outputs: one tangent sweep passes 50 + 50 000 edges; a reverse sweep per output passes the 50 edges into the
output and the 50 from the input, 100 000 in all.
"""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

import adjoint as adj

HIDDEN, OUTPUTS = 50, 1000
RNG = np.random.default_rng(7)
W, B, V = RNG.standard_normal(HIDDEN), RNG.standard_normal(HIDDEN), RNG.standard_normal((OUTPUTS, HIDDEN))


def scalar(outputs: int) -> adj.Program:
    """Every unit a scalar equation."""
    m = adj.Program("scalar")
    x = m.input("x", 0.3)
    hidden = [m.define(f"h{k}", np.tanh(W[k] * x + B[k])) for k in range(HIDDEN)]
    for i in range(outputs):
        total = V[i, 0] * hidden[0]
        for k in range(1, HIDDEN):
            total = total + V[i, k] * hidden[k]
        m.define(f"o{i}", total)
    return m


def array() -> adj.Program:
    """The same with array variables."""
    m = adj.Program("array")
    x = m.input("x", 0.3)
    h = m.define("h", np.tanh(W * x + B))
    m.define("o", V @ h)
    return m


def exact(x: float) -> np.ndarray:
    return V @ (W * (1.0 - np.tanh(W * x + B) ** 2))


def test_counts_of_multiply_adds() -> None:
    graph = scalar(OUTPUTS).graph
    tangent_sweep = graph.number_of_edges()
    assert tangent_sweep == 50_050
    reverse_sweeps = 0
    for i in range(OUTPUTS):
        reverse_sweeps += sum(d for _, d in graph.in_degree(nx.ancestors(graph, f"o{i}") | {f"o{i}"}))
    assert reverse_sweeps == 100_000


def test_tangent_and_reverse_sweeps_of_the_scalar_program() -> None:
    outputs = 100
    sol = scalar(outputs).solve()
    tangents = sol.jvp({"x": 1.0})
    columns = exact(0.3)[:outputs]
    np.testing.assert_allclose([tangents[f"o{i}"] for i in range(outputs)], columns, rtol=1e-12, atol=1e-13)
    weights = RNG.standard_normal(outputs)
    reverse = sol.vjp({f"o{i}": w for i, w in enumerate(weights)})["x"]
    assert reverse == pytest.approx(weights @ columns, rel=1e-12, abs=0.0)


def test_all_modes_agree_on_all_outputs() -> None:
    sol = array().solve()
    for mode in ("auto", "forward", "reverse"):
        np.testing.assert_allclose(sol.jacobian("o", wrt="x", mode=mode), exact(0.3), rtol=1e-12, atol=1e-13)
        sparse = sol.jacobian("o", wrt="x", mode=mode, sparse=True)
        np.testing.assert_allclose(sparse.toarray()[:, 0], exact(0.3), rtol=1e-12, atol=1e-13)


def test_columns_of_the_inverse_and_rows_of_its_transpose() -> None:
    """(I − J)⁻¹ e_j is a tangent sweep and (I − Jᵀ)⁻¹ e_n a reverse sweep: the same numbers."""
    m = adj.Program()
    x = [m.input(f"x{j}", 0.2 * j - 0.3) for j in range(4)]
    a = m.define("a", np.sin(x[0] * x[1]) + x[2])
    b = m.define("b", a * x[3] + np.exp(x[0]))
    c = m.define("c", np.tanh(a + b) * x[1])
    d = m.define("d", b * c - a)
    sol = m.solve()
    inputs, unknowns = [v.name for v in x], [v.name for v in (a, b, c, d)]
    forward = np.array([[sol.jvp({j: 1.0})[i] for j in inputs] for i in unknowns])
    reverse = np.array([[sol.multipliers(i)[j] for j in inputs] for i in unknowns])
    np.testing.assert_allclose(forward, reverse, rtol=1e-13, atol=1e-15)
    n = len(unknowns)
    lower = -m.lagrangian("d").kkt(sol, sol.multipliers("d")).toarray()[n:, :n]  # I − J
    inverse = np.linalg.inv(lower)
    between = np.array([[sol.multipliers(i)[j] for j in unknowns] for i in unknowns])
    np.testing.assert_allclose(between, inverse, rtol=1e-12, atol=1e-14)
