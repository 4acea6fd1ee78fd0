"""The convergence rule, and how methods begin and end."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from adjoint.errors import Status
from adjoint.nonlinear import Options, natural_scale, scaled_residual
from adjoint.nonlinear.base import evaluate, finish, start
from tests.nonlinear import problems
from tests.nonlinear.problems import Problem


def test_scale_of_dense_and_sparse_matrices_agree() -> None:
    rng = np.random.default_rng(1)
    A = sp.random_array((30, 30), density=0.2, rng=rng, format="csc")
    A.data[::3] *= -1.0
    u = rng.standard_normal(30) * (rng.random(30) > 0.3)
    expected = [sum(abs(a) * max(abs(x), 1e-6) for a, x in zip(row, u, strict=True)) for row in A.toarray()]
    np.testing.assert_allclose(natural_scale(A.toarray(), u), expected, rtol=1e-14)
    np.testing.assert_allclose(natural_scale(A, u), expected, rtol=1e-14)


@given(st.integers(-60, 60), st.integers(-60, 60))
def test_rule_does_not_see_units(row: int, column: int) -> None:
    """Powers of two: not a bit changes."""
    J, u, r = np.array([[3.0, -1.0], [0.5, 2.0]]), np.array([2.0, -3.0]), np.array([1e-9, -1e-12])
    D, E = np.array([1.0, 2.0**row]), np.array([2.0 ** abs(column), 1.0])  # magnitudes above the floor
    assert scaled_residual(D * r, natural_scale(D[:, None] * J / E, E * u)) == scaled_residual(r, natural_scale(J, u))


@pytest.mark.parametrize(
    ("r", "s", "expected"),
    [
        ([0.0, 0.0], [1.0, 2.0], 0.0),
        ([0.0, 1.0], [0.0, 4.0], 0.25),  # nothing left of an equation that is satisfied
        ([1.0], [0.0], 1e300),  # far from solved, but finite
        ([np.nan], [1.0], np.inf),
        ([np.inf], [1.0], np.inf),
        ([0.0, 0.0], [1.0, np.inf], np.inf),  # infinite derivatives verify nothing
        ([0.0, 0.0], [1.0, np.nan], np.inf),
        ([], [], 0.0),
    ],
)
def test_worst_equation(r: list[float], s: list[float], expected: float) -> None:
    with np.errstate(all="ignore"):
        assert scaled_residual(np.array(r), np.array(s)) == expected


def test_finish_applies_the_rule_and_nothing_else() -> None:
    problem = problems.sellar()
    for u, status in ((problem.start, Status.STALLED), (problem.root, Status.SOLVED)):
        point = (u, *evaluate(problem, u))
        outcome = finish(problem, point, None, Status.STALLED, 3, [], "some", Options())
        assert outcome.status is status
        assert outcome.iterations == 3


def test_polish_makes_one_factorization_and_never_worsens() -> None:
    problem = problems.sellar()
    point = (problem.root, *evaluate(problem, problem.root))  # twelve digits
    outcome = finish(problem, point, None, Status.STALLED, 0, [], "some", Options())
    assert problem.calls["factor"] == 1
    assert outcome.scaled < 1e-15 < point[-1]
    plain = finish(problem, point, None, Status.STALLED, 0, [], "some", Options(polish=0))
    assert plain.u is problem.root
    assert plain.factor is not None


def test_start_is_within_bounds_and_off_infinite_derivatives() -> None:
    problem = Problem(
        "root of u",
        [0.0, 7.0],
        lambda u: [np.sqrt(u[0]) - 2.0, u[1] - 1.0],
        lambda u: [[0.5 / np.sqrt(u[0]), 0.0], [0.0, 1.0]],
        lower=np.array([0.0, 0.0]),
        upper=np.array([9.0, 5.0]),
    )
    u, _, J, _, worst = start(problem, problem.start)
    assert 0.0 < u[0] < 1e-3
    assert u[1] == 5.0
    assert np.isfinite(J).all()
    assert worst < np.inf
