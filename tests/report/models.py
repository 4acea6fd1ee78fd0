"""Small programs of every shape that pictures and tables meet."""

from __future__ import annotations

import numpy as np

import adjoint as adj


def sellar() -> adj.Program:
    """Two disciplines in a cycle, and an output."""
    m = adj.Program("sellar")
    z1, z2, x = m.input("z1", 5.0), m.input("z2", 2.0), m.input("x", 1.0)
    y1, y2 = m.unknown("y1"), m.unknown("y2")
    m.define(y1, z1**2 + z2 + x - 0.2 * y2)
    m.define(y2, np.sqrt(y1) + z1 + z2)
    m.define("f", x**2 + z2 + y1 + np.exp(-y2))
    return m


def chain(n: int = 5) -> adj.Program:
    """x → c0 → c1 → …"""
    m = adj.Program("chain")
    x: adj.Expr = m.input("x", 1.0)
    for i in range(n):
        x = m.define(f"c{i}", np.sin(x))
    return m


def tangle(n: int = 40, inputs: int = 8, seed: int = 0, back: float = 0.15) -> adj.Program:
    """Random equations on earlier unknowns and inputs, some of them on later ones: many crossings, some cycles."""
    rng = np.random.default_rng(seed)
    m = adj.Program("tangle")
    xs = [m.input(f"x{i}", 1.0) for i in range(inputs)]
    us = [m.unknown(f"u{i}", 1.0) for i in range(n)]
    for i, u in enumerate(us):
        near = [*us[max(0, i - 8) : i], *xs]
        expr = sum(0.1 * near[k] for k in rng.choice(len(near), size=2, replace=False))
        if rng.random() < back and i + 3 < n:
            expr = expr + 0.01 * us[i + 1 + rng.integers(2)]
        m.define(u, np.sin(expr))
    return m


def arrays() -> adj.Program:
    """An implicit cycle of arrays that is matched element by element, and a number from it."""
    m = adj.Program("rod")
    k = m.input("k", np.ones(6))
    T, q = m.unknown("T", np.zeros(6)), m.unknown("q", np.zeros(5))
    m.constrain(T[1:] - T[:-1] == q * k[1:], "fourier")
    m.constrain(T[:1] == 1.0, "left")
    m.constrain(q[1:] - q[:-1] + 0.1 * T[1:-1] == 0.0, "balance")
    m.constrain(q[4:] == 1.0, "right")
    m.define("mean", T.mean())
    return m


def empty() -> adj.Program:
    """Nothing at all."""
    return adj.Program("empty")
