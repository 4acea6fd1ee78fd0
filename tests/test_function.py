"""Functions for SciPy: one solve per point, shared by values and derivatives of all functions over the same inputs."""

from __future__ import annotations

import gc
import pickle
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import scipy.optimize as so
import scipy.sparse as sp

import adjoint as adj
from adjoint import function, points
from tests.models import sellar


def rosenbrock(n: int = 2) -> adj.Program:
    m = adj.Program()
    x = m.input("x", np.linspace(-1.2, 1.0, n))
    m.define("f", np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2))
    m.define("r", np.concatenate([10.0 * (x[1:] - x[:-1] ** 2), 1.0 - x[:-1]]))
    return m


@pytest.fixture
def solved_at(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The points at which the program was solved."""
    points: list[bytes] = []
    original = function.Shared._solve

    def noted(self: Any, values: Any, start: Any) -> Any:
        points.append(b"".join(np.asarray(values[v], dtype=float).tobytes() for v in self.wrt))
        return original(self, values, start)

    monkeypatch.setattr(function.Shared, "_solve", noted)
    return points


# -- the vector --------------------------------------------------------------------------------------------


def test_packing_and_unpacking() -> None:
    m = adj.Program()
    m.input("A", np.arange(6.0).reshape(2, 3))
    m.input("s", 7.0)
    m.input("free")
    m.define("f", np.sum(m["A"]) + m["s"] + m["free"])
    fun = m.function("f")
    np.testing.assert_array_equal(fun.x0, [0, 1, 2, 3, 4, 5, 7, 0])
    np.testing.assert_array_equal(fun.pack({"s": 1.0, "A": 2.0}), [2, 2, 2, 2, 2, 2, 1, 0])
    parts = fun.unpack(np.arange(8.0))
    np.testing.assert_array_equal(parts["A"], [[0, 1, 2], [3, 4, 5]])
    assert (parts["s"], parts["free"]) == (6.0, 7.0)
    assert type(parts["s"]) is float
    np.testing.assert_array_equal(fun.pack(parts), np.arange(8.0))
    parts["A"][:] = 9.0
    np.testing.assert_array_equal(fun.x0, [0, 1, 2, 3, 4, 5, 7, 0])
    for use, words in (
        (lambda: fun.pack({"q": 1.0}), "q"),
        (lambda: fun.pack({"A": np.ones(4)}), "A"),
        (lambda: fun.unpack(np.ones(3)), "8"),
        (lambda: fun(np.ones(3)), "8"),
        (lambda: fun(np.full(8, np.nan)), "NaN"),
        (lambda: fun(np.ones((1, 8))), "8"),
    ):
        with pytest.raises(adj.AdjointError, match=words):
            use()


def test_the_order_is_that_of_wrt() -> None:
    m = sellar()
    fun = m.function("f", wrt=["x", "z1"])
    np.testing.assert_array_equal(fun.x0, [1.0, 5.0])
    slopes = m.solve().gradient("f")
    np.testing.assert_allclose(fun.jac([1.0, 5.0]), [slopes["x"], slopes["z1"]], rtol=1e-12)
    for wrong in (["x", "x"], ["y1"], ["q"], 3):
        with pytest.raises(adj.AdjointError):
            m.function("f", wrt=wrong)


def test_bounds_of_variables_in_the_vector() -> None:
    m = adj.Program()
    y = m.input("x", np.ones(2))
    u = m.unknown("u", guess=3.0, lower=0.0, upper=9.0)
    m.define("f", np.sum(y) * u)
    fun = m.function("f", wrt=["x", "u"])
    np.testing.assert_array_equal(fun.bounds.lb, [-np.inf, -np.inf, 0.0])
    np.testing.assert_array_equal(fun.bounds.ub, [np.inf, np.inf, 9.0])
    np.testing.assert_array_equal(fun.x0, [1.0, 1.0, 3.0])
    assert fun([1.0, 2.0, 4.0]) == 12.0


def test_values_of_the_other_inputs() -> None:
    m = sellar()
    fun = m.function("f", wrt=["x"], values={"z1": 4.0})
    assert fun([1.0]) == m.solve(z1=4.0)["f"]
    assert m.function("f", wrt=["x"])([1.0]) == m.solve()["f"]
    with pytest.raises(adj.AdjointError):
        m.function("f", wrt=["x"], values={"q": 4.0})([1.0])


# -- values and derivatives --------------------------------------------------------------------------------


def test_one_scalar_output() -> None:
    m = sellar()
    fun = m.function("f", wrt=["z1", "z2", "x"])
    v = [5.0, 2.0, 1.0]
    assert type(fun(v)) is float
    assert fun(v) == m.solve()["f"]
    assert fun.jac(v).shape == (3,)
    np.testing.assert_allclose(fun.jac(v), [9.61001055699, 1.78448533563, 2.98061391348], rtol=1e-10)
    hess = fun.hess(v)
    assert hess.shape == (3, 3)
    np.testing.assert_array_equal(hess, hess.T)
    p = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(fun.hessp(v, p), hess @ p, rtol=1e-10)
    np.testing.assert_allclose(fun.hess(v, [2.0]), 2 * hess, rtol=1e-14)
    assert so.check_grad(fun, fun.jac, v) < 1e-5
    np.testing.assert_allclose(so.approx_fprime(v, fun.jac, 1e-7), hess, rtol=1e-4, atol=1e-6)


def test_several_outputs_are_flattened_in_order() -> None:
    m = rosenbrock(3)
    m.define("M", np.reshape(m["x"][:2], (2, 1)) * m["x"])
    con = m.function(["M", "f", "r"])
    v = np.array([0.5, -1.0, 2.0])
    sol = m.solve(x=v)
    expected = np.concatenate([np.ravel(sol[n]) for n in ("M", "f", "r")])
    np.testing.assert_array_equal(con(v), expected)
    assert con.jac(v).shape == (11, 3)
    np.testing.assert_allclose(con.jac(v), so.approx_fprime(v, con, 1e-7), rtol=1e-5, atol=1e-4)
    weights = np.cos(np.arange(11.0))
    np.testing.assert_allclose(
        con.hess(v, weights), so.approx_fprime(v, lambda x: con.jac(x).T @ weights, 1e-7), rtol=1e-4, atol=1e-3
    )
    p = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(con.hessp(v, weights, p), con.hess(v, weights) @ p, rtol=1e-10)
    assert con.hess(v, np.zeros(11)).shape == (3, 3)
    for use in (lambda: con.hess(v), lambda: con.hess(v, np.ones(3))):
        with pytest.raises(adj.AdjointError):
            use()


def test_an_array_output_is_flattened() -> None:
    m = rosenbrock(3)
    con = m.function("r")
    assert con([1.0, 1.0, 1.0]).shape == (4,)
    assert con.jac([1.0, 1.0, 1.0]).shape == (4, 3)


def test_sparse_derivatives() -> None:
    m = rosenbrock(50)
    fun, con = m.function("f", sparse=True), m.function("r", sparse=True)
    v = fun.x0
    assert sp.issparse(fun.hess(v))
    assert fun.hess(v).nnz == 50 + 2 * 49
    np.testing.assert_allclose(fun.hess(v).toarray(), so.rosen_hess(v), rtol=1e-10, atol=1e-9)
    assert fun.jac(v).shape == (50,)
    assert sp.issparse(con.jac(v))
    assert con.jac(v).nnz == 3 * 49
    assert sp.issparse(con.hess(v, np.ones(98)))
    np.testing.assert_allclose(con.jac(v).toarray(), m.function("r").jac(v))


def test_results_are_the_callers_own() -> None:
    m = rosenbrock(3)
    fun, con = m.function("f"), m.function(["x", "r"])
    v = np.array([0.5, 1.0, 2.0])
    kept = fun.jac(v).copy(), con(v).copy(), con.jac(v).copy(), fun.hess(v).copy()
    for result in (fun.jac(v), con(v), con.jac(v), fun.hess(v)):
        result[...] = -1.0
    v[0] = 0.5
    for result, before in zip((fun.jac(v), con(v), con.jac(v), fun.hess(v)), kept, strict=True):
        np.testing.assert_array_equal(result, before)


def test_a_point_changed_in_place_is_a_new_point() -> None:
    """SciPy's methods write into the vector that they pass."""
    fun = rosenbrock().function("f")
    v = np.array([1.0, 1.0])
    assert fun(v) == 0.0
    v[0] = 2.0
    assert fun(v) == 901.0
    assert fun.solves == 2


# -- one solve per point -----------------------------------------------------------------------------------


def test_functions_over_the_same_inputs_share_their_solves(solved_at: list[bytes]) -> None:
    m = sellar()
    names = ["z1", "z2", "x"]
    fun, con = m.function("f", wrt=names), m.function(["y1", "y2"], wrt=names)
    v = np.array([5.0, 2.0, 1.0])
    fun(v)
    con(v)
    fun.jac(v)
    con.jac(v)
    fun.hess(v)
    con.hess(v, [1.0, 2.0])
    fun.hessp(v, v)
    assert len(solved_at) == fun.solves == con.solves == 1
    np.testing.assert_allclose(con(v), [25.588302369878, 12.058488150612], rtol=1e-11)
    assert fun.solution["y1"] == con(v)[0]
    m.function("f", wrt=["x"])([1.0])
    assert fun.solves == 1


def test_optimizers_return_to_the_last_accepted_point_without_a_solve() -> None:
    fun = rosenbrock().function("f")
    a, b = np.array([0.0, 1.0]), np.array([1.0, 2.0])
    fun(a)
    fun(b)
    fun(a)
    fun.jac(b)
    assert fun.solves == 2
    np.testing.assert_array_equal(fun.solution["x"], b)


def test_slsqp_on_sellar_solves_once_per_point(solved_at: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "OFTEN", 10**9)  # every point is solved block by block
    m = sellar()
    names = ["z1", "z2", "x"]
    fun, con = m.function("f", wrt=names), m.function(["y1", "y2"], wrt=names)
    result = so.minimize(
        fun,
        fun.x0,
        jac=fun.jac,
        method="SLSQP",
        bounds=[(-10, 10), (0, 10), (0, 10)],
        constraints=[so.NonlinearConstraint(con, [3.16, -np.inf], [np.inf, 24.0], jac=con.jac)],
    )
    assert result.success
    np.testing.assert_allclose(result.x, [1.9776388, 0.0, 0.0], atol=1e-6)
    assert result.fun == pytest.approx(3.1833939516, rel=1e-8)
    assert len(solved_at) == len(set(solved_at))
    assert len(solved_at) <= result.nfev + 1
    assert fun.solves == len(solved_at)


def test_a_change_of_the_program_is_seen_by_new_functions() -> None:
    m = rosenbrock()
    old = m.function("f")
    old([1.0, 1.0])
    m.define("g", m["f"] + 1.0)
    assert m.function("g")([1.0, 1.0]) == 1.0
    assert old([2.0, 1.0]) == 901.0


def test_solves_start_from_the_last_point_and_fall_back_on_the_guess() -> None:
    m = adj.Program()
    x, y = m.input("x", 4.0), m.unknown("y", guess=1.0)
    m.constrain(y**2 == x)
    fun = m.function("y")
    assert fun([4.0]) == pytest.approx(2.0)
    assert fun([4.001]) == pytest.approx(np.sqrt(4.001))
    with pytest.raises(adj.ConvergenceError):
        fun([-1.0])
    assert fun([9.0]) == pytest.approx(3.0)


def test_a_failed_solve_is_not_remembered_as_a_point() -> None:
    m = adj.Program()
    x, y = m.input("x", 4.0), m.unknown("y", guess=1.0)
    m.constrain(y**2 == x)
    fun = m.function("y")
    fun([4.0])
    for _ in range(2):
        with pytest.raises(adj.ConvergenceError):
            fun([-1.0])
    assert fun.solution["x"] == 4.0


def test_before_the_first_call_there_is_no_solution() -> None:
    with pytest.raises(adj.ModelError, match="not been called"):
        _ = rosenbrock().function("f").solution


def test_options_of_the_solves() -> None:
    m = sellar()
    assert m.function("f", method="anderson", tol=1e-8)([5.0, 2.0, 1.0]) == pytest.approx(m.solve()["f"], rel=1e-7)
    with pytest.raises(adj.AdjointError):
        m.function("f", method="newtom")
    with pytest.raises(adj.ModelError):
        m.function("f", tol=-1.0)
    with pytest.raises(adj.ConvergenceError):
        m.function("f", method="fixed-point", max_iterations=2)([5.0, 2.0, 1.0])


def test_functions_that_are_gone_leave_no_solves_behind() -> None:
    """A sweep over a parameter, or over versions of a model, does not pile up states."""
    m = sellar()
    gone = []
    for k in range(20):
        fun = m.function("f", wrt=["x"], values={"z1": 4.0 + k})
        fun([1.0])
        gone.append(weakref.ref(fun._shared))
        m.define(f"version_{k}", m["f"] + k)
    del fun
    gc.collect()
    assert sum(ref() is not None for ref in gone) <= 3


def test_a_function_is_pickled() -> None:
    """As multiprocessing does, for parallel optimizers."""
    m = sellar()
    fun = m.function("f", wrt=["z1", "x"], values={"z2": 1.0})
    v = np.array([4.0, 2.0])
    expected = fun(v), fun.jac(v)
    again = pickle.loads(pickle.dumps(fun))
    assert again(v) == pytest.approx(expected[0], rel=1e-14)
    np.testing.assert_allclose(again.jac(v), expected[1], rtol=1e-12)
    np.testing.assert_array_equal(again.x0, fun.x0)


def test_threads_may_call_one_function() -> None:
    fun = sellar().function("f", wrt=["z1", "x"])
    points = [np.array([3.0 + 0.1 * k, 1.0 + 0.05 * (k % 7)]) for k in range(60)]
    expected = [fun(p) for p in points], [fun.jac(p) for p in points]
    with ThreadPoolExecutor(8) as pool:
        np.testing.assert_allclose(list(pool.map(fun, points)), expected[0], rtol=1e-12)
        np.testing.assert_allclose(list(pool.map(fun.jac, points)), expected[1], rtol=1e-10)


# -- SciPy's routines --------------------------------------------------------------------------------------

GRADIENT = {"CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP"}
HESSIAN = {"Newton-CG", "dogleg", "trust-ncg", "trust-krylov", "trust-exact", "trust-constr"}


@pytest.mark.parametrize("method", ["Nelder-Mead", "Powell", "COBYLA", "COBYQA", *sorted(GRADIENT), *sorted(HESSIAN)])
def test_every_method_of_minimize(method: str) -> None:
    """A convex function with a coupled model inside, minimum by Newton's method."""
    m = adj.Program()
    x = m.input("x", [1.0, 1.5])
    y = m.unknown("y")
    m.define(y, 0.3 * np.sin(y) + x[0] + 0.5 * x[1])
    m.define("f", (x[0] - 2.0) ** 2 + (x[1] + 1.0) ** 2 + 0.2 * y**2)
    fun = m.function("f", wrt=["x"])
    keywords: dict[str, Any] = {"jac": fun.jac} if method in GRADIENT | HESSIAN else {}
    keywords |= {"hess": fun.hess} if method in HESSIAN else {}
    keywords |= {"tol": 1e-12} if method == "Nelder-Mead" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = so.minimize(fun, fun.x0, method=method, **keywords)
    best = fun.x0
    for _ in range(30):
        best = best - np.linalg.solve(fun.hess(best), fun.jac(best))
    np.testing.assert_allclose(result.x, best, atol=2e-4)
    assert result.fun == pytest.approx(fun(best), rel=1e-6)


def test_hessian_products_in_minimize() -> None:
    fun = rosenbrock(20).function("f")
    result = so.minimize(fun, fun.x0, jac=fun.jac, hessp=fun.hessp, method="trust-krylov")
    np.testing.assert_allclose(result.x, np.ones(20), atol=1e-5)


def test_nonlinear_constraints_with_exact_hessians() -> None:
    m = sellar()
    names = ["z1", "z2", "x"]
    fun, con = m.function("f", wrt=names), m.function(["y1", "y2"], wrt=names)
    constraint = so.NonlinearConstraint(con, [3.16, -np.inf], [np.inf, 24.0], jac=con.jac, hess=con.hess)
    result = so.minimize(
        fun,
        fun.x0,
        jac=fun.jac,
        hess=fun.hess,
        method="trust-constr",
        constraints=[constraint],
        bounds=[(-10, 10), (0, 10), (0, 10)],
    )
    assert result.fun == pytest.approx(3.18339395, rel=1e-4)


def test_roots_and_least_squares() -> None:
    fun = rosenbrock(2).function("r")
    np.testing.assert_allclose(so.root(fun, fun.x0, jac=fun.jac).x, [1.0, 1.0], rtol=1e-10)
    np.testing.assert_allclose(so.least_squares(fun, fun.x0, jac=fun.jac).x, [1.0, 1.0], rtol=1e-8)
    large = rosenbrock(100).function("r", sparse=True)
    result = so.least_squares(large, large.x0, jac=large.jac, tr_solver="lsmr")
    assert result.cost < 1e-8 or result.success


def test_scalar_routines() -> None:
    m = sellar()
    fun = m.function("y2", wrt=["x"])
    root = so.brentq(lambda x: fun([x]) - 12.2, 0.0, 10.0)
    assert m.solve(x=root)["y2"] == pytest.approx(12.2)
    newton = so.root_scalar(lambda x: fun([x]) - 12.2, fprime=lambda x: fun.jac([x])[0], x0=1.0, method="newton")
    assert newton.root == pytest.approx(root)


@pytest.mark.parametrize("n", [5, 2000])
def test_the_solution_at_the_last_point(n: int) -> None:
    """A long vector is remembered by reference; a change of it in place is noticed."""
    m = adj.Program()
    m.define("f", np.sum(np.sin(m.input("x", np.linspace(0.1, 1.0, n)))))
    fun = m.function("f")
    v = fun.x0
    for call in (fun, fun.jac, fun.hess, lambda v: fun.hessp(v, np.ones(n))):
        call(v)
        np.testing.assert_array_equal(fun.solution["x"], v)
    fun(v)
    v[0] = 7.0
    if n > points.LONG:
        with pytest.raises(adj.ModelError, match="changed in place"):
            fun.solution
        assert fun(v) == fun.solution["f"]
    else:
        assert fun.solution["x"][0] == 0.1
