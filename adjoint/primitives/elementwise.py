"""Elementwise operations: one row each, its value and its local partial derivatives as expressions.

Conventions at kinks, each tested: ``abs'(0) = 0``; ``relu'(0) = 0``; ``maximum`` and ``minimum`` give half to
each argument at a tie; ``sign``, ``floor``, ``ceil``, ``rint`` and comparisons have derivative 0 everywhere;
``hypot'(0, 0) = 0``; ``interp`` takes the slope to the right of a knot. A derivative taken exactly at a kink
warns (:class:`~adjoint.errors.KinkWarning`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import isspmatrix

from ..expr import Comparison, Constant, Expr, apply, as_expr, as_mask, constant, unsupported
from ..guard import broadcast
from ..primitive import BUILDERS, UFUNCS, Primitive
from ..primitive import register as _register

Array = Any


def elementwise(
    name: str,
    value: Callable[..., Array],
    *partials: Callable[..., Any] | None,
    ufunc: Any = None,
    **row: Any,
) -> Callable[..., Expr]:
    """Register an elementwise row and return the function that builds its nodes."""
    op = _register(Primitive(name, "elementwise", value, partials=partials, **row))
    if len(partials) == 1:

        def build(x: Any) -> Expr:
            x = x if isinstance(x, Expr) else as_expr(x)
            if isinstance(x, Constant):
                return constant(fold(op, x))
            return apply(op, (x,), (), x.shape)

    else:

        def build(*args: Any) -> Expr:  # type: ignore[misc]
            exprs = tuple(a if isinstance(a, Expr) else as_expr(a) for a in args)
            if len(exprs) != len(partials):
                raise unsupported(f"{name} with {len(exprs)} arguments")
            if all(isinstance(a, Constant) for a in exprs):
                return constant(fold(op, *exprs))
            return apply(op, exprs, (), broadcast(name, *exprs))

    build.__name__ = build.__qualname__ = name
    BUILDERS[name] = build
    if ufunc is not None:
        UFUNCS[ufunc] = build
    return build


def fold(op: Primitive, *args: Expr) -> Array:
    """The value of an operation on constants."""
    with np.errstate(all="ignore"):
        return op.value(*(a.value for a in args))  # type: ignore[attr-defined]


def is_scalar(x: Expr, value: float) -> bool:
    """Whether x is the scalar constant ``value``."""
    return isinstance(x, Constant) and not x.shape and bool(x.value == value)


def is_filled(x: Expr, value: float) -> bool:
    """Whether x is a constant, scalar or array, with ``value`` everywhere."""
    if not isinstance(x, Constant):
        return False
    return bool(x.value == value) if not x.shape else bool(np.all(x.value == value))


def zeros(shape: tuple[int, ...]) -> Expr:
    """The zero constant of a shape (a scalar zero broadcasts, but derivatives keep shapes)."""
    return constant(np.zeros(shape)) if shape else constant(0.0)


# -- arithmetic: simplified as it is built, so that structural zeros leave no trace --------------------------

_ADD = _register(
    Primitive("add", "elementwise", np.add, partials=(lambda y, a, b: 1.0, lambda y, a, b: 1.0), template="{0} + {1}")
)
_SUB = _register(
    Primitive(
        "subtract",
        "elementwise",
        np.subtract,
        partials=(lambda y, a, b: 1.0, lambda y, a, b: -1.0),
        template="{0} - {1}",
    )
)
_MUL = _register(
    Primitive(
        "multiply", "elementwise", np.multiply, partials=(lambda y, a, b: b, lambda y, a, b: a), template="{0} * {1}"
    )
)
_DIV = _register(
    Primitive(
        "divide",
        "elementwise",
        np.divide,
        partials=(lambda y, a, b: reciprocal(b), lambda y, a, b: -y / b),
        template="{0} / {1}",
    )
)
_POW = _register(
    Primitive(
        "power",
        "elementwise",
        np.power,
        partials=(lambda y, a, b: _power_by_base(a, b), lambda y, a, b: _power_by_exponent(y, a)),
    )
)
_NEG = _register(Primitive("negative", "elementwise", np.negative, partials=(lambda y, a: -1.0,), template="-{0}"))


def _power_by_base(a: Expr, b: Expr) -> Expr:
    """∂aᵇ/∂a = b aᵇ⁻¹, and 0 where a constant exponent is 0, also at a = 0."""
    if isinstance(b, Constant):
        return b * power(a, np.where(b.value == 0.0, 1.0, b.value) - 1.0)
    return b * power(a, b - 1.0)


def _power_by_exponent(y: Expr, a: Expr) -> Expr:
    """∂aᵇ/∂b = aᵇ log a, and 0 at a = 0 (the limit for b > 0)."""
    at_zero = BUILDERS["=="](a, 0.0)
    return where(at_zero, 0.0, y * log(where(at_zero, 1.0, a)))


def _pair(what: str, a: Any, b: Any) -> tuple[Expr, Expr, tuple[int, ...]]:
    a = a if isinstance(a, Expr) else as_expr(a)
    b = b if isinstance(b, Expr) else as_expr(b)
    if a.shape == b.shape or not b.shape:
        return a, b, a.shape
    if not a.shape:
        return a, b, b.shape
    return a, b, broadcast(what, a, b)


def add(a: Any, b: Any) -> Expr:
    """a + b"""
    a, b, shape = _pair("+", a, b)
    if isinstance(a, Constant):
        if isinstance(b, Constant):
            return constant(a.value + b.value)
        if b.shape == shape and is_filled(a, 0.0):
            return b
        a, b = b, a  # one order for a + 2 and 2 + a
    if isinstance(b, Constant) and a.shape == shape and is_filled(b, 0.0):
        return a
    if b.op is _NEG:
        return subtract(a, b.args[0])
    if a.op is _NEG:
        return subtract(b, a.args[0])
    return apply(_ADD, (a, b), (), shape)


def subtract(a: Any, b: Any) -> Expr:
    """a − b; x − x is structurally zero"""
    a, b, shape = _pair("-", a, b)
    if a is b:
        return zeros(shape)
    if isinstance(b, Constant):
        if isinstance(a, Constant):
            return constant(a.value - b.value)
        if a.shape == shape and is_filled(b, 0.0):
            return a
    elif isinstance(a, Constant) and b.shape == shape and is_filled(a, 0.0):
        return negative(b)
    if b.op is _NEG:
        return add(a, b.args[0])
    return apply(_SUB, (a, b), (), shape)


def multiply(a: Any, b: Any) -> Expr:
    """a · b; a factor that is the constant zero makes the product structurally zero"""
    if not (isinstance(a, Expr) and isinstance(b, (Expr, float))) and (isspmatrix(a) or isspmatrix(b)):
        return BUILDERS["matmul"](a, b)  # the old sparse classes, whose * is the matrix product
    a, b, shape = _pair("*", a, b)
    if isinstance(b, Constant):
        if isinstance(a, Constant):
            return constant(a.value * b.value)
        a, b = b, a
    if isinstance(a, Constant):
        if is_filled(a, 0.0):
            return zeros(shape)
        if b.shape == shape:
            if is_filled(a, 1.0):
                return b
            if is_filled(a, -1.0):
                return negative(b)
        if b.op is _NEG:
            return multiply(constant(-a.value), b.args[0])
        if not a.shape and b.op is _MUL and isinstance(b.args[0], Constant):
            return multiply(constant(a.value * b.args[0].value), b.args[1])
    elif a is b:
        return square(a)
    elif a.op is _NEG:
        return negative(multiply(a.args[0], b))
    elif b.op is _NEG:
        return negative(multiply(a, b.args[0]))
    return apply(_MUL, (a, b), (), shape)


def divide(a: Any, b: Any) -> Expr:
    """a / b"""
    a, b, shape = _pair("/", a, b)
    if isinstance(b, Constant):
        if isinstance(a, Constant):
            with np.errstate(all="ignore"):
                return constant(a.value / b.value)
        if a.shape == shape and is_filled(b, 1.0):
            return a
        if not b.shape and b.value != 0.0 and math.frexp(float(b.value))[0] in (0.5, -0.5):
            return multiply(a, constant(1.0 / b.value))  # exact: the divisor is a power of two
    elif is_filled(a, 0.0):
        return zeros(shape)
    elif is_scalar(a, 1.0):
        return reciprocal(b)
    if a.op is _NEG:
        return negative(divide(a.args[0], b))
    return apply(_DIV, (a, b), (), shape)


def negative(a: Any) -> Expr:
    """−a"""
    a = as_expr(a)
    if isinstance(a, Constant):
        return constant(-a.value)
    if a.op is _NEG:
        return a.args[0]
    if a.op is _SUB:
        return apply(_SUB, (a.args[1], a.args[0]), (), a.shape)
    if a.op is _MUL and isinstance(a.args[0], Constant):
        return multiply(constant(-a.args[0].value), a.args[1])
    return apply(_NEG, (a,), (), a.shape)


def power(a: Any, b: Any) -> Expr:
    """aᵇ; small whole powers become products"""
    a, b, shape = _pair("**", a, b)
    if isinstance(b, Constant):
        if isinstance(a, Constant):
            with np.errstate(all="ignore"):
                return constant(np.power(a.value, b.value))
        if not b.shape:
            exponent = float(b.value)
            if exponent in _SMALL_POWERS:
                return _SMALL_POWERS[exponent](a)
            if exponent < 0 and -exponent in _SMALL_POWERS:
                return reciprocal(_SMALL_POWERS[-exponent](a))
    return apply(_POW, (a, b), (), shape)


_SMALL_POWERS: dict[float, Callable[[Expr], Expr]] = {
    0.0: lambda a: constant(np.ones(a.shape)),
    0.5: lambda a: sqrt(a),
    1.0: lambda a: a,
    2.0: lambda a: square(a),
    3.0: lambda a: square(a) * a,
    4.0: lambda a: square(square(a)),
}

for _name, _build, _ufuncs in (
    ("add", add, (np.add,)),
    ("subtract", subtract, (np.subtract,)),
    ("multiply", multiply, (np.multiply,)),
    ("divide", divide, (np.divide,)),
    ("negative", negative, (np.negative,)),
    ("power", power, (np.power, np.float_power)),
):
    BUILDERS[_name] = _build
    for _ufunc in _ufuncs:
        UFUNCS[_ufunc] = _build
UFUNCS[np.positive] = as_expr

# -- comparisons: 0/1 masks of derivative zero --------------------------------------------------------------


def _mask(name: str, ufunc: Any, kink: bool) -> None:
    def value(a: Array, b: Array) -> Array:
        return ufunc(np.real(a), np.real(b)) * 1.0

    tie = (lambda y, a, b: BUILDERS["=="](a, b)) if kink else None
    elementwise(name, value, None, None, kink=tie)
    UFUNCS[ufunc] = lambda a, b: Comparison(as_expr(a), name, as_expr(b))


for _name, _ufunc, _kink in (
    ("==", np.equal, False),
    ("!=", np.not_equal, False),
    ("<", np.less, True),
    ("<=", np.less_equal, True),
    (">", np.greater, True),
    (">=", np.greater_equal, True),
):
    _mask(_name, _ufunc, _kink)

MASKS = ("==", "!=", "<", "<=", ">", ">=")

_heaviside = elementwise(
    "heaviside",
    lambda x, h: np.heaviside(np.real(x), np.real(h)),
    None,
    None,
    ufunc=np.heaviside,
    kink=lambda y, x, h: BUILDERS["=="](x, 0.0),
)


def _select(mask: Array, a: Array, b: Array) -> Array:
    return np.where(np.real(mask) != 0.0, a, b)


_where = elementwise(
    "where",
    _select,
    None,
    lambda y, c, a, b: c,
    lambda y, c, a, b: 1.0 - c,
)


def where(condition: Any, a: Any, b: Any) -> Expr:
    """a where the condition holds (is not zero), else b."""
    if isinstance(condition, Expr) and condition.op is not None and condition.op.name in MASKS:
        return _where(condition, a, b)
    return _where(as_mask(condition), a, b)


# -- exponentials, logarithms, powers ------------------------------------------------------------------------

_LOG2, _LOG10 = math.log(2.0), math.log(10.0)

exp = elementwise("exp", np.exp, lambda y, x: y, ufunc=np.exp)
exp2 = elementwise("exp2", np.exp2, lambda y, x: _LOG2 * y, ufunc=np.exp2)
expm1 = elementwise("expm1", np.expm1, lambda y, x: y + 1.0, ufunc=np.expm1)
log = elementwise("log", np.log, lambda y, x: reciprocal(x), ufunc=np.log)
log2 = elementwise("log2", np.log2, lambda y, x: reciprocal(x * _LOG2), ufunc=np.log2)
log10 = elementwise("log10", np.log10, lambda y, x: reciprocal(x * _LOG10), ufunc=np.log10)
log1p = elementwise("log1p", np.log1p, lambda y, x: reciprocal(1.0 + x), ufunc=np.log1p)
sqrt = elementwise("sqrt", np.sqrt, lambda y, x: 0.5 / y, ufunc=np.sqrt)
square = elementwise("square", np.square, lambda y, x: 2.0 * x, ufunc=np.square, template="{0} * {0}")
reciprocal = elementwise(
    "reciprocal", np.reciprocal, lambda y, x: -square(y), ufunc=np.reciprocal, template="1.0 / {0}"
)
cbrt = elementwise(
    "cbrt",
    np.cbrt,
    lambda y, x: 1.0 / (3.0 * square(y)),
    ufunc=np.cbrt,
    complex_value=lambda z: np.where(np.real(z) < 0, -((-z) ** (1 / 3)), z ** (1 / 3)),
)

# -- trigonometric and hyperbolic -----------------------------------------------------------------------------

sin = elementwise("sin", np.sin, lambda y, x: cos(x), ufunc=np.sin)
cos = elementwise("cos", np.cos, lambda y, x: -sin(x), ufunc=np.cos)
tan = elementwise("tan", np.tan, lambda y, x: 1.0 + square(y), ufunc=np.tan)
arcsin = elementwise("arcsin", np.arcsin, lambda y, x: 1.0 / sqrt(1.0 - square(x)), ufunc=np.arcsin)
arccos = elementwise("arccos", np.arccos, lambda y, x: -1.0 / sqrt(1.0 - square(x)), ufunc=np.arccos)
arctan = elementwise("arctan", np.arctan, lambda y, x: 1.0 / (1.0 + square(x)), ufunc=np.arctan)
sinh = elementwise("sinh", np.sinh, lambda y, x: cosh(x), ufunc=np.sinh)
cosh = elementwise("cosh", np.cosh, lambda y, x: sinh(x), ufunc=np.cosh)
tanh = elementwise("tanh", np.tanh, lambda y, x: 1.0 - square(y), ufunc=np.tanh)
arcsinh = elementwise("arcsinh", np.arcsinh, lambda y, x: 1.0 / sqrt(1.0 + square(x)), ufunc=np.arcsinh)
arccosh = elementwise("arccosh", np.arccosh, lambda y, x: 1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0)), ufunc=np.arccosh)
arctanh = elementwise("arctanh", np.arctanh, lambda y, x: 1.0 / (1.0 - square(x)), ufunc=np.arctanh)


def _arctan2_continued(y: Array, x: Array) -> Array:
    """arctan2 for complex arguments with small imaginary parts, by the branch of the real parts."""
    y, x = np.asarray(y) + 0j, np.asarray(x) + 0j
    steep = np.abs(y.real) > np.abs(x.real)
    with np.errstate(all="ignore"):
        flat_angle = np.arctan(y / x) + np.where(x.real < 0, np.where(y.real < 0, -np.pi, np.pi), 0.0)
        steep_angle = np.where(y.real < 0, -np.pi / 2, np.pi / 2) - np.arctan(x / y)
    return np.where(steep, steep_angle, flat_angle)


arctan2 = elementwise(
    "arctan2",
    np.arctan2,
    lambda r, y, x: x / (square(x) + square(y)),
    lambda r, y, x: -y / (square(x) + square(y)),
    ufunc=np.arctan2,
    complex_value=_arctan2_continued,
)


def _over_radius(a: Expr, r: Expr) -> Expr:
    at_zero = BUILDERS["=="](r, 0.0)
    return where(at_zero, 0.0, a / where(at_zero, 1.0, r))


hypot = elementwise(
    "hypot",
    np.hypot,
    lambda r, a, b: _over_radius(a, r),
    lambda r, a, b: _over_radius(b, r),
    ufunc=np.hypot,
    complex_value=lambda a, b: np.sqrt(a * a + b * b),
    kink=lambda r, a, b: BUILDERS["=="](r, 0.0),
)


def deg2rad(x: Any) -> Expr:
    """Degrees to radians."""
    return multiply(x, math.pi / 180.0)


def rad2deg(x: Any) -> Expr:
    """Radians to degrees."""
    return multiply(x, 180.0 / math.pi)


UFUNCS[np.deg2rad] = UFUNCS[np.radians] = deg2rad
UFUNCS[np.rad2deg] = UFUNCS[np.degrees] = rad2deg

# -- kinked and piecewise constant ----------------------------------------------------------------------------

sign = elementwise("sign", lambda x: np.sign(np.real(x)), None, ufunc=np.sign, kink=lambda y, x: BUILDERS["=="](x, 0.0))
absolute = elementwise(
    "absolute",
    np.absolute,
    lambda y, x: sign(x),
    ufunc=np.absolute,
    complex_value=lambda z: np.where(np.real(z) < 0, -z, z),
    kink=lambda y, x: BUILDERS["=="](x, 0.0),
)
UFUNCS[np.fabs] = absolute
relu = elementwise(
    "relu",
    lambda x: np.maximum(x, 0.0),
    lambda y, x: BUILDERS[">"](x, 0.0),
    complex_value=lambda z: np.where(np.real(z) > 0.0, z, np.where(np.isnan(z), z, 0.0)),
    kink=lambda y, x: BUILDERS["=="](x, 0.0),
)
maximum = elementwise(
    "maximum",
    np.maximum,
    lambda y, a, b: _heaviside(a - b, 0.5),
    lambda y, a, b: _heaviside(b - a, 0.5),
    ufunc=np.maximum,
    complex_value=lambda a, b: np.where(np.real(a) >= np.real(b), a, b),
    kink=lambda y, a, b: BUILDERS["=="](a, b),
)
minimum = elementwise(
    "minimum",
    np.minimum,
    lambda y, a, b: _heaviside(b - a, 0.5),
    lambda y, a, b: _heaviside(a - b, 0.5),
    ufunc=np.minimum,
    complex_value=lambda a, b: np.where(np.real(a) <= np.real(b), a, b),
    kink=lambda y, a, b: BUILDERS["=="](a, b),
)
for _name, _ufunc in (("floor", np.floor), ("ceil", np.ceil), ("rint", np.rint), ("trunc", np.trunc)):
    elementwise(
        _name,
        (lambda u: lambda x: u(np.real(x)))(_ufunc),
        None,
        ufunc=_ufunc,
        kink=(lambda gap: lambda y, x: BUILDERS["=="](absolute(x - y), gap))(0.5 if _name == "rint" else 0.0),
    )


stop_gradient = elementwise("stop_gradient", lambda x: np.real(x) + 0.0, None)
