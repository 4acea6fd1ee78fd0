"""The blocks of a program in solve order, each with its compiled functions: made once, reused."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from .analysis import Analysis, BlockInfo, analyze
from .backends import get_backend
from .blocks import Cycle, Run
from .equations import Equation, Equations
from .expr import Expr, Variable
from .primitive import PRIMITIVES
from .walk import topological, variables_of

__all__ = ["Plan"]


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
        self.backend = get_backend(backend)
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

    def kinks(self) -> tuple[list[Equation], Any, list[Variable]] | None:
        """Equations with kinks, the function that is nonzero where one is at its kink, and its inputs."""
        if self._kinks is None:
            owners: list[Equation] = []
            tests: list[Expr] = []
            nodes = topological([e.expr for e in self.analysis.incidence])
            held = {node for node in nodes if node.op is PRIMITIVES["stop_gradient"]}  # no derivative goes through
            if any(map(_has_kink, nodes)):
                for equation in self.analysis.incidence:
                    for node in filter(_has_kink, topological([equation.expr], stop=held)):
                        owners.append(equation)
                        tests.append(node.op.kink(node, *node.args, *node.params))  # type: ignore[union-attr, misc]
            if tests:
                inputs = variables_of(tests)
                self._kinks = owners, self.backend.compile(inputs, tests), inputs
            else:
                self._kinks = ()
        return self._kinks or None


def _has_kink(node: Expr) -> bool:
    return node.op is not None and node.op.kink is not None
