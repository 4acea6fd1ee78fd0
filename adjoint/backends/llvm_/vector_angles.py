"""Trigonometric functions and their inverses over vectors: see :mod:`.vector_math`."""

from __future__ import annotations

import math
from collections.abc import Callable

from .body import Body, literal
from .vector_steps import polynomial, whole_part

__all__ = ["ANGLES"]

SIGN = -(2**63)
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


# -- angles: |x| = n·π/2 + r

# The reduction for elements beyond FAR. The C library's sin and cos give the quadrant and the sine of r.
REDUCE = """define internal {{ {V}, {I} }} @adjoint_reduce_{W}({V} %a, {V} %r, {I} %i) alwaysinline #0 {{
  %far = fcmp ogt {V} %a, splat (double {far})
  %lanes = bitcast <{W} x i1> %far to i{W}
  %any = icmp ne i{W} %lanes, 0
  br i1 %any, label %slow, label %fast
slow:
  %reduced = call {{ {V}, {I} }} @adjoint_far_{W}({V} %a, {V} %r, {I} %i) #0
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
REDUCE_FAR = """define internal {{ {V}, {I} }} @adjoint_far_{W}({V} %a, {V} %r, {I} %i) noinline optnone cold #0 {{
entry:
  %x_at = alloca {V}
  %r_at = alloca {V}
  %i_at = alloca {I}
  store {V} %a, ptr %x_at
  store {V} %r, ptr %r_at
  store {I} %i, ptr %i_at
  br label %lane
lane:
  %k = phi i64 [ 0, %entry ], [ %k1, %next ]
  %x_k = getelementptr double, ptr %x_at, i64 %k
  %x = load double, ptr %x_k
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
  %r1 = select i1 %flip, double %opposite, double %angle
  %one = zext i1 %steep to i64
  %two = select i1 %back, i64 2, i64 0
  %quadrant = or i64 %one, %two
  %r_k = getelementptr double, ptr %r_at, i64 %k
  %i_k = getelementptr i64, ptr %i_at, i64 %k
  store double %r1, ptr %r_k
  store i64 %quadrant, ptr %i_k
  br label %next
next:
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, {W}
  br i1 %more, label %lane, label %done
done:
  %r2 = load {V}, ptr %r_at
  %i2 = load {I}, ptr %i_at
  %out0 = insertvalue {{ {V}, {I} }} poison, {V} %r2, 0
  %out1 = insertvalue {{ {V}, {I} }} %out0, {I} %i2, 1
  ret {{ {V}, {I} }} %out1
}}"""


def _angle(body: Body, x: str) -> tuple[str, str, str]:
    """sin r and cos r, and n in the low bits of a whole number.

    With fused multiply-adds the three steps are exact to 2⁻¹⁰⁰ for |x| ≤ 2³⁰.
    """
    a = body.abs(x)
    i, n = whole_part(body, a, 2.0 / math.pi)
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
    s = body.fma(body.mul(r, z), polynomial(body, z, SIN), r)
    half = body.number(-0.5)
    c = body.fma(z, half, body.number(1.0))
    rest = body.fma(z, half, body.sub(body.number(1.0), c))  # the rounding error of c
    c = body.add(c, body.fma(body.mul(z, z), polynomial(body, z, COS), rest))
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
    y = body.fma(body.mul(t, z), polynomial(body, z, ATAN), rest)
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
    return large, t, error, body.mul(body.mul(t, z), polynomial(body, z, ASIN))


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


ANGLES: dict[str, Callable[[Body, str], str]] = {
    "sin": _sin,
    "cos": _cos,
    "tan": _tan,
    "arcsin": _arcsin,
    "arccos": _arccos,
    "arctan": _arctan,
}
