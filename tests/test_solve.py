"""The forward sweep: guesses, bounds, warm starts, methods, verification, and what is refused."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.solve import input_values
from tests.models import sellar


def report(sol: adj.Solution) -> adj.BlockReport:
    """That of the only cycle."""
    (found,) = (b for b in sol.blocks if b.kind == "cycle")
    return found


class Watched:
    """A model whose black box records every point at which it is evaluated: y² = x."""

    def __init__(self, jac: bool = True, **unknown: Any) -> None:
        self.seen: list[float] = []
        self.m = adj.Program()
        x, y = self.m.input("x", 9.0), self.m.unknown("y", **unknown)
        square = self.m.external("square", self._square, inputs=[y], jac=(lambda y: 2 * y) if jac else None)
        self.m.constrain(square == x, name="equation")

    def _square(self, y: float) -> float:
        self.seen.append(float(y))
        return y**2


# -- values ------------------------------------------------------------------------------------------------


def test_values_in_any_form() -> None:
    m = adj.Program()
    m.define("y", m.input("x", 1.0) * 2 + m.input("start", 0.0))
    for value in (3, 3.0, np.float32(3), np.int16(3), np.array(3.0), np.array(3)):
        for sol in (m.solve(x=value), m.solve({"x": value})):
            assert sol["y"] == 6.0
            assert type(sol["y"]) is float
    assert m.solve({"start": 1.0}, x=2.0)["y"] == 5.0
    assert m.solve()["y"] == 2.0


def test_scalars_are_spread_over_arrays_and_arrays_are_copied() -> None:
    m = adj.Program()
    m.define("y", m.input("x", np.zeros((2, 2))) + 1.0)
    np.testing.assert_array_equal(m.solve(x=3)["y"], np.full((2, 2), 4.0))
    np.testing.assert_array_equal(m.solve(x=[1, 2])["y"], [[2.0, 3.0], [2.0, 3.0]])
    given = np.zeros((2, 2))
    sol = m.solve(x=given)
    given[:] = 7.0
    np.testing.assert_array_equal(sol["x"], np.zeros((2, 2)))
    np.testing.assert_array_equal(given, np.full((2, 2), 7.0))


def test_wrong_inputs_are_named() -> None:
    m = sellar()
    m.input("vector", np.ones(3))
    for values, error, words in (
        ({"z3": 1.0}, adj.NameLookupError, "z1"),
        ({"y1": 1.0}, adj.ModelError, r"y1.*start="),
        ({"x": np.nan}, adj.ModelError, "x"),
        ({"x": [1.0, 2.0]}, adj.ShapeError, "x"),
        ({"x": None}, adj.ModelError, "x"),
        ({"x": "3"}, adj.ModelError, "x"),
        ({"x": 1j}, adj.ModelError, "x"),
        ({"x": m["z1"]}, adj.AdjointError, "x"),
        ({"vector": np.ones(4)}, adj.ShapeError, r"vector.*\(4,\).*\(3,\)"),
        ({3: 1.0}, adj.AdjointError, "3"),
    ):
        with pytest.raises(error, match=f"(?s){words}"):
            m.solve(values)
    for wrong in ([1.0], 5.0, "x", m):
        with pytest.raises(adj.AdjointError):
            m.solve(wrong)


def test_inputs_without_a_value_are_all_named() -> None:
    m = adj.Program()
    m.define("y", m.input("a") + m.input("b") * m.input("c", 1.0))
    with pytest.raises(adj.ModelError, match=r"'a', 'b'"):
        m.solve()
    assert m.solve(a=1.0, b=2.0)["y"] == 3.0
    assert input_values(m.plan(), {"a": 1.0, "b": 2.0})[m["c"]] == 1.0


def test_solving_changes_nothing_in_the_program() -> None:
    m = sellar()
    before = pickle.dumps(m)
    m.solve(z1=1.0).hessian("f")
    assert pickle.dumps(m) == before
    assert m.solve()["z1"] == 5.0


# -- cycles: guesses and bounds ----------------------------------------------------------------------------


def test_the_search_starts_at_the_guess() -> None:
    watched = Watched(guess=4.0)
    watched.m.solve()
    assert watched.seen[0] == 4.0


@pytest.mark.parametrize(
    ("bounds", "first"),
    [({}, 1.0), ({"lower": 2.0}, 2.0), ({"upper": 0.5, "lower": -9.0}, 0.5), ({"guess": 7.0, "upper": 5.0}, 5.0)],
)
def test_the_default_guess_is_one_moved_into_the_bounds(bounds: dict[str, float], first: float) -> None:
    watched = Watched(**bounds)
    watched.m.solve()
    assert watched.seen[0] == first


@pytest.mark.parametrize(
    "method", ["auto", "newton", "newton-natural", "trust-region", "pseudo-transient", "bracketing", "broyden"]
)
@pytest.mark.parametrize("lower", [0.5, 3.0 - 1e-9, -10.0])
def test_iterates_stay_inside_the_bounds(method: str, lower: float) -> None:
    """Newton's first step from 0.6 would go to 7.8, beyond the upper bound."""
    watched = Watched(guess=max(0.6, lower), lower=lower, upper=4.0)
    sol = watched.m.solve(method=method)
    assert sol["y"] == pytest.approx(3.0)
    assert min(watched.seen) >= lower
    assert max(watched.seen) <= 4.0


@pytest.mark.parametrize("method", ["fixed-point", "aitken", "anderson", "broyden", "newton-krylov", "homotopy"])
def test_iterates_of_methods_for_explicit_equations_stay_inside_the_bounds(method: str) -> None:
    """Heron's iteration y = (y + 9/y)/2: the first step from 0.6 is 7.8, beyond the upper bound."""
    seen: list[float] = []

    def inverse(y: float) -> float:
        seen.append(float(y))
        return 9.0 / y

    m = adj.Program()
    y = m.unknown("y", guess=0.6, lower=0.5, upper=4.0)
    e = m.external("e", inverse, inputs=[y], jac=lambda y: -9.0 / y**2)
    m.define(y, 0.5 * (y + e))
    assert m.solve(method=method)["y"] == pytest.approx(3.0)
    assert min(seen) >= 0.5
    assert max(seen) <= 4.0


def test_bounds_choose_among_the_roots() -> None:
    for bounds, root in (({"lower": 0.0}, 3.0), ({"upper": 0.0}, -3.0), ({"guess": -1.0}, -3.0)):
        assert Watched(**bounds).m.solve()["y"] == pytest.approx(root)


def test_a_root_outside_the_bounds_is_not_found() -> None:
    with pytest.raises(adj.ConvergenceError) as info:
        Watched(lower=4.0, upper=6.0).m.solve()
    assert info.value.status is adj.Status.AT_BOUND
    assert 4.0 <= info.value.values["y"] <= 6.0


def test_a_root_at_its_bound_is_a_solution() -> None:
    sol = Watched(lower=3.0, guess=5.0).m.solve()
    assert sol["y"] == pytest.approx(3.0)
    assert sol.gradient("y") == pytest.approx({"x": 1 / 6})


def test_an_undefined_guess_takes_the_definition_at_the_others() -> None:
    """y2 has no guess: the search starts at its definition, not at 1."""
    m = adj.Program()
    y1, y2 = m.unknown("y1", guess=5.0), m.unknown("y2")
    m.define(y1, 0.1 * y2 + 4.0)
    m.define(y2, 100.0 + y1)
    (cycle,) = m.plan().blocks
    start = dict(zip((v.name for v in cycle.variables), cycle.guess({}), strict=True))
    assert start == {"y1": 5.0, "y2": 105.0}


# -- warm starts -------------------------------------------------------------------------------------------


def test_from_a_solution_nothing_is_left_to_iterate() -> None:
    m = sellar()
    first = m.solve()
    again = m.solve(start=first)
    assert report(again).iterations <= 1
    assert again["y1"] == pytest.approx(first["y1"], rel=1e-15)
    near = m.solve(z1=5.001, start=first)
    assert report(near).iterations <= report(first).iterations - 1
    assert near["y1"] == pytest.approx(m.solve(z1=5.001)["y1"], rel=1e-13)


def test_starts_by_name_for_some_unknowns() -> None:
    watched = Watched(guess=1.0)
    assert watched.m.solve(start={"y": -2.0})["y"] == pytest.approx(-3.0)
    assert watched.seen[0] == -2.0
    m = sellar()
    assert m.solve(start={"y1": 30.0})["y1"] == pytest.approx(m.solve()["y1"])


def test_a_start_is_moved_into_the_bounds() -> None:
    watched = Watched(lower=0.5, upper=4.0)
    watched.m.solve(start={"y": 100.0})
    assert watched.seen[0] == 4.0


def test_wrong_starts_are_refused() -> None:
    m = sellar()
    for start in ({"y3": 1.0}, {"y1": np.nan}, {"y1": [1.0, 2.0]}, 5.0, [1.0], "y1"):
        with pytest.raises(adj.AdjointError):
            m.solve(start=start)


# -- methods -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        "newton",
        "newton-natural",
        "trust-region",
        "pseudo-transient",
        "homotopy",
        "fixed-point",
        "aitken",
        "anderson",
        "broyden",
        "newton-krylov",
    ],
)
def test_every_method_gives_the_same_verified_solution_and_derivatives(method: str) -> None:
    sol = sellar().solve(method=method)
    assert report(sol).method == method
    assert sol["y1"] == pytest.approx(25.588302369878, rel=1e-10)
    assert sol.gradient("f", wrt="z1") == pytest.approx(9.61001055699, rel=1e-9)
    assert max(map(abs, sol.residuals().values())) < 1e-8


def two_cycles() -> adj.Program:
    m = adj.Program()
    x = m.input("x", 1.0)
    u, v = m.unknown("u"), m.unknown("v")
    m.define(u, np.cos(u) + 0.1 * x)
    m.define(v, 0.5 * np.sin(v) + u)
    return m


def test_methods_by_block_and_by_unknown() -> None:
    m = two_cycles()
    methods = {b.name: b.method for b in m.solve(method={"cycle_1": "bracketing", "v": "anderson"}).blocks}
    assert methods == {"cycle_1": "bracketing", "cycle_2": "anderson"}
    methods = {b.name: b.method for b in m.solve(method={"": "fixed-point", "u": "newton"}).blocks}
    assert methods == {"cycle_1": "newton", "cycle_2": "fixed-point"}
    methods = {b.name: b.method for b in m.solve(method="aitken").blocks}
    assert set(methods.values()) == {"aitken"}


def test_wrong_methods_are_refused_with_what_there_is() -> None:
    m = sellar()
    for method, words in (
        ("newtom", "newton"),
        ({"y1": "newtom"}, "newton"),
        ({"y3": "newton"}, "y1"),
        ({"cycle_7": "newton"}, "cycle_7"),
        (3, "3"),
        (None, "None"),
    ):
        with pytest.raises(adj.AdjointError, match=words):
            m.solve(method=method)


def test_fixed_point_iteration_needs_explicit_equations() -> None:
    m = adj.Program()
    y = m.unknown("y")
    m.constrain(y**3 + y == m.input("x", 1.0))
    with pytest.raises(adj.UnsupportedError, match="newton"):
        m.solve(method="fixed-point")


def test_options_are_checked() -> None:
    m = sellar()
    for options in (
        {"tol": 0.0},
        {"tol": "a"},
        {"tol": -1.0},
        {"max_iterations": 0},
        {"max_iterations": 1.5},
        {"tol": np.nan},
    ):
        with pytest.raises(adj.ModelError):
            m.solve(**options)


def test_the_iteration_limit_holds() -> None:
    with pytest.raises(adj.ConvergenceError) as info:
        sellar().solve(method="fixed-point", max_iterations=2)
    assert info.value.status is adj.Status.ITERATION_LIMIT


# -- verification, failures --------------------------------------------------------------------------------


def test_residuals_are_verified_at_the_end() -> None:
    sol = sellar().solve()
    block = report(sol)
    assert block.status is sol.status is adj.Status.SOLVED
    assert sol.success is True
    assert block.residual <= 1e-10
    assert block.history[0] > 1e-3
    assert block.size == 2
    assert {k: abs(v) < 1e-12 for k, v in sol.residuals().items()} == {"y1": True, "y2": True, "f": True}


def test_a_method_that_claims_success_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every method's end is judged by the residual: a loose iteration raises."""
    m = adj.Program()
    y = m.unknown("y", guess=1.0)
    m.define(y, 0.999999 * y + 1e-6)  # converges too slowly for its changes to tell
    with pytest.raises(adj.ConvergenceError):
        m.solve(method="fixed-point", max_iterations=50, start={"y": 5.0})


def test_no_solution_is_an_error_with_all_that_is_known() -> None:
    m = adj.Program()
    x, y = m.input("x", 1.0), m.unknown("y", guess=2.0)
    a = m.define("a", 2 * x)
    m.constrain(y**2 + a == 0.0, name="impossible")
    m.define("after", y)
    with pytest.raises(adj.ConvergenceError) as info:
        m.solve()
    error = info.value
    assert error.block == "cycle_1"
    assert error.worst[0][0] == "impossible"
    assert error.worst[0][1] >= 2.0
    assert error.values["a"] == 2.0
    assert "y" in error.values
    assert error.history
    assert error.status is not adj.Status.SOLVED
    for word in ("impossible", "cycle_1", "y", error.status.value):
        assert word in str(error)


def test_an_explicit_equation_that_is_not_finite_is_named() -> None:
    m = adj.Program()
    x = m.input("x", [1.0, -2.0])
    m.define("fine", x + 1)
    m.define("root", np.sqrt(x))
    with pytest.raises(adj.EvaluationError, match=r"(?s)root\[1\].*nan.*sqrt\(x\).*-2"):
        m.solve()
    m = adj.Program()
    m.define("inverse", 1 / m.input("x", 0.0))
    with pytest.raises(adj.EvaluationError, match=r"inverse.*inf"):
        m.solve()


def test_a_guess_outside_the_domain_is_told() -> None:
    m = adj.Program()
    y = m.unknown("y", guess=-1.0)
    m.constrain(np.log(y) == 0.5)
    with pytest.raises(adj.ConvergenceError) as info:
        m.solve()
    assert info.value.status is adj.Status.NON_FINITE


def test_no_numpy_warning_escapes() -> None:
    """NaN and overflow on the way are the solver's business."""
    m = adj.Program()
    y = m.unknown("y", guess=50.0)
    m.constrain(np.log(y) + np.exp(y - 40.0) == 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sol = m.solve()
        sol.hessian("y")
    assert sol.residuals()


def fold() -> adj.Program:
    m = adj.Program()
    x, y = m.input("x", 4.0), m.unknown("y", guess=1.0)
    m.constrain(y**2 == x, name="root")
    m.define("f", 3 * y)
    m.define("g", 2 * x)
    return m


def test_a_singular_block_gives_values_with_a_warning_and_no_derivatives() -> None:
    m = fold()
    with pytest.warns(adj.SingularWarning, match="y"):
        sol = m.solve(x=0.0)
    assert sol["y"] == pytest.approx(0.0, abs=1e-4)
    for use in (
        lambda: sol.gradient("f"),
        lambda: sol.jacobian("f"),
        lambda: sol.jvp({"x": 1.0}),
        lambda: sol.vjp({"y": 1.0}),
        lambda: sol.hessian("f"),
        lambda: sol.hvp("f", {"x": 1.0}),
        lambda: sol.multipliers("f"),
        lambda: sol.check_derivatives("f"),
    ):
        with pytest.raises(adj.SingularError) as info:
            use()
        assert info.value.block == "cycle_1"
        assert info.value.equations == ["root"]
        assert info.value.variables == ["y"]
    assert m.solve(x=4.0).gradient("f", wrt="x") == pytest.approx(0.75)


def test_equations_that_repeat_each_other_are_named() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    a, b, c = m.unknown("a"), m.unknown("b"), m.unknown("c")
    m.constrain(a + b == x, name="first")
    m.constrain(2 * a + 2 * b == 2 * x, name="again")
    m.constrain(c**3 + c + 0 * a == a - b, name="other")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            sol = m.solve()
        except (adj.ConvergenceError, adj.SingularError, adj.StructureError) as error:
            assert "again" in str(error) or "SINGULAR" in str(getattr(error, "status", ""))
            return
    with pytest.raises(adj.SingularError) as info:
        sol.gradient("c")
    assert {"first", "again"} <= set(info.value.equations)


# -- shapes at the edge ------------------------------------------------------------------------------------


def test_empty_arrays_through_cycles_and_runs() -> None:
    m = adj.Program()
    x = m.input("x", np.zeros(0))
    y = m.unknown("y", shape=(0,))
    m.constrain(y**3 + y == x, name="nothing")
    z = m.define("z", np.exp(y))
    m.define("f", np.sum(z * z) + 1.0)
    sol = m.solve()
    assert sol["y"].shape == (0,)
    assert sol["f"] == 1.0
    assert sol.gradient("f")["x"].shape == (0,)
    assert sol.jacobian("y", wrt="x").shape == (0, 0)
    assert sol.jacobian("f", wrt="x").shape == (0,)
    assert sol.hessian("f", wrt="x").shape == (0, 0)
    assert sol.hvp("f", {"x": np.zeros(0)})["x"].shape == (0,)
    assert sol.jvp({"x": np.zeros(0)})["z"].shape == (0,)
    assert sol.multipliers("f")["nothing"].shape == (0,)
    assert sol.check_derivatives("f").ok
    assert m.check()


def test_one_element_arrays_keep_their_shape() -> None:
    m = adj.Program()
    x = m.input("x", [4.0])
    y = m.unknown("y", shape=(1, 1), guess=1.0)
    m.constrain(y**2 == x, name="root")
    m.define("f", y[0, 0])
    sol = m.solve(x=9)
    np.testing.assert_allclose(sol["y"], [[3.0]])
    assert sol["x"].shape == (1,)
    assert type(sol["f"]) is float
    assert sol.jacobian("y", wrt="x").shape == (1, 1, 1)
    assert sol.jacobian("f", wrt="x").shape == (1,)
    assert sol.multipliers("f")["root"].shape == (1, 1)
    with pytest.raises(adj.ShapeError):
        m.define(m.unknown("scalar"), x)


def test_programs_without_equations_or_inputs() -> None:
    assert dict(adj.Program().solve()) == {}
    m = adj.Program()
    m.define("c", 3.0)
    sol = m.solve()
    assert (sol["c"], sol.gradient("c"), sol.multipliers("c")) == (3.0, {}, {"c": 1.0})
    m = adj.Program()
    m.input("x", 2.0)
    sol = m.solve()
    assert (sol.gradient("x"), sol.hessian("x", wrt="x")) == ({"x": 1.0}, 0.0)


# -- depth -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_chain_of_a_hundred_thousand_operations_is_solved_and_differentiated() -> None:
    m = adj.Program()
    x = m.input("x", 0.5)
    e: Any = x
    for _ in range(50_000):
        e = np.sin(e) * 0.999
    m.define("y", e)
    sol = m.solve()
    slope = sol.gradient("y", wrt="x")
    assert sol.jacobian("y", wrt="x", mode="forward") == pytest.approx(slope, rel=1e-9)
    assert sol.check_derivatives("y").ok


def test_deep_expressions_and_long_chains_of_equations() -> None:
    """No recursion, and no cost that grows with the square of the length."""
    m = adj.Program()
    x = m.input("x", 0.5)
    e: Any = x
    for _ in range(2000):
        e = np.sin(e) + 0.01 * x
    e = m.define("deep", e)
    for k in range(1000):
        e = m.define(f"v{k}", np.sin(e) + 0.01 * x)
    y = m.unknown("y")
    m.constrain(y**3 + y == e)
    sol = m.solve()
    slope = sol.gradient("y", wrt="x")
    for mode in ("forward", "reverse"):
        assert sol.jacobian("y", wrt="x", mode=mode) == pytest.approx(slope, rel=1e-9)
    both = sol.jacobian(["y", "v5"])
    assert both["y", "x"] == pytest.approx(slope, rel=1e-9)
    assert sol.hvp("y", {"x": 1.0})["x"] == pytest.approx(sol.hessian("y", wrt="x"), rel=1e-9)
    h = 1e-5
    ends = [m.solve(x=0.5 + s * h).gradient("y", wrt="x") for s in (1, -1)]
    assert sol.hessian("y", wrt="x") == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-4)
    assert sol.check_derivatives("y").ok
    assert len(m.graph) == 1003
