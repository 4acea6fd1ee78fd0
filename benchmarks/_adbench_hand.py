"""ADBench's hand: distances of points from a skinned hand, and their Jacobian by the 26 pose parameters.

A bone's transformation is its parent's times its own rest position times a rotation by the pose. A vertex is the
weighted mean of its images by the bones; the hand as a whole is turned (axis and angle) and moved. A point belongs
to a vertex (simple) or to a place u in a triangle (complicated); the derivatives by u are then two more columns, as
each row depends on its own u only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import adjoint as adj

from ._adbench_data import Hand
from ._adbench_frameworks import ADJOINT, Framework, Pair

__all__ = ["casadi_pair", "distances", "model", "ours", "pair", "start"]


def levels(data: Hand) -> list[np.ndarray]:
    """Bones by their distance from the wrist."""
    found = [np.flatnonzero(data.parents < 0)]
    while (below := np.flatnonzero(np.isin(data.parents, found[-1]))).size:
        found.append(below)
    return found


def skin(data: Hand, order: np.ndarray) -> np.ndarray:
    """Vertices × 4 bones: weight times rest position (homogeneous), bones in the given order."""
    rest = np.concatenate([data.vertices, np.ones((len(data.vertices), 1))], axis=1)
    return (data.weights[:, order, None] * rest[:, None, :]).reshape(len(rest), -1)


def axes_of_bones(data: Hand) -> np.ndarray:
    """Bones × 3: where in theta[6:], followed by one zero, each angle stands."""
    where = np.full((len(data.parents), 3), data.theta.size - 6)
    where[data.driven] = np.arange(data.theta.size - 6)
    return where


def matrices(xp: Any, rows: Any) -> Any:
    """Stacked 3 × 3 matrices from nine vectors."""
    return xp.stack([xp.stack(row, -1) for row in rows], -2)


def bone_rotations(framework: Framework, angles: Any) -> Any:
    """Rz Ry Rx of every bone; a pose names its angles in the order x, z, y."""
    xp = framework.xp
    cosines, sines = xp.cos(angles), xp.sin(angles)
    (cx, cz, cy), (sx, sz, sy) = (tuple(part[:, k] for k in range(3)) for part in (cosines, sines))
    return matrices(
        xp,
        [
            [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
            [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
            [-sy, cy * sx, cy * cx],
        ],
    )


def turn(xp: Any, axis: Any) -> list[list[Any]]:
    """Rodrigues' rotation about an axis by its length."""
    angle = xp.sqrt(axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2)
    x, y, z = axis[0] / angle, axis[1] / angle, axis[2] / angle
    c, s = xp.cos(angle), xp.sin(angle)
    return [
        [x * x + (1.0 - x * x) * c, x * y * (1.0 - c) - z * s, x * z * (1.0 - c) + y * s],
        [x * y * (1.0 - c) + z * s, y * y + (1.0 - y * y) * c, y * z * (1.0 - c) - x * s],
        [x * z * (1.0 - c) - y * s, z * y * (1.0 - c) + x * s, z * z + (1.0 - z * z) * c],
    ]


def vertices(framework: Framework, data: Hand, theta: Any) -> Any:
    """Vertices × 3 of the posed hand: the chains of bones level by level, all fingers at once."""
    xp, array = framework.xp, framework.array
    padded = xp.concatenate([theta[6:], array(np.zeros(1))])
    rotations = bone_rotations(framework, padded[axes_of_bones(data)])
    rest = array(data.relatives)
    local = xp.concatenate([rest[:, :, :3] @ rotations, rest[:, :, 3:]], axis=2)
    found = levels(data)
    chains = [local[found[0]]]
    for above, bones in zip(found, found[1:], strict=False):
        chains.append(chains[-1][np.searchsorted(above, data.parents[bones])] @ local[bones])
    order = np.concatenate(found)
    transforms = xp.concatenate(chains, axis=0) @ array(data.inverse_absolutes[order])
    columns = xp.swapaxes(transforms[:, :3, :], 1, 2).reshape((4 * order.size, 3))
    posed = array(skin(data, order)) @ columns
    R = matrices(xp, turn(xp, theta[:3]))
    return posed @ R.T + theta[3:6]


def distances(framework: Framework, data: Hand, theta: Any, shift: Any = None) -> Any:
    """Points minus their places on the hand, N × 3; ``shift`` is added to every u."""
    posed = vertices(framework, data, theta)
    if data.us is None:
        return framework.array(data.points) - posed[data.correspondences]
    us, corners = framework.array(data.us) + shift, data.corners
    u, v = us[:, :1], us[:, 1:]
    places = u * posed[corners[:, 0]] + v * posed[corners[:, 1]] + (1.0 - u - v) * posed[corners[:, 2]]
    return framework.array(data.points) - places


def model(data: Hand) -> adj.Program:
    """The hand as a program: inputs ``theta`` and, where points belong to triangles, ``shift``; output ``distance``."""
    m = adj.Program("hand")
    shift = None if data.us is None else m.input("shift", np.zeros(2))
    m.define("distance", distances(ADJOINT, data, m.input("theta", data.theta), shift))
    return m


def start(data: Hand) -> np.ndarray:
    """The vector of inputs."""
    return data.theta if data.us is None else np.concatenate([np.zeros(2), data.theta])


def ours(data: Hand) -> Pair:
    """Distances and Jacobian by the library."""
    names = ["theta"] if data.us is None else ["shift", "theta"]
    fun = model(data).function(["distance"], wrt=names)
    return fun, fun.jac


def pair(framework: Framework, data: Hand) -> Pair:
    """Distances and Jacobian by a peer."""
    at = start(data).size - data.theta.size

    def f(v: Any) -> Any:
        return distances(framework, data, v[at:], v[:at]).reshape(-1)

    return framework.function(f), framework.jacobian(f)


def casadi_pair(ca: Any, data: Hand) -> Pair:
    """Distances and Jacobian by CasADi: scalar code for the bones, constant sparse matrices for skin and points."""
    theta = ca.SX.sym("theta", data.theta.size)
    padded = ca.vertcat(theta[6:], 0)
    absolute: list[Any] = []
    for k, where in enumerate(axes_of_bones(data)):
        x, z, y = (padded[int(i)] for i in where)
        rotation = _product(ca, _rotation(ca, 2, z), _rotation(ca, 1, y), _rotation(ca, 0, x))
        local = ca.SX(data.relatives[k]) @ ca.diagcat(rotation, 1)
        absolute.append(local if data.parents[k] < 0 else absolute[data.parents[k]] @ local)
    columns = [(a @ ca.SX(b))[:3, :].T for a, b in zip(absolute, data.inverse_absolutes, strict=True)]
    R = ca.vertcat(*(ca.horzcat(*row) for row in turn(ca, [theta[0], theta[1], theta[2]])))
    bones = ca.Function("bones", [theta], [ca.vertcat(*columns) @ R.T])
    v = ca.MX.sym("v", start(data).size)
    at = v.numel() - data.theta.size
    weights = ca.sparsify(ca.DM(skin(data, np.arange(len(data.parents)))))
    posed = weights @ bones(v[at:]) + ca.repmat(v[at + 3 : at + 6].T, len(data.vertices), 1)
    places = _places(ca, data, posed, v[:at])
    f = ca.vec((ca.DM(data.points) - places).T)
    value, slope = ca.Function("f", [v], [f]), ca.Function("J", [v], [ca.densify(ca.jacobian(f, v))])
    return lambda u: np.asarray(value(u)).ravel(), lambda u: np.asarray(slope(u))


def _rotation(ca: Any, axis: int, angle: Any) -> Any:
    """Rotation about a coordinate axis, as scalar code."""
    c, s = ca.cos(angle), ca.sin(angle)
    R = ca.SX.eye(3)
    i, j = ((1, 2), (2, 0), (0, 1))[axis]
    R[i, i], R[j, j], R[i, j], R[j, i] = c, c, -s, s
    return R


def _product(ca: Any, *factors: Any) -> Any:
    return ca.mtimes(list(factors))


def _places(ca: Any, data: Hand, posed: Any, shift: Any) -> Any:
    """N × 3 places on the hand."""
    if data.us is None:
        return posed[data.correspondences.tolist(), :]
    us = ca.DM(data.us) + ca.repmat(shift.T, len(data.us), 1)
    share = [us[:, 0], us[:, 1], 1 - us[:, 0] - us[:, 1]]
    return sum(ca.repmat(s, 1, 3) * posed[c.tolist(), :] for s, c in zip(share, data.corners.T, strict=True))
