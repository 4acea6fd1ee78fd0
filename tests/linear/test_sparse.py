"""What is particular to SuperLU and to KLU: orderings, blocks, pivots, memory."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from adjoint.linear import InaccurateFactors, SingularMatrix
from adjoint.linear.base import SparsePattern, backward_error, verified
from adjoint.linear.base import pattern as pattern_module
from adjoint.linear.klu_ import POOL, KLUSolver, is_available
from adjoint.linear.superlu import SuperLUSolver, diagonal_blocks
from adjoint.structure import Incidence, block_triangular_form, maximum_matching
from tests.linear.matrices import block_tridiagonal, convection, cyclic, kkt, network, small

needs_klu = pytest.mark.skipif(not is_available(), reason="needs nbklu")


def error(A: Any, factors: Any, transpose: bool = False) -> float:
    """Backward error of a solution in natural units: the largest entry of each column is 1."""
    M = A.T if transpose else A
    b = M @ (np.random.default_rng(0).normal(size=A.shape[0]) / np.ravel(abs(M).max(axis=0).toarray()))
    return float(backward_error(M, abs(M), factors.solve(b, transpose), b)[0])


def form(A: Any) -> Any:
    incidence = Incidence.from_sparse(A)
    return block_triangular_form(incidence, maximum_matching(incidence))


# -- patterns


def test_patterns_are_brought_into_order() -> None:
    A = network(60)
    rng = np.random.default_rng(0)
    order = np.concatenate([A.indptr[j] + rng.permutation(np.diff(A.indptr)[j]) for j in range(60)])
    B = sp.csc_array((A.data[order], A.indices[order], A.indptr), shape=A.shape)
    before = B.indices.copy()
    for solver in (SuperLUSolver(B), SuperLUSolver(B.tocsr())):
        given = B if solver.pattern.gather is not None else B.tocsr().tocsc()
        assert error(A, solver.factor(given)) < 1e-13
        assert (np.diff(solver.pattern.columns * 60 + solver.pattern.indices) > 0).all()
    assert np.array_equal(B.indices, before)
    assert error(A, SuperLUSolver(A).factor(A.tocsr())) < 1e-13


def test_other_patterns_are_refused() -> None:
    A = network(60)
    solver = SuperLUSolver(A)
    with pytest.raises(ValueError, match="another sparsity pattern"):
        solver.factor(network(60, seed=1))
    with pytest.raises(ValueError, match="duplicate"):
        SuperLUSolver(sp.csc_array((np.ones(3), [0, 0, 1], [0, 2, 3]), shape=(2, 2)))
    with pytest.raises(ValueError, match="square"):
        SuperLUSolver(sp.csc_array((2, 3)))


def test_symmetry_of_patterns() -> None:
    assert SparsePattern.of(convection(5)).symmetry == 1.0
    assert SparsePattern.of(kkt(4)).symmetry == 1.0
    assert not SparsePattern.of(kkt(4)).has_full_diagonal
    assert SparsePattern.of(small([[1, 1, 0], [0, 1, 1], [0, 1, 1]])).symmetry == pytest.approx(2 / 3)
    assert SparsePattern.of(sp.eye_array(3, format="csc")).symmetry == 1.0


def test_permuted_patterns() -> None:
    A = network(50)
    rng = np.random.default_rng(1)
    rows, cols = rng.permutation(50), rng.permutation(50)
    pattern, gather = SparsePattern.of(A).permuted(rows, cols)
    assert np.array_equal(pattern.matrix(A.data[gather]).toarray(), A.toarray()[rows][:, cols])


# -- SuperLU


def test_meshes_are_ordered_symmetrically_and_others_by_columns() -> None:
    for A, way in ((convection(20), "symmetric"), (kkt(8), "columns"), (cyclic(300), "columns")):
        solver = SuperLUSolver(A)
        solver.factor(A)
        assert list(solver._orderings) == [way]


def test_dense_rows_are_not_ordered_by_columns() -> None:
    """They fill ``AᵀA``, by which columns are ordered: a network of 50,000 rows with one took 45 s."""
    A = network(1000).tolil()
    A[7] = 1e-3 * np.ones((1, 1000))
    A[:, [5]] = np.ones((1000, 1))
    A[5, 5] = A[7, 7] = 2.0
    A = sp.csc_array(A)
    solver = SuperLUSolver(A)
    factors = solver.factor(A)
    assert list(solver._orderings) == ["symmetric"]
    assert error(A, factors) < 1e-12
    assert error(A, factors, transpose=True) < 1e-12


@pytest.mark.parametrize(("make", "size"), [(convection, 30), (kkt, 16), (network, 800)])
def test_the_ordering_that_is_kept_fills_no_more(
    make: Any, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = []

    def recorded(*args: Any, **options: Any) -> Any:
        lu = splu(*args, **options)
        entries.append(lu.nnz)
        return lu

    monkeypatch.setattr("scipy.sparse.linalg.splu", recorded)
    A = make(size)
    solver = SuperLUSolver(A)
    for _ in range(3):
        solver.factor(A)
    assert max(entries[1:]) <= 1.02 * entries[0]


def test_a_zero_on_the_diagonal_is_met_by_columns() -> None:
    A = convection(12)
    solver = SuperLUSolver(A)
    solver.factor(A)
    A.data[A.indices == SparsePattern.of(A).columns] *= np.arange(144) % 3 > 0
    assert error(A, solver.factor(A)) < 1e-13
    assert set(solver._orderings) == {"symmetric", "columns"}


def test_inaccurate_symmetric_factors_are_given_up() -> None:
    """Pivots of 1e-18 destroy all digits, and refinement does not bring them back."""
    A = convection(12)
    rng = np.random.default_rng(0)
    A.data = rng.uniform(1, 2, A.nnz)
    A.data[A.indices == SparsePattern.of(A).columns] = 1e-18
    solver = SuperLUSolver(A)
    assert solver.symmetric
    assert error(A, solver.factor(A)) < 1e-13
    assert not solver.symmetric


def test_factors_refine_their_solutions_where_they_have_to() -> None:
    A = convection(40, shift=3.9)  # partial pivoting alone loses all digits: elements grow along the grid
    factors = SuperLUSolver(A).factor(A)
    assert error(A, factors) < 1e-13
    assert error(A, factors, transpose=True) < 1e-11


def test_verified_refuses_bad_factors() -> None:
    A = network(50)
    good = SuperLUSolver(A).factor(A)
    pattern = SparsePattern.of(A)
    factors = verified(pattern, A.data, lambda b, t: (1 + 1e-6) * good.solve(b, t))
    assert factors.refinements == 2
    assert error(A, factors) < 1e-13
    with pytest.raises(InaccurateFactors):
        verified(pattern, A.data, lambda b, t: 1.9 * good.solve(b, t))
    with pytest.raises(SingularMatrix):
        verified(pattern, A.data, lambda b, t: np.inf * good.solve(b, t))


def test_blocks_of_a_full_diagonal() -> None:
    A = cyclic(400, shuffled=False)
    blocks = diagonal_blocks(SparsePattern.of(A))
    assert blocks is not None
    rows, cols, ptr = blocks
    assert len(ptr) - 1 == form(A).n_blocks
    block = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
    B = A[rows][:, cols].tocoo()
    assert np.all(block[B.row] <= block[B.col])
    assert diagonal_blocks(SparsePattern.of(network(30))) is None
    assert diagonal_blocks(SparsePattern.of(cyclic(400))) is None


def test_blocks_that_the_caller_finds() -> None:
    A = cyclic(400)
    calls = []

    def counted(M: Any) -> Any:
        calls.append(M.shape)
        return form(M)

    solver = SuperLUSolver(A, counted)
    for scale in (1.0, 2.0, 3.0):
        M = sp.csc_array(A * scale)
        factors = solver.factor(M)
        assert error(M, factors) < 1e-13
        assert error(M, factors, transpose=True) < 1e-13
    assert calls == [(400, 400)]
    kept = solver._orderings["columns"]
    B = A[kept.rows][:, kept.cols].tocoo()
    assert np.mean(B.row <= B.col) > 0.9
    assert error(network(40), SuperLUSolver(network(40), lambda A: 1 / 0).factor(network(40))) < 1e-13


def test_large_blocks_are_ordered(monkeypatch: pytest.MonkeyPatch) -> None:
    A = sp.block_array([[cyclic(100, shuffled=False), None], [sp.csc_array(np.ones((256, 100))), kkt_like()]])
    A = sp.csc_array(A)
    monkeypatch.setattr(pattern_module, "SYMMETRIC", 2.0)
    solver = SuperLUSolver(A)
    assert error(A, solver.factor(A)) < 1e-13
    assert error(A, solver.factor(A), transpose=True) < 1e-13


def kkt_like() -> sp.csc_array:
    return sp.csc_array(block_tridiagonal(64) + sp.eye_array(256) * 0.5)


# -- KLU


@needs_klu
def test_refactorizations_reuse_what_is_free() -> None:
    A = network(300)
    solver = KLUSolver(A)
    pool = solver._pools[False]
    factors = solver.factor(A)
    first = factors.raw_solve.__self__.numeric
    assert pool == []
    kept = solver.factor(A)
    second = kept.raw_solve.__self__.numeric
    assert second is not first
    del factors
    assert pool == [first]
    again = solver.factor(sp.csc_array(A * 2.0))
    assert again.raw_solve.__self__.numeric is first
    assert error(A, kept) < 1e-13
    many = [solver.factor(A) for _ in range(6)]
    del many, again, kept
    assert len(pool) == POOL


@needs_klu
def test_factors_outlive_their_solver() -> None:
    A = network(300)
    solver = KLUSolver(A)
    factors = [solver.factor(A), solver.factor(A)]
    del solver
    gc.collect()
    assert error(A, factors[1]) < 1e-13
    del factors[1]
    assert error(A, factors[0], transpose=True) < 1e-13


@needs_klu
def test_pivots_that_turned_bad_are_chosen_anew() -> None:
    A = network(300)
    solver = KLUSolver(A)
    B = A.copy()
    B.data[SparsePattern.of(A).diagonal[::10]] = 1e-12
    units = 10.0 ** np.random.default_rng(0).uniform(-6, 6, 300)
    C, D = A.copy(), B.copy()
    C.data, D.data = (M.data * units[SparsePattern.of(A).columns] for M in (A, B))
    factors = None
    for M in (A, B, A, B, C, D, C, A, D):
        del factors  # what it had is used again
        factors = solver.factor(M)
        assert error(M, factors) < 1e-12
        assert error(M, factors, transpose=True) < 1e-12


@needs_klu
def test_it_recovers_from_singular_matrices() -> None:
    A = network(300)
    zero = A.copy()
    zero.data[A.indices == 5] = 0.0
    solver = KLUSolver(A)
    for _ in range(3):
        with pytest.raises(SingularMatrix):
            solver.factor(zero)
        assert error(A, solver.factor(A)) < 1e-13


@needs_klu
def test_memory_is_given_back() -> None:
    resource = pytest.importorskip("resource")
    A = network(10000)
    solver = KLUSolver(A)

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def use() -> None:
        for _ in range(6):
            held = [solver.factor(A), solver.factor(A), solver.factor(A), KLUSolver(A).factor(A)]
            del held

    use()
    before = peak()
    use()  # 24 factors of 1.2 MB, and 6 analyses
    assert peak() - before < 8_000


@needs_klu
def test_zeros_on_the_diagonal_of_a_symmetric_pattern() -> None:
    """Without block triangular form: the factors of an optimality system stay sparse."""
    A = kkt(24)
    solver = KLUSolver(A)
    factors = solver.factor(A)
    numeric = factors.raw_solve.__self__.numeric.engine.numeric
    assert numeric.lnz + numeric.unz < 10 * A.nnz
    assert not solver.is_overfull
    assert error(A, factors) < 1e-13
