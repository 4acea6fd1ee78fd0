"""Solving again with other data, from the previous result: nothing is compiled or analyzed a second time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.linear.symmetric import interface

METHODS = ["interior-point", "SLSQP", "trust-constr", "L-BFGS-B", "levenberg-marquardt"]


def beam(n: int = 12, constrained: bool = True) -> adj.Problem:
    """Stiffnesses that bring the deflection under a load near a shape; the load is not moved."""
    m = adj.Program("beam")
    h = m.input("h", np.ones(n))
    load = m.input("load", 1.0)
    w = m.unknown("w", shape=(n,))
    K = 2.5 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    m.constrain(K @ w + 0.3 * h * w**3 == load * np.ones(n), name="balance")
    m.define("f", np.sum((w - 0.6) ** 2) + 0.1 * np.sum((h - 1.0) ** 2))
    rows = {"total": h.sum() <= 1.2 * n} if constrained else ()
    return adj.Problem(m, minimize="f", over={"h": (0.1, 5.0)}, subject_to=rows)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often something was compiled, analyzed, or ordered."""
    counts: Counter[str] = Counter()

    def counted(owner: Any, method: str, what: str) -> None:
        original = getattr(owner, method)

        def call(*args: Any, **kwargs: Any) -> Any:
            counts[what] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, method, call)

    for backend in BACKENDS.values():
        counted(type(backend), "compile", "functions")
    counted(interface.SymmetricPattern, "__init__", "symmetric patterns")
    yield counts


@pytest.mark.parametrize("formulation", ["reduced", "full"])
@pytest.mark.parametrize("method", METHODS)
def test_a_sweep_compiles_nothing_again(method: str, formulation: str, made: Counter[str]) -> None:
    if formulation == "full" and method != "interior-point":
        return
    problem = beam(constrained=method in ("interior-point", "SLSQP", "trust-constr"))
    result, loads = None, np.linspace(1.0, 1.5, 68)
    for load in loads[:60]:  # what is called often is compiled in the first solves
        result = problem.solve(method, values={"load": load}, start=result, formulation=formulation)
        _ = result.solution["w"]
    before = made.copy()
    assert before["functions"] > 0
    for load in loads[60:]:
        result = problem.solve(method, values={"load": load}, start=result, formulation=formulation)
        assert result.success, result.message
        _ = result.solution["w"]
    assert made == before


@pytest.mark.parametrize("method", METHODS)
def test_each_solve_is_that_from_scratch(method: str) -> None:
    constrained = method in ("interior-point", "SLSQP", "trust-constr")
    problem, result = beam(constrained=constrained), None
    for load in (1.0, 1.4, 0.8):
        result = problem.solve(method, values={"load": load}, start=result, tol=1e-9)
        alone = beam(constrained=constrained).solve(method, values={"load": load}, tol=1e-9)
        np.testing.assert_allclose(result.x, alone.x, atol=2e-4)
        assert result.fun == pytest.approx(alone.fun, rel=1e-6, abs=1e-8)
        np.testing.assert_allclose(result.multipliers["balance"], alone.multipliers["balance"], atol=1e-3)
        assert result.residuals().primal < 1e-6


def test_a_previous_result_saves_iterations() -> None:
    problem = beam()
    for formulation in ("reduced", "full"):
        cold = problem.solve("interior-point", values={"load": 1.21}, formulation=formulation)
        previous = problem.solve("interior-point", values={"load": 1.2}, formulation=formulation)
        warm = problem.solve("interior-point", values={"load": 1.21}, start=previous, formulation=formulation)
        assert warm.nit <= cold.nit / 2
        assert warm.fun == pytest.approx(cold.fun, rel=1e-7)


def test_values_are_of_one_solve_only() -> None:
    """The defaults of the program stay, and results keep the values they were solved with."""
    problem = beam()
    first = problem.solve("interior-point")
    other = problem.solve("interior-point", values={"load": 1.5})
    assert problem.solve("interior-point").fun == pytest.approx(first.fun, rel=1e-12)
    assert other.fun != pytest.approx(first.fun, rel=1e-3)
    assert other.solution["load"] == 1.5 and first.solution["load"] == 1.0
    assert other.residuals().largest < 1e-6 and first.residuals().largest < 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_wrong_values_are_named(method: str) -> None:
    problem = beam(constrained=method in ("interior-point", "SLSQP", "trust-constr"))
    with pytest.raises(adj.ModelError, match="'h' is moved by the optimizer"):
        problem.solve(method, values={"h": np.ones(12)})
    with pytest.raises(adj.NameLookupError, match="did you mean 'load'"):
        problem.solve(method, values={"loads": 2.0})
