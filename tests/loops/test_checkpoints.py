"""Derivatives with few states kept: the same numbers, in little memory, in memory or on disk."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.loops import scan
from tests.loops.random_steps import NAMES, programs

STEPS, SIZE = 100_000, 8


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 100])
def test_any_number_of_checkpoints(count: int, backend: str, tmp_path: Path) -> None:
    for options in ({}, {"folder": tmp_path / "states"}):
        loop, _ = programs(2, backend, checkpoints=count, **options)
        plain, _ = programs(2, backend)
        a, b = loop.solve(), plain.solve()
        d = {name: np.ones(np.shape(a[name])) for name in NAMES}
        for _ in range(3):  # with snapshots made by the pull, and by the values
            for name, g in a.gradient("f").items():
                np.testing.assert_allclose(g, b.gradient("f")[name], rtol=1e-12, atol=1e-14)
            a = loop.solve()
        for name, h in a.hvp("f", d).items():
            np.testing.assert_allclose(h, b.hvp("f", d)[name], rtol=1e-10, atol=1e-12)
    assert list((tmp_path / "states").glob("*")) == []


def long_loop(**options: Any) -> Any:
    """A function of 64 parameters: 1e5 steps of the classical Runge–Kutta method with a state of 8 numbers."""
    m = adj.Program("long")
    a = m.input("a", 0.1 * np.random.default_rng(0).normal(size=(SIZE, SIZE)))
    h = 1e-4

    def f(y: Any) -> Any:
        return a @ np.sin(y)

    def step(y: Any, _: Any) -> Any:
        k1 = f(y)
        k2 = f(y + h / 2 * k1)
        k3 = f(y + h / 2 * k2)
        k4 = f(y + h * k3)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    y, _ = scan(step, np.ones(SIZE), length=STEPS, **options)
    m.define("f", np.sum(y**2))
    return m.function("f")


def _peak(run: Any) -> int:
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.skipif("llvm" not in BACKENDS, reason="1e5 steps of NumPy take minutes")
def test_memory_and_time_of_a_long_loop() -> None:
    """With 300 checkpoints at most 1/100 of the memory of all states, in at most three times the time."""
    functions = {"all": long_loop(), "few": long_loop(checkpoints=300)}
    x = functions["all"].x0
    for fun in functions.values():  # compiles
        fun(x), fun.jac(x), fun(1.01 * x), fun.jac(1.01 * x)
    seconds = dict.fromkeys(functions, np.inf)
    for k in range(5):
        for name, fun in functions.items():
            begun = time.process_time()
            fun(x * (1.02 + k / 100)), fun.jac(x * (1.02 + k / 100))
            seconds[name] = min(seconds[name], time.process_time() - begun)
    assert np.array_equal(functions["all"].jac(x), functions["few"].jac(x))

    def again(name: str) -> Any:
        return lambda: (functions[name](0.99 * x), functions[name].jac(0.99 * x))

    states = STEPS * SIZE * 8
    assert _peak(again("all")) >= states
    assert _peak(again("few")) <= states / 100
    assert seconds["few"] <= 3 * seconds["all"]
