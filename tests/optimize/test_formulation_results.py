"""Reduced, full and mixed formulations have the same optimum and the same multipliers by name, on many models."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from tests.models import sellar

EXAMPLES = str(Path(__file__).resolve().parents[2] / "docs" / "examples")
TIGHT = {"tol": 1e-10}


def example(name: str) -> Any:
    """An example script as a module."""
    if EXAMPLES not in sys.path:
        sys.path.insert(0, EXAMPLES)
    return importlib.import_module(name)


def sellar_problem() -> adj.Problem:
    m = sellar()
    over = {"z1": (-10, 10), "z2": (0, 10), "x": (0, 10)}
    return adj.Problem(m, minimize="f", over=over, subject_to={"low": m["y1"] >= 3.16, "high": m["y2"] <= 24.0})


def beam() -> adj.Problem:
    return example("beam").problem(20)  # type: ignore[no-any-return]


def reactor() -> adj.Problem:
    return example("cstr").problem("ratio")  # type: ignore[no-any-return]


def reactor_with_a_limit() -> adj.Problem:
    """The largest concentration of B while that of D is limited."""
    m = example("cstr").model()
    return adj.Problem(m, maximize="cb", over={"sv": (0.1, 20.0)}, subject_to={"pure": m["cd"] / m["cb"] <= 1.67})


def power_flow() -> adj.Problem:
    cases = pytest.importorskip("pypower.api")
    powerflow, matpower = example("powerflow"), example("matpower")
    return powerflow.problem(matpower.from_pypower(cases.case14(), "case14"))  # type: ignore[no-any-return]


PROBLEMS = {
    "sellar": sellar_problem,
    "beam": beam,
    "reactor": reactor,
    "reactor with a limit": reactor_with_a_limit,
    "power flow": power_flow,
}


def formulations(problem: adj.Problem) -> list[Any]:
    """Full; and mixed: the first cycle full, or the first block where there is none; every second block full."""
    given = tuple(v for v in problem.variables if v not in problem.program.inputs)
    blocks = [b.name for b in problem.program.plan(given).analysis.blocks]
    cycle = next((name for name in blocks if name.startswith("cycle")), blocks[0])
    return ["full", {cycle: "full"}, dict.fromkeys(blocks[::2], "full")]


def same(problem: adj.Problem, one: Any, other: Any, what: Any) -> None:
    """The same objective, variables and multipliers, relative to the largest of their kind."""
    assert other.success, other.message
    assert other.fun == pytest.approx(one.fun, rel=1e-8, abs=1e-10), what
    names = [*problem.program.equations, *problem.constraints, *(v.name for v in problem.variables)]
    known = {name: np.asarray(one.multipliers[name]) for name in names}
    for name, expected in known.items():
        found = np.asarray(other.multipliers[name])
        assert found.shape == expected.shape
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        np.testing.assert_allclose(found, expected, atol=1e-6 * scale, rtol=0, err_msg=f"{name}, {what}")
    assert set(other.multipliers) == set(one.multipliers)
    for name, value in one.constraints.items():
        np.testing.assert_allclose(other.constraints[name], value, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(other.x, one.x, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(one.x).max())))


@pytest.mark.parametrize("name", PROBLEMS)
def test_formulations_agree(name: str) -> None:
    problem = PROBLEMS[name]()
    reduced = problem.solve("interior-point", options=TIGHT)
    assert reduced.success, reduced.message
    assert reduced.residuals().largest < 1e-6 * max(1.0, abs(reduced.fun))
    # Deflections of 1e4 are far from their guess, 0: the full space of the beam is entered near the optimum.
    start = {**dict(reduced.solution), "h": 1.02 * reduced.x} if name == "beam" else None
    for formulation in formulations(problem):
        found = problem.solve("interior-point", options=TIGHT, formulation=formulation, start=start)
        same(problem, reduced, found, formulation)
        assert found.residuals().largest < 1e-6 * max(1.0, abs(reduced.fun))


def test_optimal_power_flow(data: Path) -> None:
    """PGLib, 5 buses: the branch flows eliminated, kept, and half of them kept."""
    matpower, opf = example("matpower"), example("opf")
    problem = opf.problem(matpower.read_case(data / "pglib_opf" / "pglib_opf_case5_pjm.m"))
    reduced = problem.solve("interior-point", options=TIGHT)
    assert f"{reduced.fun:.4e}" == "1.7552e+04"
    for formulation in formulations(problem):
        found = problem.solve("interior-point", options=TIGHT, formulation=formulation)
        assert found.success, found.message
        assert found.fun == pytest.approx(reduced.fun, rel=1e-8)
        for name in ("active_balance", "reactive_balance", "P_from", "Q_to"):
            expected = reduced.multipliers[name]
            scale = np.abs(expected).max()
            np.testing.assert_allclose(found.multipliers[name], expected, atol=1e-6 * scale, err_msg=name)


@pytest.mark.parametrize("name", ["sellar", "reactor with a limit"])
def test_scipy_agrees(name: str) -> None:
    """SLSQP in the reduced space has the same optimum and the same multipliers, to its accuracy."""
    problem = PROBLEMS[name]()
    ours, theirs = problem.solve("interior-point", formulation="full"), problem.solve("SLSQP", options={"ftol": 1e-12})
    assert theirs.fun == pytest.approx(ours.fun, rel=1e-7)
    for label in problem.constraints:
        assert theirs.multipliers[label] == pytest.approx(ours.multipliers[label], rel=1e-4, abs=1e-6)
