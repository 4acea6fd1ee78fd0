"""The residuals of an objective that is a sum of squares, found in its expression.

A sum of squares ``f = c + Σ wₖ rₖ²`` is linear in its squares. A reverse sweep from f that stops at them therefore ends
with their weights: the cotangent of the square ``rₖ²`` is ``wₖ``. Each weight must be a constant, or depend on inputs
that are not moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...derivatives import active_nodes, pull, spread
from ...equations import unused_name
from ...errors import ModelError
from ...expr import Constant, Expr, Variable, constant, describe
from ...primitive import BUILDERS
from ...primitives.indexing import broadcast_to, reshape, unbroadcast
from ...walk import topological, variables_of

__all__ = ["residual_program", "squares_of"]

HOW = "write it with squares: np.sum(r**2), 0.5 * (r @ r), np.sum(w * r**2), np.linalg.norm(r)**2, or sums of such"


def residual_program(problem: Any) -> tuple[Any, list[str]]:
    """A problem's program with its residuals as further variables, and their names; errors as ``squares_of``."""
    parts, program = squares_of(problem), problem.program.extended()
    names = [program.define(unused_name(program, f"residuals ({k + 1})"), r).name for k, r in enumerate(parts)]
    return program, names


def squares_of(problem: Any) -> list[Expr]:
    """Expressions ``rₖ`` with objective = constant + Σ ‖rₖ‖²; of a maximization, of the negative objective.

    Raises
    ------
    ModelError
        The objective is no sum of squares with weights that are positive; the message names the term.

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", [1.0, 2.0])
    >>> f = m.define("f", 4.0 * np.sum((x - 3.0) ** 2) + np.exp(x[0]) ** 2 + 7.0)
    >>> sorted(describe(r) for r in squares_of(adj.Problem(m, minimize="f")))
    ['2 * (x - 3)', 'exp(getitem(x))']
    """
    definitions, moved = _known(problem)
    objective = problem.objective
    order = topological([objective], definitions=definitions)
    active = active_nodes(order, moved, definitions)
    if objective not in active:
        raise ModelError(f"the objective {objective.name!r} depends on nothing that is moved: there are no squares")
    sweep = _Sweep(active, f"the objective {objective.name!r}", problem.maximize)
    sweep.add(objective, constant(-1.0 if problem.maximize else 1.0))
    for node in reversed(order):
        ct = sweep.cotangents.pop(node, None)
        if ct is None:
            continue
        if not node.args:
            inner = definitions.get(node)
            if inner is None:
                raise sweep.refused(node)
            sweep.add(inner, ct)
        elif not sweep.square(node, ct):
            sweep.linear(node, ct)
    return [_weighted(r, w) for r, w in sweep.squares.items() if not _is_zero(w)]


def _known(problem: Any) -> tuple[dict[Variable, Expr], set[Any]]:
    """Definitions by explicit equations; and the variables that the optimizer moves or a cycle determines."""
    program = problem.program
    given = tuple(v for v in problem.variables if v not in program.inputs)
    definitions: dict[Variable, Expr] = {}
    moved: set[Any] = set(problem.variables)
    for block in program.plan(given).analysis.blocks:
        if block.kind == "explicit":
            definitions.update({e.target: e.expr for e in block.equations if e.target is not None})
        else:
            moved.update(block.unknowns)
    return definitions, moved


class _Sweep:
    """Cotangents on the way, and the squares found so far: ``{r: weight}``."""

    def __init__(self, active: set[Expr], what: str, maximize: bool) -> None:
        self.active, self.what, self.maximize = active, what, maximize
        self.cotangents: dict[Expr, Expr] = {}
        self.squares: dict[Expr, Expr] = {}
        self._variables = {node for node in active if isinstance(node, Variable)}

    def add(self, node: Expr, ct: Expr) -> None:
        """Add to the cotangent of a node."""
        known = self.cotangents.get(node)
        self.cotangents[node] = ct if known is None else known + ct

    def refused(self, node: Expr) -> ModelError:
        """The error that names a term."""
        return ModelError(f"{self.what} is not a sum of squares: the term {describe(node)} is no square; {HOW}")

    def _keep(self, r: Expr, weight: Expr, term: Expr) -> bool:
        """Add to the weight of a square."""
        weight = unbroadcast(weight, r.shape)
        total = self.squares[r] + weight if r in self.squares else weight
        self.squares[r] = total
        if isinstance(total, Constant) and np.any(np.asarray(total.value) < 0.0):
            sign = " of a maximization" if self.maximize else ""
            raise ModelError(
                f"{self.what}{sign} is not a sum of squares: the square {describe(term)} has a weight of the wrong "
                f"sign; {HOW}"
            )
        return True

    def square(self, node: Expr, ct: Expr) -> bool:
        """Take a node that is a square; False where it is none."""
        dot = _dot(node)
        if dot is not None and all(a in self.active for a in node.args):
            return self.square(dot, broadcast_to(reshape(ct, ()), dot.shape))
        coefficient, powers = _factors(node, self._depends)
        if any(p % 2 for p in powers.values()):
            return False
        if len(powers) == 1 and node not in powers:
            (base, p), weight = next(iter(powers.items())), ct * coefficient
            name = "" if base.op is None else base.op.name
            if name == "norm2" and p == 2:  # Σ r², over the axes of the norm
                inner = base.args[0]
                return self._keep(inner, spread(unbroadcast(weight, base.shape), inner, base.params[0]), node)
            if name == "sqrt" and p == 2:
                self.add(base.args[0], unbroadcast(weight, base.shape))
                return True
        r: Any = 1.0
        for base, p in powers.items():
            r = r * (base if p == 2 else base ** (p // 2))
        return self._keep(r, ct * coefficient, node)

    def _depends(self, node: Expr) -> bool:
        """Whether a node, perhaps one that has just been made, depends on what is moved."""
        return node in self.active or any(v in self._variables for v in variables_of([node]))

    def linear(self, node: Expr, ct: Expr) -> None:
        """Pass the cotangent on to the arguments of a node that is linear in them."""
        for k, arg in enumerate(node.args):
            if arg in self.active:
                part = pull(node, k, ct)
                if part is None or self._depends(part):
                    raise self.refused(node)
                self.add(arg, part)


def _dot(node: Expr) -> Expr | None:
    """The elementwise product of a product of a row and a column; None for other nodes."""
    if node.op is None or node.op.name != "matmul" or node.size != 1:
        return None
    a, b = (reshape(arg, (arg.size,)) for arg in node.args)
    return a * b


def _factors(node: Expr, depends: Any) -> tuple[Any, Mapping[Expr, int]]:
    """A product as a coefficient that is not moved, and whole powers of other expressions."""
    coefficient: Any = 1.0
    powers: dict[Expr, int] = {}
    waiting = [(node, 1)]
    while waiting:
        e, p = waiting.pop()
        name, args = ("" if e.op is None else e.op.name), e.args
        if not depends(e):
            coefficient = coefficient * e**p
        elif name == "square":
            waiting.append((args[0], 2 * p))
        elif name == "multiply":
            waiting += [(args[1], p), (args[0], p)]
        elif name == "divide":
            waiting += [(args[1], -p), (args[0], p)]
        elif name == "negative" or (name == "absolute" and p % 2 == 0):
            coefficient = coefficient * (-1.0) ** (p if name == "negative" else 0)
            waiting.append((args[0], p))
        elif name == "power" and _whole(args[1]):
            waiting.append((args[0], p * int(args[1].value)))  # type: ignore[attr-defined]
        else:
            powers[e] = powers.get(e, 0) + p
    return coefficient, {e: p for e, p in powers.items() if p}


def _whole(e: Expr) -> bool:
    return isinstance(e, Constant) and not e.shape and float(e.value).is_integer()


def _is_zero(w: Expr) -> bool:
    return isinstance(w, Constant) and not np.any(w.value)


def _weighted(r: Expr, w: Expr) -> Expr:
    """``√w r``."""
    if isinstance(w, Constant):
        root = np.sqrt(np.asarray(w.value))
        factor = root.flat[0] if np.all(root == root.flat[0]) else root
        return r if np.all(factor == 1.0) else constant(factor) * r
    return BUILDERS["sqrt"](w) * r  # type: ignore[no-any-return]
