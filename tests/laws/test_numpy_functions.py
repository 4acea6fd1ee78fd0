"""NumPy's functions, methods, operators and indexing give on expressions what they give on numbers.

The tables are those of the library; an entry without a sample call fails. A call is a function of arrays whose
parameters name them: it is run on the numbers, and on variables of the same shapes.
"""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.special as sc
from hypothesis import given, settings
from hypothesis import strategies as st

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.derivatives import jvp
from adjoint.expr import Expr, Variable, as_expr
from adjoint.primitive import FUNCTIONS, METHODS, UFUNC_METHODS, UFUNCS

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
    "O": R.normal(size=(1, 3, 1)),
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
        lambda O, x: ufunc(O, x),
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
        lambda O: f(O, axis=0),
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
        lambda O: np.broadcast_to(O, (2, 3, 4)),
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
        lambda O: np.squeeze(O),
        lambda O: np.squeeze(O, axis=0),
        lambda O: np.squeeze(O, (0, 2)),
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
    "squeeze": [lambda O: O.squeeze(), lambda O: O.squeeze(0)],
    "repeat": [lambda x: x.repeat(2), lambda A: A.repeat(2, axis=0)],
    "swapaxes": [lambda C: C.swapaxes(0, 1)],
    "ravel": [lambda A: A.ravel(), lambda A: A.ravel("C")],
    "flatten": [lambda A: A.flatten(), lambda A: A.flatten("C")],
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
    lambda x: --x,
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


# -- the law --------------------------------------------------------------------------------------------------


def flat(out: Any) -> list[Any]:
    """Results in lists and tuples, one after the other."""
    if isinstance(out, (list, tuple)):
        return [leaf for item in out for leaf in flat(item)]
    return [out.mask() if isinstance(out, adj.Comparison) else out]


def label(call: Call) -> str:
    return f"line {call.__code__.co_firstlineno}, of {', '.join(inspect.signature(call).parameters)}"


def leaves_of(call: Call) -> dict[Variable, Any]:
    return {Variable(n, np.shape(DATA[n])): DATA[n] for n in inspect.signature(call).parameters}


def on_numbers(call: Call, **moved: Any) -> list[Any]:
    with np.errstate(all="ignore"):
        return [
            np.asarray(r)
            for r in flat(call(*[moved.get(n, DATA[n]) for n in inspect.signature(call).parameters]))
        ]


def evaluate(outputs: list[Any], values: dict[Variable, Any]) -> list[Any]:
    function = BACKENDS["numpy"].compile(list(values), outputs)
    with np.errstate(all="ignore"):
        return list(function(*values.values()))


def check_call(call: Call) -> None:
    """Value and shape as NumPy's; the derivative as the difference of NumPy's."""
    values = leaves_of(call)
    expected = on_numbers(call)
    results = flat(call(*values))
    assert len(results) == len(expected), label(call)
    pairs = [(r, e) for r, e in zip(results, expected, strict=True) if isinstance(r, Expr)]
    for result, number in zip(results, expected, strict=True):
        if not isinstance(result, Expr):
            np.testing.assert_array_equal(result, number, err_msg=label(call))
    exprs = [r for r, _ in pairs]
    for actual, r, (_, number) in zip(evaluate(exprs, values), exprs, pairs, strict=True):
        assert r.shape == number.shape, f"{label(call)}: shape {r.shape}, NumPy's {number.shape}"
        assert np.shape(actual) == number.shape, label(call)
        np.testing.assert_allclose(actual, number * 1.0, rtol=1e-12, atol=1e-13, err_msg=label(call))
    rng = np.random.default_rng(5)
    dot = {v: Variable(f"d{v.name}", v.shape) for v in values}
    along = {v.name: rng.normal(size=v.shape)[()] for v in values}
    tangents = evaluate(jvp(exprs, dot), values | {d: along[v.name] for v, d in dot.items()})
    h = 1e-6
    up, down = (on_numbers(call, **{n: DATA[n] + s * along[n] for n in along}) for s in (h, -h))
    differences = [
        (u * 1.0 - d) / (2 * h) for r, u, d in zip(results, up, down, strict=True) if isinstance(r, Expr)
    ]
    for actual, difference in zip(tangents, differences, strict=True):
        scale = max(1.0, np.abs(difference).max(initial=0.0))
        np.testing.assert_allclose(actual, difference, rtol=1e-6, atol=1e-6 * scale, err_msg=label(call))


def spied(monkeypatch: pytest.MonkeyPatch, table: dict[Any, Any], key: Any) -> list[int]:
    """Count the uses of an entry, so that a sample cannot be one of something else."""
    used: list[int] = []
    builder = table[key]

    def spy(*args: Any, **kwargs: Any) -> Any:
        used.append(1)
        return builder(*args, **kwargs)

    monkeypatch.setitem(table, key, spy)
    return used


def cases(table: dict[Any, Any], calls: dict[Any, list[Call]]) -> list[Any]:
    """One parameter set per entry of the library's table, with its calls (none: the test fails)."""
    names = [
        k if isinstance(k, str) else getattr(k, "__name__", None) or f"{k[0].__name__}.{k[1]}" for k in table
    ]
    return [pytest.param(k, calls.get(k, []), id=n) for k, n in zip(table, names, strict=True)]


def check_entry(monkeypatch: pytest.MonkeyPatch, table: dict[Any, Any], key: Any, calls: list[Call]) -> None:
    assert calls, f"add sample calls of {key} to the table of this file: the laws are then tested on it"
    used = spied(monkeypatch, table, key)
    for call in calls:
        used.clear()
        check_call(call)
        assert used, f"{label(call)} does not call {key}"


@pytest.mark.parametrize(("key", "calls"), cases(UFUNCS, UFUNC_CALLS))
def test_ufunc(key: Any, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    check_entry(monkeypatch, UFUNCS, key, calls)


@pytest.mark.parametrize(("key", "calls"), cases(FUNCTIONS, FUNCTION_CALLS))
def test_function(key: Any, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    check_entry(monkeypatch, FUNCTIONS, key, calls)


@pytest.mark.parametrize(("key", "calls"), cases(UFUNC_METHODS, UFUNC_METHOD_CALLS))
def test_ufunc_method(key: Any, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    check_entry(monkeypatch, UFUNC_METHODS, key, calls)


@pytest.mark.parametrize(("key", "calls"), cases(METHODS, METHOD_CALLS))
def test_method(key: Any, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    check_entry(monkeypatch, METHODS, key, calls)


@pytest.mark.parametrize("call", OPERATOR_CALLS, ids=lambda c: f"line{c.__code__.co_firstlineno}")
def test_operator(call: Call) -> None:
    check_call(call)


# -- NaN and infinities ---------------------------------------------------------------------------------------

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 2.0, 1e308, 5e-324])
PLAIN = [u for u in UFUNCS if u not in (np.matmul, np.vecdot) and "d->d" in u.types or "dd->d" in u.types]


@pytest.mark.parametrize("ufunc", [u for u in PLAIN if u.signature is None], ids=lambda u: u.__name__)
def test_special_values(ufunc: Any) -> None:
    """NaN and infinities propagate as NumPy's."""
    grid = np.array(list(itertools.product(SPECIAL, repeat=ufunc.nin))).T
    values = {Variable(f"x{k}", column.shape): column for k, column in enumerate(grid)}
    with np.errstate(all="ignore"):
        expected = ufunc(*grid)
    (actual,) = evaluate([as_expr(ufunc(*values))], values)
    with np.errstate(all="ignore"):
        same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
        same |= np.abs(actual - expected) <= 1e-13 * np.abs(expected)
    wrong = [
        f"{ufunc.__name__}{tuple(map(float, grid[:, i]))} = {actual[i]}, NumPy's {expected[i]}"
        for i in np.flatnonzero(~same)
    ]
    assert not wrong, "\n".join(wrong[:8])


# -- indexing --------------------------------------------------------------------------------------------------

INDICES: list[tuple[str, Any]] = [
    ("x", 0),
    ("x", -1),
    ("x", np.int64(2)),
    ("x", slice(None)),
    ("x", slice(1, 3)),
    ("x", slice(None, None, -1)),
    ("x", slice(-3, None, 2)),
    ("x", slice(3, 0, -2)),
    ("x", slice(7, 9)),
    ("x", slice(np.int64(1), np.int32(3))),
    ("x", None),
    ("x", ...),
    ("x", (..., 0)),
    ("x", ()),
    ("s", ()),
    ("s", ...),
    ("s", None),
    ("s", (None, None)),
    ("x", [0, 2, 2]),
    ("x", [-1]),
    ("x", []),
    ("x", np.array([[0, 1], [3, -2]])),
    ("x", np.array(2)),
    ("x", range(2)),
    ("x", MASK),
    ("x", MASK.tolist()),
    ("x", ~MASK & MASK),
    ("x", np.array([], dtype=int)),
    ("x", True),
    ("x", np.True_),
    ("x", False),
    ("A", 1),
    ("A", (1, -1)),
    ("A", (slice(None), 2)),
    ("A", (slice(None, None, 2), slice(None, None, -3))),
    ("A", (..., None, 1)),
    ("A", (None, 0, None)),
    ("A", ([0, 2], [1, 3])),
    ("A", ([0, 2], 1)),
    ("A", (slice(None), [3, 0, 0])),
    ("A", ([2, 0], slice(1, None))),
    ("A", (np.array([[0], [2]]), np.array([1, 3, 0]))),
    ("A", np.ix_([0, 2], [1, 3])),
    ("A", (slice(None), MASK)),
    ("A", (1, MASK)),
    ("A", np.arange(12).reshape(3, 4) % 3 == 0),
    ("A", (np.array([True, False, True]), slice(None))),
    ("A", (np.array([True, False, True]), [1, 2])),
    ("A", np.triu_indices(3)),
    ("A", np.diag_indices(3)),
    ("C", 1),
    ("C", (..., 0)),
    ("C", (0, ..., 0)),
    ("C", (slice(None), None, 1, slice(1, 3))),
    ("C", (0, slice(None), [1, 2])),
    ("C", ([0, 1], slice(None), [1, 2])),
    ("C", (slice(None), [0, 2], [1, 3])),
    ("C", ([0, 1], None, [0, 2])),
    ("C", (..., [3, 1])),
    ("C", ([1], ..., 2)),
    ("C", (slice(None), np.array([True, False, True]))),
    ("C", (0, np.arange(12).reshape(3, 4) > 5)),
    ("C", (np.array([[0], [1]]), slice(None), np.array([[1, 2]]))),
    ("e", slice(None)),
    ("e", []),
    ("e", None),
]
WRONG_INDICES: list[tuple[str, Any]] = [
    ("x", 4),
    ("x", -5),
    ("x", (0, 0)),
    ("x", [4]),
    ("x", [0.5]),
    ("x", 1.0),
    ("x", "name"),
    ("x", np.array([True, False])),
    ("x", (..., ...)),
    ("x", slice(0.5, 2)),
    ("x", slice("a", None)),
    ("x", slice(None, None, 0)),
    ("A", (3, 0)),
    ("A", ([0, 1], [0, 1, 2])),
    ("A", np.ones((4, 3), dtype=bool)),
    ("s", 0),
    ("s", slice(None)),
    ("e", 0),
]


def _shown(item: Any) -> str:
    return str(item).replace("\n", "") if not isinstance(item, str) else item


@pytest.mark.parametrize(("name", "index"), INDICES, ids=_shown)
def test_index(name: str, index: Any) -> None:
    check_index(DATA[name], index)


def check_index(number: Any, index: Any) -> None:
    v = Variable("v", np.shape(number))
    expected = np.asarray(number)[index]
    result = v[index]
    assert result.shape == expected.shape
    (actual,) = evaluate([result], {v: number})
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(("name", "index"), WRONG_INDICES, ids=_shown)
def test_wrong_index(name: str, index: Any) -> None:
    with pytest.raises((IndexError, TypeError, ValueError)):
        np.asarray(DATA[name])[index]
    with pytest.raises(adj.AdjointError, match="v"):
        Variable("v", np.shape(DATA[name]))[index]


SIZES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


@settings(max_examples=150)
@given(st.data())
def test_any_basic_index(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    check_index(np.arange(np.prod(shape, dtype=int)).reshape(shape) * 1.0, index)


@settings(max_examples=150)
@given(st.data())
def test_any_mixed_index(data: st.DataObject) -> None:
    """Each axis gets an integer, a slice, an integer array or a mask; the arrays broadcast; newaxis anywhere."""
    shape = data.draw(SIZES)
    common = data.draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3))
    index: list[Any] = []
    for n in shape[: data.draw(st.integers(1, len(shape)))]:
        kind = data.draw(st.sampled_from(["int", "slice", "array", "new"]))
        if kind == "new":
            index.append(None)
        if kind == "int":
            index.append(data.draw(st.integers(-n, n - 1)))
        elif kind == "array":
            index.append(data.draw(hnp.arrays(int, common, elements=st.integers(-n, n - 1))))
        else:
            index.append(data.draw(st.slices(n)))
    check_index(np.arange(np.prod(shape)).reshape(shape) * 1.0, tuple(index))


@settings(max_examples=50)
@given(st.data())
def test_any_mask(data: st.DataObject) -> None:
    shape = data.draw(SIZES)
    mask = data.draw(hnp.arrays(bool, shape[: data.draw(st.integers(1, len(shape)))]))
    check_index(np.arange(np.prod(shape)).reshape(shape) * 1.0, mask)


# -- what is not there, and calls that are wrong -----------------------------------------------------------------

# Unusual arguments: the result is NumPy's, or an error of the library; where NumPy refuses, so does the library.
UNUSUAL: list[Call] = [
    lambda A: np.sum(A, axis=0, where=A.shape == (3, 4)),
    lambda x: np.sum(x, initial=5.0),
    lambda x: np.sum(x, where=MASK),
    lambda x: np.sum(x, dtype=np.float64),
    lambda x: np.sum(x, dtype=np.int64),
    lambda x: np.sum(x, 0, None, None),
    lambda x: np.mean(x, dtype=np.float64),
    lambda x: np.mean(x, where=MASK),
    lambda x: np.max(x, initial=3.0),
    lambda x: np.max(x, where=MASK, initial=-9.0),
    lambda x: np.prod(x, initial=2.0),
    lambda x: np.var(x, correction=1),
    lambda x: np.std(x, mean=0.0),
    lambda x: np.var(x, where=MASK),
    lambda x: np.add.reduce(x, initial=5.0),
    lambda x: np.add.reduce(x, where=MASK),
    lambda x: np.maximum.reduce(x, initial=5.0),
    lambda x: np.multiply.reduce(x, initial=5.0),
    lambda x: np.average(x, returned=True),
    lambda x: np.average(x, weights=[1.0, 2.0]),
    lambda x: np.cumsum(x, dtype=float),
    lambda x: np.cumsum(x, dtype=int),
    lambda x: np.ptp(x, keepdims=True),
    lambda S: np.trace(S, offset=1),
    lambda C: np.trace(C),
    lambda C: np.trace(C, axis1=1, axis2=2),
    lambda x: np.trace(x),
    lambda S: np.diag(S, 1),
    lambda S: np.diag(S, k=-1),
    lambda x: np.diag(x, k=1),
    lambda C: np.diag(C),
    lambda s: np.diag(s),
    lambda S: np.diagonal(S, offset=1),
    lambda C: np.diagonal(C),
    lambda C: np.diagonal(C, axis1=1, axis2=2),
    lambda x: np.diagonal(x),
    lambda A: np.reshape(A, (4, 3), order="F"),
    lambda A: np.reshape(A, (4, 3), "F"),
    lambda A: np.reshape(A, (5, 3)),
    lambda A: np.reshape(A, (-1, -1)),
    lambda A: np.reshape(A, (-2, 6)),
    lambda A: np.reshape(A, (5, -1)),
    lambda A: np.reshape(A, "ab"),
    lambda A: A.reshape(4, 3, order="F"),
    lambda A: A.reshape(),
    lambda A: A.ravel("F"),
    lambda A: A.ravel(order="F"),
    lambda A: A.flatten("F"),
    lambda A: A.flatten(order="F"),
    lambda A: np.ravel(A, order="K"),
    lambda A: np.ravel(A, order="Z"),
    lambda A: np.transpose(A, (0, 3)),
    lambda A: np.transpose(A, (0, 0)),
    lambda A: np.transpose(A, (0,)),
    lambda A: np.transpose(A, (-1, 0)),
    lambda C: C.transpose(0, 1),
    lambda x: np.matrix_transpose(x),
    lambda x, y: np.stack([x, y], axis=5),
    lambda x, y: np.stack([x, y], axis=-4),
    lambda x, a: np.stack([x, a]),
    lambda x, a: np.concatenate([x, a], axis=1),
    lambda A, x: np.concatenate([A, x]),
    lambda A, S: np.concatenate([A, S], axis=0),
    lambda s, t: np.concatenate([s, t]),
    lambda x: np.concatenate(x),
    lambda A: np.concatenate(A),
    lambda A: np.stack(A, axis=1),
    lambda A: np.vstack(A),
    lambda A: np.hstack(A),
    lambda x, A: np.vstack([x, A]),
    lambda x, a: np.vstack([x, a]),
    lambda e: np.vstack([e, e]),
    lambda e: np.column_stack([e, e]),
    lambda x, A: np.hstack([x, A]),
    lambda x, y: np.append(x, y, axis=3),
    lambda x: np.split(x, 3),
    lambda x: np.split(x, 2, axis=1),
    lambda A: np.split(A, [1, 1, 9], axis=0),
    lambda A: np.array_split(A, 5),
    lambda A: np.array_split(A, [1, 2], 1),
    lambda x: np.array_split(x, 0),
    lambda x: np.squeeze(x, axis=0),
    lambda O: np.squeeze(O, axis=1),
    lambda O: np.squeeze(O, axis=7),
    lambda O: np.squeeze(O, axis=(0, 0)),
    lambda x: np.expand_dims(x, 9),
    lambda x: np.expand_dims(x, (0, 0)),
    lambda C: np.moveaxis(C, 0, 5),
    lambda C: np.moveaxis(C, (0, 1), 0),
    lambda C: np.moveaxis(C, (0, 0), (1, 2)),
    lambda C: np.moveaxis(C, (0, 1), (2, 2)),
    lambda C: np.swapaxes(C, 0, 3),
    lambda x: np.atleast_1d(x, x),
    lambda s: np.atleast_2d(s),
    lambda x: np.broadcast_to(x, (4, 3)),
    lambda x: np.broadcast_to(x, (2,)),
    lambda x: np.flip(x, 3),
    lambda x: np.fliplr(x),
    lambda s: np.flipud(s),
    lambda x: np.rot90(x),
    lambda A: np.rot90(A, axes=(0, 0)),
    lambda x: np.roll(x, 1, axis=2),
    lambda x: np.roll(x, 1.5),
    lambda x: np.tile(x, -1),
    lambda x: np.repeat(x, [1, 2]),
    lambda x: np.repeat(x, -1),
    lambda x: np.take(x, 9),
    lambda x: np.take(x, 9, mode="clip"),
    lambda x: np.take(x, [5, -7], mode="wrap"),
    lambda x: np.take(x, 0.5),
    lambda x: np.take(x, 0, axis=3),
    lambda x: np.diff(x, n=-1),
    lambda x: np.diff(x, axis=2),
    lambda x: np.diff(x, prepend=0.0),
    lambda x: np.diff(x, append=[1.0, 2.0]),
    lambda s: np.diff(s),
    lambda x: np.diff(x, n=6),
    lambda x: np.pad(x, -1),
    lambda x: np.pad(x, 1, mode="reflect"),
    lambda x: np.pad(x, 1, mode="symmetric"),
    lambda x: np.pad(x, 1, mode="linear_ramp"),
    lambda x: np.pad(x, 1, mode="mean"),
    lambda x: np.pad(x, 1, mode="nothing"),
    lambda x: np.pad(x, (1, 2, 3)),
    lambda x: np.pad(x, 1, constant_values=(1.0, 2.0)),
    lambda x, s: np.pad(x, 1, constant_values=s),
    lambda A: np.pad(A, ((1, 1), (2, 2)), constant_values=((1, 2), (3, 4))),
    lambda x: np.sum(x, axis=1),
    lambda x: np.sum(x, axis=(0, 0)),
    lambda x: np.sum(x, axis=0.5),
    lambda x: np.sum(x, axis="rows"),
    lambda x: np.mean(x, axis=-2),
    lambda x: np.max(x, axis=4),
    lambda e: np.max(e),
    lambda e: np.mean(e),
    lambda x: np.cumsum(x, axis=1),
    lambda x: np.cumprod(x, axis=1),
    lambda s: np.cumsum(s),
    lambda s: np.cumprod(s),
    lambda x: np.var(x, ddof=4),
    lambda x: np.clip(x, None, None),
    lambda x: np.clip(x),
    lambda x: np.clip(x, 1.0, -1.0),
    lambda x: np.clip(x, 0.0, 1.0, out=None),
    lambda x: np.interp(x, [0.0, 1.0], [0.0, 1.0], left=5.0),
    lambda x: np.interp(x, [0.0, 1.0], [0.0, 1.0], period=1.0),
    lambda x: np.interp(x, [0.0, 1.0], [0.0, 1.0, 2.0]),
    lambda x: np.interp(x, [], []),
    lambda x: np.interp(0.5, [0.0, 1.0, 2.0, 3.0], x),
    lambda x: np.where(x > 0),
    lambda x: np.where(x > 0, x),
    lambda x, a: np.where(x > 0, x, a),
    lambda x: np.trapezoid(x, [1.0, 2.0]),
    lambda A: np.trapezoid(A, axis=3),
    lambda A, x: np.trapezoid(A, x, axis=0),
    lambda x: np.trapezoid(x, dx=[1.0, 2.0, 3.0]),
    lambda x, a: x + a,
    lambda x, a: x @ a,
    lambda s, x: s @ x,
    lambda A, B: A @ B,
    lambda C, A: C @ A,
    lambda C, D: np.matmul(C, D[:1]),
    lambda C, D: np.matmul(C[:1].T, D),
    lambda A, a: np.dot(A, a),
    lambda C, A: np.dot(C, A),
    lambda C, D: np.dot(C, D[0]),
    lambda x, a: np.vdot(x, a),
    lambda x, a: np.vecdot(x, a),
    lambda x, a: np.inner(x, a),
    lambda C, A: np.inner(C, A),
    lambda s, C: np.outer(s, C),
    lambda x, C: np.multiply.outer(x, C),
    lambda A, x: np.tensordot(A, x),
    lambda A, x: np.tensordot(A, x, axes=((1,), (3,))),
    lambda A, B: np.tensordot(A, B, axes=((0, 1), (0,))),
    lambda A, B: np.tensordot(A, B, axes=5),
    lambda A, B: np.tensordot(A, B, axes=((0, 0), (0, 0))),
    lambda A, x: np.einsum("ij,i->j", A, x),
    lambda A, x: np.einsum("ij,j,k->i", A, x),
    lambda A: np.einsum("ijk->i", A),
    lambda A: np.einsum("ij->k", A),
    lambda A: np.einsum("ij->ii", A),
    lambda A: np.einsum("ii->i", A),
    lambda A: np.einsum("i?->i", A),
    lambda A: np.einsum("ij->i->j", A),
    lambda A: np.einsum(A, [0, 1], [1, 0]),
    lambda A: np.einsum("ij->ij", A, dtype=float),
    lambda A: np.einsum("...->...", A),
    lambda A, x: np.einsum("i...,...->i...", A, x),
    lambda O, A: np.einsum("ijk,jk->ik", O, A[:, :1]),
    lambda O, x: np.einsum("ijk,k->ij", O, x),
    lambda a, A: np.cross(a, A),
    lambda a: np.cross(a[:2], a[1:]),
    lambda A: np.cross(A, A, axis=0),
    lambda S, a: np.kron(S, a),
    lambda s, a: np.kron(s, a),
    lambda C, a: np.kron(C, a),
    lambda A, a: np.convolve(A, a),
    lambda x, a: np.convolve(x, a, mode="wide"),
    lambda x, e: np.convolve(x, e),
    lambda s, x: np.convolve(s, x),
    lambda x: np.tril(x),
    lambda s: np.triu(s),
    lambda x: np.linalg.norm(x, 0),
    lambda x: np.linalg.norm(x, -1),
    lambda x: np.linalg.norm(x, "fro"),
    lambda x: np.linalg.norm(x, "nuc"),
    lambda A: np.linalg.norm(A, 1),
    lambda A: np.linalg.norm(A, 2),
    lambda A: np.linalg.norm(A, np.inf),
    lambda A: np.linalg.norm(A, 1, axis=(0, 1)),
    lambda C: np.linalg.norm(C, 1),
    lambda C: np.linalg.norm(C, 2),
    lambda C: np.linalg.norm(C, axis=(0, 1, 2)),
    lambda A: np.linalg.norm(A, axis=5),
    lambda A, a: np.linalg.solve(A, a),
    lambda S, x: np.linalg.solve(S, x),
    lambda C: np.linalg.solve(C[:, :, :3], C[:, :, :3]),
    lambda A: np.linalg.inv(A),
    lambda x: np.linalg.inv(x),
    lambda C: np.linalg.inv(C[:, :, :3]),
    lambda A: np.linalg.det(A),
    lambda C: np.linalg.det(C[:, :, :3]),
    lambda C: np.linalg.slogdet(C[:, :, :3]),
    lambda A: np.linalg.slogdet(A),
    lambda S: np.linalg.det(S[:0, :0]),
    lambda S: np.linalg.slogdet(S[:0, :0]),
    lambda S: np.linalg.inv(S[:0, :0]),
    lambda A: np.zeros_like(A, shape=(2,)),
    lambda A: np.ones_like(A, dtype=int),
    lambda A, x: np.full_like(A, x),
    lambda A: np.full_like(A, "word"),
    lambda A: np.size(A, 0),
    lambda A: np.size(A, 7),
    lambda x: np.copy(x, order="F"),
    lambda x: x.copy("F"),
    lambda x: x.sum(axis=3),
    lambda x: x.astype(float),
    lambda x: x.sort(),
    lambda x: x.item(),
    lambda x: x.tolist(),
    lambda x: x.nothing,
    lambda x: x.argmax(),
    lambda x: x.clip(),
    lambda x: x.dot(x, x),
    lambda s: len(s),
    lambda s: list(s),
    lambda x: x // 2,
    lambda x: 2 // x,
    lambda x: x % 2,
    lambda x: 2 % x,
    lambda x: divmod(x, 2),
    lambda x: x ^ 3,
    lambda x: round(x[0]),
    lambda x: x + "word",
    lambda x: x + None,
    lambda x: "word" * x,
    lambda x: x * {},
    lambda x: x + [1.0, [2.0]],
    lambda x: np.add(x, "word"),
    lambda x: np.exp(x, out=np.empty(4)),
    lambda x: np.exp(x, where=MASK),
    lambda x: np.add(x, 1.0, dtype=int),
    lambda x: np.exp(x, dtype=np.float64),
    lambda x: np.add(x, 1.0, casting="no"),
    lambda x: np.logical_and(x, 2.0),
    lambda x: np.logical_or(x, 0.0),
    lambda x: np.logical_not(x),
    lambda x: np.where(x, 1.0, 2.0),
    lambda x: np.isnan(x),
    lambda x: np.array(x, dtype=float).sum(),
    lambda x: np.asarray(x, dtype=np.float64) + 1.0,
    lambda A: adj.logsumexp(A, axis=4) if isinstance(A, Expr) else 1 / 0,
    lambda x, a: adj.array([x, a]) if isinstance(x, Expr) else 1 / 0,
    lambda A: adj.put(A, 7, 1.0) if isinstance(A, Expr) else 1 / 0,
    lambda A: adj.put(A, [0, 0], 1.0) if isinstance(A, Expr) else 1 / 0,
    lambda A: adj.put(A, 0, [1.0, 2.0]) if isinstance(A, Expr) else 1 / 0,
    lambda x: adj.scatter_add(2, [0, 1, 5, 0], x) if isinstance(x, Expr) else 1 / 0,
    lambda x: adj.scatter_add(2, [0, 1], x) if isinstance(x, Expr) else 1 / 0,
    lambda x: adj.scatter_add(-2, [0, 1, 0, 1], x) if isinstance(x, Expr) else 1 / 0,
    lambda x: adj.segment_sum(x, [0, 1], 2) if isinstance(x, Expr) else 1 / 0,
    lambda x: adj.segment_sum(x, [0, 1, 2, 3], 2) if isinstance(x, Expr) else 1 / 0,
]


@pytest.mark.parametrize("call", UNUSUAL, ids=lambda c: f"line{c.__code__.co_firstlineno}")
def test_unusual_call(call: Call) -> None:
    values = leaves_of(call)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = on_numbers(call)
        except Exception:
            expected = None
        try:
            results = flat(call(*values))
        except adj.AdjointError:
            return
        except AttributeError as error:  # what Python asks of a missing attribute
            assert "has no attribute" in str(error)
            return
        shown = [r if isinstance(r, Expr) else np.asarray(r) for r in results]
        assert expected is not None, f"NumPy refuses this call, the library gives {shown}"
        assert len(results) == len(expected)
        actual = evaluate([as_expr(r) for r in results], values)
        for a, e in zip(actual, expected, strict=True):
            assert np.shape(a) == e.shape, f"shape {np.shape(a)}, NumPy's {e.shape}"
            np.testing.assert_allclose(a, e * 1.0, rtol=1e-12, atol=1e-13)


def _ufuncs() -> dict[str, Any]:
    found = {}
    for module in (np, sc):
        for name in sorted(dir(module)):
            item = getattr(module, name)
            if isinstance(item, np.ufunc) and item not in UFUNCS and item.nin <= 5:
                found[f"{module.__name__}.{name}"] = item
    return found


def test_other_ufuncs_are_named() -> None:
    """Every ufunc that is not in the table raises UnsupportedError, with its name and the ways out."""
    x = Variable("x", (4,))
    for name, ufunc in _ufuncs().items():
        with pytest.raises(adj.UnsupportedError) as raised:
            ufunc(*[x] * ufunc.nin)
        assert isinstance(raised.value, TypeError)
        for word in (ufunc.__name__, "m.external(", "primitives"):
            assert word in str(raised.value), f"{name}: {raised.value}"


@pytest.mark.parametrize(
    "call",
    [lambda x: np.subtract.outer(x, x), lambda x: np.add.reduceat(x, [0, 2]), lambda x: np.divide.reduce(x)],
)
def test_other_ufunc_methods_are_named(call: Call) -> None:
    with pytest.raises(
        adj.UnsupportedError, match=r"(subtract\.outer|add\.reduceat|divide\.reduce).*m\.external"
    ):
        call(Variable("x", (4,)))


def _dispatched() -> dict[str, Any]:
    kind = type(np.sum)
    found = {}
    for module in (np, np.linalg, np.fft):
        for name in sorted(dir(module)):
            item = getattr(module, name)
            if (
                isinstance(item, kind) and item not in FUNCTIONS and not name.startswith("save")
            ):  # writes files
                found[f"{module.__name__}.{name}"] = item
    return found


@pytest.mark.parametrize(
    ("name", "function"), _dispatched().items(), ids=lambda p: p if isinstance(p, str) else ""
)
def test_other_functions_are_named(name: str, function: Any) -> None:
    """Every function of NumPy that asks its arguments, and is not in the table, raises UnsupportedError."""
    x = Variable("x", (3, 3))
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        pytest.skip("its signature is not known")
    needed = [
        p
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    with pytest.raises(adj.UnsupportedError, match=r"m\.external") as raised:
        function(*[x] * max(1, len(needed)))
    assert function.__name__ in str(raised.value)


MENTIONED = [
    "sort",
    "argmax",
    "median",
    "unique",
    "allclose",
    "nonzero",
    "percentile",
    "histogram",
    "searchsorted",
]


@pytest.mark.parametrize("name", MENTIONED)
def test_well_known_functions_are_among_them(name: str) -> None:
    assert f"numpy.{name}" in _dispatched()
