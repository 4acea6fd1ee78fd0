"""Sums over all paths of a cyclic graph, and the value function of a Markov decision process: linear cyclic programs.

J. Eisner, ACL 2002 (P02-1001); Z. Li and J. Eisner 2009 (expectation semiring); R. Zmigrod, T. Vieira and R. Cotterell
2021. Z = αᵀ W* ω with W* = (I − W)⁻¹ for a spectral radius below 1, and ∂Z/∂W_ij = (αᵀ W*)_i (W* ω)_j.
v = (I − γP)⁻¹ r for the value function: ∂(μᵀv)/∂r = d = (I − γPᵀ)⁻¹ μ, /∂P = γ d vᵀ, /∂γ = dᵀ P v.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

import adjoint as adj


def automaton(W: object, n: int = 2, start: int = 0, end: int = 1) -> adj.Program:
    """β = W β + ω, Z = αᵀ β with α, ω unit vectors."""
    m = adj.Program("automaton")
    weights = m.input("W", W)
    beta = m.unknown("beta", shape=n)
    m.define(beta, weights @ beta + np.eye(n)[end])
    m.define("Z", beta[start])
    return m


SMALL = [[0.2, 0.3], [0.4, 0.1]]


@pytest.mark.parametrize("method", ["auto", "fixed-point"])
def test_small_automaton(method: str) -> None:
    sol = automaton(SMALL).solve(method=method)
    lam = sol.multipliers("Z")
    abs_ = 1e-14 if method == "auto" else 1e-9
    assert sol["Z"] == pytest.approx(0.5, abs=abs_)
    np.testing.assert_allclose(lam["beta"], [1.5, 0.5], atol=abs_)  # forward weights αᵀ W*
    np.testing.assert_allclose(sol["beta"], [0.5, 4.0 / 3.0], atol=abs_)  # backward weights W* ω
    np.testing.assert_allclose(lam["W"], [[0.75, 2.0], [0.25, 2.0 / 3.0]], atol=3.0 * abs_)


def test_hessian_of_all_arcs() -> None:
    """∂²Z/∂W_ij∂W_kl = F_i W*_jk B_l + F_k W*_li B_j."""
    sol = automaton(SMALL).solve()
    star = np.linalg.inv(np.eye(2) - np.array(SMALL))
    F, back = star[0], star[:, 1]
    exact = np.einsum("i,jk,l->ijkl", F, star, back) + np.einsum("k,li,j->ijkl", F, star, back)
    np.testing.assert_allclose(sol.hessian("Z", wrt="W"), exact, rtol=1e-12)


def test_scalar_loop() -> None:
    """a* = 1/(1 − a) = 2 at a = ½, with derivative 4; the expectation semiring (p, r)* = (p*, p* r p*) is a jvp."""
    m = adj.Program("loop")
    a = m.input("a", 0.5)
    s = m.unknown("s")
    m.define(s, a * s + 1.0)
    sol = m.solve()
    assert sol["s"] == pytest.approx(2.0, rel=1e-15, abs=0.0)
    assert sol.gradient("s", wrt="a") == pytest.approx(4.0, rel=1e-14, abs=0.0)
    p, r = sol["s"], 0.3
    assert sol.jvp({"a": r}, of="s")["s"] == pytest.approx(p * r * p, rel=1e-14, abs=0.0)
    assert sol.hessian("s", wrt="a") == pytest.approx(2.0 / 0.5**3, rel=1e-13, abs=0.0)


def test_expectation_semiring_is_forward_mode() -> None:
    """(W, Ẇ)* = (W*, W* Ẇ W*)."""
    direction = np.array([[0.1, -0.2], [0.3, 0.5]])
    sol = automaton(SMALL).solve()
    star = np.linalg.inv(np.eye(2) - np.array(SMALL))
    tangent = sol.jvp({"W": direction}, of=["beta", "Z"])
    np.testing.assert_allclose(tangent["beta"], (star @ direction @ star)[:, 1], rtol=1e-13)
    assert tangent["Z"] == pytest.approx(np.sum(direction * sol.gradient("Z", wrt="W")), rel=1e-13, abs=0.0)


RING = 10_000


def test_ring() -> None:
    """A ring of 10⁴ states with weights 0.9, sparse: residual below 1e-10, and the weights' gradients."""
    m = adj.Program("ring")
    after, unit = (np.arange(RING) + 1) % RING, np.eye(1, RING)[0]
    w = m.input("w", np.full(RING, 0.9))
    beta = m.unknown("beta", shape=RING)
    m.define(beta, w * beta[after] + unit)
    m.define("Z", beta[0])
    sol = m.solve()
    W = sp.csc_array((np.full(RING, 0.9), (np.arange(RING), after)), shape=(RING, RING))
    assert np.abs(sol["beta"] - W @ sol["beta"] - unit).max() < 1e-10
    lam = sol.multipliers("Z")
    assert np.abs(lam["beta"] - W.T @ lam["beta"] - unit).max() < 1e-10
    assert sol["Z"] == pytest.approx(1.0 / (1.0 - 0.9**RING), rel=1e-12, abs=0.0)
    np.testing.assert_allclose(lam["w"], lam["beta"] * np.roll(sol["beta"], -1), rtol=1e-10, atol=1e-300)
    # all paths from 0 to 0 go around: λ_i = 0.9^i, β_i = 0.9^(RING − i)
    np.testing.assert_allclose(lam["beta"][:50], 0.9 ** np.arange(50), rtol=1e-10)


@pytest.mark.parametrize("scale", [1.0, 1.2, 2.0])
def test_divergent_sums_are_refused(scale: float) -> None:
    """Where the spectral radius is 1 or more the sum diverges; the fixed point iteration, which is the sum, raises.

    The linear system may still have a solution (0.5 − … at a radius above 1), finite and wrong as a sum of paths.
    """
    radius = np.abs(np.linalg.eigvals(np.array(SMALL))).max()
    W = scale / radius * np.array(SMALL)
    m = automaton(W)
    with pytest.raises(adj.ConvergenceError) as error:
        m.solve(method="fixed-point", max_iterations=2000)
    assert error.value.block in str(error.value)
    assert error.value.status in (adj.Status.DIVERGED, adj.Status.ITERATION_LIMIT, adj.Status.STALLED)
    if scale > 1.0:
        assert np.isfinite(m.solve()["Z"])  # the linear solve does not know what the system stands for
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", adj.SingularWarning)
            with pytest.raises((adj.ConvergenceError, adj.SingularError)):
                m.solve().gradient("Z")


def test_divergent_ring_is_refused() -> None:
    m = adj.Program("ring")
    w = m.input("w", np.full(50, 1.01))
    beta = m.unknown("beta", shape=50)
    m.define(beta, w * beta[(np.arange(50) + 1) % 50] + np.eye(1, 50)[0])
    with pytest.raises(adj.ConvergenceError):
        m.solve(method="fixed-point", max_iterations=10_000)


def value_function() -> adj.Program:
    m = adj.Program("value")
    P, r, gamma = m.input("P", [[0.5, 0.5], [0.2, 0.8]]), m.input("r", [1.0, 0.0]), m.input("gamma", 0.9)
    v = m.unknown("v", shape=2)
    m.define(v, r + gamma * (P @ v))
    m.define("objective", v[0])  # μ = e₁
    return m


@pytest.mark.parametrize("method", ["auto", "fixed-point"])
def test_value_function(method: str) -> None:
    """With value iteration (the fixed point) the digits of its stopping rule; else those printed."""
    sol = value_function().solve(method=method)
    gradient = sol.gradient("objective")
    atol = 5e-13 if method == "auto" else 1e-8
    np.testing.assert_allclose(sol["v"], [3.835616438356, 2.465753424658], atol=atol)
    np.testing.assert_allclose(gradient["r"], [3.835616438356, 6.164383561644], atol=atol)
    exact = [[13.240758115969, 8.511915931695], [21.279789829236, 13.679864890223]]
    np.testing.assert_allclose(gradient["P"], exact, atol=5.0 * atol)
    assert gradient["gamma"] == pytest.approx(28.973541002064, abs=5.0 * atol)


def test_value_function_formulas() -> None:
    sol = value_function().solve()
    lam = sol.multipliers("objective")
    v, d, P = sol["v"], lam["v"], np.array([[0.5, 0.5], [0.2, 0.8]])
    np.testing.assert_allclose(d, np.linalg.solve(np.eye(2) - 0.9 * P.T, [1.0, 0.0]), rtol=1e-13)
    np.testing.assert_allclose(lam["r"], d, rtol=1e-14)
    np.testing.assert_allclose(lam["P"], 0.9 * np.outer(d, v), rtol=1e-13)
    assert lam["gamma"] == pytest.approx(d @ P @ v, rel=1e-13, abs=0.0)
