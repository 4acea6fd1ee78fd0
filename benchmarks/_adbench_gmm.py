"""ADBench's Gaussian mixture: the log-likelihood with a Wishart prior, and its gradient.

f = −n d/2 log 2π + Σ_i LSE_k(α_k + Σ q_k − ½ |Q_k (x_i − μ_k)|²) − n LSE(α) + prior
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import multigammaln

import adjoint as adj

from ._adbench_data import Gmm
from ._adbench_frameworks import ADJOINT, Framework, Pair

__all__ = ["casadi_pair", "log_likelihood", "model", "pair"]


def constant_terms(data: Gmm) -> float:
    """What does not depend on the parameters: the normal densities' constant and the Wishart prior's."""
    (n, d), k = data.points.shape, data.alphas.size
    freedom = d + data.m + 1
    prior = freedom * d * (np.log(data.gamma) - 0.5 * np.log(2.0)) - multigammaln(0.5 * freedom, d)
    return float(-0.5 * n * d * np.log(2.0 * np.pi) - k * prior)


def log_likelihood(framework: Framework, data: Gmm, alphas: Any, means: Any, factors: Any) -> Any:
    """The objective."""
    xp, (n, d), k = framework.xp, data.points.shape, data.alphas.size
    logs, below = factors[:, :d], factors[:, d:]
    diagonal = xp.exp(logs)
    padded = xp.concatenate([diagonal, below, framework.array(np.zeros((k, 1)))], axis=1)
    Q = padded[:, data.positions]
    points = framework.array(np.ascontiguousarray(data.points.T))
    z = (Q.reshape((k * d, d)) @ points).reshape((k, d, n)) - Q @ means[:, :, None]
    sums = xp.sum(logs, axis=1)
    exponents = (alphas + sums)[:, None] - 0.5 * xp.sum(z**2, axis=1)
    likelihood = xp.sum(framework.logsumexp(exponents, 0)) - n * framework.logsumexp(alphas, 0)
    prior = 0.5 * data.gamma**2 * (xp.sum(diagonal**2) + xp.sum(below**2)) - data.m * xp.sum(sums)
    return likelihood + prior + constant_terms(data)


def model(data: Gmm) -> adj.Program:
    """The mixture as a program: inputs ``alphas``, ``means``, ``factors``, objective ``f``."""
    m = adj.Program("gmm")
    alphas, means = m.input("alphas", data.alphas), m.input("means", data.means)
    m.define("f", log_likelihood(ADJOINT, data, alphas, means, m.input("factors", data.factors)))
    return m


def ours(data: Gmm) -> Pair:
    """Objective and gradient by the library."""
    fun = model(data).function("f", wrt=["alphas", "means", "factors"])
    return fun, fun.jac


def pair(framework: Framework, data: Gmm) -> Pair:
    """Objective and gradient by a peer."""
    at = np.cumsum([data.alphas.size, data.means.size])

    def f(v: Any) -> Any:
        means, factors = v[at[0] : at[1]].reshape(data.means.shape), v[at[1] :].reshape(data.factors.shape)
        return log_likelihood(framework, data, v[: at[0]], means, factors)

    return framework.function(f), framework.gradient(f)


def casadi_pair(ca: Any, data: Gmm) -> Pair:
    """Objective and gradient by CasADi: scalar code for one point, mapped over the points."""
    (n, d), k = data.points.shape, data.alphas.size
    width = data.factors.shape[1]
    v, x = ca.SX.sym("v", data.vector.size), ca.SX.sym("x", d)
    alphas = v[:k]
    means = ca.reshape(v[k : k + k * d], d, k)
    factors = ca.reshape(v[k + k * d :], width, k)
    exponents = []
    for c in range(k):
        entries = ca.vertcat(ca.exp(factors[:d, c]), factors[d:, c], 0)
        Q = ca.reshape(entries[data.positions.T.ravel().tolist()], d, d)
        exponents.append(alphas[c] + ca.sum1(factors[:d, c]) - 0.5 * ca.sumsqr(ca.sparsify(Q) @ (x - means[:, c])))
    point = ca.Function("point", [v, x], [ca.logsumexp(ca.vertcat(*exponents))])
    w = ca.MX.sym("v", v.numel())
    parts = ca.reshape(w[k + k * d :], width, k)
    logs, below = parts[:d, :], parts[d:, :]
    prior = 0.5 * data.gamma**2 * (ca.sumsqr(ca.exp(logs)) + ca.sumsqr(below)) - data.m * ca.sum1(ca.vec(logs))
    likelihood = ca.sum2(point.map(n)(w, data.points.T)) - n * ca.logsumexp(w[:k])
    f = likelihood + prior + constant_terms(data)
    value, slope = ca.Function("f", [w], [f]), ca.Function("g", [w], [ca.gradient(f, w)])
    return lambda u: float(value(u)), lambda u: np.asarray(slope(u)).ravel()
