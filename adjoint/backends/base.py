"""What a backend is: it compiles expressions to a function of arrays.

``compile(inputs, outputs, definitions, complex_values)`` returns ``f(*arrays) -> tuple of arrays``. An input
is a variable, or a tuple of variables packed into one flat vector; an output is an expression, or a tuple of
expressions to be flattened and concatenated into one vector. A variable among ``definitions`` stands for the
expression given there, so a run of explicit equations is one function. Everything above a backend (values, residuals,
Jacobian entries, sweeps) is made of such functions, so another backend needs nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..errors import ModelError
from ..expr import Expr, Variable
from ..walk import topological

__all__ = ["Backend", "Input", "Output", "ordered"]

Input = Variable | tuple[Variable, ...]
Output = Expr | tuple[Expr, ...]


class Backend(Protocol):
    """An executor of expressions."""

    name: str

    def compile(
        self,
        inputs: Sequence[Input],
        outputs: Sequence[Output],
        definitions: Mapping[Variable, Expr] | None = None,
        complex_values: bool = False,
    ) -> Callable[..., tuple[Any, ...]]:
        """A function of the inputs that gives the outputs."""
        ...


def ordered(inputs: Sequence[Input], outputs: Sequence[Output], definitions: Mapping[Variable, Expr]) -> list[Expr]:
    """The nodes of a function, arguments first; a ModelError for a variable that is not among its inputs."""
    roots = [e for out in outputs for e in (out if isinstance(out, tuple) else (out,))]
    order = topological(roots, definitions=definitions)
    given = {v for i in inputs for v in (i if isinstance(i, tuple) else (i,))}
    for node in order:
        if node.op is None and isinstance(node, Variable) and node not in given and node not in definitions:
            raise ModelError(f"the variable {node.name!r} is not among the inputs of the function")
    return order
