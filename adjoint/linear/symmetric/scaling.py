"""Scaling of a symmetric matrix from both sides, so that the sizes of its pivots mean something."""

from __future__ import annotations

import numpy as np

from .interface import SymmetricFactorization, SymmetricPattern

__all__ = ["Equilibration", "ScaledFactors", "by_diagonal"]

NEAR = 10.0  # how far from 1 the largest entry of a row may be
FAR = 1e3  # how much sizes may change while scales are kept
KEPT = 15  # matrices for which they are
PASSES = 10


class Equilibration:
    """``D`` with which the largest entry in each row of ``D A D`` is near 1.

    Each pass divides ``dᵢ`` by the root of the largest entry of row i, which halves the distance to 1 on a logarithmic
    scale [1]_. Scales are kept for some matrices that follow, of the same pattern, unless sizes change much.

    References
    ----------
    .. [1] D. Ruiz, "A scaling algorithm to equilibrate both rows and columns norms in matrices", Rutherford Appleton
           Laboratory, RAL-TR-2001-034.

    >>> from scipy.sparse import csc_array
    >>> scaling = Equilibration(SymmetricPattern(csc_array([[1.0, 0.0], [1.0, 1.0]])))
    >>> scaling.scaled(np.array([1e16, 1e8, 4.0])).round(2).tolist(), scaling.d.round(10).tolist()
    ([1.0, 0.32, 0.4], [1e-08, 0.316227766])
    """

    def __init__(self, pattern: SymmetricPattern) -> None:
        self.pattern = pattern
        self.d = np.ones(pattern.n)
        self.age = KEPT  # matrices since the scales were made
        self._weight = np.ones(pattern.nnz)
        self._least = np.zeros(pattern.n)  # sizes of diagonal entries below which a row has become small

    def scaled(self, data: np.ndarray, renew: bool = False) -> np.ndarray:
        """The entries of ``D A D``, from those of ``A``, in the order of the lower triangle."""
        out: np.ndarray = data * self._weight
        self.age += 1
        if renew or self.age > KEPT or self._has_changed(out):
            out = self._renewed(data, out)
        return out

    def _has_changed(self, out: np.ndarray) -> bool:
        """Whether entries have become large, or diagonal entries that were the largest of their row small."""
        if not out.size:
            return False
        if np.maximum.reduce(out) > FAR or np.minimum.reduce(out) < -FAR:
            return True
        return bool(np.logical_or.reduce(np.abs(out[self.pattern.diagonal]) < self._least))

    def _renewed(self, data: np.ndarray, out: np.ndarray) -> np.ndarray:
        """The entries with scales made for them."""
        pattern = self.pattern
        for _ in range(PASSES if out.size else 0):
            largest = np.maximum.reduceat(pattern.expanded(np.abs(out)), pattern.full.indptr[:-1])
            largest[largest == 0.0] = 1.0
            if np.maximum.reduce(largest) <= NEAR and np.minimum.reduce(largest) >= 1.0 / NEAR:
                break
            self.d = self.d / np.sqrt(largest)
            self._weight = self.d[pattern.indices] * self.d[pattern.columns]
            out = data * self._weight
        size = np.abs(out[pattern.diagonal])
        self._least = np.where(size >= 1.0 / NEAR, size / FAR, 0.0)
        self.age = 0
        return out


def by_diagonal(pattern: SymmetricPattern, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Entries of the lower triangle of ``D A D`` without a diagonal entry above 1, and ``D``.

    For solvers that choose their pivots, or scale the matrix again: near bounds, diagonal entries are of all sizes.
    """
    d = 1.0 / np.sqrt(np.maximum(1.0, np.abs(data[pattern.diagonal])))
    return data * d[pattern.indices] * d[pattern.columns], d


class ScaledFactors(SymmetricFactorization):
    """Factors of ``D A D``, which solve with ``A``."""

    def __init__(self, factors: SymmetricFactorization, d: np.ndarray) -> None:
        self._factors, self._d, self.inertia = factors, d, factors.inertia

    def solve(self, b: np.ndarray) -> np.ndarray:
        d = self._d if b.ndim == 1 else self._d[:, None]
        return d * self._factors.solve(d * b)  # type: ignore[no-any-return]
