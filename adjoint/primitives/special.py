"""Special functions, and look-up in constant tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from ..expr import Expr, apply, as_expr
from ..primitive import BUILDERS, LATE, Primitive
from ..primitive import register as _register
from .elementwise import elementwise, exp, log, log1p, square, where

Array = Any


def _of_scipy(name: str) -> Callable[..., Array]:
    """A function of ``scipy.special``, which SciPy imports at the first call: that takes a tenth of a second."""
    return lambda *args: getattr(scipy.special, name)(*args)


def first_order(value: Callable[..., Array], *derivatives: Callable[..., Array]) -> Callable[..., Array]:
    """Continue a real function to z = x + i·y by f(x) + i·y·f'(x), exact to first order in y."""

    def continued(*args: Array) -> Array:
        re = [np.real(a) for a in args]
        im = sum(d(*re) * np.imag(a) for d, a in zip(derivatives, args, strict=True))
        return value(*re) + 1j * im

    return continued


def _expit_continued(z: Array) -> Array:
    return np.where(np.real(z) >= 0, 1.0 / (1.0 + np.exp(-z)), np.exp(z) / (1.0 + np.exp(z)))


def _logaddexp_continued(a: Array, b: Array) -> Array:
    top = np.where(np.real(a) >= np.real(b), a, b)
    gap = np.where(np.real(a) >= np.real(b), b - a, a - b)
    return top + np.log1p(np.exp(gap))


expit = elementwise("expit", _of_scipy("expit"), lambda y, x: y * expit(-x), complex_value=_expit_continued)
logaddexp = elementwise(
    "logaddexp",
    np.logaddexp,
    lambda y, a, b: expit(a - b),
    lambda y, a, b: expit(b - a),
    ufunc=np.logaddexp,
    complex_value=_logaddexp_continued,
)
softplus = elementwise(
    "softplus",
    lambda x: np.logaddexp(x, 0.0),
    lambda y, x: expit(x),
    complex_value=lambda z: _logaddexp_continued(z, 0.0 * z),
)
_TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)
erf = elementwise("erf", _of_scipy("erf"), lambda y, x: _TWO_OVER_SQRT_PI * exp(-square(x)))
erfc = elementwise("erfc", _of_scipy("erfc"), lambda y, x: -_TWO_OVER_SQRT_PI * exp(-square(x)))
gamma = elementwise(
    "gamma",
    _of_scipy("gamma"),
    lambda y, x: y * digamma(x),
    complex_value=first_order(_of_scipy("gamma"), lambda x: scipy.special.gamma(x) * scipy.special.digamma(x)),
)
gammaln = elementwise(
    "gammaln",
    _of_scipy("gammaln"),
    lambda y, x: digamma(x),
    complex_value=first_order(_of_scipy("gammaln"), _of_scipy("digamma")),
)
digamma = elementwise("digamma", _of_scipy("digamma"), lambda y, x: polygamma(1, x))


def logit(x: Any) -> Expr:
    """log(x / (1 − x))"""
    return log(x) - log1p(-as_expr(x))


def ndtr(x: Any) -> Expr:
    """The normal distribution function."""
    return 0.5 * erfc(as_expr(x) * -math.sqrt(0.5))


def log_expit(x: Any) -> Expr:
    """log expit(x), without overflow"""
    return -softplus(-as_expr(x))


def xlogy(x: Any, y: Any) -> Expr:
    """x·log y, and 0 where x is 0"""
    x, y = as_expr(x), as_expr(y)
    at_zero = BUILDERS["=="](x, 0.0) * BUILDERS["=="](y, y)  # NaN is not equal to itself
    return where(at_zero, 0.0, x * log(where(at_zero, 1.0, y)))


LATE["scipy.special"] = {
    build.__name__: build for build in (expit, erf, erfc, gamma, gammaln, digamma, logit, ndtr, log_expit, xlogy)
}


# -- rows with parameters --------------------------------------------------------------------------------------


def _polygamma_continued(z: Array, n: int) -> Array:
    x = np.real(z)
    return scipy.special.polygamma(n, x) + 1j * np.imag(z) * scipy.special.polygamma(n + 1, x)


_POLYGAMMA = _register(
    Primitive(
        "polygamma",
        "elementwise",
        lambda x, n: scipy.special.polygamma(n, x),
        partials=(lambda y, x, n: polygamma(n + 1, x),),
        complex_value=_polygamma_continued,
    )
)


def polygamma(n: int, x: Any) -> Expr:
    """The n-th derivative of digamma."""
    x = as_expr(x)
    return apply(_POLYGAMMA, (x,), (int(n),), x.shape)


def _slope(x: Array, xp: Any, fp: Any) -> Array:
    """Slope of the table to the right of x; 0 outside the table, where the end value is held."""
    x, xp, fp = np.real(x), xp.array, fp.array
    k = np.searchsorted(xp, x, side="right") - 1
    inside = (k >= 0) & (k < len(xp) - 1)
    k = np.clip(k, 0, len(xp) - 2)
    return np.where(inside, (fp[k + 1] - fp[k]) / (xp[k + 1] - xp[k]), np.where(np.isnan(x), x, 0.0))


_SLOPE = _register(Primitive("interp_slope", "elementwise", _slope, partials=(None,)))
_INTERP = _register(
    Primitive(
        "interp",
        "elementwise",
        lambda x, xp, fp: np.interp(x, xp.array, fp.array),
        partials=(lambda y, x, xp, fp: apply(_SLOPE, (x,), (xp, fp), x.shape),),
        complex_value=lambda z, xp, fp: np.interp(np.real(z), xp.array, fp.array) + 1j * np.imag(z) * _slope(z, xp, fp),
        kink=lambda y, x, xp, fp: apply(_KNOT, (x,), (xp,), x.shape),
    )
)
_KNOT = _register(
    Primitive("is_knot", "elementwise", lambda x, xp: np.isin(np.real(x), xp.array) * 1.0, partials=(None,))
)
