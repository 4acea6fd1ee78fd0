"""Where trajectories start: simulations, points in rows, and what happens where no simulation is possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj

TIMES = np.linspace(0.0, 1.0, 5)


def start_of(m: adj.Program, name: str) -> Any:
    return m.guesses[m[name]]


@pytest.mark.parametrize("method", ["radau3", "gauss4", "trapezoidal", "sdirk2"])
def test_a_simulated_guess_is_the_solution(method: str) -> None:
    m = adj.Program()
    k = m.input("k", 2.0)
    adj.trajectory(m, lambda t, y, u: [-k * y["x"] ** 2], TIMES, {"x": 1.0}, method=method)
    sol = m.solve()
    np.testing.assert_allclose(sol["x at nodes"], start_of(m, "x at nodes"), rtol=1e-9)
    assert all(block.iterations <= 1 for block in sol.blocks if block.kind == "cycle")


def test_a_simulation_takes_definitions_and_guesses() -> None:
    m = adj.Program()
    b = m.define("b", 2 * m.input("a", 2.0))
    T, drift = m.unknown("T", guess=0.5), m.unknown("drift", lower=3.0)
    path = adj.trajectory(
        m, lambda t, y, u: [b + (drift - 3.0)], T * TIMES, {"x": b}, transcription="multiple-shooting"
    )
    np.testing.assert_allclose(start_of(m, "x at segments"), 4.0 + 4.0 * 0.5 * TIMES[1:-1])
    m.constrain(path["x"][-1] == 8.0)
    m.constrain(drift == 3.0 + 0.0 * T)
    assert m.solve()["T"] == pytest.approx(1.0)


def test_a_simulation_cuts_definitions_that_need_each_other() -> None:
    m = adj.Program()
    one, two = m.unknown("one"), m.unknown("two")
    m.define(one, 0.5 * two + 0.5)
    m.define(two, 0.5 * one + 0.5)
    adj.trajectory(m, lambda t, y, u: [one + two], TIMES, {"x": 0.0}, transcription="multiple-shooting")
    np.testing.assert_allclose(start_of(m, "x at segments"), 2.0 * TIMES[1:-1])
    assert m.solve()["x"][-1] == pytest.approx(2.0)


def test_points_in_rows() -> None:
    m = adj.Program()
    T = m.input("T", 4.0)
    guess = {"x": [0.0, 1.0, 0.0], "q": [[1.0, 2.0], [3.0, 2.0]], "z": 5.0}
    adj.trajectory(
        m,
        lambda t, y, u: {"x": y["z"], "q": y["q"], "s": y["x"], "z": y["z"] - y["x"]},
        T * TIMES,
        {"x": 0.0, "q": [1.0, 2.0], "s": 0.25},
        algebraic={"z": 0.0},
        method="backward-euler",
        guess=guess,
    )
    assert start_of(m, "x at nodes")[:, 0].tolist() == [0.5, 1.0, 0.5, 0.0]
    assert start_of(m, "q at nodes")[:, 0].tolist() == [[1.5, 2.0], [2.0, 2.0], [2.5, 2.0], [3.0, 2.0]]
    assert start_of(m, "s at nodes").tolist() == [[0.25]] * 4
    assert start_of(m, "z at nodes").tolist() == [[5.0]] * 4


def test_no_simulation() -> None:
    m = adj.Program()
    with pytest.raises(adj.ModelError, match=r"no guess could be made by simulation.*guess=\{"):
        adj.trajectory(
            m, lambda t, y, u: [y["x"] ** 3], 20 * TIMES, {"x": 10.0}, transcription="multiple-shooting", substeps=4
        )
    with pytest.raises(adj.ModelError, match="no guess could be made by simulation"):
        adj.trajectory(adj.Program(), lambda t, y, u: [np.sqrt(y["x"] - 2.0)], TIMES, {"x": 1.0})
    m = adj.Program()
    x = m.input("x0")
    with pytest.raises(adj.ModelError, match="needs a value of the input 'x0'"):
        adj.trajectory(m, lambda t, y, u: [-y["x"]], TIMES, {"x": x})
    adj.trajectory(m, lambda t, y, u: [-y["x"]], TIMES, {"x": x}, guess={"x": 1.0})
    assert m.solve(x0=2.0)["x"][-1] == pytest.approx(2 * np.exp(-1.0), rel=1e-5)


def test_wrong_guesses() -> None:
    for guess, words in (({"x": np.zeros((2, 2))}, "shape"), ({"x": "high"}, "number"), (3.0, "'simulate', or a dict")):
        with pytest.raises(adj.AdjointError, match=words):
            adj.trajectory(adj.Program(), lambda t, y, u: [-y["x"]], TIMES, {"x": 1.0}, guess=guess)


def test_a_coarse_solution_starts_a_fine_one() -> None:
    def problem(n: int, guess: Any) -> tuple[adj.Problem, int]:
        m = adj.Program()
        u = m.input("u", np.interp(np.linspace(0, 1, n + 1), np.linspace(0, 1, len(guess["u"])), guess["u"]))
        states = {name: rows for name, rows in guess.items() if name != "u"}
        right = lambda t, y, u: {"x": y["v"], "v": u["u"] - y["v"] ** 3}
        start = {"x": 0.0, "v": 0.0}
        path = adj.trajectory(m, right, np.linspace(0, 1, n + 1), start, {"u": u}, guess=states)
        cost = path.integral(lambda t, y, u: u["u"] ** 2)
        return adj.Problem(m, minimize=cost, over=["u"], subject_to={"x end": path["x"][-1] == 1.0})

    solve = {"method": "interior-point", "formulation": "full"}
    coarse = problem(5, {"u": [0.0, 0.0]}).solve(**solve)
    fine = problem(20, {name: coarse.solution[name] for name in ("x", "v", "u")}).solve(**solve)
    cold = problem(20, {"u": [0.0, 0.0]}).solve(**solve)
    assert fine.fun == pytest.approx(cold.fun, rel=1e-7)
    assert fine.nit <= cold.nit
