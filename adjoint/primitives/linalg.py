"""Dense linear algebra: solve, inverse, determinant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..expr import Constant, Expr, apply, as_expr, constant, describe
from ..primitive import Primitive, register
from .indexing import reshape, transpose
from .products import matmul, trace

Array = Any


def _try(function: Callable[..., Array]) -> Callable[..., Array]:
    """NumPy raises on an exactly singular matrix; inside an iteration that is a NaN, which shortens the step."""

    def value(*args: Array) -> Array:
        try:
            return function(*args)
        except np.linalg.LinAlgError:
            shape = args[-1].shape
            return np.full(shape, np.nan)

    return value


def _solve_tangent(out: Expr, args: Any, tangents: Any, params: Any) -> Expr:
    a, _ = args
    da, db = tangents
    right = db
    if da is not None:
        change = matmul(da, out)
        right = -change if db is None else db - change
    return solve(a, right)


def _solve_transpose(ct: Expr, k: int, args: Any, params: Any, out: Expr) -> Expr:
    lam = solve(transpose(args[0]), ct)
    return lam if k == 1 else -matmul(lam, transpose(out))


_SOLVE = register(
    Primitive("solve", "general", _try(np.linalg.solve), tangent=_solve_tangent, transpose=_solve_transpose)
)


def _square(what: str, a: Expr) -> None:
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ShapeError(f"{what}: {describe(a)} of shape {a.shape} is not a square matrix")


def solve(a: Any, b: Any) -> Expr:
    """x with a @ x = b; b a vector or a matrix."""
    a, b = as_expr(a), as_expr(b)
    _square("np.linalg.solve", a)
    if b.ndim not in (1, 2) or b.shape[0] != a.shape[0]:
        raise ShapeError(f"np.linalg.solve: matrix {a.shape} and right-hand side {b.shape} do not fit")
    if b.ndim == 1:
        return reshape(solve(a, reshape(b, (b.size, 1))), b.shape)
    if isinstance(a, Constant) and isinstance(b, Constant):
        return constant(_SOLVE.value(a.value, b.value))
    return apply(_SOLVE, (a, b), (), b.shape)


def inv(a: Any) -> Expr:
    """Inverse of a square matrix."""
    a = as_expr(a)
    _square("np.linalg.inv", a)
    return solve(a, np.eye(a.shape[0]))


_LOGDET = register(
    Primitive(
        "logabsdet",
        "general",
        lambda a: _logabsdet(a),
        tangent=lambda out, args, tangents, params: trace(solve(args[0], tangents[0])),
        transpose=lambda ct, k, args, params, out: ct * transpose(inv(args[0])),
    )
)
_DETSIGN = register(
    Primitive(
        "detsign",
        "general",
        lambda a: np.linalg.slogdet(np.real(a))[0],
        tangent=lambda out, args, tangents, params: constant(0.0),
        transpose=lambda ct, k, args, params, out: constant(np.zeros(args[0].shape)),
    )
)


def _logabsdet(a: Array) -> Array:
    if not np.iscomplexobj(a):
        return np.linalg.slogdet(a)[1]
    sign, logabs = np.linalg.slogdet(a)  # complex sign = ± exp(iθ): log det = log|det| + iθ
    return logabs + np.log(sign * np.sign(sign.real))


def slogdet(a: Any) -> tuple[Expr, Expr]:
    """Sign (derivative 0) and logarithm of the absolute determinant."""
    a = as_expr(a)
    _square("np.linalg.slogdet", a)
    if isinstance(a, Constant):
        s, v = np.linalg.slogdet(a.value)
        return constant(s), constant(v)
    return apply(_DETSIGN, (a,), (), ()), apply(_LOGDET, (a,), (), ())


def det(a: Any) -> Expr:
    """Determinant; its derivative is exact where the matrix is invertible."""
    a = as_expr(a)
    _square("np.linalg.det", a)
    n = a.shape[0]
    if n == 0:
        return as_expr(1.0)
    if n == 1:
        return a[0, 0]
    if n == 2:
        return a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
    if isinstance(a, Constant):
        return constant(np.linalg.det(a.value))
    return apply(_DET, (a,), (), ())


_DET = register(
    Primitive(
        "det",
        "general",
        np.linalg.det,
        tangent=lambda out, args, tangents, params: out * trace(solve(args[0], tangents[0])),
        transpose=lambda ct, k, args, params, out: ct * out * transpose(inv(args[0])),
    )
)
