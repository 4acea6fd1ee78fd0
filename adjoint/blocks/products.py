"""Compiled Jacobian products of equations: tangents forward, cotangents back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..backends import Backend
from ..derivatives import forward_sweep, reverse_sweep
from ..expr import Constant, Expr, Variable
from ..walk import variables_of
from .values import Values
from .vectors import Vectors

__all__ = ["PackedProducts", "Products"]


class Products:
    """Compiled jvp and vjp of equations, kept by which tangents or cotangents there are.

    ``equations`` are pairs (leaf, expression). With ``chained`` (a run) a leaf is the variable that its expression
    defines, and sweeps go through it; otherwise (a cycle) leaves only label the residuals.
    """

    def __init__(self, backend: Backend, equations: Sequence[tuple[Variable, Expr]], chained: bool) -> None:
        self.backend, self.equations, self.chained = backend, dict(equations), chained
        self.definitions = self.equations if chained else {}
        self.leaves = frozenset(variables_of(list(self.equations.values()))) - frozenset(self.definitions)
        self.tangent: dict[Variable, Variable] = {}
        self.cotangent: dict[Variable, Variable] = {}
        self._push: dict[Any, Any] = {}
        self._pull: dict[Any, Any] = {}

    @staticmethod
    def _leaf(table: dict[Variable, Variable], v: Variable) -> Variable:
        # Of threads that come at once all get the leaf of the first.
        known = table.get(v)
        return table.setdefault(v, Variable(f"d({v.name})", v.shape)) if known is None else known

    def _compiled(self, outputs: dict[Any, Expr], extra: dict[Variable, Variable]) -> Any:
        """A function of values and of the extra leaves: (f, value variables, extra variables, output keys)."""
        from_leaf = {leaf: v for v, leaf in list(extra.items())}
        needed = variables_of(list(outputs.values()))
        values = [v for v in needed if v not in from_leaf]
        leaves = [v for v in needed if v in from_leaf]
        function = self.backend.compile([*values, *leaves], list(outputs.values()))
        return function, values, [from_leaf[v] for v in leaves], list(outputs)

    def push(self, values: Values, tangents: Values) -> Values:
        """Tangents of the equations' leaves from those of the variables outside."""
        key = frozenset(tangents)
        record = self._push.get(key)
        if record is None:
            known: dict[Expr, Any] = {v: self._leaf(self.tangent, v) for v in tangents}
            tan = forward_sweep(list(self.equations.values()), known, self.definitions)
            outputs = {k: tan[e] for k, e in self.equations.items() if e in tan}
            record = self._push[key] = self._compiled(outputs, self.tangent)
        function, inputs, seeds, names = record
        result = function(*[values[v] for v in inputs], *[tangents[v] for v in seeds])
        return dict(zip(names, result, strict=True))

    def pull(self, values: Values, cotangents: Values, wanted: frozenset[Variable] | None) -> tuple[Values, Values]:
        """(λ of the equations, cotangents of the variables outside); ``wanted`` None: of all of them."""
        key = (frozenset(cotangents), wanted)
        record = self._pull.get(key)
        if record is None:
            record = self._pull[key] = self._compiled(self._pulled(cotangents, wanted), self.cotangent)
        function, inputs, seeds, names = record
        result = function(*[values[v] for v in inputs], *[cotangents[v] for v in seeds])
        lam: Values = {}
        out: Values = {}
        for (own, v), r in zip(names, result, strict=True):
            (lam if own else out)[v] = r
        return lam, out

    def _pulled(self, cotangents: Iterable[Variable], wanted: frozenset[Variable] | None) -> dict[Any, Expr]:
        """The reverse sweep, symbolically, over the equations that matter."""
        targets = self.leaves if wanted is None else self.leaves & wanted
        leaves: dict[Any, Expr] = {v: self._leaf(self.cotangent, v) for v in cotangents}
        if self.chained:
            # Without a choice every equation gets its multiplier, also one that depends on nothing outside.
            wrt = targets | self.definitions.keys() if wanted is None else targets
            cot = reverse_sweep(leaves, wrt, self.definitions)
        else:
            seeds: dict[Expr, Expr] = {}
            for v, leaf in leaves.items():
                e = self.equations[v]
                seeds[e] = seeds[e] + leaf if e in seeds else leaf
            cot = reverse_sweep(seeds, targets)
        outputs: dict[Any, Expr] = {}
        for v, expr in cot.items():
            if v in self.definitions:
                outputs[True, v] = expr
            elif not (isinstance(expr, Constant) and not np.any(expr.value)):
                outputs[False, v] = expr
        return outputs


class PackedProducts:
    """Products of a vector of residuals in vectors of variables, read and written by variable and by equation."""

    def __init__(self, backend: Backend, vectors: Vectors, residual: Variable, expr: Expr) -> None:
        self.vectors, self.residual = vectors, residual
        self.leaves = variables_of([expr])
        self.inner = Products(backend, [(residual, expr)], chained=False)

    def push(self, values: Values, tangents: Values) -> Values:
        """Tangents of the residuals, by equation."""
        vectors, out = self.vectors, Values()
        vectors.scatter(self.inner.push(vectors.values(values), vectors.gathered(tangents, self.leaves)), out)
        return out

    def pull(self, values: Values, cotangents: Values, wanted: frozenset[Variable] | None) -> tuple[Values, Values]:
        """As of products; multipliers are none, as the residuals define nothing."""
        vectors = self.vectors
        seeds = vectors.gathered(cotangents, [self.residual])
        lam, parts = self.inner.pull(vectors.values(values), seeds, vectors.wanted(wanted))
        out: Values = {}
        vectors.add(parts, out, wanted)
        return lam, out
