"""Models that no numbers can save: structurally or numerically singular systems, each named part by part."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import adjoint as adj

# -- a solid phase with one equation too many for its composition (Pyomo, incidence_analysis; R. Parker 2020) ---


def solid_phase(arrays: bool) -> adj.Program:
    """Eight equations for eight unknowns, of which a maximum matching covers seven."""
    m = adj.Program("solid phase")
    flow, rho = m.unknown("flow", 30.0), m.unknown("rho", 1.0)
    if arrays:
        x, flow_comp = m.unknown("x", np.full(3, 1.0 / 3.0)), m.unknown("flow_comp", np.full(3, 10.0))
        m.constrain(np.sum(x) == 1.0, name="sum_eqn")
        m.constrain(x * rho == np.ones(3), name="holdup_eqn")
        m.constrain(1.0 / rho - np.sum(1.0 / x), name="density_eqn")
        m.constrain(x * flow - flow_comp, name="flow_eqn")
        return m
    x = [m.unknown(f"x[{j}]", 1.0 / 3.0) for j in range(3)]
    flow_comp = [m.unknown(f"flow_comp[{j}]", 10.0) for j in range(3)]
    m.constrain(x[0] + x[1] + x[2] == 1.0, name="sum_eqn")
    for j in range(3):
        m.constrain(x[j] * rho == 1.0, name=f"holdup_eqn[{j}]")
        m.constrain(x[j] * flow == flow_comp[j], name=f"flow_eqn[{j}]")
    m.constrain(1.0 / rho == 1.0 / x[0] + 1.0 / x[1] + 1.0 / x[2], name="density_eqn")
    return m


@pytest.mark.parametrize("arrays", [False, True], ids=["scalars", "arrays"])
def test_solid_phase(arrays: bool) -> None:
    over = {"sum_eqn", "density_eqn", *(f"holdup_eqn[{j}]" for j in range(3))}, {"rho", *(f"x[{j}]" for j in range(3))}
    under = {f"flow_eqn[{j}]" for j in range(3)}, {"flow", *(f"flow_comp[{j}]" for j in range(3))}
    m = solid_phase(arrays)
    with pytest.raises(adj.StructureError, match="8 equations for 8 unknowns; they determine 7") as error:
        m.solve()
    report = m.check()
    assert not report.ok
    assert (report.equations, report.unknowns) == (8, 8)
    for parts in (error.value, report):
        assert [(set(e), set(v)) for e, v in parts.overdetermined] == [over]
        assert [(set(e), set(v)) for e, v in parts.underdetermined] == [under]
    for name in (*over[0], *over[1], *under[0], *under[1]):
        assert name in str(error.value)


def test_solid_phase_repaired() -> None:
    """Without the density equation, and with the flow given, every unknown is determined."""
    m = adj.Program("solid phase")
    flow = m.input("flow", 30.0)
    x, rho = m.unknown("x", np.full(3, 0.3)), m.unknown("rho", 1.0)
    m.constrain(np.sum(x) == 1.0, name="sum_eqn")
    m.constrain(x * rho == np.ones(3), name="holdup_eqn")
    m.define("flow_comp", x * flow)
    assert m.check().ok
    sol = m.solve()
    np.testing.assert_allclose(sol["flow_comp"], 10.0, rtol=1e-12)
    assert sol["rho"] == pytest.approx(3.0, rel=1e-12, abs=0.0)


# -- square, structurally sound, and of rank 2 (ModelingToolkit, tearing.jl) ---------------------------------


def alias_cycle() -> adj.Program:
    """x = y, z = −y, x + z = 0: the third equation says nothing new. A line of solutions."""
    m = adj.Program("alias cycle")
    p = m.input("p", 2.0)
    x, y, z = m.unknown("x", 1.0), m.unknown("y", 2.0), m.unknown("z", 3.0)
    m.constrain(x == y, name="alias")
    m.constrain(z == -y, name="mirror")
    m.constrain(x + z == 0.0, name="sum")
    m.define("f", p * x)
    return m


def test_alias_cycle_is_named() -> None:
    m = alias_cycle()
    assert m.check().ok  # nothing is wrong with its structure
    with pytest.warns(adj.SingularWarning, match="x, y, z"):
        sol = m.solve()
    assert sol["x"] == pytest.approx(sol["y"], rel=1e-9, abs=0.0)
    assert sol["x"] == pytest.approx(-sol["z"], rel=1e-9, abs=0.0)
    with pytest.raises(adj.SingularError) as error:
        sol.gradient("f")
    assert set(error.value.equations) == {"alias", "mirror", "sum"}
    assert set(error.value.variables) == {"x", "y", "z"}
    for name in ("alias", "mirror", "sum"):
        assert name in str(error.value)


# -- OpenModelica: PantelidesSingular.mo, SingularModel2.mo ---------------------------------------------------


def test_singular_index_reduction() -> None:
    """0 = x + u1 u2, 0 = x' y1 + x, 0 = 40x + x² − y2, and the third once more, differentiated in time.

    x and x' have three equations, u1 and u2 share one.
    """
    m = adj.Program("pantelides")
    y1, y2 = m.input("y1", 1.0), m.input("y2", 3.0)
    x, dx, u1, u2 = (m.unknown(name, 1.0) for name in ("x", "dx", "u1", "u2"))
    m.constrain(x + u1 * u2, name="product")
    m.constrain(dx * y1 + x, name="decay")
    m.constrain(40.0 * x + x * x == y2, name="level")
    m.constrain(40.0 * dx + 2.0 * x * dx, name="level_rate")
    with pytest.raises(adj.StructureError) as error:
        m.solve()
    assert [(set(e), set(v)) for e, v in error.value.overdetermined] == [
        ({"decay", "level", "level_rate"}, {"x", "dx"})
    ]
    assert [(set(e), set(v)) for e, v in error.value.underdetermined] == [({"product"}, {"u1", "u2"})]
    for name in ("decay", "level", "level_rate", "product", "u1", "u2", "x", "dx"):
        assert name in str(error.value)


def rates(a: float, b: float, t: float) -> adj.Program:
    """a x' + b y' = sin t, x' + y' = cos t."""
    m = adj.Program("rates")
    a_, b_, t_ = m.input("a", a), m.input("b", b), m.input("time", t)
    dx, dy = m.unknown("dx", -1.0), m.unknown("dy", 1.0)
    m.constrain(a_ * dx + b_ * dy == np.sin(t_), name="weighted")
    m.constrain(dx + dy == np.cos(t_), name="sum")
    return m


def test_numerically_singular_model() -> None:
    """Regular for a ≠ b; at a = b singular: inconsistent but for tan t = a."""
    sol = rates(1.0, 2.0, 0.3).solve()
    assert sol["dy"] == pytest.approx(np.sin(0.3) - np.cos(0.3), rel=1e-13, abs=0.0)
    with pytest.raises(adj.ConvergenceError) as error:
        rates(1.0, 1.0, 0.3).solve()
    assert {name for name, _ in error.value.worst} == {"weighted", "sum"}
    assert "weighted" in str(error.value) and "dx, dy" in str(error.value)
    with pytest.warns(adj.SingularWarning, match="dx, dy"):
        sol = rates(1.0, 1.0, np.pi / 4.0).solve()
    with pytest.raises(adj.SingularError) as error:
        sol.gradient("dx")
    assert set(error.value.equations) == {"weighted", "sum"}
    assert set(error.value.variables) == {"dx", "dy"}


# -- what must not count as an edge (Pyomo#2834, #2772), and sizes that fit by chance (ModelingToolkit#1539) -----


def test_structural_zeros_are_no_incidence() -> None:
    """0·x and x − x do not determine x."""
    m = adj.Program()
    x, y = m.unknown("x"), m.unknown("y")
    m.constrain(0.0 * x + y == 1.0, name="first")
    m.constrain(x - x + y**2 == 1.0, name="second")
    with pytest.raises(adj.StructureError) as error:
        m.solve()
    assert [(set(e), set(v)) for e, v in error.value.overdetermined] == [({"first", "second"}, {"y"})]
    assert error.value.underdetermined == [([], ["x"])]


@pytest.mark.parametrize("extra", ["equation", "unknown"])
def test_not_square(extra: str) -> None:
    m = adj.Program()
    a, x = m.input("a", 2.0), m.unknown("x")
    m.constrain(x**2 == a, name="square")
    if extra == "equation":
        m.constrain(x == 1.0, name="again")
    else:
        m.unknown("loose")
    with pytest.raises(adj.StructureError) as error:
        m.solve()
    if extra == "equation":
        assert [(set(e), set(v)) for e, v in error.value.overdetermined] == [({"square", "again"}, {"x"})]
        assert error.value.underdetermined == []
    else:
        assert error.value.overdetermined == []
        assert error.value.underdetermined == [([], ["loose"])]


def test_sound_models_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m = rates(1.0, 2.0, 0.3)
        assert m.check().ok
        m.solve().gradient("dx")
