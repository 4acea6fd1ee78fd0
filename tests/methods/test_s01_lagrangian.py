"""A program as equality constraints: L = z_n − Σ λ_i (z_i − f_i), and the two systems it holds.

T. Vieira, "Backprop is not just the chain rule", 2017, and the tests of its gist (``test_dlagrangian``). ∂L/∂λ = 0 is
the forward solve, ∂L/∂z = 0 the linear system of the multipliers, ∂L/∂x the gradient; the last is true only where both
hold.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import adjoint as adj

EPS = np.finfo(float).eps


def domke() -> adj.Program:
    m = adj.Program("domke")
    x, y = m.input("x", 0.3), m.input("y", -0.2)
    a = m.define("a", np.exp(x))
    b = m.define("b", a**2)
    c = m.define("c", a + b + y)
    m.define("f", np.tanh(c) + np.sin(c))
    return m


def repeated() -> adj.Program:
    """Repeated arguments, a quotient, a power of two variables."""
    m = adj.Program("repeated")
    x, y = m.input("x", 1.3), m.input("y", 0.7)
    p = m.define("p", x * x * y)
    q = m.define("q", (p + y) / (p * p + 1.0))
    m.define("f", q**y + q * p)
    return m


def sellar() -> adj.Program:
    m = adj.Program("sellar")
    z1, z2, x = m.input("z1", 5.0), m.input("z2", 2.0), m.input("x", 1.0)
    y1, y2 = m.unknown("y1", 20.0), m.unknown("y2", 10.0)
    m.define(y1, z1**2 + z2 + x - 0.2 * y2)
    m.define(y2, np.sqrt(y1) + z1 + z2)
    m.define("f", x**2 + z2 + y1 + np.exp(-y2))
    return m


def implicit() -> adj.Program:
    """Implicit equations g(z) = 0 between explicit ones."""
    m = adj.Program("implicit")
    x, y = m.input("x", 0.4), m.input("y", 0.9)
    s = m.define("s", x * y)
    u, v = m.unknown("u", 0.8), m.unknown("v", 0.5)
    m.constrain(u**3 + v * s == 1.0, name="cubic")
    m.constrain(np.exp(v) - u * y - x, name="exponential")
    m.define("f", u * v + s)
    return m


def arrays() -> adj.Program:
    """Array variables, a matrix product and a reduction, inside a cycle."""
    m = adj.Program("arrays")
    A = m.input("A", [[0.2, -0.1, 0.05], [0.1, 0.3, -0.2], [0.0, 0.15, 0.1]])
    b = m.input("b", [1.0, -0.5, 0.3])
    u = m.unknown("u", [0.5, 0.5, 0.5])
    m.define(u, np.tanh(A @ u + b))
    m.define("f", np.sum(u**2) + u[0] * b[1])
    return m


PROGRAMS = [domke, repeated, sellar, implicit, arrays]


def sizes(m: adj.Program) -> tuple[int, int, int]:
    """Numbers of scalar inputs, unknowns and equations."""
    return (
        sum(v.size for v in m.inputs),
        sum(v.size for v in m.unknowns),
        sum(e.size for e in m.equations.values()),
    )


def central(f: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """Central differences with step ε^(1/3)."""
    steps = np.eye(at.size) * EPS ** (1 / 3)
    return np.array([(f(at + h) - f(at - h)) / (2.0 * EPS ** (1 / 3)) for h in steps])


@pytest.mark.parametrize("make", PROGRAMS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_gradients_at_arbitrary_points(make: Callable[[], adj.Program], seed: int) -> None:
    """At any (x, z, λ), feasible or not: ∂L/∂z, ∂L/∂λ, ∂L/∂x agree with central differences to 1e-6."""
    m = make()
    L = m.lagrangian("f")
    rng = np.random.default_rng(seed)
    n_x, n_z, n_lam = sizes(m)
    x, z = rng.uniform(0.5, 1.5, n_x), rng.uniform(0.5, 1.5, n_z)
    lam = rng.standard_normal(n_lam)
    for exact, differences in (
        (L.grad_z(z, lam, x), central(lambda v: L.value(v, lam, x), z)),
        (L.grad_lam(z, lam, x), central(lambda v: L.value(z, v, x), lam)),
        (L.grad_x(z, lam, x), central(lambda v: L.value(z, lam, v), x)),
    ):
        np.testing.assert_allclose(exact, differences, rtol=1e-6, atol=1e-6 * np.abs(exact).max())


@pytest.mark.parametrize("make", PROGRAMS, ids=lambda make: make.__name__)
def test_both_systems_hold_after_the_solves(make: Callable[[], adj.Program]) -> None:
    """∂L/∂z = ∂L/∂λ = 0 to 1e-12, and then ∂L/∂x is the gradient, which is λ of the inputs."""
    m = make()
    sol = m.solve()
    lam = sol.multipliers("f")
    L = m.lagrangian("f")
    scale = max(1.0, *(np.abs(v).max() for v in sol.values()), *(np.abs(v).max() for v in lam.values()))
    for parts in (L.grad_z(sol, lam), L.grad_lam(sol, lam)):
        for name, part in parts.items():
            assert np.abs(part).max() <= 1e-12 * scale, name
    assert L.value(sol, lam) == pytest.approx(sol["f"], rel=1e-12, abs=0.0)
    for name, part in L.grad_x(sol, lam).items():
        np.testing.assert_allclose(part, sol.gradient("f", wrt=name), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(part, lam[name], rtol=1e-12, atol=1e-14)


def test_grad_x_is_no_gradient_where_one_system_fails() -> None:
    """λ taken at another point satisfies neither system: ∂L/∂x is then not the gradient."""
    m = domke()
    here, there = m.solve(), m.solve(x=0.6, y=-0.2)
    L = m.lagrangian("f")
    mixed = L.grad_x(here, there.multipliers("f"))["x"]
    assert abs(mixed - here.gradient("f", wrt="x")) > 0.1
    assert max(abs(v) for v in L.grad_z(here, there.multipliers("f")).values()) > 0.1


def shifted() -> adj.Program:
    """Explicit, cyclic, implicit and array equations, each with an input added to its right-hand side."""
    m = adj.Program("shifted")
    x = m.input("x", 0.4)
    r = {name: m.input(f"shift_{name}", 0.0) for name in ("s", "p", "q", "cubic", "f")}
    r["w"] = m.input("shift_w", np.zeros(2))
    s = m.define("s", np.exp(x) + r["s"])
    p, q, u = m.unknown("p", 1.0), m.unknown("q", 1.0), m.unknown("u", 0.8)
    m.define(p, 0.5 * np.cos(q) + s + r["p"])
    m.define(q, 0.3 * p**2 - x + r["q"])
    m.constrain(u**3 + u * s == 1.0 + p + r["cubic"], name="cubic")
    w = m.define("w", u * np.array([1.0, 2.0]) + np.sin(q) + r["w"])
    m.define("f", w[0] * w[1] + p * u + r["f"])
    return m


@pytest.mark.parametrize("name", ["s", "p", "q", "cubic", "w", "f"])
def test_multipliers_are_sensitivities_to_the_right_hand_sides(name: str) -> None:
    """The sign: λ_i is the change of the objective per unit added to the right-hand side of equation i."""
    m = shifted()
    lam = m.solve().multipliers("f")
    np.testing.assert_allclose(lam[name], lam[f"shift_{name}"], rtol=1e-13)
    fun = m.function("f", wrt=[f"shift_{name}"])
    np.testing.assert_allclose(np.ravel(lam[name]), central(fun, fun.x0), rtol=1e-8)


def test_kkt_matrix_is_the_hessian_of_the_lagrangian() -> None:
    m = implicit()
    L = m.lagrangian("f")
    rng = np.random.default_rng(5)
    _, n_z, n_lam = sizes(m)
    z, lam = rng.uniform(0.5, 1.5, n_z), rng.standard_normal(n_lam)
    K = L.kkt(z, lam).toarray()
    h = 1e-6
    for j in range(n_z + n_lam):
        step = np.eye(n_z + n_lam)[j] * h
        ends = []
        for s in (step, -step):
            point = z + s[:n_z], lam + s[n_z:]
            ends.append(np.concatenate([L.grad_z(*point), L.grad_lam(*point)]))
        np.testing.assert_allclose(K[:, j], (ends[0] - ends[1]) / (2.0 * h), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(K[n_z:, n_z:], 0.0)
    np.testing.assert_allclose(K, K.T, atol=1e-15)
