"""The Lukšan–Vlček chained problem, n = 20,000 and 1,000,000: five callbacks of an optimizer, beside CasADi and JAX.

    minimize    f = Σ_i 100 (x_{i−1}² − x_i)² + (x_{i−1} − 1)²
    subject to  c_k = 3 x_{k+1}³ + 2 x_{k+2} − 5 + sin(x_{k+1} − x_{k+2}) sin(x_{k+1} + x_{k+2})
                      + 4 x_{k+1} − x_k exp(x_k − x_{k+1}) − 3 = 0

(Lukšan, Vlček 1999, "Sparse and partially separable test problems for unconstrained and equality constrained
optimization", problem 5.1.) The callbacks are f, c, ∇f, the sparse Jacobian J of c, and the sparse Hessian H of
f + λᵀc. Both sides write the problem once with slices and once, n = 20,000, with a Python loop over scalars.

Every call of ours is at a point not among those remembered, so it includes the values it needs; the rows "all
five at one point" are what an optimizer's iteration costs. J and H come as ``scipy.sparse`` matrices. The peers are
called in their leanest way: CasADi writes the nonzeros (of H those of the upper triangle) into given memory;
compiled JAX functions get arrays of their own and give the diagonals of J and H, found both by coloring (three
products) and directly (derivatives of one term, as the chain has one form of term). The fastest form of a peer counts.

"Build" is from nothing to the first result of all five, imports excluded, taken once: a second time would find compiled
kernels in a cache. What an earlier process has left in a cache on disk counts too; clear it for a cold figure.
CasADi's scalar expressions (SX) are left out at n = 1,000,000, where they would take minutes to build.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

import adjoint as adj

from ._callbacks import POINTS, WHAT, Callbacks, agree, built, installed, of_casadi, of_program, rows, warm_up
from .harness import Row

SMALL, LARGE = 20_000, 1_000_000


def points(n: int) -> list[np.ndarray]:
    """Points near the published start, (−1.2, 1, −1.2, 1, …)."""
    start = np.where(np.arange(n) % 2 == 0, -1.2, 1.0)
    return [start + 1e-3 * k for k in range(POINTS)]


def multipliers(n: int) -> np.ndarray:
    """λ of the n − 2 constraints."""
    return np.random.default_rng(0).standard_normal(n - 2)


# -- the problem, for expressions of every library -----------------------------------------------------------------


def objective_term(a: Any, b: Any) -> Any:
    """A term of f at (x_{i−1}, x_i)."""
    return 100 * (a**2 - b) ** 2 + (a - 1) ** 2


def constraint(a: Any, b: Any, c: Any, sin: Callable[[Any], Any], exp: Callable[[Any], Any]) -> Any:
    """c_k at (x_k, x_{k+1}, x_{k+2})."""
    return 3 * b**3 + 2 * c - 5 + sin(b - c) * sin(b + c) + 4 * b - a * exp(a - b) - 3


def with_slices(n: int) -> tuple[adj.Program, list[str]]:
    """The program in array syntax, and the names of its constraints."""
    m = adj.Program("luksan-vlcek")
    x = m.input("x", points(n)[0])
    m.define("c", constraint(x[:-2], x[1:-1], x[2:], np.sin, np.exp))
    m.define("f", np.sum(objective_term(x[:-1], x[1:])))
    return m, ["c"]


def with_loop(n: int) -> tuple[adj.Program, list[str]]:
    """The program equation by equation, and the names of its constraints."""
    m = adj.Program("luksan-vlcek")
    vector = m.input("x", points(n)[0])
    x = [vector[i] for i in range(n)]
    for k in range(n - 2):
        m.define(f"c{k}", constraint(x[k], x[k + 1], x[k + 2], np.sin, np.exp))
    total = 0.0
    for i in range(1, n):
        total += objective_term(x[i - 1], x[i])
    m.define("f", total)
    return m, [f"c{k}" for k in range(n - 2)]


def ours(make: Callable[[int], tuple[adj.Program, list[str]]], n: int) -> Callbacks:
    """The callbacks of a program."""
    m, names = make(n)
    return of_program(m, names, "x", points(n), multipliers(n))


# -- CasADi ----------------------------------------------------------------------------------------------------------


def casadi_callbacks(form: str, n: int) -> Callbacks:
    """CasADi's callbacks: SX or MX with slices, or SX with a loop over scalars."""
    import casadi as ca

    x = (ca.MX if form == "MX" else ca.SX).sym("x", n)
    if form == "SX loop":
        parts = ca.vertsplit(x)
        c = ca.vertcat(*(constraint(*parts[k : k + 3], ca.sin, ca.exp) for k in range(n - 2)))
        f: Any = 0.0
        for i in range(1, n):
            f += objective_term(parts[i - 1], parts[i])
    else:
        c = constraint(x[:-2], x[1:-1], x[2:], ca.sin, ca.exp)
        f = ca.sum1(objective_term(x[:-1], x[1:]))
    return of_casadi(f"CasADi {form}", x, f, c, points(n)[0], multipliers(n))


# -- JAX -------------------------------------------------------------------------------------------------------------


def jax_callbacks(form: str, n: int) -> Callbacks:
    """JAX's callbacks, J and H "colored" or "direct"."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    seeds = jnp.array([(np.arange(n) % 3 == k).astype(float) for k in range(3)])

    def f(x: Any) -> Any:
        return jnp.sum(objective_term(x[:-1], x[1:]))

    def c(x: Any) -> Any:
        return constraint(x[:-2], x[1:-1], x[2:], jnp.sin, jnp.exp)

    def lagrangian(x: Any, lam: Any) -> Any:
        return f(x) + jnp.dot(lam, c(x))

    def colored_jac(x: Any) -> Any:
        products = jax.vmap(lambda s: jax.jvp(c, (x,), (s,))[1])(seeds)
        k = jnp.arange(n - 2)
        return [products[(k + d) % 3, k] for d in range(3)]

    def colored_hess(x: Any, lam: Any) -> Any:
        products = jax.vmap(lambda s: jax.jvp(jax.grad(lagrangian), (x, lam), (s, jnp.zeros(n - 2)))[1])(seeds)
        k = jnp.arange(n)
        return products[k % 3, k], products[(k[:-1] + 1) % 3, k[:-1]]

    def direct_jac(x: Any) -> Any:
        a, b, c = x[:-2], x[1:-1], x[2:]
        total = jax.grad(lambda *abc: jnp.sum(constraint(*abc, jnp.sin, jnp.exp)), argnums=(0, 1, 2))
        return total(a, b, c)

    def second(term: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
        """∂²term/∂a_i∂a_j of every row, for all i and j."""
        gradient = jax.grad(lambda *a: jnp.sum(term(*a)), argnums=tuple(range(len(args))))
        one, zero = jnp.ones_like(args[0]), jnp.zeros_like(args[0])
        directions = [tuple(one if i == j else zero for i in range(len(args))) for j in range(len(args))]
        return [jax.jvp(gradient, args, direction)[1] for direction in directions]

    def direct_hess(x: Any, lam: Any) -> Any:
        ff = second(objective_term, (x[:-1], x[1:]))
        cc = second(lambda *abc: lam * constraint(*abc, jnp.sin, jnp.exp), (x[:-2], x[1:-1], x[2:]))
        rows = [(ff[0][0], 0, 1), (ff[1][1], 1, 0), (cc[0][0], 0, 2), (cc[1][1], 1, 1), (cc[2][2], 2, 0)]
        main = sum(jnp.pad(part, (before, after)) for part, before, after in rows)
        return main, ff[0][1] + jnp.pad(cc[0][1], (0, 1)) + jnp.pad(cc[1][2], (1, 0))

    hess, jac = (colored_hess, colored_jac) if form == "colored" else (direct_hess, direct_jac)
    compiled = {what: jax.jit(g) for what, g in zip(WHAT, (f, c, jax.grad(f), jac, hess), strict=True)}
    at, weights = jnp.asarray(points(n)[0]), jnp.asarray(multipliers(n))
    arguments = {what: (at, weights) if what == "hess" else (at,) for what in WHAT}

    def call(what: str) -> Callable[[], Any]:
        g, given = compiled[what], arguments[what]
        return lambda: jax.block_until_ready(g(*given))

    calls = {what: call(what) for what in WHAT}

    def all_five() -> None:
        for each in calls.values():
            each()

    def values() -> dict[str, Any]:
        found = {what: calls[what]() for what in WHAT}
        main, upper = map(np.asarray, found["hess"])
        return {
            **{what: np.asarray(found[what]) for what in ("f", "c", "grad")},
            "jac": sp.diags_array([np.asarray(d) for d in found["jac"]], offsets=[0, 1, 2], shape=(n - 2, n)),
            "hess": sp.diags_array([upper, main, upper], offsets=[-1, 0, 1]),
        }

    return Callbacks(f"JAX {form}", **calls, all_five=all_five, values=values)


# -- the rows --------------------------------------------------------------------------------------------------------


def rows_of(
    title: str, make: Callable[[int], tuple[adj.Program, list[str]]], n: int, casadi_forms: list[str], repeat: int
) -> list[Row]:
    """The five callbacks beside the best of the peers, and the building."""
    mine, seconds = built(ours, make, n)
    casadi = [built(casadi_callbacks, form, n) for form in casadi_forms] if installed("casadi") else []
    jax = [jax_callbacks(form, n) for form in ("direct", "colored")] if installed("jax") else []
    peers = [*(peer for peer, _ in casadi), *jax]
    agree(mine, peers)
    table = rows(title, mine, peers, repeat, "promised: ≤ 0.5 ×")
    for peer, cost in casadi:
        table.append(Row(f"{title}: build", seconds, cost, peer.name, "s", "promised: ≤ 0.1 ×"))
    if not casadi:
        table.append(Row(f"{title}: build", seconds, None, "CasADi", "s", "promised: ≤ 0.1 ×"))
    return table


def run(repeat: int) -> list[Row]:
    """Slices, small and large, and the loop."""
    warm_up()
    return [
        *rows_of(f"slices, n = {SMALL:,}", with_slices, SMALL, ["SX", "MX"], repeat),
        *rows_of(f"loop, n = {SMALL:,}", with_loop, SMALL, ["SX loop"], repeat),
        *rows_of(f"slices, n = {LARGE:,}", with_slices, LARGE, ["MX"], min(repeat, 5)),
    ]
