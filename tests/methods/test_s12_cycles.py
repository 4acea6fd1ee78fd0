"""Cyclic programs: the forward solve is nonlinear, the multipliers one linear solve per strongly connected block.

T. Vieira 2017; B. Christianson 1998 ("Reverse accumulation and implicit functions": A y = b gives b̄ = A⁻ᵀ ȳ,
Ā = −b̄ yᵀ); Y. LeCun 1988, L. Almeida and F. Pineda for recurrent networks. (∂g/∂z)ᵀ λ = ∂f/∂z, and with g = z − f(z)
this is the system of the acyclic case again.
"""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj


def two_tanh() -> adj.Program:
    m = adj.Program("pair")
    x = m.input("x", 0.7)
    z1, z2 = m.unknown("z1"), m.unknown("z2")
    m.define(z1, np.tanh(0.5 * z2 + x))
    m.define(z2, 0.8 * np.sin(z1) + 0.1 * x)
    m.define("f", z1 * z2)
    return m


@pytest.mark.parametrize("method", ["auto", "newton", "fixed-point", "anderson", "broyden"])
def test_cycle_of_two(method: str) -> None:
    sol = two_tanh().solve(method=method)
    lam = sol.multipliers("f")
    rel = 1e-9 if method in ("fixed-point", "anderson", "broyden") else 1e-12  # their own stopping rule
    assert sol["z1"] == pytest.approx(0.7668090380739211, rel=rel, abs=0.0)
    assert sol["z2"] == pytest.approx(0.6250726982380679, rel=rel, abs=0.0)
    assert sol["f"] == pytest.approx(0.4793113944622032, rel=rel, abs=0.0)
    assert lam["z1"] == pytest.approx(1.210492617729, abs=1e-9 if rel == 1e-9 else 1e-12)
    assert lam["z2"] == pytest.approx(1.016172877259, abs=1e-9 if rel == 1e-9 else 1e-12)
    assert lam["x"] == pytest.approx(0.60034496609616, abs=1e-9 if rel == 1e-9 else 1e-14)


def test_cycle_of_two_to_the_last_digit() -> None:
    sol = two_tanh().solve()
    expected = {"z1": 0.7668090380739211, "z2": 0.6250726982380679, "f": 0.4793113944622032}
    for name, value in expected.items():
        assert sol[name] == pytest.approx(value, abs=3e-16)
    assert sol.gradient("f", wrt="x") == pytest.approx(0.60034496609616, abs=5e-15)


def test_implicit_form_has_the_same_multipliers() -> None:
    """g(z) = z − f(z) = 0 is the same system, with the same λ; with the sign of g turned, λ turns."""
    explicit = two_tanh().solve().multipliers("f")
    m = adj.Program("pair")
    x = m.input("x", 0.7)
    z1, z2 = m.unknown("z1"), m.unknown("z2")
    m.constrain(z1 - np.tanh(0.5 * z2 + x), name="first")
    m.constrain(0.8 * np.sin(z1) + 0.1 * x - z2, name="second")
    m.define("f", z1 * z2)
    lam = m.solve().multipliers("f")
    assert lam["first"] == pytest.approx(explicit["z1"], rel=1e-12, abs=0.0)
    assert lam["second"] == pytest.approx(-explicit["z2"], rel=1e-12, abs=0.0)
    assert lam["x"] == pytest.approx(explicit["x"], rel=1e-12, abs=0.0)


def linear_system() -> adj.Program:
    m = adj.Program("linear")
    A, b, c = m.input("A", [[4.0, 1.0], [2.0, 3.0]]), m.input("b", [1.0, 2.0]), m.input("c", [1.0, -1.0])
    y = m.unknown("y", shape=2)
    m.constrain(A @ y == b, name="system")
    m.define("f", c @ y)
    return m


def test_linear_system() -> None:
    sol = linear_system().solve()
    lam = sol.multipliers("f")
    np.testing.assert_allclose(sol["y"], [0.1, 0.6], rtol=1e-15)
    np.testing.assert_allclose(lam["b"], [0.5, -0.5], rtol=1e-15)
    np.testing.assert_allclose(lam["A"], [[-0.05, -0.3], [0.05, 0.3]], rtol=1e-14)
    np.testing.assert_allclose(lam["system"], lam["b"], rtol=1e-15)
    np.testing.assert_allclose(lam["A"], -np.outer(lam["b"], sol["y"]), rtol=1e-14)


def test_linear_system_as_an_operation() -> None:
    """np.linalg.solve inside an explicit program gives the same cotangents."""

    @adj.program
    def f(A, b, c):
        y = np.linalg.solve(A, b)
        return c @ y

    arguments = np.array([[4.0, 1.0], [2.0, 3.0]]), np.array([1.0, 2.0]), np.array([1.0, -1.0])
    gradient = f.gradient(*arguments)
    assert f(*arguments) == pytest.approx(-0.5, rel=1e-15, abs=0.0)
    np.testing.assert_allclose(gradient["b"], [0.5, -0.5], rtol=1e-15)
    np.testing.assert_allclose(gradient["A"], [[-0.05, -0.3], [0.05, 0.3]], rtol=1e-14)


def test_dominant_eigenvalue() -> None:
    """A v = μ v with vᵀv = 1 as implicit equations: ∂μ/∂A = u vᵀ / uᵀv, u the left eigenvector."""
    m = adj.Program("eigenvalue")
    A = m.input("A", [[1.0, 2.0], [3.0, 4.0]])
    v, mu = m.unknown("v", [0.5, 0.8]), m.unknown("mu", 5.0)
    m.constrain(A @ v == mu * v, name="eigenvector")
    m.constrain(v @ v == 1.0, name="length")
    sol = m.solve()
    assert sol["mu"] == pytest.approx((5.0 + np.sqrt(33.0)) / 2.0, rel=1e-14, abs=0.0)
    gradient = sol.gradient("mu", wrt="A")
    exact = [[0.238883516066, 0.522232967867], [0.348155311911, 0.761116483934]]
    np.testing.assert_allclose(gradient, exact, atol=5e-13)
    readme = [[0.23888351, 0.52223295], [0.34815535, 0.76111656]]  # single precision, as its source prints it
    np.testing.assert_allclose(gradient, readme, atol=1e-7)


def test_singular_system_raises() -> None:
    """Where I − J is singular no derivative exists: an error that names the block, never numbers."""
    m = adj.Program("singular")
    x = m.input("x", 2.0)
    z1, z2 = m.unknown("z1"), m.unknown("z2")
    m.define(z1, 0.5 * z2 + x)
    m.define(z2, 2.0 * z1 - 2.0 * x)  # the first equation again: a line of solutions
    m.define("f", z1 + z2)
    with pytest.warns(adj.SingularWarning, match="z1"):
        sol = m.solve()
    assert sol["z1"] == pytest.approx(0.5 * sol["z2"] + 2.0, rel=1e-12, abs=0.0)
    for derivative in (
        lambda: sol.gradient("f"),
        lambda: sol.multipliers("f"),
        lambda: sol.jvp({"x": 1.0}),
        lambda: sol.jacobian("z1", wrt="x"),
        lambda: sol.hessian("f"),
    ):
        with pytest.raises(adj.SingularError) as error:
            derivative()
        assert set(error.value.equations) == {"z1", "z2"} == set(error.value.variables)
        assert error.value.block in str(error.value)


def test_singular_and_inconsistent_raises_in_the_solve() -> None:
    m = adj.Program("inconsistent")
    x = m.input("x", 2.0)
    z1, z2 = m.unknown("z1"), m.unknown("z2")
    m.define(z1, 0.5 * z2 + x)
    m.define(z2, 2.0 * z1)
    with pytest.raises(adj.ConvergenceError) as error:
        m.solve()
    assert {name for name, _ in error.value.worst} <= {"z1", "z2"}


def test_singular_at_one_input_only() -> None:
    """z = (1 − x) z + x²: regular for x ≠ 0."""
    m = adj.Program()
    x = m.input("x", 0.5)
    z = m.unknown("z")
    m.define(z, (1.0 - x) * z + x**2)
    assert m.solve().gradient("z", wrt="x") == pytest.approx(1.0, rel=1e-14, abs=0.0)
    with pytest.warns(adj.SingularWarning):
        sol = m.solve(x=0.0)
    with pytest.raises(adj.SingularError, match="z"):
        sol.gradient("z")


def test_strong_components_are_solved_apart() -> None:
    """Two cycles with explicit equations between them: two small solves, and substitution between their blocks."""
    m = adj.Program("chain")
    x = m.input("x", 0.7)
    a, b, c, d = (m.unknown(name, 0.5) for name in "abcd")
    m.define(a, np.tanh(0.5 * b + x))
    m.define(b, 0.8 * np.sin(a))
    between = m.define("between", a * b + x)
    m.define(c, np.cos(d) * 0.6 + between)
    m.define(d, 0.3 * c)
    m.define("f", c * d + a)
    cycles = [{v.name for v in block.unknowns} for block in m.blocks() if block.kind == "cycle"]
    assert cycles == [{"a", "b"}, {"c", "d"}]
    fun = m.function("f")
    h = 1e-6
    difference = (fun(np.array([0.7 + h])) - fun(np.array([0.7 - h]))) / (2.0 * h)
    assert m.solve().gradient("f", wrt="x") == pytest.approx(difference, rel=1e-8, abs=0.0)
