"""What ``explain`` says of a program: its loops, what NumPy executes, and who executes it at all."""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.backends import BACKENDS

compiled = pytest.mark.skipif("llvm" not in BACKENDS, reason="names compiled loops: needs llvmlite")


def vectorized(backend: str | None = None) -> adj.Program:
    m = adj.Program("fit", backend=backend)
    a = m.input("a", np.ones(1000))
    m.define("f", np.sum(np.exp(a) * np.sin(a)))
    return m


def in_a_loop(n: int) -> adj.Program:
    """n equations of one pattern."""
    m = adj.Program("loop", backend="llvm")
    x = m.input("x", np.linspace(0.1, 1.0, n + 1))
    for i in range(n):
        m.define(f"y{i}", 3.0 * x[i] ** 2 + np.sin(x[i + 1]))
    return m


def ring(n: int) -> adj.Program:
    """A cycle of n equations of one pattern, with a scalar that all of them use."""
    m = adj.Program("ring", backend="llvm")
    p = m.input("p", 0.1)
    u = [m.unknown(f"u{i}") for i in range(n)]
    for i in range(n):
        m.define(u[i], 0.3 * np.sin(u[i - 1]) + 0.2 * u[(i + 1) % n] + p)
    return m


def heterogeneous(count: int) -> adj.Program:
    """Scalar operations of which no many follow a pattern."""
    m = adj.Program("scalars", backend="llvm")
    rng = np.random.default_rng(0)
    known = [m.input("x", 0.5), m.input("y", 0.3)]
    functions = [np.add, np.multiply, lambda a, b: np.sin(a) - b, lambda a, b: np.exp(-a * a) * b]
    for _ in range(count):
        i, j = rng.integers(max(0, len(known) - 30), len(known), 2)
        known.append(np.tanh(functions[rng.integers(4)](known[i], known[j])))
    m.define("f", known[-1] * known[-5] + known[-9])
    return m


@compiled
def test_operations_on_arrays_are_one_loop() -> None:
    assert adj.explain(vectorized("llvm")).splitlines() == [
        "fit: backend llvm",
        "f: explicit, 1 equation",
        "  loop of 1,000 steps: exp, sin, multiply → add",
    ]


@compiled
def test_a_pattern_in_a_python_loop_is_one_loop() -> None:
    first, block, *loops = adj.explain(in_a_loop(200)).splitlines()
    assert first == "loop: backend llvm"
    assert block == "y0, y1, y2, y3, …: explicit, 200 equations"
    (loop,) = loops
    assert loop.startswith("  loop of 200 steps: ") and "sin" in loop


@compiled
def test_few_equations_are_straight_line_code() -> None:
    (line,) = adj.explain(in_a_loop(3)).splitlines()[2:]
    assert line.startswith("  straight-line code: ") and "3 sin" in line


@compiled
def test_a_cycle_says_how_its_residuals_and_their_jacobian_are_computed() -> None:
    _, block, *loops = adj.explain(ring(100)).splitlines()
    assert block == "u0, u1, u2, u3, …: cycle, 100 equations"
    (computing,) = [loop for loop in loops if "sin" in loop]
    assert computing.startswith("  loop of 100 steps: ")
    assert "cos" in computing, "the derivative of sin, in the same loop"


@compiled
def test_what_has_no_kernel_is_named() -> None:
    m = adj.Program("solved", backend="llvm")
    a, b = m.input("a", 3.0 * np.eye(40) + 1.0), m.input("b", np.ones(40))
    m.define("x", np.linalg.solve(a, np.exp(b)))
    assert adj.explain(m).splitlines()[2:] == [
        "  loop of 40 steps: exp",
        "  call of NumPy: solve (40×1); no kernel",
    ]


@compiled
def test_a_long_program_of_different_scalars_is_a_tape() -> None:
    (line,) = adj.explain(heterogeneous(600)).splitlines()[2:]
    assert line.startswith("  tape of ") and line.endswith(" scalar operations")


@compiled
def test_sinks_are_counted() -> None:
    m = adj.Program("sums", backend="llvm")
    x = m.input("x", np.linspace(0.0, 1.0, 500))
    m.define("largest", np.max(np.cos(x)))
    m.define("bins", adj.segment_sum(np.cos(x), np.arange(500) % 7, 7))
    text = adj.explain(m)
    assert "cos" in text and "maximum" in text and "add by position" in text


def test_numpy_executes_operation_by_operation() -> None:
    assert adj.explain(vectorized("numpy")).splitlines() == [
        "fit: backend numpy",
        "f: explicit, 1 equation",
        "  not compiled: NumPy executes each operation",
    ]


def test_blocks_are_in_the_order_they_are_solved_in() -> None:
    m = adj.Program("chain")
    m.define("last", np.exp(m.unknown("middle")))
    m.constrain(m["middle"] ** 3 + m["middle"] == m.input("x", 2.0), name="cubic")
    lines = [line for line in adj.explain(m).splitlines() if not line.startswith(" ")]
    assert lines[1:] == ["middle: cycle, 1 equation", "last: explicit, 1 equation"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_functions_of_blocks_are_those_that_are_used(backend: str) -> None:
    """What is explained is what a solve runs, and explaining compiles it once."""
    m = adj.Program("pair", backend=backend)
    p = m.input("p", 0.3)
    u, v = m.unknown("u"), m.unknown("v")
    m.define(u, np.cos(v) * p)
    m.define(v, 0.5 * np.sin(u))
    m.define("f", u * v)
    adj.explain(m)
    cycle, run = m.plan().blocks
    assert cycle.function() is cycle.fused()
    assert run.function() is run.function()
    sol = m.solve()
    values = {name: sol[name] for name in ("u", "v")}
    assert run.function()(*[values[w.name] for w in run.params])[0] == sol["f"]
