"""What single methods promise beyond solving: poles, matrix-free systems, turning points, acceleration."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from adjoint.errors import Status
from adjoint.nonlinear import METHODS, Options
from adjoint.nonlinear.base import column_norms, levenberg_step, shifted_step
from tests.nonlinear import problems
from tests.nonlinear.problems import Problem


def solve(method: str, problem: Problem, **options: float) -> object:
    return METHODS[method](problem, problem.start, Options(**options))


# -- bracketing --------------------------------------------------------------------------------------------


def test_bracketing_is_not_fooled_by_a_pole() -> None:
    """Both change sign at the pole 1, where |r / r'| is tiny; one has no root, the other two behind the pole."""
    jac = lambda u: [[-1.0 / (u[0] - 1.0) ** 2 + 0.1]]
    problem = Problem("pole", [0.9], lambda u: 1.0 / (u - 1.0) + 0.02 * (u - 1.0), jac)
    outcome = METHODS["bracketing"](problem, problem.start, Options())
    assert outcome.status is Status.STALLED
    problem = Problem("behind a pole", [0.9], lambda u: 1.0 / (u - 1.0) + 0.1 * u - 2.0, jac)
    outcome = METHODS["bracketing"](problem, problem.start, Options())
    assert outcome.success
    np.testing.assert_allclose(0.1 * outcome.u**2 - 2.1 * outcome.u + 3.0, 0.0, atol=1e-13)


def test_bracketing_creeps_up_to_the_edge_of_the_domain() -> None:
    problem = Problem("log", [1.0], lambda u: np.log(u) + 15.0, lambda u: [[1.0 / u[0]]])
    outcome = METHODS["bracketing"](problem, problem.start, Options())
    np.testing.assert_allclose(outcome.u, np.exp(-15.0), rtol=1e-9)


def test_bracketing_stays_within_the_bounds() -> None:
    seen = []
    problem = Problem(
        "two roots",
        [2.0],
        lambda u: seen.append(float(u[0])) or (u - 1.0) * (u - 4.0),
        lambda u: [[2.0 * u[0] - 5.0]],
        lower=np.array([1.5]),
        upper=np.array([10.0]),
    )
    outcome = METHODS["bracketing"](problem, problem.start, Options())
    np.testing.assert_allclose(outcome.u, 4.0, rtol=1e-14)
    assert min(seen) >= 1.5
    assert max(seen) <= 10.0


# -- newton-krylov -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [problems.sellar, problems.broyden_tridiagonal, problems.grid])
def test_newton_krylov_without_a_matrix(make: type) -> None:
    reference = make()
    expected = METHODS["newton"](reference, reference.start, Options()).u
    problem = make()
    problem.linearize = None
    outcome = METHODS["newton-krylov"](problem, problem.start, Options())
    assert outcome.success
    assert outcome.jacobian is None
    np.testing.assert_allclose(outcome.u, expected, rtol=1e-8)
    # The estimated magnitudes are lower bounds of the true ones, and of their size.
    exact = np.abs(reference.jac(outcome.u)) @ np.maximum(np.abs(outcome.u), 1e-6)
    assert (outcome.scale <= exact * (1.0 + 1e-12)).all()
    assert (outcome.scale >= 0.1 * exact).all()


def test_newton_krylov_factors_nothing() -> None:
    problem = problems.broyden_tridiagonal()
    assert METHODS["newton-krylov"](problem, problem.start, Options()).success
    assert problem.calls["factor"] == 0


# -- homotopy ----------------------------------------------------------------------------------------------


def test_homotopy_passes_turning_points() -> None:
    """u^3 - 3 u = 3 from -1.2: two folds lie between the guess and the only root."""
    problem = Problem(
        "cubic", [-1.2], lambda u: u**3 - 3.0 * u - 3.0, lambda u: [[3.0 * u[0] ** 2 - 3.0]], [2.1038034027]
    )
    seen = METHODS["homotopy"](problem, problem.start, Options())
    assert seen.success
    np.testing.assert_allclose(seen.u, problem.root, rtol=1e-9)
    steps = np.diff([1.0 - h for h in seen.history[1:]])
    assert (steps > 0.0).any()
    assert (steps < 0.0).any()  # t turned back on the way


# -- fixed points ------------------------------------------------------------------------------------------


def test_acceleration_pays() -> None:
    for make in (problems.oscillating, problems.anomalies, problems.kepler):
        sweeps, aitken, anderson = (solve(m, make()) for m in ("fixed-point", "aitken", "anderson"))
        assert aitken.success
        assert anderson.success
        assert max(aitken.iterations, anderson.iterations) < 0.6 * sweeps.iterations


def test_sweeps_that_diverge_say_so() -> None:
    problem = Problem(
        "runaway",
        [2.0],
        lambda u: u - u**2,
        lambda u: [[1.0 - 2.0 * u[0]]],
        gauss_seidel=lambda u: u * u,
    )
    outcome = solve("fixed-point", problem)
    assert outcome.status is Status.DIVERGED
    assert np.isfinite(outcome.u).all()


def test_sweeps_see_one_jacobian() -> None:
    """Only to verify the answer, and without factors."""
    for method in ("fixed-point", "aitken", "anderson"):
        problem = problems.sellar()
        assert solve(method, problem).success
        assert problem.calls == {"residual": 0, "linearize": 1, "factor": 0}


def test_anderson_is_exact_for_linear_maps() -> None:
    """n + 1 images determine an affine map of n unknowns."""
    rng = np.random.default_rng(0)
    A, b = 0.9 * np.linalg.qr(rng.standard_normal((6, 6)))[0], rng.standard_normal(6)
    problem = Problem(
        "affine",
        np.zeros(6),
        lambda u: u - A @ u - b,
        lambda u: np.eye(6) - A,
        gauss_seidel=lambda u: A @ u + b,
    )
    outcome = solve("anderson", problem)
    assert outcome.success
    assert outcome.iterations <= 10


def test_broyden_takes_one_jacobian_where_that_is_enough() -> None:
    problem = problems.broyden_tridiagonal()
    assert solve("broyden", problem, polish=0).success
    assert problem.calls["factor"] <= 3  # the first, one after the first verification, one at the end
    assert problem.calls["linearize"] <= 3


# -- steps -------------------------------------------------------------------------------------------------


def test_dense_and_sparse_steps_agree() -> None:
    rng = np.random.default_rng(3)
    A = rng.standard_normal((8, 8)) * (rng.random((8, 8)) > 0.4)
    A[3] = A[5]  # singular
    r, row, free = rng.standard_normal(8), rng.random(8) + 0.5, rng.random(8) > 0.2
    S = sp.csc_array(A)
    np.testing.assert_allclose(column_norms(S, row), column_norms(A, row))
    for mu in (1e-8, 1e-2):
        for mask in (None, free):
            d = levenberg_step(A, r, row, mu, mask)
            np.testing.assert_allclose(levenberg_step(S, r, row, mu, mask), d, rtol=1e-6, atol=1e-9)
            assert mask is None or not d[~mask].any()
    shift = rng.random(8) + 1.0
    expected = np.linalg.solve(A + np.diag(shift), -r)
    np.testing.assert_allclose(shifted_step(A, shift, r), expected)
    np.testing.assert_allclose(shifted_step(S, shift, r), expected)
    assert np.isnan(shifted_step(np.zeros((2, 2)), np.zeros(2), np.ones(2))).all()
    assert np.isnan(shifted_step(sp.csc_array((2, 2)), np.zeros(2), np.ones(2))).all()


def test_levenberg_step_is_the_minimum() -> None:
    rng = np.random.default_rng(4)
    A, r, row, mu = rng.standard_normal((5, 5)), rng.standard_normal(5), rng.random(5) + 0.5, 0.3
    D = column_norms(A, row)

    def cost(d: np.ndarray) -> float:
        return float(np.square((A @ d + r) / row).sum() + mu * np.square(D * d).sum())

    d = levenberg_step(A, r, row, mu)
    assert all(cost(d) < cost(d + 1e-4 * rng.standard_normal(5)) for _ in range(20))
