"""Kepler's equation against 12-digit values, and many anomalies against one at a time."""

from __future__ import annotations

import kepler
import numpy as np
import pytest


def test_one_anomaly() -> None:
    sol = kepler.model().solve()
    assert np.degrees(sol["E"]) == pytest.approx(115.91942563011821, abs=1e-10)
    assert sol.gradient("E", wrt="M") == pytest.approx(0.79222726798332, abs=1e-12)
    assert sol.gradient("E", wrt="e") == pytest.approx(0.71253683670741, abs=1e-12)
    assert sol.hessian("E", wrt="M") == pytest.approx(-0.26832315063, abs=1e-10)


def test_many_anomalies() -> None:
    anomalies = np.linspace(-np.pi, np.pi, 1001)
    sol = kepler.model(anomalies, eccentricity=0.99).solve()
    E = sol["E"]
    assert np.abs(E - 0.99 * np.sin(E) - anomalies).max() < 1e-12
    assert np.all(np.diff(E) > 0)  # the solution is unique and increasing
    slope = sol.jvp({"e": 1.0}, of="E")["E"]
    np.testing.assert_allclose(slope, np.sin(E) / (1 - 0.99 * np.cos(E)), rtol=1e-10, atol=1e-12)
    dE_dM = sol.jacobian("E", wrt="M", sparse=True)
    assert dE_dM.nnz == 1001  # each anomaly is for itself
    np.testing.assert_allclose(dE_dM.diagonal(), 1 / (1 - 0.99 * np.cos(E)), rtol=1e-10)
