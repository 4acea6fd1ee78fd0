"""Elementwise arrays and sums, value and gradient, n = 1e3 to 1e7, beside jax.jit and NumPy by hand.

f(a, b) = exp(a) * sin(b) * a + b, and its sum. Ours goes through ``Program.function``, from one vector that holds a and
b. The peers get a and b as arrays of their own, jax's already converted, and give separate gradients. Every call is at
another point than the last three, so that nothing comes from the memory of a point.

The gradient of the sum is ``fun.jac(v)`` after ``fun(v)``, beside ``jax.value_and_grad``. The array's derivatives are
the two diagonals of its Jacobian: by ``m.solve(...).vjp`` of ones, and by ``fun.jac(v)`` as a CSR matrix; both beside
``jax.vjp`` of ones.

The rows "from nothing" count everything from a new program to the first gradient. For "a new function" each sample
adds operations drawn at random, so that no cache, of this or of an earlier process, knows it. "Again" builds one and
the same function anew each time, which a cache may recognize.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import adjoint as adj

from .harness import Row, compare

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
LARGE = 10_000_000  # from here on three samples
SPARSE = 1_000_000  # largest size whose Jacobian is formed as a matrix
FIRST = 100_000  # size for the first gradient
POINTS = 5  # more than a function remembers
JAX, NUMPY = "jax.jit", "NumPy by hand"
PROMISED = {JAX: "promised: ≤ 0.5 ×", NUMPY: "promised: ≤ 0.2 ×"}

Formula = Callable[[Any, Any, Any], Any]  # of numpy or jax.numpy, a and b
Call = Callable[[int], Any]  # of the number of a point


@dataclass(frozen=True)
class Calls:
    """The same four results from each contestant, at the point of a number."""

    total: Call
    total_gradient: Call  # value and the gradients in a and b
    array: Call
    array_derivatives: Call  # value, and the diagonals of the derivatives in a and b


def formula(xp: Any, a: Any, b: Any) -> Any:
    """The elementwise function, in NumPy or jax.numpy."""
    return xp.exp(a) * xp.sin(b) * a + b


def points(n: int) -> list[np.ndarray]:
    """Vectors that hold a and b."""
    rng = np.random.default_rng(0)
    return [rng.uniform(0.0, 1.0, 2 * n) for _ in range(POINTS)]


def _halves(vectors: list[np.ndarray], convert: Callable[[Any], Any] = np.array) -> list[tuple[Any, Any]]:
    """a and b at every point, each an array of its own."""
    n = vectors[0].size // 2
    return [(convert(v[:n]), convert(v[n:])) for v in vectors]


# -- ours --------------------------------------------------------------------------------------------------


def model(n: int, total: bool, of: Formula = formula) -> adj.Program:
    """f, the array or its sum, of inputs a and b."""
    m = adj.Program("elementwise")
    a, b = m.input("a", np.zeros(n)), m.input("b", np.zeros(n))
    value = of(np, a, b)
    m.define("f", np.sum(value) if total else value)
    return m


def our_calls(vectors: list[np.ndarray]) -> Calls:
    """The calls of the library."""
    n = vectors[0].size // 2
    total = model(n, True).function("f", wrt=["a", "b"])
    m = model(n, False)
    array = m.function("f", wrt=["a", "b"])
    pairs, ones = _halves(vectors), np.ones(n)

    def total_gradient(k: int) -> Any:
        value, gradient = total(vectors[k]), total.jac(vectors[k])
        return value, (gradient[:n], gradient[n:])

    def array_derivatives(k: int) -> Any:
        a, b = pairs[k]
        sol = m.solve(a=a, b=b)
        cotangents = sol.vjp({"f": ones})
        return sol["f"], (cotangents["a"], cotangents["b"])

    return Calls(lambda k: total(vectors[k]), total_gradient, lambda k: array(vectors[k]), array_derivatives)


def sparse_jacobian(vectors: list[np.ndarray]) -> Call:
    """The array, and its Jacobian as a CSR matrix of 2n entries."""
    fun = model(vectors[0].size // 2, False).function("f", wrt=["a", "b"], sparse=True)
    return lambda k: (fun(vectors[k]), fun.jac(vectors[k]))


# -- peers -------------------------------------------------------------------------------------------------


def _jax() -> Any:
    """JAX in double precision; None where it is not installed."""
    try:
        import jax
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)
    return jax


def jax_calls(vectors: list[np.ndarray]) -> Calls | None:
    """The calls of jax.jit; None where it is not installed."""
    jax = _jax()
    if jax is None:
        return None
    jnp = jax.numpy

    def array(a: Any, b: Any) -> Any:
        return formula(jnp, a, b)

    def array_derivatives(a: Any, b: Any) -> Any:
        value, pull = jax.vjp(array, a, b)
        return value, pull(jnp.ones_like(value))

    def total(a: Any, b: Any) -> Any:
        return jnp.sum(formula(jnp, a, b))

    pairs = _halves(vectors, jnp.array)

    def value(fun: Any) -> Call:
        compiled = jax.jit(fun)
        return lambda k: compiled(*pairs[k]).block_until_ready()

    def several(fun: Any) -> Call:
        compiled = jax.jit(fun)
        return lambda k: jax.block_until_ready(compiled(*pairs[k]))

    gradient = jax.value_and_grad(total, argnums=(0, 1))
    return Calls(value(total), several(gradient), value(array), several(array_derivatives))


def numpy_calls(vectors: list[np.ndarray]) -> Calls:
    """The calls of NumPy, as one writes them by hand: nothing is computed twice, temporaries are used again."""
    pairs = _halves(vectors)

    def array(k: int) -> Any:
        a, b = pairs[k]
        z = np.exp(a)
        z *= np.sin(b)
        z *= a
        z += b
        return z

    def array_derivatives(k: int) -> Any:
        # z = e s a + b, with e = exp(a), s = sin(b):  dz/da = e s (a + 1),  dz/db = e a cos(b) + 1
        a, b = pairs[k]
        e, da, db = np.exp(a), np.sin(b), np.cos(b)
        da *= e
        z = da * a
        da += z
        z += b
        e *= a
        db *= e
        db += 1.0
        return z, (da, db)

    def total_gradient(k: int) -> Any:
        z, gradient = array_derivatives(k)
        return z.sum(), gradient

    return Calls(lambda k: array(k).sum(), total_gradient, array, array_derivatives)


# -- warm --------------------------------------------------------------------------------------------------


def rows_of(n: int, repeat: int) -> list[Row]:
    """The results at one size, beside each peer."""
    vectors = points(n)
    mine, sparse = our_calls(vectors), sparse_jacobian(vectors)
    peers = {JAX: jax_calls(vectors), NUMPY: numpy_calls(vectors)}
    for peer in peers.values():
        if peer is not None:
            _agree(mine, peer)
    # One for all rows: a new row does not begin at a point that is remembered.
    turn, their_turn = itertools.cycle(range(POINTS)), itertools.cycle(range(POINTS))

    def row(what: str, ours: Call, theirs: Call | None, name: str, note: str) -> Row:
        def peer() -> Any:
            return theirs and theirs(next(their_turn))

        samples = min(repeat, 3) if n >= LARGE else repeat
        title = f"n = {n:,}, {what}"
        return compare(title, lambda: ours(next(turn)), peer if theirs else None, name, samples, note=note)

    rows = []
    for what, field in (
        ("sum: value", "total"),
        ("sum: value + gradient", "total_gradient"),
        ("array: value", "array"),
        ("array: value + vjp of ones", "array_derivatives"),
    ):
        for name, calls in peers.items():
            rows.append(row(what, getattr(mine, field), getattr(calls, field) if calls else None, name, PROMISED[name]))
    if n <= SPARSE:
        jax = peers[JAX]
        _agree_sparse(sparse, mine)
        what = "array: value + CSR Jacobian"
        rows.append(row(what, sparse, jax.array_derivatives if jax else None, JAX, "the peer: vjp of ones, no matrix"))
    return rows


def _agree(mine: Calls, peer: Calls) -> None:
    """Both give the same numbers."""
    for ours, theirs in ((mine.total, peer.total), (mine.array, peer.array)):
        np.testing.assert_allclose(ours(0), theirs(0), rtol=1e-10)
    for ours, theirs in (
        (mine.total_gradient, peer.total_gradient),
        (mine.array_derivatives, peer.array_derivatives),
    ):
        (value, gradient), (their_value, their_gradient) = ours(0), theirs(0)
        np.testing.assert_allclose(value, their_value, rtol=1e-10)
        for ours_part, their_part in zip(gradient, their_gradient, strict=True):
            np.testing.assert_allclose(ours_part, their_part, rtol=1e-10)


def _agree_sparse(sparse: Call, mine: Calls) -> None:
    """The Jacobian holds the diagonals, and nothing else."""
    matrix, (_, (da, db)) = sparse(0)[1], mine.array_derivatives(0)
    assert matrix.nnz == 2 * da.size
    np.testing.assert_allclose(matrix.diagonal(), da, rtol=1e-10)
    np.testing.assert_allclose(matrix.diagonal(da.size), db, rtol=1e-10)


# -- from nothing to the first gradient --------------------------------------------------------------------

STEPS: tuple[Callable[[Any, Any, Any], Any], ...] = (  # of z, a, b
    lambda z, a, b: z + a,
    lambda z, a, b: z * b,
    lambda z, a, b: z - b,
    lambda z, a, b: a - z,
)
ADDED = 8  # steps: 4⁸ functions


def fresh() -> Formula:
    """A function that no cache knows: the elementwise one of a + constant, and steps drawn at random."""
    steps = [secrets.choice(STEPS) for _ in range(ADDED)]
    shift = 1e-3 * (1 + secrets.randbelow(1000))

    def new(xp: Any, a: Any, b: Any) -> Any:
        z = formula(xp, a + shift, b)
        for step in steps:
            z = step(z, a, b)
        return z

    return new


def again() -> Formula:
    """The same function each time."""
    return formula


def first_gradient(n: int, of: Formula) -> np.ndarray:
    """Build, compile, and the first gradient of the sum."""
    fun = model(n, True, of).function("f", wrt=["a", "b"])
    return fun.jac(np.full(2 * n, 0.5))


def jax_first_gradient(n: int, of: Formula) -> tuple[Any, Any]:
    """The same with a new jitted function."""
    jax = _jax()

    def total(a: Any, b: Any) -> Any:
        return jax.numpy.sum(of(jax.numpy, a, b))

    half = jax.numpy.full(n, 0.5)
    return jax.block_until_ready(jax.jit(jax.grad(total, argnums=(0, 1)))(half, half))


def first_rows(n: int, repeat: int) -> list[Row]:
    """Build and compile counted: of a new function, and of one built before."""
    with_jax = _jax() is not None
    if with_jax:
        of = fresh()
        np.testing.assert_allclose(
            first_gradient(n, of), np.concatenate(jax_first_gradient(n, of)), rtol=1e-10, atol=1e-12
        )

    def row(what: str, make: Callable[[], Formula], note: str) -> Row:
        def peer() -> Any:
            return jax_first_gradient(n, make())

        title = f"n = {n:,}, sum: from nothing to the first gradient, {what}"
        # One function per sample, however short.
        return compare(
            title, lambda: first_gradient(n, make()), peer if with_jax else None, JAX, repeat, min_time=0.0, note=note
        )

    return [
        row("a new function", fresh, "build and compile counted"),
        row("the same again", again, "build and compile counted; caches may help"),
    ]


def run(repeat: int) -> list[Row]:
    """All sizes, then the first gradients."""
    return [row for n in SIZES for row in rows_of(n, repeat)] + first_rows(FIRST, repeat)
