"""The reactor's two optima against values from 50-digit arithmetic."""

from __future__ import annotations

import cstr
import pytest


@pytest.mark.parametrize(
    ("objective", "sv", "cb", "best"),
    [
        ("cb", 1.343811761064, 1072.437200108632, 1072.437200108632),
        ("ratio", 1.265419964745, 1071.741008939538, 0.151904092661709),
    ],
)
def test_optimum(objective: str, sv: float, cb: float, best: float) -> None:
    result = cstr.problem(objective).solve(method="SLSQP", options={"ftol": 1e-14})
    assert result.success
    assert result.fun == pytest.approx(best, rel=1e-11)
    assert result.solution["sv"] == pytest.approx(sv, rel=1e-5)  # the objective is flat there
    assert result.solution["cb"] == pytest.approx(cb, rel=1e-6)
    assert abs(result.solution.gradient(objective, wrt="sv")) < 1e-4 * best


@pytest.mark.parametrize(("objective", "sv"), [("cb", 1.343811761064), ("ratio", 1.265419964745)])
def test_the_optimum_is_stationary(objective: str, sv: float) -> None:
    sol = cstr.model().solve(sv=sv)
    slope, bend = sol.gradient(objective, wrt="sv"), sol.hessian(objective, wrt="sv")
    assert bend < 0
    assert abs(slope / bend) < 1e-11  # the Newton step to the optimum


def test_mole_balance() -> None:
    sol = cstr.model().solve()
    assert sol["ca"] + sol["cb"] + sol["cc"] + 2 * sol["cd"] == pytest.approx(10_000.0, rel=1e-12)
    assert sol.check_derivatives("ratio")
