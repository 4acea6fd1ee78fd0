"""What every linear solver does with every matrix of the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from adjoint.linear import SOLVERS, Factorization, LinearSolver, SingularMatrix, make_solver, refined_solve
from adjoint.linear.base import backward_error
from adjoint.linear.klu_ import is_available
from tests.linear.matrices import MATRICES, small

METHODS = [
    pytest.param(name, marks=pytest.mark.skipif(name == "klu" and not is_available(), reason="needs nbklu"))
    for name in ["auto", *SOLVERS]
]


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=MATRICES, ids=lambda name: name.replace(" ", "-"))
def A(request: pytest.FixtureRequest) -> sp.csc_array:
    return MATRICES[request.param]()


def given_to(solver: LinearSolver, A: sp.csc_array) -> Any:
    """The matrix in the form that the solver takes."""
    return A.toarray() if solver.dense else A


def error(A: Any, x: np.ndarray, b: np.ndarray, transpose: bool = False) -> float:
    M = A.T if transpose else A
    return float(backward_error(M, abs(M), x, b).max())


def is_accurate(solver: LinearSolver, A: Any, x: np.ndarray, b: np.ndarray, transpose: bool = False) -> bool:
    """Whether `x` is exact for entries that differ by rounding, without refinement."""
    return error(A, x, b, transpose) < (1e-11 if solver.dense else 2e-12)


def right_hand_side(M: Any, shape: tuple[int, ...] = (), seed: int = 0) -> np.ndarray:
    """``M x`` for some `x` in natural units: those in which the largest entry of each column is 1."""
    x = np.random.default_rng(seed).uniform(0.5, 1.5, (M.shape[1], *shape))
    return M @ (x.T / np.ravel(abs(M).max(axis=0).toarray())).T


def changed(A: sp.csc_array, seed: int = 1, size: float = 0.1) -> sp.csc_array:
    """Another matrix of the same pattern."""
    rng = np.random.default_rng(seed)
    data = A.data * (1.0 + size * rng.uniform(-1, 1, A.nnz))
    return sp.csc_array((data, A.indices, A.indptr), shape=A.shape)


@pytest.mark.parametrize("transpose", [False, True])
def test_solves(method: str, A: sp.csc_array, transpose: bool) -> None:
    solver = make_solver(A, method)
    assert solver.n == A.shape[0]
    factors = solver.factor(given_to(solver, A))
    assert factors.n == solver.n
    for shape in [(), (1,), (3,), (9,)]:
        b = right_hand_side(A.T if transpose else A, shape)
        kept = b.copy()
        x = factors.solve(b, transpose)
        assert x.shape == b.shape
        assert np.array_equal(b, kept)
        assert not np.shares_memory(x, b)
        assert is_accurate(solver, A, x, b, transpose)
    assert factors.solve(np.zeros((solver.n, 0)), transpose).shape == (solver.n, 0)
    assert not factors.solve(np.zeros(solver.n), transpose).any()


def test_transpose_identity(method: str, A: sp.csc_array) -> None:
    """s·x = r·b, where A x = b and Aᵀ r = s: one factorization serves the solution and its multipliers."""
    solver = make_solver(A, method)
    factors = solver.factor(given_to(solver, A))
    rng = np.random.default_rng(2)
    b, s = A @ rng.uniform(0.5, 1.5, solver.n), A.T @ rng.uniform(0.5, 1.5, solver.n)
    x, _ = refined_solve(A, b, factors)
    r, _ = refined_solve(A, s, factors, transpose=True)
    assert abs(s @ x - r @ b) <= 1e-12 * (np.abs(s) @ np.abs(x) + np.abs(r) @ np.abs(b))


def test_transpose_identity_by_numbers(method: str) -> None:
    A = small([[4.0, 1.0], [2.0, 3.0]])
    solver = make_solver(A, method)
    factors = solver.factor(given_to(solver, A))
    s, b = np.array([1.0, -1.0]), np.array([1.0, 2.0])
    x, r = factors.solve(b), factors.solve(s, transpose=True)
    assert x == pytest.approx([0.1, 0.6], abs=1e-15)
    assert r == pytest.approx([0.5, -0.5], abs=1e-15)
    assert s @ x == pytest.approx(-0.5, abs=1e-15)
    assert r @ b == pytest.approx(-0.5, abs=1e-15)


def test_factors_outlive_later_ones(method: str, A: sp.csc_array) -> None:
    solver = make_solver(A, method)
    held: list[tuple[sp.csc_array, Factorization]] = []
    for seed in range(6):
        M = changed(A, seed)
        given = given_to(solver, M.copy())
        held.append((M, solver.factor(given)))
        (given if solver.dense else given.data)[...] = np.nan  # its factors do not look at a matrix again
        if seed == 3:
            del held[1]  # what it had may be used again, and nothing else
    for M, factors in held:
        for transpose in (False, True):
            b = right_hand_side(M.T if transpose else M)
            assert is_accurate(solver, M, factors.solve(b, transpose), b, transpose)


def test_newton_like_use(method: str, A: sp.csc_array) -> None:
    """Each factorization replaces the one before, which is alive until then."""
    solver = make_solver(A, method)
    factors = None
    for seed in range(6):
        M = changed(A, seed)
        b = right_hand_side(M)
        factors = solver.factor(given_to(solver, M))
        assert is_accurate(solver, M, factors.solve(b), b)
    assert factors is not None


def test_stale_factors_are_refined(method: str, A: sp.csc_array) -> None:
    solver = make_solver(A, method)
    stale = solver.factor(given_to(solver, changed(A, size=1e-9)))
    b = np.random.default_rng(5).normal(size=(solver.n, 2))
    for transpose in (False, True):
        x, converged = refined_solve(given_to(solver, A), b, stale, transpose)
        assert converged
        assert error(A, x, b, transpose) < 1e-14


def test_other_types_of_numbers(method: str, A: sp.csc_array) -> None:
    solver = make_solver(A, method)
    factors = solver.factor(given_to(solver, A))
    n = solver.n
    assert np.array_equal(factors.solve(np.arange(n)), factors.solve(np.arange(n, dtype=float)))
    b = right_hand_side(A, (2,)) @ np.array([1.0, 1.0j])
    x = factors.solve(b)
    assert is_accurate(solver, A, x, b)
    C = sp.csc_array((A.data * np.exp(1j * np.arange(A.nnz)), A.indices, A.indptr), shape=A.shape)
    factors = solver.factor(given_to(solver, C))
    for transpose in (False, True):
        b = right_hand_side(C.T if transpose else C)
        assert is_accurate(solver, C, factors.solve(b, transpose), b, transpose)
        assert np.array_equal(factors.solve(b.real, transpose), factors.solve(b.real + 0j, transpose))
    factors = solver.factor(given_to(solver, A))  # and real again
    assert factors.solve(b.real).dtype == float


def test_reciprocal_condition_number(method: str, A: sp.csc_array) -> None:
    solver = make_solver(A, method)
    factors = solver.factor(given_to(solver, A))
    dense = A.toarray()
    exact = 1.0 / (np.abs(dense).sum(axis=0).max() * np.abs(np.linalg.inv(dense)).sum(axis=0).max())
    assert exact * (1 - 1e-6) <= factors.rcond() <= 3.0 * exact
    assert factors.rcond() == factors.rcond()


@pytest.mark.parametrize(
    "entries",
    [
        [[0.0]],
        [[1.0, 2.0], [2.0, 4.0]],
        [[1.0, 0.0], [5.0, 0.0]],
        [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [2.0, 0.0, 1.0]],
        [[np.nan]],
        [[1.0, np.nan], [0.0, 1.0]],
        [[1.0, 2.0], [-np.inf, 1.0]],
    ],
)
def test_singular_matrices_are_refused(method: str, entries: list[list[float]]) -> None:
    dense = np.array(entries)
    A = sp.csc_array(np.ones_like(dense))
    A.data = dense.ravel(order="F")
    solver = make_solver(A, method)
    for M in [given_to(solver, A), given_to(solver, sp.csc_array(A * 2.0))]:  # the first and a later one
        with pytest.raises(SingularMatrix) as caught:
            solver.factor(M)
        assert -1 <= caught.value.index < len(dense)
    A.data = (np.eye(len(dense)) + 0.1).ravel()
    solver.factor(given_to(solver, A)).solve(np.ones(len(dense)))  # the solver lives on


def test_structurally_singular_matrices_are_refused(method: str) -> None:
    for entries in ([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]):
        A = small(entries)
        solver = make_solver(A, method)
        with pytest.raises(SingularMatrix):
            solver.factor(given_to(solver, A))


def test_a_large_singular_matrix_is_refused_or_seen(method: str) -> None:
    """A zero eigenvalue up to rounding may leave a tiny pivot: then rcond tells."""
    A = MATRICES["network"]()
    A.data[A.indices == 7] = 0.0
    solver = make_solver(A, method)
    with pytest.raises(SingularMatrix):
        solver.factor(given_to(solver, A))
    A = MATRICES["block tridiagonal"]()
    A = sp.csc_array(A - sp.diags_array(np.asarray(A.sum(axis=1)).ravel()))  # rows that sum to 0
    solver = make_solver(A, method)
    try:
        factors = solver.factor(given_to(solver, A))
    except SingularMatrix:
        return
    assert factors.rcond() < 1e-13


def test_right_hand_sides_of_wrong_size_are_refused(method: str) -> None:
    A = MATRICES["network"]()
    solver = make_solver(A, method)
    factors = solver.factor(given_to(solver, A))
    with pytest.raises(ValueError, match=r"shape \(199,\)"):
        factors.solve(np.ones(199))
