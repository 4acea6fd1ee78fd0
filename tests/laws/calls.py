"""Sample calls of NumPy's functions: functions of arrays whose parameters name the arrays of ``DATA``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.special as sc

from adjoint.expr import Expr, as_expr

Call = Callable[..., Any]

R = np.random.default_rng(20)
DATA: dict[str, Any] = {
    "s": np.float64(0.7),
    "t": np.float64(-1.3),
    "x": R.normal(size=4),
    "y": R.normal(size=4),
    "p": R.uniform(0.2, 0.9, size=4),  # in (0, 1)
    "q": R.uniform(1.1, 2.0, size=4),  # above 1
    "a": R.normal(size=3),
    "b": R.normal(size=3),
    "e": np.zeros(0),
    "A": R.normal(size=(3, 4)),
    "B": R.normal(size=(3, 4)),
    "S": R.normal(size=(3, 3)) + 3 * np.eye(3),
    "T": R.normal(size=(3, 3)),
    "C": R.normal(size=(2, 3, 4)),
    "D": R.normal(size=(2, 4, 3)),
    "W": R.normal(size=(1, 3, 1)),
}
MASK = np.array([True, False, True, True])
SPARSE = sp.csr_array(np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 3.0, 0.0, 0.0]]))


def unary(ufunc: Any, name: str = "x") -> list[Call]:
    calls: dict[str, list[Call]] = {
        "x": [lambda x: ufunc(x), lambda s: ufunc(s), lambda A: ufunc(A), lambda e: ufunc(e)],
        "p": [lambda p: ufunc(p)],
        "q": [lambda q: ufunc(q)],
    }
    return calls[name]


def binary(ufunc: Any) -> list[Call]:
    return [
        lambda x, y: ufunc(x, y),
        lambda A, x: ufunc(A, x),
        lambda x, s: ufunc(x, s),
        lambda x: ufunc(x, 0.4),
        lambda x: ufunc(0.4, x),
        lambda x: ufunc(np.ones(4), x),
        lambda W, x: ufunc(W, x),
    ]


def positive(ufunc: Any) -> list[Call]:
    return [
        lambda p, q: ufunc(p, q),
        lambda p: ufunc(p, 0.4),
        lambda p: ufunc(0.4, p),
        lambda p, x: ufunc(p, x),
    ]


def compared(ufunc: Any) -> list[Call]:
    return [
        lambda x, y: np.where(ufunc(x, y), x, 0.0),
        lambda x: np.where(ufunc(x, 0.0), 1.0, -x),
        lambda x: np.where(ufunc(0.0, x), 1.0, -x),
        lambda A, x: np.where(ufunc(A, x), A, x),
        lambda x: np.where(ufunc(np.zeros(4), x), x, 2.0),
    ]


def logic(ufunc: Any) -> list[Call]:
    return [
        lambda x, y: np.where(ufunc(x > 0, y > 0), x, y),
        lambda A, x: np.where(ufunc(A > 0, x > 0), A, x),
        lambda x: np.where(ufunc(x > 0, MASK), x, -x),
        lambda x: np.where(ufunc(MASK, x > 0), x, -x),
    ]


def reduced(f: Any) -> list[Call]:
    return [
        lambda x: f(x),
        lambda A: f(A),
        lambda A: f(A, axis=0),
        lambda A: f(A, axis=-1),
        lambda A: f(A, 1),
        lambda C: f(C, axis=(0, 2)),
        lambda C: f(C, axis=(-1, 0)),
        lambda A: f(A, axis=1, keepdims=True),
        lambda A: f(A, keepdims=True),
        lambda W: f(W, axis=0),
        lambda A: f(A, axis=()),
        lambda s: f(s),
    ]


UFUNC_CALLS: dict[Any, list[Call]] = {
    **{
        u: unary(u)
        for u in (
            *(
                np.negative,
                np.positive,
                np.exp,
                np.exp2,
                np.expm1,
                np.square,
                np.reciprocal,
                np.cbrt,
                np.sin,
                np.cos,
            ),
            *(np.tan, np.arctan, np.sinh, np.cosh, np.tanh, np.arcsinh, np.deg2rad, np.radians, np.rad2deg),
            *(
                np.degrees,
                np.sign,
                np.absolute,
                np.fabs,
                np.floor,
                np.ceil,
                np.rint,
                np.trunc,
                sc.expit,
                sc.erf,
            ),
            *(sc.erfc, sc.gamma, sc.gammaln, sc.digamma, sc.ndtr, sc.log_expit),
        )
    },
    **{
        u: unary(u, "p")
        for u in (np.log, np.log2, np.log10, np.log1p, np.sqrt, np.arcsin, np.arccos, np.arctanh, sc.logit)
    },
    np.arccosh: unary(np.arccosh, "q"),
    **{
        u: binary(u)
        for u in (
            *(
                np.add,
                np.subtract,
                np.multiply,
                np.divide,
                np.maximum,
                np.minimum,
                np.fmax,
                np.fmin,
                np.arctan2,
            ),
            *(np.hypot, np.logaddexp, np.heaviside),
        )
    },
    **{u: positive(u) for u in (np.power, np.float_power, sc.xlogy)},
    **{
        u: compared(u) for u in (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)
    },
    **{u: logic(u) for u in (np.logical_and, np.logical_or, np.bitwise_and, np.bitwise_or)},
    np.logical_not: [lambda x: np.where(np.logical_not(x > 0), x, -x)],
    np.invert: [lambda x: np.where(np.invert(x > 0), x, -x)],
    np.matmul: [
        lambda A, x: np.matmul(A, x),
        lambda x, y: np.matmul(x, y),
        lambda a, A: np.matmul(a, A),
        lambda S, A: np.matmul(S, A),
        lambda C, D: np.matmul(C, D),
        lambda C, x: np.matmul(C, x),
        lambda a, C: np.matmul(a, C),
        lambda S, C: np.matmul(S, C),
        lambda C: np.matmul(C, np.ones((4, 2))),
        lambda A: np.matmul(np.ones((2, 3)), A),
    ],
    np.vecdot: [lambda x, y: np.vecdot(x, y), lambda A, B: np.vecdot(A, B), lambda A, x: np.vecdot(A, x)],
}

FUNCTION_CALLS: dict[Any, list[Call]] = {
    np.where: [
        lambda x, y: np.where(x > y, x, y),
        lambda A, x: np.where(A > x, 0.0, A),
        lambda x: np.where(MASK, x, 1.0),
        lambda x, s: np.where(s > 0, x, -x),
        lambda x, s: np.where(x > 0, s, 2.0),
        lambda x, y: np.where((x > 0) & (y > 0), x, y),
        lambda x, y: np.where((x > 0) | ~(y > 0), x, y),
        lambda x: np.where(x > 0, 1.0, 0.0),
        lambda x: np.where([1, 0, 2, 0], x, -x),
    ],
    np.clip: [
        lambda x: np.clip(x, -0.5, 0.5),
        lambda x: np.clip(x, None, 0.3),
        lambda x: np.clip(x, 0.1, None),
        lambda x, s: np.clip(x, -s, s),
        lambda A, x: np.clip(A, x, 9.0),
        lambda x: np.clip(x, a_min=-0.2, a_max=0.2),
        lambda x: np.clip(x, min=-0.2, max=0.2),
    ],
    np.interp: [
        lambda x: np.interp(x, [-1.0, 0.0, 2.0], [3.0, 1.0, 2.0]),
        lambda s: np.interp(s, [-1.0, 0.0, 2.0], [3.0, 1.0, 2.0]),
        lambda A: np.interp(A, np.linspace(-3, 3, 7), np.arange(7.0) ** 2),
    ],
    np.diff: [
        lambda x: np.diff(x),
        lambda A: np.diff(A),
        lambda A: np.diff(A, axis=0),
        lambda x: np.diff(x, n=2),
        lambda x: np.diff(x, 0),
        lambda C: np.diff(C, 1, 1),
    ],
    np.roll: [
        lambda x: np.roll(x, 1),
        lambda A: np.roll(A, -2),
        lambda A: np.roll(A, 1, axis=0),
        lambda A: np.roll(A, (1, 2), axis=(0, 1)),
    ],
    np.tile: [
        lambda x: np.tile(x, 2),
        lambda x: np.tile(x, (3, 2)),
        lambda A: np.tile(A, (1, 2)),
        lambda s: np.tile(s, 3),
    ],
    np.repeat: [
        lambda x: np.repeat(x, 2),
        lambda x: np.repeat(x, [1, 0, 2, 3]),
        lambda A: np.repeat(A, 2, axis=1),
        lambda A: np.repeat(A, [2, 0, 1], axis=0),
    ],
    np.rot90: [lambda A: np.rot90(A), lambda A: np.rot90(A, 2), lambda C: np.rot90(C, k=-1, axes=(1, 2))],
    np.take: [
        lambda x: np.take(x, 2),
        lambda x: np.take(x, [3, 0, 0]),
        lambda A: np.take(A, [1, 0], axis=0),
        lambda A: np.take(A, [[1, 0], [2, 3]], axis=1),
        lambda x: np.take(x, -1),
    ],
    np.flip: [
        lambda x: np.flip(x),
        lambda A: np.flip(A),
        lambda A: np.flip(A, 0),
        lambda C: np.flip(C, axis=(0, -1)),
    ],
    np.fliplr: [lambda A: np.fliplr(A)],
    np.flipud: [lambda A: np.flipud(A), lambda x: np.flipud(x)],
    np.reshape: [
        lambda A: np.reshape(A, (4, 3)),
        lambda A: np.reshape(A, -1),
        lambda A: np.reshape(A, (2, -1)),
        lambda s: np.reshape(s, (1, 1)),
        lambda A: np.reshape(A, [6, 2]),
    ],
    np.ravel: [
        lambda A: np.ravel(A),
        lambda A: np.ravel(A, order="F"),
        lambda s: np.ravel(s),
        lambda C: np.ravel(C, "F"),
    ],
    np.transpose: [
        lambda A: np.transpose(A),
        lambda C: np.transpose(C, (1, 2, 0)),
        lambda C: np.transpose(C, (0, -1, 1)),
        lambda x: np.transpose(x),
    ],
    np.matrix_transpose: [lambda A: np.matrix_transpose(A), lambda C: np.matrix_transpose(C)],
    np.broadcast_to: [
        lambda x: np.broadcast_to(x, (3, 4)),
        lambda s: np.broadcast_to(s, 3),
        lambda W: np.broadcast_to(W, (2, 3, 4)),
    ],
    np.concatenate: [
        lambda x, y: np.concatenate([x, y]),
        lambda A, B: np.concatenate((A, B), axis=1),
        lambda A, x: np.concatenate([A, x], axis=None),
        lambda A, B: np.concatenate([A, B[:1]], axis=-2),
        lambda x: np.concatenate([[1.0, 2.0], x, np.zeros(0)]),
        lambda e, x: np.concatenate([e, x]),
    ],
    np.stack: [
        lambda x, y: np.stack([x, y]),
        lambda x, y: np.stack([x, y], axis=1),
        lambda x, y: np.stack((x, y), axis=-1),
        lambda s, t: np.stack([s, t, 1.0]),
        lambda A, B: np.stack([A, B, A], axis=1),
    ],
    np.hstack: [
        lambda x, y: np.hstack([x, y]),
        lambda A, B: np.hstack([A, B]),
        lambda s, x: np.hstack([s, x, 2.0]),
    ],
    np.vstack: [
        lambda x, y: np.vstack([x, y]),
        lambda A, x: np.vstack([A, x]),
        lambda s, t: np.vstack([s, t]),
    ],
    np.column_stack: [
        lambda x, y: np.column_stack([x, y]),
        lambda A, a: np.column_stack([A, a]),
        lambda s, t: np.column_stack([s, t]),
    ],
    np.append: [
        lambda x: np.append(x, 1.0),
        lambda A, x: np.append(A, x),
        lambda A, B: np.append(A, B, axis=0),
    ],
    np.split: [
        lambda x: np.split(x, 2),
        lambda x: np.split(x, [1, 3]),
        lambda A: np.split(A, 2, axis=1),
        lambda x: np.split(x, [0, 2]),
        lambda x: np.split(x, [2, 6]),
    ],
    np.array_split: [
        lambda x: np.array_split(x, 2),
        lambda x: np.array_split(x, 3),
        lambda A: np.array_split(A, 2, axis=0),
    ],
    np.pad: [
        lambda x: np.pad(x, 1),
        lambda x: np.pad(x, (1, 2)),
        lambda A: np.pad(A, ((1, 0), (0, 2))),
        lambda x: np.pad(x, 2, mode="edge"),
        lambda x: np.pad(x, 2, mode="wrap"),
        lambda x: np.pad(x, 1, constant_values=3.0),
    ],
    np.squeeze: [
        lambda W: np.squeeze(W),
        lambda W: np.squeeze(W, axis=0),
        lambda W: np.squeeze(W, (0, 2)),
        lambda A: np.squeeze(A),
    ],
    np.expand_dims: [
        lambda x: np.expand_dims(x, 0),
        lambda A: np.expand_dims(A, -1),
        lambda A: np.expand_dims(A, (0, 2)),
    ],
    np.moveaxis: [
        lambda C: np.moveaxis(C, 0, -1),
        lambda C: np.moveaxis(C, (0, 1), (1, 2)),
        lambda C: np.moveaxis(C, [2, 0], [0, 1]),
    ],
    np.swapaxes: [lambda C: np.swapaxes(C, 0, 2), lambda C: np.swapaxes(C, -1, 1)],
    np.atleast_1d: [lambda s: np.atleast_1d(s), lambda A: np.atleast_1d(A)],
    np.sum: [*reduced(np.sum), lambda e: np.sum(e)],
    np.mean: reduced(np.mean),
    np.average: [
        lambda x: np.average(x),
        lambda A: np.average(A, axis=0),
        lambda x: np.average(x, weights=[1.0, 2.0, 3.0, 4.0]),
        lambda A: np.average(A, axis=1, weights=[1.0, 2.0, 3.0, 4.0]),
        lambda A, p: np.average(A, axis=-1, weights=p),
        lambda A, B: np.average(A, weights=B**2),
        lambda A, a: np.average(A, axis=0, weights=a**2),
    ],
    np.var: [*reduced(np.var), lambda x: np.var(x, ddof=1), lambda A: np.var(A, axis=0, ddof=1)],
    np.std: [f for f in reduced(np.std) if f.__code__.co_varnames[0] != "s"][:8]
    + [lambda x: np.std(x, ddof=1)],
    np.prod: [*reduced(np.prod), lambda e: np.prod(e), lambda C: np.prod(C, axis=2)],
    np.max: reduced(np.max),
    np.min: reduced(np.min),
    np.amax: reduced(np.amax),
    np.amin: reduced(np.amin),
    np.ptp: [lambda x: np.ptp(x), lambda A: np.ptp(A, axis=0)],
    np.cumsum: [
        lambda x: np.cumsum(x),
        lambda A: np.cumsum(A),
        lambda A: np.cumsum(A, axis=0),
        lambda C: np.cumsum(C, -1),
        lambda e: np.cumsum(e),
    ],
    np.cumprod: [
        lambda x: np.cumprod(x),
        lambda A: np.cumprod(A),
        lambda A: np.cumprod(A, axis=0),
        lambda C: np.cumprod(C, axis=-1),
    ],
    np.trapezoid: [
        lambda x: np.trapezoid(x),
        lambda x: np.trapezoid(x, dx=0.1),
        lambda x, y: np.trapezoid(x, y),
        lambda A: np.trapezoid(A, axis=0),
        lambda A, x: np.trapezoid(A, x, axis=1),
        lambda A, a: np.trapezoid(A, x=a, axis=0),
        lambda A, B: np.trapezoid(A, B, axis=0),
    ],
    np.dot: [
        lambda x, y: np.dot(x, y),
        lambda A, x: np.dot(A, x),
        lambda S, A: np.dot(S, A),
        lambda s, A: np.dot(s, A),
        lambda C, x: np.dot(C, x),
        lambda C, D: np.dot(C, D),
        lambda a, A: np.dot(a, A),
    ],
    np.vdot: [lambda x, y: np.vdot(x, y), lambda A, B: np.vdot(A, B)],
    np.inner: [
        lambda x, y: np.inner(x, y),
        lambda A, B: np.inner(A, B),
        lambda s, x: np.inner(s, x),
        lambda C, x: np.inner(C, x),
    ],
    np.outer: [lambda x, a: np.outer(x, a), lambda A, a: np.outer(A, a), lambda x: np.outer(x, [1.0, 2.0])],
    np.tensordot: [
        lambda C, D: np.tensordot(C, D, axes=([2], [1])),
        lambda C, A: np.tensordot(C, A),
        lambda A, x: np.tensordot(A, x, axes=1),
        lambda A, B: np.tensordot(A, B, axes=0),
        lambda C, A: np.tensordot(C, A, axes=((-1, 1), (1, 0))),
    ],
    np.einsum: [
        lambda A, x: np.einsum("ij,j->i", A, x),
        lambda A, B: np.einsum("ij,kj", A, B),
        lambda S: np.einsum("ii", S),
        lambda S: np.einsum("ii->i", S),
        lambda A: np.einsum("ij->ji", A),
        lambda A: np.einsum("ji", A),
        lambda A: np.einsum("ij->", A),
        lambda C, D, x: np.einsum("bij,bjk,j->bik", C, D, x),
        lambda C, S: np.einsum("...ij,ki->...kj", C, S),
        lambda C: np.einsum("...j", C),
        lambda x, a: np.einsum("i,j->ij", x, a),
        lambda s, x: np.einsum(",i->i", s, x),
        lambda S, T: np.einsum("ij,ij->i", S, T),
        lambda A, B: np.einsum("ij, ij -> j", A, B, optimize=True),
        lambda S: np.einsum("ij,jk,kl->il", S, S, S),
        lambda S, a: np.einsum("i,ij,j", a, S, a),
    ],
    np.trace: [lambda S: np.trace(S), lambda A: np.trace(A)],
    np.diag: [lambda S: np.diag(S), lambda x: np.diag(x), lambda A: np.diag(A)],
    np.diagonal: [lambda S: np.diagonal(S), lambda A: np.diagonal(A)],
    np.cross: [lambda a, b: np.cross(a, b), lambda S, a: np.cross(S, a), lambda S, T: np.cross(S, T)],
    np.kron: [lambda x, a: np.kron(x, a), lambda A, S: np.kron(A, S)],
    np.convolve: [
        lambda x, a: np.convolve(x, a),
        lambda x, a: np.convolve(a, x),
        lambda x, a: np.convolve(x, a, mode="same"),
        lambda x, a: np.convolve(x, a, "valid"),
        lambda x: np.convolve(x, [1.0, -1.0]),
        lambda x: np.convolve(x, [1.0, -1.0], "same"),
        lambda x, a: np.convolve(a, x, mode="same"),
    ],
    np.tril: [lambda S: np.tril(S), lambda A: np.tril(A, 1), lambda A: np.tril(A, k=-1)],
    np.triu: [lambda S: np.triu(S), lambda A: np.triu(A, 1), lambda C: np.triu(C)],
    np.linalg.norm: [
        lambda x: np.linalg.norm(x),
        lambda A: np.linalg.norm(A),
        lambda A: np.linalg.norm(A, axis=1),
        lambda A: np.linalg.norm(A, axis=0, keepdims=True),
        lambda x: np.linalg.norm(x, 1),
        lambda x: np.linalg.norm(x, np.inf),
        lambda x: np.linalg.norm(x, -np.inf),
        lambda x: np.linalg.norm(x, 3),
        lambda A: np.linalg.norm(A, "fro"),
        lambda A: np.linalg.norm(A, 1, axis=1),
        lambda A: np.linalg.norm(A, 2, axis=0),
        lambda C: np.linalg.norm(C),
        lambda C: np.linalg.norm(C, axis=(0, 2)),
        lambda s: np.linalg.norm(s),
    ],
    np.linalg.solve: [
        lambda S, a: np.linalg.solve(S, a),
        lambda S, A: np.linalg.solve(S, A),
        lambda a: np.linalg.solve(3 * np.eye(3) + 1, a),
        lambda S: np.linalg.solve(S, [1.0, 2.0, 3.0]),
    ],
    np.linalg.inv: [lambda S: np.linalg.inv(S), lambda s: np.linalg.inv(s * np.eye(2))],
    np.linalg.det: [
        lambda S: np.linalg.det(S),
        lambda A: np.linalg.det(A[:2, :2]),
        lambda A: np.linalg.det(A[:1, :1]),
        lambda A, x: np.linalg.det(np.vstack([A, x])),
    ],
    np.linalg.slogdet: [lambda S: np.linalg.slogdet(S), lambda S: np.linalg.slogdet(S[[1, 0, 2]])],
    np.zeros_like: [lambda A: np.zeros_like(A)],
    np.ones_like: [lambda A: np.ones_like(A), lambda s: np.ones_like(s)],
    np.full_like: [lambda A: np.full_like(A, 2.5)],
    np.shape: [lambda A: np.shape(A)],
    np.ndim: [lambda A: np.ndim(A)],
    np.size: [lambda A: np.size(A)],
    np.copy: [lambda A: np.copy(A)],
}

UFUNC_METHOD_CALLS: dict[Any, list[Call]] = {
    (np.add, "reduce"): [
        lambda x: np.add.reduce(x),
        lambda A: np.add.reduce(A),
        lambda A: np.add.reduce(A, axis=1),
        lambda A: np.add.reduce(A, axis=None),
    ],
    (np.multiply, "reduce"): [
        lambda A: np.multiply.reduce(A),
        lambda A: np.multiply.reduce(A, axis=1, keepdims=True),
    ],
    (np.maximum, "reduce"): [lambda A: np.maximum.reduce(A), lambda A: np.maximum.reduce(A, axis=(0, 1))],
    (np.minimum, "reduce"): [lambda A: np.minimum.reduce(A), lambda A: np.minimum.reduce(A, axis=-1)],
    (np.add, "accumulate"): [lambda A: np.add.accumulate(A), lambda A: np.add.accumulate(A, axis=1)],
    (np.multiply, "accumulate"): [
        lambda A: np.multiply.accumulate(A),
        lambda A: np.multiply.accumulate(A, axis=1),
    ],
    (np.multiply, "outer"): [lambda x, a: np.multiply.outer(x, a), lambda A, a: np.multiply.outer(A, a)],
}

METHOD_CALLS: dict[str, list[Call]] = {
    "sum": [
        lambda A: A.sum(),
        lambda A: A.sum(0),
        lambda A: A.sum(axis=(0, 1)),
        lambda A: A.sum(axis=1, keepdims=True),
    ],
    "mean": [lambda A: A.mean(), lambda A: A.mean(axis=-1)],
    "var": [lambda A: A.var(), lambda A: A.var(axis=0, ddof=1)],
    "std": [lambda A: A.std(), lambda A: A.std(axis=0)],
    "prod": [lambda A: A.prod(), lambda A: A.prod(1)],
    "max": [lambda A: A.max(), lambda A: A.max(axis=1)],
    "min": [lambda A: A.min(), lambda A: A.min(axis=0, keepdims=True)],
    "cumsum": [lambda A: A.cumsum(), lambda A: A.cumsum(axis=1)],
    "cumprod": [lambda x: x.cumprod(), lambda A: A.cumprod(0)],
    "dot": [lambda A, x: A.dot(x)],
    "trace": [lambda S: S.trace()],
    "diagonal": [lambda S: S.diagonal()],
    "clip": [lambda x: x.clip(-0.5, 0.5), lambda x: x.clip(min=0.1), lambda x: x.clip(max=0.2)],
    "squeeze": [lambda W: W.squeeze(), lambda W: W.squeeze(0)],
    "repeat": [lambda x: x.repeat(2), lambda A: A.repeat(2, axis=0)],
    "swapaxes": [lambda C: C.swapaxes(0, 1)],
    "ravel": [lambda A: A.ravel(), lambda A: A.ravel("C")],
    "flatten": [lambda A: A.flatten(), lambda A: A.flatten("C")],
    "astype": [lambda A: A.astype(float)],
    "copy": [lambda A: A.copy()],
    "reshape": [
        lambda A: A.reshape(2, 6),
        lambda A: A.reshape((4, 3)),
        lambda A: A.reshape(-1),
        lambda A: A.reshape(3, 2, -1),
    ],
    "transpose": [
        lambda A: A.transpose(),
        lambda C: C.transpose(2, 0, 1),
        lambda C: C.transpose((1, 0, 2)),
        lambda C: C.transpose(None),
    ],
}

OPERATOR_CALLS: list[Call] = [
    lambda x: x + 1,
    lambda x: 1 + x,
    lambda x: x - 2.0,
    lambda x: 2.0 - x,
    lambda x: x * 3,
    lambda x: 3 * x,
    lambda x: x / 4,
    lambda x: x / 3,
    lambda x: 4 / x,
    lambda x: 1 / x,
    lambda x: x**2,
    lambda x: x**3,
    lambda x: x**4,
    lambda x: x**1,
    lambda x: x**0,
    lambda x: x**-1,
    lambda x: x**-2,
    lambda p: p**0.5,
    lambda p: p**-0.5,
    lambda p: p**1.7,
    lambda x: 2**x,
    lambda p, x: p**x,
    lambda x: -x,
    lambda x: +x,
    lambda x: abs(x),
    lambda x: np.negative(-x),
    lambda x, y: x - -y,
    lambda x, y: -x + y,
    lambda x, y: -(x - y),
    lambda x, y: -x * -y,
    lambda x, y: -x / y,
    lambda x: x - x,
    lambda x: 0 * x,
    lambda x: x * x,
    lambda x: 2 * (3 * x),
    lambda x: 0 - x,
    lambda x: x * -1.0,
    lambda x: x + np.zeros((3, 4)),
    lambda x: x * np.ones((3, 4)),
    lambda x: x - np.zeros((3, 1)),
    lambda x: np.zeros((3, 4)) / x,
    lambda s: s - np.zeros(3),
    lambda s: np.zeros(3) - s,
    lambda s: np.ones(3) * s,
    lambda s: -np.ones((2, 1)) * s,
    lambda x: np.ones(4) + x,
    lambda x: np.ones(4) - x,
    lambda x: np.arange(4) * x,
    lambda x: np.arange(4) / x,
    lambda p: np.arange(4) ** p,
    lambda x: [1.0, 2.0, 3.0, 4.0] + x,
    lambda x: x * [1.0, 2.0, 3.0, 4.0],
    lambda x: x * (1, 2, 3, 4),
    lambda x: np.float64(2.0) * x,
    lambda x: np.float32(0.5) - x,
    lambda x: np.int64(3) / x,
    lambda x: True * x,
    lambda x: np.array(2.0) * x,
    lambda x: x + np.array(2),
    lambda A, x: A @ x,
    lambda x, A: x @ A.T,
    lambda A: np.ones((2, 3)) @ A,
    lambda A: np.ones(3) @ A,
    lambda A: A @ np.ones(4),
    lambda A: A @ [1.0, 2.0, 3.0, 4.0],
    lambda x: SPARSE @ x,
    lambda A: SPARSE @ A.T,
    lambda A: A @ SPARSE.T,
    lambda x: x @ SPARSE.T,
    lambda x: sp.csc_matrix(SPARSE) @ x,
    lambda x: x.T,
    lambda A: A.T,
    lambda C: C.T,
    lambda x: list(x),
    lambda A: list(A),
    lambda x: sum(x),
    lambda x: [x.shape, x.ndim, x.size, len(x), x.dtype == float],
    lambda s, t: max(1.0, 2.0) * s + t,
    lambda x: (
        np.array([x[0], x[1] * 2.0]) * 1.0
        if isinstance(x, np.ndarray)
        else as_expr(np.array([x[0], x[1] * 2.0])) * 1.0
    ),
    lambda s, t: (
        as_expr(np.array([[s, 1.0], [0.0, t]], dtype=object))
        if isinstance(s, Expr)
        else np.array([[s, 1], [0, t]])
    ),
    lambda x, y: np.where(x == y, 1.0, 0.0),
    lambda x, y: np.where(x != y, x, 0.0),
    lambda x: np.where(0.0 < x, x, 0.0),
    lambda x, y: np.where((x < y) == (y < x), x, 5.0),
    lambda x: (x > 0) * 1.0,
    lambda x: 1.0 - (x > 0) * x,
    lambda x: np.sum((x > 0) * 1.0),
    lambda x: np.sum(x > 0),
    lambda x: np.mean(x > 0),
    lambda x, y: np.where(~(x > y), x, y),
    lambda x, y: np.where((x > 0) & MASK, x, y),
    lambda x, y: np.where(MASK & (x > 0), x, y),
    lambda x, y: np.where(MASK | (x > 0), x, y),
    lambda x, y: np.where(((x > 0) & (y > 0)) | ((x < 0) & (y < 0)), x, y),
]
