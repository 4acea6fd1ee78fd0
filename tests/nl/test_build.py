"""Programs made from files: what is in them, what they are worth, and what is refused."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

import adjoint as adj
from adjoint.backends import BACKENDS as ALL_BACKENDS
from adjoint.nl.build import read_nl
from adjoint.walk import topological
from benchmarks._nl_models import MODELS
from tests.nl.compare import assert_equal
from tests.nl.files import nl, written

BACKENDS = sorted(ALL_BACKENDS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rosenbrock_by_hand(tmp_path: Path, backend: str) -> None:
    """f = 100 (x₁ − x₀²)² + (1 − x₀)², c = x₀ x₁ + 3 x₁ + 2"""
    f = "o0 o2 n100 o5 o1 v1 o5 v0 n2 n2 o5 o1 n1 v0 n2"
    text = nl(2, ["o0 o2 v0 v1 n2"], [f], rows={0: {0: 0.0, 1: 3.0}}, x0=[-1.2, 1.0], r=["0 1 5"], b=["3", "0 0 9"])
    problem = read_nl(written(tmp_path, text))
    problem.program.backend = backend
    sol = problem.program.solve()
    assert sol["objective"] == pytest.approx(24.2, rel=1e-15)
    assert sol["constraints"] == pytest.approx([3.8], rel=1e-15)
    assert sol.gradient("objective", wrt="x") == pytest.approx([-215.6, -88.0], rel=1e-14)
    (low, high) = problem.bounds[problem.program["x"]]
    assert low.tolist() == [-np.inf, 0.0]
    assert high.tolist() == [np.inf, 9.0]
    c = problem.constraints["constraints"]
    assert (c.lower.tolist(), c.upper.tolist()) == ([1.0], [5.0])
    assert not problem.maximize


@pytest.mark.parametrize("backend", BACKENDS)
def test_sums_in_sums_and_functions(tmp_path: Path, backend: str) -> None:
    """Long sums inside of functions, of other long sums, subtracted; chains of additions; the same in few and many."""
    n = 40

    def long_sum(k: int, count: int) -> str:
        return f"o54 {count} " + " ".join(f"o5 v{(k + j) % n} n2" for j in range(count))

    nested = "o54 17 " + " ".join(f"o43 {long_sum(k, 18)}" for k in range(17))
    chain = "o0 v0 " * 30 + "n1"
    constraints = [
        *(f"o43 {long_sum(k, 20)}" for k in range(12)),
        *(f"o1 o39 {long_sum(k, 20 + k)} o16 v{k}" for k in range(3)),
        f"o39 {nested}",
        f"o44 o3 {chain} n100",
        f"o16 o1 {long_sum(0, 16)} o1 v3 o16 o41 v4",
        "o1 n3 o2 v1 n4",
    ]
    goal = "o54 40 " + " ".join(f"o2 n{(-1) ** j} o41 v{j}" for j in range(40))
    x0 = np.linspace(0.3, 1.4, n)
    problem = read_nl(written(tmp_path, nl(n, constraints, [f"o1 {goal} {goal}"], x0=x0)))
    assert_equal(problem, x0, backend)
    assert_equal(problem, x0[::-1].copy(), backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [1, 3, 50])
def test_defined_variables_are_equations(tmp_path: Path, backend: str, n: int) -> None:
    """V[i] = x[i]² + 2 x[i], then W[i] = sin V[i] + 3 V[i], each one vector; used by constraints and the objective."""
    first = [({i: 2.0}, f"o5 v{i} n2") for i in range(n)]
    second = [({n + i: 3.0}, f"o41 v{n + i}") for i in range(n)]
    constraints = [f"o2 v{2 * n + i} v{i}" for i in range(n)]
    goal = " ".join(["o0 n1"] * (n - 1)) + " " + f"o2 v{2 * n} v{n}"
    x0 = np.linspace(0.2, 1.1, n)
    problem = read_nl(written(tmp_path, nl(n, constraints, [goal], defined=first + second, x0=x0)))
    assert_equal(problem, x0, backend)
    sol = problem.program.solve()
    v = np.reshape(sol["defined_1"], -1)
    assert np.allclose(v, x0**2 + 2 * x0, rtol=1e-15)
    assert np.allclose(np.reshape(sol["defined_2"], -1), np.sin(v) + 3 * v, rtol=1e-15)
    assert problem.labels["defined_2"] == [f"V{2 * n + i}" for i in range(n)]
    assert len(problem.program.equations) == 4
    # The multiplier of V[0] is the total derivative of the objective with respect to it.
    multiplier = np.reshape(sol.multipliers("objective")["defined_1"], -1)[0]
    assert multiplier == pytest.approx(v[0] * (np.cos(v[0]) + 3) + np.sin(v[0]) + 3 * v[0], rel=1e-14)


def test_defined_variables_that_need_each_other(tmp_path: Path) -> None:
    path = written(tmp_path, nl(1, ["v1"], defined=[({}, "o41 v2"), ({}, "o41 v1")]))
    with pytest.raises(adj.AdjointError):
        read_nl(path)


def test_objectives_are_chosen_by_number_or_name(tmp_path: Path) -> None:
    path = written(tmp_path, nl(2, ["v0"], ["o5 v0 n2", "o5 v1 n3"], maximize=[1], x0=[2.0, 3.0]))
    (tmp_path / "model.row").write_text("balance\ncost\ngain\n", encoding="ascii")
    (tmp_path / "model.col").write_text("apples\npears\n", encoding="ascii")
    first, second = read_nl(path), read_nl(path, objective="gain")
    assert (first.program.solve()["objective"], first.maximize) == (4.0, False)
    assert (second.program.solve()["objective"], second.maximize) == (27.0, True)
    assert first.labels == {"x": ["apples", "pears"], "constraints": ["balance"]}
    assert read_nl(path, objective=1).maximize
    for wrong in ("profit", 2, -1, True):
        with pytest.raises(adj.ModelError, match="objective"):
            read_nl(path, objective=wrong)


def test_a_file_without_objective_asks_for_a_feasible_point(tmp_path: Path) -> None:
    problem = read_nl(written(tmp_path, nl(2, ["o2 v0 v1"], [], r=["4 1"], x0=[2.0, 0.5])))
    assert problem.is_feasibility
    assert problem.program.solve()["constraints"].tolist() == [1.0]


def test_a_problem_is_pickled_with_its_source(tmp_path: Path) -> None:
    problem = read_nl(written(tmp_path, nl(2, ["o41 v0"], ["v1"], x0=[0.5, 1.0], extra="S0 1 zork\n1 7\n")))
    again = pickle.loads(pickle.dumps(problem))
    assert again.source.suffixes[0].name == "zork"
    assert again.program.solve()["constraints"] == problem.program.solve()["constraints"]


def test_what_a_continuous_problem_cannot_have_is_refused_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cases = {
        "must be integers, x.1.": nl(2, ["v0"], discrete="0 0 1 0 0"),
        "complement variables, constraints.0. and x.1.": nl(2, ["v0"], r=["5 1 2"]),
        "logical constraint": nl(2, ["v0"], extra="L0\no22\nv0\nn1\n", logical=1),
    }
    for k, (message, text) in enumerate(cases.items()):
        path = written(tmp_path, text, f"case{k}")
        with pytest.raises(adj.UnsupportedError, match=message):
            read_nl(path)
        with caplog.at_level(logging.WARNING):
            problem = read_nl(path, relax=True)
        assert len(problem.relaxed) == 1
        assert problem.relaxed[0] in caplog.text
        assert problem.program.solve()["constraints"].size == 1
    assert read_nl(written(tmp_path, nl(2, ["v0"]))).relaxed == ()


def test_imported_functions_and_operators_on_symbols_are_refused(tmp_path: Path) -> None:
    called = nl(1, ["n0", "f0 1 v0"], functions=1, extra="F0 0 1 myfunction\n")
    with pytest.raises(adj.UnsupportedError, match=r"line \d+: the constraint constraints\[1\].*'myfunction'"):
        read_nl(written(tmp_path, called), relax=True)
    with pytest.raises(adj.UnsupportedError, match=r"the objective has the operator o74 \(alldiff\)"):
        read_nl(written(tmp_path, nl(2, ["v0"], ["o35 o74 2 v0 v1 n1 n2"])), relax=True)
    # In an objective that is not asked for, it does not matter.
    other = nl(2, ["v0"], ["v1", "o35 o74 2 v0 v1 n1 n2"], x0=[1.0, 5.0])
    assert read_nl(written(tmp_path, other)).program.solve()["objective"] == 5.0


def test_crossed_bounds_are_named(tmp_path: Path) -> None:
    with pytest.raises(adj.ModelError, match=r"variable x\[1\]: its lower bound 3.0 is above its upper bound 2.0"):
        read_nl(written(tmp_path, nl(2, ["v0"], b=["3", "0 3 2"])))
    with pytest.raises(adj.ModelError, match=r"constraint constraints\[0\]: its lower bound"):
        read_nl(written(tmp_path, nl(2, ["v0"], r=["0 3 2"])))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", list(MODELS))
def test_the_models_of_the_benchmark(tmp_path: Path, backend: str, name: str) -> None:
    problem = read_nl(written(tmp_path, MODELS[name](40)))
    x0 = problem.source.x0
    assert_equal(problem, x0 + np.random.default_rng(2).uniform(0.0, 0.3, x0.size), backend)


def test_the_number_of_expressions_does_not_grow_with_the_model(tmp_path: Path) -> None:
    def count(n: int) -> int:
        constraints = [f"o0 o2 v{i} o41 v{i + 1} o5 v{i + 2} n{2 + i % 2}" for i in range(n - 2)]
        constraints += [f"o54 {3 + i % 3} " + f"o44 v{i} " * (3 + i % 3) for i in range(n - 2)]
        goal = f"o54 {n} " + " ".join(f"o5 o1 v{i} n{i} n2" for i in range(n))
        defined = [({}, f"o5 v{i} n3") for i in range(n)]
        constraints += [f"o41 v{n + i}" for i in range(n)]
        problem = read_nl(written(tmp_path, nl(n, constraints, [goal], defined=defined, x0=[0.0] * n)))
        return len(topological([e.expr for e in problem.program.equations.values()]))

    assert count(400) == count(100) < 80


def test_operators_nested_deeper_than_recursion(tmp_path: Path) -> None:
    n = 3000
    constraints = ["o41 " * n + "v0", "o0 n1 o2 v1 " * n + "v0", "o35 o22 v0 n9 o0 n1 " * 300 + "v0" + " n1" * 300]
    problem = read_nl(written(tmp_path, nl(2, constraints, x0=[0.5, 0.999])))
    expected = 0.5
    for _ in range(n):
        expected = np.sin(expected)
    assert problem.program.solve()["constraints"][0] == pytest.approx(expected, rel=1e-13)
    assert problem.program.solve()["constraints"][2] == 300.5


def test_empty_models(tmp_path: Path) -> None:
    problem = read_nl(written(tmp_path, nl(1, ["n3"], ["n7"], r=["3"])))
    sol = problem.program.solve()
    assert (sol["objective"], sol["constraints"].tolist()) == (7.0, [3.0])
