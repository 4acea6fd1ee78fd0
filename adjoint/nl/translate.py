"""Array expressions as scalar operations: one row for every primitive that AMPL's format can express.

An elementwise primitive is an opcode, or a formula in opcodes. Every other kind needs no rows of its own but for a
few: what copies elements is applied to the numbers of the nodes; a linear map is a weighted sum by its nonzeros; a
matrix product is a sum of products.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..expr import Expr
from ..primitive import Primitive
from .scalars import Scalars

__all__ = ["ELEMENTWISE", "OPERATIONS", "elementwise", "operation"]

Ids = np.ndarray

MAX_DETERMINANT = 10  # rows up to which a determinant is expanded, in n·2ⁿ products


def operation(s: Scalars, node: Expr, args: list[Ids]) -> Ids:
    """The nodes of the elements of an operation, in its shape; ``args``: those of its arguments."""
    op = node.op
    assert op is not None
    if op.name in OPERATIONS:
        return OPERATIONS[op.name](s, node, args)
    if op.kind == "linear" and op.copies:
        out = op.value(*args, *node.params)
        return np.asarray(out, dtype=np.int64)
    if op.kind == "linear":
        return _linear(s, op, node, args)
    if op.kind == "bilinear":
        return _bilinear(s, op, node, args)
    raise UnsupportedError(f"AMPL's .nl format has no {op.name}")


# -- elementwise -------------------------------------------------------------------------------------------------


def elementwise(s: Scalars, nodes: Sequence[Expr], args: Sequence[Sequence[Ids]]) -> list[Ids]:
    """The nodes of the elements of equal elementwise operations, each in its shape."""
    op, params = nodes[0].op, nodes[0].params
    assert op is not None
    flat = [np.concatenate([_spread(a[k], n) for n, a in zip(nodes, args, strict=True)]) for k in range(len(args[0]))]
    known = np.logical_and.reduce([s.is_number(a) for a in flat])
    if not known.any():
        out = ELEMENTWISE[op.name](s, *flat, *params)
    else:
        out = np.empty(known.size, np.int64)
        with np.errstate(all="ignore"):
            out[known] = s.numbers(np.asarray(op.value(*(s.value(a[known]) for a in flat), *params)))
        if not known.all():
            out[~known] = ELEMENTWISE[op.name](s, *(a[~known] for a in flat), *params)
    if len(nodes) == 1:
        return [out.reshape(nodes[0].shape)]
    parts = np.split(out, np.cumsum([n.size for n in nodes])[:-1])
    return [part.reshape(n.shape) for n, part in zip(nodes, parts, strict=True)]


def _spread(ids: Ids, node: Expr) -> Ids:
    return (ids if ids.shape == node.shape else np.broadcast_to(ids, node.shape)).reshape(-1)


def _opcode(name: str) -> Callable[..., Ids]:
    return lambda s, *args: s.operation(name, *args)


def _comparison(name: str) -> Callable[..., Ids]:
    return lambda s, a, b: s.mask(s.operation(name, a, b))


def _zero(s: Scalars, like: Ids) -> Ids:
    return np.full(like.size, s.zero)


def _one(s: Scalars, like: Ids) -> Ids:
    return np.full(like.size, s.one)


def _joined(name: str, s: Scalars, a: Ids, b: Ids, plain: Callable[..., Ids]) -> Ids:
    """Masks joined by a logical operation; the plain operation where the two are not masks."""
    left, right = s.conditions(a), s.conditions(b)
    both = (left >= 0) & (right >= 0)
    if not both.any():
        return plain(a, b)
    out = np.empty(a.size, np.int64)
    out[both] = s.mask(s.operation(name, left[both], right[both]))
    out[~both] = plain(a[~both], b[~both])
    return out


def _multiply(s: Scalars, a: Ids, b: Ids) -> Ids:
    return _joined("and", s, a, b, s.multiplied)


def _maximum(s: Scalars, a: Ids, b: Ids) -> Ids:
    return _joined("or", s, a, b, lambda a, b: s.operation("max", a, b))


def _subtract(s: Scalars, a: Ids, b: Ids) -> Ids:
    out = np.empty(a.size, np.int64)
    conditions = s.conditions(b)
    negated = (conditions >= 0) & s.is_number(a) & (s.value(a) == 1.0)
    out[negated] = s.mask(s.operation("not", conditions[negated]))
    out[~negated] = s.added(a[~negated], b[~negated], -1.0)
    return out


def _not_equal(s: Scalars, a: Ids, b: Ids) -> Ids:
    same = (s.conditions(a) >= 0) & s.is_number(b) & (s.value(b) == 0.0)
    out = a.copy()
    out[~same] = s.mask(s.operation("ne", a[~same], b[~same]))
    return out


def _heaviside(s: Scalars, x: Ids, at_zero: Ids) -> Ids:
    zero, one = _zero(s, x), _one(s, x)
    return s.choice(s.operation("lt", x, zero), zero, s.choice(s.operation("gt", x, zero), one, at_zero))


def _log_1_plus_exp(s: Scalars, x: Ids) -> Ids:
    return s.operation("log", s.shifted(s.operation("exp", x), 1.0))


def _logaddexp(s: Scalars, a: Ids, b: Ids) -> Ids:
    """The larger one plus log(1 + exp(−|a − b|)): each branch is the whole function, and none overflows."""
    gap = s.added(a, b, -1.0)
    above = s.added(a, _log_1_plus_exp(s, s.scaled(gap, -1.0)))
    below = s.added(b, _log_1_plus_exp(s, gap))
    return s.choice(s.operation("ge", a, b), above, below)


def _expit(s: Scalars, x: Ids) -> Ids:
    return s.operation("divide", _one(s, x), s.shifted(s.operation("exp", s.scaled(x, -1.0)), 1.0))


def _cbrt(s: Scalars, x: Ids) -> Ids:
    negative = s.scaled(s.power(s.scaled(x, -1.0), 1.0 / 3.0), -1.0)
    return s.choice(s.operation("lt", x, _zero(s, x)), negative, s.power(x, 1.0 / 3.0))


def _sign(s: Scalars, x: Ids) -> Ids:
    zero, one = _zero(s, x), _one(s, x)
    negative = s.choice(s.operation("lt", x, zero), s.filled(x, -1.0), zero)
    return s.choice(s.operation("gt", x, zero), one, negative)


def _rounded(name: str) -> Callable[..., Ids]:
    return lambda s, x: s.operation(name, x, _zero(s, x))  # to 0 decimals


def _interp(s: Scalars, x: Ids, xp: Any, fp: Any) -> Ids:
    """A table that holds its end values: slopes 0, s₁, …, 0, from 0 at 0, plus the value at 0."""
    points, values = xp.array, fp.array
    if points.size == 1:
        return s.filled(x, float(values[0]))
    slopes = np.concatenate([[0.0], np.diff(values) / np.diff(points), [0.0]])
    return s.shifted(s.table(x, slopes, np.array(points)), float(np.interp(0.0, points, values)))


def _interp_slope(s: Scalars, x: Ids, xp: Any, fp: Any) -> Ids:
    """The slope to the right of x: a sum of steps."""
    points, values = xp.array, fp.array
    steps = np.diff(np.concatenate([[0.0], np.diff(values) / np.diff(points), [0.0]]))
    return _steps(s, "ge", x, points, steps)


def _steps(s: Scalars, name: str, x: Ids, points: np.ndarray, heights: np.ndarray) -> Ids:
    n, k = x.size, points.size
    masks = s.mask(s.operation(name, np.repeat(x, k), np.tile(s.numbers(points), n)))
    return s.sums(np.repeat(np.arange(n), k), masks, np.tile(heights, n), n)


# A row that is missing here (erf, the gamma functions) has no form in AMPL's operators.
ELEMENTWISE: dict[str, Callable[..., Ids]] = {
    "add": lambda s, a, b: s.added(a, b),
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": lambda s, a, b: s.divided(a, b),
    "power": _opcode("pow"),
    "negative": lambda s, x: s.scaled(x, -1.0),
    "==": _comparison("eq"),
    "!=": _not_equal,
    "<": _comparison("lt"),
    "<=": _comparison("le"),
    ">": _comparison("gt"),
    ">=": _comparison("ge"),
    "heaviside": _heaviside,
    "where": lambda s, c, a, b: s.choice(s.condition(c), a, b),
    "exp": _opcode("exp"),
    "exp2": lambda s, x: s.operation("pow", s.filled(x, 2.0), x),
    "expm1": lambda s, x: s.shifted(s.operation("exp", x), -1.0),
    "log": _opcode("log"),
    "log2": lambda s, x: s.scaled(s.operation("log", x), 1.0 / math.log(2.0)),
    "log10": _opcode("log10"),
    "log1p": lambda s, x: s.operation("log", s.shifted(x, 1.0)),
    "sqrt": _opcode("sqrt"),
    "square": lambda s, x: s.power(x, 2.0),
    "reciprocal": lambda s, x: s.operation("divide", _one(s, x), x),
    "cbrt": _cbrt,
    "sin": _opcode("sin"),
    "cos": _opcode("cos"),
    "tan": _opcode("tan"),
    "arcsin": _opcode("asin"),
    "arccos": _opcode("acos"),
    "arctan": _opcode("atan"),
    "sinh": _opcode("sinh"),
    "cosh": _opcode("cosh"),
    "tanh": _opcode("tanh"),
    "arcsinh": _opcode("asinh"),
    "arccosh": _opcode("acosh"),
    "arctanh": _opcode("atanh"),
    "arctan2": _opcode("atan2"),
    "hypot": lambda s, a, b: s.operation("sqrt", s.added(s.power(a, 2.0), s.power(b, 2.0))),
    "sign": _sign,
    "absolute": _opcode("abs"),
    "relu": lambda s, x: s.operation("max", x, _zero(s, x)),
    "maximum": _maximum,
    "minimum": _opcode("min"),
    "floor": _opcode("floor"),
    "ceil": _opcode("ceil"),
    "rint": _rounded("round"),
    "trunc": _rounded("trunc"),
    # Stands only where a derivative would cancel (the shift in logsumexp): its value is enough.
    "stop_gradient": lambda s, x: x,
    "expit": _expit,
    "logaddexp": _logaddexp,
    "softplus": lambda s, x: _logaddexp(s, x, _zero(s, x)),
    "interp": _interp,
    "interp_slope": _interp_slope,
    "is_knot": lambda s, x, xp: _steps(s, "eq", x, xp.array, np.ones(xp.array.size)),
}


# -- linear and bilinear maps --------------------------------------------------------------------------------------


def _linear(s: Scalars, op: Primitive, node: Expr, args: list[Ids]) -> Ids:
    assert op.entries is not None
    rows, terms, coef = [], [], []
    for k, x in enumerate(args):
        r, c, a = op.entries(node.args, node.params, k)
        rows.append(np.asarray(r))
        terms.append(x.reshape(-1)[c])
        coef.append(np.broadcast_to(1.0 if a is None else a, np.shape(r)))
    out = s.sums(np.concatenate(rows), np.concatenate(terms), np.concatenate(coef), node.size)
    return out.reshape(node.shape)


def _bilinear(s: Scalars, op: Primitive, node: Expr, args: list[Ids]) -> Ids:
    assert op.entries is not None
    rows, a, b = op.entries(node.args, node.params, 0)
    left, right = args[0].reshape(-1)[a], args[1].reshape(-1)[b]
    factor, held = np.ones(rows.size), s.is_number(right)
    factor[held], right = s.value(right[held]), np.where(held, left, right)
    by_left = ~held & s.is_number(left)
    factor[by_left] = s.value(left[by_left])
    terms = right.copy()
    both = ~(held | by_left)
    terms[both] = s.multiplied(left[both], right[both])
    return s.sums(rows, terms, factor, node.size).reshape(node.shape)


def _cumsum(s: Scalars, node: Expr, args: list[Ids]) -> Ids:
    """A recurrence: written out, the sums would have n²/2 terms."""
    axis = node.params[0]
    x = np.moveaxis(args[0], axis, 0)
    out = np.empty_like(x)
    for k in range(x.shape[0]):
        out[k] = s.added(out[k - 1].reshape(-1), x[k].reshape(-1)).reshape(x.shape[1:]) if k else x[k]
    return np.moveaxis(out, 0, axis)


# -- reductions, determinants ----------------------------------------------------------------------------------------


def _reduced_last(node: Expr, x: Ids) -> Ids:
    """One row of operands for each element of a reduction."""
    axes = node.params[0]
    moved = np.moveaxis(x, axes, range(-len(axes), 0))
    return moved.reshape(node.size, math.prod(x.shape[a] for a in axes))


def _extreme(name: str) -> Callable[..., Ids]:
    return lambda s, node, args: s.rows(name, _reduced_last(node, args[0])).reshape(node.shape)


def _norm(s: Scalars, node: Expr, args: list[Ids]) -> Ids:
    rows = _reduced_last(node, args[0])
    squares = s.multiplied(rows.reshape(-1), rows.reshape(-1))
    total = s.sums(np.repeat(np.arange(node.size), rows.shape[1]), squares, 1.0, node.size)
    return s.operation("sqrt", total).reshape(node.shape)


def _determinant(s: Scalars, node: Expr, args: list[Ids]) -> Ids:
    """Laplace's expansion, row by row: the minors of the first k rows by their columns, each made once."""
    a = args[0]
    n = a.shape[0]
    if n > MAX_DETERMINANT:
        raise UnsupportedError(
            f"AMPL's .nl format has no determinant, and this one of {n} rows is too large to be written out"
        )
    minors = {0: s.one}
    for k in range(n):
        rows, factors, smaller, signs = [], [], [], []
        columns = [c for c in range(1 << n) if c.bit_count() == k + 1]
        for row, c in enumerate(columns):
            inside = [j for j in range(n) if c >> j & 1]
            for place, j in enumerate(inside):
                rows.append(row)
                factors.append(a[k, j])
                smaller.append(minors[c & ~(1 << j)])
                signs.append((-1.0) ** (k - place))
        products = s.multiplied(np.array(factors), np.array(smaller))
        minors = dict(zip(columns, s.sums(rows, products, signs, len(columns)).tolist(), strict=True))
    return np.array(minors[(1 << n) - 1])


def _log_abs_determinant(s: Scalars, node: Expr, args: list[Ids]) -> Ids:
    det = _determinant(s, node, args).reshape(1)
    return s.operation("log", s.operation("abs", det)).reshape(())


OPERATIONS: dict[str, Callable[[Scalars, Expr, list[Ids]], Ids]] = {
    "cumsum": _cumsum,
    "amax": _extreme("max"),
    "amin": _extreme("min"),
    "norm2": _norm,
    "det": _determinant,
    "logabsdet": _log_abs_determinant,
    "detsign": lambda s, node, args: _sign(s, _determinant(s, node, args).reshape(1)).reshape(()),
}
