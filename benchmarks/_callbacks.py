"""The five callbacks of an optimizer, f, c, ∇f, J and H, of a program and of its peers: made, compared, timed."""

from __future__ import annotations

import importlib
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

import adjoint as adj

from .harness import Row, compare, timeit

WHAT = {"f": "f", "c": "c", "grad": "∇f", "jac": "J", "hess": "H"}
POINTS = 5  # more than a function remembers
TOLERANCE = 1e-9  # of values between the sides, relative to the largest


@dataclass(frozen=True)
class Callbacks:
    """The five callbacks without arguments, all five at once, and their values at the first point."""

    name: str
    f: Callable[[], Any]
    c: Callable[[], Any]
    grad: Callable[[], Any]
    jac: Callable[[], Any]
    hess: Callable[[], Any]
    all_five: Callable[[], Any]
    values: Callable[[], dict[str, Any]]


def installed(name: str) -> bool:
    """Whether a package can be imported; it is, so that its import is not timed."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def of_program(
    m: adj.Program,
    constraints: Sequence[str],
    wrt: str | Sequence[str],
    points: Sequence[np.ndarray],
    multipliers: np.ndarray,
) -> Callbacks:
    """The callbacks of a program with the objective "f", each call at the next point."""
    f, c = m.function("f", wrt=wrt), m.function(constraints, wrt=wrt, sparse=True)
    lagrangian = m.function(["f", *constraints], wrt=wrt, sparse=True)
    weights, following = np.concatenate([[1.0], multipliers]), itertools.cycle(points)

    def at(v: np.ndarray) -> dict[str, Any]:
        return {"f": f(v), "c": c(v), "grad": f.jac(v), "jac": c.jac(v), "hess": lagrangian.hess(v, weights)}

    return Callbacks(
        "adjoint",
        f=lambda: f(next(following)),
        c=lambda: c(next(following)),
        grad=lambda: f.jac(next(following)),
        jac=lambda: c.jac(next(following)),
        hess=lambda: lagrangian.hess(next(following), weights),
        all_five=lambda: at(next(following)),
        values=lambda: at(points[0]),
    )


def warm_up() -> None:
    """All five callbacks of a small program, so that imports and the start of the compiler are not timed."""
    m = adj.Program("warm-up")
    x = m.input("x", np.ones(3))
    m.define("c", x[1:] * np.exp(x[:-1]))
    m.define("f", np.sum(x**4))
    of_program(m, ["c"], "x", [np.ones(3)], np.ones(2)).all_five()


def of_casadi(name: str, x: Any, f: Any, c: Any, point: np.ndarray, multipliers: np.ndarray) -> Callbacks:
    """The callbacks of CasADi expressions; they write nonzeros, of H those of the upper triangle, into given memory."""
    import casadi as ca

    lam = type(x).sym("lam", multipliers.size)
    hessian = ca.triu(ca.hessian(f + ca.dot(lam, c), x)[0])
    outputs = {"f": f, "c": c, "grad": ca.gradient(f, x), "jac": ca.jacobian(c, x), "hess": hessian}
    functions, memory, calls = {}, {}, {}
    for what, expression in outputs.items():
        arguments, given = ([x, lam], [point, multipliers]) if what == "hess" else ([x], [point])
        function = functions[what] = ca.Function(f"callback_{what}", arguments, [expression])
        buffer, calls[what] = function.buffer()
        memory[what] = np.zeros(function.nnz_out(0)), buffer, given  # kept: a buffer holds addresses only
        for i, array in enumerate(given):
            buffer.set_arg(i, memoryview(array))
        buffer.set_res(0, memoryview(memory[what][0]))

    def all_five() -> None:
        for call in calls.values():
            call()

    def values() -> dict[str, Any]:
        all_five()
        found: dict[str, Any] = {}
        for what, (data, *_) in memory.items():
            pattern = functions[what].sparsity_out(0)
            found[what] = sp.csc_array((data.copy(), pattern.row(), pattern.colind()), shape=pattern.shape)
        found["hess"] = found["hess"] + sp.triu(found["hess"], 1).T
        dense = {what: found[what].toarray().ravel() for what in ("f", "c", "grad")}
        return {**found, **dense}

    return Callbacks(name, **calls, all_five=all_five, values=values)


def agree(mine: Callbacks, peers: Sequence[Callbacks]) -> None:
    """All values are equal to TOLERANCE; an AssertionError where they are not."""
    expected = mine.values()
    for peer in peers:
        for what, value in peer.values().items():
            difference = abs(value - expected[what])
            gap, size = (float(np.max(p.data if sp.issparse(p) else p, initial=0.0)) for p in (difference, abs(value)))
            assert gap <= TOLERANCE * size, (peer.name, what, gap, size)


def built(make: Callable[..., Callbacks], *arguments: Any) -> tuple[Callbacks, float]:
    """Callbacks, called once each, and the seconds from nothing to there."""
    start = time.perf_counter()
    callbacks = make(*arguments)
    callbacks.all_five()
    return callbacks, time.perf_counter() - start


def rows(title: str, mine: Callbacks, peers: Sequence[Callbacks], repeat: int, promise: str) -> list[Row]:
    """A row for each callback and one for all, beside the peer that is fastest at it."""
    table = []
    for what, symbol in {**WHAT, "all_five": "all five at one point"}.items():
        peer = min(peers, key=lambda p: timeit(getattr(p, what), 3), default=None)
        fn, name = (getattr(peer, what), peer.name) if peer else (None, "CasADi")
        note = promise if what in WHAT else "for orientation"
        table.append(compare(f"{title}: {symbol}", getattr(mine, what), fn, name, repeat, note=note))
    return table
