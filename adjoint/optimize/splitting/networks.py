"""ADMM for feed-forward networks in closed form, every block exact and without gradients.

    ℓ(z_L, y) + ⟨λ, z_L⟩ + β |z_L − W_L a_{L−1}|² + Σ_{l<L} [ γ |a_l − h(z_l)|² + β |z_l − W_l a_{l−1}|² ]

Columns are samples. Each W_l is a least-squares problem, which needs the sums ``Σ z aᵀ`` and ``Σ a aᵀ`` over the
samples only (transpose reduction): shards of data send small matrices. Activations are a linear solve of the size of a
layer, and each element of z is a problem of its own.

Taylor, Burmeister, Xu, Singh, Patel and Goldstein 2016, "Training Neural Networks Without Gradients: A Scalable ADMM
Approach", ICML, arXiv:1605.02026. The only multiplier, λ, is at the output: on the toy ``min (a − 1)²`` with
``w + a = 2`` such a method stops at a point that is no optimum. With ``multipliers="all"`` every equation has one, as
in ``method="admm"``: scaled, u for ``z = W a`` and v for ``a = h(z)``, added to the differences in the squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import ModelError
from .network_updates import (
    RECTIFIER,
    TANH,
    Activation,
    Output,
    activation_update,
    cross_entropy_update,
    gram_sums,
    hinge_update,
    relu_update,
    squared_update,
    tanh_update,
    weights_of_sums,
)

__all__ = [
    "RECTIFIER",
    "TANH",
    "Activation",
    "NetworkADMM",
    "Shard",
    "activation_update",
    "cross_entropy_update",
    "gram_sums",
    "hinge_update",
    "network_admm",
    "relu_update",
    "squared_update",
    "tanh_update",
    "weights_of_sums",
]


@dataclass(frozen=True)
class Shard:
    """The state of the samples of one shard: data ``X`` and ``y``, ``z`` of all layers, ``a`` of all but the last, and
    the scaled multipliers ``u`` of ``z = W a`` and ``v`` of ``a = h(z)`` (None: there are none)."""

    X: np.ndarray
    y: np.ndarray
    z: tuple[np.ndarray, ...]
    a: tuple[np.ndarray, ...]
    lam: np.ndarray
    u: tuple[np.ndarray, ...] | None = None
    v: tuple[np.ndarray, ...] | None = None

    def before(self, layer: int, bias: bool = False) -> np.ndarray:
        """What goes into a layer; with ``bias``, and a row of ones."""
        a = self.X if layer == 0 else self.a[layer - 1]
        return np.concatenate([a, np.ones((1, a.shape[1]))]) if bias else a

    def fitted(self, layer: int) -> np.ndarray:
        """What ``W a`` is fitted to."""
        return self.z[layer] if self.u is None else self.z[layer] + self.u[layer]


@dataclass(frozen=True)
class NetworkADMM:
    """A trained network.

    Attributes
    ----------
    weights : list of ndarray
        Of each layer, outputs × inputs; with ``bias``, the last column is the bias.
    shards : list of Shard
    """

    weights: list[np.ndarray]
    shards: list[Shard]
    activation: Activation = RECTIFIER
    bias: bool = False

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Outputs for samples in columns."""
        a = X
        for k, W in enumerate(self.weights):
            z = W[:, :-1] @ a + W[:, -1:] if self.bias else W @ a
            a = z if k == len(self.weights) - 1 else self.activation.function(z)
        return a


@dataclass(frozen=True)
class _Rule:
    """What all updates of a run have in common."""

    output: Output
    activation: Activation
    beta: float
    gamma: float
    bias: bool


def network_admm(
    data: Sequence[tuple[np.ndarray, np.ndarray]],
    widths: Sequence[int],
    output: Output = hinge_update,
    *,
    activation: Activation = RECTIFIER,
    beta: float = 1.0,
    gamma: float = 10.0,
    bias: bool = False,
    ridge: float = 0.0,
    weights: Sequence[np.ndarray] | None = None,
    multipliers: str = "output",
    iterations: int = 100,
    warm: int = 10,
    seed: int | None = 0,
    mapped: Callable[..., Any] = map,
    callback: Callable[[NetworkADMM, int], Any] | None = None,
) -> NetworkADMM:
    """Train a network.

    Parameters
    ----------
    data : list of (X, y)
        Shards, with samples in columns; one shard for no splitting.
    widths : list of int
        Units of the hidden layers, and of the output.
    output : callable
        The update of the last z: :func:`hinge_update`, :func:`squared_update`, :func:`cross_entropy_update`.
    activation : Activation
        :data:`RECTIFIER` or :data:`TANH`.
    beta, gamma : float
        Penalties of the linear and of the activation equations. (Published implementations disagree on which is 10.)
    bias : bool
        Whether layers have a bias.
    ridge : float
        ``ridge |W|²`` is added for every layer, its bias left out.
    weights : list of ndarray, optional
        First weights, from which z and a are evaluated. Default: z and a are random, of unit variance.
    multipliers : str
        "output", or "all".
    warm : int
        First iterations, in which multipliers stay 0.
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
    if multipliers not in ("output", "all"):
        raise ModelError(f"network_admm(): multipliers is 'output' or 'all', not {multipliers!r}")
    rule = _Rule(output, activation, beta, gamma, bias)
    rng = np.random.default_rng(seed)
    shards = [_first(X, y, widths, rng) for X, y in data]
    if weights is not None:
        shards = [_forward(s, weights, rule) for s in shards]
    if multipliers == "all":
        shards = [replace(s, u=tuple(0 * z for z in s.z), v=tuple(0 * a for a in s.a)) for s in shards]
    own = [np.zeros((n, 0)) for n in widths] if weights is None else [np.array(W, dtype=float) for W in weights]
    for iteration in range(iterations):
        moving = iteration >= warm
        for layer in range(len(widths)):
            own[layer] = _fitted(list(mapped(_sums, shards, [layer] * len(shards), [bias] * len(shards))), ridge, rule)
            if layer < len(widths) - 1:
                later = own[layer + 1]
                after = later if later.size else _fitted([_sums(s, layer + 1, bias) for s in shards], ridge, rule)
                shards = list(mapped(_hidden, [(s, layer, own[layer], after, rule, moving) for s in shards]))
        shards = list(mapped(_last, [(s, own[-1], rule, moving) for s in shards]))
        network = NetworkADMM(list(own), shards, activation, bias)
        if callback is not None and callback(network, iteration) is True:
            break
    return NetworkADMM(list(own), shards, activation, bias)


def _first(X: np.ndarray, y: np.ndarray, widths: Sequence[int], rng: np.random.Generator) -> Shard:
    """Random z and a of unit variance."""
    n = X.shape[1]
    z = tuple(rng.normal(size=(w, n)) for w in widths)
    return Shard(X, np.reshape(y, (widths[-1], n)), z, tuple(rng.normal(size=(w, n)) for w in widths[:-1]), 0 * z[-1])


def _forward(shard: Shard, weights: Sequence[np.ndarray], rule: _Rule) -> Shard:
    """z and a that satisfy the equations."""
    for layer, W in enumerate(weights):
        z = W @ shard.before(layer, rule.bias)
        shard = replace(shard, z=_put(shard.z, layer, z))
        if layer < len(weights) - 1:
            shard = replace(shard, a=_put(shard.a, layer, rule.activation.function(z)))
    return shard


def _sums(shard: Shard, layer: int, bias: bool) -> tuple[np.ndarray, np.ndarray]:
    return gram_sums(shard.fitted(layer), shard.before(layer, bias))


def _fitted(sums: Sequence[tuple[np.ndarray, np.ndarray]], ridge: float, rule: _Rule) -> np.ndarray:
    """``argmin_W β Σ |z − W a|² + ridge |W|²``."""
    each = np.full(len(sums[0][1]), ridge / rule.beta)
    if rule.bias:
        each[-1] = 0.0
    return weights_of_sums(sums, each)


def _hidden(work: tuple[Shard, int, np.ndarray, np.ndarray, _Rule, bool]) -> Shard:
    """a, then z of a hidden layer, then its multipliers."""
    shard, layer, W, after, rule, moving = work
    h, beta, gamma = rule.activation, rule.beta, rule.gamma
    u = 0.0 if shard.u is None else shard.u[layer]
    v = 0.0 if shard.v is None else shard.v[layer]
    after, shift = (after[:, :-1], after[:, -1:]) if rule.bias else (after, 0.0)
    a = activation_update(after, shard.fitted(layer + 1) - shift, h.function(shard.z[layer]) - v, beta, gamma)
    m = W @ shard.before(layer, rule.bias)
    z = h.update(a + v, m - u, gamma, beta)
    shard = replace(shard, a=_put(shard.a, layer, a), z=_put(shard.z, layer, z))
    if shard.u is None or shard.v is None or not moving:
        return shard
    return replace(shard, u=_put(shard.u, layer, u + z - m), v=_put(shard.v, layer, v + a - h.function(z)))


def _last(work: tuple[Shard, np.ndarray, _Rule, bool]) -> Shard:
    """The output's z, and its multiplier."""
    shard, W, rule, moving = work
    last = len(shard.z) - 1
    m = W @ shard.before(last, rule.bias)
    z = rule.output(shard.y, m, shard.lam, rule.beta)
    shard = replace(shard, z=_put(shard.z, last, z))
    if not moving:
        return shard
    if shard.u is None:
        return replace(shard, lam=shard.lam + rule.beta * (z - m))  # the paper's step; 2 β would be the whole one
    u = shard.u[last] + z - m
    return replace(shard, lam=2 * rule.beta * u, u=_put(shard.u, last, u))


def _put(items: tuple[np.ndarray, ...], k: int, value: np.ndarray) -> tuple[np.ndarray, ...]:
    return (*items[:k], value, *items[k + 1 :])
