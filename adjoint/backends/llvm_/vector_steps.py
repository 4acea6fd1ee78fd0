"""What the functions over vectors have in common: polynomials, bounds, whole parts, powers of two."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from .body import Body

__all__ = ["at_least", "at_most", "has_vector_math", "polynomial", "power_of_two", "whole_part"]

ROUND = 1.5 * 2.0**52  # x + ROUND has the whole number nearest to x in its low bits


def has_vector_math(width: int) -> bool:
    """Whether vectors of this width have fused multiply-adds, on which the functions depend.

    Processors with x86 instructions have them where they have vectors of four.

    >>> has_vector_math(1), has_vector_math(8)
    (False, True)
    """
    return width > 2 or (width == 2 and platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686", "x86"))


def polynomial(body: Body, x: str, coefficients: Sequence[float]) -> str:
    """Σ c_k·x^k: pairs of terms, then Horner's scheme in x², which halves the chain of dependent operations."""
    terms = [body.number(c) for c in coefficients]
    pairs = [body.fma(x, high, low) for low, high in zip(terms[::2], terms[1::2], strict=False)]
    pairs += terms[len(pairs) * 2 :]
    square, total = body.mul(x, x), pairs[-1]
    for pair in pairs[-2::-1]:
        total = body.fma(square, total, pair)
    return total


def at_most(body: Body, x: str, bound: float) -> str:
    """min(x, bound); NaN stays."""
    return body.select(body.compare("olt", body.number(bound), x), body.number(bound), x)


def at_least(body: Body, x: str, bound: float) -> str:
    """max(x, bound); NaN stays."""
    return body.select(body.compare("ogt", body.number(bound), x), body.number(bound), x)


def power_of_two(body: Body, i: str, plus: int = 0) -> str:
    """2^(n + plus), where n is the number in the low bits of i."""
    return body.from_bits(body.whole_op("add", body.whole_op("shl", i, body.whole(52)), body.whole(1023 + plus << 52)))


def whole_part(body: Body, x: str, unit: float) -> tuple[str, str]:
    """The whole number nearest to x·unit: in the low bits of a whole number, and as a value."""
    shifted = body.fma(x, body.number(unit), body.number(ROUND))
    return body.bits(shifted), body.sub(shifted, body.number(ROUND))
