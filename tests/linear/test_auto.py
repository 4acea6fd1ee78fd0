"""Routing: which solver for which pattern, and what happens when it fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from adjoint.errors import AdjointError
from adjoint.linear import InaccurateFactors, SingularMatrix, auto, klu_, make_solver
from adjoint.linear.auto import AutoSolver, CheckedDense, dense_time, klu_time, superlu_time
from adjoint.linear.base import SparsePattern, backward_error
from adjoint.linear.klu_ import is_available
from adjoint.linear.superlu import SuperLUSolver
from tests.linear.matrices import block_tridiagonal, convection, cyclic, kkt, network

needs_klu = pytest.mark.skipif(not is_available(), reason="needs nbklu")


def dense(n: int) -> sp.csc_array:
    return sp.csc_array(np.ones((n, n)))


def poisson(m: int) -> sp.csc_array:
    T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
    eye = sp.eye_array(m)
    return sp.csc_array(
        sp.kron(sp.kron(T, eye), eye) + sp.kron(sp.kron(eye, T), eye) + sp.kron(sp.kron(eye, eye), T)
    )


WITH_KLU = [
    (network(30), "dense"),
    (network(400), "klu"),
    (dense(300), "dense"),
    (convection(20), "klu"),
    (poisson(17), "superlu"),
    (kkt(20), "klu"),
    (cyclic(2000), "klu"),
    (block_tridiagonal(200), "klu"),
]
WITHOUT_KLU = [
    (network(100), "dense"),
    (network(1000), "superlu"),
    (dense(300), "dense"),
    (convection(30), "superlu"),
    (cyclic(5000), "superlu"),
]


@needs_klu
@pytest.mark.parametrize(("A", "name"), WITH_KLU)
def test_choices(A: sp.csc_array, name: str) -> None:
    solver = make_solver(A)
    assert solver.name == name
    assert solver.dense is (name == "dense")


@pytest.mark.parametrize(("A", "name"), WITHOUT_KLU)
def test_choices_without_klu(A: sp.csc_array, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "is_available", lambda: False)
    assert make_solver(A).name == name
    with pytest.raises(AdjointError, match="pip install 'adjoint"):
        make_solver(A, "klu")


def test_names_and_sizes() -> None:
    assert make_solver(3).dense
    assert make_solver(np.int64(3), "dense").n == 3
    assert make_solver(np.eye(5)).n == 5
    assert make_solver(network(500), "dense").dense
    with pytest.raises(AdjointError, match="did you mean 'superlu'"):
        make_solver(3, "superlux")
    with pytest.raises(AdjointError, match="needs the sparsity pattern"):
        make_solver(3, "superlu")


def test_time_models_grow() -> None:
    sizes = [10, 100, 1000, 10000]
    for times in (
        [dense_time(n) for n in sizes],
        [klu_time(n, 30.0 * n, 10.0 * n) for n in sizes],
        [superlu_time(n, 30.0 * n, 10.0 * n, False) for n in sizes],
    ):
        assert times == sorted(times)


class Failing:
    """A solver that gives no factors, `name` and `n` apart."""

    name = "failing"

    def __init__(self, n: int, failure: Exception) -> None:
        self.n, self.failure = n, failure

    def factor(self, A: Any) -> Any:
        raise self.failure


@pytest.mark.parametrize("failure", [InaccurateFactors("growth"), MemoryError()])
def test_another_solver_takes_over(failure: Exception) -> None:
    A = network(300)
    solver = AutoSolver(Failing(300, failure), SuperLUSolver(A))
    b = np.ones(300)
    for _ in range(2):
        x = solver.factor(A).solve(b)
        assert backward_error(A, abs(A), x, b)[0] < 1e-13
    assert solver.name == "superlu"


def test_the_last_failure_is_told() -> None:
    A = network(300)
    solver = AutoSolver(Failing(300, MemoryError()), Failing(300, InaccurateFactors("growth")))
    for _ in range(2):
        with pytest.raises(InaccurateFactors, match="growth"):
            solver.factor(A)
    with pytest.raises(SingularMatrix, match="not finite"):
        A.data[3] = np.nan
        AutoSolver(SuperLUSolver(A), Failing(300, MemoryError())).factor(A)


def test_dense_as_the_last_resort() -> None:
    A = kkt(8)
    factors = CheckedDense(SparsePattern.of(A)).factor(A)
    b = np.ones(A.shape[0])
    assert backward_error(A.T, abs(A.T), factors.solve(b, transpose=True), b)[0] < 1e-13


@needs_klu
def test_klu_makes_way_where_its_pivots_fill_the_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(klu_, "OVERFULL", 0.1)
    A = network(400)
    solver = make_solver(A)
    assert solver.name == "klu"
    b = np.ones(400)
    for _ in range(2):
        x = solver.factor(A).solve(b)
        assert backward_error(A, abs(A), x, b)[0] < 1e-13
        assert solver.name == "superlu"


@pytest.mark.parametrize("shift", [1.7, 3.9])
def test_growth_of_elements_is_met(shift: float) -> None:
    """Partial pivoting loses digits on an indefinite matrix of a mesh: elements grow along the grid."""
    A = convection(50, shift)
    b = A @ np.ones(2500)
    factors = make_solver(A).factor(A)
    assert backward_error(A, abs(A), factors.solve(b), b)[0] < 1e-13
    b = A.T @ np.ones(2500)
    assert backward_error(A.T, abs(A.T), factors.solve(b, transpose=True), b)[0] < 1e-13
