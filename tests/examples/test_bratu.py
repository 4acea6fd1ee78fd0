"""Bratu's problem against an independent discretization, complex steps and finite differences."""

from __future__ import annotations

import bratu
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import adjoint as adj


def laplacian(n: int) -> sp.csc_array:
    second = sp.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    eye = sp.eye_array(n)
    return sp.csc_array((sp.kron(second, eye) + sp.kron(eye, second)) * (n + 1) ** 2)


def test_constant_coefficient() -> None:
    n, strength = 40, 5.0
    sol = bratu.model(n, strength).solve()
    A, u = laplacian(n), np.zeros(n * n)
    for _ in range(10):
        J = sp.csc_array(A - sp.diags_array(strength * np.exp(u)))
        u -= spla.spsolve(J, A @ u - strength * np.exp(u))
    np.testing.assert_allclose(sol["u"].ravel(), u, atol=1e-12)
    assert sol["J"] == pytest.approx(u.mean() * n**2 / (n + 1) ** 2, rel=1e-12)
    lam = spla.spsolve(J, np.full(n * n, 1 / (n + 1) ** 2))
    assert sol.gradient("J", wrt="lambda") == pytest.approx(lam @ np.exp(u), rel=1e-10)


def test_no_solution_beyond_the_turning_point() -> None:
    m = bratu.model(20)
    assert m.solve({"lambda": 6.7}).success
    with pytest.raises(adj.ConvergenceError, match="heat"):
        m.solve({"lambda": 7.2})  # the continuous problem turns at 6.808


def conductivity(n: int) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n), indexing="ij")
    return 1.0 + 0.5 * np.sin(3 * x) * np.cos(5 * y)


def test_gradient_in_the_field_by_complex_step() -> None:
    n = 40
    sol = bratu.model(n, 4.0, conductivity(n)).solve()
    check = sol.check_derivatives("J", wrt="k")
    assert check, str(check)
    assert check.method == "complex step"


def test_gradient_in_the_field_by_differences() -> None:
    n, k = 40, conductivity(40)
    m = bratu.model(n, 4.0, k)
    sol = m.solve()
    slope = sol.gradient("J", wrt="k")
    for cell in ((0, 0), (20, 20), (39, 7), (3, 30)):
        h = np.zeros((n, n))
        h[cell] = 1e-3
        difference = (m.solve(k=k + h, start=sol)["J"] - m.solve(k=k - h, start=sol)["J"]) / 2e-3
        assert slope[cell] == pytest.approx(difference, rel=1e-4)
    # more conductivity everywhere, and as much more source, change nothing: k·dJ/dk + λ dJ/dλ = 0
    assert np.sum(k * slope) == pytest.approx(-4.0 * sol.gradient("J", wrt="lambda"), rel=1e-10)
