"""Dense linear algebra, products and black boxes at the points where they need care."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import adjoint as adj

RNG = np.random.default_rng(7)
A = RNG.standard_normal((3, 3)) + 3 * np.eye(3)
B = RNG.standard_normal((3, 2))
V = RNG.standard_normal(3)


def solved(build: Any, **inputs: Any) -> adj.Solution:
    m = adj.Program()
    m.define("y", build(*[m.input(name, value) for name, value in inputs.items()]))
    return m.solve()


def check(sol: adj.Solution) -> None:
    """First derivatives by the complex step, second ones by their symmetry and by differences of the first."""
    weights = {"y": np.cos(np.arange(np.size(sol["y"]))).reshape(np.shape(sol["y"]))}
    assert sol.check_derivatives(weights).ok
    names = [name for name in sol if name != "y"]
    rng = np.random.default_rng(1)
    p, q = ({n: rng.standard_normal(np.shape(sol[n])) for n in names} for _ in range(2))
    hp, hq = sol.hvp(weights, p), sol.hvp(weights, q)
    left, right = (sum(np.vdot(h[n], d[n]) for n in names) for h, d in ((hp, q), (hq, p)))
    assert left == pytest.approx(right, rel=1e-9, abs=1e-9)
    h = 1e-5
    ends = [sol._model.solve({n: sol[n] + s * h * p[n] for n in names}).gradient(weights) for s in (1, -1)]
    for n in names:
        np.testing.assert_allclose(hp[n], (ends[0][n] - ends[1][n]) / (2 * h), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("build", "inputs"),
    [
        (np.linalg.solve, {"a": A, "b": V}),
        (np.linalg.solve, {"a": A, "b": B}),
        (lambda b: np.linalg.solve(A, b), {"b": B}),
        (lambda a: np.linalg.solve(a, V), {"a": A}),
        (np.linalg.inv, {"a": A}),
        (np.linalg.det, {"a": A}),
        (np.linalg.det, {"a": A[:2, :2]}),
        (np.linalg.det, {"a": A[:1, :1]}),
        (lambda a: np.linalg.slogdet(a)[1], {"a": A}),
        (lambda a: np.linalg.slogdet(a)[1], {"a": -A}),
        (lambda a, b: a @ b, {"a": A, "b": B}),
        (lambda a, b: a @ b, {"a": V, "b": V + 1}),
        (lambda a: a @ a, {"a": A}),
        (lambda a: a @ a, {"a": V}),
        (lambda a, b: a @ b, {"a": RNG.standard_normal((2, 3, 4)), "b": RNG.standard_normal((4, 2))}),
        (lambda a, b: a @ b, {"a": RNG.standard_normal((2, 1, 2, 3)), "b": RNG.standard_normal((3, 3, 2))}),
        (lambda a, b: np.einsum("ij,kj->ik", a, b), {"a": A, "b": A + 1}),
        (lambda a: np.einsum("ii->i", a), {"a": A}),
        (lambda a: np.einsum("ii", a), {"a": A}),
        (lambda a, v: np.einsum("i,ij,j->", v, a, v), {"a": A, "v": V}),
        (lambda a, b: np.einsum("bij,bjk->bik", a, b), {"a": np.stack([A, -A]), "b": np.stack([B, B + 1])}),
        (lambda a, b: np.tensordot(a, b, axes=([0], [1])), {"a": A, "b": A}),
        (np.outer, {"a": V, "b": B[0]}),
        (np.kron, {"a": A[:2, :2], "b": B[:2]}),
        (lambda x: (x @ sp.csr_array(A)) * x, {"x": V}),
    ],
    ids=lambda p: "" if callable(p) else ",".join(f"{k}{np.shape(v)}" for k, v in p.items()),
)
def test_first_and_second_derivatives(build: Any, inputs: Any) -> None:
    sol = solved(build, **inputs)
    np.testing.assert_allclose(sol["y"], build(*inputs.values()), rtol=1e-12)
    check(sol)


def test_the_sign_of_a_determinant_has_no_derivative() -> None:
    sol = solved(lambda a: np.linalg.slogdet(a)[0], a=-A)
    assert sol["y"] == -1.0
    np.testing.assert_array_equal(sol.gradient("y", wrt="a"), np.zeros((3, 3)))


def test_constants_are_folded() -> None:
    x = adj.array(A)
    for use in (
        np.linalg.inv,
        np.linalg.det,
        lambda a: np.linalg.solve(a, V),
        lambda a: a @ V,
        lambda a: np.einsum("ii", a),
    ):
        out = use(x)
        np.testing.assert_allclose(out.value, use(A), rtol=1e-12)


def test_what_is_not_square_or_does_not_fit_is_refused() -> None:
    m = adj.Program()
    a, b, s = m.input("a", B), m.input("b", V), m.input("s", 1.0)
    for use in (
        lambda: np.linalg.inv(a),
        lambda: np.linalg.det(a),
        lambda: np.linalg.slogdet(a),
        lambda: np.linalg.solve(a, b),
        lambda: np.linalg.solve(A, a[:2]),
        lambda: a @ b,
        lambda: a @ s,
        lambda: s @ a,
        lambda: sp.eye_array(4).tocsr() @ b,
        lambda: b @ sp.eye_array(4).tocsr(),
        lambda: np.einsum("ij,jk->ik", a, b),
        lambda: np.einsum("ij,jk->ik", a, A),
        lambda: np.einsum("ij->k", a),
        lambda: np.einsum("ij,ij->ij", a),
        lambda: np.tensordot(a, b, axes=([1], [0])),
        lambda: np.cross(b, a),
        lambda: np.diag(np.ones((2, 2, 2)) * s),
    ):
        with pytest.raises(adj.AdjointError):
            use()


def test_a_singular_matrix_is_not_a_number_not_an_exception() -> None:
    """Inside an iteration it shortens the step; as a value it is told with its name."""
    with pytest.raises(adj.EvaluationError, match="y"):
        solved(lambda a: np.linalg.solve(a, V), a=np.ones((3, 3)) - np.ones((3, 3)))


def test_the_derivative_of_a_determinant_at_a_singular_matrix_is_never_wrong() -> None:
    """The adjugate; for matrices of three rows and more it may be NaN, or refused."""
    np.testing.assert_array_equal(
        solved(np.linalg.det, a=np.diag([1.0, 0.0])).gradient("y", wrt="a"), np.diag([0.0, 1.0])
    )
    sol = solved(np.linalg.det, a=np.diag([1.0, 2.0, 0.0]))
    assert sol["y"] == 0.0
    try:
        slopes = sol.gradient("y", wrt="a")
    except adj.AdjointError:
        return
    assert np.isnan(slopes).all() or np.allclose(slopes, np.diag([0.0, 0.0, 2.0]))


def test_sparse_products_of_matrices_and_with_duplicates() -> None:
    coo = sp.coo_array((np.array([1.0, 2.0, 4.0]), (np.array([0, 0, 1]), np.array([1, 1, 0]))), shape=(2, 3))
    sol = solved(lambda b: coo @ b, b=B)
    np.testing.assert_array_equal(sol["y"], coo.toarray() @ B)
    np.testing.assert_array_equal(sol.jacobian("y", wrt="b").reshape(4, 6), np.kron(coo.toarray(), np.eye(2)))


def test_an_empty_product_is_zero() -> None:
    sol = solved(lambda a, b: a @ b, a=np.zeros((2, 0)), b=np.zeros((0, 3)))
    np.testing.assert_array_equal(sol["y"], np.zeros((2, 3)))
    assert sol.jacobian("y", wrt="a").shape == (2, 3, 2, 0)
