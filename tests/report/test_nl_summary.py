"""Reports on ``.nl`` files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import adjoint as adj
from adjoint.nl.build import read_nl
from adjoint.nl.write import write_nl
from adjoint.report.nl_summary import NLSummary, summary


def again(problem: adj.Problem, tmp_path: Path) -> NLSummary:
    """The report on a problem that was written and read."""
    path = tmp_path / "model.nl"
    write_nl(problem, path)
    return summary(read_nl(path))


def test_kinds_are_counted(tmp_path: Path) -> None:
    m = adj.Program("kinds")
    x = m.input("x", np.ones(6))
    limits = ([0.0, -np.inf, 2.0, -np.inf, -np.inf, 0.0], [1.0, 5.0, 2.0, np.inf, np.inf, np.inf])
    rows = adj.array([x[0] * x[1] + x[4], x[2] + x[3], x[1] ** 2 - x[5], x[0] + x[4]])
    rows_between = adj.between([1.0, -np.inf, 0.0, 2.0], rows, [1.0, 4.0, 3.0, 2.0])
    problem = adj.Problem(m, maximize=x[1] ** 2 + x[3], over={"x": limits}, subject_to={"rows": rows_between})
    about = again(problem, tmp_path)
    assert about.ok and about.objective == "maximize" and not about.is_system
    assert about.variables == {
        "total": 6,
        "nonlinear in constraints and objectives": 1,
        "nonlinear in constraints": 1,
        "nonlinear in objectives": 0,
        "linear": 4,
        "integer": 0,
        "fixed": 1,
        "bounded": 3,
        "free": 2,
        "defined": 0,
    }
    assert about.constraints["total"] == 4 and about.constraints["nonlinear"] == 2
    assert [about.constraints[k] for k in ("equations", "inequalities", "ranges", "free")] == [2, 1, 1, 0]
    assert about.nonzeros == {"constraints": 9, "objectives": 2}
    assert (about.expressions["constraints"], about.expressions["objectives"]) == (2, 1)
    text = str(about)
    assert "6 variables, 4 constraints, maximize" in text and "1 range" in text and "degrees of freedom: 3" in text


def test_too_many_equations_are_wrong_in_an_optimization_problem(tmp_path: Path) -> None:
    m = adj.Program()
    x = m.input("x", np.ones(3))
    rows = adj.array([x[0] + x[1], x[0] - x[1], x[0] * x[1]])
    about = again(adj.Problem(m, minimize=(x**2).sum(), subject_to={"rows": rows == 1.0}), tmp_path)
    assert not about.ok
    assert "over-determined: 3 equations" in str(about) and "under-determined" not in str(about)
    assert about.data["success"] is False


def test_equations_of_one_pattern(tmp_path: Path) -> None:
    m = adj.Program("chain")
    x = m.input("x", np.ones(40))
    rows = adj.array([x[k] ** 3 + np.exp(x[k]) * x[(k + 1) % 40] - k for k in range(40)])
    about = again(adj.Problem(m, minimize=0, subject_to={"rows": rows == 0.0}), tmp_path)
    assert about.is_system and about.ok and about.structure.blocks == [40]
    assert about.expressions["constraints"] == 40
    assert about.patterns["constraints"] <= 3
    assert f"40 nonlinear expressions of constraints in {about.patterns['constraints']} pattern" in str(about)


def test_files_of_the_collections(data: Path) -> None:
    """Reports on all square files: each is a system that the structure allows."""
    folder = data / "nl" / "cute"
    for name, blocks in (("gottfr", [2]), ("cbratu2d", [882]), ("booth", [2]), ("argtrig", [100])):
        about = summary(read_nl(folder / f"{name}.nl"))
        assert about.is_system and about.ok and about.structure.blocks == blocks
    cbratu = summary(read_nl(folder / "cbratu2d.nl"))
    assert cbratu.expressions["constraints"] == 882 and cbratu.patterns["constraints"] == 2
