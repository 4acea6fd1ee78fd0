"""Models that several test files use."""

from __future__ import annotations

import numpy as np

import adjoint as adj

__all__ = ["sellar"]


def sellar() -> adj.Program:
    """Two disciplines that need each other (Sellar, Batill & Renaud 1996)."""
    m = adj.Program("sellar")
    z1, z2, x = m.input("z1", 5.0), m.input("z2", 2.0), m.input("x", 1.0)
    y1, y2 = m.unknown("y1", guess=1.0), m.unknown("y2", guess=1.0)
    m.define(y1, z1**2 + z2 + x - 0.2 * y2)
    m.define(y2, np.sqrt(y1) + z1 + z2)
    m.define("f", x**2 + z2 + y1 + np.exp(-y2))
    return m
