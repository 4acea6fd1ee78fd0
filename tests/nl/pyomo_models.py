"""Ten models of different kinds, written in Pyomo, whose multipliers are unique."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pyo = pytest.importorskip("pyomo.environ", reason="models written in Pyomo")

__all__ = ["MODELS"]


def transport() -> Any:
    """A linear program: three plants, four markets."""
    m = pyo.ConcreteModel()
    supply, demand = [35, 50, 45], [45, 20, 30, 30]
    cost = [[8, 6, 10, 9], [9, 12, 13, 7], [14, 9, 16, 5]]
    m.x = pyo.Var(range(3), range(4), domain=pyo.NonNegativeReals)
    m.cost = pyo.Objective(expr=sum(cost[i][j] * m.x[i, j] for i in range(3) for j in range(4)))
    m.supply = pyo.Constraint(range(3), rule=lambda m, i: sum(m.x[i, j] for j in range(4)) <= supply[i])
    m.demand = pyo.Constraint(range(4), rule=lambda m, j: sum(m.x[i, j] for i in range(3)) >= demand[j] - 1)
    return m


def portfolio() -> Any:
    """A convex quadratic program with bounds, an equation, and an inequality."""
    m = pyo.ConcreteModel()
    gain, risk = [0.10, 0.07, 0.03, 0.12], [0.20, 0.10, 0.02, 0.31]
    m.w = pyo.Var(range(4), bounds=(0, 0.6), initialize=0.25)
    m.risk = pyo.Objective(expr=sum(risk[i] * m.w[i] ** 2 for i in range(4)) + 0.05 * m.w[0] * m.w[1])
    m.all = pyo.Constraint(expr=sum(m.w[i] for i in range(4)) == 1)
    m.gain = pyo.Constraint(expr=sum(gain[i] * m.w[i] for i in range(4)) >= 0.08)
    return m


def products() -> Any:
    """Hock & Schittkowski 71."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(4), bounds=(1, 5))
    for i, start in enumerate((1.0, 5.0, 5.0, 1.0)):
        m.x[i].value = start
    m.goal = pyo.Objective(expr=m.x[0] * m.x[3] * (m.x[0] + m.x[1] + m.x[2]) + m.x[2])
    m.product = pyo.Constraint(expr=m.x[0] * m.x[1] * m.x[2] * m.x[3] >= 25)
    m.squares = pyo.Constraint(expr=sum(m.x[i] ** 2 for i in range(4)) == 40)
    return m


def box() -> Any:
    """The largest box of limited surface, in a named expression, with a two-sided constraint: maximize."""
    m = pyo.ConcreteModel()
    m.a, m.b, m.c = (pyo.Var(bounds=(0.1, 10), initialize=1.0) for _ in range(3))
    m.surface = pyo.Expression(expr=2 * (m.a * m.b + m.b * m.c + m.a * m.c))
    m.volume = pyo.Objective(expr=m.a * m.b * m.c, sense=pyo.maximize)
    m.limit = pyo.Constraint(expr=pyo.inequality(1, m.surface, 24))
    m.shape = pyo.Constraint(expr=pyo.inequality(-1, m.a - 2 * m.b, 0.5))
    m.slim = pyo.Constraint(expr=m.c >= 2.5)
    return m


def decay() -> Any:
    """Least squares, without constraints."""
    m = pyo.ConcreteModel()
    times = [0.0, 0.5, 1.0, 2.0, 4.0]
    seen = [2.05, 1.47, 1.12, 0.59, 0.19]
    m.size, m.rate = pyo.Var(initialize=1.0), pyo.Var(initialize=1.0, bounds=(0, None))
    m.misfit = pyo.Objective(
        expr=sum((m.size * pyo.exp(-m.rate * t) - y) ** 2 for t, y in zip(times, seen, strict=True))
    )
    return m


def steering() -> Any:
    """A discretized control problem: equations in free variables, with a limit on the control."""
    m = pyo.ConcreteModel()
    n, h = 20, 0.1
    m.y, m.v = pyo.Var(range(n + 1), initialize=0.1), pyo.Var(range(n + 1), initialize=0.0)
    m.u = pyo.Var(range(n), bounds=(-2.5, 2.5), initialize=0.0)
    m.effort = pyo.Objective(expr=h * sum(m.u[k] ** 2 + m.y[k] ** 2 for k in range(n)))
    m.position = pyo.Constraint(range(n), rule=lambda m, k: m.y[k + 1] == m.y[k] + h * m.v[k])
    m.speed = pyo.Constraint(range(n), rule=lambda m, k: m.v[k + 1] == m.v[k] + h * (pyo.sin(m.y[k]) + m.u[k]))
    m.start = pyo.Constraint(expr=m.y[0] == 1.0)
    m.rest = pyo.Constraint(expr=m.v[0] == 0.0)
    m.end = pyo.Constraint(expr=m.y[n] == 0.2)
    return m


def entropy() -> Any:
    """The distribution of largest entropy with given moments: logarithms, maximize, equations."""
    m = pyo.ConcreteModel()
    m.p = pyo.Var(range(6), bounds=(1e-9, 1), initialize=1 / 6)
    m.entropy = pyo.Objective(expr=-sum(m.p[i] * pyo.log(m.p[i]) for i in range(6)), sense=pyo.maximize)
    m.all = pyo.Constraint(expr=sum(m.p[i] for i in range(6)) == 1)
    m.mean = pyo.Constraint(expr=sum((i + 1) * m.p[i] for i in range(6)) == 4.5)
    return m


def equilibrium() -> Any:
    """A square system of equations without an objective."""
    m = pyo.ConcreteModel()
    m.x, m.y, m.z = (pyo.Var(initialize=v) for v in (0.5, 0.5, 1.0))
    m.first = pyo.Constraint(expr=m.x * pyo.exp(m.y) + m.z == 3)
    m.second = pyo.Constraint(expr=m.x**2 + m.y**2 == m.z)
    m.third = pyo.Constraint(expr=m.x - m.y == 0.25)
    return m


def lines() -> Any:
    """Power flow on three buses: trigonometric functions, a fixed variable, limits at the optimum."""
    m = pyo.ConcreteModel()
    m.v = pyo.Var(range(3), bounds=(0.95, 1.05), initialize=1.0)
    m.angle = pyo.Var(range(3), bounds=(-0.6, 0.6), initialize=0.0)
    m.power = pyo.Var(range(2), bounds=(0, 1.2), initialize=0.4)
    m.angle[0].fix(0.0)
    pairs = [(0, 1, 5.0), (0, 2, 4.0), (1, 2, 6.0)]
    m.cost = pyo.Objective(expr=10 * m.power[0] + 0.5 * m.power[0] ** 2 + 14 * m.power[1] + 0.2 * m.power[1] ** 2)

    def leaving(m: Any, i: int) -> Any:
        out = 0.0
        for a, b, y in pairs:
            if i in (a, b):
                j = b if i == a else a
                out += y * m.v[i] * m.v[j] * pyo.sin(m.angle[i] - m.angle[j]) + 0.1 * y * (
                    m.v[i] ** 2 - m.v[i] * m.v[j] * pyo.cos(m.angle[i] - m.angle[j])
                )
        return out

    made = {0: m.power[0], 1: m.power[1], 2: -1.5}
    m.balance = pyo.Constraint(range(3), rule=lambda m, i: leaving(m, i) == made[i])
    m.flow = pyo.Constraint(expr=5.0 * m.v[0] * m.v[1] * pyo.sin(m.angle[0] - m.angle[1]) <= 0.3)
    return m


def chain() -> Any:
    """Rosenbrock's function of ten variables on a sphere, with powers and absolute values in a named expression."""
    m = pyo.ConcreteModel()
    n = 10
    m.x = pyo.Var(range(n), initialize=lambda m, i: -1.2 if i % 2 else 1.0)
    m.link = pyo.Expression(range(n - 1), rule=lambda m, i: m.x[i + 1] - m.x[i] ** 2)
    m.goal = pyo.Objective(expr=sum(100 * m.link[i] ** 2 + (1 - m.x[i]) ** 2 for i in range(n - 1)))
    m.sphere = pyo.Constraint(expr=sum(m.x[i] ** 2 for i in range(n)) <= 4.0)
    m.low = pyo.Constraint(expr=pyo.sqrt(1 + m.x[0] ** 2) + pyo.tanh(m.x[1]) >= 1.0)
    return m


MODELS: dict[str, Callable[[], Any]] = {
    f.__name__: f for f in (transport, portfolio, products, box, decay, steering, entropy, equilibrium, lines, chain)
}
