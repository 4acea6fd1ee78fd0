"""The kernels: one row per elementwise primitive, the instructions that compute it.

Values and special values are NumPy's (SciPy's for ``expit``, ``erf``, ``erfc``). Scalars call the C library, whose
functions are accurate to about one unit in the last place; vectors use :mod:`.vector_math` where it has the function,
and otherwise what :meth:`.body.Body.call` finds. No fast-math flag is set anywhere: NaN and infinities propagate, and
a sum is evaluated in the order it is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .body import Body
from .vector_math import VECTOR_MATH
from .vector_steps import has_vector_math

__all__ = ["KERNELS", "Kernel"]

Kernel = Callable[..., str]
"""``kernel(body, *arguments)`` emits the instructions and returns the name of the result."""


def _function(name: str, c_name: str) -> Kernel:
    """A function of the C library, or the library's own over vectors."""
    own = VECTOR_MATH.get(name)

    def emit(body: Body, *args: str) -> str:
        if own is not None and has_vector_math(body.width):
            return own(body, *args)
        return body.call(c_name, *args)

    return emit


def _intrinsic(name: str) -> Kernel:
    return lambda body, x: body.intrinsic(name, x)


def _comparison(relation: str) -> Kernel:
    return lambda body, a, b: body.from_mask(body.compare(relation, a, b))


def _heaviside(body: Body, x: str, at_zero: str) -> str:
    zero = body.number(0.0)
    step = body.select(body.compare("olt", x, zero), zero, x)  # NaN stays
    step = body.select(body.compare("ogt", x, zero), body.number(1.0), step)
    return body.select(body.compare("oeq", x, zero), at_zero, step)


def _where(body: Body, condition: str, a: str, b: str) -> str:
    return body.select(body.compare("une", condition, body.number(0.0)), a, b)


def _sign(body: Body, x: str) -> str:
    zero = body.number(0.0)
    rest = body.select(body.compare("olt", x, zero), body.number(-1.0), body.add(x, zero))  # −0 + 0 is 0; NaN stays
    return body.select(body.compare("ogt", x, zero), body.number(1.0), rest)


def _extremum(relation: str) -> Kernel:
    """The argument for which the relation holds, b at a tie; NaN where either is NaN."""

    def emit(body: Body, a: str, b: str) -> str:
        best = body.select(body.compare(relation, a, b), a, b)  # b where either is NaN
        return body.select(body.compare("uno", a, a), a, best)

    return emit


_maximum = _extremum("ogt")


def _relu(body: Body, x: str) -> str:
    zero = body.number(0.0)
    return body.select(body.compare("ole", x, zero), zero, x)


def _expit(body: Body, x: str) -> str:
    """1 / (1 + exp(−x))"""
    one = body.number(1.0)
    return body.div(one, body.add(one, KERNELS["exp"](body, body.neg(x))))


def _log1p_exp(body: Body, gap: str) -> str:
    """log(1 + exp(−|gap|))"""
    return KERNELS["log1p"](body, KERNELS["exp"](body, body.neg(body.abs(gap))))


def _softplus(body: Body, x: str) -> str:
    """max(x, 0) + log(1 + exp(−|x|))"""
    return body.add(_relu(body, x), _log1p_exp(body, x))


def _logaddexp(body: Body, a: str, b: str) -> str:
    """max(a, b) + log(1 + exp(−|a − b|)); of equal arguments, which may be infinite, a + log 2."""
    general = body.add(_maximum(body, a, b), _log1p_exp(body, body.sub(a, b)))
    return body.select(body.compare("oeq", a, b), body.add(a, body.number(math.log(2.0))), general)


KERNELS: dict[str, Kernel] = {
    "add": Body.add,
    "subtract": Body.sub,
    "multiply": Body.mul,
    "divide": Body.div,
    "negative": Body.neg,
    "==": _comparison("oeq"),
    "!=": _comparison("une"),
    "<": _comparison("olt"),
    "<=": _comparison("ole"),
    ">": _comparison("ogt"),
    ">=": _comparison("oge"),
    "heaviside": _heaviside,
    "where": _where,
    "sign": _sign,
    "absolute": _intrinsic("fabs"),
    "relu": _relu,
    "maximum": _maximum,
    "minimum": _extremum("olt"),
    "floor": _intrinsic("floor"),
    "ceil": _intrinsic("ceil"),
    "rint": _intrinsic("rint"),
    "trunc": _intrinsic("trunc"),
    "stop_gradient": lambda body, x: body.add(x, body.number(0.0)),
    "sqrt": _intrinsic("sqrt"),
    "square": lambda body, x: body.mul(x, x),
    "reciprocal": lambda body, x: body.div(body.number(1.0), x),
    "expit": _expit,
    "logaddexp": _logaddexp,
    "softplus": _softplus,
}
for _name, _c_name in {
    "exp": "exp",
    "exp2": "exp2",
    "expm1": "expm1",
    "log": "log",
    "log2": "log2",
    "log10": "log10",
    "log1p": "log1p",
    "power": "pow",
    "cbrt": "cbrt",
    "hypot": "hypot",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "sinh": "sinh",
    "cosh": "cosh",
    "tanh": "tanh",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "erf": "erf",
    "erfc": "erfc",
}.items():
    KERNELS[_name] = _function(_name, _c_name)
