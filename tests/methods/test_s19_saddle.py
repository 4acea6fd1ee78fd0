"""Other values of the adjoints: methods on the Lagrangian, with printed iteration counts.

J. C. Platt & A. H. Barr, "Constrained differential optimization" (1987): BDMM and MDMM; G. M. Korpelevich (1976);
T. Vieira 2017 (backpropagation is exact block-coordinate solves of z, then λ); B. Recht (a penalty ``‖H‖²/(2α)`` gives
``H/α``, which tends to the multiplier).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj

W, Z, LAM = 0.4736972963, 0.4411818156, -0.0588181844


def tanh_unit() -> adj.Problem:
    """min ½ (z − ½)² + 0.05 w² with z = tanh w."""
    m = adj.Program()
    w = m.input("w", 0.1)
    z = m.define("z", np.tanh(w))
    m.define("E", 0.5 * (z - 0.5) ** 2 + 0.05 * w**2)
    return adj.Problem(m, minimize="E", over=["w"])


START = {"w": 0.1, "z": 1.5}


@pytest.mark.parametrize(("method", "damping", "count"), [("bdmm", 0.0, 1708), ("mdmm", 1.0, 635)])
def test_printed_iteration_counts(method: str, damping: float, count: int) -> None:
    options = {"learning_rate": 0.05, "damping": damping}
    result = tanh_unit().solve(method, start=START, tol=1e-10, options=options)
    assert result.success and result.nit == count
    assert result.solution["w"] == pytest.approx(W, abs=5e-9)
    assert result.solution["z"] == pytest.approx(Z, abs=5e-9)
    assert result.multipliers["z"] == pytest.approx(LAM, abs=5e-9)
    # ... which is the adjoint of backpropagation there.
    assert result.multipliers["z"] == pytest.approx(result.solution.multipliers("E")["z"], abs=1e-9)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("extragradient", {"learning_rate": 0.05}),
        ("extragradient", {}),
        ("bdmm", {}),
        ("bdmm", {"learning_rate": 0.05, "order": "alternating"}),
        ("mdmm", {}),
        ("method-of-multipliers", {}),
        ("block-coordinate", {}),
        ("block-coordinate", {"solves": "sweeps"}),
    ],
)
@pytest.mark.parametrize("first", [0.0, 3.0, -2.0])
def test_all_reach_the_same_from_any_multiplier(method: str, options: dict[str, Any], first: float) -> None:
    options = {**options, "multipliers": {"z": first}}
    result = tanh_unit().solve(method, start=START, tol=1e-10, options=options)
    assert result.success, result.message
    assert result.solution["w"] == pytest.approx(W, abs=1e-8)
    assert result.multipliers["z"] == pytest.approx(LAM, abs=1e-8)


def bilinear(start: float = 1.0) -> adj.Problem:
    """L = z λ: minimize 0 subject to z = 0."""
    m = adj.Program()
    z = m.input("z", start)
    return adj.Problem(m, minimize=0.0 * z, over=["z"], subject_to={"zero": z == 0.0})


def radii(method: str, options: dict[str, Any]) -> np.ndarray:
    points: list[float] = []

    def note(r: Any) -> None:
        points.append(float(np.hypot(r.x[0], r.y[0])))

    bilinear().solve(method, options={"multipliers": {"zero": -0.5}, **options}, callback=note)
    return np.array(points)


def test_descent_and_ascent_diverge_on_a_bilinear_function() -> None:
    """Euler's method with η = 0.1: every step is longer by |1 ± 0.1 i| = 1.00499."""
    r = radii("gradient-descent-ascent", {"learning_rate": 0.1, "max_iter": 200})
    np.testing.assert_allclose(r[1:] / r[:-1], np.sqrt(1.01), rtol=1e-12)
    assert np.sqrt(1.01) == pytest.approx(1.00499, abs=5e-6)
    result = bilinear().solve("gradient-descent-ascent", options={"learning_rate": 0.9})
    assert result.status == "failed" and "extragradient" in result.message


def test_extragradient_converges_there() -> None:
    """(1 − η² ± η i): its length is √(1 − η² + η⁴) < 1."""
    eta = 0.1
    r = radii("extragradient", {"learning_rate": eta, "max_iter": 200})
    np.testing.assert_allclose(r[1:] / r[:-1], np.sqrt(1.0 - eta**2 + eta**4), rtol=1e-12)
    assert bilinear().solve("extragradient", options={"multipliers": {"zero": 3.0}}).success


def test_eigenvalues_of_a_damped_oscillation() -> None:
    """min ½ x² with x = 1: the flow has eigenvalues −½ ± 0.866 i; Euler's steps follow 1 + η times them."""
    m = adj.Program()
    x = m.input("x", 0.3)
    problem = adj.Problem(m, minimize=0.5 * x**2, over=["x"], subject_to={"one": x == 1.0})
    points: list[np.ndarray] = []

    def note(r: Any) -> None:
        points.append(np.array([r.x[0] - 1.0, r.y[0] + 1.0]))

    problem.solve("bdmm", options={"learning_rate": 0.1, "max_iter": 40}, callback=note)
    p = np.array(points)
    step = np.linalg.lstsq(p[:-1], p[1:], rcond=None)[0].T
    flow = np.sort_complex(np.linalg.eigvals((step - np.eye(2)) / 0.1))
    np.testing.assert_allclose(flow, [-0.5 - np.sqrt(0.75) * 1j, -0.5 + np.sqrt(0.75) * 1j], atol=1e-9)


@pytest.mark.parametrize(
    ("mu", "gap", "force"),
    [(10.0, -0.00588204, -0.0577887), (100.0, -0.000598177, -0.0587129), (1e3, -5.992e-5, -0.0588076)],
)
def test_a_penalty_gives_the_multiplier_in_the_limit(mu: float, gap: float, force: float) -> None:
    """w(μ) − w* is O(1/μ), and μ (tanh w − z) tends to the adjoint."""
    result = tanh_unit().solve("penalty", tol=1e-9, options={"penalty": mu, "max_penalty": mu})
    assert result.status == "iteration_limit" and "max_penalty" in result.message
    assert result.x[0] - W == pytest.approx(gap, abs=2e-8)
    assert result.multipliers["z"] == pytest.approx(force, abs=1e-7)
    z = float(result._point[1])
    assert mu * (np.tanh(result.x[0]) - z) == pytest.approx(force, abs=1e-7)


def test_penalty_continuation() -> None:
    result = tanh_unit().solve("penalty")
    assert result.success
    gaps = [r.violation for r in result.history]
    assert all(b < 0.2 * a for a, b in zip(gaps[1:], gaps[2:], strict=False))
    assert result.multipliers["z"] == pytest.approx(LAM, abs=1e-5)


def test_exact_blocks_are_backpropagation() -> None:
    """z from ∂L/∂λ = 0, λ from ∂L/∂z = 0, x along −∂L/∂x: the iterates are those of gradient descent."""
    paths = []
    for method, options in (("block-coordinate", {}), ("gradient-descent", {"line_search": "fixed"})):
        points: list[float] = []
        options = {"learning_rate": 0.5, "max_iter": 20, **options}
        tanh_unit().solve(method, options=options, callback=lambda r, to=points: to.append(r.x[0]))
        paths.append(points)
    assert paths[0] == paths[1] and len(paths[0]) == 21


def test_as_many_sweeps_as_the_longest_path_are_exact() -> None:
    """Five unknowns, longest path between unknowns four: five sweeps give z and λ from anywhere; one does not."""
    m = adj.Program()
    x = m.input("x", 0.1)
    a = m.define("a", np.exp(x))
    b = m.define("b", a**2)
    c = m.define("c", a + b)
    d, e = m.define("d", np.exp(0.3 * c)), m.define("e", np.sin(c))
    m.define("f", d + e + x**2)
    problem = adj.Problem(m, minimize="f", over=["x"])
    exact = m.solve()
    lam = exact.multipliers("f")
    for sweeps, close in ((5, True), (1, False)):
        found: list[Any] = []
        options = {"solves": "sweeps", "sweeps": sweeps, "learning_rate": 1e-3, "max_iter": 1}
        start = {"x": 0.1, "a": 3.0, "b": -1.0, "c": 0.0, "d": 2.0, "e": 7.0}
        problem.solve("block-coordinate", start=start, options=options, callback=lambda r, to=found: to.append(r))
        gap = np.abs(-found[0].y - [lam[n] for n in ("a", "b", "c", "d", "e")][: found[0].y.size]).max()
        assert bool(gap < 1e-12) is close


def test_a_multiplier_seen_by_both_blocks() -> None:
    """min (a − 1)² with w + a = 2 from a = 0: the method of multipliers reaches (1, 1)."""
    for method in ("method-of-multipliers", "mdmm", "extragradient"):
        m = adj.Program()
        w, a = m.input("w", 2.0), m.input("a", 0.0)
        problem = adj.Problem(m, minimize=(a - 1.0) ** 2, over=["w", "a"], subject_to={"sum": w + a == 2.0})
        result = problem.solve(method)
        assert result.success, result.message
        np.testing.assert_allclose(result.x, [1.0, 1.0], atol=1e-6)
