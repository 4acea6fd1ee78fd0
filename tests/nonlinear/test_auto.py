"""The chain of methods."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from adjoint.errors import Status
from adjoint.nonlinear import METHODS, Options, solve_auto
from tests.nonlinear import problems
from tests.nonlinear.problems import Problem


def test_names() -> None:
    assert set(METHODS) == {
        "newton",
        "newton-natural",
        "trust-region",
        "pseudo-transient",
        "fixed-point",
        "aitken",
        "anderson",
        "broyden",
        "bracketing",
        "newton-krylov",
        "homotopy",
        "auto",
    }


def test_first_success_ends_the_chain() -> None:
    problem = problems.sellar()
    outcome = solve_auto(problem, problem.start)
    assert outcome.method == "newton"
    assert [(a.method, a.status) for a in outcome.attempts] == [("newton", Status.SOLVED)]


def test_later_methods_help() -> None:
    problem = problems.brown_almost_linear()
    outcome = solve_auto(problem, problem.start)
    assert outcome.success
    methods = [a.method for a in outcome.attempts]
    assert methods[0] == "newton"
    assert methods[-1] == outcome.method != "newton"
    assert all(a.status is not Status.SOLVED and a.scaled > 1e-10 for a in outcome.attempts[:-1])


def test_all_fail() -> None:
    problem = problems.no_root_2d()
    outcome = solve_auto(problem, problem.start)
    methods = [a.method for a in outcome.attempts]
    assert methods == ["newton", "newton-natural", "trust-region", "pseudo-transient", "homotopy"]
    assert outcome.status is outcome.attempts[0].status is Status.STALLED
    assert outcome.scaled == min(a.scaled for a in outcome.attempts)
    assert sum(a.iterations for a in outcome.attempts) <= 3.5 * Options().max_iterations


def test_one_unknown_is_bracketed() -> None:
    """A plateau at both ends: Newton's method would take long, the change of sign is found."""
    problem = Problem(
        "plateau",
        [12.0],
        lambda u: np.tanh(3.0 * (u - 1.0)) + 1e-9 * (u - 1.0),
        lambda u: [[3.0 / np.cosh(3.0 * (u[0] - 1.0)) ** 2 + 1e-9]],
    )
    assert not METHODS["newton"](problem, problem.start, Options(max_iterations=2)).success
    outcome = solve_auto(problem, problem.start, Options(max_iterations=2))
    assert outcome.method == "bracketing"
    np.testing.assert_allclose(outcome.u, 1.0, rtol=1e-14)


def test_domain_error_ends_the_chain() -> None:
    problem = Problem("log", [-1.0, 1.0], lambda u: np.log(u), lambda u: np.diag(1.0 / u))
    outcome = solve_auto(problem, problem.start)
    assert outcome.status is Status.NON_FINITE
    assert len(outcome.attempts) == 1


def test_solved_components_are_kept() -> None:
    """Fifty easy equations beside one that Newton's method cannot do: the others are not solved again."""
    brown = problems.brown_almost_linear()
    n = brown.size

    def fun(u: np.ndarray) -> np.ndarray:
        return np.concatenate([brown.fun(u[:n]), u[n:] ** 3 - 8.0])

    def jac(u: np.ndarray) -> sp.csc_array:
        return sp.csc_array(sp.block_diag([np.array(brown.jac(u[:n])), np.diag(3.0 * u[n:] ** 2)]))

    labels = np.concatenate([np.zeros(n, dtype=int), np.arange(1, 51)])
    problem = Problem("mixed", np.concatenate([brown.start, np.full(50, 9.0)]), fun, jac, components=labels)
    outcome = solve_auto(problem, problem.start)
    assert outcome.success
    np.testing.assert_allclose(outcome.u[n:], 2.0, rtol=1e-13)
