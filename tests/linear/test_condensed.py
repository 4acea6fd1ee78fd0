"""Constraints that define a variable are eliminated: the same inertia and the same solutions."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from adjoint.linear.symmetric import SYMMETRIC_SOLVERS, SymmetricPattern, auto, make_condensed_solver, pivots
from adjoint.linear.symmetric.auto import NEEDS
from adjoint.linear.symmetric.condensed import STIFF, Condensation, CondensedSolver

METHODS = [name for name in SYMMETRIC_SOLVERS if name != "dense" and (name not in NEEDS or NEEDS[name][0]())] + ["auto"]


@pytest.fixture(autouse=True)
def from_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "LARGE", 0)


def flows(lines: int, seed: int, defined: int = 4) -> tuple[SymmetricPattern, np.ndarray, np.ndarray]:
    """Free variables x, defined ones z with ``z − g(x) = 0``, and balances of both; the rows that are equations."""
    rng = np.random.default_rng(seed)
    n = lines // 2 + 1
    k = defined * lines
    ends = np.stack([rng.integers(n, size=lines), rng.integers(n, size=lines)], axis=1)
    line = np.repeat(np.arange(lines), defined)
    G = sp.coo_array((rng.standard_normal(2 * k), (np.tile(np.arange(k), 2), ends[line].T.ravel())), shape=(k, n))
    balance = sp.coo_array((rng.choice([-1.0, 1.0], k), (ends[line, rng.integers(2, size=k)], np.arange(k))), (n, k))
    H = sp.block_diag([sp.diags_array(rng.uniform(1, 9, n)), sp.diags_array(rng.uniform(-0.02, 1, k))])
    J = sp.block_array([[-G, sp.eye_array(k)], [0.5 * sp.eye_array(n), balance]])
    limits = sp.block_array([[sp.csr_array((lines, n)), sp.kron(sp.eye_array(lines), np.ones((1, defined)))]])
    A = sp.vstack([J, limits]).tocsr()
    D = sp.diags_array(np.concatenate([np.zeros(k + n), -rng.uniform(0.1, 5.0, lines)]))
    K = sp.tril(sp.block_array([[H, A.T], [A, D]])).tocoo()
    size = K.shape[0]
    rows, columns = np.r_[K.row, np.arange(size)], np.r_[K.col, np.arange(size)]
    L = sp.coo_array((np.r_[K.data, np.zeros(size)], (rows, columns)), shape=K.shape).tocsc()
    L.sort_indices()
    return SymmetricPattern(L, k + n + lines), L.data, n + k + np.arange(k + n)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lines", [20, 150])
def test_solutions_and_inertia_are_those_of_the_whole(method: str, lines: int) -> None:
    pattern, data, equations = flows(lines, seed=lines)
    K = pattern.matrix(data)
    solver = make_condensed_solver(pattern, data, equations, method)
    assert isinstance(solver, CondensedSolver)
    assert len(solver.condensation.x) > 3 * lines
    b = np.cos(np.arange(pattern.n))
    for scale in (1.0, 3.0):
        factors = solver.factor(scale * data)
        eigenvalues = np.linalg.eigvalsh(scale * K.toarray())
        assert factors.inertia == ((eigenvalues > 0).sum(), (eigenvalues < 0).sum(), 0)
        x = factors.solve(b)
        assert np.abs(scale * (K @ x) - b).max() <= 1e-9 * (1.0 + np.abs(x).max())
        block = factors.solve(np.stack([b, 2 * b], axis=1))
        np.testing.assert_allclose(block, np.stack([x, 2 * x], axis=1), rtol=1e-6, atol=1e-9)


def test_pivots_are_independent_of_each_other() -> None:
    pattern, data, equations = flows(60, seed=1)
    K = pattern.matrix(data).toarray()
    pairs = pivots.pivot_pairs(pattern, data, equations)
    assert pairs is not None
    x, y = pairs
    assert len(np.unique(x)) == len(np.unique(y)) == len(x)
    assert np.isin(y, equations).all() and (K[y, x] != 0.0).all()
    for a, b in ((x, x), (x, y), (y, y)):
        assert not (K[np.ix_(a, b)] * (1.0 - np.eye(len(x)))).any()


def test_few_pairs_are_not_worth_it() -> None:
    """Dense constraints: no elimination that saves anything."""
    n, m = 80, 40
    rng = np.random.default_rng(3)
    K = sp.csc_array(np.tril(np.block([[np.eye(n), np.ones((n, m))], [rng.random((m, n)), 1e-9 * np.eye(m)]])))
    solver = make_condensed_solver(SymmetricPattern(K, m), K.data, n + np.arange(m), "superlu")
    assert not isinstance(solver, CondensedSolver)


def test_the_whole_is_factored_where_constraints_are_relaxed() -> None:
    pattern, data, equations = flows(40, seed=5)
    solver = make_condensed_solver(pattern, data, equations, "superlu")
    assert isinstance(solver, CondensedSolver)
    relaxed = data.copy()
    relaxed[pattern.diagonal[equations]] = -0.5
    K = pattern.matrix(relaxed)
    factors = solver.factor(relaxed)
    eigenvalues = np.linalg.eigvalsh(K.toarray())
    assert factors.inertia == ((eigenvalues > 0).sum(), (eigenvalues < 0).sum(), 0)
    b = np.ones(pattern.n)
    np.testing.assert_allclose(K @ factors.solve(b), b, atol=1e-9)
    again = solver.factor(data)  # and not for good
    np.testing.assert_allclose(pattern.matrix(data) @ again.solve(b), b, atol=1e-9)


@pytest.mark.parametrize("change", ["stiff", "no pivot"])
def test_pairs_that_become_useless_are_left_out(change: str) -> None:
    pattern, data, equations = flows(40, seed=7)
    solver = make_condensed_solver(pattern, data, equations, "superlu")
    assert isinstance(solver, CondensedSolver)
    condensation, pairs = solver.condensation, len(solver.condensation.x)
    changed = data.copy()
    if change == "stiff":  # a bound is reached
        changed[pattern.diagonal[condensation.x[:3]]] = 10.0 * STIFF
    else:
        changed[condensation._a[:3]] = 0.0
    K = pattern.matrix(changed)
    factors = solver.factor(changed)
    assert len(solver.condensation.x) == pairs - 3
    assert sum(factors.inertia) == pattern.n and factors.inertia.zero == 0
    eigenvalues = np.linalg.eigvalsh(K.toarray())
    assert factors.inertia.negative == (eigenvalues < 0).sum()
    b = np.cos(np.arange(pattern.n))
    x = factors.solve(b)
    assert np.abs(K @ x - b).max() <= 1e-8 * (1.0 + np.abs(x).max())


def test_asked_for_more_accuracy_it_factors_the_whole() -> None:
    pattern, data, equations = flows(40, seed=9)
    solver = make_condensed_solver(pattern, data, equations, "superlu")
    assert solver.increase_quality()
    b = np.ones(pattern.n)
    np.testing.assert_allclose(pattern.matrix(data) @ solver.factor(data).solve(b), b, atol=1e-9)
    assert not solver.increase_quality()


def test_the_rest_is_the_schur_complement() -> None:
    pattern, data, equations = flows(12, seed=11)
    pairs = pivots.pivot_pairs(pattern, data, equations)
    assert pairs is not None
    c = Condensation(pattern, *pairs)
    K = pattern.matrix(data).toarray()
    gone = np.concatenate(pairs)
    B, border, C = K[np.ix_(gone, gone)], K[np.ix_(c.kept, gone)], K[np.ix_(c.kept, c.kept)]
    expected = C - border @ np.linalg.solve(B, border.T)
    np.testing.assert_allclose(c.smaller.matrix(c.rest(c.parts(data))).toarray(), expected, atol=1e-12)
