"""A second opinion on what a model's expressions are worth: token by token, in numbers that carry derivatives.

A number is a + bε with complex a and b and ε² = 0. With x + uε + ihv for x, where h is tiny, f becomes
f + (∇f·u)ε + ih(∇f·v) + ih(uᵀ∇²f v)ε (Squire & Trapp 1998 for i, Clifford's dual numbers for ε).
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from adjoint.nl.model import NUMBER, VARIABLE, Linear, Model

STEP = 1e-30
NAN = complex("nan")


@dataclass(frozen=True)
class Dual:
    """a + bε"""

    a: complex
    b: complex = 0.0

    def __add__(self, o: Dual) -> Dual:
        return Dual(self.a + o.a, self.b + o.b)

    def __neg__(self) -> Dual:
        return Dual(-self.a, -self.b)

    def __sub__(self, o: Dual) -> Dual:
        return self + -o

    def __mul__(self, o: Dual) -> Dual:
        return Dual(self.a * o.a, self.a * o.b + self.b * o.a)

    def __truediv__(self, o: Dual) -> Dual:
        q = _guarded(lambda: self.a / o.a)
        return Dual(q, _guarded(lambda: (self.b - q * o.b) / o.a))

    @property
    def real(self) -> float:
        return complex(self.a).real

    def then(self, f: Callable[[Any], Any], df: Callable[[Any], Any]) -> Dual:
        """f(self), by the chain rule."""
        value = _guarded(lambda: f(self.a))
        return Dual(value, 0.0 if self.b == 0 else _guarded(lambda: df(self.a) * self.b))


def _guarded(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (ZeroDivisionError, ValueError, OverflowError):
        return NAN


def _analytic(
    f: Callable[[Any], Any], df: Callable[[Any], Any], domain: Callable[[float], bool] = lambda x: True
) -> Any:
    def apply(x: Dual) -> Dual:
        return x.then(f, df) if domain(x.real) else Dual(NAN, NAN)

    return apply


def _power(x: Dual, y: Dual) -> Dual:
    if y.b == 0 and complex(y.a).imag == 0:
        n = y.real
        n = int(n) if n == int(n) else n
        if x.real < 0 and isinstance(n, float):
            return Dual(NAN, NAN)
        if n == 0:
            return Dual(1.0)
        return x.then(lambda a: a**n, lambda a: n * a ** (n - 1))
    return _exp(_log(x) * y)


_exp = _analytic(cmath.exp, cmath.exp)
_log = _analytic(cmath.log, lambda a: 1 / a, lambda x: x > 0)


def _step(f: Callable[[float], float]) -> Any:
    return lambda x: Dual(float(f(x.real)))


def _truth(value: bool) -> Dual:
    return Dual(float(value))


def _fmod(x: Dual, y: Dual) -> Dual:
    return x - y * Dual(float(math.trunc(x.real / y.real)))


def _signpow(x: Dual, y: Dual) -> Dual:
    p = _power(x if x.real >= 0 else -x, y)
    return p if x.real >= 0 else -p


UNARY: dict[int, Callable[[Dual], Dual]] = {
    13: _step(math.floor),
    14: _step(math.ceil),
    15: lambda x: -x if x.real < 0 else x,
    16: lambda x: -x,
    34: lambda x: _truth(x.real == 0),
    37: _analytic(cmath.tanh, lambda a: 1 - cmath.tanh(a) ** 2),
    38: _analytic(cmath.tan, lambda a: 1 + cmath.tan(a) ** 2),
    39: _analytic(cmath.sqrt, lambda a: 0.5 / cmath.sqrt(a), lambda x: x >= 0),
    40: _analytic(cmath.sinh, cmath.cosh),
    41: _analytic(cmath.sin, cmath.cos),
    42: _analytic(cmath.log10, lambda a: 1 / (a * math.log(10)), lambda x: x > 0),
    43: _log,
    44: _exp,
    45: _analytic(cmath.cosh, cmath.sinh),
    46: _analytic(cmath.cos, lambda a: -cmath.sin(a)),
    47: _analytic(cmath.atanh, lambda a: 1 / (1 - a * a), lambda x: abs(x) < 1),
    49: _analytic(cmath.atan, lambda a: 1 / (1 + a * a)),
    50: _analytic(cmath.asinh, lambda a: 1 / cmath.sqrt(1 + a * a)),
    51: _analytic(cmath.asin, lambda a: 1 / cmath.sqrt(1 - a * a), lambda x: abs(x) <= 1),
    52: _analytic(cmath.acosh, lambda a: 1 / (cmath.sqrt(a - 1) * cmath.sqrt(a + 1)), lambda x: x >= 1),
    53: _analytic(cmath.acos, lambda a: -1 / cmath.sqrt(1 - a * a), lambda x: abs(x) <= 1),
    79: lambda x: Dual(1.0) / (Dual(1.0) + _exp(-x)),
}
BINARY: dict[int, Callable[[Dual, Dual], Dual]] = {
    0: lambda x, y: x + y,
    1: lambda x, y: x - y,
    2: lambda x, y: x * y,
    3: lambda x, y: x / y,
    4: _fmod,
    5: _power,
    6: lambda x, y: x - y if x.real > y.real else Dual(0.0),
    20: lambda x, y: _truth(x.real != 0 or y.real != 0),
    21: lambda x, y: _truth(x.real != 0 and y.real != 0),
    22: lambda x, y: _truth(x.real < y.real),
    23: lambda x, y: _truth(x.real <= y.real),
    24: lambda x, y: _truth(x.real == y.real),
    28: lambda x, y: _truth(x.real >= y.real),
    29: lambda x, y: _truth(x.real > y.real),
    30: lambda x, y: _truth(x.real != y.real),
    48: lambda x, y: _angle(x, y),
    55: lambda x, y: Dual(float(math.trunc(x.real / y.real))),
    56: lambda x, y: Dual(float(f"%.{int(y.real) - 1}e" % x.real)),
    57: lambda x, y: Dual(float(round(x.real, int(y.real)))),
    58: lambda x, y: Dual(math.trunc(x.real * 10**y.real) / 10**y.real),
    62: lambda x, y: _truth(x.real <= y.real),
    63: lambda x, y: _truth(x.real >= y.real),
    66: lambda x, y: _truth(x.real == y.real),
    67: lambda x, y: _truth(x.real > y.real),
    68: lambda x, y: _truth(x.real < y.real),
    69: lambda x, y: _truth(x.real != y.real),
    73: lambda x, y: _truth((x.real != 0) == (y.real != 0)),
    80: _signpow,
}
TERNARY: dict[int, Callable[[Dual, Dual, Dual], Dual]] = {
    35: lambda c, x, y: x if c.real != 0 else y,
    72: lambda c, x, y: x if c.real != 0 else y,
}
N_ARY: dict[int, Callable[[list[Dual]], Dual]] = {
    11: lambda xs: min(xs, key=lambda x: x.real),
    12: lambda xs: max(xs, key=lambda x: x.real),
    54: lambda xs: sum(xs, Dual(0.0)),
    59: lambda xs: Dual(float(sum(x.real != 0 for x in xs))),
    60: lambda xs: Dual(float(sum(x.real == xs[0].real for x in xs[1:]))),
    70: lambda xs: _truth(all(x.real != 0 for x in xs)),
    71: lambda xs: _truth(any(x.real != 0 for x in xs)),
}


def _angle(y: Dual, x: Dual) -> Dual:
    flat = UNARY[49](y / x) if abs(x.real) > abs(y.real) else -UNARY[49](x / y)
    return flat + Dual(math.atan2(y.real, x.real) - flat.real)


def piecewise(slopes: Any, breakpoints: Any, x: Dual) -> Dual:
    """The integral of the slopes from 0 to x."""
    edges = [-math.inf, *map(float, breakpoints), math.inf]
    total, slope = 0.0, 0.0
    low, high = min(0.0, x.real), max(0.0, x.real)
    for s, a, b in zip(map(float, slopes), edges, edges[1:], strict=False):
        total += s * max(min(b, high) - max(a, low), 0.0)
        if a <= x.real < b:
            slope = s
    value = total if x.real >= 0 else -total
    return Dual(value + slope * 1j * complex(x.a).imag, slope * x.b)


class Evaluation:
    """Objectives and constraint bodies of a model at x, with derivatives in the directions u and v."""

    def __init__(self, model: Model, x: np.ndarray, u: np.ndarray | None = None, v: np.ndarray | None = None) -> None:
        self.model = model
        n = model.n_var
        u, v = (np.zeros(n) if d is None else d for d in (u, v))
        self.values = [Dual(complex(a, STEP * d), b) for a, b, d in zip(x, u, v, strict=True)]
        self.values += [Dual(NAN)] * model.n_defined
        for k in model.defined_order.tolist():
            self.values[n + k] = self._row(model.defined_expr[k], model.defined_linear, k)
        self.constraints = [self._row(e, model.con_linear, i) for i, e in enumerate(model.con_expr)]

    def objective(self, i: int = 0) -> Dual:
        return self._row(self.model.obj_expr[i], self.model.obj_linear, i)

    def objective_size(self, i: int = 0) -> float:
        """The size of what the objective is a sum of."""
        return self._size(self.model.obj_expr[i], self.model.obj_linear, i)

    def constraint_sizes(self) -> list[float]:
        """The size of what each constraint is a sum of."""
        return [self._size(e, self.model.con_linear, i) for i, e in enumerate(self.model.con_expr)]

    def _size(self, expr: np.ndarray, linear: Linear, i: int) -> float:
        """The sum over linear terms, and over the operands of operators that add, of their absolute values."""
        part = slice(int(linear.start[i]), int(linear.start[i + 1]))
        total = sum(abs(c * self.values[j].real) for j, c in zip(linear.var[part], linear.coef[part], strict=True))
        return float(total) + self._tree(int(expr[0]), int(expr[1]), sizes=True).real

    def _row(self, expr: np.ndarray, linear: Linear, i: int) -> Dual:
        total = self._tree(int(expr[0]), int(expr[1]))
        for k in range(int(linear.start[i]), int(linear.start[i + 1])):
            if linear.coef[k]:
                total = total + Dual(float(linear.coef[k])) * self.values[int(linear.var[k])]
        return total

    def _tree(self, begin: int, end: int, sizes: bool = False) -> Dual:
        if begin == end:
            return Dual(0.0)
        m, stack, added = self.model, [], 0.0
        for k in range(end - 1, begin - 1, -1):
            code, index = int(m.code[k]), int(m.index[k])
            if sizes and code in (0, 1, 54):
                added += sum(abs(d.real) for d in stack[-index:] if not math.isnan(d.real))
            if code == NUMBER:
                stack.append(Dual(float(m.value[k])))
            elif code == VARIABLE:
                stack.append(self.values[index])
            elif code == 64:
                stack.append(piecewise(*m.piecewise[index], stack.pop()))
            elif code in UNARY:
                stack.append(UNARY[code](stack.pop()))
            elif code in BINARY:
                stack.append(BINARY[code](stack.pop(), stack.pop()))
            elif code in TERNARY:
                stack.append(TERNARY[code](stack.pop(), stack.pop(), stack.pop()))
            else:
                stack.append(N_ARY[code]([stack.pop() for _ in range(index)]))
        (result,) = stack
        return Dual(added) if sizes else result


def parts(d: Dual) -> tuple[float, float, float, float]:
    """f, ∇f·u, ∇f·v, uᵀ∇²f v"""
    a, b = complex(d.a), complex(d.b)
    return a.real, b.real, a.imag / STEP, b.imag / STEP
