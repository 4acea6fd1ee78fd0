"""A function as a list of instructions over a list of registers: made at once, and slower by 0.1 µs per operation."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...expr import Constant, Expr
from .registers import uses_of, value_of
from .small_arrays import SMALL_ARRAYS, stacked

__all__ = ["Instructions"]

OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negative": operator.neg,
}
ONE, ALL = -1, -2  # instead of a second argument
Instruction = tuple[Callable[..., Any], Any, int, int]


class Instructions:
    """Runs a list of instructions over a list of registers."""

    def __init__(self, inputs: Any, outputs: Any, order: list[Expr], definitions: Any, complex_values: bool) -> None:
        self.inputs, self.outputs, self.order, self.complex = inputs, outputs, order, complex_values
        self.definitions = definitions

    def function(self) -> Callable[..., tuple[Any, ...]]:
        """The function."""
        slot: dict[Expr, int] = {}
        start: list[Any] = []
        unpack: list[tuple[int, int, int, int, tuple[int, ...]]] = []
        for k, item in enumerate(self.inputs):
            at = 0
            for v in item if isinstance(item, tuple) else (item,):
                slot[v] = len(start)
                start.append(None)
                unpack.append((slot[v], k, at if isinstance(item, tuple) else -1, at + v.size, v.shape))
                at += v.size
        code = self._code(slot, start)
        outputs = [
            ([slot[e] for e in out], [e.shape for e in out]) if isinstance(out, tuple) else slot[out]
            for out in self.outputs
        ]

        def function(*args: Any) -> tuple[Any, ...]:
            w = start.copy()
            for target, k, a, b, shape in unpack:
                w[target] = args[k] if a < 0 else args[k][a] if not shape else args[k][a:b].reshape(shape)
            for value, first, second, target in code:
                if second >= 0:
                    w[target] = value(w[first], w[second])
                elif second == ONE:
                    w[target] = value(w[first])
                else:
                    w[target] = value(*[w[i] for i in first])
            return tuple([w[o] if isinstance(o, int) else _pack([w[i] for i in o[0]], o[1]) for o in outputs])

        return function

    def _code(self, slot: dict[Expr, int], start: list[Any]) -> list[Instruction]:
        """Instructions (function, argument, second argument, result), as places in the list of registers. The second is
        ``ONE`` where there is none, and ``ALL`` where the first is a list of all. Parameters have registers, too."""
        roots = [e for out in self.outputs for e in (out if isinstance(out, tuple) else (out,))]
        uses = uses_of(self.order, roots, self.definitions)
        joined = {} if self.complex else stacked(self.order, uses)
        free: list[int] = []
        code: list[Instruction] = []
        for node in self.order:
            if node.op is None:
                if isinstance(node, Constant):
                    slot[node] = len(start)
                    start.append(node.value)
                elif node in self.definitions:
                    slot[node] = slot[self.definitions[node]]
                continue
            if not uses[node]:
                continue
            args: Sequence[Expr]
            value: Callable[..., Any]
            parameters: tuple[Any, ...]
            if node in joined:
                (args, value), parameters = joined[node], ()
            else:
                args, (value, parameters) = node.args, self._step(node)
            a = [slot[arg] for arg in args]
            if parameters:
                a += range(len(start), len(start) + len(parameters))
                start += parameters
            for arg in args:
                uses[arg] -= 1
                if uses[arg] == 0 and arg.op is not None:
                    free.append(slot[arg])
            if free:
                slot[node] = free.pop()
            else:
                slot[node] = len(start)
                start.append(None)
            if len(a) == 2:
                code.append((value, a[0], a[1], slot[node]))
            elif len(a) == 1:
                code.append((value, a[0], ONE, slot[node]))
            else:
                code.append((value, a, ALL, slot[node]))
        return code

    def _step(self, node: Expr) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The function of a node and its parameters."""
        row = node.op
        assert row is not None
        if row.name in OPERATORS:
            return OPERATORS[row.name], ()
        special = None if self.complex else SMALL_ARRAYS.get(row.name)
        found = None if special is None else special(node)
        return (value_of(row, self.complex), node.params) if found is None else (found, ())


def _pack(values: list[Any], shapes: list[tuple[int, ...]]) -> np.ndarray:
    if all(not s for s in shapes):
        return np.array(values) if values else np.zeros(0)
    if len(values) == 1:
        return np.reshape(values[0], -1)  # type: ignore[no-any-return]
    return np.concatenate([np.reshape(v, -1) for v in values])
