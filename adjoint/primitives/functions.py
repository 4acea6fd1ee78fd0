"""NumPy's names for the library's operations: the tables behind ``np.function(expression)``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..expr import Expr, apply, as_expr, as_mask, describe, unsupported
from ..primitive import FUNCTIONS, METHODS, UFUNC_METHODS, UFUNCS, Static
from . import elementwise as ew
from . import indexing as ix
from . import linalg as la
from . import products as pr
from . import reductions as rd
from . import special as sf


def where(condition: Any, x: Any = None, y: Any = None) -> Expr:
    """``np.where(condition, x, y)``."""
    if x is None or y is None:
        raise unsupported("np.where with one argument (the positions would depend on values)")
    return ew.where(condition, x, y)


def clip(x: Any, a_min: Any = None, a_max: Any = None, **kwargs: Any) -> Expr:
    """``np.clip``: half the derivative at a bound that is met exactly."""
    lower, upper = kwargs.get("min", a_min), kwargs.get("max", a_max)
    x = as_expr(x)
    x = x if lower is None else ew.maximum(x, lower)
    return x if upper is None else ew.minimum(x, upper)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Expr:
    """``np.interp`` in a constant table; the end values are held outside it."""
    if isinstance(xp, Expr) or isinstance(fp, Expr) or left is not None or right is not None or period is not None:
        raise unsupported("np.interp with a table that is an expression, or with left, right or period")
    table = [np.array(t, dtype=np.float64) for t in (xp, fp)]
    if table[0].ndim != 1 or table[0].shape != table[1].shape or table[0].size < 2:
        raise ShapeError(
            f"np.interp: the table needs two vectors of one length >= 2, got {table[0].shape} and {table[1].shape}"
        )
    if not (np.isfinite(table[0]).all() and np.isfinite(table[1]).all()):
        raise ShapeError("np.interp: the table has NaN or infinite elements; expected finite numbers, xp to increase")
    if np.any(np.diff(table[0]) <= 0):
        raise ShapeError("np.interp: the table's xp must increase")
    x = as_expr(x)
    return apply(sf._INTERP, (x,), (Static(table[0]), Static(table[1])), x.shape)


def diff(x: Any, n: int = 1, axis: int = -1) -> Expr:
    """``np.diff``."""
    x = as_expr(x)
    axis = ix.check_axis(x, axis)
    lead = (slice(None),) * axis
    if n < 0:
        raise ShapeError(f"np.diff: n = {n} is negative")
    for _ in range(n):
        x = x[(*lead, slice(1, None))] - x[(*lead, slice(None, -1))]
    return x


def _positions(function: Any, x: Any, *args: Any, **kwargs: Any) -> Expr:
    """A NumPy function that only moves elements, by moving their positions."""
    x = as_expr(x)
    try:
        moved = function(np.arange(x.size).reshape(x.shape), *args, **kwargs)
    except (ValueError, IndexError, TypeError) as error:
        raise ShapeError(f"np.{function.__name__} of {describe(x)}, shape {x.shape}: {error}") from None
    return ix.take_flat(x, moved)


def _mover(function: Any) -> Any:
    return lambda x, *args, **kwargs: _positions(function, x, *args, **kwargs)


def reshape(x: Any, shape: Any, order: str = "C") -> Expr:
    """``np.reshape``, in C or Fortran order."""
    if order in ("C", "A"):
        return ix.reshape(x, shape)
    if order != "F":
        raise unsupported(f"np.reshape with order={order!r}")
    shape = (shape,) if np.ndim(shape) == 0 else tuple(shape)
    return ix.transpose(ix.reshape(ix.transpose(x), shape[::-1]))


def ravel(x: Any, order: str = "C") -> Expr:
    """``np.ravel``, in C or Fortran order."""
    return reshape(x, (as_expr(x).size,), "C" if order in ("A", "K") else order)


def squeeze(x: Any, axis: Any = None) -> Expr:
    """``np.squeeze``."""
    x = as_expr(x)
    return ix.reshape(x, np.empty(x.shape, dtype=np.int8).squeeze(axis).shape)


def expand_dims(x: Any, axis: Any) -> Expr:
    """``np.expand_dims``."""
    x = as_expr(x)
    return ix.reshape(x, np.expand_dims(np.empty(x.shape, dtype=np.int8), axis).shape)


def moveaxis(x: Any, source: Any, destination: Any) -> Expr:
    """``np.moveaxis``."""
    x = as_expr(x)
    src = [ix.check_axis(x, a) for a in np.atleast_1d(source)]
    dst = [ix.check_axis(x, a) for a in np.atleast_1d(destination)]
    if len(set(src)) != len(src) or len(set(dst)) != len(dst) or len(src) != len(dst):
        raise ShapeError(f"np.moveaxis: source {source} and destination {destination} do not fit")
    axes = [a for a in range(x.ndim) if a not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        axes.insert(d, s)
    return ix.transpose(x, axes)


def swapaxes(x: Any, axis1: int, axis2: int) -> Expr:
    """``np.swapaxes``."""
    x = as_expr(x)
    axes = list(range(x.ndim))
    i, j = ix.check_axis(x, axis1), ix.check_axis(x, axis2)
    axes[i], axes[j] = axes[j], axes[i]
    return ix.transpose(x, axes)


def hstack(parts: Any) -> Expr:
    """``np.hstack``."""
    exprs = [as_expr(p) for p in parts]
    exprs = [ix.reshape(e, (1,)) if not e.shape else e for e in exprs]
    return ix.concatenate(exprs, axis=0 if exprs[0].ndim == 1 else 1)


def vstack(parts: Any) -> Expr:
    """``np.vstack``."""
    exprs = [as_expr(p) for p in parts]
    return ix.concatenate([ix.reshape(e, (1, max(e.size, 1))) if e.ndim < 2 else e for e in exprs], axis=0)


def column_stack(parts: Any) -> Expr:
    """``np.column_stack``."""
    exprs = [as_expr(p) for p in parts]
    return ix.concatenate([ix.reshape(e, (e.size, 1)) if e.ndim < 2 else e for e in exprs], axis=1)


def split(x: Any, sections: Any, axis: int = 0, function: Any = np.split) -> list[Expr]:
    """``np.split``."""
    x = as_expr(x)
    axis = ix.check_axis(x, axis)
    try:
        parts = function(np.arange(x.shape[axis]), sections)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise ShapeError(f"np.{function.__name__} of {describe(x)}, shape {x.shape}: {error}") from None
    lead = (slice(None),) * axis
    return [x[(*lead, slice(int(p[0]), int(p[-1]) + 1) if p.size else slice(0, 0))] for p in parts]


def cross(a: Any, b: Any) -> Expr:
    """``np.cross`` of vectors with three elements along the last axis."""
    a, b = as_expr(a), as_expr(b)
    if a.shape[-1:] != (3,) or b.shape[-1:] != (3,):
        raise ShapeError(f"np.cross: the last axes of {a.shape} and {b.shape} must have length 3")
    i, j = [1, 2, 0], [2, 0, 1]
    return a[..., i] * b[..., j] - a[..., j] * b[..., i]


def kron(a: Any, b: Any) -> Expr:
    """``np.kron`` of matrices or vectors."""
    a, b = as_expr(a), as_expr(b)
    if a.ndim != b.ndim or a.ndim not in (1, 2):
        raise unsupported(f"np.kron of shapes {a.shape} and {b.shape}")
    spread = tuple(s for n in a.shape for s in (n, 1))
    tiled = tuple(s for n in b.shape for s in (1, n))
    shape = tuple(m * n for m, n in zip(a.shape, b.shape, strict=True))
    return ix.reshape(ix.reshape(a, spread) * ix.reshape(b, tiled), shape)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Expr:
    """``np.trapezoid``."""
    y = as_expr(y)
    axis = ix.check_axis(y, axis)
    lead = (slice(None),) * axis
    width = as_expr(dx) if x is None else diff(x, axis=axis if as_expr(x).ndim > 1 else -1)
    if width.ndim == 1 and y.ndim > 1:
        width = ix.reshape(width, tuple(width.size if i == axis else 1 for i in range(y.ndim)))
    mid = 0.5 * (y[(*lead, slice(1, None))] + y[(*lead, slice(None, -1))])
    return rd.sum(mid * width, axis)


def ptp(x: Any, axis: Any = None) -> Expr:
    """``np.ptp``."""
    return rd.amax(x, axis) - rd.amin(x, axis)


def like(fill: float) -> Any:
    """``np.zeros_like`` and ``np.ones_like``."""
    return lambda x: np.full(as_expr(x).shape, fill)


def convolve(a: Any, v: Any, mode: str = "full") -> Expr:
    """``np.convolve`` of two vectors."""
    a, v = as_expr(a), as_expr(v)
    if a.ndim != 1 or v.ndim != 1:
        raise ShapeError(f"np.convolve: expected vectors, got {a.shape} and {v.shape}")
    if not a.size or not v.size:
        raise ShapeError("np.convolve of an empty vector")
    if v.size > a.size:
        a, v = v, a
    n, k = a.size, v.size
    wide = ix.pad(a, (k - 1, k - 1))
    windows = wide[np.arange(n + k - 1)[:, None] + np.arange(k)[None, ::-1]]
    out = pr.matmul(windows, v)
    start = {"full": 0, "same": (k - 1) // 2, "valid": k - 1}[mode]
    return out[start : start + {"full": n + k - 1, "same": n, "valid": n - k + 1}[mode]]


def _astype(x: Any, dtype: Any) -> Expr:
    if np.dtype(dtype) != np.float64:
        raise unsupported(f"astype({dtype!r})")
    return as_expr(x)


def _logical(name: str) -> Any:
    ops = {"and": lambda a, b: a * b, "or": ew.maximum}
    return lambda a, b: ops[name](as_mask(a), as_mask(b))


def array(items: Any) -> Expr:
    """An array of expressions from nested lists: what ``np.array`` is for numbers.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", 2.0)
    >>> adj.array([[x, 1.0], [0.0, x]]).shape
    (2, 2)
    """
    return as_expr(items)


FUNCTIONS.update(
    {
        np.where: where,
        np.clip: clip,
        np.interp: interp,
        np.diff: diff,
        np.roll: _mover(np.roll),
        np.tile: _mover(np.tile),
        np.repeat: _mover(np.repeat),
        np.rot90: _mover(np.rot90),
        np.take: lambda x, indices, axis=None: _positions(np.take, x, np.asarray(indices), axis),
        np.flip: ix.flip,
        np.fliplr: lambda x: ix.flip(x, 1),
        np.flipud: lambda x: ix.flip(x, 0),
        np.reshape: reshape,
        np.ravel: ravel,
        np.transpose: ix.transpose,
        np.matrix_transpose: pr.swap,
        np.broadcast_to: ix.broadcast_to,
        np.concatenate: ix.concatenate,
        np.stack: ix.stack,
        np.hstack: hstack,
        np.vstack: vstack,
        np.column_stack: column_stack,
        np.append: lambda x, values, axis=None: ix.concatenate([x, values], axis),
        np.split: split,
        np.array_split: lambda x, sections, axis=0: split(x, sections, axis, np.array_split),
        np.pad: ix.pad,
        np.squeeze: squeeze,
        np.expand_dims: expand_dims,
        np.moveaxis: moveaxis,
        np.swapaxes: swapaxes,
        np.atleast_1d: lambda x: ix.reshape(x, (1,)) if not as_expr(x).shape else as_expr(x),
        np.sum: rd.sum,
        np.mean: rd.mean,
        np.average: rd.average,
        np.var: rd.var,
        np.std: rd.std,
        np.prod: rd.prod,
        np.max: rd.amax,
        np.min: rd.amin,
        np.amax: rd.amax,
        np.amin: rd.amin,
        np.ptp: ptp,
        np.cumsum: ix.cumsum,
        np.cumprod: rd.cumprod,
        np.trapezoid: trapezoid,
        np.dot: pr.dot,
        np.vdot: lambda a, b: pr.matmul(ix.ravel(a), ix.ravel(b)),
        np.inner: pr.inner,
        np.outer: pr.outer,
        np.tensordot: pr.tensordot,
        np.einsum: pr.einsum,
        np.trace: pr.trace,
        np.diag: pr.diag,
        np.diagonal: pr.diagonal,
        np.cross: cross,
        np.kron: kron,
        np.convolve: convolve,
        np.tril: lambda x, k=0: as_expr(x) * np.tril(np.ones(as_expr(x).shape), k),
        np.triu: lambda x, k=0: as_expr(x) * np.triu(np.ones(as_expr(x).shape), k),
        np.linalg.norm: rd.norm,
        np.linalg.solve: la.solve,
        np.linalg.inv: la.inv,
        np.linalg.det: la.det,
        np.linalg.slogdet: la.slogdet,
        np.zeros_like: like(0.0),
        np.ones_like: like(1.0),
        np.full_like: lambda x, fill: np.full(as_expr(x).shape, float(fill)),
        np.shape: lambda x: x.shape,
        np.ndim: lambda x: x.ndim,
        np.size: lambda x, axis=None: x.size if axis is None else x.shape[axis],
        np.copy: as_expr,
    }
)
UFUNCS.update(
    {
        np.matmul: pr.matmul,
        np.vecdot: lambda a, b: rd.sum(as_expr(a) * b, -1),
        np.logical_and: _logical("and"),
        np.logical_or: _logical("or"),
        np.logical_not: lambda a: 1.0 - as_mask(a),
        np.bitwise_and: _logical("and"),
        np.bitwise_or: _logical("or"),
        np.invert: lambda a: 1.0 - as_mask(a),
    }
)
UFUNC_METHODS.update(
    {
        (np.add, "reduce"): lambda x, axis=0, keepdims=False: rd.sum(x, axis, keepdims),
        (np.multiply, "reduce"): lambda x, axis=0, keepdims=False: rd.prod(x, axis, keepdims),
        (np.maximum, "reduce"): lambda x, axis=0, keepdims=False: rd.amax(x, axis, keepdims),
        (np.minimum, "reduce"): lambda x, axis=0, keepdims=False: rd.amin(x, axis, keepdims),
        (np.add, "accumulate"): lambda x, axis=0: ix.cumsum(x, axis),
        (np.multiply, "accumulate"): lambda x, axis=0: rd.cumprod(x, axis),
        (np.multiply, "outer"): lambda a, b: ix.reshape(a, as_expr(a).shape + (1,) * as_expr(b).ndim) * b,
    }
)
METHODS.update(
    {
        "sum": rd.sum,
        "mean": rd.mean,
        "var": rd.var,
        "std": rd.std,
        "prod": rd.prod,
        "max": rd.amax,
        "min": rd.amin,
        "cumsum": ix.cumsum,
        "cumprod": rd.cumprod,
        "dot": pr.dot,
        "trace": pr.trace,
        "diagonal": pr.diagonal,
        "clip": clip,
        "squeeze": squeeze,
        "repeat": _mover(np.repeat),
        "swapaxes": swapaxes,
        "ravel": ravel,
        "flatten": ravel,
        "astype": _astype,
        "copy": as_expr,
        "reshape": lambda x, *shape, order="C": reshape(x, shape[0] if len(shape) == 1 else shape, order),
        "transpose": lambda x, *axes: ix.transpose(x, None if not axes else axes[0] if len(axes) == 1 else axes),
    }
)
