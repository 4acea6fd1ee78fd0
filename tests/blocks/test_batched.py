"""Blocks of many scalar equations are evaluated and differentiated on vectors, with the same answers by name."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint import lagrangian, plan
from adjoint.blocks import Cycle, Run, cycle, run
from adjoint.errors import KinkWarning

N = 40


def equations(m: adj.Program) -> None:
    """A run, a cycle and a run again, of scalars, with an array and odd equations among them."""
    x = [m.input(f"x{i}", 0.5 + 0.01 * i) for i in range(N)]
    a = m.input("a", np.linspace(0.0, 1.0, N))
    y = [m.define(f"y{i}", np.sin(x[i]) * x[i - 1] + 0.3 * i / (1.0 + a[i] ** 2)) for i in range(N)]
    z = [m.define(f"z{i}", np.maximum(y[i], 0.7) * y[(i + 1) % N] + y[0]) for i in range(N)]
    v = m.define("v", np.exp(-a) * y[3])
    u = [m.unknown(f"u{i}", guess=0.1) for i in range(N)]
    for i in range(N):
        beside = u[i - 1] if i else 0.0
        m.constrain(3.0 * u[i] - beside - u[(i + 1) % N] + 0.1 * u[i] ** 3 == x[i] + 0.01 * z[i] * a[2], name=f"e{i}")
    w = [m.define(f"w{i}", u[i] * u[i - 1] + v[i] * z[i]) for i in range(N)]
    m.define("f", sum(e * e for e in w) + np.log(x[0]))
    m.define("g", w[3] / w[4])


def program(monkeypatch: pytest.MonkeyPatch, batched: bool) -> adj.Program:
    """The program; batched or not, as asked."""
    for module in (run, cycle, plan, lagrangian):
        monkeypatch.setattr(module, "MANY", 32 if batched else 10**9)
    m = adj.Program(backend="numpy")
    equations(m)
    m.solve().gradient("f")
    assert {type(b) for b in m.plan().blocks} == {Run, Cycle}
    assert all((b._batched is not None) is batched for b in m.plan().blocks)
    return m


def close(actual: Any, expected: Any) -> None:
    """Equal results: numbers, arrays, dicts of them."""
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key, value in expected.items():
            close(actual[key], value)
    else:
        actual, expected = (x.toarray() if hasattr(x, "toarray") else x for x in (actual, expected))
        assert np.shape(actual) == np.shape(expected)
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10 * scale)


ANSWERS: dict[str, Any] = {
    "multipliers": lambda s: s.multipliers({"f": 1.0, "u3": 2.0}),
    "gradient": lambda s: s.gradient("f"),
    "gradient by some": lambda s: s.gradient("f", wrt=["x3", "a"]),
    "jacobian, reverse": lambda s: s.jacobian(["f", "u3", "v"], wrt=["x0", "x7", "a"], mode="reverse"),
    "jacobian, forward": lambda s: s.jacobian(["f", "g", "z3"], wrt=["x0", "x7", "a"], mode="forward"),
    "jacobian, sparse": lambda s: s.jacobian(["v", "w3"], wrt=["a", "x2"], sparse=True),
    "jvp": lambda s: s.jvp({"x3": 1.0, "a": np.ones(N)}, of=["f", "g", "u5", "v", "y3", "y9"]),
    "vjp": lambda s: s.vjp({"g": 1.0, "u5": 2.0, "v": np.ones(N)}),
    "hvp": lambda s: s.hvp("f", {"x3": 1.0, "x5": -1.0}),
    "hessian": lambda s: s.hessian("f", wrt=["x0", "x3", "a"]),
}


def test_the_same_answers_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = program(monkeypatch, batched=False).solve()
    expected = {name: ask(plain) for name, ask in ANSWERS.items()}
    sol = program(monkeypatch, batched=True).solve()
    for name, ask in ANSWERS.items():
        close(ask(sol), expected[name])


def test_values_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, m = program(monkeypatch, batched=False).solve(), program(monkeypatch, batched=True)
    sol = m.solve()
    for name in m.variables:
        close(sol[name], plain[name])


def test_derivatives_against_the_complex_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert program(monkeypatch, batched=True).solve().check_derivatives("f", wrt=["x0", "a"]).ok


def test_kinks_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MANY", 32)
    m = adj.Program(backend="numpy")
    x = [m.input(f"x{i}", 1.0 - 0.1 * i) for i in range(N)]
    for i in range(N):
        m.define(f"y{i}", abs(x[i]) * 2.0)
    with pytest.warns(KinkWarning, match="y5"):
        m.solve(x5=0.0, x10=0.5).gradient("y5")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m.solve(x10=0.5).gradient("y5")


def test_a_chain_is_not_batched() -> None:
    m = adj.Program(backend="numpy")
    x = v = m.input("x", 0.3)
    for i in range(400):
        v = m.define(f"v{i}", np.sin(v) * 1.1 + 0.1 * x)
    assert m.solve().gradient("v399")["x"] != 0.0
    (block,) = m.plan().blocks
    assert isinstance(block, Run) and block._batched is None
