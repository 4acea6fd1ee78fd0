"""Incidences to test on: small ones by hypothesis, and large ones of the kinds that models have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import sparse

from adjoint.structure import Incidence


@st.composite
def small_incidences(draw: st.DrawFn) -> Incidence:
    shape = draw(st.integers(0, 8)), draw(st.integers(0, 8))
    if 0 in shape:
        return Incidence.from_coo([], [], shape)
    entry = st.tuples(st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1))
    entries = draw(st.lists(entry, max_size=3 * max(shape)))
    return Incidence.from_coo([i for i, _ in entries], [j for _, j in entries], shape)


st.register_type_strategy(Incidence, small_incidences())


def cyclic(n: int, window: int, feedback: float, seed: int) -> Incidence:
    """Equation ``i`` owns unknown ``i``, needs three of ``window`` before it, and sometimes a later one."""
    rng = np.random.default_rng(seed)
    i = np.repeat(np.arange(n), 3)
    j = i - 1 - rng.integers(0, window, i.size)
    back = np.flatnonzero(rng.random(n) < feedback)
    later = back + rng.integers(1, 50, back.size)
    rows = np.concatenate([np.arange(n), i[j >= 0], back[later < n]])
    cols = np.concatenate([np.arange(n), j[j >= 0], later[later < n]])
    return shuffled(Incidence.from_coo(rows, cols, (n, n)), seed)


def shuffled(a: Incidence, seed: int) -> Incidence:
    rng = np.random.default_rng(seed)
    rows, cols = rng.permutation(a.n_rows)[a.row_of_entry()], rng.permutation(a.n_cols)[a.indices]
    return Incidence.from_coo(rows, cols, a.shape)


def random(n_rows: int, n_cols: int, per_row: int, seed: int) -> Incidence:
    rng = np.random.default_rng(seed)
    size = n_rows * per_row
    return Incidence.from_coo(rng.integers(0, n_rows, size), rng.integers(0, n_cols, size), (n_rows, n_cols))


def tridiagonal(n: int) -> Incidence:
    bands = [np.ones(n - 1), np.ones(n), np.ones(n - 1)]
    return Incidence.from_sparse(sparse.diags_array(bands, offsets=[-1, 0, 1]))


def kkt(n: int, m: int, seed: int) -> Incidence:
    """``[[H, Jᵀ], [J, 0]]`` with tridiagonal ``H`` and ``m`` constraints in four random variables each."""
    rng = np.random.default_rng(seed)
    jacobian = Incidence.from_coo(np.repeat(np.arange(m), 4), rng.integers(0, n, 4 * m), (m, n)).tocsr()
    return Incidence.from_sparse(sparse.block_array([[tridiagonal(n).tocsr(), jacobian.T], [jacobian, None]]))


@pytest.fixture(scope="session")
def large() -> dict[str, Incidence]:
    return {
        "cyclic": cyclic(100_000, window=1_000, feedback=0.01, seed=0),
        "cyclic, much feedback": cyclic(30_000, window=200, feedback=0.4, seed=1),
        "random": random(100_000, 100_000, per_row=4, seed=2),
        "random, wide": random(20_000, 30_000, per_row=3, seed=3),
        "random, tall": random(30_000, 20_000, per_row=3, seed=4),
        "tridiagonal": tridiagonal(100_000),
        "tridiagonal, shuffled": shuffled(tridiagonal(100_000), seed=5),
        "kkt": kkt(60_000, 40_000, seed=6),
    }
