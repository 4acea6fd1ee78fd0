"""How inner problems were solved last."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import ModelError, SingularError
from ..expr import Expr
from ..program import Program
from ..walk import topological
from .form import Inner
from .rows import ROOT

__all__ = ["InnerReport", "inner_reports", "inner_nodes"]


class InnerReport(NamedTuple):
    """The last solve of an inner problem.

    Attributes
    ----------
    name : str
    kind : "root", "fixed_point" or "argmin"
    size : int, unknowns
    method : str, what solved it
    iterations : int
    residual : float, the largest scaled residual
    error : float
        An estimate of the relative error of the solution, ``‖J⁻¹ g‖ / ‖y‖``: with a tolerance that is not small it says
        how accurate values, and roughly derivatives, are.
    condition : float
        An estimate of the condition number of ``∂g/∂y``: of the scaled matrix, or from conjugate gradients the ratio of
        the extreme eigenvalues that they met; NaN where only GMRES was used. Where it is large, derivatives are
        sensitive to everything.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", adj.root(lambda y, p: y**3 - p, 1.0, m.input("p", 8.0)))
    >>> sol = m.solve()
    >>> report = adj.inner_reports(m)[0]
    >>> report.kind, report.size, report.residual < 1e-9
    ('root', 1, True)
    """

    name: str
    kind: str
    size: int
    method: str
    iterations: int
    residual: float
    error: float
    condition: float


def inner_nodes(roots: list[Expr]) -> list[Expr]:
    """The solutions of inner problems below some expressions, each once; those inside of inner problems are not."""
    return [node for node in topological(roots) if node.op is ROOT]


def inner_reports(of: Any) -> list[InnerReport]:
    """How the inner problems of a program, or of an expression, were solved last; those inside of others included.

    >>> import adjoint as adj
    >>> from adjoint.inner import inner_reports, root
    >>> m = adj.Program()
    >>> y = m.define("y", root(lambda y, x: y**2 - x, 1.0, m.input("x", 4.0), name="square root"))
    >>> sol = m.solve()
    >>> report = inner_reports(m)[0]
    >>> report.name, report.residual < 1e-10, report.condition
    ('square root', True, 1.0)
    """
    if isinstance(of, Program):
        roots = [e.expr for e in of.equations.values()]
    elif isinstance(of, Expr):
        roots = [of]
    else:
        raise ModelError(f"inner_reports() takes a Program or an expression, not {type(of).__name__}")
    found: dict[Inner, None] = {}
    waiting = roots
    while waiting:
        inners = [node.params[0] for node in inner_nodes(waiting)]
        waiting = [inner.residual for inner in inners if inner not in found]
        found.update(dict.fromkeys(inners))
    return [_report(inner) for inner in found if inner.memory.last is not None]


def _report(inner: Inner) -> InnerReport:
    point = inner.memory.last
    assert point is not None
    residual = np.reshape(inner.function("residual")(inner.shaped(point.y), *point.params)[0], -1)
    try:
        error = float(np.linalg.norm(point.linear.solve(np.array(residual, dtype=float))))
        error /= float(np.linalg.norm(point.y)) or 1.0
    except SingularError:
        error = float("inf")
    size, condition = inner.unknown.size, point.linear.condition()
    return InnerReport(inner.name, inner.kind, size, point.method, point.iterations, point.residual, error, condition)
