"""Elementary functions over vectors, written in the instructions of a :class:`~.body.Body`.

Straight-line code without tables, so that one text serves every instruction set that has fused multiply-adds, and
several functions of one argument share what they have in common: the range reduction and both polynomials of sin and
cos, the exponential in sinh and cosh. Largest errors are between 0.8 and 3 units in the last place, as the tests
measure; subnormal numbers, infinities, NaN and signs of zero are those of the C library.

The reductions are the classical ones (Cody and Waite 1980; Tang 1989; Sun's fdlibm, 1993); the coefficients are
minimax polynomials by Remez's algorithm, rounded to double.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .body import Body, bit_pattern, literal

__all__ = ["VECTOR_MATH"]

INF, NAN = math.inf, math.nan
ROUND = 1.5 * 2.0**52  # x + ROUND has the whole number nearest to x in its low bits
SIGN = -(2**63)
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

# π/2 = the sum of three doubles, to 160 bits
HALF_PI = (float.fromhex("0x1.921fb54442d18p+0"), float.fromhex("0x1.1a62633145c07p-54"), -1.4973849048591698e-33)
FAR = 2.0**30  # beyond it, the C library reduces the angle
# (sin r − r) / r³ and (cos r − 1 + r²/2) / r⁴ in powers of r², on |r| ≤ π/4, to 3.5e-18 and 5e-20
SIN = (
    -0.16666666666666632,
    0.008333333333322372,
    -0.00019841269829772224,
    2.755731367899331e-06,
    -2.50507560068472e-08,
    1.5896668826192113e-10,
)
COS = (
    0.0416666666666666,
    -0.0013888888888874064,
    2.4801587289442547e-05,
    -2.755731434040652e-07,
    2.0875721591025894e-09,
    -1.1359557705238496e-11,
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

# (atan t − t) / t³ on |t| ≤ tan(π/8) and (asin t − t) / t³ on |t| ≤ 1/2, in powers of t², to 1.3e-18
ATAN = (
    -0.333333333333332,
    0.19999999999953244,
    -0.1428571428015954,
    0.11111110781484333,
    -0.09090897697410218,
    0.07692059080518439,
    -0.06663090462673536,
    0.05847785463153783,
    -0.05038814757389479,
    0.03805156684596962,
    -0.017892400211902564,
)
ASIN = (
    0.16666666666666763,
    0.07499999999970094,
    0.04464285717529068,
    0.03038194267505347,
    0.022372215912090536,
    0.01735159539508595,
    0.01398101970543666,
    0.011397284244277075,
    0.010789366258869589,
    0.0036720299473227184,
    0.021790989860175518,
    -0.021117158597585638,
    0.032702410307290763,
)


def _polynomial(body: Body, x: str, coefficients: Sequence[float]) -> str:
    """Σ c_k·x^k: pairs of terms, then Horner's scheme in x², which halves the chain of dependent operations."""
    terms = [body.number(c) for c in coefficients]
    pairs = [body.fma(x, high, low) for low, high in zip(terms[::2], terms[1::2], strict=False)]
    pairs += terms[len(pairs) * 2 :]
    square, total = body.mul(x, x), pairs[-1]
    for pair in pairs[-2::-1]:
        total = body.fma(square, total, pair)
    return total


def _at_most(body: Body, x: str, bound: float) -> str:
    """min(x, bound); NaN stays."""
    return body.select(body.compare("olt", body.number(bound), x), body.number(bound), x)


def _at_least(body: Body, x: str, bound: float) -> str:
    """max(x, bound); NaN stays."""
    return body.select(body.compare("ogt", body.number(bound), x), body.number(bound), x)


def _power_of_two(body: Body, i: str, plus: int = 0) -> str:
    """2^(n + plus), where n is the number in the low bits of i."""
    return body.from_bits(body.whole_op("add", body.whole_op("shl", i, body.whole(52)), body.whole(1023 + plus << 52)))


# -- exponentials: x = n·log 2 + r, and e^x = 2^n (1 + p) with p = e^r − 1


def _whole_part(body: Body, x: str, unit: float) -> tuple[str, str]:
    """The whole number nearest to x·unit: in the low bits of a whole number, and as a value."""
    shifted = body.fma(x, body.number(unit), body.number(ROUND))
    return body.bits(shifted), body.sub(shifted, body.number(ROUND))


def _exp_parts(body: Body, x: str) -> tuple[str, str, str]:
    """n, in low bits and as a value, and p."""
    i, n = _whole_part(body, x, LOG2_E)
    r = body.fma(n, body.number(-LN2_LOW), body.fma(n, body.number(-LN2_HIGH), x))
    return i, n, _expm1_small(body, r)


def _expm1_small(body: Body, r: str) -> str:
    """e^r − 1 for |r| ≤ log(2) / 2."""
    return body.fma(body.mul(r, r), _polynomial(body, r, EXP), r)


def _scaled(body: Body, p: str, i: str) -> str:
    """2^n (1 + p) in two steps, with n/2 and the rest of n: the first never over- or underflows."""
    half = body.whole_op("lshr", i, body.whole(1))
    first, second = _power_of_two(body, half), _power_of_two(body, body.whole_op("sub", i, half))
    return body.mul(body.fma(p, first, first), second)


def _exp(body: Body, x: str) -> str:
    i, _, p = _exp_parts(body, _at_most(body, _at_least(body, x, -1000.0), 1000.0))
    return _scaled(body, p, i)


def _exp2(body: Body, x: str) -> str:
    """x − n is exact; times log 2 in two parts."""
    x = _at_most(body, _at_least(body, x, -1400.0), 1400.0)
    i, n = _whole_part(body, x, 1.0)
    d = body.sub(x, n)
    r = body.fma(d, body.number(LN2), body.mul(d, body.number(LN2_REST)))
    return _scaled(body, _expm1_small(body, r), i)


def _expm1(body: Body, x: str) -> str:
    """2^n p + (2^n − 1), halved where it may overflow; x where it is tiny."""
    i, _, p = _exp_parts(body, _at_most(body, _at_least(body, x, -40.0), 710.0))
    half = _power_of_two(body, i, -1)
    y = body.fma(half, p, body.sub(half, body.number(0.5)))
    tiny = body.compare("olt", body.abs(x), body.number(2.0**-54))
    return body.select(tiny, x, body.add(y, y))


def _tanh(body: Body, x: str) -> str:
    """(1 − e^(−2|x|)) / (1 + e^(−2|x|)) with e^(−2|x|) = s + s·p, s = 2^n."""
    i, _, p = _exp_parts(body, _at_least(body, body.mul(body.abs(x), body.number(-2.0)), -50.0))
    s, one = _power_of_two(body, i), body.number(1.0)
    above = body.fma(body.neg(s), p, body.sub(one, s))
    below = body.fma(s, p, body.add(one, s))
    return body.copysign(body.div(above, below), x)


def _hyperbolic(body: Body, x: str) -> tuple[str, str, str, str, str]:
    """|x|, and s, v, p, q with e^|x| / 2 = 8 (s + s·p), e^(−|x|) / 2 = 8 (v − v·q): s = 2^(n−4), v = 2^(−n−4)."""
    a = body.abs(x)
    i, n, p = _exp_parts(body, _at_most(body, a, 711.0))
    minus = body.bits(body.sub(body.number(ROUND), _at_most(body, n, 100.0)))
    q = body.div(p, body.add(p, body.number(1.0)))
    return a, _power_of_two(body, i, -4), _power_of_two(body, minus, -4), p, q


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


# -- angles: |x| = n·π/2 + r

# The reduction for elements beyond FAR. The C library's sin and cos give the quadrant and the sine of r.
REDUCE = """define internal {{ {V}, {I} }} @adjoint_reduce_{W}({V} %a, {V} %r, {I} %i) alwaysinline #0 {{
  %far = fcmp ogt {V} %a, splat (double {far})
  %lanes = bitcast <{W} x i1> %far to i{W}
  %any = icmp ne i{W} %lanes, 0
  br i1 %any, label %slow, label %fast
slow:
  %reduced = call {{ {V}, {I} }} @adjoint_reduce_far_{W}({V} %a, {V} %r, {I} %i) #0
  %r1 = extractvalue {{ {V}, {I} }} %reduced, 0
  %i1 = extractvalue {{ {V}, {I} }} %reduced, 1
  br label %fast
fast:
  %r2 = phi {V} [ %r, %0 ], [ %r1, %slow ]
  %i2 = phi {I} [ %i, %0 ], [ %i1, %slow ]
  %out0 = insertvalue {{ {V}, {I} }} poison, {V} %r2, 0
  %out1 = insertvalue {{ {V}, {I} }} %out0, {I} %i2, 1
  ret {{ {V}, {I} }} %out1
}}"""
REDUCE_FAR = """define internal {{ {V}, {I} }} @adjoint_reduce_far_{W}({V} %a, {V} %r, {I} %i) noinline cold #0 {{
entry:
  br label %lane
lane:
  %k = phi i64 [ 0, %entry ], [ %k1, %next ]
  %r0 = phi {V} [ %r, %entry ], [ %r2, %next ]
  %i0 = phi {I} [ %i, %entry ], [ %i2, %next ]
  %x = extractelement {V} %a, i64 %k
  %far = fcmp ogt double %x, {far}
  br i1 %far, label %slow, label %next
slow:
  %s = call double @sin(double %x) #1
  %c = call double @cos(double %x) #1
  %s_size = call double @llvm.fabs.f64(double %s)
  %c_size = call double @llvm.fabs.f64(double %c)
  %steep = fcmp ogt double %s_size, %c_size
  %small = select i1 %steep, double %c, double %s
  %large = select i1 %steep, double %s, double %c
  %back = fcmp olt double %large, 0.0
  %angle = call double @asin(double %small) #1
  %opposite = fneg double %angle
  %flip = xor i1 %steep, %back
  %r_k = select i1 %flip, double %opposite, double %angle
  %first = zext i1 %steep to i64
  %i_k = select i1 %back, i64 2, i64 0
  %quadrant = or i64 %first, %i_k
  %r1 = insertelement {V} %r0, double %r_k, i64 %k
  %i1 = insertelement {I} %i0, i64 %quadrant, i64 %k
  br label %next
next:
  %r2 = phi {V} [ %r0, %lane ], [ %r1, %slow ]
  %i2 = phi {I} [ %i0, %lane ], [ %i1, %slow ]
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, {W}
  br i1 %more, label %lane, label %done
done:
  %out0 = insertvalue {{ {V}, {I} }} poison, {V} %r2, 0
  %out1 = insertvalue {{ {V}, {I} }} %out0, {I} %i2, 1
  ret {{ {V}, {I} }} %out1
}}"""


def _angle(body: Body, x: str) -> tuple[str, str, str]:
    """sin r and cos r, and n in the low bits of a whole number.

    With fused multiply-adds the three steps are exact to 2⁻¹⁰⁰ for |x| ≤ 2³⁰.
    """
    a = body.abs(x)
    i, n = _whole_part(body, a, 2.0 / math.pi)
    r = a
    for part in HALF_PI:
        r = body.fma(n, body.number(-part), r)
    pair = f"{{ {body.type}, {body.integer} }}"
    for text in (REDUCE, REDUCE_FAR):
        body.declarations.add(text.format(V=body.type, I=body.integer, W=body.width, far=literal(FAR)))
    for function in ("sin", "cos", "asin"):
        body.declare(function)
    body.declarations.add("declare double @llvm.fabs.f64(double)")
    reduced = body.op(
        f"call {pair} @adjoint_reduce_{body.width}({body.type} {a}, {body.type} {r}, {body.integer} {i}) #0"
    )
    r, i = body.op(f"extractvalue {pair} {reduced}, 0"), body.op(f"extractvalue {pair} {reduced}, 1")
    z = body.mul(r, r)
    s = body.fma(body.mul(r, z), _polynomial(body, z, SIN), r)
    half = body.number(-0.5)
    c = body.fma(z, half, body.number(1.0))
    rest = body.fma(z, half, body.sub(body.number(1.0), c))  # the rounding error of c
    c = body.add(c, body.fma(body.mul(z, z), _polynomial(body, z, COS), rest))
    return s, c, i


def _flipped(body: Body, y: str, *signs: str) -> str:
    """y with its sign flipped once for each of the top bits that is set."""
    flips = signs[0]
    for s in signs[1:]:
        flips = body.whole_op("xor", flips, s)
    return body.from_bits(body.whole_op("xor", body.bits(y), body.whole_op("and", flips, body.whole(SIGN))))


def _sin(body: Body, x: str) -> str:
    s, c, i = _angle(body, x)
    y = body.select(body.is_odd(i), c, s)
    return _flipped(body, y, body.whole_op("shl", i, body.whole(62)), body.bits(x))


def _cos(body: Body, x: str) -> str:
    s, c, i = _angle(body, x)
    y = body.select(body.is_odd(i), s, c)
    return _flipped(body, y, body.whole_op("shl", body.whole_op("add", i, body.whole(1)), body.whole(62)))


def _tan(body: Body, x: str) -> str:
    s, c, i = _angle(body, x)
    odd = body.is_odd(i)
    y = body.div(body.select(odd, c, s), body.select(odd, s, c))
    return _flipped(body, y, body.whole_op("shl", i, body.whole(63)), body.bits(x))


def _arctan(body: Body, x: str) -> str:
    """|x| = t, or (1 + t) / (1 − t), or −1 / t, so that |t| ≤ tan(π/8); and atan |x| = 0, π/4 or π/2 + atan t."""
    a, zero, one = body.abs(x), body.number(0.0), body.number(1.0)
    above = body.compare("ogt", a, body.number(math.tan(math.pi / 8)))
    far = body.compare("ogt", a, body.number(math.tan(3 * math.pi / 8)))

    def choose(low: str, middle: str, high: str) -> str:
        return body.select(far, high, body.select(above, middle, low))

    t = body.div(choose(a, body.sub(a, one), body.number(-1.0)), choose(one, body.add(a, one), a))
    z = body.mul(t, t)
    base = choose(zero, body.number(math.pi / 4), body.number(math.pi / 2))
    rest = choose(zero, body.number(HALF_PI[1] / 2), body.number(HALF_PI[1]))
    y = body.fma(body.mul(t, z), _polynomial(body, z, ATAN), rest)
    return body.copysign(body.add(base, body.add(t, y)), x)


def _arcsin_parts(body: Body, x: str) -> tuple[str, str, str, str]:
    """Whether |x| ≥ 1/2; t = |x|, or √((1 − |x|) / 2), its rounding error, and asin t − t."""
    a = body.abs(x)
    large = body.compare("oge", a, body.number(0.5))
    half = body.fma(a, body.number(-0.5), body.number(0.5))  # exact for |x| ≥ 1/2
    z = body.select(large, half, body.mul(a, a))
    root = body.intrinsic("sqrt", half)
    t = body.select(large, root, a)
    # √z − t ≈ (z − t²) / (2t), and 0 where t is 0
    error = body.div(body.fma(body.neg(root), root, half), body.add(body.add(root, root), body.number(1e-300)))
    return large, t, error, body.mul(body.mul(t, z), _polynomial(body, z, ASIN))


def _arcsin(body: Body, x: str) -> str:
    """asin |x|, or π/2 − 2 asin √((1 − |x|) / 2)."""
    large, t, error, y = _arcsin_parts(body, x)
    two = body.number(-2.0)
    far = body.fma(two, t, body.number(math.pi / 2))
    lost = body.fma(two, t, body.sub(body.number(math.pi / 2), far))  # the rounding error of far
    far = body.add(far, body.add(body.fma(two, body.add(y, error), body.number(HALF_PI[1])), lost))
    return body.copysign(body.select(large, far, body.add(t, y)), x)


def _arccos(body: Body, x: str) -> str:
    """π/2 − asin x for |x| < 1/2; 2 asin √((1 − x) / 2) above, π less that of −x below."""
    large, t, error, y = _arcsin_parts(body, x)
    below = body.compare("olt", x, body.number(0.0))
    near = body.copysign(t, x), body.copysign(y, x)
    middle = body.sub(body.number(math.pi / 2), body.sub(near[0], body.sub(body.number(HALF_PI[1]), near[1])))
    y = body.add(y, error)
    right = body.fma(body.number(2.0), y, body.add(t, t))
    left = body.fma(body.number(-2.0), body.add(t, body.sub(y, body.number(HALF_PI[1]))), body.number(math.pi))
    return body.select(large, body.select(below, left, right), middle)


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
    return h, body.mul(s, body.fma(z, _polynomial(body, z, LOG), h))


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


VECTOR_MATH: dict[str, Callable[[Body, str], str]] = {
    "exp": _exp,
    "exp2": _exp2,
    "expm1": _expm1,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "sin": _sin,
    "cos": _cos,
    "tan": _tan,
    "arcsin": _arcsin,
    "arccos": _arccos,
    "arctan": _arctan,
    "log": _log,
    "log2": _log2,
    "log10": _log10,
    "log1p": _log1p,
}
