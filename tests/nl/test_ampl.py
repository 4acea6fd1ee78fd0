"""The command line of AMPL's solvers: options, answers, and the real Pyomo as the caller."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.__main__ import main
from adjoint.nl.ampl import Request, request, solve_model
from adjoint.nl.answers import CODES, sol_of_result
from adjoint.nl.read import read_model


def written(folder: Path, maximize: bool = False, **options: Any) -> Path:
    """x² + y² (or its negative) on x + y >= 2, with y <= 0.5, which holds with equality at the optimum."""
    m = adj.Program("small")
    x, y = m.input("x", 1.0), m.input("y", 0.2)
    goal = {"maximize": -(x**2) - y**2} if maximize else {"minimize": x**2 + y**2}
    problem = adj.Problem(m, over={"x": (None, None), "y": (None, 0.5)}, subject_to={"sum": x + y >= 2}, **goal)
    problem.write_nl(folder / "small.nl", **options)
    return folder / "small.nl"


# -- options ---------------------------------------------------------------------------------------------------------


def test_options_of_the_command_line_win_over_the_environment(monkeypatch, tmp_path, capsys):
    path = written(tmp_path)
    monkeypatch.setenv("adjoint_options", "max_iter=1 print_level=0")
    assert main([str(path), "-AMPL"]) == 0
    assert adj.read_sol(path.with_suffix(".sol")).code == CODES["iteration_limit"]
    assert main([str(path), "-AMPL", "max_iter=100"]) == 0
    assert adj.read_sol(path.with_suffix(".sol")).code == CODES["optimal"]
    assert "objective 2.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tol=1e-6", Request(tol=1e-6)),
        ("method=SLSQP objno=2", Request(method="SLSQP", objno=2)),
        ("max_iter 20", Request(options={"max_iter": 20})),
        ("mu_strategy='adaptive' relax=yes", Request(relax=True, options={"mu_strategy": "adaptive"})),
        ("", Request()),
    ],
)
def test_request(words, expected):
    assert request(words) == expected
    assert request("", words.split()) == expected


@pytest.mark.parametrize("words", ["tol", "tol=-1", "relax=perhaps", "objno=1.5", "objno=x"])
def test_wrong_words_are_refused(words):
    with pytest.raises(adj.ModelError, match=words.partition("=")[0]):
        request(words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("foo=1", "foo"),
        ("method=interior", "interior-point"),
        ("objno=3", "objno=3"),
        ("formulation=half", "half"),
        ("method=SLSQP formulation=full", "reduced"),
    ],
)
def test_what_cannot_be_done_is_said_on_stderr_and_in_the_file(tmp_path, capsys, words, said):
    path = written(tmp_path)
    assert main([str(path), "-AMPL", *words.split()]) == 1
    assert said in capsys.readouterr().err
    sol = adj.read_sol(path.with_suffix(".sol"))
    assert sol.status == "failed" and said in sol.message and sol.primal is None


def test_no_file(tmp_path, capsys):
    assert main([str(tmp_path / "none"), "-AMPL"]) == 2
    assert "none.nl" in capsys.readouterr().err
    assert not (tmp_path / "none.sol").exists()


def test_version_and_help(capsys):
    assert main(["-v"]) == 0
    assert capsys.readouterr().out == f"adjoint {adj.__version__}\n"
    assert main(["-="]) == 0
    assert "objno" in capsys.readouterr().out


# -- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("stub", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_the_answer(tmp_path, capsys, maximize, stub, binary):
    path = written(tmp_path, maximize, binary=binary)
    assert main([str(path.with_suffix("") if stub else path), "-AMPL", "wantsol=8"]) == 0
    assert capsys.readouterr().out == ""
    sol = adj.read_sol(path.with_suffix(".sol"))
    assert sol.success and sol.status == "solved"
    assert (path.with_suffix(".sol").read_bytes()[4:10] == b"binary") == binary
    model = read_model(path)
    np.testing.assert_allclose(sol.primal[[model.var_names.index(n) for n in "xy"]], [1.5, 0.5], atol=1e-6)
    # f* = (2 - u)^2 + u^2 with u = 0.5 the bound of y: d f*/d rhs = 2 (2 - u), d f*/d u = 4 u - 4
    sign = -1 if maximize else 1
    np.testing.assert_allclose(sol.dual, [3.0 * sign], atol=1e-6)


@pytest.mark.parametrize("maximize", [False, True])
def test_multipliers_of_bounds_are_suffixes(tmp_path, maximize):
    model = read_model(written(tmp_path, maximize))
    sol = solve_model(model, Request())
    assert sol.suffixes == []  # the file does not ask
    model.flags |= 1
    sol = solve_model(model, Request())
    y = model.var_names.index("y")
    expected = 2.0 if maximize else -2.0
    assert sol.suffix("ipopt_zU_out")[y] == pytest.approx(expected, abs=1e-6)
    assert abs(sol.suffix("ipopt_zL_out")).max() < 1e-6


def test_warm_start_from_the_duals_of_the_file(tmp_path):
    model = read_model(written(tmp_path))
    model.flags |= 1
    cold = solve_model(model, Request())
    model.x0, model.dual0 = cold.primal, cold.dual
    for s in cold.suffixes:
        s.name = s.name.replace("_out", "_in")
    model.suffixes = cold.suffixes
    warm = solve_model(model, Request(warm_start_init_point=True))
    assert warm.success
    assert _iterations(warm) < _iterations(cold)


def _iterations(sol: adj.SolFile) -> int:
    return int(sol.message.split()[-2])


def test_no_objective_is_any_feasible_point(tmp_path):
    sol = solve_model(read_model(written(tmp_path)), Request(objno=0))
    assert sol.success and "objective" not in sol.message
    assert sol.primal.sum() >= 2 - 1e-6


@pytest.mark.parametrize("kind", ["var", "con"])
def test_crossed_bounds_are_infeasible(tmp_path, kind):
    model = read_model(written(tmp_path))
    getattr(model, f"{kind}_lower")[0], getattr(model, f"{kind}_upper")[0] = 2.0, 1.0
    sol = solve_model(model, Request())
    assert sol.status == "infeasible" and "2" in sol.message
    assert "sum" in sol.message or kind == "var"


def test_integers_are_refused_unless_relaxed(tmp_path):
    model = read_model(written(tmp_path))
    model.integer[0] = True
    with pytest.raises(adj.UnsupportedError):
        solve_model(model, Request())
    assert solve_model(model, Request(relax=True)).success


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr", "interior-point"])
def test_every_method_gives_an_answer(tmp_path, method):
    sol = solve_model(read_model(written(tmp_path)), Request(method=method, tol=1e-10))
    assert sol.success
    np.testing.assert_allclose(np.sort(sol.primal), [0.5, 1.5], atol=1e-3)
    np.testing.assert_allclose(sol.dual, [3.0], atol=1e-3)


@pytest.mark.parametrize(
    ("goal", "constraint", "status"),
    [
        (lambda x: x, None, "unbounded"),
        (lambda x: x, lambda x: x**2 <= -1, "infeasible"),
        (lambda x: np.log(x), lambda x: x == -1, "failed"),
    ],
)
def test_statuses(tmp_path, goal, constraint, status):
    m = adj.Program("ends")
    x = m.input("x", -1.0)
    rows = {} if constraint is None else {"row": constraint(x)}
    adj.Problem(m, minimize=goal(x), subject_to=rows).write_nl(tmp_path / "ends.nl")
    assert solve_model(read_model(tmp_path / "ends.nl"), Request()).status == status


def test_answer_of_a_result(tmp_path):
    problem = adj.read_nl(written(tmp_path))
    sol = sol_of_result(problem, problem.solve("interior-point"))
    assert sol.success and sol.message.endswith("iterations")


# -- Pyomo -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> str:
    """The command, as a file that Pyomo can run."""
    path = tmp_path_factory.mktemp("bin") / "adjoint"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m adjoint "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


NAMES = "transport portfolio products box decay steering entropy equilibrium lines chain".split()


@pytest.mark.skipif(os.name != "posix", reason="runs a shell script")
@pytest.mark.parametrize("name", NAMES)
def test_pyomo_gets_what_ipopt_finds(program, tmp_path, name):
    pyo = pytest.importorskip("pyomo.environ", reason="the caller")
    from .pyomo_models import MODELS

    model = MODELS[name]()
    model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    solver = pyo.SolverFactory(f"asl:{program}")
    found = solver.solve(model, options={"tol": 1e-9, "wantsol": 1})
    assert found.solver.termination_condition == pyo.TerminationCondition.optimal
    goals = list(model.component_data_objects(pyo.Objective))
    value = pyo.value(goals[0]) if goals else 0.0
    rows = list(model.component_data_objects(pyo.Constraint, active=True))
    duals = np.array([model.dual[c] for c in rows])
    model.write(str(tmp_path / "model.nl"), io_options={"symbolic_solver_labels": True})
    expected, multipliers = ipopt(tmp_path / "model.nl", bool(goals) and goals[0].sense == pyo.maximize)
    order = (tmp_path / "model.row").read_text().split()
    assert value == pytest.approx(expected, rel=1e-6, abs=1e-7)
    by_name = dict(zip(order, multipliers, strict=False))
    np.testing.assert_allclose(duals, [by_name[c.name] for c in rows], rtol=1e-5, atol=1e-5)


def ipopt(path: Path, maximize: bool) -> tuple[float, np.ndarray]:
    """Objective and duals that CasADi's IPOPT finds. Its reader makes maximize minimize, and stumbles over comments."""
    ca = pytest.importorskip("casadi", reason="the reference")
    path.write_text(re.sub(r"\s*#.*", "", path.read_text()))
    builder = ca.NlpBuilder()
    builder.import_nl(str(path))
    sign = -1.0 if maximize else 1.0
    options = {"ipopt": {"print_level": 0, "tol": 1e-10, "sb": "yes"}, "print_time": False}
    nlp = {"x": ca.vcat(builder.x), "f": builder.f, "g": ca.vcat(builder.g)}
    solver = ca.nlpsol("s", "ipopt", nlp, options)
    found = solver(x0=builder.x_init, lbx=builder.x_lb, ubx=builder.x_ub, lbg=builder.g_lb, ubg=builder.g_ub)
    assert solver.stats()["success"]
    return sign * float(found["f"]), -sign * np.array(found["lam_g"]).reshape(-1)
