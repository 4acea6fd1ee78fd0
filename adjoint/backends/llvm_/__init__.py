"""The compiled backend: expressions become fused loops of LLVM IR."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import ModelError
from ...expr import Expr, Variable
from ...walk import topological
from ..base import Input, Output
from ..numpy_ import NumpyBackend
from .compiled import CompiledFunction
from .lowering import lower
from .small import SmallProgram, Step, Totals
from .target import available

__all__ = ["LlvmBackend", "available"]


class LlvmBackend:
    """Executes expressions as compiled loops; what has no kernel is called in NumPy, operation by operation."""

    name = "llvm"

    def __init__(self) -> None:
        self._plain = NumpyBackend()

    def compile(
        self,
        inputs: Sequence[Input],
        outputs: Sequence[Output],
        definitions: Mapping[Variable, Expr] | None = None,
        complex_values: bool = False,
    ) -> Callable[..., tuple[Any, ...]]:
        """A function of the inputs that gives a tuple of the outputs; complex arithmetic is NumPy's."""
        if complex_values:
            return self._plain.compile(inputs, outputs, definitions, complex_values)
        roots = [e for out in outputs for e in (out if isinstance(out, tuple) else (out,))]
        definitions = definitions or {}
        order = topological(roots, definitions=definitions)
        given = {v for i in inputs for v in (i if isinstance(i, tuple) else (i,))}
        for node in order:
            if isinstance(node, Variable) and node not in given and node not in definitions:
                raise ModelError(f"the variable {node.name!r} is not among the inputs of the function")
        return CompiledFunction(lower(inputs, outputs, order, definitions), inputs, outputs).function()

    def small_program(self, variables: tuple[Variable, ...], steps: Sequence[Any], totals: Any) -> Any:
        """One compiled call for a small program (:class:`.small.SmallProgram`); None where it needs calls of NumPy."""
        program = SmallProgram(variables, [Step(*s) for s in steps], Totals(*totals))
        return program if program.usable else None
