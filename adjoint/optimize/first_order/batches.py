"""Mini-batches: inputs that hold data are fed a part of it at a time, along the first axis.

A program is written for a batch: its data inputs have the shape of one, and shapes are static, so every batch has it.
What is left over at the end of an epoch is dropped, or filled up from the start of the same epoch's order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from ...blocks import pack
from ...errors import ModelError, NameLookupError, ShapeError, closest
from ...explicit import Explicit
from ...expr import Variable
from ...function import Function

__all__ = ["Batches", "Sampled", "batches_of"]

LAST = ("drop", "wrap")
Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class Batches:
    """Data by name of an input, all of one length, and how it is cut.

    >>> b = Batches({"x": np.arange(5.0)}, size=2, epochs=1, shuffle=False, last="wrap")
    >>> [part["x"].tolist() for part in b.epoch(np.random.default_rng(0))], b.count
    ([[0.0, 1.0], [2.0, 3.0], [4.0, 0.0]], 3)
    """

    data: Mapping[str, np.ndarray]
    size: int
    epochs: int
    shuffle: bool = True
    last: str = "drop"

    @property
    def length(self) -> int:
        """Number of samples."""
        return len(next(iter(self.data.values())))

    @property
    def count(self) -> int:
        """Batches in an epoch."""
        return -(-self.length // self.size) if self.last == "wrap" else self.length // self.size

    def epoch(self, random: np.random.Generator | None) -> Iterator[Batch]:
        """The batches of one epoch; in the order of the data without a generator."""
        order = np.arange(self.length)
        if self.shuffle and random is not None:
            random.shuffle(order)
        for k in range(self.count):
            rows = np.take(order, range(k * self.size, (k + 1) * self.size), mode="wrap")
            yield {name: array[rows] for name, array in self.data.items()}


def batches_of(options: dict[str, Any], problem: Any, method: str) -> Batches | None:
    """Take the options of batches out of a mapping, checked; None where there is no ``data``."""
    names = ("batch_size", "epochs", "shuffle", "last_batch")
    given = {name: options.pop(name) for name in names if name in options}
    if "data" not in options:
        if given:
            raise ModelError(f"{method}: options {', '.join(given)} need data, {{'data': {{input: array}}}}")
        return None
    data = options.pop("data")
    if not isinstance(data, Mapping) or not data:
        raise ModelError(f"{method}: data is a dict {{name of an input: array}}, got {data!r:.60}")
    arrays = {name: _data(problem, name, value, method) for name, value in data.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    sizes = {name: problem.program[name].shape[0] for name in arrays}
    for what, table in (("samples", lengths), ("rows of a batch", sizes)):
        if len(set(table.values())) > 1:
            raise ShapeError(f"{method}: the {what} differ: {table}")
    size, length = next(iter(sizes.values())), next(iter(lengths.values()))
    if given.get("batch_size", size) != size:
        raise ShapeError(
            f"{method}: batch_size is {given['batch_size']}, but the inputs {', '.join(arrays)} of the program hold "
            f"{size} rows; shapes are static: make the program for the batch"
        )
    last = given.get("last_batch", "drop")
    if last not in LAST:
        raise ModelError(f"{method}: last_batch is 'drop' or 'wrap', not {last!r}")
    if length < size and last == "drop":
        raise ShapeError(f"{method}: {length} samples do not fill a batch of {size}")
    epochs = given.get("epochs", 10)
    if not isinstance(epochs, int | np.integer) or epochs < 0:
        raise ModelError(f"{method}: epochs is a whole number, not {epochs!r}")
    return Batches(arrays, size, int(epochs), bool(given.get("shuffle", True)), last)


def _data(problem: Any, name: str, value: Any, method: str) -> np.ndarray:
    program = problem.program
    inputs = {v.name: v for v in program.inputs}
    if name not in inputs:
        raise NameLookupError(closest(name, inputs, "input for data"))
    if any(v.name == name for v in problem.variables):
        raise ModelError(f"{method}: {name!r} is moved by the optimizer: it cannot hold data")
    array, shape = np.asarray(value, dtype=float), inputs[name].shape
    if not shape or array.ndim != len(shape) or array.shape[1:] != shape[1:]:
        raise ShapeError(
            f"{method}: data of {name!r} has shape {array.shape}; batches of it have shape {shape}, so the data has "
            f"shape (samples, {', '.join(map(str, shape[1:]))})"
        )
    return array


class Sampled:
    """The objective (of the minimization) of a batch: value and gradient by one compiled kernel for all batches.

    Where cycles are to be solved, each batch is a program of its own values.
    """

    def __init__(self, problem: Any, values: Mapping[str, Any], first: Batch) -> None:
        self.problem, self.values = problem, dict(values)
        self.sign = -1.0 if problem.maximize else 1.0
        self.names = [v.name for v in problem.variables]
        function = self._function(first)
        fast = function._fast()
        self._fast = fast or None
        self._base: dict[Variable, Any] = dict(function._shared.base)
        self._batch = {name: problem.program[name] for name in first}

    def _function(self, batch: Batch) -> Function:
        problem = self.problem
        return Function(problem.program, problem.objective.name, self.names, values={**self.values, **batch})

    def __call__(self, x: np.ndarray, batch: Batch, derivative: bool = True) -> tuple[float, np.ndarray]:
        """Value and gradient."""
        if self._fast is not None:
            functions = self._fast._functions
            values = {**self._base, **{self._batch[name]: part for name, part in batch.items()}}
            at = Explicit(functions, [np.asarray(pack(functions.fixed, values), dtype=float)], False)
            (f, check), (g, sound) = at.value(x), (at.jac(x) if derivative else (x, 0.0))
            if isfinite(check) and isfinite(sound):
                return self.sign * float(f), self.sign * g
        function = self._function(batch)
        return self.sign * function(x), self.sign * (function.jac(x) if derivative else x)

    def mean(self, x: np.ndarray, batches: Batches) -> float:
        """The mean over the batches of the data, in its order."""
        return float(np.mean([self(x, batch, derivative=False)[0] for batch in batches.epoch(None)]))
