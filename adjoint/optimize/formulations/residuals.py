"""Residuals of the optimality conditions, from the model and unscaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

__all__ = ["Residuals", "bound_multipliers", "residuals_of"]


@dataclass(frozen=True)
class Residuals:
    """How far a point and its multipliers are from the first-order optimality conditions, in the model's own units.

    Attributes
    ----------
    primal : float
        The largest violation of an equation, a constraint or a bound.
    dual : float
        The largest element of ``∇f + Σ yᵢ ∇cᵢ − z_lower + z_upper``.
    complementarity : float
        The largest product of a multiplier and the distance from the side that it belongs to.
    """

    primal: float
    dual: float
    complementarity: float

    def __iter__(self) -> Any:
        return iter((self.primal, self.dual, self.complementarity))

    @property
    def largest(self) -> float:
        """The largest of the three."""
        return max(self)


def bound_multipliers(nlp: Any, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers of the bounds from what ``∇f + Jᵀy`` leaves: r / (1 + d) at the distance d from the bound, so that
    far from it the rest stays in the dual residual, and near it none does."""
    left = _lagrangian_gradient(nlp, x, y)
    to_lower, to_upper = np.maximum(x - nlp.lower, 0.0), np.maximum(nlp.upper - x, 0.0)
    return np.maximum(left, 0.0) / (1.0 + to_lower), np.maximum(-left, 0.0) / (1.0 + to_upper)


def _lagrangian_gradient(nlp: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    rows, columns = nlp.jacobian_pattern
    J = sp.csr_array((nlp.jacobian(x), (rows, columns)), shape=(nlp.m, nlp.n))
    return nlp.gradient(x) + J.T @ y  # type: ignore[no-any-return]


def residuals_of(nlp: Any, x: np.ndarray, y: np.ndarray, z_lower: np.ndarray, z_upper: np.ndarray) -> Residuals:
    """The residuals of a nonlinear program at a point, with multipliers ``z ≥ 0`` of the bounds and y of the rows.

    A positive y belongs to the upper side of its row, a negative one to the lower.
    """
    c = nlp.constraints(x)
    primal = max(
        float(np.max(part, initial=0.0))
        for part in (nlp.lower - x, x - nlp.upper, nlp.constraint_lower - c, c - nlp.constraint_upper)
    )
    dual = _lagrangian_gradient(nlp, x, y) - z_lower + z_upper
    products = [
        _products(z_lower, x - nlp.lower),
        _products(z_upper, nlp.upper - x),
        _products(np.maximum(y, 0.0), nlp.constraint_upper - c),
        _products(np.maximum(-y, 0.0), c - nlp.constraint_lower),
    ]
    return Residuals(max(primal, 0.0), float(np.abs(dual).max(initial=0.0)), max(products))


def _products(multiplier: np.ndarray, distance: np.ndarray) -> float:
    """The largest |multiplier · distance|; where the side does not exist, the multiplier itself, which should be 0."""
    product = np.abs(multiplier * np.where(np.isfinite(distance), distance, 1.0))
    return float(np.max(product, initial=0.0))
