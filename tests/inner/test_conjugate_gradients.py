"""Conjugate gradients, and what they say of the matrix."""

from __future__ import annotations

import numpy as np
import pytest

from adjoint.inner.conjugate_gradients import conjugate_gradients


@pytest.mark.parametrize("n", [1, 2, 30])
def test_solution_and_extreme_eigenvalues(n: int) -> None:
    rng = np.random.default_rng(n)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    values = np.linspace(1.0, 50.0, n)
    A = Q * values @ Q.T
    b = rng.standard_normal(n)
    found = conjugate_gradients(lambda v: A @ v, b, 1e-12)
    np.testing.assert_allclose(A @ found.x, b, atol=1e-9)
    assert found.smallest == pytest.approx(values[0], rel=1e-6)
    assert found.largest == pytest.approx(values[-1], rel=1e-6)
    assert found.curvature is None


def test_negative_curvature() -> None:
    A = np.diag([3.0, 2.0, -1.0])
    found = conjugate_gradients(lambda v: A @ v, np.array([1.0, 1.0, 0.5]))
    assert found.curvature is not None
    assert found.curvature @ A @ found.curvature <= 0.0


def test_limits() -> None:
    A = np.diag(np.geomspace(1.0, 1e4, 50))
    assert conjugate_gradients(lambda v: A @ v, np.ones(50), 1e-12, maxiter=3).iterations == 3
    zero = conjugate_gradients(lambda v: A @ v, np.zeros(50))
    assert zero.iterations == 0 and not zero.x.any()
