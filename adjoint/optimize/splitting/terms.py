"""An objective as a sum of terms, which can then go to different blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...expr import Constant, Expr, Variable

__all__ = ["Term", "terms_of"]


@dataclass(frozen=True)
class Term:
    """``weight · Σ expr``, the sum over all elements."""

    weight: float
    expr: Expr


def terms_of(objective: Expr, definitions: Mapping[Variable, Expr] | None = None) -> tuple[list[Term], float]:
    """The terms of a scalar expression, and its constant part.

    Sums, differences, multiples by constants and variables with a definition are taken apart; any other operation is
    one term.

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> x, y = m.input("x", np.ones(3)), m.input("y", 1.0)
    >>> found, constant = terms_of(0.5 * np.sum(x**2) - 3 * np.exp(y) + 7)
    >>> [(t.weight, t.expr.shape) for t in found], constant
    ([(-3.0, ()), (0.5, (3,))], 7.0)
    """
    definitions = definitions or {}
    weights: dict[Expr, float] = {}
    offset = 0.0
    stack: list[tuple[Expr, float]] = [(objective, 1.0)]
    while stack:
        node, weight = stack.pop()
        name = None if node.op is None else node.op.name
        if isinstance(node, Constant):
            offset += weight * float(node.value.sum())
        elif isinstance(node, Variable) and node in definitions:
            stack.append((definitions[node], weight))
        elif name in ("add", "subtract"):
            a, b = node.args
            for arg, sign in ((a, 1.0), (b, 1.0 if name == "add" else -1.0)):
                stack.append((arg, sign * weight * (node.size / arg.size)))  # a broadcast element counts as often
        elif name == "negative":
            stack.append((node.args[0], -weight))
        elif name == "multiply" and (scaled := _scaled(node)) is not None:
            stack.append((scaled[0], weight * scaled[1] * (node.size / scaled[0].size)))
        elif name == "divide" and isinstance(node.args[1], Constant) and node.args[1].size == 1:
            stack.append((node.args[0], weight / float(node.args[1].value.sum())))
        elif name in ("sum", "reshape", "transpose"):
            stack.append((node.args[0], weight))
        else:
            weights[node] = weights.get(node, 0.0) + weight
    return [Term(w, e) for e, w in weights.items()], offset


def _scaled(node: Expr) -> tuple[Expr, float] | None:
    """A product with one constant number: the other factor, and the number."""
    a, b = node.args
    for factor, other in ((a, b), (b, a)):
        if isinstance(factor, Constant) and factor.size == 1:
            return other, float(factor.value.sum())
    return None
