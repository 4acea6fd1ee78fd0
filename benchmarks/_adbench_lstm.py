"""ADBench's long short-term memory: the loss of a diagonal network over a sequence, and its gradient.

loss = −1/(b (c − 1)) Σ_t x_{t+1} · (y_t − log(2 + Σ exp y_t))
"""

from __future__ import annotations

from typing import Any

import numpy as np

import adjoint as adj

from ._adbench_data import Lstm
from ._adbench_frameworks import ADJOINT, Framework, Pair

__all__ = ["casadi_pair", "loss", "model", "ours", "pair"]


def step(framework: Framework, main: Any, extra: Any, state: Any, x: Any) -> tuple[list[Any], Any]:
    """New state and output: through every layer, its gates diagonal."""
    new = []
    x = x * extra[0]
    for k in range(0, len(state), 2):
        (hidden, cell), weight, bias = (state[k], state[k + 1]), main[k], main[k + 1]
        forget = framework.sigmoid(x * weight[0] + bias[0])
        ingate = framework.sigmoid(hidden * weight[1] + bias[1])
        outgate = framework.sigmoid(x * weight[2] + bias[2])
        change = framework.xp.tanh(hidden * weight[3] + bias[3])
        cell = cell * forget + ingate * change
        x = outgate * framework.xp.tanh(cell)
        new += [x, cell]
    return new, x * extra[1] + extra[2]


def loss(framework: Framework, data: Lstm, main: Any, extra: Any) -> Any:
    """The objective: a loop over the time steps."""
    xp = framework.xp
    sequence, state = framework.array(data.sequence), list(framework.array(data.state))
    if framework.scan is None:
        # The rows are taken once: a loop that indexes main anew would record as many operations.
        main, extra = [[main[i, k] for k in range(4)] for i in range(len(data.main))], [extra[k] for k in range(3)]
        outputs = []
        for x in sequence[:-1]:
            state, y = step(framework, main, extra, state, x)
            outputs.append(y)
        y = xp.stack(outputs, 0)
    else:
        _, y = framework.scan(lambda s, x: step(framework, main, extra, s, x), state, sequence[:-1])
    norms = xp.log(2.0 + xp.sum(xp.exp(y), axis=1))
    return -xp.sum(sequence[1:] * (y - norms[:, None])) / (data.sequence.size - data.sequence.shape[1])


def model(data: Lstm) -> adj.Program:
    """The network as a program: inputs ``main`` and ``extra``, objective ``loss``."""
    m = adj.Program("lstm")
    m.define("loss", loss(ADJOINT, data, m.input("main", data.main), m.input("extra", data.extra)))
    return m


def ours(data: Lstm) -> Pair:
    """Loss and gradient by the library."""
    fun = model(data).function("loss", wrt=["main", "extra"])
    return fun, fun.jac


def pair(framework: Framework, data: Lstm) -> Pair:
    """Loss and gradient by a peer."""

    def f(v: Any) -> Any:
        main, extra = v[: data.main.size], v[data.main.size :]
        return loss(framework, data, main.reshape(data.main.shape), extra.reshape(data.extra.shape))

    return framework.function(f), framework.gradient(f)


def casadi_pair(ca: Any, data: Lstm) -> Pair:
    """Loss and gradient by CasADi: scalar code for one step, mapped over time with an accumulated state."""
    layers, _, b = data.main.shape
    framework = Framework("CasADi", ca, *(lambda *a: None,) * 2, lambda x: 1.0 / (1.0 + ca.exp(-x)), *(None,) * 4)
    v, s, x = ca.SX.sym("v", data.vector.size), ca.SX.sym("s", layers * b), ca.SX.sym("x", b)
    rows = ca.vertsplit(v, b)
    main = [rows[4 * k : 4 * k + 4] for k in range(layers)]
    new, y = step(framework, main, rows[4 * layers :], ca.vertsplit(s, b), x)
    once = ca.Function("step", [s, v, x], [ca.vertcat(*new), y])
    count = len(data.sequence) - 1
    w = ca.MX.sym("v", data.vector.size)
    _, outputs = once.mapaccum(count)(data.state.ravel(), ca.repmat(w, 1, count), data.sequence[:-1].T)
    norms = ca.log(2.0 + ca.sum1(ca.exp(outputs)))
    f = -ca.dot(data.sequence[1:].T, outputs - ca.repmat(norms, b, 1)) / (b * count)
    value, slope = ca.Function("f", [w], [f]), ca.Function("g", [w], [ca.gradient(f, w)])
    return lambda u: float(value(u)), lambda u: np.asarray(slope(u)).ravel()
