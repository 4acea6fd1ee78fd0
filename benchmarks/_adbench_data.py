"""ADBench's inputs: Gaussian mixture, bundle adjustment, hand tracking, long short-term memory.

Šrajer, Kukelova & Fitzgibbon 2018, "A benchmark of selected algorithmic differentiation tools on some problems in
computer vision and machine learning". The formats are those of ADBench's ``FileFormat.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Ba", "Gmm", "Hand", "Lstm", "read_ba", "read_gmm", "read_hand", "read_lstm"]


@dataclass(frozen=True)
class Gmm:
    """A mixture of K Gaussians in d dimensions, seen at n points.

    ``factors`` holds one row per component: the logarithm of the diagonal of the factor of the inverse covariance,
    then its strict lower triangle column by column. ``gamma`` and ``m`` are of the Wishart prior.
    """

    alphas: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    points: np.ndarray
    gamma: float
    m: int

    @property
    def positions(self) -> np.ndarray:
        """d × d: where in a row of ``factors``, followed by one zero, each element of the factor stands."""
        d = self.means.shape[1]
        where = np.full((d, d), self.factors.shape[1])
        where[np.diag_indices(d)] = np.arange(d)
        column, row = np.triu_indices(d, 1)
        where[row, column] = d + np.arange(row.size)
        return where

    @property
    def vector(self) -> np.ndarray:
        """The parameters in ADBench's order."""
        return np.concatenate([self.alphas, self.means.ravel(), self.factors.ravel()])


def read_gmm(path: Path) -> Gmm:
    """Read a mixture; where the file has a single point, it stands for all n."""
    numbers = np.array(path.read_text(encoding="utf-8").split(), dtype=float)
    d, k, n = numbers[:3].astype(int)
    width = d + d * (d - 1) // 2
    alphas, means, factors, rest = np.split(numbers[3:], np.cumsum([k, k * d, k * width]))
    points = np.broadcast_to(rest[:-2].reshape(-1, d), (n, d)).copy()
    return Gmm(alphas, means.reshape(k, d), factors.reshape(k, width), points, float(rest[-2]), int(rest[-1]))


@dataclass(frozen=True)
class Ba:
    """Cameras (rotation 3, centre 3, focal length, principal point 2, distortion 2), points, and observations.

    Observation i is of point ``point[i]`` by camera ``camera[i]``, at ``features[i]``, with ``weights[i]``.
    """

    cameras: np.ndarray
    points: np.ndarray
    weights: np.ndarray
    features: np.ndarray
    camera: np.ndarray
    point: np.ndarray

    @property
    def vector(self) -> np.ndarray:
        """The parameters in ADBench's order."""
        return np.concatenate([self.cameras.ravel(), self.points.ravel(), self.weights])


def read_ba(path: Path) -> Ba:
    """Read a bundle: one camera, point, weight and feature, repeated.

    Camera i mod n makes observation i, of point i mod m.
    """
    numbers = np.array(path.read_text(encoding="utf-8").split(), dtype=float)
    n, m, p = numbers[:3].astype(int)
    camera, point, weight, feature = np.split(numbers[3:], [11, 14, 15])
    at = np.arange(p)
    return Ba(
        np.tile(camera, (n, 1)), np.tile(point, (m, 1)), np.repeat(weight, p), np.tile(feature, (p, 1)), at % n, at % m
    )


@dataclass(frozen=True)
class Hand:
    """A hand of bones and a skin, points seen, and the vertex (or triangle) of the skin that each belongs to.

    ``us`` are barycentric coordinates in the triangles, None where points belong to vertices.
    """

    relatives: np.ndarray
    inverse_absolutes: np.ndarray
    parents: np.ndarray
    vertices: np.ndarray
    weights: np.ndarray
    triangles: np.ndarray
    points: np.ndarray
    correspondences: np.ndarray
    theta: np.ndarray
    us: np.ndarray | None

    @property
    def corners(self) -> np.ndarray:
        """N × 3: the vertices of each point's triangle."""
        return self.triangles[self.correspondences]

    @property
    def driven(self) -> tuple[np.ndarray, np.ndarray]:
        """Bone and axis that each of theta[6:] turns: per finger x and y of its second bone, x of the next two."""
        second = 2 + 4 * np.arange(5)
        bones = second[:, None] + np.array([0, 0, 1, 2])
        return bones.ravel(), np.tile([0, 1, 0, 0], 5)


def read_hand(path: Path, model: Path, complicated: bool = False) -> Hand:
    """Read the points from ``path`` and the hand from the folder ``model``; ``complicated`` files have ``us`` too."""
    bones = [line.split(":") for line in (model / "bones.txt").read_text(encoding="utf-8").split()]
    matrices = np.array([bone[2:34] for bone in bones], dtype=float).reshape(-1, 2, 4, 4)
    skin = [line.split(":") for line in (model / "vertices.txt").read_text(encoding="utf-8").split()]
    weights = np.zeros((len(skin), len(bones)))
    for row, line in zip(weights, skin, strict=True):
        row[np.array(line[9::2], dtype=int)] = np.array(line[10::2], dtype=float)
    triangles = [line.split(":") for line in (model / "triangles.txt").read_text(encoding="utf-8").split()]
    numbers = np.array(path.read_text(encoding="utf-8").split(), dtype=float)
    n, n_theta = numbers[:2].astype(int)
    seen, us, theta = np.split(numbers[2:], [4 * n, 4 * n + (2 * n if complicated else 0)])
    assert theta.size == n_theta == 26
    seen = seen.reshape(n, 4)
    return Hand(
        matrices[:, 0],
        matrices[:, 1],
        np.array([bone[1] for bone in bones], dtype=int),
        np.array([line[:3] for line in skin], dtype=float),
        weights,
        np.array(triangles, dtype=int),
        seen[:, 1:],
        seen[:, 0].astype(int),
        theta,
        us.reshape(n, 2) if complicated else None,
    )


@dataclass(frozen=True)
class Lstm:
    """Layers of gates, each diagonal, of width b.

    ``main`` is 2 l × 4 × b (weights and biases of layer 1, of layer 2, …), ``extra`` 3 × b (input weights, output
    weights, output biases), ``state`` 2 l × b (hidden and cell of each layer).
    """

    main: np.ndarray
    extra: np.ndarray
    state: np.ndarray
    sequence: np.ndarray

    @property
    def vector(self) -> np.ndarray:
        """The parameters in ADBench's order."""
        return np.concatenate([self.main.ravel(), self.extra.ravel()])


def read_lstm(path: Path) -> Lstm:
    """Read a network, its first state and its sequence."""
    numbers = np.array(path.read_text(encoding="utf-8").split(), dtype=float)
    layers, count, b = numbers[:3].astype(int)
    main, extra, state, sequence = np.split(numbers[3:], np.cumsum([8 * layers * b, 3 * b, 2 * layers * b]))
    return Lstm(
        main.reshape(2 * layers, 4, b), extra.reshape(3, b), state.reshape(2 * layers, b), sequence.reshape(count, b)
    )
