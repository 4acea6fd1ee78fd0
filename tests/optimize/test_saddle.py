"""Methods on the Lagrangian: constraints of every kind, formulations, multipliers to start from, ends, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj

METHODS = ("mdmm", "extragradient", "method-of-multipliers", "penalty")
ALL = ("bdmm", "gradient-descent-ascent", *METHODS)


def chain(sign: float = 1.0, subject_to: Any = None, over: Any = None) -> adj.Problem:
    """(u − 1)² + (x − 2)² + y² with explicit equations s, u and an implicit one for v; strongly convex near there."""
    m = adj.Program()
    x, y = m.input("x", 1.5), m.input("y", 0.4)
    v = m.unknown("v", guess=1.0)
    m.constrain(v**3 + v == x + y, name="cubic")
    s = m.define("s", 0.5 * x + 0.3 * np.sin(y) + 0.1 * v)
    f = (s - 1.0) ** 2 + (x - 2.0) ** 2 + (y - 0.5) ** 2 + 0.3 * (v - 1.0) ** 2
    m.define("f", sign * f)
    goal = {"minimize": "f"} if sign > 0 else {"maximize": "f"}
    constraints = {} if subject_to is None else subject_to(x, y, s, v)
    return adj.Problem(m, **goal, over={"x": (None, None), "y": (None, None), **(over or {})}, subject_to=constraints)


KINDS: dict[str, tuple[Any, Any]] = {
    "equations": (None, None),
    "equality": (lambda x, y, s, v: {"c": x + y == 2.0}, None),
    "at most": (lambda x, y, s, v: {"c": s <= 0.8}, None),
    "at least": (lambda x, y, s, v: {"c": v >= 1.2}, None),
    "not active": (lambda x, y, s, v: {"c": adj.between(-9.0, s, 9.0)}, None),
    "bounds": (None, {"x": (None, 1.6), "y": (0.7, None)}),
    "array": (
        lambda x, y, s, v: {"c": adj.between([1.5, -np.inf, -np.inf], adj.array([x, y, s]), [1.5, 0.3, np.inf])},
        None,
    ),
}


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["minimize", "maximize"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_agrees_with_the_interior_point_method(method: str, kind: str, sign: float) -> None:
    problem = chain(sign, *KINDS[kind])
    best = problem.solve("interior-point", formulation="full")
    result = problem.solve(method)
    assert result.success, result.message
    tol = 1e-5 if method == "penalty" else 1e-6
    assert result.fun == pytest.approx(best.fun, abs=tol)
    np.testing.assert_allclose(result.x, best.x, atol=tol)
    for name in ("cubic", "s", "x", "y", *problem.constraints):
        np.testing.assert_allclose(result.multipliers[name], best.multipliers[name], atol=20 * tol, err_msg=name)
    assert result.residuals().largest <= 20 * tol


@pytest.mark.parametrize("method", METHODS)
def test_formulations(method: str) -> None:
    """The word "reduced", which is the default, means the whole Lagrangian here; a dict says what is eliminated."""
    problem = chain(subject_to=KINDS["equality"][0])
    best = problem.solve("interior-point")
    for formulation, rows in (("full", 3), ("reduced", 3), ({"cubic": "full"}, 2), ({}, 1)):
        result = problem.solve(method, formulation=formulation)
        assert result.success, result.message
        assert result._y.size == rows
        np.testing.assert_allclose(result.x, best.x, atol=1e-5)
        assert result.multipliers["cubic"] == pytest.approx(best.multipliers["cubic"], abs=1e-5)


def test_any_multipliers_and_any_violation_to_start_from() -> None:
    problem = chain(subject_to=KINDS["equality"][0])
    best = problem.solve("interior-point")
    start = {"x": 3.0, "y": -1.0, "s": 5.0, "v": 0.2}
    seen: list[Any] = []
    options = {"multipliers": {"s": 2.0, "c": -3.0}}
    result = problem.solve("mdmm", start=start, options=options, callback=lambda r: seen.append(r))
    np.testing.assert_allclose(result.x, best.x, atol=1e-6)
    assert sorted(seen[0].x) == sorted(start.values())
    assert seen[0].record.violation > 1.0 and sorted(seen[0].y) == [-2.0, 0.0, 3.0]
    again = problem.solve("mdmm", start=result)
    assert again.nit <= 2  # from the point with its multipliers


def test_history_and_iterations() -> None:
    result = chain().solve("mdmm")
    assert result.nit == len(result.history)
    assert result.history[-1].residual <= 1e-8
    assert result.evaluations["gradient of the Lagrangian"] >= result.nit


def test_diverged() -> None:
    result = chain().solve("bdmm", options={"learning_rate": 5.0})
    assert result.status == "failed" and "diverge" in result.message and not result.success


def test_limits_and_callback() -> None:
    problem = chain(subject_to=KINDS["equality"][0])
    for method in ALL:
        result = problem.solve(method, options={"max_iter": 1})
        assert not result.success and result.status == "iteration_limit", method
        assert problem.solve(method, options={"max_wall_time": 0.0}).status == "time_limit"
        assert problem.solve(method, callback=lambda r: True).status in ("stopped", "optimal")


def test_steps_that_leave_the_domain() -> None:
    m = adj.Program()
    x = m.input("x", 5.0)
    z = m.define("z", np.log(x))
    problem = adj.Problem(m, minimize=x - z, over=["x"])
    for method in METHODS:
        result = problem.solve(method)
        assert result.success, (method, result.message)
        assert result.x[0] == pytest.approx(1.0, abs=1e-5)


def test_block_coordinates_with_sweeps() -> None:
    m = adj.Program()
    x = m.input("x", [0.4, -0.2])
    a = m.define("a", np.tanh(x) + 0.5)
    b = m.define("b", a[::-1] * a)
    m.define("f", np.sum((b - 0.3) ** 2) + 0.1 * np.sum(x**2))
    problem = adj.Problem(m, minimize="f", over={"x": (-0.1, 0.3)})
    best = problem.solve("interior-point")
    for options in ({"solves": "sweeps"}, {"solves": "sweeps", "sweeps": 2, "learning_rate": 0.1}, {}):
        result = problem.solve("block-coordinate", options=options)
        assert result.success, result.message
        np.testing.assert_allclose(result.x, best.x, atol=1e-6)
        np.testing.assert_allclose(result.multipliers["a"], best.multipliers["a"], atol=1e-6)


def test_what_block_coordinates_refuse() -> None:
    with pytest.raises(adj.ModelError, match="takes no constraints"):
        chain(subject_to=KINDS["equality"][0]).solve("block-coordinate")
    with pytest.raises(adj.ModelError, match="takes no constraints"):
        chain(subject_to=KINDS["equality"][0]).solve("block-coordinate", options={"solves": "sweeps"})
    with pytest.raises(adj.ModelError, match="cubic is implicit"):
        chain().solve("block-coordinate", options={"solves": "sweeps"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"multipliers": {"t": 1.0}}, "equation or constraint"),
        ({"multipliers": [1.0]}, "a dict by name"),
        ({"multipliers": {"s": [1.0, 2.0]}}, "2 elements, expected 1"),
        ({"order": "random"}, "simultaneous"),
        ({"dampin": 1.0}, "damping"),
    ],
)
def test_what_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(adj.AdjointError, match=words):
        chain().solve("bdmm", options=options)
