"""The table of matrices that every linear solver is tried on: CSC, sorted, without duplicates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

Maker = Callable[[], sp.csc_array]


def _csc(A: sp.sparray) -> sp.csc_array:
    A = sp.csc_array(A)
    A.sum_duplicates()
    return A


def convection(m: int, shift: float = 0.0) -> sp.csc_array:
    """Convection and diffusion on an m x m grid; a shift makes it indefinite."""
    T = sp.diags_array([-1.3, 2.0, -0.7], offsets=[-1, 0, 1], shape=(m, m))
    S = sp.diags_array([-1.1, 2.0, -0.9], offsets=[-1, 0, 1], shape=(m, m))
    eye = sp.eye_array(m)
    return _csc(sp.kron(eye, T) + sp.kron(S, eye) - shift * sp.eye_array(m * m))


def network(n: int, seed: int = 0) -> sp.csc_array:
    """A tree with about two more edges per node, all of them local; the pattern is symmetric."""
    rng = np.random.default_rng(seed)
    i = np.arange(1, n)
    parent = np.maximum(0, i - 1 - rng.integers(0, 20, n - 1))
    a = rng.integers(0, n, n)
    b = np.clip(a + rng.integers(-30, 30, n), 0, n - 1)
    off = a != b
    rows = np.concatenate([i, parent, a[off], b[off]])
    cols = np.concatenate([parent, i, b[off], a[off]])
    A = sp.csc_array((rng.uniform(-1, 1, rows.size), (rows, cols)), shape=(n, n))
    return _csc(A + sp.diags_array(np.asarray(0.9 * abs(A).sum(axis=1) + 0.1)))


def cyclic(n: int, seed: int = 0, shuffled: bool = True) -> sp.csc_array:
    """``y - W y`` of an expression graph with a few edges backwards: many small blocks; shuffled."""
    rng = np.random.default_rng(seed)
    i = np.repeat(np.arange(n), 3)
    j = i - 1 - rng.integers(0, 100, i.size)
    bi = rng.integers(0, n, n // 5)
    bj = np.minimum(bi + 1 + rng.integers(0, 60, bi.size), n - 1)
    rows, cols = np.concatenate([i, bi]), np.concatenate([j, bj])
    keep = (cols >= 0) & (rows != cols)
    rows, cols = rows[keep], cols[keep]
    A = _csc(sp.eye_array(n) - sp.csc_array((rng.uniform(-0.4, 0.4, rows.size), (rows, cols)), shape=(n, n)))
    if shuffled:
        A = _csc(A[rng.permutation(n)][:, rng.permutation(n)])
    return A


def block_tridiagonal(blocks: int, k: int = 4, seed: int = 0) -> sp.csc_array:
    """Dense k x k blocks, as of a system of differential equations in one dimension."""
    rng = np.random.default_rng(seed)
    B = sp.diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(blocks, blocks))
    A = _csc(sp.kron(B, np.ones((k, k))))
    A.data = rng.uniform(-1, 1, A.nnz)
    return _csc(A + 4.0 * sp.eye_array(blocks * k))


def kkt(m: int) -> sp.csc_array:
    """Optimality system of a control problem on an m x m grid: symmetric, with zeros on the diagonal."""
    L = convection(m)
    eye = sp.eye_array(m * m)
    return _csc(sp.block_array([[eye, None, L.T], [None, 1e-2 * eye, -eye], [L, -eye, None]]))


def badly_scaled(n: int, seed: int = 0) -> sp.csc_array:
    """Nonsymmetric and without order, rows and columns in units that differ by 1e12."""
    rng = np.random.default_rng(seed)
    A = sp.random_array((n, n), density=4 / n, rng=rng, format="csc") + sp.eye_array(n)
    rows, cols = 10.0 ** rng.uniform(-6, 6, n), 10.0 ** rng.uniform(-6, 6, n)
    return _csc(sp.diags_array(rows) @ A @ sp.diags_array(cols))


def small(entries: list[list[float]]) -> sp.csc_array:
    return _csc(sp.csc_array(np.array(entries, dtype=float)))


MATRICES: dict[str, Maker] = {
    "1x1": lambda: small([[-4.0]]),
    "2x2": lambda: small([[4.0, 1.0], [2.0, 3.0]]),
    "2x2 without diagonal": lambda: small([[0.0, 2.0], [5.0, 0.0]]),
    "convection": lambda: convection(14),
    "indefinite": lambda: convection(13, shift=1.7),
    "network": lambda: network(200),
    "cyclic": lambda: cyclic(200),
    "cyclic in order": lambda: cyclic(200, shuffled=False),
    "block tridiagonal": lambda: block_tridiagonal(50),
    "kkt": lambda: kkt(8),
    "badly scaled": lambda: badly_scaled(150),
}
