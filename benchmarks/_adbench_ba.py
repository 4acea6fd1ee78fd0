"""ADBench's bundle adjustment: reprojection errors, weight errors, and their sparse Jacobian.

    r = w (project(camera, X) − feature),   e = 1 − w²

A camera turns X − C by Rodrigues' formula, divides by the depth, distorts radially and scales. A row of r has 15
entries (camera 11, point 3, weight 1; two of them are zero), a row of e one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

import adjoint as adj

from ._adbench_data import Ba
from ._adbench_frameworks import Framework, Pair

__all__ = ["casadi_pair", "errors", "model", "ours", "pair"]


def errors(xp: Any, camera: Any, point: Any, weight: Any, features: Any) -> tuple[Any, Any]:
    """Reprojection errors in x and y: one camera (11 columns), point (3) and weight per observation."""
    x0, y0, k1, k2 = camera[:, 7], camera[:, 8], camera[:, 9], camera[:, 10]
    x, y, z = (point[:, k] - camera[:, 3 + k] for k in range(3))
    turn = [camera[:, k] for k in range(3)]
    angle = xp.sqrt(turn[0] ** 2 + turn[1] ** 2 + turn[2] ** 2)
    a, b, c = (t / angle for t in turn)
    cosine, sine = xp.cos(angle), xp.sin(angle)
    along = (a * x + b * y + c * z) * (1.0 - cosine)
    depth = z * cosine + (a * y - b * x) * sine + c * along
    u = (x * cosine + (b * z - c * y) * sine + a * along) / depth
    v = (y * cosine + (c * x - a * z) * sine + b * along) / depth
    square = u**2 + v**2
    scale = camera[:, 6] * (1.0 + k1 * square + k2 * square**2)
    return weight * (u * scale + x0 - features[:, 0]), weight * (v * scale + y0 - features[:, 1])


def model(data: Ba) -> adj.Program:
    """The bundle as a program: inputs ``cameras``, ``points``, ``weights``; errors ``r`` and ``e``."""
    m = adj.Program("ba")
    cameras, points = m.input("cameras", data.cameras), m.input("points", data.points)
    w = m.input("weights", data.weights)
    x, y = errors(np, cameras[data.camera], points[data.point], w, data.features)
    m.define("r", np.stack([x, y], axis=1))
    m.define("e", 1.0 - w**2)
    return m


def ours(data: Ba) -> Pair:
    """Errors and sparse Jacobian by the library."""
    fun = model(data).function(["r", "e"], wrt=["cameras", "points", "weights"], sparse=True)
    return fun, fun.jac


class Layout:
    """Where the parameters of each observation stand, and the structure of the Jacobian: computed once for a peer."""

    def __init__(self, data: Ba) -> None:
        p, n, m = data.weights.size, len(data.cameras), len(data.points)
        camera = 11 * data.camera[:, None] + np.arange(11)
        point = 11 * n + 3 * data.point[:, None] + np.arange(3)
        self.weights = slice(11 * n + 3 * m, 11 * n + 3 * m + p)
        weight = np.arange(self.weights.start, self.weights.stop)[:, None]
        self.columns = np.concatenate([camera, point, weight], axis=1)
        self.shape = 3 * p, self.weights.stop
        self.indices = np.concatenate([np.repeat(self.columns, 2, axis=0).ravel(), weight.ravel()])
        self.indptr = np.concatenate([15 * np.arange(2 * p + 1), 30 * p + np.arange(1, p + 1)])

    def matrix(self, r: np.ndarray, v: np.ndarray) -> sp.csr_array:
        """The Jacobian of derivatives p × 2 × 15 of r."""
        data = np.concatenate([np.reshape(r, -1), -2.0 * v[self.weights]])
        return sp.csr_array((data, self.indices, self.indptr), shape=self.shape)

    def values(self, r: np.ndarray, v: np.ndarray) -> np.ndarray:
        """All errors."""
        return np.concatenate([np.reshape(r, -1), 1.0 - v[self.weights] ** 2])


def pair(framework: Framework, data: Ba) -> Pair:
    """Errors and sparse Jacobian by a peer: dense rows per observation, batched, into a fixed structure."""
    layout = Layout(data)
    features = framework.array(data.features)

    def f(rows: Any, features: Any) -> Any:
        x, y = errors(framework.xp, rows[:, :11], rows[:, 11:14], rows[:, 14], features)
        return framework.xp.stack([x, y], 1)

    value = framework.function(lambda v: f(v[layout.columns], features))
    derivative = framework.rows(f, layout.columns, features)
    return lambda v: layout.values(value(v), v), lambda v: layout.matrix(derivative(v), v)


def casadi_pair(ca: Any, data: Ba) -> Pair:
    """Errors and sparse Jacobian by CasADi: scalar code for one observation, mapped over all."""
    layout = Layout(data)
    row, feature = ca.SX.sym("row", 1, 15), ca.SX.sym("feature", 1, 2)
    r = ca.vertcat(*errors(ca, row[:, :11], row[:, 11:14], row[:, 14], feature))
    slope = ca.densify(ca.jacobian(r, row)).T
    p = data.weights.size
    value = ca.Function("r", [row.T, feature.T], [r]).map(p)
    derivative = ca.Function("J", [row.T, feature.T], [ca.reshape(slope, 30, 1)]).map(p)
    features = ca.DM(data.features.T)

    def call(function: Any, v: np.ndarray) -> np.ndarray:
        return np.asarray(function(ca.DM(v[layout.columns].T), features)).T

    return lambda v: layout.values(call(value, v), v), lambda v: layout.matrix(call(derivative, v), v)
