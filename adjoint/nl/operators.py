"""What the operators of ``.nl`` files are in expressions: one row each, a function of the operands."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from ..expr import Constant, Expr, as_expr, as_mask, constant
from ..primitive import BUILDERS
from ..primitives import elementwise as ew
from ..primitives.functions import interp
from ..primitives.special import expit
from .opcodes import OPCODES

__all__ = ["OPERATORS", "guarded", "mask", "piecewise_linear"]

trunc, floor, ceil, rint = (BUILDERS[name] for name in ("trunc", "floor", "ceil", "rint"))


def mask(a: Expr) -> Expr:
    """1 where a condition holds (where a number is not zero), else 0."""
    return a if a.op is not None and a.op.name in ew.MASKS else as_mask(a)


def _mod(a: Expr, b: Expr) -> Expr:
    """C's fmod: the sign is that of a."""
    return ew.subtract(a, ew.multiply(b, trunc(ew.divide(a, b))))


def _round(a: Expr, digits: Expr) -> Expr:
    scale = ew.power(10.0, digits)
    return ew.divide(rint(ew.multiply(a, scale)), scale)


def _trunc(a: Expr, digits: Expr) -> Expr:
    scale = ew.power(10.0, digits)
    return ew.divide(trunc(ew.multiply(a, scale)), scale)


def _precision(a: Expr, digits: Expr) -> Expr:
    """a, rounded to so many significant digits."""
    zero = BUILDERS["=="](a, 0.0)
    places = floor(ew.log10(ew.absolute(ew.where(zero, 1.0, a))))
    return _round(a, ew.subtract(ew.subtract(digits, 1.0), places))


def _signpow(a: Expr, b: Expr) -> Expr:
    return ew.multiply(ew.sign(a), ew.power(ew.absolute(a), b))


def _not(a: Expr) -> Expr:
    return ew.subtract(1.0, mask(a))


def _and(*items: Expr) -> Expr:
    return reduce(ew.multiply, map(mask, items))


def _or(*items: Expr) -> Expr:
    """Not all are false. (A maximum of masks would have ties.)"""
    return _not(_and(*map(_not, items)))


def _count(*items: Expr) -> Expr:
    return reduce(ew.add, map(mask, items))


def _number_of(value: Expr, *items: Expr) -> Expr:
    zero: Expr = constant(0.0)
    return reduce(ew.add, [BUILDERS["=="](value, item) for item in items], zero)


def _compared(name: str, negated: bool = False) -> Callable[..., Expr]:
    """A comparison with a number of things: what is a tie of real numbers is nothing special here."""

    def build(a: Expr, b: Expr) -> Expr:
        holds = BUILDERS[name](a, b)
        return ew.stop_gradient(ew.subtract(1.0, holds) if negated else holds)

    return build


def _sum(*items: Expr) -> Expr:
    return reduce(ew.add, items)


_BY_NAME: dict[str, Callable[..., Expr]] = {
    "plus": ew.add,
    "minus": ew.subtract,
    "times": ew.multiply,
    "divide": ew.divide,
    "mod": _mod,
    "pow": ew.power,
    "less": lambda a, b: ew.relu(ew.subtract(a, b)),
    "min": lambda *items: reduce(ew.minimum, items),
    "max": lambda *items: reduce(ew.maximum, items),
    "floor": floor,
    "ceil": ceil,
    "abs": ew.absolute,
    "negate": ew.negative,
    "or": _or,
    "and": _and,
    "lt": BUILDERS["<"],
    "le": BUILDERS["<="],
    "eq": BUILDERS["=="],
    "ge": BUILDERS[">="],
    "gt": BUILDERS[">"],
    "ne": BUILDERS["!="],
    "not": _not,
    "if": ew.where,
    "tanh": ew.tanh,
    "tan": ew.tan,
    "sqrt": ew.sqrt,
    "sinh": ew.sinh,
    "sin": ew.sin,
    "log10": ew.log10,
    "log": ew.log,
    "exp": ew.exp,
    "cosh": ew.cosh,
    "cos": ew.cos,
    "atanh": ew.arctanh,
    "atan2": ew.arctan2,
    "atan": ew.arctan,
    "asinh": ew.arcsinh,
    "asin": ew.arcsin,
    "acosh": ew.arccosh,
    "acos": ew.arccos,
    "sum": _sum,
    "intdiv": lambda a, b: trunc(ew.divide(a, b)),
    "precision": _precision,
    "round": _round,
    "trunc": _trunc,
    "count": _count,
    "numberof": _number_of,
    "atleast": _compared("<="),
    "atmost": _compared(">="),
    "exactly": BUILDERS["=="],
    "not_atleast": _compared("<=", negated=True),
    "not_atmost": _compared(">=", negated=True),
    "not_exactly": _compared("==", negated=True),
    "forall": _and,
    "exists": _or,
    "implies_else": ew.where,
    "iff": lambda a, b: BUILDERS["=="](mask(a), mask(b)),
    "logistic": expit,
    "signpow": _signpow,
}

OPERATORS: dict[int, Callable[..., Expr]] = {OPCODES[name]: build for name, build in _BY_NAME.items()}
"""Expression of an operator, by opcode."""


# Where an operator has no derivative, or none that is a number: the argument that matters, and a harmless value of it.
_HARMLESS: dict[int, tuple[int, float]] = {
    OPCODES[name]: place
    for name, place in {
        "divide": (1, 1.0),
        "mod": (1, 1.0),
        "intdiv": (1, 1.0),
        "pow": (0, 1.0),
        "signpow": (0, 1.0),
        "abs": (0, 1.0),
        "sqrt": (0, 1.0),
        "log": (0, 1.0),
        "log10": (0, 1.0),
        "exp": (0, 0.0),
        "sinh": (0, 0.0),
        "cosh": (0, 0.0),
        "tan": (0, 0.0),
        "atan2": (1, 1.0),
        "atanh": (0, 0.0),
        "acosh": (0, 2.0),
        "asin": (0, 0.0),
        "acos": (0, 0.0),
    }.items()
}


def guarded(opcode: int, args: list[Expr], needed: Expr) -> list[Expr]:
    """The operands, harmless where the result is not needed: in the branch of an if that is not taken, an infinite
    derivative would be multiplied by 0."""
    if opcode not in _HARMLESS:
        return args
    k, value = _HARMLESS[opcode]
    if not isinstance(args[k], Constant):
        args[k] = ew.where(needed, args[k], value)
    return args


def piecewise_linear(x: Any, slopes: Any, breakpoints: Any) -> Expr:
    """The continuous function with these slopes between the breakpoints, and value 0 at 0.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", [-3.0, -1.0, 0.0, 2.0, 5.0])
    >>> m.define("y", piecewise_linear(x, [-1.0, 1.0, 2.0], [-1.0, 2.0]))
    <Expr y, shape=(5,)>
    >>> m.solve()["y"].tolist()
    [1.0, -1.0, 0.0, 2.0, 8.0]
    """
    x = as_expr(x)
    s, b = np.asarray(slopes, dtype=float), np.asarray(breakpoints, dtype=float)
    if not b.size:
        return ew.multiply(x, float(s[0]))
    at = np.zeros(b.size)  # values at the breakpoints, from the first one on
    np.cumsum(s[1:-1] * np.diff(b), out=at[1:])
    at -= _at_zero(s, b, at)
    last = ew.add(ew.multiply(ew.subtract(x, float(b[-1])), float(s[-1])), float(at[-1]))
    first = ew.add(ew.multiply(ew.subtract(x, float(b[0])), float(s[0])), float(at[0]))
    inner = last if b.size == 1 else ew.where(BUILDERS["<"](x, float(b[-1])), _table(x, b, at), last)
    return ew.where(BUILDERS["<"](x, float(b[0])), first, inner)


def _at_zero(s: np.ndarray, b: np.ndarray, at: np.ndarray) -> float:
    k = int(np.searchsorted(b, 0.0))
    return float(at[0] - s[0] * b[0]) if k == 0 else float(at[k - 1] + s[k] * (0.0 - b[k - 1]))


def _table(x: Expr, b: np.ndarray, at: np.ndarray) -> Expr:
    if isinstance(x, Constant):
        return constant(np.interp(x.value, b, at))
    return interp(x, b, at)
