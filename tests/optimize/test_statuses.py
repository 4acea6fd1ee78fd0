"""How optimizations end: the right status, and a message with names, on problems of every awkward kind."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.optimize import ipopt_

CASES: dict[str, Case] = {}
# IPOPT refuses more equations than free variables, gives up where the Hessian overflows, and needs long to diverge.
OWN_WAY = {
    "more equations than variables": ("failed",),
    "a constraint twice": ("failed",),
    "a cubic": ("failed",),
    "unbounded in a difference": ("iteration_limit",),
}
OPTIMAL = ("optimal", "acceptable")
# three updates of the multipliers, which contain many iterations of Newton's method, are enough
OTHER_WAY = {("few iterations", "augmented-lagrangian"): OPTIMAL}


@dataclass(frozen=True)
class Case:
    """A problem, the statuses that are right, words that the message must have, and the optimum where there is one."""

    make: Callable[[], adj.Problem]
    status: tuple[str, ...]
    words: tuple[str, ...] = ()
    fun: float | None = None
    x: Any = None
    accuracy: float = 1e-6
    more: dict[str, Any] = field(default_factory=dict)  # further arguments of solve


def case(status: str | tuple[str, ...], *words: str, **more: Any) -> Callable[[Callable[[], Any]], Any]:
    """Enter a function that makes a problem into the table, under its own name."""

    def enter(make: Callable[[], Any]) -> Any:
        statuses = (status,) if isinstance(status, str) else status
        CASES[make.__name__.replace("_", " ")] = Case(make, statuses, words, **more)
        return make

    return enter


def variables(*starts: Any) -> tuple[adj.Program, list[Any]]:
    m = adj.Program()
    return m, [m.input(name, start) for name, start in zip("xyzw", starts, strict=False)]


# -- infeasible ------------------------------------------------------------------------------------------------


@case("infeasible", "far")
def a_row_that_cannot_be_met() -> adj.Problem:
    m, (x, y) = variables(1.0, 1.0)
    return adj.Problem(m, minimize=x + y, subject_to={"circle": x**2 + y**2 <= 1.0, "far": x + y >= 4.0})


@case("infeasible", "apart", "together")
def equalities_that_contradict() -> adj.Problem:
    m, (x, y) = variables(1.0, 1.0)
    return adj.Problem(m, minimize=x**2, subject_to={"together": x + y == 0.0, "apart": x + y == 1.0})


@case("infeasible", "negative square")
def a_square_below_zero() -> adj.Problem:
    m, (x,) = variables(2.0)
    return adj.Problem(m, minimize=x, subject_to={"negative square": x**2 <= -1.0})


@case("infeasible", "cap")
def bounds_against_a_row() -> adj.Problem:
    m, (x, y) = variables(1.0, 1.0)
    return adj.Problem(m, minimize=x, over={"x": (2, 5), "y": (2, 5)}, subject_to={"cap": x + y <= 3.0})


@case("infeasible", "flow[1]")
def one_element_of_an_array() -> adj.Problem:
    m, (x,) = variables(np.ones(3))
    return adj.Problem(m, minimize=np.sum(x**2), over={"x": (0, 1)}, subject_to={"flow": x == [0.5, 2.0, 0.5]})


@case("infeasible", "total")
def fixed_variables_only() -> adj.Problem:
    m, (x, y) = variables(1.0, 2.0)
    return adj.Problem(m, minimize=x, over={"x": (1, 1), "y": (2, 2)}, subject_to={"total": x + y == 5.0})


@case("infeasible", "more")
def more_equations_than_variables() -> adj.Problem:
    m, (x,) = variables(1.0)
    return adj.Problem(m, minimize=x**2, subject_to={"one": x == 1.0, "square": x**2 == 1.0, "more": x == 1.5})


# -- unbounded ---------------------------------------------------------------------------------------------------


@case("unbounded")
def a_line() -> adj.Problem:
    m, (x,) = variables(1.0)
    return adj.Problem(m, minimize=x)


@case("unbounded")
def a_cubic() -> adj.Problem:
    m, (x, y) = variables(-1.0, 0.5)
    return adj.Problem(m, minimize=x**3 + y**2)


@case("unbounded")
def a_maximum_along_a_constraint() -> adj.Problem:
    m, (x, y) = variables(1.0, 1.0)
    return adj.Problem(m, maximize=x + y, subject_to={"ahead": x - y == 0.0})


# -- degenerate, but with an optimum -----------------------------------------------------------------------------


@case(OPTIMAL, fun=0.0, accuracy=1e-3)
def a_point_without_multipliers() -> adj.Problem:
    """x² ≤ 0: the only feasible point has no multipliers (LICQ and Slater's condition fail)."""
    m, (x, y) = variables(1.0, 1.0)
    return adj.Problem(m, minimize=x + y**2, subject_to={"point": x**2 <= 0.0})


@case(OPTIMAL, fun=1.0, accuracy=2e-2)
def a_cusp() -> adj.Problem:
    """Hock & Schittkowski 13: at the optimum (1, 0) the conditions of Karush, Kuhn and Tucker fail."""
    m, (x, y) = variables(-2.0, -2.0)
    f = (x - 2.0) ** 2 + y**2
    return adj.Problem(m, minimize=f, over={"x": (0, None), "y": (0, None)}, subject_to={"cusp": (1 - x) ** 3 >= y})


@case(OPTIMAL, fun=0.5)
def a_constraint_twice() -> adj.Problem:
    m, (x, y) = variables(0.0, 3.0)
    rows = {"line": x + y == 1.0, "again": x + y == 1.0, "scaled": 3 * x + 3 * y == 3.0}
    return adj.Problem(m, minimize=x**2 + y**2, subject_to=rows)


@case(OPTIMAL, fun=0.8)
def rows_that_depend_on_each_other() -> adj.Problem:
    m, (x, y, z) = variables(2.0, 2.0, 2.0)
    rows = {"a": x + y == 2.0, "b": y + z == 2.0, "sum": x + 2 * y + z == 4.0}
    f = (x - y) ** 2 + z**2
    return adj.Problem(m, minimize=f, subject_to=rows)


@case(OPTIMAL, fun=0.0, accuracy=1e-4)
def a_gradient_of_a_row_that_vanishes() -> adj.Problem:
    m, (x, y) = variables(1.0, 1.0)
    return adj.Problem(m, minimize=x**2 + y**2, subject_to={"cross": x * y == 0.0})


@case(OPTIMAL, fun=2.0)
def no_interior() -> adj.Problem:
    """Two inequalities leave a line."""
    m, (x, y) = variables(3.0, 0.0)
    rows = {"below": x + y <= 2.0, "above": x + y >= 2.0}
    return adj.Problem(m, minimize=x**2 + y**2, subject_to=rows)


@case(OPTIMAL, fun=1.0, accuracy=1e-4)
def one_feasible_point() -> adj.Problem:
    """A disk and a half-plane that touch."""
    m, (x, y) = variables(0.2, 0.3)
    rows = {"disk": (x - 2.0) ** 2 + y**2 <= 1.0, "left": x <= 1.0}
    return adj.Problem(m, minimize=x + y**2, subject_to=rows)


@case(OPTIMAL, fun=1.0)
def nothing_left_to_choose() -> adj.Problem:
    m, (x, y) = variables(2.0, 2.0)
    return adj.Problem(m, minimize=x * y, subject_to={"sum": x + y == 2.0, "difference": x - y == 0.0})


@case(OPTIMAL, fun=0.0, x=[1.0, 2.0])
def a_feasibility_problem() -> adj.Problem:
    m, (x, y) = variables(2.0, 3.0)
    return adj.Problem(
        m, minimize=0, subject_to={"a": x + y == 3.0, "b": x * y == 2.0}, over={"x": (0, 1.4), "y": (1.5, 9)}
    )


@case(OPTIMAL, fun=3.0, x=[1.0, 2.0])
def all_variables_fixed() -> adj.Problem:
    m, (x, y) = variables(5.0, 5.0)
    return adj.Problem(m, minimize=x + y, over={"x": (1, 1), "y": (2, 2)}, subject_to={"c": x <= 2.0})


@case(OPTIMAL, fun=5.0, x=[1.0, 2.0])
def one_variable_fixed() -> adj.Problem:
    m, (x, y) = variables(5.0, 5.0)
    return adj.Problem(m, minimize=x**2 + y**2, over={"x": (1, 1), "y": (None, None)}, subject_to={"c": y - x >= 1.0})


@case(OPTIMAL, fun=0.0)
def free_rows() -> adj.Problem:
    m, (x,) = variables(np.array([3.0, 4.0]))
    free = adj.between(np.full(2, -np.inf), np.exp(x), np.full(2, np.inf))
    return adj.Problem(m, minimize=np.sum(x**2), subject_to={"free": free})


@case(OPTIMAL, fun=0.0)
def no_constraints() -> adj.Problem:
    m, (x, y) = variables(-1.2, 1.0)
    return adj.Problem(m, minimize=(1 - x) ** 2 + 100 * (y - x**2) ** 2)


@case(OPTIMAL, fun=0.0)
def an_objective_without_curvature() -> adj.Problem:
    """The Hessian is singular on a whole plane."""
    m, (x,) = variables(np.ones(4))
    return adj.Problem(m, minimize=(np.sum(x) - 2.0) ** 2)


@case(OPTIMAL, fun=-1.0)
def a_gradient_that_vanishes_at_the_start() -> adj.Problem:
    """The start is a saddle: negative curvature leads away from it, or the bounds do."""
    m, (x, y) = variables(0.0, 0.3)
    return adj.Problem(m, minimize=y**2 - x**2, over={"x": (-0.5, 1.0), "y": (-1, 1)})


@case(OPTIMAL, fun=-2.0)
def a_linear_program() -> adj.Problem:
    m, (x,) = variables(np.zeros(3))
    return adj.Problem(
        m, minimize=-x[0] - 2 * x[1] + x[2], over={"x": (0, 1)}, subject_to={"c": x[0] + 2 * x[1] <= 2.0}
    )


@case(OPTIMAL, fun=2.0)
def a_degenerate_vertex() -> adj.Problem:
    """Three rows meet in one point of the plane."""
    m, (x, y) = variables(3.0, 3.0)
    return adj.Problem(m, minimize=x + y, subject_to={"a": x >= 1.0, "b": y >= 1.0, "c": x + y >= 2.0})


@case(OPTIMAL, fun=0.0, accuracy=1e-4)
def complementary_variables() -> adj.Problem:
    """x y ≤ 0 with x, y ≥ 0: no feasible point satisfies the constraint qualification of Mangasarian and Fromovitz."""
    m, (x, y) = variables(1.0, 1.0)
    f = (x - 1.0) ** 2 + y**2
    return adj.Problem(m, minimize=f, over={"x": (0, None), "y": (0, None)}, subject_to={"xy": x * y <= 0.0})


# -- domains and kinks -------------------------------------------------------------------------------------------


@case(OPTIMAL, fun=1.0, x=[1.0])
def nan_outside_a_domain() -> adj.Problem:
    m, (x,) = variables(20.0)
    return adj.Problem(m, minimize=x - np.log(x))


@case(OPTIMAL, fun=0.0)
def a_root_at_its_bound() -> adj.Problem:
    m, (x,) = variables(3.0)
    return adj.Problem(m, minimize=np.sqrt(x) * x, over={"x": (0, None)})


@case("evaluation_error", "objective")
def nan_at_the_start() -> adj.Problem:
    m, (x,) = variables(-1.0)
    return adj.Problem(m, minimize=x - np.log(x))


@case("evaluation_error", "curve")
def a_constraint_without_a_value_at_the_start() -> adj.Problem:
    m, (x, y) = variables(-1.0, 1.0)
    return adj.Problem(m, minimize=x**2 + y**2, subject_to={"curve": np.log(x) + y >= 0.0})


@case("evaluation_error", "cubic")
def an_equation_without_a_solution_at_the_start() -> adj.Problem:
    m, (x,) = variables(-5.0)
    u = m.unknown("u", guess=1.0)
    m.constrain(u**2 == x, name="cubic")
    return adj.Problem(m, minimize=u + x**2)


@case((*OPTIMAL, "stalled", "failed", "restoration_failed"))
def a_kink_at_the_optimum() -> adj.Problem:
    """A method for smooth functions may stop anywhere here, but not with a success that is none."""
    m, (x, y) = variables(1.0, 0.7)
    return adj.Problem(m, minimize=abs(x) + y**2)


@case(OPTIMAL, fun=1.0)
def a_kink_that_is_modelled() -> adj.Problem:
    m, (x, t) = variables(3.0, 9.0)
    return adj.Problem(m, minimize=t + (x - 1.0) ** 2, over=["x", "y"], subject_to={"up": t >= x, "down": t >= 2.0 - x})


# -- scales ------------------------------------------------------------------------------------------------------


@case(OPTIMAL, fun=1e10, accuracy=1e-6)
def huge_numbers() -> adj.Problem:
    m, (x, y) = variables(3e5, -2e5)
    f = 1e10 * ((x / 1e5 - 1.0) ** 2 + (y / 1e5) ** 2) + 1e10
    return adj.Problem(m, minimize=f, subject_to={"c": x + y >= 1e3})


@case(OPTIMAL, fun=0.0, accuracy=1e-8)
def tiny_numbers() -> adj.Problem:
    """The tolerance is absolute where gradients are small: this is flat to it."""
    m, (x,) = variables(0.3)
    return adj.Problem(m, minimize=1e-8 * (0.5 * x**2 - x), over={"x": (-3, 3)}, subject_to={"c": x <= 2.0})


@case(OPTIMAL, fun=2.0)
def rows_of_all_scales() -> adj.Problem:
    m, (x, y) = variables(5.0, 5.0)
    rows = {"large": 1e6 * x + 1e6 * y >= 2e6, "small": 1e-4 * x - 1e-4 * y == 0.0}
    return adj.Problem(m, minimize=x**2 + y**2, subject_to=rows)


# -- what models hold by accident ------------------------------------------------------------------------------------


@case(OPTIMAL, fun=7.0)
def an_objective_of_no_variable() -> adj.Problem:
    m, (x,) = variables(3.0)
    return adj.Problem(m, minimize=0.0 * x + 7.0, subject_to={"c": x**2 <= 4.0})


@case(OPTIMAL, fun=-1.0)
def a_variable_that_nothing_uses() -> adj.Problem:
    m, (x, y) = variables(3.0, 5.0)
    return adj.Problem(m, minimize=x**2 - 2.0 * x, over=[x, y])


@case(OPTIMAL, fun=0.75)
def fifty_rows_alike() -> adj.Problem:
    m, (x, y) = variables(4.0, 4.0)
    rows = {"c": x * np.ones(50) + y >= np.ones(50)}
    return adj.Problem(m, minimize=x**2 + y, over={"x": (0, 9), "y": (0, 9)}, subject_to=rows)


@case(OPTIMAL, fun=3.0)
def two_sides_that_are_equal() -> adj.Problem:
    m, (x, y) = variables(0.0, 0.0)
    return adj.Problem(m, minimize=x + 2.0 * y**2, subject_to={"c": adj.between(3.0, x + y**2, 3.0)})


@case(OPTIMAL, fun=1.0)
def a_box_of_no_width_to_rounding() -> adj.Problem:
    m, (x, y) = variables(0.0, 0.0)
    return adj.Problem(m, minimize=x**2 + y**2, over={"x": (1.0, 1.0 + 1e-13), "y": (-1, 1)})


@case(OPTIMAL, fun=1.0)
def a_start_outside_its_bounds() -> adj.Problem:
    m, (x, y) = variables(-50.0, 80.0)
    return adj.Problem(m, minimize=x + y**2, over={"x": (1, 3), "y": (-2, 5)}, subject_to={"c": x + y >= 0.0})


@case(OPTIMAL, fun=1.0)
def bounds_so_large_that_they_are_none() -> adj.Problem:
    m, (x, y) = variables(5.0, 5.0)
    return adj.Problem(m, minimize=(x - 2.0) ** 2 + y, over={"x": (-1e20, 1e20), "y": (1, 1e30)})


@case("evaluation_error", "objective")
def a_division_by_zero_at_the_start() -> adj.Problem:
    m, (x,) = variables(0.0)
    return adj.Problem(m, minimize=1.0 / x + x)


@case("evaluation_error", "objective")
def an_overflow_at_the_start() -> adj.Problem:
    m, (x,) = variables(1e4)
    return adj.Problem(m, minimize=np.exp(x) - x)


@case("unbounded")
def unbounded_in_a_difference() -> adj.Problem:
    """Hock & Schittkowski 48 with ``x₄ − x₅`` for its square: rows and objective leave a ray."""
    m, (x,) = variables(np.array([3.0, 5.0, -3.0, 2.0, -2.0]))
    f = (x[0] - 1.0) ** 2 + (x[1] - x[2]) ** 2 + x[3] - x[4]
    rows = {"sum": np.sum(x) == 5.0, "tail": x[2] - 2.0 * (x[3] + x[4]) == -3.0}
    return adj.Problem(m, minimize=f, subject_to=rows)


@case(OPTIMAL, fun=2.0, accuracy=1e-5)
def rows_in_huge_units() -> adj.Problem:
    m, (x, y) = variables(4.0, 0.5)
    return adj.Problem(m, minimize=x + y, over={"x": (0, 9), "y": (0, 9)}, subject_to={"c": 1e10 * x * y >= 1e10})


@case("infeasible", "row 7")
def one_of_many_rows() -> adj.Problem:
    m, (x,) = variables(np.zeros(10))
    rows = {f"row {i}": x[i] ** 2 >= 4.0 if i == 7 else x[i] >= 0.5 for i in range(10)}
    return adj.Problem(m, minimize=np.sum(x), over={"x": (-1, 1)}, subject_to=rows)


# -- limits ------------------------------------------------------------------------------------------------------


@case("iteration_limit", "iteration", more={"options": {"max_iter": 3}})
def few_iterations() -> adj.Problem:
    return no_constraints()


@case("iteration_limit", "ring", more={"options": {"max_iter": 1}})
def few_iterations_far_from_feasible() -> adj.Problem:
    m, (x, y) = variables(9.0, 7.0)
    return adj.Problem(m, minimize=x, subject_to={"ring": x**2 + y**2 == 1.0})


@case("time_limit", "time", more={"options": {"max_wall_time": 0.0}})
def no_time() -> adj.Problem:
    return no_constraints()


@case("stopped", "callback", more={"callback": lambda point: True})
def stopped_by_the_callback() -> adj.Problem:
    return no_constraints()


def _stop(point: Any) -> None:
    raise StopIteration


@case("stopped", "callback", more={"callback": _stop})
def stopped_by_an_exception() -> adj.Problem:
    return no_constraints()


# -- the table -----------------------------------------------------------------------------------------------------


def solved(name: str, method: str, **more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # no NaN goes by in silence, no division by zero with noise
        return CASES[name].make().solve(method, **{**CASES[name].more, **more})


def test_there_are_enough() -> None:
    assert len(CASES) >= 30
    assert {s for c in CASES.values() for s in c.status} >= {
        *OPTIMAL,
        "infeasible",
        "unbounded",
        "iteration_limit",
        "time_limit",
        "stopped",
        "evaluation_error",
    }


@pytest.mark.parametrize("method", ["interior-point", "sqp", "augmented-lagrangian"])
@pytest.mark.parametrize("name", CASES)
def test_own_methods(name: str, method: str) -> None:
    expected = CASES[name]
    result = solved(name, method)
    assert result.status in (*expected.status, *OTHER_WAY.get((name, method), ())), result.message
    assert result.success == (result.status in OPTIMAL)
    assert result.message
    for word in expected.words if result.status in expected.status else ():
        assert word in result.message
    if expected.fun is not None:
        assert abs(result.fun - expected.fun) <= expected.accuracy * max(1.0, abs(expected.fun))
    if expected.x is not None:
        np.testing.assert_allclose(result.x, expected.x, rtol=expected.accuracy, atol=expected.accuracy)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.status == OPTIMAL and c.accuracy <= 1e-6])
def test_optima_satisfy_the_conditions(name: str) -> None:
    """Where an optimum has multipliers, the residuals of the optimality conditions are small, unscaled."""
    result = solved(name, "interior-point")
    scale = max(1.0, abs(result.fun))
    assert result.residuals().primal <= 1e-6 * scale and result.residuals().dual <= 1e-5 * scale
    assert result.solution is not None


def test_without_constraints_the_answer_is_not_above_the_start() -> None:
    result = solved("a kink at the optimum", "interior-point")
    assert result.fun <= 1.49
    assert not result.success or result.fun == pytest.approx(0.0, abs=1e-6)


def test_crossed_bounds_are_refused_with_the_name() -> None:
    m, (x, y) = variables(1.0, 1.0)
    with pytest.raises(adj.ModelError, match="lower bound of 'y' is above"):
        adj.Problem(m, minimize=x**2, over={"x": (0, 1), "y": (3, 2)})
    with pytest.raises(adj.ModelError, match="lower bound 3.* above the upper bound 2"):
        adj.Problem(m, minimize=x**2, subject_to={"c": adj.between(3.0, x + y, 2.0)})


def test_rows_without_variables_are_refused() -> None:
    m, (x,) = variables(1.0)
    with pytest.raises(adj.ModelError, match="contains no variable"):
        adj.Problem(m, minimize=x**2, subject_to={"c": 0.0 * x + 1.0 <= 0.0}).solve("sqp")


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.status[0] == "infeasible"])
def test_the_violated_constraints_are_named_worst_first(name: str) -> None:
    result = solved(name, "interior-point")
    assert result.residuals().primal > 1e-3
    sizes = [size for _, size in result.violated]
    assert sizes and sizes == sorted(sizes, reverse=True)


@pytest.mark.skipif(not ipopt_.is_available(), reason="needs cyipopt")
@pytest.mark.parametrize("name", [n for n, c in CASES.items() if not c.more])
def test_ipopt_ends_alike(name: str) -> None:
    """A method of the same kind has the same statuses, through its adapter; it ends some problems in its own way."""
    expected = CASES[name]
    result = solved(name, "ipopt", options={"max_iter": 500})
    allowed = {*expected.status, *OWN_WAY.get(name, ())}
    assert result.status in allowed, result.message
    if result.success and expected.fun is not None and expected.accuracy <= 1e-6:
        assert result.fun == pytest.approx(expected.fun, rel=1e-5, abs=1e-6)
