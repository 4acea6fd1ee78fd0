"""The compiled backend: expressions become fused loops of LLVM IR."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...expr import Expr, Variable
from ...interning import paused_collection
from ...walk import nodes_below
from ..base import Input, Output, ordered
from ..numpy_ import NumpyBackend
from .compiled import CompiledFunction
from .direct import direct
from .lowering import lower
from .native import Rule
from .segments import scalar_program
from .small import SmallProgram, Step, Totals
from .summary import summary
from .target import available, takes_machine_code

__all__ = ["LlvmBackend", "available"]


# Scalar operations above which a tape takes over from code that LLVM makes, which takes long to compile: where a tape
# becomes machine code at once, and where it is run by loops.
STRAIGHT, LOOPS = 100, 500


def is_long(outputs: Sequence[Output], definitions: Mapping[Variable, Expr]) -> bool:
    """Whether a program consists of so many scalar operations that it is run from a tape; it may move arrays, and have
    no other operations on them."""
    count, limit = 0, STRAIGHT if takes_machine_code() else LOOPS
    for node in nodes_below(outputs, definitions):
        if node.op is None:
            continue
        if not node.shape:
            count += 1
        elif not node.op.copies:
            return False
        if count > limit:
            break
    return count > limit


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
        with paused_collection():
            if is_long(outputs, definitions):
                program = scalar_program(inputs, outputs, definitions)
                if program is not None:
                    return _from_tape(program)
            order = ordered(inputs, outputs, definitions)
            compiled = CompiledFunction(lower(inputs, outputs, order, definitions), inputs, outputs)
        function = compiled.function()
        function.summary = lambda: summary(compiled.lowered)  # type: ignore[attr-defined]
        function.direct = lambda: direct(compiled)  # type: ignore[attr-defined]
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
        packed = inputs[0] if isinstance(inputs[0], tuple) else (inputs[0],)
        if len(packed) != len(wrt) or any(a is not b for a, b in zip(packed, wrt, strict=True)):
            return None
        if not is_long([output], definitions):
            return None
        program = scalar_program(inputs, [output, check], definitions)
        return None if program is None else program.gradient()

    def small_program(self, variables: tuple[Variable, ...], steps: Sequence[Any], totals: Any, rule: Any) -> Any:
        """One compiled call for a small program (:class:`.small.SmallProgram`); None where it needs calls of NumPy."""
        wanted = None if totals is None else Totals(*totals)
        program = SmallProgram(variables, [Step(*s) for s in steps], wanted, Rule(*rule))
        return program if program.usable else None
