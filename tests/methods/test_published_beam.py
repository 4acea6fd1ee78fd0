"""The thickness of a cantilever of 50 elements (OpenMDAO, test_examples/beam_optimization).

Euler–Bernoulli elements, E = L = 1, width 0.1, a unit force at the tip: least compliance at a volume of 0.01.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

import adjoint as adj

ELEMENTS, WIDTH, VOLUME = 50, 0.1, 0.01
LENGTH = 1.0 / ELEMENTS
DOFS = 2 * (np.arange(ELEMENTS)[:, None]) + np.arange(4)  # of each element: deflection and slope at its two ends


def element_stiffness() -> np.ndarray:
    """Of an Euler–Bernoulli element of unit bending stiffness."""
    L = LENGTH
    return np.array(
        [
            [12.0, 6.0 * L, -12.0, 6.0 * L],
            [6.0 * L, 4.0 * L**2, -6.0 * L, 2.0 * L**2],
            [-12.0, -6.0 * L, 12.0, -6.0 * L],
            [6.0 * L, 2.0 * L**2, -6.0 * L, 4.0 * L**2],
        ]
    ) / (L**3)


def beam(dense: bool = False) -> adj.Program:
    """K(h) d = force: a sparse block of 100 implicit equations, or ``np.linalg.solve`` inside an explicit program."""
    m = adj.Program("beam")
    h = m.input("h", np.full(ELEMENTS, VOLUME / WIDTH))
    inertia = m.define("inertia", WIDTH * h**3 / 12.0)
    n = 2 * ELEMENTS
    force = np.zeros(n)
    force[-2] = -1.0
    if dense:
        rows, columns = np.repeat(DOFS, 4, axis=1), np.tile(DOFS, (1, 4))
        entries = inertia[:, None] * element_stiffness().ravel()
        K = adj.scatter_add((n + 2, n + 2), (rows, columns), entries)
        d = m.define("d", np.linalg.solve(K[2:, 2:], force))
    else:
        d = m.unknown("d", np.zeros(n))
        ends = np.concatenate([np.zeros(2), d])[DOFS]
        loads = inertia[:, None] * (ends @ element_stiffness())
        m.constrain(adj.scatter_add((n + 2,), DOFS, loads)[2:] == force, name="equilibrium")
    m.define("compliance", force @ d)
    m.define("volume", np.sum(h) * WIDTH * LENGTH)
    return m


@pytest.mark.parametrize("dense", [False, True], ids=["sparse block", "dense solve"])
def test_uniform_beam(dense: bool) -> None:
    """The tip deflection of a uniform cantilever, F L³/(3 E I), is exact with these elements."""
    m = beam(dense)
    sol = m.solve()
    inertia = WIDTH * 0.1**3 / 12.0
    assert sol["d"][-2] == pytest.approx(-1.0 / (3.0 * inertia), rel=1e-9, abs=0.0)
    # ∂(∫ M²/(E I) dx)/∂h_e with the bending moment M = 1 − x; K has a condition number of 1e7
    x = np.arange(ELEMENTS + 1) * LENGTH
    moments = ((1.0 - x[:-1]) ** 3 - (1.0 - x[1:]) ** 3) / 3.0
    exact = -WIDTH * 0.1**2 / 4.0 * moments / inertia**2
    gradient = sol.gradient("compliance", wrt="h")
    np.testing.assert_allclose(gradient, exact, atol=1e-8 * np.abs(exact).max())
    if not dense:  # self-adjoint: λ of the equilibrium is d
        np.testing.assert_allclose(sol.multipliers("compliance")["equilibrium"], sol["d"], rtol=1e-9)


def test_beam_block_is_sparse() -> None:
    """Block-tridiagonal: at most 6 unknowns in each of the 100 equations."""
    m = beam()
    (cycle,) = [b for b in m.blocks() if b.kind == "cycle"]
    assert cycle.size == 100
    sol = m.solve()
    K = m.lagrangian("compliance").kkt(sol, sol.multipliers("compliance"))
    assert K.nnz < 50 * 100


@functools.cache
def beam_optimum() -> OptimizeResult:
    """Compliance in units of 1e4 and volume in units of its limit, as SLSQP works on what it is given."""
    m = beam()
    m.define("objective", m["compliance"] * 1e-4)
    problem = adj.Problem(
        m,
        minimize="objective",
        over={"h": (0.01, 10.0)},
        subject_to={"volume_limit": m["volume"] * (1.0 / VOLUME) == 1.0},
    )
    result = problem.solve(method="SLSQP", options={"ftol": 1e-15, "maxiter": 500})
    assert result.success
    # SLSQP compares objectives, which tells thicknesses apart to the root of the rounding error only. Two Newton steps
    # on the optimality conditions, with the exact Hessian, give the rest: H dh − λ a = −g, aᵀ dh = 1 − volume.
    fun = problem.program.function("objective", wrt=["h"])
    h, a = result.x, problem.program.function("volume", wrt=["h"]).jac(result.x) / VOLUME
    for _ in range(2):
        kkt = np.block([[fun.hess(h), -a[:, None]], [a[None, :], np.zeros((1, 1))]])
        step = np.linalg.solve(kkt, np.append(-fun.jac(h), 1.0 - a @ h))
        h = h + step[:-1]
    result.solution, result.multipliers["volume_limit"] = problem.program.solve(h=h), step[-1]
    return result


def test_beam_optimum(data: Path) -> None:
    """All 50 thicknesses: to 1e-8 of an interior-point solution, to 1.3e-7 of OpenMDAO's own (SLSQP) list."""
    reference = json.loads((data / "mdo_coupled" / "problems.json").read_text())["openmdao_beam"]
    result = beam_optimum()
    sol = result.solution
    # the last digits of h move the compliance by up to 5e-11
    assert sol["compliance"] == pytest.approx(reference["casadi_ipopt"]["compliance"], rel=1e-10, abs=0.0)
    np.testing.assert_allclose(sol["h"], reference["casadi_ipopt"]["h"], atol=1e-8)
    np.testing.assert_allclose(sol["h"], reference["openmdao_reference_h"], atol=1.3e-7)
    # the multiplier of the volume, in units of the scaled problem
    price = result.multipliers["volume_limit"] * 1e4 / VOLUME
    assert price == pytest.approx(reference["casadi_ipopt"]["d_compliance_d_volume"], rel=1e-7, abs=0.0)


def test_beam_optimum_printed() -> None:
    """Compliance 23762.1536769, h[0] = 0.14915754, h[49] = 0.01610863."""
    result = beam_optimum()
    h = result.solution["h"]
    assert result.solution["compliance"] == pytest.approx(23762.1536769, rel=1e-10, abs=0.0)
    assert (h[0], h[49]) == pytest.approx((0.14915754, 0.01610863), abs=3e-8)
    assert (np.diff(h) < 0.0).all()
