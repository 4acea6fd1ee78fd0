"""One model by three transcriptions: the same numbers, the same derivatives, and words for what cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate

import adjoint as adj
from adjoint.loops import ode
from adjoint.loops.tableaux import TABLEAUX, collocation

WAYS = ["single-shooting", "multiple-shooting", "collocation"]
IMPLICIT = [name for name, tableau in TABLEAUX.items() if not tableau.is_explicit]
LOBATTO = collocation([0.0, 0.5, 1.0])


def pendulum(t: Any, y: Any, u: Any) -> Any:
    return {"a": y["w"], "w": -np.sin(y["a"]) - 0.2 * y["w"] + u["f"] * np.cos(t)}


def swing(n: int = 8, control: str = "linear", **way: Any) -> tuple[adj.Program, adj.Trajectory]:
    """A driven pendulum with an end, a cost, and derivatives by its start, force and duration."""
    m = adj.Program("pendulum")
    shape = {"constant": (n,), "linear": (n + 1,), "nodes": (n, 3)}[control]
    f = m.input("f", 0.3 + 0.1 * np.sin(np.arange(np.prod(shape))).reshape(shape))
    T, a = m.input("T", 2.0), m.input("a0", 1.0)
    path = adj.trajectory(m, pendulum, T * np.linspace(0, 1, n + 1), {"a": a, "w": 0.1}, {"f": f}, **way)
    m.define("cost", path.integral(lambda t, y, u: y["a"] ** 2 + 0.1 * u["f"] ** 2 + 0.01 * t) + path["w"][-1])
    return m, path


def exact(f: Any, start: Any, T: float) -> Any:
    return scipy.integrate.solve_ivp(f, (0, T), start, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]


# -- the same in all transcriptions --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*IMPLICIT, LOBATTO], ids=[*IMPLICIT, "lobatto4"])
@pytest.mark.parametrize("control", ["constant", "linear"])
def test_a_method_takes_the_same_steps_in_all_transcriptions(method: Any, control: str) -> None:
    found = []
    for way in WAYS:
        m, _ = swing(4, control, transcription=way, method=tuple(method) if method is LOBATTO else method)
        sol = m.solve()
        found.append((sol["a"], sol["w"], sol["cost"], sol.gradient("cost")))
    for a, w, cost, gradient in found[1:]:
        np.testing.assert_allclose(a, found[0][0], rtol=1e-9)
        np.testing.assert_allclose(w, found[0][1], rtol=1e-9, atol=1e-10)
        assert cost == pytest.approx(found[0][2], rel=1e-9)
        for name, value in gradient.items():
            np.testing.assert_allclose(value, found[0][3][name], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("method", ["radau5", "gauss4", "trapezoidal", "rk4"])
def test_steps_are_those_of_ode(method: str) -> None:
    t = np.linspace(0.0, 2.0, 9)
    m = adj.Program()
    way = "single-shooting" if method == "rk4" else "collocation"
    adj.trajectory(
        m, lambda t, y, u: [y["w"], -np.sin(y["a"])], t, {"a": 1.0, "w": 0.0}, transcription=way, method=method
    )
    expected = ode(lambda t, y: [y[1], -np.sin(y[0])], [1.0, 0.0], t, method=method)
    sol = m.solve()
    np.testing.assert_allclose(np.stack([sol["a"], sol["w"]], axis=1), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("segments", [1, 2, 4, 8])
@pytest.mark.parametrize("substeps", [1, 3, 20])
def test_segments_and_substeps(segments: int, substeps: int) -> None:
    sol = swing(transcription="multiple-shooting", segments=segments, substeps=substeps)[0].solve()
    same = swing(transcription="single-shooting", substeps=substeps)[0].solve()
    np.testing.assert_allclose(sol["a"], same["a"], rtol=1e-9)
    np.testing.assert_allclose(sol.gradient("cost", "f"), same.gradient("cost", "f"), rtol=1e-8)
    assert sol["cost"] == pytest.approx(same["cost"], rel=1e-9)


@pytest.mark.parametrize("way", WAYS)
def test_substeps_refine(way: str) -> None:
    def f(t: float, y: Any) -> Any:
        return [y[1], -np.sin(y[0]) - 0.2 * y[1] + (0.3 + 0.1 * t) * np.cos(t)]

    expected = exact(f, [1.0, 0.1], 2.0)
    errors = []
    for substeps in (1, 2, 4):
        m = adj.Program()
        adj.trajectory(
            m,
            pendulum,
            np.linspace(0, 2, 5),
            {"a": 1.0, "w": 0.1},
            {"f": 0.3 + 0.1 * np.linspace(0, 2, 5)},
            transcription=way,
            method="rk4" if way != "collocation" else "gauss4",
            substeps=substeps,
        )
        errors.append(abs(m.solve()["a"][-1] - expected[0]))
    assert errors[0] / errors[1] > 10 and errors[1] / errors[2] > 10


def test_far_from_the_guess_steps_are_solved_one_after_the_other() -> None:
    def end(guessed: float, wanted: float) -> Any:
        m = adj.Program("van der Pol")
        mu = m.input("mu", guessed)
        right = lambda t, y, u: {"x": y["v"], "v": mu * (1 - y["x"] ** 2) * y["v"] - y["x"]}
        adj.trajectory(m, right, np.linspace(0, 10, 101), {"x": 2.0, "v": 0.0})
        return m.solve(mu=wanted)

    far, near = end(1.0, 8.0), end(8.0, 8.0)
    np.testing.assert_allclose(far["x"], near["x"], atol=1e-7)
    unit = {"x": np.eye(101)[-1]}
    assert far.gradient(unit, "mu") == pytest.approx(near.gradient(unit, "mu"), rel=1e-5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("control", ["constant", "linear", "nodes"])
def test_derivatives(way: str, control: str) -> None:
    m, _ = swing(
        4,
        control,
        transcription=way,
        method="radau5"
        if way == "collocation"
        else (
            TABLEAUX["heun"] if control != "nodes" else ([[0, 0, 0], [0.5, 0, 0], [-1, 2, 0]], [1 / 6, 2 / 3, 1 / 6])
        ),
    )
    sol = m.solve()
    assert sol.check_derivatives("cost")
    h = 1e-5
    plus, minus = (m.solve(T=2.0 + s).gradient("cost", "f") for s in (h, -h))
    np.testing.assert_allclose(sol.hessian("cost", wrt=["f", "T"])["f", "T"], (plus - minus) / (2 * h), atol=1e-7)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_backends(backend: str) -> None:
    if backend == "llvm":
        pytest.importorskip("llvmlite")
    found = []
    for way in WAYS:
        m = adj.Program(backend=backend)
        y0 = m.input("y0", 1.0)
        adj.trajectory(m, lambda t, y, u: [-y["y"]], np.linspace(0, 1, 9), {"y": y0}, transcription=way)
        found.append(m.solve().gradient({"y": np.eye(9)[8]}, "y0"))
    np.testing.assert_allclose(found, np.exp(-1.0), rtol=1e-5)


# -- optima ----------------------------------------------------------------------------------------------------------


def brachistochrone(n: int = 12, **way: Any) -> adj.Problem:
    m = adj.Program("brachistochrone")
    T, u = m.input("T", 1.0), m.input("u", np.full(n + 1, 0.8))

    def fall(t: Any, y: Any, u: Any) -> Any:
        return {"x": y["v"] * np.sin(u["u"]), "y": y["v"] * np.cos(u["u"]), "v": 9.8 * np.cos(u["u"])}

    start = {"x": 0.0, "y": 0.0, "v": 0.0}
    path = adj.trajectory(m, fall, T * np.linspace(0, 1, n + 1), start, {"u": u}, **way)
    ends = {"x end": path["x"][-1] == 2.0, "y end": path["y"][-1] == 2.0}
    return adj.Problem(m, minimize="T", over={"T": (0.1, 10.0), "u": (0.0, 3.0)}, subject_to=ends)


@pytest.mark.parametrize("method", ["radau3", "gauss4"])
def test_full_and_reduced_space_have_one_optimum(method: str) -> None:
    problem = brachistochrone(transcription="collocation", method=method)
    full = problem.solve("interior-point", formulation="full", tol=1e-9)
    reduced = problem.solve("interior-point", formulation="reduced", tol=1e-9)
    shot = brachistochrone(transcription="multiple-shooting", method="rk4").solve("interior-point", tol=1e-9)
    assert full.status == reduced.status == shot.status == "optimal"
    assert reduced.fun == pytest.approx(full.fun, rel=1e-8)
    assert shot.fun == pytest.approx(full.fun, rel=1e-3)
    for name in ("x end", "y end", "x: collocation", "v: collocation"):
        np.testing.assert_allclose(reduced.multipliers[name], full.multipliers[name], rtol=1e-4, atol=1e-7)


def test_scipys_optimizers_shoot() -> None:
    single = brachistochrone(transcription="single-shooting").solve("SLSQP")
    full = brachistochrone(transcription="multiple-shooting").solve("interior-point", formulation="full", tol=1e-9)
    assert single.success
    assert single.fun == pytest.approx(full.fun, rel=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_bounds_hold_on_the_mesh(way: str) -> None:
    def fastest(formulation: str) -> Any:
        m = adj.Program()
        u = m.input("u", np.zeros(20))
        right = lambda t, y, u: {"x": y["v"], "v": u["u"]}
        bounds = {"v": (None, 0.3)}
        start = {"x": 0.0, "v": 0.0}
        path = adj.trajectory(m, right, np.linspace(0, 4, 21), start, {"u": u}, transcription=way, bounds=bounds)
        m.define("cost", path.integral(lambda t, y, u: u["u"] ** 2))
        ends = {"x end": path["x"][-1] == 1.0, "v end": path["v"][-1] == 0.0}
        problem = adj.Problem(m, minimize="cost", over=["u"], subject_to={**ends, **path.limits})
        return problem.solve("interior-point", formulation=formulation, tol=1e-9)

    result = fastest("full")
    assert result.success
    assert result.solution["v"].max() == pytest.approx(0.3, abs=1e-7)
    if way == "single-shooting":
        assert fastest("reduced").fun == pytest.approx(result.fun, rel=1e-7)


def test_limits_are_where_no_unknown_is() -> None:
    def limits(**way: Any) -> dict[str, tuple[int, ...]]:
        m = adj.Program()
        path = adj.trajectory(
            m,
            lambda t, y, u: [-y["x"]],
            np.linspace(0, 1, 9),
            {"x": m.input("x0", 1.0)},
            bounds={"x": (0, 2)},
            prefix="p.",
            **way,
        )
        assert path.limits is path.limits
        return {name: c.shape for name, c in path.limits.items()}

    assert limits() == limits(method="gauss4") == {}
    assert limits(transcription="single-shooting") == {"p.x: limits": (8,)}
    assert limits(transcription="multiple-shooting") == {"p.x: limits": (1,)}
    assert limits(transcription="multiple-shooting", segments=2) == {"p.x: limits": (7,)}


@pytest.mark.parametrize("way", WAYS)
def test_two_phases(way: str) -> None:
    m = adj.Program()
    first = adj.trajectory(
        m, lambda t, y, u: [-y["x"]], np.linspace(0, 1, 11), {"x": 1.0}, transcription=way, prefix="one."
    )
    then = {"x": first["x"][-1]}
    second = adj.trajectory(
        m, lambda t, y, u: [2 * y["x"]], np.linspace(1, 2, 11), then, transcription=way, prefix="two."
    )
    m.define("end", second["x"][-1])
    sol = m.solve()
    assert sol["end"] == pytest.approx(np.exp(1.0), rel=1e-4)
    assert sol["two.x"][0] == pytest.approx(sol["one.x"][-1])


@pytest.mark.parametrize("way", WAYS)
def test_states_may_be_vectors(way: str) -> None:
    A = np.array([[0.0, 1.0], [-2.0, -0.3]])
    m = adj.Program()
    q0, u = m.input("q0", [1.0, 0.5]), m.input("u", np.linspace(0, 1, 11))
    right = lambda t, y, u: {"q": y["q"] @ A.T + u["u"][..., None] * np.array([0.0, 1.0]), "s": y["q"][..., 0]}
    start = {"q": q0, "s": 0.0}
    path = adj.trajectory(m, right, np.linspace(0, 1, 11), start, {"u": u}, transcription=way)
    m.define("f", path["q"][-1, 0] + path["s"][-1])
    sol = m.solve()
    expected = exact(lambda t, y: [*(A @ y[:2] + [0.0, t]), y[0]], [1.0, 0.5, 0.0], 1.0)
    assert sol["q"].shape == (11, 2)
    np.testing.assert_allclose([*sol["q"][-1], sol["s"][-1]], expected, atol=1e-5)
    assert sol.check_derivatives("f")


# -- what is given ---------------------------------------------------------------------------------------------------


def test_names_in_the_program() -> None:
    assert list(swing(transcription="single-shooting")[0].equations) == ["a", "w", "cost"]
    m = swing(transcription="multiple-shooting")[0]
    assert list(m.equations) == ["a: continuity", "w: continuity", "a", "w", "cost"]
    assert m["a at segments"].shape == (7,)
    m = swing()[0]
    assert list(m.equations) == ["a: collocation", "w: collocation", "a", "w", "cost"]
    assert m["a at nodes"].shape == (8, 3)
    m = swing(method="gauss4", prefix="p.")[0]
    assert {"p.a: collocation", "p.a: continuity", "p.a"} < set(m.equations)
    assert m["p.a at nodes"].shape == (8, 2) and m["p.a at mesh"].shape == (8,)


@pytest.mark.parametrize("way", WAYS)
def test_nodes(way: str) -> None:
    m, path = swing(4, transcription=way, substeps=2)
    s = 4 if way != "collocation" else 3
    m.define("nodes", path.t_at_nodes)
    assert set(path.at_nodes) == {"a", "w", "f"}
    assert {e.shape for e in path.at_nodes.values()} == {(8, s)} == {path.t_at_nodes.shape}
    sol = m.solve()
    assert sol["nodes"].max() == pytest.approx(2.0)
    assert path.t.shape == path["a"].shape == (5,)


def test_an_integral_is_a_further_state() -> None:
    for way in WAYS:
        m = adj.Program()
        right = lambda t, y, u: {"x": -y["x"] * t, "s": y["x"] ** 2 + t}
        path = adj.trajectory(m, right, np.linspace(0, 1, 6), {"x": 1.0, "s": 0.0}, transcription=way)
        m.define("integral", path.integral(lambda t, y, u: y["x"] ** 2 + t))
        m.define("one", path.integral(lambda t, y, u: 1.0))
        sol = m.solve()
        assert sol["integral"] == pytest.approx(sol["s"][-1], rel=1e-12)
        assert sol["one"] == pytest.approx(1.0)


# -- what is refused -------------------------------------------------------------------------------------------------

TIMES = np.linspace(0, 1, 5)


def refused(error: type[Exception], words: str, **changed: Any) -> None:
    given: dict[str, Any] = {"fun": lambda t, y, u: [y["x"]], "t": TIMES, "start": {"x": 1.0}, **changed}
    m = adj.Program()
    with pytest.raises(error, match=words):
        adj.trajectory(m, given.pop("fun"), given.pop("t"), given.pop("start"), given.pop("controls", None), **given)


def test_wrong_words() -> None:
    refused(adj.NameLookupError, "no transcription named 'colocation'.*collocation", transcription="colocation")
    refused(adj.NameLookupError, "no method of trajectory.. named 'radau7'", method="radau7")
    refused(adj.ModelError, "collocation needs an implicit method: 'backward-euler'", method="rk4")
    refused(adj.ModelError, "method= is a name", method=5)
    refused(adj.ModelError, "matrix A is singular", method=([[0, 0, 0], [1, 0, 0], [0, 0, 1]], [0.5, 0, 0.5]))
    refused(adj.NameLookupError, "no guess of trajectory.. named 'simulation'", guess="simulation")


def test_wrong_numbers() -> None:
    refused(adj.ModelError, "segments= is for", segments=2)
    refused(adj.ModelError, "divisor of the 4", segments=3, transcription="multiple-shooting")
    refused(adj.ModelError, "substeps= is a positive", substeps=0)
    refused(adj.ModelError, "increase", t=[0.0, 1.0, 0.5])
    refused(adj.ShapeError, "two or more", t=[0.0])
    refused(adj.ShapeError, "a number or a vector", start={"x": np.zeros((2, 2))})


def test_wrong_names() -> None:
    right = lambda t, y, u: {"x": y["x"], "v": 0.0}
    refused(adj.NameLookupError, "named 'v'", fun=right)
    refused(adj.ModelError, "gives nothing for 'v'", fun=lambda t, y, u: {"x": 1.0}, start={"x": 0.0, "v": 0.0})
    refused(adj.ModelError, "a list of 1", fun=lambda t, y, u: [1.0, 2.0])
    refused(adj.ModelError, "a list of 1, for 'x'; it gave float", fun=lambda t, y, u: 1.0)
    refused(adj.ShapeError, "gives 'x' the shape", fun=lambda t, y, u: [np.zeros(7)])
    refused(adj.ModelError, "used twice", controls={"x": np.zeros(4)})
    refused(adj.ModelError, "names no state", start={})
    refused(adj.ModelError, "start= is a dict", start=[1.0])
    refused(adj.NameLookupError, "named 'z'", bounds={"z": (0, 1)})
    refused(adj.ModelError, "takes a pair", bounds={"x": 1.0})
    refused(adj.NameLookupError, "named 'z'", guess={"z": 1.0})
    m = adj.Program()
    m.input("x", 1.0)
    with pytest.raises(adj.ModelError, match="a variable named 'x' already"):
        adj.trajectory(m, lambda t, y, u: [y["x"]], TIMES, {"x": 1.0})
    assert list(m.variables) == ["x"]


@pytest.mark.parametrize("way", WAYS)
def test_a_program_stays_as_it_was_where_an_error_follows(way: str) -> None:
    m = adj.Program()
    x0 = m.input("x0", 1.0)
    with pytest.raises(adj.ShapeError):
        adj.trajectory(m, lambda t, y, u: [np.zeros(7)], TIMES, {"x": x0}, transcription=way, guess={"x": 1.0})
    assert list(m.variables) == ["x0"] and not m.equations and not m.guesses
    adj.trajectory(m, lambda t, y, u: [-y["x"]], TIMES, {"x": x0}, transcription=way)


def test_wrong_controls() -> None:
    refused(adj.ShapeError, r"shape \(7,\).*\(4,\), constant.*\(5,\), linear.*\(4, 3\)", controls={"u": np.zeros(7)})
    refused(adj.ShapeError, "does not change needs no entry", controls={"u": 1.0})
    refused(adj.ModelError, "leaves no substeps", controls={"u": np.zeros((4, 3))}, substeps=2)
    refused(adj.ModelError, "controls= is a dict", controls=[1.0])


def test_what_a_path_does_not_have() -> None:
    m, path = swing()
    with pytest.raises(adj.NameLookupError, match="at_nodes"):
        path["f"]
    with pytest.raises(adj.NameLookupError, match="no state named 'b'"):
        path["b"]
    with pytest.raises(adj.ShapeError, match="integral"):
        path.integral(lambda t, y, u: np.zeros(5))
