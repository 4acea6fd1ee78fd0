"""Newton's method: its cost, its line search, components, bounds and singular points."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from adjoint.errors import Status
from adjoint.nonlinear import Options, is_singular_at
from adjoint.nonlinear.newton import solve_newton
from tests.nonlinear import problems
from tests.nonlinear.problems import Problem


def test_cost_of_a_well_behaved_solve() -> None:
    """A linearize and a factorization for each iteration, a linearize to see that it ended, no residual."""
    for make in (problems.sellar, problems.kepler, problems.broyden_tridiagonal):
        problem = make()
        outcome = solve_newton(problem, problem.start, Options(polish=0))
        assert outcome.success
        assert problem.calls["factor"] == outcome.iterations
        assert problem.calls["linearize"] == outcome.iterations + 1
        assert problem.calls["residual"] == 0
        assert outcome.factor is not None


def test_converged_at_the_guess() -> None:
    problem = problems.kepler()
    u = solve_newton(problem, problem.start).u
    problem.calls.update(linearize=0, factor=0)
    outcome = solve_newton(problem, u)
    assert outcome.iterations == 0
    assert problem.calls == {"residual": 0, "linearize": 1, "factor": 1}
    np.testing.assert_allclose(outcome.factor.solve(np.ones(1)), 1.0 / outcome.jacobian[0], rtol=1e-14)


def test_quadratic_convergence() -> None:
    problem = problems.discrete_boundary_value()
    outcome = solve_newton(problem, problem.start)
    exponents = np.log10(outcome.history)
    assert outcome.iterations == 3
    assert exponents[2] < 1.7 * exponents[1]
    assert exponents[3] < -15.0


def test_published_roots() -> None:
    """The test problems of OpenModelica (nlsTestPackage), from their start values."""
    problem = problems.two_point_boundary_value()
    outcome = solve_newton(problem, problem.start)
    np.testing.assert_allclose(outcome.u[49], -0.119613695822, rtol=1e-10)
    problem = problems.trigonometric([0.05] * 7 + [0.2, 0.15, 0.13])
    outcome = solve_newton(problem, problem.start)
    np.testing.assert_allclose(outcome.u[[0, 7]], [0.047911947304, 0.186397001384], rtol=1e-10)
    problem = problems.powell_badly_scaled()
    outcome = solve_newton(problem, np.array([10.0, 0.0]))
    np.testing.assert_allclose(np.sort(outcome.u), np.sort(problem.root), rtol=1e-10)


def test_components_do_not_slow_each_other() -> None:
    """A thousand Kepler equations take the iterations of the worst of them, and each its own answer."""
    problem = problems.anomalies()
    outcome = solve_newton(problem, problem.start)
    alone = 0
    for k in range(0, problem.size, 37):
        M, e = problem.start[k], 0.5 + 0.49 * np.sin(k) ** 2
        single = Problem(
            "one",
            [M],
            lambda u, M=M, e=e: u - e * np.sin(u) - M,
            lambda u, e=e: [[1.0 - e * np.cos(u[0])]],
        )
        here = solve_newton(single, single.start)
        alone = max(alone, here.iterations)
        np.testing.assert_allclose(outcome.u[k], here.u[0], rtol=1e-13)
    assert outcome.iterations <= alone + 2


def test_components_that_fail_leave_the_others_solved() -> None:
    """x^2 + 1 = 0 beside x^2 - 4 = 0: the second is solved, the first is not, and the outcome says so."""
    signs = np.array([1.0, -4.0, -9.0])
    problem = Problem(
        "three parabolas",
        [0.7, 100.0, 1.0],
        lambda u: u * u + signs,
        lambda u: sp.csc_array(sp.diags_array(2.0 * u)),
        components=np.arange(3),
    )
    outcome = solve_newton(problem, problem.start)
    assert not outcome.success
    np.testing.assert_allclose(outcome.u[1:], [2.0, 3.0], rtol=1e-10)


def test_one_step_length_for_each_component() -> None:
    """atan(u) = 0 from 1.2 converges with full steps, from 20 it needs short ones: both, in one solve."""
    start = np.array([1.2, 20.0])

    def solve(components: np.ndarray | None) -> tuple[Problem, list[np.ndarray]]:
        seen = []

        def jac(u: np.ndarray) -> np.ndarray:
            seen.append(u.copy())
            return np.diag(1.0 / (1.0 + u * u))

        problem = Problem("atan", start, np.arctan, jac, components=components)
        seen.clear()
        assert solve_newton(problem, start).success
        return problem, seen

    _, apart = solve(np.array([0, 1]))
    full = 1.2 - np.arctan(1.2) * (1.0 + 1.2**2)
    assert any(u[0] == full and abs(u[1]) < 20.0 for u in apart)
    _, together = solve(None)
    assert not any(u[0] == full and abs(u[1]) < 20.0 for u in together)


def test_step_shortened_by_the_domain() -> None:
    problem = problems.domain()
    full = problem.start - np.linalg.solve(*reversed([np.array(x) for x in problem.linearize(problem.start)]))
    assert not np.isfinite(problem.residual(full)).all()
    outcome = solve_newton(problem, problem.start)
    assert outcome.success
    assert np.isfinite(outcome.history).all()


def test_guess_where_the_derivative_is_infinite() -> None:
    """sqrt at 0: finite, with an infinite derivative; the bound at 0 is where the first steps end, too."""
    problem = Problem(
        "square root",
        [0.0],
        lambda u: np.sqrt(u) + 0.5 * u - 2.0,
        lambda u: [[0.5 / np.sqrt(u[0]) + 0.5]],
        lower=np.zeros(1),
    )
    for guess in (0.0, 1e-12, 300.0):
        outcome = solve_newton(problem, np.array([guess]))
        assert outcome.success
        np.testing.assert_allclose(outcome.u, (np.sqrt(5.0) - 1.0) ** 2, rtol=1e-14)


def test_singular_at_the_guess() -> None:
    """u^2 = 4 from 0, where the derivative vanishes and no direction is downhill."""
    problem = Problem("parabola", [0.0], lambda u: u * u - 4.0, lambda u: [[2.0 * u[0]]])
    outcome = solve_newton(problem, problem.start)
    np.testing.assert_allclose(np.abs(outcome.u), 2.0, rtol=1e-14)


@pytest.mark.parametrize("matrix", [np.array, sp.csc_array])
def test_rank_deficient_and_consistent(matrix: type) -> None:
    A = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    problem = Problem("dependent", [1.0, 2.0, 3.0], lambda u: A @ u, lambda u: matrix(A))
    outcome = solve_newton(problem, problem.start)
    assert outcome.success
    np.testing.assert_allclose(A @ outcome.u, 0.0, atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_rank_deficient_up_to_rounding(seed: int) -> None:
    """The last equation is a sum of two others, so that elimination leaves a pivot of rounding errors, or 0."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((6, 6))
    A[5] = A[0] + A[1]
    b = A @ rng.standard_normal(6)
    for contradiction in (0.0, 1.0):
        c = b + contradiction * np.eye(6)[5]
        problem = Problem("dependent", rng.standard_normal(6), lambda u, c=c: A @ u - c, lambda u: A)
        outcome = solve_newton(problem, problem.start)
        if contradiction:
            assert outcome.status is Status.SINGULAR
        else:
            assert outcome.success
            assert is_singular_at(problem, outcome)[0]


def test_rank_deficient_and_inconsistent() -> None:
    A = np.array([[1.0, 1.0], [1.0, 1.0]])
    problem = Problem("contradiction", [3.0, 2.0], lambda u: A @ u - [1.0, 2.0], lambda u: A)
    outcome = solve_newton(problem, problem.start)
    assert outcome.status is Status.SINGULAR


def test_held_by_a_bound() -> None:
    problem = Problem("out of reach", [1.0], lambda u: u - 3.0, lambda u: [[1.0]], upper=np.array([2.0]))
    outcome = solve_newton(problem, problem.start)
    assert outcome.status is Status.AT_BOUND
    assert outcome.u == 2.0


def test_slides_along_a_bound() -> None:
    """The first steps end at the bound of one unknown; the other goes on, and both get to the root inside."""
    problem = Problem(
        "valley",
        [0.9, -3.0],
        lambda u: [u[0] - 0.2 * u[1] ** 2, u[1] + 0.1 * u[0] - 1.0],
        lambda u: [[1.0, -0.4 * u[1]], [0.1, 1.0]],
        lower=np.array([0.0, -4.0]),
        upper=np.array([1.0, 4.0]),
    )
    assert solve_newton(problem, problem.start).success


def test_stalled_at_a_fold_or_on_a_hill() -> None:
    """A fold whose residual does not reach zero in floating point is told from a hill of the residual."""
    fold = problems.fold()
    shifted = Problem("fold, a bit too high", [1.0], lambda u: np.add(fold.fun(u), 1e-16), fold.jac)
    assert solve_newton(shifted, shifted.start).status in (Status.SINGULAR, Status.SOLVED)
    hill = Problem("hill", [1.0], lambda u: np.add(fold.fun(u), 1e-3), fold.jac)
    assert solve_newton(hill, hill.start).status is Status.STALLED
