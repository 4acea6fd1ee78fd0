"""A backend that compiles what is called often, and leaves the rest to NumPy.

To compile a function takes as long as to interpret it, for a small one, a hundred times. A model that is differentiated
once, or solved once, is better interpreted. So a small function is interpreted in its first calls, and compiled when it
is called again. It is a matter of how often, not of how long: a program that is run again does the same again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..expr import Expr, Variable
from ..walk import nodes_below
from .base import Backend, Input, Output
from .numpy_ import NumpyBackend

__all__ = ["PatientBackend", "Tiered", "owned"]

Patience = Callable[[Sequence[Output], Mapping[Variable, Expr]], int]

CALLS = 3, 16, 100  # interpreted calls of huge, large and small functions: compiling the last costs as much as 100
SMALL = 2000  # elements of all results, up to which a function has the most
NODES = 400  # operations; more take longer to interpret, and above 500 scalar ones are not compiled but sorted
ELEMENTS = 100_000, 2_000_000  # of all results; functions of more are huge, those of still more not interpreted

# Functions that a solver calls, about once per iteration. Measured: a call takes 0.5 µs per operation, and to compile
# one 0.2 ms; of scalars only, which are listed instead, half as much. The first time, llvmlite is loaded as well.
RENT, RENT_OF_SCALARS = 400, 250  # calls that cost as much as compiling
LONG = 100  # operations from which scalars are listed
ELEMENTS_PER_NODE = 1500  # elements on which calls save as much by being compiled as on an operation by itself
LONGEST = 20_000  # operations, of more the first calls take too long


class PatientBackend:
    """A compiling backend behind an interpreter.

    Parameters
    ----------
    then : Backend
        What compiles; its name is this one's, too.
    patience : callable
        How many calls of a function are interpreted, from its outputs and definitions.
    """

    silent = True  # its functions print no warnings of NumPy's

    def __init__(self, then: Backend, patience: Patience | None = None) -> None:
        self.first, self.then, self.name = NumpyBackend(source_limit=0), then, then.name
        self.patience = usual if patience is None else patience

    @property
    def of_solver(self) -> PatientBackend:
        """The same for functions that a solver calls, once or twice per iteration: these are compiled when what their
        calls have cost is as much as compiling costs."""
        return PatientBackend(self.then, rented)

    def compile(
        self,
        inputs: Sequence[Input],
        outputs: Sequence[Output],
        definitions: Mapping[Variable, Expr] | None = None,
        complex_values: bool = False,
    ) -> Callable[..., tuple[Any, ...]]:
        """A function of the inputs that gives a tuple of the outputs: a :class:`Tiered` one, if it is small."""
        arguments = inputs, outputs, definitions, complex_values
        calls = 0 if complex_values else self.patience(outputs, definitions or {})
        if not calls:
            return self.then.compile(*arguments)
        return Tiered(self.first.compile(*arguments), lambda: self.then.compile(*arguments), calls)

    def __getattr__(self, name: str) -> Any:
        """What the compiling backend offers beyond the interface."""
        if name.startswith("_") or name in ("first", "then", "patience"):
            raise AttributeError(name)
        return getattr(self.then, name)


def usual(outputs: Sequence[Output], definitions: Mapping[Variable, Expr]) -> int:
    """How many calls of a function are interpreted; none where it has many operations."""
    if len(outputs) > NODES or len(definitions) > NODES:
        return 0
    elements = 0
    for count, node in enumerate(nodes_below(outputs, definitions), 1):
        elements += node.size
        if count > NODES or elements > ELEMENTS[1]:
            return 0
    if elements > ELEMENTS[0]:
        return CALLS[0]
    _, fewest, most = CALLS
    return max(fewest, most * SMALL // max(elements, SMALL))


def rented(outputs: Sequence[Output], definitions: Mapping[Variable, Expr]) -> int:
    """How many calls of a function cost as much as to compile it: rent until it would have been cheaper to buy (Karlin
    et al. 1988, "Competitive snoopy caching"). The cost never exceeds twice the least one."""
    nodes, elements, scalars = 0, 0, True
    for nodes, node in enumerate(nodes_below(outputs, definitions), 1):
        if node.op is not None and node.shape:
            elements += node.size
            scalars = scalars and node.op.copies
        if nodes > LONGEST:
            return 0
    most = RENT_OF_SCALARS if scalars and nodes > LONG else RENT
    return most * nodes // max(nodes + elements // ELEMENTS_PER_NODE, 1)


class Tiered:
    """A function that is interpreted in its first calls, and compiled when it is called again."""

    __slots__ = ("_compile", "_compiled", "_interpreted", "_left", "_lock")

    def __init__(self, interpreted: Callable[..., Any], compile_: Callable[[], Callable[..., Any]], calls: int) -> None:
        self._interpreted, self._compile, self._left = interpreted, compile_, calls
        self._compiled: Callable[..., Any] | None = None
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> tuple[Any, ...]:
        return self.now()(*arguments)

    def now(self) -> Callable[..., Any]:
        """The function for this call."""
        if self._compiled is not None:
            return self._compiled
        self._left -= 1
        return self.compiled() if self._left < 0 else self.interpreted

    @property
    def settled(self) -> bool:
        """Whether it is compiled."""
        return self._compiled is not None

    def compiled(self) -> Callable[..., Any]:
        """The compiled function."""
        with self._lock:
            if self._compiled is None:
                self._compiled = self._compile()
        return self._compiled

    def interpreted(self, *arguments: Any) -> tuple[Any, ...]:
        """The results by the interpreter: silent, and arrays of their own."""
        with np.errstate(all="ignore"):
            return tuple(owned(r, arguments) for r in self._interpreted(*arguments))

    def summary(self) -> Any:
        """What the compiled function says of itself."""
        return self.compiled().summary()  # type: ignore[attr-defined]


def owned(result: Any, arguments: Sequence[Any]) -> Any:
    """The result, as an array of its own: not a view, a constant or an argument."""
    if type(result) is not np.ndarray:
        return result
    shared = not (result.flags.owndata and result.flags.writeable) or any(result is a for a in arguments)
    return result.copy() if shared else result
