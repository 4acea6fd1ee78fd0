"""Nonlinear programs written by hand, with their answers: arrays and functions, no models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from adjoint.errors import EvaluationError
from adjoint.optimize.interior.finish import residuals

__all__ = ["CASES", "Case", "Program", "check_optimality"]


@dataclass
class Program:
    """A program of functions of ``x``; the Jacobian and Hessian are dense matrices, their patterns full.

    ``hess(x, sigma, y)`` is the Hessian of ``sigma f + yᵀc``; without it there are no second derivatives.
    """

    x0: Any
    f: Callable[[np.ndarray], float]
    grad: Callable[[np.ndarray], Any]
    hess: Callable[[np.ndarray, float, np.ndarray], Any] | None = None
    c: Callable[[np.ndarray], Any] | None = None
    jac: Callable[[np.ndarray], Any] | None = None
    lower: Any = -inf
    upper: Any = inf
    constraint_lower: Any = ()
    constraint_upper: Any = ()
    calls: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.x0 = np.array(self.x0, dtype=float)
        self.n = len(self.x0)
        self.lower, self.upper = (np.full(self.n, side, dtype=float) * 1.0 for side in (self.lower, self.upper))
        self.constraint_lower = np.array(self.constraint_lower, dtype=float)
        self.constraint_upper = np.array(self.constraint_upper, dtype=float)
        self.m = len(self.constraint_lower)
        grid = np.meshgrid(np.arange(self.m), np.arange(self.n), indexing="ij")
        self.jacobian_pattern = grid[0].ravel().astype(np.int32), grid[1].ravel().astype(np.int32)
        rows, cols = np.tril_indices(self.n)
        self.hessian_pattern = (rows.astype(np.int32), cols.astype(np.int32)) if self.hess is not None else None

    def objective(self, x: np.ndarray) -> float:
        self.calls += 1
        return float(_finite(self.f(x), "the objective"))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return _finite(self.grad(x), "the gradient")

    def constraints(self, x: np.ndarray) -> np.ndarray:
        return _finite(self.c(x), "a constraint") if self.c is not None else np.zeros(0)

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        return _finite(self.jac(x), "the Jacobian").reshape(-1) if self.jac is not None else np.zeros(0)

    def hessian(self, x: np.ndarray, sigma: float, y: np.ndarray) -> np.ndarray:
        assert self.hess is not None
        return _finite(self.hess(x, sigma, y), "the Hessian")[np.tril_indices(self.n)]

    def names(self) -> list[str]:
        return [f"x[{i}]" for i in range(self.n)]

    def constraint_names(self) -> list[str]:
        return [f"row[{i}]" for i in range(self.m)]


def _finite(value: Any, what: str) -> np.ndarray:
    value = np.asarray(value, dtype=float)
    if not np.isfinite(value).all():
        raise EvaluationError(f"{what} is not finite")
    return value


@dataclass(frozen=True)
class Case:
    """A program and how a method must end on it; `f` and `x` where they are known."""

    make: Callable[[], Program]
    status: tuple[str, ...] = ("optimal",)
    f: float | None = None
    x: Any = None
    y: Any = None


def check_optimality(program: Any, outcome: Any, tolerance: float = 1e-5) -> None:
    """The conditions of an optimum, from the program's own functions."""
    fixed = np.flatnonzero(program.lower == program.upper)
    multipliers = outcome.y, outcome.z_lower.copy(), outcome.z_upper.copy()
    found, _ = residuals(program, outcome.x, multipliers, fixed)
    size = max(1.0, *(float(np.abs(v).max(initial=0.0)) for v in multipliers))
    assert max(found.values()) <= tolerance * size
    assert (outcome.z_lower >= 0.0).all() and (outcome.z_upper >= 0.0).all()
    assert (outcome.x >= program.lower).all() and (outcome.x <= program.upper).all()


Z2, Z3 = np.zeros((2, 2)), np.zeros((3, 3))


def _linear(gradient: Any) -> tuple[Callable, Callable]:
    g = np.array(gradient, dtype=float)
    return (lambda x: g @ x), (lambda x: g)


def _quadratic(Q: Any, g: Any) -> tuple[Callable, Callable]:
    Q, g = np.array(Q, dtype=float), np.array(g, dtype=float)
    return (lambda x: 0.5 * x @ Q @ x + g @ x), (lambda x: Q @ x + g)


def quadratic(Q: Any, g: Any, x0: Any, A: Any = None, **sides: Any) -> Program:
    """½ xᵀQx + gᵀx with rows A x."""
    f, grad = _quadratic(Q, g)
    Q = np.array(Q, dtype=float)
    rows = {}
    if A is not None:
        A = np.array(A, dtype=float)
        rows = {"c": lambda x: A @ x, "jac": lambda x: A}
    return Program(x0, f, grad, lambda x, sigma, y: sigma * Q, **rows, **sides)


def hs071(hessian: bool = True, **changes: Any) -> Program:
    """Hock and Schittkowski, problem 71."""

    def f(x):
        return x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2]

    def grad(x):
        total = x[0] + x[1] + x[2]
        return [x[3] * (total + x[0]), x[0] * x[3], x[0] * x[3] + 1.0, x[0] * total]

    def hess(x, sigma, y):
        H = np.zeros((4, 4))
        H[0, 0] = 2.0 * x[3]
        H[0, 1] = H[0, 2] = x[3]
        H[0, 3] = 2.0 * x[0] + x[1] + x[2]
        H[1, 3] = H[2, 3] = x[0]
        H = sigma * (H + np.triu(H, 1).T)
        prod = np.prod(x)
        for i in range(4):
            for j in range(4):
                H[i, j] += y[0] * prod / (x[i] * x[j]) if i != j else 2.0 * y[1]
        return H

    def jac(x):
        return [np.prod(x) / x, 2.0 * x]

    given = {"lower": 1.0, "upper": 5.0, "constraint_lower": [25.0, 40.0], "constraint_upper": [inf, 40.0]} | changes
    return Program(
        [1.0, 5.0, 5.0, 1.0], f, grad, hess if hessian else None, lambda x: [np.prod(x), x @ x], jac, **given
    )


def rosenbrock(n: int = 2, hessian: bool = True, **sides: Any) -> Program:
    """The chain of Rosenbrock's functions."""

    def f(x):
        return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    def grad(x):
        g = np.zeros(n)
        t = x[1:] - x[:-1] ** 2
        g[1:] += 200.0 * t
        g[:-1] += -400.0 * x[:-1] * t - 2.0 * (1.0 - x[:-1])
        return g

    def hess(x, sigma, y):
        H = np.zeros((n, n))
        k = np.arange(n - 1)
        H[k, k] += -400.0 * (x[1:] - 3.0 * x[:-1] ** 2) + 2.0
        H[k + 1, k + 1] += 200.0
        H[k + 1, k] = H[k, k + 1] = -400.0 * x[:-1]
        return sigma * H

    start = np.where(np.arange(n) % 2 == 0, -1.2, 1.0)
    return Program(start, f, grad, hess if hessian else None, **sides)


def circle(g: Any, x0: Any, low: float, high: float, hessian: bool = True, radius: float = 1.0, **more: Any) -> Program:
    """gᵀx with low ≤ |x|² − radius² ≤ high."""
    f, grad = _linear(g)
    return Program(
        x0,
        f,
        grad,
        (lambda x, sigma, y: 2.0 * y[0] * np.eye(len(x))) if hessian else None,
        lambda x: [x @ x - radius**2],
        lambda x: [2.0 * x],
        constraint_lower=[low],
        constraint_upper=[high],
        **more,
    )


def hs013() -> Program:
    """Hock and Schittkowski, problem 13: no constraint qualification at the solution (1, 0)."""
    return Program(
        [-2.0, -2.0],
        lambda x: (x[0] - 2.0) ** 2 + x[1] ** 2,
        lambda x: [2.0 * (x[0] - 2.0), 2.0 * x[1]],
        lambda x, sigma, y: np.diag([2.0 * sigma + 6.0 * y[0] * (1.0 - x[0]), 2.0 * sigma]),
        lambda x: [(1.0 - x[0]) ** 3 - x[1]],
        lambda x: [[-3.0 * (1.0 - x[0]) ** 2, -1.0]],
        lower=0.0,
        constraint_lower=[0.0],
        constraint_upper=[inf],
    )


def wachter_biegler(x0: float = -2.0) -> Program:
    """The example of Wächter and Biegler (Math. Program. 88, 2000): line searches of Newton's method jam on it."""
    return Program(
        [x0, 3.0, 1.0],
        lambda x: x[0],
        lambda x: [1.0, 0.0, 0.0],
        lambda x, sigma, y: np.diag([2.0 * y[0], 0.0, 0.0]),
        lambda x: [x[0] ** 2 - x[1] - 1.0, x[0] - x[2] - 0.5],
        lambda x: [[2.0 * x[0], -1.0, 0.0], [1.0, 0.0, -1.0]],
        lower=[-inf, 0.0, 0.0],
        constraint_lower=[0.0, 0.0],
        constraint_upper=[0.0, 0.0],
    )


def logarithm(x0: float, upper: float = inf) -> Program:
    """x − log x, which ends at 0."""

    def f(x):
        with np.errstate(all="ignore"):
            return x[0] - np.log(x[0])

    def grad(x):
        return [1.0 - 1.0 / x[0]]

    return Program([x0], f, grad, lambda x, sigma, y: [[sigma / x[0] ** 2]], upper=upper)


def root(x0: float) -> Program:
    """sqrt(x) ≥ 1 with x as small as possible; not defined below 0."""

    def c(x):
        with np.errstate(all="ignore"):
            return np.sqrt(x)

    f, grad = _quadratic([[2.0]], [0.0])
    return Program(
        [x0],
        f,
        grad,
        lambda x, sigma, y: [[2.0 * sigma - 0.25 * y[0] * x[0] ** -1.5]],
        c,
        lambda x: [[0.5 * x[0] ** -0.5]],
        constraint_lower=[1.0],
        constraint_upper=[inf],
    )


def pair(c: Callable, jac: Callable, hess: Callable, low: Any, high: Any, x0: Any = (0.5, 0.5), **more: Any) -> Program:
    """x0² + x1² under two-variable rows."""
    f, grad = _quadratic(2.0 * np.eye(2), [0.0, 0.0])
    return Program(
        x0,
        f,
        grad,
        lambda x, sigma, y: 2.0 * sigma * np.eye(2) + hess(x, y),
        c,
        jac,
        constraint_lower=low,
        constraint_upper=high,
        **more,
    )


def linear_rows(A: Any, low: Any, high: Any, **more: Any) -> Program:
    """x0² + x1² under linear rows."""
    A = np.array(A, dtype=float)
    return pair(lambda x: A @ x, lambda x: A, lambda x, y: Z2, low, high, **more)


def powell_degenerate() -> Program:
    """Two equalities with the same gradient at their common point."""
    return pair(
        lambda x: [x[0] ** 2 + (x[1] - 1.0) ** 2 - 1.0, x[0] ** 2 + (x[1] - 2.0) ** 2 - 4.0],
        lambda x: [[2.0 * x[0], 2.0 * (x[1] - 1.0)], [2.0 * x[0], 2.0 * (x[1] - 2.0)]],
        lambda x, y: 2.0 * (y[0] + y[1]) * np.eye(2),
        [0.0, 0.0],
        [0.0, 0.0],
    )


def complementarity() -> Program:
    """(x0 − 1)² + (x1 − 2)² with 0 ≤ x0 ⊥ x1 ≥ 0: no interior."""
    f, grad = _quadratic(2.0 * np.eye(2), [-2.0, -4.0])
    return Program(
        [0.5, 0.4],
        f,
        grad,
        lambda x, sigma, y: 2.0 * sigma * np.eye(2) + y[0] * np.array([[0.0, 1.0], [1.0, 0.0]]),
        lambda x: [x[0] * x[1]],
        lambda x: [[x[1], x[0]]],
        lower=0.0,
        constraint_lower=[-inf],
        constraint_upper=[0.0],
    )


FAR = ("infeasible",)
I2 = np.eye(2)

CASES: dict[str, Case] = {
    # -- ordinary ------------------------------------------------------------------------------------------
    "hs071": Case(hs071, f=17.0140172891563, x=[1.0, 4.7429994, 3.8211503, 1.3794082], y=[-0.55229366, 0.16146857]),
    "hs071 without second derivatives": Case(lambda: hs071(hessian=False), f=17.0140172891563),
    "rosenbrock": Case(rosenbrock, f=0.0, x=[1.0, 1.0]),
    "rosenbrock chain": Case(lambda: rosenbrock(51), f=None),
    "rosenbrock chain without second derivatives": Case(lambda: rosenbrock(10, hessian=False), f=0.0),
    "rosenbrock in a box": Case(lambda: rosenbrock(2, lower=-2.0, upper=0.5), f=0.25, x=[0.5, 0.25]),
    "quadratic, no constraints": Case(lambda: quadratic(2.0 * I2, [-2.0, -4.0], [0.0, 0.0]), f=-5.0, x=[1.0, 2.0]),
    "linear program": Case(
        lambda: quadratic(
            Z2,
            [-3.0, -2.0],
            [0.0, 0.0],
            [[1.0, 1.0], [1.0, 3.0]],
            lower=0.0,
            upper=[3.0, inf],
            constraint_lower=[-inf, -inf],
            constraint_upper=[4.0, 6.0],
        ),
        f=-11.0,
        x=[3.0, 1.0],
    ),
    "two-sided row": Case(lambda: circle([1.0, 1.0], [0.5, 0.1], -0.5, 0.0), f=-np.sqrt(2.0)),
    "two-sided row, no second derivatives": Case(
        lambda: circle([1.0, 1.0], [0.5, 0.1], -0.5, 0.0, hessian=False), f=-np.sqrt(2.0)
    ),
    "equality on a circle": Case(lambda: circle([1.0, 0.0], [0.5, 0.8], 0.0, 0.0), f=-1.0, x=[-1.0, 0.0], y=[0.5]),
    "a local minimum of the violation": Case(wachter_biegler, ("infeasible",), x=[-1.0, 0.0, 0.0]),
    "the same from its other side": Case(lambda: wachter_biegler(0.2), f=1.0, x=[1.0, 0.0, 0.5]),
    "fixed variable": Case(lambda: hs071(lower=[1.0, 1.0, 3.0, 1.0], upper=[5.0, 5.0, 3.0, 5.0]), x=None, f=None),
    "free row": Case(
        lambda: linear_rows([[1.0, 1.0], [1.0, -1.0]], [1.0, -inf], [inf, inf]), f=0.5, x=[0.5, 0.5], y=[-1.0, 0.0]
    ),
    "all variables fixed": Case(
        lambda: linear_rows(I2, [0.0, 0.0], [2.0, 2.0], lower=1.0, upper=1.0), f=2.0, x=[1.0, 1.0]
    ),
    "square system": Case(
        lambda: Program(
            [2.0, 2.0],
            lambda x: 0.0,
            lambda x: [0.0, 0.0],
            lambda x, s, y: 2.0 * y[0] * I2,
            lambda x: [x @ x - 2.0, x[0] - x[1]],
            lambda x: [2.0 * x, [1.0, -1.0]],
            constraint_lower=[0.0, 0.0],
            constraint_upper=[0.0, 0.0],
        ),
        f=0.0,
        x=[1.0, 1.0],
    ),
    "badly scaled": Case(
        lambda: quadratic([[2e8, 0.0], [0.0, 2e-2]], [-2e8, -2e-2], [30.0, -10.0]), x=[1.0, 1.0], f=-1e8 - 1e-2
    ),
    # -- degenerate ----------------------------------------------------------------------------------------
    "no constraint qualification (hs013)": Case(hs013, ("optimal", "acceptable"), f=1.0),
    "a row twice": Case(lambda: linear_rows([[1.0, 1.0], [1.0, 1.0]], [1.0, 1.0], [1.0, 1.0]), f=0.5, x=[0.5, 0.5]),
    "dependent rows, consistent": Case(
        lambda: linear_rows([[1.0, 1.0], [2.0, 2.0], [1.0, -1.0]], [1.0, 2.0, 0.0], [1.0, 2.0, 0.0]), x=[0.5, 0.5]
    ),
    "more equalities than variables, consistent": Case(
        lambda: linear_rows([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), x=[1.0, 2.0], f=5.0
    ),
    "two equalities tangent": Case(powell_degenerate, ("optimal", "acceptable"), f=0.0),
    "no interior: a range of width zero by two rows": Case(
        lambda: linear_rows([[1.0, 1.0], [1.0, 1.0]], [1.0, -inf], [inf, 1.0]), ("optimal", "acceptable"), f=0.5
    ),
    "no interior: bounds and rows meet": Case(
        lambda: linear_rows([[1.0, 1.0]], [2.0], [inf], upper=1.0), ("optimal", "acceptable"), f=2.0, x=[1.0, 1.0]
    ),
    "no interior: complementarity": Case(complementarity, ("optimal", "acceptable"), f=-4.0, x=[0.0, 2.0]),
    "a row without variables that holds": Case(
        lambda: linear_rows([[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0], [1.0, 0.0]), f=0.5
    ),
    "singular Hessian": Case(lambda: quadratic([[2.0, 2.0], [2.0, 2.0]], [-2.0, -2.0], [3.0, 0.0]), f=-1.0),
    "saddle at the start": Case(
        lambda: Program(
            [0.0, 0.1],
            lambda x: x[0] ** 4 / 4 - x[0] ** 2 / 2 + x[1] ** 2,
            lambda x: [x[0] ** 3 - x[0], 2.0 * x[1]],
            lambda x, s, y: s * np.diag([3.0 * x[0] ** 2 - 1.0, 2.0]),
            lower=-0.5,
            upper=[2.0, 2.0],
        ),
        f=None,
    ),
    # -- functions that end --------------------------------------------------------------------------------
    "logarithm": Case(lambda: logarithm(0.1), f=1.0, x=[1.0]),
    "logarithm from afar": Case(lambda: logarithm(50.0), f=1.0, x=[1.0]),
    "square root in a row": Case(lambda: root(0.01), f=1.0, x=[1.0]),
    "not a number at the start": Case(lambda: logarithm(-1.0), ("evaluation_error",)),
    "not a number at the start, a row": Case(lambda: root(-1.0), ("evaluation_error",)),
    # -- infeasible ----------------------------------------------------------------------------------------
    "rows that contradict": Case(lambda: linear_rows([[1.0, 1.0], [1.0, 1.0]], [1.0, 3.0], [1.0, 3.0]), FAR),
    "inequalities that contradict": Case(lambda: linear_rows([[1.0, 1.0], [1.0, 1.0]], [-inf, 3.0], [1.0, inf]), FAR),
    "a bound against a row": Case(lambda: linear_rows([[1.0, 1.0]], [3.0], [inf], lower=0.0, upper=1.0), FAR),
    "a circle of imaginary radius": Case(lambda: circle([1.0, 0.0], [0.7, 0.3], -2.0, -2.0), FAR),
    "bounds that cross": Case(lambda: rosenbrock(2, lower=[0.0, 2.0], upper=[1.0, 1.0]), FAR),
    "sides that cross": Case(lambda: circle([1.0, 0.0], [0.5, 0.5], 1.0, 0.0), FAR),
    "fixed variables against a row": Case(lambda: linear_rows([[1.0, 1.0]], [5.0], [5.0], lower=1.0, upper=1.0), FAR),
    "more equalities than variables, contradicting": Case(
        lambda: linear_rows([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [1.0, 2.0, 4.0], [1.0, 2.0, 4.0]), FAR
    ),
    "a row without variables that fails": Case(
        lambda: linear_rows([[1.0, 1.0], [0.0, 0.0]], [1.0, 1.0], [1.0, 1.0]), FAR
    ),
    "infeasible without second derivatives": Case(
        lambda: circle([1.0, 0.0], [0.7, 0.3], -2.0, -2.0, hessian=False), FAR
    ),
    # -- unbounded -----------------------------------------------------------------------------------------
    "linear, no bounds": Case(lambda: quadratic(Z2, [-1.0, 0.0], [0.0, 0.0]), ("unbounded",)),
    "linear, one bound": Case(lambda: quadratic(Z2, [-1.0, 1.0], [1.0, 1.0], lower=0.0), ("unbounded",)),
    "concave": Case(lambda: quadratic(-2.0 * I2, [0.1, 0.0], [1.0, 1.0]), ("unbounded",)),
    "cubic": Case(
        lambda: Program([1.0], lambda x: x[0] ** 3, lambda x: [3.0 * x[0] ** 2], lambda x, s, y: [[6.0 * s * x[0]]]),
        ("unbounded", "optimal"),
    ),
    "unbounded along a row": Case(
        lambda: quadratic(Z2, [-1.0, -1.0], [0.0, 0.0], [[1.0, -1.0]], constraint_lower=[0.0], constraint_upper=[0.0]),
        ("unbounded",),
    ),
}
