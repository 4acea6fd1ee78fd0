"""Special functions and activations under the library's own names, where NumPy has none."""

from __future__ import annotations

from typing import Any

from ..expr import Expr, as_expr
from . import elementwise as ew
from . import special as sf

__all__ = ["erf", "erfc", "expit", "gamma", "gammaln", "mish", "relu", "softplus", "swish"]


def expit(x: Any) -> Expr:
    """The logistic function 1 / (1 + exp(−x)), without overflow.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.expit(m.input("x", 0.5)))
    >>> round(m.solve()["y"], 10)
    0.6224593312
    """
    return sf.expit(x)


def softplus(x: Any) -> Expr:
    """log(1 + exp x), without overflow.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.softplus(m.input("x", 0.5)))
    >>> round(m.solve()["y"], 10)
    0.9740769842
    """
    return sf.softplus(x)


def erf(x: Any) -> Expr:
    """The error function.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.erf(m.input("x", 0.5)))
    >>> round(m.solve()["y"], 10)
    0.5204998778
    """
    return sf.erf(x)


def erfc(x: Any) -> Expr:
    """1 − erf(x), accurate for large x.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.erfc(m.input("x", 2.0)))
    >>> round(m.solve()["y"], 10)
    0.004677735
    """
    return sf.erfc(x)


def gamma(x: Any) -> Expr:
    """The gamma function.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.gamma(m.input("x", 4.5)))
    >>> round(m.solve()["y"], 10)
    11.6317283966
    """
    return sf.gamma(x)


def gammaln(x: Any) -> Expr:
    """log |Γ(x)|.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.gammaln(m.input("x", 4.5)))
    >>> round(m.solve()["y"], 10)
    2.4537365708
    """
    return sf.gammaln(x)


def relu(x: Any) -> Expr:
    """max(x, 0), with derivative 0 at 0.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.relu(m.input("x", 2.5)))
    >>> round(m.solve()["y"], 10)
    2.5
    """
    return ew.relu(x)


def mish(x: Any) -> Expr:
    """x · tanh(softplus x).

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.mish(m.input("x", 0.5)))
    >>> round(m.solve()["y"], 10)
    0.3752452113
    """
    x = as_expr(x)
    return x * ew.tanh(sf.softplus(x))


def swish(x: Any, beta: float = 1.0) -> Expr:
    """x · expit(βx).

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.swish(m.input("x", 0.5)))
    >>> round(m.solve()["y"], 10)
    0.3112296656
    """
    x = as_expr(x)
    return x * sf.expit(beta * x)
