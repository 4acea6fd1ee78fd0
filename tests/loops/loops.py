"""A loop for the laws of the rows ``scan`` and ``scan_adjoint``, and both written out in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

import adjoint as adj
from adjoint.loops import scan
from adjoint.loops.loop import Loop
from adjoint.walk import topological

LENGTH = 3
WANTED = (1, (True,))  # cotangents of the parameter, and of the input


def _loop(**options: Any) -> Loop:
    """c ← sin(p c) + x with outputs c², a carry of two numbers, one parameter, inputs of two numbers."""
    m = adj.Program()
    c, p, x = m.input("c", np.ones(2)), m.input("p", 0.5), m.input("x", np.ones((LENGTH, 2)))
    end, _ = scan(lambda c, x: (np.sin(p * c) + x, c**2), c, x, **options)
    (node,) = [n for n in topological([end]) if n.op is not None and n.op.name == "scan"]
    return node.params[0]  # type: ignore[no-any-return]


LOOP, BACKWARDS, FEW = _loop(), _loop(reverse=True), _loop(checkpoints=2)


def scanned(carry: Any, p: Any, x: Any, loop: Loop) -> Any:
    """The carry in the end, and the outputs."""
    rows = np.reshape(x, (LENGTH, 2))
    out = np.empty((LENGTH, 2), np.result_type(carry, p, x))
    for t in reversed(range(LENGTH)) if loop.reverse else range(LENGTH):
        out[t] = carry**2
        carry = np.sin(p * carry) + rows[t]
    return np.concatenate([carry, out.reshape(-1)])


def pulled(carry: Any, p: Any, x: Any, end: Any, seeds: Any, loop: Loop, wanted: Any) -> Any:
    """The cotangents of the carry at the start, of the parameter, and of the inputs."""
    order = list(reversed(range(LENGTH)) if loop.reverse else range(LENGTH))
    rows, seed = np.reshape(x, (LENGTH, 2)), np.reshape(seeds, (LENGTH, 2))
    states = [carry]
    for t in order:
        states.append(np.sin(p * states[-1]) + rows[t])
    lam, by_p, by_x = end, 0.0, np.empty((LENGTH, 2), np.result_type(carry, p, x, end, seeds))
    for t, c in zip(order[::-1], states[-2::-1], strict=True):
        by_x[t] = lam
        by_p = by_p + np.sum(lam * np.cos(p * c) * c)
        lam = lam * np.cos(p * c) * p + 2 * c * seed[t]
    return np.concatenate([lam, np.reshape(by_p, -1), by_x.reshape(-1)])
