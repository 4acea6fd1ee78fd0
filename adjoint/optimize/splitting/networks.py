"""ADMM for feed-forward networks in closed form, every block exact and without gradients.

    ℓ(z_L, y) + ⟨λ, z_L⟩ + β |z_L − W_L a_{L−1}|² + Σ_{l<L} [ γ |a_l − h(z_l)|² + β |z_l − W_l a_{l−1}|² ]

Columns are samples. Each W_l is a least-squares problem, which needs the sums ``Σ z aᵀ`` and ``Σ a aᵀ`` over the
samples only (transpose reduction): shards of data send small matrices. Activations are a linear solve of the size of a
layer, and each element of z has a closed form.

Taylor, Burmeister, Xu, Singh, Patel and Goldstein 2016, "Training Neural Networks Without Gradients: A Scalable ADMM
Approach", ICML, arXiv:1605.02026. The only multiplier, λ, is at the output: on the toy ``min (a − 1)²`` with
``w + a = 2`` such a method stops at a point that is no optimum. ``method="admm"`` has a multiplier at every cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import ModelError

__all__ = [
    "NetworkADMM",
    "Shard",
    "activation_update",
    "gram_sums",
    "hinge_update",
    "network_admm",
    "relu_update",
    "squared_update",
    "weights_of_sums",
]

Output = Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]  # (y, m, λ, β) → z


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


def weights_of_sums(sums: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """``argmin_W Σ |z − W a|²`` from the sums of all shards; of several the one of least norm.

    >>> z, a = np.array([[2.0, 4.0]]), np.array([[1.0, 2.0]])
    >>> weights_of_sums([gram_sums(z[:, :1], a[:, :1]), gram_sums(z[:, 1:], a[:, 1:])])
    array([[2.]])
    """
    za = sum((s[0] for s in sums[1:]), sums[0][0])
    aa = sum((s[1] for s in sums[1:]), sums[0][1])
    return np.linalg.lstsq(aa, za.T, rcond=1e-12)[0].T  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Shard:
    """The state of the samples of one shard: data ``X`` and ``y``, ``z`` of all layers, ``a`` of all but the last."""

    X: np.ndarray
    y: np.ndarray
    z: tuple[np.ndarray, ...]
    a: tuple[np.ndarray, ...]
    lam: np.ndarray

    def before(self, layer: int) -> np.ndarray:
        """What goes into a layer."""
        return self.X if layer == 0 else self.a[layer - 1]


@dataclass(frozen=True)
class NetworkADMM:
    """A trained network.

    Attributes
    ----------
    weights : list of ndarray
    shards : list of Shard
    """

    weights: list[np.ndarray]
    shards: list[Shard]

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Outputs for samples in columns."""
        a = X
        for W in self.weights[:-1]:
            a = np.maximum(W @ a, 0.0)
        return self.weights[-1] @ a


def network_admm(
    data: Sequence[tuple[np.ndarray, np.ndarray]],
    widths: Sequence[int],
    output: Output = hinge_update,
    *,
    beta: float = 1.0,
    gamma: float = 10.0,
    iterations: int = 100,
    warm: int = 10,
    seed: int | None = 0,
    mapped: Callable[..., Any] = map,
    callback: Callable[[NetworkADMM, int], Any] | None = None,
) -> NetworkADMM:
    """Train a network of rectifiers.

    Parameters
    ----------
    data : list of (X, y)
        Shards, with samples in columns; one shard for no splitting.
    widths : list of int
        Units of the hidden layers, and of the output.
    output : callable
        The update of the last z: :func:`hinge_update`, :func:`squared_update`.
    beta, gamma : float
        Penalties of the linear and of the activation equations. (Published implementations disagree on which is 10.)
    warm : int
        First iterations, in which λ stays 0.
    mapped : callable
        ``map``, or the ``map`` of an executor: work of the shards is pure functions.
    callback : callable, optional
        ``callback(network, iteration)``; stops by True.

    >>> X = np.random.default_rng(0).normal(size=(2, 60))
    >>> net = network_admm([(X, X[:1] > 0)], [8, 1])
    >>> float(np.mean((net(X) > 0.5) == (X[:1] > 0))) > 0.9
    True
    """
    if not data or len(widths) < 2:
        raise ModelError("network_admm() takes at least one shard of data, and the widths of two layers or more")
    rng = np.random.default_rng(seed)
    shards = [_first(X, y, widths, rng) for X, y in data]
    weights: list[np.ndarray] = [np.zeros((n, 0)) for n in widths]
    for iteration in range(iterations):
        for layer in range(len(widths)):
            weights[layer] = weights_of_sums(list(mapped(_sums, shards, [layer] * len(shards))))
            if layer < len(widths) - 1:
                after = weights[layer + 1] if iteration else _after(shards, layer)
                work = [(s, layer, weights[layer], after, beta, gamma) for s in shards]
                shards = list(mapped(_hidden, work))
        moving = iteration >= warm
        shards = list(mapped(_last, [(s, weights[-1], output, beta, moving) for s in shards]))
        network = NetworkADMM(list(weights), shards)
        if callback is not None and callback(network, iteration) is True:
            break
    return NetworkADMM(list(weights), shards)


def _first(X: np.ndarray, y: np.ndarray, widths: Sequence[int], rng: np.random.Generator) -> Shard:
    """Random z and a of unit variance."""
    n = X.shape[1]
    z = tuple(rng.normal(size=(w, n)) for w in widths)
    return Shard(X, np.reshape(y, (widths[-1], n)), z, tuple(rng.normal(size=(w, n)) for w in widths[:-1]), 0 * z[-1])


def _after(shards: Sequence[Shard], layer: int) -> np.ndarray:
    """First weights of the next layer, which come before its turn."""
    return weights_of_sums([gram_sums(s.z[layer + 1], s.a[layer]) for s in shards])


def _sums(shard: Shard, layer: int) -> tuple[np.ndarray, np.ndarray]:
    return gram_sums(shard.z[layer], shard.before(layer))


def _hidden(work: tuple[Shard, int, np.ndarray, np.ndarray, float, float]) -> Shard:
    """a, then z of a hidden layer."""
    shard, layer, W, after, beta, gamma = work
    a = activation_update(after, shard.z[layer + 1], np.maximum(shard.z[layer], 0.0), beta, gamma)
    z = relu_update(a, W @ shard.before(layer), gamma, beta)
    return replace(shard, a=_put(shard.a, layer, a), z=_put(shard.z, layer, z))


def _last(work: tuple[Shard, np.ndarray, Output, float, bool]) -> Shard:
    """The output's z, and its multiplier."""
    shard, W, output, beta, moving = work
    m = W @ shard.before(len(shard.z) - 1)
    z = output(shard.y, m, shard.lam, beta)
    lam = shard.lam + beta * (z - m) if moving else shard.lam
    return replace(shard, z=_put(shard.z, len(shard.z) - 1, z), lam=lam)


def _put(items: tuple[np.ndarray, ...], k: int, value: np.ndarray) -> tuple[np.ndarray, ...]:
    return (*items[:k], value, *items[k + 1 :])
