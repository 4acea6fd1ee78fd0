"""``adjoint check|solve|optimize|graph model.nl``: what is shown, what is written, exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.nl.sol import read_sol
from adjoint.nl.write import write_nl


def written(tmp_path: Path, problem: adj.Problem, name: str = "model.nl", **options: Any) -> str:
    path = tmp_path / name
    write_nl(problem, path, **options)
    return str(path)


def chain(count: int = 5, minimize: Any = 0) -> adj.Problem:
    """A circle and a line, then one equation after the other: x₂ = x₀ + x₁, x₃ = x₂², …"""
    m = adj.Program("chain")
    x = m.input("x", np.linspace(1.0, 2.0, count))
    rows = [x[0] + x[1] - 3.0, x[0] ** 2 + x[1] ** 2 - 5.0, x[2] - x[0] - x[1]]
    rows += [x[k] - np.sqrt(x[k - 1] ** 2 + 1.0) for k in range(3, count)]
    return adj.Problem(m, minimize=minimize, over=["x"], subject_to={"balance": adj.array(rows) == 0})


def singular() -> adj.Problem:
    """Three equations in x₀ and x₁, none in x₂."""
    m = adj.Program("singular")
    x = m.input("x", np.ones(3))
    rows = adj.array([x[0] + x[1] ** 2, x[0] - x[1], x[0] * x[1]])
    return adj.Problem(m, minimize=0, over=["x"], subject_to={"balance": rows == 1.0})


def rosenbrock() -> adj.Problem:
    m = adj.Program("rosenbrock")
    a, b = m.input("a", -1.2), m.input("b", 1.0)
    f = (1 - a) ** 2 + 100 * (b - a**2) ** 2
    return adj.Problem(m, minimize=f, over={"a": (-5, 0.5), "b": (None, None)}, subject_to={"cap": a + b <= 9})


# -- check -------------------------------------------------------------------------------------------------


def test_check_reports_sizes_patterns_and_blocks(tmp_path: Path, run: Any) -> None:
    code, out, err = run("check", written(tmp_path, chain()))
    assert (code, err) == (0, "")
    assert "5 variables, 5 constraints, no objective" in out
    assert "4 nonlinear in constraints, 1 linear" in out and "5 equations" in out
    assert "system: 5 equations for 5 unknowns" in out
    assert "every unknown is determined" in out
    assert "blocks: 4, the largest of 2 equations" in out


def test_check_counts_patterns(tmp_path: Path, json_of: Any) -> None:
    found = json_of("check", written(tmp_path, chain(20)))
    assert found["success"] and found["structure"]["matched"] == 20
    assert found["structure"]["blocks"] == [2] + [1] * 18
    nonlinear = found["expressions"]["constraints"]
    assert nonlinear == 18 and found["patterns"]["constraints"] <= 3


def test_check_names_singular_parts(tmp_path: Path, run: Any, json_of: Any) -> None:
    path = written(tmp_path, singular())
    Path(path).with_suffix(".col").write_text("inflow\noutflow\nleft_out\n")
    Path(path).with_suffix(".row").write_text("first\nsecond\nthird\n")
    names = adj_names(path)
    code, out, _ = run("check", path)
    assert code == 1
    assert "the equations determine 2 of 3 unknowns" in out
    assert "over-determined: 3 equations" in out and "under-determined: 0 equations" in out
    alone = json_of("check", path, code=1)["structure"]["underdetermined"]
    assert alone == [[[], [names[-1]]]]


def adj_names(path: str) -> list[str]:
    """Names of the variables in the order of the file."""
    return Path(path).with_suffix(".col").read_text().split()


def test_check_of_an_optimization_problem(tmp_path: Path, run: Any, json_of: Any) -> None:
    path = written(tmp_path, rosenbrock())
    code, out, _ = run("check", path, "--derivatives", "objective")
    assert code == 0
    assert "minimize" in out and "1 inequality" in out and "degrees of freedom: 2" in out
    assert "derivatives of objective by complex step: agree" in out
    found = json_of("check", path)
    assert found["objective"] == "minimize" and found["variables"]["bounded"] == 1 and not found["is_system"]


# -- solve -------------------------------------------------------------------------------------------------


def test_solve_prints_variables_by_name(tmp_path: Path, run: Any, json_of: Any) -> None:
    path = written(tmp_path, chain())
    code, out, err = run("solve", path)
    assert (code, err) == (0, "")
    names = adj_names(path)
    shown = dict(line.split() for line in out.split("value\n")[1].splitlines())
    assert list(shown) == names
    assert {name: float(value) for name, value in shown.items()} == pytest.approx(solved(names), rel=1e-6)
    found = json_of("solve", path)
    assert found["success"] and found["variables"] == pytest.approx(solved(names))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.col", "model.nl", "model.row"]


def solved(names: list[str]) -> dict[str, float]:
    values = {"x[0]": 1.0, "x[1]": 2.0, "x[2]": 3.0, "x[3]": np.sqrt(10.0), "x[4]": np.sqrt(11.0)}
    return {name: values[name] for name in names}


def test_solve_shows_the_first_rows(tmp_path: Path, run: Any) -> None:
    path = written(tmp_path, chain(100))
    short, full = run("solve", path)[1], run("solve", path, "--all")[1]
    assert "… 40 more rows" in short
    assert full.count("x[") == 100


def test_solve_writes_a_sol_file(tmp_path: Path, run: Any) -> None:
    path, out = written(tmp_path, chain()), tmp_path / "out.sol"
    assert run("solve", path, "--sol", str(out))[0] == 0
    sol = read_sol(out)
    assert (sol.code, sol.n_var, sol.n_con) == (0, 5, 5)
    assert sol.primal is not None and sol.dual is not None
    assert dict(zip(adj_names(path), sol.primal, strict=True)) == pytest.approx(solved(adj_names(path)))
    assert not sol.dual.any()


def test_a_system_without_a_solution(tmp_path: Path, run: Any, json_of: Any) -> None:
    m = adj.Program("none")
    x = m.input("x", [1.0, 2.0])
    rows = adj.array([x[0] ** 2 + x[1] ** 2, x[0] - x[1]])
    problem = adj.Problem(m, minimize=0, subject_to={"rows": rows == [-1.0, 0.0]})
    path, out = written(tmp_path, problem), tmp_path / "out.sol"
    Path(path).with_suffix(".row").write_text("radius\ndiagonal\n")
    code, text, err = run("solve", path, "--sol", str(out))
    assert (code, text) == (1, "")
    assert "did not converge" in err and "radius" in err
    assert read_sol(out).code >= 400
    worst = json_of("solve", path, code=1)["error"]["worst"]
    assert worst[0][0] in ("radius", "diagonal")


def test_what_is_no_system_is_refused(tmp_path: Path, run: Any) -> None:
    code, _, err = run("solve", written(tmp_path, rosenbrock()))
    assert code == 2 and "objective" in err and "adjoint optimize" in err
    m = adj.Program("few")
    x = m.input("x", np.ones(3))
    few = adj.Problem(m, minimize=0, subject_to={"sum": adj.array([x.sum(), x[0] * x[1]]) == 1.0})
    code, _, err = run("solve", written(tmp_path, few, "few.nl"))
    assert code == 1 and "2 scalar equations" in err and "3 unknowns" in err
    limits = adj.Problem(m, minimize=0, subject_to={"low": x >= 1.0})
    code, _, err = run("solve", written(tmp_path, limits, "limits.nl", names=False))
    assert code == 2 and "3 inequality constraints (constraints[0], constraints[1], constraints[2])" in err
    code, _, err = run("solve", written(tmp_path, singular(), "singular.nl"))
    assert code == 1 and "Under-determined part" in err and "x[2]" in err


def test_python_files_with_a_feasibility_problem(tmp_path: Path, run: Any) -> None:
    words = """
import adjoint as adj
def problem():
    m = adj.Program("circle")
    x = m.input("x", [0.0, 4.0])
    rows = adj.array([x[0] + x[1] - 3, x[0] ** 2 + x[1] ** 2 - 5])
    return adj.Problem(m, minimize=0, subject_to={"rows": rows == 0}, labels={"x": ["left", "right"]})
"""
    path = tmp_path / "circle.py"
    path.write_text(words)
    code, out, _ = run("solve", str(path))
    assert code == 0
    assert [line.split() for line in out.splitlines()[-2:]] == [["left", "1"], ["right", "2"]]
    assert run("solve", str(path), "--sol", "out.sol")[0] == 2


# -- optimize ----------------------------------------------------------------------------------------------


def test_optimize(tmp_path: Path, run: Any, json_of: Any) -> None:
    path, out = written(tmp_path, rosenbrock()), tmp_path / "out.sol"
    code, text, _ = run("optimize", path, "--method", "SLSQP", "--option", "ftol=1e-12", "--sol", str(out))
    assert code == 0
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert rows["a"][1] == "0.5" and float(rows["b"][1]) == pytest.approx(0.25, rel=1e-5)
    assert rows["a"][-2] == "upper" and "cap" in rows
    sol = read_sol(out)
    assert sol.code == 0 and sol.primal == pytest.approx([0.5, 0.25], rel=1e-5)
    assert sol.dual == pytest.approx([0.0], abs=1e-6)
    found = json_of("optimize", path, "--method", "trust-constr")
    assert found["objective"]["value"] == pytest.approx(0.25, rel=1e-3)


def test_a_stopped_optimizer_says_so_in_the_sol_file(tmp_path: Path, run: Any) -> None:
    path, out = written(tmp_path, rosenbrock()), tmp_path / "out.sol"
    assert run("optimize", path, "--option", "maxiter=2", "--sol", str(out))[0] == 1
    assert read_sol(out).code == 400


# -- graph, and files that do not load ---------------------------------------------------------------------


def test_graph(tmp_path: Path, run: Any) -> None:
    code, out, _ = run("graph", written(tmp_path, rosenbrock()))
    assert code == 0
    assert out.startswith("digraph") and '"x" -> "objective";' in out


def test_files_that_do_not_load(tmp_path: Path, run: Any) -> None:
    path = Path(written(tmp_path, chain()))
    assert run("check", str(tmp_path / "modle.nl"))[2] == (
        f"adjoint: {tmp_path / 'modle.nl'}: no such file; did you mean 'model.nl'?\n"
    )
    (tmp_path / "cut.nl").write_bytes(path.read_bytes()[:300])
    code, _, err = run("solve", str(tmp_path / "cut.nl"))
    assert code == 2 and "cut.nl" in err and "line" in err
    code, _, err = run("solve", str(path), "--name", "chain")
    assert code == 2 and "--name" in err
    code, _, err = run("optimize", str(path), "--objective", "cost")
    assert code == 2 and "cost" in err


def test_integer_variables_are_relaxed_on_request(tmp_path: Path, run: Any) -> None:
    lines = [
        "g3 1 1 0\t# problem round",
        " 2 1 1 0 1",
        " 0 1",
        " 0 0",
        " 0 1 0",
        " 0 0 0 1",
        " 0 1 0 0 0",
        " 2 0",
        " 0 0",
    ]
    lines += [" 0 0 0 0 0", "C0", "n0", "O0 0", "o5", "v0", "n2", "x1", "0 1", "r", "4 1.5", "b", "3", "3", "k1", "1"]
    path = tmp_path / "round.nl"
    path.write_text("\n".join([*lines, "J0 2", "0 1", "1 1", ""]))
    code, _, err = run("optimize", str(path))
    assert code == 2 and "integer" in err
    code, out, err = run("check", str(path), "--relax")
    assert code == 0, err
    assert "relaxed:" in out
