"""Losses: means over the samples, which are the first axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..expr import Expr, as_expr
from ..primitives.reductions import log_softmax

__all__ = ["cross_entropy", "hinge", "one_hot", "squared_error"]


def one_hot(labels: Any, classes: int) -> np.ndarray:
    """Rows of the unit matrix by labels: targets of :func:`cross_entropy`.

    >>> one_hot([1, 0], 3).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    return np.eye(classes)[np.asarray(labels, dtype=int)]


def _pair(scores: Any, target: Any, what: str) -> tuple[Expr, Expr]:
    s, t = as_expr(scores), as_expr(target)
    if s.shape != t.shape or not s.shape:
        raise ShapeError(f"{what}: predictions have shape {s.shape}, targets {t.shape}: one row for each sample")
    return s, t


def squared_error(prediction: Any, target: Any) -> Expr:
    """``½ ‖prediction − target‖²``, mean over the samples.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> f = m.define("f", squared_error(m.input("p", [[1.0, 2.0], [0.0, 0.0]]), np.zeros((2, 2))))
    >>> m.solve()["f"]
    1.25
    """
    p, t = _pair(prediction, target, "squared_error")
    return np.sum((p - t) ** 2) * (0.5 / p.shape[0])  # type: ignore[no-any-return]


def cross_entropy(scores: Any, target: Any) -> Expr:
    """``−Σ target · log softmax(scores)`` over the last axis, mean over the samples.

    Targets are probabilities of the classes, as rows of :func:`one_hot`.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> f = m.define("f", cross_entropy(m.input("s", np.zeros((5, 4))), one_hot([0, 1, 2, 3, 0], 4)))
    >>> round(m.solve()["f"], 6), round(np.log(4.0), 6)
    (1.386294, np.float64(1.386294))
    """
    s, t = _pair(scores, target, "cross_entropy")
    return np.sum(t * log_softmax(s, axis=-1)) * (-1.0 / s.shape[0])  # type: ignore[no-any-return]


def hinge(scores: Any, target: Any) -> Expr:
    """``max(1 − target · score, 0)`` with targets ±1, summed over what a sample has, mean over the samples.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> f = m.define("f", hinge(m.input("s", [2.0, 0.5, -0.5]), [1.0, 1.0, 1.0]))
    >>> round(m.solve()["f"], 6)
    0.666667
    """
    s, t = _pair(scores, target, "hinge")
    return np.sum(np.maximum(1.0 - t * s, 0.0)) * (1.0 / s.shape[0])  # type: ignore[no-any-return]
