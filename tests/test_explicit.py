"""Programs without cycles are evaluated and differentiated directly: the same results as by the general way."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import splu

import adjoint as adj
from adjoint import explicit, function
from adjoint.assembly import Assembly
from adjoint.backends import get_backend
from adjoint.derivatives import vjp
from adjoint.expr import Variable
from adjoint.sparsity import flat_values, jacobian_map


def scalars() -> adj.Program:
    m = adj.Program(backend="numpy")
    x, y, z = m.input("x", 1.0), m.input("y", 2.0), m.input("z", 0.5)
    a = m.define("a", x**2 + np.sin(y))
    b = m.define("b", a * z + x)
    c = m.define("c", np.exp(-b) + a)
    m.define("f", (c * b - y) ** 2 + c)
    return m


def arrays() -> adj.Program:
    m = adj.Program(backend="numpy")
    x, p = m.input("x", np.linspace(-1.2, 1.0, 5)), m.input("p", 100.0)
    A = m.input("A", np.arange(6.0).reshape(2, 3) / 7.0)
    r = m.define("r", np.concatenate([p * (x[1:] - x[:-1] ** 2), 1.0 - x[:-1]]))
    m.define("M", A * x[:3] + np.tanh(x[3]))
    m.define("f", np.sum(r**2) + np.sum(m["M"] @ x[:3]) ** 2)
    return m


def loops(n: int = 40) -> adj.Program:
    """A chain written with a Python loop over scalar inputs."""
    m = adj.Program(backend="numpy")
    x = [m.input(f"x{i}", -1.2 if i % 2 else 1.0) for i in range(n)]
    p = m.input("p", 3.0)
    m.define("f", sum(100.0 * (x[i] ** 2 - x[i + 1]) ** 2 + (x[i] - 1.0) ** 2 for i in range(n - 1)))
    for i in range(n - 2):
        m.define(f"c{i}", p * x[i + 1] ** 3 + np.sin(x[i + 1] - x[i + 2]) - x[i] * np.exp(x[i] - x[i + 1]))
    return m


CASES: dict[str, tuple[Callable[[], adj.Program], Any, Any]] = {
    "scalar of scalars": (scalars, "f", None),
    "some of the inputs": (scalars, "f", ["z", "x"]),
    "several scalars": (scalars, ["f", "a", "c"], ["y", "x"]),
    "an input among the outputs": (scalars, ["x", "f", "x"], ["x", "y"]),
    "an output that no input moves": (scalars, ["a", "f"], ["z"]),
    "scalar of arrays": (arrays, "f", ["x"]),
    "arrays": (arrays, ["M", "r", "f"], ["A", "x"]),
    "one array": (arrays, "r", ["x"]),
    "all inputs": (arrays, ["r", "M"], None),
    "a list of one scalar": (arrays, ["f"], ["x", "A"]),
    "a sum in a loop": (loops, "f", [f"x{i}" for i in range(40)]),
    "equations in a loop": (loops, ["f", *(f"c{i}" for i in range(38))], [f"x{i}" for i in range(40)]),
}


def as_array(a: Any) -> Any:
    return a.toarray() if sp.issparse(a) else a


def everything(m: adj.Program, of: Any, wrt: Any, sparse: bool) -> list[Any]:
    fun = m.function(of, wrt, sparse=sparse)
    v = fun.x0 + 0.1 * np.cos(np.arange(fun.x0.size))
    value = fun(v)
    out = [value, fun.jac(v)]
    count = np.size(value)
    weights = [] if fun.scalar else [np.sin(1.0 + np.arange(count))]
    direction = np.cos(3.0 * np.arange(v.size))
    return [*out, fun.hess(v, *weights), fun.hessp(v, *weights, direction)]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_results_of_the_general_way(case: str, sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    make, of, wrt = CASES[case]
    m = make()
    with monkeypatch.context() as blocked:
        blocked.setattr(function.Shared, "_solve", None)  # nothing is solved
        found = everything(m, of, wrt, sparse)
    monkeypatch.setattr(function, "compiled", lambda *args: None)
    expected = everything(make(), of, wrt, sparse)
    for a, b in zip(found, expected, strict=True):
        assert type(a) is type(b)
        assert np.shape(a) == np.shape(b)
        scale = np.abs(as_array(b)).max(initial=1.0)
        np.testing.assert_allclose(as_array(a), as_array(b), rtol=1e-10, atol=1e-12 * scale)
    hess = as_array(found[2])
    np.testing.assert_array_equal(hess, hess.T)


def test_equations_that_the_outputs_do_not_need_play_no_part() -> None:
    m = scalars()
    y = m.unknown("u", guess=1.0)
    m.constrain(y**2 == m["x"])  # a cycle, without a solution for negative x
    m.define("g", np.log(m["x"]) + y)
    fun = m.function("f")
    assert fun([-1.0, 2.0, 0.5]) == scalars().solve(x=-1.0)["f"]
    with pytest.raises(adj.ConvergenceError):
        _ = fun.solution
    assert fun([4.0, 2.0, 0.5]) == m.solve(x=4.0)["f"]
    assert fun.solution["u"] == pytest.approx(2.0)
    assert m.function(["f", "u"])([4.0, 2.0, 0.5])[1] == pytest.approx(2.0)


def test_the_solution_is_solved_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    solved = []
    original = function.Shared._solve

    def noted(*args: Any) -> Any:
        solved.append(1)
        return original(*args)

    monkeypatch.setattr(function.Shared, "_solve", noted)
    m = scalars()
    fun, con = m.function("f"), m.function(["a", "b"])
    v = np.array([1.5, 2.0, 0.5])
    f = fun(v)
    fun.jac(v)
    assert not solved
    assert fun.solution["f"] == con.solution["f"] == f
    assert len(solved) == 1
    v[0] = 3.0  # the vector is the caller's
    assert fun.solution["x"] == 1.5
    con(v)
    assert fun.solution["x"] == 3.0
    assert fun.solves == 2


def test_values_of_inputs_outside_the_vector() -> None:
    m = scalars()
    one, two = m.function("f", wrt=["x"]), m.function("f", wrt=["x"], values={"z": 2.0, "y": -1.0})
    assert one([1.2]) == m.solve(x=1.2)["f"]
    sol = m.solve(x=1.2, z=2.0, y=-1.0)
    assert two([1.2]) == sol["f"]
    assert two.jac([1.2]) == pytest.approx(sol.gradient("f", wrt="x"))
    assert two.hess([1.2])[0, 0] == pytest.approx(sol.hessian("f", wrt="x"))
    again = pickle.loads(pickle.dumps(two))
    assert again([1.2]) == two([1.2])
    assert again.jac([1.2]) == two.jac([1.2])


# -- what is refused, and what warns -------------------------------------------------------------------------------


def test_points_that_are_not_finite_are_refused() -> None:
    m = adj.Program()
    x, y = m.input("x", 1.0), m.input("y", [1.0, 2.0, 3.0])
    m.define("f", np.exp(x))
    m.define("g", np.sum(y[:2]))
    m.define("h", x**2 + y)
    for of, wrt, v in (
        ("f", ["x"], [-np.inf]),  # exp(-inf) = 0
        ("f", ["x"], [np.nan]),
        ("g", ["y"], [1.0, 2.0, np.nan]),  # an element that no output takes
        ("h", ["x", "y"], [1.0, 2.0, np.inf, 1.0]),
    ):
        fun = m.function(of, wrt)
        for use in (fun, fun.jac, lambda v, fun=fun: fun.hess(v, *([] if fun.scalar else [np.ones(3)]))):
            with pytest.raises(adj.ModelError, match="NaN or infinite"):
                use(np.array(v))
    assert m.function("g", ["y"])([1e200, -1e200, 1e200]) == 0.0  # large is not infinite


def test_values_that_are_not_finite_name_their_equation() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    a = m.define("a", np.log(x))
    m.define("f", np.exp(a))
    m.define("g", a + 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for of in ("f", "g", ["f", "g"]):
            fun = m.function(of)
            for use in (fun, fun.jac):
                with pytest.raises(adj.EvaluationError, match="'a'"):
                    use([0.0])  # f would be exp(-inf) = 0
            assert np.all(np.isfinite(fun([2.0])))


def test_derivatives_that_are_nan_name_their_equation() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    r = m.define("r", np.sqrt(x))
    m.define("f", r * x)
    for of in ("f", ["f", "r"]):
        fun = m.function(of)
        assert np.all(fun([0.0]) == 0.0)
        if of == "f":
            with pytest.raises(adj.DerivativeError, match="'r'"):
                fun.jac([0.0])
    assert m.function("r").jac([0.0]) == np.inf


def test_a_kink_warns() -> None:
    m = adj.Program()
    x = m.input("x", [1.0, 2.0])
    m.define("f", np.sum(np.abs(x) * x[0]))
    m.define("y", np.maximum(x, 1.0))
    fun, con = m.function("f"), m.function("y")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(fun.jac([1.0, 2.0]), [4.0, 1.0])
        np.testing.assert_array_equal(con.jac([3.0, 0.0]), [[1.0, 0.0], [0.0, 0.0]])
        fun([0.0, 1.0])  # no derivative
    for use in (lambda: fun.jac([1.0, 0.0]), lambda: con.jac([1.0, 2.0]), lambda: con.hess([1.0, 2.0], [1.0, 1.0])):
        with pytest.warns(adj.KinkWarning):
            use()
        fun._shared.recent = ()  # a state warns once


def test_vectors_that_do_not_fit() -> None:
    fun, con = scalars().function("f"), arrays().function("r")
    for use in (fun, fun.jac, fun.hess, con, con.jac):
        for v, error in ((np.ones(2), adj.ShapeError), (np.ones((3, 1)), adj.ShapeError), (["a"] * 3, adj.ModelError)):
            with pytest.raises(error):
                use(v)
    for v in ([1, 2, 1], np.array([1, 2, 1]), np.array([1.0, 2.0, 1.0], dtype=np.float32), np.ones(6)[::2] * [1, 2, 1]):
        assert fun(v) == fun([1.0, 2.0, 1.0])
    wide = np.array([[1.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    np.testing.assert_array_equal(fun.jac(wide[:, 0]), fun.jac([1.0, 2.0, 1.0]))


# -- what the caller gets ------------------------------------------------------------------------------------------


def test_sparse_results_have_the_same_structure_and_their_own_data() -> None:
    m = arrays()
    con = m.function("r", wrt=["x"], sparse=True)
    a, b = con.jac(con.x0), con.jac(con.x0)
    assert type(a) is sp.csr_array
    assert a.has_canonical_format
    assert a.nnz == 3 * 4
    a.data[:] = -1.0
    a *= 2.0
    np.testing.assert_array_equal(b.toarray(), con.jac(con.x0).toarray())
    with pytest.raises(ValueError, match="read-only"):
        a.indices[0] = 3  # belongs to all of them
    c = a.copy()
    c.indices[0] = 0
    h = con.hess(con.x0, np.ones(8)) + sp.eye_array(5)
    assert splu(h.tocsc()).solve(np.ones(5)).shape == (5,)
    assert (a.T @ a).shape == (5, 5)
    assert pickle.loads(pickle.dumps(b)).nnz == b.nnz


def test_results_of_views_and_constants_are_the_callers_own() -> None:
    m = adj.Program()
    x = m.input("x", [1.0, 2.0, 3.0])
    m.define("same", x[:])
    m.define("linear", 2.0 * x)
    m.define("total", np.sum(x))
    v = np.array([1.0, 2.0, 3.0])
    for name in ("x", "same", "linear"):
        fun = m.function(name)
        for use in (fun, fun.jac, lambda v, fun=fun: fun.hess(v, np.ones(3))):
            expected = use(v).copy()
            use(v)[...] = -7.0
            np.testing.assert_array_equal(use(v), expected)
    fun = m.function("total")
    fun.jac(v)[:] = -7.0
    np.testing.assert_array_equal(fun.jac(v), np.ones(3))
    np.testing.assert_array_equal(v, [1.0, 2.0, 3.0])


def test_functions_are_compiled_once_per_program(monkeypatch: pytest.MonkeyPatch) -> None:
    m = scalars()
    calls = []
    original = explicit.Compiled.compile

    def noted(*args: Any) -> Any:
        calls.append(1)
        return original(*args)

    monkeypatch.setattr(explicit.Compiled, "compile", noted)
    for z in range(4):
        fun = m.function("f", wrt=["x"], values={"z": float(z)})
        fun([1.0])
        fun.jac([1.0])
        fun.hess([1.0])
    assert len(calls) == 3


def test_threads() -> None:
    fun = scalars().function("f")
    points = [np.array([1.0 + 0.01 * k, 2.0, 0.5]) for k in range(200)]
    expected = [fun(p) for p in points], [fun.jac(p) for p in points]
    with ThreadPoolExecutor(8) as pool:
        np.testing.assert_array_equal(list(pool.map(fun, points)), expected[0])
        np.testing.assert_array_equal(list(pool.map(fun.jac, points)), expected[1])


def test_what_has_no_derivative_rule_goes_the_general_way() -> None:
    m = adj.Program()
    x = m.input("x", 2.0)
    y = m.external("y", lambda x: x**3, inputs=[x], shape=(), jac=lambda x: 3 * x**2)
    m.define("f", y * 2.0)
    fun = m.function("f")
    assert fun([2.0]) == 16.0
    np.testing.assert_allclose(fun.jac([2.0]), [24.0])
    with pytest.raises(adj.AdjointError):
        fun.hess([2.0])


# -- the assembly of sparse matrices -------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_assembly_of_random_maps(n: int, count: int, seed: int) -> None:
    """Constants, sums, coefficients and permutations all come to their place."""
    rng = np.random.default_rng(seed)
    x = Variable("x", (n,))
    parts = []
    for _ in range(count):
        a, b = rng.integers(0, n, n), rng.integers(0, n, n)
        parts.append([x[a] * x[b] * rng.normal(), 3.0 * x[a], np.sin(x[b]), x[a] * rng.normal(size=n)][rng.integers(4)])
    rows = [sum(parts[1:], parts[0])] if parts else [x * 2.0]
    v = rng.normal(size=n)
    for outputs, symmetric in (([*rows, np.exp(x[:1])], False), (vjp([np.sum(rows[0] ** 2)], [1.0], [x]), True)):
        map_ = jacobian_map(outputs, [x])
        assembly = Assembly(map_, symmetric)
        data, plain = (
            np.asarray(get_backend("numpy").compile([x], [e])(v)[0], dtype=float)
            for e in (assembly.data, flat_values(map_))
        )
        np.testing.assert_allclose(assembly.dense(data), map_.dense(plain), rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(assembly.sparse(data).toarray(), assembly.dense(data))


# -- import ---------------------------------------------------------------------------------------------------------


def test_import_loads_nothing_that_takes_long() -> None:
    """Parts of SciPy and packages that only some calls need are imported by those."""
    heavy = ["scipy.optimize", "scipy.special", "scipy.linalg", "scipy.sparse.linalg", "scipy.sparse.csgraph"]
    heavy += ["networkx", "matplotlib", "llvmlite", "nbklu", "numba", "jax", "casadi"]
    code = f"import sys, adjoint\nprint([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
