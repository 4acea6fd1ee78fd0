"""The blocks of a program in solve order, each with its compiled functions: made once, reused."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import numpy as np

from .analysis import Analysis, BlockInfo, analyze
from .backends import Backend, get_backend
from .backends.patient import PatientBackend
from .blocks import Cycle, Run, Values
from .blocks.run import MANY
from .blocks.vectors import Vectors, packs_of
from .equations import Equation, Equations
from .expr import Expr, Variable
from .patterns import flat
from .primitive import PRIMITIVES
from .walk import topological, variables_of

__all__ = ["Plan"]

REFERENCE = "numpy"  # the backend that compiles nothing


class Plan:
    """How a program is solved and differentiated.

    Attributes
    ----------
    blocks : list of Run and Cycle, in solve order
    inputs : list of Variable: the inputs, and unknowns that are given
    """

    def __init__(
        self,
        model: Equations,
        given: Iterable[Variable] = (),
        backend: str | None = None,
        linear_solver: str = "auto",
    ) -> None:
        self.model = model
        self.given, self.linear_solver = tuple(given), linear_solver
        self.analysis: Analysis = analyze(model, self.given)
        self.backend = _backend(backend)
        self.inputs: list[Variable] = [*model.inputs, *self.given]
        self.blocks: list[Run | Cycle] = []
        for kind, infos in groupby(self.analysis.blocks, key=lambda b: (b.level, b.kind)):
            if kind[1] == "explicit":
                self.blocks.append(Run(list(infos), self.backend))
            else:
                self.blocks.extend(Cycle(info, model, self.backend, linear_solver) for info in infos)
        self.cycles = [b for b in self.blocks if isinstance(b, Cycle)]
        self.variables = frozenset([*self.inputs, *(v for b in self.blocks for v in b.variables)])
        self._sets = {b: frozenset(b.variables) for b in self.blocks}
        self._reach: dict[Any, frozenset[Variable] | None] = {}
        self._kinks: Any = None
        self.functions: dict[Any, Any] = {}  # compiled functions of the whole program, by key
        self.solves = 0
        # What solves a small program at once when it has been solved a few times: with cycles, and without.
        self.quick: Any = None
        self.evaluation: Any = None

    def __reduce__(self) -> Any:
        return Plan, (self.model, self.given, self.backend.name, self.linear_solver)

    def info(self, block: Run | Cycle) -> list[BlockInfo]:
        """The structural blocks behind a block of the plan."""
        own = self._sets[block]
        return [b for b in self.analysis.blocks if b.unknowns and b.unknowns[0] in own]

    def touches(self, block: Run | Cycle, variables: Any) -> bool:
        """Whether any of the variables belongs to the block."""
        own = self._sets[block]
        if len(variables) < len(own):
            return any(v in own for v in variables)
        return any(v in variables for v in own)

    def reach(self, sources: frozenset[Variable]) -> frozenset[Variable] | None:
        """The variables that depend on one of the sources, and the sources themselves; None if that is all of them."""
        if sources not in self._reach:
            seen = set(sources)
            for block in self.analysis.blocks:
                if any(v in seen for e in block.equations for v in self.analysis.incidence[e]):
                    seen.update(block.unknowns)
            self._reach[sources] = None if seen >= self.variables else frozenset(seen)
        return self._reach[sources]

    def ancestors(self, targets: Iterable[Variable]) -> frozenset[Variable]:
        """The variables that the targets depend on, and the targets themselves."""
        seen = set(targets)
        for block in reversed(self.analysis.blocks):
            if any(v in seen for v in block.unknowns):
                for e in block.equations:
                    seen.update(self.analysis.incidence[e])
                seen.update(block.unknowns)
        return frozenset(seen)

    def at_kinks(self, values: Values) -> list[str]:
        """Names of the equations that are exactly at a kink."""
        if self._kinks is None:
            self._kinks = self._compiled_kinks() or ()
        if not self._kinks:
            return []
        owners, function, inputs, vectors = self._kinks
        held = vectors.values(values)
        with np.errstate(all="ignore"):
            tests = function(*[held[v] for v in inputs])[0]
        return sorted({owners[k].name for k in np.flatnonzero(np.real(tests) != 0).tolist()})

    def _compiled_kinks(self) -> tuple[list[Equation], Any, list[Variable], Vectors] | None:
        """Owners of the elements of a vector that is nonzero at kinks, its function, and the inputs of that."""
        owners: list[Equation] = []
        tests: list[Expr] = []
        nodes = topological([e.expr for e in self.analysis.incidence])
        if not any(map(_has_kink, nodes)):
            return None
        held = {node for node in nodes if node.op is PRIMITIVES["stop_gradient"]}  # no derivative goes through
        for equation in self.analysis.incidence:
            for node in filter(_has_kink, topological([equation.expr], stop=held)):
                test = node.op.kink(node, *node.args, *node.params)  # type: ignore[union-attr, misc]
                owners.extend([equation] * test.size)
                tests.append(test)
        if not tests:
            return None
        scalars = [v for v in variables_of(tests) if not v.shape]
        pack = Variable("scalars", (len(scalars),))
        vector = flat(tests, packs=packs_of(pack, scalars)) if len(tests) >= MANY else None
        outputs = (vector,) if vector is not None else tuple(tests)
        inputs = variables_of(outputs)
        vectors = Vectors({} if vector is None else {pack: scalars})
        return owners, self.backend.compile(inputs, [outputs]), inputs, vectors


def _backend(name: str | None) -> Backend:
    """The backend of a name. One that nobody named compiles only what is called often."""
    found = get_backend(name)
    if name or os.environ.get("ADJOINT_BACKEND") or found.name == REFERENCE:
        return found
    return PatientBackend(found)


def _has_kink(node: Expr) -> bool:
    return node.op is not None and node.op.kink is not None
