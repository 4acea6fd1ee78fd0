"""Roots as expressions: values, derivatives of all orders, what is refused, and by what name."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.derivatives import jvp, vjp
from adjoint.inner import inner_reports, root

backends = pytest.mark.parametrize("backend", sorted(BACKENDS))


def cubic(backend: str | None = None, **options: Any) -> adj.Program:
    """y³ + y = x."""
    m = adj.Program("cubic", backend=backend)
    m.define("y", root(lambda y, x: y**3 + y - x, 1.0, m.input("x", 2.0), **options))
    return m


@backends
def test_closed_form(backend: str) -> None:
    sol = cubic(backend).solve(x=10.0)
    assert sol["y"] == pytest.approx(2.0, abs=1e-14)
    first = 1 / (3 * 2.0**2 + 1)  # dy/dx = 1 / (3 y² + 1)
    assert sol.gradient("y", wrt="x") == pytest.approx(first, rel=1e-13)
    assert sol.hessian("y", wrt="x") == pytest.approx(-6 * 2.0 * first**3, rel=1e-13)
    assert sol.hvp("y", {"x": 2.0})["x"] == pytest.approx(-24 * first**3, rel=1e-13)
    assert sol.jvp({"x": 1.0})["y"] == pytest.approx(first, rel=1e-13)


@backends
def test_linear_system_against_its_formulas(backend: str) -> None:
    # Christianson 1998: for A y = b, b̄ = A⁻ᵀ ȳ and Ā = −b̄ yᵀ.
    m = adj.Program("linear", backend=backend)
    A, b = m.input("A", [[4.0, 1.0], [2.0, 3.0]]), m.input("b", [1.0, 2.0])
    y = m.define("y", root(lambda y: A @ y - b, np.zeros(2)))
    m.define("f", y[0] - y[1])
    sol = m.solve()
    np.testing.assert_allclose(sol["y"], [0.1, 0.6], atol=1e-15)
    np.testing.assert_allclose(sol.gradient("f", wrt="b"), [0.5, -0.5], atol=1e-15)
    np.testing.assert_allclose(sol.gradient("f", wrt="A"), [[-0.05, -0.3], [0.05, 0.3]], atol=1e-15)

    other = adj.Program("solve", backend=backend)
    A, b = other.input("A", [[4.0, 1.0], [2.0, 3.0]]), other.input("b", [1.0, 2.0])
    y = other.define("y", np.linalg.solve(A, b))
    other.define("f", y[0] - y[1])
    ours, theirs = sol.hessian("f"), other.solve().hessian("f")
    for pair, part in theirs.items():
        np.testing.assert_allclose(ours[pair], part, atol=1e-13)


@backends
def test_equals_equations_of_the_program(backend: str) -> None:
    # z₁ = tanh(z₂/2 + x), z₂ = 0.8 sin z₁ + 0.1 x, f = z₁ z₂: 14 digits from METHODS' reference computation.
    m = adj.Program(backend=backend)
    x = m.input("x", 0.7)
    z = m.define(
        "z", root(lambda z: [np.tanh(0.5 * z[1] + x) - z[0], 0.8 * np.sin(z[0]) + 0.1 * x - z[1]], [0.5, 0.5])[0]
    )
    sol = m.solve()
    assert sol["z"] == pytest.approx(0.7668090380739211, abs=1e-13)

    single = adj.Program(backend=backend)
    x = single.input("x", 0.7)
    u, v = single.unknown("u", guess=0.5), single.unknown("v", guess=0.5)
    single.define(u, np.tanh(0.5 * v + x))
    single.define(v, 0.8 * np.sin(u) + 0.1 * x)
    other = single.solve()
    assert z.shape == ()
    assert sol.gradient("z", wrt="x") == pytest.approx(other.jvp({"x": 1.0})["u"], rel=1e-12)
    assert sol.hessian("z", wrt="x") == pytest.approx(other.hessian("u", wrt="x"), rel=1e-10)


@backends
def test_published_coupled_pair(backend: str) -> None:
    m = adj.Program(backend=backend)
    x = m.input("x", 0.7)
    z = m.define("z", root(lambda z: np.stack([np.tanh(0.5 * z[1] + x), 0.8 * np.sin(z[0]) + 0.1 * x]) - z, [0.5, 0.5]))
    m.define("f", z[0] * z[1])
    sol = m.solve()
    assert sol["f"] == pytest.approx(0.4793113944622032, abs=1e-14)
    assert sol.gradient("f", wrt="x") == pytest.approx(0.60034496609616, abs=1e-13)


@backends
def test_complex_step(backend: str) -> None:
    m = cubic(backend)
    report = m.solve(x=3.0).check_derivatives("y")
    assert "complex step" in str(report)
    assert "agree" in str(report)


def test_jvp_of_vjp_equals_vjp_of_jvp() -> None:
    m = adj.Program()
    a, b = m.input("a", [0.3, 0.8]), m.input("b", 1.7)
    y = root(lambda y, a, b: y + 0.2 * np.sin(y[::-1] * a) - b * a, np.ones(2), a, b)
    f = np.sum(y**3)
    da, db = np.array([0.4, -1.0]), 0.6
    gradient = vjp([f], [1.0], [a, b])
    forward = jvp(gradient, {a: da, b: db})
    slope = jvp([f], {a: da, b: db})[0]
    backward = vjp([slope], [1.0], [a, b])
    m.define("forward", np.concatenate([forward[0], np.reshape(forward[1], (1,))]))
    m.define("backward", np.concatenate([backward[0], np.reshape(backward[1], (1,))]))
    sol = m.solve()
    np.testing.assert_allclose(sol["forward"], sol["backward"], rtol=1e-11)
    assert np.abs(sol["forward"]).min() > 1e-3


def test_third_derivative() -> None:
    m = adj.Program()
    x = m.input("x", 2.0)
    y = root(lambda y, x: y**3 + y - x, 1.0, x)
    for name in ("first", "second", "third"):
        y = m.define(name, jvp([y], {x: 1.0})[0])
        y = m.equations[name].expr  # differentiate the expression again, not its variable
    s = 3.0 + 1.0  # at y = 1; y' = 1/s, y'' = −6 y / s³, y''' = −6/s⁴ + 108 y² / s⁵
    sol = m.solve()
    assert sol["first"] == pytest.approx(1 / s, rel=1e-13)
    assert sol["second"] == pytest.approx(-6 / s**3, rel=1e-12)
    assert sol["third"] == pytest.approx(-6 / s**4 + 108 / s**5, rel=1e-11)


def test_closed_over_expressions_are_parameters() -> None:
    m = adj.Program()
    x, w = m.input("x", 2.0), m.input("w", [1.0, 2.0])
    heavy = np.exp(w) * x
    m.define("y", np.sum(root(lambda y: y + y**3 - heavy, np.ones(2))))
    sol = m.solve()
    assert sol.check_derivatives("y")
    y = root(lambda y: y + y**3 - heavy, np.ones(2))
    assert y.args == (heavy,)  # the largest expression that does not hold y


def test_structures_of_arguments_and_unknowns() -> None:
    m = adj.Program()
    p = m.input("p", 2.0)

    def balance(y: Any, a: Any, label: str) -> Any:
        assert label == "passed as it is"
        return {"b": y["a"][1] * y["b"] == a["k"], "a": y["a"] ** 2 - np.stack([y["b"], a["k"]])}

    y = root(balance, {"a": np.ones(2), "b": 1.0}, {"k": p, "unused": 3.0}, "passed as it is")
    assert y["a"].shape == (2,) and y["b"].shape == ()
    m.define("f", y["a"][0] + y["b"])
    sol = m.solve()  # a₁ = √p, b = √p, a₀ = p^¼
    assert sol["f"] == pytest.approx(2**0.25 + 2**0.5, rel=1e-12)
    assert sol.gradient("f", wrt="p") == pytest.approx(0.25 * 2**-0.75 + 0.5 * 2**-0.5, rel=1e-12)


def test_matrix_unknown() -> None:
    # A matrix square root: Y Y = P, dY Y + Y dY = dP.
    P = np.array([[2.0, 0.3], [0.3, 1.0]])
    m = adj.Program()
    p = m.input("P", P)
    m.define("f", np.sum(root(lambda Y, P: Y @ Y - P, np.eye(2), p)))
    sol = m.solve()
    values, vectors = np.linalg.eigh(P)
    assert sol["f"] == pytest.approx((vectors * np.sqrt(values) @ vectors.T).sum(), rel=1e-12)
    assert sol.check_derivatives("f")


def test_without_expressions_it_is_a_number() -> None:
    found = root(lambda y: y**2 - 2.0, 1.0)
    assert isinstance(found, float) and found == pytest.approx(np.sqrt(2.0))
    np.testing.assert_allclose(root(lambda y, a: y**3 - a, np.ones(2), np.array([8.0, 27.0])), [2.0, 3.0])


def test_inside_a_traced_function() -> None:
    @adj.program
    def kepler(M: Any, e: Any) -> Any:
        E = root(lambda E: E - e * np.sin(E) - M, 1.0)
        return np.cos(E)

    M, e = 1.0, 0.3
    E = root(lambda E: E - e * np.sin(E) - M, 1.0)
    assert kepler(M, e) == pytest.approx(np.cos(E), rel=1e-14)
    assert kepler.gradient(M, e)["M"] == pytest.approx(-np.sin(E) / (1 - e * np.cos(E)), rel=1e-12)
    assert "E" in kepler.program.variables


def test_guess_is_no_parameter() -> None:
    m = adj.Program()
    x = m.input("x", 4.0)
    with pytest.raises(adj.ModelError, match="the guess is a number"):
        root(lambda y: y**2 - x, x)
    m.define("plus", root(lambda y: y**2 - x, 1.0))
    m.define("minus", root(lambda y: y**2 - x, -1.0))
    sol = m.solve()
    assert (sol["plus"], sol["minus"]) == pytest.approx((2.0, -2.0))
    assert sol.gradient("minus", wrt="x") == pytest.approx(-0.25)


def test_bounds_select() -> None:
    m = adj.Program()
    m.define("y", root(lambda y, x: y**2 - x, 0.5, m.input("x", 4.0), upper=0.0))
    assert m.solve()["y"] == pytest.approx(-2.0)


def test_array_of_independent_roots() -> None:
    M = np.linspace(0.1, 3.0, 2000)
    m = adj.Program()
    mean, e = m.input("M", M), m.input("e", 0.6)
    E = m.define("E", root(lambda E: E - e * np.sin(E) - mean, M))
    m.define("f", np.sum(np.sin(E)))
    sol = m.solve()
    np.testing.assert_allclose(sol["E"] - 0.6 * np.sin(sol["E"]), M, rtol=1e-12)
    slope = np.cos(sol["E"]) / (1 - 0.6 * np.cos(sol["E"]))
    np.testing.assert_allclose(sol.gradient("f", wrt="M"), slope, rtol=1e-10)


@pytest.mark.parametrize("method", ["newton-krylov", "auto"])
def test_matrix_free(method: str) -> None:
    n = 60
    rng = np.random.default_rng(0)
    W = 0.5 * rng.standard_normal((n, n)) / np.sqrt(n)
    m = adj.Program()
    b = m.input("b", rng.standard_normal(n))
    y = m.define("y", root(lambda y: y - np.tanh(W @ y + b), np.zeros(n), method=method))
    m.define("f", np.sum(y**2))
    sol = m.solve()
    J = np.eye(n) - (1 - sol["y"] ** 2)[:, None] * W
    expected = np.linalg.solve(J.T, 2 * sol["y"]) * (1 - sol["y"] ** 2)
    np.testing.assert_allclose(sol.gradient("f", wrt="b"), expected, rtol=1e-7, atol=1e-9)
    assert inner_reports(m)[0].method.startswith("newton")


def test_later_solves_start_at_the_last() -> None:
    n = 50
    m = adj.Program()
    c = m.input("c", np.ones(n))
    m.define("y", root(lambda y: y + y**3 + 0.1 * np.sum(y) - c, np.zeros(n)))
    m.solve()
    cold = inner_reports(m)[0].iterations
    m.solve(c=np.full(n, 1.0 + 1e-6))
    assert inner_reports(m)[0].iterations < cold


def test_pickle() -> None:
    m = cubic(name="cubic root")
    again = pickle.loads(pickle.dumps(m))
    sol = again.solve(x=10.0)
    assert sol["y"] == pytest.approx(2.0) and sol.hessian("y", wrt="x") == pytest.approx(-12 / 13**3)


# -- failures ----------------------------------------------------------------------------------------------------------


def test_no_root_is_named() -> None:
    m = adj.Program()
    m.define("y", root(lambda y, x: y**2 + x, 1.0, m.input("x", 1.0), name="impossible"))
    with pytest.raises(adj.ConvergenceError, match="'impossible'") as caught:
        m.solve()
    assert caught.value.block == "impossible" and caught.value.worst
    assert m.solve(x=-4.0)["y"] == pytest.approx(2.0)  # and it works again where there is one


def test_singular_jacobian_is_named() -> None:
    m = adj.Program()
    m.define("y", root(lambda y, x: y**2 - x, 1.0, m.input("x", 0.0), name="turning point"))
    sol = m.solve()
    with pytest.raises(adj.SingularError, match="'turning point'"):
        sol.gradient("y")


def test_repeated_equations_are_named() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    m.define("y", root(lambda y: np.stack([y[0] + y[1] - x, 2 * (y[0] + y[1] - x)]), np.ones(2), name="twice"))
    with pytest.raises((adj.SingularError, adj.ConvergenceError), match="'twice'"):
        m.solve().gradient({"y": np.array([1.0, 0.0])})


def test_failure_inside_of_another() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)

    def outer(y: Any) -> Any:
        return y - 1.0 + root(lambda z: z**2 + y**2 + x, 1.0, name="deep")

    m.define("y", root(outer, 1.0, name="shallow"))
    with pytest.raises(adj.ConvergenceError, match="(?s)'shallow'.*Inside of it.*'deep'"):
        m.solve()


def test_a_failure_inside_shortens_the_step() -> None:
    m = adj.Program()
    x = m.input("x", 0.05)
    # The inner root exists for y > 0 only, and Newton's first step on arctan goes to y < 0.
    m.define("y", root(lambda y: np.arctan(5 * (root(lambda z: z**2 - y, 1.0, name="positive") - x)), 4.0))
    assert m.solve()["y"] == pytest.approx(0.05**2, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((3.0, 1.0), "first argument is a function"),
        ((lambda y: 2.0, 1.0), "does not depend on its first argument"),
        ((lambda y: np.stack([y, y]), 1.0), "shape"),
        ((lambda y: y, ()), "no number"),
        ((lambda y: y, "a"), "guess"),
    ],
)
def test_refused(arguments: Any, words: str) -> None:
    with pytest.raises(adj.AdjointError, match=words):
        root(*arguments)


@pytest.mark.parametrize("option", [{"method": "newtn"}, {"tol": 2.0}, {"max_iterations": 0}, {"name": ""}])
def test_refused_options(option: dict[str, Any]) -> None:
    with pytest.raises(adj.AdjointError):
        root(lambda y: y - 1.0, 0.0, **option)
