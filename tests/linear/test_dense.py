"""Dense LU: unusual arrays, units, and what it costs."""

from __future__ import annotations

import time

import numpy as np
import pytest
import scipy.sparse as sp

from adjoint.linear import SingularMatrix, dense, make_solver
from adjoint.linear.base import backward_error


def test_no_rows() -> None:
    factors = make_solver(0).factor(np.zeros((0, 0)))
    assert factors.solve(np.zeros(0)).shape == (0,)
    assert factors.solve(np.zeros((0, 3)), transpose=True).shape == (0, 3)
    assert factors.rcond() == 1.0
    assert make_solver(sp.csc_array((0, 0)), "superlu").n == 0


def test_one_row() -> None:
    factors = make_solver(1).factor(np.array([[-4.0]]))
    assert factors.solve(np.array([2.0])).tolist() == [-0.5]
    assert factors.solve(np.array([[2.0, 4.0]]), transpose=True).tolist() == [[-0.5, -1.0]]
    assert factors.rcond() == 1.0


@pytest.mark.parametrize("order", ["C", "F"])
def test_any_layout_and_type(order: str) -> None:
    rng = np.random.default_rng(0)
    A = rng.integers(-5, 6, (6, 6)) + 8 * np.eye(6, dtype=int)
    b = rng.normal(size=(6, 4))
    expected = np.linalg.solve(A, b)
    wide = np.zeros((12, 12))
    wide[::2, ::2] = A
    for M in (A, A.astype(np.float32), wide[::2, ::2], sp.csc_array(A)):
        if isinstance(M, np.ndarray) and M.flags.contiguous:
            M = np.array(M, order=order)
        factors = make_solver(6).factor(M)
        for right in (b, np.asfortranarray(b), b[:, ::-1][:, ::-1], b.tolist()):
            assert factors.solve(right) == pytest.approx(expected, rel=1e-12)


def test_the_matrix_is_left_as_it_is() -> None:
    for order in ("C", "F"):
        A = np.array([[1.0, 2e9], [3e-9, 4.0]], order=order)
        kept = A.copy()
        make_solver(2).factor(A).solve(np.ones(2))
        assert np.array_equal(A, kept)


@pytest.mark.parametrize("seed", range(5))
def test_units_do_not_cost_accuracy(seed: int) -> None:
    """Units that differ by 1e12: the error in natural units is that of a matrix without units."""
    rng = np.random.default_rng(seed)
    B = (sp.random_array((150, 150), density=4 / 150, rng=rng) + sp.eye_array(150)).toarray()
    rows, cols = 10.0 ** rng.uniform(-6, 6, 150), 10.0 ** rng.uniform(-6, 6, 150)
    A = rows[:, None] * B * cols
    factors = make_solver(150).factor(A)
    natural = rng.uniform(0.5, 1.5, 150)
    for M, x0, transpose in ((A, natural / cols, False), (A.T, natural / rows, True)):
        b = M @ x0
        x = factors.solve(b, transpose)
        assert x == pytest.approx(x0, rel=1e-13 * np.linalg.cond(B))
        assert backward_error(M, abs(M), x, b)[0] < 3e-12


def test_the_singular_column_is_named() -> None:
    A = np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 1.0], [1.0, 2.0, 5.0]])
    with pytest.raises(SingularMatrix, match="pivot") as caught:
        make_solver(3).factor(A)
    assert caught.value.index == 1
    with pytest.raises(SingularMatrix, match="not finite") as caught:
        make_solver(2).factor(np.array([[1.0, 0.0], [0.0, np.inf]]))
    assert caught.value.index == 1


def test_empty_columns_are_named() -> None:
    A = np.eye(20)
    A[3, 3] = 0.0
    with pytest.raises(SingularMatrix) as caught:
        make_solver(20).factor(A)
    assert caught.value.index in (3, -1)
    A[3, 5] = 1.0
    with pytest.raises(SingularMatrix) as caught:
        make_solver(20).factor(A)
    assert caught.value.index == 3


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        make_solver(2).factor(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="square"):
        make_solver(np.zeros((2, 3)))


def test_small_blocks_are_cheap() -> None:
    """2 microseconds for factors and a solve when nothing else runs; a model has thousands of blocks."""
    solver, A, b = make_solver(2), np.array([[4.0, 1.0], [2.0, 3.0]]), np.ones(2)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(200):
            solver.factor(A).solve(b)
        times.append((time.perf_counter() - start) / 200)
    assert min(times) < 20e-6


@pytest.mark.parametrize("n", [1, 2, 7, 16])
def test_the_first_factorizations_and_the_later_ones(n: int) -> None:
    """NumPy's, then LAPACK's: the same solutions, condition numbers and errors."""
    rng = np.random.default_rng(n)
    A, solver = rng.standard_normal((n, n)), make_solver(n)
    factors = [solver.factor(A) for _ in range(dense.FEW + 2)]
    assert isinstance(factors[0], dense.PlainFactorization)
    assert isinstance(factors[-1], dense.DenseFactorization)
    for b in (rng.standard_normal(n), rng.standard_normal((n, 3)), rng.standard_normal(n) * 1j, np.zeros((n, 0))):
        for transpose in (False, True):
            first, last = (f.solve(b, transpose) for f in (factors[0], factors[-1]))
            assert first.shape == last.shape and first.dtype == last.dtype
            np.testing.assert_allclose(first, last, rtol=1e-9, atol=1e-12)
    assert 0.1 * factors[-1].rcond() <= factors[0].rcond() <= 1.01 * factors[-1].rcond()
    assert factors[0].solve(np.zeros(n)) is not factors[0].solve(np.zeros(n))
    for bad in (np.full((n, n), np.nan), np.zeros((n, n))):
        for known in (solver, make_solver(n)):
            with pytest.raises(SingularMatrix):
                known.factor(bad)
    A[:] = 0.0
    assert factors[0].solve(np.ones(n)).any()  # the caller's matrix is not kept
    with pytest.raises(ValueError, match="right-hand side"):
        factors[0].solve(np.ones(n + 1))
