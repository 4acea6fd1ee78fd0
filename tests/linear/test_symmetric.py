"""Symmetric indefinite solvers: the same laws for every row of the table."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from adjoint.errors import ModelError, NameLookupError
from adjoint.linear import SingularMatrix
from adjoint.linear.symmetric import SYMMETRIC_SOLVERS, SymmetricPattern, make_symmetric_solver
from adjoint.linear.symmetric.auto import NEEDS
from adjoint.linear.symmetric.scaling import Equilibration

AVAILABLE = [name for name in SYMMETRIC_SOLVERS if name not in NEEDS or NEEDS[name][0]()] + ["auto"]
EXACT = [name for name in AVAILABLE if name in ("dense", "feral", "pardiso")]


def lower_of(K: sp.csc_array) -> sp.csc_array:
    """The lower triangle, with the whole diagonal stored."""
    n = K.shape[0]
    C = sp.tril(K).tocoo()
    rows, cols = np.r_[C.row, np.arange(n)], np.r_[C.col, np.arange(n)]
    L = sp.coo_array((np.r_[C.data, np.zeros(n)], (rows, cols)), shape=K.shape).tocsc()
    L.sort_indices()
    return L


def kkt(n: int, m: int, seed: int, convex: bool = True) -> tuple[sp.csc_array, sp.csc_array]:
    """An optimality system ``[[W, Jᵀ], [J, 0]]`` and its lower triangle."""
    rng = np.random.default_rng(seed)
    W = sp.random_array((n, n), density=min(1.0, 3.0 / n), rng=rng, data_sampler=rng.standard_normal)
    W = W + W.T + sp.diags_array(10.0 ** rng.uniform(0.5, 3, n) * (1 if convex else rng.choice([-1, 1], n)))
    J = sp.random_array((m, n), density=min(1.0, 2.0 / n), rng=rng, data_sampler=rng.standard_normal)
    J = J + sp.eye_array(m, n)
    K = sp.block_array([[W, J.T], [J, None]]).tocsc()
    return K, lower_of(K)


@pytest.mark.parametrize("name", AVAILABLE)
@pytest.mark.parametrize(("n", "m"), [(1, 0), (2, 1), (30, 10), (120, 60), (600, 200)])
def test_solves_and_inertia(name: str, n: int, m: int) -> None:
    K, L = kkt(n, m, seed=n + m)
    solver = make_symmetric_solver(L, m, name)
    b = np.cos(np.arange(n + m))
    for scale in (1.0, 3.0):  # a second matrix of the same pattern
        factors = solver.factor(scale * L.data)
        eigenvalues = np.linalg.eigvalsh(scale * K.toarray())
        assert factors.inertia == ((eigenvalues > 0).sum(), (eigenvalues < 0).sum(), 0)
        x = factors.solve(b)
        for _ in range(3):
            x = x + factors.solve(b - scale * (K @ x))
        assert np.abs(scale * (K @ x) - b).max() <= 1e-10 * (1 + np.abs(x).max() * abs(scale * K).max())
        block = factors.solve(np.stack([b, 2 * b], axis=1))
        assert block.shape == (n + m, 2) and np.allclose(block[:, 1], 2 * block[:, 0], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("seed", range(20))
def test_inertia_of_indefinite_matrices(name: str, seed: int) -> None:
    K, L = kkt(25, 8, seed, convex=False)
    eigenvalues = np.linalg.eigvalsh(K.toarray())
    found = make_symmetric_solver(L, 8, name).factor(L.data).inertia
    assert found == ((eigenvalues > 0).sum(), (eigenvalues < 0).sum(), 0)


@pytest.mark.parametrize("name", EXACT)
def test_a_zero_diagonal_needs_pivots_of_two_rows(name: str) -> None:
    L = lower_of(sp.csc_array([[0.0, 2.0, 0.0], [2.0, 0.0, 1.0], [0.0, 1.0, 3.0]]))
    factors = make_symmetric_solver(L, 1, name).factor(L.data)
    assert factors.inertia == (2, 1, 0)
    assert np.allclose(factors.solve(np.array([2.0, 3.0, 4.0])), [1.0, 1.0, 1.0])


@pytest.mark.parametrize("name", AVAILABLE)
def test_singular_matrices_are_seen(name: str) -> None:
    """Two equal constraints: an error, or an inertia other than that of a regular optimality system."""
    n, m = 90, 30
    K, _ = kkt(n, m, seed=3)
    order = np.arange(n + m)
    order[n + 1] = n
    L = lower_of(K[order][:, order])
    try:
        factors = make_symmetric_solver(L, m, name).factor(L.data)
    except SingularMatrix:
        return
    if factors.inertia == (n, m, 0):  # rounding has hidden it: then the solution is enormous
        x = factors.solve(np.ones(n + m) + np.arange(n + m))
        assert np.abs(x).max() > 1e6


@pytest.mark.parametrize("name", AVAILABLE)
def test_entries_that_are_not_finite(name: str) -> None:
    _, L = kkt(70, 20, seed=1)
    data = L.data.copy()
    data[5] = np.nan
    with pytest.raises(SingularMatrix, match="not finite"):
        make_symmetric_solver(L, 20, name).factor(data)


def test_names_and_patterns_are_checked() -> None:
    _, L = kkt(5, 2, seed=1)
    with pytest.raises(NameLookupError, match="feral"):
        make_symmetric_solver(L, 2, "ferral")
    with pytest.raises(ValueError, match="diagonal"):
        SymmetricPattern(sp.csc_array((np.ones(1), ([1], [0])), shape=(2, 2)))
    for name, (available, package) in NEEDS.items():
        if not available():
            with pytest.raises(ModelError, match=package.split(":")[0]):
                make_symmetric_solver(L, 2, name)


@pytest.mark.parametrize("name", AVAILABLE)
def test_entries_of_all_sizes(name: str) -> None:
    """Rows and columns in units that differ by many orders; then a matrix that is scaled otherwise."""
    n, m = 120, 60
    K, _ = kkt(n, m, seed=4)
    rng = np.random.default_rng(0)
    solver, eigenvalues = None, np.linalg.eigvalsh(K.toarray())
    for _ in range(4):
        d = 10.0 ** rng.uniform(-3, 3, n + m)
        A = (sp.diags_array(d) @ K @ sp.diags_array(d)).tocsc()
        L = lower_of(A)
        solver = solver or make_symmetric_solver(L, m, name)
        factors = solver.factor(L.data)
        assert factors.inertia == ((eigenvalues > 0).sum(), (eigenvalues < 0).sum(), 0)
        b = np.cos(np.arange(n + m))
        x = factors.solve(d * b)
        x = x + factors.solve(d * b - A @ x)
        assert np.abs(K @ (d * x) - b).max() <= 1e-9 * (1.0 + np.abs(d * x).max())


@pytest.mark.parametrize("name", [name for name in AVAILABLE if name in ("klu", "superlu")])
def test_a_diagonal_that_regularization_would_cancel(name: str) -> None:
    """Entries of −δ: the pivots would vanish."""
    n = 100
    K = sp.block_array([[-1e-8 * sp.eye_array(n), sp.eye_array(n)], [sp.eye_array(n), None]]).tocsc()
    L = lower_of(K)
    factors = make_symmetric_solver(L, n, name).factor(L.data)
    assert factors.inertia == (n, n, 0)
    b = np.cos(np.arange(2 * n))
    np.testing.assert_allclose(K @ factors.solve(b), b, atol=1e-10)


def test_scales_are_kept_while_sizes_stay() -> None:
    pattern = SymmetricPattern(lower_of(sp.csc_array([[4.0, 1.0], [1.0, 9.0]])))
    scaling = Equilibration(pattern)
    scaling.scaled(np.array([4.0, 1.0, 9.0]))
    d = scaling.d
    scaling.scaled(np.array([8.0, 1.0, 9.0]))
    assert scaling.d is d
    large = scaling.scaled(np.array([1e9, 1.0, 9.0]))
    assert scaling.d is not d and np.abs(large).max() <= 3.0
    d = scaling.d
    small = scaling.scaled(np.array([1.0, 1.0, 9.0]))  # not large, but lost beside the others
    assert scaling.d is not d and small.min() >= 0.1


def test_routing_takes_another_solver_where_one_fails() -> None:
    """A zero block on the diagonal that no order of diagonal pivots can factor."""
    n = 100
    K = sp.block_array([[None, sp.eye_array(n) * 1e-3], [sp.eye_array(n) * 1e-3, None]]).tocsc() * 1e3
    L = lower_of(K)
    factors = make_symmetric_solver(L, n).factor(L.data)
    assert factors.inertia[:2] == (n, n)
