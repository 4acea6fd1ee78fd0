"""The command line, called as a function; a few times as a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.backends import get_backend

# A backend that is chosen says nothing of another that is missing.
CHOSEN = {"ADJOINT_BACKEND": get_backend().name}
ROOT = Path(__file__).resolve().parents[1]

SELLAR = """
    import numpy as np
    import adjoint as adj

    def model():
        m = adj.Program("sellar")
        z1, z2, x = m.input("z1", 5.0), m.input("z2", 2.0), m.input("x", 1.0)
        y1, y2 = m.unknown("y1", guess=1.0), m.unknown("y2", guess=1.0)
        m.define(y1, z1**2 + z2 + x - 0.2 * y2)
        m.define(y2, np.sqrt(y1) + z1 + z2)
        m.define("f", x**2 + z2 + y1 + np.exp(-y2))
        return m

    def problem():
        m = model()
        over = {"z1": (-10, 10), "z2": (0, 10), "x": (0, 10)}
        return adj.Problem(m, minimize="f", over=over, subject_to={"low": m["y1"] >= 3.16, "high": m["y2"] <= 24.0})
"""

ARRAYS = """
    import numpy as np
    import adjoint as adj

    m = adj.Program("arrays")
    a = m.input("a", np.arange(4.0))
    B = m.input("B", np.ones((2, 2)))
    y = m.define("y", np.exp(-a))
    m.define("s", (y * y).sum() + (B @ B).sum())
"""

NO_ROOT = """
    import adjoint as adj

    m = adj.Program("no root")
    c = m.input("c", 1.0)
    x = m.unknown("x")
    m.constrain(x**2 + c == 0, "square")
"""

WRONG = """
    import adjoint as adj

    m = adj.Program("wrong")
    x, y, z = m.input("x", 1.0), m.unknown("y"), m.unknown("z")
    m.constrain(y == x, "first")
    m.constrain(y == 2 * x, "second")
"""

# Values of the design document of the library, computed independently in high precision.
Y1, DF = 25.588302369878, {"z1": 9.61001055699, "z2": 1.78448533563, "x": 2.98061391348}


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Writes a model file and gives its path."""

    def write(text: str, name: str = "model.py") -> str:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return str(path)

    return write


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


# -- solve -------------------------------------------------------------------------------------------------


def test_solve(file: Any, run: Any) -> None:
    code, out, err = run("solve", file(SELLAR))
    assert (code, err) == (0, "")
    assert ["cycle_1", "cycle", "2"] in [row[:3] for row in rows(out)]
    assert ["y1", "25.588302"] in rows(out) and ["z1", "5"] in rows(out)


def test_solve_json(file: Any, json_of: Any) -> None:
    found = json_of("solve", file(SELLAR))
    assert found["command"] == "solve" and found["success"] and found["warnings"] == []
    assert found["values"]["y1"] == pytest.approx(Y1, rel=1e-12)
    assert [b["name"] for b in found["blocks"]] == ["cycle_1", "f"]


def test_set(file: Any, json_of: Any) -> None:
    found = json_of("solve", file(SELLAR), "--set", "z1=4", "--set=x=-1e-1")
    assert (found["values"]["z1"], found["values"]["x"], found["values"]["z2"]) == (4.0, -0.1, 2.0)
    y1, y2 = found["values"]["y1"], found["values"]["y2"]
    assert y1 == pytest.approx(16 + 2 - 0.1 - 0.2 * y2, rel=1e-12)
    assert y2 == pytest.approx(np.sqrt(y1) + 6, rel=1e-12)


def test_set_arrays(file: Any, json_of: Any, tmp_path: Path) -> None:
    path = file(ARRAYS)
    assert json_of("solve", path, "--set", "a=1,2,3,4")["values"]["a"] == [1, 2, 3, 4]
    assert json_of("solve", path, "--set", "a=7")["values"]["a"] == [7, 7, 7, 7]
    assert json_of("solve", path, "--set", "B=[[1, 2], [3, 4]]")["values"]["B"] == [[1, 2], [3, 4]]
    np.save(tmp_path / "a.npy", np.arange(4.0) / 3)
    (tmp_path / "a.json").write_text("[0.5, 1, 1.5, 2]")
    (tmp_path / "B.csv").write_text("p,q\n1,2\n3,4\n")
    assert json_of("solve", path, "--set", f"a=@{tmp_path}/a.npy")["values"]["a"] == (np.arange(4.0) / 3).tolist()
    assert json_of("solve", path, "--set", f"a=@{tmp_path}/a.json")["values"]["a"] == [0.5, 1, 1.5, 2]
    assert json_of("solve", path, "--set", f"B=@{tmp_path}/B.csv")["values"]["B"] == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "z11=4"], "--set z11: no input named 'z11'; did you mean 'z1'?"),
        (["--set", "z1"], "expected name=value"),
        (["--set", "z1=four"], "'four' is not a number"),
        (["--set", "z1=1,2"], "shape"),
        (["--set", "z1=inf"], "infinite"),
        (["--set", "y1=4"], "determined by the equations"),
        (["--set", "z1=@none.csv"], "No such file"),
        (["--start", "y11=4"], "no variable named 'y11'; did you mean 'y1'"),
        (["--method", "newtn"], "no method for cycles named 'newtn'; did you mean 'newton'"),
        (["--tol", "-1"], "tol must be"),
        (["--name", "modle"], "no program or problem named 'modle'; did you mean 'model'?"),
    ],
)
def test_wrong_words_end_with_2(file: Any, run: Any, words: list[str], message: str) -> None:
    code, out, err = run("solve", file(SELLAR), *words)
    assert code == 2 and out == ""
    assert message in err and err.startswith("adjoint: ") and "Traceback" not in err


def test_start_and_method(file: Any, json_of: Any) -> None:
    text = NO_ROOT.replace("x**2 + c", "x**2 - c")
    path = file(text)
    assert json_of("solve", path, "--start", "x=-3")["values"]["x"] == pytest.approx(-1)
    assert json_of("solve", path, "--start", "x=3")["values"]["x"] == pytest.approx(1)
    found = json_of("solve", file(SELLAR), "--method", "fixed-point", "--tol", "1e-6")
    assert found["blocks"][0]["method"] == "fixed-point"
    assert found["values"]["y1"] == pytest.approx(Y1, rel=1e-5)


def test_long_tables_are_cut_unless_all_is_asked_for(file: Any, run: Any) -> None:
    path = file("import adjoint as adj\nm = adj.Program()\nfor i in range(100):\n    m.input(f'x{i}', 1.0)\n")
    short, full = run("solve", path)[1], run("solve", path, "--all")[1]
    assert "… 40 more rows" in short and "x99" not in short
    assert "x99" in full and "more rows" not in full


def test_a_problem_alone_is_solved_where_it_starts(file: Any, json_of: Any) -> None:
    path = file(SELLAR.replace("def model", "def _model").replace("m = model()", "m = _model()"))
    assert json_of("solve", path)["values"]["y1"] == pytest.approx(Y1, rel=1e-12)


# -- gradient ----------------------------------------------------------------------------------------------


def test_gradient(file: Any, run: Any, json_of: Any) -> None:
    code, out, err = run("gradient", file(SELLAR))
    assert (code, err) == (0, "") and out.startswith("f = 28.588308")
    assert ["z1", "9.6100106"] in rows(out)
    found = json_of("gradient", file(SELLAR))
    assert found["of"] == "f" and found["gradient"] == pytest.approx(DF, rel=1e-11)
    assert "multipliers" not in found


def test_multipliers(file: Any, run: Any, json_of: Any) -> None:
    found = json_of("gradient", file(SELLAR), "--multipliers")["multipliers"]
    assert found == pytest.approx({"y1": 0.980613913484, "y2": -0.1961285781, "f": 1.0}, rel=1e-8)
    out = run("gradient", file(SELLAR), "--multipliers")[1]
    assert ["equation", "multiplier"] in rows(out) and ["y1", "0.98061391"] in rows(out)


def test_of_and_wrt(file: Any, json_of: Any) -> None:
    found = json_of("gradient", file(SELLAR), "--of", "y1", "--wrt", "x, z1")
    assert list(found["gradient"]) == ["x", "z1"]
    assert found["gradient"]["x"] == pytest.approx(1 / (1 + 0.1 / np.sqrt(Y1)), rel=1e-11)  # by hand
    element = json_of("gradient", file(ARRAYS), "--of", "y[2]")
    assert element["value"] == pytest.approx(np.exp(-2))
    assert element["gradient"]["a"] == pytest.approx([0, 0, -np.exp(-2), 0])
    assert element["gradient"]["B"] == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--of", "g"], "no variable named 'g'"),
        (["--of", "y"], "such as 'y[0]'"),
        (["--of", "y[9]"], "shape (4,)"),
        (["--wrt", "aa"], "no input named 'aa'; did you mean 'a'"),
        (["--wrt", "y"], "determined by the equations"),
    ],
)
def test_wrong_names_in_gradient(file: Any, run: Any, words: list[str], message: str) -> None:
    code, out, err = run("gradient", file(ARRAYS), *words)
    assert code == 2 and out == "" and message in err


def test_several_outputs_are_listed(file: Any, run: Any) -> None:
    text = ARRAYS + "    m.define('t', 2 * y[0])\n"
    code, _, err = run("gradient", file(text))
    assert code == 2 and "choose an output with --of: s, t" in err


def test_functions_are_models(file: Any, run: Any, json_of: Any) -> None:
    path = file(
        """
        import numpy as np
        import adjoint as adj

        @adj.program
        def domke(x, scale=1.0):
            a = np.exp(x)
            b = a**2
            c = a + b
            return scale * (np.exp(c) + np.sin(c))
        """
    )
    assert run("check", path)[0] == 0
    code, _, err = run("gradient", path)
    assert code == 2 and "no value for the argument 'x' of domke: give --set x=" in err
    found = json_of("gradient", path, "--set", "x=0", "--set", "scale=2", "--multipliers")
    assert found["gradient"]["x"] == pytest.approx(2 * 20.918727787151)
    assert found["multipliers"]["domke"] == 1.0


# -- optimize ----------------------------------------------------------------------------------------------


def test_optimize(file: Any, run: Any, json_of: Any) -> None:
    code, out, err = run("optimize", file(SELLAR))
    assert (code, err) == (0, "")
    assert out.startswith("sellar: minimize f by SLSQP")
    found = {row[0]: row for row in rows(out) if row}
    assert found["x"][-2] == "lower" and found["low"][-2] == "lower" and "lower" not in found["z1"]
    d = json_of("optimize", file(SELLAR), "--tol", "1e-10")
    assert d["success"] and d["objective"]["value"] == pytest.approx(3.18339395, abs=1e-7)
    assert d["constraints"]["low"] == {
        "value": pytest.approx(3.16),
        "lower": 3.16,
        "upper": None,
        "active": "lower",
        "multiplier": pytest.approx(0.98684, abs=1e-4),
    }
    assert d["variables"]["z1"]["lower"] == -10


@pytest.mark.parametrize("method", ["trust-constr", "slsqp", "COBYQA"])
def test_optimize_by_other_methods(file: Any, json_of: Any, method: str) -> None:
    d = json_of("optimize", file(SELLAR), "--method", method, "--option", "maxiter=500")
    assert d["objective"]["value"] == pytest.approx(3.18339395, abs=1e-4)
    assert d["method"].lower() == method.lower()
    assert d["variables"]["z2"]["active"] == "lower" and d["constraints"]["high"]["active"] == ""


def test_optimize_a_program(file: Any, json_of: Any) -> None:
    over, limits = "z1=-10:10, z2=0:10, x=0:10", "y1>=3.16, y2<=24"
    d = json_of("optimize", file(SELLAR), "--minimize", "f", "--over", over, "--subject-to", limits)
    assert d["objective"]["value"] == pytest.approx(3.18339395, abs=1e-6)
    assert d["constraints"]["y1 >= 3.16"]["active"] == "lower"
    up = json_of("optimize", file(SELLAR), "--maximize", "f", "--over", "z1=0:2", "--set", "x=3", "--set", "z1=1")
    assert up["objective"]["sense"] == "maximize"
    assert up["values"]["z1"] == 2 and up["values"]["x"] == 3 and up["values"]["z2"] == 2
    assert up["variables"]["z1"]["active"] == "upper" and up["variables"]["z1"]["multiplier"] > 0


def test_other_inputs_can_be_set_in_a_problem(file: Any, json_of: Any) -> None:
    path = file(SELLAR.replace(', "x": (0, 10)}', "}"))
    for x in (0.0, 2.0):
        # y1 = 3.16 and z2 = 0 at the optimum: z1² − 0.2 z1 = 3.16 − x + 0.2 √3.16
        z1 = 0.1 + np.sqrt(0.01 + 3.16 - x + 0.2 * np.sqrt(3.16))
        f = x**2 + 3.16 + np.exp(-np.sqrt(3.16) - z1)
        assert json_of("optimize", path, "--set", f"x={x}")["objective"]["value"] == pytest.approx(f, abs=1e-5)


def test_the_start_is_set(file: Any, json_of: Any) -> None:
    path = file(
        """
        import adjoint as adj
        m = adj.Program()
        x = m.input("x", 1.0)
        m.define("f", (x**2 - 1) ** 2)
        """
    )
    for option in ("--set", "--start"):
        d = json_of("optimize", path, "--minimize", "f", "--over", "x=-3:3", option, "x=-2")
        assert d["values"]["x"] == pytest.approx(-1, abs=1e-3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "SLSPQ"], "no optimization method named 'SLSPQ'; did you mean 'SLSQP'"),
        (["--method", "BFGS"], "takes no constraints"),
        (["--over", "z1"], "go with --minimize"),
        (["--option", "maxiter"], "--option maxiter: expected key=value"),
        (["--set", "z3=1"], "no input named 'z3'"),
        (["--set", "y1=1"], "determined by the equations"),
        (["--start", "zz1=1"], "did you mean 'z1'"),
        (["--minimize", "f", "--over", "z1=1"], "expected name=lower:upper"),
        (["--minimize", "f", "--over", "z1=5:1"], "above its upper bound"),
        (["--minimize", "f", "--over", "y1=0:1"], "defined by an equation"),
        (["--minimize", "ff"], "--minimize ff: no variable named 'ff'; did you mean 'f'"),
        (["--minimize", "f", "--subject-to", "y1>=y2"], "expected 'name >= number'"),
        (["--minimize", "f", "--maximize", "f"], "not allowed with"),
    ],
)
def test_wrong_words_in_optimize(file: Any, run: Any, words: list[str], message: str) -> None:
    code, out, err = run("optimize", file(SELLAR), *words)
    assert code == 2 and out == "" and message in err, err


def test_a_program_alone_needs_an_objective(file: Any, run: Any) -> None:
    code, _, err = run("optimize", file(ARRAYS))
    assert code == 2 and "give --minimize NAME (or --maximize) and --over BOUNDS" in err


def test_what_is_not_optimal_ends_with_1(file: Any, run: Any, json_of: Any) -> None:
    code, out, err = run("optimize", file(SELLAR), "--option", "maxiter=2")
    assert code == 1 and "limit" in out.lower()
    d = json_of("optimize", file(SELLAR), "--option", "maxiter=2", code=1)
    assert not d["success"] and d["variables"]["z1"]["value"] is not None


# -- check -------------------------------------------------------------------------------------------------


def test_check(file: Any, run: Any, json_of: Any) -> None:
    code, out, err = run("check", file(SELLAR))
    assert (code, err) == (0, "") and "every unknown is determined" in out
    d = json_of("check", file(SELLAR))
    assert d["success"] and d["ok"] and d["equations"] == 3 and d["outputs"] == ["f"]
    assert d["blocks"][0]["unknowns"] == ["y1", "y2"]


def test_check_of_a_wrong_structure_ends_with_1(file: Any, run: Any, json_of: Any) -> None:
    code, out, _ = run("check", file(WRONG))
    assert code == 1 and "over-determined" in out and "first, second" in out
    d = json_of("check", file(WRONG), "--derivatives", "y", code=1)
    assert d["overdetermined"] == [[["first", "second"], ["y"]]] and d["underdetermined"] == [[[], ["z"]]]
    assert "derivatives" not in d


def test_check_of_derivatives(file: Any, run: Any, json_of: Any) -> None:
    code, out, _ = run("check", file(SELLAR), "--derivatives", "f", "--set", "z1=4")
    assert code == 0 and "derivatives of f by complex step: agree" in out
    d = json_of("check", file(SELLAR), "--derivatives", "f")
    assert d["derivatives"]["ok"] and d["derivatives"]["error"] < 1e-9


def test_wrong_derivatives_end_with_1(file: Any, run: Any, json_of: Any) -> None:
    path = file(
        """
        import adjoint as adj
        m = adj.Program()
        x = m.input("x", 2.0)
        m.external("cube", lambda x: x**3, inputs=[x], shape=(), jac=lambda x: [2 * x**2])
        """
    )
    code, out, _ = run("check", path, "--derivatives", "cube")
    assert code == 1 and "DIFFER" in out
    assert not json_of("check", path, "--derivatives", "cube", code=1)["success"]


# -- graph -------------------------------------------------------------------------------------------------


def test_graph(file: Any, run: Any, json_of: Any) -> None:
    code, out, err = run("graph", file(SELLAR))
    assert (code, err) == (0, "") and out.startswith('digraph "sellar" {')
    assert '"y1" -> "y2";' in out and '"y2" -> "y1";' in out and "subgraph cluster_1" in out
    d = json_of("graph", file(SELLAR))
    assert ["y2", "y1"] in d["edges"] and d["files"] == []


def test_graph_of_a_function_and_of_arrays(file: Any, run: Any) -> None:
    assert "[2×2]" in run("graph", file(ARRAYS))[1]
    path = file("import adjoint as adj\n@adj.program\ndef twice(x):\n    return 2 * x\n")
    assert '"x" -> "twice";' in run("graph", path)[1]


def test_graph_files(file: Any, run: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    names = [str(tmp_path / n) for n in ("g.dot", "g.svg", "m.png")]
    code, out, _ = run("graph", file(SELLAR), "--output", names[0], "--picture", names[1], "--matrix", names[2])
    assert code == 0
    assert sorted(out.split("\n")[:-1]) == sorted(f"wrote {n}" for n in names)
    assert Path(names[0]).read_text().startswith("digraph")
    assert "svg" in Path(names[1]).read_text()[:400]
    assert Path(names[2]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--output", "none/g.dot", "No such file"),
        ("--picture", "g.xyz", "must end with one of"),
        ("--picture", "none/g.png", "No such file"),
    ],
)
def test_files_that_cannot_be_written(
    file: Any, run: Any, tmp_path: Path, option: str, name: str, message: str
) -> None:
    pytest.importorskip("matplotlib")
    code, out, err = run("graph", file(SELLAR), option, str(tmp_path / name))
    assert code == 2 and out == "" and message in err


def test_pictures_without_matplotlib(file: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for option in ("--picture", "--matrix"):
        code, _, err = run("graph", file(SELLAR), option, str(tmp_path / "g.png"))
        assert code == 2 and "pip install 'adjoint[plot]'" in err
    assert run("graph", file(SELLAR))[0] == 0


def test_graph_of_a_wrong_structure_ends_with_1(file: Any, run: Any) -> None:
    code, out, err = run("graph", file(WRONG))
    assert code == 1 and out == "" and "first, second" in err


# -- failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["solve", "gradient"])
def test_what_does_not_converge_ends_with_1(file: Any, run: Any, json_of: Any, command: str) -> None:
    words = [command, file(NO_ROOT)]
    code, out, err = run(*words)
    assert code == 1 and out == "" and "did not converge" in err and "Traceback" not in err
    d = json_of(*words, code=1)
    assert d["command"] == command and not d["success"]
    assert d["error"]["type"] == "ConvergenceError" and d["error"]["worst"][0][0] == "square"
    assert d["error"]["values"]["c"] == 1.0


def test_a_wrong_structure_ends_with_1(file: Any, run: Any, json_of: Any) -> None:
    code, out, err = run("solve", file(WRONG))
    assert code == 1 and out == "" and "Over-determined part" in err
    assert json_of("solve", file(WRONG), code=1)["error"]["type"] == "StructureError"


def test_nan_ends_with_1(file: Any, run: Any) -> None:
    path = file("import adjoint as adj, numpy as np\nm = adj.Program()\nm.define('y', np.log(m.input('x', -1.0)))\n")
    code, _, err = run("solve", path)
    assert code == 1 and "the equation 'y' gives nan" in err


def test_no_derivative_at_a_singular_point(file: Any, run: Any, json_of: Any) -> None:
    """x³ = p has the solution 0 at p = 0, and no derivative there: a value with a warning, then an error."""
    path = file(
        """
        import adjoint as adj
        m = adj.Program()
        p, x = m.input("p", 0.0), m.unknown("x", guess=0.0)
        m.constrain(x**3 == p, "cube")
        """
    )
    code, _, err = run("solve", path)
    assert code == 0 and err.startswith("adjoint: warning: ") and "singular" in err
    assert run("solve", path, "--quiet") == (0, "", "")
    assert len(json_of("solve", path)["warnings"]) == 1
    d = json_of("gradient", path, "--of", "x", code=1)
    assert d["error"]["type"] == "SingularError" and d["error"]["equations"] == ["cube"]


@pytest.mark.parametrize("flag", [[], ["--json"]])
def test_files_that_do_not_load_end_with_2(file: Any, run: Any, flag: list[str]) -> None:
    path = file("x = 1\ny = = 2\n")
    code, out, err = run("solve", path, *flag)
    assert code == 2 and err.startswith(f"adjoint: {path}:2: SyntaxError: invalid syntax")
    assert "Traceback" not in err
    assert out == "" if not flag else json.loads(out)["error"]["type"] == "UsageError"


def test_debug_shows_the_traceback(file: Any, run: Any) -> None:
    for text, words in ((NO_ROOT, "ConvergenceError"), ("1 / 0\n", "ZeroDivisionError")):
        _, out, err = run("solve", file(text), "--debug")
        assert out == "" and "Traceback (most recent call last)" in err and words in err


def test_errors_of_others_are_one_line_too(file: Any, run: Any) -> None:
    path = file(SELLAR)
    code, _, err = run("optimize", path, "--option", "eps=[1, 2, 3, 4, 5, 6]", "--option", "maxiter=many")
    assert code == 1 and err.startswith("adjoint: ") and "--debug" in err and err.count("\n") < 4


def test_interrupts(file: Any, run: Any) -> None:
    path = file("raise KeyboardInterrupt\n")
    code, out, err = run("solve", path)
    assert code == 130 and out == "" and err == "adjoint: interrupted\n"


# -- what is printed where ---------------------------------------------------------------------------------


def test_quiet_prints_nothing_but_errors(file: Any, run: Any) -> None:
    for command in ("solve", "gradient", "optimize", "check"):
        assert run(command, file(SELLAR), "--quiet") == (0, "", "")
    assert run("solve", file(NO_ROOT), "--quiet")[2] != ""
    assert run("graph", file(SELLAR), "--quiet")[1].startswith("digraph")


def test_what_a_model_prints_goes_to_stderr(file: Any, run: Any, json_of: Any) -> None:
    path = file("print('loading')\n" + textwrap.dedent(ARRAYS))
    code, out, err = run("solve", path)
    assert "loading" in err and "loading" not in out
    assert json_of("gradient", path)["of"] == "s"
    assert run("graph", path)[1].startswith("digraph")


def test_names_of_programs_and_problems(file: Any, run: Any, json_of: Any) -> None:
    path = file(
        """
        import adjoint as adj

        def made(name, factor):
            m = adj.Program(name)
            m.define("y", factor * m.input("x", 3.0))
            return m

        one, two = made("one", 1.0), made("two", 2.0)
        down = adj.Problem(one, minimize="y", over={"x": (-1, 4)})
        up = adj.Problem(two, maximize="y", over={"x": (-1, 4)})
        """
    )
    code, _, err = run("solve", path)
    assert code == 2 and "choose one with --name: one, two" in err
    assert json_of("solve", path, "--name", "two")["values"]["y"] == 6
    assert json_of("solve", f"{path}:one")["values"]["y"] == 3
    code, _, err = run("optimize", path)
    assert code == 2 and "choose one with --name: down, up" in err
    assert json_of("optimize", path, "--name", "up")["objective"]["value"] == pytest.approx(8)
    assert json_of("optimize", f"{path}:one", "--minimize", "y", "--over", "x=0:1")["objective"]["value"] == 0


def test_no_command_version_and_help(run: Any) -> None:
    assert run()[0] == 2
    assert run("--version") == (0, f"adjoint {adj.__version__}\n", "")
    assert run("solve", "--help")[0] == 0
    code, _, err = run("slove", "model.py")
    assert code == 2 and "invalid choice: 'slove'" in err


# -- as a process ------------------------------------------------------------------------------------------


def process(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "adjoint", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, **CHOSEN, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_module_runs(file: Any, tmp_path: Path) -> None:
    file(SELLAR)
    done = process("gradient", "model.py", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["gradient"] == pytest.approx(DF, rel=1e-11)
    assert not (tmp_path / "__pycache__").exists()


def test_the_module_fails_with_its_code(file: Any, tmp_path: Path) -> None:
    file(NO_ROOT)
    done = process("solve", "model.py", folder=tmp_path)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith("adjoint: block")
    done = process("solve", "modle.py", folder=tmp_path)
    assert done.returncode == 2 and "did you mean 'model.py'" in done.stderr


def test_a_terminal_without_unicode(file: Any, tmp_path: Path) -> None:
    file("import adjoint as adj\nm = adj.Program('ünï')\nm.input('λ', [1.0] * 9)\n")
    done = process("solve", "model.py", folder=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "[1, 1, 1, 1, ?]" in done.stdout
    done = process("solve", "model.py", "--json", folder=tmp_path, PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout)["program"] == "ünï"


@pytest.mark.skipif(os.name != "posix", reason="uses a pipe of the shell")
def test_a_closed_pipe_is_no_error(file: Any, tmp_path: Path) -> None:
    file("import adjoint as adj\nm = adj.Program()\nfor i in range(9000):\n    m.input(f'x{i}', 1.0)\n")
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = f'"{sys.executable}" -m adjoint solve model.py --all | head -n 1'
    done = subprocess.run(
        command,
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths, **CHOSEN},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert re.fullmatch(r"program: .*\n", done.stdout) and done.stderr == ""
