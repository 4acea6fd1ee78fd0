"""Square systems of published collections are solved to their roots."""

from __future__ import annotations

import re
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import adjoint as adj
from adjoint.nl.build import read_nl
from adjoint.nl.write import write_nl
from benchmarks._systems_files import evaluate, ibex_systems, polynomial_systems, read_bch
from benchmarks._systems_functions import FUNCTIONS, Published
from benchmarks.systems import Case, left_side, problem_of, run, solve_case

NEAR = 1e-3  # distance from which a listed root is found again, relative to the size of each unknown and of 1
CLOSE = 1e-7

# Roots where the Jacobian is singular, or nearly so (Hammarling: condition 1e7): fewer digits can be asked for.
SINGULAR = {
    "Powell singular": 1e-4,
    "Hammarling 2 by 2": 1e-5,
    "Hammarling 3 by 3": 1e-5,
    "Sample problem 19": 1e-4,
    "Powell badly scaled": 1e-6,  # the root is given with seven digits
    "Wood": 1e-6,
}
MANY_ROOTS = {"Brown almost linear", "Sample problem 18"}  # of the latter: both axes
# Roots other than the listed one that the published start leads to.
OTHER_ROOTS = {
    "x (x - 5)²": [[0.0]],
    "Dennis and Schnabel": [[3.0, 0.0]],
    "Boggs": [[-1.0, 2.0], [-np.sqrt(0.5), 1.5]],
    "Wood": [[-0.9679740, 0.9471391, -0.9695163, 0.9512476]],  # a saddle point of the function
    "Hammarling 2 by 2": [[-0.01, -50.0, 0.0, -0.01]],
}
# Square files of the collections that a solution exists for, and the largest residual that is left.
FILES = {"aircrfta", "argtrig", "booth", "cbratu2d", "coolhans", "gottfr", "hypcir"}


@cache
def published_texts(path: Path) -> list[str]:
    """What the collection prints of each system, and the table after them."""
    return re.split(r"\np\d\d test_nonlin problem:|\nnonlin_fsolve_test", path.read_text())


def numbers(text: str) -> np.ndarray:
    return np.array([float(word) for word in re.findall(r"[-+]?\d[\d.]*(?:e[-+]?\d+)?", text)])


def solved(problem: adj.Problem, start: np.ndarray | None = None) -> adj.Solution:
    """The solution from a start; a singular one may warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", adj.SingularWarning)
        return problem.system().solve(start=None if start is None else {"x": start})


def residual_of(problem: adj.Problem, sol: adj.Solution) -> np.ndarray:
    """The equations at a solution, evaluated for themselves."""
    fun = left_side(problem)
    return fun(np.reshape(sol["x"], -1)) - np.reshape(problem.constraints["constraints"].lower, -1)


# -- typed functions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.name)
def test_functions_are_as_published(f: Published, data: Path) -> None:
    """Start, norm there, and the Jacobian by differences, of the published output."""
    text = published_texts(data / "systems" / "test_nonlin.txt")[f.number]
    start = numbers(re.search(r"starting point xs = +\[([^\]]*)\]", text)[1])  # type: ignore[index]
    norm = float(re.search(r"Norm of f\(xs[)\]] = +(\S+)", text)[1])  # type: ignore[index]
    n = start.size
    np.testing.assert_allclose(f.start(n), start, atol=1e-8)
    assert np.linalg.norm(f.residual(start)) == pytest.approx(norm, rel=1e-6, abs=1e-12)
    root = re.search(r"root xe = +\[([^\]]*)\]", text)
    point = start if root is None else numbers(root[1])
    if f.root is not None and root is not None:
        np.testing.assert_allclose(f.root(n), point)
    printed = re.search(r"Finite difference jacobian at x.:\n(.*?\]\])", text, re.DOTALL)
    jacobian = numbers(printed[1]).reshape(n, n)  # type: ignore[index]
    ours = left_side(problem_of(f.name, f.residual, start)).jac(point)
    np.testing.assert_allclose(np.reshape(ours, (n, n)), jacobian, rtol=1e-5, atol=1e-5 * np.abs(jacobian).max() + 1e-6)


@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.name)
def test_functions_are_solved_from_the_published_start(f: Published, n: int) -> None:
    n = f.size(n if f.name != "Chebyquad" else n - n // 10)  # 10 points: no real root
    problem = problem_of(f.name, f.residual, f.start(n))
    sol = solved(problem)
    size = np.abs(f.start(n)).max() + np.abs(sol["x"]).max() + 1.0
    assert np.abs(residual_of(problem, sol)).max() <= 1e-9 * size**2
    if f.root is not None and f.name not in MANY_ROOTS:
        roots = np.array([f.root(n), *(r for r in OTHER_ROOTS.get(f.name, ()) if len(r) == n)])
        distance = np.abs(np.reshape(sol["x"], -1) - roots) / np.maximum(1.0, np.abs(roots))
        assert distance.max(axis=1).min() <= SINGULAR.get(f.name, CLOSE)


# -- texts -------------------------------------------------------------------------------------------------


def test_formulas() -> None:
    values = {"x": 2.0, "y": 3.0}
    assert evaluate("-x**2 + 4/(y - 1)*x - 1.5E-1", values) == pytest.approx(-0.15)
    for text in ("x.real", "x if y else 1", "'x'", "lambda: 1"):
        with pytest.raises(ValueError, match="formula"):
            evaluate(text, values)


def test_ibex_files(tmp_path: Path) -> None:
    path = tmp_path / "two.bch"
    path.write_text(
        "// a comment\nConstants\nh = 1/4;\nVariables\nx[2] in [-1e2,2*50];\ny;\n\nConstraints\n"
        "x(1)^2 + h\n - y = 0;\nx[2] = 3*y; -y + x(1)*2 = 1;\nend\n"
    )
    system = read_bch(path)
    assert system.unknowns == ["x_1", "x_2", "y"]
    assert (system.lower.tolist(), system.upper.tolist()) == ([-100, -100, -np.inf], [100, 100, np.inf])
    assert system.residual([2.0, 5.0, 1.0]) == [3.25, 2.0, 2.0]


def test_roots_of_polynomial_systems(data: Path) -> None:
    """Every listed real root is found again from nearby."""
    count = 0
    for s in polynomial_systems(data / "systems" / "polysys" / "systems.json"):
        problem = problem_of(s.name, s.residual, np.zeros(len(s.unknowns)))
        program = problem.system()
        for k, root in enumerate(s.roots):
            away = NEAR * np.random.default_rng(k).uniform(-1, 1, root.size) * np.maximum(1.0, np.abs(root))
            sol = program.solve(start={"x": root + away})
            np.testing.assert_allclose(sol["x"], root, rtol=CLOSE, atol=CLOSE, err_msg=s.name)
            count += 1
    assert count == 72


def test_roots_of_ibex_systems(data: Path) -> None:
    """Every listed root of up to 100 unknowns; the others are solved from the middle of their box."""
    count = 0
    for s in ibex_systems(data / "systems" / "ibex"):
        n = len(s.unknowns)
        if len(s.equations) != n:
            assert s.name == "DiscreteBoundary-0200"  # 59 equations are missing in the file
            with pytest.raises(adj.StructureError, match="141 scalar equations .* 200 unknowns"):
                problem_of(s.name, s.residual, np.zeros(n), s.lower, s.upper).system()
            continue
        problem = problem_of(s.name, s.residual, np.clip(np.full(n, -1.0), s.lower, s.upper), s.lower, s.upper)
        program = problem.system()
        for k, root in enumerate(s.roots):
            away = NEAR * np.random.default_rng(k).uniform(-1, 1, n)
            np.testing.assert_allclose(
                program.solve(start={"x": root + away})["x"], root, rtol=CLOSE, atol=CLOSE, err_msg=s.name
            )
            count += 1
        if not s.roots.size:
            sol = program.solve()
            assert np.abs(residual_of(problem, sol)).max() <= 1e-9
    assert count == 50


# -- files -------------------------------------------------------------------------------------------------


def test_square_files_are_solved(data: Path) -> None:
    """The square systems of the collection, from their own starts."""
    found = set()
    for path in sorted((data / "nl" / "cute").glob("*.nl")):
        if path.stem in FILES:
            problem = read_nl(path)
            assert problem.is_feasibility
            sol = solved(problem)
            scale = 1.0 + np.abs(sol["x"]).max()
            assert np.abs(residual_of(problem, sol)).max() <= 1e-8 * scale, path.stem
            found.add(path.stem)
    assert found == FILES


def test_a_written_system_has_the_same_root(tmp_path: Path) -> None:
    f = FUNCTIONS[12]
    problem = problem_of(f.name, f.residual, f.start(20))
    write_nl(problem, tmp_path / "broyden.nl")
    again = read_nl(tmp_path / "broyden.nl")
    order = [int(name[2:-1]) for name in again.labels["x"]]
    np.testing.assert_allclose(solved(again)["x"], solved(problem)["x"][order], rtol=1e-9)


# -- the benchmark -----------------------------------------------------------------------------------------


def test_the_benchmark_judges_by_the_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    f = FUNCTIONS[16]
    case = Case("typed", f.name, problem_of(f.name, f.residual, f.start(2)), f.start(2), np.zeros((0, 2)))
    runs = solve_case(case)
    assert list(runs) == ["adjoint", "SciPy hybr", "SciPy hybr, our Jacobian"]
    assert all(r.solved for r in runs.values())
    none = problem_of("none", lambda x: x**2 + 1.0, np.array([3.0]))
    assert not any(
        r.solved for r in solve_case(Case("typed", "none", none, np.array([3.0]), np.zeros((0, 1)))).values()
    )
    monkeypatch.setattr("benchmarks.systems.cases", lambda data: [case])
    rows = run(1)
    assert [r.ours for r in rows if r.unit == "systems"] == [0.0, 0.0]
