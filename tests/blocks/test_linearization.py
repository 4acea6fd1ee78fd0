"""The linear systems of a cycle at its solution: refined to rounding level, or refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

import adjoint as adj
from adjoint.blocks import Linearization
from adjoint.linear import SingularMatrix, make_solver


def matrix(shift: float = 0.0) -> sp.csc_array:
    return sp.csc_array(sp.diags([-1.0, 4.0 + shift, -1.5], [-1, 0, 1], shape=(60, 60)))


def test_factors_of_a_nearby_matrix_serve() -> None:
    A, solver = matrix(), make_solver(matrix(), "superlu")
    linear = Linearization(solver, A, solver.factor(matrix(1e-3)), False)
    b = np.arange(1.0, 61.0)
    np.testing.assert_allclose(A @ linear.solve(b), b, rtol=1e-12)
    np.testing.assert_allclose(A.T @ linear.solve(b, transpose=True), b, rtol=1e-12)
    assert not linear.exact  # no factorization was made for it


def test_factors_of_another_matrix_are_made_anew() -> None:
    A, solver = matrix(), make_solver(matrix(), "superlu")
    linear = Linearization(solver, A, solver.factor(matrix(50.0)), False)
    np.testing.assert_allclose(A @ linear.solve(np.ones(60)), np.ones(60), rtol=1e-12)
    assert linear.exact


def test_an_answer_that_does_not_solve_is_refused() -> None:
    wrong = SimpleNamespace(solve=lambda b, transpose=False: 0.0 * b + 1.0)
    linear = Linearization(SimpleNamespace(factor=lambda A: wrong), matrix(), wrong, False)
    with pytest.raises(SingularMatrix, match="working precision"):
        linear.solve(np.arange(60.0))


def test_a_derivative_by_such_factors_is_a_singular_error(monkeypatch: pytest.MonkeyPatch) -> None:
    m = adj.Program(linear_solver="superlu")
    x = m.input("x", np.ones(60))
    y = m.unknown("y", np.ones(60))
    m.constrain(y + 0.1 * np.roll(y, 1) ** 3 == x, name="balance")
    m.define("f", np.sum(y))
    sol = m.solve()
    wrong = SimpleNamespace(solve=lambda b, transpose=False: 0.0 * b + 1.0)
    monkeypatch.setattr(Linearization, "_refactor", lambda self: setattr(self, "factor", wrong))
    for linear in sol._state.linear.values():
        linear.factor = wrong
    with pytest.raises(adj.SingularError, match="cycle_1"):
        sol.gradient("f")
