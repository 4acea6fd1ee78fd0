"""Sellar's coupled problem: solve and all totals, beside OpenMDAO and CasADi."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import adjoint as adj

from .harness import Row, compare

POINTS = (1.0, 1.5, 2.0, 0.5)  # more than a function remembers


def model() -> adj.Program:
    """The two disciplines and the objective."""
    m = adj.Program("sellar")
    z1, z2, x = m.input("z1", 5.0), m.input("z2", 2.0), m.input("x", 1.0)
    y1, y2 = m.unknown("y1", guess=1.0), m.unknown("y2", guess=1.0)
    m.define(y1, z1**2 + z2 + x - 0.2 * y2)
    m.define(y2, np.sqrt(y1) + z1 + z2)
    m.define("f", x**2 + z2 + y1 + np.exp(-y2))
    return m


def shipped_problem() -> Any:
    """Sellar as OpenMDAO ships it (SellarDerivatives), with its Newton and direct solvers. None where not installed."""
    try:
        import openmdao.api as om
        from openmdao.test_suite.components.sellar import SellarDerivatives
    except ImportError:
        return None
    newton = om.NewtonSolver(solve_subsystems=False, atol=1e-12, rtol=1e-12, maxiter=50)
    p = om.Problem(SellarDerivatives(nonlinear_solver=newton, linear_solver=om.DirectSolver()), reports=False)
    p.set_solver_print(-1)
    p.setup()
    return p


def openmdao_problem() -> Any:
    """The same equations as three lean components, only the cycle under Newton. None where it is not installed."""
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


def casadi_rootfinder(plugin: str, warm: bool) -> Callable[[float], tuple[np.ndarray, np.ndarray]] | None:
    """Outputs and totals at x by CasADi's ``rootfinder``, on given memory; None where it is not installed.

    Parameters
    ----------
    plugin : "newton" or "fast_newton"
    warm : whether a call starts from the last solution, or from the guess
    """
    try:
        import casadi as ca
    except ImportError:
        return None
    y, p = ca.SX.sym("y", 2), ca.SX.sym("p", 3)
    z1, z2, x = ca.vertsplit(p)
    residual = ca.vertcat(y[0] - (z1**2 + z2 + x - 0.2 * y[1]), y[1] - (ca.sqrt(y[0]) + z1 + z2))
    find = ca.rootfinder("find", plugin, ca.Function("g", [y, p], [residual]), {"abstol": 1e-10})
    guess, given = ca.MX.sym("guess", 2), ca.MX.sym("p", 3)
    root = find(guess, given)
    outputs = ca.vertcat(given[2] ** 2 + given[1] + root[0] + ca.exp(-root[1]), root)
    function = ca.Function("totals", [guess, given], [outputs, ca.jacobian(outputs, given)])
    start, point, values, totals = np.ones(2), np.array([5.0, 2.0, 1.0]), np.zeros(3), np.zeros(9)
    matrix = totals.reshape(3, 3).T  # CasADi's order is by columns
    buffer, call = function.buffer()
    buffer.set_arg(0, memoryview(start))
    buffer.set_arg(1, memoryview(point))
    buffer.set_res(0, memoryview(values))
    buffer.set_res(1, memoryview(totals))

    def evaluate(x: float) -> tuple[np.ndarray, np.ndarray]:
        point[2] = x
        if warm:
            start[:] = values[1:] if values[1] else 1.0
        call()
        return values, matrix

    # A buffer holds addresses only: the function keeps it and the arrays.
    evaluate.memory = buffer, start, point, values, totals  # type: ignore[attr-defined]
    return evaluate


def casadi_rows(title: str, ours: Callable[[], Any], vector: Callable[[], Any], repeat: int) -> list[Row]:
    """Beside both of CasADi's Newton methods, each from the guess and from the last point."""
    rows = []
    for warm, fn in ((False, ours), (True, vector)):
        for plugin in ("newton", "fast_newton"):
            evaluate = casadi_rootfinder(plugin, warm)
            peer = None if evaluate is None else _checked(evaluate)
            name = f"{title}, warm" if warm else title
            rows.append(compare(name, fn, peer, f"CasADi rootfinder {plugin}", repeat, note="promised: ≤ 1 ×"))
    return rows


def _checked(evaluate: Callable[[float], tuple[np.ndarray, np.ndarray]]) -> Callable[[], Any]:
    """The rootfinder at changing x, after its values were compared."""
    fun = model().function(["f", "y1", "y2"], wrt=["z1", "z2", "x"])
    for x in POINTS:
        at = np.array([5.0, 2.0, x])
        for theirs, mine in zip(evaluate(x), (fun(at), fun.jac(at)), strict=True):
            assert np.allclose(theirs, mine, rtol=1e-8, atol=1e-8)
    following = itertools.cycle(POINTS)
    return lambda: evaluate(next(following))


def run(repeat: int) -> list[Row]:
    """Solve and all totals; x changes at every call, so that there is something to solve.

    OpenMDAO starts every run from the state of the last one. ``solve`` starts from the guess each time; the vector
    function starts, as OpenMDAO does, from the last point.
    """
    m, lean, shipped = model(), openmdao_problem(), shipped_problem()
    x_ours, x_lean, x_shipped, x_vector = (itertools.cycle(POINTS) for _ in range(4))

    def ours() -> Any:
        return m.solve(x=next(x_ours)).jacobian(["f", "y1", "y2"], wrt=["z1", "z2", "x"])

    def run_lean() -> Any:
        lean.set_val("x", next(x_lean))
        lean.run_model()
        return lean.compute_totals(of=["f", "y1", "y2"], wrt=["z1", "z2", "x"])

    def run_shipped() -> Any:
        shipped.set_val("x", next(x_shipped))
        shipped.run_model()
        return shipped.compute_totals(of=["obj", "con1", "con2"], wrt=["z", "x"])

    fun = m.function(["f", "y1", "y2"], wrt=["z1", "z2", "x"])

    def vector() -> Any:
        point = np.array([5.0, 2.0, next(x_vector)])
        return fun(point), fun.jac(point)

    if lean is not None:
        theirs, mine = run_lean(), ours()
        for (of, wrt), value in mine.items():
            assert abs(value - theirs[of, wrt].item()) <= 1e-8 * max(1.0, abs(value))
    title = "Sellar: solve + totals of 3 outputs"
    return [
        compare(title, ours, shipped and run_shipped, "OpenMDAO, its SellarDerivatives", repeat, note="promised: 20 ×"),
        compare(title, ours, lean and run_lean, "OpenMDAO, 3 lean components", repeat),
        compare(title + ", warm", vector, lean and run_lean, "OpenMDAO, 3 lean components", repeat),
        *casadi_rows(title, ours, vector, repeat),
    ]
