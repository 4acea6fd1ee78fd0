"""What elements of arrays are called: ``x[3]`` in messages and tables becomes the name that the model has for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import AdjointError
from ..problem import Problem
from ..program import Program

__all__ = ["Labels", "element_values"]


class Labels:
    """Names of elements, by the name of the variable or equation.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", [1.0, 2.0])
    >>> labels = Labels(m, {"x": ["inflow", "outflow"]})
    >>> labels.text("x[1] is larger than x[0] and than y[0]")
    'outflow is larger than inflow and than y[0]'
    """

    def __init__(self, program: Program, labels: Mapping[str, Sequence[str]]) -> None:
        self.labels = labels
        items: dict[str, Any] = {**program.variables, **program.equations}
        self.shapes = {name: items[name].shape for name in labels if name in items}
        names = "|".join(re.escape(name) for name in sorted(self.shapes, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<![\w\]])({names})\[([\d, ]+)\]") if names else None

    def text(self, words: str) -> str:
        """A text with the names of elements."""
        return words if self._pattern is None else self._pattern.sub(self._label, words)

    def _label(self, found: re.Match[str]) -> str:
        name, index = found[1], tuple(int(i) for i in found[2].split(",") if i.strip())
        shape = self.shapes[name]
        if len(index) != len(shape) or any(i >= n for i, n in zip(index, shape, strict=True)):
            return found[0]
        return self.labels[name][int(np.ravel_multi_index(index, shape))]

    def data(self, value: Any) -> Any:
        """Plain data with the names of elements in all of its texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(k): self.data(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.data(v) for v in value)
        return value

    @contextmanager
    def in_errors(self) -> Iterator[None]:
        """Errors of the library that are raised within speak of the elements by name."""
        try:
            yield
        except AdjointError as error:
            error.args = self.data(error.args)
            for name in ("worst", "overdetermined", "underdetermined", "equations", "variables"):
                if hasattr(error, name):
                    setattr(error, name, self.data(getattr(error, name)))
            raise


def element_values(problem: Problem, values: Mapping[str, Any]) -> dict[str, float]:
    """The values of the variables of a problem, element by element.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", [1.0, 2.0])
    >>> element_values(adj.Problem(m, minimize=0, labels={"x": ["inflow", "outflow"]}), {"x": [3.0, 4.0]})
    {'inflow': 3.0, 'outflow': 4.0}
    """
    return {
        problem.element(v.name, k): value
        for v in problem.variables
        for k, value in enumerate(np.reshape(values[v.name], -1).tolist())
    }
