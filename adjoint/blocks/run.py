"""A run: explicit equations in order, evaluated, and differentiated by substitution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..analysis import BlockInfo
from ..backends import Backend
from ..equations import Equation
from ..expr import Expr, Variable
from ..patterns import batch
from ..sparsity import TooDenseError, flat_values, jacobian_map
from ..walk import variables_of
from .products import Products
from .values import Matrices, Values, add_columns, column, stack_columns, stack_rows, to_dense, unstack
from .vectors import Vectors, packs_of

__all__ = ["TOTAL_BUDGET", "Run"]

TOTAL_BUDGET = 5_000_000  # entries composed for a sparse map of derivatives, before products are used instead
MANY = 32  # scalar equations from which patterns are looked for
FEW = 8  # directions; measured: up to here products one by one cost less than building the map


class Run:
    """Explicit equations in order: evaluated, differentiated by substitution.

    Many scalar equations of few patterns are evaluated and differentiated as few equations on vectors (``patterns``).
    """

    kind = "explicit"

    def __init__(self, infos: Sequence[BlockInfo], backend: Backend) -> None:
        self.name = infos[0].name
        self.equations: list[Equation] = [e for info in infos for e in info.equations]
        self.variables: list[Variable] = [v for info in infos for v in info.unknowns]
        self.backend = backend
        self.definitions = {v: e.expr for v, e in zip(self.variables, self.equations, strict=True)}
        own = set(self.variables)
        self.params = list(dict.fromkeys(v for e in self.equations for v in e.variables if v not in own))

    @property
    def size(self) -> int:
        return sum(v.size for v in self.variables)

    @cached_property
    def _batched(self) -> tuple[Vectors, Substitution] | None:
        """The equations on vectors, and how they hold the variables; None where that does not pay."""
        scalars = [v for v in self.params if not v.shape]
        if sum(not v.shape for v in self.variables) < MANY:
            return None
        pack_ = Variable(f"inputs of {self.name}", (len(scalars),))
        found = batch(self.variables, self.definitions, packs_of(pack_, scalars))
        if found is None:
            return None
        return Vectors({pack_: scalars, **found.members}), Substitution(found.definitions, self.backend)

    @cached_property
    def _plain(self) -> Substitution:
        return Substitution(self.definitions, self.backend)

    def function(self) -> Callable[..., Any]:
        """The compiled function of the values: on vectors, where the equations were found to be of few patterns."""
        return (self._plain if self._batched is None else self._batched[1]).function()

    def evaluate(self, values: Values, complex_values: bool = False) -> None:
        """Write the variables of the run into ``values``."""
        if self._batched is None:
            values.update(self._plain.evaluate(values, complex_values))
        else:
            vectors, inner = self._batched
            vectors.scatter(inner.evaluate(vectors.values(values), complex_values), values)

    def push(self, values: Values, tangents: Values, linear: Any = None) -> None:
        """Add the tangents of the run's variables."""
        if self._batched is None:
            self._plain.push(values, tangents)
        else:
            vectors, inner = self._batched
            inside = vectors.gathered(tangents, inner.params)
            given = frozenset(inside)
            inner.push(vectors.values(values), inside)
            vectors.scatter({v: t for v, t in inside.items() if v not in given}, tangents)

    def pull(self, values: Values, cot: Values, wanted: frozenset[Variable] | None, linear: Any = None) -> Values:
        """Multipliers of the run's equations, by variable; cotangents of its params are added to ``cot``."""
        if self._batched is None:
            lam, out = self._plain.pull(values, cot, wanted)
            for v, part in out.items():
                cot[v] = cot[v] + part if v in cot else part
            return lam
        vectors, inner = self._batched
        seeds = vectors.gathered(cot, list(inner.definitions))
        lam, out = inner.pull(vectors.values(values), seeds, vectors.wanted(wanted))
        vectors.add(out, cot, wanted)
        named: Values = {}
        vectors.scatter(lam, named)
        return named if wanted is None else {v: part for v, part in named.items() if v in wanted}

    def push_many(self, values: Values, tangents: Matrices, linear: Any = None) -> None:
        """The same for many directions: tangents[v] has one column per direction."""
        if self._batched is None:
            self._plain.push_many(values, tangents)
        else:
            vectors, inner = self._batched
            inside = vectors.gathered_many(tangents, inner.params, rows=True)
            given = frozenset(inside)
            inner.push_many(vectors.values(values), inside)
            vectors.scatter_many({v: t for v, t in inside.items() if v not in given}, tangents, rows=True)

    def pull_many(self, values: Values, cot: Matrices, wanted: frozenset[Variable] | None, linear: Any = None) -> None:
        """The same for many right-hand sides: cot[v] has one row per right-hand side."""
        if self._batched is None:
            self._plain.pull_many(values, cot, wanted)
        else:
            vectors, inner = self._batched
            inside = vectors.gathered_many(cot, list(inner.definitions), rows=False)
            given = frozenset(inside)
            inner.pull_many(vectors.values(values), inside, vectors.wanted(wanted))
            vectors.scatter_many({v: c for v, c in inside.items() if v not in given}, cot, rows=False)


class Substitution:
    """The compiled functions of explicit equations ``{variable: expression}``, in order."""

    def __init__(self, definitions: dict[Variable, Expr], backend: Backend) -> None:
        self.definitions, self.backend = definitions, backend
        self.variables = list(definitions)
        self.params = [v for v in variables_of(list(definitions.values())) if v not in definitions]
        self.products = Products(backend, list(definitions.items()), chained=True)
        self._value: dict[bool, Callable[..., Any]] = {}
        self._totals: dict[Any, Any] = {}

    def function(self, complex_values: bool = False) -> Callable[..., Any]:
        """The values of the variables as a function of the params."""
        function = self._value.get(complex_values)
        if function is None:
            function = self._value[complex_values] = self.backend.compile(
                self.params, list(self.definitions.values()), self.definitions, complex_values
            )
        return function

    def evaluate(self, values: Values, complex_values: bool = False) -> Values:
        """The values of the variables."""
        results = self.function(complex_values)(*[values[v] for v in self.params])
        return dict(zip(self.variables, results, strict=True))

    def push(self, values: Values, tangents: Values) -> None:
        inside = {v: tangents[v] for v in self.params if v in tangents}
        if inside:
            tangents.update(self.products.push(values, inside))

    def pull(self, values: Values, cot: Values, wanted: frozenset[Variable] | None) -> tuple[Values, Values]:
        """Multipliers of the equations, and the cotangents of the params."""
        return self.products.pull(values, {v: cot[v] for v in self.variables if v in cot}, wanted)

    def push_many(self, values: Values, tangents: Matrices) -> None:
        sources = tuple(v for v in self.params if v in tangents)
        if not sources:
            return
        if tangents[sources[0]].shape[1] <= FEW:
            _each_direction(self, values, tangents, sources)
            return
        try:
            total = self._total(values, tuple(self.variables), sources)
        except TooDenseError:
            _each_direction(self, values, tangents, sources)
            return
        unstack(self.variables, total @ stack_rows([tangents[v] for v in sources]), tangents)

    def pull_many(self, values: Values, cot: Matrices, wanted: frozenset[Variable] | None) -> None:
        targets = tuple(v for v in self.variables if v in cot)
        sources = tuple(v for v in self.params if wanted is None or v in wanted)
        if not sources:
            return
        if cot[targets[0]].shape[0] <= FEW:
            _each_seed(self, values, cot, targets, wanted)
            return
        try:
            total = self._total(values, targets, sources)
        except TooDenseError:
            _each_seed(self, values, cot, targets, wanted)
            return
        add_columns(cot, sources, stack_columns([cot[v] for v in targets]) @ total)

    def _total(self, values: Values, targets: tuple[Variable, ...], sources: tuple[Variable, ...]) -> Any:
        """d(targets)/d(sources) through the run; may raise TooDenseError."""
        record = self._totals.get((targets, sources))
        if record is None:
            map_ = jacobian_map(targets, sources, self.definitions, budget=TOTAL_BUDGET)
            entries = flat_values(map_)
            inputs = variables_of(entries)
            record = self._totals[targets, sources] = map_, self.backend.compile(inputs, [entries]), inputs
        map_, function, inputs = record
        return map_.compact(function(*[values[v] for v in inputs])[0])


def _each_direction(run: Substitution, values: Values, tangents: Matrices, sources: Sequence[Variable]) -> None:
    count = tangents[sources[0]].shape[1]
    results = [run.products.push(values, {v: column(tangents[v], i, v) for v in sources}) for i in range(count)]
    for v in results[0] if results else ():
        tangents[v] = np.stack([np.reshape(r[v], -1) for r in results], axis=1)


def _each_seed(
    run: Substitution, values: Values, cot: Matrices, targets: Sequence[Variable], wanted: frozenset[Variable] | None
) -> None:
    count = cot[targets[0]].shape[0]
    for i in range(count):
        seeds = {v: to_dense(cot[v][[i]]).reshape(v.shape)[()] for v in targets}
        for v, part in run.products.pull(values, seeds, wanted)[1].items():
            into = cot[v] = to_dense(cot[v]) if v in cot else np.zeros((count, v.size))
            into[i] += np.reshape(part, -1)
