"""The blocks of ADMM for networks in closed form: activations, weights, and each element of z.

Columns are samples. See :mod:`~adjoint.optimize.splitting.networks`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "RECTIFIER",
    "TANH",
    "Activation",
    "Output",
    "activation_update",
    "cross_entropy_update",
    "gram_sums",
    "hinge_update",
    "relu_update",
    "squared_update",
    "tanh_update",
    "weights_of_sums",
]

Output = Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]  # (y, m, λ, β) → z
GRID = 33  # points between which the minimizer of a tanh is sought
NEWTON = 50  # most steps
TINY = 1e-12  # relative change that is none


def relu_update(a: np.ndarray, m: np.ndarray, gamma: float, beta: float) -> np.ndarray:
    """``argmin_z γ (a − max(z, 0))² + β (z − m)²``, elementwise: the better of the two branches.

    >>> relu_update(np.array([1.0, 0.1]), np.array([-0.5, -2.0]), 10.0, 1.0).round(6)
    array([ 0.863636, -2.      ])
    """
    above = np.maximum((gamma * a + beta * m) / (gamma + beta), 0.0)
    below = np.minimum(m, 0.0)

    def cost(z: np.ndarray) -> np.ndarray:
        return gamma * (a - np.maximum(z, 0.0)) ** 2 + beta * (z - m) ** 2  # type: ignore[no-any-return]

    return np.where(cost(above) <= cost(below), above, below)


def tanh_update(a: np.ndarray, m: np.ndarray, gamma: float, beta: float) -> np.ndarray:
    """``argmin_z γ (a − tanh z)² + β (z − m)²``, elementwise.

    There may be several minima, all between m and the z where tanh is a: the best of a grid, then Newton's method with
    bisection where the derivative changes its sign.

    >>> tanh_update(np.array([0.5, 3.0]), np.array([0.5, -2.0]), 10.0, 1.0).round(6)
    array([0.541933, 1.5359  ])
    """
    a, m = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(m, dtype=float))

    def cost(z: np.ndarray) -> np.ndarray:
        return gamma * (a - np.tanh(z)) ** 2 + beta * (z - m) ** 2  # type: ignore[no-any-return]

    # further than this from m, β (z − m)² costs more than all that tanh can gain; nor is z beyond where tanh is a
    reach = np.sqrt(gamma / beta * np.maximum((a - np.tanh(m)) ** 2, 0.0))
    edge = np.arctanh(np.clip(a, -1 + 1e-15, 1 - 1e-15))
    far = np.where(edge >= m, np.minimum(edge, m + reach), np.maximum(edge, m - reach))
    points = m + np.linspace(0.0, 1.0, GRID).reshape(-1, *(1,) * m.ndim) * (far - m)
    best = np.argmin(cost(points), axis=0)

    def point(k: np.ndarray) -> np.ndarray:
        return np.take_along_axis(points, np.clip(k, 0, GRID - 1)[None], axis=0)[0]

    z, one, other = point(best), point(best - 1), point(best + 1)
    low, high = np.minimum(one, other), np.maximum(one, other)
    for _ in range(NEWTON):
        t = np.tanh(z)
        slope = beta * (z - m) - gamma * (a - t) * (1 - t**2)
        low, high = np.where(slope < 0, z, low), np.where(slope > 0, z, high)
        curvature = beta + gamma * (1 - t**2) * (1 - 3 * t**2 + 2 * a * t)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = z - slope / curvature
        step = np.where((curvature > 0) & (step >= low) & (step <= high), step, 0.5 * (low + high))
        done = np.abs(step - z).max(initial=0.0) <= TINY * (1.0 + np.abs(z).max(initial=0.0))
        z = np.where(slope == 0, z, step)
        if done:
            break
    return z


def hinge_update(y: np.ndarray, m: np.ndarray, lam: np.ndarray, beta: float) -> np.ndarray:
    """``argmin_z ℓ(z, y) + λ z + β (z − m)²`` with ``ℓ = max(1 − z, 0)`` where y is 1, and ``max(z, 0)`` where it is 0.

    >>> hinge_update(np.ones(3), np.array([0.0, 0.8, 1.5]), np.array([0.0, 0.0, 0.2]), 1.0)
    array([0.5, 1. , 1.4])
    """
    kink = np.where(y > 0.5, 1.0, 0.0)
    flat = m - lam / (2 * beta)  # where the loss has slope 0
    steep = flat + np.where(y > 0.5, 1.0, -1.0) / (2 * beta)  # where it has slope ∓1
    below, above = np.where(y > 0.5, steep, flat), np.where(y > 0.5, flat, steep)  # minima of the two branches
    return np.where(below < kink, below, np.where(above > kink, above, kink))


def squared_update(y: np.ndarray, m: np.ndarray, lam: np.ndarray, beta: float) -> np.ndarray:
    """``argmin_z (z − y)² + λ z + β (z − m)²``.

    >>> squared_update(np.array([1.0]), np.array([0.0]), np.array([0.0]), 1.0)
    array([0.5])
    """
    return (y + beta * m - 0.5 * lam) / (1.0 + beta)


def cross_entropy_update(y: np.ndarray, m: np.ndarray, lam: np.ndarray, beta: float) -> np.ndarray:
    """``argmin_z −Σ y log softmax(z) + ⟨λ, z⟩ + β |z − m|²`` for every column: damped Newton steps.

    The Hessian is ``diag(p) − p pᵀ + 2 β I``, which the formula of Sherman and Morrison inverts.

    >>> z = cross_entropy_update(np.array([[1.0], [0.0]]), np.zeros((2, 1)), np.zeros((2, 1)), 1.0)
    >>> z.round(6).ravel()  # z = (1 − p) / 2 with p = 1 / (1 + exp(−2 z))
    array([ 0.200529, -0.200529])
    """
    z = np.array(m, dtype=float)

    def cost(z: np.ndarray) -> np.ndarray:
        top = z.max(axis=0)
        total = top + np.log(np.exp(z - top).sum(axis=0))
        linear = ((lam - y) * z).sum(axis=0) + beta * ((z - m) ** 2).sum(axis=0)
        return total * y.sum(axis=0) + linear  # type: ignore[no-any-return]

    value = cost(z)
    for _ in range(NEWTON):
        p = np.exp(z - z.max(axis=0))
        p = p / p.sum(axis=0)
        weight = y.sum(axis=0)
        gradient = weight * p - y + lam + 2 * beta * (z - m)
        D = weight * p + 2 * beta
        q = weight * p / D
        newton = gradient / D + q * (p * gradient / D).sum(axis=0) / (1.0 - (p * q).sum(axis=0))
        if np.abs(newton).max(initial=0.0) <= TINY * (1.0 + np.abs(z).max(initial=0.0)):
            break
        size = np.ones(z.shape[1])
        for _ in range(NEWTON):
            new = cost(z - size * newton)
            worse = new > value - 1e-4 * size * (newton * gradient).sum(axis=0) + TINY * np.abs(value)
            if not worse.any():
                break
            size = np.where(worse, 0.5 * size, size)
        z, value = z - size * newton, np.minimum(new, value)
    return z


def activation_update(W: np.ndarray, z_next: np.ndarray, h: np.ndarray, beta: float, gamma: float) -> np.ndarray:
    """``argmin_a β |z_next − W a|² + γ |a − h|²``.

    >>> activation_update(np.array([[1.0]]), np.array([[2.0]]), np.array([[0.0]]), 1.0, 1.0)
    array([[1.]])
    """
    A = beta * W.T @ W + gamma * np.eye(W.shape[1])
    return np.linalg.solve(A, beta * W.T @ z_next + gamma * h)


def gram_sums(z: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``z aᵀ`` and ``a aᵀ``: all that the weights need of a shard."""
    return z @ a.T, a @ a.T


def weights_of_sums(sums: Sequence[tuple[np.ndarray, np.ndarray]], ridge: float | np.ndarray = 0.0) -> np.ndarray:
    """``argmin_W Σ |z − W a|² + ridge |W|²`` from the sums of all shards; of several the one of least norm.

    ``ridge`` is a number, or one for each column.

    >>> z, a = np.array([[2.0, 4.0]]), np.array([[1.0, 2.0]])
    >>> weights_of_sums([gram_sums(z[:, :1], a[:, :1]), gram_sums(z[:, 1:], a[:, 1:])])
    array([[2.]])
    """
    za = sum((s[0] for s in sums[1:]), sums[0][0])
    aa = sum((s[1] for s in sums[1:]), sums[0][1])
    if np.any(ridge):
        aa = aa + np.diag(np.broadcast_to(np.asarray(ridge, dtype=float), len(aa)))
    return np.linalg.lstsq(aa, za.T, rcond=1e-12)[0].T  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Activation:
    """A function of each element, and ``update(a, m, γ, β) = argmin_z γ (a − function(z))² + β (z − m)²``."""

    function: Callable[[np.ndarray], np.ndarray]
    update: Callable[[np.ndarray, np.ndarray, float, float], np.ndarray]


def _rectified(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0.0)


RECTIFIER = Activation(_rectified, relu_update)
TANH = Activation(np.tanh, tanh_update)
