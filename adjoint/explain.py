"""What the compiled functions of a program consist of: which operations fused into which loop, and what did not."""

from __future__ import annotations

from typing import Any

from .blocks import Cycle, Run
from .describe import counted

__all__ = ["explain"]


def explain(model: Any) -> str:
    """How a program is evaluated, block by block, as text.

    For each block in solve order: the loops and the straight-line code that its values (of a cycle: its residuals and
    the entries of their Jacobian) were compiled to, what the loops do with their results (store, add), and the
    operations that NumPy executes because they have no kernel. Scalar equations that were found to be of one pattern
    appear as one loop.

    Parameters
    ----------
    model : Program

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program("fit")
    >>> a = m.input("a", np.ones(1000))
    >>> _ = m.define("f", np.sum(np.exp(a) * np.sin(a)))
    >>> print(adj.explain(m))
    fit: backend ...
    f: explicit, 1 equation
    ...

    Compiled, the last line is ``loop of 1,000 steps: exp, sin, multiply → add``.
    """
    plan = model.plan()
    lines = [f"{model.name or 'program'}: backend {plan.backend.name}"]
    for block in plan.blocks:
        names = ", ".join(v.name for v in block.variables[:4]) + (", …" if len(block.variables) > 4 else "")
        lines.append(f"{names}: {block.kind}, {counted(len(block.equations), 'equation')}")
        lines += [f"  {line}" for line in _kernels(block)]
    return "\n".join(lines)


def _kernels(block: Run | Cycle) -> list[str]:
    function = block.function()
    summary = getattr(function, "summary", None)
    if summary is None:
        return ["not compiled: NumPy executes each operation"]
    return summary() or ["nothing to compute"]
