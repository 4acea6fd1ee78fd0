"""The reference backend: NumPy, one call per node, in real or complex arithmetic.

Short programs become the source of one Python function, compiled once (``source``); long ones, and those that are
called a few times, a list of instructions (``instructions``): Python compiles about 10 µs per statement, more than such
a program costs to run. Both reuse the register of a value after its last use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...expr import Expr, Variable
from ..base import Input, Output, ordered
from .instructions import Instructions
from .source import Source

__all__ = ["NumpyBackend"]

SOURCE_LIMIT = 4000  # statements; measured: compiling longer ones costs more than ten runs of the instructions


class NumpyBackend:
    """Executes expressions with NumPy.

    Parameters
    ----------
    source_limit : int
        Statements up to which a function becomes source text; 0: none does, for functions that are called a few times.
        By default ``SOURCE_LIMIT``.
    """

    name = "numpy"

    def __init__(self, source_limit: int | None = None) -> None:
        self.source_limit = source_limit

    def compile(
        self,
        inputs: Sequence[Input],
        outputs: Sequence[Output],
        definitions: Mapping[Variable, Expr] | None = None,
        complex_values: bool = False,
    ) -> Callable[..., tuple[Any, ...]]:
        """A function of the inputs that gives a tuple of the outputs."""
        definitions = definitions or {}
        order = ordered(inputs, outputs, definitions)
        limit = SOURCE_LIMIT if self.source_limit is None else self.source_limit
        emitter = Source if len(order) <= limit else Instructions
        return emitter(inputs, outputs, order, definitions, complex_values).function()
