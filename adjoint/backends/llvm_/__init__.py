"""The compiled backend: expressions become fused loops of LLVM IR."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...expr import Expr, Variable
from ...walk import topological
from ..base import Input, Output, ordered
from ..numpy_ import NumpyBackend
from .compiled import CompiledFunction
from .lowering import lower
from .native import Rule
from .segments import scalar_program
from .small import SmallProgram, Step, Totals
from .summary import summary
from .target import available

__all__ = ["LlvmBackend", "available"]


LONG = 500  # scalar operations; above, a tape takes over from straight-line code, which takes long to compile


def is_long(order: Sequence[Expr]) -> bool:
    """Whether a program has so many scalar operations that it is run from a tape."""
    return len(order) > LONG and sum(not node.shape for node in order if node.op is not None) > LONG


def _from_tape(program: Any) -> Callable[..., tuple[Any, ...]]:
    function = program.function()
    operations = f"tape of {program.tape.operations:,} scalar operations"
    function.summary = lambda: [operations]  # type: ignore[attr-defined]
    return function


class LlvmBackend:
    """Executes expressions as compiled loops; what has no kernel is called in NumPy, operation by operation."""

    name = "llvm"
    silent = True  # its functions print no warnings of NumPy's

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
        definitions = definitions or {}
        order = ordered(inputs, outputs, definitions)
        if is_long(order):
            program = scalar_program(inputs, outputs, definitions)
            if program is not None:
                return _from_tape(program)
        compiled = CompiledFunction(lower(inputs, outputs, order, definitions), inputs, outputs)
        function = compiled.function()
        function.summary = lambda: summary(compiled.lowered)  # type: ignore[attr-defined]
        return function

    def compile_gradient(
        self,
        inputs: Sequence[Input],
        output: Expr,
        wrt: Sequence[Variable],
        definitions: Mapping[Variable, Expr],
        check: Expr,
    ) -> Callable[..., tuple[Any, ...]] | None:
        """A function that gives d(output)/d(wrt), flat, and ``check``: for long scalar programs, by their own reverse
        sweep. None for others, whose derivatives are better compiled from expressions."""
        order = topological([output], definitions=definitions)
        packed = inputs[0] if isinstance(inputs[0], tuple) else (inputs[0],)
        if not is_long(order) or len(packed) != len(wrt) or any(a is not b for a, b in zip(packed, wrt, strict=True)):
            return None
        program = scalar_program(inputs, [output, check], definitions)
        if program is None:
            return None

        def gradient(*arrays: Any) -> tuple[Any, ...]:
            outputs, cotangents = program.gradient(*arrays, seeds=(1.0, 0.0))
            return cotangents[0], outputs[1] + np.add.reduce(cotangents[0])

        return gradient

    def small_program(self, variables: tuple[Variable, ...], steps: Sequence[Any], totals: Any, rule: Any) -> Any:
        """One compiled call for a small program (:class:`.small.SmallProgram`); None where it needs calls of NumPy."""
        wanted = None if totals is None else Totals(*totals)
        program = SmallProgram(variables, [Step(*s) for s in steps], wanted, Rule(*rule))
        return program if program.usable else None
