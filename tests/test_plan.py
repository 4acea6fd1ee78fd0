"""Plans: blocks in solve order, made once per state of the program, and what depends on what."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.blocks import Cycle, Run


def branches() -> adj.Program:
    """Two inputs with a cycle and a run each; "both" uses both, "left" and "right" one of them."""
    m = adj.Program()
    for side in ("left", "right"):
        x = m.input(f"{side}_x", 1.0)
        y = m.unknown(f"{side}_y")
        m.constrain(y**3 + y == x, name=f"{side}_cubic")
        m.define(side, np.exp(y))
    m.define("both", m["left"] * m["right"])
    return m


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each unknown's block took part in a sweep."""
    count: Counter[str] = Counter()
    for kind in (Run, Cycle):
        for method in ("push", "pull", "push_many", "pull_many"):
            original = getattr(kind, method)

            def counted(self: Any, *args: Any, original: Any = original, **keywords: Any) -> Any:
                count.update(v.name for v in self.variables)
                return original(self, *args, **keywords)

            monkeypatch.setattr(kind, method, counted)
    return count


def test_a_plan_is_kept_until_the_program_changes() -> None:
    m = branches()
    plan = m.plan()
    m.solve()
    assert m.plan() is plan
    m.define("more", m["both"] + 1.0)
    assert m.plan() is not plan
    assert m.solve()["more"] == m.solve()["both"] + 1.0


def test_an_old_solution_keeps_its_plan() -> None:
    m = branches()
    sol = m.solve()
    before = sol.gradient("both")
    m.define("more", m["both"] + 1.0)
    assert sol.gradient("both") == before
    with pytest.raises(adj.NameLookupError, match="more"):
        sol["more"]


def test_plans_by_what_is_given() -> None:
    m = adj.Program()
    x, y = m.input("x", 8.0), m.unknown("y", guess=2.0)
    m.constrain(y**3 == x, name="cube")
    u = m.unknown("u", guess=1.0)
    with pytest.raises(adj.StructureError):
        m.plan()
    plan = m.plan(given=["u"])
    assert plan is m.plan(given=[u])
    assert [v.name for v in plan.inputs] == ["x", "u"]
    assert plan.variables == {x, y, u}
    with pytest.raises(adj.NameLookupError):
        m.plan(given=["nothing"])


def test_explicit_equations_of_a_level_are_one_run() -> None:
    m = adj.Program()
    last = m.input("x", 1.0)
    for k in range(100):
        last = m.define(f"v{k}", np.sin(last))
    (run,) = m.plan().blocks
    assert isinstance(run, Run)
    assert run.size == 100


def test_reach_and_ancestors() -> None:
    m = branches()
    plan = m.plan()
    names = {v.name for v in plan.reach(frozenset([m["left_x"]]))}
    assert names == {"left_x", "left_y", "left", "both"}
    assert {v.name for v in plan.ancestors([m["right"]])} == {"right_x", "right_y", "right"}
    everything = plan.reach(frozenset([m["left_x"], m["right_x"]]))
    assert everything is None or everything == plan.variables


def test_a_gradient_sweeps_only_blocks_between_its_inputs_and_its_output(swept: Counter[str]) -> None:
    sol = branches().solve()
    sol.gradient("left")
    assert swept["left_y"] == 1
    assert swept["right_y"] == 0
    swept.clear()
    sol.gradient("both", wrt=["left_x"])
    assert swept["left_y"] == 1
    assert swept["right_y"] == 0


def test_a_jacobian_sweeps_only_blocks_between_its_inputs_and_its_outputs(swept: Counter[str]) -> None:
    m = branches()
    m.define("pair", adj.array([m["left"], m["both"]]))
    sol = m.solve()
    sol.jacobian("pair", wrt="left_x", mode="reverse")
    assert swept["right_y"] == 0


def test_the_answer_does_not_depend_on_what_is_swept() -> None:
    sol = branches().solve({"left_x": 2.0, "right_x": 3.0})
    full = sol.gradient("both")
    for name in ("left_x", "right_x"):
        assert sol.gradient("both", wrt=name) == pytest.approx(full[name], rel=1e-14)
    assert sol.gradient("left", wrt="right_x") == 0.0


def test_external_functions_are_not_called_where_they_do_not_matter() -> None:
    calls: Counter[str] = Counter()

    def count(name: str, value: Any) -> Any:
        calls[name] += 1
        return value

    m = adj.Program()
    x, y = m.input("x", 1.0), m.input("y", 2.0)
    a = m.external("a", lambda x: count("a", x**2), inputs=[x], jac=lambda x: count("da", 2 * x))
    b = m.external("b", lambda y: count("b", y**2), inputs=[y], jac=lambda y: count("db", 2 * y))
    m.define("f", a * b)
    m.define("g", 3 * a)
    sol = m.solve()
    assert calls == {"a": 1, "b": 1}
    assert sol.gradient("f", wrt="x") == 8.0
    assert calls["db"] == 0
    assert sol.gradient("g", wrt="x") == 6.0
    assert calls["db"] == 0
    assert sol.gradient("f", wrt="y") == 4.0
    assert calls["db"] == 1
