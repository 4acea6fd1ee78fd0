"""Two rows of the table of primitives: the solution of an inner problem, and linear solves with its Jacobian.

For ``g(y, p) = 0`` the implicit function theorem gives

    (∂g/∂y) ẏ = −(∂g/∂p) ṗ,            (∂g/∂y)ᵀ λ = ȳ,   p̄ = −(∂g/∂p)ᵀ λ

with one linear solve each; how ``y`` was found does not matter, and nothing of it is kept. The linear solve
``w = J(y, p)⁻¹ b`` is an operation too, and its derivative is one more solve with the same matrix:

    J ẇ = ḃ − (J̇ w),          b̄ = J⁻ᵀ w̄,    (y, p)‾ = −∂_{(y, p)}(J w)ᵀ b̄

So the rules are expressions, and second derivatives, or inner problems inside of inner problems, need no rule of
their own (Christianson 1994, "Reverse accumulation and attractive fixed points", Optim. Methods Softw. 3; Blondel et
al. 2022, "Efficient and modular implicit differentiation", NeurIPS).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import SingularError
from ..expr import Expr, apply
from ..primitive import Primitive, register
from ..trial import trial_under_way
from .form import Inner
from .memory import all_finite
from .solving import linear_at, solve_inner

__all__ = ["ROOT", "ROOT_SOLVE", "solution_of"]

COMPLEX_STEPS = 30  # corrections of the imaginary part: one suffices for a small one
EPS = np.finfo(float).eps


# -- values ----------------------------------------------------------------------------------------------------------


@np.errstate(all="ignore")
def _value(*arguments: Any) -> Any:
    """y at the parameters; NaN where they are not finite."""
    *params, inner = arguments
    if any(np.iscomplexobj(p) for p in params):
        return _complex_value(inner, params)
    point = solve_inner(inner, params)
    if point is None:
        return inner.shaped(np.full(inner.unknown.size, np.nan))
    return inner.shaped(point.y.copy())


def _complex_value(inner: Inner, params: Sequence[Any]) -> Any:
    """The solution continued into the complex plane: chord steps on ``g`` in complex arithmetic."""
    real = tuple(np.real(p)[()] for p in params)
    point = solve_inner(inner, real)
    if point is None:
        return inner.shaped(np.full(inner.unknown.size, np.nan)) + 0j
    residual = inner.function("residual", True)
    y = point.y + 0j
    for _ in range(COMPLEX_STEPS):
        r = np.reshape(residual(inner.shaped(y), *params)[0], -1) + 0j
        step = point.linear.solve(r.imag)
        y = y - 1j * step
        if not np.abs(step).max(initial=0.0) > 4 * EPS * np.abs(y.imag).max(initial=0.0):
            break
    return inner.shaped(y)


@np.errstate(all="ignore")
def _solve_value(*arguments: Any) -> Any:
    """w with J(y, p) w = b, or Jᵀ w = b."""
    y, *params, b, inner, transpose = arguments
    real = tuple(np.real(p)[()] for p in params)
    flat = np.reshape(b, -1)
    if not (all_finite(np.real(y)) and all_finite(flat) and all(map(all_finite, real))):
        return inner.shaped(np.full(flat.shape, np.nan))
    if not flat.any():
        return np.zeros(inner.unknown.shape, dtype=flat.dtype)[()]
    try:
        return _linear_solution(inner, transpose, y, params, real, flat)
    except SingularError as error:
        around = trial_under_way()
        if around is None:
            raise
        around.failed(error)
        return inner.shaped(np.full(flat.shape, np.nan))


def _linear_solution(inner: Inner, transpose: bool, y: Any, params: Any, real: Any, flat: np.ndarray) -> Any:
    linear = linear_at(inner, np.real(y), real)
    if not any(np.iscomplexobj(a) for a in (y, *params, flat)):
        return inner.shaped(linear.solve(np.array(flat, dtype=float), transpose))
    product = inner.function("pulled" if transpose else "pushed", True)
    w = linear.solve(np.array(flat.real), transpose) + 0j
    for _ in range(COMPLEX_STEPS):
        r = flat - np.reshape(product(y, *params, inner.shaped(w))[0], -1)
        step = linear.solve(np.array(r.imag), transpose)
        w = w + 1j * step
        if not np.abs(step).max(initial=0.0) > 4 * EPS * np.abs(w.imag).max(initial=0.0):
            break
    return inner.shaped(w)


# -- derivatives -----------------------------------------------------------------------------------------------------


def solution_of(inner: Inner, args: Sequence[Expr]) -> Expr:
    """The solution as an expression in the parameters."""
    return apply(ROOT, tuple(args), (inner,), inner.unknown.shape)


def _solved(inner: Inner, y: Expr, args: Sequence[Expr], b: Expr, transpose: bool) -> Expr:
    symmetric = transpose and inner.symmetric
    return apply(ROOT_SOLVE, (y, *args, b), (inner, transpose and not symmetric), inner.unknown.shape)


def _tangent(out: Expr, args: Any, tangents: Any, params: Any) -> Expr:
    inner: Inner = params[0]
    active = tuple(k + 1 for k, t in enumerate(tangents) if t is not None)
    extra = {inner.dots[k]: tangents[k - 1] for k in active}
    return _solved(inner, out, args, -inner.at(inner.tangent("residual", active), out, args, extra), False)


def _transpose(ct: Expr, k: int, args: Any, params: Any, out: Expr) -> Expr:
    inner: Inner = params[0]
    lam = _solved(inner, out, args, ct, True)
    return -inner.at(inner.cotangent("residual", k + 1), out, args, {inner.weights: lam})


def _solve_tangent(out: Expr, args: Any, tangents: Any, params: Any) -> Expr:
    inner, transpose = params
    y, *p, _ = args
    *moving, right = tangents
    active = tuple(k for k, t in enumerate(moving) if t is not None)
    if active:
        extra = {inner.dots[k]: moving[k] for k in active}
        of = "pulled" if transpose else "pushed"
        change = inner.at(inner.tangent(of, active), y, p, {**extra, inner.direction: out})
        right = -change if right is None else right - change
    return _solved(inner, y, p, right, transpose)


def _solve_transpose(ct: Expr, k: int, args: Any, params: Any, out: Expr) -> Expr:
    inner, transpose = params
    y, *p, _ = args
    lam = _solved(inner, y, p, ct, not transpose)
    if k == len(args) - 1:
        return lam
    of = "pulled" if transpose else "pushed"
    return -inner.at(inner.cotangent(of, k), y, p, {inner.direction: out, inner.weights: lam})


ROOT = register(Primitive("root", "general", _value, tangent=_tangent, transpose=_transpose))
ROOT_SOLVE = register(
    Primitive("root_solve", "general", _solve_value, tangent=_solve_tangent, transpose=_solve_transpose)
)
