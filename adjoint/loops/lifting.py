"""Small inner problems of a step become equations of the step, so that compiled loops solve them."""

from __future__ import annotations

from collections.abc import Sequence

from ..expr import Expr, Variable, as_expr
from ..inner.rows import ROOT
from ..rebuild import substitute
from ..small import LARGEST_CYCLE
from ..walk import topological
from .step import Implicit

__all__ = ["lifted"]


def lifted(roots: Sequence[Expr]) -> tuple[list[Expr], list[Implicit]]:
    """The roots with unknowns in place of solutions, and the equations that determine these, in order.

    Solutions of many equations, of bounded ones, and minimizers, stay operations of their own.
    """
    found = [node for node in topological(roots) if node.op is ROOT and _is_small(node)]
    new: dict[Expr, Expr] = {}
    parts: list[Implicit] = []
    for node in found:
        inner = node.params[0]
        unknown = Variable(inner.name, node.shape)
        given = substitute(node.args, new)
        inside = {inner.unknown: unknown, **dict(zip(inner.parameters, given, strict=True))}
        residual = substitute([inner.residual], inside)[0]
        guess = as_expr(inner.guess.reshape(node.shape))
        parts.append(Implicit((unknown,), (residual,), (guess,), {}, (inner.name,)))
        new[node] = unknown
    return (substitute(roots, new) if new else list(roots)), parts


def _is_small(node: Expr) -> bool:
    inner = node.params[0]
    plain = inner.kind in ("root", "fixed_point") and inner.method == "auto" and inner.tol == 1e-10
    free = all(b is None for b in inner.bounds) and inner.problem is None and not inner.program.bounds
    return plain and free and 0 < node.size <= LARGEST_CYCLE
