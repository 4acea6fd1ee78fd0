from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.report.arguments import UsageError
from adjoint.report.requests import made_problem, objective, options, require_names, set_inputs
from tests.report.models import arrays, sellar


def test_objectives() -> None:
    m = sellar()
    sol = m.solve()
    assert objective(m, sol, None) == ("f", "f", sol["f"])
    assert objective(m, sol, "y1") == ("y1", "y1", sol["y1"])


def test_elements_of_arrays() -> None:
    m = arrays()
    sol = m.solve()
    label, weights, value = objective(m, sol, "T[-2]")
    assert label == "T[-2]" and value == sol["T"][-2]
    assert weights["T"].tolist() == [0, 0, 0, 0, 1, 0]
    n = adj.Program()
    n.define("A", n.input("x", np.arange(6.0).reshape(2, 3)) * 2)
    assert objective(n, n.solve(), "A[1, 2]")[2] == 10.0


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("g", "no variable named 'g'"),
        ("T", r"it has shape \(6,\); a gradient is of one number, such as 'T\[0\]'"),
        ("T[6]", r"'T' has shape \(6,\)"),
        ("T[1,2]", r"'T' has shape \(6,\)"),
        ("mean[0]", r"'mean' has shape \(\)"),
    ],
)
def test_objectives_that_are_none(asked: str, words: str) -> None:
    m = arrays()
    with pytest.raises(UsageError, match=words):
        objective(m, m.solve(), asked)


def test_parts_of_matrices_are_none() -> None:
    m = adj.Program()
    m.define("A", m.input("x", np.ones((2, 3))) * 2)
    with pytest.raises(UsageError, match="one index for each axis"):
        objective(m, m.solve(), "A[1]")


def test_several_outputs_are_listed() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    m.define("a", 2 * x)
    m.define("b", 3 * x)
    with pytest.raises(UsageError, match="choose an output with --of: a, b"):
        objective(m, m.solve(), None)


def test_problems() -> None:
    p = made_problem(sellar(), "minimize", "f", ["z1=-10:10,z2=0:10", "x=0:10"], ["y1>=3.16, y2<=24"])
    result = p.solve(method="SLSQP")
    assert result.fun == pytest.approx(3.18339395, abs=1e-6)  # the published optimum
    assert list(result.constraints) == ["y1 >= 3.16", "y2 <= 24"]
    assert made_problem(sellar(), "maximize", "f", ["z1=0:1"]).maximize


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("minimize", "g", ["z1"]), "--minimize g: no variable named 'g'"),
        (("minimize", "f", ["z11"]), "--over z11: no variable named 'z11'; did you mean 'z1'"),
        (("minimize", "f", ["z1"], ["y3<=1"]), "--subject-to y3: no variable named 'y3'"),
    ],
)
def test_names_are_looked_up(arguments: tuple[object, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        made_problem(sellar(), *arguments)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="--set z11: no input named 'z11'; did you mean 'z1'"):
        require_names(sellar(), ["z1", "z11"])


def test_inputs_are_set_and_spread() -> None:
    m = arrays()
    set_inputs(m, {"k": 2})
    assert m.inputs[m["k"]].tolist() == [2.0] * 6
    with pytest.raises(adj.ShapeError, match=r"--set k: got shape \(2,\), expected \(6,\)"):
        set_inputs(m, {"k": [1, 2]})
    with pytest.raises(UsageError, match="--set T: it is determined by the equations"):
        set_inputs(m, {"T": 1})


def test_options() -> None:
    assert options(["maxiter=200", "a=b=c", "disp=False"]) == {"maxiter": 200, "a": "b=c", "disp": False}
    for text in ("maxiter", "=3"):
        with pytest.raises(UsageError, match="--option"):
            options([text])
