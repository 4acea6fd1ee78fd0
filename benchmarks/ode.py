"""Gradients through differential equations in fixed steps, beside diffrax and jax.lax.scan.

Value and gradient at a walk of points, by the same steps of the same methods; the gradients are compared before
anything is timed. diffrax with its own choice of how derivatives are stored. Last, a long loop with few states kept,
beside the same loop with all of them: its time, and the memory that is allocated meanwhile.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

import adjoint as adj
from adjoint.loops import ode, scan

from .harness import Row, compare

POINTS = 8
Both = Callable[[np.ndarray], tuple[float, np.ndarray]]

LENGTH, END = 10_000, 10.0  # Lotka and Volterra's equations
RATES = np.array([1.5, 1.0, 3.0, 1.0])
CELLS, STEPS = 100, 200  # reaction and diffusion, implicit steps
GRID = np.linspace(0, 1, CELLS + 2)[1:-1]
LONG, KEPT, WIDE = 100_000, 300, 8  # steps, states that are kept, and numbers in a state


def _jax() -> Any:
    """jax and diffrax, in double precision; None where they are not installed."""
    try:
        import diffrax
        import jax
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)
    return jax, diffrax


def _ours(m: adj.Program) -> Both:
    fun = m.function("loss")
    return lambda v: (fun(v), fun.jac(v))


def _theirs(jax: Any, loss: Callable[[Any], Any]) -> Both:
    both = jax.jit(jax.value_and_grad(loss))

    def function(v: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = both(v)
        return float(value), np.asarray(gradient)

    return function


# -- Lotka and Volterra -----------------------------------------------------------------------------------------------


def _prey_and_predator(y: Any, p: Any) -> tuple[Any, Any]:
    a, b = y
    return p[0] * a - p[1] * a * b, -p[2] * b + p[3] * a * b


def lotka_volterra(method: str) -> Both:
    """The mean square of both populations over 1e4 steps, as a function of the four rates."""
    m = adj.Program()
    p = m.input("p", RATES)
    y = ode(lambda t, y: _prey_and_predator(y, p), [1.0, 1.0], np.linspace(0, END, LENGTH + 1), method=method)
    m.define("loss", np.sum(y**2) / LENGTH)
    return _ours(m)


def lotka_volterra_scan() -> Both:
    """The same by a loop that is written out: classical Runge–Kutta steps."""
    m = adj.Program()
    p = m.input("p", RATES)
    _, (a, b) = scan(lambda y, _: (_classical(y, p),) * 2, (1.0, 1.0), length=LENGTH)
    m.define("loss", (np.sum(a**2) + np.sum(b**2)) / LENGTH)
    return _ours(m)


def _classical(y: Any, p: Any) -> tuple[Any, Any]:
    h = END / LENGTH

    def ahead(k: Any, s: float) -> tuple[Any, Any]:
        return y[0] + s * k[0], y[1] + s * k[1]

    k1 = _prey_and_predator(y, p)
    k2 = _prey_and_predator(ahead(k1, h / 2), p)
    k3 = _prey_and_predator(ahead(k2, h / 2), p)
    k4 = _prey_and_predator(ahead(k3, h), p)
    return tuple(y[i] + h / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]) for i in (0, 1))  # type: ignore[return-value]


def lotka_volterra_diffrax() -> Both | None:
    """The same by diffrax: the method of Dormand and Prince."""
    found = _jax()
    if found is None:
        return None
    jax, diffrax = found
    jnp = jax.numpy
    times = np.linspace(0, END, LENGTH + 1)

    def loss(p: Any) -> Any:
        term = diffrax.ODETerm(lambda t, y, args: jnp.stack(_prey_and_predator(y, args)))
        sol = diffrax.diffeqsolve(
            term,
            diffrax.Dopri5(),
            0.0,
            END,
            None,
            jnp.array([1.0, 1.0]),
            args=p,
            saveat=diffrax.SaveAt(ts=times),
            stepsize_controller=diffrax.StepTo(times),
            max_steps=LENGTH,
        )
        return jnp.sum(sol.ys**2) / LENGTH

    return _theirs(jax, loss)


def lotka_volterra_jax() -> Both | None:
    """The loop that is written out, by jax.lax.scan."""
    found = _jax()
    if found is None:
        return None
    jax = found[0]
    jnp = jax.numpy

    def loss(p: Any) -> Any:
        start = (jnp.array(1.0), jnp.array(1.0))
        _, (a, b) = jax.lax.scan(lambda y, _: (_classical(y, p),) * 2, start, None, length=LENGTH)
        return (jnp.sum(a**2) + jnp.sum(b**2)) / LENGTH

    return _theirs(jax, loss)


# -- reaction and diffusion --------------------------------------------------------------------------------------------


def _reaction(y: Any, p: Any, join: Callable[[list[Any]], Any]) -> Any:
    zero = np.zeros(1)
    before, after = join([zero, y[:-1]]), join([y[1:], zero])
    return p[0] * (before - 2 * y + after) * (CELLS + 1) ** 2 + p[1] * y * (1 - y)


def diffusion() -> Both:
    """A square norm after 200 steps of backward Euler, as a function of two coefficients."""
    m = adj.Program()
    p = m.input("p", [0.1, 2.0])
    y = ode(
        lambda t, y: _reaction(y, p, np.concatenate),
        np.sin(np.pi * GRID),
        [0.0, 1.0],
        method="backward-euler",
        substeps=STEPS,
    )
    m.define("loss", np.sum(y[-1] ** 2))
    return _ours(m)


def diffusion_diffrax() -> Both | None:
    """The same by diffrax, its equations solved as accurately as ours are."""
    found = _jax()
    if found is None:
        return None
    jax, diffrax = found
    jnp = jax.numpy

    def loss(p: Any) -> Any:
        term = diffrax.ODETerm(lambda t, y, args: _reaction(y, args, jnp.concatenate))
        sol = diffrax.diffeqsolve(
            term,
            diffrax.ImplicitEuler(root_finder=diffrax.VeryChord(rtol=1e-10, atol=1e-10)),
            0.0,
            1.0,
            1.0 / STEPS,
            jnp.sin(jnp.pi * GRID),
            args=p,
            max_steps=STEPS,
        )
        return jnp.sum(sol.ys[-1] ** 2)

    return _theirs(jax, loss)


# -- few states kept ---------------------------------------------------------------------------------------------------


def long_loop(checkpoints: int | None) -> Both:
    """1e5 classical Runge–Kutta steps of a system of 8 equations, as a function of its 64 coefficients."""
    m = adj.Program()
    a = m.input("a", 0.1 * np.random.default_rng(0).normal(size=(WIDE, WIDE)))
    h = 10.0 / LONG

    def step(y: Any, _: Any) -> Any:
        k1 = a @ np.sin(y)
        k2 = a @ np.sin(y + h / 2 * k1)
        k3 = a @ np.sin(y + h / 2 * k2)
        k4 = a @ np.sin(y + h * k3)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    y, _ = scan(step, np.ones(WIDE), length=LONG, checkpoints=checkpoints)
    m.define("loss", np.sum(y**2))
    return _ours(m)


def _few_states(repeat: int) -> list[Row]:
    few, every = long_loop(KEPT), long_loop(None)
    x = 0.1 * np.random.default_rng(0).normal(size=WIDE * WIDE)
    points = [x * (1 + 0.01 * k) for k in range(1, 4)]
    same = all(np.array_equal(few(v)[1], every(v)[1]) for v in points)
    title, peer = f"{LONG:.0e} steps, {KEPT} states kept", "all kept"
    time_row = compare(title, lambda: [few(v) for v in points], lambda: [every(v) for v in points], peer, repeat)
    memory = _peak(lambda: few(1.1 * x)), _peak(lambda: every(1.1 * x))
    note = "gradients are equal" if same else "GRADIENTS DIFFER"
    return [
        Row(f"{title}, {len(points)} points", time_row.ours, time_row.peer, peer, "s", note),
        Row(f"{title}, peak of memory", memory[0] / 1e6, memory[1] / 1e6, peer, "MB"),
    ]


def _peak(run: Callable[[], Any]) -> int:
    tracemalloc.start()
    run()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


# -- timing ------------------------------------------------------------------------------------------------------------


def _rows(
    title: str, build: Callable[[], Both], make: Callable[[], Both | None], peer: str, x: Any, repeat: int
) -> Any:
    points = [np.asarray(x) * (1 + 0.01 * k) for k in range(1, POINTS + 1)]
    began = time.perf_counter()
    ours = build()
    ours(points[0])
    first = time.perf_counter() - began
    began = time.perf_counter()
    theirs = make()
    if theirs is None:
        return [compare(title, lambda: [ours(v) for v in points], None, peer, repeat)]
    theirs(points[0])
    later = time.perf_counter() - began
    mine, other = np.array([ours(v)[1] for v in points]), np.array([theirs(v)[1] for v in points])
    note = f"gradients differ by {np.abs(mine - other).max() / np.abs(mine).max():.0e}"
    row = compare(
        f"{title}, {POINTS} points",
        lambda: [ours(v) for v in points],
        lambda: [theirs(v) for v in points],
        peer,
        repeat,
    )
    return [
        Row(row.name, row.ours, row.peer, peer, "s", note),
        Row(f"{title}, first, with building", first, later, peer),
    ]


def run(repeat: int) -> list[Row]:
    """The rows."""
    stiff = f"{CELLS} states, {STEPS} implicit steps"
    return [
        *_rows(
            "Lotka-Volterra, 1e4 steps of dopri5",
            lambda: lotka_volterra("dopri5"),
            lotka_volterra_diffrax,
            "diffrax",
            RATES,
            repeat,
        ),
        *_rows("the same, rk4", lotka_volterra_scan, lotka_volterra_jax, "jax.lax.scan", RATES, repeat),
        *_rows(stiff, diffusion, diffusion_diffrax, "diffrax", [0.1, 2.0], repeat),
        *_few_states(repeat),
    ]
