"""Roots found near the last one, with its factors: the same solutions and derivatives as from nothing."""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.inner import fixed_point, inner_reports, root

N = 60
RNG = np.random.default_rng(0)
W = 0.8 * RNG.standard_normal((N, N)) / np.sqrt(N)


def network() -> adj.Program:
    m = adj.Program("network")
    b = m.input("b", np.zeros(N))
    y = m.define("y", fixed_point(lambda y: np.tanh(W @ y + b), np.zeros(N), name="network"))
    m.define("f", np.sum(y**2))
    return m


def walk(step: float, count: int = 12) -> list[np.ndarray]:
    return list(0.5 + step * np.cumsum(np.random.default_rng(1).standard_normal((count, N)), axis=0))


@pytest.mark.parametrize("step", [0.0, 1e-9, 0.01, 0.1, 2.0])
def test_a_walk_gives_what_each_point_gives_from_nothing(step: float) -> None:
    m, methods = network(), set()
    for b in walk(step):
        sol, fresh = m.solve(b=b), network().solve(b=b)
        assert np.allclose(sol["y"], fresh["y"], rtol=0, atol=1e-9)
        assert np.allclose(sol.gradient("f", wrt="b"), fresh.gradient("f", wrt="b"), rtol=1e-8, atol=1e-9)
        methods.add(inner_reports(m)[0].method)
    if 0 < step < 1:
        assert "chord" in methods


def test_values_alone_and_many_derivatives() -> None:
    m = network()
    for b in walk(0.05):
        m.solve(b=b)
    sol, fresh = m.solve(b=b + 0.01), network().solve(b=b + 0.01)
    assert inner_reports(m)[0].method == "chord"
    assert np.allclose(sol.jacobian("y", wrt="b"), fresh.jacobian("y", wrt="b"), rtol=1e-8, atol=1e-9)
    d = {"b": np.cos(np.arange(N))}
    assert np.allclose(sol.hvp("f", d)["b"], fresh.hvp("f", d)["b"], rtol=1e-7, atol=1e-8)
    assert inner_reports(m)[0].condition == pytest.approx(
        inner_reports(network_solved(b + 0.01))[0].condition, rel=1e-6
    )
    assert sol.check_derivatives("f")


def network_solved(b: np.ndarray) -> adj.Program:
    m = network()
    m.solve(b=b)
    return m


def test_other_shapes_and_methods() -> None:
    m = adj.Program()
    A, s = RNG.standard_normal((7, 7)) / 9, m.input("s", 1.0)
    m.define("Y", fixed_point(lambda Y: np.cos(A @ Y) + s * A, np.zeros((7, 7)), name="matrix"))
    for s_ in (1.0, 1.01, 1.02, 1.03):
        Y = m.solve(s=s_)["Y"]
        assert np.allclose(Y, np.cos(A @ Y) + s_ * A, atol=1e-10)
    assert inner_reports(m)[0].method == "chord"
    m = adj.Program()
    s = m.input("s", 1.0)
    m.define("y", fixed_point(lambda y: np.cos(s * y) / 2, np.zeros(N), method="anderson"))
    m.solve(s=1.0), m.solve(s=1.01)
    assert inner_reports(m)[0].method == "anderson"


def test_a_matrix_that_becomes_singular_is_found() -> None:
    """The last equation loses its unknown while the others hardly change: steps with old factors do not see that."""
    m = adj.Program()
    s = m.input("s", 1.0)
    scale = np.ones(N)

    def equations(y: adj.Expr) -> adj.Expr:
        whole = y - np.tanh(W @ y) / 2 - s
        return np.concatenate([whole[:-1], (s - 1.5) * (y[-1:] - 1)])

    y = m.define("y", root(equations, scale, name="losing"))
    m.define("f", np.sum(y**2))
    for s_ in (1.40, 1.45, 1.48):
        assert m.solve(s=s_).check_derivatives("f")
    sol = m.solve(s=1.5)
    with pytest.raises(adj.SingularError, match="losing"):
        sol.gradient("f")


@pytest.mark.filterwarnings("error")
def test_values_at_the_edge_of_what_is_finite() -> None:
    """A sum that overflows is no sign of values that are not finite, and nothing to warn of."""
    m = adj.Program()
    p = m.input("p", np.full(N, 1e308))
    m.define("y", root(lambda y: y - 1e-300 * p, np.ones(N), name="scaled"))
    assert np.allclose(m.solve()["y"], 1e8)
    assert np.allclose(m.solve(p=np.full(N, 1.01e308))["y"], 1.01e8)
    assert np.allclose(root(lambda y, q: y - 1e-300 * q, np.ones(N), np.full(N, 1e308)), 1e8)
