"""Black boxes: what they are called with, what they may return, and their Jacobians."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import adjoint as adj

X = np.array([1.0, 2.0, 4.0])


def boxed(fun: Any, jac: Any = None, shape: Any = (), value: Any = X) -> adj.Program:
    m = adj.Program()
    x = m.input("x", value)
    y = m.external("y", fun, inputs=[x], shape=shape, jac=jac)
    m.define("f", np.sum(y**2))
    return m


@pytest.mark.parametrize(
    "jac",
    [
        None,
        lambda x: np.diag(2 * x),
        lambda x: [np.diag(2 * x)],
        lambda x: (np.diag(2 * x),),
        lambda x: np.diag(2 * x).tolist(),
        lambda x: sp.diags_array(2 * x),
        lambda x: sp.csc_array(np.diag(2 * x)),
        lambda x: sp.coo_matrix(np.diag(2 * x)),
    ],
)
def test_jacobians_dense_sparse_or_by_differences(jac: Any) -> None:
    sol = boxed(lambda x: x**2, jac, shape=(3,)).solve()
    np.testing.assert_array_equal(sol["y"], X**2)
    for mode in ("auto", "forward", "reverse"):
        np.testing.assert_allclose(sol.jacobian("y", wrt="x", mode=mode), np.diag(2 * X), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(sol.gradient("f", wrt="x"), 4 * X**3, rtol=1e-9)
    np.testing.assert_allclose(sol.jvp({"x": X}, of="y")["y"], 2 * X**2, rtol=1e-9)
    assert sol.check_derivatives("f").ok


def test_several_inputs_and_shapes() -> None:
    m = adj.Program()
    m.input("a", np.ones((2, 3)))
    s = m.input("s", 2.0)
    y = m.external(
        "y",
        lambda a, s, e: s * a.T + e,
        inputs=["a", s, np.exp(s)],
        shape=(3, 2),
        jac=lambda a, s, e: (s * np.einsum("il,jk->ijkl", np.eye(3), np.eye(2)), a.T, np.ones((3, 2))),
    )
    m.define("f", np.sum(y * np.arange(6.0).reshape(3, 2)))
    sol = m.solve()
    np.testing.assert_allclose(sol["y"], 2.0 + np.exp(2.0) + np.zeros((3, 2)))
    assert sol.gradient("f")["s"] == pytest.approx(15 + 15 * np.exp(2.0))
    np.testing.assert_allclose(sol.gradient("f")["a"], 2 * np.arange(6.0).reshape(3, 2).T)
    assert sol.check_derivatives("f").ok


def test_scalars_come_as_numbers_and_arrays_as_arrays() -> None:
    seen: list[Any] = []

    def fun(a: Any, s: Any) -> float:
        seen.append((np.shape(a), np.ndim(s), float(s)))
        return s

    m = adj.Program()
    m.external("y", fun, inputs=[m.input("a", X), m.input("s", 3.0)])
    assert m.solve()["y"] == 3.0
    assert seen[0] == ((3,), 0, 3.0)


def test_a_box_inside_a_cycle() -> None:
    """y = cos(y) + x by Newton's method with the box's own Jacobian, and by fixed-point iteration without."""
    for jac, method in ((lambda y: -np.sin(y), "auto"), (None, "auto"), (None, "fixed-point"), (None, "anderson")):
        m = adj.Program()
        x, y = m.input("x", 0.1), m.unknown("y", 0.5)
        c = m.external("c", np.cos, inputs=[y], jac=jac)
        m.define(y, c + x)
        sol = m.solve(method=method)
        assert sol["y"] == pytest.approx(np.cos(sol["y"]) + 0.1, abs=1e-9)
        assert sol.gradient("y", wrt="x") == pytest.approx(1 / (1 + np.sin(sol["y"])), rel=1e-6)


def test_a_box_may_change_its_arguments_and_keep_what_it_returns() -> None:
    buffer = np.zeros(3)

    def fun(x: np.ndarray) -> np.ndarray:
        np.multiply(x, 2.0, out=buffer)
        x[:] = -1.0
        return buffer

    def jac(x: np.ndarray) -> np.ndarray:
        x[:] = -1.0
        return 2.0 * np.eye(3)

    given = X.copy()
    m = boxed(fun, jac, shape=(3,))
    first, second = m.solve(), m.solve(x=3 * given)
    first.gradient("f")
    np.testing.assert_array_equal(given, X)
    np.testing.assert_array_equal(first["x"], X)
    np.testing.assert_array_equal(first["y"], 2 * X)
    np.testing.assert_array_equal(second["y"], 6 * X)
    np.testing.assert_array_equal(m.solve()["x"], X)


def test_a_box_that_returns_its_argument() -> None:
    """Large enough that buffers are reused around it."""
    n = 5000
    m = adj.Program()
    x = m.input("x", np.linspace(0.0, 1.0, n))
    a = np.exp(x)
    box = m.external("box", lambda v: v, inputs=[a], shape=(n,), jac=lambda v: sp.eye_array(n))
    m.define("after", np.sin(a) * 2.0 + 0.0 * box[0])
    m.define("sum", np.sum(np.sin(a * 1.5) + box))
    sol = m.solve()
    np.testing.assert_allclose(sol["box"], np.exp(sol["x"]), rtol=1e-15)


def test_failures_are_named() -> None:
    def fails(*args: Any) -> Any:
        raise ValueError("broken")

    with pytest.raises(adj.EvaluationError, match=r"'y'.*broken"):
        boxed(fails).solve()
    with pytest.raises(adj.EvaluationError, match=r"'y'.*broken"):
        boxed(np.sum, fails).solve().gradient("f")
    with pytest.raises(adj.ShapeError, match=r"'y'.*\(3,\)"):
        boxed(lambda x: x).solve()
    with pytest.raises(adj.ShapeError, match="'y'"):
        boxed(np.sum, lambda x: np.ones(2)).solve().gradient("f")
    with pytest.raises(adj.EvaluationError, match="'y'"):
        boxed(lambda x: np.nan).solve()
    with pytest.raises(adj.AdjointError, match="'y'"):
        boxed(lambda x: "text").solve()
    with pytest.raises(adj.AdjointError, match="'y'"):
        boxed(lambda x: None).solve()


def test_an_arithmetic_error_is_not_a_number() -> None:
    """So that a line search steps back from it; as a final value it is refused."""
    with pytest.raises(adj.EvaluationError, match="'y'"):
        boxed(lambda x: 1 / (int(x[0]) - 1)).solve()


def test_an_arithmetic_error_shortens_the_step_of_an_iteration() -> None:
    def root(y: float) -> float:
        if y < 0:
            raise FloatingPointError("negative")
        return np.sqrt(y)

    m = adj.Program()
    y = m.unknown("y", guess=0.01)
    m.constrain(m.external("r", root, inputs=[y], jac=lambda y: 0.5 / np.sqrt(y)) == 3.0)
    assert m.solve()["y"] == pytest.approx(9.0)


def test_second_derivatives_are_refused_by_name() -> None:
    sol = boxed(lambda x: np.sum(x**2), lambda x: 2 * x).solve()
    for use in (lambda: sol.hessian("f"), lambda: sol.hvp("f", {"x": X})):
        with pytest.raises(adj.DerivativeError, match="'y'"):
            use()


def test_a_hessian_that_does_not_need_the_box_is_given() -> None:
    m = boxed(lambda x: np.sum(x**2), lambda x: 2 * x)
    m.define("g", np.sum(m["x"] ** 3))
    np.testing.assert_allclose(m.solve().hessian("g", wrt="x"), np.diag(6 * X))


def test_arguments_of_external_are_checked() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    for use in (
        lambda: m.external("y", 3, inputs=[x]),
        lambda: m.external("y", np.sin, inputs=[x], jac=3),
        lambda: m.external("y", np.sin, inputs=["nothing"]),
        lambda: m.external("x", np.sin, inputs=[x]),
        lambda: m.external("y", np.sin, inputs=[x], shape=(-1,)),
        lambda: m.external("y", np.sin, inputs=[None]),
    ):
        with pytest.raises(adj.AdjointError):
            use()
