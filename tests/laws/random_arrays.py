"""Random programs of array operations, for comparing backends: no equations, any shapes, much sharing.

A program is a list of instructions drawn from tables. An instruction takes one or two of the arrays made before,
brings them to a shape that suits it, and makes one more. Numbers stay moderate, so that errors can be measured against
the size of the values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

import adjoint as adj
from adjoint.derivatives import vjp
from adjoint.expr import Expr, Variable, as_expr, constant

SHAPES: list[tuple[int, ...]] = [
    *((), (1,), (3,), (7,), (8,), (9,), (16,), (40,), (0,)),
    *((5, 3), (3, 5), (8, 1), (1, 9), (0, 3), (2, 1, 4), (4, 3, 3), (2, 17, 3), (130, 3), (3, 130)),
]


@dataclass
class ArrayProgram:
    """What ``Backend.compile`` takes, and values of the inputs."""

    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    definitions: dict[Variable, Expr] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    @property
    def variables(self) -> list[Variable]:
        """All inputs, out of their tuples."""
        return [v for i in self.inputs for v in (i if isinstance(i, tuple) else (i,))]

    @property
    def expressions(self) -> list[Expr]:
        """All outputs, out of their tuples."""
        return [e for out in self.outputs for e in (out if isinstance(out, tuple) else (out,))]

    def values(self, rng: np.random.Generator, draw: Callable[..., Any] | None = None) -> list[Any]:
        """Values of the inputs, packed as ``compile`` says."""
        return [
            _draw(rng, (sum(v.size for v in i),), draw) if isinstance(i, tuple) else _draw(rng, i.shape, draw)
            for i in self.inputs
        ]

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def _draw(rng: np.random.Generator, shape: tuple[int, ...], draw: Callable[..., Any] | None) -> Any:
    return (rng.uniform(-1.5, 1.5, shape) if draw is None else draw(rng, shape))[()]


def tame(x: Any) -> Any:
    """Bounded, and smooth."""
    return x / np.sqrt(1.0 + x * x)


def _int(rng: np.random.Generator, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))


# -- operations of one array ------------------------------------------------------------------------------------


def _slice(rng: np.random.Generator, n: int) -> Any:
    kind = _int(rng, 0, 9)
    if kind < 3 or not n:
        return slice(None)
    if kind < 5:
        return slice(None, None, -1)
    a, b = sorted((_int(rng, 0, n), _int(rng, 0, n)))
    step = _int(rng, 1, 3)
    return slice(a, b, step) if kind < 8 else slice(b - 1 if b else None, a - 1 if a else None, -step)


def _index(x: Expr, rng: np.random.Generator) -> Any:
    index = []
    for n in x.shape:
        number = n and _int(rng, 0, 5) == 0
        index.append(_int(rng, -n, n - 1) if number else _slice(rng, n))
        if _int(rng, 0, 9) == 0:
            index.append(None)
    return tuple(index)


def getitem(x: Expr, rng: np.random.Generator) -> Expr:
    return x[_index(x, rng)] if x.ndim else x


def take(x: Expr, rng: np.random.Generator) -> Expr:
    """With repeats, along an axis or anywhere."""
    if not x.size:
        return x
    flat = np.reshape(x, (x.size,))
    count = _int(rng, 0, 24)
    positions = rng.integers(-x.size, x.size, size=[(count,), (count, 2), (1, count)][_int(rng, 0, 2)])
    if x.ndim > 1 and _int(rng, 0, 1):
        axis = _int(rng, 0, x.ndim - 1)
        return np.take(x, rng.integers(0, x.shape[axis], size=count), axis=axis)
    return flat[positions]


def reshape(x: Expr, rng: np.random.Generator) -> Expr:
    shapes = [s for s in SHAPES if int(np.prod(s)) == x.size] + [(x.size,), (1, x.size), (x.size, 1)]
    shapes += [(k, x.size // k) for k in range(2, 10) if x.size and x.size % k == 0]
    return np.reshape(x, shapes[_int(rng, 0, len(shapes) - 1)])


def transpose(x: Expr, rng: np.random.Generator) -> Expr:
    return np.transpose(x, tuple(int(i) for i in rng.permutation(x.ndim)))


def broadcast(x: Expr, rng: np.random.Generator) -> Expr:
    if x.size > 400:
        return x
    return np.broadcast_to(x, ((_int(rng, 0, 4),) if _int(rng, 0, 1) else (2, 3)) + x.shape)


def _axes(x: Expr, rng: np.random.Generator) -> Any:
    kept = [i for i in range(x.ndim) if _int(rng, 0, 1)]
    return None if _int(rng, 0, 3) == 0 else tuple(kept)


def total(x: Expr, rng: np.random.Generator) -> Expr:
    return np.sum(x, axis=_axes(x, rng), keepdims=bool(_int(rng, 0, 1))) * 0.5


def mean(x: Expr, rng: np.random.Generator) -> Expr:
    return np.mean(x, axis=_axes(x, rng)) if x.size else x


def extremum(x: Expr, rng: np.random.Generator) -> Expr:
    return (np.max if _int(rng, 0, 1) else np.min)(x, axis=_axes(x, rng)) if x.size else x


def scatter(x: Expr, rng: np.random.Generator) -> Expr:
    """With and without duplicates, into more places or fewer."""
    if not x.size:
        return adj.scatter_add((5,), rng.integers(0, 5, x.shape), x)
    if _int(rng, 0, 1):
        places = rng.permutation(x.size + _int(rng, 0, 5))[: x.size]
        return adj.scatter_add((int(places.max()) + 1 + _int(rng, 0, 2),), places.reshape(x.shape), x)
    n = _int(rng, 1, 12)
    return adj.scatter_add((n,), rng.integers(0, n, x.shape), x)


def segments(x: Expr, rng: np.random.Generator) -> Expr:
    if not x.ndim:
        return x
    n = _int(rng, 1, 6)
    return adj.segment_sum(x, rng.integers(0, n, x.shape[0]), n)


def embed(x: Expr, rng: np.random.Generator) -> Expr:
    """x in the middle of zeros: the transpose of a slice."""
    shape = tuple(n + _int(rng, 0, 3) for n in x.shape)
    larger = Variable("larger", shape)
    index = tuple(
        slice(None, None, -1) if n == m and _int(rng, 0, 1) else slice((n - m) // 2, (n - m) // 2 + m)
        for n, m in zip(shape, x.shape, strict=True)
    )
    return vjp([larger[index]], [x], [larger])[0] if x.ndim else x


def cumulated(x: Expr, rng: np.random.Generator) -> Expr:
    return tame(np.cumsum(x, axis=_int(rng, 0, x.ndim - 1))) if x.ndim else x


def sparse(x: Expr, rng: np.random.Generator) -> Expr:
    if x.ndim not in (1, 2):
        return x
    rows = _int(rng, 0, 9)
    matrix = sp.random_array((rows, x.shape[0]), density=0.3, random_state=rng)
    return sp.csr_array(matrix) @ x


def solved(x: Expr, rng: np.random.Generator) -> Expr:
    """(A(x) + 4 I)⁻¹ b, or the determinant, of the first elements."""
    if x.size < 9:
        return x
    a = np.reshape(tame(np.reshape(x, (x.size,))[:9]), (3, 3)) / 3.0 + 2.0 * np.eye(3)
    return np.linalg.det(a) / 8.0 if _int(rng, 0, 1) else np.linalg.solve(a, np.reshape(x, (x.size,))[-3:])


def elementwise(x: Expr, rng: np.random.Generator) -> Expr:
    table: list[Callable[[Any], Any]] = [
        *(np.sin, np.cos, np.tanh, tame, np.arctan, np.square, np.negative, np.abs, np.sign, adj.relu, np.exp2),
        *(lambda u: np.exp(tame(u)), lambda u: np.log1p(u * u), lambda u: 1.0 / (2.0 + u * u), lambda u: 2.0 - u),
        *(lambda u: np.sqrt(1.0 + u * u), lambda u: (2.0 + u * u) ** -1.5, adj.expit, adj.softplus, adj.swish),
        lambda u: adj.gamma(1.0 + np.square(tame(u))),  # called, not compiled
    ]
    return table[_int(rng, 0, len(table) - 1)](x)


UNARY: list[Callable[[Expr, np.random.Generator], Expr]] = [
    *(getitem, getitem, take, reshape, transpose, broadcast, total, mean, extremum, scatter, segments, embed),
    *(cumulated, sparse, solved, elementwise, elementwise, elementwise),
]


# -- operations of two arrays -----------------------------------------------------------------------------------


def combine(x: Expr, y: Expr, rng: np.random.Generator) -> Expr:
    table: list[Callable[[Any, Any], Any]] = [
        *(lambda u, v: u + v, lambda u, v: u - v, lambda u, v: u * v, lambda u, v: v - u + 0.25 * u),
        *(np.maximum, np.minimum, np.hypot, np.arctan2, lambda u, v: u / (1.0 + v * v)),
        *(lambda u, v: np.where(u > v, u, -v), lambda u, v: np.where(u <= 0.0, 1.0, v), lambda u, v: np.clip(u, -1, v)),
    ]
    return table[_int(rng, 0, len(table) - 1)](x, y)


def _matched(x: Expr, shape: tuple[int, ...]) -> Expr:
    """The elements of x, or its first ones repeated, in a shape."""
    size = int(np.prod(shape))
    flat = np.reshape(x, (x.size,))
    if not x.size or not size:
        return constant(np.full(shape, 0.5))
    return np.reshape(flat[np.arange(size) % x.size] if x.size != size else flat, shape)


def sums(x: Expr, y: Expr, rng: np.random.Generator) -> Expr:
    """± a ± b ± c …, of which some are scatters, embeds, sums, products and constants."""
    if not x.ndim or x.size > 500:
        return x - y[(0,) * y.ndim] if y.size else x
    n = x.shape[0]
    rest = x.shape[1:]
    y = _matched(y, x.shape)

    def term() -> Any:
        kind = _int(rng, 0, 9)
        a = x if _int(rng, 0, 1) else y
        b = np.sin(a) if _int(rng, 0, 1) else a
        if kind == 0:
            return a
        if kind == 1:
            return constant(rng.choice([-0.0, 0.0, 1.0, -2.5], size=x.shape))
        if kind == 2:
            return float(rng.choice([-0.0, 0.0, 1.5]))
        if kind == 3:
            return np.broadcast_to(np.sum(b, axis=0), x.shape)
        if kind == 4 and n > 1:
            k = _int(rng, 1, n - 1)
            return np.concatenate([np.zeros((k, *rest)), b[k:]])
        if kind == 5:
            return adj.scatter_add(x.shape, (rng.integers(0, n, n),) if n else [], b) if n else b
        if kind == 6 and n:
            return adj.scatter_add(x.shape, rng.permutation(n), b)
        if kind == 7 and x.ndim == 2:
            return constant(rng.uniform(-0.5, 0.5, (n, n))) @ b
        if kind == 8:
            return _transposed_slice(b, x.shape, rng)
        return a * 0.5

    out = as_expr(term())
    for _ in range(_int(rng, 1, 5)):
        t = term()
        out = out + t if _int(rng, 0, 1) else out - t if _int(rng, 0, 1) else t - out
    return out


def _transposed_slice(b: Expr, shape: tuple[int, ...], rng: np.random.Generator) -> Expr:
    larger = Variable("larger", shape)
    index = tuple(_slice(rng, n) for n in shape)
    view = larger[index]
    return vjp([view], [_matched(b, view.shape)], [larger])[0]


def joined(x: Expr, y: Expr, rng: np.random.Generator) -> Expr:
    if not x.ndim:
        return np.stack([x, y[(0,) * y.ndim] if y.size else x, x * 2.0])
    if _int(rng, 0, 2) == 0:
        return np.stack([x, _matched(y, x.shape)], axis=_int(rng, 0, x.ndim))
    axis = _int(rng, 0, x.ndim - 1)
    shape = tuple(_int(rng, 0, 3) if i == axis else n for i, n in enumerate(x.shape))
    parts = [x, _matched(y, shape), constant(rng.uniform(-1.0, 1.0, shape))]
    return np.concatenate([parts[i] for i in rng.permutation(3)], axis=axis)


def put(x: Expr, y: Expr, rng: np.random.Generator) -> Expr:
    if not x.ndim or not x.size:
        return x
    index = _slice(rng, x.shape[0])
    return adj.put(x, index, _matched(y, x[index].shape))


def product(x: Expr, y: Expr, rng: np.random.Generator) -> Expr:
    """x @ y of all kinds: vectors, matrices, batches, constants."""
    if not x.ndim or x.size > 500:
        return x
    inner, k = x.shape[-1], _int(rng, 0, 5)
    n = _int(rng, 1, 4)
    scale = 1.0 / max(inner, 1)
    if k == 0:
        return (x @ _matched(y, (inner,))) * scale
    if k == 1:
        return (x @ constant(rng.uniform(-1.0, 1.0, (inner, n)))) * scale
    if k == 2 and x.ndim == 3:
        return (x @ _matched(y, (x.shape[0], inner, n))) * scale
    if k == 3:
        return (_matched(y, (n, x.shape[-2] if x.ndim > 1 else inner)) @ x) * scale
    if k == 4 and x.ndim == 2:
        return (x.T @ x) / max(x.shape[0], 1)
    return (x @ _matched(y, (inner, n))) * scale


def scattered_join(x: Expr, y: Expr, rng: np.random.Generator) -> Expr:
    """Arrays one after the other, added to places or in another order: the parts go there directly."""
    parts = [np.reshape(e, (e.size,)) for e in (x * 2.0, np.sin(y), x)[: _int(rng, 2, 3)]]
    long = np.concatenate(parts) if _int(rng, 0, 3) else np.concatenate([np.stack([x, x]), np.stack([x, x])])
    n = long.size
    if _int(rng, 0, 1) or not n:
        return np.reshape(long, (n,))[rng.permutation(n)]
    where = rng.integers(0, n, long.shape)
    out = adj.scatter_add((n,), where, long)
    return out - adj.scatter_add((n,), rng.permutation(n).reshape(long.shape), long) if _int(rng, 0, 1) else out


def repeated(x: Expr, y: Expr, rng: np.random.Generator) -> Expr:
    """Loops that differ only in where they start and in their constants."""
    flat = np.reshape(x, (x.size,))
    n = _int(rng, 1, 9)
    if x.size < 2 * n:
        return x
    starts = rng.integers(0, x.size - n + 1, _int(rng, 2, 5))
    c = rng.choice([-0.0, 1.0, 0.3, -2.0], starts.size)
    pieces = [np.cos(flat[a : a + n] * k) * k for a, k in zip(starts.tolist(), c.tolist(), strict=True)]
    return np.stack(pieces) if _int(rng, 0, 1) else np.concatenate(pieces)


BINARY: list[Callable[[Expr, Expr, np.random.Generator], Expr]] = [
    *(combine, combine, combine, combine, sums, sums, sums, joined, put, product, product, scattered_join, repeated)
]


# -- programs ---------------------------------------------------------------------------------------------------


def _broadcasts(x: Expr, y: Expr) -> bool:
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return False
    return int(np.prod(shape)) <= 3000


def random_program(seed: int, length: int = 12) -> ArrayProgram:
    """The program of a seed."""
    rng = np.random.default_rng(seed)
    out = ArrayProgram()
    pool: list[Expr] = []
    for k in range(_int(rng, 1, 4)):
        v = Variable(f"x{k}", SHAPES[_int(rng, 0, len(SHAPES) - 1)])
        pool.append(v)
        out.lines.append(f"{v.name}: {v.shape}")
    variables: list[Any] = list(pool)
    if len(variables) > 2 and _int(rng, 0, 1):
        out.inputs = [tuple(variables[:2]), *variables[2:]]
    elif _int(rng, 0, 4) == 0:
        out.inputs = [tuple(variables)]
    else:
        out.inputs = variables
    for _ in range(length):
        made = _instruction(pool, out, rng)
        if made.size > 3000:
            continue
        if _int(rng, 0, 4) == 0:
            v = Variable(f"d{len(out.definitions)}", made.shape)
            out.definitions[v] = made
            made = v
        pool.append(made)
    out.outputs = _outputs(pool, rng)
    return out


def _instruction(pool: list[Expr], out: ArrayProgram, rng: np.random.Generator) -> Expr:
    i, j = (int(max(rng.integers(0, len(pool), 2 if k else 3))) if k else _int(rng, 0, len(pool) - 1) for k in (1, 0))
    x, y = pool[i], pool[j]
    if _int(rng, 0, 1):
        f = BINARY[_int(rng, 0, len(BINARY) - 1)]
        if f is combine and not _broadcasts(x, y):
            y = _matched(y, x.shape)
        made = f(x, y, rng)
        out.lines.append(f"[{len(pool)}] = {f.__name__}([{i}], [{j}]): {np.shape(made)}")
    else:
        g = UNARY[_int(rng, 0, len(UNARY) - 1)]
        made = g(x, rng)
        out.lines.append(f"[{len(pool)}] = {g.__name__}([{i}]): {np.shape(made)}")
    return as_expr(made)


def _outputs(pool: list[Expr], rng: np.random.Generator) -> list[Any]:
    chosen = [pool[-1], *(pool[_int(rng, 0, len(pool) - 1)] for _ in range(_int(rng, 0, 4)))]
    outputs: list[Any] = [*chosen]
    if _int(rng, 0, 2) == 0:
        outputs.append(constant(np.arange(3.0)))
    if _int(rng, 0, 2) == 0:
        outputs.append((pool[-1], *(pool[_int(rng, 0, len(pool) - 1)] for _ in range(_int(rng, 0, 3)))))
    if _int(rng, 0, 5) == 0:
        outputs.append(chosen[0])
    if _int(rng, 0, 9) == 0:
        outputs.append(())
    return outputs


def array_programs(length: int = 12) -> st.SearchStrategy[ArrayProgram]:
    """Random array programs."""
    return st.integers(0, 10**9).map(lambda seed: random_program(seed, length))
