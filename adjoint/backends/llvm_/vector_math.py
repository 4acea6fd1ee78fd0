"""Elementary functions over vectors, written in the instructions of a :class:`~.body.Body`.

Straight-line code without tables, so that one text serves every instruction set that has fused multiply-adds, and
several functions of one argument share what they have in common: sin and cos the range reduction and both
polynomials, sinh and cosh the exponential, two powers of one base the logarithm. Largest errors are between 0.8 and
3 units in the last place, as the tests measure; subnormal numbers, infinities, NaN and signs of zero are those of
the C library.

The reductions are the classical ones (Cody and Waite 1980; Tang 1989; Sun's fdlibm, 1993); the coefficients are
minimax polynomials by Remez's algorithm, rounded to double.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .body import Body, bit_pattern
from .vector_angles import ANGLES
from .vector_steps import ROUND, at_least, at_most, polynomial, power_of_two, whole_part

__all__ = ["VECTOR_MATH"]

INF, NAN = math.inf, math.nan
ONE_BITS = 1023 << 52

# log 2 = LN2_HIGH + LN2_LOW: 42 bits, so that n·LN2_HIGH is exact, and the rest
LN2_HIGH, LN2_LOW = float.fromhex("0x1.62e42fefa38p-1"), float.fromhex("0x1.ef35793c7673p-45")
LN2, LN2_REST = math.log(2.0), float.fromhex("0x1.abc9e3b39803fp-56")
LOG2_E = math.log2(math.e)
# (e^r − 1 − r) / r² on |r| ≤ log(2) / 2, to 1.8e-17 of e^r − 1
EXP = (
    0.5000000000000006,
    0.16666666666666685,
    0.04166666666657362,
    0.008333333333314548,
    0.0013888888932380285,
    0.00019841269903113438,
    2.4801504443868243e-05,
    2.7557227889080416e-06,
    2.762632739803149e-07,
    2.5114491310876775e-08,
)

SQRT_HALF = math.sqrt(0.5)
# (log((1 + s) / (1 − s)) / s − 2) / s² in powers of s², for numbers between √½ and √2, to 1.3e-18
LOG = (
    0.6666666666666735,
    0.39999999999407543,
    0.2857142874413173,
    0.22222198379228675,
    0.1818357513793015,
    0.1531375620013675,
    0.14799064029679931,
)
LOG2_E_REST, LOG10_E, LOG10_E_REST = 2.0355273740931033e-17, 0.4342944819032518, 1.098319650216765e-17
LOG10_2_HIGH, LOG10_2_LOW = float.fromhex("0x1.34413509f78p-2"), float.fromhex("0x1.fef311f12b358p-46")
# (log((1 + s) / (1 − s)) / s − 2 − 2s²/3) / s⁴ in powers of s², to 2⁻⁶⁶ of the logarithm; 2/3 as the sum of two doubles
LOG_TAIL = (
    0.4000000000000229,
    0.28571428570084,
    0.2222222252283602,
    0.1818178410143988,
    0.15386770029458693,
    0.13256512119732888,
    0.1319925132644715,
)
TWO_THIRDS, TWO_THIRDS_REST = 2.0 / 3.0, 3.700743415417188e-17


# -- exponentials: x = n·log 2 + r, and e^x = 2^n (1 + p) with p = e^r − 1


def _exp_parts(body: Body, x: str) -> tuple[str, str, str]:
    """n, in low bits and as a value, and p."""
    i, n = whole_part(body, x, LOG2_E)
    r = body.fma(n, body.number(-LN2_LOW), body.fma(n, body.number(-LN2_HIGH), x))
    return i, n, _expm1_small(body, r)


def _expm1_small(body: Body, r: str) -> str:
    """e^r − 1 for |r| ≤ log(2) / 2."""
    return body.fma(body.mul(r, r), polynomial(body, r, EXP), r)


def _scaled(body: Body, p: str, i: str) -> str:
    """2^n (1 + p) in two steps, with n/2 and the rest of n: the first never over- or underflows."""
    half = body.whole_op("lshr", i, body.whole(1))
    first, second = power_of_two(body, half), power_of_two(body, body.whole_op("sub", i, half))
    return body.mul(body.fma(p, first, first), second)


def _exp(body: Body, x: str) -> str:
    i, _, p = _exp_parts(body, at_most(body, at_least(body, x, -1000.0), 1000.0))
    return _scaled(body, p, i)


def _exp2(body: Body, x: str) -> str:
    """x − n is exact; times log 2 in two parts."""
    x = at_most(body, at_least(body, x, -1400.0), 1400.0)
    i, n = whole_part(body, x, 1.0)
    d = body.sub(x, n)
    r = body.fma(d, body.number(LN2), body.mul(d, body.number(LN2_REST)))
    return _scaled(body, _expm1_small(body, r), i)


def _expm1(body: Body, x: str) -> str:
    """2^n p + (2^n − 1), halved where it may overflow; x where it is tiny."""
    i, _, p = _exp_parts(body, at_most(body, at_least(body, x, -40.0), 710.0))
    half = power_of_two(body, i, -1)
    y = body.fma(half, p, body.sub(half, body.number(0.5)))
    tiny = body.compare("olt", body.abs(x), body.number(2.0**-54))
    return body.select(tiny, x, body.add(y, y))


def _tanh(body: Body, x: str) -> str:
    """(1 − e^(−2|x|)) / (1 + e^(−2|x|)) with e^(−2|x|) = s + s·p, s = 2^n."""
    i, _, p = _exp_parts(body, at_least(body, body.mul(body.abs(x), body.number(-2.0)), -50.0))
    s, one = power_of_two(body, i), body.number(1.0)
    above = body.fma(body.neg(s), p, body.sub(one, s))
    below = body.fma(s, p, body.add(one, s))
    return body.copysign(body.div(above, below), x)


def _hyperbolic(body: Body, x: str) -> tuple[str, str, str, str, str]:
    """|x|, and s, v, p, q with e^|x| / 2 = 8 (s + s·p), e^(−|x|) / 2 = 8 (v − v·q): s = 2^(n−4), v = 2^(−n−4)."""
    a = body.abs(x)
    i, n, p = _exp_parts(body, at_most(body, a, 711.0))
    minus = body.bits(body.sub(body.number(ROUND), at_most(body, n, 100.0)))
    q = body.div(p, body.add(p, body.number(1.0)))
    return a, power_of_two(body, i, -4), power_of_two(body, minus, -4), p, q


def _sinh(body: Body, x: str) -> str:
    """(s − v) + s·p + v·q: no cancellation for small x, where s = v."""
    a, s, v, p, q = _hyperbolic(body, x)
    y = body.fma(v, q, body.fma(s, p, body.sub(s, v)))
    tiny = body.compare("olt", a, body.number(2.0**-28))
    return body.copysign(body.select(tiny, a, body.mul(y, body.number(8.0))), x)


def _cosh(body: Body, x: str) -> str:
    _, s, v, p, q = _hyperbolic(body, x)
    y = body.fma(body.neg(v), q, body.fma(s, p, body.add(s, v)))
    return body.mul(y, body.number(8.0))


# -- logarithms: x = 2^k (1 + f) with √½ ≤ 1 + f < √2


def _log_parts(body: Body, x: str, normal: bool = False) -> tuple[str, str, str]:
    """k as a value and in the low bits (plus 1023), and f; of positive numbers, subnormal ones scaled first."""
    bias = body.number(2.0**52 + 1023.0)
    if not normal:
        small = body.compare("olt", x, body.number(2.0**-1022))
        x = body.select(small, body.mul(x, body.number(2.0**54)), x)
        bias = body.select(small, body.number(2.0**52 + 1023.0 + 54.0), bias)
    i = body.whole_op("add", body.bits(x), body.whole(ONE_BITS - bit_pattern(SQRT_HALF)))
    k = body.whole_op("lshr", i, body.whole(52))
    value = body.sub(body.from_bits(body.whole_op("or", k, body.whole(bit_pattern(2.0**52)))), bias)
    mantissa = body.whole_op("and", i, body.whole(2**52 - 1))
    m = body.from_bits(body.whole_op("add", mantissa, body.whole(bit_pattern(SQRT_HALF))))
    return value, k, body.sub(m, body.number(1.0))


def _log1p_small(body: Body, f: str) -> tuple[str, str]:
    """h, r with log(1 + f) = f − h + r: h = f²/2, r = s (h + R) with s = f / (2 + f)."""
    s = body.div(f, body.add(f, body.number(2.0)))
    z = body.mul(s, s)
    h = body.mul(body.mul(f, body.number(0.5)), f)
    return h, body.mul(s, body.fma(z, polynomial(body, z, LOG), h))


def _log_of_parts(body: Body, k: str, f: str) -> str:
    """k·log 2 + log(1 + f)"""
    h, r = _log1p_small(body, f)
    low = body.sub(f, body.sub(h, body.fma(k, body.number(LN2_LOW), r)))
    return body.fma(k, body.number(LN2_HIGH), low)


def _log_edges(body: Body, x: str, y: str) -> str:
    """y for positive finite x; −∞ at 0, ∞ at ∞, NaN below 0."""
    zero = body.compare("oeq", x, body.number(0.0))
    edge = body.select(zero, body.number(-INF), body.number(NAN))
    y = body.select(body.compare("ogt", x, body.number(0.0)), y, edge)
    return body.select(body.compare("oeq", x, body.number(INF)), x, y)


def _log(body: Body, x: str) -> str:
    k, _, f = _log_parts(body, x)
    return _log_edges(body, x, _log_of_parts(body, k, f))


def _log1p(body: Body, x: str) -> str:
    """log of u = 1 + x; what the sum lost is added to f: f is x itself where k = 0."""
    one = body.number(1.0)
    u = body.add(x, one)
    b = body.sub(u, one)
    lost = body.add(body.sub(one, body.sub(u, b)), body.sub(x, b))
    k, biased, f = _log_parts(body, u, normal=True)
    inverse = body.from_bits(body.whole_op("shl", body.whole_op("sub", body.whole(2046), biased), body.whole(52)))
    lost = body.select(body.compare("olt", x, body.number(2.0**60)), body.mul(lost, inverse), body.number(0.0))
    y = _log_of_parts(body, k, body.add(f, lost))
    return body.copysign(_log_edges(body, u, y), x)


def _log_to_base(body: Body, x: str, unit: tuple[float, float], base: tuple[float, float]) -> str:
    """log(1 + f) in two parts times 1/log(base) in two parts, plus k·log 2/log(base)."""
    k, _, f = _log_parts(body, x)
    h, r = _log1p_small(body, f)
    high = body.sub(f, h)
    low = body.add(body.sub(body.sub(f, high), h), r)
    first, second = body.number(unit[0]), body.number(unit[1])
    product = body.mul(high, first)
    rest = body.fma(high, first, body.neg(product))
    rest = body.fma(low, first, body.fma(body.add(high, low), second, rest))
    rest = body.fma(k, body.number(base[1]), rest)
    whole = body.mul(k, body.number(base[0]))
    total = body.add(whole, product)
    rest = body.add(body.add(body.sub(whole, total), product), rest)
    return _log_edges(body, x, body.add(total, rest))


def _log2(body: Body, x: str) -> str:
    return _log_to_base(body, x, (LOG2_E, LOG2_E_REST), (1.0, 0.0))


def _log10(body: Body, x: str) -> str:
    return _log_to_base(body, x, (LOG10_E, LOG10_E_REST), (LOG10_2_HIGH, LOG10_2_LOW))


def _log1p_of_large(body: Body, a: str, small: str) -> str:
    """log(1 + small), or log(2a) where a is large."""
    large = body.compare("ogt", a, body.number(2.0**28))
    y = _log1p(body, body.select(large, body.sub(a, body.number(1.0)), small))
    return body.add(y, body.select(large, body.number(LN2), body.number(0.0)))


def _arcsinh(body: Body, x: str) -> str:
    """log(1 + a + a² / (1 + √(1 + a²))) with a = |x|"""
    a, one = body.abs(x), body.number(1.0)
    b = at_most(body, a, 2.0**28)
    z = body.mul(b, b)
    rest = body.div(z, body.add(one, body.intrinsic("sqrt", body.add(one, z))))
    return body.copysign(_log1p_of_large(body, a, body.add(b, rest)), x)


def _arccosh(body: Body, x: str) -> str:
    """log(1 + t + √(t² + 2t)) with t = x − 1; NaN below 1."""
    t = body.sub(at_most(body, x, 2.0**28), body.number(1.0))
    root = body.intrinsic("sqrt", body.mul(t, body.add(t, body.number(2.0))))
    y = _log1p_of_large(body, x, body.add(t, root))
    return body.select(body.compare("olt", x, body.number(1.0)), body.number(NAN), y)


def _arctanh(body: Body, x: str) -> str:
    """log(1 + 2a / (1 − a)) / 2 with a = |x|"""
    a = body.abs(x)
    y = _log1p(body, body.div(body.add(a, a), body.sub(body.number(1.0), a)))
    return body.copysign(body.mul(body.number(0.5), y), x)


# -- powers: xʸ = exp(y log x), the logarithm as the sum of two doubles, to 2⁻⁶⁵


def _product(body: Body, a: tuple[str, str], b: tuple[str, str]) -> tuple[str, str]:
    """(a₀ + a₁)(b₀ + b₁) as a sum of two (Dekker 1971), with fused multiply-adds."""
    high = body.mul(a[0], b[0])
    error = body.fma(a[0], b[0], body.neg(high))
    return high, body.fma(a[0], b[1], body.fma(a[1], b[0], error))


def _sum(body: Body, a: str, b: tuple[str, str]) -> tuple[str, str]:
    """a + (b₀ + b₁) as a sum of two, for |a| ≥ |b₀| or a = 0."""
    high = body.add(a, b[0])
    return high, body.add(body.add(body.sub(a, high), b[0]), b[1])


def _log_in_two(body: Body, x: str) -> tuple[str, str]:
    """log x of positive finite numbers: 2s + s³ (2/3 + s² g(s²)) + k log 2 with s = f / (2 + f)."""
    k, _, f = _log_parts(body, x)
    two = body.number(2.0)
    t = body.add(f, two)
    lost = body.sub(f, body.sub(t, two))
    inverse = body.div(body.number(1.0), t)
    high = body.mul(f, inverse)
    rest = body.fma(body.neg(high), lost, body.fma(body.neg(high), t, f))
    s = high, body.mul(rest, inverse)
    z = _product(body, s, s)
    g = body.mul(z[0], polynomial(body, z[0], LOG_TAIL))
    series = _sum(body, body.number(TWO_THIRDS), (g, body.number(TWO_THIRDS_REST)))
    cubic = _product(body, _product(body, s, z), series)
    low = body.add(body.add(s[1], s[1]), cubic[1])
    near = _sum(body, body.add(s[0], s[0]), (cubic[0], low))
    near = near[0], body.fma(k, body.number(LN2_LOW), near[1])
    return _sum(body, body.mul(k, body.number(LN2_HIGH)), near)


def _power(body: Body, x: str, y: str) -> str:
    a = body.abs(x)
    log = _log_in_two(body, a)
    high = body.mul(y, log[0])
    low = body.fma(y, log[1], body.fma(y, log[0], body.neg(high)))
    low = body.select(body.compare("olt", body.abs(high), body.number(1000.0)), low, body.number(0.0))
    high = at_most(body, at_least(body, high, -1000.0), 1000.0)
    i, n = whole_part(body, high, LOG2_E)
    r = body.add(body.fma(n, body.number(-LN2_HIGH), high), body.fma(n, body.number(-LN2_LOW), low))
    return _power_edges(body, x, y, _scaled(body, _expm1_small(body, r), i))


def _power_edges(body: Body, x: str, y: str, size: str) -> str:
    """From |x|ʸ of positive finite |x|, the rules of IEEE 754 for the others, and the sign."""
    a, zero, one, inf = body.abs(x), body.number(0.0), body.number(1.0), body.number(INF)
    at_zero, rising = body.compare("oeq", a, zero), body.compare("ogt", y, zero)
    size = body.select(at_zero, body.select(rising, zero, inf), size)
    infinite = body.compare("oeq", a, inf)
    size = body.select(infinite, body.select(rising, inf, zero), size)
    size = body.select(body.compare("uno", x, y), body.number(NAN), size)
    size = body.select(body.compare("oeq", a, one), one, size)
    half = body.mul(y, body.number(0.5))
    whole = body.compare("oeq", body.intrinsic("rint", y), y)
    half_whole = body.compare("oeq", body.intrinsic("rint", half), half)
    negative = body.copysign(size, x)
    out = body.select(half_whole, size, body.select(whole, negative, size))  # x < 0 and y odd
    below = body.select(whole, out, body.select(infinite, size, body.number(NAN)))
    out = body.select(body.compare("olt", x, zero), below, out)
    return body.select(body.compare("oeq", y, zero), one, out)


VECTOR_MATH: dict[str, Callable[..., str]] = {
    "exp": _exp,
    "exp2": _exp2,
    "expm1": _expm1,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "log": _log,
    "log2": _log2,
    "log10": _log10,
    "log1p": _log1p,
    "arcsinh": _arcsinh,
    "arccosh": _arccosh,
    "arctanh": _arctanh,
    "power": _power,
    **ANGLES,
}
