"""Coefficients of Runge–Kutta and of backward differentiation formulas.

A Runge–Kutta method makes from ``y`` at ``t`` the value at ``t + h`` by

    Y_i = y + h Σ_j a_ij f(t + c_j h, Y_j),      y⁺ = y + h Σ_i b_i f(t + c_i h, Y_i)

(Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I*; Hairer & Wanner, *II*).
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..errors import ModelError

__all__ = ["TABLEAUX", "Tableau", "backward_differences", "collocation"]


class Tableau(NamedTuple):
    """A Runge–Kutta method: matrix, weights and nodes.

    >>> import numpy as np
    >>> heun = Tableau(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([0.5, 0.5]), np.array([0.0, 1.0]))
    >>> heun.is_explicit, heun.stages
    (True, 2)
    """

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray

    @property
    def stages(self) -> int:
        """Number of stages."""
        return self.b.size

    @property
    def is_explicit(self) -> bool:
        """Whether each stage follows from earlier ones."""
        return not np.triu(self.a).any()

    @property
    def is_diagonal(self) -> bool:
        """Whether the stages can be solved for one after the other."""
        return not np.triu(self.a, 1).any()


def tableau(a: Any, b: Any, c: Any = None) -> Tableau:
    """A checked tableau; without nodes, those of the row sums.

    >>> tableau([[0, 0], [0.5, 0]], [0, 1]).c
    array([0. , 0.5])
    """
    matrix, weights = np.array(a, dtype=float), np.array(b, dtype=float)
    nodes = matrix.sum(axis=1) if c is None and matrix.ndim == 2 else np.array(c, dtype=float)
    n = weights.size
    if matrix.shape != (n, n) or weights.shape != (n,) or nodes.shape != (n,) or not n:
        raise ModelError(
            f"a tableau is a square matrix with as many weights and nodes as rows, got {matrix.shape}, "
            f"{weights.shape} and {nodes.shape}"
        )
    if abs(weights.sum() - 1) > 1e-10:
        raise ModelError(f"the weights of a Runge–Kutta method add up to 1, not {weights.sum():.6g}")
    return Tableau(matrix, weights, nodes)


def collocation(nodes: Any) -> Tableau:
    """The method whose polynomial through ``y`` satisfies the equation at nodes in [0, 1].

    ``a_ij = ∫_0^{c_i} l_j`` and ``b_j = ∫_0^1 l_j``, with the Lagrange polynomials ``l_j`` of the nodes.

    >>> collocation([1.0]).a.tolist()  # backward Euler
    [[1.0]]
    """
    c = np.array(nodes, dtype=float)
    s = c.size
    powers = np.arange(1, s + 1)
    # Of both sides the moments: Σ_j a_ij c_j^(k−1) = c_i^k / k.
    moments = np.vander(c, s, increasing=True)
    a = np.linalg.solve(moments.T, (c[:, None] ** powers / powers).T).T
    b = np.linalg.solve(moments.T, 1 / powers)
    return tableau(a, b, c)


@cache
def radau(stages: int) -> Tableau:
    """Radau IIA: order 2s − 1, L-stable; the last node is 1."""
    # Roots of d^(s−1)/dx^(s−1) [x^(s−1) (x − 1)^s].
    p = np.polynomial.Polynomial([1.0])
    for root in [0.0] * (stages - 1) + [1.0] * stages:
        p = p * np.polynomial.Polynomial([-root, 1.0])
    p = p.deriv(stages - 1) if stages > 1 else p
    nodes = np.sort(np.real(p.roots()))
    for _ in range(2):
        nodes = nodes - p(nodes) / p.deriv()(nodes)
    nodes[-1] = 1.0
    return collocation(nodes)


@cache
def gauss(stages: int) -> Tableau:
    """Gauss–Legendre: order 2s, symmetric and symplectic."""
    return collocation((1 + np.polynomial.legendre.leggauss(stages)[0]) / 2)


_G = 1 - np.sqrt(0.5)  # of the L-stable method with two equal diagonal elements
TABLEAUX: dict[str, Tableau] = {
    "euler": tableau([[0]], [1]),
    "midpoint": tableau([[0, 0], [1 / 2, 0]], [0, 1]),
    "heun": tableau([[0, 0], [1, 0]], [1 / 2, 1 / 2]),
    "rk4": tableau([[0, 0, 0, 0], [1 / 2, 0, 0, 0], [0, 1 / 2, 0, 0], [0, 0, 1, 0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
    "dopri5": tableau(
        [
            [0, 0, 0, 0, 0, 0],
            [1 / 5, 0, 0, 0, 0, 0],
            [3 / 40, 9 / 40, 0, 0, 0, 0],
            [44 / 45, -56 / 15, 32 / 9, 0, 0, 0],
            [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0],
            [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0],
        ],
        [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
    ),
    "backward-euler": radau(1),
    "implicit-midpoint": gauss(1),
    "trapezoidal": tableau([[0, 0], [1 / 2, 1 / 2]], [1 / 2, 1 / 2]),
    "sdirk2": tableau([[_G, 0], [1 - _G, _G]], [1 - _G, _G]),
    "radau3": radau(2),
    "radau5": radau(3),
    "gauss4": gauss(2),
    "gauss6": gauss(3),
}


def backward_differences(times: np.ndarray, order: int) -> np.ndarray:
    """For each time from the ``order``-th on, the weights of the value there and of those before, newest first, in the
    derivative of the polynomial through them, times the last step.

    >>> backward_differences(np.array([0.0, 0.1, 0.2]), 2).round(6).tolist()
    [[1.5, -2.0, 0.5]]
    """
    rows = []
    for n in range(order, times.size):
        h = times[n] - times[n - 1]
        x = (times[n - order : n + 1][::-1] - times[n]) / h
        # Σ_j w_j x_j^k = k·0^(k−1): the derivative at 0 of every power.
        rows.append(np.linalg.solve(np.vander(x, order + 1, increasing=True).T, np.eye(order + 1)[1]))
    return np.array(rows).reshape(-1, order + 1)
