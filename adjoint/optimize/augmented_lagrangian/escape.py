"""Ways out of saddle points: along the eigenvector of the most negative curvature.

References
----------
.. [1] A. R. Conn, N. I. M. Gould and P. L. Toint, "Trust-Region Methods", 2000, section 6.6 (second-order points).
"""

from __future__ import annotations

import numpy as np
import scipy

from ...errors import EvaluationError
from ..scaled import Point
from .function import AugmentedFunction, Sample

__all__ = ["curved_away"]

CURVED = 1e-6  # negative eigenvalue that counts, relative to the largest entry
DENSE = 200  # variables up to which all eigenvalues are computed
LENGTHS = 1.0, 0.3, 0.1, 0.03, 0.01, 1e-3  # of the steps tried, relative to the variables
FALLS = 1e-4  # of the value, relative to what the curvature promises, at least


def curved_away(function: AugmentedFunction, s: Sample) -> Sample | None:
    """A sample of smaller value along the most negative curvature, or None; where the gradient vanishes."""
    program, p = function.program, s.point
    if program.hessian_pattern is None:
        return None
    found = _lowest(function, s)
    if found is None:
        return None
    curvature, v = found
    best, least = None, np.inf
    for length in (*LENGTHS, *(-step for step in LENGTHS)):
        x = np.clip(p.x + length * v, program.lower, program.upper)
        try:
            f, c = program.values(x)
            value = function.value(f, c)
            if value < min(least, s.value - FALLS * curvature * length**2):
                best, least = function.sample(Point(x, f, c, *program.derivatives(x))), value
        except EvaluationError:
            continue
    return best


def _lowest(function: AugmentedFunction, s: Sample) -> tuple[float, np.ndarray] | None:
    """The most negative curvature, and its direction, in units of the variables, of those that no bound holds."""
    program, p = function.program, s.point
    assert program.hessian_pattern is not None
    small = 1e-8 * max(1.0, float(np.abs(s.gradient).max(initial=0.0)))
    at = ((p.x <= program.lower) & (s.gradient > small)) | ((p.x >= program.upper) & (s.gradient < -small))
    size = np.where(at, 0.0, np.maximum(1.0, np.abs(p.x)))
    n, (rows, cols) = program.n, program.hessian_pattern
    D = scipy.sparse.diags_array(size)
    H = D @ scipy.sparse.csr_array((program.hessian(p.x, s.y), (rows, cols)), (n, n)) @ D
    H = H + scipy.sparse.tril(H, -1).T
    J = scipy.sparse.csr_array((p.J, program.jacobian_pattern), (program.m, n)) @ D
    weight = np.where(function.binding(s.y), function.penalty, 0.0)
    B = (H + J.T @ (scipy.sparse.diags_array(weight) @ J)).tocsr()
    try:
        if n <= DENSE:
            values, vectors = np.linalg.eigh(B.toarray())
        else:
            values, vectors = scipy.sparse.linalg.eigsh(B, k=1, which="SA", tol=1e-3, v0=np.ones(n))
    except (np.linalg.LinAlgError, scipy.sparse.linalg.ArpackError):
        return None
    if not len(values) or not values[0] < -CURVED * float(np.abs(H.data).max(initial=0.0)):
        return None
    v = vectors[:, 0] / np.abs(vectors[:, 0]).max()
    return -0.5 * float(values[0] * (v @ v)), np.asarray(size * v)
