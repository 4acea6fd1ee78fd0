"""Reports: structure before any number, derivatives against independent ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint import totals


@pytest.fixture
def m() -> adj.Program:
    return adj.Program("model")


# -- structure ---------------------------------------------------------------------------------------------


def test_a_sound_model(m: adj.Program) -> None:
    x = m.input("x", np.ones(2))
    m.input("idle", 1.0)
    y = m.unknown("y", shape=(2,))
    m.constrain(y**3 + y == x, name="cubic")
    m.define("f", np.sum(y))
    report = m.check()
    assert report
    assert report.ok
    assert (report.inputs, report.unknowns, report.equations) == (3, 3, 3)
    assert report.unused_inputs == ["idle"]
    assert report.outputs == ["f"]
    assert report.without_effect == []
    assert report.overdetermined == report.underdetermined == []
    assert [b.name for b in report.blocks] == [b.name for b in m.blocks()]
    for word in ("model", "idle", "cycle_1", "every unknown is determined"):
        assert word in str(report)


def test_a_bad_structure_is_reported_not_raised(m: adj.Program) -> None:
    y, z = m.unknown("y"), m.unknown("z")
    m.constrain(y == 1.0, name="one")
    m.constrain(y**2 == 1.0, name="two")
    m.define("f", z)
    report = m.check()
    assert not report
    assert [(set(e), set(v)) for e, v in report.overdetermined] == [({"one", "two"}, {"y"})]
    assert [set(v) for _, v in report.underdetermined] == [{"z", "f"}] or any(
        "z" in v for _, v in report.underdetermined
    )
    assert "one" in str(report)


def test_elements_that_cannot_be_matched_inside_a_block(m: adj.Program) -> None:
    """By names the block is square; by elements its first equation row uses nothing that is left."""
    v, w = m.unknown("v", shape=(2,)), m.unknown("w", shape=(2,))
    m.constrain(np.stack([v[0], v[0] + 1.0]) + 0.1 * w[0] == 1.0, name="both of one")
    m.constrain(w + v == 2.0, name="fine")
    report = m.check()
    assert not report
    named = " ".join([*map(str, report.singular.values()), str(report.overdetermined), str(report.underdetermined)])
    assert "both of one" in named or "fine" in named


def test_equations_without_effect_on_an_output() -> None:
    def area(width: Any, height: Any) -> Any:
        half = width * height / 2
        unused = width + height
        twice = unused * 2  # noqa: F841
        return half

    report = adj.trace(area, 2.0, 3.0).check()
    assert report.outputs == ["half"]
    assert set(report.without_effect) == {"unused", "twice"}


def test_the_report_of_an_empty_and_of_a_large_model_is_short(m: adj.Program) -> None:
    assert "0 scalar equations" in str(m.check())
    for k in range(500):
        y = m.unknown(f"y{k}")
        m.define(y, np.cos(y))
        m.unknown(f"z{k}")
    assert len(str(m.check())) < 20_000


# -- derivatives -------------------------------------------------------------------------------------------


def coupled(m: adj.Program) -> adj.Solution:
    x, p = m.input("x", np.array([1.0, 2.0])), m.input("p", 0.5)
    u, w = m.unknown("u", shape=(2,)), m.unknown("w")
    m.constrain(u**3 + u == x + w, name="cubic")
    m.define(w, p * np.sum(np.abs(u)))
    m.define("f", np.sum(np.maximum(u, 0.1) * x) / p)
    return m.solve()


def test_the_complex_step_through_runs_and_cycles(m: adj.Program) -> None:
    check = coupled(m).check_derivatives("f")
    assert check.ok
    assert check
    assert check.method == "complex step"
    assert check.error < 1e-10
    assert {entry[0] for entry in check.worst} <= {"x[0]", "x[1]", "p"}
    assert "f" in str(check)


def test_a_weighted_sum_and_some_inputs(m: adj.Program) -> None:
    sol = coupled(m)
    assert sol.check_derivatives({"u": [1.0, -1.0], "w": 2.0}).ok
    assert [e[0] for e in sol.check_derivatives("f", wrt="p").worst] == ["p"]


def test_a_wrong_jacobian_of_a_black_box_is_found(m: adj.Program) -> None:
    for wrong in (True, False):
        other = adj.Program()
        x = other.input("x", [1.0, 2.0])
        box = other.external(
            "box",
            lambda x: x**2,
            inputs=[x],
            shape=(2,),
            jac=lambda x, w=wrong: np.diag([2 * x[0], (3 if w else 2) * x[1]]),
        )
        other.define("f", np.sum(box) + x[0])
        check = other.solve().check_derivatives("f")
        assert check.method == "central differences"
        assert check.ok is not wrong
        if wrong:
            entry, ours, reference, error = check.worst[0]
            assert entry == "x[1]"
            assert ours == pytest.approx(6.0)
            assert reference == pytest.approx(4.0)
            assert error == pytest.approx(1 / 3, rel=1e-3)
            assert "DIFFER" in str(check)


def test_a_wrong_rule_is_found(m: adj.Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference does not use the derivative that it checks."""
    sol = coupled(m)
    original = sol.gradient("f")
    assert original
    correct = totals.gradient
    monkeypatch.setattr(totals, "gradient", lambda *a: [1.001 * g for g in correct(*a)])
    assert not sol.check_derivatives("f").ok


def test_many_inputs_are_sampled(m: adj.Program) -> None:
    x = m.input("x", np.linspace(0.0, 1.0, 5000))
    m.define("f", np.sum(np.sin(x)))
    check = m.solve().check_derivatives("f")
    assert check.ok
    assert len(check.worst) <= 5


def test_a_black_box_inside_a_cycle_is_checked_by_solving_again(m: adj.Program) -> None:
    x, y = m.input("x", 1.0), m.unknown("y")
    c = m.external("c", np.cos, inputs=[y], jac=lambda y: -np.sin(y))
    m.define(y, c * x)
    check = m.solve().check_derivatives("y")
    assert check.ok
    assert check.method == "central differences"


def test_a_derivative_that_is_zero_but_for_rounding_agrees() -> None:
    m = adj.Program()
    x, y = m.input("x", 0.3), m.unknown("y", guess=1.0)
    m.constrain(y**3 + y == 2.0 + 0.1 * (x - x / 49.0 * 49.0))
    m.define("f", y**2 + 1e-17 * x)
    assert m.solve().check_derivatives("f")
