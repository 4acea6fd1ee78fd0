"""Total derivatives: every form of them agrees, through runs and cycles, with one factorization."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import adjoint as adj
from adjoint.blocks import Cycle
from adjoint.linear import klu_


def model(n: int = 3, linear_solver: str = "auto") -> adj.Program:
    """Arrays and scalars, a run, a cycle, a run, an input that is not used."""
    m = adj.Program(linear_solver=linear_solver)
    x, p = m.input("x", np.linspace(0.5, 1.5, n)), m.input("p", 0.3)
    m.input("idle", [1.0, 2.0])
    a = m.define("a", np.exp(-x) * p)
    u, w = m.unknown("u", shape=(n,)), m.unknown("w")
    m.constrain(u**3 + u * w == a + x, name="cubic")
    m.define(w, 1.0 + 0.1 * np.sum(u**2))
    m.define("f", np.sum(np.sin(u) * x) + w * p)
    m.define("g", u[::-1] * a)
    m.define("h", np.reshape(u[:2], (2, 1)) * np.reshape(x[:2], (1, 2)))
    return m


INPUTS = ["x", "p", "idle"]
OUTPUTS = ["f", "g", "h", "u", "w", "a"]


@pytest.fixture(scope="module")
def sol() -> adj.Solution:
    return model().solve()


@pytest.fixture(scope="module")
def reference(sol: adj.Solution) -> dict[tuple[str, str], np.ndarray]:
    """All Jacobians by central differences of solves, extrapolated."""
    out: dict[tuple[str, str], np.ndarray] = {}
    for wrt in INPUTS:
        base = np.asarray(sol[wrt])
        columns: dict[str, list[np.ndarray]] = {of: [] for of in OUTPUTS}
        for k in range(base.size):
            parts = []
            for h in (1e-3, 5e-4):
                ends = []
                for sign in (1, -1):
                    moved = base.copy().reshape(-1)
                    moved[k] += sign * h
                    ends.append(model().solve({wrt: moved.reshape(base.shape)}))
                parts.append({of: (np.asarray(ends[0][of]) - ends[1][of]) / (2 * h) for of in OUTPUTS})
            for of in OUTPUTS:
                columns[of].append((4 * parts[1][of] - parts[0][of]) / 3)
        for of in OUTPUTS:
            out[of, wrt] = np.stack(columns[of], axis=-1).reshape(np.shape(sol[of]) + base.shape)
    return out


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("sparse", [False, True])
def test_jacobians_in_both_modes_dense_and_sparse(sol: adj.Solution, reference: Any, mode: str, sparse: bool) -> None:
    jac = sol.jacobian(OUTPUTS, wrt=INPUTS, mode=mode, sparse=sparse)
    assert set(jac) == set(reference)
    for key, expected in reference.items():
        if sparse:
            assert sp.issparse(jac[key])
            rows, cols = (np.size(sol[name]) for name in key)
            assert jac[key].shape == (rows, cols)
            np.testing.assert_allclose(jac[key].toarray(), expected.reshape(rows, cols), rtol=1e-7, atol=1e-9)
        else:
            assert np.shape(jac[key]) == expected.shape
            np.testing.assert_allclose(jac[key], expected, rtol=1e-7, atol=1e-9)


def test_one_of_and_one_wrt_give_the_array_itself(sol: adj.Solution) -> None:
    every = sol.jacobian(OUTPUTS)
    np.testing.assert_allclose(sol.jacobian("g", wrt="x"), every["g", "x"], rtol=1e-12)
    assert type(sol.jacobian("f", wrt="p")) is float
    assert set(sol.jacobian("g", wrt=["x"])) == {("g", "x")}
    assert set(sol.jacobian(["g"], wrt="x")) == {("g", "x")}
    assert set(sol.jacobian("g")) == {("g", n) for n in INPUTS}
    assert sp.issparse(sol.jacobian("f", wrt="p", sparse=True))


def test_an_output_asked_for_twice_and_an_input_as_output(sol: adj.Solution) -> None:
    for mode in ("forward", "reverse"):
        jac = sol.jacobian(["g", "g", "x", "p"], wrt=["x", "p"], mode=mode)
        np.testing.assert_allclose(jac["g", "x"], sol.jacobian("g", wrt="x"), rtol=1e-12)
        np.testing.assert_allclose(jac["x", "x"], np.eye(3), atol=1e-15)
        np.testing.assert_allclose(jac["x", "p"], np.zeros(3))
        assert jac["p", "p"] == 1.0


def test_gradients_of_scalars_and_of_weighted_sums(sol: adj.Solution, reference: Any) -> None:
    slopes = sol.gradient("f")
    assert list(slopes) == INPUTS
    for name in INPUTS:
        np.testing.assert_allclose(slopes[name], reference["f", name], rtol=1e-8, atol=1e-10)
        np.testing.assert_array_equal(sol.gradient("f", wrt=name), slopes[name])
    assert set(sol.gradient("f", wrt=["p"])) == {"p"}
    weights = {"g": [1.0, 0.0, -2.0], "f": 0.5, "h": np.ones((2, 2))}
    mixed = sol.gradient(weights)
    for name in INPUTS:
        expected = 0.5 * reference["f", name] + np.tensordot([1.0, 0.0, -2.0], reference["g", name], 1)
        expected = expected + reference["h", name].sum(axis=(0, 1))
        np.testing.assert_allclose(mixed[name], expected, rtol=1e-7, atol=1e-9)
    with pytest.raises(adj.ShapeError, match="g"):
        sol.gradient("g")


def test_weights_are_spread(sol: adj.Solution) -> None:
    np.testing.assert_array_equal(sol.gradient({"g": 2.0}, wrt="x"), sol.gradient({"g": [2.0] * 3}, wrt="x"))


def test_products_agree_with_the_jacobian(sol: adj.Solution) -> None:
    rng = np.random.default_rng(3)
    jac = sol.jacobian(OUTPUTS, wrt=INPUTS)
    direction = {n: rng.standard_normal(np.shape(sol[n])) for n in INPUTS}
    moved = sol.jvp(direction)
    for of in OUTPUTS:
        expected = sum(np.tensordot(jac[of, n], direction[n], np.ndim(sol[n])) for n in INPUTS)
        np.testing.assert_allclose(moved[of], expected, rtol=1e-11, atol=1e-12)
    for n in INPUTS:
        np.testing.assert_array_equal(moved[n], direction[n])
    weights = {n: rng.standard_normal(np.shape(sol[n])) for n in OUTPUTS}
    pulled = sol.vjp(weights)
    for n in INPUTS:
        expected = sum(np.tensordot(weights[of], jac[of, n], np.ndim(sol[of])) for of in OUTPUTS)
        np.testing.assert_allclose(pulled[n], expected, rtol=1e-11, atol=1e-12)


def test_directions_and_cotangents_not_named_are_zero(sol: adj.Solution) -> None:
    alone = sol.jvp({"p": 1.0})
    assert np.all(alone["x"] == 0.0)
    assert set(sol.jvp({"p": 1.0}, of="f")) == {"f"}
    assert set(sol.jvp({"p": 1.0}, of=["f", "g"])) == {"f", "g"}
    assert set(sol.vjp({"f": 1.0}, wrt=["p"])) == {"p"}
    assert all(np.all(t == 0.0) for t in sol.jvp({}).values())
    assert all(np.all(t == 0.0) for t in sol.vjp({}).values())
    assert set(alone) == set(sol)


def test_second_derivatives_agree_with_differences_of_gradients(sol: adj.Solution) -> None:
    weights = {"f": 1.0, "g": [0.5, -1.0, 2.0]}
    hessian = sol.hessian(weights)
    assert set(hessian) == {(a, b) for a in INPUTS for b in INPUTS}
    for b in INPUTS:
        base = np.asarray(sol[b])
        for k in range(base.size):
            ends = []
            for h in (1e-5, -1e-5):
                moved = base.copy().reshape(-1)
                moved[k] += h
                ends.append(model().solve({b: moved.reshape(base.shape)}).gradient(weights))
            for a in INPUTS:
                expected = (np.asarray(ends[0][a]) - ends[1][a]) / 2e-5
                found = np.reshape(hessian[a, b], (np.size(sol[a]), base.size))[:, k]
                np.testing.assert_allclose(found, np.ravel(expected), rtol=1e-6, atol=1e-8)


def test_the_hessian_is_symmetric_and_its_product_is_the_product(sol: adj.Solution) -> None:
    hessian = sol.hessian("f")
    for a, b in hessian:
        transposed = np.reshape(hessian[b, a], (np.size(sol[b]), np.size(sol[a]))).T
        np.testing.assert_array_equal(np.reshape(hessian[a, b], transposed.shape), transposed)
    rng = np.random.default_rng(4)
    direction = {n: rng.standard_normal(np.shape(sol[n])) for n in INPUTS}
    product = sol.hvp("f", direction)
    for a in INPUTS:
        expected = sum(np.tensordot(hessian[a, b], direction[b], np.ndim(sol[b])) for b in INPUTS)
        np.testing.assert_allclose(product[a], expected, rtol=1e-10, atol=1e-12)
    assert set(sol.hvp("f", {"p": 1.0}, wrt="x")) == {"x"}
    assert type(sol.hessian("f", wrt="p")) is float
    assert sol.hessian("f", wrt="x").shape == (3, 3)
    sparse = sol.hessian("f", wrt="x", sparse=True)
    assert sp.issparse(sparse)
    np.testing.assert_allclose(sparse.toarray(), sol.hessian("f", wrt="x"), rtol=1e-14)


def test_asking_for_nothing_gives_nothing(sol: adj.Solution) -> None:
    assert sol.jacobian([]) == sol.jacobian("f", wrt=[]) == sol.gradient("f", wrt=[]) == sol.hessian("f", wrt=[]) == {}
    assert sol.jvp({}, of=[]) == sol.vjp({}, wrt=[]) == {}


def test_inputs_in_any_memory_order(sol: adj.Solution) -> None:
    """Strided, Fortran-ordered, read-only, of other types: the same numbers."""
    m = adj.Program()
    x = m.input("x", np.zeros((3, 4)))
    y = m.unknown("y", shape=(3, 4))
    m.constrain(y**3 + y == x)
    m.define("f", np.sum(y[:, [0, 2]] * 2) + y.T[0, 1])
    A = np.arange(24.0).reshape(4, 6)[:, ::2].T
    frozen = A.copy()
    frozen.setflags(write=False)
    reference = m.solve(x=np.ascontiguousarray(A))
    for value in (A, np.asfortranarray(A), frozen, A.astype(np.float32), A.astype(int), A.tolist()):
        other = m.solve(x=value)
        assert type(other["x"]) is np.ndarray
        np.testing.assert_array_equal(other["y"], reference["y"])
        np.testing.assert_array_equal(other.gradient("f", wrt="x"), reference.gradient("f", wrt="x"))


def test_hessians_of_linear_outputs_are_zero() -> None:
    m = adj.Program()
    x = m.input("x", np.ones(3))
    m.define("f", np.sum(2 * x))
    m.define("c", 3.0)
    sol = m.solve()
    for of in ("f", "c"):
        np.testing.assert_array_equal(sol.hessian(of, wrt="x"), np.zeros((3, 3)))
        assert sol.hessian(of, wrt="x", sparse=True).nnz == 0
        np.testing.assert_array_equal(sol.hvp(of, {"x": np.ones(3)})["x"], np.zeros(3))


@pytest.mark.parametrize(("solver", "n"), [("dense", 60), ("superlu", 200), ("klu", 200), ("auto", 200)])
def test_one_factorization_serves_all_derivatives(solver: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if solver == "klu" and not klu_.is_available():
        pytest.skip("nbklu is not installed")
    m = model(n, solver)
    m.solve()
    (cycle,) = m.plan().cycles
    count: Counter[str] = Counter()
    kind = type(cycle.solver)
    original = kind.factor

    def factor(self: Any, *args: Any, **keywords: Any) -> Any:
        count["factor"] += 1
        return original(self, *args, **keywords)

    monkeypatch.setattr(kind, "factor", factor)
    sol = m.solve(p=0.31)
    count.clear()
    sol.gradient("f")
    sol.multipliers("f")
    sol.jacobian(["f", "g"])
    sol.jacobian("u", wrt="x", mode="forward")
    sol.jvp({"p": 1.0})
    sol.vjp({"g": np.ones(n)})
    sol.hvp("f", {"p": 1.0})
    sol.hessian("f", wrt=["p"])
    assert count["factor"] <= 1


def test_one_sweep_per_gradient_and_two_per_hessian_product(monkeypatch: pytest.MonkeyPatch) -> None:
    sol = model().solve()
    count: Counter[str] = Counter()
    for method in ("push", "pull", "push_many", "pull_many"):
        original = getattr(Cycle, method)

        def counted(self: Any, *args: Any, original: Any = original, method: str = method, **keywords: Any) -> Any:
            count[method] += 1
            return original(self, *args, **keywords)

        monkeypatch.setattr(Cycle, method, counted)
    sol.gradient("f")
    assert count == {"pull": 1}
    count.clear()
    sol.hvp("f", {"p": 1.0})
    assert count == {"push": 1, "pull": 2}
    count.clear()
    sol.jacobian(["g", "h"], wrt=["x", "p"], mode="forward")
    assert count == {"push_many": 1}


def test_what_an_output_does_not_use_cannot_disturb_its_derivatives() -> None:
    """h has an infinite derivative and a box of its own; f and g do not depend on them."""
    calls: Counter[str] = Counter()

    def slope(z: float) -> float:
        calls["box"] += 1
        return np.cos(z)

    m = adj.Program()
    x, z = m.input("x", 1.0), m.input("z", 1.0)
    q = m.define("q", x - 1.0)
    m.define("h", np.sqrt(q))
    m.external("box", np.sin, inputs=[z], jac=slope)
    m.define("f", 2 * x)
    m.define("g", 3 * x**2)
    sol = m.solve()
    assert sol.gradient("f") == {"x": 2.0, "z": 0.0}
    assert sol.hessian("g", wrt="x") == 6.0
    assert sol.vjp({"f": 1.0, "g": 1.0}) == {"x": 8.0, "z": 0.0}
    assert sol.multipliers("f")["h"] == 0.0
    for mode in ("auto", "forward", "reverse"):
        jac = sol.jacobian(["f", "g"], wrt="x", mode=mode)
        assert jac == {("f", "x"): 2.0, ("g", "x"): 6.0}
    assert calls["box"] == 0


def kink_at_zero() -> adj.Program:
    """f = √x · x at 0: its derivative is of the form ∞ · 0. g does not use the root."""
    m = adj.Program()
    x = m.input("x", 0.0)
    h = m.define("h", np.sqrt(x))
    m.define("f", h * x)
    m.define("g", 2 * x)
    return m


DERIVATIVES: dict[str, Any] = {
    "gradient": lambda m, s: s.gradient("f"),
    "multipliers": lambda m, s: s.multipliers("f"),
    "vjp": lambda m, s: s.vjp({"f": 1.0}),
    "jvp": lambda m, s: s.jvp({"x": 1.0}, of="f"),
    "jacobian": lambda m, s: s.jacobian("f", wrt="x"),
    "jacobian of two": lambda m, s: s.jacobian(["f", "g"]),
    "forward": lambda m, s: s.jacobian(["f", "g"], mode="forward"),
    "reverse": lambda m, s: s.jacobian(["f", "g"], mode="reverse"),
    "hvp": lambda m, s: s.hvp("f", {"x": 1.0}),
    "hessian": lambda m, s: s.hessian("f"),
    "check": lambda m, s: s.check_derivatives("f"),
    "function jac": lambda m, s: m.function("f").jac([0.0]),
    "functions jac": lambda m, s: m.function(["f", "g"]).jac([0.0]),
    "function hess": lambda m, s: m.function("f").hess([0.0]),
    "function hessp": lambda m, s: m.function("f").hessp([0.0], [1.0]),
}


@pytest.mark.parametrize("form", DERIVATIVES)
def test_a_derivative_that_is_not_a_number_is_refused_by_name(form: str) -> None:
    m = kink_at_zero()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(adj.DerivativeError, match="'h'") as info:
            DERIVATIVES[form](m, m.solve())
    assert "'g'" not in str(info.value)


def test_an_infinite_derivative_is_given_and_disturbs_no_other() -> None:
    m = kink_at_zero()
    sol = m.solve()
    assert sol.gradient("h") == {"x": np.inf}
    assert sol.jvp({"x": 1.0}, of="g") == {"g": 2.0}
    assert sol.hessian("g", wrt="x") == 0.0
    for mode in ("auto", "forward", "reverse"):
        assert sol.jacobian(["g", "h"], mode=mode) == {("g", "x"): 2.0, ("h", "x"): np.inf}


def test_wrong_names_shapes_and_modes_are_told(sol: adj.Solution) -> None:
    for use, words in (
        (lambda: sol.gradient("q"), "q"),
        (lambda: sol.gradient("f", wrt="q"), "q"),
        (lambda: sol.gradient("f", wrt="u"), "multiplier"),
        (lambda: sol.gradient({"g": [1.0, 2.0]}), "g"),
        (lambda: sol.gradient({"f": np.nan}), "f"),
        (lambda: sol.gradient(3), "3"),
        (lambda: sol.jacobian("q"), "q"),
        (lambda: sol.jacobian("f", wrt=["x", "q"]), "q"),
        (lambda: sol.jacobian("f", mode="sideways"), "sideways"),
        (lambda: sol.jvp({"q": 1.0}), "q"),
        (lambda: sol.jvp({"u": np.ones(3)}), "u"),
        (lambda: sol.jvp({"x": np.ones(2)}), "x"),
        (lambda: sol.jvp({"x": np.nan}), "x"),
        (lambda: sol.vjp({"q": 1.0}), "q"),
        (lambda: sol.vjp("f"), "f"),
        (lambda: sol.jvp("x"), "x"),
        (lambda: sol.hvp("f", {"q": 1.0}), "q"),
        (lambda: sol.hvp("f", "x"), "x"),
        (lambda: sol.hessian("g"), "g"),
        (lambda: sol.multipliers("g"), "g"),
        (lambda: sol.jvp({"p": 1.0}, of="q"), "q"),
        (lambda: sol.gradient("f", wrt=3), "3"),
        (lambda: sol.jacobian(3), "3"),
        (lambda: sol.jacobian(None), "None"),
    ):
        with pytest.raises(adj.AdjointError, match=words):
            use()
