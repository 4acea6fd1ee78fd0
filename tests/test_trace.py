"""Functions become programs: the names they bind, in the order they bind them, become equations."""

from __future__ import annotations

import functools
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import adjoint as adj


def equations(fun: Any, *arguments: Any, **keywords: Any) -> list[str]:
    return list(adj.trace(fun, *arguments, **keywords).equations)


# -- names -------------------------------------------------------------------------------------------------


def test_assignments_become_equations_in_order() -> None:
    def domke(x: Any) -> Any:
        a = np.exp(x)
        b = a**2
        c = a + b
        d = np.exp(c)
        e = np.sin(c)
        return d + e

    m = adj.trace(domke, 0.1)
    assert m.name == "domke"
    assert list(m.equations) == ["a", "b", "c", "d", "e", "domke"]
    assert m.outputs == ["domke"]
    assert set(m.graph.edges) == {
        ("x", "a"),
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
        ("c", "d"),
        ("c", "e"),
        ("d", "domke"),
        ("e", "domke"),
    }
    sol = m.solve(x=0.3)
    assert sol["domke"] == domke(0.3)
    assert sol.multipliers("domke")["c"] == pytest.approx(np.exp(sol["c"]) + np.cos(sol["c"]))


def test_names_bound_again_get_numbers() -> None:
    def f(x: Any) -> Any:
        z = x + 1
        z = z * z
        z += 3
        x = z / 2
        return x

    m = adj.trace(f, 2.0)
    assert list(m.equations) == ["z", "z_2", "z_3", "x_2"]
    assert m.outputs == ["x_2"]
    assert m.solve()["x_2"] == f(2.0)
    assert [v.name for v in m.inputs] == ["x"]


def test_loops_bind_a_name_each_time() -> None:
    def newton(a: Any) -> Any:
        r = a
        for _ in range(4):
            r = 0.5 * (r + a / r)
        return r

    m = adj.trace(newton, 2.0)
    assert list(m.equations) == ["r", "r_2", "r_3", "r_4"]
    assert m.solve(a=9.0)["r_4"] == newton(9.0)


def test_every_way_to_bind_a_name() -> None:
    def f(x: Any) -> Any:
        a, b = np.sin(x), np.cos(x)
        (c, d), e = (a + b, a - b), a * b
        if (g := c * d) is None:
            return g
        del c
        for h in [e * 2, e * 3]:
            last = h
        return last + g

    m = adj.trace(f, 1.0)
    assert list(m.equations) == ["a", "b", "c", "d", "e", "g", "h", "h_2", "f"]
    assert m.solve()["f"] == f(1.0)


def test_a_value_under_two_names_is_one_equation() -> None:
    def f(x: Any) -> Any:
        a = np.sin(x)
        b = a
        c = np.sin(x)
        return b + c

    m = adj.trace(f, 1.0)
    assert list(m.equations) == ["a", "f"]
    assert m.solve()["f"] == 2 * np.sin(1.0)


def test_a_name_that_is_taken_is_numbered() -> None:
    def f(x: Any, f_2: Any) -> Any:
        f = x * f_2
        return f + 1

    m = adj.trace(f, 2.0, 3.0)
    assert list(m.equations) == ["f", "f_3"]
    assert m.solve()["f_3"] == 7.0


def test_constants_and_plain_values_are_no_equations() -> None:
    def f(x: Any) -> Any:
        n = 3
        table = np.arange(3.0)
        label = "text"
        pair = (x, 2 * x)
        return (table * x).sum() * n + len(label) + pair[1]

    m = adj.trace(f, 2.0)
    assert list(m.equations) == ["f"]
    assert m.solve()["f"] == f(2.0)


# -- results -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fun", "outputs", "values"),
    [
        (lambda x: (x * 2, x + 1), ["program_0", "program_1"], [6.0, 4.0]),
        (lambda x: [x * 2, x * 2], ["program_0", "program_0"], [6.0, 6.0]),
        (lambda x: {"double": x * 2, "more": x + 1}, ["double", "more"], [6.0, 4.0]),
        (lambda x: x, ["x"], [3.0]),
        (lambda x: 5.0, ["program"], [5.0]),
        (lambda x: np.ones(2), ["program"], [[1.0, 1.0]]),
        (lambda x: (x, 7, x * 2), ["x", "program_1", "program_2"], [3.0, 7.0, 6.0]),
        (lambda x: np.array([x, 2 * x]), ["program"], [[3.0, 6.0]]),
        (lambda x: x > 2, ["program"], [1.0]),
    ],
)
def test_outputs_of_every_form(fun: Any, outputs: list[str], values: list[Any]) -> None:
    m = adj.trace(fun, 3.0)
    assert m.outputs == outputs
    sol = m.solve()
    for name, value in zip(outputs, values, strict=True):
        np.testing.assert_array_equal(sol[name], value)


def test_a_name_can_be_given() -> None:
    assert adj.trace(lambda x: 2 * x, 1.0, name="double").outputs == ["double"]


def test_returning_nothing_or_nonsense_is_refused() -> None:
    for fun in (lambda x: None, lambda x: "text", lambda x: {}, lambda x: object()):
        with pytest.raises(adj.AdjointError):
            adj.trace(fun, 1.0)


# -- arguments ---------------------------------------------------------------------------------------------


def test_shapes_and_defaults_come_from_the_examples() -> None:
    m = adj.trace(lambda A, v: A @ v, np.eye(2), [1, 2])
    assert [(v.name, v.shape) for v in m.inputs] == [("A", (2, 2)), ("v", (2,))]
    np.testing.assert_array_equal(m.solve(A=np.ones((2, 2)))["program"], [3.0, 3.0])


def test_keyword_star_and_default_arguments() -> None:
    def f(a: Any, /, b: Any, *rest: Any, c: Any = 5.0, flag: bool = False, kind: str = "plus", **more: Any) -> Any:
        total = a + b + sum(rest) + c * 100
        if kind == "minus":
            total = total - 1e6
        if flag:
            total = total * 2
        return total + more.get("d", 0.0)

    m = adj.trace(f, 1.0, 2.0, 3.0, 4.0, d=0.5)
    assert [v.name for v in m.inputs] == ["a", "b", "rest_0", "rest_1", "c", "d"]
    assert m.solve()["f"] == f(1.0, 2.0, 3.0, 4.0, d=0.5)
    m = adj.trace(f, 1.0, b=2.0, kind="minus", flag=True, c=1.0)
    assert m.solve()[m.outputs[0]] == f(1.0, b=2.0, kind="minus", flag=True, c=1.0)


def test_many_star_arguments_keep_their_order() -> None:
    m = adj.trace(lambda *v: sum((k + 1) * v[k] for k in range(12)), *range(12))
    assert m.solve()["program"] == sum((k + 1) * k for k in range(12))


def test_what_is_no_number_is_passed_through() -> None:
    def f(x: Any, activation: Any, name: Any = None, switch: bool = True) -> Any:
        y = activation(x)
        return y if switch and name is None else -y

    m = adj.trace(f, 2.0, np.tanh)
    assert [v.name for v in m.inputs] == ["x"]
    assert m.solve()["y"] == np.tanh(2.0)
    assert adj.trace(f, 2.0, np.tanh, switch=False).solve()["f"] == -np.tanh(2.0)


def test_arguments_that_do_not_fit_are_told() -> None:
    for arguments in ((), (1.0, 2.0)):
        with pytest.raises(adj.ModelError, match="square"):

            def square(x: Any) -> Any:
                return x**2

            adj.trace(square, *arguments)
    for wrong in (3, "f", None):
        with pytest.raises(adj.ModelError):
            adj.trace(wrong, 1.0)
    with pytest.raises(adj.AdjointError, match="x"):
        adj.trace(lambda x: x, np.nan)


# -- how the function runs ---------------------------------------------------------------------------------


def test_branches_on_values_raise_and_restore_the_trace_function() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        if y > 0:
            return y
        return -y

    def watcher(*args: Any) -> None:
        return None

    before = sys.gettrace()
    try:
        for installed in (None, watcher):
            sys.settrace(installed)
            with pytest.raises(adj.UnsupportedError, match=r"np\.where"):
                adj.trace(f, 1.0)
            assert sys.gettrace() is installed
            adj.trace(lambda x: x, 1.0)
            assert sys.gettrace() is installed
    finally:
        sys.settrace(before)


def test_errors_of_the_function_pass_through() -> None:
    def f(x: Any) -> Any:
        raise RuntimeError("mine")

    before = sys.gettrace()
    with pytest.raises(RuntimeError, match="mine"):
        adj.trace(f, 1.0)
    assert sys.gettrace() is before


def test_early_returns_and_branches_on_plain_values() -> None:
    def f(x: Any, kind: str = "a") -> Any:
        y = x + 1
        if kind == "a":
            return y * 2
        z = y * 3
        return z

    assert equations(f, 1.0) == ["y", "f"]
    assert equations(f, 1.0, kind="b") == ["y", "z"]


def test_closures_globals_and_inner_functions() -> None:
    factor = np.array([1.0, 2.0])

    def f(x: Any) -> Any:
        def inner(y: Any) -> Any:
            hidden = y * 3  # not a name of f
            return hidden + 1

        scaled = factor * x
        out = inner(scaled)
        return np.sum(out)

    m = adj.trace(f, 2.0)
    assert list(m.equations) == ["scaled", "out", "f"]
    factor[:] = 100.0
    assert m.solve()["f"] == np.sum(np.array([1.0, 2.0]) * 2 * 3 + 1)


def test_comprehensions_and_lambdas_inside() -> None:
    def f(x: Any) -> Any:
        parts = [x**k for k in range(1, 4)]
        combine = lambda a, b: a * b
        total = sum(parts)
        return combine(total, 2)

    m = adj.trace(f, 2.0)
    assert m.solve()["f"] == 28.0
    assert "total" in m.equations


def test_recursive_functions() -> None:
    def power(x: Any, n: int = 3, first: bool = True) -> Any:
        if isinstance(n, adj.Expr) or n == 0:
            return 1.0 * x / x
        rest = power(x, n - 1, False)
        return x * rest

    fun = functools.partial(power, n=3)
    assert adj.trace(lambda x: fun(x), 2.0).solve()["program"] == 8.0


def test_partial_functions_methods_and_callable_objects() -> None:
    class Model:
        k = 3.0

        def method(self, x: Any) -> Any:
            y = self.k * x
            return y + 1

        __call__ = method

    assert equations(Model().method, 2.0) == ["y", "method"]
    assert adj.trace(Model(), 2.0).solve()[adj.trace(Model(), 2.0).outputs[0]] == 7.0
    partial = adj.trace(functools.partial(lambda a, b: a * b, 4.0), 5.0)
    assert partial.solve()[partial.outputs[0]] == 20.0


def test_decorated_functions() -> None:
    def doubled(g: Any) -> Any:
        @functools.wraps(g)
        def wrapper(*args: Any) -> Any:
            return 2 * g(*args)

        return wrapper

    @doubled
    def f(x: Any) -> Any:
        y = x + 1
        return y

    m = adj.trace(f, 3.0)
    assert "y" in m.equations
    assert m.solve()[m.outputs[0]] == 8.0


def test_tracing_inside_a_traced_function() -> None:
    def f(x: Any) -> Any:
        a = x * 2
        inner = adj.trace(lambda y: y + 1, 1.0)
        b = a + inner.solve()["program"]
        return b

    m = adj.trace(f, 3.0)
    assert list(m.equations) == ["a", "b"]
    assert m.solve()["b"] == 8.0


def test_functions_are_traced_in_threads() -> None:
    def f(x: Any) -> Any:
        a = np.sin(x)
        b = a * x
        return b + 1

    with ThreadPoolExecutor(4) as pool:
        for m in pool.map(lambda k: adj.trace(f, float(k)), range(20)):
            assert list(m.equations) == ["a", "b", "f"]


def test_a_long_loop() -> None:
    def f(x: Any) -> Any:
        for _ in range(1000):
            x = np.sin(x) + 0.5
        return x

    m = adj.trace(f, 1.0)
    assert len(m.equations) == 1000
    assert m.solve()[m.outputs[0]] == f(1.0)


# -- the decorator -----------------------------------------------------------------------------------------


@adj.program
def rosenbrock(x: Any, y: Any = 1.0) -> Any:
    """A valley."""
    a = 1 - x
    b = y - x**2
    return a**2 + 100 * b**2


def test_a_decorated_function_gives_numbers() -> None:
    assert rosenbrock(2.0, 1.0) == 901.0
    assert type(rosenbrock(2.0, 1.0)) is float
    assert rosenbrock(2.0) == rosenbrock(x=2.0) == 901.0
    assert (rosenbrock.__name__, rosenbrock.__doc__) == ("rosenbrock", "A valley.")


def test_its_derivatives() -> None:
    assert rosenbrock.gradient(2.0, 1.0) == pytest.approx({"x": 2402.0, "y": -600.0})
    hessian = rosenbrock.hessian(2.0, 1.0)
    assert hessian["x", "x"] == pytest.approx(4402.0)
    assert hessian["x", "y"] == pytest.approx(-800.0)
    lam = rosenbrock.multipliers(2.0, 1.0)
    assert (lam["a"], lam["b"]) == pytest.approx((-2.0, -600.0))
    assert rosenbrock.solution(2.0)["b"] == -3.0


def test_one_argument_gives_its_gradient_itself() -> None:
    @adj.program
    def total(v: Any) -> Any:
        return np.sum(v**3)

    np.testing.assert_allclose(total.gradient([1.0, 2.0]), [3.0, 12.0])
    np.testing.assert_allclose(total.hessian(np.array([1.0, 2.0])), np.diag([6.0, 12.0]))
    assert total(np.ones((2, 2))) == 4.0
    assert total.gradient(np.ones((2, 2))).shape == (2, 2)
    assert total(2.0) == 8.0
    assert total.gradient(2) == 12.0


def test_the_program_of_the_last_shapes() -> None:
    @adj.program
    def f(x: Any) -> Any:
        y = x * 2
        return y

    assert list(f.program.equations) == ["y"]
    f(np.ones(3))
    assert f.program["x"].shape == (3,)


def test_expressions_and_other_traced_functions_are_inlined() -> None:
    @adj.program
    def inner(x: Any) -> Any:
        hidden = np.sin(x)
        return hidden * 2

    @adj.program
    def outer(x: Any) -> Any:
        y = inner(x + 1)
        return y**2

    assert outer(0.5) == pytest.approx((2 * np.sin(1.5)) ** 2)
    assert list(outer.program.equations) == ["y", "outer"]
    m = adj.Program()
    m.define("z", inner(m.input("x", 1.0)))
    assert m.solve()["z"] == 2 * np.sin(1.0)
    assert list(m.equations) == ["z"]


def test_static_arguments() -> None:
    @adj.program(static=["n"])
    def power(x: Any, n: int) -> Any:
        return x**n

    assert power(2.0, 10) == 1024.0
    assert power(2.0, 3) == 8.0
    assert power.gradient(2.0, 3) == pytest.approx(12.0)


def test_several_outputs_come_as_a_tuple() -> None:
    @adj.program
    def pair(x: Any) -> Any:
        return x + 1, x * 2

    assert pair(3.0) == (4.0, 6.0)
    with pytest.raises(adj.ModelError, match="jacobian"):
        pair.gradient(3.0)
    assert pair.solution(3.0).jacobian(pair.program.outputs, wrt="x")["pair_1", "x"] == 2.0


def test_a_call_with_the_same_numbers_does_not_solve_again() -> None:
    @adj.program
    def f(x: Any) -> Any:
        return np.sum(x**2)

    v = np.ones(2)
    first = f.solution(v)
    assert f.solution(v) is first
    v[0] = 2.0
    assert f(v) == 5.0
    assert first["x"][0] == 1.0


def test_what_cannot_be_decorated() -> None:
    with pytest.raises(adj.AdjointError):
        adj.program(3)


def test_models_solved_inside_a_function_are_constants() -> None:
    """Numbers from elsewhere are numbers."""
    other = adj.Program()
    y = other.unknown("y")
    other.constrain(y**3 == other.input("x", 8.0))

    @adj.program
    def f(x: Any) -> Any:
        return x * other.solve()["y"]

    assert f(3.0) == pytest.approx(6.0)
