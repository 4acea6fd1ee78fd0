"""Every method on every problem: what it must solve, it solves; and nothing that it calls solved is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp

from adjoint.errors import Status, UnsupportedError
from adjoint.nonlinear import METHODS, Options, Outcome
from tests.nonlinear import problems
from tests.nonlinear.problems import Problem

TOL = 1e-10
SWEEPS = {"fixed-point", "aitken"}  # for explicit equations only
EVERY = frozenset(METHODS)

# What a method need not solve. The singular problems, and the hills of Brown's and the trigonometric
# function, defeat some methods for good reasons; a sweep and a chord method have no line search.
NEED_NOT: dict[Callable[[], Problem], frozenset[str]] = {
    problems.sellar: frozenset(),
    problems.tanh_loop: frozenset(),
    problems.oscillating: frozenset(),
    problems.diverging_sweep: frozenset({"fixed-point"}),
    problems.grid: frozenset(),
    problems.diode: frozenset({"anderson"}),
    problems.kepler: frozenset(),
    problems.anomalies: frozenset({"fixed-point"}),
    problems.domain: frozenset({"anderson"}),
    problems.bounds: frozenset({"anderson"}),
    problems.eight_equations: frozenset({"newton"}),
    problems.rosenbrock: frozenset({"pseudo-transient"}),
    problems.powell_badly_scaled: frozenset(),
    problems.powell_singular: EVERY - {"auto", "newton", "trust-region", "newton-krylov"},
    problems.extended_powell: EVERY - {"auto", "newton", "trust-region", "newton-krylov"},
    problems.trigonometric: frozenset({"newton-natural", "trust-region", "anderson"}),
    problems.discrete_boundary_value: frozenset(),
    problems.brown_almost_linear: EVERY - {"auto", "trust-region", "broyden", "pseudo-transient"},
    problems.broyden_tridiagonal: frozenset(),
    problems.helical_valley: frozenset({"anderson"}),
    problems.double_root: frozenset({"anderson", "bracketing", "homotopy"}),
    problems.rank_deficient: EVERY - {"auto", "newton", "trust-region", "newton-krylov"},
}
WITHOUT_ROOT = (problems.no_root, problems.no_root_2d, problems.contradiction, problems.parallel_curves)


def applies(method: str, problem: Problem) -> bool:
    """Whether the method takes the problem at all."""
    if method in SWEEPS:
        return problem.gauss_seidel is not None
    return method != "bracketing" or problem.size == 1


def check_verified(problem: Problem, outcome: Outcome) -> None:
    """The convergence rule, computed here from the functions of the problem alone."""
    with np.errstate(all="ignore"):
        r = np.array(problem.fun(outcome.u), dtype=float)
        J = problem.jac(outcome.u)
    J = J.toarray() if sp.issparse(J) else np.array(J, dtype=float)
    s = np.abs(J) @ np.maximum(np.abs(outcome.u), 1e-6)
    assert (np.abs(r) <= TOL * s).all()
    assert outcome.scaled <= TOL
    np.testing.assert_array_equal(outcome.residual, r)
    if problem.lower is not None:
        assert (outcome.u >= problem.lower).all()
    if problem.upper is not None:
        assert (outcome.u <= problem.upper).all()


@pytest.mark.parametrize("make", NEED_NOT, ids=lambda make: make.__name__)
@pytest.mark.parametrize("method", METHODS)
def test_solves(method: str, make: Callable[[], Problem]) -> None:
    problem = make()
    if not applies(method, problem):
        with pytest.raises(UnsupportedError, match=r"use method='newton'"):
            METHODS[method](problem, problem.start, Options())
        return
    outcome = METHODS[method](problem, problem.start, Options())
    assert outcome.success or method in NEED_NOT[make], outcome.status
    assert outcome.success == (outcome.status is Status.SOLVED)
    if outcome.success:
        check_verified(problem, outcome)
    if outcome.success and problem.root is not None:
        # Sweeps and inexact methods stop at the tolerance.
        np.testing.assert_allclose(outcome.u, problem.root, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("make", WITHOUT_ROOT, ids=lambda make: make.__name__)
@pytest.mark.parametrize("method", METHODS)
def test_no_root_is_no_success(method: str, make: Callable[[], Problem]) -> None:
    problem = make()
    if applies(method, problem):
        outcome = METHODS[method](problem, problem.start, Options())
        assert outcome.status not in (Status.SOLVED, Status.NOT_RUN, Status.NON_FINITE)
        assert outcome.scaled > TOL or outcome.status is Status.SINGULAR


@pytest.mark.parametrize("method", METHODS)
def test_guess_outside_the_domain(method: str) -> None:
    problem = Problem(
        "logarithm",
        [-1.0],
        lambda u: np.log(u) - u + 2.0,
        lambda u: [[1.0 / u[0] - 1.0]],
        gauss_seidel=lambda u: np.log(u) + 2.0,
    )
    outcome = METHODS[method](problem, problem.start, Options())
    assert outcome.status is Status.NON_FINITE
    assert outcome.scaled == np.inf


@pytest.mark.parametrize("method", sorted(EVERY - {"auto", "bracketing"}))
def test_iteration_limit(method: str) -> None:
    """Bracketing ends by itself, and the chain has a limit for each method."""
    problem = problems.kepler()
    outcome = METHODS[method](problem, problem.start, Options(max_iterations=1))
    assert outcome.status is Status.ITERATION_LIMIT
    assert outcome.iterations == 1


@pytest.mark.parametrize("method", METHODS)
def test_start_at_the_solution(method: str) -> None:
    problem = problems.kepler()
    u = METHODS["newton"](problem, problem.start, Options()).u
    outcome = METHODS[method](problem, u, Options())
    assert outcome.success
    assert outcome.iterations <= 1
    np.testing.assert_allclose(outcome.u, u, rtol=1e-15)


@pytest.mark.parametrize("method", sorted(EVERY - SWEEPS - {"bracketing"}))
@pytest.mark.parametrize("units", [1e-5, 1e5])
def test_units_do_not_matter(method: str, units: float) -> None:
    """The second unknown and the first equation in other units: the same answer, in those units."""
    plain = problems.sellar((20.0, 10.0))
    column, row = np.array([1.0, units]), np.array([1.0 / units, 1.0])
    scaled = Problem(
        "sellar in other units",
        plain.start / column,
        lambda u: row * plain.fun(column * u),
        lambda u: row[:, None] * np.array(plain.jac(column * u)) * column,
    )
    here, there = (METHODS[method](p, p.start, Options()) for p in (plain, scaled))
    assert here.success
    assert there.success
    np.testing.assert_allclose(column * there.u, here.u, rtol=1e-9)


def test_solution_is_at_rounding_level() -> None:
    """The methods that factor polish their answer."""
    for method in sorted(EVERY - SWEEPS - {"bracketing", "anderson", "newton-krylov"}):
        for make in (problems.tanh_loop, problems.kepler, problems.rosenbrock):
            problem = make()
            outcome = METHODS[method](problem, problem.start, Options())
            if outcome.success:
                np.testing.assert_allclose(outcome.u, problem.root, rtol=1e-14)
                assert outcome.factor is not None
