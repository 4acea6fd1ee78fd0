"""Refinement with the factors of another matrix; condition numbers and null vectors; GMRES."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from adjoint.linear import (
    SingularMatrix,
    condition_estimate,
    gmres_solve,
    make_solver,
    null_vectors,
    refined_solve,
)
from adjoint.linear.base import backward_error, inverse_norm
from tests.linear.matrices import badly_scaled, block_tridiagonal, convection, network

# -- refinement


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("columns", [(), (3,)])
def test_refinement_reaches_rounding(transpose: bool, columns: tuple[int, ...]) -> None:
    A = network(300)
    rng = np.random.default_rng(0)
    stale = A.copy()
    stale.data *= 1.0 + 1e-4 * rng.uniform(-1, 1, A.nnz)
    factors = make_solver(A, "superlu").factor(stale)
    x0 = rng.normal(size=(300, *columns))
    M = A.T if transpose else A
    x, converged = refined_solve(A, M @ x0, factors, transpose)
    assert converged
    assert x == pytest.approx(x0, rel=1e-10, abs=1e-12)
    assert not refined_solve(A, M @ x0, factors, transpose, max_steps=1)[1]


def test_refinement_says_when_the_factors_are_of_no_use() -> None:
    """Each step makes the first column worse and the second better: the best of each is given."""
    A = np.diag([3.5, 1.0 + 1e-3])
    factors = make_solver(2).factor(np.eye(2))
    b = np.array([[1.0, 0.0], [0.0, 1.0]])
    x, converged = refined_solve(A, b, factors, max_steps=1)
    assert not converged
    assert x[:, 0].tolist() == [1.0, 0.0]
    assert x[1, 1] == pytest.approx(1.0 - 1e-3)


def test_refinement_of_zeros_and_of_small_parts() -> None:
    """Rows whose terms all vanish beside the largest are not asked for the impossible."""
    A = block_tridiagonal(60)
    A.data *= 1e-200
    factors = make_solver(A, "superlu").factor(A)
    assert refined_solve(A, np.zeros(240), factors)[1]
    b = np.zeros((240, 2))
    b[0, 0] = 1e-190
    b[239, 1] = 1e-210
    assert refined_solve(A, b, factors)[1]
    assert refined_solve(A, b[:, :0], factors)[1]
    decay = sp.csc_array(sp.eye_array(200) + sp.diags_array([1e-12], offsets=[-1], shape=(200, 200)))
    x, converged = refined_solve(decay, np.eye(200)[0], make_solver(decay, "superlu").factor(decay))
    assert converged
    assert x[3] == pytest.approx(-1e-36)


def test_refinement_with_infinities_does_not_converge() -> None:
    A = np.array([[1e-300, 0.0], [0.0, 1.0]])
    factors = make_solver(2).factor(A)
    assert not refined_solve(A, np.array([1e300, 1.0]), factors)[1]


def test_backward_error_of_each_column() -> None:
    A = np.array([[1.0, 2.0], [0.0, 1.0]])
    x = np.ones((2, 2))
    b = np.array([[3.0, 3.0], [1.0, 3.0]])
    assert backward_error(A, abs(A), x, b) == pytest.approx([0.0, 0.5])


# -- condition


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", [float, complex])
def test_norm_of_the_inverse(seed: int, kind: type) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    A = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if kind is complex else 0.0)
    inverse = np.linalg.inv(A)
    found = inverse_norm(lambda b, t: (inverse.T if t else inverse) @ b, n, kind)
    exact = np.abs(inverse).sum(axis=0).max()
    assert exact / 3 <= found <= exact * (1 + 1e-12)


def test_units_do_not_count() -> None:
    rng = np.random.default_rng(0)
    A = rng.normal(size=(30, 30))
    plain = condition_estimate(A, make_solver(30).factor(A))
    B = A * 10.0 ** rng.integers(-8, 8, 30) * 10.0 ** rng.integers(-8, 8, (30, 1))
    factors = make_solver(30).factor(B)
    assert factors.rcond() < 1e-14
    assert condition_estimate(B, factors) < 30 * plain
    C = badly_scaled(300)
    factors = make_solver(C, "superlu").factor(C)
    assert condition_estimate(C, factors) < 1e-6 / factors.rcond()
    assert condition_estimate(C.toarray(), factors) == pytest.approx(condition_estimate(C, factors), rel=1e-6)


def test_condition_of_a_nearly_singular_matrix() -> None:
    assert condition_estimate(np.diag([2, 3]), make_solver(2).factor(np.diag([2, 3]))) == 1.0
    A = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-13]])
    assert condition_estimate(A, make_solver(2).factor(A)) == pytest.approx(4e13, rel=0.01)


def _singular(n: int, as_sparse: bool) -> tuple[Any, np.ndarray, np.ndarray]:
    """A singular matrix with its null vectors: an equation repeats two others, two columns are equal."""
    A = network(n).toarray()
    A[7] = 2.0 * A[3] - A[11]
    A[:, 5] = A[:, 9] = 0.0
    A[[1, 2, 20], 5] = A[[1, 2, 20], 9] = [1.0, 2.0, 3.0]
    A[7] = 2.0 * A[3] - A[11]
    left, right = np.zeros(n), np.zeros(n)
    left[[7, 3, 11]] = [1.0, -2.0, 1.0]
    right[[5, 9]] = [1.0, -1.0]
    A *= 10.0 ** np.random.default_rng(1).integers(-4, 4, (n, 1))
    return (sp.csc_array(A) if as_sparse else A), left, right


@pytest.mark.parametrize(("n", "as_sparse"), [(60, False), (60, True), (500, True)])
def test_null_vectors_name_the_culprits(n: int, as_sparse: bool) -> None:
    A, _, right0 = _singular(n, as_sparse)
    left, right = null_vectors(A)
    assert np.linalg.norm(left) == pytest.approx(1.0)
    assert np.linalg.norm(right) == pytest.approx(1.0)
    size = abs(A)
    units = np.ravel(size.sum(axis=1))
    assert np.abs(left @ A).max() <= 1e-9 * (np.abs(left) @ size).max()
    assert np.abs(A @ right / units).max() <= 1e-9
    assert abs(right @ right0) / np.sqrt(2) == pytest.approx(1.0, abs=1e-6)
    assert set(np.argsort(np.abs(left) * units)[-3:]) == {3, 7, 11}


def test_null_vectors_from_factors_at_hand() -> None:
    A = convection(21)
    n = A.shape[0]
    ones = np.ones(n)
    A = sp.csc_array(A - sp.diags_array(A @ ones * (1 - 1e-12)))  # rows that all but sum to zero
    factors = make_solver(A, "superlu").factor(A)
    left, right = null_vectors(A, factors)
    assert np.abs(right) == pytest.approx(ones / np.sqrt(n), rel=1e-6)
    assert np.abs(left @ A).max() < 1e-10
    C = sp.csc_array(sp.diags_array(np.exp(1j * np.arange(n))) @ A)
    for given in (None, make_solver(C, "superlu").factor(C)):
        left, right = null_vectors(C, given)
        assert np.abs(C @ right).max() < 1e-9
        assert np.abs(left @ C).max() < 1e-9
    left, right = null_vectors(np.outer(np.ones(30), 1j * np.ones(30)))
    assert np.abs(right.sum()) < 1e-10
    assert np.abs(left.sum()) < 1e-10


def test_null_vectors_of_empty_rows() -> None:
    A = np.diag([1.0, 0.0, 2.0])
    left, right = null_vectors(A)
    assert np.abs(left).tolist() == np.abs(right).tolist() == [0.0, 1.0, 0.0]
    assert condition_estimate(A, make_solver(3).factor(np.eye(3))) == np.inf
    with pytest.raises(SingularMatrix):
        null_vectors(np.array([[np.nan]]))


# -- GMRES


def test_gmres_solves_without_a_matrix() -> None:
    A = convection(12)
    b = np.random.default_rng(0).normal(size=(144, 2))
    calls = []

    def matvec(v: np.ndarray) -> np.ndarray:
        calls.append(1)
        return A @ v

    x = gmres_solve(matvec, b)
    assert np.linalg.norm(b - A @ x) <= 3e-10 * np.linalg.norm(b)
    without = len(calls)
    factors = make_solver(A, "superlu").factor(A)
    x = gmres_solve(matvec, b, M=factors.solve, rtol=1e-13)
    assert np.linalg.norm(b - A @ x) <= 3e-13 * np.linalg.norm(b)
    assert len(calls) - without < 12 < without
    assert not gmres_solve(matvec, np.zeros(144)).any()
    assert gmres_solve(matvec, b[:, :0]).shape == (144, 0)


def test_gmres_returns_no_unconverged_answer() -> None:
    A = convection(12)
    with pytest.raises(SingularMatrix, match="did not converge"):
        gmres_solve(lambda v: A @ v, np.ones(144), maxiter=5)
    with pytest.raises(SingularMatrix):
        gmres_solve(lambda v: np.array([v[0], 0.0]), np.ones(2))
    with pytest.raises(SingularMatrix):
        gmres_solve(lambda v: v * np.nan, np.ones(2))
