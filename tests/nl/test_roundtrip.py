"""Round trips: problem → file → problem, and file → model → file, with equal values and derivatives."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings

import adjoint as adj
from adjoint.errors import AdjointError
from adjoint.nl.build import problem_from_model
from adjoint.nl.emit import model_binary
from adjoint.nl.model import Model
from adjoint.nl.read import read_model
from adjoint.nl.write import problem_model, write_model
from tests.laws.random_programs import Spec, specs
from tests.nl.written import again, evaluate, jacobian, names, places, point, same_models

# -- problems ------------------------------------------------------------------------------------------------------


@given(specs())
@settings(max_examples=40, phases=[Phase.explicit, Phase.generate])
def test_random_programs_keep_values_derivatives_and_multipliers(folder: Path, spec: Spec) -> None:
    """In full space the total gradient is f_x − c_xᵀ λ with c_uᵀ λ = f_u: λ are the multipliers of the equations."""
    m = spec.program()
    q = again(adj.Problem(m, minimize="f", over=list(spec.inputs)), folder, binary=spec.mixed)
    # linalg.solve becomes unknowns that the program does not have: tests/nl/test_write_primitives.py solves for those.
    assume(not any(name.startswith("solve_") for name in names(q, "x")))
    sol = m.solve()
    unknowns = [n for n in spec.shapes if {n, f"{n}[0]", f"{n}[0, 0]"} & set(names(q, "x"))]
    at = point(q, {n: sol[n] for n in (*spec.inputs, *unknowns)})
    assert evaluate(q, "objective", at) == pytest.approx(sol["f"], rel=1e-12, abs=1e-13)
    gradient, adjusted = jacobian(q, "objective", at).reshape(-1), 0.0
    total = gradient
    if unknowns:
        residual, c = evaluate(q, "constraints", at), np.atleast_2d(jacobian(q, "constraints", at))
        assert np.abs(residual).max() < 1e-8
        columns = np.concatenate([places(q, "x", n, spec.shapes[n]).ravel() for n in unknowns])
        lam = np.linalg.solve(c[:, columns].T, gradient[columns])
        adjusted = c.T @ lam
        total = gradient - adjusted
        by_name = sol.multipliers("f")
        for n in unknowns:
            rows = places(q, "constraints", spec.equation_name(n), spec.shapes[n])
            np.testing.assert_allclose(lam[rows], by_name[spec.equation_name(n)], rtol=1e-6, atol=1e-8)
    for n, value in spec.inputs.items():
        mine = total[places(q, "x", n, np.shape(value))]
        np.testing.assert_allclose(mine, sol.gradient("f", wrt=n), rtol=1e-6, atol=1e-8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("roundtrip")


def test_writing_again_changes_nothing_more(folder: Path) -> None:
    m = adj.Program("chain")
    x = m.input("x", np.linspace(0.1, 1.0, 7))
    d = m.define("d", x[1:] * x[:-1] - 2 * x[1:])
    s = m.define("s", np.sum(np.sin(d) ** 2))
    where = np.where((x > 0.5) & ~(x >= 0.8) | (x == 0.1), 2 * x, -x)
    problem = adj.Problem(
        m, minimize=s + np.max(x) * s, subject_to={"a": d**2 + x[1:] <= 3, "b": where >= -2, "c": np.cumsum(x) <= 9}
    )
    first = problem_model(again(problem, folder))
    second = problem_model(again(problem_from_model(first), folder))
    third = problem_model(again(problem_from_model(second), folder))
    assert same_models(second, third) == []
    assert first.n_defined == second.n_defined


def test_start_values_of_duals_are_kept(folder: Path) -> None:
    m = adj.Program()
    x = m.input("x", [1.0, 2.0])
    model = problem_model(adj.Problem(m, minimize=np.sum(x**2), subject_to={"c": x * x[0] >= 1}))
    model.dual0, model.dual0_given = np.array([0.0, 0.5]), np.array([False, True])
    q = again(problem_from_model(model), folder)
    assert (q.source.dual0.tolist(), q.source.dual0_given.tolist()) == ([0.0, 0.5], [False, True])


# -- files of the collection -----------------------------------------------------------------------------------------


def files(data: Path) -> list[Path]:
    return sorted((data / "nl").rglob("*.nl"), key=lambda p: (p.stat().st_size, p.name))


def models(paths: list[Path]) -> Iterator[Model]:
    for path in paths:
        try:
            yield read_model(path)
        except AdjointError:  # what must be refused is the matter of the tests of reading
            continue


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_files_are_written_as_they_were_read(binary: bool, data: Path, tmp_path: Path) -> None:
    count = 0
    for model in models(files(data)):
        write_model(model, tmp_path / "a.nl", binary=binary, names=False)
        assert same_models(model, read_model(tmp_path / "a.nl")) == [], model.source
        count += 1
    assert count > 400


def points(model: Model) -> list[np.ndarray]:
    """The start, and two points near it inside the bounds."""
    rng = np.random.default_rng(0)
    crossed = np.any(model.var_lower > model.var_upper)
    low, high = (-np.inf, np.inf) if crossed else (model.var_lower, model.var_upper)
    steps = [h * rng.uniform(-1, 1, model.n_var) * np.maximum(1, np.abs(model.x0)) for h in (0.05, 0.3)]
    return [model.x0, *(np.clip(model.x0 + step, low, high) for step in steps)]


def values(problem: adj.Problem, x: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """Objective, constraints, first derivatives, and the Hessian of the Lagrangian; what fails is left out."""
    problem.program.backend = "numpy"
    out: dict[str, Any] = {}
    try:
        f = problem.program.function("objective", wrt=["x"], sparse=True)
        out["f"], out["g"], out["H"] = f(x), f.jac(x), f.hess(x)
        if problem.constraints:
            c = problem.program.function(["constraints"], wrt=["x"], sparse=True)
            out["c"], out["J"], out["C"] = c(x), c.jac(x), c.hess(x, weights)
    except AdjointError as error:
        out["error"] = type(error)
    return out


def order(model: Model, what: str, n: int) -> np.ndarray:
    """Where the writer put the elements: by the names that a file without names gets."""
    labels = model.var_names if what == "x" else model.con_names
    return np.array([int(name[len(what) + 1 : -1]) for name in labels or []], dtype=int) if n else np.zeros(0, int)


def assert_round_trip(model: Model, folder: Path) -> None:
    """Equal values and derivatives at three points. The names of the file are left out: some are not unique."""
    model.var_names = model.con_names = model.obj_names = None
    p = problem_from_model(model, relax=True)
    said = problem_model(p)
    write_model(said, folder / "a.nl", names=False)
    q = problem_from_model(read_model(folder / "a.nl"))
    assert (q.source.n_var, q.source.n_con) == (model.n_var, model.n_con)
    var, con = order(said, "x", model.n_var), order(said, "constraints", model.n_con)
    weights = np.random.default_rng(1).normal(size=model.n_con)
    for x in points(model):
        a, b = values(p, x, weights), values(q, x[var], weights[con])
        assert a.keys() == b.keys() and a.get("error") == b.get("error"), model.source
        for key in a.keys() - {"error"}:
            mine = b[key]
            if key in ("g", "c"):
                back = np.empty_like(mine)
                back[var if key == "g" else con] = mine
                mine = back
            if key in ("H", "C", "J"):
                rows = con if key == "J" else var
                mine = mine.toarray()[np.argsort(rows)][:, np.argsort(var)]
                a[key] = a[key].toarray()
            size = max(1.0, np.abs(np.asarray(a[key])[np.isfinite(a[key])]).max(initial=0.0))
            np.testing.assert_allclose(mine, a[key], rtol=1e-10, atol=1e-13 * size, err_msg=f"{model.source}: {key}")


@pytest.mark.filterwarnings("ignore::adjoint.errors.AdjointWarning")
def test_files_read_written_and_read_again(data: Path, tmp_path: Path) -> None:
    logging.getLogger("adjoint.nl").setLevel(logging.ERROR)
    sample = [p for p in files(data) if p.stat().st_size < 30_000][::9]
    count = 0
    with np.errstate(all="ignore"), warnings.catch_warnings():
        for model in models(sample):
            assert_round_trip(model, tmp_path)
            count += 1
    assert count > 30


def after_header(content: bytes) -> bytes:
    return content.split(b"\n", 10)[10]


def test_binary_files_are_written_byte_for_byte(data: Path) -> None:
    """As AMPL itself wrote them, but for the header, which has counts that older files leave out."""
    count = 0
    for path in files(data):
        content = path.read_bytes()
        if content[:1] == b"b":
            assert after_header(model_binary(read_model(path))) == after_header(content), path
            count += 1
    assert count > 10
