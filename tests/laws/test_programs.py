"""Laws of solutions and derivatives, on random programs with and without cycles.

The reference is made without the library: the equations evaluated by NumPy, their Jacobians by the complex
step, the multipliers by a dense solve.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adjoint as adj
from adjoint import blocks
from adjoint.backends import BACKENDS, numpy_
from tests.laws.random_programs import Spec, complex_jacobian, specs


@dataclass(frozen=True)
class Reference:
    """Derivatives at a point from NumPy and dense linear algebra."""

    gradient: np.ndarray
    multipliers: np.ndarray  # d objective per unit added to the right-hand side of each equation
    jacobian: np.ndarray  # d(unknowns)/d(inputs)
    residual: np.ndarray
    g_z: np.ndarray


def flat(parts: Any) -> np.ndarray:
    return np.concatenate([np.zeros(0), *(np.ravel(p) for p in parts)])


def reference(spec: Spec, sol: Any) -> Reference:
    z, x = flat(sol[n] for n in spec.shapes), flat(spec.inputs.values())
    g_z = complex_jacobian(lambda v: spec.residual(v, x), z)
    g_x = complex_jacobian(lambda v: spec.residual(z, v), x)
    f_z = complex_jacobian(lambda v: spec.value(v, x), z)[0]
    f_x = complex_jacobian(lambda v: spec.value(z, v), x)[0]
    lam = np.linalg.solve(g_z.T, f_z)  # g = 0 becomes g = δ: z moves by g_z⁻¹ δ
    return Reference(f_x - g_x.T @ lam, lam, -np.linalg.solve(g_z, g_x), spec.residual(z, x), g_z)


def close(actual: Any, expected: Any, tol: float) -> None:
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(actual, expected, rtol=tol, atol=tol * scale)


def dense(blocks: dict[Any, Any], rows: Any, cols: Any, spec: Spec) -> np.ndarray:
    """Blocks by name put together as one matrix."""
    sizes = {
        **{n: int(np.prod(s)) for n, s in spec.shapes.items()},
        **{n: np.size(x) for n, x in spec.inputs.items()},
    }
    return np.block([[np.reshape(blocks[r, c], (sizes.get(r, 1), sizes[c])) for c in cols] for r in rows])


def weights(spec: Spec, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Random tangents of the inputs and cotangents of the unknowns."""
    rng = np.random.default_rng(seed)
    return (
        {n: rng.normal(size=np.shape(x))[()] for n, x in spec.inputs.items()},
        {n: rng.normal(size=s)[()] for n, s in spec.shapes.items()},
    )


@settings(max_examples=40)
@given(specs())
def test_solution_and_multipliers(spec: Spec) -> None:
    m = spec.program()
    sol = m.solve()
    ref = reference(spec, sol)
    assert np.abs(ref.residual).max() < 1e-9
    assert max(np.abs(r).max() for r in sol.residuals().values()) < 1e-9
    close(sol["f"], spec.value(flat(sol[n] for n in spec.shapes), flat(spec.inputs.values())), 1e-12)
    gradient = sol.gradient("f")
    assert list(gradient) == list(spec.inputs)
    close(flat(gradient.values()), ref.gradient, 1e-9)
    lam = sol.multipliers("f")
    assert set(lam) == {*m.equations, *spec.inputs}
    close(flat(lam[spec.equation_name(n)] for n in spec.shapes), ref.multipliers, 1e-9)
    close(flat(lam[n] for n in spec.inputs), ref.gradient, 1e-9)
    assert lam["f"] == 1.0
    for n, shape in spec.shapes.items():
        assert np.shape(lam[spec.equation_name(n)]) == shape
    check = sol.check_derivatives("f")
    assert check and check.method == "complex step" and check.error < 1e-9, check


@settings(max_examples=25)
@given(specs(), st.integers(0, 99))
def test_forward_is_reverse(spec: Spec, seed: int) -> None:
    m = spec.program()
    sol = m.solve()
    of, wrt = [*spec.shapes, "f"], list(spec.inputs)
    forward, reverse, auto = (sol.jacobian(of, wrt=wrt, mode=mode) for mode in ("forward", "reverse", "auto"))
    for key, block in forward.items():
        assert np.shape(block) == m[key[0]].shape + m[key[1]].shape
        close(reverse[key], block, 1e-12)
        close(auto[key], block, 1e-12)
    close(dense(forward, spec.shapes, wrt, spec), reference(spec, sol).jacobian, 1e-9)
    for key, block in sol.jacobian(of, wrt=wrt, sparse=True).items():
        assert block.shape == (m[key[0]].size, m[key[1]].size)
        close(block.toarray(), np.reshape(forward[key], block.shape), 1e-12)
    tangents, cotangents = weights(spec, seed)
    pushed, pulled = sol.jvp(tangents), sol.vjp(cotangents)
    left = sum(np.sum(cotangents[n] * pushed[n]) for n in spec.shapes)
    right = sum(np.sum(pulled[n] * tangents[n]) for n in spec.inputs)
    size = sum(np.sum(np.abs(cotangents[n] * pushed[n])) for n in spec.shapes)
    assert abs(left - right) <= 1e-11 * max(1.0, size)
    close(
        flat(pushed[n] for n in spec.shapes),
        dense(forward, spec.shapes, wrt, spec) @ flat(tangents.values()),
        1e-11,
    )
    some = sol.jvp({wrt[0]: tangents[wrt[0]]}, of=["f"])
    close(some["f"], np.sum(sol.gradient("f")[wrt[0]] * tangents[wrt[0]]), 1e-11)


@settings(max_examples=15)
@given(specs())
def test_some_inputs_are_a_part_of_all(spec: Spec) -> None:
    sol = spec.program().solve()
    gradient, jacobian, hessian = sol.gradient("f"), sol.jacobian(["f", "y0"]), sol.hessian("f")
    for n in spec.inputs:
        close(sol.gradient("f", wrt=n), gradient[n], 1e-12)
        close(sol.gradient("f", wrt=[n])[n], gradient[n], 1e-12)
        close(sol.jacobian("y0", wrt=n), jacobian["y0", n], 1e-12)
        close(sol.jacobian("f", wrt=n), gradient[n], 1e-12)
        close(sol.hessian("f", wrt=n), hessian[n, n], 1e-12)
        close(sol.vjp({"f": 1.0}, wrt=[n])[n], gradient[n], 1e-12)
    turned = list(spec.inputs)[::-1]
    assert list(sol.gradient("f", wrt=turned)) == turned
    for a, b in hessian:
        close(sol.hessian("f", wrt=turned)[a, b], hessian[a, b], 1e-12)


@settings(max_examples=20)
@given(specs(), st.integers(0, 99))
def test_hessian(spec: Spec, seed: int) -> None:
    m = spec.program()
    sol = m.solve()
    wrt = list(spec.inputs)
    blocks = sol.hessian("f", wrt=wrt)
    whole = dense(blocks, wrt, wrt, spec)
    for (a, b), block in blocks.items():
        assert np.shape(block) == m[a].shape + m[b].shape
    close(whole, whole.T, 1e-12)
    for key, block in sol.hessian("f", wrt=wrt, sparse=True).items():
        close(block.toarray(), np.reshape(blocks[key], block.shape), 1e-12)
    tangents, _ = weights(spec, seed)
    product = sol.hvp("f", tangents)
    close(flat(product[n] for n in wrt), whole @ flat(tangents.values()), 1e-10)
    partial = sol.hvp("f", {wrt[0]: tangents[wrt[0]]}, wrt=[wrt[-1]])
    close(
        np.ravel(partial[wrt[-1]]),
        dense(blocks, [wrt[-1]], [wrt[0]], spec) @ np.ravel(tangents[wrt[0]]),
        1e-10,
    )

    def difference(h: float) -> np.ndarray:
        ends = []
        for step in (h, -h):
            moved = {n: spec.inputs[n] + step * np.asarray(tangents[n]) for n in wrt}
            ends.append(flat(m.solve(moved, start=sol, tol=1e-13).gradient("f").values()))
        return (ends[0] - ends[1]) / (2 * h)

    extrapolated = (4.0 * difference(5e-5) - difference(1e-4)) / 3.0  # Richardson
    close(whole @ flat(tangents.values()), extrapolated, 1e-5)


@settings(max_examples=15)
@given(specs(), st.integers(0, 99))
def test_lagrangian(spec: Spec, seed: int) -> None:
    """Stationary at the solution and its multipliers; its KKT matrix is made of ∂g/∂z."""
    m = spec.program()
    sol = m.solve()
    lam = sol.multipliers("f")
    ref = reference(spec, sol)
    L = m.lagrangian("f")
    assert max(np.abs(g).max() for g in L.grad_z(sol, lam).values()) < 1e-9
    assert max(np.abs(g).max() for g in L.grad_lam(sol, lam).values()) < 1e-9
    close(flat(L.grad_x(sol, lam).values()), ref.gradient, 1e-9)
    close(L.value(sol, lam), sol["f"], 1e-9)
    matrix = L.kkt(sol, lam).toarray()
    n = ref.g_z.shape[0]
    unknowns, equations = [*spec.shapes, "f"], list(m.equations)
    assert [v.name for v in L.unknowns] == unknowns and [e.name for e in L.equations] == equations
    close(matrix, matrix.T, 1e-12)
    rows = _slices({name: m.equations[name].size for name in equations})
    lower = matrix[n + 1 :, :n]
    mine = np.concatenate([-lower[rows[spec.equation_name(name)]] for name in spec.shapes])
    close(mine, ref.g_z, 1e-9)
    close(matrix[n + 1 :, n + 1 :], np.zeros((n + 1, n + 1)), 1e-15)
    # λ from the KKT matrix: ∂L/∂z = 0 is linear in λ.
    solved = np.linalg.solve(matrix[: n + 1, n + 1 :], -flat(L.grad_z(sol, dict.fromkeys(lam, 0.0)).values()))
    close(solved, flat(lam[name] for name in equations), 1e-9)
    # Anywhere else: gradients of L are the differences of L.
    rng = np.random.default_rng(seed)
    z, p = rng.normal(size=n + 1), rng.normal(size=n + 1)
    dz, dp = rng.normal(size=n + 1), rng.normal(size=n + 1)
    h = 1e-6
    slope = (L.value(z + h * dz, p + h * dp) - L.value(z - h * dz, p - h * dp)) / (2 * h)
    assert abs(slope - L.grad_z(z, p) @ dz - L.grad_lam(z, p) @ dp) < 1e-6 * max(1.0, abs(slope))


@settings(max_examples=10)
@given(specs())
def test_without_sparse_maps(spec: Spec) -> None:
    """Where a sparse map would be too dense, products of it are used: the same Jacobians and Hessians."""
    of = [*spec.shapes, "f"]
    expected = spec.program().solve()
    with pytest.MonkeyPatch.context() as patch:
        for module in (blocks.run, blocks.cycle):
            patch.setattr(module, "TOTAL_BUDGET", 0)
        sol = spec.program().solve()
        for mode in ("forward", "reverse"):
            for key, block in sol.jacobian(of, mode=mode).items():
                close(block, expected.jacobian(of)[key], 1e-10)
        for key, block in sol.hessian("f").items():
            close(block, expected.hessian("f")[key], 1e-10)


def _slices(sizes: dict[str, int]) -> dict[str, slice]:
    out, at = {}, 0
    for name, size in sizes.items():
        out[name] = slice(at, at + size)
        at += size
    return out


def same(spec: Spec, m: Any, other: Any, rename: Any = str, tol: float = 1e-9) -> None:
    """Two programs have the same answers, under other names."""
    a, b = m.solve(), other.solve()
    lam, mu = a.multipliers("f"), b.multipliers(rename("f"))
    gradient, hessian = b.gradient(rename("f")), b.hessian(rename("f"))
    for n in (*spec.shapes, *spec.inputs, "f"):
        close(b[rename(n)], a[n], tol)
    for n in spec.shapes:
        close(mu[rename(spec.equation_name(n))], lam[spec.equation_name(n)], tol)
    for n in spec.inputs:
        close(gradient[rename(n)], a.gradient("f")[n], tol)
    for (r, c), block in a.hessian("f").items():
        close(hessian[rename(r), rename(c)], block, tol)


@settings(max_examples=15)
@given(specs(), st.data())
def test_names_and_order_do_not_matter(spec: Spec, data: st.DataObject) -> None:
    order = data.draw(st.permutations(list(spec.shapes)))
    names = data.draw(st.permutations([*spec.shapes, *spec.inputs, "f", *(f"eq_{n}" for n in spec.shapes)]))
    table = dict(zip(names, names[1:] + names[:1], strict=True))
    same(spec, spec.program(), spec.program(order, table.__getitem__), table.__getitem__)


@settings(max_examples=8)
@given(specs())
def test_pickling(spec: Spec) -> None:
    m = spec.program()
    m.solve().gradient("f")  # what is compiled is not pickled
    copy = pickle.loads(pickle.dumps(m))
    same(spec, m, copy, tol=1e-15)
    assert (
        copy is not m
        and list(copy.variables) == list(m.variables)
        and list(copy.equations) == list(m.equations)
    )
    y = copy.define("more", 2.0 * copy["f"])
    assert copy.solve()[y.name] == 2.0 * copy.solve()["f"]
    assert "more" not in m


@settings(max_examples=10)
@given(specs())
def test_include(spec: Spec) -> None:
    """A sub-model under a prefix is the model; a bound input is replaced by its expression."""
    m = spec.program()
    other = adj.Program("outer")
    other.input("unrelated", 2.0)
    included = other.include(m, prefix="wing.")
    assert included["f"] is other["wing.f"]
    same(spec, m, other, lambda n: f"wing.{n}")
    bound = adj.Program("bound")
    first = next(iter(spec.inputs))
    u = bound.input("u", 0.5 * np.asarray(spec.inputs[first]))
    bound.include(m, prefix="wing.", bind={first: 2.0 * u})
    a, b = m.solve(), bound.solve()
    assert f"wing.{first}" not in bound
    close(b["wing.f"], a["f"], 1e-9)
    close(b.gradient("wing.f", wrt="u"), 2.0 * np.asarray(a.gradient("f", wrt=first)), 1e-9)
    twice = adj.Program("twice")
    for prefix in ("a.", "b."):
        twice.include(m, prefix=prefix)
    sol = twice.solve()
    close(sol["a.f"], sol["b.f"], 1e-15)
    close(sol["a.f"], a["f"], 1e-9)


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.parametrize("form", ["source", "instructions"])
@settings(max_examples=5)
@given(spec=specs())
def test_backends(backend: str, form: str, spec: Spec) -> None:
    """Whatever executes the program, the answers are the same."""
    expected = spec.program()
    with pytest.MonkeyPatch.context() as patch:
        if form == "instructions":
            patch.setattr(numpy_, "SOURCE_LIMIT", 0)
        m = spec.program()
        m.backend = backend
        same(spec, expected, m)
        tangents, _ = weights(spec, 0)
        first, second = expected.solve().hvp("f", tangents), m.solve().hvp("f", tangents)
        close(flat(second.values()), flat(first.values()), 1e-9)
        blocks, others = (p.solve().jacobian([*spec.shapes]) for p in (expected, m))
        for key, block in blocks.items():
            close(others[key], block, 1e-9)


@settings(max_examples=15)
@given(specs(), st.integers(0, 99))
def test_functions_of_a_vector(spec: Spec, seed: int) -> None:
    """fun, jac, hess, hessp of Program.function are the solution's, packed."""
    m = spec.program()
    wrt = list(spec.inputs)
    fun, con = m.function("f", wrt=wrt), m.function(["f", "y0"], wrt=wrt)
    sparse = m.function(["f", "y0"], wrt=wrt, sparse=True)
    rng = np.random.default_rng(seed)
    v = fun.x0 + 0.1 * rng.normal(size=fun.x0.size)
    sol = m.solve(fun.unpack(v))
    close(fun(v), sol["f"], 1e-9)
    close(fun.jac(v), flat(sol.gradient("f").values()), 1e-9)
    close(fun.hess(v), dense(sol.hessian("f"), wrt, wrt, spec), 1e-8)
    d, lam = rng.normal(size=v.size), rng.normal(size=1 + m["y0"].size)
    close(fun.hessp(v, d), fun.hess(v) @ d, 1e-9)
    close(con(v), flat([sol["f"], sol["y0"]]), 1e-9)
    close(con.jac(v), dense(sol.jacobian(["f", "y0"]), ["f", "y0"], wrt, spec), 1e-9)
    close(sparse.jac(v).toarray(), con.jac(v), 1e-12)
    weighted = sol.hessian({"f": lam[0], "y0": lam[1:].reshape(m["y0"].shape)})
    close(con.hess(v, lam), dense(weighted, wrt, wrt, spec), 1e-8)
    close(con.hessp(v, lam, d), con.hess(v, lam) @ d, 1e-9)
    close(sparse.hess(v, lam).toarray(), con.hess(v, lam), 1e-12)
    np.testing.assert_array_equal(fun.pack(fun.unpack(v)), v)
    assert fun.solves == con.solves == 1


@settings(max_examples=15)
@given(
    specs(cyclic=True), st.sampled_from(["newton", "trust-region", "anderson", "broyden", "newton-krylov"])
)
def test_methods_give_the_same_answers(spec: Spec, method: str) -> None:
    """A contraction is solved by all of them, and derivatives do not depend on which."""
    m = spec.program()
    a, b = m.solve(), m.solve(method=method)
    close(flat(b[n] for n in m.variables), flat(a[n] for n in m.variables), 1e-7)
    close(flat(b.gradient("f").values()), flat(a.gradient("f").values()), 1e-6)
