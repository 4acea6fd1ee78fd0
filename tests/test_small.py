"""Small programs with cycles, solved and differentiated at once: what the first, general solve gives."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from tests.models import sellar

llvm = pytest.mark.skipif("llvm" not in adj.backends.BACKENDS, reason="runs the compiled backend")
ROOT = Path(__file__).resolve().parents[1]
OF, WRT = ["f", "y1", "y2"], ["z1", "z2", "x"]


def settled(m: adj.Program, **given: Any) -> adj.Solution:
    """The solution of the program when it has been solved a few times."""
    for _ in range(4):
        m.solve(**given)
    return m.solve(**given)


REQUESTS = {
    "jacobian of several": lambda s: s.jacobian(OF, wrt=WRT),
    "jacobian of one": lambda s: s.jacobian("f", wrt="x"),
    "jacobian of one by all": lambda s: s.jacobian("f"),
    "jacobian by one": lambda s: s.jacobian(OF, wrt="x"),
    "jacobian, a name twice": lambda s: s.jacobian(["f", "f"], wrt=["x", "z1"]),
    "jacobian, tuples": lambda s: s.jacobian(tuple(OF), wrt=tuple(WRT)),
    "jacobian of variables": lambda s: s.jacobian([s._model["f"]], wrt=[s._model["x"]]),
    "gradient": lambda s: s.gradient("f"),
    "gradient by one": lambda s: s.gradient("f", wrt="z1"),
    "gradient by two": lambda s: s.gradient("y2", wrt=["z1", "x"]),
    "gradient of a sum": lambda s: s.gradient({"f": 1.0, "y1": 2.0}),
}


@pytest.mark.parametrize("request_", REQUESTS)
def test_derivatives_of_the_general_way(request_: str) -> None:
    ask, m = REQUESTS[request_], sellar()
    expected = ask(sellar().solve(x=1.5))
    for _ in range(8):
        found = ask(m.solve(x=1.5))
        assert type(found) is type(expected)
        if isinstance(expected, dict):
            assert list(found) == list(expected) and {type(v) for v in found.values()} == {float}
            np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-12)
        else:
            assert found == pytest.approx(expected, rel=1e-12)
    # At another point, and at an older one.
    old, new = m.solve(x=1.5), m.solve(x=0.5)
    for sol, x in ((new, 0.5), (old, 1.5)):
        flat = lambda r: list(r.values()) if isinstance(r, dict) else [r]
        np.testing.assert_allclose(flat(ask(sol)), flat(ask(sellar().solve(x=x))), rtol=1e-12)


def test_requests_in_turn() -> None:
    m, reference = sellar(), sellar().solve()
    for _ in range(3):
        for ask in REQUESTS.values():
            found, expected = ask(m.solve()), ask(reference)
            assert found == pytest.approx(expected, rel=1e-12)


@llvm
def test_the_next_solve_makes_what_was_asked_for() -> None:
    m = sellar()
    assert settled(m).jacobian(OF, wrt=WRT)
    assert settled(m).jacobian(OF, wrt=WRT)
    sol = m.solve(x=0.7)
    assert sol._state.derivatives is not None
    assert sol.jacobian(OF, wrt=WRT) == pytest.approx(sellar().solve(x=0.7).jacobian(OF, wrt=WRT), rel=1e-12)
    assert sol.blocks[0].iterations > 0 and sol.message == sellar().solve(x=0.7).message
    again = pickle.loads(pickle.dumps(sol))
    assert again.jacobian("f", wrt="x") == pytest.approx(sol.jacobian("f", wrt="x"), rel=1e-12)


def test_wrong_requests_are_named_as_ever() -> None:
    sol = settled(sellar())
    sol.jacobian(OF, wrt=WRT)
    for ask in (
        lambda: sol.jacobian(["f", "q"], wrt=WRT),
        lambda: sol.jacobian(OF, wrt=["q"]),
        lambda: sol.jacobian(OF, wrt="y1"),
        lambda: sol.jacobian([["f"]], wrt=WRT),
        lambda: sol.jacobian(3, wrt=WRT),
        lambda: sol.jacobian(OF, wrt=WRT, mode="sideways"),
        lambda: sol.gradient("f", wrt=3),
        lambda: sol.gradient("q"),
    ):
        with pytest.raises((adj.AdjointError, TypeError)):
            ask()


def test_at_a_kink_and_away_from_it() -> None:
    m = adj.Program("kink")
    x, y = m.input("x", 1.0), m.unknown("y", guess=1.0)
    m.constrain(y**3 + y == x + 1.0, name="cubic")
    m.define("f", np.abs(x) * y)
    for _ in range(5):
        assert m.solve().gradient("f") == pytest.approx({"x": 1.25}, rel=1e-12)
    sol = m.solve(x=0.0)
    with pytest.warns(adj.KinkWarning):
        sol.gradient("f")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert m.solve().gradient("f") == pytest.approx({"x": 1.25}, rel=1e-12)


def test_arrays() -> None:
    m, reference = (adj.Program("arrays") for _ in range(2))
    for program in (m, reference):
        x, y = program.input("x", np.array([1.0, 2.0])), program.unknown("y", shape=(2,))
        program.constrain(y**3 + y == x, name="cubic")
        program.define("f", np.sum(y * x))
    expected = reference.solve()
    for _ in range(6):
        sol = m.solve()
        np.testing.assert_allclose(sol.jacobian("y", wrt="x"), expected.jacobian("y", wrt="x"), rtol=1e-12)
        np.testing.assert_allclose(sol.gradient("f")["x"], expected.gradient("f")["x"], rtol=1e-12)


def test_the_first_solve_imports_nothing_that_takes_long() -> None:
    """SciPy's linear algebra and graph routines take a tenth of a second each to import; llvmlite takes as long."""
    code = (
        "import sys, adjoint, tests.models\n"
        "sol = tests.models.sellar().solve()\n"
        "sol.gradient('f'), sol.jacobian('f')\n"
        "heavy = ['scipy.linalg', 'scipy.sparse.csgraph', 'scipy.sparse.linalg', 'scipy.optimize', 'llvmlite']\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "ADJOINT_BACKEND"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert run.stdout.strip() == "[]", run.stderr
