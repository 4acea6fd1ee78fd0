"""Reductions: sums and means, extrema, products, norms, softmax.

At ties the extrema share the derivative equally among the tied elements; the Euclidean norm has derivative 0
at the origin.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..expr import Constant, Expr, apply, as_expr, constant, describe, unsupported
from ..primitive import BUILDERS, Primitive, register
from .elementwise import absolute, exp, log, sqrt, square, stop_gradient, where
from .indexing import broadcast_to, check_axis, concatenate, getitem, ravel, reshape, sum_axes

Array = Any


def axes_of(x: Expr, axis: Any) -> tuple[int, ...]:
    """The axes that ``axis=`` of NumPy means, as numbers from 0, sorted."""
    if axis is None:
        return tuple(range(x.ndim))
    axes = tuple(check_axis(x, a) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(set(axes)) != len(axes):
        raise ShapeError(f"axis {axis!r} names an axis of {describe(x)} twice")
    return tuple(sorted(axes))


def _keep(out: Expr, x: Expr, axes: tuple[int, ...], keepdims: bool) -> Expr:
    if not keepdims:
        return out
    return reshape(out, tuple(1 if i in axes else s for i, s in enumerate(x.shape)))


def _spread(out: Expr, x: Expr, axes: tuple[int, ...]) -> Expr:
    """A reduced array broadcast back to the shape of x."""
    return broadcast_to(_keep(out, x, axes, True), x.shape)


def sum(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Expr:
    """Sum over axes."""
    if dtype not in (None, float, np.float64):
        raise unsupported("np.sum with a dtype other than float64")
    x = as_expr(x)
    axes = axes_of(x, axis)
    return _keep(sum_axes(x, axes), x, axes, keepdims)


def _count(what: str, x: Expr, axis: Any, ddof: float = 0) -> float:
    count = math.prod(x.shape[a] for a in axes_of(x, axis)) - ddof
    if count <= 0:
        raise ShapeError(f"{what} of {describe(x)}, shape {x.shape}: there are too few elements")
    return count


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Expr:
    """Mean over axes."""
    x = as_expr(x)
    return sum(x, axis, keepdims) * (1.0 / _count("mean", x, axis))


def var(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Expr:
    """Variance over axes."""
    x = as_expr(x)
    count = _count("var", x, axis, ddof)
    return sum(square(x - mean(x, axis, keepdims=True)), axis, keepdims) * (1.0 / count)


def std(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Expr:
    """Standard deviation over axes."""
    return sqrt(var(x, axis, ddof, keepdims))


def average(x: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Expr:
    """Weighted mean."""
    if weights is None:
        return mean(x, axis, keepdims)
    x, weights = as_expr(x), as_expr(weights)
    if weights.shape != x.shape and weights.ndim == 1 and isinstance(axis, int):
        shape = [1] * x.ndim
        shape[axis] = weights.size
        weights = reshape(weights, tuple(shape))
    weights = broadcast_to(weights, x.shape)
    return sum(x * weights, axis, keepdims) / sum(weights, axis, keepdims)


def _reduction(name: str, value: Any, partial: Any, **row: Any) -> Primitive:
    return register(Primitive(name, "reduction", value, partials=(partial,), **row))


def _reduce(op: Primitive, x: Any, axis: Any, keepdims: bool) -> Expr:
    x = as_expr(x)
    axes = axes_of(x, axis)
    if not x.size and op is not _NORM:
        raise ShapeError(f"{op.name} of {describe(x)}, which is empty")
    shape = tuple(s for i, s in enumerate(x.shape) if i not in axes)
    if isinstance(x, Constant):
        return _keep(constant(op.value(x.value, axes)), x, axes, keepdims)
    if not axes and op is not _NORM:
        return x
    return _keep(apply(op, (x,), (axes,), shape), x, axes, keepdims)


def _share(y: Expr, x: Expr, axes: tuple[int, ...]) -> Expr:
    tied = BUILDERS["=="](x, _spread(y, x, axes))
    return tied / _spread(sum_axes(tied, axes), x, axes)


def _tie(y: Expr, x: Expr, axes: tuple[int, ...]) -> Expr:
    return sum_axes(BUILDERS["=="](x, _spread(y, x, axes)), axes) - 1.0


def _extreme_continued(pick: Any) -> Any:
    def value(x: Array, axes: tuple[int, ...]) -> Array:
        kept = tuple(s for i, s in enumerate(x.shape) if i not in axes)
        count = math.prod(x.shape[a] for a in axes)
        flat = np.moveaxis(x, axes, range(-len(axes), 0)).reshape(*kept, count)
        return np.take_along_axis(flat, pick(flat.real, axis=-1)[..., None], axis=-1)[..., 0]

    return value


_AMAX = _reduction(
    "amax",
    lambda x, axes: np.max(x, axis=axes),
    _share,
    kink=_tie,
    complex_value=_extreme_continued(np.argmax),
)
_AMIN = _reduction(
    "amin",
    lambda x, axes: np.min(x, axis=axes),
    _share,
    kink=_tie,
    complex_value=_extreme_continued(np.argmin),
)


def _norm_partial(y: Expr, x: Expr, axes: tuple[int, ...]) -> Expr:
    at_zero = BUILDERS["=="](y, 0.0)
    safe = where(at_zero, 1.0, y)
    return x / _spread(safe, x, axes)


_NORM = _reduction(
    "norm2",
    lambda x, axes: np.sqrt(np.add.reduce(x * x, axis=axes)),
    _norm_partial,
    kink=lambda y, x, axes: BUILDERS["=="](y, 0.0),
)


def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Expr:
    """Largest element over axes."""
    return _reduce(_AMAX, x, axis, keepdims)


def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Expr:
    """Smallest element over axes."""
    return _reduce(_AMIN, x, axis, keepdims)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Expr:
    """Vector norms 1, 2, inf, -inf, p; Frobenius norm of a matrix."""
    x = as_expr(x)
    matrix = (axis is None and x.ndim == 2) or (isinstance(axis, tuple) and len(axis) == 2)
    if matrix and ord not in (None, "fro"):
        raise unsupported(f"np.linalg.norm of a matrix with ord={ord!r}")
    if axis is None and ord is not None and x.ndim > 2:
        raise ShapeError(f"np.linalg.norm with ord={ord!r} of {x.ndim} dimensions: name one or two with axis=")
    if isinstance(axis, tuple) and len(axis) > 2:
        raise ShapeError(f"np.linalg.norm: axis {axis} names more than two axes")
    if ord is None or (matrix and ord == "fro") or (ord == 2 and not matrix):
        return _reduce(_NORM, x, axis, keepdims)
    if ord == 1:
        return sum(absolute(x), axis, keepdims)
    if ord in (np.inf, -np.inf):
        return (amax if ord > 0 else amin)(absolute(x), axis, keepdims)
    if isinstance(ord, (int, float)) and ord > 0:
        return sum(absolute(x) ** ord, axis, keepdims) ** (1.0 / ord)
    raise unsupported(f"np.linalg.norm with ord={ord!r}")


def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Expr:
    """Product over axes, as a tree of products: its derivative is exact where factors are zero."""
    x = as_expr(x)
    axes = axes_of(x, axis)
    out = _axes_last(x, axes)
    while out.shape[-1] > 1:
        half = out.shape[-1] // 2
        head = out[..., :half] * out[..., half : 2 * half]
        out = head if out.shape[-1] == 2 * half else concatenate([head, out[..., 2 * half :]], axis=-1)
    out = reshape(out, out.shape[:-1]) if out.shape[-1] else as_expr(np.ones(out.shape[:-1]))
    return _keep(out, x, axes, keepdims)


def _axes_last(x: Expr, axes: tuple[int, ...]) -> Expr:
    from_ = [i for i in range(x.ndim) if i not in axes]
    moved = np.transpose(x, (*from_, *axes))  # type: ignore[call-overload]
    return reshape(moved, (*(x.shape[i] for i in from_), math.prod(x.shape[a] for a in axes)))


def cumprod(x: Any, axis: int | None = None) -> Expr:
    """Running product along an axis, by doubling."""
    x = as_expr(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = check_axis(x, axis)
    lead, step = (slice(None),) * axis, 1
    while step < x.shape[axis]:
        tail = getitem(x, (*lead, slice(step, None))) * getitem(x, (*lead, slice(None, -step)))
        x = concatenate([getitem(x, (*lead, slice(None, step))), tail], axis=axis)
        step *= 2
    return x


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Expr:
    """log Σ exp x, without overflow.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.logsumexp(m.input("x", [1000.0, 1000.0])))
    >>> round(m.solve()["y"], 12)
    1000.69314718056
    """
    x = as_expr(x)
    axes = axes_of(x, axis)
    top = stop_gradient(amax(x, axis, keepdims=True))
    out = log(sum(exp(x - top), axis, keepdims=True)) + top
    return out if keepdims else reshape(out, tuple(s for i, s in enumerate(x.shape) if i not in axes))


def softmax(x: Any, axis: Any = None) -> Expr:
    """exp x / Σ exp x over axes.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.softmax(m.input("x", [0.0, 0.0])))
    >>> m.solve()["y"]
    array([0.5, 0.5])
    """
    x = as_expr(x)
    e = exp(x - stop_gradient(amax(x, axis, keepdims=True)))
    return e / sum(e, axis, keepdims=True)


def log_softmax(x: Any, axis: Any = None) -> Expr:
    """log softmax, without overflow.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.log_softmax(m.input("x", [0.0, 1000.0])))
    >>> m.solve()["y"]
    array([-1000.,     0.])
    """
    return as_expr(x) - logsumexp(x, axis, keepdims=True)
