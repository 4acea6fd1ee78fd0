"""Loops become lists of constraints, and the size of a program is not the size of its formula.

T. Vieira 2017 (any trace that does not depend on x is a program); the comments under B. Barak's post of 2020 (a formula
spelled out path by path is exponentially longer than the circuit). What depends on x is rejected, never frozen.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

import networkx as nx
import numpy as np
import pytest

import adjoint as adj
from adjoint.derivatives import vjp
from adjoint.walk import topological

# -- a recurrent network of three steps ------------------------------------------------------------------

X, Y = (1.0, -0.5, 0.25), (0.5, 0.0, 0.1)


@adj.program
def recurrent(w, u, v):
    h = 0.0
    loss = 0.0
    for x, y in zip(X, Y, strict=True):
        h = np.tanh(w * h + u * x)
        loss = loss + 0.5 * (v * h - y) ** 2
    return loss


def test_backpropagation_through_time() -> None:
    w, u, v = 0.5, 1.0, 0.8
    assert recurrent(w, u, v) == pytest.approx(0.011761124095308, abs=5e-16)
    gradient = recurrent.gradient(w, u, v)
    assert gradient["w"] == pytest.approx(-0.0469641863863, abs=5e-14)
    assert gradient["u"] == pytest.approx(0.0626141202625, abs=5e-14)
    assert gradient["v"] == pytest.approx(0.104040030472, abs=5e-13)


def hand_adjoint(w: float, u: float, v: float) -> tuple[list[float], list[float]]:
    """λ of h_1, h_2, h_3, written out, and the share of each copy of w in ∂L/∂w."""
    h = [0.0]
    for x in X:
        h.append(np.tanh(w * h[-1] + u * x))
    lam = [0.0] * 5
    for t in (3, 2, 1):
        after = lam[t + 1] * (1.0 - h[t + 1] ** 2) * w if t < 3 else 0.0
        lam[t] = v * (v * h[t] - Y[t - 1]) + after
    return lam[1:4], [lam[t] * (1.0 - h[t] ** 2) * h[t - 1] for t in (1, 2, 3)]


def test_multipliers_of_the_loop_are_the_hand_adjoint() -> None:
    w, u, v = 0.5, 1.0, 0.8
    lam = recurrent.multipliers(w, u, v)
    states = [name for name in recurrent.program.equations if name.startswith("h")]
    assert len(states) == 3
    by_hand, copies = hand_adjoint(w, u, v)
    np.testing.assert_allclose([lam[name] for name in states], by_hand, rtol=1e-13)
    np.testing.assert_allclose(copies, [0.0, -0.0423209574351, -0.00464322895117], atol=5e-14)
    assert sum(copies) == pytest.approx(lam["w"], rel=1e-13, abs=0.0)  # the sum over the copies, not their mean


def test_copies_of_a_weight_are_inputs_of_their_own() -> None:
    """Untied: three weights. The tied gradient is the sum of theirs."""
    m = adj.Program("untied")
    w, u, v = [m.input(f"w{t}", 0.5) for t in range(3)], m.input("u", 1.0), m.input("v", 0.8)
    h: object = 0.0
    loss: object = 0.0
    for t, (x, y) in enumerate(zip(X, Y, strict=True)):
        h = m.define(f"h{t}", np.tanh(w[t] * h + u * x))
        loss = loss + 0.5 * (v * h - y) ** 2
    m.define("loss", loss)
    gradient = m.solve().gradient("loss")
    copies = [gradient[f"w{t}"] for t in range(3)]
    np.testing.assert_allclose(copies, [0.0, -0.0423209574351, -0.00464322895117], atol=5e-14)
    assert sum(copies) == pytest.approx(-0.0469641863863, abs=5e-14)


# -- control flow ----------------------------------------------------------------------------------------


@adj.program(static=("count",))
def power_by_loop(x, count):
    out = x
    for _ in range(int(count) - 1):
        out = out * x
    return out


@pytest.mark.parametrize("count", [1, 2, 5, 3, 2])
def test_loops_over_what_is_not_differentiated_are_traced_again(count: int) -> None:
    assert power_by_loop(1.5, count) == pytest.approx(1.5**count, rel=1e-15, abs=0.0)
    assert power_by_loop.gradient(1.5, count) == pytest.approx(count * 1.5 ** (count - 1), rel=1e-14, abs=0.0)


def test_branches_on_x_are_rejected() -> None:
    @adj.program
    def branch(x):
        if x > 0.0:
            return x**2
        return -x

    @adj.program
    def loop(x):
        while x < 10.0:
            x = 2.0 * x
        return x

    @adj.program
    def count(x):
        out = x
        for _ in range(int(x)):
            out = out * x
        return out

    for fun in (branch, loop, count):
        with pytest.raises(adj.UnsupportedError, match="np.where|np.exp, not math.exp"):
            fun(2.0)


def test_branches_on_x_by_where() -> None:
    @adj.program
    def branch(x):
        return np.where(x > 0.0, x**2, -x)

    assert [branch(x) for x in (-2.0, 3.0)] == [2.0, 9.0]
    assert [branch.gradient(x) for x in (-2.0, 3.0)] == [-1.0, 6.0]


# -- twenty squarings ------------------------------------------------------------------------------------

SQUARINGS = 20


def squarings(k: int = SQUARINGS) -> adj.Program:
    """z_{i+1} = z_i · z_i."""
    m = adj.Program("squarings")
    z = m.input("z0", 1.0000001)
    for i in range(k):
        z = m.define(f"z{i + 1}", z * z)
    return m


def test_twenty_squarings() -> None:
    """z_20 and 2²⁰ x^(2²⁰ − 1). A relative error ε of x is 2²⁰ ε of z_20: no method has more digits than that."""
    with localcontext() as context:
        context.prec = 50
        x = Decimal(1.0000001)
        exact = x ** (2**SQUARINGS)
        slope = 2**SQUARINGS * exact / x
    assert float(slope) == pytest.approx(1164498.53006506, abs=6e-9)
    sol = squarings().solve()
    conditioning = 2**SQUARINGS * np.finfo(float).eps
    assert sol["z20"] == pytest.approx(1.110552450664617, rel=conditioning, abs=0.0)
    assert sol["z20"] == pytest.approx(float(exact), rel=conditioning, abs=0.0)
    assert sol.gradient("z20", wrt="z0") == pytest.approx(float(slope), rel=conditioning, abs=0.0)


def test_edges_are_visited_not_paths() -> None:
    """20 equations of two argument slots each: 40 edge slots, and 2²⁰ paths.

    The two slots of z·z hold the same variable: the library keeps them as the one edge of a square, whose partial 2z is
    their sum. So it visits 20 edges where there are 40 slots.
    """
    m = squarings()
    nodes = [n for e in m.equations.values() for n in topological([e.expr]) if n.args]
    slots = sum(2 if n.op.name == "square" else len(n.args) for n in nodes)
    assert slots == 40
    assert m.graph.number_of_edges() == sum(len(n.args) for n in nodes) == 20
    assert 2 ** len(nodes) == 1_048_576  # paths: two ways through each equation
    x = m["z0"]
    formula: object = x
    for _ in range(SQUARINGS):
        formula = formula * formula
    both = topological([formula, *vjp([formula], [1.0], [x])])  # one expression: its nodes are shared, not spelled out
    assert sum(len(n.args) for n in both) <= 4 * 40


def test_distinct_factors_keep_their_slots() -> None:
    """Two parallel chains, z_{i+1} = z_i · y_i and y_{i+1} = y_i · z_i: 4 edges per step, paths double."""
    m = adj.Program("parallel")
    z, y = m.input("z0", 1.0001), m.input("y0", 1.0002)
    k = 10
    for i in range(k):
        z, y = m.define(f"z{i + 1}", z * y), m.define(f"y{i + 1}", y + z)
    assert m.graph.number_of_edges() == 4 * k
    paths: dict[str, int] = {name: 0 for name in m.graph}
    paths["z0"] = paths["y0"] = 1
    for name in nx.topological_sort(m.graph):
        for after in m.graph.successors(name):
            paths[after] += paths[name]
    assert paths["z10"] == 2**k
    sol = m.solve()
    gradient = sol.gradient("z10")
    assert gradient["z0"] == pytest.approx(sol.jvp({"z0": 1.0}, of="z10")["z10"], rel=1e-13, abs=0.0)
