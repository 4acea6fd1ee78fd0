"""The Lagrangian at any point, its KKT matrix, and the sign of the multipliers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import adjoint as adj


def model() -> adj.Program:
    m = adj.Program()
    x, p = m.input("x", 2.0), m.input("p", [1.0, 3.0])
    y, v = m.unknown("y", guess=0.5), m.unknown("v", shape=(2,), guess=0.7)
    m.define(y, x + 0.1 * np.sum(v**2))
    m.constrain(v**3 + v - p * y == 0, name="cubic")
    m.define("f", np.sum(np.sin(v) * p) + y**2)
    return m


def random_point(seed: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """An infeasible point (z, λ, x)."""
    rng = np.random.default_rng(seed)
    z = {"y": rng.standard_normal(), "v": rng.standard_normal(2), "f": rng.standard_normal()}
    lam = {"y": rng.standard_normal(), "cubic": rng.standard_normal(2), "f": rng.standard_normal()}
    return z, lam, {"x": rng.standard_normal(), "p": rng.standard_normal(2)}


def flat(parts: dict[str, Any], names: list[str]) -> np.ndarray:
    return np.concatenate([np.ravel(parts[n]) for n in names])


Z, LAM, X = ["y", "v", "f"], ["y", "cubic", "f"], ["x", "p"]


def by_hand(z: dict[str, Any], lam: dict[str, Any], x: dict[str, Any]) -> float:
    """L = f − Σ λ_i (z_i − f_i) − λ_cubicᵀ g."""
    y, v, f, p = z["y"], z["v"], z["f"], x["p"]
    return (
        f
        - lam["y"] * (y - x["x"] - 0.1 * v @ v)
        - lam["cubic"] @ (v**3 + v - p * y)
        - lam["f"] * (f - np.sin(v) @ p - y**2)
    )


def test_value_at_infeasible_points() -> None:
    L = model().lagrangian("f")
    for seed in range(3):
        z, lam, x = random_point(seed)
        value = by_hand(z, lam, x)
        assert L.value(z, lam, x) == pytest.approx(value, rel=1e-13)
        assert type(L.value(z, lam, x)) is float
        assert L.value(flat(z, Z), flat(lam, LAM), x) == pytest.approx(value, rel=1e-13)
        assert L.value(flat(z, Z), flat(lam, LAM), flat(x, X)) == pytest.approx(value, rel=1e-13)
        assert L.value({**z, **x}, lam) == pytest.approx(value, rel=1e-13)


def differences(fun: Any, parts: dict[str, Any], name: str) -> np.ndarray:
    base = np.ravel(parts[name]).astype(float)
    out = np.empty(base.size)
    for k in range(base.size):
        ends = []
        for h in (1e-6, -1e-6):
            moved = base.copy()
            moved[k] += h
            ends.append(fun({**parts, name: moved.reshape(np.shape(parts[name]))[()]}))
        out[k] = (ends[0] - ends[1]) / 2e-6
    return out


def test_gradients_are_those_of_the_value() -> None:
    L = model().lagrangian("f")
    z, lam, x = random_point(5)
    for name in Z:
        expected = differences(lambda point: L.value(point, lam, x), z, name)
        np.testing.assert_allclose(np.ravel(L.grad_z(z, lam, x)[name]), expected, rtol=1e-7, atol=1e-8)
    for name in LAM:
        expected = differences(lambda point: L.value(z, point, x), lam, name)
        np.testing.assert_allclose(np.ravel(L.grad_lam(z, lam, x)[name]), expected, rtol=1e-7, atol=1e-8)
    for name in X:
        expected = differences(lambda point: L.value(z, lam, point), x, name)
        np.testing.assert_allclose(np.ravel(L.grad_x(z, lam, x)[name]), expected, rtol=1e-7, atol=1e-8)


def test_gradients_come_in_the_form_of_the_point() -> None:
    L = model().lagrangian("f")
    z, lam, x = random_point(1)
    zv, lv = flat(z, Z), flat(lam, LAM)
    np.testing.assert_allclose(L.grad_z(zv, lv, x), flat(L.grad_z(z, lam, x), Z))
    np.testing.assert_allclose(L.grad_lam(zv, lv, x), flat(L.grad_lam(z, lam, x), LAM))
    np.testing.assert_allclose(L.grad_x(zv, lv, x), flat(L.grad_x(z, lam, x), X))
    assert type(L.grad_z(z, lam, x)["y"]) is float
    assert L.grad_z(z, lam, x)["v"].shape == (2,)


def test_at_the_solution_it_is_stationary() -> None:
    m = model()
    sol = m.solve()
    L = m.lagrangian("f")
    lam = sol.multipliers("f")
    assert L.value(sol, lam) == pytest.approx(sol["f"])
    np.testing.assert_allclose(flat(L.grad_z(sol, lam), Z), 0.0, atol=1e-12)
    np.testing.assert_allclose(flat(L.grad_lam(sol, lam), LAM), 0.0, atol=1e-12)
    slopes = sol.gradient("f")
    for name, part in L.grad_x(sol, lam).items():
        np.testing.assert_allclose(part, slopes[name], rtol=1e-12)


def test_a_weighted_sum_as_objective() -> None:
    m = model()
    sol = m.solve()
    weights = {"v": [1.0, -2.0], "f": 0.5}
    L = m.lagrangian(weights)
    np.testing.assert_allclose(flat(L.grad_z(sol, sol.multipliers(weights)), Z), 0.0, atol=1e-12)
    assert L.value(sol, {}) == pytest.approx(sol["v"] @ [1.0, -2.0] + 0.5 * sol["f"])


def test_the_kkt_matrix_is_sparse_symmetric_and_the_second_derivative() -> None:
    L = model().lagrangian("f")
    for seed in range(3):
        z, lam, x = random_point(seed)
        kkt = L.kkt(z, lam, x)
        assert sp.issparse(kkt)
        full = kkt.toarray()
        np.testing.assert_array_equal(full, full.T)
        point = np.concatenate([flat(z, Z), flat(lam, LAM)])
        n = 4

        def gradient(w: np.ndarray, x: Any = x, n: int = n) -> np.ndarray:
            return np.concatenate([L.grad_z(w[:n], w[n:], x), L.grad_lam(w[:n], w[n:], x)])

        h = 1e-6
        expected = np.stack(
            [(gradient(point + h * e) - gradient(point - h * e)) / (2 * h) for e in np.eye(2 * n)], axis=1
        )
        np.testing.assert_allclose(full, expected, rtol=1e-6, atol=1e-8)
        np.testing.assert_array_equal(full[n:, n:], np.zeros((n, n)))
        np.testing.assert_array_equal(L.kkt(flat(z, Z), flat(lam, LAM), x).toarray(), full)


def test_newtons_method_on_the_kkt_system_finds_the_solution_and_the_multipliers() -> None:
    m = model()
    L = m.lagrangian("f")
    sol = m.solve()
    w = np.concatenate([flat(sol, Z) + 0.01, flat(sol.multipliers("f"), LAM) - 0.01])
    for _ in range(8):
        g = np.concatenate([L.grad_z(w[:4], w[4:]), L.grad_lam(w[:4], w[4:])])
        w = w - sp.linalg.spsolve(sp.csc_matrix(L.kkt(w[:4], w[4:])), g)
    np.testing.assert_allclose(w[:4], flat(sol, Z), rtol=1e-12)
    np.testing.assert_allclose(w[4:], flat(sol.multipliers("f"), LAM), rtol=1e-11)


def test_what_is_missing_in_a_point_is_the_default_the_guess_or_zero() -> None:
    m = model()
    L = m.lagrangian("f")
    full = {"y": 0.5, "v": np.full(2, 0.7), "f": 0.0}
    zero = {"y": 0.0, "cubic": np.zeros(2), "f": 0.0}
    assert L.value({}, {}) == L.value(full, zero)
    assert L.value({}, {"y": 1.0}) == L.value(full, {**zero, "y": 1.0}, {"x": 2.0, "p": [1.0, 3.0]})


def test_empty_arrays_and_no_objective() -> None:
    m = adj.Program()
    x = m.input("x", np.zeros(0))
    y = m.unknown("y", shape=(0,))
    m.constrain(y == x, name="nothing")
    m.define("f", np.sum(y) + 1.0)
    sol = m.solve()
    L = m.lagrangian("f")
    assert L.value(sol, sol.multipliers("f")) == 1.0
    assert L.grad_z(sol, {})["y"].shape == (0,)
    assert L.kkt(sol, {}).shape == (2, 2)
    assert m.lagrangian({}).value(sol, {}) == 0.0


def test_wrong_points_are_named() -> None:
    m = model()
    L = m.lagrangian("f")
    z, lam, x = random_point(0)
    for use, words in (
        (lambda: L.value({"w": 1.0}, {}), "w"),
        (lambda: L.value(z, {"typo": 1.0}), "typo"),
        (lambda: L.value(z, lam, {"y": 1.0}), "y"),
        (lambda: L.value({"v": np.ones(3)}, {}), "v"),
        (lambda: L.value(z, {"cubic": np.ones(3)}), "cubic"),
        (lambda: L.value(np.ones(5), lam), "5"),
        (lambda: L.value(z, np.ones((2, 2))), "2, 2"),
        (lambda: m.lagrangian("v"), "v"),
        (lambda: m.lagrangian("nothing"), "nothing"),
        (lambda: m.lagrangian(3), "3"),
    ):
        with pytest.raises(adj.AdjointError, match=words):
            use()


def test_multipliers_are_derivatives_by_the_right_hand_sides() -> None:
    """Every equation with a term added on its right: λ is the gradient with respect to it."""
    m = adj.Program()
    x, p = m.input("x", 2.0), m.input("p", [1.0, 3.0])
    y, v = m.unknown("y", guess=0.5), m.unknown("v", shape=(2,), guess=0.7)
    shift_y, shift_v, shift_f = m.input("shift_y", 0.0), m.input("shift_v", np.zeros(2)), m.input("shift_f", 0.0)
    m.define(y, x + 0.1 * np.sum(v**2) + shift_y)
    m.constrain(v**3 + v - p * y == shift_v, name="cubic")
    m.define("f", np.sum(np.sin(v) * p) + y**2 + shift_f)
    sol = m.solve()
    lam, slopes = sol.multipliers("f"), sol.gradient("f")
    assert lam["y"] == pytest.approx(slopes["shift_y"], rel=1e-12)
    assert lam["f"] == slopes["shift_f"] == 1.0
    np.testing.assert_allclose(lam["cubic"], slopes["shift_v"], rtol=1e-12)
    for name in slopes:
        np.testing.assert_array_equal(lam[name], slopes[name])


def test_multipliers_of_what_does_not_matter_are_zero() -> None:
    m = model()
    m.define("after", m["f"] * 2)
    m.define("beside", m["x"] * np.ones(3))
    lam = m.solve().multipliers("f")
    assert lam["after"] == 0.0
    np.testing.assert_array_equal(lam["beside"], np.zeros(3))
    assert set(lam) == {"y", "cubic", "f", "after", "beside", "x", "p"}
