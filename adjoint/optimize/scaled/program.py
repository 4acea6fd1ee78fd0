"""A nonlinear program scaled by its gradients, without fixed variables and free rows."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from ...errors import EvaluationError
from ..nlp import NonlinearProgram
from ..outcome import relative_to_terms

__all__ = ["ScaledProgram"]

MIN_SCALE = 1e-8  # smallest factor of gradient-based scaling
COUNTED = ("objective", "gradient", "constraints", "jacobian", "hessian")

Pattern = tuple[np.ndarray, np.ndarray]


class ScaledProgram:
    """``min s f(x)`` subject to ``row_lower ≤ S c(x) ≤ row_upper``, ``lower ≤ x ≤ upper`` in the free variables.

    The factors ``s`` and ``S`` are at most 1, and make no gradient at the start larger than a limit (Wächter &
    Biegler 2006, section 3.8).

    Parameters
    ----------
    nlp : NonlinearProgram
    max_gradient : float
        That limit; infinity leaves the program as it is.
    x : ndarray, optional
        The start, of all variables, instead of the program's.

    Raises
    ------
    EvaluationError
        The program cannot be evaluated at the start.
    """

    def __init__(self, nlp: NonlinearProgram, max_gradient: float = 100.0, x: np.ndarray | None = None) -> None:
        self.nlp = nlp
        self.counts = dict.fromkeys(COUNTED, 0)
        lower, upper = (np.asarray(v, dtype=float) for v in (nlp.lower, nlp.upper))
        start = np.clip(np.asarray(nlp.x0 if x is None else x, dtype=float), lower, upper)
        self._template = start.copy()
        self.free = np.flatnonzero(lower != upper)
        sides = (np.asarray(v, dtype=float) for v in (nlp.constraint_lower, nlp.constraint_upper))
        self._row_lower, self._row_upper = sides
        self.kept = np.flatnonzero(np.isfinite(self._row_lower) | np.isfinite(self._row_upper))
        self.n, self.m = len(self.free), len(self.kept)
        self.x0, self.lower, self.upper = start[self.free], lower[self.free], upper[self.free]
        self.jacobian_pattern, self._take_jacobian = self._part(nlp.jacobian_pattern, self.kept, nlp.m)
        self.hessian_pattern: Pattern | None = None
        if nlp.hessian_pattern is not None:
            self.hessian_pattern, self._take_hessian = self._part(nlp.hessian_pattern, self.free, nlp.n)
        self.weight = 1.0
        self.f_scale, self.c_scale = 1.0, np.ones(self.m)
        self._set_sides()
        self._set_scale(max_gradient)

    def _part(self, pattern: Pattern, rows: np.ndarray, size: int) -> tuple[Pattern, np.ndarray]:
        """The entries in some rows and in the free variables' columns, renumbered."""
        new_row, new_col = np.full(size, -1), np.full(self.nlp.n, -1)
        new_row[rows], new_col[self.free] = np.arange(len(rows)), np.arange(self.n)
        i, j = (np.asarray(v, dtype=np.int64) for v in pattern)
        take = np.flatnonzero((new_row[i] >= 0) & (new_col[j] >= 0))
        return (new_row[i[take]], new_col[j[take]]), take

    def _set_sides(self) -> None:
        self.row_lower = self._row_lower[self.kept] * self.c_scale
        self.row_upper = self._row_upper[self.kept] * self.c_scale
        self.equality = self.row_lower == self.row_upper

    def _set_scale(self, largest: float) -> None:
        g, J = self.derivatives(self.x0)
        size = float(np.abs(g).max(initial=0.0))
        row_size = np.zeros(self.m)
        np.maximum.at(row_size, self.jacobian_pattern[0], np.abs(J))
        self.f_scale = max(MIN_SCALE, largest / size) if size > largest else 1.0
        self.c_scale = np.where(row_size > largest, np.maximum(MIN_SCALE, largest / np.maximum(row_size, 1e-300)), 1.0)
        self._set_sides()

    def without_objective(self) -> ScaledProgram:
        """The same with the objective 0, where feasibility alone is sought."""
        other = copy(self)
        other.weight = 0.0
        return other

    def near(self, x: np.ndarray, width: float, seed: int) -> np.ndarray:
        """A point at random within the bounds and a distance of ``x``, relative to the sizes of the variables."""
        reach = width * np.maximum(1.0, np.abs(x))
        low, high = np.maximum(self.lower, x - reach), np.minimum(self.upper, x + reach)
        return np.random.default_rng(seed).uniform(low, high)

    # -- evaluation ----------------------------------------------------------------------------------------

    def full(self, x: np.ndarray) -> np.ndarray:
        """All variables of the program."""
        result = self._template.copy()
        result[self.free] = x
        return result

    def _call(self, name: str, *arguments: Any) -> Any:
        self.counts[name] += 1
        with np.errstate(all="ignore"):
            return getattr(self.nlp, name)(*arguments)

    def values(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """``f(x), c(x)``; raises :class:`EvaluationError` where they are not finite."""
        full = self.full(x)
        f = float(self._call("objective", full)) * self.f_scale if self.weight else 0.0
        c = self._call("constraints", full)[self.kept] * self.c_scale if self.m else np.zeros(0)
        bad = np.flatnonzero(~np.isfinite(c))
        if bad.size:
            raise EvaluationError(f"the constraint {self.nlp.constraint_names()[self.kept[bad[0]]]!r} is not finite")
        return _finite(f, "the objective"), c

    def derivatives(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``∇f(x)`` and the entries of the Jacobian of the rows."""
        full = self.full(x)
        g = self._call("gradient", full)[self.free] * self.f_scale if self.weight else np.zeros(self.n)
        J = np.zeros(0)
        if self.m:
            J = self._call("jacobian", full)[self._take_jacobian] * self.c_scale[self.jacobian_pattern[0]]
        return _finite(g, "the gradient of the objective"), _finite(J, "the Jacobian of the constraints")

    def hessian(self, x: np.ndarray, y: np.ndarray, sigma: float = 1.0) -> np.ndarray:
        """Entries of ``sigma ∇²f + Σ yᵢ ∇²cᵢ``, lower triangle."""
        full_y = np.zeros(self.nlp.m)
        full_y[self.kept] = y * self.c_scale
        H = self._call("hessian", self.full(x), sigma * self.weight * self.f_scale, full_y)[self._take_hessian]
        return _finite(H, "the Hessian of the Lagrangian")

    def transpose_dot(self, J: np.ndarray, y: np.ndarray) -> np.ndarray:
        """``Jᵀ y``, of entries of the Jacobian."""
        rows, cols = self.jacobian_pattern
        return np.bincount(cols, J * y[rows], self.n) if self.m else np.zeros(self.n)

    def violation(self, c: np.ndarray) -> np.ndarray:
        """How far each row is outside its sides."""
        return np.maximum(np.maximum(self.row_lower - c, c - self.row_upper), 0.0)

    def relative_violation(self, x: np.ndarray, c: np.ndarray, J: np.ndarray) -> float:
        """The largest violation, each relative to the terms of its row."""
        return relative_to_terms(self.violation(c), self.jacobian_pattern, J, x)


def _finite(value: Any, what: str) -> Any:
    value = np.asarray(value, dtype=float) if isinstance(value, np.ndarray) else value
    if not np.isfinite(value).all():
        raise EvaluationError(f"{what} is not finite")
    return value
