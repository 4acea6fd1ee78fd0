"""Sellar's coupled problem: solve and all totals, beside OpenMDAO."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import adjoint as adj

from .harness import Row, compare, timeit

NAME = "OpenMDAO"


def model() -> adj.Program:
    """The two disciplines and the objective."""
    m = adj.Program("sellar")
    z1, z2, x = m.input("z1", 5.0), m.input("z2", 2.0), m.input("x", 1.0)
    y1, y2 = m.unknown("y1", guess=1.0), m.unknown("y2", guess=1.0)
    m.define(y1, z1**2 + z2 + x - 0.2 * y2)
    m.define(y2, np.sqrt(y1) + z1 + z2)
    m.define("f", x**2 + z2 + y1 + np.exp(-y2))
    return m


def openmdao_problem() -> Any:
    """The same in OpenMDAO: analytic partials, Newton and a direct solver. None where it is not installed."""
    try:
        import openmdao.api as om
    except ImportError:
        return None

    class Equation(om.ExplicitComponent):  # type: ignore[misc]
        def initialize(self) -> None:
            self.options.declare("names")
            self.options.declare("output")
            self.options.declare("f")
            self.options.declare("df")

        def setup(self) -> None:
            for name in self.options["names"]:
                self.add_input(name, 1.0)
            self.add_output(self.options["output"], 1.0)
            self.declare_partials("*", "*")

        def compute(self, inputs: Any, outputs: Any) -> None:
            outputs[self.options["output"]] = self.options["f"](*(inputs[n][0] for n in self.options["names"]))

        def compute_partials(self, inputs: Any, partials: Any) -> None:
            values = self.options["df"](*(inputs[n][0] for n in self.options["names"]))
            for name, value in zip(self.options["names"], values, strict=True):
                partials[self.options["output"], name] = value

    p = om.Problem(reports=False)
    cycle = p.model.add_subsystem("cycle", om.Group(), promotes=["*"])
    cycle.add_subsystem(
        "d1",
        Equation(
            names=["z1", "z2", "x", "y2"],
            output="y1",
            f=lambda z1, z2, x, y2: z1**2 + z2 + x - 0.2 * y2,
            df=lambda z1, z2, x, y2: (2 * z1, 1.0, 1.0, -0.2),
        ),
        promotes=["*"],
    )
    cycle.add_subsystem(
        "d2",
        Equation(
            names=["z1", "z2", "y1"],
            output="y2",
            f=lambda z1, z2, y1: abs(y1) ** 0.5 + z1 + z2,
            df=lambda z1, z2, y1: (1.0, 1.0, 0.5 / abs(y1) ** 0.5),
        ),
        promotes=["*"],
    )
    cycle.nonlinear_solver = om.NewtonSolver(solve_subsystems=False, atol=1e-12, rtol=1e-12, maxiter=50)
    cycle.nonlinear_solver.options["iprint"] = -1
    cycle.linear_solver = om.DirectSolver()
    p.model.add_subsystem(
        "obj",
        Equation(
            names=["z2", "x", "y1", "y2"],
            output="f",
            f=lambda z2, x, y1, y2: x**2 + z2 + y1 + np.exp(-y2),
            df=lambda z2, x, y1, y2: (1.0, 2 * x, 1.0, -np.exp(-y2)),
        ),
        promotes=["*"],
    )
    for name, value in (("z1", 5.0), ("z2", 2.0), ("x", 1.0)):
        p.model.set_input_defaults(name, value)
    p.setup()
    return p


def run(repeat: int) -> list[Row]:
    """Solve, totals, and both; x changes at every call, so that there is something to solve."""
    m, p = model(), openmdao_problem()
    ours_x, peer_x = itertools.cycle([1.0, 1.5, 2.0, 0.5]), itertools.cycle([1.0, 1.5, 2.0, 0.5])

    def ours() -> Any:
        sol = m.solve(x=next(ours_x))
        return sol.jacobian(["f", "y1", "y2"], wrt=["z1", "z2", "x"])

    peer: Callable[[], Any] | None = None
    if p is not None:

        def peer() -> Any:
            p.set_val("x", next(peer_x))
            p.run_model()
            return p.compute_totals(of=["f", "y1", "y2"], wrt=["z1", "z2", "x"])

        theirs, mine = peer(), ours()
        for (of, wrt), value in mine.items():
            assert abs(value - theirs[of, wrt].item()) <= 1e-8 * max(1.0, abs(value))
    rows = [compare("Sellar: solve + totals of f, y1, y2", ours, peer, NAME, repeat)]
    rows.append(
        Row("Sellar: solve alone", timeit(lambda: m.solve(x=next(ours_x)), repeat), None, "", "s", "for orientation")
    )
    sol = m.solve()
    rows.append(
        Row("Sellar: gradient of f", timeit(lambda: sol.gradient("f"), repeat), None, "", "s", "for orientation")
    )
    return rows
