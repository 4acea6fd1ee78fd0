"""Random steps of scans: a carry of two leaves, inputs of two leaves, and closed-over parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import adjoint as adj
from adjoint.expr import as_expr
from adjoint.loops import scan

LENGTH = 6
NAMES = ["w", "b", "s", "h0", "u", "v"]
UNARY: list[Callable[[Any], Any]] = [
    np.sin,
    np.tanh,
    lambda a: np.exp(-(a**2)),
    lambda a: a / np.sqrt(1.0 + a * a),
    lambda a: np.log1p(a**2),
    lambda a: np.where(a > 0.1, a, 0.5 * a + 0.05),
]
BINARY: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a - 0.5 * b,
    lambda a, b: np.arctan2(a, 2.0 + b * b),
]


def random_step(seed: int) -> Callable[[adj.Program], tuple[Any, Any, Any]]:
    """``(step, init, xs)`` on the inputs of a program, the same for the same seed."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 4))
    plan = [(int(rng.integers(len(UNARY))), int(rng.integers(len(BINARY))), *rng.integers(0, 50, 3)) for _ in range(5)]

    def make(m: adj.Program) -> tuple[Any, Any, Any]:
        w, b, s = m["w"], m["b"], m["s"]

        def step(carry: Any, x: Any) -> tuple[Any, Any]:
            h, k = carry["h"], carry["k"]
            pool = [h, k * np.ones(n), x[0] * b, w @ h, np.exp(0.1 * s) * h[::-1], b]
            for one, two, i, j, last in plan:
                left, right = pool[i % len(pool)], pool[j % len(pool)]
                pool.append(UNARY[one](BINARY[two](left, right)) + 0.3 * pool[last % len(pool)])
            new = {"k": np.tanh(0.5 * k + np.sum(pool[-2]) / n - x[1][0]), "h": 0.8 * pool[-1]}
            return new, (pool[-3] * s, [new["k"] + x[1][1]])

        return step, {"h": m["h0"], "k": 0.4}, (m["u"], m["v"])

    def declare(m: adj.Program) -> tuple[Any, Any, Any]:
        draw = np.random.default_rng(seed + 1000)
        m.input("w", draw.normal(size=(n, n)) / n)
        m.input("b", draw.normal(size=n))
        m.input("s", 0.7)
        m.input("h0", draw.normal(size=n))
        m.input("u", draw.normal(size=LENGTH))
        m.input("v", draw.normal(size=(LENGTH, 2)))
        return make(m)

    return declare


def unrolled(step: Any, init: Any, xs: Any, length: int, reverse: bool = False) -> tuple[Any, list[Any]]:
    """The same as a loop of Python: the carry, and the outputs of each step in the order of the rows."""
    carry, rows = init, [None] * length
    for t in reversed(range(length)) if reverse else range(length):
        carry, rows[t] = step(carry, None if xs is None else _row(xs, t))
    return carry, rows


def _row(xs: Any, t: int) -> Any:
    return tuple(_row(x, t) for x in xs) if isinstance(xs, tuple) else as_expr(xs)[t]


def programs(seed: int, backend: str, reverse: bool = False, **options: Any) -> tuple[adj.Program, adj.Program]:
    """A program with a scan, on a backend, and the same one unrolled, on the reference backend."""
    made = []
    for name in (backend, "numpy"):
        m = adj.Program("loop", backend=name)
        step, init, xs = random_step(seed)(m)
        if not made:
            carry, (ya, (yb,)) = scan(step, init, xs, reverse=reverse, **options)
        else:
            carry, rows = unrolled(step, init, xs, LENGTH, reverse)
            ya, yb = np.stack([a for a, _ in rows]), np.stack([b for _, (b,) in rows])
        weights = np.linspace(0.5, 2.0, LENGTH)
        m.define("f", np.sum(ya**2 * weights[:, None]) + np.sum(np.sin(yb) * weights) + carry["k"] * np.sum(carry["h"]))
        made.append(m)
    return made[0], made[1]
