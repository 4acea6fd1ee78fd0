from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse as sp

import adjoint as adj
from adjoint.report.json_ import dumps, error_data, graph_data, plain, result_data, solution_data
from tests.report.models import arrays, sellar


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (np.float64(1.5), 1.5),
        (np.nan, None),
        (-np.inf, None),
        (np.float32(np.nan), None),
        (np.int32(3), 3),
        (np.bool_(True), True),
        (True, True),
        (None, None),
        (np.array(2.0), 2.0),
        (np.array([[1.0, np.nan], [3.0, 4.0]]), [[1.0, None], [3.0, 4.0]]),
        (np.zeros((0, 2)), []),
        (sp.csr_array(np.eye(2)), [[1.0, 0.0], [0.0, 1.0]]),
        (adj.Status.SOLVED, "SOLVED"),
        ({("f", "x"): 1, 2: (3, {4})}, {"f, x": 1, "2": [3, [4]]}),
        (ValueError("no"), "no"),
    ],
)
def test_plain(value: object, data: object) -> None:
    assert plain(value) == data
    assert type(plain(value)) is type(data)
    assert json.loads(dumps(value)) == data


def test_numbers_come_back_exactly() -> None:
    values = np.random.default_rng(0).normal(size=50) * 10.0 ** np.arange(-25, 25)
    assert json.loads(dumps(values)) == values.tolist()


def test_lists_of_numbers_stay_on_one_line() -> None:
    assert dumps({"a": [1.0, 2.0], "b": [[1], [2]], "c": {}, "d": []}).splitlines() == [
        "{",
        '  "a": [1.0, 2.0],',
        '  "b": [',
        "    [1],",
        "    [2]",
        "  ],",
        '  "c": {},',
        '  "d": []',
        "}",
    ]


def test_names_may_hold_anything() -> None:
    names = {'a "quoted" \\ name': 1, "λ": 2, "two\nlines": 3}
    assert json.loads(dumps(names)) == names


def test_solution() -> None:
    m = sellar()
    sol = m.solve()
    data = json.loads(dumps(solution_data(m, sol)))
    assert data["success"] and data["status"] == "SOLVED" and data["outputs"] == ["f"]
    assert data["inputs"] == ["z1", "z2", "x"]
    assert data["values"] == {name: sol[name] for name in sol}
    assert [b["kind"] for b in data["blocks"]] == ["cycle", "explicit"]
    assert 0 <= data["blocks"][0]["residual"] < 1e-9


def test_arrays_are_nested_lists() -> None:
    m = arrays()
    data = json.loads(dumps(solution_data(m, sol := m.solve())))
    assert data["values"]["T"] == sol["T"].tolist()


def test_result() -> None:
    m = sellar()
    problem = adj.Problem(
        m, maximize="f", over={"z1": (None, 6), "x": (0, 10)}, subject_to={"cap": m["y2"] <= 24}
    )
    data = json.loads(dumps(result_data(problem, result := problem.solve(), "SLSQP")))
    assert data["success"] and data["method"] == "SLSQP"
    assert data["objective"] == {"name": "f", "sense": "maximize", "value": result.fun}
    assert data["variables"]["z1"]["lower"] is None and data["variables"]["z1"]["active"] == "upper"
    assert data["variables"]["z1"]["multiplier"] == pytest.approx(result.multipliers["z1"])
    assert data["constraints"]["cap"]["upper"] == 24 and data["constraints"]["cap"]["active"] == ""
    assert data["values"]["z1"] == 6


def test_graph() -> None:
    m = sellar()
    data = json.loads(dumps(graph_data(m)))
    assert {tuple(e) for e in data["edges"]} == set(m.graph.edges)
    assert {n["name"]: n["block"] for n in data["nodes"]} == {
        **dict.fromkeys(["z1", "z2", "x"]),
        **dict.fromkeys(["y1", "y2"], "cycle_1"),
        "f": "f",
    }
    assert data["blocks"][0]["unknowns"] == ["y1", "y2"]


def test_errors_carry_what_they_know() -> None:
    m = adj.Program()
    x = m.unknown("x")
    m.constrain(x**2 + 1 == 0, "no_root")
    with pytest.raises(adj.ConvergenceError) as caught:
        m.solve()
    data = json.loads(dumps(error_data(caught.value)))
    assert not data["success"]
    assert data["error"]["type"] == "ConvergenceError" and data["error"]["block"] == "cycle_1"
    assert data["error"]["worst"][0][0] == "no_root"
    assert "x" in data["error"]["values"]

    m.constrain(x == 1, "again")
    with pytest.raises(adj.StructureError) as structure:
        m.solve()
    parts = json.loads(dumps(error_data(structure.value)))["error"]["overdetermined"]
    assert parts == [[["no_root", "again"], ["x"]]]
