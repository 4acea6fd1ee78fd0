"""Where the derivative of a solution does not exist, and where it only looks so."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from adjoint.nonlinear import METHODS, Options, is_singular_at
from adjoint.nonlinear.base import rounding_noise
from tests.nonlinear import problems
from tests.nonlinear.problems import Problem


def verdict(problem: Problem, method: str = "newton", options: Options | None = None) -> tuple[bool, str]:
    outcome = METHODS[method](problem, problem.start, options or Options())
    assert outcome.success
    return is_singular_at(problem, outcome)


def parabola_in_two() -> Problem:
    """x + y = 2, x y = 1: the double root (1, 1), with equations and unknowns of different size."""
    return Problem(
        "parabola in two",
        [3.0, 0.5],
        lambda u: [1e6 * (u[0] + u[1] - 2.0), u[0] * u[1] - 1.0],
        lambda u: [[1e6, 1e6], [u[1], u[0]]],
    )


def triple_root() -> Problem:
    return Problem("triple root", [2.0], lambda u: (u - 1.0) ** 3, lambda u: [[3.0 * (u[0] - 1.0) ** 2]])


@pytest.mark.parametrize(
    "make",
    [
        problems.double_root,
        problems.powell_singular,
        problems.extended_powell,
        problems.rank_deficient,
        triple_root,
    ],
    ids=lambda make: make.__name__,
)
def test_singular(make: Callable[[], Problem]) -> None:
    singular, reason = verdict(make())
    assert singular
    assert "singular" in reason or "fold" in reason


@pytest.mark.parametrize("guess", [1.0, 0.2, 0.39, 0.5])
def test_fold_of_openmdao(guess: float) -> None:
    """ImplCompOneState: solved or not, the derivative is not given; a peer reports +15277 or -29876."""
    problem = problems.fold(guess)
    outcome = METHODS["auto"](problem, problem.start, Options())
    np.testing.assert_allclose(outcome.u, 0.39684581, rtol=1e-6)
    assert not outcome.success or is_singular_at(problem, outcome)[0]


def test_fold_found_only_to_rounding() -> None:
    problem = parabola_in_two()
    outcome = METHODS["auto"](problem, problem.start, Options())
    np.testing.assert_allclose(outcome.u, 1.0, rtol=1e-4)
    assert not outcome.success or is_singular_at(problem, outcome)[0]


@pytest.mark.parametrize("method", ["newton", "broyden", "pseudo-transient"])
@pytest.mark.parametrize("polish", [0, 2])
def test_fold_whatever_the_method(method: str, polish: int) -> None:
    singular, reason = verdict(problems.double_root(), method, Options(polish=polish))
    assert singular
    assert "fold" in reason


@pytest.mark.parametrize(
    "make",
    [
        problems.sellar,
        problems.tanh_loop,
        problems.kepler,
        problems.diode,
        problems.powell_badly_scaled,
        problems.discrete_boundary_value,
        problems.broyden_tridiagonal,
        problems.anomalies,
        problems.eight_equations,
        problems.bounds,
    ],
    ids=lambda make: make.__name__,
)
@pytest.mark.parametrize("polish", [0, 2])
def test_regular(make: Callable[[], Problem], polish: int) -> None:
    assert verdict(make(), "auto", Options(polish=polish)) == (False, "")


def test_cost_at_a_regular_solution() -> None:
    problem = problems.sellar()
    outcome = METHODS["newton"](problem, problem.start, Options())
    problem.calls.update(residual=0, linearize=0, factor=0)
    assert not is_singular_at(problem, outcome)[0]
    assert problem.calls == {"residual": 1, "linearize": 0, "factor": 0}


@pytest.mark.parametrize("distance", [1e-3, 1e-5, 1e-6])
def test_near_a_fold_is_regular(distance: float) -> None:
    """(y - 1)^2 = distance^2 has a derivative at each of its roots, large as it is."""
    problem = Problem(
        "near fold",
        [3.0],
        lambda u: (u - 1.0) ** 2 - distance**2,
        lambda u: [[2.0 * (u[0] - 1.0)]],
    )
    assert verdict(problem) == (False, "")


@pytest.mark.parametrize("condition", [1e6, 1e10, 1e12])
def test_ill_conditioned_is_regular(condition: float) -> None:
    """Linear, and with a square that matters little: ill-conditioned in any scaling."""
    A = np.array([[1.0, 1.0], [1.0, 1.0 + 1.0 / condition]])
    for bend in (0.0, 1e-3 / condition):
        problem = Problem(
            "nearly parallel",
            [1.0, 1.0],
            lambda u, bend=bend: A @ u - [3.0, 3.0] + bend * u * u,
            lambda u, bend=bend: A + np.diag(2.0 * bend * u),
        )
        assert verdict(problem) == (False, "")


def test_bad_units_are_regular() -> None:
    """A condition number of 1e15 or so that is all units."""
    rows, columns = np.array([1e10, 1e-3]), np.array([1e1, 1e-1])
    A = np.array([[2.0, 1.0], [1.0, 3.0]])
    problem = Problem(
        "units",
        columns,
        lambda u: rows * (A @ (u / columns) - [1.0, 5.0]),
        lambda u: rows[:, None] * A / columns,
    )
    assert np.linalg.cond(problem.jac(problem.start)) > 1e14
    assert verdict(problem) == (False, "")


def test_kink_is_not_a_fold() -> None:
    """u + max(u, 0) = 0 and u + |u| / 2 = 0: one-sided derivatives, regular on both sides."""
    for slope in (1.0, 0.0):
        problem = Problem(
            "kink",
            [0.3, 1.0],
            lambda u: [u[0] + max(u[0], 0.0), u[1] + 0.5 * u[0] - 2.0],
            lambda u, slope=slope: [[2.0 if u[0] > 0.0 else 1.0 + slope * (u[0] == 0.0), 0.0], [0.5, 1.0]],
        )
        assert verdict(problem) == (False, "")


def test_rounding_noise_is_that_of_the_terms() -> None:
    for terms in (1.0, 1e3, 1e4, 1e6, 1e8):
        problem = Problem("cancel", [1.5], lambda u, terms=terms: (u + terms) - terms - 1.5, lambda u: [[1.0]])
        noise = rounding_noise(problem, problem.start)[0]
        assert 0.1 * terms < noise / np.finfo(float).eps < 2.0 * terms
