"""Random scalar programs of 1e3 to 1e6 operations: build, value and gradient, beside CasADi SX.

A list of operations on scalars (+ − · / sin cos tanh, exp(−x²), √(1 + x²), c x) with operands partly from the last
nodes and partly from anywhere; the output is the sum of all that nothing uses, so that no operation is idle. Both
sides are made from the same list: a program of plain Python expressions with one equation (or with a named equation
for every tenth node, or for every node), and a CasADi ``Function`` of an SX, with its ``casadi.gradient``.

"Build + compile" is from the list to the first value and the first gradient, of another list in every sample. A
gradient is one at a new point, the forward evaluation included, on both sides. CasADi is called through
``Function.buffer`` on preset arrays, its fastest way.
"""

from __future__ import annotations

import functools
import gc
import itertools
import math
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import adjoint as adj

from .harness import Row, compare

SIZES = (1_000, 10_000, 100_000, 1_000_000)
# Every so many nodes have a named equation: up to this size. With some unnamed, an equation depends on most of the
# names before it, so that the graph of the program grows with the square of the size.
NAMED = {1: 100_000, 10: 10_000}
BUILDS = 200_000  # operations built per figure, at most: fewer samples of long lists
CALLS = 3_000_000  # the same for calls
WINDOW = 64  # the last nodes
BOUND = 4.0  # of every node, whatever the inputs in [−1, 1]
SCALE = 0.25
POINTS = 5  # more than a function remembers
CASADI = "CasADi SX"

# Kind, its share, and how many operations it is.
KINDS = {
    "add": (0.15, 1),
    "subtract": (0.15, 1),
    "multiply": (0.25, 1),
    "divide": (0.10, 1),
    "sin": (0.09, 1),
    "cos": (0.05, 1),
    "tanh": (0.05, 1),
    "gauss": (0.05, 3),
    "root": (0.07, 3),
    "scale": (0.04, 1),  # and more: in place of what would grow too large
}


@dataclass(frozen=True)
class Operations:
    """A program as a list: node ``inputs + i`` is the kind ``kinds[i]`` of nodes ``a[i]`` and ``b[i]``.

    ``loose`` are the nodes that no other uses; the output is their sum.
    """

    inputs: int
    kinds: list[str]
    a: list[int]
    b: list[int]
    loose: list[int]


def operations(count: int, seed: int) -> Operations:
    """A list of ``count`` operations, the sum of the loose nodes counted."""
    rng = np.random.default_rng(seed)
    inputs = max(20, min(1000, count // 50))
    drawn = rng.choice(len(KINDS), size=count, p=[share for share, _ in KINDS.values()])
    recent, near = rng.random((2, count)), rng.random(count) < 0.5
    names = list(KINDS)
    bounds, used = [1.0] * inputs, [False] * inputs
    divisors: list[int] = []  # nodes that are at least 1
    kinds, args_a, args_b = [], [], []
    total, unused = 0, inputs
    for i in range(count):
        if total + unused - 1 >= count:
            break
        size = len(bounds)
        a = size - 1 - int(recent[0, i] * min(size, WINDOW))
        b = size - 1 - int(recent[1, i] * (min(size, WINDOW) if near[i] else size))
        kind = names[drawn[i]]
        if kind == "divide":
            b = divisors[-1 - int(recent[1, i] * min(len(divisors), WINDOW))] if divisors else a
        if a == b:
            continue  # a − a and a / a are no operations
        bound = _bound(kind, bounds[a], bounds[b])
        if bound > BOUND:
            kind, bound = "scale", SCALE * bounds[a]
        if kind == "root":
            divisors.append(size)
        kinds.append(kind)
        args_a.append(a)
        args_b.append(b)
        bounds.append(bound)
        used.append(False)
        unused += 1
        for k in (a, b) if kind in ("add", "subtract", "multiply", "divide") else (a,):
            unused -= not used[k]
            used[k] = True
        total += KINDS[kind][1]
    return Operations(inputs, kinds, args_a, args_b, [k for k, u in enumerate(used) if not u])


def _bound(kind: str, a: float, b: float) -> float:
    """A bound of the result from those of the operands."""
    if kind in ("add", "subtract"):
        return a + b
    if kind == "multiply":
        return a * b
    if kind == "divide":
        return a
    if kind == "scale":
        return SCALE * a
    return math.sqrt(1.0 + a * a) if kind == "root" else 1.0


def points(inputs: int) -> list[np.ndarray]:
    """Vectors of the inputs."""
    rng = np.random.default_rng(1)
    return [rng.uniform(-1.0, 1.0, inputs) for _ in range(POINTS)]


def evaluate(
    ops: Operations, inputs: Sequence[Any], table: dict[str, Any], rename: Callable[[int, Any], Any] | None = None
) -> Any:
    """The output; ``table`` has a function of (a, b) for every kind. ``rename(i, node)`` replaces the i-th node."""
    nodes = list(inputs)
    for i, (kind, a, b) in enumerate(zip(ops.kinds, ops.a, ops.b, strict=True)):
        node = table[kind](nodes[a], nodes[b])
        nodes.append(node if rename is None else rename(i, node))
    total = nodes[ops.loose[0]]
    for k in ops.loose[1:]:
        total = total + nodes[k]
    return total


def functions(xp: Any) -> dict[str, Any]:
    """Every kind of operation, with the functions of numpy or casadi."""
    sin, cos, tanh, exp, sqrt = xp.sin, xp.cos, xp.tanh, xp.exp, xp.sqrt
    return {
        "add": lambda a, b: a + b,
        "subtract": lambda a, b: a - b,
        "multiply": lambda a, b: a * b,
        "divide": lambda a, b: a / b,
        "sin": lambda a, b: sin(a),
        "cos": lambda a, b: cos(a),
        "tanh": lambda a, b: tanh(a),
        "gauss": lambda a, b: exp(-(a * a)),
        "root": lambda a, b: sqrt(1.0 + a * a),
        "scale": lambda a, b: SCALE * a,
    }


# -- both sides --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Calls:
    """Value and gradient at a vector."""

    value: Callable[[np.ndarray], float]
    gradient: Callable[[np.ndarray], np.ndarray]


def one_equation(ops: Operations) -> Calls:
    """A program of one equation."""
    m = adj.Program("scalars")
    m.define("f", evaluate(ops, _inputs(m, ops), functions(np)))
    fun = m.function("f")
    return Calls(fun, fun.jac)


def named_equations(ops: Operations, every: int) -> Calls:
    """A program with a named equation for every so many nodes."""
    m = adj.Program("scalars")

    def rename(i: int, node: Any) -> Any:
        return node if (i + 1) % every else m.define(f"z{i}", node)

    m.define("f", evaluate(ops, _inputs(m, ops), functions(np), rename))
    fun = m.function("f")
    return Calls(fun, fun.jac)


def _inputs(m: adj.Program, ops: Operations) -> list[Any]:
    return [m.input(f"x{i}", 0.0) for i in range(ops.inputs)]


@dataclass(frozen=True)
class Buffered:
    """A CasADi function called on preset arrays; it returns the same array each time."""

    function: Any  # kept alive with its buffer, of which ``call`` knows the address only
    buffer: Any
    call: Callable[[], None]
    vector: np.ndarray
    result: np.ndarray

    def __call__(self, point: np.ndarray) -> np.ndarray:
        self.vector[:] = point
        self.call()
        return self.result


def buffered(function: Any, outputs: int) -> Buffered:
    """The function of one vector, by ``Function.buffer``."""
    vector, result = np.zeros(function.size1_in(0)), np.zeros(outputs)
    buffer, call = function.buffer()
    buffer.set_arg(0, vector.data)
    buffer.set_res(0, result.data)
    return Buffered(function, buffer, call, vector, result)


def casadi_calls(ops: Operations) -> Calls:
    """CasADi's functions of the value and of the gradient."""
    import casadi

    x = casadi.SX.sym("x", ops.inputs)
    f = evaluate(ops, casadi.vertsplit(x), functions(casadi))
    gradient = casadi.densify(casadi.gradient(f, x))  # an input may be without effect
    value = buffered(casadi.Function("f", [x], [f]), 1)
    return Calls(lambda v: float(value(v)[0]), buffered(casadi.Function("g", [x], [gradient]), ops.inputs))


def has_casadi() -> bool:
    """Whether CasADi is installed."""
    try:
        import casadi  # noqa: F401
    except ImportError:
        return False
    return True


# -- rows --------------------------------------------------------------------------------------------------


def _first(make: Callable[[Operations], Calls], ops: Operations, v: np.ndarray) -> tuple[float, Calls]:
    """Seconds from the list to the first value and the first gradient; and the functions made."""
    gc.collect()  # what earlier samples left is not counted
    start = time.perf_counter()
    calls = make(ops)
    calls.value(v)
    calls.gradient(v)
    return time.perf_counter() - start, calls


def _agree(mine: Calls, theirs: Calls, v: np.ndarray) -> None:
    """Both give the same numbers."""
    np.testing.assert_allclose(mine.value(v), theirs.value(v), rtol=1e-10)
    gradient = theirs.gradient(v)
    assert np.isfinite(gradient).all() and gradient.any()
    np.testing.assert_allclose(mine.gradient(v), gradient, rtol=1e-8, atol=1e-10 * np.abs(gradient).max())


def rows_of(title: str, count: int, repeat: int, make: Callable[[Operations], Calls], with_peer: bool) -> list[Row]:
    """Build, in turn with CasADi, and calls of what was built last."""
    mine, peer = None, None
    seconds: list[float] = []
    peer_seconds: list[float] = []
    for _ in range(max(1, min(repeat, BUILDS // count))):
        ops = operations(count, secrets.randbits(32))
        vectors = points(ops.inputs)
        mine, peer = None, None  # those of the last list go first
        time_, mine = _first(make, ops, vectors[0])
        seconds.append(time_)
        if with_peer:
            time_, peer = _first(casadi_calls, ops, vectors[0])
            peer_seconds.append(time_)
            _agree(mine, peer, vectors[0])
    assert mine is not None
    theirs = statistics.median(peer_seconds) if with_peer else None
    build = Row(f"{title}: build + compile", statistics.median(seconds), theirs, CASADI, "s", "promised: ≤ 1 ×")
    return [build, *_warm(title, mine, peer, vectors, min(repeat, max(1, CALLS // count)))]


def _warm(title: str, mine: Calls, peer: Calls | None, vectors: list[np.ndarray], repeat: int) -> list[Row]:
    """Value and gradient per call, and their ratio."""
    # One for both rows: the second does not begin at a point that is remembered.
    turn, their_turn = itertools.cycle(vectors), itertools.cycle(vectors)

    def row(what: str, ours: Callable[..., Any], theirs: Callable[..., Any] | None) -> Row:
        def call_peer() -> Any:
            return theirs and theirs(next(their_turn))

        return compare(
            f"{title}: {what}",
            lambda: ours(next(turn)),
            call_peer if theirs else None,
            CASADI,
            repeat,
            note="promised: ≤ 0.5 ×",
        )

    value = row("value", mine.value, peer.value if peer else None)
    gradient = row("gradient", mine.gradient, peer.gradient if peer else None)
    beside = Row(f"{title}: gradient beside value", gradient.ours, value.ours, "our value", "s", "promised: ≤ 3 ×")
    return [value, gradient, beside]


def run(repeat: int) -> list[Row]:
    """All sizes as one equation, and with names where they are few enough."""
    with_peer = has_casadi()
    rows = []
    for count in SIZES:
        title = f"{count:,} operations"
        rows += rows_of(title, count, repeat, one_equation, with_peer)
        for every, largest in NAMED.items():
            if count <= largest:
                which = "each named" if every == 1 else f"every {every}th named"
                make = functools.partial(named_equations, every=every)
                rows += rows_of(f"{title}, {which}", count, repeat, make, with_peer)
    return rows
