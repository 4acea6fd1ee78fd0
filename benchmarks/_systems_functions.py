"""Square systems of published test sets, as functions of an array that work on numbers and on expressions.

Moré, Garbow & Hillstrom 1981, "Testing unconstrained optimization software" (the first fourteen); Hammarling's matrix
square roots; Dennis & Schnabel 1983; Boggs 1971; Chandrasekhar's H-equation (Kelley 1995). The order, the starts and
two systems without a name are those of J. Burkardt's ``test_nonlin``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import adjoint as adj

__all__ = ["FUNCTIONS", "Published"]


@dataclass(frozen=True)
class Published:
    """F(x) = 0: its residual, the start for n unknowns, and a root, where one is known; ``n`` = 0: any number."""

    number: int
    name: str
    n: int
    residual: Callable[[Any], Any]
    start: Callable[[int], np.ndarray]
    root: Callable[[int], np.ndarray] | None = None

    def size(self, wanted: int) -> int:
        """The number of unknowns, where so many are wanted."""
        return self.n or wanted


def stack(items: list[Any]) -> Any:
    """Numbers or expressions as one array."""
    return adj.array(items) if any(isinstance(item, adj.Expr) for item in items) else np.array(items)


def one_to(n: int) -> np.ndarray:
    """1, 2, …, n."""
    return np.arange(1.0, n + 1)


def rosenbrock(x: Any) -> Any:
    return np.concatenate([1.0 - x[:1], 10.0 * (x[1:] - x[:-1] ** 2)])


def powell_singular(x: Any) -> Any:
    a, b, c, d = x[0], x[1], x[2], x[3]
    return stack([a + 10 * b, np.sqrt(5.0) * (c - d), (b - 2 * c) ** 2, np.sqrt(10.0) * (a - d) ** 2])


def powell_badly_scaled(x: Any) -> Any:
    return stack([1e4 * x[0] * x[1] - 1.0, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001])


def wood(x: Any) -> Any:
    a, b, c, d = x[0], x[1], x[2], x[3]
    p, q = b - a**2, d - c**2
    return stack(
        [
            -200 * a * p - (1 - a),
            200 * p + 20.2 * (b - 1) + 19.8 * (d - 1),
            -180 * c * q - (1 - c),
            180 * q + 20.2 * (d - 1) + 19.8 * (b - 1),
        ]
    )


def helical_valley(x: Any) -> Any:
    left = 0.5 + np.arctan2(-x[1], -x[0]) / (2 * np.pi)
    turn = np.where(x[0] < 0, left, np.arctan2(x[1], x[0]) / (2 * np.pi))
    return stack([10 * (x[2] - 10 * turn), 10 * (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]])


def watson(x: Any) -> Any:
    n = x.shape[0]
    t, k = one_to(29) / 29, np.arange(n)
    powers = t[:, None] ** k  # t_i^k
    slopes = k * t[:, None] ** (k - 1.0)
    inside = slopes @ x - (powers @ x) ** 2 - 1
    rows = slopes.T @ inside - powers.T @ (2 * (powers @ x) * inside)
    last = x[1] - x[0] ** 2 - 1
    return rows + np.concatenate([stack([x[0] * (1 - 2 * last), last]), np.zeros(n - 2)])


def chebyquad(x: Any) -> Any:
    n = x.shape[0]
    before, now, rows = 1.0, x, []
    for k in range(1, n + 1):  # T_k(x), and its mean over [-1, 1]
        rows.append(np.sum(now) / n - (0.0 if k % 2 else 1.0 / (1.0 - k**2)))
        before, now = now, 2 * x * now - before
    return stack(rows)


def brown_almost_linear(x: Any) -> Any:
    n = x.shape[0]
    return np.concatenate([x[:-1] + np.sum(x) - (n + 1), np.reshape(np.prod(x) - 1.0, (1,))])


def discrete_boundary_value(x: Any) -> Any:
    n = x.shape[0]
    h, zero = 1.0 / (n + 1), np.zeros(1)
    padded = np.concatenate([zero, x, zero])
    return 2 * x - padded[:-2] - padded[2:] + 0.5 * h**2 * (x + h * one_to(n) + 1) ** 3


def discrete_integral(x: Any) -> Any:
    n = x.shape[0]
    h = 1.0 / (n + 1)
    t = h * one_to(n)
    kernel = np.where(t[:, None] >= t, (1 - t[:, None]) * t, t[:, None] * (1 - t))
    return x + 0.5 * h * (kernel @ (x + t + 1) ** 3)


def trigonometric(x: Any) -> Any:
    n = x.shape[0]
    return n - np.sum(np.cos(x)) + one_to(n) * (1 - np.cos(x)) - np.sin(x)


def variably_dimensioned(x: Any) -> Any:
    k = one_to(x.shape[0])
    total = np.sum(k * (x - 1))
    return x - 1 + k * (total * (1 + 2 * total**2))


def broyden_tridiagonal(x: Any) -> Any:
    zero = np.zeros(1)
    padded = np.concatenate([zero, x, zero])
    return (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1


def broyden_banded(x: Any) -> Any:
    i, j = np.indices((x.shape[0], x.shape[0]))
    band = ((j >= i - 5) & (j <= i + 1) & (j != i)).astype(float)
    return x * (2 + 5 * x**2) + 1 - band @ (x * (1 + x))


def hammarling(x: Any) -> Any:
    n = {4: 2, 9: 3}[x.shape[0]]
    square = 1e-4 * np.eye(n)
    square[0, 1] = 1.0
    root = x.reshape((n, n))
    return (root @ root - square).reshape(-1)


def dennis_schnabel(x: Any) -> Any:
    return stack([x[0] + x[1] - 3, x[0] ** 2 + x[1] ** 2 - 9])


def sample_18(x: Any) -> Any:
    def ratio(a: Any) -> Any:  # (1 - exp(-a²)) / a, 0 at 0
        zero = a == 0
        return np.where(zero, 0.0, -np.expm1(-(a**2)) / np.where(zero, 1.0, a))

    return stack([x[1] ** 2 * ratio(x[0]), x[0] * ratio(x[1])])


def sample_19(x: Any) -> Any:
    return x * (x[0] ** 2 + x[1] ** 2)


def double_root(x: Any) -> Any:
    return x * (x - 5) ** 2


def freudenstein_roth(x: Any) -> Any:
    a, b = x[0], x[1]
    return stack([a - b**3 + 5 * b**2 - 2 * b - 13, a + b**3 + b**2 - 14 * b - 29])


def boggs(x: Any) -> Any:
    return stack([x[0] ** 2 - x[1] + 1, x[0] - np.cos(0.5 * np.pi * x[1])])


def chandrasekhar(x: Any) -> Any:
    n = x.shape[0]
    mu = (one_to(n) - 0.5) / n
    kernel = 0.9 / (2 * n) * mu[:, None] / (mu[:, None] + mu)
    return x - 1 / (1 - kernel @ x)


def at(*values: float) -> Callable[[int], np.ndarray]:
    """The same point for every n; one value is spread."""
    return lambda n: np.full(n, values[0]) if len(values) == 1 else np.array(values)


def _parabola(n: int) -> np.ndarray:
    t = one_to(n) / (n + 1)
    return t * (t - 1)


def _hammarling_root(n: int) -> np.ndarray:
    root = 0.01 * np.eye({4: 2, 9: 3}[n])
    root[0, 1] = 50.0
    return root.reshape(-1)


def _identity(n: int) -> np.ndarray:
    return np.eye({4: 2, 9: 3}[n]).reshape(-1)


ROWS = [
    ("Generalized Rosenbrock", 0, rosenbrock, lambda n: np.array([-1.2, *[1.0] * (n - 1)]), at(1.0)),
    ("Powell singular", 4, powell_singular, at(3.0, -1.0, 0.0, 1.0), at(0.0)),
    ("Powell badly scaled", 2, powell_badly_scaled, at(0.0, 1.0), at(1.098159e-5, 9.106146)),
    ("Wood", 4, wood, at(-3.0, -1.0, -3.0, -1.0), at(1.0)),
    ("Helical valley", 3, helical_valley, at(-1.0, 0.0, 0.0), at(1.0, 0.0, 0.0)),
    ("Watson", 0, watson, at(0.0), None),
    ("Chebyquad", 0, chebyquad, lambda n: (2 * one_to(n) - 1 - n) / (n + 1), None),
    ("Brown almost linear", 0, brown_almost_linear, at(0.5), at(1.0)),
    ("Discrete boundary value", 0, discrete_boundary_value, _parabola, None),
    ("Discrete integral equation", 0, discrete_integral, _parabola, None),
    ("Trigonometric", 0, trigonometric, lambda n: np.full(n, 1.0 / n), None),
    ("Variably dimensioned", 0, variably_dimensioned, lambda n: 1 - one_to(n) / n, at(1.0)),
    ("Broyden tridiagonal", 0, broyden_tridiagonal, at(-1.0), None),
    ("Broyden banded", 0, broyden_banded, at(-1.0), None),
    ("Hammarling 2 by 2", 4, hammarling, _identity, _hammarling_root),
    ("Hammarling 3 by 3", 9, hammarling, _identity, _hammarling_root),
    ("Dennis and Schnabel", 2, dennis_schnabel, at(1.0, 5.0), at(0.0, 3.0)),
    ("Sample problem 18", 2, sample_18, at(2.0), at(0.0)),
    ("Sample problem 19", 2, sample_19, at(3.0), at(0.0)),
    ("x (x - 5)²", 1, double_root, at(1.0), at(5.0)),
    ("Freudenstein and Roth", 2, freudenstein_roth, at(0.5, -2.0), at(5.0, 4.0)),
    ("Boggs", 2, boggs, at(1.0, 0.0), at(0.0, 1.0)),
    ("Chandrasekhar", 0, chandrasekhar, at(1.0), None),
]

FUNCTIONS = [Published(k, *row) for k, row in enumerate(ROWS, start=1)]
