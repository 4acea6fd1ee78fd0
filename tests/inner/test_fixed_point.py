"""Fixed points as expressions."""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.inner import fixed_point, inner_reports


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.parametrize("method", ["auto", "fixed-point", "aitken", "anderson", "newton-krylov"])
def test_square_root_by_heron(method: str, backend: str) -> None:
    m = adj.Program(backend=backend)
    m.define("y", fixed_point(lambda y, x: 0.5 * (y + x / y), 1.0, m.input("x", 2.0), method=method))
    sol = m.solve()
    assert sol["y"] == pytest.approx(np.sqrt(2.0), rel=1e-10)
    assert sol.gradient("y", wrt="x") == pytest.approx(0.5 / np.sqrt(2.0), rel=1e-9)
    assert sol.hessian("y", wrt="x") == pytest.approx(-0.25 * 2.0**-1.5, rel=1e-8)


def test_kepler() -> None:
    m = adj.Program()
    e, M = m.input("e", 0.5), m.input("M", 1.0)
    m.define("E", fixed_point(lambda E: M + e * np.sin(E), 1.0, method="fixed-point"))
    sol = m.solve()
    E = sol["E"]
    assert sol.gradient("E", wrt="e") == pytest.approx(np.sin(E) / (1 - 0.5 * np.cos(E)), rel=1e-11)
    assert sol.gradient("E", wrt="M") == pytest.approx(1 / (1 - 0.5 * np.cos(E)), rel=1e-11)
    assert inner_reports(m)[0].kind == "fixed_point"


def test_dominant_eigenvector() -> None:
    # Power iteration; the gradient of the eigenvalue is u vᵀ / uᵀ v (14 digits of it are published).
    m = adj.Program()
    A = m.input("A", [[1.0, 2.0], [3.0, 4.0]])

    def power(v):
        w = A @ v
        return w / np.sqrt(np.sum(w**2))

    v = fixed_point(power, [0.4, 0.9])
    v = np.stack(v)
    m.define("eigenvalue", v @ (A @ v))
    sol = m.solve()
    expected = [[0.238883516066, 0.522232967867], [0.348155311911, 0.761116483934]]
    np.testing.assert_allclose(sol.gradient("eigenvalue", wrt="A"), expected, atol=1e-11)


def test_map_that_is_no_contraction() -> None:
    m = adj.Program()
    m.define("y", fixed_point(lambda y, x: y + 3.0 * (x - y**2), 0.9, m.input("x", 1.0)))
    assert m.solve()["y"] == pytest.approx(1.0)
    assert m.solve().gradient("y", wrt="x") == pytest.approx(0.5)
    m.define("z", fixed_point(lambda y, x: y + 3.0 * (x - y**2), 0.9, m["x"], method="fixed-point", name="wild"))
    with pytest.raises(adj.ConvergenceError, match="'wild'"):
        m.solve()


def test_singular_identity_minus_jacobian() -> None:
    m = adj.Program()
    m.define("y", fixed_point(lambda y, x: y + 0.0 * y + (y - x) ** 2, 1.0, m.input("x", 1.0), name="flat"))
    with pytest.raises(adj.AdjointError, match="'flat'"):
        m.solve().gradient("y")


def test_the_form_of_the_image() -> None:
    """Dicts are matched by key, whatever their order; other keys are refused."""
    found = fixed_point(lambda y: {"b": np.cos(y["b"]), "a": y["a"] / 2 + 1}, {"a": 1.0, "b": np.ones(2)})
    assert found["a"] == pytest.approx(2.0) and found["b"] == pytest.approx(np.full(2, 0.7390851332))
    with pytest.raises(adj.ModelError, match=r"keys \['a', 'c'\]"):
        fixed_point(lambda y: {"a": y["a"] / 2, "c": y["b"]}, {"a": 1.0, "b": 2.0})
