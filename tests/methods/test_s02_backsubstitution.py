"""Backpropagation is back-substitution: (I − Jᵀ) λ = e_n is unit upper triangular on an acyclic graph.

T. Vieira 2017 (``test_linear_system`` of its gist); λ_j = [j = n] + Σ_i λ_i ∂f_i/∂z_j in reverse topological order.
"""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from scipy.linalg import solve_triangular

import adjoint as adj


def random_dag(n: int, seed: int) -> adj.Program:
    """n equations, each of one to three earlier variables, some of them repeated."""
    rng = np.random.default_rng(seed)
    m = adj.Program("dag")
    z = [m.input(f"x{k}", rng.uniform(-1.0, 1.0)) for k in range(3)]
    for i in range(n):
        a, b, c = (z[k] for k in rng.integers(max(0, len(z) - 8), len(z), 3))
        choices = (np.tanh(a + b), np.sin(a * b) + 0.5 * c, a * a - 0.3 * b, np.exp(-a * a) * c, a + b * c)
        z.append(m.define(f"z{i}", choices[rng.integers(len(choices))]))
    return m


def system(m: adj.Program, of: str, sol: adj.Solution) -> tuple[np.ndarray, np.ndarray]:
    """J_ij = ∂f_i/∂z_j over the equations, and e_n; from the KKT matrix, whose lower block is −(I − J)."""
    n = len(m.unknowns)
    lower = m.lagrangian(of).kkt(sol, sol.multipliers(of)).toarray()[n:, :n]
    return np.eye(n) + lower, np.array([float(v.name == of) for v in m.unknowns])


@pytest.mark.parametrize("seed", range(5))
def test_three_solvers_agree(seed: int) -> None:
    """The sweep, a triangular solve and a general sparse solve: to 1e-12."""
    m = random_dag(60, seed)
    sol = m.solve()
    of = m.unknowns[-1].name
    J, e = system(m, of, sol)
    upper = np.eye(len(J)) - J.T
    np.testing.assert_array_equal(upper, np.triu(upper))
    np.testing.assert_array_equal(np.diag(upper), 1.0)
    sweep = sol.multipliers(of)
    lam = np.array([sweep[v.name] for v in m.unknowns])
    triangular = solve_triangular(upper, e, unit_diagonal=True)
    general = spla.spsolve(sp.csc_array(upper), e)
    scale = np.abs(triangular).max()
    np.testing.assert_allclose(lam, triangular, rtol=1e-12, atol=1e-12 * scale)
    np.testing.assert_allclose(general, triangular, rtol=1e-12, atol=1e-12 * scale)


def test_repeated_arguments_accumulate() -> None:
    """∂(z·z)/∂z is 2z: the second use adds to the first, and does not overwrite it."""
    m = adj.Program()
    x = m.input("x", 3.0)
    z = m.define("z", 2.0 * x)
    s = m.define("s", z * z)
    t = m.define("t", z * s * z)
    m.define("f", t + z + s)
    lam = m.solve().multipliers("f")
    # t = z⁴, s = z², z = 6
    assert lam["s"] == 1.0 + 36.0
    assert lam["z"] == 1.0 + 2.0 * 6.0 + 4.0 * 6.0**3
    assert lam["x"] == 2.0 * lam["z"]


def test_partial_and_total_derivative_differ() -> None:
    """∂f_i/∂z_j (an entry of J, others held) is not dz_n/dz_j (a multiplier)."""
    m = adj.Program()
    x = m.input("x", 2.0)
    a = m.define("a", x**2)
    b = m.define("b", 3.0 * a)
    m.define("f", a * b)
    sol = m.solve()
    J, _ = system(m, "f", sol)
    names = [v.name for v in m.unknowns]
    assert J[names.index("f"), names.index("a")] == sol["b"] == 12.0
    assert sol.multipliers("f")["a"] == 12.0 + 3.0 * 4.0


def test_sweeps_are_exact_after_the_longest_path() -> None:
    """λ ← Jᵀλ + e_n from e_n ends after as many sweeps as the longest path has edges: 5 for Domke's function."""
    m = adj.Program()
    x = m.input("x", 0.5)
    a = m.define("a", np.exp(x))
    b = m.define("b", a**2)
    c = m.define("c", a + b)
    d = m.define("d", np.exp(c))
    e = m.define("e", np.sin(c))
    m.define("f", d + e)
    longest = nx.dag_longest_path_length(m.graph)
    assert longest == 5
    sol = m.solve()
    J, unit = system(m, "f", sol)
    row = np.array([float(v.name == "a") * np.exp(0.5) for v in m.unknowns])  # ∂f_i/∂x
    full = np.block([[np.zeros((1, 1)), np.zeros((1, len(J)))], [row[:, None], J]])
    right = np.concatenate([[0.0], unit])
    exact = sol.multipliers("f")
    exact = np.array([exact[v.name] for v in (x, *m.unknowns)])
    lam = right
    for sweep in range(1, longest + 1):
        lam = full.T @ lam + right
        assert np.allclose(lam, exact, rtol=1e-14, atol=0.0) == (sweep == longest)
    np.testing.assert_allclose(full.T @ lam + right, exact, rtol=1e-14)  # and stays


@pytest.mark.parametrize("seed", range(3))
def test_sweeps_on_random_graphs(seed: int) -> None:
    m = random_dag(40, seed)
    sol = m.solve()
    of = m.unknowns[-1].name
    J, e = system(m, of, sol)
    inner = m.graph.subgraph([v.name for v in m.unknowns])
    lam = e
    for _ in range(nx.dag_longest_path_length(inner)):
        lam = J.T @ lam + e
    sweep = sol.multipliers(of)
    exact = np.array([sweep[v.name] for v in m.unknowns])
    np.testing.assert_allclose(lam, exact, rtol=1e-12, atol=1e-12 * np.abs(exact).max())
