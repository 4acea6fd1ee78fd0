"""What a gradient costs: beside the value, beside the solve, and by the number of inputs."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

import adjoint as adj

from .harness import Row, timeit


def explicit(equations: int, n: int) -> adj.Program:
    """A chain of array equations, and a scalar objective."""
    m = adj.Program("chain")
    x = m.input("x", np.linspace(0.1, 1.0, n))
    z = [x, x]
    for i in range(equations):
        z.append(m.define(f"z{i}", np.sin(z[-1]) * 0.5 + 0.3 * z[-2] * z[-1] + 0.1))
    m.define("f", np.sum(z[-1] ** 2))
    return m


def ring(n: int, inputs: int) -> adj.Program:
    """A nonlinear cycle of n states; ``inputs`` parameters spread over them."""
    m = adj.Program("ring")
    p = m.input("p", np.full(inputs, 0.5))
    y = m.unknown("y", np.zeros(n))
    spread = np.arange(n) % inputs
    m.define(y, 0.4 * np.sin(np.roll(y, 1)) + 0.3 * np.roll(y, -1) + p[spread])
    m.define("f", np.sum(y**2))
    return m


def gradient_and_solve(m: adj.Program, wrt: str, repeat: int) -> tuple[float, float]:
    """Median times of a solve from the guess and of the first gradient at it (nothing cached at the point)."""
    m.solve().gradient("f", wrt=wrt)
    solves, gradients = [], []
    for _ in range(repeat):
        start = time.perf_counter()
        sol = m.solve()
        solves.append(time.perf_counter() - start)
        start = time.perf_counter()
        sol.gradient("f", wrt=wrt)
        gradients.append(time.perf_counter() - start)
    return statistics.median(solves), statistics.median(gradients)


def run(repeat: int) -> list[Row]:
    """The ratios that the library promises."""
    rows: list[Row] = []
    for n in (10, 1000, 10_000):
        m = explicit(1000, n)
        sol = m.solve()
        value = timeit(m.solve, repeat)
        gradient = timeit(lambda sol=sol: sol.gradient("f"), repeat)  # type: ignore[misc]
        rows.append(
            Row(f"1,000 explicit equations of {n:,}: gradient", gradient, value, "value", "s", "promised: ≤ 4 × value")
        )
    solve, gradient = gradient_and_solve(ring(100_000, 10), "p", repeat)
    rows.append(Row("cycle of 100,000: gradient", gradient, solve, "forward solve", "s", "promised: ≤ 0.5 × forward"))
    costs: dict[int, float] = {}
    for inputs in (10, 1000, 100_000):
        costs[inputs] = gradient_and_solve(ring(100_000, inputs), "p", repeat)[1]
    for inputs in (1000, 100_000):
        rows.append(
            Row(f"gradient for {inputs:,} inputs", costs[inputs], costs[10], "for 10 inputs", "s", "promised: ≤ 1.5 ×")
        )
    return rows + scale()


def scale() -> list[Row]:
    """100,000 named scalar equations."""

    def build() -> Any:
        m = adj.Program("scalars")
        x = m.input("x", 0.5)
        z = [x]
        back = np.random.default_rng(0).integers(0, 1000, size=100_000)
        for i in range(100_000):
            a, b = z[-1], z[max(0, len(z) - 1 - int(back[i]))]
            z.append(m.define(f"z{i}", np.sin(a) * 0.5 + 0.3 * b * a + 0.1))
        return m

    start = time.perf_counter()
    m = build()
    defined = time.perf_counter()
    m.blocks()
    found = time.perf_counter()
    return [
        Row("100,000 named scalar equations: defined", defined - start, None, "", "s", "promised: ≤ 4 s"),
        Row("100,000 named scalar equations: structure", found - defined, None, "", "s", "promised: ≤ 5 s"),
    ]
