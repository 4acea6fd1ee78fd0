"""Every file of the collections beside a plain evaluation of it, and beside CasADi's derivatives where given."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.nl.build import read_nl
from adjoint.problem import Problem
from tests.nl.compare import assert_equal, close
from tests.nl.evaluation import Evaluation

# Empty models, and some that Pyomo marks as known to be wrong: indices of constraints beyond their number.
NOT_A_MODEL = {"t2a_nlxfrm", "t2b_nlxfrm", "t11_nlxfrm", "t12_nlxfrm"}
EVERY = {"numpy": 1, "llvm": 6}  # of all files


def files(data: Path) -> list[Path]:
    """All ``.nl`` files of the collections."""
    found = sorted((data / "nl").rglob("*.nl"))
    assert found
    return found


def point(problem: Problem) -> np.ndarray | None:
    """The start, a point nearby or one between the bounds, where all is finite and has derivatives."""
    model = problem.source
    rng = np.random.default_rng(0)
    nearby = [model.x0 + rng.uniform(0.0, size, model.n_var) for size in (0.01, 0.1, *[1.0] * 60)]
    low, high = np.maximum(model.var_lower, -5.0), np.minimum(model.var_upper, 5.0)
    for x in [model.x0, *nearby, *(low + share * (high - low) for share in (0.3, 0.5, 0.7, 0.9))]:
        all_ = []
        for at in (Evaluation(model, x), Evaluation(model, x, *rng.standard_normal((2, model.n_var)))):
            all_ += [*at.constraints, *([at.objective()] if model.n_obj else [])]
        if all(np.isfinite([d.a, d.b]).all() and abs(d.b) < 1e100 for d in all_):
            return x
    return None


@pytest.mark.filterwarnings("ignore::adjoint.KinkWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_values_and_derivatives_of_all_files(data: Path, backend: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    nowhere, wrong, refused = [], [], set()
    for path in files(data)[:: EVERY[backend]]:
        try:
            problem = read_nl(path, relax=True)
        except adj.FileFormatError:
            refused.add(path.stem)
            continue
        x = point(problem)
        if x is None:
            nowhere.append(path.stem)
            continue
        try:
            assert_equal(problem, x, backend)
        except (AssertionError, adj.AdjointError) as error:
            wrong.append((path.stem, str(error)[:200]))
    assert refused <= NOT_A_MODEL
    assert not wrong, wrong
    assert not nowhere, nowhere


def triplets(parts: list[list[float]], shape: tuple[int, int]) -> np.ndarray:
    """A matrix from rows, columns and values."""
    rows, columns, values = parts
    return sp.coo_array((values, (rows, columns)), shape=shape).toarray()


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_derivatives_equal_those_of_casadi(data: Path, backend: str) -> None:
    with gzip.open(data / "nl" / "hs_suite" / "casadi_derivatives.json.gz") as file:
        problems = json.load(file)["problems"]
    assert len(problems) == 112
    for name, given in list(problems.items())[:: EVERY[backend]]:
        problem = read_nl(data / "nl" / "hs_suite" / "nl" / f"{name}.nl")
        problem.program.backend = backend
        n, m = given["n_var"], given["n_con"]
        x, weights = np.array(given["x"]), np.array(given["lambda"])
        f = problem.program.function("objective", wrt=["x"])
        assert close(f(x), given["f"], 1e-3, 1e-12), name
        gradient = triplets([[0] * len(given["grad_f"][1]), *given["grad_f"][1:]], (1, n))[0]
        assert close(f.jac(x), gradient, 1e-3 + np.abs(gradient).max(), 1e-12), name
        hessian = f.hess(x)
        if m:
            c = problem.program.function(["constraints"], wrt=["x"], sparse=True)
            jacobian = triplets(given["jac_g"], (m, n))
            assert close(c(x), given["g"], 1.0 + np.abs(jacobian) @ np.abs(x), 1e-12), name
            assert close(c.jac(x).toarray(), jacobian, 1e-3 + np.abs(jacobian).max(), 1e-12), name
            hessian = hessian + c.hess(x, weights).toarray()
        expected = triplets(given["hess_lag"], (n, n))
        assert close(hessian, expected, 1e-3 + np.abs(expected).max(), 1e-10), name
