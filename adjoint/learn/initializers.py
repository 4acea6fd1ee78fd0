"""First values of weights, ``initializer(shape, random)``: the last two axes are what a unit reads, and the units."""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError

__all__ = ["glorot_normal", "glorot_uniform", "he_normal", "orthogonal", "zeros"]


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) < 2:
        raise ShapeError(f"weights have two axes or more, what is read and the units; got shape {shape}")
    return int(np.prod(shape[:-1])), int(shape[-1])


def zeros(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Zeros.

    >>> zeros((2,), np.random.default_rng(0)).tolist()
    [0.0, 0.0]
    """
    return np.zeros(shape)


def glorot_uniform(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Uniform with variance 2 / (read + units) (Glorot & Bengio 2010): for tanh.

    >>> bool(np.abs(glorot_uniform((3, 3), np.random.default_rng(0))).max() <= 1.0)
    True
    """
    read, units = _fans(shape)
    limit = np.sqrt(6.0 / (read + units))
    return random.uniform(-limit, limit, shape)


def glorot_normal(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Normal with variance 2 / (read + units).

    >>> glorot_normal((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """
    read, units = _fans(shape)
    return random.normal(0.0, np.sqrt(2.0 / (read + units)), shape)


def he_normal(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Normal with variance 2 / read (He et al. 2015): for relu.

    >>> he_normal((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """
    return random.normal(0.0, np.sqrt(2.0 / _fans(shape)[0]), shape)


def orthogonal(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Orthonormal columns, or rows where there are fewer (Saxe et al. 2014): for recurrent weights.

    >>> W = orthogonal((3, 3), np.random.default_rng(0))
    >>> bool(np.allclose(W.T @ W, np.eye(3)))
    True
    """
    read, units = _fans(shape)
    q, r = np.linalg.qr(random.normal(size=(max(read, units), min(read, units))))
    q = q * np.sign(np.diag(r))
    return (q if read >= units else q.T).reshape(shape)
