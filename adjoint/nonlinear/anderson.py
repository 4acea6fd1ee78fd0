"""Anderson acceleration of the fixed-point iteration ``u <- G(u)``.

With ``f_k = G(u_k) - u_k`` and the differences ``dF = [f_{j+1} - f_j]``, ``dG = [G_{j+1} - G_j]`` of the
last `m` iterates,

    gamma = argmin ||f_k - dF gamma||,     u_{k+1} = G(u_k) - dG gamma.

Walker & Ni 2011, "Anderson acceleration for fixed-point iterations", SIAM J. Numer. Anal. 49, section 4:
least squares by QR, and the oldest differences are dropped while the triangular factor is
ill-conditioned.

`G` is a Gauss-Seidel sweep where every equation is explicit. Otherwise it is a chord step ``u - J(u_0)^-1
g(u)``, with one factorization for all iterations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import scipy

from adjoint.errors import Status
from adjoint.nonlinear.base import (
    FLOOR,
    SINGULAR_RCOND,
    Options,
    Outcome,
    SingularMatrix,
    System,
    best_rcond,
    iterate_map,
    start,
    verify,
)

__all__ = ["solve_anderson"]

CONDITION = 1e8  # largest ratio of the diagonal of R


def solve_anderson(system: System, u0: np.ndarray, options: Options | None = None) -> Outcome:
    """Solve ``u = G(u)`` by Anderson acceleration from `u0`, with ``options.window`` differences."""
    options = options or Options()
    with np.errstate(all="ignore"):
        u = np.array(u0, dtype=float).ravel()
        image_of = system.sweep
        if system.sweep(u) is None:
            try:
                u, image_of = _chord_map(system, u)
            except SingularMatrix:
                return verify(system, u, Status.SINGULAR, 0, [], "anderson", options)
            except FloatingPointError:
                return verify(system, u, Status.NON_FINITE, 0, [], "anderson", options)
        return iterate_map(system, u, options, "anderson", image_of, _accelerated(options.window))


def _chord_map(system: System, u0: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """The map ``u - J(u_0)^-1 g(u)``, and its first iterate."""
    u, _, J, s, worst = start(system, u0)
    if not worst < np.inf:
        raise FloatingPointError
    factor = system.factor(J)
    if best_rcond(factor, u, s) < SINGULAR_RCOND:
        raise SingularMatrix
    return u, lambda v: v - factor.solve(system.residual(v))


def _accelerated(window: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The next iterate from the last ``window + 1`` pairs of an iterate and its image."""
    images: deque[np.ndarray] = deque(maxlen=window + 1)
    changes: deque[np.ndarray] = deque(maxlen=window + 1)

    def next_iterate(u: np.ndarray, image: np.ndarray) -> np.ndarray:
        images.append(image)
        changes.append(image - u)
        # Unknowns of different size count by their relative change.
        weights = np.maximum(np.abs(image), FLOOR)
        while len(changes) > 1:
            dF = np.diff(np.array(changes), axis=0).T / weights[:, None]
            Q, R = np.linalg.qr(dF)
            diagonal = np.abs(R.diagonal())
            if R.shape[0] == R.shape[1] and diagonal.min() * CONDITION > diagonal.max():
                gamma = scipy.linalg.solve_triangular(R, Q.T @ (changes[-1] / weights))
                return image - np.diff(np.array(images), axis=0).T @ gamma
            images.popleft()
            changes.popleft()
        return image

    return next_iterate
