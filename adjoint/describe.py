"""Short texts of expressions for messages."""

from __future__ import annotations

from typing import Any

__all__ = ["counted", "describe", "shortened"]

_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "matmul": "@"}


def describe(node: Any, depth: int = 3) -> str:
    """A short text of an expression for messages.

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", 1.0)
    >>> from adjoint.expr import describe
    >>> describe(np.exp(x) * 2 + x)
    '2 * exp(x) + x'
    """
    if not hasattr(type(node), "args"):
        return shortened(node)
    if node.op is None:
        if hasattr(type(node), "name"):
            return node.name
        return f"{node.value:g}" if not node.shape else f"array{node.shape}"
    if depth == 0:
        return "…"
    parts = [describe(a, depth - 1) for a in node.args]
    if node.op.name in _INFIX:
        if node.op.name != "add":
            parts = [
                f"({p})" if a.op is not None and a.op.name in _INFIX and p != "…" else p
                for a, p in zip(node.args, parts, strict=True)
            ]
        return f" {_INFIX[node.op.name]} ".join(parts)
    return f"{node.op.name}({', '.join(parts)})"


def counted(n: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "equation"), counted(2, "unknown")
    ('1 equation', '2 unknowns')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def shortened(value: Any) -> str:
    """The repr of a value, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
