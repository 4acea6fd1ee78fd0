"""Steps with equations to solve: programs with cycles, and roots, in native code and by the general methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.inner import fixed_point, root
from adjoint.loops import program_step, scan
from adjoint.walk import topological
from tests.loops.test_scan import agree

STEPS = 4


def step_program(n: int, **bounds: Any) -> adj.Program:
    """Backward Euler with a dense Jacobian, then a second cycle that uses its solution, then an explicit equation."""
    m = adj.Program("backward Euler")
    old, k, u = m.input("old", np.ones(n)), m.input("k", 1.0), m.input("u", 0.0)
    y = m.unknown("y", shape=(n,), **bounds)
    m.constrain(y == old - 0.1 * (k * y**3 + u * np.sin(y) + 0.1 * np.sum(y)), name="euler")
    z = m.unknown("z")
    m.define(z, np.exp(-0.1 * z) * y[0] + u)
    m.define("w", z * y[1])
    return m


def models(backend: str, n: int, part: adj.Program, **options: Any) -> tuple[adj.Program, adj.Program]:
    made = []
    for unroll in (False, True):
        m = adj.Program("path", backend=backend)
        k, u, y = m.input("rate", 2.0), m.input("u", np.linspace(0, 1, STEPS)), m.input("y0", 1 + np.arange(n) / n)
        if unroll:
            rows = []
            for t in range(STEPS):
                inside = m.include(part, prefix=f"s{t}.", bind={"old": y, "k": k, "u": u[t]})
                y = inside["y"]
                rows.append(inside["w"])
            w = np.stack(rows)
        else:
            step = program_step(part, {"old": "y"}, ["w"], {"k": k})
            carry, ys = scan(step, {"old": y}, {"u": u}, **options)
            y, w = carry["old"], ys["w"]
        m.define("f", np.sum(y**2) + np.sum(w * np.arange(STEPS)))
        made.append(m)
    return made[0], made[1]


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.parametrize(("n", "options"), [(3, {}), (3, {"checkpoints": 2}), (40, {}), (40, {"checkpoints": 3})])
def test_programs_with_cycles(n: int, options: dict[str, Any], backend: str) -> None:
    loop, plain = models(backend, n, step_program(n), **options)
    a, b = loop.solve(), plain.solve()
    names = ["rate", "u", "y0"]
    agree(a["f"], b["f"])
    agree(a.gradient("f", wrt=names), b.gradient("f", wrt=names))
    d = {"rate": 1.0, "u": np.ones(STEPS), "y0": np.linspace(-1, 1, n)}
    agree(a.jvp(d)["f"], b.jvp(d)["f"])
    agree(a.hvp("f", d, wrt=names), b.hvp("f", d, wrt=names), 1e-10)
    assert a.check_derivatives("f")


def test_bounds_are_respected() -> None:
    part = adj.Program()
    old = part.input("old", 1.0)
    y = part.unknown("y", upper=-0.5)
    part.constrain(y**2 == 1 + 0.1 * old)
    m = adj.Program()
    start = m.input("start", -0.7)
    end, _ = scan(program_step(part, {"old": "y"}), {"old": start}, length=5)
    m.define("f", end["old"])
    y = -0.7
    for _ in range(5):
        y = -np.sqrt(1 + 0.1 * y)
    sol = m.solve()
    assert sol["f"] == pytest.approx(y, abs=1e-12)
    assert sol.check_derivatives("f")


def test_small_systems_are_solved_in_native_code() -> None:
    if "llvm" not in BACKENDS:
        pytest.skip("no compiled backend")
    loop, _ = models("llvm", 3, step_program(3))
    loop.solve()
    (node,) = {n for e in loop.equations.values() for n in topological([e.expr]) if n.op and n.op.name == "scan"}
    assert node.params[0].runner("step")._native


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_roots_in_steps(backend: str) -> None:
    made = []
    for unroll in (False, True):
        m = adj.Program(backend=backend)
        k, y = m.input("k", 2.0), m.input("y0", [1.0, 1.5, 2.0])

        def step(y: Any, _: Any, k: Any = k) -> Any:
            z = root(lambda z: z - y + 0.1 * k * z**3 + 0.1 * np.sum(z), np.ones(3))
            w = fixed_point(lambda w: 0.5 * np.cos(w) + z[0], 0.0)
            return z, w * z[1]

        if unroll:
            rows = []
            for _ in range(STEPS):
                y, w = step(y, None)
                rows.append(w)
            w = np.stack(rows)
        else:
            y, w = scan(step, y, length=STEPS)
        m.define("f", np.sum(y**2) + np.sum(w**2))
        made.append(m.solve())
    a, b = made
    agree(a["f"], b["f"])
    agree(a.gradient("f"), b.gradient("f"))
    agree(a.hvp("f", {"k": 1.0}), b.hvp("f", {"k": 1.0}))


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_a_step_without_solution_is_named(backend: str) -> None:
    part = adj.Program()
    old = part.input("old", 1.0)
    y = part.unknown("y")
    part.constrain(y**2 == old - 0.3, name="square")
    m = adj.Program(backend=backend)
    end, _ = scan(program_step(part, {"old": "y"}), {"old": m.input("start", 1.0)}, length=20)
    m.define("f", end["old"])
    with pytest.raises(adj.ConvergenceError, match=r"(?s)step 9 of a scan: block .*square"):
        m.solve()


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_a_step_without_derivative_is_named(backend: str) -> None:
    """At a triple root the linear equations of the multipliers have no solution."""
    part = adj.Program()
    old = part.input("old", 1.0)
    y = part.unknown("y", guess=1.0)
    part.constrain((y - 1) ** 3 == old, name="cube")
    m = adj.Program(backend=backend)
    start = m.input("start", 0.0)
    end, _ = scan(program_step(part, {"old": "y"}), {"old": start}, length=1)
    m.define("f", end["old"])
    sol = m.solve()
    with pytest.raises(adj.SingularError, match="step 0 of a scan: a step has no derivative"):
        sol.gradient("f")


def test_what_does_not_fit_is_told() -> None:
    part = step_program(2)
    with pytest.raises(adj.ModelError, match="takes a Program"):
        program_step(3, {})  # type: ignore[arg-type]
    with pytest.raises(adj.ModelError, match="'y' is not an input"):
        program_step(part, {"y": "y"})
    with pytest.raises(adj.ShapeError, match="shape"):
        program_step(part, {"old": "z"})
    with pytest.raises(adj.NameLookupError, match="no variable named 'ww'"):
        program_step(part, {"old": "y"}, ["ww"])
    with pytest.raises(adj.NameLookupError, match="input of 'backward Euler'"):
        scan(program_step(part, {"old": "y"}), {"old": np.ones(2)}, {"v": np.ones(3)})
    with pytest.raises(adj.ModelError, match="dict by names"):
        scan(program_step(part, {"old": "y"}), np.ones(2), length=3)
