"""Compiled Jacobian products of equations: tangents forward, cotangents back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..backends import Backend
from ..derivatives import jvp, vjp
from ..expr import Constant, Expr, Variable, variables_of
from ..primitives.indexing import broadcast_to
from .values import Values

__all__ = ["Products"]


class Products:
    """Compiled jvp and vjp of some equations through their definitions, by which tangents or cotangents are there.

    The equations are explicit and ordered (a run), or independent residuals (a cycle, ``chained`` False).
    """

    def __init__(self, backend: Backend, equations: Sequence[tuple[Variable, Expr]], chained: bool) -> None:
        self.backend, self.equations, self.chained = backend, list(equations), chained
        self.leaves = {k: variables_of([e]) for k, e in self.equations}
        self.tangent: dict[Variable, Variable] = {}
        self.cotangent: dict[Variable, Variable] = {}
        self._push: dict[Any, Any] = {}
        self._pull: dict[Any, Any] = {}

    def _leaf(self, table: dict[Variable, Variable], v: Variable) -> Variable:
        if v not in table:
            table[v] = Variable(f"d({v.name})", v.shape)
        return table[v]

    def _compiled(self, outputs: dict[Variable, Expr], extra: dict[Variable, Variable]) -> Any:
        """A function of values and of the extra leaves: (f, value variables, extra variables, outputs)."""
        from_leaf = {leaf: v for v, leaf in extra.items()}
        needed = variables_of(list(outputs.values()))
        values = [v for v in needed if v not in from_leaf]
        leaves = [v for v in needed if v in from_leaf]
        function = self.backend.compile([*values, *leaves], list(outputs.values()))
        return function, values, [from_leaf[v] for v in leaves], list(outputs)

    def push(self, values: Values, tangents: Values) -> Values:
        """Tangents of the equations' variables from those of the others."""
        key = frozenset(tangents)
        record = self._push.get(key)
        if record is None:
            known: dict[Expr, Any] = {v: self._leaf(self.tangent, v) for v in tangents}
            outputs: dict[Variable, Expr] = {}
            for target, expr in self.equations:
                inside = {v: known[v] for v in self.leaves[target] if v in known}
                if inside:
                    outputs[target] = jvp([expr], inside)[0]
                    if self.chained:
                        known[target] = outputs[target]
            record = self._push[key] = self._compiled(outputs, self.tangent)
        function, inputs, seeds, names = record
        result = function(*[values[v] for v in inputs], *[tangents[v] for v in seeds])
        return dict(zip(names, result, strict=True))

    def pull(self, values: Values, cotangents: Values, wanted: frozenset[Variable] | None) -> tuple[Values, Values]:
        """(λ of the equations, cotangents of the variables outside); ``wanted`` None: of all of them."""
        key = (frozenset(cotangents), wanted)
        record = self._pull.get(key)
        if record is None:
            record = self._pull[key] = self._pulled(cotangents, wanted)
        (function, inputs, seeds, names), multipliers = record
        result = function(*[values[v] for v in inputs], *[cotangents[v] for v in seeds])
        lam: Values = {}
        out: Values = {}
        for (kind, v), r in zip(names, result, strict=True):
            (lam if kind else out)[v] = r
        return lam, out

    def _pulled(self, cotangents: Iterable[Variable], wanted: frozenset[Variable] | None) -> Any:
        """The reverse sweep λ_j = z̄_j + Σ_i λ_i ∂f_i/∂z_j, symbolically, over the equations that matter."""
        cot: dict[Variable, Expr] = {v: self._leaf(self.cotangent, v) for v in cotangents}
        own = {target for target, _ in self.equations}
        outputs: dict[Any, Expr] = {}
        for target, expr in reversed(self.equations):
            lam = cot.get(target) if self.chained else cot.pop(target, None)
            if lam is None:
                continue
            lam = broadcast_to(lam, target.shape)
            outputs[True, target] = lam
            inside = [v for v in self.leaves[target] if wanted is None or v in wanted]
            for v, part in zip(inside, vjp([expr], [lam], inside), strict=True):
                if not (isinstance(part, Constant) and not np.any(part.value)):
                    cot[v] = cot[v] + part if v in cot else part
        for v, expr in cot.items():
            if not (self.chained and v in own):
                outputs[False, v] = expr
        return self._compiled(outputs, self.cotangent), None
