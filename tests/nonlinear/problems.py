"""Small systems with exact Jacobians, their starting points and roots, to test the nonlinear methods on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from adjoint.linear.auto import make_solver

Vector = np.ndarray


@dataclass
class Problem:
    """A ``System`` made of two functions, with the start and, where it is known, the root.

    It counts its calls; `jacobian` gives a 2-D array, or a CSC matrix whose pattern does not change.
    """

    name: str
    start: Vector
    fun: Callable[[Vector], Any]
    jac: Callable[[Vector], Any]
    root: Vector | None = None
    gauss_seidel: Callable[[Vector], Vector] | None = None
    lower: Vector | None = None
    upper: Vector | None = None
    components: Vector | None = None
    calls: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("residual", "linearize", "factor"), 0))

    def __post_init__(self) -> None:
        self.start = np.array(self.start, dtype=float)
        self.size = self.start.size
        with np.errstate(all="ignore"):
            J = self._matrix(self.start)
        self._solver = make_solver(self.size if isinstance(J, np.ndarray) else J)

    def _matrix(self, u: Vector) -> Any:
        J = self.jac(u)
        return J if sp.issparse(J) else np.array(J, dtype=float)

    def residual(self, u: Vector) -> Vector:
        self.calls["residual"] += 1
        with np.errstate(all="ignore"):
            return np.array(self.fun(u), dtype=float)

    def linearize(self, u: Vector) -> tuple[Vector, Any]:
        self.calls["linearize"] += 1
        with np.errstate(all="ignore"):
            return np.array(self.fun(u), dtype=float), self._matrix(u)

    def factor(self, J: Any) -> Any:
        self.calls["factor"] += 1
        return self._solver.factor(J)

    def sweep(self, u: Vector) -> Vector | None:
        if self.gauss_seidel is None:
            return None
        with np.errstate(all="ignore"):
            return np.array(self.gauss_seidel(u), dtype=float)

    def jvp(self, u: Vector, du: Vector) -> Vector:
        with np.errstate(all="ignore"):
            return self._matrix(u) @ du


# -- coupled explicit equations ----------------------------------------------------------------------------


def sellar(start: Any = (1.0, 1.0)) -> Problem:
    """Sellar, Batill & Renaud 1996, at z = (5, 2), x = 1."""

    def sweep(u: Vector) -> Vector:
        y1 = 25.0 + 2.0 + 1.0 - 0.2 * u[1]
        return np.array([y1, np.sqrt(y1) + 7.0])

    return Problem(
        "sellar",
        start,
        lambda u: [u[0] - (28.0 - 0.2 * u[1]), u[1] - (np.sqrt(u[0]) + 7.0)],
        lambda u: [[1.0, 0.2], [-0.5 / np.sqrt(u[0]), 1.0]],
        np.array([25.588302369878, 12.058488150612]),
        sweep,
    )


def tanh_loop() -> Problem:
    """z1 = tanh(z2 / 2 + x), z2 = 0.8 sin z1 + 0.1 x at x = 0.7."""

    def sweep(u: Vector) -> Vector:
        z1 = np.tanh(0.5 * u[1] + 0.7)
        return np.array([z1, 0.8 * np.sin(z1) + 0.07])

    return Problem(
        "tanh loop",
        [0.0, 0.0],
        lambda u: [u[0] - np.tanh(0.5 * u[1] + 0.7), u[1] - 0.8 * np.sin(u[0]) - 0.07],
        lambda u: [[1.0, -0.5 / np.cosh(0.5 * u[1] + 0.7) ** 2], [-0.8 * np.cos(u[0]), 1.0]],
        np.array([0.7668090380739211, 0.6250726982380679]),
        sweep,
    )


def oscillating() -> Problem:
    """y = 4 - 1.8 x, x = y / 2 + 0.1 sin y: each sweep overshoots; relaxation helps."""

    def sweep(u: Vector) -> Vector:
        x = 0.5 * u[1] + 0.1 * np.sin(u[1])
        return np.array([x, 4.0 - 1.8 * x])

    return Problem(
        "oscillating",
        [1.0, 1.0],
        lambda u: [u[0] - 0.5 * u[1] - 0.1 * np.sin(u[1]), u[1] - 4.0 + 1.8 * u[0]],
        lambda u: [[1.0, -0.5 - 0.1 * np.cos(u[1])], [1.8, 1.0]],
        None,
        sweep,
    )


def diverging_sweep() -> Problem:
    """x = 3 - y, y = x^2: Gauss-Seidel runs away from the root ((sqrt(13) - 1) / 2, y = x^2)."""

    def sweep(u: Vector) -> Vector:
        x = 3.0 - u[1]
        return np.array([x, x * x])

    x = 0.5 * (np.sqrt(13.0) - 1.0)
    return Problem(
        "diverging sweep",
        [2.0, 1.0],
        lambda u: [u[0] + u[1] - 3.0, u[1] - u[0] ** 2],
        lambda u: [[1.0, 1.0], [-2.0 * u[0], 1.0]],
        np.array([x, x * x]),
        sweep,
    )


def grid(n: int = 20) -> Problem:
    """u_i = (u_{i-1} + u_{i+1}) / 2.2 + 1 / (2 + u_i^2): a chain, slow for sweeps, sparse."""

    def ends(u: Vector) -> Vector:
        return np.concatenate([[0.0], u[:-1]]) + np.concatenate([u[1:], [0.0]])

    def sweep(u: Vector) -> Vector:
        v = np.concatenate([[0.0], u, [0.0]])
        for i in range(1, n + 1):
            v[i] = (v[i - 1] + v[i + 1]) / 2.2 + 1.0 / (2.0 + v[i] ** 2)
        return v[1:-1]

    def jac(u: Vector) -> sp.csc_array:
        off = np.full(n - 1, -1.0 / 2.2)
        return tridiagonal(off, 1.0 + 2.0 * u / (2.0 + u * u) ** 2, off)

    return Problem("grid", np.zeros(n), lambda u: u - ends(u) / 2.2 - 1.0 / (2.0 + u * u), jac, None, sweep)


def tridiagonal(below: Vector, diagonal: Vector, above: Vector) -> sp.csc_array:
    """CSC with all three diagonals in the pattern, whatever their values."""
    n = diagonal.size
    rows = np.concatenate([np.arange(1, n), np.arange(n), np.arange(n - 1)])
    columns = np.concatenate([np.arange(n - 1), np.arange(n), np.arange(1, n)])
    return sp.csc_array((np.concatenate([below, diagonal, above]), (rows, columns)), shape=(n, n))


# -- engineering -------------------------------------------------------------------------------------------


def diode(start: Any = (10.0, 1e-3)) -> Problem:
    """A current source, two resistors and a diode (OpenMDAO's circuit), from V2 = 1e-3: exp overflows."""
    thermal = 0.025875

    def jac(u: Vector) -> Any:
        slope = 1e-15 * np.exp(u[1] / thermal) / thermal
        return [[0.01 + 1e-4, -1e-4], [1e-4, -1e-4 - slope]]

    return Problem(
        "diode",
        start,
        lambda u: [
            u[0] / 100.0 + (u[0] - u[1]) / 1e4 - 0.1,
            (u[0] - u[1]) / 1e4 - 1e-15 * np.expm1(u[1] / thermal),
        ],
        jac,
        np.array([9.908047345079, 0.712781853012]),
    )


def kepler() -> Problem:
    """E - e sin E = M for M = 85 degrees, e = 0.6."""
    M = np.deg2rad(85.0)
    return Problem(
        "kepler",
        [M],
        lambda u: u - 0.6 * np.sin(u) - M,
        lambda u: [[1.0 - 0.6 * np.cos(u[0])]],
        np.deg2rad([115.91942563011821]),
        lambda u: M + 0.6 * np.sin(u),
    )


def anomalies(n: int = 1000, components: bool = True) -> Problem:
    """`n` Kepler equations side by side, some nearly parabolic: decoupled, sparse and diagonal."""
    M = np.linspace(0.01, 3.1, n)
    e = 0.5 + 0.49 * np.sin(np.arange(n)) ** 2
    return Problem(
        "anomalies" if components else "anomalies as one",
        M,
        lambda u: u - e * np.sin(u) - M,
        lambda u: sp.csc_array(sp.diags_array(1.0 - e * np.cos(u))),
        components=np.arange(n) if components else None,
        gauss_seidel=lambda u: M + e * np.sin(u),
    )


def domain() -> Problem:
    """log(u) + v = 1, sqrt(v) = 2 u: the full Newton step leaves the domain of log and sqrt."""
    return Problem(
        "domain",
        [6.0, 30.0],
        lambda u: [np.log(u[0]) + u[1] - 1.0, np.sqrt(u[1]) - 2.0 * u[0]],
        lambda u: [[1.0 / u[0], 1.0], [-2.0, 0.5 / np.sqrt(u[1])]],
    )


def bounds() -> Problem:
    """(u^2 - 2, u v - 1) within bounds that the first Newton step leaves."""
    return Problem(
        "bounds",
        [0.1, 5.0],
        lambda u: [u[0] ** 2 - 2.0, u[0] * u[1] - 1.0],
        lambda u: [[2.0 * u[0], 0.0], [u[1], u[0]]],
        np.array([np.sqrt(2.0), np.sqrt(0.5)]),
        lower=np.array([0.05, 0.0]),
        upper=np.array([10.0, 10.0]),
    )


def eight_equations() -> Problem:
    """The demonstration of SciML/NonlinearSolve.jl#502: blocks of 2, 3 and 3 equations, from zeros."""
    A = np.array([[2.0, 2.5, 1.5], [4.0, -1.5, 1.5], [1.0, -1.0, -1.0]])
    B = np.array([[1.0, 1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 2.0, 1.0], [1.0, 2.0, 3.0, 5.0, 6.0]])

    def fun(u: Vector) -> Vector:
        first = [np.cos(u[1]) - u[0], np.sin(u[0] + u[1]) + u[1]]
        second = [2.0 * u[3] + u[2] + 1.0, u[4] ** 2 + u[3], u[2] ** 2 + u[4]]
        return np.concatenate([first, second, B @ u[:5] + A @ u[5:]])

    def jac(u: Vector) -> Vector:
        J = np.zeros((8, 8))
        c = np.cos(u[0] + u[1])
        J[0, :2] = -1.0, -np.sin(u[1])
        J[1, :2] = c, c + 1.0
        J[2, 2:4] = 1.0, 2.0
        J[3, 3:5] = 1.0, 2.0 * u[4]
        J[4, 2:5] = 2.0 * u[2], 0.0, 1.0
        J[5:, :5], J[5:, 5:] = B, A
        return J

    root = [0.903212274317, -0.443600343334, -0.647798871261, -0.176100564369]
    root += [-0.419643377607, 2.204144548446, 1.05804713313, -4.179650698308]
    return Problem("eight equations", np.zeros(8), fun, jac, np.array(root))


# -- Moré, Garbow & Hillstrom 1981, "Testing unconstrained optimization software", ACM TOMS 7 -------------


def rosenbrock() -> Problem:
    return Problem(
        "rosenbrock",
        [-1.2, 1.0],
        lambda u: [10.0 * (u[1] - u[0] ** 2), 1.0 - u[0]],
        lambda u: [[-20.0 * u[0], 10.0], [-1.0, 0.0]],
        np.ones(2),
    )


def powell_badly_scaled() -> Problem:
    return Problem(
        "powell badly scaled",
        [0.0, 1.0],
        lambda u: [1e4 * u[0] * u[1] - 1.0, np.exp(-u[0]) + np.exp(-u[1]) - 1.0001],
        lambda u: [[1e4 * u[1], 1e4 * u[0]], [-np.exp(-u[0]), -np.exp(-u[1])]],
        np.array([1.0981593297e-05, 9.106146739867]),
    )


def _powell_blocks(n: int) -> tuple[Callable[[Vector], Vector], Callable[[Vector], Vector]]:
    def fun(u: Vector) -> Vector:
        a, b, c, d = u.reshape(-1, 4).T
        terms = [a + 10.0 * b, np.sqrt(5.0) * (c - d), (b - 2.0 * c) ** 2, np.sqrt(10.0) * (a - d) ** 2]
        return np.stack(terms, axis=1).ravel()

    def jac(u: Vector) -> Vector:
        J = np.zeros((n, n))
        for k in range(0, n, 4):
            a, b, c, d = u[k : k + 4]
            p, q = 2.0 * (b - 2.0 * c), 2.0 * np.sqrt(10.0) * (a - d)
            J[k, k : k + 2] = 1.0, 10.0
            J[k + 1, k + 2 : k + 4] = np.sqrt(5.0), -np.sqrt(5.0)
            J[k + 2, k + 1 : k + 3] = p, -2.0 * p
            J[k + 3, [k, k + 3]] = q, -q
        return J

    return fun, jac


def powell_singular(n: int = 4) -> Problem:
    """The Jacobian has rank 2 of 4 at the root 0."""
    return Problem("powell singular", np.tile([3.0, -1.0, 0.0, 1.0], n // 4), *_powell_blocks(n), np.zeros(n))


def extended_powell() -> Problem:
    """Ten of them side by side."""
    return replace(powell_singular(40), name="extended powell")


def trigonometric(start: Any = None) -> Problem:
    n = 10
    i = np.arange(1, n + 1)

    def jac(u: Vector) -> Vector:
        return np.sin(u) + np.diag(i * np.sin(u) - np.cos(u))

    return Problem(
        "trigonometric",
        np.full(n, 1.0 / n) if start is None else start,
        lambda u: n - np.cos(u).sum() + i * (1.0 - np.cos(u)) - np.sin(u),
        jac,
    )


def discrete_boundary_value(n: int = 100) -> Problem:
    h = 1.0 / (n + 1)
    t = h * np.arange(1, n + 1)
    off = np.full(n - 1, -1.0)

    def fun(u: Vector) -> Vector:
        neighbours = np.concatenate([[0.0], u[:-1]]) + np.concatenate([u[1:], [0.0]])
        return 2.0 * u - neighbours + 0.5 * h * h * (u + t + 1.0) ** 3

    return Problem(
        "discrete boundary value",
        t * (t - 1.0),
        fun,
        lambda u: tridiagonal(off, 2.0 + 1.5 * h * h * (u + t + 1.0) ** 2, off),
    )


def two_point_boundary_value(n: int = 100) -> Problem:
    """OpenModelica's variant (nlsTestPackage, problem6): a square for the cube, the first value equal to the last."""
    h = 1.0 / (n + 1)
    t = h * np.arange(2, n)
    first, last = np.eye(1, n)[0] - np.eye(1, n, n - 1)[0], np.eye(1, n, n - 1)[0]

    def fun(u: Vector) -> Vector:
        inside = 2.0 * u[1:-1] - u[:-2] - u[2:] + 0.5 * h * h * (u[1:-1] + t + 1.0) ** 2
        return np.concatenate([[first @ u], inside, [last @ u]])

    def jac(u: Vector) -> Vector:
        J = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
        J[1:-1, 1:-1] += np.diag(h * h * (u[1:-1] + t + 1.0))
        J[0], J[-1] = first, last
        return J

    return Problem("two-point boundary value", np.full(n, 0.5), fun, jac)


def brown_almost_linear(n: int = 10) -> Problem:
    def fun(u: Vector) -> Vector:
        r = u + u.sum() - (n + 1)
        r[-1] = np.prod(u) - 1.0
        return r

    def jac(u: Vector) -> Vector:
        J = np.ones((n, n)) + np.eye(n)
        J[-1] = [np.prod(np.delete(u, j)) for j in range(n)]
        return J

    return Problem("brown almost linear", np.full(n, 0.5), fun, jac)


def broyden_tridiagonal(n: int = 1000) -> Problem:
    def fun(u: Vector) -> Vector:
        left, right = np.concatenate([[0.0], u[:-1]]), np.concatenate([u[1:], [0.0]])
        return (3.0 - 2.0 * u) * u - left - 2.0 * right + 1.0

    def jac(u: Vector) -> sp.csc_array:
        return tridiagonal(np.full(n - 1, -1.0), 3.0 - 4.0 * u, np.full(n - 1, -2.0))

    return Problem("broyden tridiagonal", np.full(n, -1.0), fun, jac)


def helical_valley() -> Problem:
    """Started at (-1, 0, 0); the branch of theta is that of arctan2, continuous along the way."""

    def fun(u: Vector) -> list[float]:
        theta = np.arctan2(u[1], u[0]) / (2.0 * np.pi)
        return [10.0 * (u[2] - 10.0 * theta), 10.0 * (np.hypot(u[0], u[1]) - 1.0), u[2]]

    def jac(u: Vector) -> Any:
        square = u[0] ** 2 + u[1] ** 2
        radius = np.sqrt(square)
        return [
            [50.0 * u[1] / (np.pi * square), -50.0 * u[0] / (np.pi * square), 10.0],
            [10.0 * u[0] / radius, 10.0 * u[1] / radius, 0.0],
            [0.0, 0.0, 1.0],
        ]

    return Problem("helical valley", [-1.0, 0.0, 0.0], fun, jac, np.array([1.0, 0.0, 0.0]))


# -- singular, and without a root --------------------------------------------------------------------------


def double_root() -> Problem:
    return Problem("double root", [1.0], lambda u: u * u, lambda u: [[2.0 * u[0]]], np.zeros(1))


def fold(y: float = 1.0) -> Problem:
    """OpenMDAO's ImplCompOneState: y^2/2 + 2 y + exp(-16 y^2) + 2 exp(-5 y) touches x at y = 0.39684581."""

    def fun(u: Vector) -> Vector:
        return 0.5 * u * u + 2.0 * u + np.exp(-16.0 * u * u) + 2.0 * np.exp(-5.0 * u) - 1.2278849186466743

    def jac(u: Vector) -> Any:
        y = u[0]
        return [[y + 2.0 - 32.0 * y * np.exp(-16.0 * y * y) - 10.0 * np.exp(-5.0 * y)]]

    return Problem("fold", [y], fun, jac, np.array([0.39684581]))


def rank_deficient() -> Problem:
    """x = y, z = -y, x + z = 0: consistent, and of rank 2."""
    A = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    return Problem("rank deficient", [1.0, 2.0, 3.0], lambda u: A @ u, lambda u: A)


def no_root(start: float = 1.5) -> Problem:
    """x^2 + 1 = 0."""
    return Problem("no root", [start], lambda u: u * u + 1.0, lambda u: [[2.0 * u[0]]])


def no_root_2d() -> Problem:
    """exp(x) + y^2 = 0, x = y."""
    return Problem(
        "no root 2d",
        [1.0, 2.0],
        lambda u: [np.exp(u[0]) + u[1] ** 2 + 0.5, u[0] - u[1]],
        lambda u: [[np.exp(u[0]), 2.0 * u[1]], [1.0, -1.0]],
    )


def contradiction() -> Problem:
    """Six linear equations, the last the sum of two others but for its right side."""
    rng = np.random.default_rng(1)
    A = rng.standard_normal((6, 6))
    A[5] = A[0] + A[1]
    b = A @ rng.standard_normal(6) + np.eye(6)[5]
    return Problem("contradiction", rng.standard_normal(6), lambda u: A @ u - b, lambda u: A)


def parallel_curves() -> Problem:
    """x^3 - y = 1, 3 (x^3 - y) = 6."""
    return Problem(
        "parallel curves",
        [2.0, 1.0],
        lambda u: [u[0] ** 3 - u[1] - 1.0, 3.0 * (u[0] ** 3 - u[1]) - 6.0],
        lambda u: [[3.0 * u[0] ** 2, -1.0], [9.0 * u[0] ** 2, -3.0]],
    )
