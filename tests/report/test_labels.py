"""Names of elements in messages."""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.report.labels import Labels, element_values


def program() -> adj.Program:
    m = adj.Program()
    m.input("x", np.zeros(3))
    m.input("x1", np.zeros(2))
    m.input("A", np.zeros((2, 2)))
    m.input("wing.x", np.zeros(2))
    return m


NAMES = {"x": ["a", "b", "c"], "A": ["p", "q", "r", "s"], "wing.x": ["left", "right"]}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("x[0], x[2]", "a, c"),
        ("max[0] x1[0] xx[1] y[1]", "max[0] x1[0] xx[1] y[1]"),
        ("A[1, 0] of A", "r of A"),
        ("wing.x[1] and x[1]", "right and b"),
        ("x[3] x[-1] x[] x[0, 1] A[0]", "x[3] x[-1] x[] x[0, 1] A[0]"),
        ("d/dx[0]: 1", "d/dx[0]: 1"),
        ("", ""),
    ],
)
def test_text(words: str, expected: str) -> None:
    assert Labels(program(), NAMES).text(words) == expected


def test_names_of_what_the_program_does_not_have_are_left_out() -> None:
    assert Labels(program(), {}).text("x[0]") == "x[0]"
    assert Labels(program(), {"q": ["a"]}).text("q[0] x[0]") == "q[0] x[0]"


def test_data() -> None:
    data = {"x[0]": [1.0, ("x[1]", None)], "n": 3}
    assert Labels(program(), NAMES).data(data) == {"a": [1.0, ("b", None)], "n": 3}


def test_errors_speak_of_names() -> None:
    labels = Labels(program(), NAMES)
    with pytest.raises(adj.ConvergenceError, match="^a stalled") as caught, labels.in_errors():
        raise adj.ConvergenceError("x[0] stalled", worst=[("x[1]", 2.0)])
    assert caught.value.worst == [("b", 2.0)]
    with pytest.raises(adj.StructureError) as structure, labels.in_errors():
        raise adj.StructureError("x[2]", [(["x[0]"], ["A[0, 1]"])], [([], ["x[2]"])])
    assert (structure.value.overdetermined, structure.value.underdetermined) == ([(["a"], ["q"])], [([], ["c"])])
    with pytest.raises(KeyError, match="x"), labels.in_errors():
        raise KeyError("x[0]")


def test_values_by_element() -> None:
    m = adj.Program()
    a, v = m.input("a", 1.0), m.input("v", np.zeros((1, 2)))
    problem = adj.Problem(m, minimize=a + v.sum(), labels={"v": ["left", "right"]})
    assert element_values(problem, {"a": 2.0, "v": [[3.0, 4.0]]}) == {"a": 2.0, "left": 3.0, "right": 4.0}
