"""Least squares: which objectives are sums of squares, and the methods on them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import adjoint as adj
from adjoint.expr import describe
from adjoint.optimize.least_squares import squares_of
from adjoint.optimize.least_squares.linearized import Dense, Sparse, bounded_step

OWN = ["gauss-newton", "levenberg-marquardt"]
METHODS = [*OWN, "least-squares"]

# -- what is a sum of squares --------------------------------------------------------------------------------

Build = Callable[[adj.Program, Any, Any, Any], Any]


def through_definitions(m: adj.Program, x: Any, w: Any, s: Any) -> Any:
    r = m.define("r", np.exp(x) - w)
    return m.define("g", np.sum(r**2)) + 3 * s**2


SQUARES: dict[str, Build] = {
    "dot product": lambda m, x, w, s: x @ x,
    "dot product with weights": lambda m, x, w, s: x @ (w * x),
    "mean": lambda m, x, w, s: np.mean((x - s) ** 2),
    "variance": lambda m, x, w, s: np.var(x),
    "norm": lambda m, x, w, s: np.linalg.norm(x - 1) ** 2 + s**2,
    "norm of rows": lambda m, x, w, s: np.sum(np.linalg.norm(np.outer(x, x), axis=1) ** 2),
    "Frobenius norm": lambda m, x, w, s: np.linalg.norm(np.outer(x, x)) ** 2,
    "weights and a constant": lambda m, x, w, s: np.sum(w * x**2) / 2 + 1.0,
    "weights by division": lambda m, x, w, s: np.sum(x**2 / w),
    "weights by a product": lambda m, x, w, s: x**2 @ w,
    "weights of zero": lambda m, x, w, s: np.sum(x**2 * np.arange(3)),
    "weights by a condition": lambda m, x, w, s: np.where(w > 1.5, x**2, 2 * x**2).sum(),
    "product of squares": lambda m, x, w, s: np.sum(s**2 * x**2),
    "quotient of squares": lambda m, x, w, s: np.sum(x**2 / s**2),
    "fourth power": lambda m, x, w, s: s**4,
    "absolute value": lambda m, x, w, s: np.sum(abs(x) ** 2),
    "root": lambda m, x, w, s: np.sqrt(x @ x) ** 2,
    "Rosenbrock": lambda m, x, w, s: (1 - s) ** 2 + 100 * (x[0] - s**2) ** 2,
    "elements": lambda m, x, w, s: sum(xi**2 for xi in x),
    "sum of sums": lambda m, x, w, s: np.sum(np.outer(x, x) ** 2, axis=0).sum(),
    "definitions": through_definitions,
    "the same twice": lambda m, x, w, s: 2 * (s - 1) ** 2 + 3 * (s - 1) ** 2,
    "einsum": lambda m, x, w, s: np.einsum("i,i->", x, w * x),
    "one side": lambda m, x, w, s: np.sum(np.minimum(x - 1.0, 0) ** 2),
}
NO_SQUARES: dict[str, tuple[Build, str]] = {
    "linear": (lambda m, x, w, s: np.sum(x) + s**2, "the term x is no square"),
    "norm": (lambda m, x, w, s: np.linalg.norm(x), "norm2.x. is no square"),
    "negative": (lambda m, x, w, s: s**2 - x @ x, "wrong sign"),
    "odd power": (lambda m, x, w, s: s**3, "s"),
    "rounded": (lambda m, x, w, s: np.floor(s) + s**2, "floor.s. is no square"),
    "weight that is moved": (lambda m, x, w, s: np.sum(s * x**2), "no square"),
    "quadratic form": (lambda m, x, w, s: x @ (np.diag([1.0, 2.0, 3.0]) @ x), "no square"),
    "condition that is moved": (lambda m, x, w, s: np.where(s > 0, x**2, 2 * x**2).sum(), "no square"),
    "nothing moved": (lambda m, x, w, s: w @ w, "depends on nothing"),
}


def built(build: Build, sign: float = 1.0) -> adj.Problem:
    m = adj.Program()
    x, w, s = m.input("x", [1.0, 2.0, 3.0]), m.input("w", [1.0, 2.0, 1.5]), m.input("s", 2.0)
    objective = build(m, x, w, s)
    goal = {"minimize": objective} if sign > 0 else {"maximize": -objective}
    return adj.Problem(m, **goal, over=["x", "s"])


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["minimize", "maximize"])
@pytest.mark.parametrize("name", SQUARES)
def test_residuals_of_a_sum_of_squares(name: str, sign: float) -> None:
    problem = built(SQUARES[name], sign)
    program = problem.program.extended()
    program.define("sum", sum(np.sum(r**2) for r in squares_of(problem)))
    rng, left = np.random.default_rng(0), []
    for _ in range(3):
        at = {"x": rng.uniform(0.5, 2.0, 3), "s": rng.uniform(0.5, 2.0), "w": rng.uniform(1.0, 2.0, 3)}
        sol = program.solve(at)
        left.append(sign * sol[problem.objective.name] - sol["sum"])
    assert np.ptp(left) < 1e-12  # a constant


@pytest.mark.parametrize("name", NO_SQUARES)
def test_other_objectives_are_refused_with_the_term(name: str) -> None:
    build, words = NO_SQUARES[name]
    with pytest.raises(adj.ModelError, match=words):
        squares_of(built(build))


def test_a_maximum_of_squares_is_refused() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    problem = adj.Problem(m, maximize=x**2)
    with pytest.raises(adj.ModelError, match="maximization"):
        squares_of(problem)
    with pytest.raises(adj.ModelError, match=r"'gauss-newton'.*sum of squares"):
        problem.solve("gauss-newton")


def test_equal_squares_are_one_residual() -> None:
    found = squares_of(built(SQUARES["the same twice"]))
    assert [describe(r) for r in found] == ["2.23607 * (s - 1)"]


def test_unknowns_of_cycles_are_residuals_not_weights() -> None:
    """An unknown is determined by what is moved: its square is a residual, and it is not a weight."""
    m = adj.Program()
    x, y = m.input("x", 1.0), m.unknown("y", guess=1.0)
    m.constrain(y**3 + y == x + 3.0, name="cubic")
    problem = adj.Problem(m, minimize=(y - 1.0) ** 2 + 0.5 * (x - 1.0) ** 2)
    for method in METHODS:
        result = problem.solve(method, tol=1e-12)
        x, y = result.x[0], result.solution["y"]
        assert 2 * (y - 1) / (3 * y**2 + 1) + (x - 1) == pytest.approx(0.0, abs=1e-7), method
        assert result.residuals().largest < 1e-6
    with pytest.raises(adj.ModelError, match="no square"):
        squares_of(adj.Problem(m, minimize=y * x**2))


# -- certified results -----------------------------------------------------------------------------------------

E = np.exp
NIST: dict[str, Callable[[Any, Any], Any]] = {
    "Chwirut1": lambda b, x: E(-b[0] * x) / (b[1] + b[2] * x),
    "Chwirut2": lambda b, x: E(-b[0] * x) / (b[1] + b[2] * x),
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "Gauss1": lambda b, x: (
        b[0] * E(-b[1] * x) + b[2] * E(-((x - b[3]) ** 2) / b[4] ** 2) + b[5] * E(-((x - b[6]) ** 2) / b[7] ** 2)
    ),
    "Kirby2": lambda b, x: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Lanczos3": lambda b, x: b[0] * E(-b[1] * x) + b[2] * E(-b[3] * x) + b[4] * E(-b[5] * x),
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * E(b[1] / (x + b[2])),
    "Misra1a": lambda b, x: b[0] * (1 - E(-b[1] * x)),
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2.0),
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
}
NIST["Gauss2"] = NIST["Gauss1"]
DIGITS = {"gauss-newton": 9.0, "levenberg-marquardt": 9.0, "least-squares": 6.5}
# Far starts from which a method need not find the certified point: undamped steps, and one where the model vanishes.
FAR = {("gauss-newton", "MGH09", 0), ("gauss-newton", "MGH10", 0), ("levenberg-marquardt", "MGH10", 0)}


def nist(folder: Path, name: str) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """Two starts and the certified parameters; the certified sum; the data."""
    text = (folder / "nist_strd" / f"{name}.dat").read_text()
    rows = re.findall(r"^\s*b\d+\s*=\s+(\S+)\s+(\S+)\s+(\S+)\s+\S+\s*$", text, re.MULTILINE)
    total = re.search(r"Residual Sum of Squares:\s+(\S+)", text)
    assert total is not None
    lines = text.split("Data:")[-1].splitlines()[1:]
    y, x = np.array([[float(v) for v in line.split()] for line in lines if line.strip()]).T
    return np.array(rows, dtype=float).T, float(total[1]), y, x


@pytest.mark.parametrize("name", NIST)
def test_certified_regressions(name: str, data: Path) -> None:
    """Statistical Reference Datasets of NIST; SciPy's ends by its own tolerances."""
    (first, second, certified), total, y, x = nist(data, name)
    m = adj.Program(name)
    b = m.input("b", first)
    problem = adj.Problem(m, minimize=np.sum((y - NIST[name](b, x)) ** 2))
    for method in METHODS:
        more: dict[str, Any] = {"options": {"x_scale": "jac", "max_nfev": 2000}, "tol": 1e-14}
        for k, start in enumerate((first, second)):
            if (method, name, k) in FAR:
                continue
            result = problem.solve(method, start={"b": start}, **(more if method == "least-squares" else {}))
            assert result.success, (method, k, result.message)
            assert result.fun == pytest.approx(total, rel=1e-9)
            assert np.max(np.abs(result.x / certified - 1)) < 10.0 ** -DIGITS[method], (method, k)


# -- the linearized problem ------------------------------------------------------------------------------------


def sparse_matrix(rng: np.random.Generator, m: int, n: int) -> Any:
    J = sp.random_array((m, n), density=0.2, rng=rng, format="csr") + sp.csr_array(np.eye(m, n))
    J.sort_indices()
    return J


def test_dense_and_sparse_give_the_same_steps() -> None:
    rng = np.random.default_rng(3)
    J, r = sparse_matrix(rng, 30, 12), rng.standard_normal(30)
    scale = np.sqrt((J * J).sum(axis=0))
    dense, sparse = Dense(J.toarray(), r, scale), Sparse(J, r, scale, Sparse.solver(J))
    free = np.arange(12) % 4 != 0
    for damping in (0.0, 1e-3, 10.0):
        held = np.where(free, 0.0, 0.3)
        a, b = dense.solve(damping, free, held), sparse.solve(damping, free, held)
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)
        np.testing.assert_array_equal(a[~free], 0.3)
        slope = J.T @ (r + J @ a) + damping * scale**2 * a
        np.testing.assert_allclose(slope[free], 0.0, atol=1e-11)
        second = rng.standard_normal(30)
        c, d = dense.curved(damping, second), sparse.curved(damping, second)
        np.testing.assert_allclose(c, d, rtol=1e-5, atol=1e-7)
        step = bounded_step(dense, damping, free, np.full(12, -0.05), np.full(12, 0.02))
        assert (step >= -0.05).all() and (step <= 0.02).all()


# -- problems ----------------------------------------------------------------------------------------------------


def regression(n: int = 5, noise: float = 0.05) -> tuple[adj.Problem, np.ndarray]:
    """A sum of exponentials; the rates are bounded."""
    rng = np.random.default_rng(1)
    t = np.linspace(0, 4, 40)
    truth = np.array([2.0, 0.7, 1.0])
    y = truth[0] * np.exp(-truth[1] * t) + truth[2] + noise * rng.standard_normal(t.size)
    m = adj.Program()
    b = m.input("b", [1.0, 0.2, 0.0])
    return adj.Problem(m, minimize=0.5 * np.sum((b[0] * np.exp(-b[1] * t) + b[2] - y) ** 2)), truth


@pytest.mark.parametrize("linear_solver", ["auto", "dense", "sparse"])
@pytest.mark.parametrize("method", OWN)
def test_linear_solvers(method: str, linear_solver: str) -> None:
    problem, _ = regression()
    best = problem.solve("BFGS", options={"gtol": 1e-9})
    result = problem.solve(method, options={"linear_solver": linear_solver})
    assert result.status == "optimal" and result.offset < 1e-6
    np.testing.assert_allclose(result.x, best.x, rtol=1e-6)
    assert result.nit < 20
    assert result.residuals().largest < 1e-7


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bounds", [(0.0, [1.8, 9.0, 9.0]), ([0.0, 0.9, 0.0], 9.0), ([1.9, 0.0, 1.2], [2.0, 0.5, 1.3])])
def test_bounds(bounds: tuple[Any, Any], method: str) -> None:
    """The optimum between bounds, and their multipliers, as the interior-point method finds them."""
    free, _ = regression()
    objective = free.program.equations[free.objective.name].expr
    problem = adj.Problem(free.program, minimize=objective, over={"b": bounds})
    reference = problem.solve("interior-point")
    result = problem.solve(method, tol=1e-12)
    assert result.success, result.message
    np.testing.assert_allclose(result.x, reference.x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result.multipliers["b"], reference.multipliers["b"], rtol=1e-3, atol=1e-5)
    assert np.abs(result.multipliers["b"]).max() > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_fixed_variables(method: str) -> None:
    free, _ = regression()
    objective = free.program.equations[free.objective.name].expr
    problem = adj.Problem(free.program, minimize=objective, over={"b": ([0.0, 0.7, 0.0], [9.0, 0.7, 9.0])})
    result = problem.solve(method)
    assert result.success and result.x[1] == 0.7
    assert abs(result.solution.gradient(problem.objective.name, "b")[[0, 2]]).max() < 1e-5
    fixed = adj.Problem(free.program, minimize=objective, over={"b": ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])})
    assert fixed.solve(method).x.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("method", OWN)
def test_many_variables(method: str) -> None:
    """A smoothed signal of 400 variables: sparse factors."""
    n, rng = 400, np.random.default_rng(5)
    y = np.sin(np.linspace(0, 6, n)) + 0.1 * rng.standard_normal(n)
    m = adj.Program()
    x = m.input("x", np.zeros(n))
    m.define("f", np.sum((np.sinh(x) - y) ** 2) + 30.0 * np.sum((x[1:] - x[:-1]) ** 2))
    problem = adj.Problem(m, minimize="f", over={"x": (-0.6, 0.6)})
    result = problem.solve(method)
    assert result.status == "optimal", result.message
    assert result.residuals().dual < 1e-6 and result.nit < 40
    assert np.sum(np.abs(result.x) == 0.6) > 10
    assert result.fun == pytest.approx(problem.solve("interior-point").fun, rel=1e-6)
    solver = problem.kept["least squares"][2]["solver"]
    assert problem.solve(method, start=result).nit <= 2
    assert problem.kept["least squares"][2]["solver"] is solver


@pytest.mark.parametrize("method", METHODS)
def test_rank_deficient(method: str) -> None:
    """Only the sum of the two matters: any point on the line is a solution."""
    m = adj.Program()
    x = m.input("x", [1.0, 2.0])
    m.define("f", np.sum((np.exp(x[0] + x[1]) * np.arange(1.0, 4.0) - 2.0) ** 2))
    result = adj.Problem(m, minimize="f").solve(method)
    assert result.success
    assert np.exp(result.x.sum()) == pytest.approx(12.0 / 14.0, rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_residuals_that_vanish(method: str) -> None:
    m = adj.Program()
    x = m.input("x", [-1.2, 1.0])
    m.define("f", (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2)
    result = adj.Problem(m, minimize="f").solve(method)
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-9)
    if method in OWN:
        assert "vanish" in result.message


@pytest.mark.parametrize("method", METHODS)
def test_steps_out_of_the_domain_are_taken_back(method: str) -> None:
    m = adj.Program()
    x = m.input("x", 30.0)
    m.define("f", np.sum((np.log(x) - np.array([-1.0, 0.2])) ** 2))
    result = adj.Problem(m, minimize="f").solve(method)
    assert result.success
    assert result.x[0] == pytest.approx(np.exp(-0.4), rel=1e-6)
    assert result.failed_solves if method in OWN else True


@pytest.mark.parametrize("method", METHODS)
def test_a_start_without_a_value_raises(method: str) -> None:
    m = adj.Program()
    x = m.input("x", -1.0)
    m.define("f", np.log(x) ** 2)
    with pytest.raises(adj.EvaluationError):
        adj.Problem(m, minimize="f").solve(method)


def test_powell_singular() -> None:
    """The Jacobian is singular at the solution: linear convergence, to zero."""
    m = adj.Program()
    x = m.input("x", [3.0, -1.0, 0.0, 1.0])
    a, b = x[0] + 10 * x[1], x[2] - x[3]
    m.define("f", a**2 + 5 * b**2 + (x[1] - 2 * x[2]) ** 4 + 10 * (x[0] - x[3]) ** 4)
    for method in OWN:
        result = adj.Problem(m, minimize="f").solve(method)
        assert result.status == "optimal" and np.abs(result.x).max() < 1e-6


# -- limits, callbacks, options ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", OWN)
def test_limits(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    problem, _ = regression()
    result = problem.solve(method, options={"max_iter": 2, "print_level": 5})
    assert result.status == "iteration_limit" and not result.success and result.nit == 2
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert problem.solve(method, options={"max_wall_time": 0.0}).status == "time_limit"
    assert [h.iteration for h in result.history] == [1, 2]
    assert result.history[1].sum_of_squares < result.history[0].sum_of_squares


@pytest.mark.parametrize("stop", [True, StopIteration])
@pytest.mark.parametrize("method", METHODS)
def test_callback_stops(method: str, stop: Any) -> None:
    problem, _ = regression()
    seen: list[Any] = []

    def callback(intermediate_result: Any) -> Any:
        seen.append(intermediate_result)
        if len(seen) == 2:
            if stop is StopIteration:
                raise StopIteration
            return True
        return None

    result = problem.solve(method, callback=callback)
    assert result.status == "stopped" and not result.success and len(seen) == 2
    np.testing.assert_array_equal(result.x, seen[-1].x)
    assert 2 * problem.program.solve({"b": seen[-1].x})[problem.objective.name] == pytest.approx(2 * seen[-1].fun)


@pytest.mark.parametrize("method", METHODS)
def test_wrong_options_are_named(method: str) -> None:
    problem, _ = regression()
    with pytest.raises(adj.ModelError, match="no option named"):
        problem.solve(method, options={"max_iterations": 3})
    m = adj.Program()
    x = m.input("x", 1.0)
    constrained = adj.Problem(m, minimize=x**2, subject_to=[x >= 0.5])
    with pytest.raises(adj.ModelError, match=f"{method}.*takes no constraints"):
        constrained.solve(method)


def test_minpack_takes_no_bounds() -> None:
    problem, _ = regression()
    assert problem.solve("least-squares", options={"method": "lm"}).success
    objective = problem.program.equations[problem.objective.name].expr
    bounded = adj.Problem(problem.program, minimize=objective, over={"b": (0, 9)})
    assert bounded.solve("least-squares", options={"method": "dogbox"}).success
    with pytest.raises(adj.ModelError, match="takes no bounds"):
        bounded.solve("least-squares", options={"method": "lm"})


def test_values_and_previous_results() -> None:
    """Data are inputs that are not moved: other data, the same compiled residuals."""
    t = np.linspace(0, 2, 20)
    m = adj.Program()
    b, y = m.input("b", [1.0, 0.0]), m.input("y", np.ones(20))
    problem = adj.Problem(m, minimize=np.sum((b[0] * np.exp(b[1] * t) - y) ** 2), over=["b"])
    previous = None
    for rate in (0.5, 0.6, 0.7):
        previous = problem.solve("levenberg-marquardt", values={"y": 2 * np.exp(rate * t)}, start=previous)
        np.testing.assert_allclose(previous.x, [2.0, rate], rtol=1e-8)
        assert previous.fun < 1e-20
