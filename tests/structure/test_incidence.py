from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from adjoint.structure import Incidence
from adjoint.structure.incidence import entries_of_rows


def dense(a: Incidence) -> np.ndarray:
    return a.tocsr().toarray()


def test_from_coo_sorts_and_removes_duplicates():
    a = Incidence.from_coo([1, 0, 1, 1, 1], [2, 1, 0, 2, 2], shape=(3, 4))
    assert a.indptr.tolist() == [0, 1, 3, 3]
    assert a.indices.tolist() == [1, 0, 2]
    assert (a.shape, a.n_rows, a.n_cols, a.nnz) == ((3, 4), 3, 4, 3)
    assert a.row_of_entry().tolist() == [0, 1, 1]


def test_three_hundred_duplicates_are_one_entry():
    a = Incidence.from_coo([0] * 300, [0] * 300, shape=(1, 1))
    assert a.indices.tolist() == [0]


@pytest.mark.parametrize("kind", [sparse.coo_array, sparse.csc_array, sparse.csr_array, sparse.csr_matrix])
def test_from_sparse_takes_any_format_and_counts_stored_zeros(kind):
    matrix = sparse.coo_array(([0.0, 3.0], ([0, 1], [1, 0])), shape=(2, 2))
    a = Incidence.from_sparse(kind(matrix))
    assert a.indptr.tolist() == [0, 1, 2]
    assert a.indices.tolist() == [1, 0]


def test_from_sparse_leaves_its_argument_alone():
    matrix = sparse.csr_array((np.ones(3), [2, 0, 2], [0, 3]), shape=(1, 3))
    assert Incidence.from_sparse(matrix).indices.tolist() == [0, 2]
    assert matrix.indices.tolist() == [2, 0, 2]


def test_out_of_range_is_an_error():
    with pytest.raises(ValueError, match="exceeds"):
        Incidence.from_coo([0], [2], shape=(1, 2))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_empty(shape):
    a = Incidence.from_coo([], [], shape)
    assert a.shape == shape
    assert a.transpose().shape == shape[::-1]
    assert a.select(range(shape[0]), range(shape[1])).shape == shape


@given(st.from_type(Incidence))
@settings(deadline=None)
def test_transpose(a):
    np.testing.assert_array_equal(dense(a.transpose()), dense(a).T)
    np.testing.assert_array_equal(dense(a.transpose().transpose()), dense(a))


@given(st.from_type(Incidence), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_select_is_the_submatrix(a, random):
    rows = random.sample(range(a.n_rows), random.randint(0, a.n_rows))
    cols = random.sample(range(a.n_cols), random.randint(0, a.n_cols))
    part = a.select(rows, cols)
    np.testing.assert_array_equal(dense(part), dense(a)[np.ix_(rows, cols)])
    assert all(np.all(np.diff(cols) > 0) for cols in np.split(part.indices, part.indptr[1:-1]))


def test_entries_of_rows():
    indptr = np.array([0, 2, 2, 5])
    assert entries_of_rows(indptr, np.array([2, 1, 0])).tolist() == [2, 3, 4, 0, 1]
    assert entries_of_rows(indptr, np.array([], dtype=int)).tolist() == []
    assert entries_of_rows(indptr, np.array([1])).tolist() == []
